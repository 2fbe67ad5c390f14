//! Why each chain and each rule of the table is there: what the reference and `pontoon help ruleset` say beside it.
//!
//! A rule is found by its text, so that one that is changed has no reason until somebody has thought of it again: a test
//! wants one for each chain, set and rule that has no comment of its own, and none for what is not there.

use pontoon_nft::syntax::{Chain, Family, Rule, Set};

/// A chain's reason, and those of its rules by their text.
struct OfChain {
    name: &'static str,
    why: &'static str,
    rules: &'static [(&'static str, &'static str)],
}

/// Why a chain is there; its comment, where nothing else is known.
pub fn of_chain(chain: &Chain) -> Option<&str> {
    let known = CHAINS.iter().find(|known| known.name == chain.name).map(|known| known.why);
    known.or(chain.comment.as_deref())
}

/// Why a rule is there; its comment, where nothing else is known.
pub fn of_rule<'a>(chain: &str, rule: &'a Rule) -> Option<&'a str> {
    let text = text(rule);
    let rules = CHAINS.iter().find(|known| known.name == chain).map_or([].as_slice(), |known| known.rules);
    let known = rules.iter().find(|(known, _)| *known == text).map(|(_, why)| *why);
    known.or(rule.comment.as_deref())
}

/// What an element of a set or map does; the set's comment, where nothing else is known.
pub fn of_set(set: &Set) -> Option<&str> {
    let known = SETS.iter().find(|(name, _)| *name == set.name).map(|(_, why)| *why);
    known.or(set.comment.as_deref())
}

/// Chain and text of each rule that a reason is known for.
pub fn known_rules() -> impl Iterator<Item = (&'static str, &'static str)> {
    CHAINS.iter().flat_map(|chain| chain.rules.iter().map(|(text, _)| (chain.name, *text)))
}

/// A rule as it is listed, without its comment.
pub fn text(rule: &Rule) -> String {
    Rule { comment: None, ..rule.clone() }.listing(Family::Inet).to_string()
}

const ANSWERS: (&str, &str) = (
    "ct state established,related accept",
    "Answers to what the container began, the rest of a connection that was let in, and ICMP errors about either.",
);
const PUBLISHED: (&str, &str) = (
    "ct status dnat accept",
    "Its destination was translated, so somebody published it: `published` below, or who else translates on this host.",
);
const NETWORKS_APART: (&str, &str) =
    ("iifname @bridges drop", "Another network's container: only by published ports, which came before.");

