//! The rounds.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::peer::Peer;
use crate::{Words, machine, table};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Questions {
    /// Names of containers, of which there are so many.
    Local(u32),
    /// A thousand names of others, which may be kept.
    Kept,
    /// Names of others that may not be kept.
    Forwarded,
}

/// What came of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    /// Answers a second to somebody who asks by batches.
    pub(crate) rate: f64,
    /// Answers a second to dnsperf.
    pub(crate) dnsperf: f64,
    /// The mean time to an answer, in µs.
    pub(crate) latency: f64,
    /// Processor time of the server for an answer, in µs.
    pub(crate) cpu: f64,
    /// Its memory afterwards, in MiB.
    pub(crate) memory: f64,
    /// Queries without an answer.
    pub(crate) lost: u64,
    /// With one query at a time: the mean time to an answer, in µs.
    pub(crate) alone: f64,
}

const ALL: [Questions; 4] =
    [Questions::Local(10), Questions::Local(1000), Questions::Kept, Questions::Forwarded];

/// A bridge, and a container on it that asks. What is mounted is seen in the lab alone; the file itself is the machine's.
const HOST: &str = "
    ip link add br0 type bridge
    ip link set br0 up
    ip address add 10.9.0.1/16 dev br0
    ip netns add asker
    ip link add asker type veth peer name eth0 netns asker
    ip link set asker master br0 up
    ip -n asker address add 10.9.1.0/16 dev eth0
    ip -n asker link set eth0 up
    ip -n asker link set lo up
    echo nameserver 127.0.0.99 >/run/resolv.conf
    mount --bind /run/resolv.conf /etc/resolv.conf
    ip netns exec asker ping -qc 3 -i 0.2 10.9.0.1 >/dev/null || true
";

pub(crate) fn run(words: &Words) -> String {
    let made = Command::new("sh").args(["-ec", HOST]).status().expect("sh is installed");
    assert!(made.success(), "the host could not be made");
    let own = std::env::current_exe().expect("a program has a path");
    let mut upstream = Command::new("taskset")
        .args(["-c", &machine::others()])
        .arg(own)
        .arg("upstream")
        .stdout(Stdio::null())
        .spawn()
        .expect("taskset is installed");
    let mut peers = vec![Peer::Ours];
    peers.extend(words.aardvarks.iter().map(|program| Peer::aardvark(program)));
    let mut results: BTreeMap<(Questions, usize), Vec<Figures>> = BTreeMap::new();
    for round in 0..words.rounds {
        for questions in ALL {
            for turn in 0..peers.len() {
                let index = (round + turn) % peers.len();
                let figures = measure(&peers[index], questions, words.seconds);
                eprintln!("{round} {questions:?} {}: {figures:?}", peers[index].name());
                results.entry((questions, index)).or_default().push(figures);
            }
        }
    }
    upstream.kill().expect("it runs");
    let _ = upstream.wait();
    let names: Vec<&str> = peers.iter().map(Peer::name).collect();
    table::table(&names, &ALL, &results, &machine::describe())
}

fn measure(peer: &Peer, questions: Questions, seconds: u32) -> Figures {
    let (containers, file) = match questions {
        Questions::Local(count) => (count, names(1000, |number| format!("c{}", number * 7 % count))),
        Questions::Kept => (10, names(1000, |number| format!("k{number}.example"))),
        Questions::Forwarded => (10, names(200_000, |number| format!("n{number}.example"))),
    };
    let server = peer.start(containers);
    std::thread::sleep(Duration::from_millis(500));
    let alone = dnsperf(&file, 1, 1);
    let busy = dnsperf(&file, seconds, 200);
    let before = server.cpu();
    let (answered, time) = ask(&file, seconds);
    let cpu = server.cpu() - before;
    Figures {
        rate: answered / time,
        dnsperf: busy.rate,
        latency: busy.latency,
        cpu: cpu.as_secs_f64() * 1e6 / answered.max(1.0),
        memory: server.memory(),
        lost: busy.lost,
        alone: alone.latency,
    }
}

/// How many were answered, in how many seconds.
fn ask(file: &str, seconds: u32) -> (f64, f64) {
    let own = std::env::current_exe().expect("a program has a path");
    let output = Command::new("ip")
        .args(["netns", "exec", "asker", "taskset", "-c", &machine::others()])
        .arg(own)
        .args(["ask", &seconds.to_string(), file])
        .output()
        .expect("ip is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers = text.split_whitespace().filter_map(|word| word.parse().ok());
    let mut number = || numbers.next().unwrap_or_else(|| panic!("{text}"));
    (number(), number())
}

/// A file of questions for addresses of IPv4.
fn names(count: u32, name: impl Fn(u32) -> String) -> String {
    let text: String = (0..count).map(|number| format!("{} A\n", name(number))).collect();
    fs::write("/run/questions", text).expect("/run is the lab's own");
    "/run/questions".into()
}

/// What dnsperf says.
struct Report {
    rate: f64,
    lost: u64,
    /// In µs.
    latency: f64,
}

fn dnsperf(file: &str, seconds: u32, outstanding: u32) -> Report {
    let output = Command::new("ip")
        .args([
            "netns",
            "exec",
            "asker",
            "taskset",
            "-c",
            &machine::others(),
            "dnsperf",
            "-s",
            "10.9.0.1",
            "-d",
            file,
        ])
        .args(["-l", &seconds.to_string(), "-q", &outstanding.to_string(), "-c", "4", "-T", "1"])
        .output()
        .expect("ip is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = |label: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(label));
        let word = line.and_then(|rest| rest.split_whitespace().next());
        word.and_then(|word| word.parse::<f64>().ok()).unwrap_or_else(|| panic!("{label}: {text}"))
    };
    Report {
        rate: value("Queries per second:"),
        lost: value("Queries lost:") as u64,
        latency: value("Average Latency (s):") * 1e6,
    }
}
