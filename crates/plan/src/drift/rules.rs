//! The tables: chains, sets, and the elements that stand for networks, ports and guards.

use std::collections::{BTreeMap, HashMap, HashSet};

use pontoon_model::observed::{BridgeFilter, HostSwitches};
use pontoon_model::op::NftOp;
use pontoon_nft::ruleset::{ListedChain, ListedSet, Table};
use pontoon_nft::syntax::{Chain, Command, Element, Elements, Operand, Rule, TableRef, shell_command};

use super::wanted::{Owner, Wanted};
use super::{Code, Drift, Observed, SeenRules};
use crate::network::{self, Others};
use crate::ruleset::{self, USER_CHAINS};
use crate::{Plan, account, guard};

/// How many elements a sentence shows.
const SHOWN: usize = 3;

pub(super) fn find(wanted: &Wanted<'_>, seen: &Observed, drifts: &mut Vec<Drift>) {
    let (Some(rules), desired) = (&seen.rules, wanted.desired) else { return };
    if desired.networks.is_empty() || desired.busy.has_rules() {
        return;
    }
    gone(wanted, rules, drifts);
    let tables =
        [(&rules.table, ruleset::table(desired.instance)), (&rules.guard, guard::table(desired.instance))];
    for (there, commands) in tables {
        let (Some(there), Some(made)) = (there, Table::made_by(&commands)) else { continue };
        let one = One { there, made: &made, wanted };
        one.sets(drifts);
        one.chains(drifts);
        one.elements(drifts);
    }
}

/// Tables that are gone come back with all that is in them.
fn gone(wanted: &Wanted<'_>, rules: &SeenRules, drifts: &mut Vec<Drift>) {
    let desired = wanted.desired;
    let instance = desired.instance;
    let (table, guard) = (instance.table(), instance.guard_table());
    let guarding = rules.bridge_filter != BridgeFilter::Impossible;
    let missing: Vec<&TableRef> =
        [rules.table.is_none().then_some(&table), (guarding && rules.guard.is_none()).then_some(&guard)]
            .into_iter()
            .flatten()
            .collect();
    if missing.is_empty() {
        return;
    }
    let host = HostSwitches {
        table: rules.table.is_some(),
        bridge_filter: match (&rules.guard, rules.bridge_filter) {
            (Some(_), _) => BridgeFilter::Made,
            (None, BridgeFilter::Impossible) => BridgeFilter::Impossible,
            (None, _) => BridgeFilter::Missing,
        },
        bridge_calls_ip6tables: wanted.host.bridge_calls_ip6tables,
        ..HostSwitches::default()
    };
    let endpoints: Vec<_> = desired.endpoints.iter().map(|attached| attached.endpoint.clone()).collect();
    let others = Others { networks: desired.networks, endpoints: &endpoints, published: desired.published };
    let names: Vec<String> = missing.iter().map(|table| table.to_string()).collect();
    let (word, verb) = if names.len() == 1 { ("table", "is") } else { ("tables", "are") };
    let object = format!("table {}", names.join(" and "));
    let found = format!("the {word} {} {verb} gone", names.join(" and "));
    let plan = network::rules(instance, &others, &host);
    drifts.push(Owner::default().drift(Code::RulesGone, object, found, plan));
}

/// A table that is there, and as it is made.
struct One<'a> {
    there: &'a Table,
    made: &'a Table,
    wanted: &'a Wanted<'a>,
}

