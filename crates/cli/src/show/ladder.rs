//! A packet's way as a ladder of hops.

use std::net::IpAddr;

use anstyle::{AnsiColor, Style};
use pontoon_engine::explain::{Explanation, Finding, Flow, Hop, Severity, Verdict, Way};
use pontoon_engine::probe::{HopMark, Probed, StepVerdict};

/// How wide it is at the most: terminals are seldom narrower.
pub(super) const WIDTH: usize = 100;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const UNSURE: Style = AnsiColor::Yellow.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// All of it: the verdict first, what is to be done last.
pub(crate) fn ladder(
    explained: &Explanation,
    probed: Option<&Probed>,
    from: &str,
    to: &str,
    verbose: bool,
) -> String {
    let mut text = headline(explained, from, to);
    probed.into_iter().for_each(|probed| summary(&mut text, probed));
    let lost = explained.hops.iter().any(|hop| hop.way == Way::There && hop.verdict == Verdict::Unreachable);
    let back = if lost { "and back, if it arrived" } else { "and back" };
    for (way, name) in [(Way::There, "there"), (Way::Back, back)] {
        let seen = |index: usize| probed.and_then(|probed| probed.hops.get(index).copied());
        let hops: Vec<(&Hop, Option<HopMark>)> = explained
            .hops
            .iter()
            .enumerate()
            .map(|(index, hop)| (hop, seen(index)))
            .filter(|(hop, seen)| {
                hop.way == way && (verbose || !hop.quiet || *seen == Some(HopMark::Stopped))
            })
            .collect();
        if hops.is_empty() {
            continue;
        }
        text.push_str(&format!("\n{name}\n"));
        let place = hops.iter().map(|(hop, _)| hop.place.chars().count()).max().unwrap_or(0).min(16);
        hops.iter().for_each(|(hop, seen)| rung(&mut text, hop, *seen, place, verbose));
    }
    findings(&mut text, &explained.findings);
    fix(&mut text, explained);
    if let Some(probed) = probed {
        traced(&mut text, probed, verbose);
        disagreements(&mut text, probed);
    }
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

/// What became of the packet that was sent.
fn summary(text: &mut String, probed: &Probed) {
    let (style, word) = match probed.verdict {
        Verdict::Reachable => (GOOD, "answered"),
        Verdict::Unreachable => (BAD, "not answered"),
        Verdict::Unknown => (UNSURE, "arrived, perhaps"),
    };
    let lines = wrapped(&format!("a real packet: {}", probed.sentence), WIDTH - 18);
    text.push_str(&format!("{style}{word}{style:#}: {}\n", lines.join("\n  ")));
    for what in &probed.unwatched {
        text.push_str(&format!(
            "{UNSURE}not watched{UNSURE:#}: {}\n",
            wrapped(what, WIDTH - 13).join("\n  ")
        ));
    }
    text.push_str(&format!("{DIM}first mark: what was said; second: what the packet met{DIM:#}\n"));
}

/// Where the packet was seen: each step if there is much to say, or where it ended.
fn traced(text: &mut String, probed: &Probed, verbose: bool) {
    if !verbose {
        return;
    }
    text.push_str("\nwhere the packet was seen\n");
    for step in &probed.steps {
        let (style, mark) = match step.verdict {
            StepVerdict::Passed => (GOOD, "✓"),
            StepVerdict::Dropped => (BAD, "✗"),
            StepVerdict::Lost => (UNSURE, "?"),
        };
        let bridge = if step.bridge { "bridge " } else { "" };
        let link = |link: &Option<String>| link.clone().unwrap_or_else(|| "-".to_owned());
        text.push_str(&format!(
            "  {style}{mark}{style:#} {}  {bridge}{}  {} → {}  {}, {} to {}\n",
            step.place,
            step.hook,
            link(&step.iif),
            link(&step.oif),
            format!("{:?}", step.kind).to_lowercase(),
            end(step.packet.source, step.packet, step.packet.source_port.first),
            end(step.packet.destination, step.packet, step.packet.destination_port.first),
        ));
        for hit in &step.hits {
            let handle = hit.handle.map_or_else(String::new, |handle| format!(" # handle {handle}"));
            let rule = hit.rule.as_deref().unwrap_or("a rule that was made meanwhile");
            text.push_str(&format!("      {DIM}| {}, {}: {rule}{handle}{DIM:#}\n", hit.table, hit.chain));
        }
    }
}

fn end(address: IpAddr, flow: Flow, port: u16) -> String {
    match (flow.has_ports(), address) {
        (true, IpAddr::V6(_)) => format!("[{address}]:{port}"),
        (true, IpAddr::V4(_)) => format!("{address}:{port}"),
        (false, _) => address.to_string(),
    }
}

fn disagreements(text: &mut String, probed: &Probed) {
    for one in &probed.disagreements {
        let lines = wrapped(one, WIDTH - 20);
        text.push_str(&format!("\n{BAD}NOT AS WAS SAID{BAD:#}: {}\n", lines.join("\n  ")));
    }
}

/// What is needed to report that a packet did not meet what was said.
pub(crate) fn evidence(command: &str) -> String {
    format!(
        "\nthis is a fault of Pontoon's until shown otherwise. What is needed to report it:\n    {command}\n"
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

fn rung(text: &mut String, hop: &Hop, seen: Option<HopMark>, place: usize, verbose: bool) {
    let (style, mark) = match hop.verdict {
        Verdict::Reachable => (GOOD, "✓"),
        Verdict::Unreachable => (BAD, "✗"),
        Verdict::Unknown => (UNSURE, "?"),
    };
    let head = format!("{:<place$}  {:<9}  ", hop.place, hop.kind);
    let beside = seen.map_or_else(String::new, |seen| {
        let (style, mark) = match seen {
            HopMark::Passed => (GOOD, "✓"),
            HopMark::Stopped => (BAD, "✗"),
            HopMark::Unseen => (DIM, "·"),
        };
        format!("{style}{mark}{style:#} ")
    });
    let indent = 4 + place + 13 + if seen.is_some() { 2 } else { 0 };
    let lines = wrapped(&hop.text, WIDTH.saturating_sub(indent));
    text.push_str(&format!("  {style}{mark}{style:#} {beside}{head}{}\n", lines[0]));
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
