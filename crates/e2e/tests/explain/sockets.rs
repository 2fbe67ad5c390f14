//! Whether anybody is there to take the packet, and who is asked for names.

use pontoon_e2e::Pontoon;
use pontoon_testkit::sandboxed;

use super::{blocked, explained, is_reachable, run_all, shown};

sandboxed! {
    fn a_program_that_listens_on_loopback_alone_is_named(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        host.need("socat");
        let server = host.background_in("web", "exec socat TCP-LISTEN:80,bind=127.0.0.1,fork,reuseaddr SYSTEM:cat");
        host.wait_until("somebody listens", || !host.sh_in("web", "ss -Hltn 'sport = 80'").is_empty());
        assert!(host.fetch("db", "10.5.0.2:80").is_err());
        let commands = blocked(&pontoon, "db web:80", "listens-on-loopback");
        assert!(commands.is_empty() && shown(&pontoon, "db web:80").contains("0.0.0.0"));
        drop(server);
        let _server = host.serve("web", 80, "web");
        assert!(host.fetch("db", "10.5.0.2:80").is_ok());
        is_reachable(&pontoon, "db web:80");
    }

    fn a_published_port_whose_target_is_gone_is_named(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        let _server = host.serve("web", 80, "web");
        assert!(host.fetch("outside", "192.0.2.2:8080").is_ok());
        is_reachable(&pontoon, "outside web:80");
        host.sh("ip -n web address delete 10.5.0.2/24 dev eth0");
        assert!(host.fetch("outside", "192.0.2.2:8080").is_err());
        let commands = blocked(&pontoon, "outside web:80", "address-missing");
        run_all(&host, &commands);
        run_all(&host, &blocked(&pontoon, "outside web:80", "no-route"));
        assert!(host.fetch("outside", "192.0.2.2:8080").is_ok());
        is_reachable(&pontoon, "outside web:80");
    }

    fn a_port_that_leads_to_nobody_is_named(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        host.sh("nft 'add table ip theirs; add chain ip theirs in { type nat hook prerouting priority dstnat; };
            add rule ip theirs in tcp dport 9000 dnat to 10.5.0.99:80'");
        assert!(host.fetch("outside", "192.0.2.2:9000").is_err());
        blocked(&pontoon, "198.51.100.10 192.0.2.2:9000", "neighbour-missing");
    }

    fn a_resolver_on_the_hosts_loopback_is_none_in_a_container(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.5.0.0/24 blue");
        pontoon.run("run -d --name web --network blue:ip=10.5.0.2 -- sleep 1000");
        let asks = |server: &str| pontoon.run("exec web cat /etc/resolv.conf").contains(server);
        pontoon.run("exec web sh -c 'echo nameserver 127.0.0.53 > /etc/resolv.conf'");
        assert!(asks("127.0.0.53") && host.ask_udp("web", "127.0.0.53:53").is_err());
        let commands = blocked(&pontoon, "web example.net:80", "resolver-on-loopback");
        run_all(&host, &commands);
        assert!(asks("nameserver 10.5.0.1"), "{commands:?}");
        // It is asked, and the query arrives; nobody here knows the name.
        is_reachable(&pontoon, "web 10.5.0.1:53/udp");
        let output = pontoon.attempt("explain web example.net:80");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains("asks 10.5.0.1 for example.net"), "{said}");
    }

    fn names_of_containers_are_asked_for_at_127_0_0_11(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.5.0.0/24 blue");
        pontoon.run("run -d --name web --network blue:ip=10.5.0.2 -- sleep 1000");
        is_reachable(&pontoon, "web 127.0.0.11:53/udp");
        is_reachable(&pontoon, "web 10.5.0.1:53/udp");
    }

    fn echo_requests_that_are_not_answered_are_told_apart(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        host.sh_in("web", "sysctl -w net.ipv4.icmp_echo_ignore_all=1");
        assert!(!host.pings("db", "10.5.0.2"));
        run_all(&host, &blocked(&pontoon, "db web", "echo-ignored"));
        assert!(host.pings("db", "10.5.0.2"));
        is_reachable(&pontoon, "db web");
    }

    fn a_port_that_nobody_listens_on_is_told_with_those_that_are(host: Host) {
        let pontoon = Pontoon::with_web_and_db(&host);
        let _server = host.serve("web", 80, "web");
        assert!(host.fetch("db", "10.5.0.2:81").is_err());
        let (found, code) = explained(&pontoon, "db web:81");
        assert_eq!((code, super::codes(&found)), (1, vec!["nobody-listens"]));
        assert!(shown(&pontoon, "db web:81").contains(":80/tcp"));
    }
}
