//! Options of networks and endpoints, under Docker's names.
//!
//! Source: the option keys in moby's `daemon/libnetwork/drivers/bridge/bridgelabels` and `netlabel` packages, and
//! <https://docs.docker.com/engine/network/drivers/bridge/#options>.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::diagnose::{Diagnose, near};
use crate::name::IfName;

/// The keys that `network create --opt` takes.
pub const NETWORK_KEYS: [&str; 15] = [
    BRIDGE_NAME,
    ICC,
    MASQUERADE,
    HOST_BINDING,
    GATEWAY_MODE_4,
    GATEWAY_MODE_6,
    INHIBIT_IPV4,
    IFACE_PREFIX,
    MTU,
    HOST_IPV4,
    HOST_IPV6,
    DEFAULT_BRIDGE,
    ANTISPOOF,
    DNS,
    REPAIR,
];
/// The keys that `network connect --driver-opt` takes.
pub const ENDPOINT_KEYS: [&str; 3] = [IFNAME, SYSCTLS, ANTISPOOF];

const BRIDGE_NAME: &str = "com.docker.network.bridge.name";
const ICC: &str = "com.docker.network.bridge.enable_icc";
const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
const HOST_BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
const GATEWAY_MODE_4: &str = "com.docker.network.bridge.gateway_mode_ipv4";
const GATEWAY_MODE_6: &str = "com.docker.network.bridge.gateway_mode_ipv6";
const INHIBIT_IPV4: &str = "com.docker.network.bridge.inhibit_ipv4";
const DEFAULT_BRIDGE: &str = "com.docker.network.bridge.default_bridge";
const IFACE_PREFIX: &str = "com.docker.network.container_iface_prefix";
const MTU: &str = "com.docker.network.driver.mtu";
const HOST_IPV4: &str = "com.docker.network.host_ipv4";
const HOST_IPV6: &str = "com.docker.network.host_ipv6";
const IFNAME: &str = "com.docker.network.endpoint.ifname";
const SYSCTLS: &str = "com.docker.network.endpoint.sysctls";
/// Not Docker's, which has nothing like it; of a network and of an endpoint.
pub const ANTISPOOF: &str = "pontoon.antispoof";
/// Not Docker's, whose networks all have names.
const DNS: &str = "pontoon.dns";
/// Not Docker's, which repairs nothing.
pub const REPAIR: &str = "pontoon.repair";

/// What a network's gateway does for its containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GatewayMode {
    /// Traffic out is masqueraded; nothing comes in but answers and published ports.
    #[default]
    Nat,
    /// As `nat`, but unpublished ports can be reached by routing to the container's address.
    NatUnprotected,
    /// No address is rewritten; nothing comes in but answers, ICMP and published ports.
    Routed,
    /// The bridge has no host address at all. Only for internal networks.
    Isolated,
}

impl GatewayMode {
    const NAMES: [(&str, Self); 4] = [
        ("nat", Self::Nat),
        ("nat-unprotected", Self::NatUnprotected),
        ("routed", Self::Routed),
        ("isolated", Self::Isolated),
    ];

    /// Whether sources are rewritten on the way out, unless masquerading is switched off.
    pub fn is_nat(self) -> bool {
        matches!(self, Self::Nat | Self::NatUnprotected)
    }
}

impl fmt::Display for GatewayMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, mode)| mode == self).map_or("nat", |(name, _)| name);
        f.write_str(name)
    }
}

/// A bridge network's options, understood.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BridgeOptions {
    /// Name of the bridge; derived from the network's id when not given.
    pub name: Option<IfName>,
    /// Whether containers of the network reach each other.
    pub icc: bool,
    /// Whether sources are rewritten to the host's on the way out.
    pub masquerade: bool,
    /// Host address that published ports bind to by default.
    pub host_binding: Option<Ipv4Addr>,
    /// What the gateway does for IPv4.
    pub gateway_mode_v4: GatewayMode,
    /// What the gateway does for IPv6.
    pub gateway_mode_v6: GatewayMode,
    /// Whether the bridge goes without an IPv4 address, because something else is the gateway.
    pub inhibit_ipv4: bool,
    /// Beginning of the interface names in containers.
    pub iface_prefix: String,
    /// MTU of the bridge and of every interface on it, in bytes; the kernel's default when not given.
    pub mtu: Option<u32>,
    /// Source address for IPv4 on the way out instead of the outgoing interface's.
    pub host_ipv4: Option<Ipv4Addr>,
    /// Source address for IPv6 on the way out instead of the outgoing interface's.
    pub host_ipv6: Option<Ipv6Addr>,
    /// Whether Pontoon's own containers may send with their own addresses alone.
    #[serde(default = "yes")]
    pub antispoof: bool,
    /// Whether its containers find each other by name.
    #[serde(default = "yes")]
    pub dns: bool,
    /// Whether what somebody changed of it on the host is put back; if not, it is only reported.
    #[serde(default = "yes")]
    pub repair: bool,
}

