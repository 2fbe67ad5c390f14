//! Rulesets of nftables, at random.

use crate::chance::Chance;

/// The containers' way out.
pub(crate) fn masquerade() -> String {
    quoted(
        "add table ip out; add chain ip out post { type nat hook postrouting priority srcnat; }; \
            add rule ip out post ip saddr 10.0.0.0/8 oifname eth0 masquerade",
    )
}

fn quoted(commands: &str) -> String {
    format!("nft '{commands}'")
}

/// Tables with chains and rules.
pub(crate) fn any(chance: &mut Chance) -> Vec<String> {
    let mut lines = Vec::new();
    for number in 0..1 + chance.below(2) {
        let family = *chance.one(&["ip", "inet", "inet", "bridge"]);
        let place =
            if chance.percent(15) { *chance.one(&["ip netns exec a ", "ip netns exec c "]) } else { "" };
        let table = format!("{family} t{number}");
        let add = |what: String| format!("{place}{}", quoted(&what));
        lines.push(add(format!(
            "add table {table}; {}; add chain {table} sub; add chain {table} deep",
            sets(&table)
        )));
        for name in ["sub", "deep"] {
            for _ in 0..chance.below(3) {
                lines.push(add(format!("add rule {table} {name} {}", rule(chance, name == "deep"))));
            }
        }
        for chain in 0..1 + chance.below(2) {
            lines.push(add(base(chance, family, &table, chain)));
            for _ in 0..chance.below(5) {
                lines.push(add(format!("add rule {table} c{chain} {}", rule(chance, false))));
            }
        }
        if family != "bridge" && chance.percent(40) {
            lines.extend(translation(chance, &table).into_iter().map(add));
        }
    }
    lines
}

fn sets(table: &str) -> String {
    format!(
        "add set {table} hosts {{ type ipv4_addr; elements = {{ 10.1.0.2, 192.0.2.1 }}; }}; \
         add set {table} nets {{ type ipv4_addr; flags interval; elements = {{ 10.1.0.0/24, 198.51.100.0-198.51.100.9 }}; }}; \
         add set {table} pairs {{ type ipv4_addr . inet_service; flags interval; elements = {{ 10.1.0.0/24 . 80-90, 10.2.0.2 . 53 }}; }}; \
         add map {table} fates {{ type ipv4_addr : verdict; elements = {{ 10.1.0.2 : accept, 10.1.0.3 : jump deep, 10.2.0.2 : drop }}; }}"
    )
}

fn base(chance: &mut Chance, family: &str, table: &str, chain: u64) -> String {
    let hook =
        *chance.one(&["forward", "forward", "forward", "input", "output", "prerouting", "postrouting"]);
    let priority = *chance.one(&["0", "-10", "10", "-300", "-150", "150"]);
    let policy = if chance.percent(15) { "drop" } else { "accept" };
    let kind = if hook == "output" && family != "bridge" && chance.percent(30) { "route" } else { "filter" };
    format!("add chain {table} c{chain} {{ type {kind} hook {hook} priority {priority}; policy {policy}; }}")
}

fn rule(chance: &mut Chance, leaf: bool) -> String {
    let mut words: Vec<String> = (0..chance.below(3)).map(|_| condition(chance)).collect();
    let last = match chance.below(if leaf { 8 } else { 10 }) {
        0 | 1 => "drop",
        2 => "reject",
        3 | 4 => "accept",
        5 => "return",
        6 => "meta mark set 0x1",
        7 => "ct mark set meta mark",
        8 => "jump deep",
        _ => "goto deep",
    };
    if chance.percent(20) {
        words.push("counter".to_owned());
    }
    words.push(last.to_owned());
    words.join(" ")
}

fn condition(chance: &mut Chance) -> String {
    let not = if chance.percent(25) { "!= " } else { "" };
    let interface = *chance.one(&["br0", "br1", "eth0", "lo", "\"br*\"", "va"]);
    let address = *chance.one(&[
        "10.1.0.2",
        "10.1.0.0/24",
        "10.2.0.2",
        "192.0.2.2",
        "198.51.100.1",
        "10.1.0.1-10.1.0.2",
    ]);
    match chance.below(24) {
        0 | 1 => format!("iifname {not}{interface}"),
        2 | 3 => format!("oifname {not}{interface}"),
        4 | 5 => format!("ip saddr {not}{address}"),
        6 | 7 => format!("ip daddr {not}{address}"),
        8 => format!("ip saddr {not}@hosts"),
        9 => format!("ip daddr {not}@nets"),
        10 => format!("ip daddr . tcp dport {not}@pairs"),
        11 => format!("tcp dport {not}{}", chance.one(&["80", "{ 80, 8080 }", "1-100"])),
        12 => format!("meta l4proto {not}{}", chance.one(&["tcp", "udp", "icmp", "{ tcp, icmp }"])),
        13 => format!("icmp type {not}{}", chance.one(&["echo-request", "echo-reply"])),
        14 | 15 => {
            format!("ct state {not}{}", chance.one(&["new", "established,related", "invalid", "untracked"]))
        }
        16 => format!("ct status {}", chance.one(&["dnat", "snat", "seen-reply", "confirmed"])),
        17 => format!("ct direction {}", chance.one(&["original", "reply"])),
        18 => format!("meta mark {not}{}", chance.one(&["0x1", "0x0", "0x1-0x3"])),
        19 => format!("ct mark {not}0x1"),
        20 => format!("fib daddr type {not}{}", chance.one(&["local", "unicast"])),
        21 => "fib saddr . iif oif missing".to_owned(),
        22 => "tcp flags & (syn | ack) == syn".to_owned(),
        _ => "ip saddr vmap @fates".to_owned(),
    }
}

fn translation(chance: &mut Chance, table: &str) -> Vec<String> {
    let hook = *chance.one(&["prerouting", "prerouting", "output", "postrouting"]);
    let ip = if table.starts_with("inet") { " ip" } else { "" };
    let priority = if hook == "postrouting" { "srcnat" } else { "dstnat" };
    let chain = format!("add chain {table} n {{ type nat hook {hook} priority {priority}; }}");
    let to = match hook {
        "postrouting" => match chance.below(3) {
            0 => "masquerade".to_owned(),
            1 => format!("oifname eth0 snat{ip} to 192.0.2.2"),
            _ => "ip daddr 10.2.0.0/24 masquerade".to_owned(),
        },
        _ => match chance.below(5) {
            0 => format!("tcp dport 8080 dnat{ip} to 10.2.0.2:80"),
            1 => format!("tcp dport 8080 dnat{ip} to 10.1.0.2:80"),
            2 => "tcp dport 8080 redirect to :80".to_owned(),
            3 => format!("dnat{ip} to tcp dport map {{ 8080 : 10.1.0.3 . 80, 8081 : 10.2.0.2 . 80 }}"),
            _ => format!("fib daddr type local tcp dport 8080 dnat{ip} to 10.1.0.2:80"),
        },
    };
    vec![chain, format!("add rule {table} n {to}")]
}
