//! What the kernel has of us beside what it has of nft(8).

use pontoon_nft::ruleset::Ruleset;
use pontoon_nft::syntax::Command;
use pontoon_nft::wire::{Answer, Question};

use super::{Kernel, nft};

#[track_caller]
fn assert_same_lines(ours: &str, theirs: &str) {
    for (number, (our, their)) in ours.lines().zip(theirs.lines()).enumerate() {
        assert_eq!(our, their, "line {} of\n{theirs}", number + 1);
    }
    assert_eq!(ours.lines().count(), theirs.lines().count(), "ours:\n{ours}\nnft's:\n{theirs}");
}

/// Applies `commands`, and gives back what is there then, which nft lists as we do.
#[track_caller]
pub(crate) fn nft_lists_the_same(commands: &[Command]) -> Ruleset {
    let kernel = Kernel::open();
    kernel.apply(commands);
    let ruleset = kernel.ruleset();
    assert_same_lines(&ruleset.to_string(), &nft(&["list", "ruleset"], ""));
    ruleset
}

fn without_handles(mut ruleset: Ruleset) -> Ruleset {
    for table in &mut ruleset.tables {
        table.handle = 0;
        table.sets.iter_mut().for_each(|set| set.handle = 0);
        for chain in &mut table.chains {
            chain.handle = 0;
            chain.rules.iter_mut().for_each(|rule| rule.handle = 0);
        }
    }
    ruleset
}

/// The expressions of all rules as the kernel dumps them.
fn expressions(kernel: &Kernel) -> Vec<(String, Vec<u8>)> {
    const EXPRESSIONS: u16 = 4;
    let rules = kernel.ask(&Question::AllRules(None)).expect("rules");
    rules
        .into_iter()
        .filter_map(|(answer, payload)| {
            let Answer::Rule(entry) = answer else { return None };
            let mut attrs = pontoon_netlink::wire::Attrs::new(&payload[4..]);
            let list = attrs.find(|attr| attr.kind == EXPRESSIONS).map(|attr| attr.value.to_vec());
            Some((entry.rule.text(entry.table.family).to_string(), list.unwrap_or_default()))
        })
        .collect()
}

/// nft, given the text of `commands`, gives the kernel the same objects and the same instructions, byte for byte.
#[track_caller]
pub(crate) fn nft_makes_the_same(commands: &[Command]) {
    let kernel = Kernel::open();
    kernel.apply(commands);
    let (ours, our_rules) = (kernel.ruleset(), expressions(&kernel));
    nft(&["flush", "ruleset"], "");
    let text: Vec<String> = commands.iter().map(ToString::to_string).collect();
    nft(&["-f", "-"], &text.join("\n"));
    let (theirs, their_rules) = (kernel.ruleset(), expressions(&kernel));
    assert_same_lines(&ours.to_string(), &theirs.to_string());
    assert_eq!(without_handles(ours), without_handles(theirs));
    assert_eq!(our_rules.len(), their_rules.len());
    for (our, their) in our_rules.iter().zip(&their_rules) {
        assert_eq!(our, their, "`{}`", our.0);
    }
}
