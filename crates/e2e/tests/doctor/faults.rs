//! Each fault for itself.

use pontoon_e2e::Pontoon;
use pontoon_testkit::sandboxed;

use super::{
    PORT, Setup, codes, doctor, finds, is_healthy, list, mends, mends_by_name, out, shown, to_web, uplink,
    web_and_db,
};

sandboxed! {
    fn forwarding_is_off(host: Host) {
        let pontoon = web_and_db(&host);
        mends(&host, &pontoon, "sysctl -w net.ipv4.ip_forward=0", "forwarding-off", "--fix", || out(&host));
        mends(&host, &pontoon, "sysctl -w net.ipv4.conf.blue0.forwarding=0", "forwarding-off", "--fix", || out(&host));
    }
    fn rules_are_gone(host: Host) {
        let pontoon = web_and_db(&host);
        mends(&host, &pontoon, "nft flush chain inet pontoon postrouting", "no-way-back", "--fix", || out(&host));
        mends(&host, &pontoon, "nft flush set inet pontoon masquerade4", "no-way-back", "--fix", || out(&host));
        mends(&host, &pontoon, "nft flush ruleset", "rules-changed", "--fix", || out(&host));
    }
    fn anothers_chain_drops(host: Host) {
        let pontoon = web_and_db(&host);
        mends_by_name(&host, &pontoon, "nft 'add table inet theirs; add chain inet theirs forward { type filter hook forward priority 0; policy drop; }'", "firewall-drop", || out(&host));
    }
    fn anothers_legacy_table_drops(host: Host) {
        host.need("iptables-legacy");
        let pontoon = web_and_db(&host);
        mends_by_name(&host, &pontoon, "iptables-legacy -P FORWARD DROP", "firewall-drop", || out(&host));
    }
    fn anothers_chain_drops_on_the_bridge(host: Host) {
        let pontoon = web_and_db(&host);
        mends_by_name(&host, &pontoon, "sysctl -w net.bridge.bridge-nf-call-iptables=1; nft 'add table ip theirs; add chain ip theirs forward { type filter hook forward priority 0; }; add rule ip theirs forward iifname blue0 oifname blue0 drop'", "firewall-drop", || to_web(&host));
    }
    fn there_is_no_default_route(host: Host) {
        let pontoon = web_and_db(&host);
        mends(&host, &pontoon, "ip -n web route delete default", "no-route", "--fix", || out(&host));
    }
    fn the_router_is_nobody(host: Host) {
        let pontoon = web_and_db(&host);
        mends(&host, &pontoon, "ip -n web route replace default via 10.5.0.77 dev eth0", "gateway-missing", "--fix", || out(&host));
    }
    fn the_default_route_is_internal(host: Host) {
        let pontoon = web_and_db(&host);
        pontoon.run("network create --internal --subnet 10.6.0.0/24 -o pontoon.dns=false inner");
        pontoon.run("network connect inner web");
        mends(&host, &pontoon, "ip -n web route replace default via 10.6.0.1 dev eth1", "default-route-internal", "--fix", || out(&host));
    }
    fn the_bridge_has_no_address(host: Host) {
        let pontoon = web_and_db(&host);
        mends(&host, &pontoon, "ip address flush dev blue0", "bridge-without-address", "--fix", || out(&host));
    }
    fn a_vpn_has_a_finer_route(host: Host) {
        let pontoon = web_and_db(&host);
        mends_by_name(&host, &pontoon, "ip link add wg0 type veth peer wg1; ip link set wg0 up; ip link set wg1 up; ip route add 10.5.0.0/25 dev wg0", "route-elsewhere", || out(&host));
    }
    fn a_vpn_has_a_finer_route_and_sources_are_checked(host: Host) {
        let pontoon = web_and_db(&host);
        mends_by_name(&host, &pontoon, "ip link add wg0 type veth peer wg1; ip link set wg0 up; ip link set wg1 up; sysctl -w net.ipv4.conf.all.rp_filter=1; ip route add 10.5.0.0/25 dev wg0", "route-elsewhere", || out(&host));
    }
    fn two_bridges_have_one_subnet(host: Host) {
        let pontoon = web_and_db(&host);
        is_healthy(&pontoon);
        host.sh("ip link add br2 type bridge; ip link set br2 up; ip address add 10.5.0.1/24 dev br2");
        finds(&pontoon, "subnet-twice");
    }
    fn a_port_is_on_no_bridge(host: Host) {
        let pontoon = web_and_db(&host);
        mends(&host, &pontoon, &format!("ip link set {PORT} nomaster"), "port-without-bridge", "--fix", || to_web(&host));
    }
    fn links_are_down(host: Host) {
        let pontoon = web_and_db(&host);
        mends(&host, &pontoon, "ip -n web link set eth0 down", "link-down", "--fix", || out(&host));
        mends(&host, &pontoon, &format!("ip link set {PORT} down"), "link-down", "--fix", || to_web(&host));
        mends(&host, &pontoon, "ip link set blue0 down", "link-down", "--fix", || to_web(&host));
    }
    fn links_are_gone(host: Host) {
        let pontoon = web_and_db(&host);
        mends(&host, &pontoon, "ip -n web link delete eth0", "interface-gone", "--fix", || to_web(&host));
        mends(&host, &pontoon, "ip link delete blue0", "bridge-gone", "--fix", || to_web(&host));
    }
    fn spanning_tree_waits(host: Host) {
        let pontoon = web_and_db(&host);
        mends(&host, &pontoon, "ip link set blue0 type bridge stp_state 1 forward_delay 3000; ip link set blue0 down; ip link set blue0 up", "port-state", "--fix", || to_web(&host));
    }
    fn ports_are_isolated(host: Host) {
        let pontoon = web_and_db(&host);
        let all = "for port in $(ip -j link show master blue0 | grep -o 'veth[0-9a-f]*' | sort -u); do bridge link set dev $port isolated on; done";
        mends(&host, &pontoon, all, "ports-isolated", "--fix", || to_web(&host));
    }
    fn a_neighbour_is_wrong(host: Host) {
        let pontoon = web_and_db(&host);
        mends(&host, &pontoon, "ip -n db neighbour replace 10.5.0.2 lladdr 02:00:00:00:00:99 dev eth0 nud permanent", "neighbour-wrong", "--fix", || to_web(&host));
    }
    fn two_have_one_address(host: Host) {
        let pontoon = web_and_db(&host);
        is_healthy(&pontoon);
        host.sh("ip -n db address add 10.5.0.2/24 dev eth0");
        finds(&pontoon, "address-twice");
        let (report, _) = doctor(&pontoon, "--fix --yes");
        assert_eq!(report["treated"][0]["outcome"], "fixed", "{:#}", report);
        host.sh("ip -n db link set eth0 address $(ip netns exec web cat /sys/class/net/eth0/address)");
        finds(&pontoon, "mac-twice");
        let (report, _) = doctor(&pontoon, "--fix --yes");
        assert_eq!(report["treated"][0]["outcome"], "fixed", "{:#}", report);
    }
    fn sizes_differ(host: Host) {
        let pontoon = web_and_db(&host);
        is_healthy(&pontoon);
        host.sh(&format!("ip link set {PORT} mtu 1400"));
        finds(&pontoon, "mtu-differs");
        let (report, _) = doctor(&pontoon, "--fix --yes");
        assert_eq!(report["treated"][0]["outcome"], "fixed", "{:#}", report);
        is_healthy(&pontoon);
    }
    fn a_link_on_the_way_out_is_smaller(host: Host) {
        let pontoon = web_and_db(&host);
        pontoon.run("publish web 8081:81");
        let _server = host.serve("web", 81, &"x".repeat(300_000));
        let fetches = || host.fetch("outside", "192.0.2.2:8081").is_ok_and(|reply| reply.text.len() == 300_000);
        assert!(fetches());
        host.sh("ip link set eth0 mtu 1400; nft 'add table inet quiet; add chain inet quiet out { type filter hook output priority 0; }; add rule inet quiet out icmp type destination-unreachable drop'");
        assert!(!fetches());
        let (report, exit) = doctor(&pontoon, "");
        assert!(exit == 2 && codes(&report) == ["mtu-smaller"], "{}", shown(&pontoon));
        let (report, exit) = doctor(&pontoon, "--fix --yes");
        assert!(exit == 0, "{report:#}\n{}", shown(&pontoon));
        assert!(fetches() && to_web(&host), "{}", host.sh("ip -n web route"));
    }
    fn a_link_is_left_over(host: Host) {
        let pontoon = web_and_db(&host);
        host.sh("ip link add lost0 type bridge; ip link set lost0 alias \"$(cat /sys/class/net/blue0/ifalias | sed s/network:.*/endpoint:00/)\"");
        let (report, exit) = doctor(&pontoon, "");
        assert!(exit == 2 && codes(&report) == ["left-over"], "{}", shown(&pontoon));
        let (report, exit) = doctor(&pontoon, "--fix --yes");
        assert!(exit == 0 && report["treated"][0]["outcome"] == "fixed", "{report:#}");
        assert!(!host.try_sh("ip link show lost0").status.success());
    }
}

