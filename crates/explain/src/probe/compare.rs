//! What was said of a packet, beside what became of one.

use pontoon_model::observed::snapshot::Snapshot;
use pontoon_nft::syntax::protocol;
use serde::Serialize;

use super::stitch::{Hit, Kind, Step, StepVerdict};
use super::{Answer, Probed};
use crate::path::{Explanation, Flow, Hop, Place, Verdict, Way};

/// What was seen of a hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// The packet was seen to pass it, or beyond it.
    Passed,
    /// It ended there.
    Stopped,
    /// It was not seen there, and nothing beyond.
    Unseen,
}

/// What is known besides what was traced.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// The host, as it was looked at before.
    pub snapshot: &'a Snapshot,
    /// What was said.
    pub explained: &'a Explanation,
    /// Whether the address stands for nobody in particular, so that nobody can be expected to answer.
    pub nobody: bool,
    /// The packet as it left the one who sent it.
    pub packet: Option<Flow>,
    /// How often it was sent.
    pub sent: u32,
    /// After how many microseconds the answer came.
    pub after: Option<u64>,
    /// What could not be watched.
    pub unwatched: Vec<String>,
}

/// Lays what was seen beside what was said.
pub fn compare(context: Context<'_>, steps: Vec<Step>, answer: Answer) -> Probed {
    let hops = &context.explained.hops;
    let reached: Vec<Option<usize>> = steps.iter().map(|step| hop_of(hops, step)).collect();
    let end = end(&context, &steps, &answer);
    let verdict = match (&answer, &end) {
        (answer, _) if answer.is_good() => Verdict::Reachable,
        // A datagram may well be for somebody who says nothing.
        (Answer::Nothing { .. }, End::Arrived(step)) if step.packet.protocol == protocol::UDP => {
            Verdict::Unknown
        }
        (_, end) if context.nobody && has_left(end) => Verdict::Unknown,
        _ => Verdict::Unreachable,
    };
    let marks = marks(hops, &steps, &reached, &answer);
    let sentence = sentence(&answer, &end, context.after);
    let disagreements = disagreements(&context, &steps, &marks, verdict, &answer, &end);
    Probed {
        verdict,
        packet: context.packet,
        sent: context.sent,
        answer,
        after: context.after,
        steps,
        hops: marks,
        sentence,
        disagreements,
        unwatched: context.unwatched,
    }
}

