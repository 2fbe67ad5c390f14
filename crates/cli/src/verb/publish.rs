//! `pontoon publish`

use std::process::ExitCode;

use clap::Args;
use pontoon_model::publish::PublishSpec;
use pontoon_model::{ContainerRef, Publication};

use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::parse::hinted::hinted;
use crate::show::plan::PlanFlag;

/// Publish ports of a container that runs
///
/// Connections to the host's port are led to the container's: from outside, from the host itself, also at 127.0.0.1
/// and ::1, and from other containers. Without a host port, a free one is chosen and printed.
#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// Container as in `network connect`
    container: ContainerRef,
    /// Port: [HOST_IP:][HOST_PORT:]PORT[/tcp|udp|sctp], each a range if need be
    #[arg(value_name = "PORT", required = true, value_parser = hinted::<PublishSpec>)]
    ports: Vec<PublishSpec>,
    #[command(flatten)]
    plan: PlanFlag,
}

impl Publish {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let format = global.plan_format(self.plan.format)?;
        let mut session = global.session()?;
        let done = session.publish(&self.container, &self.ports)?;
        global.conclude(&session, format, &done, |changed| {
            changed.ports.iter().try_for_each(|port: &Publication| output::line(port))
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
