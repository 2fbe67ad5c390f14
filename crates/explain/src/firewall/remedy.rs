//! What lets packets through that a firewall drops, as commands.

use pontoon_nft::ruleset::Table;
use pontoon_nft::syntax::{
    Command, Family, Hook, Key, Match, PortSide, Rule, Statement, Transport, Value, Verdict, shell_command,
};

use super::docker::{DOCKER_USER, docker_bridges};
use super::owner::{Owner, is_iptables};
use super::traffic::{Traffic, is_about_names};

/// Which program changes a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tables {
    /// nf_tables'.
    Nft,
    /// ip_tables', which are iptables-legacy's.
    Legacy,
}

/// What is to be let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// What enters or leaves a bridge.
    Through,
    /// What comes from a bridge for the host.
    Host,
    /// Of that, what asks for names.
    Names,
    /// What the host answers to that.
    NameAnswers,
}

impl Opening {
    /// What lets `traffic` pass that was dropped at `hook`.
    pub(super) fn of(hook: Hook, traffic: &[Traffic]) -> Self {
        match hook {
            Hook::Output | Hook::Postrouting => Self::NameAnswers,
            _ if is_about_names(traffic) => Self::Names,
            Hook::Input => Self::Host,
            _ => Self::Through,
        }
    }
}

/// The port where names are asked for. Source: RFC 1035, section 4.2.
const NAMES: u16 = 53;

/// The commands that have `owner` let through what there is of `bridges`, in the chain `base` of `table`.
pub(super) fn commands(
    owner: Owner,
    tables: Tables,
    table: &Table,
    base: &str,
    opening: Opening,
    bridges: &[String],
) -> Vec<String> {
    match (owner, tables) {
        (Owner::Ufw, _) => each(bridges, |bridge| ufw(opening, bridge)),
        (Owner::Firewalld, _) => firewalld(bridges),
        (_, Tables::Legacy) => {
            each(bridges, |bridge| iptables(&legacy_program(table), table, base, opening, bridge))
        }
        (_, Tables::Nft) if is_iptables(table) => {
            each(bridges, |bridge| iptables(program(table), table, base, opening, bridge))
        }
        (_, Tables::Nft) => each(bridges, |bridge| nft(table, base, opening, bridge)),
    }
}

fn each(bridges: &[String], of: impl Fn(&str) -> Vec<String>) -> Vec<String> {
    bridges.iter().flat_map(|bridge| of(bridge)).collect()
}

/// Source: ufw(8), "route allow" and "rule syntax".
fn ufw(opening: Opening, bridge: &str) -> Vec<String> {
    match opening {
        Opening::Through => {
            vec![format!("ufw route allow in on {bridge}"), format!("ufw route allow out on {bridge}")]
        }
        Opening::Host => vec![format!("ufw allow in on {bridge}")],
        Opening::Names => vec![format!("ufw allow in on {bridge} to any port {NAMES}")],
        Opening::NameAnswers => vec![format!("ufw allow out on {bridge} from any port {NAMES}")],
    }
}

/// A zone for the bridges, and policies for what goes from it and to it: zones alone do not forward to each other.
///
/// Source: firewalld.policies(5).
fn firewalld(bridges: &[String]) -> Vec<String> {
    let permanent = |rest: &str| format!("firewall-cmd --permanent {rest}");
    let mut commands = vec![permanent("--new-zone=pontoon"), permanent("--zone=pontoon --set-target=ACCEPT")];
    commands
        .extend(bridges.iter().map(|bridge| permanent(&format!("--zone=pontoon --add-interface={bridge}"))));
    for (policy, from, to) in [("pontoon-out", "pontoon", "ANY"), ("pontoon-in", "ANY", "pontoon")] {
        commands.push(permanent(&format!("--new-policy={policy}")));
        commands.push(permanent(&format!("--policy={policy} --set-target=ACCEPT")));
        commands.push(permanent(&format!("--policy={policy} --add-ingress-zone={from}")));
        commands.push(permanent(&format!("--policy={policy} --add-egress-zone={to}")));
    }
    commands.push("firewall-cmd --reload".to_owned());
    commands
}

fn program(table: &Table) -> &'static str {
    if table.table.family == Family::Ip6 { "ip6tables" } else { "iptables" }
}

fn legacy_program(table: &Table) -> String {
    format!("{}-legacy", program(table))
}

fn iptables(program: &str, table: &Table, base: &str, opening: Opening, bridge: &str) -> Vec<String> {
    let docker = opening == Opening::Through && table.chain(DOCKER_USER).is_some();
    let chain = if docker { DOCKER_USER } else { base };
    let of = match table.table.name.as_str() {
        "filter" => String::new(),
        other => format!(" -t {other}"),
    };
    let insert = |what: String| format!("{program}{of} -I {chain} {what} -j ACCEPT");
    // What goes to Docker's own containers is left to its rules. Each goes to the top.
    let left_to_docker = |other: String| {
        let other = other.replace('*', "+");
        format!("{program}{of} -I {chain} -i {bridge} -o {other} -j RETURN")
    };
    let by_protocol = |way: &str, port: &str| {
        ["udp", "tcp"].map(|protocol| insert(format!("{way} {bridge} -p {protocol} {port} {NAMES}"))).into()
    };
    match opening {
        Opening::Through => {
            let mut commands = vec![insert(format!("-i {bridge}"))];
            if docker {
                commands.extend(docker_bridges(table).into_iter().map(left_to_docker));
            }
            commands.push(insert(format!("-o {bridge}")));
            commands
        }
        Opening::Host => vec![insert(format!("-i {bridge}"))],
        Opening::Names => by_protocol("-i", "--dport"),
        Opening::NameAnswers => by_protocol("-o", "--sport"),
    }
}

fn nft(table: &Table, base: &str, opening: Opening, bridge: &str) -> Vec<String> {
    let is = |key: Key| Match::is(key, Value::Ifname(bridge.to_owned()));
    let insert = |matches: Vec<Statement>| {
        let statements = matches.into_iter().chain([Verdict::Accept.into()]);
        let rule = Rule::new(statements.collect::<Vec<_>>());
        shell_command(&Command::InsertRule { table: table.table.clone(), chain: base.to_owned(), rule })
    };
    let by_protocol = |way: Key, side: PortSide| {
        [Transport::Udp, Transport::Tcp].map(|transport| {
            insert(vec![is(way), Match::is(Key::Port { transport, side }, Value::Port(NAMES))])
        })
    };
    match opening {
        Opening::Through => [Key::IIFNAME, Key::OIFNAME].map(|way| insert(vec![is(way)])).into(),
        Opening::Host => vec![insert(vec![is(Key::IIFNAME)])],
        Opening::Names => by_protocol(Key::IIFNAME, PortSide::Destination).into(),
        Opening::NameAnswers => by_protocol(Key::OIFNAME, PortSide::Source).into(),
    }
}
