//! What it counts, and whether it says that all is well.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use pontoon_e2e::{Pontoon, dig, eventually};
use pontoon_testkit::sandboxed;

use crate::by_hand;

/// The status and body of what is served at a path.
#[track_caller]
fn get(address: &str, path: &str) -> (u16, String) {
    fn ask(mut stream: impl Read + Write, path: &str) -> std::io::Result<String> {
        write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }
    let answer = match address.strip_prefix("unix:") {
        Some(socket) => UnixStream::connect(socket).and_then(|stream| ask(stream, path)),
        None => TcpStream::connect(address).and_then(|stream| ask(stream, path)),
    };
    let answer = answer.unwrap_or_else(|error| panic!("{address}{path}: {error}"));
    let (head, body) = answer.split_once("\r\n\r\n").expect("HTTP");
    (head.split(' ').nth(1).expect("a status").parse().expect("a number"), body.to_owned())
}

#[track_caller]
fn figure(address: &str, name: &str) -> f64 {
    let (_, text) = get(address, "/metrics");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name}:\n{text}")).parse().expect("a number")
}

sandboxed! {
    fn questions_are_counted(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        for address in ["unix:/run/pontoon/metrics.sock", "127.0.0.1:9100"] {
            pontoon.run("daemon stop");
            let daemon = by_hand(&host, &format!("--metrics {address}"));
            for _ in 0..5 {
                assert_ne!(dig(&host, "web", "@127.0.0.11 web A"), "");
            }
            dig(&host, "web", "@127.0.0.11 web MX");
            dig(&host, "web", "@127.0.0.11 +tcp nobody A");
            assert_eq!(figure(address, "pontoon_names_queries_total"), 7.0);
            for (outcome, number) in [("records", 5.0), ("nodata", 1.0), ("nxdomain", 1.0), ("refused", 0.0)] {
                let name = format!("pontoon_names_answers_total{{outcome=\"{outcome}\"}}");
                assert_eq!(figure(address, &name), number, "{outcome}");
            }
            assert_eq!(figure(address, "pontoon_names_containers"), 1.0);
            assert_eq!(figure(address, "pontoon_names_networks"), 1.0);
            for source in ["state", "process", "drift", "names"] {
                assert_eq!(figure(address, &format!("pontoon_source_up{{source=\"{source}\"}}")), 1.0, "{source}");
            }
            let (code, body) = get(address, "/healthz");
            assert!(code == 200 && body.contains("\"status\":\"ok\""), "{code} {body}");
            host.sh("sysctl -qw net.ipv4.ip_forward=0");
            let repaired = "pontoon_drift_handled_total{outcome=\"repaired\"}";
            eventually("a repair is counted", || figure(address, repaired) >= 1.0);
            drop(daemon);
        }
    }

    fn health_says_what_is_not_served_and_status_too(host: Host) {
        host.need("python3");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        pontoon.run("daemon stop");
        let holder = host.background("exec python3 -c 'import socket; s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind((\"::\", 53)); print(\"ready\", flush=True); s.recv(1)'");
        holder.wait_for("ready");
        let address = "127.0.0.1:9100";
        let _daemon = by_hand(&host, &format!("--metrics {address}"));
        eventually("it is not well", || get(address, "/healthz").0 == 503);
        let (_, body) = get(address, "/healthz");
        assert!(body.contains("blue") && body.contains("53") && body.contains("python3"), "{body}");
        let said = pontoon.run("daemon status");
        assert!(said.contains("blue  NOT SERVED") && said.contains("python3") && said.contains("hint: "), "{said}");
        // Nothing happens on the host but that; it is noticed.
        std::thread::sleep(Duration::from_millis(1500));
        drop(holder);
        eventually("it is well", || get(address, "/healthz").0 == 200);
        assert_eq!(dig(&host, "web", "@127.0.0.11 web A"), pontoon.address("blue", "web"));
        let said = pontoon.run("daemon status");
        assert!(said.contains("blue  served on pt-") && said.contains(": 1 container\n"), "{said}");
    }
}
