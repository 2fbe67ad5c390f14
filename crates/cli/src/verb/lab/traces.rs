//! What of Pontoon's could be left on a host: looked at before and after.

use std::collections::BTreeSet;
use std::fs;

use pontoon_kernel::socket::{Protocol, Socket};
use pontoon_kernel::sysctl::Sysctl;
use pontoon_kernel::{address, link, netns, nftables, route, rule};
use pontoon_netlink::address::DumpAddresses;
use pontoon_netlink::link::DumpLinks;
use pontoon_netlink::route::{DumpRoutes, TABLE_LOCAL};
use pontoon_netlink::rule::DumpRules;

use crate::failure::Failure;

/// The settings that networks change.
const SETTINGS: [&str; 2] = ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"];

/// Every object of the kinds that Pontoon makes, one in a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Traces(BTreeSet<String>);

impl Traces {
    /// Looks at the host.
    pub(super) fn find() -> Result<Self, Failure> {
        let mut all = BTreeSet::new();
        let mut socket = Socket::open(Protocol::Route)?;
        let links = link::list(&mut socket, &DumpLinks::default())?;
        all.extend(links.iter().map(|link| format!("link {}", link.name)));
        let addresses = address::list(&mut socket, &DumpAddresses::default())?;
        all.extend(addresses.iter().map(|address| format!("address {}", address.local)));
        let routes = route::list(&mut socket, &DumpRoutes::default())?;
        // The table of local addresses repeats what addresses say, and for IPv6 a little later.
        let routes = routes.iter().filter(|route| route.table != TABLE_LOCAL);
        all.extend(routes.map(|route| {
            format!("route {} in table {}: {:?}", route.destination, route.table, route.next_hops)
        }));
        all.extend(
            rule::list(&mut socket, &DumpRules::default())?.iter().map(|rule| format!("rule {rule:?}")),
        );
        let mut socket = Socket::open(Protocol::Netfilter)?;
        let ruleset = nftables::ruleset(&mut socket, None)?;
        all.extend(ruleset.tables.iter().map(|table| format!("nft table {}", table.table.name)));
        all.extend(netns::pinned_names()?.iter().map(|name| format!("namespace {name}")));
        for key in SETTINGS {
            all.insert(format!("setting {key} = {}", key.parse::<Sysctl>()?.read()?.trim()));
        }
        let files = fs::read_dir("/etc/netns").into_iter().flatten().flatten();
        all.extend(files.map(|file| format!("folder {}", file.path().display())));
        Ok(Self(all))
    }

    /// How many there are of each kind: `2 links, 8 addresses`.
    pub(super) fn summary(&self) -> String {
        let kinds = [
            ("link ", "links"),
            ("address ", "addresses"),
            ("route ", "routes"),
            ("rule ", "routing rules"),
            ("nft ", "nft tables"),
            ("namespace ", "namespaces"),
            ("folder ", "folders in /etc/netns"),
        ];
        let count = |start: &str| self.0.iter().filter(|line| line.starts_with(start)).count();
        let counts = kinds.map(|(start, name)| format!("{} {name}", count(start)));
        let settings = self.0.iter().filter_map(|line| line.strip_prefix("setting ").map(str::to_owned));
        counts.into_iter().chain(settings).collect::<Vec<_>>().join(", ")
    }

    /// What is there now and was not before, or was and is not.
    pub(super) fn differences(&self, before: &Self) -> Vec<String> {
        let more = self.0.difference(&before.0).map(|line| format!("+ {line}"));
        let less = before.0.difference(&self.0).map(|line| format!("- {line}"));
        more.chain(less).collect()
    }
}