const CHAINS: [OfChain; 20] = [
    OfChain {
        name: "user-forward",
        why: "Yours: what containers receive and send passes here first. `drop` is final, `accept` lets in what the rules \
              below would not, and what falls through meets them. The addresses and ports are the container's here; \
              `ct original` has those that the client used.",
        rules: &[],
    },
    OfChain {
        name: "user-input",
        why: "Yours: what is for the host itself, from containers too. Published ports do not come by here.",
        rules: &[],
    },
    OfChain {
        name: "apart",
        why: "Between containers of a network with `enable_icc=false`. Frames do not get here: the bridge's ports are \
              isolated. What gets here was routed, or bridged with `bridge-nf-call-iptables` on.",
        rules: &[
            (
                "ct status dnat accept",
                "By a published port of the host they reach each other as anybody does.",
            ),
            ("drop", "Nothing else, even if somebody gives a container a route by the gateway."),
        ],
    },
    OfChain {
        name: "enter_nat",
        why: "What comes in to a network in gateway mode `nat`. A neighbour of the host who sends packets for a \
              container's own address, with a route by this host, ends here.",
        rules: &[ANSWERS, PUBLISHED, ("drop", "Nothing else, whatever listens in the container.")],
    },
    OfChain {
        name: "enter_routed",
        why: "What comes in to a network in gateway mode `routed`: clients use the container's own address and port.",
        rules: &[
            (
                "ct direction original ip daddr . meta l4proto . th dport @open4 accept",
                "What a client sends to a published port, counted: before the answers, which would take it along uncounted.",
            ),
            ("ct direction original ip6 daddr . meta l4proto . th dport @open6 accept", "The same for IPv6."),
            ANSWERS,
            (
                "ip daddr . meta l4proto . th dport @open4 accept",
                "A published port. Nothing is translated: this container's port is open to all who have a route to it.",
            ),
            ("ip6 daddr . meta l4proto . th dport @open6 accept", "The same for IPv6."),
            NETWORKS_APART,
            ("meta nfproto ipv4 meta l4proto icmp accept", "A routed address can be pinged from outside."),
            ("meta nfproto ipv6 meta l4proto ipv6-icmp accept", "The same for IPv6."),
            ("drop", "Nothing else."),
        ],
    },
    OfChain {
        name: "enter_open",
        why: "What comes in to a network in gateway mode `nat-unprotected`.",
        rules: &[
            ANSWERS,
            PUBLISHED,
            NETWORKS_APART,
            (
                "accept",
                "Every port is open to all who have a route to the container: that is what the mode is for.",
            ),
        ],
    },
    OfChain {
        name: "published",
        why: "The first packet of a connection to one of the host's addresses; connection tracking translates the others, \
              and the answers. At most two lookups, however many ports are published.",
        rules: &[
            (
                "dnat ip to ip daddr . meta l4proto . th dport map @at4",
                "Published on this one address (`-p 192.0.2.2:8080:80`, `-p 127.0.0.1:8080:80`).",
            ),
            ("dnat ip6 to ip6 daddr . meta l4proto . th dport map @at6", "The same for IPv6."),
            (
                "meta nfproto ipv4 dnat ip to meta l4proto . th dport map @any4",
                "Published on all addresses (`-p 8080:80`).",
            ),
            ("meta nfproto ipv6 dnat ip6 to meta l4proto . th dport map @any6", "The same for IPv6."),
        ],
    },
    OfChain {
        name: "served",
        why: "Counts what goes to a published port, by the container's address and port: `pontoon stats`.",
        rules: &[
            (
                "ip daddr . meta l4proto . th dport @served4",
                "Looking the element up counts the packet. The first \
              packet of all makes it, in `postrouting`.",
            ),
            ("ip6 daddr . meta l4proto . th dport @served6", "The same for IPv6."),
        ],
    },
    OfChain {
        name: "answered",
        why: "Counts what comes from a published port.",
        rules: &[
            (
                "ip saddr . meta l4proto . th sport @answered4 return",
                "Looking the element up counts the packet.",
            ),
            ("ip6 saddr . meta l4proto . th sport @answered6 return", "The same for IPv6."),
            (
                "ip saddr . meta l4proto . th sport != @served4 ip saddr . meta l4proto . th sport != @open4 return",
                "Nothing went to this port since it was published: it was withdrawn, or is somebody else's. (Looking up \
                 what is not there counts nothing.)",
            ),
            (
                "ip6 saddr . meta l4proto . th sport != @served6 ip6 saddr . meta l4proto . th sport != @open6 return",
                "The same for IPv6.",
            ),
            ("add @answered4 { ip saddr . meta l4proto . th sport }", "The first answer makes the element."),
            ("add @answered6 { ip6 saddr . meta l4proto . th sport }", "The same for IPv6."),
        ],
    },
    OfChain {
        name: "account",
        why: "What passes through the host and was translated.",
        rules: &[
            ("ct direction original jump served", "From the client."),
            ("ct direction reply jump answered", "To the client."),
            (
                "ct state established,related goto known",
                "Its first packet was let in by the rules of `forward`.",
            ),
        ],
    },
    OfChain {
        name: "known",
        why: "What belongs to a translated connection that was let in: it need not meet the maps for each packet.",
        rules: &[("jump user-forward", "Your rules come first."), ("accept", "Both ways.")],
    },
    OfChain {
        name: "leave_routed",
        why: "What leaves a network in gateway mode `routed`, whose published ports are not translated.",
        rules: &[
            ("ct status dnat return", "Somebody translated it: `account` has counted it."),
            ("ct direction reply jump answered", "To the client of a published port."),
        ],
    },
    OfChain {
        name: "from_host",
        why: "What the host's own programs send, once it is translated.",
        rules: &[("ct status dnat ct direction original jump served", "To a published port, counted.")],
    },
    OfChain {
        name: "to_loopback",
        why: "What containers send to the host's loopback addresses.",
        rules: &[
            ("ip daddr 127.0.0.11 udp dport 53 accept", "A question for names."),
            ("ip daddr 127.0.0.11 tcp dport 53 accept", "The same over TCP."),
            ("drop", "No container gets at what listens on the host's 127.0.0.1."),
        ],
    },
    OfChain {
        name: "loopback",
        why: "A bridge whose containers may ask for names at 127.0.0.11, or with a port that is published at 127.0.0.1, \
              has `route_localnet`, or the packets would be refused. That alone would let its containers reach what \
              listens on the host's loopback. At `raw`, addresses are those on the wire: answers of a published port \
              still carry the gateway's.",
        rules: &[
            (
                "ip daddr 127.0.0.0/8 iifname @bridges goto to_loopback",
                "What of the host's loopback a container gets at.",
            ),
            (
                "ip saddr 127.0.0.0/8 iifname @bridges drop",
                "No container pretends to be the host's loopback.",
            ),
        ],
    },
    OfChain {
        name: "prerouting",
        why: "What comes in from outside or from a container, before it is routed.",
        rules: &[
            (
                "ip daddr 127.0.0.0/8 return",
                "A neighbour's packet for 127.0.0.1 stays one, and the kernel refuses it. Translated, it would reach a \
                 port that was published for the host alone.",
            ),
            (
                "ip6 daddr ::1 return",
                "The same for ::1. The kernel refuses it before it gets here, unless the bridge calls ip6tables.",
            ),
            ("fib daddr type local jump published", "To an address of the host, whichever it has now."),
        ],
    },
    OfChain {
        name: "output",
        why: "What the host's own programs send: so a published port is reached from the host itself, also at 127.0.0.1 \
              and ::1, without a proxy.",
        rules: &[
            (
                "ip6 daddr ::1 ip6 daddr != @loopback6 return",
                "Where bridges call ip6tables, the answers would be lost: a connection to ::1 is refused at once instead.",
            ),
            ("fib daddr type local jump published", "To an address of the host, whichever it has now."),
        ],
    },
    OfChain {
        name: "input",
        why: "What is for the host itself. Nothing of ours is decided here.",
        rules: &[
            (
                "ct status dnat ct direction reply jump answered",
                "What a published port answers to a program of the host, counted.",
            ),
            ("jump user-input", "A place for your rules."),
        ],
    },
    OfChain {
        name: "forward",
        why: "What passes through the host: the one place where it is decided what containers may receive and send. The \
              maps know only Pontoon's bridges, so everything else falls through.",
        rules: &[
            ("ct status dnat jump account", "What goes to a published port and comes from it is counted."),
            ("jump user-forward", "Your rules come first."),
            (
                "iifname . oifname vmap @within",
                "Within one network: allowed, or `apart`. Packets have this pair of names when they were routed back, and \
                 with `bridge-nf-call-iptables` all do.",
            ),
            ("iifname vmap @from", "From an internal network to anywhere: dropped."),
            (
                "meta nfproto ipv4 oifname vmap @to4",
                "To a network from anywhere else: `enter_…`, by its gateway mode for IPv4.",
            ),
            (
                "meta nfproto ipv6 oifname vmap @to6",
                "The same for IPv6; a network without IPv6 lets none in.",
            ),
        ],
    },
    OfChain {
        name: "postrouting",
        why: "The first packet of a connection, once it is known where it goes: whose source has to change so that the \
              answers come back here.",
        rules: &[
            (
                "ct status dnat ip daddr . ip daddr @self4 ip daddr . meta l4proto . th dport != @served4 add @served4 { \
                 ip daddr . meta l4proto . th dport }",
                "The first of all packets to a published port makes the element that counts them: its container has \
                 published ports, and there is none yet.",
            ),
            (
                "ct status dnat ip6 daddr . ip6 daddr @self6 ip6 daddr . meta l4proto . th dport != @served6 add @served6 { \
                 ip6 daddr . meta l4proto . th dport }",
                "The same for IPv6.",
            ),
            (
                "ct status dnat iifname . oifname @hairpin masquerade",
                "From a container by a published port to one of its own network: the answer would go straight to it, from \
                 an address that it did not ask. So the source becomes the gateway's.",
            ),
            (
                "ct status dnat ip saddr . ip daddr @self4 masquerade",
                "From a container by a published port to itself, with `bridge-nf-call-iptables`: there the bridge \
                 translates, and only the addresses tell.",
            ),
            ("ct status dnat ip6 saddr . ip6 daddr @self6 masquerade", "The same for IPv6."),
            (
                "ip saddr 127.0.0.0/8 oifname @bridges masquerade",
                "From the host's loopback to a container: it could not answer to 127.0.0.1.",
            ),
            ("ip6 saddr ::1 oifname @bridges masquerade", "Nor to ::1."),
            (
                "meta nfproto ipv4 oifname != @bridges snat ip to iifname map @snat4",
                "On the way out, from a network with a `host_ipv4` of its own.",
            ),
            (
                "meta nfproto ipv6 oifname != @bridges snat ip6 to iifname map @snat6",
                "The same for IPv6, with `host_ipv6`.",
            ),
            (
                "meta nfproto ipv4 iifname @masquerade4 oifname != @bridges masquerade",
                "On the way out, from any other network in a `nat` mode: the source becomes the outgoing interface's.",
            ),
            ("meta nfproto ipv6 iifname @masquerade6 oifname != @bridges masquerade", "The same for IPv6."),
        ],
    },
];