impl One<'_> {
    fn table(&self) -> &TableRef {
        &self.made.table
    }

    fn drift(&self, code: Code, object: String, found: String, owner: &Owner, plan: Plan) -> Drift {
        owner.drift(code, format!("{object} of table {}", self.table()), found, plan)
    }

    fn sets(&self, drifts: &mut Vec<Drift>) {
        for ListedSet { set, .. } in &self.made.sets {
            let (object, table) = (format!("set {}", set.name), self.table());
            let mut plan = Plan::default();
            let add = Command::AddSet { table: table.clone(), set: set.clone() };
            match self.there.set(&set.name) {
                None => {
                    let found = format!("the set {} of table {table} is gone", set.name);
                    plan.push(NftOp { commands: vec![add] }, "rules look into it");
                    drifts.push(self.drift(Code::SetGone, object, found, &Owner::default(), plan));
                }
                Some(found) if found.set != *set => {
                    let delete = Command::DeleteSet {
                        table: table.clone(),
                        set: set.name.clone(),
                        map: set.data.is_some(),
                    };
                    // While rules look into it, it stays.
                    let chains: Vec<&ListedChain> = self.own_chains().collect();
                    let mut commands: Vec<Command> = chains.iter().map(|chain| self.flush(chain)).collect();
                    commands.extend([delete, add]);
                    commands.extend(chains.iter().flat_map(|chain| self.fill(chain)));
                    plan.push(NftOp { commands }, "rules look into it");
                    let found = format!("the set {} of table {table} holds something else", set.name);
                    drifts.push(self.drift(Code::SetChanged, object, found, &Owner::default(), plan));
                }
                Some(_) => {}
            }
        }
    }

    /// The chains that are ours and there.
    fn own_chains(&self) -> impl Iterator<Item = &ListedChain> {
        self.made
            .chains
            .iter()
            .filter(|made| !is_users(&made.chain) && self.there.chain(&made.chain.name).is_some())
    }

    fn flush(&self, chain: &ListedChain) -> Command {
        Command::FlushChain { table: self.table().clone(), chain: chain.chain.name.clone() }
    }

    fn fill<'a>(&'a self, chain: &'a ListedChain) -> impl Iterator<Item = Command> + 'a {
        chain.rules.iter().map(|listed| Command::AddRule {
            table: self.table().clone(),
            chain: chain.chain.name.clone(),
            rule: listed.rule.clone(),
        })
    }

    fn chains(&self, drifts: &mut Vec<Drift>) {
        for made in &self.made.chains {
            let (name, table) = (&made.chain.name, self.table());
            let object = format!("chain {name}");
            let add = || Command::AddChain { table: table.clone(), chain: made.chain.clone() };
            let why = format!("the rules of chain {name}, as they are always");
            let mut plan = Plan::default();
            let Some(there) = self.there.chain(name) else {
                let commands = [add()].into_iter().chain(self.fill(made)).collect();
                plan.push(NftOp { commands }, why);
                let found = format!("the chain {name} of table {table} is gone");
                drifts.push(self.drift(Code::ChainGone, object, found, &Owner::default(), plan));
                continue;
            };
            let rehooked = there.chain.base != made.chain.base;
            let change = difference(made, there, table);
            if !rehooked && change.is_none() {
                continue;
            }
            let mut commands = vec![self.flush(made)];
            if rehooked {
                let (table, chain) = (table.clone(), name.clone());
                commands.extend([Command::DeleteChain { table, chain }, add()]);
            }
            commands.extend(self.fill(made));
            // The administrator's rules are his, and a chain of his with another hook too.
            if !is_users(&made.chain) {
                plan.push(NftOp { commands }, why);
            }
            let change = change.unwrap_or_else(|| "its hook or its policy is another".to_owned());
            let found = format!("the chain {name} of table {table} was changed: {change}");
            drifts.push(self.drift(Code::ChainChanged, object, found, &Owner::default(), plan));
        }
    }

    fn elements(&self, drifts: &mut Vec<Drift>) {
        let mut there: HashMap<&str, HashMap<&[Operand], &Element>> = HashMap::new();
        for listed in &self.there.sets {
            let by_key = listed.elements.iter().map(|element| (element.key.as_slice(), element));
            there.insert(&listed.set.name, by_key.collect());
        }
        let nothing = HashMap::new();
        let mut known: HashSet<(&str, &[Operand])> = HashSet::new();
        let mut gone: BTreeMap<&Owner, Vec<(&Elements, &Element)>> = BTreeMap::new();
        let mut changed: BTreeMap<&Owner, Vec<(&Elements, &Element)>> = BTreeMap::new();
        for (owner, of) in self.wanted.elements.iter().filter(|(_, of)| of.table == *self.table()) {
            let there = there.get(of.set.as_str()).unwrap_or(&nothing);
            for element in &of.elements {
                let key = element.key.as_slice();
                known.insert((&of.set, key));
                let found = there.get(key);
                if found.is_some_and(|found| found.data == element.data)
                    || self.wanted.desired.busy.has_element(of, key)
                {
                    continue;
                }
                let list = if found.is_some() { &mut changed } else { &mut gone };
                list.entry(owner).or_default().push((of, element));
            }
        }
        for (owner, list) in gone {
            drifts.push(self.missing(Code::ElementGone, owner, &list));
        }
        for (owner, list) in changed {
            drifts.push(self.missing(Code::ElementChanged, owner, &list));
        }
        // Accounts are begun by packets, and nobody reads those of ports that are not published.
        let kept = |name: &str| !account::begins_by_itself(name);
        for made in self.made.sets.iter().filter(|made| kept(&made.set.name)) {
            let name = made.set.name.as_str();
            let of = Elements::new(self.table().clone(), name, []);
            let listed = self.there.set(name).map_or(&[][..], |listed| &listed.elements);
            let stray = |element: &&Element| {
                element.comment.is_none()
                    && !known.contains(&(name, element.key.as_slice()))
                    && !self.wanted.desired.busy.has_element(&of, &element.key)
            };
            let stray: Vec<&Element> = listed.iter().filter(stray).collect();
            if !stray.is_empty() {
                drifts.push(self.stray(&of, &stray));
            }
        }
    }

    fn missing(&self, code: Code, owner: &Owner, list: &[(&Elements, &Element)]) -> Drift {
        let mut by_set: BTreeMap<&str, Vec<Element>> = BTreeMap::new();
        for (of, element) in list {
            by_set.entry(&of.set).or_default().push((*element).clone());
        }
        let elements = |(set, elements): (&&str, &Vec<Element>)| {
            Elements::new(self.table().clone(), *set, elements.clone())
        };
        let mut commands = Vec::new();
        if code == Code::ElementChanged {
            commands.extend(by_set.iter().map(elements).map(Command::DestroyElements));
        }
        commands.extend(by_set.iter().map(elements).map(Command::AddElements));
        let (sets, name): (Vec<&str>, _) = (by_set.keys().copied().collect(), owner.name());
        let state = if code == Code::ElementGone { "gone" } else { "changed" };
        let (word, verb) = if list.len() == 1 { ("element", "is") } else { ("elements", "are") };
        let found = format!(
            "{} {word} of {name} {verb} {state}, in {} of table {}",
            list.len(),
            sets.join(", "),
            self.table()
        );
        let mut plan = Plan::default();
        plan.push(NftOp { commands }, format!("{name}: the rules know it again"));
        let flows = self.wanted.flows.iter().filter(|(of, _)| of == owner && of.container.is_some());
        plan.steps.extend(flows.map(|(_, step)| step.clone()));
        self.drift(code, format!("elements of {name}"), found, owner, plan)
    }

    fn stray(&self, of: &Elements, stray: &[&Element]) -> Drift {
        let all = |elements: &[&Element]| {
            let elements: Vec<Element> = elements.iter().map(|element| (*element).clone()).collect();
            Elements { elements, ..of.clone() }
        };
        let text = |element: &&Element| {
            let command = shell_command(&Command::DeleteElements(all(&[*element])));
            let inside = command.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}'));
            inside.map_or_else(String::new, |(inside, _)| inside.trim().to_owned())
        };
        let mut shown: Vec<String> = stray.iter().take(SHOWN).map(text).collect();
        if stray.len() > SHOWN {
            shown.push(format!("{} more", stray.len() - SHOWN));
        }
        let mut plan = Plan::default();
        let commands = vec![Command::DestroyElements(all(stray))];
        plan.push(
            NftOp { commands },
            "what belongs to nobody lets nobody through (with a comment, it would stay)",
        );
        let found = format!(
            "in {} of table {} is what belongs to nobody: {}",
            of.set,
            self.table(),
            shown.join(", ")
        );
        self.drift(Code::ElementStray, format!("strays in {}", of.set), found, &Owner::default(), plan)
    }
}

