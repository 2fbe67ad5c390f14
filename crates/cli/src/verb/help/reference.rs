//! The whole command line as Markdown: `docs/reference/cli.md`.

use clap::{Command, CommandFactory as _};

use crate::cli::Cli;

/// Columns of the help in the reference, whatever terminal it is made on.
const WIDTH: usize = 100;

/// The reference.
pub(super) fn markdown() -> String {
    let mut root = Cli::command().term_width(WIDTH);
    root.build();
    let mut text = String::from(
        "# The command line\n\nMade by `pontoon help reference`; do not edit. Global options stand before or after any verb.\n",
    );
    chapter(&mut text, &root, "pontoon");
    text
}

fn chapter(text: &mut String, command: &Command, name: &str) {
    let help = command.clone().term_width(WIDTH).render_long_help().to_string();
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    text.push_str(&format!("\n## {name}\n\n```text\n{}\n```\n", lines.join("\n")));
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        chapter(text, verb, &format!("{name} {}", verb.get_name()));
    }
}
