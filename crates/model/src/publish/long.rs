//! The long form: `published=8080,target=80,protocol=udp,host_ip=1.2.3.4`.
//!
//! Source: `PortOpt` in docker/cli's `opts/port.go`; `host_ip` and ranges are the Compose file's
//! (<https://docs.docker.com/reference/compose-file/services/#ports>).

use super::{Protocol, PublishError, PublishSpec, part, port_range};
use crate::diagnose::near;

/// The keys of the long form.
pub(super) const KEYS: [&str; 4] = [PUBLISHED, TARGET, PROTOCOL, HOST_IP];

const PUBLISHED: &str = "published";
const TARGET: &str = "target";
const PROTOCOL: &str = "protocol";
const HOST_IP: &str = "host_ip";
const MODE: &str = "mode";

/// What to call the missing value of each key.
const VALUES: [&str; KEYS.len()] =
    ["value of published", "value of target", "value of protocol", "value of host_ip"];

/// The values as they are written, in the order of [`KEYS`].
type Values<'a> = [Option<&'a str>; KEYS.len()];

pub(super) fn parse(text: &str) -> Result<PublishSpec, PublishError> {
    let mut values: Values<'_> = [None; KEYS.len()];
    for word in text.split(',') {
        take(text, word, &mut values)?;
    }
    let [published, target, protocol, host_ip] = values;
    let missing = || PublishError::Missing { part: TARGET, given: text.to_owned() };
    let target = port_range(target.ok_or_else(missing)?)?;
    let address = host_ip.map(|text| part::address(part::bare(text))).transpose()?;
    let protocol = protocol.map_or(Ok(Protocol::Tcp), str::parse)?;
    PublishSpec::pair(address, published.map(port_range).transpose()?, &target, protocol)
}

fn take<'a>(text: &str, word: &'a str, values: &mut Values<'a>) -> Result<(), PublishError> {
    let given = || text.to_owned();
    let (key, value) = word.split_once('=').unwrap_or((word, ""));
    // Docker takes them in any case.
    let key = key.to_ascii_lowercase();
    if key == MODE {
        return Err(PublishError::Swarm(key));
    }
    let Some(place) = KEYS.iter().position(|known| *known == key) else {
        let near = near(&key, KEYS).first().copied();
        return Err(PublishError::Key { key, given: given(), near });
    };
    if value.is_empty() {
        return Err(PublishError::Missing { part: VALUES[place], given: given() });
    }
    match values[place].replace(value) {
        None => Ok(()),
        Some(_) => Err(PublishError::Twice { key, given: given() }),
    }
}
