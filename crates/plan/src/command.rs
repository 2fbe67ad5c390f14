//! Plans as the commands that a person would have typed: `ip`, `bridge`, `tc`, `nft`, `conntrack`, `sysctl` and the
//! shell's own.

use std::fmt::Write as _;
use std::net::IpAddr;

use ipnet::IpNet;
use pontoon_model::impairment::{Delay, Rate};
use pontoon_model::network::NAMES;
use pontoon_model::op::{
    AddressOp, Bucket, ConntrackOp, FileOp, Flow, ImpairOp, LinkMark, LinkMending, LinkOp, LinkSettings,
    NeighbourOp, Netns, NetnsOp, NetnsPlace, NftOp, Op, RouteOp, Shape, SysctlOp, VethPeer, Wait,
};
use pontoon_model::route::StaticRoute;
pub use pontoon_model::shell::quote;
use pontoon_model::{IfName, Mac};
use pontoon_nft::syntax::{Command, shell_command};

use crate::account::begins_by_itself;
use crate::{Plan, guest};

/// The protocol that routes of ours carry: `pontoon_netlink::PROTOCOL`.
const PROTOCOL: &str = "112";

/// The whole plan as a shell script, each step under its reason.
pub fn script(plan: &Plan) -> String {
    let mut text = String::new();
    for step in &plan.steps {
        writeln!(text, "# {}", step.why).expect("writing to a String cannot fail");
        for command in commands(&step.op) {
            writeln!(text, "{command}").expect("writing to a String cannot fail");
        }
    }
    text
}

/// The commands for one operation, in order.
pub fn commands(op: &Op) -> Vec<String> {
    match op {
        Op::Link(op) => link(op),
        Op::Address(op) => vec![address(op)],
        Op::Route(op) => vec![route(op)],
        Op::Neighbour(op) => vec![neighbour(op)],
        Op::Impair(op) => impair(op),
        Op::Nft(op) => nft(op),
        Op::Conntrack(ConntrackOp::Forget { flows }) => flows.iter().flat_map(forget).collect(),
        Op::Sysctl(op) => vec![sysctl(op)],
        Op::Netns(NetnsOp::Add { name, .. }) => vec![format!("ip netns add {}", quote(name))],
        Op::Netns(NetnsOp::Delete { name, .. }) => vec![format!("ip netns delete {}", quote(name))],
        Op::File(op) => file(op),
        Op::Guest(op) => guest::commands(op),
    }
}

/// `ip`, in the namespace.
fn ip(netns: &Netns, rest: &str) -> String {
    netns.ip(rest)
}

/// Any program, in the namespace.
fn within(netns: &Netns, command: &str) -> String {
    netns.command(command)
}

/// The namespace as `ip link …` takes it; nothing for the host's, where a cable's end is beside the other.
fn netns_argument(netns: &Netns) -> String {
    match netns {
        Netns::Host => String::new(),
        Netns::Other { place: NetnsPlace::Named(name), .. } => format!(" netns {}", quote(name)),
        Netns::Other { place: NetnsPlace::Pid(pid), .. } => format!(" netns {pid}"),
        Netns::Other { place: NetnsPlace::Path(path), .. } => format!(" netns {}", quote(path)),
    }
}

/// The namespace in words.
fn whose(netns: &Netns) -> String {
    match netns {
        Netns::Host => "the host".to_owned(),
        Netns::Other { place: NetnsPlace::Named(name), .. } => name.clone(),
        Netns::Other { place, .. } => place.path(),
    }
}

