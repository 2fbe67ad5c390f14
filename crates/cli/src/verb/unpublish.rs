//! `pontoon unpublish`

use std::process::ExitCode;

use clap::Args;
use pontoon_engine::publish::Withdraw;
use pontoon_model::ContainerRef;
use pontoon_model::publish::{HostPorts, PublishSpec};

use crate::failure::Failure;
use crate::global::Global;
use crate::parse::hinted::told;
use crate::show::plan::PlanFlag;

/// Withdraw published ports of a container
///
/// Ports are named as they were published, or by the host's port alone: `8080`, `8000-8010`, `127.0.0.1:53/udp`.
#[derive(Debug, Args)]
pub(crate) struct Unpublish {
    /// All of them
    #[arg(long, short, conflicts_with = "ports")]
    all: bool,
    /// Container as in `network connect`
    container: ContainerRef,
    /// Port of the host, or as it was published
    #[arg(value_name = "PORT", required_unless_present = "all", value_parser = withdraw)]
    ports: Vec<Withdraw>,
    #[command(flatten)]
    plan: PlanFlag,
}

impl Unpublish {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let format = global.plan_format(self.plan.format)?;
        let mut session = global.session()?;
        let done = session.unpublish(&self.container, &self.ports)?;
        global.conclude(&session, format, &done, |_| Ok(()))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// `[HOST_IP:]HOST_PORT[-LAST][:PORT[-LAST]][/PROTOCOL]`
fn withdraw(text: &str) -> Result<Withdraw, String> {
    // As `docker port` and `ps` show them.
    let text = text.replace("->", ":");
    let (ports, protocol) = text.split_once('/').map_or((text.as_str(), ""), |(ports, rest)| (ports, rest));
    let slash = if protocol.is_empty() { "" } else { "/" };
    // An address and one port: there it is the host's.
    let spec: PublishSpec = match ports.rsplit_once(':') {
        Some((address, port)) if address.ends_with(']') || address.parse::<std::net::Ipv4Addr>().is_ok() => {
            format!("{address}:{port}:{port}{slash}{protocol}").parse()
        }
        _ => text.parse(),
    }
    .map_err(|error: pontoon_model::publish::PublishError| told(&error))?;
    let PublishSpec { address, protocol, container, count, .. } = spec;
    let (first, last) = match spec.host {
        HostPorts::Exactly(first) => (first, first + (count - 1)),
        HostPorts::OneOf { first, last } => (first, last),
        HostPorts::Free => (container, container + (count - 1)),
    };
    Ok(Withdraw { address, protocol, first, last })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_named_as_it_was_published_or_by_the_hosts_port() {
        for (text, shown) in [
            ("8080", "8080/tcp"),
            ("8080:80", "8080/tcp"),
            ("8080->80/tcp", "8080/tcp"),
            ("53/udp", "53/udp"),
            ("8000-8010", "8000-8010/tcp"),
            ("8000-8010:80-90", "8000-8010/tcp"),
            ("127.0.0.1:8080", "127.0.0.1:8080/tcp"),
            ("127.0.0.1:8080:80/udp", "127.0.0.1:8080/udp"),
            ("[::1]:8080", "[::1]:8080/tcp"),
        ] {
            assert_eq!(withdraw(text).map(|one| one.to_string()), Ok(shown.to_owned()), "{text}");
        }
        assert!(withdraw("http").is_err());
        assert!(withdraw("0").is_err());
    }
}
