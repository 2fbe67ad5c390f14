//! What lets packets through that a firewall drops, as commands.

use pontoon_nft::ruleset::Table;
use pontoon_nft::syntax::{Command, Family, Hook, Key, Match, Rule, Value, Verdict, shell_command};

use super::owner::{Owner, is_iptables};

/// Which program changes a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tables {
    /// nf_tables'.
    Nft,
    /// ip_tables', which are iptables-legacy's.
    Legacy,
}

/// Docker's chain for other people's rules, which comes before its own.
///
/// Source: <https://docs.docker.com/engine/network/packet-filtering-firewalls/>.
pub const DOCKER_USER: &str = "DOCKER-USER";

/// The commands that have `owner` let through what enters or leaves `bridges`, in the chain `base` of `table`.
pub(super) fn commands(
    owner: Owner,
    tables: Tables,
    table: &Table,
    base: &str,
    hook: Hook,
    bridges: &[String],
) -> Vec<String> {
    match (owner, tables) {
        (Owner::Ufw, _) => each(bridges, |bridge| ufw(hook, bridge)),
        (Owner::Firewalld, _) => firewalld(bridges),
        (_, Tables::Legacy) => {
            each(bridges, |bridge| iptables(&legacy_program(table), table, base, hook, bridge))
        }
        (_, Tables::Nft) if is_iptables(table) => {
            each(bridges, |bridge| iptables(program(table), table, base, hook, bridge))
        }
        (_, Tables::Nft) => each(bridges, |bridge| nft(table, base, hook, bridge)),
    }
}

fn each(bridges: &[String], of: impl Fn(&str) -> Vec<String>) -> Vec<String> {
    bridges.iter().flat_map(|bridge| of(bridge)).collect()
}

/// Source: ufw(8), "route allow".
fn ufw(hook: Hook, bridge: &str) -> Vec<String> {
    match hook {
        Hook::Input => vec![format!("ufw allow in on {bridge}")],
        _ => vec![format!("ufw route allow in on {bridge}"), format!("ufw route allow out on {bridge}")],
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

fn iptables(program: &str, table: &Table, base: &str, hook: Hook, bridge: &str) -> Vec<String> {
    if hook == Hook::Input {
        return vec![format!("{program} -I {base} -i {bridge} -j ACCEPT")];
    }
    let chain = if table.chain(DOCKER_USER).is_some() { DOCKER_USER } else { base };
    ["-i", "-o"].map(|way| format!("{program} -I {chain} {way} {bridge} -j ACCEPT")).into()
}

fn nft(table: &Table, base: &str, hook: Hook, bridge: &str) -> Vec<String> {
    let ways: &[Key] = if hook == Hook::Input { &[Key::IIFNAME] } else { &[Key::IIFNAME, Key::OIFNAME] };
    let insert = |way: &Key| {
        let rule = Rule::new([Match::is(*way, Value::Ifname(bridge.to_owned())), Verdict::Accept.into()]);
        shell_command(&Command::InsertRule { table: table.table.clone(), chain: base.to_owned(), rule })
    };
    ways.iter().map(insert).collect()
}
