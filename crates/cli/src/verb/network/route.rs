//! `pontoon network route`

use std::net::IpAddr;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use pontoon_engine::Outcome;
use pontoon_engine::static_route::Routed;
use pontoon_model::route::Destination;
use pontoon_model::{ContainerRef, IfName};
use pontoon_plan::Plan;

use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::parse::hinted::hinted;
use crate::show::plan::PlanFlag;

/// Give a container routes of its own, take them away, show them
///
/// Beside those that its networks bring: to what is behind a router that is another container, or another machine on the
/// network. They go with the interface, and come back with it when somebody deleted it.
#[derive(Debug, Subcommand)]
pub(crate) enum Route {
    Add(Add),
    Rm(Rm),
    Ls(Ls),
}

/// Give a container a route
///
///   pontoon network route add web 10.1.0.0/16 via 10.5.0.9
///
/// The router must be on a subnet of one of the container's interfaces, which the route leads out of. Where the default
/// route is that of a network's gateway, choose the network instead: `network connect --gw-priority`.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Container as in `network connect`
    container: ContainerRef,
    /// Subnet such as 10.1.0.0/16, an address, or `default`
    #[arg(value_name = "TO", value_parser = hinted::<Destination>)]
    to: Destination,
    /// The router, and the interface where several are on its subnet
    #[arg(value_name = "via IP [dev IF]", required = true, num_args = 2..=4)]
    way: Vec<String>,
    #[command(flatten)]
    plan: PlanFlag,
}

/// Take routes away that a container was given
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// Container as in `network connect`
    container: ContainerRef,
    /// Where it leads to, as in `network route add`
    #[arg(value_name = "TO", value_parser = hinted::<Destination>)]
    to: Destination,
    #[command(flatten)]
    plan: PlanFlag,
}

/// Show the routes that a container was given
#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// Container as in `network connect`
    container: ContainerRef,
}

impl Route {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        match self {
            Self::Add(verb) => verb.run(global),
            Self::Rm(verb) => verb.run(global),
            Self::Ls(verb) => verb.run(global),
        }
    }
}

impl Add {
    fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let format = global.plan_format(self.plan.format)?;
        let (via, ifname) = way(&self.way).map_err(Failure::usage)?;
        let mut session = global.session()?;
        let done = session.route_add(&self.container, self.to, via, ifname.as_ref())?;
        global.conclude(&session, format, &done, |routed| output::line(routed))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Rm {
    fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let format = global.plan_format(self.plan.format)?;
        let mut session = global.session()?;
        let mut all: Outcome<Vec<Routed>> = Outcome { value: Vec::new(), plan: Plan::default() };
        for Outcome { value, plan } in session.route_remove(&self.container, self.to)? {
            all.value.push(value);
            all.plan.append(plan);
        }
        global.conclude(&session, format, &all, |gone| gone.iter().try_for_each(output::line))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Ls {
    fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let routes = global.reader()?.static_routes(&self.container)?;
        routes.iter().try_for_each(output::line)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// `via IP [dev IF]`
fn way(words: &[String]) -> Result<(IpAddr, Option<IfName>), String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (router, ifname) = match words[..] {
        ["via", router] => (router, None),
        ["via", router, "dev", ifname] => (router, Some(ifname)),
        _ => return Err(format!("`{}` is not a way: via IP [dev IF]", words.join(" "))),
    };
    let via = router.parse().map_err(|_| format!("`{router}` is not an IP address"))?;
    let ifname = ifname.map(str::parse).transpose();
    Ok((via, ifname.map_err(|error: pontoon_model::name::NameError| error.to_string())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_a_router_and_maybe_an_interface() {
        let read = |text: &str| way(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(read("via 10.5.0.9"), Ok(("10.5.0.9".parse().unwrap(), None)));
        let named = Some("eth1".parse().unwrap());
        assert_eq!(read("via fd00::9 dev eth1"), Ok(("fd00::9".parse().unwrap(), named)));
        for (bad, why) in [
            ("by 10.5.0.9", "via IP [dev IF]"),
            ("via 10.5.0.9 dev", "via IP [dev IF]"),
            ("via router", "not an IP address"),
            ("via 10.5.0.9 dev a/b", "interface name"),
        ] {
            let error = read(bad).expect_err(bad);
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
