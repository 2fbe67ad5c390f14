//! What a byte costs on its way: through Pontoon's host, and through others made by hand.

use std::net::{Ipv4Addr, SocketAddr};

use crate::error::BenchError;
use crate::lan::{CONTAINERS, Firewall, HOST, Lan, Opening};
use crate::place::Place;
use crate::rates::{Rates, turns};
use crate::scale::{Scale, Traffic};
use crate::traffic::{self, Client, Want};

/// Where containers listen.
const PORT: u16 = 7007;
/// Where the host leads from to the third container.
const OPENING: Opening = Opening { host: 8080, container: PORT, count: 1 };

/// A way through a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Over the bridge.
    Bridged,
    /// From the host itself.
    FromHost,
    /// From outside, by a published port.
    Published,
    /// From a container by a published port to another on the same bridge.
    Hairpin,
}

impl Way {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Bridged, Self::FromHost, Self::Published, Self::Hairpin];

    /// What a reader calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bridged => "container to container",
            Self::FromHost => "host to container",
            Self::Published => "outside to published port",
            Self::Hairpin => "container to published port",
        }
    }

    /// What it is beside, on the host without any rule.
    pub(crate) fn counterpart(self) -> &'static str {
        match self {
            Self::Bridged | Self::FromHost => "the same",
            Self::Published => "routed to the container's address",
            Self::Hairpin => "by the host, routed to the container's address",
        }
    }

    fn ends(self, lan: &Lan) -> (&Place, SocketAddr) {
        let published = match lan.firewall {
            // There, by its address.
            Firewall::Nothing => to(CONTAINERS[2], PORT),
            Firewall::Pontoon | Firewall::Least | Firewall::Iptables => to(HOST, OPENING.host),
        };
        match self {
            Self::Bridged => (&lan.containers[0], to(CONTAINERS[1], PORT)),
            Self::FromHost => (&lan.host, to(CONTAINERS[1], PORT)),
            Self::Published => (&lan.outside, published),
            Self::Hairpin => (&lan.containers[0], published),
        }
    }
}

fn to(address: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::new(address.into(), port)
}

/// What was measured on one way.
#[derive(Debug)]
pub(crate) struct Passage {
    /// Which way.
    pub(crate) way: Way,
    /// Whether it is requests; else bits.
    pub(crate) requests: bool,
    /// Whether bridges handed frames to iptables.
    pub(crate) calling: bool,
    /// In a second, through Pontoon's host.
    pub(crate) ours: Rates,
    /// Through the host without any rule.
    pub(crate) bare: Rates,
    /// Through the host with the fewest rules.
    pub(crate) least: Rates,
}

/// Measures each way, through the three hosts in turns.
pub(crate) fn measure(scale: &Scale) -> Result<Vec<Passage>, BenchError> {
    let lans = [
        Lan::lay("ours", Firewall::Pontoon, OPENING)?,
        Lan::lay("bare", Firewall::Nothing, OPENING)?,
        Lan::lay("least", Firewall::Least, OPENING)?,
    ];
    for place in lans.iter().flat_map(|lan| &lan.containers[1..]) {
        traffic::serve(place.listen(PORT)?);
    }
    let mut passages = Vec::new();
    for calling in [false, true] {
        for lan in &lans {
            if !lan.call_iptables(calling)? && calling {
                return Ok(passages);
            }
        }
        for way in Way::ALL {
            for want in [Want::Drain, Want::Echo] {
                let [ours, bare, least] = in_turns(&scale.traffic, &lans, way, want)?;
                let requests = want == Want::Echo;
                passages.push(Passage { way, requests, calling, ours, bare, least });
            }
        }
    }
    Ok(passages)
}

fn in_turns(traffic: &Traffic, lans: &[Lan; 3], way: Way, want: Want) -> Result<[Rates; 3], BenchError> {
    let mut clients = Vec::new();
    for lan in lans {
        let (place, address) = way.ends(lan);
        clients.push(Client::connect(place, address, want)?);
    }
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..=traffic.rounds {
        for side in turns(round, clients.len()) {
            let rate = clients[side].rate(traffic.time)?;
            // The first round finds caches empty and windows closed.
            if round > 0 {
                rates[side].push(rate);
            }
        }
    }
    Ok(rates.map(Rates::new))
}
