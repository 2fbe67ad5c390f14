//! The ends of a cable: `A[:IF][=CIDR[,CIDR]]`.

use std::str::FromStr;

use ipnet::IpNet;
use pontoon_engine::cable::EndSpec;
use pontoon_model::{ContainerRef, IfName};

/// One end as it was typed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct End {
    pub(crate) place: Place,
    pub(crate) ifname: Option<IfName>,
    pub(crate) addresses: Vec<IpNet>,
}

/// Where an end is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Place {
    Host,
    Container(ContainerRef),
}

/// The word for the host.
const HOST: &str = "host";

impl Place {
    /// As the engine takes it.
    pub(crate) fn container(&self) -> Option<&ContainerRef> {
        match self {
            Self::Host => None,
            Self::Container(container) => Some(container),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host => f.write_str(HOST),
            Self::Container(container) => container.fmt(f),
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            HOST => Ok(Self::Host),
            text => text
                .parse()
                .map(Self::Container)
                .map_err(|error: pontoon_model::reference::RefError| error.to_string()),
        }
    }
}

impl FromStr for End {
    type Err = String;

    /// An interface is what follows the last colon, where that is not part of the container: `pid:12` has none,
    /// `pid:12:eth5` and `netns:blue:eth1` have one, and what has a slash is part of a path.
    fn from_str(text: &str) -> Result<Self, String> {
        let (rest, addresses) = match text.rsplit_once('=') {
            Some((rest, list)) => (rest, addresses(list)?),
            None => (text, Vec::new()),
        };
        let (place, ifname) = place_and_interface(rest)?;
        Ok(Self { place, ifname, addresses })
    }
}

/// Parses `CONTAINER[:IF]` or `host[:IF]`.
pub(crate) fn place_and_interface(text: &str) -> Result<(Place, Option<IfName>), String> {
    let (place, ifname) = match text.rsplit_once(':') {
        Some((place, ifname)) if !is_scheme(place) && !ifname.contains('/') => (place, Some(ifname)),
        _ => (text, None),
    };
    let ifname = ifname.map(str::parse).transpose();
    let ifname = ifname.map_err(|error: pontoon_model::name::NameError| error.to_string())?;
    Ok((place.parse()?, ifname))
}

/// Whether a colon after it belongs to the container's name.
fn is_scheme(text: &str) -> bool {
    matches!(text, "pid" | "netns" | "docker" | "podman" | "oci")
}

fn addresses(list: &str) -> Result<Vec<IpNet>, String> {
    list.split(',')
        .map(|text| {
            text.parse()
                .map_err(|_| format!("`{text}` is not an address with a prefix length such as 10.0.0.1/30"))
        })
        .collect()
}

impl End {
    /// As the engine takes it.
    pub(crate) fn spec(&self, gateway: Option<std::net::IpAddr>) -> EndSpec {
        EndSpec {
            place: self.place.container().cloned(),
            ifname: self.ifname.clone(),
            addresses: self.addresses.clone(),
            gateway,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(text: &str) -> (String, Option<String>, Vec<String>) {
        let end: End = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        let addresses = end.addresses.iter().map(ToString::to_string).collect();
        (end.place.to_string(), end.ifname.map(|name| name.to_string()), addresses)
    }

    #[test]
    fn colons_of_the_container_are_not_the_interfaces() {
        for (text, place, ifname, addresses) in [
            ("web", "web", None, vec![]),
            ("web:eth5", "web", Some("eth5"), vec![]),
            ("web=10.0.0.1/30", "web", None, vec!["10.0.0.1/30"]),
            ("host:lab0=10.0.0.1/30,fd00::1/64", "host", Some("lab0"), vec!["10.0.0.1/30", "fd00::1/64"]),
            ("pid:12", "pid:12", None, vec![]),
            ("pid:12:eth5", "pid:12", Some("eth5"), vec![]),
            ("netns:blue", "netns:blue", None, vec![]),
            ("netns:blue:eth1=10.0.0.1/30", "netns:blue", Some("eth1"), vec!["10.0.0.1/30"]),
            ("netns:/proc/1/ns/net", "netns:/proc/1/ns/net", None, vec![]),
            ("netns:/proc/1/ns/net:eth1", "netns:/proc/1/ns/net", Some("eth1"), vec![]),
            ("netns:/run/a:b/net", "netns:/run/a:b/net", None, vec![]),
            ("docker:db:eth1=fd00::2/127", "docker:db", Some("eth1"), vec!["fd00::2/127"]),
        ] {
            let expected = (
                place.to_owned(),
                ifname.map(str::to_owned),
                addresses.into_iter().map(str::to_owned).collect(),
            );
            assert_eq!(end(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_end_is_refused() {
        for (bad, why) in [
            ("", "not a container"),
            ("web:", "interface name"),
            ("web:sixteencharacter", "interface name"),
            ("web=", "prefix length"),
            ("web=10.0.0.1", "prefix length"),
            ("web=10.0.0.1/30,", "prefix length"),
            ("pid:web:eth0", "process id"),
            ("lxc:web:eth0", "not a container"),
        ] {
            let error = bad.parse::<End>().expect_err(bad);
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
