//! `pontoon help`

mod reference;

use std::process::ExitCode;

use clap::{Args, Command, CommandFactory as _};
use pontoon_model::diagnose::near;

use crate::cli::{Cli, EXIT_CODES};
use crate::failure::Failure;
use crate::global::Global;
use crate::output;

/// Print help about a verb, about `exit-codes`, or about the `ruleset`: every chain and rule, with its reason
#[derive(Debug, Args)]
pub(crate) struct Help {
    /// Verb, such as `network create`
    #[arg(value_name = "VERB")]
    words: Vec<String>,
}

impl Help {
    pub(crate) fn run(self, _: &Global) -> Result<ExitCode, Failure> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let text = match words.as_slice() {
            ["exit-codes"] => format!("{EXIT_CODES}\n"),
            ["reference"] => reference::markdown(),
            ["ruleset"] => pontoon_plan::ruleset::page::markdown(),
            words => {
                let mut command = find(words)?;
                return match command.print_long_help() {
                    Ok(()) => Ok(ExitCode::SUCCESS),
                    Err(error) => Err(Failure::io("could not write the help", &error)),
                };
            }
        };
        output::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn find(words: &[&str]) -> Result<Command, Failure> {
    let mut root = Cli::command();
    root.build();
    let mut command = &root;
    for word in words {
        command = command.find_subcommand(word).ok_or_else(|| unknown(word, command))?;
    }
    Ok(command.clone())
}

fn unknown(word: &str, command: &Command) -> Failure {
    let failure = Failure::usage(format!("there is no verb `{word}`"));
    match near(word, command.get_subcommands().map(Command::get_name)).as_slice() {
        [] => failure.with_hint("`pontoon --help` lists them"),
        near => failure.with_hint(format!("did you mean {}?", near.join(" or "))),
    }
}
