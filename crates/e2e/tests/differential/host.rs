//! A host: two bridges, three containers, a router; and what may be wrong with it.
//!
//! ```text
//! a 10.1.0.2 ─┐                         ┌─ c 10.2.0.2
//!             br0 10.1.0.1 host 10.2.0.1 br1
//! b 10.1.0.3 ─┘      192.0.2.2
//!                        │ eth0
//!                     192.0.2.1 router 198.51.100.1
//! ```

use std::net::IpAddr;

use pontoon_testkit::{Host, Server, UdpServer};

use crate::chance::Chance;
use crate::rules;

/// Where packets come from.
pub(crate) const PLACES: [&str; 5] = ["host", "a", "b", "c", "router"];

/// Where they go.
pub(crate) const ADDRESSES: [&str; 11] = [
    "10.1.0.2",
    "10.1.0.3",
    "10.2.0.2",
    "10.1.0.1",
    "10.2.0.1",
    "192.0.2.2",
    "192.0.2.1",
    "198.51.100.1",
    "10.1.0.99",
    "10.2.0.2",
    "127.0.0.1",
];

/// Whether who has the address has no other that an answer of UDP could have.
pub(crate) fn is_alone(address: IpAddr) -> bool {
    ["10.1.0.2", "10.1.0.3", "10.2.0.2"].iter().any(|alone| alone.parse() == Ok(address))
}

const BASE: &str = "
    ip link set lo up
    for name in a b c router; do ip netns add $name; ip -n $name link set lo up; done
    for bridge in br0 br1; do ip link add $bridge type bridge; ip link set $bridge up; done
    ip address add 10.1.0.1/24 dev br0; ip address add 10.2.0.1/24 dev br1
    cable() { ip link add v$1 type veth peer name eth0 netns $1; ip link set v$1 master $2; ip link set v$1 up;
        ip -n $1 address add $3/24 dev eth0; ip -n $1 link set eth0 up; ip -n $1 route add default via $4; }
    cable a br0 10.1.0.2 10.1.0.1; cable b br0 10.1.0.3 10.1.0.1; cable c br1 10.2.0.2 10.2.0.1
    ip link add eth0 type veth peer name host netns router; ip link set eth0 up; ip -n router link set host up
    ip address add 192.0.2.2/24 dev eth0; ip -n router address add 192.0.2.1/24 dev host
    ip -n router address add 198.51.100.1/32 dev lo; ip route add default via 192.0.2.1
    sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
    sysctl -qw net.ipv4.conf.eth0.rp_filter=0 net.ipv4.conf.br0.rp_filter=0 net.ipv4.conf.br1.rp_filter=0
    sysctl -qw net.bridge.bridge-nf-call-iptables=0
";

const CLEAR: &str = "
    set +e
    nft flush ruleset
    for name in a b c router; do ip netns delete $name; done
    for link in va vb vc br0 br1 eth0; do ip link delete $link; done
    ip rule flush; ip rule add lookup main priority 32766; ip rule add lookup default priority 32767
    ip rule show | grep -q 'lookup local' || ip rule add lookup local priority 0
    ip route flush table 100; ip route flush table main
    for key in all default; do sysctl -qw net.ipv4.conf.$key.rp_filter=0; done
    true
";

/// A host that was made, and its servers.
pub(crate) struct Made {
    host: Host,
    /// What was done to the base.
    pub(crate) script: String,
    servers: Vec<Server>,
    datagrams: Vec<UdpServer>,
}

impl Made {
    pub(crate) fn any(host: &Host, chance: &mut Chance) -> Self {
        host.sh(BASE);
        let mut lines: Vec<String> = Vec::new();
        if chance.percent(60) {
            lines.push(rules::masquerade());
        }
        if chance.percent(20) {
            lines.push("ip -n router route add 10.0.0.0/8 via 192.0.2.2".to_owned());
        }
        for _ in 0..chance.below(4) {
            lines.push(change(chance));
        }
        if chance.percent(70) {
            lines.extend(rules::any(chance));
        }
        // What the kernel refuses was not done, and the model does not see it either.
        let script = lines.join("\n");
        let _ = host.try_sh(&lines.iter().map(|line| format!("{line} || true\n")).collect::<String>());
        let servers = PLACES.iter().flat_map(|place| [host.serve(place, 80, "")]).collect();
        let datagrams = ["a", "b", "c"].iter().map(|place| host.serve_udp(place, 53, "")).collect();
        Self { host: host.clone(), script, servers, datagrams }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // Sockets keep namespaces.
        self.servers.clear();
        self.datagrams.clear();
        self.host.sh(CLEAR);
    }
}

/// Something that differs from a host on which all is well.
fn change(chance: &mut Chance) -> String {
    match chance.below(16) {
        0 => switch(chance),
        1 => format!(
            "sysctl -qw net.ipv4.conf.{}.rp_filter={}",
            chance.one(&["all", "eth0", "br0", "br1"]),
            1 + chance.below(2)
        ),
        2..=5 => route(chance),
        6..=8 => rule(chance),
        9..=10 => inner_route(chance),
        11 => bridge(chance),
        12 => "sysctl -qw net.bridge.bridge-nf-call-iptables=1".to_owned(),
        13 => neighbour(chance),
        14 => format!("ip link set {} down", chance.one(&["va", "br0", "br1", "eth0"])),
        _ => format!("ip -n {} link set eth0 down", chance.one(&["a", "b", "c"])),
    }
}

