//! A client and a server that talk all the time.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pontoon_testkit::Host;

/// One TCP connection, over which a byte goes forth and back every millisecond.
pub(crate) struct Talk {
    client: JoinHandle<(u64, Duration)>,
    server: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Talk {
    /// Between two places; the address is the server's.
    #[track_caller]
    pub(crate) fn begin(host: &Host, client: &str, server: &str, address: &str) -> Self {
        let listener = host.netns(server).enter(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 7777)));
        let listener = listener.expect("it can be entered").expect("the port is free");
        let address: IpAddr = address.parse().expect("an address");
        let client = host.netns(client).enter(|| TcpStream::connect((address, 7777)));
        let mut client = client.expect("it can be entered").expect("the server is reached");
        let (mut accepted, _) = listener.accept().expect("the client is there");
        for stream in [&client, &accepted] {
            stream.set_read_timeout(Some(Duration::from_secs(3))).expect("it is not zero");
            stream.set_nodelay(true).expect("it is TCP");
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let server = std::thread::spawn(move || {
            let mut byte = [0];
            while accepted.read(&mut byte).is_ok_and(|length| length == 1)
                && accepted.write_all(&byte).is_ok()
            {}
        });
        let client = std::thread::spawn(move || {
            let (mut times, mut longest) = (0, Duration::ZERO);
            while !stopped.load(Ordering::Relaxed) {
                let start = Instant::now();
                client.write_all(b"x").expect("the connection is there");
                client.read_exact(&mut [0]).expect("the server answers");
                times += 1;
                longest = longest.max(start.elapsed());
                std::thread::sleep(Duration::from_millis(1));
            }
            client.shutdown(Shutdown::Both).expect("the connection is there");
            (times, longest)
        });
        Self { client, server, stop }
    }

    /// Ends it: no byte may have been lost, or have taken as long as TCP takes to send one again (RFC 6298: 200 ms in
    /// Linux).
    #[track_caller]
    pub(crate) fn was_never_interrupted(self) {
        self.stop.store(true, Ordering::Relaxed);
        let (times, longest) = self.client.join().expect("the connection holds");
        self.server.join().expect("the connection holds");
        assert!(times > 20, "it went forth and back {times} times");
        assert!(longest < Duration::from_millis(190), "an answer took {longest:?}, of {times}");
    }
}
