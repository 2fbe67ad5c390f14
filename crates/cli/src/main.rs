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

use std::process::ExitCode;

use clap::Parser as _;

use cli::Cli;

fn main() -> ExitCode {
    let Cli { global, verb } = Cli::parse();
    match verb.run(&global) {
        Ok(code) => code,
        Err(failure) => failure.tell().into(),
    }
}