fn switch(chance: &mut Chance) -> String {
    let all = [
        "sysctl -qw net.ipv4.ip_forward=0",
        "sysctl -qw net.ipv4.conf.br0.forwarding=0",
        "sysctl -qw net.ipv4.conf.br1.forwarding=0",
        "sysctl -qw net.ipv4.conf.eth0.forwarding=0",
        "ip netns exec c sysctl -qw net.ipv4.icmp_echo_ignore_all=1",
        "ip netns exec b sysctl -qw net.ipv4.ip_forward=1",
        "ip netns exec a sysctl -qw net.ipv4.conf.all.rp_filter=1",
        "sysctl -qw net.ipv4.conf.br0.route_localnet=1",
    ];
    (*chance.one(&all)).to_owned()
}

const PREFIXES: [&str; 9] = [
    "10.1.0.0/24",
    "10.1.0.0/25",
    "10.1.0.2/32",
    "10.2.0.0/24",
    "10.2.0.2/32",
    "10.0.0.0/8",
    "198.51.100.0/24",
    "198.51.100.1/32",
    "default",
];

fn route(chance: &mut Chance) -> String {
    let (prefix, table) = (chance.one(&PREFIXES), chance.one(&["main", "main", "100"]));
    let metric = if chance.percent(30) { " metric 50" } else { "" };
    let ways = ["dev br0", "dev br1", "dev eth0", "via 192.0.2.1", "via 10.2.0.2", "via 10.1.0.3"];
    match chance.below(8) {
        0 => format!(
            "ip route add {} {prefix} table {table}{metric}",
            chance.one(&["blackhole", "unreachable", "prohibit", "throw"])
        ),
        1 => format!("ip route delete {prefix}"),
        _ => format!("ip route add {prefix} {} table {table}{metric}", chance.one(&ways)),
    }
}

fn rule(chance: &mut Chance) -> String {
    let mut words = vec!["ip rule add".to_owned()];
    if chance.percent(15) {
        words.push("not".to_owned());
    }
    if chance.percent(50) {
        words.push(format!("from {}", chance.one(&["10.1.0.0/24", "10.2.0.2", "192.0.2.2", "10.0.0.0/8"])));
    }
    if chance.percent(40) {
        words.push(format!("to {}", chance.one(&["10.1.0.0/24", "10.2.0.0/24", "198.51.100.1", "10.1.0.2"])));
    }
    if chance.percent(30) {
        words.push(format!("iif {}", chance.one(&["br0", "br1", "eth0", "lo"])));
    }
    if chance.percent(20) {
        words.push(format!("fwmark {}", chance.one(&["0x1", "0x1/0x3", "0x2"])));
    }
    if chance.percent(15) {
        words.push(format!("ipproto {}", chance.one(&["tcp", "icmp"])));
    }
    if chance.percent(10) {
        words.push("dport 80".to_owned());
    }
    let priority = *chance.one(&[50, 100, 150]);
    words.push(match chance.below(6) {
        0 => "prohibit".to_owned(),
        1 => "blackhole".to_owned(),
        2 => "lookup main suppress_prefixlength 0".to_owned(),
        3 => "goto 32766".to_owned(),
        _ => "lookup 100".to_owned(),
    });
    words.push(format!("priority {priority}"));
    words.join(" ")
}

fn inner_route(chance: &mut Chance) -> String {
    let all = [
        "ip -n a route delete default",
        "ip -n c route delete default",
        "ip -n a route replace default via 10.1.0.99",
        "ip -n a route replace default via 10.1.0.3",
        "ip -n a route add 10.2.0.0/24 via 10.1.0.3",
        "ip -n a route add blackhole 10.2.0.2",
        "ip -n c route add prohibit 10.1.0.0/25",
        "ip -n router route add 10.1.0.0/24 via 192.0.2.2",
        "ip -n b address add 10.2.0.9/24 dev eth0",
        "ip -n c route add 10.1.0.0/24 dev eth0",
        "ip address delete 10.1.0.1/24 dev br0",
        "ip -n a address delete 10.1.0.2/24 dev eth0",
    ];
    (*chance.one(&all)).to_owned()
}

fn bridge(chance: &mut Chance) -> String {
    let all = [
        "ip link set va nomaster",
        "ip link set vb master br1",
        "bridge link set dev va isolated on; bridge link set dev vb isolated on",
        "bridge link set dev va isolated on",
        "bridge link set dev va state 0",
        "bridge link set dev vc state 1",
        "bridge fdb add $(cat /sys/class/net/br0/address) dev va master static",
    ];
    (*chance.one(&all)).to_owned()
}

fn neighbour(chance: &mut Chance) -> String {
    let all = [
        "ip -n a neighbour replace 10.1.0.1 lladdr 02:00:00:00:00:99 dev eth0 nud permanent",
        "ip -n a neighbour replace 10.1.0.3 lladdr 02:00:00:00:00:99 dev eth0 nud permanent",
        "ip neighbour replace 10.2.0.2 lladdr 02:00:00:00:00:99 dev br1 nud permanent",
        "ip neighbour replace 10.1.0.99 lladdr 02:00:00:00:00:98 dev br0 nud permanent",
    ];
    (*chance.one(&all)).to_owned()
}
