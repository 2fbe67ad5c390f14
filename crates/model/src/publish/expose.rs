//! What `--expose` takes.

use std::fmt;
use std::str::FromStr;

use super::spec::{Run, with_protocol};
use super::{Protocol, PublishError, part, port_range};

/// Ports that a container says it listens on: `PORT[-LAST][/tcp|udp|sctp]`.
///
/// Source: <https://docs.docker.com/reference/cli/docker/container/run/#publish>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct ExposedPorts {
    /// The protocol.
    pub protocol: Protocol,
    /// The first port.
    pub first: u16,
    /// How many, at least one; none is beyond 65535.
    pub count: u16,
}

impl ExposedPorts {
    /// The ports.
    pub fn ports(&self) -> impl Iterator<Item = u16> + use<> {
        let first = self.first;
        (0..self.count).map(move |step| first + step)
    }
}

impl FromStr for ExposedPorts {
    type Err = PublishError;

    fn from_str(text: &str) -> Result<Self, PublishError> {
        if text.contains([':', '=']) {
            return Err(PublishError::Expose(text.to_owned()));
        }
        let (ports, protocol) = with_protocol(text)?;
        let range = port_range(ports)?;
        Ok(Self { protocol, first: *range.start(), count: part::count(&range) })
    }
}

impl fmt::Display for ExposedPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Run(self.first, self.count), self.protocol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Diagnose;

    #[test]
    fn a_port_or_a_range_with_its_protocol() {
        for (text, printed, ports) in
            [("80", "80/tcp", 1), ("80-90/UDP", "80-90/udp", 11), ("1-65535", "1-65535/tcp", 65_535)]
        {
            let exposed: ExposedPorts = text.parse().unwrap();
            assert_eq!((exposed.to_string(), exposed.ports().count()), (printed.to_owned(), ports));
            assert_eq!(exposed.to_string().parse(), Ok(exposed));
        }
    }

    #[test]
    fn what_is_no_port_is_told() {
        let error = |text: &str| text.parse::<ExposedPorts>().expect_err(text);
        assert_eq!(error("80:80").hint().as_deref(), Some("host ports belong to --publish"));
        assert!(matches!(error("target=80"), PublishError::Expose(_)));
        assert!(matches!(error(""), PublishError::Missing { part: "port", .. }));
        assert!(matches!(error("/udp"), PublishError::Missing { part: "port", .. }));
        assert!(matches!(error("0"), PublishError::Port(_)));
        assert!(matches!(error("9-8"), PublishError::Backwards { first: 9, last: 8 }));
        assert!(matches!(error("80/upd"), PublishError::Protocol { .. }));
    }
}
