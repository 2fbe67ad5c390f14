//! The ruleset as Markdown: `docs/reference/ruleset.md`.

use pontoon_nft::ruleset::{ListedChain, Table};

use super::{example, reason};
use crate::Instance;

/// Columns of the comments in listings, beside their indentation.
const WIDTH: usize = 96;

/// The page.
pub fn markdown() -> String {
    let mut page = format!("{HEAD}\n{PATHS_HEAD}\n\n| packet | what it meets |\n| --- | --- |\n");
    for (packet, meets) in PATHS {
        let steps: Vec<String> = meets.iter().map(|(chain, what)| step(chain, what)).collect();
        page.push_str(&format!("| {packet} | {} |\n", steps.join(" → ")));
    }
    page.push_str(&format!("\n{PATHS_TAIL}\n{TABLE_HEAD}\n```text\n{}```\n\n{CASES_HEAD}", annotated()));
    for case in example::all() {
        page.push_str(&chapter(&case));
    }
    page
}

/// The table without networks, as nft lists it, and above each chain and each rule a comment that says why it is there.
///
/// nft reads it.
pub fn annotated() -> String {
    let table = Table::made_by(&example::empty(&Instance::host())).expect("the first command makes it");
    let text = table.to_string();
    let mut lines = text.lines();
    let mut annotated = String::new();
    let mut take = |out: &mut String, count: usize| {
        for line in lines.by_ref().take(count) {
            out.push_str(line);
            out.push('\n');
        }
    };
    let first_chain = text.lines().position(|line| line.starts_with("\tchain ")).unwrap_or_default();
    take(&mut annotated, first_chain);
    for listed in &table.chains {
        comment(&mut annotated, "\t", reason::of_chain(&listed.chain));
        take(&mut annotated, 1 + header(listed));
        for rule in &listed.rules {
            comment(&mut annotated, "\t\t", reason::of_rule(&listed.chain.name, &rule.rule));
            take(&mut annotated, 1);
        }
        // Its end, and the line between two.
        take(&mut annotated, 2);
    }
    take(&mut annotated, usize::MAX);
    annotated
}

/// How many lines there are between a chain's name and its first rule.
fn header(listed: &ListedChain) -> usize {
    usize::from(listed.chain.comment.is_some()) + usize::from(listed.chain.base.is_some())
}

fn comment(out: &mut String, indent: &str, why: Option<&str>) {
    let mut line = String::new();
    for word in why.unwrap_or_default().split_whitespace() {
        if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
            out.push_str(&format!("{indent}# {line}\n"));
            line.clear();
        }
        line.push_str(if line.is_empty() { "" } else { " " });
        line.push_str(word);
    }
    if !line.is_empty() {
        out.push_str(&format!("{indent}# {line}\n"));
    }
}

/// A case: what was typed, and what its sets and maps have in them.
fn chapter(case: &example::Example) -> String {
    let mut text = format!("\n### {}\n\n```sh\n", case.title);
    for typed in case.typed {
        text.push_str(&format!("{typed}\n"));
    }
    text.push_str(&format!("```\n\n{}\n\n```text\n", case.about));
    let before = case.before();
    let known = |name: &str| before.set(name).map_or([].as_slice(), |set| set.elements.as_slice());
    let mut between = "";
    for listed in case.table().sets.iter().filter(|listed| listed.elements != known(&listed.set.name)) {
        text.push_str(between);
        comment(&mut text, "\t", reason::of_set(&listed.set));
        text.push_str(&listed.to_string());
        between = "\n";
    }
    text.push_str("```\n");
    let beside = case.beside();
    if !beside.is_empty() {
        text.push_str(&format!("\nBeside the table:\n\n```sh\n{beside}```\n"));
    }
    text
}

fn step(chain: &str, what: &str) -> String {
    match (chain, what) {
        ("", what) => what.to_owned(),
        (chain, "") => format!("`{chain}`"),
        (chain, what) => format!("`{chain}`: {what}"),
    }
}

const HEAD: &str = "# The ruleset

Made by `pontoon help ruleset`; do not edit. What a host of yours has is shown by `nft list table inet pontoon`; this page
is the same with the reasons beside it.

Everything is in one table. Its chains are the same on each host and never change. A network is a few elements of its
maps, a published port is one: `--dry-run` shows which.
";

const PATHS_HEAD: &str = "## Which chains a packet meets

The first packet of a connection; network `blue` is in gateway mode `nat`, and container `web` on it has published port
8080 of the host. `loopback` comes first for whatever arrives, and stops nothing but what is about 127.0.0.0/8.";