impl Default for BridgeOptions {
    fn default() -> Self {
        Self {
            name: None,
            icc: true,
            masquerade: true,
            host_binding: None,
            gateway_mode_v4: GatewayMode::Nat,
            gateway_mode_v6: GatewayMode::Nat,
            inhibit_ipv4: false,
            iface_prefix: "eth".into(),
            mtu: None,
            host_ipv4: None,
            host_ipv6: None,
            antispoof: true,
            dns: true,
            repair: true,
        }
    }
}

/// An endpoint's options, understood.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct EndpointOptions {
    /// Name of the interface in the container.
    pub ifname: Option<IfName>,
    /// Sysctls to set for the interface: path below `/proc/sys`, in which `IFNAME` stands for the interface, and value.
    pub sysctls: Vec<(String, String)>,
    /// Whether it may send with its own addresses alone; when not given, as its network has it for containers of
    /// Pontoon's own, and not for others.
    #[serde(default)]
    pub antispoof: Option<bool>,
}

/// Why an option is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// No such key.
    #[error("unknown option `{key}`")]
    Unknown {
        /// The key as given.
        key: String,
        /// Known keys that look like it.
        near: Vec<String>,
        /// All known keys.
        known: Vec<String>,
    },
    /// The value is not one that the key takes.
    #[error("option `{key}` cannot be `{value}`: it takes {takes}")]
    Value {
        /// The key.
        key: String,
        /// The value as given.
        value: String,
        /// What it takes.
        takes: &'static str,
    },
    /// Not `KEY=VALUE`.
    #[error("`{0}` is not an option: KEY=VALUE")]
    Syntax(String),
}

impl Diagnose for OptionError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown-option",
            Self::Value { .. } => "bad-option-value",
            Self::Syntax(_) => "bad-option",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { near, .. } if !near.is_empty() => {
                Some(format!("did you mean {}?", near.join(" or ")))
            }
            Self::Unknown { known, .. } => Some(format!("known options: {}", known.join(", "))),
            _ => None,
        }
    }
}

impl BridgeOptions {
    /// Reads `--opt` pairs.
    ///
    /// # Errors
    ///
    /// On a key that does not exist (with the near ones) or a value that the key does not take.
    pub fn parse(pairs: &BTreeMap<String, String>) -> Result<Self, OptionError> {
        let mut options = Self::default();
        for (key, value) in pairs {
            options.set(key, value)?;
        }
        Ok(options)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), OptionError> {
        let bad = |takes| OptionError::Value { key: key.to_owned(), value: value.to_owned(), takes };
        match key {
            BRIDGE_NAME => {
                self.name = Some(value.parse().map_err(|_| bad("an interface name of at most 15 bytes"))?);
            }
            ICC => self.icc = boolean(value).ok_or_else(|| bad(BOOLEAN))?,
            MASQUERADE => self.masquerade = boolean(value).ok_or_else(|| bad(BOOLEAN))?,
            HOST_BINDING => self.host_binding = Some(value.parse().map_err(|_| bad("an IPv4 address"))?),
            GATEWAY_MODE_4 => self.gateway_mode_v4 = gateway_mode(value).ok_or_else(|| bad(MODES))?,
            GATEWAY_MODE_6 => self.gateway_mode_v6 = gateway_mode(value).ok_or_else(|| bad(MODES))?,
            INHIBIT_IPV4 => self.inhibit_ipv4 = boolean(value).ok_or_else(|| bad(BOOLEAN))?,
            IFACE_PREFIX => {
                let name: Result<IfName, _> = format!("{value}0").parse();
                let fits = name.is_ok() && !value.is_empty() && value.len() <= 12;
                self.iface_prefix = fits
                    .then(|| value.to_owned())
                    .ok_or_else(|| bad("1 to 12 bytes of an interface name"))?;
            }
            MTU => {
                self.mtu = Some(mtu(value).ok_or_else(|| bad("68 to 65535 bytes (1280 or more for IPv6)"))?)
            }
            HOST_IPV4 => self.host_ipv4 = Some(value.parse().map_err(|_| bad("an IPv4 address"))?),
            HOST_IPV6 => self.host_ipv6 = Some(value.parse().map_err(|_| bad("an IPv6 address"))?),
            ANTISPOOF => self.antispoof = boolean(value).ok_or_else(|| bad(BOOLEAN))?,
            DNS => self.dns = boolean(value).ok_or_else(|| bad(BOOLEAN))?,
            REPAIR => self.repair = boolean(value).ok_or_else(|| bad(BOOLEAN))?,
            // Docker writes it on its own default network; files made from `docker network inspect` carry it.
            DEFAULT_BRIDGE => {
                boolean(value).ok_or_else(|| bad(BOOLEAN))?;
            }
            _ => return Err(unknown(key, &NETWORK_KEYS)),
        }
        Ok(())
    }
}

