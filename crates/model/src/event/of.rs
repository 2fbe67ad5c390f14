//! Events of the nouns, each with the attributes that the reference lists (docs/reference/events.md).

use super::{Action, Kind, News};
use crate::endpoint::{Cable, CableEnd};
use crate::network::AddressPool;
use crate::sandbox::Status;
use crate::supervision::Health;
use crate::{Endpoint, Network, Publication, Sandbox, SandboxId};

impl News {
    /// Of a network: its name, its driver as `type`, its subnets, its labels.
    pub fn network(action: Action, network: &Network) -> Self {
        Self::new(Kind::Network, action, network.id.as_str())
            .with_labels(&network.labels)
            .with_some("subnet", network.v4.as_ref().map(|pool| pool.subnet))
            .with_some("subnet6", network.v6.as_ref().map(|pool| pool.subnet))
            .with("name", &network.name)
            .with("type", network.driver)
    }

    /// A container came to a network or left it. As with Docker the actor is the network.
    pub fn connection(action: Action, network: &Network, sandbox: &Sandbox, endpoint: &Endpoint) -> Self {
        Self::new(Kind::Network, action, network.id.as_str())
            .with("name", &network.name)
            .with("type", network.driver)
            .with("container", &sandbox.id)
            .with("containerName", sandbox.known_as())
            .with("endpoint", &endpoint.id)
            .with("interface", &endpoint.ifname)
            .with("mac", endpoint.mac)
            .with_some("ip", endpoint.v4)
            .with_some("ip6", endpoint.v6)
    }

    /// Of a container: its name, its labels, and how it ended.
    pub fn container(action: Action, sandbox: &Sandbox) -> Self {
        let exit_code = match sandbox.status {
            Status::Exited(code) => Some(code),
            Status::Created | Status::Running => None,
        };
        Self::new(Kind::Container, action, sandbox.id.as_str())
            .with_labels(&sandbox.labels)
            .with("name", sandbox.known_as())
            .with_some("exitCode", exit_code)
            .with_some(
                "health",
                (action == Action::Health).then_some(sandbox.health).flatten().map(Health::word),
            )
    }

    /// Of a container's ports. The actor is the container; `port` tells which, as `ps` does.
    pub fn port(action: Action, sandbox: &Sandbox, port: &Publication) -> Self {
        Self::new(Kind::Port, action, sandbox.id.as_str()).with("name", sandbox.known_as()).with("port", port)
    }

    /// Of a cable; `name_of` knows what its containers are called.
    pub fn cable(action: Action, cable: &Cable, name_of: impl Fn(&SandboxId) -> Option<String>) -> Self {
        let place = |end: &CableEnd| match &end.sandbox {
            Some(id) => name_of(id).unwrap_or_else(|| id.short().to_owned()),
            None => "host".to_owned(),
        };
        let [first, second] = &cable.ends;
        let name = format!("{}:{},{}:{}", place(first), first.ifname, place(second), second.ifname);
        Self::new(Kind::Cable, action, cable.id.as_str())
            .with("name", name)
            .with("first", place(first))
            .with("firstInterface", &first.ifname)
            .with("second", place(second))
            .with("secondInterface", &second.ifname)
    }

    /// The daemon of that process id and version starts or ends.
    pub fn daemon(action: Action, pid: u32, version: &str) -> Self {
        const NAME: &str = "pontoon";
        Self::new(Kind::Daemon, action, NAME).with("name", NAME).with("pid", pid).with("version", version)
    }

    /// A network is about to run out of addresses.
    pub fn pool_low(network: &Network, pool: &AddressPool, used: u64, capacity: u128) -> Self {
        Self::new(Kind::Network, Action::PoolLow, network.id.as_str())
            .with("name", &network.name)
            .with("type", network.driver)
            .with("subnet", pool.subnet)
            .with_some("range", pool.range)
            .with("used", used)
            .with("capacity", capacity)
    }
}
