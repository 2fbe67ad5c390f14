//! Letting our bridges through the firewalls of others, and taking that back.
//!
//! A rule of ours is one that the program whose chain it is in can still list: an interface and `accept`.

use pontoon_model::op::{GuestOp, Op};
use pontoon_nft::syntax::{Command, Key, Match, Rule, TableRef, Value, Verdict, shell_command};

use crate::command::quote;
use crate::undo::first_line;
use crate::{Instance, Plan};

/// What the names of bridges begin with that are made of their network's id.
const GENERATED: &str = "pt-";

/// Where firewalld keeps what an administrator adds. Source: firewalld.zone(5), firewalld.policy(5).
pub const FIREWALLD: &str = "/etc/firewalld";

/// A chain of somebody else that is to let our bridges through, and those of our rules that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The table.
    pub table: TableRef,
    /// Its name.
    pub name: String,
    /// Whose it is, in words.
    pub owner: String,
    /// The rules with our mark that are in it, and their numbers.
    pub present: Vec<(u64, Rule)>,
}

/// The names that rules are written for: one for all bridges that are named by their network's id, and each of the
/// others. `*` stands for what follows.
pub fn names(instance: &Instance, bridges: &[String]) -> Vec<String> {
    let mut names = vec![format!("{GENERATED}*")];
    names.extend(instance.default_bridge().map(str::to_owned));
    names.extend(bridges.iter().filter(|name| !name.starts_with(GENERATED)).cloned());
    names.sort();
    names.dedup();
    names
}

/// The rules that let through what enters or leaves bridges of these names.
pub fn rules(instance: &Instance, names: &[String]) -> Vec<Rule> {
    let rule = |key: Key, name: &String| {
        let accept = [Match::is(key, Value::Ifname(name.clone())), Verdict::Accept.into()];
        Rule::new(accept).comment(instance.guest_mark())
    };
    names.iter().flat_map(|name| [rule(Key::IIFNAME, name), rule(Key::OIFNAME, name)]).collect()
}

/// The steps that let our bridges through a chain.
pub fn enter_chain(instance: &Instance, names: &[String], chain: &Chain) -> Plan {
    let mut plan = Plan::default();
    let mut rules = rules(instance, names);
    rules.retain(|rule| !chain.present.iter().any(|(_, present)| rule.says_as(present)));
    if !rules.is_empty() {
        let add = GuestOp::AddRules { table: chain.table.clone(), chain: chain.name.clone(), rules };
        plan.push(add, format!("{}: let through what enters or leaves our bridges", chain.owner));
    }
    plan
}

/// The steps that take our rules out of a chain.
pub fn leave_chain(chain: &Chain) -> Plan {
    let mut plan = Plan::default();
    if !chain.present.is_empty() {
        let (handles, rules) = chain.present.iter().cloned().unzip();
        let remove =
            GuestOp::RemoveRules { table: chain.table.clone(), chain: chain.name.clone(), rules, handles };
        plan.push(remove, format!("{}: our rules go, and nothing else", chain.owner));
    }
    plan
}

/// The files that give firewalld a zone for our bridges, by path. A zone alone forwards to no other: that takes
/// policies, one for each way.
///
/// Source: firewalld.zone(5), firewalld.policies(5), firewalld.policy(5).
pub fn firewalld_files(instance: &Instance, names: &[String]) -> Vec<(String, String)> {
    let zone = instance.firewalld_zone();
    let mark = format!("<!-- {} -->\n", instance.guest_mark());
    let short = |text: &str| format!("  <short>{text}</short>\n");
    // firewalld writes `+` for what follows.
    let interface = |name: &String| format!("  <interface name=\"{}\"/>\n", name.replace('*', "+"));
    let interfaces: String = names.iter().map(interface).collect();
    let policy = |from: &str, to: &str, text: &str| {
        let zones = format!("  <ingress-zone name=\"{from}\"/>\n  <egress-zone name=\"{to}\"/>\n");
        format!("{mark}<policy target=\"ACCEPT\">\n{}{zones}</policy>\n", short(text))
    };
    vec![
        (
            format!("{FIREWALLD}/zones/{zone}.xml"),
            format!("{mark}<zone target=\"ACCEPT\">\n{}{interfaces}</zone>\n", short("Container networks")),
        ),
        (
            format!("{FIREWALLD}/policies/{zone}-out.xml"),
            policy(&zone, "ANY", "From containers; Pontoon's own rules decide"),
        ),
        (
            format!("{FIREWALLD}/policies/{zone}-in.xml"),
            policy("ANY", &zone, "To containers; Pontoon's own rules decide"),
        ),
    ]
}

/// The steps that write `files`, of which `stale` are not as they should be, and have firewalld read them.
pub fn enter_firewalld(stale: Vec<(String, String)>) -> Plan {
    let mut plan = Plan::default();
    if stale.is_empty() {
        return plan;
    }
    for (path, contents) in stale {
        let why = match path.contains("/zones/") {
            true => "firewalld: a zone for our bridges, whose packets it takes as they come",
            false => "firewalld: zones forward to each other only by a policy",
        };
        plan.push(GuestOp::WriteFile { path, contents }, why);
    }
    reload(&mut plan);
    plan
}

