//! `pontoon lab-fetch`: fetches a page, so that the tour needs no other program.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use crate::failure::Failure;
use crate::output;

/// Fetch a page over HTTP and print it
#[derive(Debug, Args)]
pub(crate) struct Fetch {
    /// Such as http://web/ or http://[fd00::2]:8080/page
    url: String,
}

/// How long each step may take.
const TIMEOUT: Duration = Duration::from_secs(3);

impl Fetch {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let failed = |error: io::Error| Failure::io(format!("could not fetch {}", self.url), &error);
        let (host, path) = split(&self.url)
            .ok_or_else(|| Failure::usage(format!("`{}` is not http://HOST[:PORT]/PATH", self.url)))?;
        let page = ask(&host, path).map_err(failed)?;
        output::print(&page)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Host with port, and path.
fn split(url: &str) -> Option<(String, &str)> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let after_address = host.rsplit(']').next()?;
    let host = if after_address.contains(':') { host.to_owned() } else { format!("{host}:80") };
    Some((host, if path.is_empty() { "/" } else { path }))
}

fn ask(host: &str, path: &str) -> io::Result<String> {
    let address = host.to_socket_addrs()?.next().ok_or(ErrorKind::NotFound)?;
    let mut stream = connect(address)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, page)) if head.starts_with("HTTP/1.") && head.contains(" 200 ") => Ok(page.to_owned()),
        _ => Err(io::Error::other(format!(
            "the server answered {}",
            answer.lines().next().unwrap_or("nothing")
        ))),
    }
}

/// Connects; a server that is being started may not listen yet.
fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let start = Instant::now();
    loop {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused && start.elapsed() < TIMEOUT => {
                thread::sleep(Duration::from_millis(2));
            }
            connected => return connected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split() {
        for (url, host, path) in [
            ("http://10.0.0.2", "10.0.0.2:80", "/"),
            ("http://10.0.0.2:81/a?b", "10.0.0.2:81", "/a?b"),
            ("http://[fd00::2]/", "[fd00::2]:80", "/"),
            ("http://[fd00::2]:81/", "[fd00::2]:81", "/"),
        ] {
            assert_eq!(split(url), Some((host.to_owned(), path)), "{url}");
        }
        assert_eq!(split("ftp://x"), None);
    }
}