impl EndpointOptions {
    /// Reads `--driver-opt` pairs.
    ///
    /// # Errors
    ///
    /// On a key that does not exist (with the near ones) or a value that the key does not take.
    pub fn parse(pairs: &BTreeMap<String, String>) -> Result<Self, OptionError> {
        let mut options = Self::default();
        for (key, value) in pairs {
            let bad = |takes| OptionError::Value { key: key.clone(), value: value.clone(), takes };
            match key.as_str() {
                IFNAME => {
                    options.ifname =
                        Some(value.parse().map_err(|_| bad("an interface name of at most 15 bytes"))?)
                }
                SYSCTLS => {
                    let takes = "net.ipv4|ipv6|mpls.*.IFNAME.KEY=VALUE, comma-separated";
                    for pair in value.split(',').filter(|pair| !pair.is_empty()) {
                        options.sysctls.push(interface_sysctl(pair).ok_or_else(|| bad(takes))?);
                    }
                }
                ANTISPOOF => options.antispoof = Some(boolean(value).ok_or_else(|| bad(BOOLEAN))?),
                _ => return Err(unknown(key, &ENDPOINT_KEYS)),
            }
        }
        Ok(options)
    }
}

/// Splits `KEY=VALUE`.
///
/// # Errors
///
/// If there is no `=` or nothing before it.
pub fn pair(text: &str) -> Result<(String, String), OptionError> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(OptionError::Syntax(text.to_owned())),
    }
}

/// What a definition has that was written before there was the option.
fn yes() -> bool {
    true
}

const BOOLEAN: &str = "true or false";
const MODES: &str = "nat, nat-unprotected, routed or isolated";

/// Go's `strconv.ParseBool`, which is how Docker reads these.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn gateway_mode(text: &str) -> Option<GatewayMode> {
    GatewayMode::NAMES.iter().find(|(name, _)| *name == text).map(|(_, mode)| *mode)
}

/// 68 is `ETH_MIN_MTU`, 65535 `ETH_MAX_MTU` (include/uapi/linux/if_ether.h).
fn mtu(text: &str) -> Option<u32> {
    text.parse().ok().filter(|mtu| (68..=65_535).contains(mtu))
}

/// Reads `net.ipv4.conf.IFNAME.log_martians=1`. The interface stands as the literal `IFNAME`; the result has slashes.
fn interface_sysctl(pair: &str) -> Option<(String, String)> {
    let (key, value) = pair.trim().split_once('=')?;
    let mut parts = key.split('.');
    let family = (parts.next()? == "net").then(|| parts.next()).flatten()?;
    let kind = parts.next()?;
    let interface = (parts.next()? == "IFNAME").then_some("IFNAME")?;
    let name = parts.next()?;
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let known = matches!(family, "ipv4" | "ipv6" | "mpls") && matches!(kind, "conf" | "neigh");
    let valid = known && word(name) && parts.next().is_none() && !value.is_empty() && !value.contains('\n');
    valid.then(|| (format!("net/{family}/{kind}/{interface}/{name}"), value.to_owned()))
}

