//! What lets a packet through that somebody's rules drop, or that has no way.

use std::borrow::Cow;
use std::net::IpAddr;

use pontoon_model::Network;
use pontoon_model::observed::snapshot::{Link, Namespace, Snapshot};
use pontoon_model::option::GatewayMode;
use pontoon_model::shell::{quote, quoted};
use pontoon_nft::ruleset::Table;
use pontoon_nft::syntax::{Base, Family, Hook, TableRef, protocol};

use super::finding::{Code, Finding};
use super::hooks::hook_name;
use super::{Flow, Way};
use crate::firewall::{DOCKER_USER, is_iptables, owner};
use crate::walk::Reason;

/// Where a packet was when it was dropped.
pub(super) struct Scene<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) at: usize,
    pub(super) iif: Option<&'a Link>,
    pub(super) oif: Option<&'a Link>,
    pub(super) flow: Flow,
    pub(super) way: Way,
}

/// The finding that a chain drops the packet.
pub(super) fn dropped(
    scene: &Scene<'_>,
    table: &Table,
    base: &Base,
    reason: &Reason,
    legacy: bool,
) -> Finding {
    let namespace = &scene.snapshot.namespaces[scene.at];
    let chain = reason.chains.last().map_or("?", String::as_str);
    let found = |sentence: String| Finding::new(Code::FirewallDrop, &namespace.name, sentence);
    if is_ours(table) {
        return ours(scene, reason, chain);
    }
    let whose = if legacy { "iptables-legacy".to_owned() } else { owner(table, chain).to_string() };
    let handle = reason.handle.filter(|_| !legacy);
    let handle = handle.map_or_else(String::new, |handle| format!(", handle {handle}"));
    let sentence = format!(
        "dropped at {} by {whose}: table {}, chain {chain}{handle}: {}",
        hook_name(base.hook),
        table.table,
        reason.text
    );
    let head = reason.chains.first().map_or("?", String::as_str);
    let command = if legacy || is_iptables(table) {
        iptables(scene, table, base.hook, head, legacy)
    } else {
        let matches = nft_matches(scene, base.hook, table.table.family == Family::Bridge);
        format!("nft insert rule {} {} {matches} accept", table_words(&table.table), quote(head))
    };
    let shown = match legacy {
        true => "nft does not list these rules; `iptables-legacy -S` does",
        false => "a drop is final: no other table's accept lets the packet through",
    };
    let bridged = scene.iif.zip(scene.oif).filter(|(iif, oif)| iif.index == oif.index);
    let finding = found(sentence).fix(namespace.command(&command));
    match bridged {
        None => finding.advice(shown),
        Some((bridge, _)) => finding.advice(format!(
            "frames on {} meet rules for IP because bridge-nf-call-iptables is 1; with 0 they do not, those of Docker either",
            bridge.name
        )),
    }
}

/// Whether it is a table of Pontoon's, of any instance.
pub(crate) fn is_ours(table: &Table) -> bool {
    table.table.name.starts_with("pontoon")
        && matches!(table.table.family, Family::Inet | Family::Bridge | Family::Netdev)
}

fn ours(scene: &Scene<'_>, reason: &Reason, chain: &str) -> Finding {
    let namespace = &scene.snapshot.namespaces[scene.at];
    let handle = reason.handle.map_or_else(String::new, |handle| format!(", handle {handle}"));
    let sentence = format!(
        "Pontoon's own rules drop it: table {}, chain {chain}{handle}: {}",
        reason.table, reason.text
    );
    let found = Finding::new(Code::FirewallDrop, &namespace.name, sentence);
    if let (true, Some(handle)) = (chain.starts_with("user-"), reason.handle) {
        let command =
            format!("nft delete rule {} {} handle {handle}", table_words(&reason.table), quote(chain));
        return found.fix(namespace.command(&command)).advice("the rule is the administrator's own");
    }
    if reason.table.family == Family::Bridge {
        return found.advice("the packet is not from an address that its port is allowed to send with");
    }
    if reason.table.family == Family::Netdev {
        return found.advice("the interface was impaired: `pontoon impair NAME --clear`");
    }
    let target = scene.snapshot.owners(scene.flow.destination).next();
    let name = target.map(|target| scene.snapshot.namespaces[target].name.as_str());
    let network = network_of(scene.snapshot, scene.flow.destination);
    match (name, network, chain.starts_with("enter_")) {
        (Some(name), Some(network), true) if scene.iif.is_some_and(|link| is_bridge_of_ours(scene.snapshot, link)) => {
            found.advice(format!(
                "networks do not reach each other: connect both containers to one (`pontoon network connect {} …`), or \
                 publish a port of {name}",
                network.name
            ))
        }
        (Some(name), _, true) if scene.flow.has_ports() => {
            let port = scene.flow.destination_port.first;
            let kind = if scene.flow.protocol == protocol::UDP { "/udp" } else { "" };
            found.advice(format!(
                "nothing of {name} is published that leads there: `pontoon publish {} {port}:{port}{kind}`, and then ask \
                 for the host's address",
                quote(name)
            ))
        }
        _ => found.advice("that is what the network was made for: it is internal, keeps its containers apart, or protects them"),
    }
}

fn is_bridge_of_ours(snapshot: &Snapshot, link: &Link) -> bool {
    snapshot.networks.iter().any(|network| network.bridge_name.as_str() == link.name)
}

