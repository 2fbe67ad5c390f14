//! A packet's way as a ladder of hops.

use std::net::IpAddr;

use anstyle::{AnsiColor, Style};
use pontoon_engine::explain::{Explanation, Finding, Flow, Hop, Severity, Verdict, Way};

/// How wide it is at the most: terminals are seldom narrower.
pub(super) const WIDTH: usize = 100;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const UNSURE: Style = AnsiColor::Yellow.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// All of it: the verdict first, what is to be done last.
pub(crate) fn ladder(explained: &Explanation, from: &str, to: &str, verbose: bool) -> String {
    let mut text = headline(explained, from, to);
    let lost = explained.hops.iter().any(|hop| hop.way == Way::There && hop.verdict == Verdict::Unreachable);
    let back = if lost { "and back, if it arrived" } else { "and back" };
    for (way, name) in [(Way::There, "there"), (Way::Back, back)] {
        let hops: Vec<&Hop> =
            explained.hops.iter().filter(|hop| hop.way == way && (verbose || !hop.quiet)).collect();
        if hops.is_empty() {
            continue;
        }
        text.push_str(&format!("\n{name}\n"));
        let place = hops.iter().map(|hop| hop.place.chars().count()).max().unwrap_or(0).min(16);
        hops.iter().for_each(|hop| rung(&mut text, hop, place, verbose));
    }
    findings(&mut text, &explained.findings);
    fix(&mut text, explained);
    text
}

fn headline(explained: &Explanation, from: &str, to: &str) -> String {
    let (style, word) = match explained.verdict {
        Verdict::Reachable => (GOOD, "reachable"),
        Verdict::Unreachable => (BAD, "not reachable"),
        Verdict::Unknown => (UNSURE, "unknown"),
    };
    let Flow { source, destination, .. } = explained.packet;
    format!(
        "{style}{word}{style:#}: {from} ({}) → {to} ({}), {}\n",
        shown(source),
        shown(destination),
        carries(explained.packet)
    )
}

fn shown(address: IpAddr) -> String {
    if address.is_unspecified() { "no address".to_owned() } else { address.to_string() }
}

fn carries(flow: Flow) -> String {
    let port = flow.destination_port.first;
    match flow.protocol {
        6 => format!("TCP port {port}"),
        17 => format!("UDP port {port}"),
        132 => format!("SCTP port {port}"),
        _ => "ping".to_owned(),
    }
}

fn rung(text: &mut String, hop: &Hop, place: usize, verbose: bool) {
    let (style, mark) = match hop.verdict {
        Verdict::Reachable => (GOOD, "✓"),
        Verdict::Unreachable => (BAD, "✗"),
        Verdict::Unknown => (UNSURE, "?"),
    };
    let head = format!("{:<place$}  {:<9}  ", hop.place, hop.kind);
    let indent = 4 + place + 13;
    let lines = wrapped(&hop.text, WIDTH.saturating_sub(indent));
    text.push_str(&format!("  {style}{mark}{style:#} {head}{}\n", lines[0]));
    for line in &lines[1..] {
        text.push_str(&format!("{:indent$}{line}\n", ""));
    }
    if let Some(command) = &hop.command {
        text.push_str(&format!("{:indent$}{DIM}$ {command}{DIM:#}\n", ""));
    }
    if verbose {
        for line in &hop.detail {
            text.push_str(&format!("{:indent$}{DIM}| {line}{DIM:#}\n", ""));
        }
    }
}

fn findings(text: &mut String, findings: &[Finding]) {
    for finding in findings {
        let (style, word) = match finding.severity {
            Severity::Blocks => (BAD, "in the way"),
            Severity::Unknown => (UNSURE, "not known"),
            Severity::Note => (DIM, "note"),
        };
        let said = format!("{} [{}]", finding.sentence, finding.code);
        let lines = wrapped(&said, WIDTH - 12);
        text.push_str(&format!("\n{style}{word}{style:#}: {}\n", lines.join("\n  ")));
        if let Some(advice) = &finding.advice {
            text.push_str(&format!("  {}\n", wrapped(advice, WIDTH - 2).join("\n  ")));
        }
        // What blocks has its commands at the end.
        if finding.severity != Severity::Blocks {
            finding.fix.iter().for_each(|command| text.push_str(&format!("    {command}\n")));
        }
    }
}

fn fix(text: &mut String, explained: &Explanation) {
    let commands = explained.fix();
    if !commands.is_empty() {
        text.push_str("\nto let it through:\n");
        commands.iter().for_each(|command| text.push_str(&format!("    {command}\n")));
    }
}

/// A text in lines of at most so many characters, where it has spaces.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is always one");
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("longer-than-that", 4), ["longer-than-that"]);
        assert_eq!(wrapped("", 4), [""]);
    }
}
