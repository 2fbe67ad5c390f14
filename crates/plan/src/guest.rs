//! Letting our bridges through the firewalls of others, and taking that back.
//!
//! A rule of ours is one that the program whose chain it is in can still list: an interface, a port and `accept`.

use pontoon_model::op::{GuestOp, Op};
use pontoon_nft::syntax::{
    Command, Hook, Key, Match, PortSide, Rule, Statement, TableRef, Transport, Value, Verdict, shell_command,
};

use crate::command::quote;
use crate::undo::first_line;
use crate::{Instance, Plan};

/// What the names of bridges begin with that are made of their network's id.
const GENERATED: &str = "pt-";

/// The port where names are asked for. Source: RFC 1035, section 4.2.
const NAME_SERVICE: u16 = 53;

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
    let mut names = named(bridges);
    names.extend(instance.default_bridge().map(str::to_owned));
    names.sort();
    names.dedup();
    names
}

/// As [`names`], without the default network, which has no names for its containers.
pub fn named(bridges: &[String]) -> Vec<String> {
    let mut names = vec![format!("{GENERATED}*")];
    names.extend(bridges.iter().filter(|name| !name.starts_with(GENERATED)).cloned());
    names.sort();
    names.dedup();
    names
}

/// The rules that let our packets through a chain at `hook`: what enters or leaves bridges of these names, and where
/// packets are for the host or from it, queries for names and what answers them, and nothing else.
///
/// What goes from ours to `others`, in a chain before the rules of those who have these bridges, is left to those rules:
/// to let it through would open containers that are not ours.
pub fn rules(instance: &Instance, hook: Hook, names: &[String], others: &[String]) -> Vec<Rule> {
    let said = |matches: Vec<Statement>, verdict: Verdict| {
        let statements = matches.into_iter().chain([verdict.into()]);
        Rule::new(statements.collect::<Vec<_>>()).comment(instance.guest_mark())
    };
    let rule = |matches: Vec<Statement>| said(matches, Verdict::Accept);
    let on = |way: Key, name: &String| Match::is(way, Value::Ifname(name.clone()));
    let port = |transport: Transport, side: PortSide| {
        Match::is(Key::Port { transport, side }, Value::Port(NAME_SERVICE))
    };
    let by_protocol = |way: Key, side: PortSide, name: &String| {
        [Transport::Udp, Transport::Tcp].map(|transport| rule(vec![on(way, name), port(transport, side)]))
    };
    let through = |way: Key| names.iter().map(move |name| rule(vec![on(way, name)]));
    let left = |name: &String| {
        let both = |other: &String| vec![on(Key::IIFNAME, name), on(Key::OIFNAME, other)];
        others.iter().map(|other| said(both(other), Verdict::Return)).collect::<Vec<_>>()
    };
    match hook {
        Hook::Input | Hook::Prerouting => {
            names.iter().flat_map(|name| by_protocol(Key::IIFNAME, PortSide::Destination, name)).collect()
        }
        Hook::Output | Hook::Postrouting => {
            names.iter().flat_map(|name| by_protocol(Key::OIFNAME, PortSide::Source, name)).collect()
        }
        // First what is for ours: a bridge of ours may have a name as others give them.
        _ => through(Key::OIFNAME).chain(names.iter().flat_map(left)).chain(through(Key::IIFNAME)).collect(),
    }
}

/// The steps that let our packets through a chain: `rules` are what [`rules()`] says.
pub fn enter_chain(mut rules: Vec<Rule>, hook: Hook, chain: &Chain) -> Plan {
    let mut plan = Plan::default();
    rules.retain(|rule| !chain.present.iter().any(|(_, present)| rule.says_as(present)));
    if !rules.is_empty() {
        let add = GuestOp::AddRules { table: chain.table.clone(), chain: chain.name.clone(), rules };
        let what = match hook {
            Hook::Input | Hook::Prerouting => "let containers ask the host for names",
            Hook::Output | Hook::Postrouting => "let the host answer containers that ask for names",
            _ => "let through what enters or leaves our bridges",
        };
        plan.push(add, format!("{}: {what}", chain.owner));
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
        let commands = |others: &[String]| {
            let rules = rules(&host, Hook::Forward, &names[2..], others);
            commands_of(&enter_chain(rules, Hook::Forward, &chain(Vec::new())))
        };
        let insert = "nft insert rule ip filter DOCKER-USER";
        let mark = "comment \"pontoon:integration\"'";
        let [from, to] = ["iifname", "oifname"].map(|way| format!("{insert} {way} '\"pt-*\" accept {mark}"));
        assert_eq!(commands(&[]), [from.clone(), to.clone()]);
        let left = format!("{insert} iifname '\"pt-*\" oifname \"docker0\" return {mark}");
        assert_eq!(commands(&["docker0".into()]), [from, left, to]);
    }

    #[test]
    fn of_what_is_for_the_host_only_queries_for_names_are_let_through() {
        let host = Instance::host();
        let names = named(&["pontoon-1".into(), "pt-0123".into()]);
        assert_eq!(names, ["pontoon-1", "pt-*"]);
        let chain = Chain { name: "INPUT".into(), ..chain(Vec::new()) };
        let commands = |hook| commands_of(&enter_chain(rules(&host, hook, &names[1..], &[]), hook, &chain));
        let insert = "nft insert rule ip filter INPUT";
        assert_eq!(
            commands(Hook::Input),
            [
                format!("{insert} iifname '\"pt-*\" tcp dport 53 accept comment \"pontoon:integration\"'"),
                format!("{insert} iifname '\"pt-*\" udp dport 53 accept comment \"pontoon:integration\"'"),
            ]
        );
        assert_eq!(
            commands(Hook::Output)[1],
            format!("{insert} oifname '\"pt-*\" udp sport 53 accept comment \"pontoon:integration\"'")
        );
    }

    #[test]
    fn a_rule_that_iptables_has_rewritten_is_still_ours() {
        let host = Instance::host();
        let mut rules = rules(&host, Hook::Forward, &["pt-*".into()], &[]);
        let wanted = rules.clone();
        let counted = pontoon_nft::syntax::CounterValue { packets: 7, bytes: 700 };
        rules[0].statements.insert(1, pontoon_nft::syntax::Statement::Counter(counted));
        let present = rules.into_iter().zip(5..).map(|(rule, handle)| (handle, rule)).collect();
        let chain = chain(present);
        assert!(enter_chain(wanted, Hook::Forward, &chain).is_empty());
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