/// The network of ours whose subnet an address is in.
pub(crate) fn network_of(snapshot: &Snapshot, address: IpAddr) -> Option<&Network> {
    snapshot.networks.iter().find(|network| network.pools().any(|pool| pool.subnet.contains(&address)))
}

/// The network of ours whose bridge a link is.
pub(crate) fn network_by_bridge<'a>(snapshot: &'a Snapshot, bridge: &str) -> Option<&'a Network> {
    snapshot.networks.iter().find(|network| network.bridge_name.as_str() == bridge)
}

/// Whether a network's sources are to become the host's when they leave it.
pub(crate) fn is_masqueraded(network: &Network, address: IpAddr) -> bool {
    let pool = network.pools().find(|pool| pool.subnet.contains(&address));
    pool.is_some_and(|pool| {
        matches!(network.gateway_mode(pool), GatewayMode::Nat | GatewayMode::NatUnprotected)
            && network.is_way_out(pool)
            && network.bridge.masquerade
    })
}

/// A table as words of a shell: family and name.
pub(crate) fn table_words(table: &TableRef) -> String {
    format!("{} {}", table.family, quote(&table.name))
}

/// The conditions of an nft rule that is for this packet and its like.
///
/// Not every kernel follows connections of frames on bridges, so an answer is told by its ports there.
fn nft_matches(scene: &Scene<'_>, hook: Hook, frames: bool) -> String {
    let mut parts = Vec::new();
    if let Some(link) = scene.iif {
        parts.push(format!("iifname {}", nft_name(link)));
    }
    if let Some(link) = scene.oif {
        parts.push(format!("oifname {}", nft_name(link)));
    }
    match (scene.way, hook) {
        (Way::Back, _) if frames => parts.extend(nft_answer(scene.flow)),
        (Way::Back, _) => parts.push("ct state established,related".to_owned()),
        (Way::There, Hook::Input | Hook::Output) => parts.extend(nft_port(scene.flow)),
        _ => {}
    }
    parts.join(" ")
}

/// An interface's name as a word of nft's, which is one of a shell too: one that nft would not take for a name has its
/// quotation marks.
fn nft_name(link: &Link) -> String {
    match quoted(&link.name) {
        Cow::Borrowed(plain) => plain.to_owned(),
        Cow::Owned(_) => quote(&format!("\"{}\"", link.name.replace('"', ""))),
    }
}

fn nft_answer(flow: Flow) -> Option<String> {
    match flow.protocol {
        protocol::TCP => Some(format!("tcp sport {}", flow.source_port.first)),
        protocol::UDP => Some(format!("udp sport {}", flow.source_port.first)),
        protocol::ICMP => Some("icmp type echo-reply".to_owned()),
        protocol::ICMPV6 => Some("icmpv6 type echo-reply".to_owned()),
        _ => None,
    }
}

fn nft_port(flow: Flow) -> Option<String> {
    match flow.protocol {
        protocol::TCP => Some(format!("tcp dport {}", flow.destination_port.first)),
        protocol::UDP => Some(format!("udp dport {}", flow.destination_port.first)),
        protocol::ICMP => Some("icmp type echo-request".to_owned()),
        protocol::ICMPV6 => Some("icmpv6 type echo-request".to_owned()),
        _ => None,
    }
}

fn iptables(scene: &Scene<'_>, table: &Table, hook: Hook, head: &str, legacy: bool) -> String {
    let mut command = if table.table.family == Family::Ip6 { "ip6tables" } else { "iptables" }.to_owned();
    if legacy {
        command.push_str("-legacy");
    }
    if table.table.name != "filter" {
        command.push_str(&format!(" -t {}", table.table.name));
    }
    let docker = hook == Hook::Forward && table.chain(DOCKER_USER).is_some();
    command.push_str(&format!(" -I {}", if docker { DOCKER_USER } else { head }));
    for (flag, link) in [("-i", scene.iif), ("-o", scene.oif)] {
        if let Some(link) = link {
            command.push_str(&format!(" {flag} {}", quote(&link.name)));
        }
    }
    match (scene.way, hook, scene.flow.protocol) {
        (Way::Back, ..) => command.push_str(" -m conntrack --ctstate ESTABLISHED,RELATED"),
        (Way::There, Hook::Input | Hook::Output, protocol::TCP | protocol::UDP) => {
            let name = if scene.flow.protocol == protocol::TCP { "tcp" } else { "udp" };
            command.push_str(&format!(" -p {name} --dport {}", scene.flow.destination_port.first));
        }
        _ => {}
    }
    command + " -j ACCEPT"
}

/// What has the sources of a subnet become the host's as they leave by `link`.
pub(super) fn masquerade(
    snapshot: &Snapshot,
    namespace: &Namespace,
    source: IpAddr,
    link: &str,
) -> Vec<String> {
    if network_of(snapshot, source).is_some_and(|network| is_masqueraded(network, source)) {
        return vec![snapshot.restore.clone()];
    }
    let own = namespace.addresses.iter().map(|one| one.address);
    let subnet = own.filter(|net| net.prefix_len() > 0).find(|net| net.contains(&source));
    let subnet = subnet.map_or_else(|| source.to_string(), |net| net.trunc().to_string());
    let family = if source.is_ipv4() { "ip" } else { "ip6" };
    let rules = format!(
        "add table {family} way_back; add chain {family} way_back out {{ type nat hook postrouting priority srcnat; }}; \
         add rule {family} way_back out {family} saddr {subnet} oifname \"{}\" masquerade",
        link.replace('"', "")
    );
    vec![namespace.command(&format!("nft {}", quote(&rules)))]
}
