//! New connections through published ports, beside how many are published.

use std::net::SocketAddr;

use crate::error::BenchError;
use crate::lan::{self, Firewall, HOST, Lan, Opening};
use crate::rates::{Rates, turns};
use crate::scale::{Scale, Traffic};
use crate::traffic;

/// The first of the ports: those of the container are the same.
const FIRST: u16 = 10_000;
/// How many are few.
pub(crate) const FEW: u16 = 10;

/// Connections through hosts that have few ports published and many.
#[derive(Debug)]
pub(crate) struct Connections {
    /// How many are many.
    pub(crate) many: u16,
    /// Through Pontoon's table: few, many.
    pub(crate) pontoon: [Rates; 2],
    /// Through iptables' chains, or why not.
    pub(crate) iptables: Result<[Rates; 2], String>,
}

/// Measures all of them in turns: each time a connection to the port in the middle.
pub(crate) fn measure(scale: &Scale) -> Result<Connections, BenchError> {
    let counts = [FEW, scale.many_ports];
    let lay = |name: &str, firewall, count| {
        let opening = Opening { host: FIRST, container: FIRST, count };
        let lan = Lan::lay(name, firewall, opening)?;
        lan.call_iptables(false)?;
        traffic::take(lan.containers[2].listen(FIRST + count / 2)?);
        Ok::<_, BenchError>((lan, SocketAddr::new(HOST.into(), FIRST + count / 2)))
    };
    let both = |names: [&str; 2], firewall| {
        Ok([lay(names[0], firewall, counts[0])?, lay(names[1], firewall, counts[1])?])
    };
    let pontoon = both(["few", "many"], Firewall::Pontoon)?;
    let iptables = match lan::iptables() {
        None => Err("no `iptables-nft-restore` is installed".to_owned()),
        Some(_) => {
            both(["fewipt", "manyipt"], Firewall::Iptables).map_err(|error: BenchError| error.to_string())
        }
    };
    let mut sides: Vec<&(Lan, SocketAddr)> = pontoon.iter().collect();
    sides.extend(iptables.iter().flatten());
    let mut rates = in_turns(&scale.traffic, &sides)?.into_iter();
    let mut next = || rates.next().ok_or(BenchError::Silent("all rates"));
    let pontoon = [next()?, next()?];
    let iptables = match iptables {
        Ok(_) => Ok([next()?, next()?]),
        Err(why) => Err(why),
    };
    Ok(Connections { many: scale.many_ports, pontoon, iptables })
}

fn in_turns(traffic: &Traffic, sides: &[&(Lan, SocketAddr)]) -> Result<Vec<Rates>, BenchError> {
    let mut rates = vec![Vec::new(); sides.len()];
    for round in 0..=traffic.rounds {
        for side in turns(round, sides.len()) {
            let (lan, address) = sides[side];
            let rate = traffic::connections(&lan.outside, *address, 2 * traffic.time)?;
            // The first round finds caches empty and the neighbours unknown.
            if round > 0 {
                rates[side].push(rate);
            }
        }
    }
    Ok(rates.into_iter().map(Rates::new).collect())
}