/// The steps that remove files, by path and contents, and have firewalld read what is left.
pub fn leave_firewalld(files: &[(String, String)]) -> Plan {
    let mut plan = Plan::default();
    if files.is_empty() {
        return plan;
    }
    for (path, contents) in files.iter().rev() {
        let mark = first_line(contents).to_owned();
        plan.push(GuestOp::RemoveFile { path: path.clone(), mark }, "firewalld: our file goes");
    }
    reload(&mut plan);
    plan
}

fn reload(plan: &mut Plan) {
    let why = "firewalld: it reads its files again, as `systemctl reload firewalld` has it do; what was set at run time \
               only is lost, as with each reload";
    plan.push(GuestOp::Reload { program: "firewalld".into() }, why);
}

pub(crate) fn is_reload(op: &Op) -> bool {
    matches!(op, Op::Guest(GuestOp::Reload { .. }))
}

/// What takes an operation back. Reading files again is taken back by reading them once more.
pub(crate) fn opposite(op: &GuestOp) -> Option<GuestOp> {
    match op {
        GuestOp::AddRules { table, chain, rules } => Some(GuestOp::RemoveRules {
            table: table.clone(),
            chain: chain.clone(),
            rules: rules.clone(),
            handles: Vec::new(),
        }),
        GuestOp::WriteFile { path, contents } => {
            Some(GuestOp::RemoveFile { path: path.clone(), mark: first_line(contents).to_owned() })
        }
        GuestOp::Reload { program } => Some(GuestOp::Reload { program: program.clone() }),
        GuestOp::RemoveRules { .. } | GuestOp::RemoveFile { .. } => None,
    }
}

/// The commands that a person would have typed.
pub(crate) fn commands(op: &GuestOp) -> Vec<String> {
    match op {
        // Each goes to the top, so the last one comes first.
        GuestOp::AddRules { table, chain, rules } => rules
            .iter()
            .rev()
            .map(|rule| {
                let (table, chain, rule) = (table.clone(), chain.clone(), rule.clone());
                shell_command(&Command::InsertRule { table, chain, rule })
            })
            .collect(),
        GuestOp::RemoveRules { table, chain, rules, handles } if handles.is_empty() => {
            let mark = rules.first().and_then(|rule| rule.comment.clone()).unwrap_or_default();
            vec![format!(
                "# in `nft --handle list chain {table} {chain}`, delete those with the comment {mark}"
            )]
        }
        GuestOp::RemoveRules { table, chain, handles, .. } => handles
            .iter()
            .map(|handle| {
                let (table, chain) = (table.clone(), chain.clone());
                shell_command(&Command::DeleteRule { table, chain, handle: *handle })
            })
            .collect(),
        GuestOp::WriteFile { path, contents } => {
            vec![format!("printf %s {} > {}", quote(contents), quote(path))]
        }
        GuestOp::RemoveFile { path, .. } => vec![format!("rm -f {}", quote(path))],
        GuestOp::Reload { program } => vec![format!("pkill -HUP -x {}", quote(program))],
    }
}

#[cfg(test)]
mod tests {
    use pontoon_nft::syntax::Family;

    use super::*;

    fn chain(present: Vec<(u64, Rule)>) -> Chain {
        let table = TableRef::new(Family::Ip, "filter");
        Chain { table, name: "DOCKER-USER".into(), owner: "Docker".into(), present }
    }

    #[test]
    fn rules_are_for_all_generated_names_and_for_each_other_name() {
        let host = Instance::host();
        let names = names(&host, &["pt-0123".into(), "lan0".into()]);
        assert_eq!(names, ["lan0", "pontoon0", "pt-*"]);
        let plan = enter_chain(&host, &names[2..], &chain(Vec::new()));
        assert_eq!(
            commands_of(&plan),
            [
                "nft insert rule ip filter DOCKER-USER oifname '\"pt-*\" accept comment \"pontoon:integration\"'",
                "nft insert rule ip filter DOCKER-USER iifname '\"pt-*\" accept comment \"pontoon:integration\"'",
            ]
        );
    }

    #[test]
    fn a_rule_that_iptables_has_rewritten_is_still_ours() {
        let host = Instance::host();
        let mut rules = rules(&host, &["pt-*".into()]);
        let counted = pontoon_nft::syntax::CounterValue { packets: 7, bytes: 700 };
        rules[0].statements.insert(1, pontoon_nft::syntax::Statement::Counter(counted));
        let present = rules.into_iter().zip(5..).map(|(rule, handle)| (handle, rule)).collect();
        let chain = chain(present);
        assert!(enter_chain(&host, &["pt-*".into()], &chain).is_empty());
        let expected = [
            "nft delete rule ip filter DOCKER-USER handle 5",
            "nft delete rule ip filter DOCKER-USER handle 6",
        ];
        assert_eq!(commands_of(&leave_chain(&chain)), expected);
    }

    #[test]
    fn undoing_reloads_after_the_files_are_gone() {
        let files = firewalld_files(&Instance::host(), &["pt-*".into()]);
        let undo = enter_firewalld(files).undo();
        assert!(is_reload(&undo.steps.last().expect("there are steps").op));
        assert_eq!(undo.steps.len(), 4);
    }

    fn commands_of(plan: &Plan) -> Vec<String> {
        plan.ops().flat_map(crate::command::commands).collect()
    }
}