sandboxed! {
    fn ipv6_is_off(host: Host) {
        let names = uplink(&host);
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --ipv6 --subnet 10.5.0.0/24 --subnet fd05::/64 -o com.docker.network.bridge.name=blue0 -o pontoon.dns=false blue");
        pontoon.run("run -d --name web --network blue:ip=10.5.0.2,ip6=fd05::2 -- sleep 1000");
        pontoon.run("run -d --name db --network blue:ip=10.5.0.3,ip6=fd05::3 -- sleep 1000");
        let pontoon = Setup { pontoon, _servers: (None, names) };
        let out6 = || host.pings("web", "2001:db8:2::10");
        mends(&host, &pontoon, "sysctl -w net.ipv6.conf.all.forwarding=0", "forwarding-off", "--fix", out6);
        mends(&host, &pontoon, "ip netns exec web sysctl -w net.ipv6.conf.eth0.disable_ipv6=1", "ipv6-disabled", "--fix", || host.pings("db", "fd05::2"));
    }

    fn somebody_moved_an_interface_away(host: Host) {
        let pontoon = web_and_db(&host);
        host.sh("ip -n web link set eth0 netns db name eth9");
        let report = finds(&pontoon, "interface-gone");
        assert!(list(&report, "findings")[0]["affected"].as_array().unwrap().contains(&"web".into()), "{report:#}");
    }

    fn a_bridge_is_told_a_wrong_port(host: Host) {
        let pontoon = web_and_db(&host);
        let wrong = "bridge fdb replace $(ip netns exec web cat /sys/class/net/eth0/address) dev $(ip -j link show master blue0 | grep -o 'veth[0-9a-f]*' | sort -u | while read port; do [ \"$(ip netns exec web cat /sys/class/net/eth0/iflink)\" = \"$(cat /sys/class/net/$port/ifindex)\" ] || echo $port; done) master static";
        mends(&host, &pontoon, wrong, "fdb-wrong", "--fix", || to_web(&host));
    }

    fn a_program_listens_on_loopback_alone(host: Host) {
        host.need("socat");
        let names = uplink(&host);
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.5.0.0/24 -o pontoon.dns=false blue");
        pontoon.run("run -d --name web --network blue -p 8080:80 -- sleep 1000");
        let pontoon = Setup { pontoon, _servers: (None, names) };
        let (report, exit) = doctor(&pontoon, "");
        assert!(exit == 2 && codes(&report) == ["nobody-listens"], "{}", shown(&pontoon));
        let _server = host.background_in("web", "exec socat TCP-LISTEN:80,bind=127.0.0.1,fork,reuseaddr SYSTEM:cat");
        host.wait_until("somebody listens", || !host.sh_in("web", "ss -Hltn 'sport = 80'").is_empty());
        finds(&pontoon, "listens-on-loopback");
    }

    fn a_resolver_is_on_loopback(host: Host) {
        let _names = uplink(&host);
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.5.0.0/24 blue");
        pontoon.run("run -d --name web --network blue -- sleep 1000");
        is_healthy(&pontoon);
        pontoon.run("exec web sh -c 'echo nameserver 127.0.0.53 > /etc/resolv.conf'");
        finds(&pontoon, "resolver-on-loopback");
        let (report, exit) = doctor(&pontoon, "--fix=resolver-on-loopback --yes");
        assert!(exit == 0 && report["treated"][0]["outcome"] == "fixed", "{report:#}");
        assert!(pontoon.run("exec web cat /etc/resolv.conf").contains("nameserver 10.5.0.1"));
    }

    fn the_host_takes_nothing_in(host: Host) {
        let _names = uplink(&host);
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.5.0.0/24 blue");
        pontoon.run("run -d --name web --network blue:ip=10.5.0.2 -- sleep 1000");
        let asks = || pontoon_e2e::dig(&host, "web", "@10.5.0.1 web") == "10.5.0.2";
        let inject = "nft 'add table inet theirs; add chain inet theirs input { type filter hook input priority 0; policy drop; }; add rule inet theirs input iifname lo accept'";
        mends_by_name(&host, &pontoon, inject, "firewall-drop", asks);
    }

    fn a_flow_goes_on_to_where_the_port_led_before(host: Host) {
        let names = uplink(&host);
        let pontoon = Pontoon::on(&host);
        pontoon.run("network create --subnet 10.5.0.0/24 -o pontoon.dns=false blue");
        pontoon.run("run -d --name web --network blue:ip=10.5.0.2 -- sleep 1000");
        pontoon.run("run -d --name db --network blue:ip=10.5.0.3 -p 5300:53/udp -- sleep 1000");
        let _old = host.serve_udp("db", 53, "db");
        let _new = host.serve_udp("web", 53, "web");
        host.need("socat");
        // From one port each time: one flow.
        let asks = || host.sh_in("outside", "echo x | socat -t 1 - UDP4:192.0.2.2:5300,bind=:40000,reuseaddr");
        assert!(asks().contains("db"));
        let pontoon = Setup { pontoon, _servers: (None, names) };
        is_healthy(&pontoon);
        pontoon.run("unpublish db 5300:53/udp");
        pontoon.run("publish web 5300:53/udp");
        // As if the flow had come back between the two.
        host.need("conntrack");
        host.try_sh("conntrack -D -p udp");
        host.sh("conntrack -I -p udp -s 198.51.100.10 -d 192.0.2.2 --sport 40000 --dport 5300 -r 10.5.0.3 -q 198.51.100.10 --reply-port-src 53 --reply-port-dst 40000 -t 300 -u SEEN_REPLY,ASSURED");
        finds(&pontoon, "connection-stale");
        let (report, exit) = doctor(&pontoon, "--fix --yes");
        assert!(exit == 0 && report["treated"][0]["outcome"] == "fixed", "{report:#}");
        assert!(asks().contains("web"));
    }

    fn a_container_is_gone(host: Host) {
        let pontoon = web_and_db(&host);
        host.sh("ip netns add guest");
        pontoon.run("network connect blue netns:guest");
        is_healthy(&pontoon);
        host.sh("ip netns delete guest");
        host.wait_until("its cable is gone", || doctor(&pontoon, "").1 == 2);
        let (report, _) = doctor(&pontoon, "");
        assert_eq!(codes(&report), ["left-over"], "{}", shown(&pontoon));
        let (report, exit) = doctor(&pontoon, "--fix --yes");
        assert!(exit == 0 && report["treated"][0]["outcome"] == "fixed", "{report:#}");
        assert!(!pontoon.run("network inspect blue").contains("guest"));
    }
}
