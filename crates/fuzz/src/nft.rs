//! The parsers of `pontoon-nft`.

use pontoon_netlink::wire::Messages;
use pontoon_nft::ruleset::{Ruleset, elements_of};
use pontoon_nft::syntax::{Command, Family, Rule, Set, Statement, TableRef, shell_command};
use pontoon_nft::vm::{CmpOp, Insn, compile, decompile};
use pontoon_nft::wire::{Answer, RawElement, encode};

use crate::input::{Cursor, assert_in_proportion};
use crate::program;

/// [`Answer::read`], [`Ruleset::from_answers`] and the ruleset's listing. The input is what the kernel answered to
/// several questions.
pub fn nft_answers(data: &[u8]) {
    let answers: Vec<Answer> = Messages::new(data).filter_map(|message| Answer::read(&message)).collect();
    assert_in_proportion(&answers, data);
    let mut sets = Vec::new();
    for answer in &answers {
        match answer {
            Answer::Rule(entry) => rule_comes_back(&entry.table, &entry.chain, &entry.rule),
            Answer::Set(entry) => {
                set_comes_back(&entry.table, &entry.set);
                sets.push(&entry.set);
            }
            Answer::Elements(entry) => sets.iter().for_each(|set| elements_fit(set, &entry.elements)),
            Answer::Table(_) | Answer::Chain(_) | Answer::Generation(_) => {}
        }
    }
    let ruleset = Ruleset::from_answers(answers);
    assert_in_proportion(&ruleset, data);
    let listing = ruleset.to_string();
    assert_in_proportion(&listing, data);
    assert!(!listing.contains(steers_a_terminal), "{listing:?}");
    let json = serde_json::to_string(&ruleset).expect("it can be written");
    assert_eq!(serde_json::from_str::<Ruleset>(&json).expect("it can be read"), ruleset);
}

/// Whether a terminal does something else with `c` than to show it.
///
/// Whoever may make rules in a container's namespace chooses the names and comments there.
fn steers_a_terminal(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
}

/// What the messages of a transaction say, read as answers: both have the same attributes.
fn answers_of(command: Command) -> Vec<Answer> {
    let transaction = encode(&[command], 1).unwrap_or_else(|error| panic!("{error}: {}", error.source));
    Messages::new(transaction.bytes()).filter_map(|message| Answer::read(&message)).collect()
}

fn rule_comes_back(table: &TableRef, chain: &str, rule: &Rule) {
    // The kernel pads every list of attributes, and so does the way back.
    let is_cut =
        |statement: &Statement| matches!(statement, Statement::Unknown { bytes, .. } if bytes.len() % 4 != 0);
    if rule.statements.iter().any(is_cut) {
        return;
    }
    // A comment that nft cannot write between quotes is refused on the way back, whatever the rule says.
    let rule = Rule::new(rule.statements.clone());
    let command = Command::AddRule { table: table.clone(), chain: chain.to_owned(), rule: rule.clone() };
    let answers = answers_of(command);
    let [Answer::Rule(entry)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((&entry.table, &*entry.chain, &entry.rule), (table, chain, &rule));
}

fn set_comes_back(table: &TableRef, set: &Set) {
    let set = Set { comment: None, ..set.clone() };
    let command = Command::AddSet { table: table.clone(), set: set.clone() };
    // Such a set is made by other programs only; it can be read, not written.
    if set.interval && set.key.iter().any(|part| !part.has_intervals()) {
        assert!(encode(&[command], 1).is_err());
        return;
    }
    let answers = answers_of(command);
    let [Answer::Set(entry)] = &answers[..] else { panic!("{answers:?}") };
    // What a default timeout implies is said when it is written.
    let expected = Set { timeout: set.timeout || set.default_timeout.is_some(), ..set };
    assert_eq!((&entry.table, &entry.set), (table, &expected));
}

fn elements_fit(set: &Set, raw: &[RawElement]) {
    let elements = elements_of(set, raw);
    assert!(elements.len() <= raw.len());
    for element in elements {
        let types: Vec<_> = element.key.iter().map(|part| part.data_type()).collect();
        assert!(types.iter().zip(&set.key).all(|(part, of_set)| part.size() == of_set.size()), "{element:?}");
        assert_eq!(types.len(), set.key.len());
    }
}

/// [`decompile`], on any instructions, those that no rule of nft's has among them.
pub fn nft_decompile(data: &[u8]) {
    let mut cursor = Cursor::new(data);
    let family = cursor.pick(&Family::ALL);
    let insns = program::insns(&mut cursor);
    let statements = decompile(family, &insns);
    assert_in_proportion(&statements, data);

    // Nothing is lost, and nothing is said that was not there.
    let rule = Rule::new(statements);
    let compiled = compile(family, &rule).unwrap_or_else(|error| panic!("{error}\n{insns:?}\n{rule:?}"));
    assert!(
        says(&insns, &compiled.insns),
        "{insns:?}\nis said to be {rule:?}\nwhich is {:?}",
        compiled.insns
    );
    assert_eq!(decompile(family, &compiled.insns), rule.statements);

    let table = TableRef::new(family, "t");
    let text = shell_command(&Command::AddRule { table, chain: "c".into(), rule: rule.clone() });
    let (before, after) = (rule.text(family).to_string(), rule.listing(family).to_string());
    assert!(
        [text, before, after].iter().all(|text| !text.contains('\n') && !text.contains(steers_a_terminal))
    );
}

/// Whether `after` is `before`, as statements say it.
fn says(before: &[Insn], after: &[Insn]) -> bool {
    let mut after = after;
    for insn in before {
        let used = match (insn, after) {
            (before, [first, ..]) if before == first || is_kept_as_bytes(before, first) => 1,
            // A name compared up to its NUL is compared whole.
            (Insn::Cmp { slot, op, data }, [Insn::Cmp { slot: at, op: how, data: whole }, ..])
                if (slot, op) == (at, how) && is_whole_name(data, whole) =>
            {
                1
            }
            // What lies in a range is at least its first and at most its last value.
            (
                Insn::Range { slot, negated: false, first, last },
                [
                    Insn::Cmp { slot: at, op: CmpOp::Gte, data: low },
                    Insn::Cmp { slot: and, op: CmpOp::Lte, data: high },
                    ..,
                ],
            ) if (slot, slot, first, last) == (at, and, low, high) => 2,
            _ => return false,
        };
        after = &after[used..];
    }
    after.is_empty()
}

fn is_whole_name(data: &[u8], whole: &[u8]) -> bool {
    let padded = whole.strip_prefix(data).is_some_and(|rest| rest.iter().all(|byte| *byte == 0));
    padded && data.contains(&0) && whole.len() == 16
}

/// Whether `after` is how `before` is kept where no statement says it.
fn is_kept_as_bytes(before: &Insn, after: &Insn) -> bool {
    let Insn::Unknown { name, bytes } = after else { return false };
    let kept = [Statement::Unknown { name: name.clone(), bytes: bytes.clone() }];
    Family::ALL.into_iter().any(|family| decompile(family, std::slice::from_ref(before)) == kept)
}
