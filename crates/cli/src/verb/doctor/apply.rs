//! Doing what was proposed, and taking it back.
//!
//! What is ours goes through the engine. The rest is done by the programs that a person would have used: to diagnose and
//! treat, unlike to network, may take programs.

use std::fs;
use std::process::{Command, Output, Stdio};

use pontoon_engine::doctor::{self, Act, Remedy};
use pontoon_model::diagnose::with_causes;
use pontoon_model::shell::quote;

use crate::failure::Failure;
use crate::global::Global;

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Applied {
    done: Vec<Act>,
    back: Vec<Back>,
}

/// What takes a step back.
#[derive(Debug)]
enum Back {
    Command(String),
    /// A file, and what was in it.
    File(String, String),
}

impl Back {
    fn shown(&self) -> String {
        match self {
            Self::Command(command) => command.clone(),
            Self::File(path, text) => format!("printf %s {} > {}", quote(text), quote(path)),
        }
    }
}

impl Applied {
    /// Applies a step.
    pub(super) fn apply(&mut self, global: &Global, remedy: &Remedy) -> Result<(), String> {
        if remedy.act != Act::Run && self.done.contains(&remedy.act) {
            // One act of the engine's stands for several commands.
            return Ok(());
        }
        match &remedy.act {
            Act::Run => self.run(remedy)?,
            Act::PutBack(code, object) => {
                let mut session = global.session().map_err(|failure| told(&failure))?;
                session.put_back_one(code, object).map_err(|error| with_causes(&error))?;
            }
            Act::Restore => {
                let mut session = global.session().map_err(|failure| told(&failure))?;
                session.restore().map_err(|error| with_causes(&error))?;
            }
            Act::Forget(flow) => {
                doctor::forget(*flow).map_err(|error| with_causes(&error))?;
            }
        }
        self.done.push(remedy.act.clone());
        Ok(())
    }

    fn run(&mut self, remedy: &Remedy) -> Result<(), String> {
        let file = remedy.command.strip_prefix("echo ").and_then(|rest| rest.rsplit_once(" > "));
        if let Some((_, path)) = file {
            let path = path.trim_matches('\'').to_owned();
            let before =
                fs::read_to_string(&path).map_err(|error| format!("could not read {path}: {error}"))?;
            shell(&remedy.command)?;
            self.back.push(Back::File(path, before));
            return Ok(());
        }
        // nft says which handle the rule has got.
        let inserts = remedy.command.contains("nft insert rule ");
        let command = remedy.command.replacen("nft insert rule ", "nft -ae insert rule ", 1);
        let said = shell(&command)?;
        let undo = match inserts {
            true => inserted(&remedy.command, &said),
            false => remedy.undo.clone(),
        };
        self.back.extend(undo.map(Back::Command));
        Ok(())
    }

    /// Takes all of it back, the last first; says what could not be.
    pub(super) fn take_back(&self) -> Option<String> {
        let mut left = Vec::new();
        for back in self.back.iter().rev() {
            let done = match back {
                Back::Command(command) => shell(command).map(drop),
                Back::File(path, text) => {
                    fs::write(path, text).map_err(|error| format!("could not write {path}: {error}"))
                }
            };
            left.extend(done.err());
        }
        (!left.is_empty()).then(|| left.join("; "))
    }

    /// The commands that take it back.
    pub(super) fn undo(&self) -> Vec<String> {
        self.back.iter().rev().map(Back::shown).collect()
    }
}

fn told(failure: &Failure) -> String {
    failure.words()
}

/// Runs a command as a shell does; what it printed.
fn shell(command: &str) -> Result<String, String> {
    let run = Command::new("sh").args(["-c", command]).stdin(Stdio::null()).output();
    let Output { status, stdout, stderr } = run.map_err(|error| format!("could not run sh: {error}"))?;
    let (said, errors) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    match status.code() {
        Some(0) => Ok(said.into_owned()),
        // What a shell ends with where there is no such program, and `ip netns exec` and nsenter where they find none.
        Some(127) => Err(format!("`{command}` needs a program that is not installed: {}", errors.trim())),
        _ => Err(format!("`{command}` failed: {}", errors.trim())),
    }
}

/// The command that deletes the rule that a command has inserted, from what nft said of it.
fn inserted(command: &str, said: &str) -> Option<String> {
    let handle: u64 = said.rsplit_once("# handle ")?.1.trim().lines().next()?.trim().parse().ok()?;
    let (before, rest) = command.split_once("nft insert rule ")?;
    let place: Vec<&str> = rest.split(' ').take(3).collect();
    Some(format!("{before}nft delete rule {} handle {handle}", place.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inserted_rule_is_deleted_by_its_handle() {
        let command = "ip netns exec web nft insert rule inet theirs forward iifname blue0 accept";
        let said = "insert rule inet theirs forward iifname \"blue0\" accept # handle 7\n# new generation 5 by process 1 (nft)\n";
        assert_eq!(
            inserted(command, said).as_deref(),
            Some("ip netns exec web nft delete rule inet theirs forward handle 7")
        );
        assert_eq!(inserted(command, ""), None);
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let error = shell("pontoon-has-no-such-program -x").unwrap_err();
        assert!(error.contains("pontoon-has-no-such-program") && error.contains("not installed"), "{error}");
    }
}
