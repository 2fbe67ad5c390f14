//! Who reaches whom, as a table, or as a list where that is too wide.

use std::collections::BTreeMap;

use anstyle::{AnsiColor, Style};
use pontoon_engine::explain::Verdict;
use pontoon_engine::reach::{Change, Reach};

use super::ladder::wrapped;

/// How wide it is at the most: terminals are seldom narrower.
const WIDTH: usize = 100;

const NONE: &str = "-";
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const UNSURE: Style = AnsiColor::Yellow.on_default();

/// All ways that pass, or may.
pub(crate) fn ways(reach: &Reach) -> String {
    let cells = cells(reach);
    let cell = |from: &String, to: &String| match cells.get(&[from, to]) {
        _ if from == to => String::new(),
        Some(words) => words.join(" "),
        None => NONE.to_owned(),
    };
    let names = &reach.names;
    let rows: Vec<Vec<String>> =
        names.iter().map(|from| names.iter().map(|to| cell(from, to)).collect()).collect();
    table(names, &rows).unwrap_or_else(|| list(names, &rows))
}

/// `ping 80/tcp 53/udp?` for each pair: what passes, and with a question mark what cannot be told.
fn cells(reach: &Reach) -> BTreeMap<[&String; 2], Vec<String>> {
    let mut cells: BTreeMap<[&String; 2], Vec<String>> = BTreeMap::new();
    for passage in &reach.passages {
        let word = match passage.verdict {
            Verdict::Reachable => passage.what.clone(),
            Verdict::Unknown => format!("{}?", passage.what),
            Verdict::Unreachable => continue,
        };
        cells.entry([&passage.from, &passage.to]).or_default().push(word);
    }
    cells
}

/// `None` if it is too wide.
fn table(names: &[String], rows: &[Vec<String>]) -> Option<String> {
    let width = |text: &String| text.chars().count();
    let first = names.iter().map(width).max().unwrap_or(0).max("FROM".len());
    let widths: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(column, name)| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0).max(width(name)))
        .collect();
    if first + widths.iter().map(|width| width + 3).sum::<usize>() > WIDTH {
        return None;
    }
    let mut text = String::new();
    let mut row = |head: &str, cells: &[String]| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("   {cell:width$}"));
        text.push_str(format!("{head:first$}{}", cells.collect::<String>()).trim_end());
        text.push('\n');
    };
    row("FROM", names);
    names.iter().zip(rows).for_each(|(name, cells)| row(name, cells));
    Some(text)
}

fn list(names: &[String], rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (from, cells) in names.iter().zip(rows) {
        text.push_str(&format!("{from}\n"));
        let open = names.iter().zip(cells).filter(|(_, cell)| !cell.is_empty() && *cell != NONE);
        let width = open.clone().map(|(to, _)| to.chars().count()).max().unwrap_or(0);
        for (to, cell) in open {
            text.push_str(&format!("  → {to:width$}   {cell}\n"));
        }
        let closed: Vec<&str> =
            names.iter().zip(cells).filter(|(_, cell)| *cell == NONE).map(|(to, _)| to.as_str()).collect();
        if !closed.is_empty() {
            let closed = format!("not {}", closed.join(", "));
            wrapped(&closed, WIDTH - 2).iter().for_each(|line| text.push_str(&format!("  {line}\n")));
        }
    }
    text
}

/// What became of a way, in a character: `+` it appeared, `-` it went, `?` it cannot be told.
pub(crate) fn sign(change: &Change) -> String {
    let (style, sign) = match change.now {
        Some(Verdict::Reachable) => (GOOD, '+'),
        Some(Verdict::Unknown) => (UNSURE, '?'),
        Some(Verdict::Unreachable) | None => (BAD, '-'),
    };
    format!("{style}{sign}{style:#}")
}

#[cfg(test)]
mod tests {
    use pontoon_engine::reach::Passage;

    use super::*;

    fn reach(names: &[&str]) -> Reach {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let pairs = names.iter().flat_map(|from| names.iter().map(move |to| (from, to)));
        let passages = pairs.filter(|(from, to)| from != to).flat_map(|(from, to)| {
            let one = |what: &str, verdict| Passage {
                from: from.clone(),
                to: to.clone(),
                what: what.to_owned(),
                verdict,
            };
            let ping = if *to == "c" { Verdict::Unreachable } else { Verdict::Reachable };
            [one("ping", ping), one("80/tcp", if *to == "b" { Verdict::Unknown } else { ping })]
        });
        Reach { passages: passages.collect(), names }
    }

    #[test]
    fn few_are_a_table_and_many_a_list() {
        let few = ways(&reach(&["a", "b", "c"]));
        assert_eq!(
            few,
            "FROM   a             b              c\na                    ping 80/tcp?   -\nb      ping 80/tcp                  -\nc      ping 80/tcp   ping 80/tcp?\n"
        );
        let names: Vec<String> =
            (0..12).map(|number| format!("service-{number}")).chain(["c".into()]).collect();
        let many = ways(&reach(&names.iter().map(String::as_str).collect::<Vec<_>>()));
        assert!(many.lines().all(|line| line.chars().count() <= WIDTH), "{many}");
        assert!(many.starts_with("service-0\n  → service-1    ping 80/tcp\n"), "{many}");
        assert!(many.contains("\n  not c\nservice-1\n"), "{many}");
    }
}
