//! The parsers of `pontoon-model`.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::str::FromStr;

use pontoon_model::config::Config;
use pontoon_model::event::{Action, Event, Kind, LONGEST_LINE, News};
use pontoon_model::option::{self as options, BridgeOptions, EndpointOptions, GatewayMode};
use pontoon_model::publish::{ExposedPorts, HostPorts, PublishSpec, conflict, merge};
use pontoon_model::{ContainerRef, Diagnose, IfName, Mac, NetworkName, SandboxName, subnet as subnets};

use crate::input::{assert_in_proportion, text};

/// An error can be told to a person.
fn tell(error: &impl Diagnose) {
    assert!(!error.to_string().is_empty());
    assert!(!error.code().is_empty());
    assert_ne!(error.hint().as_deref(), Some(""));
}

/// What `text` parses to, having checked that it prints as something that parses to the same.
fn parse<T>(text: &str) -> Option<T>
where
    T: FromStr<Err: Diagnose> + Display + Debug + PartialEq,
{
    match text.parse::<T>() {
        Ok(parsed) => {
            let printed = parsed.to_string();
            let again = printed.parse::<T>();
            assert!(again.as_ref().is_ok_and(|again| *again == parsed), "{printed:?} parses to {again:?}");
            Some(parsed)
        }
        Err(error) => {
            tell(&error);
            None
        }
    }
}

/// [`subnets::parse`] and [`subnets::parse_range`].
pub fn subnet(data: &[u8]) {
    let text = text(data);
    let range = match subnets::parse_range(&text) {
        Ok(range) => range,
        Err(error) => {
            tell(&error);
            assert!(subnets::parse(&text).is_err(), "a subnet is a range");
            return;
        }
    };
    assert_eq!(subnets::parse_range(&range.to_string()).as_ref(), Ok(&range));
    assert_eq!(range, range.trunc());
    let (first, last) = subnets::usable(range);
    assert!(first <= last && range.contains(&first) && range.contains(&last));
    assert_eq!(subnets::from_number(subnets::to_number(first), range), first);
    assert!(subnets::overlap(range, range));
    match subnets::parse(&text) {
        Ok(subnet) => {
            assert_eq!(subnet, range);
            assert_eq!(subnets::parse(&subnet.to_string()), Ok(subnet));
            assert!(subnets::usable_count(subnet) >= 2, "a gateway and a container fit");
            assert!(!first.is_loopback() && !first.is_multicast() && !first.is_unspecified());
        }
        Err(error) => tell(&error),
    }
}

/// [`IfName`], [`NetworkName`], [`SandboxName`] and [`Mac`].
pub fn name(data: &[u8]) {
    let text = text(data);
    if let Some(name) = parse::<IfName>(&text) {
        assert!(kernel_takes(name.as_str().as_bytes()), "the kernel refuses {name:?}");
    }
    if let Some(name) = parse::<NetworkName>(&text) {
        assert!(name.as_str().len() <= 128 && name.as_str().is_ascii());
    }
    if let Some(name) = parse::<SandboxName>(&text) {
        assert!(parse::<ContainerRef>(name.as_str()).is_some(), "a container can be named by its name");
    }
    if let Some(mac) = parse::<Mac>(&text) {
        assert!(mac.octets()[0] & 1 == 0 && mac.octets() != [0; 6]);
    }
}

/// `dev_valid_name()` of the kernel's net/core/dev.c.
///
/// Its `isspace()` is that of lib/ctype.c, which takes single bytes for Latin-1: 0xa0 is a space, also as a part of a
/// character in UTF-8.
fn kernel_takes(name: &[u8]) -> bool {
    let refused = |byte: &u8| matches!(byte, 0 | b'/' | b':' | b'\t'..=b'\r' | b' ' | 0xa0);
    !name.is_empty() && name.len() < 16 && name != b"." && name != b".." && !name.iter().any(refused)
}

