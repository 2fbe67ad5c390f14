//! Mending what was found: one thing after the other, each looked at again.

use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _};
use std::str::FromStr;

use pontoon_engine::doctor::{self, Act, Diagnosis};
use pontoon_model::diagnose::near;
use serde::Serialize;

use super::Clinic;
use super::apply::Applied;
use crate::failure::Failure;
use crate::output;

/// How often what a mended thing had hidden is mended in turn.
const ROUNDS: usize = 5;

/// What is to be mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// What is ours.
    Ours,
    /// What has this code, at this place if one is named.
    Named { code: String, place: Option<String> },
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::Ours);
        }
        let (code, place) = match text.split_once('@') {
            Some((code, place)) => (code, Some(place.to_owned())),
            None => (text, None),
        };
        if doctor::code(code).is_some() {
            return Ok(Self::Named { code: code.to_owned(), place });
        }
        let names = doctor::Code::ALL.map(doctor::Code::name);
        let hint = match near(code, names).first() {
            Some(close) => format!("did you mean `{close}`?"),
            None => "docs/reference/codes has a page for each".to_owned(),
        };
        Err(format!("there is no code `{code}`: {hint}"))
    }
}

impl Choice {
    fn has(&self, one: &Diagnosis) -> bool {
        match self {
            Self::Ours => one.is_ours(),
            Self::Named { code, place } => {
                let is_it =
                    one.code.name() == code || one.leads_to.iter().any(|more| more.code.name() == code);
                is_it && place.as_ref().is_none_or(|place| *place == one.place)
            }
        }
    }
}

/// What became of something that was to be mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// It is not found any more.
    Fixed,
    /// It was gone before its turn came: something else had helped.
    Gone,
    /// The commands did not help, and were taken back.
    TakenBack,
    /// The commands did not help, and could not all be taken back.
    Left,
}

/// Something that was to be mended.
#[derive(Debug, Serialize)]
pub(crate) struct Treated {
    code: doctor::Code,
    place: String,
    sentence: String,
    outcome: Outcome,
    /// What was done.
    commands: Vec<String>,
    /// What was done to take it back, or would be.
    undo: Vec<String>,
    /// Why it did not help, where that is known.
    error: Option<String>,
}

/// Mends what is chosen. What comes to light meanwhile is mended too, once it was asked for.
pub(super) fn treat(
    clinic: &Clinic<'_>,
    choices: &[Choice],
    yes: bool,
    found: &mut Vec<Diagnosis>,
) -> Result<Vec<Treated>, Failure> {
    let mut treated: Vec<Treated> = Vec::new();
    for round in 0..ROUNDS {
        let tried = |one: &Diagnosis| {
            let is_it = |before: &Treated| {
                (before.code, &before.place) == (one.code, &one.place)
                    && (before.sentence == one.sentence
                        || one.commands().eq(before.commands.iter().map(String::as_str)))
            };
            treated.iter().any(is_it)
        };
        let mut chosen: Vec<Diagnosis> = found
            .iter()
            .filter(|one| !one.fix.is_empty() && choices.iter().any(|choice| choice.has(one)) && !tried(one))
            .cloned()
            .collect();
        // What is as it was made first: it may be all that was wrong.
        chosen.sort_by_key(|one| {
            let runs = one.fix.iter().any(|remedy| remedy.act == Act::Run);
            // Nothing can be put back that is switched off.
            (one.code != doctor::Code::Ipv6Disabled, runs)
        });
        if chosen.is_empty() {
            if round == 0 {
                output::note(&nothing(found, choices));
            }
            break;
        }
        output::note(&plan(&chosen));
        if clinic.global.dry_run || !yes && !confirm(chosen.len())? {
            break;
        }
        for one in &chosen {
            let done = if found.iter().any(|now| now.is_same(one)) {
                mend(clinic, one, found)?
            } else {
                told(one, Outcome::Gone, &Applied::default(), None)
            };
            output::note(&said(&done));
            treated.push(done);
        }
    }
    Ok(treated)
}

/// Why nothing is mended.
fn nothing(found: &[Diagnosis], choices: &[Choice]) -> String {
    let chosen = found.iter().filter(|one| choices.iter().any(|choice| choice.has(one)));
    let without = chosen.count();
    match (found.is_empty(), without) {
        (true, _) => String::new(),
        (false, 0) => "nothing of what was chosen to be mended is found\n".to_owned(),
        (false, _) => "no command mends what was chosen: see what is said of it\n".to_owned(),
    }
}

fn plan(chosen: &[Diagnosis]) -> String {
    let mut text = "\nto be done:\n".to_owned();
    for one in chosen {
        let _ = writeln!(text, "  # {}: {}", one.code, one.sentence);
        for remedy in &one.fix {
            let _ = writeln!(text, "  {}", remedy.command);
        }
    }
    text
}

fn confirm(count: usize) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new("nobody can be asked whether to go on: standard input is not a terminal")
            .with_hint("--yes goes on without asking; without --fix nothing is changed"));
    }
    output::note(&format!("Mend {}? [y/N] ", if count == 1 { "it" } else { "all of it" }));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Failure::io("could not read the answer", &error))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Applies a fix, and looks whether it helped.
fn mend(clinic: &Clinic<'_>, one: &Diagnosis, found: &mut Vec<Diagnosis>) -> Result<Treated, Failure> {
    let mut applied = Applied::default();
    let failed = one.fix.iter().find_map(|remedy| applied.apply(clinic.global, remedy).err());
    *found = clinic.examine()?;
    let is_there = found.iter().any(|now| now.is_same(one));
    if failed.is_none() && !is_there {
        return Ok(told(one, Outcome::Fixed, &applied, None));
    }
    let left = applied.take_back();
    *found = clinic.examine()?;
    let outcome = if left.is_none() { Outcome::TakenBack } else { Outcome::Left };
    Ok(told(one, outcome, &applied, failed.or(left)))
}

fn told(one: &Diagnosis, outcome: Outcome, applied: &Applied, error: Option<String>) -> Treated {
    Treated {
        code: one.code,
        place: one.place.clone(),
        sentence: one.sentence.clone(),
        outcome,
        commands: one.commands().map(str::to_owned).collect(),
        undo: applied.undo(),
        error,
    }
}

fn said(done: &Treated) -> String {
    let what = match done.outcome {
        Outcome::Fixed => "mended",
        Outcome::Gone => "mended with the rest",
        Outcome::TakenBack => "did not help, and was taken back",
        Outcome::Left => "did not help",
    };
    let mut text = format!("{what}: {}: {}\n", done.code, done.sentence);
    if let Some(error) = &done.error {
        let _ = writeln!(text, "  {error}");
    }
    if matches!(done.outcome, Outcome::TakenBack) {
        done.undo.iter().for_each(|command| text.push_str(&format!("  {command}\n")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_codes_with_a_place() {
        assert_eq!("".parse(), Ok(Choice::Ours));
        let named = |place: Option<&str>| Choice::Named {
            code: "firewall-drop".to_owned(),
            place: place.map(str::to_owned),
        };
        assert_eq!("firewall-drop".parse(), Ok(named(None)));
        assert_eq!("firewall-drop@host".parse(), Ok(named(Some("host"))));
        let unknown = "firewal-drop".parse::<Choice>().unwrap_err();
        assert_eq!(unknown, "there is no code `firewal-drop`: did you mean `firewall-drop`?");
    }
}
