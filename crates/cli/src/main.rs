//! `pontoon`: the command line.
//!
//! A thin front end: a verb parses what a person typed ([`parse`]), calls the engine, and shows what came of it
//! ([`show`]). Its help text is the doc comment of its struct, in the verb's own file ([`verb`]).

mod cli;
mod failure;
mod global;
mod output;
mod parse;
mod show;
mod verb;

use std::mem::ManuallyDrop;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use cli::Cli;

fn main() -> ExitCode {
    // What all verbs take goes with the process: to free it piece by piece would take as long as to make it.
    let mut command = ManuallyDrop::new(Cli::command());
    let mut matches = command.get_matches_mut();
    let parsed = Cli::from_arg_matches_mut(&mut matches);
    let Cli { global, verb } = parsed.unwrap_or_else(|error| error.format(&mut command).exit());
    match verb.run(&global) {
        Ok(code) => code,
        Err(failure) => failure.tell().into(),
    }
}
