//! `--network` of `run`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

use pontoon_engine::connect::ConnectSpec;
use pontoon_engine::run::Networking;
use pontoon_model::diagnose::near;
use pontoon_model::endpoint::NameLink;

use crate::failure::Failure;

/// One `--network`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Attachment {
    None,
    Host,
    Container(String),
    Network(String, Box<Connection>),
}

/// How to connect: a [`ConnectSpec`] that can be compared.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Connection {
    ip: Option<std::net::Ipv4Addr>,
    ip6: Option<std::net::Ipv6Addr>,
    link_local: Vec<IpAddr>,
    aliases: Vec<String>,
    links: Vec<NameLink>,
    mac: Option<pontoon_model::Mac>,
    gw_priority: i64,
    ifname: Option<pontoon_model::IfName>,
    options: BTreeMap<String, String>,
}

/// Keys of both forms, ours and Docker's.
const KEYS: [&str; 11] = [
    "name",
    "ip",
    "ip6",
    "link-local-ip",
    "alias",
    "link",
    "mac",
    "mac-address",
    "gw-priority",
    "ifname",
    "driver-opt",
];

impl FromStr for Attachment {
    type Err = String;

    /// `none`, `host`, `container:N`, `NET`, `NET:ip=…,alias=…`, or Docker's `name=NET,ip=…`.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix("container:") {
            return if name.is_empty() {
                Err("container: needs a name".to_owned())
            } else {
                Ok(Self::Container(name.to_owned()))
            };
        }
        let (name, pairs) = match text.find([':', '=']) {
            Some(at) if text.as_bytes()[at] == b':' => (Some(text[..at].to_owned()), split(&text[at + 1..])?),
            Some(_) => (None, split(text)?),
            None => (Some(text.to_owned()), Vec::new()),
        };
        let mut connection = Connection::default();
        let mut name = name;
        for pair in &pairs {
            let (key, value) = pair.split_once('=').ok_or_else(|| format!("`{pair}` is not KEY=VALUE"))?;
            match key {
                "name" if name.is_none() => name = Some(value.to_owned()),
                "name" => return Err("the network is named twice".to_owned()),
                key => connection.set(key, value)?,
            }
        }
        match name.as_deref() {
            None | Some("") => Err("no network is named: NET, NET:ip=… or name=NET,ip=…".to_owned()),
            Some("none" | "host") if connection != Connection::default() => {
                Err("`none` and `host` take no addresses and names".to_owned())
            }
            Some("none") => Ok(Self::None),
            Some("host") => Ok(Self::Host),
            Some(name) => Ok(Self::Network(name.to_owned(), Box::new(connection))),
        }
    }
}

impl Connection {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let wrong = |what: &str| format!("{key}: `{value}` is not {what}");
        match key {
            "ip" => self.ip = Some(value.parse().map_err(|_| wrong("an IPv4 address"))?),
            "ip6" => self.ip6 = Some(value.parse().map_err(|_| wrong("an IPv6 address"))?),
            "link-local-ip" => self.link_local.push(value.parse().map_err(|_| wrong("an IP address"))?),
            "alias" if value.is_empty() => return Err(wrong("a name")),
            "alias" => self.aliases.push(value.to_owned()),
            "link" => self.links.push(value.parse().map_err(|_| wrong("NAME or NAME:ALIAS"))?),
            "mac" | "mac-address" => {
                self.mac =
                    Some(value.parse().map_err(|error: pontoon_model::mac::MacError| error.to_string())?)
            }
            "gw-priority" => self.gw_priority = value.parse().map_err(|_| wrong("a whole number"))?,
            "ifname" => {
                self.ifname =
                    Some(value.parse().map_err(|error: pontoon_model::name::NameError| error.to_string())?)
            }
            "driver-opt" => {
                let (option, value) = value.split_once('=').ok_or_else(|| wrong("OPTION=VALUE"))?;
                self.options.insert(option.to_owned(), value.to_owned());
            }
            _ => {
                let hint = near(key, KEYS)
                    .first()
                    .map_or_else(|| KEYS.join(", "), |near| format!("did you mean `{near}`?"));
                return Err(format!("there is no key `{key}`: {hint}"));
            }
        }
        Ok(())
    }

    fn spec(self) -> ConnectSpec {
        let Self { ip, ip6, link_local, aliases, links, mac, gw_priority, ifname, options } = self;
        let (publish, avoid) = (Vec::new(), Vec::new());
        ConnectSpec { ip, ip6, link_local, aliases, links, mac, gw_priority, ifname, options, publish, avoid }
    }
}

/// Splits at commas, but for those in a quoted field, as `encoding/csv` in Go does it: `"driver-opt=a=1,b=2",ip=…`.
fn split(text: &str) -> Result<Vec<String>, String> {
    let (mut fields, mut rest) = (Vec::new(), text);
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let end =
                    quoted.find('"').ok_or_else(|| format!("`{rest}`: the quotation mark is not closed"))?;
                (&quoted[..end], &quoted[end + 1..])
            }
            None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        fields.push(field.to_owned());
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => return Err(format!("`{after}`: a comma is missing before it")),
        }
    }
}

/// The flags of `run` that are about its first network.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct First {
    pub(crate) ip: Option<std::net::Ipv4Addr>,
    pub(crate) ip6: Option<std::net::Ipv6Addr>,
    pub(crate) link_local: Vec<IpAddr>,
    pub(crate) mac: Option<pontoon_model::Mac>,
    pub(crate) aliases: Vec<String>,
    pub(crate) links: Vec<NameLink>,
}

