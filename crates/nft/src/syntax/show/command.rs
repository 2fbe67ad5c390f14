//! Commands, for nft and for a shell.

use std::fmt::{self, Display, Formatter, Write};

use super::element::show_elements;
use super::object::show_chain_body;
use super::set::show_set_type;
use super::{Detail, Shown};
use crate::syntax::{Command, Elements, TableRef};

impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let new_table = |f: &mut Formatter<'_>, verb, table: &TableRef, comment: &Option<String>| {
            write!(f, "{verb} table {table}")?;
            match comment {
                Some(comment) => write!(f, " {{ comment \"{}\"; }}", Shown(comment)),
                None => Ok(()),
            }
        };
        let set_word = |map: &bool| if *map { "map" } else { "set" };
        match self {
            Self::AddTable { table, comment } => new_table(f, "add", table, comment),
            Self::CreateTable { table, comment } => new_table(f, "create", table, comment),
            Self::CreateOwnedTable { table, comment: None } => {
                write!(f, "create table {table} {{ flags owner; }}")
            }
            Self::CreateOwnedTable { table, comment: Some(comment) } => {
                write!(f, "create table {table} {{ flags owner; comment \"{}\"; }}", Shown(comment))
            }
            Self::DeleteTable { table } => write!(f, "delete table {table}"),
            Self::DestroyTable { table } => write!(f, "destroy table {table}"),
            Self::FlushTable { table } => write!(f, "flush table {table}"),
            Self::AddChain { table, chain } => {
                write!(f, "add chain {table} {}", Shown(&chain.name))?;
                show_chain_body(f, table.family, chain)
            }
            Self::DeleteChain { table, chain } => write!(f, "delete chain {table} {}", Shown(chain)),
            Self::DestroyChain { table, chain } => write!(f, "destroy chain {table} {}", Shown(chain)),
            Self::FlushChain { table, chain } => write!(f, "flush chain {table} {}", Shown(chain)),
            Self::AddRule { table, chain, rule } => {
                write!(f, "add rule {table} {} {}", Shown(chain), rule.text(table.family))
            }
            Self::InsertRule { table, chain, rule } => {
                write!(f, "insert rule {table} {} {}", Shown(chain), rule.text(table.family))
            }
            Self::DeleteRule { table, chain, handle } => {
                write!(f, "delete rule {table} {} handle {handle}", Shown(chain))
            }
            Self::AddSet { table, set } => {
                let word = set_word(&set.data.is_some());
                write!(f, "add {word} {table} {} {{ {}; }}", Shown(&set.name), show_set_type(set).join("; "))
            }
            Self::DeleteSet { table, set, map } => {
                write!(f, "delete {} {table} {}", set_word(map), Shown(set))
            }
            Self::FlushSet { table, set, map } => write!(f, "flush {} {table} {}", set_word(map), Shown(set)),
            Self::AddElements(elements) => show_element_command(f, "add", elements),
            Self::CreateElements(elements) => show_element_command(f, "create", elements),
            Self::DeleteElements(elements) => show_element_command(f, "delete", elements),
            Self::DestroyElements(elements) => show_element_command(f, "destroy", elements),
        }
    }
}

fn show_element_command(out: &mut dyn Write, verb: &str, elements: &Elements) -> fmt::Result {
    write!(out, "{verb} element {} {} ", elements.table, Shown(&elements.set))?;
    let mut shown = elements.elements.clone();
    if verb == "delete" || verb == "destroy" {
        for element in &mut shown {
            element.data = None;
            element.comment = None;
            element.timeout = None;
            element.counter = None;
        }
    }
    // How long an element still has is nothing that can be asked for.
    shown.iter_mut().for_each(|element| element.expires = None);
    show_elements(out, &shown, Detail::Command)
}

/// The command as one line for a POSIX shell: `nft add chain inet t c '{ type …; }'`.
///
/// Words that a shell would change are quoted; everything from the first such word's brace on is one word, as people
/// write it.
pub fn shell_command(command: &Command) -> String {
    let text = command.to_string();
    // `!` stands before `=` alone, and there no shell takes it for its history.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " _-./:,@%+=!".contains(c);
    match text.find(|c| !is_plain(c)) {
        None => format!("nft {text}"),
        Some(first) => {
            let start = text[..first].rfind(' ').map_or(0, |space| space + 1);
            format!("nft {}'{}'", &text[..start], text[start..].replace('\'', "'\\''"))
        }
    }
}