fn is_users(chain: &Chain) -> bool {
    USER_CHAINS.contains(&chain.name.as_str())
}

/// What is different about a chain's rules, the first of it; the administrator's chains may have any.
fn difference(made: &ListedChain, there: &ListedChain, table: &TableRef) -> Option<String> {
    if is_users(&made.chain) {
        return None;
    }
    let text = |rule: &Rule| format!("`{}`", rule.text(table.family));
    let has = |chain: &ListedChain, rule: &Rule| chain.rules.iter().any(|listed| listed.rule.says_as(rule));
    let alien = there.rules.iter().find(|listed| !has(made, &listed.rule));
    let gone = made.rules.iter().find(|listed| !has(there, &listed.rule));
    match (gone, alien) {
        (Some(gone), Some(alien)) => {
            Some(format!("instead of {} it has {}", text(&gone.rule), text(&alien.rule)))
        }
        (Some(gone), None) => Some(format!("{} is gone", text(&gone.rule))),
        (None, Some(alien)) => Some(format!(
            "{} is not ours (yours have their place in {})",
            text(&alien.rule),
            USER_CHAINS.join(" and ")
        )),
        (None, None) => {
            let same = made.rules.len() == there.rules.len()
                && made.rules.iter().zip(&there.rules).all(|(one, other)| one.rule.says_as(&other.rule));
            (!same).then(|| "its rules are in another order, or there twice".to_owned())
        }
    }
}
