//! `pontoon impair`

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use pontoon_engine::Outcome;
use pontoon_engine::impair::{Impaired, InterfaceRef};
use pontoon_model::Impairment;
use pontoon_model::impairment::{Delay, Loss, Rate};
use pontoon_plan::Plan;

use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::parse::hinted::{hinted, told};
use crate::parse::interface::interface;
use crate::show::plan::PlanFlag;

/// Make what leaves an interface slower, later or lossy, or show what is set
///
/// What is meant is what the interface SENDS. For both directions between two containers, impair both: that is two
/// interfaces, or a cable, whose two ends are impaired alike. What is not named in a command is not impaired afterwards;
/// new values take the place of the old ones at once. Without options, shows what is set.
///
///   pontoon impair web --rate 10mbit --delay 20ms --jitter 5ms
///
///   pontoon impair web:eth1 db --loss 1%
///
///   pontoon impair web --clear
///
/// --delay and --jitter need the kernel's module sch_netem, --rate needs sch_tbf.
#[derive(Debug, Args)]
pub(crate) struct Impair {
    /// Only this much leaves: a number with kbit, mbit or gbit, by thousands of bits a second
    #[arg(long, value_name = "RATE", value_parser = hinted::<Rate>)]
    rate: Option<Rate>,
    /// Packets leave so much later: a number with us, ms or s
    #[arg(long, value_name = "TIME", value_parser = hinted::<Delay>)]
    delay: Option<Delay>,
    /// Give or take so much, at random for each packet; they may overtake each other
    #[arg(long, value_name = "TIME", value_parser = hinted::<Delay>)]
    jitter: Option<Delay>,
    /// Share of the packets that do not leave, such as 1% or 0.05%
    #[arg(long, value_name = "SHARE", value_parser = hinted::<Loss>)]
    loss: Option<Loss>,
    /// Take all of it away
    #[arg(long, conflicts_with_all = ["rate", "delay", "jitter", "loss"])]
    clear: bool,
    /// The interface on this network
    #[arg(long, value_name = "NETWORK")]
    network: Option<String>,
    /// CONTAINER[:IF] with a container as in `network connect`; host:IF for the host's end of a cable; a cable's id
    #[arg(value_name = "CONTAINER[:IF]|CABLE", required = true, value_parser = interface)]
    targets: Vec<InterfaceRef>,
    #[command(flatten)]
    plan: PlanFlag,
}

impl Impair {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let format = global.plan_format(self.plan.format)?;
        let time = |time: Delay| -> Duration { time.0 };
        let impairment = Impairment {
            rate: self.rate.map(|rate| rate.0),
            delay: self.delay.map(time),
            jitter: self.jitter.map(time),
            loss: self.loss,
        };
        impairment.check().map_err(|error| Failure::usage(told(&error)))?;
        let network = &self.network;
        let named = |target: InterfaceRef| InterfaceRef { network: network.clone(), ..target };
        let targets = self.targets.into_iter().map(named);
        if impairment.is_none() && !self.clear {
            let reader = global.reader()?;
            for target in targets {
                reader.impairments(&target)?.iter().try_for_each(show)?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let mut session = global.session()?;
        let mut all = Outcome { value: Vec::new(), plan: Plan::default() };
        for target in targets {
            let Outcome { value, plan } = session.impair(&target, Some(impairment))?;
            all.value.extend(value);
            all.plan.append(plan);
        }
        global.conclude(&session, format, &all, |impaired| impaired.iter().try_for_each(show))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// `web:eth0 rate 10mbit loss 1%`
fn show(impaired: &Impaired) -> Result<(), Failure> {
    let container = impaired.container.as_deref().unwrap_or("host");
    output::line(format!("{container}:{} {}", impaired.ifname, impaired.impairment))
}
