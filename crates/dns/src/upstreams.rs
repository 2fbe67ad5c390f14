//! Whom to ask for names that are nobody's here.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use pontoon_model::resolv_conf::ResolvConf;

use crate::name::{key, strip_suffix};

/// The port of name servers: RFC 1035, 4.2.
pub const PORT: u16 = 53;

/// Servers, and for which names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Upstreams {
    /// For all names that no domain is for, in the order in which they are asked.
    pub servers: Vec<SocketAddr>,
    /// Domains with servers of their own; the longest that a name is in counts.
    pub domains: Vec<Domain>,
    /// The `AD` bit of answers is passed on: the way to the servers is trusted, as `options trust-ad` says
    /// (resolv.conf(5)). Otherwise it is cleared, since nobody here has checked a signature.
    pub trust_ad: bool,
}

/// A domain with servers of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// The domain: the name itself and all below.
    pub name: String,
    /// Its servers.
    pub servers: Vec<SocketAddr>,
}

impl Upstreams {
    /// What the host's files say: resolv.conf, or the file with the real servers behind it where it names loopback
    /// addresses alone, as with systemd-resolved.
    ///
    /// Where there is no such file, the loopback servers are asked: the host can.
    pub fn of_host(host: &ResolvConf, behind: Option<&ResolvConf>) -> Self {
        let real = behind.filter(|behind| host.is_loopback_only() && !behind.nameservers.is_empty());
        let chosen = real.unwrap_or(host);
        let servers = chosen.nameservers.iter().map(|server| SocketAddr::new(*server, PORT)).collect();
        let trust_ad = chosen.options.iter().any(|option| option == "trust-ad");
        Self { servers, domains: Vec::new(), trust_ad }
    }

    /// Without servers that `is_own` says are ours: they would ask us what we ask them.
    #[must_use]
    pub fn without(mut self, is_own: impl Fn(IpAddr) -> bool) -> Self {
        self.servers.retain(|server| !is_own(server.ip()));
        for domain in &mut self.domains {
            domain.servers.retain(|server| !is_own(server.ip()));
        }
        self
    }
}

/// A domain as it is looked up, with its servers.
type Route = (Box<[u8]>, Arc<[SocketAddr]>);

/// The servers for each domain, ready to be looked up.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// Domains as they are looked up, the longest first.
    domains: Vec<Route>,
    default: Arc<[SocketAddr]>,
}

impl Routes {
    pub(crate) fn new(upstreams: &Upstreams) -> Self {
        let route = |domain: &Domain| Some((key(&domain.name)?, domain.servers.as_slice().into()));
        let mut domains: Vec<Route> = upstreams.domains.iter().filter_map(route).collect();
        domains.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        Self { domains, default: upstreams.servers.as_slice().into() }
    }

    /// The servers for a name.
    pub(crate) fn of(&self, name: &[u8]) -> &Arc<[SocketAddr]> {
        let is_in = |domain: &[u8]| name == domain || strip_suffix(name, domain).is_some();
        let found = self.domains.iter().find(|(domain, _)| is_in(domain));
        found.map_or(&self.default, |(_, servers)| servers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(text: &str) -> ResolvConf {
        ResolvConf::parse(text)
    }

    fn servers(upstreams: &Upstreams) -> Vec<String> {
        upstreams.servers.iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn a_local_resolver_is_seen_through() {
        let stub = conf("nameserver 127.0.0.53\noptions edns0 trust-ad\n");
        let real = conf("nameserver 192.0.2.53\nnameserver 2001:db8::53\n");
        let through = Upstreams::of_host(&stub, Some(&real));
        assert_eq!(servers(&through), ["192.0.2.53:53", "[2001:db8::53]:53"]);
        assert!(!through.trust_ad, "the way is another one");
        assert_eq!(servers(&Upstreams::of_host(&stub, None)), ["127.0.0.53:53"]);
        assert_eq!(servers(&Upstreams::of_host(&stub, Some(&conf("")))), ["127.0.0.53:53"]);
        assert!(Upstreams::of_host(&stub, None).trust_ad);
        assert_eq!(servers(&Upstreams::of_host(&real, Some(&stub))).len(), 2);
    }

    #[test]
    fn nobody_asks_themselves() {
        let own: IpAddr = "10.1.0.1".parse().unwrap();
        let upstreams = Upstreams::of_host(&conf("nameserver 10.1.0.1\nnameserver 192.0.2.1\n"), None);
        assert_eq!(servers(&upstreams.without(|address| address == own)), ["192.0.2.1:53"]);
    }

    #[test]
    fn the_longest_domain_counts() {
        let server = |text: &str| vec![text.parse::<SocketAddr>().unwrap()];
        let domain = |name: &str, text: &str| Domain { name: name.into(), servers: server(text) };
        let routes = Routes::new(&Upstreams {
            servers: server("192.0.2.1:53"),
            domains: vec![domain("corp", "192.0.2.2:53"), domain("Lab.corp", "192.0.2.3:53")],
            trust_ad: false,
        });
        let of = |name: &str| routes.of(&key(name).unwrap())[0].ip().to_string();
        assert_eq!(of("example.com"), "192.0.2.1");
        assert_eq!(of("a.corp"), "192.0.2.2");
        assert_eq!(of("lab.corp"), "192.0.2.3");
        assert_eq!(of("x.lab.corp"), "192.0.2.3");
        assert_eq!(of("xcorp"), "192.0.2.1");
    }
}