/// All `--network` of one command line, and the flags about the first.
pub(crate) fn combine(given: Vec<Attachment>, first: First) -> Result<Networking, Failure> {
    let asks = first != First::default();
    let alone = match given.as_slice() {
        [Attachment::None] => Some(Networking::None),
        [Attachment::Host] => Some(Networking::Host),
        [Attachment::Container(name)] => Some(Networking::Container(name.clone())),
        _ => None,
    };
    if let Some(alone) = alone {
        let refused = "--ip, --ip6, --link-local-ip, --mac-address, --network-alias and --link need a network to be used on";
        return if asks { Err(Failure::usage(refused)) } else { Ok(alone) };
    }
    let mut networks = given.into_iter().map(|one| match one {
        Attachment::Network(name, connection) => Ok((name, *connection)),
        Attachment::None => Err(cannot_combine("none")),
        Attachment::Host => Err(cannot_combine("host")),
        Attachment::Container(name) => Err(cannot_combine(&format!("container:{name}"))),
    });
    let mut networks: Vec<(String, Connection)> = networks.by_ref().collect::<Result<_, _>>()?;
    if asks && networks.is_empty() {
        networks.push((pontoon_engine::network::DEFAULT.to_owned(), Connection::default()));
    }
    if let Some((_, connection)) = networks.first_mut() {
        merge(connection, first)?;
    }
    Ok(Networking::Networks(
        networks.into_iter().map(|(name, connection)| (name, connection.spec())).collect(),
    ))
}

fn cannot_combine(what: &str) -> Failure {
    Failure::usage(format!("--network {what} cannot be combined with other networks"))
}

fn merge(connection: &mut Connection, first: First) -> Result<(), Failure> {
    let twice =
        |what: &str| Failure::usage(format!("{what} is given twice: as a flag of its own and in --network"));
    if first.ip.is_some() && connection.ip.is_some() {
        return Err(twice("ip"));
    }
    if first.ip6.is_some() && connection.ip6.is_some() {
        return Err(twice("ip6"));
    }
    if first.mac.is_some() && connection.mac.is_some() {
        return Err(twice("mac-address"));
    }
    connection.ip = connection.ip.or(first.ip);
    connection.ip6 = connection.ip6.or(first.ip6);
    connection.mac = connection.mac.or(first.mac);
    connection.link_local.extend(first.link_local);
    connection.aliases.extend(first.aliases);
    connection.links.extend(first.links);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> (String, Connection) {
        match text.parse() {
            Ok(Attachment::Network(name, connection)) => (name, *connection),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn both_forms_say_the_same() {
        let short = network(
            "blue:ip=10.0.0.5,ip6=fd00::5,alias=a,alias=b,mac=02:00:00:00:00:05,gw-priority=-1,ifname=lan0",
        );
        let long = network(
            "name=blue,ip=10.0.0.5,ip6=fd00::5,alias=a,alias=b,mac-address=02:00:00:00:00:05,gw-priority=-1,ifname=lan0",
        );
        assert_eq!(short, long);
        assert_eq!(short.0, "blue");
        assert_eq!(short.1.aliases, ["a", "b"]);
        assert_eq!(short.1.ip6, Some("fd00::5".parse().unwrap()));
        assert_eq!(network("ip=10.0.0.5,name=blue").0, "blue");
    }

    #[test]
    fn a_driver_option_may_be_quoted() {
        let (_, connection) = network(r#"name=blue,"driver-opt=x.sysctls=a=1,b=2",ip=10.0.0.5"#);
        assert_eq!(connection.options["x.sysctls"], "a=1,b=2");
        assert_eq!(connection.ip, Some([10, 0, 0, 5].into()));
    }

    #[test]
    fn modes_are_told_from_networks() {
        assert_eq!("none".parse(), Ok(Attachment::None));
        assert_eq!("name=host".parse(), Ok(Attachment::Host));
        assert_eq!("container:web".parse(), Ok(Attachment::Container("web".into())));
        assert_eq!(network("container").0, "container");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (bad, why) in [
            ("", "no network"),
            ("ip=10.0.0.5", "no network"),
            (":ip=10.0.0.5", "no network"),
            ("container:", "needs a name"),
            ("blue:ip", "KEY=VALUE"),
            ("blue:", "KEY=VALUE"),
            ("blue:ip=fd00::1", "IPv4"),
            ("blue:ipv4=10.0.0.1", "did you mean"),
            ("blue:name=red", "twice"),
            ("host:ip=10.0.0.5", "take no"),
            ("blue:mac=01:00:00:00:00:00", "unicast"),
            (r#"blue:"ip=10.0.0.5"#, "not closed"),
        ] {
            let error = bad.parse::<Attachment>().expect_err(bad);
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn modes_stand_alone_and_flags_are_about_the_first() {
        let given =
            |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Attachment>>();
        for texts in [["none", "blue"], ["blue", "container:web"], ["host", "none"]] {
            assert!(combine(given(&texts), First::default()).is_err(), "{texts:?}");
        }
        let first = || First { ip: Some([10, 0, 0, 5].into()), ..First::default() };
        let Ok(Networking::Networks(networks)) = combine(given(&["blue", "red"]), first()) else { panic!() };
        assert_eq!((networks[0].1.ip, networks[1].1.ip), (Some([10, 0, 0, 5].into()), None));
        let Ok(Networking::Networks(networks)) = combine(Vec::new(), first()) else { panic!() };
        assert_eq!(networks[0].0, "bridge");
        assert!(combine(given(&["host"]), first()).is_err());
        assert!(combine(given(&["blue:ip=10.0.0.6"]), first()).is_err());
    }
}
