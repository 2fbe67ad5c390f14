//! What cannot be published, what is said of it, and which ports are given out.

use std::collections::BTreeSet;
use std::net::TcpStream;

use pontoon_e2e::{Pontoon, eventually, state};
use pontoon_testkit::sandboxed;

use crate::{HOST4, seen};

sandboxed! {
    fn what_cannot_be_published_is_refused_and_nothing_is_changed(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("run -d --name web -p 8080:80 -p 127.0.0.1:9090:90 -p 53:53/udp -- sleep 100");
        pontoon.run("run -d --name other -- sleep 100");
        host.sh("ip netns add theirs; ip netns add stranger; ip -n theirs link set lo up");
        let program = host.background("exec socat TCP-LISTEN:7070,fork -");
        let datagrams = host.background("exec socat -u UDP4-RECV:7071,bind=127.0.0.1 -");
        eventually("they listen", || host.sh("ss -ltun").contains(":7070") && host.sh("ss -lun").contains(":7071"));
        let (by, by_udp) = (format!("socat (pid {})", program.pid()), format!("socat (pid {})", datagrams.pid()));
        let ps = "ps -a --format '{{.Names}} {{.Ports}}'";
        let before = (state(&host), crate::published(&host), pontoon.run(ps));
        for (words, named) in [
            ("8080:81", "8080/tcp is published by container `web`"),
            ("8079-8081:1-3", "8080/tcp is published by container `web`"),
            ("192.0.2.2:8080:80", "8080/tcp is published by container `web`"),
            ("[::1]:8080:80", "8080/tcp is published by container `web`"),
            ("9090:80", "9090/tcp is published by container `web`"),
            ("53:54/udp", "53/udp is published by container `web`"),
            ("7070:80", &by),
            ("7000-7100:7000-7100", &by),
            ("127.0.0.1:7070:80", &by),
            ("7071:80/udp", &by_udp),
            ("203.0.113.9:80:80", "203.0.113.9"),
            ("[2001:db8:9::9]:80:80", "2001:db8:9::9"),
            ("0:80", "`0`"),
            ("80:0", "`0`"),
            ("65536:80", "`65536`"),
            ("80:65536", "`65536`"),
            ("8000-8002:80-81", "8000-8002"),
            ("8002-8000:80-82", "did you mean 8000-8002?"),
            ("80:80/icmp", "icmp"),
            ("localhost:80:80", "use 127.0.0.1 or [::1]"),
            ("224.0.0.1:80:80", "224.0.0.1"),
            ("http", "`http`"),
        ] {
            for verb in [
                format!("run -d --name no -p {words} -- sleep 100"),
                format!("run --name no -p {words} -- sleep 100"),
                format!("run -d --name no -p 4000:80 -p {words} -- sleep 100"),
                format!("network connect -p {words} bridge netns:theirs"),
                format!("publish other {words}"),
                format!("publish --dry-run other {words}"),
            ] {
                let (code, said) = pontoon.fail(&verb);
                assert!((1..=125).contains(&code) && said.contains("error: ") && said.contains(named), "{verb}: {code}\n{said}");
            }
        }
        for (command, named) in [
            ("run -d --name no --network host -p 80:80 -- true", "--network host"),
            ("run -d --name no --network none -p 80:80 -- true", "--network none"),
            ("run -d --name no --network container:web -p 80:80 -- true", "--network container:"),
            ("run -d --name no --network container:web -P --expose 80 -- true", "--network container:"),
            ("publish nobody 80:80", "`nobody`"),
            ("publish netns:stranger 80:80", "netns:stranger"),
            ("unpublish web 8081", "has not published host port 8081/tcp"),
            ("unpublish web 8080/udp", "8080/udp"),
            ("unpublish web 127.0.0.1:8080", "127.0.0.1:8080/tcp"),
            ("unpublish web 8080 9999", "9999"),
            ("unpublish other 8080", "`other` has not published"),
            ("unpublish netns:stranger 8080", "stranger"),
            ("port web 81", "81"),
            ("port nobody", "`nobody`"),
        ] {
            let (code, said) = pontoon.fail(command);
            assert!((1..=125).contains(&code) && said.contains("error: ") && said.contains(named), "{command}: {code}\n{said}");
        }
        let after = (state(&host), crate::published(&host), pontoon.run(ps));
        before.0.assert_unchanged(&after.0);
        assert_eq!((&before.1, &before.2), (&after.1, &after.2));
        // What was refused has taken no port along.
        pontoon.run("publish other 4000:80");
        drop((program, datagrams));
        eventually("the program's port is free", || pontoon.attempt("publish other 7070:80").status.success());
    }

    fn connections_that_use_a_port_do_not_block_it(host: Host) {
        host.uplink();
        let pontoon = Pontoon::on(&host);
        pontoon.run("run -d --name web -- sleep 100");
        // The host's own connection from that very port.
        let far = host.serve("outside", 80, "far");
        let going = host.background("sleep 100 | socat - TCP:198.51.100.10:80,sourceport=8080,reuseaddr");
        eventually("it is connected", || host.sh("ss -tn").contains("192.0.2.2:8080"));
        pontoon.run("publish web 8080:8000");
        let web = host.serve("web", 8000, "hello");
        seen(&host, "outside", "192.0.2.2:8080");
        drop(going);
        pontoon.run("unpublish web 8080");
        // One that has just ended.
        let served = host.serve("host", 9000, "mine");
        let mut closing = TcpStream::connect("127.0.0.1:9000").unwrap();
        std::io::Write::write_all(&mut closing, b"GET / HTTP/1.0\r\n\r\n").unwrap();
        std::io::Read::read_to_end(&mut closing, &mut Vec::new()).unwrap();
        drop((closing, served));
        eventually("it waits", || host.sh("ss -tan").contains("TIME-WAIT"));
        pontoon.run("publish web 9000:8000");
        seen(&host, "outside", &format!("{HOST4}:9000"));
        drop((web, far));
    }

    fn a_program_that_comes_later_is_told_of(host: Host) {
        let pontoon = Pontoon::on(&host);
        pontoon.run("run -d --name web -p 8080:80 -- sleep 100");
        let program = host.background("exec socat TCP-LISTEN:8080,fork -");
        eventually("it listens", || host.sh("ss -ltn").contains(":8080"));
        let output = pontoon.attempt("port web");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains(&format!("socat (pid {})", program.pid())), "{said}");
        drop(program);
    }

    fn free_ports_are_chosen_where_no_connection_takes_them(host: Host) {
        let pontoon = Pontoon::on(&host);
        let range = host.sh("sysctl -n net.ipv4.ip_local_port_range");
        let [first, last]: [u32; 2] = range.split_whitespace().map(|word| word.parse().unwrap()).collect::<Vec<_>>().try_into().unwrap();
        let mut given = BTreeSet::new();
        for (number, words) in ["-p 80", "-p 80-82", "-p 127.0.0.1::80", "-P --expose 80 --expose 90-91/udp", "-P --expose 80 -p 8080:80"].into_iter().enumerate() {
            pontoon.run(&format!("run -d --name c{number} {words} -- sleep 100"));
            for mapping in pontoon.run(&format!("port c{number}")).lines() {
                let port: u32 = mapping.rsplit(':').next().unwrap().parse().unwrap();
                assert!(given.insert(port), "{words}: {port} again");
                assert!(port == 8080 || !(first..=last).contains(&port) && port >= 1024, "{words}: {port}");
            }
        }
        assert_eq!(given.len(), 1 + 3 + 1 + 3 + 1);
        let printed = pontoon.run("publish c0 81");
        assert!(printed.ends_with("->81/tcp") && given.insert(printed.split("->").next().unwrap().parse().unwrap()), "{printed}");
        // One that was given back is not given out again at once: somebody may still mean the former.
        pontoon.run("unpublish -a c0");
        let next: u32 = pontoon.run("publish c0 80").split("->").next().unwrap().parse().unwrap();
        assert!(given.insert(next), "{next}");
        // Any of a range.
        pontoon.run("publish c1 5000-5001:80");
        pontoon.run("publish c2 5000-5001:80");
        let (code, said) = pontoon.fail("publish c3 5000-5001:80");
        assert!(code == 1 && said.contains("no tcp port from 5000 to 5001 is free"), "{said}");
    }

    fn free_ports_come_from_the_configuration(host: Host) {
        let pontoon = Pontoon::on(&host);
        host.sh(r#"mkdir -p /etc/pontoon; echo 'published-ports = "4000-4003"' > /etc/pontoon/config.toml"#);
        let program = host.background("exec socat TCP-LISTEN:4001 -");
        eventually("it listens", || host.sh("ss -ltn").contains(":4001"));
        pontoon.run("run -d --name web -p 80-82 -- sleep 100");
        let ports: Vec<String> = pontoon.run("port web").lines().map(str::to_owned).collect();
        assert_eq!(ports, ["80/tcp -> 0.0.0.0:4000", "81/tcp -> 0.0.0.0:4002", "82/tcp -> 0.0.0.0:4003"]);
        let (code, said) = pontoon.fail("run -d --name more -p 80 -- sleep 100");
        assert!(code == 125 && said.contains("no tcp port from 4000 to 4003 is free") && said.contains("hint: "), "{said}");
        assert!(!pontoon.run("ps -a").contains("more"));
        // Other ports can be asked for, and UDP has its own.
        pontoon.run("publish web 9999:80");
        assert_eq!(pontoon.run("publish web 53/udp").split("->").nth(1), Some("53/udp"));
        drop(program);
    }
}