/// [`ContainerRef`].
pub fn container_ref(data: &[u8]) {
    if let Some(reference) = parse::<ContainerRef>(&text(data)) {
        let json = serde_json::to_string(&reference).expect("it can be written");
        assert_eq!(serde_json::from_str::<ContainerRef>(&json).ok(), Some(reference));
    }
}

/// [`PublishSpec`] and [`ExposedPorts`].
pub fn publish(data: &[u8]) {
    let text = text(data);
    if let Some(spec) = parse::<PublishSpec>(&text) {
        let json = serde_json::to_string(&spec).expect("it can be written");
        assert_eq!(serde_json::from_str::<PublishSpec>(&json).ok(), Some(spec));
        assert!(spec.address.is_none_or(|address| !address.is_multicast()));
        assert_run(spec.container, spec.count);
        let first = match spec.host {
            HostPorts::Exactly(first) => first,
            HostPorts::OneOf { first, last } => {
                assert!(spec.count == 1 && first != 0 && first < last, "{spec:?} leaves a choice");
                last
            }
            HostPorts::Free => spec.container,
        };
        assert_run(first, spec.count);
        let published = spec.at(first);
        assert!(conflict(&published, &published));
        assert_eq!(merge(vec![published]), [published]);
        assert_eq!(published.pairs().last(), published.pairs().nth(usize::from(spec.count) - 1));
    }
    if let Some(exposed) = parse::<ExposedPorts>(&text) {
        assert_run(exposed.first, exposed.count);
        assert!(parse::<PublishSpec>(&text).is_some(), "what is exposed can be published");
    }
}

/// Every port is one.
fn assert_run(first: u16, count: u16) {
    assert!(first != 0 && count != 0 && first.checked_add(count - 1).is_some(), "{first} and {count} ports");
}

/// [`options::pair`], [`BridgeOptions`] and [`EndpointOptions`]. Each line is an option.
pub fn option(data: &[u8]) {
    let mut pairs = BTreeMap::new();
    for line in text(data).split('\n') {
        match options::pair(line) {
            Ok((key, value)) => {
                assert_eq!(format!("{key}={value}"), line);
                pairs.insert(key, value);
            }
            Err(error) => tell(&error),
        }
    }
    match BridgeOptions::parse(&pairs) {
        Ok(parsed) => {
            assert_eq!(BridgeOptions::parse(&bridge_pairs(&parsed)).as_ref(), Ok(&parsed));
            for number in [0, 9, 99, 999] {
                assert!(format!("{}{number}", parsed.iface_prefix).parse::<IfName>().is_ok());
            }
        }
        Err(error) => tell(&error),
    }
    match EndpointOptions::parse(&pairs) {
        Ok(parsed) => {
            assert_eq!(EndpointOptions::parse(&endpoint_pairs(&parsed)).as_ref(), Ok(&parsed));
            assert!(parsed.sysctls.iter().all(|(path, _)| path.starts_with("net/") && !path.contains("..")));
        }
        Err(error) => tell(&error),
    }
}

