//! The files that make names work inside a sandbox: resolv.conf and hosts, composed from the host's.
//!
//! Source: resolv.conf(5), hosts(5).

use std::fmt::Write as _;
use std::net::IpAddr;

use pontoon_model::network::NAMES;
use pontoon_model::sandbox::HostEntry;
use pontoon_model::{Endpoint, Network};

use crate::endpoint::elected;

pub use pontoon_model::resolv_conf::ResolvConf;

/// What a person asked for instead of the host's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked<'a> {
    /// `--dns`
    pub nameservers: &'a [IpAddr],
    /// `--dns-search`; a single `.` means none.
    pub search: &'a [String],
    /// `--dns-option`
    pub options: &'a [String],
}

/// The first line of a sandbox's files: whose they are.
pub fn mark(name: &str, id: &str) -> String {
    format!("# Written by pontoon for {name} ({id}); the host's file is untouched.")
}

/// Where a sandbox asks for the names of containers: 127.0.0.11, or where that cannot be, its gateways; nowhere when none
/// of its networks has names. `loopback` says whether the bridges can be filtered, without which 127.0.0.11 is not to be
/// had.
pub fn names(places: &[(&Endpoint, &Network)], loopback: bool) -> Vec<IpAddr> {
    let named = || places.iter().filter(|(_, network)| network.has_names());
    if loopback && named().any(|(_, network)| network.has_names_at_loopback()) {
        return vec![NAMES.into()];
    }
    named().flat_map(|(_, network)| gateways(network)).collect()
}

/// The host's addresses for the containers of its networks: those of the networks that stand first for election as its
/// default routes.
pub fn host_gateways(places: &[(&Endpoint, &Network)]) -> Vec<IpAddr> {
    let of = |v4: bool| {
        let (_, network) = elected(places, v4)?;
        gateways(network).find(|gateway| gateway.is_ipv4() == v4)
    };
    of(true).into_iter().chain(of(false)).collect()
}

fn gateways(network: &Network) -> impl Iterator<Item = IpAddr> {
    network.pools().filter(|pool| network.bridge_has_address(pool)).map(|pool| pool.gateway)
}

/// A sandbox's resolv.conf, and whether it names no server at all.
///
/// `mark` is its first line, `names` is where the names of containers are asked for ([`names`]): there everything is asked
/// for, and what was asked for by `--dns` is asked from there, unless that is an address of the sandbox's own loopback.
/// As Docker has it, a name without a dot is then tried as it is first (`ndots:0`).
/// `host` is the host's; `upstream` is the one with the real servers behind a local resolver
/// (`/run/systemd/resolve/resolv.conf`), which counts when the host's names loopback alone.
pub fn resolv_conf(
    mark: &str,
    host: &ResolvConf,
    upstream: Option<&ResolvConf>,
    asked: &Asked<'_>,
    names: &[IpAddr],
) -> (String, bool) {
    let base = if host.is_loopback_only() { upstream.unwrap_or(host) } else { host };
    let named = !names.is_empty() && !asked.nameservers.iter().any(IpAddr::is_loopback);
    let given: &[IpAddr] = if asked.nameservers.is_empty() { &base.nameservers } else { asked.nameservers };
    let usable = |server: &&IpAddr| !asked.nameservers.is_empty() || !server.is_loopback();
    let servers: Vec<&IpAddr> =
        if named { names.iter().collect() } else { given.iter().filter(usable).collect() };
    let search = if asked.search.is_empty() { &base.search } else { asked.search };
    let mut options = if asked.options.is_empty() { base.options.clone() } else { asked.options.to_vec() };
    if named && !options.iter().any(|option| option.starts_with("ndots:")) {
        options.push("ndots:0".to_owned());
    }
    let mut text = format!("{mark}\n");
    for server in &servers {
        writeln!(text, "nameserver {server}").expect("writing to a String cannot fail");
    }
    if !search.is_empty() && *search != ["."] {
        writeln!(text, "search {}", search.join(" ")).expect("writing to a String cannot fail");
    }
    if !options.is_empty() {
        writeln!(text, "options {}", options.join(" ")).expect("writing to a String cannot fail");
    }
    (text, servers.is_empty())
}

/// A sandbox's hosts file: loopback, itself, and what was asked for; `gateways` are the host's addresses for it.
pub fn hosts(
    mark: &str,
    hostname: &str,
    name: &str,
    addresses: &[IpAddr],
    extra: &[(String, HostEntry)],
    gateways: &[IpAddr],
) -> String {
    let mut text = format!(
        "{mark}\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\n\
         ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n",
    );
    let names = if hostname == name { hostname.to_owned() } else { format!("{hostname} {name}") };
    for address in addresses {
        writeln!(text, "{address}\t{names}").expect("writing to a String cannot fail");
    }
    for (name, entry) in extra {
        let addresses = match entry {
            HostEntry::Address(address) => std::slice::from_ref(address),
            HostEntry::Gateway => gateways,
        };
        for address in addresses {
            writeln!(text, "{address}\t{name}").expect("writing to a String cannot fail");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(text: &str) -> ResolvConf {
        ResolvConf::parse(text)
    }

    #[test]
    fn a_loopback_resolver_is_seen_through() {
        let host = conf("nameserver 127.0.0.53\nsearch lan\n");
        let upstream = conf("nameserver 192.0.2.53\nsearch corp\n");
        let (text, none) = resolv_conf("# x", &host, Some(&upstream), &Asked::default(), &[]);
        assert!(text.contains("nameserver 192.0.2.53\nsearch corp\n") && !none, "{text}");
        let (text, none) = resolv_conf("# x", &host, None, &Asked::default(), &[]);
        assert!(!text.contains("nameserver") && none, "{text}");
    }

    #[test]
    fn what_was_asked_for_wins() {
        let host = conf("nameserver 10.0.0.1\nsearch lan\noptions edns0\n");
        let asked = Asked {
            nameservers: &["127.0.0.1".parse().unwrap()],
            search: &[".".into()],
            options: &["ndots:1".into()],
        };
        let (text, none) = resolv_conf("# x", &host, None, &asked, &[NAMES.into()]);
        assert!(text.ends_with("nameserver 127.0.0.1\noptions ndots:1\n") && !none, "{text}");
    }

    #[test]
    fn where_there_are_names_they_are_asked_for_there() {
        let host = conf("nameserver 10.0.0.1\nsearch lan\noptions edns0\n");
        let asked = Asked { nameservers: &["192.0.2.1".parse().unwrap()], ..Asked::default() };
        for asked in [asked, Asked::default()] {
            let (text, none) = resolv_conf("# x", &host, None, &asked, &[NAMES.into()]);
            assert!(
                text.ends_with("x\nnameserver 127.0.0.11\nsearch lan\noptions edns0 ndots:0\n"),
                "{text}"
            );
            assert!(!none);
        }
        let asked = Asked { options: &["ndots:2".into()], ..Asked::default() };
        let (text, _) = resolv_conf("# x", &host, None, &asked, &[NAMES.into()]);
        assert!(text.ends_with("options ndots:2\n"), "{text}");
    }

    #[test]
    fn a_container_knows_its_own_name() {
        let text = hosts(
            "# x",
            "web.lan",
            "web",
            &["10.0.0.2".parse().unwrap()],
            &[
                ("db".into(), HostEntry::Address("10.0.0.9".parse().unwrap())),
                ("outer".into(), HostEntry::Gateway),
            ],
            &["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
        );
        assert!(text.contains("10.0.0.2\tweb.lan web\n10.0.0.9\tdb\n10.0.0.1\touter\nfd00::1\touter\n"));
    }
}
