//! Where a rule of ours lets packets through that somebody else's firewall drops.

use pontoon_nft::ruleset::{ListedRule, Table};
use pontoon_nft::syntax::{Hook, Key, Match, Rule, TableRef, Value, Verdict};

use super::{DOCKER_USER, Facts, Finding, Owner, Severity, examine};

/// A place for what lets our packets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The top of a chain of nf_tables.
    Chain {
        /// The table.
        table: TableRef,
        /// The chain.
        chain: String,
        /// The hook at which its packets are: which of them need a rule.
        hook: Hook,
        /// Whose it is.
        owner: Owner,
    },
    /// The files of firewalld.
    Firewalld,
    /// Nowhere that Pontoon can reach: the tables of iptables-legacy are changed by its own program alone.
    ByHand {
        /// Whose table it is.
        owner: Owner,
        /// The commands.
        commands: Vec<String>,
    },
}

/// The places where each chain that blocks a bridge of `facts` can be made to let it through, each once.
pub fn places(facts: &Facts) -> Vec<Place> {
    let mut places = Vec::new();
    for finding in examine(facts).into_iter().filter(|finding| finding.severity == Severity::Blocks) {
        let place = place(facts, finding);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

fn place(facts: &Facts, finding: Finding) -> Place {
    let Finding { owner, legacy, table, chain, hook, fix, .. } = finding;
    match (owner, legacy) {
        (Owner::Firewalld, _) => Place::Firewalld,
        (_, true) => Place::ByHand { owner, commands: fix },
        (_, false) => {
            // Docker keeps that chain for others, unless something before it drops already.
            let dockers = hook == Hook::Forward && lets_through(facts, &table, DOCKER_USER, &chain);
            let chain = if dockers { DOCKER_USER.to_owned() } else { chain };
            Place::Chain { table, chain, hook, owner }
        }
    }
}

/// Whether rules at the top of `chain` let our bridges through the chain `base`.
fn lets_through(facts: &Facts, table: &TableRef, chain: &str, base: &str) -> bool {
    let mut facts = facts.clone();
    let bridges: Vec<String> = facts.bridges.iter().map(|bridge| bridge.name.clone()).collect();
    facts.ruleset.tables.retain(|other| other.table == *table);
    facts.legacy.clear();
    let Some(changed) = facts.ruleset.tables.first_mut() else { return false };
    if !insert(changed, chain, &bridges) {
        return false;
    }
    let blocked = |finding: &Finding| finding.severity == Severity::Blocks && finding.chain == base;
    !examine(&facts).iter().any(blocked)
}

fn insert(table: &mut Table, chain: &str, bridges: &[String]) -> bool {
    let Some(chain) = table.chains.iter_mut().find(|listed| listed.chain.name == chain) else { return false };
    for bridge in bridges {
        for key in [Key::IIFNAME, Key::OIFNAME] {
            let accept = [Match::is(key, Value::Ifname(bridge.clone())), Verdict::Accept.into()];
            chain.rules.insert(0, ListedRule { handle: 0, rule: Rule::new(accept) });
        }
    }
    true
}