/// How far the packet was seen to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End<'a> {
    /// Nowhere: it was not seen at all.
    Unseen,
    /// A rule dropped it.
    Dropped(&'a Step),
    /// It came to a hook and did not leave it.
    Lost(&'a Step),
    /// It passed all rules for what is delivered in a namespace, and nothing came back from there.
    Arrived(&'a Step),
    /// It left by an interface behind which nobody was watched.
    Left(&'a Step),
    /// It passed a hook, and was not seen at the next one.
    Vanished(&'a Step),
    /// It, or its answer, came to the end.
    Through,
}

fn end<'a>(context: &Context<'_>, steps: &'a [Step], answer: &Answer) -> End<'a> {
    if answer.is_good() {
        return End::Through;
    }
    // Errors come back because the packet did not arrive.
    let own = |step: &&Step| step.kind != Kind::Error;
    if let Some(step) = steps.iter().filter(own).find(|step| step.verdict == StepVerdict::Dropped) {
        return End::Dropped(step);
    }
    if matches!(answer, Answer::Refused) {
        return End::Through;
    }
    let Some(last) = steps.iter().rfind(own) else { return End::Unseen };
    match (last.verdict, last.hook) {
        (StepVerdict::Lost, _) => End::Lost(last),
        (_, "input") if !last.bridge && last.way == Way::There => End::Arrived(last),
        (_, "postrouting") if leaves(context.snapshot, last) => End::Left(last),
        _ => End::Vanished(last),
    }
}

/// Whether nothing kept the packet from leaving.
fn has_left(end: &End<'_>) -> bool {
    match end {
        End::Left(_) => true,
        End::Vanished(step) => step.way == Way::There && step.hook == "postrouting" && !step.bridge,
        _ => false,
    }
}

/// Whether nobody that was looked at is behind the interface by which it goes.
fn leaves(snapshot: &Snapshot, step: &Step) -> bool {
    let namespace = snapshot.by_name(&step.place).map(|at| &snapshot.namespaces[at]);
    let link = namespace.zip(step.oif.as_ref()).and_then(|(namespace, name)| namespace.link_named(name));
    link.is_some_and(|link| {
        let watched = link.peer.and_then(|peer| peer.netns).is_some_and(|id| snapshot.by_id(id).is_some());
        !watched && link.kind.as_deref() != Some("bridge") && link.name != "lo"
    })
}

/// The hop that a step is at: the hook's, or where it has none, nothing.
fn hop_of(hops: &[Hop], step: &Step) -> Option<usize> {
    if step.kind == Kind::Error {
        return None;
    }
    hops.iter().position(|hop| {
        let at = |filter: &crate::path::Filter| filter.hook == step.hook && filter.bridge == step.bridge;
        hop.way == step.way && hop.place == step.place && hop.filter.as_ref().is_some_and(at)
    })
}

/// How far along the hops the packet was seen: by the last place that it was in, where no hop is at the same hook.
fn marks(hops: &[Hop], steps: &[Step], reached: &[Option<usize>], answer: &Answer) -> Vec<Mark> {
    if answer.is_good() {
        return vec![Mark::Passed; hops.len()];
    }
    let own = || steps.iter().zip(reached).filter(|(step, _)| step.kind != Kind::Error);
    let stopped = own().find(|(step, _)| step.verdict != StepVerdict::Passed).and_then(|(_, at)| *at);
    let at_hook = own().filter_map(|(_, at)| *at).max();
    // A packet that was seen in a namespace has passed all that is before it on the way.
    let arrival = own()
        .filter_map(|(step, _)| hops.iter().position(|hop| (hop.way, &hop.place) == (step.way, &step.place)));
    let before = arrival.max();
    // Who refuses has got it, if no rule refused in his name.
    if matches!(answer, Answer::Refused) && stopped.is_none() {
        return hops.iter().map(|hop| if is_socket(hop) { Mark::Stopped } else { Mark::Passed }).collect();
    }
    // So has whoever says that nobody listens.
    let reached_end = own().any(|(step, _)| step.hook == "input" && !step.bridge && step.way == Way::There);
    let stopped = stopped.or_else(|| {
        let told = matches!(answer, Answer::Error { .. }) && reached_end;
        hops.iter().position(is_socket).filter(|_| told)
    });
    hops.iter()
        .enumerate()
        .map(|(index, _)| match stopped {
            Some(at) if at == index => Mark::Stopped,
            Some(at) if index < at => Mark::Passed,
            _ if at_hook.is_some_and(|at| index <= at) || before.is_some_and(|at| index < at) => Mark::Passed,
            _ => Mark::Unseen,
        })
        .collect()
}

/// Whether it is where somebody listens, or nobody does.
fn is_socket(hop: &Hop) -> bool {
    hop.kind == "socket" && hop.way == Way::There
}

/// `inet filter, chain input, handle 7: tcp dport 80 drop`
fn hit_shown(hit: &Hit) -> String {
    let rule = hit.rule.as_deref().unwrap_or("a rule that was made meanwhile");
    match hit.handle {
        Some(handle) => format!("table {}, chain {}, handle {handle}: {rule}", hit.table, hit.chain),
        None => format!("table {}, chain {}: {rule}", hit.table, hit.chain),
    }
}

/// `host, bridge forward`
fn where_of(step: &Step) -> String {
    let bridge = if step.bridge { "bridge " } else { "" };
    let links = match (&step.iif, &step.oif) {
        (Some(iif), Some(oif)) => format!(", from {iif} to {oif}"),
        (Some(iif), None) => format!(", from {iif}"),
        (None, Some(oif)) => format!(", to {oif}"),
        (None, None) => String::new(),
    };
    format!("{} at {bridge}{}{links}", step.place, step.hook)
}

fn subject(step: &Step) -> &'static str {
    if step.way == Way::There { "the packet" } else { "the answer" }
}

fn sentence(answer: &Answer, end: &End<'_>, after: Option<u64>) -> String {
    let time = after.map_or_else(String::new, |micros| format!(" after {}", time_shown(micros)));
    let came = match answer {
        Answer::EchoReply => format!("the echo reply came{time}"),
        Answer::Accepted => format!("the connection was accepted{time}, and given up"),
        Answer::Datagram => format!("a datagram came back{time}"),
        Answer::Refused => format!("the connection was refused{time}: a reset came back"),
        Answer::Error { text, from: Some(from) } => format!("{from} said{time}: {text}"),
        Answer::Error { text, from: None } => format!("the kernel said{time}: {text}"),
        Answer::NotSent { text } => format!("the kernel did not send it: {text}"),
        Answer::Nothing { waited } => format!("nothing came back in {}", time_shown(waited * 1000)),
    };
    let far = match end {
        End::Through => return came,
        End::Unseen if matches!(answer, Answer::NotSent { .. }) => return came,
        End::Unseen => "it was not seen at any hook".to_owned(),
        End::Dropped(step) => {
            let hit = step.hits.last().map_or_else(|| "a rule".to_owned(), hit_shown);
            format!("{} was dropped in {}, by {hit}", subject(step), where_of(step))
        }
        End::Lost(step) => format!(
            "{} came to {} and did not leave it, and no rule of nftables dropped it",
            subject(step),
            where_of(step)
        ),
        End::Arrived(step) if matches!(answer, Answer::Error { .. }) => {
            format!("{} had arrived in {} and passed all rules there", subject(step), step.place)
        }
        End::Arrived(step) if step.packet.protocol != protocol::UDP => format!(
            "{} arrived in {} and passed all rules there, and no answer was seen to leave",
            subject(step),
            step.place
        ),
        End::Arrived(step) => format!(
            "{} arrived in {} and passed all rules there; whether somebody answers what it asks is not known",
            subject(step),
            step.place
        ),
        End::Left(step) => format!(
            "{} left {} by {}, and nobody beyond is watched",
            subject(step),
            step.place,
            step.oif.as_deref().unwrap_or("?")
        ),
        End::Vanished(step) => format!("{} was last seen in {}", subject(step), where_of(step)),
    };
    format!("{came}; {far}")
}

fn time_shown(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros} µs"),
        1000..10_000 => format!("{:.1} ms", micros as f64 / 1000.0),
        10_000..1_000_000 => format!("{} ms", micros / 1000),
        _ => format!("{:.1} s", micros as f64 / 1_000_000.0),
    }
}

fn disagreements(
    context: &Context<'_>,
    steps: &[Step],
    marks: &[Mark],
    verdict: Verdict,
    answer: &Answer,
    end: &End<'_>,
) -> Vec<String> {
    let explained = context.explained;
    let mut all = Vec::new();
    // What is beyond what was looked at, nobody has said anything of.
    let beyond = matches!((answer, end), (Answer::Nothing { .. }, End::Left(step)) if step.way == Way::There);
    match (explained.verdict, verdict) {
        (Verdict::Reachable, Verdict::Unreachable) if !beyond => {
            all.push("it was said to be reachable, and it was not answered".to_owned());
        }
        (Verdict::Unreachable, Verdict::Reachable) => {
            all.push("it was said not to be reachable, and it was answered".to_owned());
        }
        _ => {}
    }
    let first = explained.hops.iter().position(|hop| hop.verdict == Verdict::Unreachable);
    match (end, first) {
        (End::Dropped(step), _) => all.extend(other_rule(&explained.hops, step)),
        (_, Some(at)) if marks.get(at) == Some(&Mark::Passed) && verdict != Verdict::Reachable => {
            let hop = &explained.hops[at];
            all.push(format!("it was said to end in {} ({}), and it was seen beyond", hop.place, hop.text));
        }
        _ => {}
    }
    all.extend(strange_place(&explained.hops, steps));
    all
}

/// A rule dropped the packet: what was said of that hook, if it is something else.
fn other_rule(hops: &[Hop], step: &Step) -> Option<String> {
    let hit = step.hits.last()?;
    let real = hit_shown(hit);
    let place = where_of(step);
    let Some(at) = hop_of(hops, step) else {
        return Some(format!("it was dropped in {place}, by {real}, and nothing was said of that hook"));
    };
    let hop = &hops[at];
    if let Some(earlier) = hops[..at].iter().find(|hop| hop.verdict == Verdict::Unreachable) {
        return Some(format!(
            "it was said to end in {} ({}), and it came to {place}, where it was dropped by {real}",
            earlier.place, earlier.text
        ));
    }
    let said = hop.filter.as_ref().and_then(|filter| filter.drop.as_ref());
    match said {
        Some(said) if is_same(said, hit) => None,
        Some(said) => {
            let said = place_shown(said);
            Some(format!("it was said to be dropped by {said}, and it was dropped by {real}"))
        }
        None if hop.verdict == Verdict::Unknown => None,
        None => Some(format!("it was said to pass {place}, and it was dropped by {real}")),
    }
}

fn is_same(said: &Place, hit: &Hit) -> bool {
    !said.legacy && (&said.table, &said.chain, said.handle) == (&hit.table, &hit.chain, hit.handle)
}

fn place_shown(place: &Place) -> String {
    match place.handle {
        Some(handle) => format!("table {}, chain {}, handle {handle}", place.table, place.chain),
        None => format!("the policy of table {}, chain {}", place.table, place.chain),
    }
}

/// A namespace that the packet passed, and that it was not said to pass.
fn strange_place(hops: &[Hop], steps: &[Step]) -> Option<String> {
    let is_strange = |step: &&Step| {
        step.kind != Kind::Error
            && !hops.iter().any(|hop| (hop.way, &hop.place) == (step.way, &step.place))
            && hops.iter().any(|hop| hop.way == step.way)
    };
    let step = steps.iter().find(is_strange)?;
    Some(format!("{} was seen in {}, where it was not said to come", subject(step), where_of(step)))
}
