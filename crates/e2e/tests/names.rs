//! What a person does with names: containers find each other, and the outside, with the programs that people have.

use std::time::{Duration, Instant};

use pontoon_e2e::{Pontoon, becomes_as_before, dig, eventually, state};
use pontoon_testkit::{Host, sandboxed};

/// The status of an answer: NOERROR, NXDOMAIN, REFUSED, or `none`.
fn status(host: &Host, place: &str, words: &str) -> String {
    host.need("dig");
    let output = host.try_sh_in(place, &format!("dig +tries=1 +timeout=2 {words}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = text.split("status: ").nth(1).and_then(|rest| rest.split(',').next());
    found.unwrap_or("none").to_owned()
}

/// A host whose resolv.conf names a server outside, which knows one name.
fn with_a_server_outside(host: &Host) -> pontoon_testkit::Background {
    host.uplink();
    host.own("/etc");
    std::fs::write("/etc/resolv.conf", "nameserver 198.51.100.10\n").expect("/etc is the test's own");
    let server = host.background_in("outside", &format!("exec python3 -c '{SERVER}'"));
    server.wait_for("ready");
    server
}

/// Answers every question for an A record with 203.0.113.7, over UDP and TCP; counts what it is asked.
const SERVER: &str = r#"
import socket, struct, threading
def answer(query):
    end = query.index(b"\0", 12) + 5
    kind = struct.unpack("!H", query[end - 4:end - 2])[0]
    head = query[:2] + b"\x81\x80" + query[4:6] + (b"\0\1" if kind == 1 else b"\0\0") + b"\0\0\0\0"
    record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + bytes([203, 0, 113, 7]) if kind == 1 else b""
    return head + query[12:end] + record
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(("0.0.0.0", 53))
tcp = socket.socket(); tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); tcp.bind(("0.0.0.0", 53)); tcp.listen()
def stream():
    while True:
        client, _ = tcp.accept()
        length = struct.unpack("!H", client.recv(2))[0]
        reply = answer(client.recv(length)); client.sendall(struct.pack("!H", len(reply)) + reply); client.close()
threading.Thread(target=stream, daemon=True).start()
print("ready", flush=True)
while True:
    query, client = udp.recvfrom(4096)
    print("asked", flush=True)
    udp.sendto(answer(query), client)
"#;

sandboxed! {
    fn containers_find_each_other_by_every_name_that_they_have(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 blue");
        let id = pontoon.run("run -d --name web --network blue:alias=front,alias=shop -- sleep 100");
        pontoon.run("run -d --name db --network blue -- sleep 100");
        let (v4, v6) = (pontoon.address("blue", "web"), pontoon.address6("blue", "web"));
        for name in ["web", "WEB", "front", "shop", "web.blue", "web.", &id[..12]] {
            assert_eq!(dig(&host, "db", &format!("@127.0.0.11 {name} A")), v4, "{name}");
            assert_eq!(dig(&host, "db", &format!("@127.0.0.11 {name} AAAA")), v6, "{name}");
            assert_eq!(dig(&host, "db", &format!("@127.0.0.11 +tcp {name} A")), v4, "{name} over TCP");
        }
        assert_eq!(dig(&host, "db", &format!("@127.0.0.11 -x {v4}")), "web.blue.");
        assert_eq!(dig(&host, "db", &format!("@127.0.0.11 -x {v6}")), "web.blue.");
        // It has names at its gateways just as well.
        let inspected = pontoon.json("network inspect blue");
        for config in inspected[0]["IPAM"]["Config"].as_array().unwrap() {
            let gateway = config["Gateway"].as_str().unwrap();
            assert_eq!(dig(&host, "db", &format!("@{gateway} web A")), v4, "at {gateway}");
        }
    }

    fn a_name_without_an_address_of_a_kind_is_there_all_the_same(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        for kind in ["AAAA", "MX", "TXT", "SRV", "CAA", "HTTPS", "SVCB"] {
            let words = format!("@127.0.0.11 web {kind}");
            assert_eq!(status(&host, "web", &words), "NOERROR", "{kind}");
            assert_eq!(dig(&host, "web", &words), "", "{kind}");
        }
        assert_eq!(status(&host, "web", "@127.0.0.11 nobody A"), "NXDOMAIN");
    }

    fn an_alias_that_several_have_leads_to_all_of_them(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        let mut all = Vec::new();
        for name in ["a", "b", "c"] {
            pontoon.run(&format!("run -d --name {name} --network blue:alias=pool -- sleep 100"));
            all.push(pontoon.address("blue", name));
        }
        let mut first = std::collections::BTreeSet::new();
        for _ in 0..12 {
            let answer = dig(&host, "a", "@127.0.0.11 pool A");
            let mut lines: Vec<String> = answer.lines().map(str::to_owned).collect();
            first.insert(lines[0].clone());
            lines.sort();
            all.sort();
            assert_eq!(lines, all);
        }
        assert_eq!(first.len(), 3, "they take turns at the front: {first:?}");
    }

    fn what_one_alone_calls_others_is_told_to_it_alone(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        for name in ["one", "two"] {
            pontoon.run(&format!("run -d --name {name} --network blue -- sleep 100"));
        }
        pontoon.run("run -d --name web --network blue:link=one:store -- sleep 100");
        pontoon.run("run -d --name job --network blue --link two:store --link later -- sleep 100");
        let (one, two) = (pontoon.address("blue", "one"), pontoon.address("blue", "two"));
        assert_eq!(dig(&host, "web", "@127.0.0.11 store A"), one);
        assert_eq!(dig(&host, "web", "@127.0.0.11 store.blue A"), one);
        assert_eq!(dig(&host, "job", "@127.0.0.11 store A"), two);
        assert_eq!(status(&host, "one", "@127.0.0.11 store A"), "NXDOMAIN");
        assert_eq!(status(&host, "job", "@127.0.0.11 later A"), "NXDOMAIN");
        pontoon.run("run -d --name later --network blue -- sleep 100");
        assert_eq!(dig(&host, "job", "@127.0.0.11 later A"), pontoon.address("blue", "later"));
        let inspected = pontoon.json("inspect web");
        assert_eq!(inspected[0]["NetworkSettings"]["Networks"]["blue"]["Links"], serde_json::json!(["one:store"]));
        // It moves with the name's owner, and goes with the connection.
        pontoon.run("network disconnect blue one");
        assert_eq!(status(&host, "web", "@127.0.0.11 store A"), "NXDOMAIN");
        pontoon.run("network connect blue one");
        assert_eq!(dig(&host, "web", "@127.0.0.11 store A"), pontoon.address("blue", "one"));
        pontoon.run("network disconnect blue web");
        pontoon.run("network connect --link two:store blue web");
        assert_eq!(dig(&host, "web", "@127.0.0.11 store A"), two);
        let (code, said) = pontoon.fail("network connect --link one: blue web");
        assert!(code == 2 && said.contains("NAME:ALIAS"), "{code} {said}");
    }

    fn every_resolver_finds_names_when_run_returns(host: Host) {
        for tool in ["python3", "busybox", "getent"] {
            host.need(tool);
        }
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        let (v4, v6) = (pontoon.address("blue", "web"), pontoon.address6("blue", "web"));
        // glibc's.
        assert!(pontoon.run("run --rm --network blue -- getent ahostsv4 web").starts_with(&v4));
        assert!(pontoon.run("run --rm --network blue -- getent ahostsv6 web").starts_with(&v6));
        let script = "import socket; print(sorted({i[4][0] for i in socket.getaddrinfo(\"web\", 80)})); \
                      print(socket.gethostbyaddr(socket.gethostbyname(\"web\"))[0])";
        let said = pontoon.run(&format!("run --rm --network blue -- python3 -c '{script}'"));
        assert!(said.contains(&v4) && said.contains(&v6) && said.ends_with("web.blue"), "{said}");
        let said = pontoon.run("run --rm --network blue -- busybox nslookup web");
        assert!(said.contains(&v4) && said.contains(&v6), "{said}");
    }

    fn musls_resolver_finds_names(host: Host) {
        host.need("musl-gcc");
        const PROGRAM: &str = r#"
            #include <netdb.h>
            #include <stdio.h>
            #include <arpa/inet.h>
            int main(int argc, char **argv) {
                struct addrinfo *found = 0, hints = { .ai_socktype = SOCK_STREAM };
                int code = getaddrinfo(argv[1], 0, &hints, &found);
                if (code) { puts(gai_strerror(code)); return 1; }
                for (; found; found = found->ai_next) {
                    char text[64];
                    void *address = found->ai_family == AF_INET
                        ? (void *)&((struct sockaddr_in *)found->ai_addr)->sin_addr
                        : (void *)&((struct sockaddr_in6 *)found->ai_addr)->sin6_addr;
                    puts(inet_ntop(found->ai_family, address, text, sizeof text));
                }
            }"#;
        std::fs::write("/run/testkit/look.c", PROGRAM).unwrap();
        host.sh("musl-gcc -static -o /run/testkit/look /run/testkit/look.c");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        let said = pontoon.run("run --rm --network blue -- /run/testkit/look web");
        assert_eq!(said, pontoon.address("blue", "web"));
    }

    fn names_are_told_to_those_alone_who_share_a_network(host: Host) {
        let pontoon = Pontoon::on(&host);
        for network in ["blue", "red"] {
            pontoon.run(&format!("network create {network}"));
        }
        pontoon.run("run -d --name web --network blue -- sleep 100");
        pontoon.run("run -d --name db --network red -- sleep 100");
        pontoon.run("run -d --name both --network blue --network red -- sleep 100");
        for (asks, name, known) in
            [("web", "db", false), ("db", "web", false), ("web", "both", true), ("both", "web", true), ("both", "db", true)]
        {
            let found = dig(&host, asks, &format!("@127.0.0.11 {name} A"));
            assert_eq!(!found.is_empty(), known, "{asks} asks for {name}: {found:?}");
        }
        // Nor by asking at the other network's gateway.
        let red = pontoon.json("network inspect red")[0]["IPAM"]["Config"][0]["Gateway"].as_str().unwrap().to_owned();
        assert_eq!(dig(&host, "web", &format!("@{red} db A")), "");
        // The default network has no names, and asks where the host does.
        host.own("/etc");
        std::fs::write("/etc/resolv.conf", "nameserver 198.51.100.53\n").expect("/etc is the test's own");
        pontoon.run("run -d --name plain -- sleep 100");
        assert_eq!(dig(&host, "plain", "@127.0.0.11 plain A"), "");
        assert!(pontoon.run("exec plain -- cat /etc/resolv.conf").contains("nameserver 198.51.100.53"));
        pontoon.run("network create -o pontoon.dns=false silent");
        pontoon.run("run -d --name mute --network silent -- sleep 100");
        assert_eq!(dig(&host, "mute", "@127.0.0.11 mute A"), "");
    }

    fn networks_without_a_way_out_have_names_and_nothing_else(host: Host) {
        let server = with_a_server_outside(&host);
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --internal cellar");
        let isolated = "-o com.docker.network.bridge.gateway_mode_ipv4=isolated";
        pontoon.run(&format!("network create --internal {isolated} island"));
        for network in ["cellar", "island"] {
            pontoon.run(&format!("run -d --name on-{network} --network {network} -- sleep 100"));
            let place = format!("on-{network}");
            let address = pontoon.address(network, &place);
            assert_eq!(dig(&host, &place, &format!("@127.0.0.11 {place} A")), address);
            assert_eq!(dig(&host, &place, "@127.0.0.11 www.example.com A"), "", "{network}");
        }
        assert!(!server.output().contains("asked"), "{}", server.output());
    }

    fn other_names_are_asked_for_outside(host: Host) {
        let server = with_a_server_outside(&host);
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        assert_eq!(dig(&host, "web", "@127.0.0.11 www.example.com A"), "203.0.113.7");
        assert_eq!(dig(&host, "web", "@127.0.0.11 +tcp other.example.com A"), "203.0.113.7");
        assert!(pontoon.run("exec web -- getent hosts third.example.com").starts_with("203.0.113.7"));
        let asked = server.output().matches("asked").count();
        // Asked for again, the answer is remembered.
        assert_eq!(dig(&host, "web", "@127.0.0.11 www.example.com A"), "203.0.113.7");
        assert_eq!(server.output().matches("asked").count(), asked);
        // A container that is to ask elsewhere does.
        pontoon.run("run -d --name lone --network blue --dns 198.51.100.99 -- sleep 100");
        assert_eq!(dig(&host, "lone", "@127.0.0.11 fourth.example.com A"), "");
        assert_eq!(dig(&host, "lone", "@127.0.0.11 web A"), pontoon.address("blue", "web"));
    }

    fn a_domain_may_have_servers_of_its_own(host: Host) {
        let server = with_a_server_outside(&host);
        std::fs::write("/etc/resolv.conf", "nameserver 198.51.100.99\n").unwrap();
        std::fs::create_dir_all("/etc/pontoon").unwrap();
        let config = "[names]\nmixed-case = true\ndomains = { \"corp.example\" = [\"198.51.100.10\"] }\n";
        std::fs::write("/etc/pontoon/config.toml", config).unwrap();
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        assert_eq!(dig(&host, "web", "@127.0.0.11 www.corp.example A"), "203.0.113.7");
        assert_eq!(dig(&host, "web", "@127.0.0.11 www.example A"), "");
        assert_eq!(server.output().matches("asked").count(), 1);
    }

    fn a_namespace_of_somebody_else_has_names(host: Host) {
        let pontoon = Pontoon::on(&host);
        host.sh("ip netns add theirs");
        pontoon.run("network create blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        pontoon.run("network connect --alias guest blue netns:theirs");
        assert_eq!(dig(&host, "theirs", "@127.0.0.11 web A"), pontoon.address("blue", "web"));
        assert_eq!(dig(&host, "web", "@127.0.0.11 guest A"), pontoon.address("blue", "netns-theirs"));
        pontoon.run("network disconnect blue netns:theirs");
        assert_eq!(dig(&host, "web", "@127.0.0.11 guest A"), "");
        assert!(!host.sh("ip -n theirs route show table local").contains("127.0.0.11"));
    }

    fn a_name_is_gone_when_disconnect_returns_and_moves_with_the_container(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.70.0.0/24 blue");
        pontoon.run("network create --subnet 10.71.0.0/24 red");
        pontoon.run("run -d --name asks --network blue --network red -- sleep 100");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        for round in 0..20 {
            let (here, there) = if round % 2 == 0 { ("blue", "red") } else { ("red", "blue") };
            pontoon.run(&format!("network connect {there} web"));
            pontoon.run(&format!("network disconnect {here} web"));
            assert_eq!(dig(&host, "asks", "@127.0.0.11 web A"), pontoon.address(there, "web"), "round {round}");
        }
        pontoon.run("rm -f web");
        assert_eq!(status(&host, "asks", "@127.0.0.11 web A"), "NXDOMAIN");
        // Its own way to names moves too.
        pontoon.run("run -d --name web --network red -- sleep 100");
        pontoon.run("network disconnect blue asks");
        assert_eq!(dig(&host, "asks", "@127.0.0.11 web A"), pontoon.address("red", "web"));
    }

    fn no_stale_address_is_told_while_containers_come_and_go(host: Host) {
        host.need("python3");
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        host.sh("ip netns add asks; ip netns add guest");
        pontoon.run("network connect blue netns:asks");
        // Asks as fast as it can; each line is an address, or nothing.
        let asking = host.background_in("asks", &format!("exec python3 -c '{ASKER}'"));
        asking.wait_for("ready");
        let start = Instant::now();
        let mut rounds = 0;
        while start.elapsed() < Duration::from_secs(4) {
            pontoon.run("network connect --alias guest blue netns:guest");
            let address = pontoon.address("blue", "netns-guest");
            std::fs::write("/run/testkit/phase", &address).unwrap();
            assert_eq!(dig(&host, "asks", "@127.0.0.11 guest A"), address);
            std::fs::write("/run/testkit/phase", "any").unwrap();
            pontoon.run("network disconnect blue netns:guest");
            std::fs::write("/run/testkit/phase", "none").unwrap();
            std::thread::sleep(Duration::from_millis(10));
            std::fs::write("/run/testkit/phase", "any").unwrap();
            rounds += 1;
        }
        let said = asking.stop();
        assert!(rounds > 10, "{rounds}");
        assert!(!said.contains("stale"), "{said}");
        assert!(said.matches("counted").count() > 1, "{said}");
    }

    fn neighbours_do_not_reach_what_listens_on_127_0_0_1(host: Host) {
        host.need("python3");
        let pontoon = Pontoon::on(&host);
        host.sh("ip netns add attacker");
        pontoon.run("network create --subnet 10.72.0.0/24 blue");
        pontoon.run("run -d --name web --network blue --ip 10.72.0.2 -- sleep 100");
        pontoon.run("network connect --ip 10.72.0.66 blue netns:attacker");
        let page = host.serve("web", 8080, "its own");
        let own = host.serve("host", 8081, "the host's own");
        // Whatever routes and switches somebody sets who is root in a namespace of his own.
        host.sh_in("attacker", "ip route delete local 127.0.0.1 table local dev lo 2>/dev/null; \
            ip route replace 127.0.0.1 via 10.72.0.2 dev eth0 src 10.72.0.66 table local; \
            ip route replace 127.0.0.2 via 10.72.0.1 dev eth0 src 10.72.0.66 table local");
        assert_eq!(host.fetch("attacker", "10.72.0.2:8080").unwrap().text.trim(), "its own", "by its address it is");
        assert!(host.fetch("attacker", "127.0.0.1:8080").is_err());
        assert!(host.fetch("attacker", "127.0.0.2:8081").is_err());
        // And there is a reason for that, which counts.
        let counted = host.sh("nft list chain bridge pontoon to_loopback");
        assert!(counted.contains("127.0.0.1") && !counted.contains("packets 0"), "{counted}");
        drop((page, own));
    }

    fn a_daemon_that_is_killed_is_started_again_by_whoever_needs_it(host: Host) {
        let pontoon = Pontoon::on(&host);
        let (code, _) = (pontoon.attempt("daemon status").status.code(), ());
        assert_eq!(code, Some(1), "none runs where nobody needs names");
        pontoon.run("network create blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        let address = pontoon.address("blue", "web");
        let first = pontoon.json("daemon status --format json");
        assert_eq!((first["networks"].as_u64(), first["containers"].as_u64()), (Some(1), Some(1)));
        host.sh(&format!("kill -9 {}", first["pid"]));
        assert_eq!(dig(&host, "web", "@127.0.0.11 web A"), "");
        pontoon.run("run -d --name db --network blue -- sleep 100");
        assert_eq!(dig(&host, "db", "@127.0.0.11 web A"), address);
        assert_ne!(pontoon.json("daemon status --format json")["pid"], first["pid"]);
        pontoon.run("daemon stop");
        eventually("the daemon ends", || pontoon.attempt("daemon status").status.code() == Some(1));
    }

    fn fifty_at_once_start_one_daemon_and_all_have_names(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create blue");
        let names: Vec<String> = (0..50).map(|number| format!("c{number}")).collect();
        let children: Vec<_> = names
            .iter()
            .map(|name| pontoon.start(&format!("run -d --name {name} --network blue -- sleep 100")))
            .collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        for name in &names {
            assert_eq!(dig(&host, "c0", &format!("@127.0.0.11 {name} A")), pontoon.address("blue", name));
        }
        assert_eq!(host.sh("pgrep -fc '[d]aemon --on-demand'").trim(), "1");
    }

    fn a_port_that_somebody_has_is_named_and_had_when_it_is_free(host: Host) {
        host.need("python3");
        let pontoon = Pontoon::on(&host);
        let holder = host.background("exec python3 -c 'import socket; s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind((\"::\", 53)); print(\"ready\", flush=True); s.recv(1)'");
        holder.wait_for("ready");
        pontoon.run("network create blue");
        let said = pontoon.attempt("run -d --name web --network blue -- sleep 100");
        assert!(said.status.success(), "the container runs all the same");
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.contains("blue") && said.contains("53") && said.contains("python3"), "{said}");
        drop(holder);
        let address = pontoon.address("blue", "web");
        eventually("names are served", || dig(&host, "web", "@127.0.0.11 web A") == address);
    }

    fn the_host_is_found_by_dockers_names_for_it(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.73.0.0/24 blue");
        pontoon.run("run -d --name web --network blue --add-host outer:host-gateway -- sleep 100");
        assert_eq!(dig(&host, "web", "@127.0.0.11 host.docker.internal A"), "10.73.0.1");
        assert!(pontoon.run("exec web -- getent hosts outer").starts_with("10.73.0.1"));
    }

    fn nothing_stays_behind(host: Host) {
        let before = state(&host);
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        pontoon.run("rm -f web");
        pontoon.run("network rm blue");
        pontoon.run("system prune -f");
        becomes_as_before(&host, &before);
        let left = host.sh("pgrep -fa '[d]aemon --on-demand' || true");
        assert_eq!(left.trim(), "", "the daemon goes with what it was needed for");
    }

    fn a_vpn_that_comes_over_a_network_is_told_of(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.75.0.0/24 blue");
        pontoon.run("run -d --name web --network blue:ip=10.75.0.9 -- sleep 100");
        host.sh("ip link add tun0 type veth peer name far0; ip link set far0 up; ip link set tun0 up; ip route add 10.75.0.8/30 dev tun0");
        let told = || pontoon.run("events --since 1m --until 0s --filter event=conflict");
        eventually("it is told", || told().contains("10.75.0.8/30"));
        assert!(told().contains("tun0") && told().contains("renumber"), "{}", told());
        let listed = pontoon.attempt("network ls");
        let said = String::from_utf8_lossy(&listed.stderr).into_owned();
        assert!(said.contains("tun0") && said.contains("renumber"), "{said}");
    }

    fn the_outside_does_not_get_at_names(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.74.0.0/24 blue");
        pontoon.run("run -d --name web --network blue -- sleep 100");
        host.sh("ip -n router route add 10.74.0.0/24 via 192.0.2.2; ip -n outside route add 10.74.0.0/24 via 198.51.100.1");
        for server in ["192.0.2.2", "10.74.0.1"] {
            assert_eq!(dig(&host, "outside", &format!("@{server} web A")), "", "at {server}");
            assert_eq!(dig(&host, "outside", &format!("@{server} +tcp web A")), "", "at {server}, TCP");
        }
    }
}

/// Asks for `guest` again and again; an address that is told while a file says that nobody has it is stale.
const ASKER: &str = r#"
import socket, struct, time
query = struct.pack("!HHHHHH", 7, 256, 1, 0, 0, 0) + b"\5guest\0\0\1\0\1"
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1); s.connect(("127.0.0.11", 53))
def phase():
    try: return open("/run/testkit/phase").read()
    except OSError: return "any"
print("ready", flush=True)
count, last = 0, time.time()
while True:
    before = phase()
    try: s.send(query); reply = s.recv(512)
    except OSError: continue
    after = phase()
    found = ".".join(str(b) for b in reply[-4:]) if reply[7] else "none"
    if before == after and before not in ("any", "") and found != before: print("stale", before, found, flush=True)
    count += 1
    if time.time() - last > 1: print("counted", count, flush=True); last = time.time()
"#;
