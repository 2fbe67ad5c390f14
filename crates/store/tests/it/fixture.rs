//! Folders that go away, and records to put into them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use pontoon_model::endpoint::{Cable, CableEnd, EndpointState};
use pontoon_model::network::AddressPool;
use pontoon_model::option::BridgeOptions;
use pontoon_model::sandbox::{NetnsId, NetworkMode, Origin, Process, Status};
use pontoon_model::{Driver, Endpoint, EndpointId, Mac, Network, NetworkId, Sandbox, SandboxId};
use pontoon_store::Dirs;

/// A place for a store, removed with everything in it when dropped.
pub(crate) struct Place {
    base: PathBuf,
    pub(crate) dirs: Dirs,
}

impl Place {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let base = std::env::temp_dir().join(format!("pontoon-store-{}-{number}", std::process::id()));
        Self { dirs: dirs_in(&base), base }
    }

    pub(crate) fn base(&self) -> &PathBuf {
        &self.base
    }

    /// As after a reboot: what lies on tmpfs is gone.
    pub(crate) fn reboot(&self) {
        std::fs::remove_dir_all(&self.dirs.run).unwrap();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.base));
    }
}

pub(crate) fn dirs_in(base: &std::path::Path) -> Dirs {
    Dirs { lib: base.join("lib"), run: base.join("run") }
}

pub(crate) fn network_id(number: u8) -> NetworkId {
    NetworkId::from_bytes([number; 32])
}

pub(crate) fn sandbox_id(number: u8) -> SandboxId {
    SandboxId::from_bytes([number; 32])
}

pub(crate) fn endpoint_id(number: u64) -> EndpointId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    EndpointId::from_bytes(bytes)
}

pub(crate) fn mac(last: u8) -> Mac {
    Mac::local([2, 0, 0, 0, 0, last])
}

pub(crate) fn pool(subnet: &str, range: Option<&str>, gateway: &str, aux: &[&str]) -> AddressPool {
    AddressPool {
        subnet: subnet.parse().unwrap(),
        range: range.map(|range| range.parse().unwrap()),
        gateway: gateway.parse().unwrap(),
        aux: aux.iter().map(|at| (format!("aux {at}"), at.parse().unwrap())).collect(),
    }
}

pub(crate) fn network(number: u8, name: &str) -> Network {
    let id = network_id(number);
    Network {
        name: name.parse().unwrap(),
        driver: Driver::Bridge,
        // Later for smaller numbers, so that the order of creation is not that of ids.
        created: format!("2026-01-01T00:00:{:02}.000000000Z", 59 - number % 60),
        internal: false,
        attachable: false,
        labels: BTreeMap::new(),
        options: BTreeMap::new(),
        bridge: BridgeOptions::default(),
        v4: Some(pool("10.0.0.0/24", None, "10.0.0.1", &[])),
        v6: None,
        bridge_name: Network::default_bridge_name(&id),
        bridge_mac: Network::derived_bridge_mac(&id),
        builtin: false,
        id,
    }
}

pub(crate) fn sandbox(number: u8, name: &str, inode: u64) -> Sandbox {
    Sandbox {
        id: sandbox_id(number),
        name: name.parse().unwrap(),
        former_name: None,
        origin: Origin::Run,
        netns: NetnsId { dev: 4, ino: inode },
        pinned: None,
        mode: NetworkMode::Networks,
        status: Status::Created,
        process_id: None,
        keeper: None,
        process: Process::default(),
        ports: Vec::new(),
        labels: BTreeMap::new(),
        created: format!("2026-01-01T00:00:{number:02}Z"),
        started: String::new(),
        finished: String::new(),
        health: None,
        restarts: 0,
        stopping: false,
    }
}

pub(crate) fn endpoint(number: u64, network: u8, sandbox: u8) -> Endpoint {
    let id = endpoint_id(number);
    Endpoint {
        host_ifname: Endpoint::derived_host_ifname(&id),
        id,
        network: network_id(network),
        sandbox: sandbox_id(sandbox),
        ifname: "eth0".parse().unwrap(),
        mac: mac(1),
        v4: Some("10.0.0.2".parse().unwrap()),
        v6: None,
        link_local: Vec::new(),
        links: Vec::new(),
        gw_priority: 0,
        guarded: true,
        sysctls: Vec::new(),
        aliases: vec!["web".into()],
        created: "2026-01-01T00:00:00Z".into(),
        state: EndpointState::Attached,
    }
}

pub(crate) fn cable(number: u64, ends: [Option<u8>; 2]) -> Cable {
    let end = |sandbox: Option<u8>| CableEnd {
        sysctls: Vec::new(),
        sandbox: sandbox.map(sandbox_id),
        ifname: "c0".parse().unwrap(),
        mac: mac(2),
        addresses: vec!["10.9.0.1/30".parse().unwrap()],
    };
    Cable {
        id: endpoint_id(number),
        ends: ends.map(end),
        mtu: None,
        labels: BTreeMap::new(),
        created: "2026-01-01T00:00:00Z".into(),
    }
}
