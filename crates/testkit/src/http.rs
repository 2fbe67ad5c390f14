//! The smallest web server, client and UDP echo that show whether traffic passes, and from which address.

use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::Host;

const TIMEOUT: Duration = Duration::from_secs(2);

/// An answer, as [`Host::fetch`] got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The text that the server was given.
    pub text: String,
    /// The client's address, as the server saw it: what a masquerade changes.
    pub seen_from: SocketAddr,
}

/// A web server in a namespace, until it is dropped.
#[derive(Debug)]
pub struct Server {
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

/// A UDP server that answers each datagram with its text and the client's address, until it is dropped.
#[derive(Debug)]
pub struct UdpServer {
    _server: Server,
}

impl Host {
    /// Serves `text` over HTTP on every IPv4 and IPv6 address of a place.
    ///
    /// # Panics
    ///
    /// When the port is taken there.
    #[track_caller]
    pub fn serve(&self, place: &str, port: u16, text: &str) -> Server {
        let listener = self
            .netns(place)
            .enter(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)))
            .expect("the namespace can be entered")
            .unwrap_or_else(|error| panic!("port {port} in {place}: {error}"));
        listener.set_nonblocking(true).expect("a socket can be non-blocking");
        let text = text.to_owned();
        Server::run(move || match listener.accept() {
            Ok((stream, client)) => {
                // A client that goes away early is its own business.
                let _ = answer(stream, client, &text);
                true
            }
            Err(_) => false,
        })
    }

    /// Answers datagrams with `text` and the client's address on every IPv4 and IPv6 address of a place.
    ///
    /// # Panics
    ///
    /// When the port is taken there.
    #[track_caller]
    pub fn serve_udp(&self, place: &str, port: u16, text: &str) -> UdpServer {
        let socket = self
            .netns(place)
            .enter(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)))
            .expect("the namespace can be entered")
            .unwrap_or_else(|error| panic!("port {port} in {place}: {error}"));
        socket.set_nonblocking(true).expect("a socket can be non-blocking");
        let text = text.to_owned();
        let server = Server::run(move || match socket.recv_from(&mut [0; 64]) {
            Ok((_, client)) => {
                let _ = socket.send_to(format!("{} {text}", plain(client)).as_bytes(), client);
                true
            }
            Err(_) => false,
        });
        UdpServer { _server: server }
    }

    /// Asks the server at `address`, such as `192.0.2.2:80`, from a place; waits two seconds for each step.
    ///
    /// # Errors
    ///
    /// `TimedOut` when nothing answers, `ConnectionRefused` when nobody listens, `NetworkUnreachable`.
    #[track_caller]
    pub fn fetch(&self, place: &str, address: &str) -> io::Result<Reply> {
        let address = socket_address(address);
        self.netns(place).enter(|| ask(address)).expect("the namespace can be entered")
    }

    /// Sends one datagram from a place and waits for the answer for a second.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when none comes; `ConnectionRefused` when nobody listens.
    #[track_caller]
    pub fn ask_udp(&self, place: &str, address: &str) -> io::Result<Reply> {
        let address = socket_address(address);
        self.netns(place).enter(|| ask_datagram(address)).expect("the namespace can be entered")
    }
}

impl Server {
    /// `step` says whether it had something to do.
    fn run(mut step: impl FnMut() -> bool + Send + 'static) -> Server {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if !step() {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        Server { thread: Some(thread), stop }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[track_caller]
fn socket_address(address: &str) -> SocketAddr {
    let plain = address.trim_start_matches("http://").trim_end_matches('/');
    plain.parse().unwrap_or_else(|error| panic!("`{address}` is no address with a port: {error}"))
}

fn answer(mut stream: TcpStream, client: SocketAddr, text: &str) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let client = plain(client);
    let length = text.len();
    write!(
        stream,
        "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nX-Client: {client}\r\n\r\n{text}"
    )
}

fn ask(address: SocketAddr) -> io::Result<Reply> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(stream, "GET / HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let reply = text.split_once("\r\n\r\n").and_then(|(head, body)| {
        let client = head.lines().find_map(|line| line.strip_prefix("X-Client: "))?;
        Some(Reply { text: body.to_owned(), seen_from: client.parse().ok()? })
    });
    reply.ok_or_else(|| io::Error::other(format!("another server answered: {text}")))
}

fn ask_datagram(address: SocketAddr) -> io::Result<Reply> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.connect(address)?;
    socket.send(b"?")?;
    let mut buffer = [0; 1024];
    let length = socket.recv(&mut buffer)?;
    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
    let reply = text
        .split_once(' ')
        .and_then(|(client, text)| Some(Reply { text: text.to_owned(), seen_from: client.parse().ok()? }));
    reply.ok_or_else(|| io::Error::other(format!("another server answered: {text}")))
}

/// An IPv4 client of an IPv6 socket by its IPv4 address.
fn plain(client: SocketAddr) -> SocketAddr {
    SocketAddr::new(client.ip().to_canonical(), client.port())
}
