//! `pontoon run`

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, Args};
use pontoon_engine::EngineError;
use pontoon_engine::detached::{exit_code, run_detached};
use pontoon_engine::run::{RunSpec, run_foreground};
use pontoon_model::Mac;
use pontoon_model::endpoint::NameLink;
use pontoon_model::publish::{ExposedPorts, HostPorts, PublishSpec};
use pontoon_model::sandbox::{HostEntry, Process};
use pontoon_model::supervision::NetSysctl;

use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::parse::attachment::{Attachment, First, combine};
use crate::parse::hinted::hinted;
use crate::parse::supervision::Supervision;
use crate::parse::{environment, pair};
use crate::show::plan::PlanFlag;
use crate::verb::code;

/// Run a command in a container: with a network, host name and /etc/resolv.conf of its own
///
/// There are no images: the command is one of the host, or with --rootfs of that directory. In the foreground, terminal
/// and signals are passed on and the exit code is the command's; with -d the container's id is printed and its output
/// kept for `pontoon logs`. When the command ends, its network goes too.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Run {
    /// Do not wait for the end of it; print its id
    #[arg(long, short)]
    detach: bool,
    /// Forget the container when it has ended
    #[arg(long)]
    rm: bool,
    /// Name of the container, and of its namespace in /run/netns
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Network to be on; may be repeated: NET, NET:ip=IP,ip6=IP,link-local-ip=IP,alias=A,link=N:A,mac=MAC,gw-priority=N,ifname=IF,
    /// driver-opt=K=V, Docker's name=NET,…, or alone none, host or container:NAME
    #[arg(long, visible_alias = "net", value_name = "NETWORK")]
    network: Vec<Attachment>,
    /// IPv4 address on the first network
    #[arg(long, value_name = "IP")]
    ip: Option<Ipv4Addr>,
    /// IPv6 address on the first network
    #[arg(long, value_name = "IP")]
    ip6: Option<Ipv6Addr>,
    /// Link-local address to have besides, on the first network
    #[arg(long, value_name = "IP")]
    link_local_ip: Vec<IpAddr>,
    /// Ethernet address on the first network
    #[arg(long, value_name = "MAC")]
    mac_address: Option<Mac>,
    /// One more name on the first network
    #[arg(long, value_name = "NAME")]
    network_alias: Vec<String>,
    /// One more name that this container alone has for others on the first network; may be repeated
    #[arg(long, value_name = "NAME[:ALIAS]")]
    link: Vec<NameLink>,
    /// Port to publish: [HOST_IP:][HOST_PORT:]PORT[/tcp|udp|sctp], each a range if need be; without a host port, a
    /// free one is chosen
    #[arg(long, short, value_name = "PORT", value_parser = hinted::<PublishSpec>)]
    publish: Vec<PublishSpec>,
    /// Publish every port of --expose, at free ports of the host
    #[arg(long, short = 'P')]
    publish_all: bool,
    /// Port that the command listens on, for -P
    #[arg(long, value_name = "PORT[/PROTOCOL]", value_parser = hinted::<ExposedPorts>)]
    expose: Vec<ExposedPorts>,
    /// Directory to have as /
    #[arg(long, value_name = "DIR")]
    rootfs: Option<PathBuf>,
    /// Name server to ask for what is no container's name, instead of the host's
    #[arg(long, value_name = "IP")]
    dns: Vec<IpAddr>,
    /// Search domain
    #[arg(long, value_name = "DOMAIN")]
    dns_search: Vec<String>,
    /// Resolver option
    #[arg(long, visible_alias = "dns-opt", value_name = "OPTION")]
    dns_option: Vec<String>,
    /// Host name; the container's name otherwise
    #[arg(long, short = 'h', value_name = "NAME")]
    hostname: Option<String>,
    /// Line for /etc/hosts; host-gateway stands for the host's address on the container's network
    #[arg(long, value_name = "NAME:IP", value_parser = pair::host_entry)]
    add_host: Vec<(String, HostEntry)>,
    /// Environment variable
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// File with an environment variable on each line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Directory to start in
    #[arg(long, short, value_name = "DIR")]
    workdir: Option<PathBuf>,
    /// Kernel setting of the container's network namespace: net.ipv4.ip_unprivileged_port_start=0
    #[arg(long, value_name = "KEY=VALUE", value_parser = hinted::<NetSysctl>)]
    sysctl: Vec<NetSysctl>,
    #[command(flatten)]
    supervision: Supervision,
    /// Label
    #[arg(long, short, value_name = "KEY=VALUE", value_parser = pair::label)]
    label: Vec<(String, String)>,
    /// Give it a terminal of its own
    #[arg(long, short)]
    tty: bool,
    /// Accepted for Docker's sake: in the foreground, standard input is always passed on
    #[arg(long, short)]
    interactive: bool,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// Command and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    command: Vec<String>,
    #[command(flatten)]
    plan: PlanFlag,
}

