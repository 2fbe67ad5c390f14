//! What is Docker's own: its chain for others, and its bridges.

use pontoon_nft::ruleset::Table;
use pontoon_nft::syntax::{Key, Match, Op, Operand, Right, Statement, Value, Verdict};

/// Docker's chain for other people's rules, which comes before its own.
///
/// Source: <https://docs.docker.com/engine/network/packet-filtering-firewalls/>.
pub const DOCKER_USER: &str = "DOCKER-USER";

/// The chain with what Docker lets in to its published ports, which all that is for a bridge of its goes through.
const PUBLISHED: &str = "DOCKER";

/// How Docker names the bridges that nobody gave a name.
///
/// Source: moby's `DefaultBridgeName` and `configureBridgeName()`, drivers/bridge.
const USUAL: [&str; 2] = ["br-*", "docker0"];

/// The names of Docker's bridges, by its habits and by its rules in `table`; `*` stands for what follows.
pub fn docker_bridges(table: &Table) -> Vec<String> {
    let rules = table.chains.iter().flat_map(|chain| &chain.rules);
    let to_containers = rules.filter(|listed| jumps(&listed.rule.statements, PUBLISHED));
    let named = to_containers.flat_map(|listed| listed.rule.statements.iter().filter_map(leaves_by));
    let mut names: Vec<String> = named.filter(|name| !is_usual(name)).map(str::to_owned).collect();
    names.extend(USUAL.map(str::to_owned));
    names.sort();
    names.dedup();
    names
}

fn is_usual(name: &str) -> bool {
    USUAL.iter().any(|usual| match usual.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == *usual,
    })
}

fn jumps(statements: &[Statement], chain: &str) -> bool {
    let to =
        |statement: &Statement| matches!(statement, Statement::Verdict(Verdict::Jump(name)) if name == chain);
    statements.iter().any(to)
}

/// The interface by which a packet leaves that matches.
fn leaves_by(statement: &Statement) -> Option<&str> {
    match statement {
        Statement::Match(Match {
            key,
            op: Op::Eq,
            right: Right::Operand(Operand::Value(Value::Ifname(name))),
            ..
        }) if key[..] == [Key::OIFNAME] => Some(name),
        _ => None,
    }
}