const SETS: [(&str, &str); 23] = [
    ("bridges", "This interface is a network's."),
    ("within", "What passes between containers of this network, where the host sees it."),
    ("from", "An internal network: nothing goes out."),
    ("to4", "What comes in for IPv4."),
    ("to6", "What comes in for IPv6."),
    ("masquerade4", "Sources become the outgoing interface's IPv4 address."),
    ("masquerade6", "Sources become the outgoing interface's IPv6 address."),
    ("snat4", "Sources become this IPv4 address."),
    ("snat6", "Sources become this IPv6 address."),
    ("hairpin", "What comes back by a published port needs the gateway's address as its source."),
    ("loopback6", "Published ports are reached at ::1 (bridges do not call ip6tables)."),
    ("self4", "The container has published ports; it reaches them itself, too."),
    ("self6", "The container has published ports; it reaches them itself, too."),
    ("at4", "This port of this address of the host leads to this port of the container."),
    ("at6", "This port of this address of the host leads to this port of the container."),
    ("any4", "This port of each IPv4 address of the host leads to this port of the container."),
    ("any6", "This port of each IPv6 address of the host leads to this port of the container."),
    ("open4", "This port of the container is open at its own address."),
    ("open6", "This port of the container is open at its own address."),
    ("served4", "What went to this published port is counted here."),
    ("served6", "What went to this published port is counted here."),
    ("answered4", "What came from this published port is counted here."),
    ("answered6", "What came from this published port is counted here."),
];

