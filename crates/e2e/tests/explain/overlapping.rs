//! Two faults in one host: both are named at once, and what is proposed mends both.

use pontoon_e2e::Pontoon;
use pontoon_testkit::{Host, sandboxed};

use super::{PORT, Way, out};

const DROP: &str = "nft 'add table inet theirs; add chain inet theirs forward { type filter hook forward priority 0; policy drop; }'";

/// Web to a server outside.
#[track_caller]
fn both(host: &Host, inject: &str, codes: &[&str]) {
    let pontoon = Pontoon::with_web_and_db(host);
    let passes = || host.pings("web", "198.51.100.10");
    Way { host, pontoon: &pontoon, words: "web 198.51.100.10", passes: &passes }.mends(inject, codes);
}

sandboxed! {
    fn no_route_and_no_forwarding(host: Host) {
        both(&host, "ip -n web route delete default; sysctl -w net.ipv4.ip_forward=0", &["no-route", "forwarding-off"]);
    }

    fn no_forwarding_and_a_policy_of_drop(host: Host) {
        both(&host, &format!("sysctl -w net.ipv4.ip_forward=0; {DROP}"), &["forwarding-off", "firewall-drop"]);
    }

    fn a_policy_of_drop_and_no_masquerade(host: Host) {
        both(&host, &format!("nft flush set inet pontoon masquerade4; {DROP}"), &["no-way-back", "firewall-drop"]);
    }

    fn two_firewalls(host: Host) {
        host.need("iptables-legacy");
        both(&host, &format!("iptables-legacy -P FORWARD DROP; {DROP}"), &["firewall-drop"]);
    }

    fn a_bridge_without_address_and_a_wrong_neighbour(host: Host) {
        both(
            &host,
            "ip address flush dev blue0;
             ip -n web neighbour replace 10.5.0.1 lladdr 02:00:00:00:00:99 dev eth0 nud permanent",
            &["bridge-without-address", "neighbour-wrong"],
        );
    }

    fn a_loose_port_and_a_finer_route(host: Host) {
        both(
            &host,
            &format!(
                "{PORT} ip link set $port nomaster; ip netns add vpn; ip link add wg0 type veth peer name wg0 netns vpn;
                 ip link set wg0 up; ip -n vpn link set wg0 up; ip route add 10.5.0.0/25 dev wg0"
            ),
            &["port-without-bridge", "route-elsewhere"],
        );
    }

    fn a_port_that_is_down_and_no_forwarding(host: Host) {
        both(&host, &format!("{PORT} ip link set $port down; sysctl -w net.ipv4.ip_forward=0"), &["link-down", "forwarding-off"]);
    }

    fn a_refusal_and_a_loss_on_the_way_back(host: Host) {
        out(
            "ip route add blackhole 198.51.100.0/24;
             nft 'add table inet theirs; add chain inet theirs forward { type filter hook forward priority 0; };
                  add rule inet theirs forward iifname eth0 drop'",
            &["route-refuses", "firewall-drop"],
        )(host);
    }
}
