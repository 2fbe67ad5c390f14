//! What went through a container's interfaces and its published ports.

use std::fmt;
use std::net::SocketAddr;

use pontoon_kernel::error::KernelError;
use pontoon_kernel::socket::{Protocol as Family, Socket};
use pontoon_kernel::{link, nftables};
use pontoon_model::publish::Protocol;
use pontoon_model::{Endpoint, Network, Sandbox};
use pontoon_netlink::link::LinkStats;
use pontoon_nft::syntax::{CounterValue, TableRef};
use pontoon_plan::account::Account;
use pontoon_plan::endpoint::elected;
use pontoon_plan::publish::Published;
use serde::Serialize;

use super::container::Life;
use super::{Place, Reader, ReportError};
use crate::{EngineError, Root};

/// What went through a container.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerStats {
    /// The container's id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its interfaces, by the age of the connection.
    pub networks: Vec<InterfaceStats>,
    /// Its published ports; `None` where the caller may not read the rules.
    pub ports: Option<Vec<PortStats>>,
}

/// What went through an interface, as the container sees it: frames with their headers.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the others are the kernel's fields of these names")]
pub struct InterfaceStats {
    /// The network.
    pub network: String,
    /// The interface's name in the container.
    pub interface: String,
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_dropped: u64,
    pub rx_errors: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_dropped: u64,
    pub tx_errors: u64,
}

/// What went through a published port: IP packets with their headers.
///
/// What the network card or the kernel has joined to one large packet counts as one.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PortStats {
    /// Where it is reached on the host: all of these are counted together.
    pub published: Vec<SocketAddr>,
    /// The container's port.
    pub container_port: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// Bytes to the container.
    pub in_bytes: u64,
    /// Packets to the container.
    pub in_packets: u64,
    /// Bytes from the container.
    pub out_bytes: u64,
    /// Packets from the container.
    pub out_packets: u64,
}

/// `0.0.0.0:8080, 127.0.0.1:81->80/tcp`
impl fmt::Display for PortStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at: Vec<String> = self.published.iter().map(ToString::to_string).collect();
        write!(f, "{}->{}/{}", at.join(", "), self.container_port, self.protocol)
    }
}

/// The kernel's counters, asked for by name: no list is read that grows with what else there is.
#[derive(Debug)]
pub struct Meter {
    table: TableRef,
    links: Socket,
    rules: Socket,
    /// Why published ports cannot be told of.
    denied: Option<KernelError>,
}

impl Meter {
    /// Those of an instance, in the caller's namespace.
    ///
    /// # Errors
    ///
    /// If no socket is to be had.
    pub fn open(root: &Root) -> Result<Self, EngineError> {
        let (links, rules) = (Socket::open(Family::Route)?, Socket::open(Family::Netfilter)?);
        Ok(Self { table: root.instance.table(), links, rules, denied: None })
    }

    /// Why published ports are left out, once there were any to ask for.
    pub fn denied(&self) -> Option<&KernelError> {
        self.denied.as_ref()
    }

    /// What went through a container that runs.
    ///
    /// # Errors
    ///
    /// If it does not run, or the kernel or the state does not tell.
    pub fn read(&mut self, reader: &Reader, sandbox: &Sandbox) -> Result<ContainerStats, ReportError> {
        if Life::of(sandbox)? != Life::Running {
            return Err(EngineError::NotRunning(sandbox.name.to_string()).into());
        }
        let places = reader.of_container(sandbox)?;
        let mut networks = Vec::new();
        for place in &places {
            networks.extend(self.interface(place)?);
        }
        Ok(ContainerStats {
            id: sandbox.id.to_string(),
            name: sandbox.shown_as(),
            networks,
            ports: self.ports(sandbox, &places)?,
        })
    }

    /// By the host's end, which sees what the container sees from the other side; `None` when it is gone.
    fn interface(&mut self, place: &Place) -> Result<Option<InterfaceStats>, EngineError> {
        let Place { endpoint, network, .. } = place;
        let found = link::stats(&mut self.links, endpoint.host_ifname.as_str())?;
        Ok(found.map(LinkStats::of_peer).map(|stats| InterfaceStats {
            network: network.name.to_string(),
            interface: endpoint.ifname.to_string(),
            rx_bytes: stats.rx_bytes,
            rx_packets: stats.rx_packets,
            rx_dropped: stats.rx_dropped,
            rx_errors: stats.rx_errors,
            tx_bytes: stats.tx_bytes,
            tx_packets: stats.tx_packets,
            tx_dropped: stats.tx_dropped,
            tx_errors: stats.tx_errors,
        }))
    }

    fn ports(&mut self, sandbox: &Sandbox, places: &[Place]) -> Result<Option<Vec<PortStats>>, EngineError> {
        let known: Vec<(&Endpoint, &Network)> =
            places.iter().map(|place| (&place.endpoint, &place.network)).collect();
        let published = Published::new(&sandbox.ports, elected(&known, true), elected(&known, false));
        let mut ports = Vec::new();
        for account in published.accounts() {
            match self.port(account) {
                Ok(port) => ports.push(port),
                Err(error) if error.is_denied() => {
                    self.denied = Some(error);
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(ports))
    }

    fn port(&mut self, account: Account) -> Result<PortStats, KernelError> {
        let element = account.element();
        let mut counted = |set| -> Result<CounterValue, KernelError> {
            // Not there: the container has just got an address, or somebody took the rules away.
            Ok(nftables::counter(&mut self.rules, &self.table, set, &element)?.unwrap_or_default())
        };
        let (inward, outward) = (counted(account.inward)?, counted(account.outward)?);
        Ok(PortStats {
            published: account.at,
            container_port: account.port,
            protocol: account.protocol,
            in_bytes: inward.bytes,
            in_packets: inward.packets,
            out_bytes: outward.bytes,
            out_packets: outward.packets,
        })
    }
}