fn link(op: &LinkOp) -> Vec<String> {
    match op {
        LinkOp::AddBridge { name, mark, mtu } => {
            let host = Netns::Host;
            let add = ip(&host, &format!("link add {} type bridge {BRIDGE}", device(name, mark.mac)));
            // By itself: an MTU that a bridge is created with goes with its last port.
            let mtu = mtu.map(|mtu| ip(&host, &format!("link set dev {} mtu {mtu}", quote(name.as_str()))));
            [add, alias(&host, name, &mark.alias)].into_iter().chain(mtu).collect()
        }
        LinkOp::AddVeth { netns, name, mark, master, peer, mtu } => {
            let add = veth(device(name, mark.mac), master.as_ref(), peer, *mtu);
            vec![ip(netns, &add), alias(netns, name, &mark.alias)]
        }
        LinkOp::Set { netns, name, settings } => set(netns, name, settings),
        LinkOp::Mend { netns, name, mark, mending } => mend(netns, name, mark, mending),
        LinkOp::Delete { netns, name, .. } => {
            vec![ip(netns, &format!("link delete dev {}", quote(name.as_str())))]
        }
        LinkOp::Vanish { name, .. } => {
            let device = quote(name.as_str());
            vec![format!(
                "# {} goes with its namespace, or else: {}",
                name,
                ip(&Netns::Host, &format!("link delete dev {device}"))
            )]
        }
        LinkOp::Settle { names, others, addresses } => {
            let host = names
                .iter()
                .map(|name| ip(&Netns::Host, &format!("-o link show dev {}", quote(name.as_str()))));
            let rest = others
                .iter()
                .map(|(netns, name)| ip(netns, &format!("-o link show dev {}", quote(name.as_str()))));
            let local =
                addresses.iter().map(|(netns, address)| ip(netns, &format!("-6 route get {address}")));
            host.chain(rest).chain(local).collect()
        }
    }
}

/// What bridges are made with.
const BRIDGE: &str = "stp_state 0 forward_delay 0 mcast_snooping 0 no_linklocal_learn 1";

fn device(name: &IfName, mac: Mac) -> String {
    format!("{} address {mac}", quote(name.as_str()))
}

fn mtu_argument(mtu: Option<u32>) -> String {
    mtu.map_or_else(String::new, |mtu| format!(" mtu {mtu}"))
}

fn veth(first: String, master: Option<&IfName>, peer: &VethPeer, mtu: Option<u32>) -> String {
    let queues = "numtxqueues 1 numrxqueues 1";
    let mtu = mtu_argument(mtu);
    let master = master.map_or_else(String::new, |master| format!(" master {}", quote(master.as_str())));
    let second = device(&peer.name, peer.mac);
    let netns = netns_argument(&peer.netns);
    format!("link add {first}{mtu} {queues}{master} type veth peer name {second}{mtu} {queues}{netns}")
}

fn alias(netns: &Netns, name: &IfName, alias: &str) -> String {
    ip(netns, &format!("link set dev {} alias {}", quote(name.as_str()), quote(alias)))
}

fn set(netns: &Netns, name: &IfName, settings: &LinkSettings) -> Vec<String> {
    let device = quote(name.as_str());
    let mut commands = Vec::new();
    if let Some(master) = &settings.master {
        commands.push(ip(netns, &format!("link set dev {device} master {}", quote(master.as_str()))));
    }
    if settings.no_autoconf {
        commands.push(ip(netns, &format!("link set dev {device} addrgenmode none")));
    }
    for (conf, on) in &settings.devconf {
        let key = format!("net/ipv4/conf/{name}/{}", conf.name());
        commands.push(within(netns, &assignment(&key, if *on { "1" } else { "0" })));
    }
    if settings.hairpin {
        commands.push(within(netns, &format!("bridge link set dev {device} hairpin on")));
    }
    if settings.isolated {
        commands.push(within(netns, &format!("bridge link set dev {device} isolated on")));
    }
    if settings.up {
        commands.push(ip(netns, &format!("link set dev {device} up")));
    }
    commands
}

