//! It is killed, started and ended while others count on it.

use pontoon_e2e::{Pontoon, dig};
use pontoon_testkit::{Background, Host, sandboxed};

use crate::{by_hand, kill, rules, status};

/// Asks again and again for names that are given as NAME=ADDRESS; says what is wrong, and how often all was well.
const ASKER: &str = r#"
import os, random, socket, struct, sys
names = [word.split("=") for word in sys.argv[1:]]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.05); s.connect(("127.0.0.11", 53))
well = 0
print("ready", flush=True)
while not os.path.exists("/run/testkit/enough"):
    (name, address), number = random.choice(names), random.randrange(65536)
    query = struct.pack("!HHHHHH", number, 256, 1, 0, 0, 0) + bytes([len(name)]) + name.encode() + b"\0\0\1\0\1"
    try:
        s.send(query)
        while True:
            reply = s.recv(512)
            if reply[:2] == query[:2]: break
    except OSError: continue
    if reply[3] & 15 or socket.inet_ntoa(reply[-4:]) != address: print("wrong", name, reply.hex(), flush=True)
    else: well += 1
print("well", well, flush=True)
"#;

/// Sends numbered blocks slowly and counts those that come back as they were sent; or, with a port alone, sends back
/// what it gets.
const STREAM: &str = r#"
import os, random, socket, sys, threading, time
def back(s):
    while data := s.recv(65536): s.sendall(data)
    s.close()
if len(sys.argv) == 2:
    server = socket.socket(); server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("0.0.0.0", int(sys.argv[1]))); server.listen()
    print("ready", flush=True)
    while True: threading.Thread(target=back, args=(server.accept()[0],), daemon=True).start()
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
print("ready", flush=True)
blocks, file = 0, s.makefile("rb")
while not os.path.exists("/run/testkit/enough"):
    block = random.randbytes(20000)
    s.sendall(block)
    if file.read(len(block)) != block: print("wrong", flush=True); break
    blocks += 1
    time.sleep(0.002)
s.shutdown(socket.SHUT_WR)
print("rest", len(file.read()), "blocks", blocks, flush=True)
"#;

/// Lets those who ask and send come to their end, and returns what they said last.
#[track_caller]
fn ends(host: &Host, running: &[Background], last: &str) -> Vec<String> {
    host.sh("touch /run/testkit/enough");
    running.iter().for_each(|one| one.wait_for(last));
    running.iter().map(Background::output).collect()
}

fn number_after(text: &str, word: &str) -> u64 {
    let rest = text.split(word).nth(1).unwrap_or_else(|| panic!("no {word}: {text}"));
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

sandboxed! {
    fn no_answer_is_wrong_while_it_is_killed_and_started(host: Host) {
        host.need("python3");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        let mut words = String::new();
        // The more there are, the longer it takes until all are known.
        for number in 0..20 {
            pontoon.run(&format!("run -d --name c{number} --network blue -- sleep 100"));
            words.push_str(&format!(" c{number}={}", pontoon.address("blue", &format!("c{number}"))));
        }
        let asker = |name| {
            let asker = host.background_in(name, &format!("exec python3 -c '{ASKER}' {words}"));
            asker.wait_for("ready");
            asker
        };
        let askers = [asker("c0"), asker("c1")];
        for _ in 0..6 {
            kill(&host, &pontoon);
            assert_eq!(dig(&host, "c2", "@127.0.0.11 c3 A"), "", "nobody answers");
            pontoon.run("run --rm --network blue -- true");
            assert_eq!(dig(&host, "c2", "@127.0.0.11 c19 A"), pontoon.address("blue", "c19"));
        }
        for said in ends(&host, &askers, "well") {
            assert!(!said.contains("wrong") && number_after(&said, "well") > 100, "{said}");
        }
    }

    fn connections_go_on_whatever_becomes_of_it(host: Host) {
        host.need("python3");
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.1.0.0/24 blue");
        pontoon.run("run -d --name web --network blue -p 8080:80 --ip 10.1.0.2 -- sleep 100");
        pontoon.run("run -d --name db --network blue -- sleep 100");
        let start = |place: &str, words: &str| {
            let one = host.background_in(place, &format!("exec python3 -c '{STREAM}' {words}"));
            one.wait_for("ready");
            one
        };
        let _server = start("web", "80");
        let streams =
            [start("outside", "192.0.2.2 8080"), start("host", "127.0.0.1 8080"), start("db", "10.1.0.2 80")];
        let before = rules(&host);
        let changes = host.background("exec nft monitor");
        kill(&host, &pontoon);
        for _ in 0..3 {
            for words in ["", "--on-demand"] {
                let _killed = by_hand(&host, words);
                assert_eq!(status(&pontoon)["containers"], 2);
                kill(&host, &pontoon);
                let _ended = by_hand(&host, words);
                pontoon.run("daemon stop");
                assert_eq!(rules(&host), before, "a healthy host is left alone");
            }
        }
        assert_eq!(changes.stop(), "", "not even for a moment");
        for said in ends(&host, &streams, "rest") {
            assert!(!said.contains("wrong") && said.contains("rest 0"), "{said}");
            assert!(number_after(&said, "blocks") > 50, "{said}");
        }
    }
}
