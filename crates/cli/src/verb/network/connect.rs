//! `pontoon network connect`

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;

use clap::Args;
use pontoon_engine::connect::{ConnectSpec, Connected};
use pontoon_model::endpoint::NameLink;
use pontoon_model::publish::PublishSpec;
use pontoon_model::{ContainerRef, IfName, Mac};

use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::parse::hinted::hinted;
use crate::parse::pair;
use crate::show::plan::PlanFlag;

/// Connect a running container to a network
///
/// The container is one of Pontoon's by name or id, or anybody's: pid:N is the network namespace of a process,
/// netns:NAME one that `ip netns` knows, netns:/PATH one by its file; docker:NAME and podman:NAME are containers of those
/// engines by name or id. The interface is named, addressed and routed from outside, so the container needs no privilege.
#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// IPv4 address to have
    #[arg(long, value_name = "IP")]
    ip: Option<Ipv4Addr>,
    /// IPv6 address to have
    #[arg(long, value_name = "IP")]
    ip6: Option<Ipv6Addr>,
    /// Link-local address to have besides
    #[arg(long, value_name = "IP")]
    link_local_ip: Vec<IpAddr>,
    /// One more name on this network
    #[arg(long, value_name = "NAME")]
    alias: Vec<String>,
    /// One more name that this container alone has for others on this network; may be repeated
    #[arg(long, value_name = "NAME[:ALIAS]")]
    link: Vec<NameLink>,
    /// Ethernet address to have
    #[arg(long, value_name = "MAC")]
    mac_address: Option<Mac>,
    /// Of all its networks, the one with the highest number has the default route
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    gw_priority: i64,
    /// Interface name in the container; the first free `ethN` otherwise
    #[arg(long, value_name = "IF")]
    ifname: Option<IfName>,
    /// Endpoint option: com.docker.network.endpoint.ifname, …sysctls, or pontoon.antispoof=true|false
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair::key_value)]
    driver_opt: Vec<(String, String)>,
    /// Port to publish: [HOST_IP:][HOST_PORT:]PORT[/tcp|udp|sctp], each a range if need be
    #[arg(long, short, value_name = "PORT", value_parser = hinted::<PublishSpec>)]
    publish: Vec<PublishSpec>,
    /// Network
    network: String,
    /// Container
    container: ContainerRef,
    #[command(flatten)]
    plan: PlanFlag,
}

impl Connect {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let format = global.plan_format(self.plan.format)?;
        let spec = ConnectSpec {
            ip: self.ip,
            ip6: self.ip6,
            link_local: self.link_local_ip,
            aliases: self.alias,
            links: self.link,
            mac: self.mac_address,
            gw_priority: self.gw_priority,
            ifname: self.ifname,
            options: self.driver_opt.into_iter().collect(),
            publish: self.publish,
            avoid: Vec::new(),
        };
        let mut session = global.session()?;
        let connected = session.connect(&self.network, &self.container, &spec)?;
        global.conclude(&session, format, &connected, |connected| match global.verbose {
            true => output::line(summary(connected)),
            false => Ok(()),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Interface and addresses: `eth0 172.18.0.2/16 fd00::2/64`.
fn summary(connected: &Connected) -> String {
    let Connected { network, endpoint, .. } = connected;
    let mut words = vec![endpoint.ifname.to_string()];
    for (pool, address) in network.pools().zip(endpoint.addresses()) {
        words.push(pool.with_prefix(address).to_string());
    }
    words.join(" ")
}