impl Run {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let format = global.plan_format(self.plan.format)?;
        let (detach, spec) = (self.detach, self.spec()?);
        if global.dry_run {
            let mut session = global.session().map_err(set_up)?;
            let planned = session.run_plan(&spec).map_err(failed)?;
            global.conclude(&session, format, &planned, |_| Ok(()))?;
            return Ok(ExitCode::SUCCESS);
        }
        if detach {
            let started = run_detached(global.instance()?, &spec).map_err(failed)?;
            output::line(&started.id)?;
            started.warnings.iter().for_each(|warning| output::warning(warning));
            return Ok(ExitCode::SUCCESS);
        }
        let engine = global.session().map_err(set_up)?.into_engine();
        let ended = run_foreground(engine, &spec, &mut |warning| output::warning(warning)).map_err(failed)?;
        Ok(code(ended))
    }

    fn spec(self) -> Result<RunSpec, Failure> {
        self.supervision.check(self.detach, self.rm)?;
        let first = First {
            ip: self.ip,
            ip6: self.ip6,
            link_local: self.link_local_ip,
            mac: self.mac_address,
            aliases: self.network_alias,
            links: self.link,
        };
        let mut publish = self.publish;
        if self.publish_all {
            let all = self.expose.iter().flat_map(|exposed| published_anywhere(exposed, &publish));
            let all: Vec<PublishSpec> = all.collect();
            publish.extend(all);
        }
        let process = Process {
            argv: self.command,
            env: environment::gather(&self.env_file, &self.env)?,
            workdir: self.workdir,
            rootfs: self.rootfs,
            hostname: self.hostname.unwrap_or_default(),
            dns: self.dns,
            dns_search: self.dns_search,
            dns_options: self.dns_option,
            extra_hosts: self.add_host,
            auto_remove: self.rm,
            detached: self.detach,
            exposed: self.expose,
            sysctls: self.sysctl,
            restart: self.supervision.restart,
            stop_signal: self.supervision.stop_signal,
            stop_grace: self.supervision.stop_timeout.map(|seconds| Duration::from_secs(seconds.into())),
            health_check: self.supervision.health_check(),
        };
        Ok(RunSpec {
            name: self.name,
            networking: combine(self.network, first)?,
            process,
            labels: self.label.into_iter().collect(),
            tty: self.tty && !self.detach,
            publish,
        })
    }
}

/// What `-P` makes of an exposed port, unless it is published by `-p` already.
fn published_anywhere(exposed: &ExposedPorts, given: &[PublishSpec]) -> Vec<PublishSpec> {
    let ExposedPorts { protocol, .. } = *exposed;
    let is_given = |port: u16| {
        let covers =
            |spec: &PublishSpec| (spec.container..=spec.container + (spec.count - 1)).contains(&port);
        given.iter().any(|spec| spec.protocol == protocol && covers(spec))
    };
    let anywhere =
        |container| PublishSpec { address: None, protocol, host: HostPorts::Free, container, count: 1 };
    exposed.ports().filter(|port| !is_given(*port)).map(anywhere).collect()
}

/// An error with the exit code that Docker has for it.
pub(crate) fn failed(error: EngineError) -> Failure {
    let code = u8::try_from(exit_code(&error)).unwrap_or(SET_UP);
    Failure::from(error).with_code(code)
}

/// A failure before there was a container.
pub(crate) fn set_up(failure: Failure) -> Failure {
    failure.with_code(SET_UP)
}

/// As `docker run` has it: the error is ours, not the command's.
const SET_UP: u8 = 125;

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Verb};

    fn run(line: &str) -> Run {
        match Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}")).verb {
            Verb::Run(run) => *run,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_follows_the_command_is_its_own() {
        assert_eq!(run("pontoon run -d sh -c true --rm -h").command, ["sh", "-c", "true", "--rm", "-h"]);
        assert_eq!(run("pontoon run -d -- sh -c true").command, ["sh", "-c", "true"]);
        assert_eq!(run("pontoon run env -- x").command, ["env", "--", "x"]);
        assert!(!run("pontoon run sh -d").detach);
    }

    #[test]
    fn h_is_the_host_name() {
        assert_eq!(run("pontoon run -h box -it sh").hostname.as_deref(), Some("box"));
        let help = Cli::try_parse_from(["pontoon", "run", "--help"]).expect_err("it is help");
        assert_eq!(help.kind(), clap::error::ErrorKind::DisplayHelp);
    }

    #[test]
    fn a_command_is_needed() {
        assert!(Cli::try_parse_from(["pontoon", "run", "-d"]).is_err());
    }
}
