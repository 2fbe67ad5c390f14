//! Prints the ruleset of this network namespace as JSON: how the rulesets in `crates/explain/tests` were captured.
//! With `legacy`, the bytes of iptables-legacy's `filter` table instead.

use pontoon_kernel::iptables::{self, Version};
use pontoon_kernel::nftables;
use pontoon_kernel::socket::{Protocol, Socket};

fn main() {
    if std::env::args().any(|word| word == "legacy") {
        let table = iptables::filter(Version::V4).expect("the table can be read").expect("it is there");
        let value = serde_json::json!({
            "version": "v4", "hooks": table.hooks, "entry": table.entry, "underflow": table.underflow,
            "entries": table.entries,
        });
        println!("{value}");
        return;
    }
    let mut socket = Socket::open(Protocol::Netfilter).expect("a socket");
    let ruleset = nftables::ruleset(&mut socket, None).expect("the ruleset can be read");
    println!("{}", serde_json::to_string(&ruleset).expect("it is text and numbers"));
}
