//! Doing what was proposed, and taking it back.
//!
//! What is ours goes through the engine. The rest is done by the programs that a person would have used: to diagnose and
//! treat, unlike to network, may take programs.

use std::fs;
use std::io::ErrorKind;
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
        let words = words(&remedy.command)?;
        if let [echo, text @ .., into, path] = words.as_slice()
            && echo == "echo"
            && into == ">"
        {
            let before =
                fs::read_to_string(path).map_err(|error| format!("could not read {path}: {error}"))?;
            write(path, &format!("{}\n", text.join(" ")))?;
            self.back.push(Back::File(path.clone(), before));
            return Ok(());
        }
        // nft says which handle the rule has got.
        let inserts = remedy.command.contains("nft insert rule ");
        let command = remedy.command.replacen("nft insert rule ", "nft -ae insert rule ", 1);
        let said = execute(&command)?;
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
                Back::Command(command) => execute(command).map(drop),
                Back::File(path, text) => write(path, text),
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

fn write(path: &str, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("could not write {path}: {error}"))
}

/// The words of a command.
fn words(command: &str) -> Result<Vec<String>, String> {
    shlex::split(command).ok_or_else(|| format!("`{command}` has a quotation mark that is not closed"))
}

/// Runs a command, its words being those that a shell would make of it; what it printed. No shell has a part in it: there
/// are names in it that others gave.
fn execute(command: &str) -> Result<String, String> {
    let words = words(command)?;
    let (program, arguments) = words.split_first().ok_or("there is no command")?;
    let run = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let Output { status, stdout, stderr } = match run {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(missing(command, program)),
        run => run.map_err(|error| format!("could not run {program}: {error}"))?,
    };
    let (said, errors) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    match status.code() {
        Some(0) => Ok(said.into_owned()),
        // What `ip netns exec` and nsenter end with where they find no such program.
        Some(127) => Err(missing(command, errors.trim())),
        _ => Err(format!("`{command}` failed: {}", errors.trim())),
    }
}

fn missing(command: &str, what: &str) -> String {
    format!("`{command}` needs a program that is not installed: {what}")
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
    fn names_of_others_are_no_commands() {
        assert_eq!(execute("echo 'a;b' $(id) `id` c;d x>y").unwrap(), "a;b $(id) `id` c;d x>y\n");
        assert!(execute("echo 'a").unwrap_err().contains("not closed"));
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let error = execute("pontoon-has-no-such-program -x").unwrap_err();
        assert!(error.contains("pontoon-has-no-such-program") && error.contains("not installed"), "{error}");
    }
}