/// Packets, and for each the chains in order with what happens there.
const PATHS: [(&str, &[(&str, &str)]); 10] = [
    (
        "from outside to a published port",
        &[
            ("loopback", ""),
            ("prerouting", "for an address of the host"),
            ("published", "the destination becomes web's address and port"),
            ("forward", ""),
            ("user-forward", ""),
            ("enter_nat", "translated, so accepted"),
            ("postrouting", "no rule is about it: web sees the client's own address"),
        ],
    ),
    (
        "from outside to a container's own address",
        &[
            ("loopback", ""),
            ("prerouting", "not for the host"),
            ("forward", ""),
            ("user-forward", ""),
            ("enter_nat", "dropped"),
        ],
    ),
    (
        "from a container to the outside",
        &[
            ("loopback", ""),
            ("prerouting", "not for the host"),
            ("forward", ""),
            ("user-forward", "no map has the outgoing interface: accepted"),
            ("postrouting", "the source becomes the host's"),
        ],
    ),
    (
        "from a container to another of its network",
        &[(
            "",
            "nothing, the bridge passes the frame on. With `bridge-nf-call-iptables`: `forward` → `user-forward` → `within` \
             accepts",
        )],
    ),
    (
        "from a container to another network's",
        &[
            ("loopback", ""),
            ("prerouting", "not for the host"),
            ("forward", ""),
            ("user-forward", ""),
            ("enter_nat", "dropped"),
        ],
    ),
    (
        "from a container to a published port of its own network",
        &[
            ("loopback", ""),
            ("prerouting", "for an address of the host"),
            ("published", "the destination becomes web's"),
            ("forward", ""),
            ("user-forward", "then `within` accepts"),
            (
                "postrouting",
                "the source becomes the gateway's, or with `bridge-nf-call-iptables` stays as it is",
            ),
        ],
    ),
    (
        "from a container to another network's published port",
        &[
            ("loopback", ""),
            ("prerouting", "for an address of the host"),
            ("published", "the destination becomes web's"),
            ("forward", ""),
            ("user-forward", ""),
            ("enter_nat", "translated, so accepted; web sees the other container's own address"),
        ],
    ),
    (
        "from the host to a published port at 127.0.0.1",
        &[
            ("output", "for an address of the host"),
            ("published", "the destination becomes web's, and the packet leaves by the bridge"),
            ("postrouting", "the source becomes the gateway's"),
        ],
    ),
    (
        "web's answer to that",
        &[
            ("loopback", "it is for the gateway's address still"),
            (
                "",
                "connection tracking makes it one for 127.0.0.1, which `route_localnet` lets in by the bridge",
            ),
            ("input", ""),
            ("user-input", ""),
        ],
    ),
    (
        "from outside or a container to the host itself",
        &[
            ("loopback", ""),
            ("prerouting", "for an address of the host"),
            ("published", "no map has the port"),
            ("input", ""),
            ("user-input", "the host's other rules decide"),
        ],
    ),
];

const PATHS_TAIL: &str = "The later packets of a connection, and its answers, are translated by connection tracking without `prerouting`, `output`
and `postrouting`. In `forward`, those of a translated connection are counted by `account` and accepted by `known`, others
for a container accepted as `established`.
";

const TABLE_HEAD: &str = "## The table

As nft lists it where there is no network yet; nft reads it, too. The comments are the reasons. (nft up to 1.0.6 leaves
`meta nfproto` out in front of `icmp` and `ipv6-icmp`.)
";

const CASES_HEAD: &str = "## What is in it

The sets and maps that a network changes, and those that a published port changes then. The bridges are called `blue` and
`green` here, as with `-o com.docker.network.bridge.name=blue`; otherwise they are `pt-` and the beginning of the id.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_meet_chains_that_there_are() {
        let table = Table::made_by(&example::empty(&Instance::host())).unwrap();
        for (packet, meets) in PATHS {
            for (chain, _) in meets.iter().filter(|(chain, _)| !chain.is_empty()) {
                assert!(table.chain(chain).is_some(), "{packet}: there is no chain {chain}");
            }
        }
    }

    #[test]
    fn comments_are_all_that_is_added() {
        let without: Vec<String> =
            annotated().lines().filter(|line| !line.trim().starts_with('#')).map(str::to_owned).collect();
        let table = Table::made_by(&example::empty(&Instance::host())).unwrap();
        assert_eq!(without, table.to_string().lines().collect::<Vec<_>>());
    }
}