/// The options as a person would give them.
fn bridge_pairs(options: &BridgeOptions) -> BTreeMap<String, String> {
    let mode = |mode: GatewayMode| Some(mode.to_string());
    let bridge = |key: &str| format!("com.docker.network.bridge.{key}");
    let all = [
        (bridge("name"), options.name.as_ref().map(ToString::to_string)),
        (bridge("enable_icc"), Some(options.icc.to_string())),
        (bridge("enable_ip_masquerade"), Some(options.masquerade.to_string())),
        (bridge("host_binding_ipv4"), options.host_binding.map(|address| address.to_string())),
        (bridge("gateway_mode_ipv4"), mode(options.gateway_mode_v4)),
        (bridge("gateway_mode_ipv6"), mode(options.gateway_mode_v6)),
        (bridge("inhibit_ipv4"), Some(options.inhibit_ipv4.to_string())),
        ("com.docker.network.container_iface_prefix".into(), Some(options.iface_prefix.clone())),
        ("com.docker.network.driver.mtu".into(), options.mtu.map(|mtu| mtu.to_string())),
        ("com.docker.network.host_ipv4".into(), options.host_ipv4.map(|address| address.to_string())),
        ("com.docker.network.host_ipv6".into(), options.host_ipv6.map(|address| address.to_string())),
    ];
    all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

fn endpoint_pairs(options: &EndpointOptions) -> BTreeMap<String, String> {
    let sysctls: Vec<String> =
        options.sysctls.iter().map(|(path, value)| format!("{}={value}", path.replace('/', "."))).collect();
    let mut pairs = BTreeMap::from([("com.docker.network.endpoint.sysctls".to_owned(), sysctls.join(","))]);
    pairs.extend(
        options.ifname.iter().map(|name| ("com.docker.network.endpoint.ifname".to_owned(), name.to_string())),
    );
    pairs
}

/// [`Config::parse`]: `config.toml`.
pub fn config_toml(data: &[u8]) {
    match Config::parse(&text(data)) {
        Ok(config) => {
            assert_in_proportion(&config, data);
            assert_pools_can_be_cut(&config);
            let printed = config_text(&config);
            assert_eq!(Config::parse(&printed).as_ref(), Ok(&config), "{printed}");
        }
        Err(error) => tell(&error),
    }
}

/// [`Config::parse_daemon_json`]: Docker's `daemon.json`.
pub fn daemon_json(data: &[u8]) {
    match Config::parse_daemon_json(&text(data)) {
        Ok(pools) => {
            assert_in_proportion(&pools, data);
            let printed = serde_json::json!({ "default-address-pools": pools }).to_string();
            assert_eq!(Config::parse_daemon_json(&printed).as_ref(), Ok(&pools), "{printed}");
            assert_pools_can_be_cut(&Config { default_address_pools: pools, ..Config::default() });
        }
        Err(error) => tell(&error),
    }
}

fn assert_pools_can_be_cut(config: &Config) {
    for pool in &config.default_address_pools {
        let first = pool.base.subnets(pool.size).ok().and_then(|mut subnets| subnets.next());
        let first = first.unwrap_or_else(|| panic!("{} has no /{}", pool.base, pool.size));
        assert!(subnets::parse(&first.to_string()).is_ok(), "{first} is not a subnet");
    }
}

/// The file that says what `config` says.
fn config_text(config: &Config) -> String {
    let pools: Vec<String> = config
        .default_address_pools
        .iter()
        .map(|pool| format!("{{ base = \"{}\", size = {} }}", pool.base, pool.size))
        .collect();
    let mut printed = format!("default-address-pools = [{}]\n", pools.join(", "));
    if let Some(path) = &config.docker_daemon_json {
        // A JSON string is a basic string of TOML but for DEL, which TOML wants escaped.
        let quoted = serde_json::Value::from(path.as_str()).to_string().replace('\u{7f}', "\\u007f");
        printed.push_str(&format!("docker-daemon-json = {quoted}\n"));
    }
    if let Some(ports) = &config.published_ports {
        printed.push_str(&format!("published-ports = \"{}-{}\"\n", ports.start(), ports.end()));
    }
    printed
}

/// [`Event::parse`] and [`Event::parse_last`].
pub fn event_line(data: &[u8]) {
    match Event::parse(data) {
        Ok(event) => {
            let line = event.line();
            assert!(line.len() <= LONGEST_LINE && line.find('\n') == Some(line.len() - 1));
            if !line.contains('\0') && data.len() < LONGEST_LINE / 8 {
                assert_eq!(Event::parse(line.as_bytes()).expect("it was one"), event);
            }
        }
        Err(error) => tell(&error),
    }
    // Behind anything else, an event is found.
    let known = News::new(Kind::Network, Action::Create, "id").at(1);
    let torn = [data, known.line().as_bytes()].concat();
    assert!(Event::parse_last(&torn).is_some());
}
