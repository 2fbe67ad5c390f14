//! `pontoon network create`

use std::process::ExitCode;

use clap::{ArgAction, Args};
use pontoon_engine::network::NetworkSpec;

use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::parse::pair;
use crate::show::plan::PlanFlag;

/// Make a network
///
/// Prints the network's id. Without --subnet, the network gets the first free one of the default address pools
/// (`default-address-pools` in /etc/pontoon/config.toml; Docker's otherwise), and with --ipv6 a random /64 of the
/// unique local addresses. A subnet is refused when it overlaps another network, an address, route or name server of
/// the host; --allow-overlap insists.
///
/// Options are Docker's: com.docker.network.bridge.name, …bridge.enable_icc, …bridge.enable_ip_masquerade,
/// …bridge.gateway_mode_ipv4 and …ipv6 (nat, nat-unprotected, routed, isolated), …bridge.inhibit_ipv4,
/// …container_iface_prefix, …driver.mtu, …host_ipv4 and …host_ipv6; and Pontoon's own, true unless said otherwise:
/// pontoon.antispoof (its containers send with their own addresses alone) and pontoon.repair (what somebody changes of
/// it on the host is put back). A wrong one is answered with the near ones.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// What carries the network
    #[arg(long, short, value_name = "DRIVER", default_value = "bridge")]
    driver: String,
    /// Subnet such as 10.1.0.0/24 or fd00:1::/64; one of each family
    #[arg(long, value_name = "CIDR")]
    subnet: Vec<String>,
    /// Gateway of the subnet it lies in; the first address otherwise
    #[arg(long, value_name = "IP")]
    gateway: Vec<String>,
    /// Part of the subnet to give addresses out from
    #[arg(long, value_name = "CIDR")]
    ip_range: Vec<String>,
    /// Address that something else has and that is never given out
    #[arg(long, value_name = "NAME=IP", value_parser = pair::key_value)]
    aux_address: Vec<(String, String)>,
    /// Switch IPv6 on
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set)]
    ipv6: Option<bool>,
    /// Switch IPv4 off with --ipv4=false
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set)]
    ipv4: Option<bool>,
    /// Let nothing in or out
    #[arg(long)]
    internal: bool,
    /// Accepted for Docker's sake: containers can be connected to every network by hand
    #[arg(long)]
    attachable: bool,
    /// Label
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair::label)]
    label: Vec<(String, String)>,
    /// Option
    #[arg(long = "opt", short = 'o', value_name = "KEY=VALUE", value_parser = pair::label)]
    options: Vec<(String, String)>,
    /// Take a subnet even if it overlaps what is there
    #[arg(long)]
    allow_overlap: bool,
    /// Name of the network
    name: String,
    #[command(flatten)]
    plan: PlanFlag,
}

impl Create {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let format = global.plan_format(self.plan.format)?;
        let spec = NetworkSpec {
            name: self.name,
            driver: self.driver,
            subnets: self.subnet,
            gateways: self.gateway,
            ranges: self.ip_range,
            aux: self.aux_address.into_iter().collect(),
            ipv4: self.ipv4,
            ipv6: self.ipv6,
            internal: self.internal,
            attachable: self.attachable,
            labels: self.label.into_iter().collect(),
            options: self.options.into_iter().collect(),
            allow_overlap: self.allow_overlap,
        };
        let mut session = global.session()?;
        let made = session.network_create(&spec)?;
        global.conclude(&session, format, &made, |network| output::line(&network.id))?;
        Ok(ExitCode::SUCCESS)
    }
}
