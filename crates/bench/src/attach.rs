//! Ways to attach a namespace to a network.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use pontoon_engine::connect::ConnectSpec;
use pontoon_engine::network::NetworkSpec;
use pontoon_engine::publish::Withdraw;
use pontoon_engine::{Engine, Mode, Root};
use pontoon_model::publish::{Protocol, PublishSpec};
use pontoon_model::{ContainerRef, Endpoint};

use crate::error::BenchError;
use crate::program;
use crate::samples::timed;

/// A way to attach a namespace, by its name, and to detach it again.
pub(crate) trait Attach {
    /// Attaches it, and says how long that took.
    fn attach(&mut self, netns: &str) -> Result<Duration, BenchError>;
    /// Detaches it, and says how long that took.
    fn detach(&mut self, netns: &str) -> Result<Duration, BenchError>;
}

/// The engine in this process, and a network of it.
#[derive(Debug)]
pub(crate) struct InProcess {
    engine: Engine,
    network: String,
}

impl InProcess {
    /// On a network that is there.
    pub(crate) fn on(network: &str) -> Result<Self, BenchError> {
        Self::of(Root::host(), network)
    }

    fn of(root: Root, network: &str) -> Result<Self, BenchError> {
        Ok(Self { engine: Engine::open(root, Mode::Apply)?, network: network.to_owned() })
    }

    /// On a new network with these subnets.
    pub(crate) fn create(network: &str, subnets: &[&str]) -> Result<Self, BenchError> {
        Self::create_of(Root::host(), network, subnets)
    }

    /// On a new network of another instance.
    pub(crate) fn create_of(root: Root, network: &str, subnets: &[&str]) -> Result<Self, BenchError> {
        let mut here = Self::of(root, network)?;
        let subnets: Vec<String> = subnets.iter().map(ToString::to_string).collect();
        let ipv6 = subnets.iter().any(|subnet| subnet.contains(':')).then_some(true);
        let spec = NetworkSpec { name: network.to_owned(), subnets, ipv6, ..NetworkSpec::default() };
        here.engine.network_create(&spec)?;
        Ok(here)
    }

    /// Attaches a namespace, and says how long that took and what it got.
    pub(crate) fn connect(&mut self, netns: &str) -> Result<(Duration, Endpoint), BenchError> {
        self.connect_with(netns, &[])
    }

    /// Attaches a namespace and publishes ports of it, and says how long that took and what it got.
    pub(crate) fn connect_with(
        &mut self,
        netns: &str,
        ports: &[PublishSpec],
    ) -> Result<(Duration, Endpoint), BenchError> {
        let container = ContainerRef::NetnsName(netns.to_owned());
        let spec = ConnectSpec { publish: ports.to_vec(), ..ConnectSpec::default() };
        let (time, made) = timed(|| self.engine.connect(&self.network, &container, &spec))?;
        // Else the engine keeps the namespace open, and the next attach finds it so.
        self.engine.executor().release(made.value.sandbox.netns);
        Ok((time, made.value.endpoint))
    }

    /// Publishes ports of a namespace that is attached, and says how long that took.
    pub(crate) fn publish(&mut self, netns: &str, ports: &[PublishSpec]) -> Result<Duration, BenchError> {
        let container = ContainerRef::NetnsName(netns.to_owned());
        let (time, made) = timed(|| self.engine.publish(&container, ports))?;
        self.engine.executor().release(made.value.sandbox.netns);
        Ok(time)
    }

    /// Withdraws one TCP port of the host.
    pub(crate) fn unpublish(&mut self, netns: &str, port: u16) -> Result<Duration, BenchError> {
        let container = ContainerRef::NetnsName(netns.to_owned());
        let which = Withdraw { address: None, protocol: Protocol::Tcp, first: port, last: port };
        let (time, made) = timed(|| self.engine.unpublish(&container, &[which]))?;
        self.engine.executor().release(made.value.sandbox.netns);
        Ok(time)
    }

    /// All endpoints on the network.
    pub(crate) fn endpoints(&self) -> Result<Vec<Endpoint>, BenchError> {
        self.engine.store().read(|tx| match tx.network_by_name(&self.network)? {
            Some(network) => Ok(tx.endpoints_of_network(&network.id)?),
            None => Ok(Vec::new()),
        })
    }

    /// The addresses of the network's gateway.
    pub(crate) fn gateways(&self) -> Result<Vec<std::net::IpAddr>, BenchError> {
        let network = self.engine.store().read(|tx| tx.network_by_name(&self.network));
        let network: Option<pontoon_model::Network> =
            network.map_err(|error: pontoon_store::StoreError| error)?;
        Ok(network.iter().flat_map(pontoon_model::Network::pools).map(|pool| pool.gateway).collect())
    }
}

impl Attach for InProcess {
    fn attach(&mut self, netns: &str) -> Result<Duration, BenchError> {
        Ok(self.connect(netns)?.0)
    }

    fn detach(&mut self, netns: &str) -> Result<Duration, BenchError> {
        let container = ContainerRef::NetnsName(netns.to_owned());
        let (time, gone) = timed(|| self.engine.disconnect(&self.network, &container))?;
        self.engine.executor().release(gone.value.sandbox.netns);
        Ok(time)
    }
}

/// The command, started anew each time.
#[derive(Debug)]
pub(crate) struct Cold {
    program: PathBuf,
    network: String,
}

impl Cold {
    /// On a network that is there.
    pub(crate) fn on(network: &str) -> Result<Self, BenchError> {
        Ok(Self { program: program::pontoon()?, network: network.to_owned() })
    }

    /// `pontoon network VERB NETWORK netns:NAME`.
    pub(crate) fn command(&self, verb: &str, netns: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["network", verb, &self.network]).arg(format!("netns:{netns}"));
        command
    }
}

impl Attach for Cold {
    fn attach(&mut self, netns: &str) -> Result<Duration, BenchError> {
        program::run(&mut self.command("connect", netns))
    }

    fn detach(&mut self, netns: &str) -> Result<Duration, BenchError> {
        program::run(&mut self.command("disconnect", netns))
    }
}
