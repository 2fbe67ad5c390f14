//! What is wrong with a host, for people.

use anstyle::{AnsiColor, Style};
use pontoon_engine::doctor::{Diagnosis, Severity};

use super::ladder::{WIDTH, wrapped};

const BAD: Style = AnsiColor::Red.on_default().bold();
const UNSURE: Style = AnsiColor::Yellow.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// How wide the words are before each part.
const LABEL: usize = 10;
/// How many names are told of a long list.
const NAMES: usize = 8;

/// Everything that was found.
pub(crate) fn all(found: &[Diagnosis]) -> String {
    found.iter().map(one).collect()
}

fn one(diagnosis: &Diagnosis) -> String {
    let (style, mark) = match diagnosis.severity {
        Severity::Blocks => (BAD, "✗"),
        Severity::Unknown => (UNSURE, "?"),
        Severity::Note => (UNSURE, "!"),
    };
    let code = diagnosis.code.name();
    let head = wrapped(&format!("{code}: {}", diagnosis.sentence), WIDTH - 2).join("\n  ");
    let mut text = format!("{style}{mark} {code}{style:#}{}\n", &head[code.len()..]);
    for (number, evidence) in diagnosis.evidence.iter().enumerate() {
        part(&mut text, if number == 0 { "seen" } else { "" }, &evidence.seen);
        if let Some(command) = &evidence.command {
            text.push_str(&format!("  {:LABEL$}{DIM}$ {command}{DIM:#}\n", ""));
        }
    }
    if !diagnosis.affected.is_empty() {
        part(&mut text, "affected", &names(&diagnosis.affected));
    }
    for (number, more) in diagnosis.leads_to.iter().enumerate() {
        let label = if number == 0 { "leads to" } else { "" };
        part(&mut text, label, &format!("{}: {}", more.code, more.sentence));
    }
    for (number, remedy) in diagnosis.fix.iter().enumerate() {
        // A command stays on one line, so that it can be copied.
        let label = if number == 0 { "fix" } else { "" };
        text.push_str(&format!("  {label:LABEL$}{}\n", remedy.command));
    }
    if let Some(advice) = &diagnosis.advice {
        part(&mut text, "note", advice);
    }
    if !diagnosis.fix.is_empty() && !diagnosis.is_ours() {
        let word = format!("not Pontoon's own: mended by --fix={code}@{}", diagnosis.place);
        part(&mut text, "", &word);
    }
    text.push('\n');
    text
}

fn part(text: &mut String, label: &str, words: &str) {
    for (number, line) in wrapped(words, WIDTH - LABEL - 2).iter().enumerate() {
        let label = if number == 0 { label } else { "" };
        text.push_str(&format!("  {label:LABEL$}{line}\n"));
    }
}

fn names(all: &[String]) -> String {
    match all.len() {
        0..=NAMES => all.join(", "),
        more => format!("{} and {} more", all[..NAMES].join(", "), more - NAMES),
    }
}

/// The last line: how many there are, and how they are mended. `seen` namespaces were looked at by `command`.
pub(crate) fn summary(found: &[Diagnosis], seen: usize, command: &str) -> String {
    let places = if seen == 1 { "1 namespace".to_owned() } else { format!("{seen} namespaces") };
    if found.is_empty() {
        return format!("{GOOD}nothing is wrong{GOOD:#}: {places} looked at\n");
    }
    let blocking = found.iter().filter(|one| one.severity == Severity::Blocks).count();
    let ours = found.iter().filter(|one| one.is_ours()).count();
    let others = found.iter().filter(|one| !one.fix.is_empty()).count() - ours;
    let style = if blocking > 0 { BAD } else { UNSURE };
    let count = if found.len() == 1 { "1 finding".to_owned() } else { format!("{} findings", found.len()) };
    let stops = match (blocking, found.len()) {
        (0, _) => "none stops packets".to_owned(),
        (1, 1) => "it stops packets".to_owned(),
        (1, _) => "1 stops packets".to_owned(),
        (many, _) => format!("{many} stop packets"),
    };
    let mut text = format!("{style}{count}{style:#}: {stops}");
    if ours > 0 {
        text.push_str(&format!("; `{command} --fix` mends {ours}"));
    }
    if others > 0 {
        text.push_str(&format!("; {others} by name, --fix=CODE@PLACE"));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn the_last_line_says_how_many_and_how_they_are_mended() {
        assert_eq!(plain(&summary(&[], 4, "pontoon doctor")), "nothing is wrong: 4 namespaces looked at\n");
        assert_eq!(plain(&summary(&[], 1, "pontoon doctor")), "nothing is wrong: 1 namespace looked at\n");
    }

    #[test]
    fn long_parts_are_broken_under_their_beginning() {
        let mut text = String::new();
        part(&mut text, "note", &"word ".repeat(40));
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.lines().nth(1).is_some_and(|line| line.starts_with("            word")), "{text}");
        let many: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
        assert!(names(&many).ends_with("c7 and 12 more"));
    }
}
