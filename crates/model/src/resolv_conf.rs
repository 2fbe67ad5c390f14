//! The file that says whom to ask for names: resolv.conf(5).

use std::net::IpAddr;

/// What a resolv.conf says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResolvConf {
    /// Servers, in order. A scope (`%eth0`) means nothing in another namespace, so those servers are left out.
    pub nameservers: Vec<IpAddr>,
    /// Search domains; the last `search` or `domain` line counts.
    pub search: Vec<String>,
    /// Options.
    pub options: Vec<String>,
}

impl ResolvConf {
    /// Reads a resolv.conf; what is not understood is passed over, as the C library does.
    pub fn parse(text: &str) -> Self {
        let mut parsed = Self::default();
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or("");
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    parsed.nameservers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()))
                }
                Some("search" | "domain") => parsed.search = words.map(str::to_owned).collect(),
                Some("options") => parsed.options.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        parsed
    }

    /// Whether every server is this host's own loopback, which a container cannot reach.
    pub fn is_loopback_only(&self) -> bool {
        self.nameservers.iter().all(IpAddr::is_loopback)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolv_conf_is_read_as_the_c_library_does() {
        let parsed = ResolvConf::parse(
            "# x\nnameserver 10.0.0.1 # y\nnameserver bad\nnameserver fe80::1%eth0\nsearch a b\nsearch c\noptions ndots:2\noptions edns0\n",
        );
        assert_eq!(parsed.nameservers, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(
            (parsed.search, parsed.options),
            (vec!["c".to_owned()], vec!["ndots:2".to_owned(), "edns0".to_owned()])
        );
    }
}
