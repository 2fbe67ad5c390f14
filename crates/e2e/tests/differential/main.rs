//! Small hosts made at random: what the model says of a packet is compared with what a real one meets.
//!
//! Each shard walks through hosts of its own, the same each time. `PONTOON_DIFFERENTIAL_CASES=500` has each of the four
//! look at as many (as far as a test's time goes), `PONTOON_DIFFERENTIAL_SEED=7` begins elsewhere, and
//! `PONTOON_DIFFERENTIAL_ONLY=N` looks at one host alone, the number that a failure names.

mod chance;
mod host;
mod rules;

use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use chance::Chance;
use host::{ADDRESSES, Made, PLACES};
use pontoon_engine::Root;
use pontoon_engine::explain::{self, Carries, Explanation, Verdict, Who};
use pontoon_engine::report::Reader;
use pontoon_engine::snapshot;
use pontoon_model::ContainerRef;
use pontoon_model::observed::snapshot::Snapshot;
use pontoon_model::publish::Protocol;
use pontoon_testkit::{Host, sandboxed};

/// How many hosts a shard looks at, and packets on each of them.
const CASES: u64 = 30;
const QUESTIONS: usize = 10;
/// A test that takes longer is ended.
const LIMIT: Duration = Duration::from_secs(160);
/// Within which a packet and its answer pass a host, if they do.
const PATIENCE: Duration = Duration::from_millis(350);

/// A packet from a place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Question {
    from: &'static str,
    to: IpAddr,
    carries: Carries,
}

impl Question {
    fn any(chance: &mut Chance) -> Self {
        let from = *chance.one(&PLACES);
        let to = chance.one(&ADDRESSES).parse().expect("they are addresses");
        let carries = match chance.below(5) {
            0 => Carries::Echo,
            1 => Carries::Port(Protocol::Tcp, *chance.one(&[81, 8080, 8081])),
            2 if host::is_alone(to) => Carries::Port(Protocol::Udp, 53),
            _ => Carries::Port(Protocol::Tcp, 80),
        };
        Self { from, to, carries }
    }

    /// What the model says.
    fn said(&self, snapshot: &Snapshot) -> Explanation {
        let from = match self.from {
            "host" => Who::Host,
            name => Who::Container(ContainerRef::NetnsName(name.to_owned())),
        };
        let question = explain::question(snapshot, &from, &Who::Address(self.to), self.carries);
        explain::explain(snapshot, &question.expect("all are there"))
    }

    /// What a real packet meets.
    fn met(&self, host: &Host) -> bool {
        match self.carries {
            Carries::Echo => {
                let command = format!("ping -n -c 1 -W 0.35 {}", self.to);
                host.try_sh_in(self.from, &command).status.success()
            }
            Carries::Port(protocol, port) => {
                let to = SocketAddr::new(self.to, port);
                let send = || match protocol {
                    Protocol::Udp => is_answered(to),
                    _ => TcpStream::connect_timeout(&to, PATIENCE).is_ok(),
                };
                host.netns(self.from).enter(send).expect("the namespace can be entered")
            }
        }
    }
}

fn is_answered(to: SocketAddr) -> bool {
    let Ok(socket) = UdpSocket::bind("0.0.0.0:0") else { return false };
    let asked = socket.set_read_timeout(Some(PATIENCE)).and_then(|()| socket.connect(to));
    asked.and_then(|()| socket.send(b"?")).and_then(|_| socket.recv(&mut [0; 64])).is_ok()
}

/// What was compared.
#[derive(Debug, Default)]
struct Tally {
    passed: u32,
    stopped: u32,
    unknown: u32,
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn shard(host: &Host, shard: u64) {
    let began = Instant::now();
    let mut tally = Tally::default();
    let first = number("PONTOON_DIFFERENTIAL_SEED").unwrap_or(1) * 1_000_000 + shard * 100_000;
    let all = match number("PONTOON_DIFFERENTIAL_ONLY") {
        Some(only) => only..only + 1,
        None => first..first + number("PONTOON_DIFFERENTIAL_CASES").unwrap_or(CASES),
    };
    let mut wrong = Vec::new();
    let mut cases = 0;
    for seed in all {
        if began.elapsed() > LIMIT || wrong.len() > 5 {
            break;
        }
        cases += 1;
        wrong.extend(case(host, seed, &mut tally));
    }
    println!("{cases} hosts: {tally:?}");
    assert!(wrong.is_empty(), "{} disagreements\n{}", wrong.len(), wrong.join("\n\n"));
    let known = tally.passed + tally.stopped;
    assert!(
        tally.unknown * 8 <= known + 8 && tally.passed * 10 >= known,
        "too little is compared: {tally:?}"
    );
}

/// One host: what is said of it wrongly.
fn case(host: &Host, seed: u64, tally: &mut Tally) -> Vec<String> {
    let mut chance = Chance::new(seed);
    let made = Made::any(host, &mut chance);
    let reader = Reader::open(&Root::host()).expect("there is no state");
    let places = PLACES.iter().filter(|place| **place != "host");
    let references: Vec<_> = places.map(|place| ContainerRef::NetnsName((*place).to_owned())).collect();
    let (snapshot, _) =
        snapshot::take(&reader, &references, "pontoon restore").expect("the host can be read");
    let questions: Vec<Question> = (0..QUESTIONS).map(|_| Question::any(&mut chance)).collect();
    let met: Vec<bool> = std::thread::scope(|scope| {
        let asked: Vec<_> = questions
            .iter()
            .map(|question| {
                let question = question.clone();
                scope.spawn(move || question.met(&Host::shared()))
            })
            .collect();
        asked.into_iter().map(|thread| thread.join().expect("it says what it met")).collect()
    });
    let mut wrong = Vec::new();
    for (question, met) in questions.iter().zip(met) {
        let said = question.said(&snapshot);
        let right = match said.verdict {
            Verdict::Unknown => {
                tally.unknown += 1;
                continue;
            }
            Verdict::Reachable => true,
            Verdict::Unreachable => false,
        };
        // A busy machine may be slow once.
        let met = if met == right { met } else { question.met(host) };
        if met == right {
            *if met { &mut tally.passed } else { &mut tally.stopped } += 1;
        } else {
            wrong.push(told(seed, question, &said, met, &made));
        }
    }
    drop(made);
    wrong
}

fn told(seed: u64, question: &Question, said: &Explanation, met: bool, made: &Made) -> String {
    let hops = said.hops.iter().filter(|hop| !hop.quiet);
    let hops: Vec<String> = hops
        .map(|hop| format!("  {:?} {} {}: {} [{:?}]", hop.way, hop.place, hop.kind, hop.text, hop.verdict))
        .collect();
    let findings = said.findings.iter().map(|finding| format!("  {}: {}", finding.code, finding.sentence));
    format!(
        "host {seed}, {question:?}: said to be {:?}, but a real packet {}\n{}\n{}\n{}",
        said.verdict,
        if met { "passes" } else { "does not pass" },
        made.script,
        hops.join("\n"),
        findings.collect::<Vec<_>>().join("\n")
    )
}

sandboxed! {
    fn random_hosts_a(host: Host) {
        shard(&host, 0);
    }

    fn random_hosts_b(host: Host) {
        shard(&host, 1);
    }

    fn random_hosts_c(host: Host) {
        shard(&host, 2);
    }

    fn random_hosts_d(host: Host) {
        shard(&host, 3);
    }
}