#[cfg(test)]
mod tests {
    use pontoon_nft::ruleset::Table;

    use super::*;
    use crate::Instance;

    fn table() -> Table {
        Table::made_by(&crate::ruleset::table(&Instance::host())).unwrap()
    }

    #[test]
    fn everything_has_a_reason() {
        let table = table();
        for listed in &table.chains {
            let name = &listed.chain.name;
            assert!(
                of_chain(&listed.chain).is_some(),
                "why is there the chain {name}? (plan/src/ruleset/reason.rs)"
            );
            for rule in &listed.rules {
                let why = of_rule(name, &rule.rule);
                assert!(why.is_some(), "why does {name} have `{}`?", text(&rule.rule));
            }
        }
        for listed in &table.sets {
            assert!(of_set(&listed.set).is_some(), "what does an element of {} do?", listed.set.name);
        }
    }

    #[test]
    fn no_reason_is_left_over() {
        let table = table();
        for chain in &CHAINS {
            assert!(table.chain(chain.name).is_some(), "there is no chain {}", chain.name);
        }
        for (chain, rule) in known_rules() {
            let listed = table.chain(chain).unwrap();
            assert!(listed.rules.iter().any(|there| text(&there.rule) == rule), "{chain} has no `{rule}`");
        }
        for (set, _) in &SETS {
            assert!(table.set(set).is_some(), "there is no set {set}");
        }
    }
}