/// The last part is what people remember and mistype; the first parts are the same for all.
fn unknown(key: &str, known: &[&'static str]) -> OptionError {
    let tail = |full: &str| full.rsplit('.').next().unwrap_or(full).to_owned();
    let tails: Vec<String> = known.iter().map(|full| tail(full)).collect();
    let near_tails = near(&tail(key), tails.iter().map(String::as_str));
    let full = |near: &&str| known.iter().find(|full| tail(full) == **near).map(|full| (*full).to_owned());
    OptionError::Unknown {
        key: key.to_owned(),
        near: near_tails.iter().filter_map(full).collect(),
        known: known.iter().map(|key| (*key).to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_known_key_is_read() {
        let options = BridgeOptions::parse(&pairs(&[
            (BRIDGE_NAME, "br9"),
            (ICC, "false"),
            (MASQUERADE, "0"),
            (HOST_BINDING, "127.0.0.1"),
            (GATEWAY_MODE_4, "routed"),
            (GATEWAY_MODE_6, "nat-unprotected"),
            (INHIBIT_IPV4, "true"),
            (IFACE_PREFIX, "net"),
            (MTU, "1400"),
            (HOST_IPV4, "192.0.2.7"),
            (HOST_IPV6, "2001:db8::7"),
            (DEFAULT_BRIDGE, "true"),
            (ANTISPOOF, "false"),
            (DNS, "false"),
        ]))
        .unwrap();
        assert_eq!(options.name.unwrap().as_str(), "br9");
        assert!(!options.icc && !options.masquerade && options.inhibit_ipv4);
        assert!(!options.antispoof && !options.dns);
        assert_eq!(
            (options.gateway_mode_v4, options.gateway_mode_v6),
            (GatewayMode::Routed, GatewayMode::NatUnprotected)
        );
        assert_eq!((options.mtu, options.iface_prefix.as_str()), (Some(1400), "net"));
    }

    #[test]
    fn an_unknown_key_lists_the_near_ones() {
        let error = |key| BridgeOptions::parse(&pairs(&[(key, "1")])).unwrap_err().hint().unwrap();
        let said = error("com.docker.network.bridge.enable_ic");
        assert!(said.starts_with(&format!("did you mean {ICC}")) && !said.contains(BRIDGE_NAME), "{said}");
        assert!(error("enable_icc").starts_with(&format!("did you mean {ICC}")));
        assert_eq!(error("mtu"), format!("did you mean {MTU}?"));
        assert_eq!(error("pontoon.anti-spoof"), format!("did you mean {ANTISPOOF}?"));
        assert!(error("zzz").starts_with("known options: com.docker"));
    }

    #[test]
    fn a_wrong_value_says_what_is_taken() {
        for (key, value) in [
            (ICC, "yes"),
            (ANTISPOOF, "off"),
            (MTU, "67"),
            (MTU, "65536"),
            (MTU, "x"),
            (GATEWAY_MODE_4, "bridge"),
            (HOST_IPV4, "::1"),
            (BRIDGE_NAME, "a/b"),
            (IFACE_PREFIX, ""),
        ] {
            let error = BridgeOptions::parse(&pairs(&[(key, value)])).unwrap_err();
            assert!(matches!(error, OptionError::Value { .. }), "{key}={value}");
        }
    }

    #[test]
    fn endpoint_sysctls_name_the_interface_by_a_placeholder() {
        let parse = |text| EndpointOptions::parse(&pairs(&[(SYSCTLS, text)]));
        let options = parse("net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.IFNAME.accept_ra=0").unwrap();
        assert_eq!(options.sysctls[0], ("net/ipv4/conf/IFNAME/log_martians".into(), "1".into()));
        for bad in [
            "kernel.hostname=x",
            "net.ipv4.conf.eth0.forwarding=1",
            "net.ipv4.ip_forward=1",
            "net.ipv4.conf.IFNAME.=1",
            "net.ipv4.conf.IFNAME.a/../b=1",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
    #[test]
    fn an_endpoint_says_whether_it_may_spoof_or_leaves_it_to_its_network() {
        let parse = |list| EndpointOptions::parse(&pairs(list)).map(|options| options.antispoof);
        assert_eq!(parse(&[]), Ok(None));
        assert_eq!(parse(&[(ANTISPOOF, "false")]), Ok(Some(false)));
        assert!(parse(&[(ANTISPOOF, "maybe")]).is_err());
        let hint = parse(&[("antispof", "true")]).unwrap_err().hint().unwrap();
        assert_eq!(hint, format!("did you mean {ANTISPOOF}?"));
    }

    #[test]
    fn a_network_that_was_defined_before_there_was_the_option_keeps_its_containers_from_spoofing() {
        let mut stored = serde_json::to_value(BridgeOptions::default()).unwrap();
        stored.as_object_mut().unwrap().remove("antispoof");
        assert!(serde_json::from_value::<BridgeOptions>(stored).unwrap().antispoof);
    }
}
