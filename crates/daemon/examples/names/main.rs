//! What a query for a name costs, beside aardvark-dns, on a throw-away host: dnsperf asks in a container's namespace.
//!
//! ```sh
//! cargo run --release -p pontoon-daemon --example names -- [--markdown FILE] [--seconds N] [--rounds N] [AARDVARK…]
//! ```
//!
//! Needs dnsperf and ip; every `AARDVARK` is a program to compare with. The server has one processor, and all others
//! are for the rest. Whoever begins a round changes with each.

mod machine;
mod peer;
mod run;
mod server;
mod table;

use std::io::Write as _;
use std::path::PathBuf;

use pontoon_kernel::lab;

/// What is asked for.
#[derive(Debug, Default)]
pub(crate) struct Words {
    pub(crate) markdown: Option<PathBuf>,
    pub(crate) seconds: u32,
    pub(crate) rounds: usize,
    pub(crate) aardvarks: Vec<PathBuf>,
}

fn main() {
    let mut words = std::env::args().skip(1);
    let mut given = Words { seconds: 4, rounds: 3, ..Words::default() };
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} takes a value"));
        match &*word {
            // What this program is started as, on the throw-away host.
            "serve" => return server::serve(value().parse().expect("a number of containers")),
            "ask" => {
                let seconds = value().parse().expect("a number of seconds");
                return server::ask(seconds, &value());
            }
            "upstream" => return server::upstream(),
            "--markdown" => given.markdown = Some(value().into()),
            "--seconds" => given.seconds = value().parse().expect("a number of seconds"),
            "--rounds" => given.rounds = value().parse().expect("a number of rounds"),
            _ => given.aardvarks.push(word.into()),
        }
    }
    let (read, write) = std::io::pipe().expect("a pipe");
    let status = lab::run(&lab::Options::default(), || {
        let table = run::run(&given);
        (&write).write_all(table.as_bytes()).expect("the table fits the pipe");
        0
    });
    drop(write);
    let table = std::io::read_to_string(read).expect("the table is text");
    println!("{table}");
    if let Some(file) = given.markdown {
        table::replace(&file, &table);
    }
    std::process::exit(status.map_or(1, |status| status.code()));
}
