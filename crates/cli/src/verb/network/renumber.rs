//! `pontoon network renumber`

use std::process::ExitCode;

use clap::Args;
use pontoon_engine::renumber::{RenumberSpec, Renumbered};
use pontoon_model::network::AddressPool;
use serde_json::json;

use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::show::plan::PlanFormat;

/// Move a network to other subnets, with the containers on it
///
/// The way out when a VPN came up over a network: see `network ls`. Without --subnet, all of its subnets move to free
/// ones of the same size; with it, only those of the families given. Containers that run get their new addresses at once,
/// at the same place of the subnet where it has that; gateway, --ip-range and auxiliary addresses keep their places too.
/// Default routes, published ports and the containers' own hosts files follow. A --subnet is checked as by
/// `network create`.
///
/// Connections to and from the old addresses end. If anything fails, the network stays where it was.
#[derive(Debug, Args)]
pub(crate) struct Renumber {
    /// New subnet such as 10.1.0.0/24 or fd00:1::/64; one of each family
    #[arg(long, value_name = "CIDR")]
    subnet: Vec<String>,
    /// New gateway, of the subnet it lies in; at the place of the present one otherwise
    #[arg(long, value_name = "IP")]
    gateway: Vec<String>,
    /// Part of the new subnet to give addresses out from
    #[arg(long, value_name = "CIDR")]
    ip_range: Vec<String>,
    /// Take a subnet even if it overlaps what is there
    #[arg(long)]
    allow_overlap: bool,
    /// `json` for who is where now or, with --dry-run, for the plan
    #[arg(long, value_name = "FORMAT")]
    format: Option<PlanFormat>,
    /// Network
    network: String,
}

impl Renumber {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let spec = RenumberSpec {
            subnets: self.subnet,
            gateways: self.gateway,
            ranges: self.ip_range,
            allow_overlap: self.allow_overlap,
        };
        let format = self.format.unwrap_or_default();
        let mut session = global.session()?;
        let moved = session.network_renumber(&self.network, &spec)?;
        global.conclude(&session, format, &moved, |moved| match format {
            PlanFormat::Script => output::print(&table(moved)),
            PlanFormat::Json => output::line(json(moved)),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The subnets that are other ones: before and after.
fn subnets(moved: &Renumbered) -> impl Iterator<Item = (&AddressPool, &AddressPool)> {
    moved.before.pools().zip(moved.after.pools()).filter(|(before, after)| before != after)
}

/// `blue 172.18.0.0/16 → 10.9.0.0/16`, and the same for each container.
fn table(moved: &Renumbered) -> String {
    let mut text = String::new();
    for (before, after) in subnets(moved) {
        text.push_str(&format!("{} {} → {}\n", moved.after.name, before.subnet, after.subnet));
    }
    for container in &moved.containers {
        for (before, after) in container.addresses() {
            text.push_str(&format!("{} {before} → {after}\n", container.name));
        }
    }
    if !moved.containers.is_empty() {
        text.push_str("Connections to and from the old addresses have ended.\n");
    }
    text
}

fn json(moved: &Renumbered) -> serde_json::Value {
    let subnets: Vec<_> = subnets(moved)
        .map(|(before, after)| {
            json!({ "Before": before.subnet, "After": after.subnet, "Gateway": after.gateway })
        })
        .collect();
    let containers: Vec<_> = moved
        .containers
        .iter()
        .flat_map(|one| {
            one.addresses()
                .map(|(before, after)| json!({ "Name": one.name, "Before": before, "After": after }))
        })
        .collect();
    json!({ "Name": moved.after.name, "Subnets": subnets, "Containers": containers })
}