fn mend(netns: &Netns, name: &IfName, mark: &LinkMark, mending: &LinkMending) -> Vec<String> {
    let device = quote(name.as_str());
    let mut commands = Vec::new();
    if mending.mark {
        commands.push(ip(netns, &format!("link set dev {device} address {}", mark.mac)));
        commands.push(alias(netns, name, &mark.alias));
    }
    if let Some(mtu) = mending.mtu {
        commands.push(ip(netns, &format!("link set dev {device} mtu {mtu}")));
    }
    if mending.bridge {
        commands.push(ip(netns, &format!("link set dev {device} type bridge stp_state 0")));
        commands.push(ip(netns, &format!("link set dev {device} type bridge {BRIDGE}")));
    }
    if let Some(isolated) = mending.isolated {
        let isolated = if isolated { "on" } else { "off" };
        let rest = "learning on flood on mcast_flood on bcast_flood on";
        commands.push(within(netns, &format!("bridge link set dev {device} isolated {isolated} {rest}")));
    }
    commands
}

fn address(op: &AddressOp) -> String {
    match op {
        AddressOp::Add { netns, link, address } => {
            let nodad = if matches!(address, IpNet::V6(_)) { " nodad" } else { "" };
            ip(netns, &format!("address add {address} dev {}{nodad}", quote(link.as_str())))
        }
        AddressOp::Delete { netns, link, address } => {
            ip(netns, &format!("address delete {address} dev {}", quote(link.as_str())))
        }
    }
}

fn route(op: &RouteOp) -> String {
    let names = |verb, source, link: &IfName| {
        let device = quote(link.as_str());
        let to = format!("{} dev {device} src {source} table local proto {PROTOCOL}", NAMES);
        format!("route {verb} {to} scope link")
    };
    let (netns, verb, via, link) = match op {
        RouteOp::Names { netns, link, source, .. } => return ip(netns, &names("replace", source, link)),
        RouteOp::DeleteNames { netns, link, source } => return ip(netns, &names("delete", source, link)),
        RouteOp::Static { netns, link, route } => return ip(netns, &static_route("add", link, *route)),
        RouteOp::DeleteStatic { netns, link, route } => {
            return ip(netns, &static_route("delete", link, *route));
        }
        RouteOp::Default { netns, via, link, .. } => (netns, "replace", via, link),
        RouteOp::DeleteDefault { netns, via, link } => (netns, "delete", via, link),
        RouteOp::Loopback { link, metric } => {
            let device = quote(link.as_str());
            let route = format!("local ::1 dev {device} table local metric {metric} proto {PROTOCOL}");
            return ip(&Netns::Host, &format!("-6 route replace {route}"));
        }
        RouteOp::Subnet { link, address } => {
            let (device, subnet) = (quote(link.as_str()), address.trunc());
            let rest = match address {
                IpNet::V4(net) => format!("proto kernel scope link src {}", net.addr()),
                IpNet::V6(_) => "proto kernel metric 256".to_owned(),
            };
            let family = if address.addr().is_ipv6() { "-6 " } else { "" };
            return ip(&Netns::Host, &format!("{family}route replace {subnet} dev {device} {rest}"));
        }
    };
    let family = if via.is_ipv6() { "-6 " } else { "" };
    ip(
        netns,
        &format!("{family}route {verb} default via {via} dev {} proto {PROTOCOL}", quote(link.as_str())),
    )
}

fn static_route(verb: &str, link: &IfName, route: StaticRoute) -> String {
    let family = if route.via.is_ipv6() { "-6 " } else { "" };
    format!("{family}route {verb} {route} dev {} proto {PROTOCOL}", quote(link.as_str()))
}

fn neighbour(op: &NeighbourOp) -> String {
    match op {
        NeighbourOp::Set { netns, link, address, mac } => {
            let device = quote(link.as_str());
            ip(netns, &format!("neighbour replace {address} lladdr {mac} dev {device} nud permanent"))
        }
        NeighbourOp::Delete { netns, link, address } => {
            ip(netns, &format!("neighbour delete {address} dev {}", quote(link.as_str())))
        }
        NeighbourOp::Greet { netns, from, to } => {
            within(netns, &format!("ping -n -c 1 -W 1 -I {from} {to} > /dev/null || true"))
        }
        NeighbourOp::Announce { netns, link, address, mac } => {
            // A comment, which the shell passes over.
            let what = format!("unsolicited neighbour advertisement, {} is at {mac}", IpAddr::from(*address));
            format!("# (no common tool sends this: {what}, out of {link} in {})", whose(netns))
        }
    }
}

