//! What `run` says of restarts, health and the end.

use std::time::Duration;

use clap::Args;
use humantime::parse_duration;
use pontoon_model::supervision::{HealthCheck, RestartPolicy, StopSignal};

use crate::failure::Failure;
use crate::parse::hinted::hinted;

/// Who looks after the process once it runs.
#[derive(Debug, Args)]
pub(crate) struct Supervision {
    /// Start it again when it has ended, with its network as it is: no, always, unless-stopped or on-failure[:TIMES]
    #[arg(long, value_name = "POLICY", default_value = "no", value_parser = hinted::<RestartPolicy>)]
    pub(crate) restart: RestartPolicy,
    /// Line for the shell that ends with 0 when the container is well; or a command without a shell, as a JSON list of its
    /// words
    #[arg(long, value_name = "COMMAND")]
    health_cmd: Option<String>,
    /// Time between checks
    #[arg(long, value_name = "TIME", default_value = "30s", requires = "health_cmd", value_parser = parse_duration)]
    health_interval: Duration,
    /// Time that a check may take
    #[arg(long, value_name = "TIME", default_value = "30s", requires = "health_cmd", value_parser = parse_duration)]
    health_timeout: Duration,
    /// Failed checks in a row that make it unhealthy
    #[arg(long, value_name = "N", default_value_t = 3, requires = "health_cmd", value_parser = clap::value_parser!(u32).range(1..))]
    health_retries: u32,
    /// Time after its start in which failed checks do not count
    #[arg(long, value_name = "TIME", default_value = "0s", requires = "health_cmd", value_parser = parse_duration)]
    health_start_period: Duration,
    /// Time between checks in that period
    #[arg(long, value_name = "TIME", default_value = "5s", requires = "health_cmd", value_parser = parse_duration)]
    health_start_interval: Duration,
    /// Signal that asks it to end: a name or a number
    #[arg(long, value_name = "SIGNAL", value_parser = hinted::<StopSignal>)]
    pub(crate) stop_signal: Option<StopSignal>,
    /// Seconds that it has to end, before it is made to
    #[arg(long, value_name = "SECONDS")]
    pub(crate) stop_timeout: Option<u32>,
}

impl Supervision {
    /// Refuses what nobody would be there for.
    pub(crate) fn check(&self, detached: bool, removed: bool) -> Result<(), Failure> {
        let restarts = self.restart != RestartPolicy::No;
        if restarts && removed {
            return Err(Failure::usage(
                "--rm forgets the container when it has ended, --restart starts it again",
            ));
        }
        if !detached && (restarts || self.health_cmd.is_some()) {
            let flag = if restarts { "--restart" } else { "--health-cmd" };
            return Err(Failure::usage(format!("{flag} is for containers that run detached"))
                .with_hint("give -d, and follow the output with `pontoon logs -f`"));
        }
        Ok(())
    }

    pub(crate) fn health_check(&self) -> Option<HealthCheck> {
        let line = self.health_cmd.clone()?;
        Some(HealthCheck {
            interval: self.health_interval,
            timeout: self.health_timeout,
            retries: self.health_retries,
            start_period: self.health_start_period,
            start_interval: self.health_start_interval,
            ..match serde_json::from_str::<Vec<String>>(&line) {
                Ok(words) if !words.is_empty() => HealthCheck::new(words),
                _ => HealthCheck::shell(line),
            }
        })
    }
}
