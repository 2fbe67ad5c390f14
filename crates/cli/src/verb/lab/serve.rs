//! `pontoon lab-serve`: a web server of one page, so that the tour needs no other program.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::failure::Failure;

/// Serve one page over HTTP, with a line that says whom it was served to
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// TCP port
    #[arg(long, value_name = "PORT", default_value_t = 80)]
    port: u16,
    /// The page
    #[arg(default_value = "hello")]
    text: String,
}

/// How long a client may be silent.
const TIMEOUT: Duration = Duration::from_secs(2);

/// No request of a browser's is longer.
const LONGEST: usize = 64 * 1024;

impl Serve {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        // An IPv6 socket takes both families, where the kernel has IPv6.
        let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, self.port))
            .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, self.port)));
        let listener = listener
            .map_err(|error| Failure::io(format!("could not listen on port {}", self.port), &error))?;
        loop {
            if let Ok((stream, client)) = listener.accept() {
                // A client that goes away early is its own business.
                let _ = answer(stream, client, &self.text);
            }
        }
    }
}

fn answer(mut stream: TcpStream, client: SocketAddr, text: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let (mut request, mut piece) = (Vec::new(), [0; 1024]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < LONGEST {
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            length => request.extend_from_slice(&piece[..length]),
        }
    }
    let page = format!("{text}\nYou came from {}.\n", client.ip().to_canonical());
    let length = page.len();
    write!(
        stream,
        "HTTP/1.0 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\r\n{page}"
    )
}