fn nft(op: &NftOp) -> Vec<String> {
    transaction(&op.commands)
}

fn transaction(commands: &[Command]) -> Vec<String> {
    commands.iter().flat_map(deletion).map(|command| shell_command(&command)).collect()
}

fn impair(op: &ImpairOp) -> Vec<String> {
    match op {
        ImpairOp::Shape { netns, link, now, before } => shape(netns, link, now, before),
        ImpairOp::Rules { netns, now, .. } => {
            transaction(now).iter().map(|command| within(netns, command)).collect()
        }
    }
}

fn shape(netns: &Netns, link: &IfName, now: &Shape, before: &Shape) -> Vec<String> {
    let device = quote(link.as_str());
    let Some(handle) = now.root_handle() else {
        let gone =
            before.root_handle().map(|handle| format!("qdisc delete dev {device} root handle {handle:x}:"));
        return gone.iter().map(|rest| tc(netns, rest)).collect();
    };
    let bucket = now.bucket.map(|Bucket { rate, burst, limit }| {
        format!("tbf rate {} burst {burst}b limit {limit}b", Rate(rate))
    });
    let wait = now.wait.map(|Wait { delay, jitter, limit }| {
        let jitter = if jitter.is_zero() { String::new() } else { format!(" {}", Delay(jitter)) };
        format!("netem delay {}{jitter} limit {limit}", Delay(delay))
    });
    let root = format!("root handle {handle:x}:");
    let inside = format!("parent {handle:x}:1 handle {:x}:", Shape::INNER_HANDLE);
    let places = [root, inside].into_iter().zip(bucket.into_iter().chain(wait));
    places.map(|(place, what)| tc(netns, &format!("qdisc replace dev {device} {place} {what}"))).collect()
}

/// `tc`, in the namespace.
fn tc(netns: &Netns, rest: &str) -> String {
    match netns {
        Netns::Other { place: NetnsPlace::Named(name), .. } => format!("tc -n {} {rest}", quote(name)),
        netns => within(netns, &format!("tc {rest}")),
    }
}

/// `destroy` is content when the object is not there, but nft before 1.0.7 does not know the word; a person who types
/// the command knows that it is there, but for what packets make: that is added before it is deleted.
fn deletion(command: &Command) -> Vec<Command> {
    match command {
        Command::DestroyTable { table } => vec![Command::DeleteTable { table: table.clone() }],
        Command::DestroyElements(elements) => {
            let add = begins_by_itself(&elements.set).then(|| Command::AddElements(elements.clone()));
            add.into_iter().chain([Command::DeleteElements(elements.clone())]).collect()
        }
        other => vec![other.clone()],
    }
}

/// conntrack(8) fails when it deletes nothing. Which family it takes when it is not told depends on its version.
fn forget(flow: &Flow) -> Vec<String> {
    let (families, protocol, which): (&[&str], _, _) = match flow {
        Flow::SentTo { protocol, address, port } => {
            let to = address.filter(|address| !address.is_unspecified());
            let to = to.map_or_else(String::new, |address| format!(" --orig-dst {address}"));
            let families = address.map_or(["ipv4", "ipv6"].as_slice(), family);
            (families, protocol, format!("--orig-port-dst {port}{to}"))
        }
        Flow::AnsweredBy { protocol, address, port } => {
            (family(*address), protocol, format!("--reply-src {address} --reply-port-src {port}"))
        }
    };
    let command = |family: &&str| format!("conntrack -D -f {family} -p {protocol} {which} || true");
    families.iter().map(command).collect()
}

fn family(address: IpAddr) -> &'static [&'static str] {
    if address.is_ipv6() { &["ipv6"] } else { &["ipv4"] }
}

