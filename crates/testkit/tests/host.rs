//! The sandbox and the host in it do what they promise.

use pontoon_testkit::sandboxed;

sandboxed! {
    fn it_is_root_on_an_empty_host(host: Host) {
        assert_eq!(host.sh("id -u").trim(), "0");
        assert_eq!(host.sh("hostname").trim(), "test");
        assert_eq!(host.sh("cat /sys/class/net/lo/operstate").trim(), "unknown");
        assert_eq!(host.sh("ls /sys/class/net").trim(), "lo");
        assert_eq!(host.json("ip -j link").as_array().unwrap().len(), 1);
        assert_eq!(host.sh("ls /var/lib/pontoon"), "");
        host.sh("touch /var/lib/pontoon/x /run/x; ip netns add x; mkdir /run/pontoon");
    }

    fn the_outside_sees_the_host(host: Host) {
        host.uplink();
        let _web = host.serve("outside", 80, "hello");
        let _dns = host.serve_udp("outside", 53, "answer");
        let reply = host.fetch("host", "http://198.51.100.10:80/").unwrap();
        assert_eq!((reply.text.as_str(), reply.seen_from.ip().to_string().as_str()), ("hello", "192.0.2.2"));
        let reply = host.fetch("host", "[2001:db8:2::10]:80").unwrap();
        assert_eq!(reply.seen_from.ip().to_string(), "2001:db8:1::2");
        assert_eq!(host.ask_udp("router", "198.51.100.10:53").unwrap().text, "answer");
        assert!(host.fetch("outside", "192.0.2.2:81").is_err());
    }

    fn nothing_behind_the_host_is_answered_without_masquerade(host: Host) {
        host.uplink();
        host.sh("ip netns add c; ip link add v type veth peer name e netns c
            ip addr add 10.9.0.1/24 dev v; ip link set v up
            ip -n c addr add 10.9.0.2/24 dev e; ip -n c link set e up
            ip -n c route add default via 10.9.0.1; echo 1 > /proc/sys/net/ipv4/ip_forward");
        host.wait_until("the container reaches the host", || host.pings("c", "10.9.0.1"));
        let _web = host.serve("outside", 80, "hello");
        assert!(host.fetch("c", "198.51.100.10:80").is_err());
        host.sh("nft add table ip t; nft 'add chain ip t p { type nat hook postrouting priority 100; }'
            nft add rule ip t p oif eth0 masquerade");
        let reply = host.fetch("c", "198.51.100.10:80").unwrap();
        assert_eq!(reply.seen_from.ip().to_string(), "192.0.2.2");
    }

    fn a_snapshot_shows_what_changed_and_nothing_else(host: Host) {
        host.uplink();
        let before = host.snapshot();
        before.assert_unchanged(&host.snapshot());
        host.sh("ip link add br0 type bridge; ip addr add 10.1.0.1/24 dev br0; ip link set br0 up
            echo 1 > /proc/sys/net/ipv4/ip_forward; nft add table inet x; ip netns add n
            ip rule add pref 7 lookup 7; ip route add 10.2.0.0/16 via 192.0.2.1 table 7");
        let changes = before.changes(&host.snapshot());
        for section in ["links", "addresses", "routes IPv4", "rules IPv4", "nft", "sysctls", "/run/netns", "mounts"] {
            assert!(changes.contains(&format!("{section}:\n")), "{section} is missing in\n{changes}");
        }
        host.sh("ip link del br0; echo 0 > /proc/sys/net/ipv4/ip_forward; nft delete table inet x
            ip netns del n; ip rule del pref 7; ip route flush table 7");
        before.assert_unchanged(&host.snapshot());
    }

    fn what_runs_in_the_background_ends_with_its_guard(host: Host) {
        let sleeper = host.background("echo begun; sleep 1000 & wait");
        sleeper.wait_for("begun");
        drop(sleeper);
        host.wait_until("the sleeper is gone", || host.sh("ps -e -o args").lines().all(|a| a != "sleep 1000"));
    }

    fn a_capture_has_the_packets(host: Host) {
        host.uplink();
        let capture = host.capture("router", "host", "icmp");
        assert!(host.pings("host", "198.51.100.10"));
        capture.wait_for("echo reply");
    }

    fn a_missing_tool_is_a_failure_that_names_it(host: Host) {
        let need = std::panic::AssertUnwindSafe(|| host.need("no-such-tool"));
        let panic = std::panic::catch_unwind(need).unwrap_err();
        assert!(panic.downcast_ref::<String>().unwrap().contains("`no-such-tool`"));
    }

    fn files_of_etc_are_its_own(host: Host) {
        // What is on another file system would be the machine's.
        let foreign = host.sh("find /etc -maxdepth 1 -type f -exec stat -c '%d %n' {} + | grep -v \"^$(stat -c %d /etc) \" || true");
        assert_eq!(foreign, "");
        let before = host.sh("cat /etc/hosts");
        host.sh("echo 10.0.0.1 mine >> /etc/hosts");
        assert_eq!(host.sh("cat /etc/hosts"), format!("{before}10.0.0.1 mine\n"));
    }
}
