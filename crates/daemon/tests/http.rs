//! The server of metrics and health, asked over both kinds of socket, also by those who mean no good.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pontoon_daemon::health::Health;
use pontoon_daemon::http::{Address, Server, routes};
use pontoon_daemon::metrics::{Family, Registry};
use pontoon_model::Diagnose as _;

fn server(address: &str) -> Server {
    let mut registry = Registry::new();
    registry.add("test", || Ok(vec![Family::gauge("pontoon_test", "A test.").with(7_u32)]));
    let health = || Health::default().with("test", true);
    Server::start(&address.parse().unwrap(), routes(registry, health)).unwrap()
}

fn socket(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("pontoon-http-{name}-{}", std::process::id()))
}

fn connect(server: &Server) -> TcpStream {
    let Address::Tcp(address) = server.address() else { panic!("it listens at an address") };
    TcpStream::connect(address).unwrap()
}

fn ask(server: &Server, request: &str) -> String {
    let mut stream = connect(server);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn figures_and_health_are_served() {
    let server = server("127.0.0.1:0");
    let answer = ask(&server, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("Content-Type: text/plain; version=0.0.4"),
        "{head}"
    );
    assert!(
        head.contains(&format!("Content-Length: {}\r\n", body.len())) && body.contains("pontoon_test 7\n"),
        "{answer}"
    );
    let head = ask(&server, "HEAD /metrics HTTP/1.0\r\n\r\n");
    assert!(head.contains("Content-Length: ") && head.ends_with("\r\n\r\n"), "{head}");
    let health = ask(&server, "GET /healthz HTTP/1.1\r\n\r\n");
    assert!(health.starts_with("HTTP/1.1 200 ") && health.ends_with("\"status\":\"ok\"}\n"), "{health}");
    assert!(ask(&server, "GET /etc/passwd HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    let refused = ask(&server, "DELETE /metrics HTTP/1.1\r\n\r\n");
    assert!(
        refused.starts_with("HTTP/1.1 405 ") && refused.contains("\r\nAllow: GET, HEAD\r\n"),
        "{refused}"
    );
    let long = ask(&server, &format!("GET /metrics HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(100_000)));
    assert!(long.starts_with("HTTP/1.1 431 "), "{long}");
}

#[test]
fn a_socket_is_made_and_taken_away_and_one_that_was_left_is_replaced() {
    let path = socket("unix");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "as one that was killed leaves it");
    let server = server(&format!("unix:{}", path.display()));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("pontoon_test 7\n"), "{answer}");
    let taken = Server::start(server.address(), |_| unreachable!()).unwrap_err();
    assert!(taken.hint().unwrap().contains("another program"), "{taken}");
    drop(server);
    assert!(!path.exists());
    std::fs::write(&path, "somebody's").unwrap();
    assert!(Server::start(&Address::Unix(path.clone()), |_| unreachable!()).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "somebody's");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn who_says_nothing_hinders_nobody_for_long() {
    let server = server("127.0.0.1:0");
    let start = Instant::now();
    let silent: Vec<TcpStream> = (0..7).map(|_| connect(&server)).collect();
    assert!(ask(&server, "GET /healthz HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 "), "one place is left");
    let more = connect(&server);
    let mut refused = connect(&server);
    let mut answer = String::new();
    // It may be closed before all of it is read: then the kernel resets the connection.
    let _ = refused.read_to_string(&mut answer);
    // On a machine that is very busy, those who say nothing have had their time by then.
    let in_time = start.elapsed() < Duration::from_secs(4);
    assert!(answer.starts_with("HTTP/1.1 503 ") || !in_time, "{answer}");
    let mut late = &silent[0];
    let mut slow = &silent[1];
    for _ in 0..8 {
        // A byte now and then does not make the time longer.
        std::thread::sleep(Duration::from_millis(800));
        let _ = slow.write_all(b"G");
    }
    let mut answer = String::new();
    late.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(start.elapsed() < Duration::from_secs(20));
    drop(more);
    assert!(
        ask(&server, "GET /healthz HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 "),
        "the places are free again"
    );
}