fn sysctl(op: &SysctlOp) -> String {
    within(&op.netns, &assignment(&op.key, &op.value))
}

/// sysctl(8) takes slashes too, and must where a dot is part of an interface's name.
fn assignment(key: &str, value: &str) -> String {
    let key = if key.contains('.') { key.to_owned() } else { key.replace('/', ".") };
    format!("sysctl -w {}", quote(&format!("{key}={value}")))
}

/// What sed(1) is told to put one whole line in the place of another.
fn replacement(before: &str, after: &str) -> String {
    let escaped = |text: &str, special: &str| {
        let mut escaped = String::new();
        for letter in text.chars() {
            match letter {
                '\t' => escaped.push_str("\\t"),
                letter if special.contains(letter) => escaped.extend(['\\', letter]),
                letter => escaped.push(letter),
            }
        }
        escaped
    };
    format!("s/^{}$/{}/", escaped(before, r".[]*^$/\"), escaped(after, r"&/\"))
}

fn file(op: &FileOp) -> Vec<String> {
    match op {
        FileOp::Write { path, contents } => {
            let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
            let make = format!("mkdir -p {}", quote(folder));
            vec![make, format!("printf %s {} > {}", quote(contents), quote(path))]
        }
        FileOp::Edit { within, path, lines, .. } => {
            let path = match within {
                Some(process) => format!("/proc/{}/root{path}", process.pid),
                None => path.clone(),
            };
            let script: Vec<String> =
                lines.iter().map(|(before, after)| replacement(before, after)).collect();
            let (path, script) = (quote(&path), quote(&script.join("; ")));
            // Not `sed -i`, which would put another file in its place: a mount would still show this one.
            vec![format!("text=$(sed {script} {path}) && printf '%s\\n' \"$text\" > {path}")]
        }
        FileOp::Remove { path, .. } => {
            let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
            vec![
                format!("rm -f {}", quote(path)),
                format!("rmdir --ignore-fail-on-non-empty {}", quote(folder)),
            ]
        }
    }
}

#[cfg(test)]
mod tests {
    use pontoon_model::publish::Protocol;

    use super::*;

    #[test]
    fn words_are_quoted_when_a_shell_would_split_them() {
        assert_eq!(quote("eth0"), "eth0");
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("it's"), r"'it'\''s'");
    }

    #[test]
    fn flows_are_forgotten_whether_there_are_any_or_not() {
        let protocol = Protocol::Udp;
        let sent_to = |address: Option<&str>| Flow::SentTo {
            protocol,
            address: address.map(|address| address.parse().unwrap()),
            port: 8080,
        };
        let any = "--orig-port-dst 8080";
        let typed = |flow: &Flow| forget(flow).join("\n");
        assert_eq!(
            typed(&sent_to(None)),
            format!("conntrack -D -f ipv4 -p udp {any} || true\nconntrack -D -f ipv6 -p udp {any} || true")
        );
        assert_eq!(typed(&sent_to(Some("::"))), format!("conntrack -D -f ipv6 -p udp {any} || true"));
        assert_eq!(
            typed(&sent_to(Some("192.0.2.1"))),
            format!("conntrack -D -f ipv4 -p udp {any} --orig-dst 192.0.2.1 || true")
        );
        let answered = Flow::AnsweredBy { protocol, address: "fd00::2".parse().unwrap(), port: 53 };
        assert_eq!(
            typed(&answered),
            "conntrack -D -f ipv6 -p udp --reply-src fd00::2 --reply-port-src 53 || true"
        );
    }

    #[test]
    fn an_interface_with_a_dot_keeps_slashes() {
        assert_eq!(
            assignment("net/ipv4/conf/eth0.1/forwarding", "1"),
            "sysctl -w net/ipv4/conf/eth0.1/forwarding=1"
        );
        assert_eq!(assignment("net/ipv4/ip_forward", "1"), "sysctl -w net.ipv4.ip_forward=1");
    }
}
