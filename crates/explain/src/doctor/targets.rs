//! Ports that rules of others lead to somebody who is not there.

use std::net::IpAddr;

use pontoon_model::observed::snapshot::{Namespace, NeighbourState, Snapshot};
use pontoon_model::shell::quote;
use pontoon_nft::ruleset::{ListedRule, Table};
use pontoon_nft::syntax::{Hook, NatKind, NatTarget, Statement};

use super::diagnosis::{Diagnosis, Remedy};
use crate::extension;
use crate::path::fix::{self, is_ours};
use crate::path::segment::segment;
use crate::path::{Code, Severity};

/// Rules of the host that send packets to an address on one of its bridges that nobody there has.
pub(super) fn find(snapshot: &Snapshot) -> Vec<Diagnosis> {
    let host = &snapshot.namespaces[0];
    let mut found = Vec::new();
    for table in host.ruleset.tables.iter().filter(|table| !is_ours(table) && !table.dormant) {
        let nat = table.chains.iter().filter(|listed| is_met(table, &listed.chain.name));
        for (chain, rule) in
            nat.flat_map(|listed| listed.rules.iter().map(move |rule| (&listed.chain.name, rule)))
        {
            found.extend(leads(rule).and_then(|to| nobody(snapshot, host, table, chain, rule, to)));
        }
    }
    found
}

/// Whether a chain is at a hook where destinations are translated, or called from one that may be.
fn is_met(table: &Table, name: &str) -> bool {
    let base = table.chain(name).and_then(|listed| listed.chain.base.as_ref());
    base.is_none_or(|base| matches!(base.hook, Hook::Prerouting | Hook::Output))
}

/// Where a rule leads what it is for.
fn leads(rule: &ListedRule) -> Option<IpAddr> {
    rule.rule.statements.iter().find_map(|statement| match statement {
        Statement::Nat(nat) if nat.kind == NatKind::Dnat => match &nat.to {
            NatTarget::Constant { addresses, .. } if addresses.first == addresses.last => {
                Some(addresses.first)
            }
            _ => None,
        },
        Statement::Unknown { name, bytes } => extension::leads_to(name, bytes),
        _ => None,
    })
}

fn nobody(
    snapshot: &Snapshot,
    host: &Namespace,
    table: &Table,
    chain: &str,
    rule: &ListedRule,
    to: IpAddr,
) -> Option<Diagnosis> {
    if snapshot.owners(to).next().is_some() {
        return None;
    }
    let bridge = host.links.iter().find(|link| {
        link.kind.as_deref() == Some("bridge") && host.addresses_of(link.index).any(|net| net.contains(&to))
    })?;
    let neighbour = host.neighbours.iter().find(|one| one.link == bridge.index && one.address == to);
    let is_silent =
        neighbour.is_some_and(|one| matches!(one.state, NeighbourState::Failed | NeighbourState::Incomplete));
    let answers = neighbour.is_some_and(|one| one.state == NeighbourState::Known);
    // Somebody whose namespace was not read may have it.
    let all_read = segment(snapshot, (0, bridge.index)).exits.is_empty();
    if answers || !is_silent && !all_read {
        return None;
    }
    let place = &host.name;
    let text = rule.rule.text(table.table.family).to_string();
    let known = !rule.rule.statements.iter().any(|statement| matches!(statement, Statement::Unknown { .. }));
    let remedy = Remedy {
        undo: known.then(|| {
            format!("nft add rule {} {} {}", fix::table_words(&table.table), quote(chain), quote(&text))
        }),
        ..Remedy::run(format!(
            "nft delete rule {} {} handle {}",
            fix::table_words(&table.table),
            quote(chain),
            rule.handle
        ))
    };
    let sentence = format!(
        "table {}, chain {chain} leads to {to}, and nobody on {} has that address: {text}",
        table.table, bridge.name
    );
    Some(
        Diagnosis::new(Code::PortWithoutTarget, place, sentence)
            .severity(if is_silent || all_read { Severity::Blocks } else { Severity::Unknown })
            .seen(
                "the rule",
                format!("nft -a list chain {} {}", fix::table_words(&table.table), quote(chain)),
            )
            .seen("who has the address", format!("ip neighbour show {to} dev {}", bridge.word()))
            .fix(remedy)
            .advice("or have it lead to where the service is now"),
    )
}
