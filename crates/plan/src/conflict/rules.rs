//! When a table has its turn, compared with the one that our routes are in.

use ipnet::IpNet;
use pontoon_model::observed::HostRule;
use pontoon_model::subnet::overlap;

use super::MAIN;

/// The turn of a table for packets to a subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Before the main table.
    Before {
        /// The priority of the rule that asks it.
        priority: u32,
        /// Whether it is asked for some packets alone.
        conditional: bool,
    },
    /// It is the main table.
    Main,
    /// After the main table, which has a route, or never.
    After,
}

/// When `table` is asked for packets to `subnet`.
///
/// wg-quick(8) has a rule that asks the main table first and passes over its default route
/// (`suppress_prefixlength 0`): to a subnet of ours that is the main table's turn.
pub(super) fn turn(rules: &[HostRule], v4: bool, table: u32, subnet: IpNet) -> Turn {
    if table == MAIN {
        return Turn::Main;
    }
    let concerns = |rule: &&HostRule| rule.v4 == v4 && rule.to.is_none_or(|to| overlap(to, subnet));
    let mut asked: Vec<&HostRule> = rules.iter().filter(concerns).collect();
    asked.sort_by_key(|rule| rule.priority);
    for rule in asked {
        let length = u32::from(subnet.prefix_len());
        let all = !rule.conditional && rule.to.is_none_or(|to| to.contains(&subnet));
        let counts = rule.suppressed.is_none_or(|suppressed| suppressed < length);
        if rule.table == MAIN && all && counts {
            return Turn::After;
        }
        if rule.table == table && rule.suppressed.is_none() {
            return Turn::Before { priority: rule.priority, conditional: !all };
        }
    }
    Turn::After
}
