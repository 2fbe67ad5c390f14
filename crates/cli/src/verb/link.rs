//! `pontoon link`

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;
use pontoon_model::endpoint::{Cable, CableEnd};

use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::parse::cable::{End, Place};
use crate::parse::pair;
use crate::show::plan::PlanFlag;

/// Lay a cable between two containers, or a container and the host
///
/// A veth pair with nothing between: no bridge, no rules, and no way out unless --gateway-a or --gateway-b gives one.
/// An end is CONTAINER[:IF][=CIDR[,CIDR]], where CONTAINER is as in `network connect`, or `host`:
///
///   pontoon link a=10.0.0.1/30 b=10.0.0.2/30
///
///   pontoon link pid:4711:eth5=10.0.0.1/30,fd00::1/64 host:lab0=10.0.0.2/30,fd00::2/64
///
/// Prints both ends as they are, in the same form.
#[derive(Debug, Args)]
pub(crate) struct Link {
    /// MTU of both ends, in bytes: 68 to 65535, with IPv6 at least 1280
    #[arg(long, value_name = "BYTES")]
    mtu: Option<u32>,
    /// Label
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair::label)]
    label: Vec<(String, String)>,
    /// Router for a default route of A's through the cable
    #[arg(long, value_name = "IP")]
    gateway_a: Option<IpAddr>,
    /// Router for a default route of B's through the cable
    #[arg(long, value_name = "IP")]
    gateway_b: Option<IpAddr>,
    /// One end
    a: End,
    /// The other end
    b: End,
    #[command(flatten)]
    plan: PlanFlag,
}

impl Link {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let format = global.plan_format(self.plan.format)?;
        if self.a.place == Place::Host && self.b.place == Place::Host {
            return Err(Failure::usage("only one end of a cable can be the host's"));
        }
        let mut session = global.session()?;
        let ends = [self.a.spec(self.gateway_a), self.b.spec(self.gateway_b)];
        let labels = self.label.iter().cloned().collect();
        let laid = session.link(&ends[0], &ends[1], self.mtu, labels)?;
        global.conclude(&session, format, &laid, |cable| output::line(self.summary(cable)))?;
        Ok(ExitCode::SUCCESS)
    }

    /// The engine may have turned the cable round: the host's end is its first.
    fn summary(&self, cable: &Cable) -> String {
        let [first, second] = &cable.ends;
        let turned = self.b.place == Place::Host;
        let (a, b) = if turned { (second, first) } else { (first, second) };
        format!("{} {}", end(&self.a.place, a), end(&self.b.place, b))
    }
}

fn end(place: &Place, end: &CableEnd) -> String {
    let addresses: Vec<String> = end.addresses.iter().map(ToString::to_string).collect();
    let sign = if addresses.is_empty() { "" } else { "=" };
    format!("{place}:{}{sign}{}", end.ifname, addresses.join(","))
}
