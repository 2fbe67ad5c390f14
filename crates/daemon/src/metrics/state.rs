//! Figures of what there is: read from the state when somebody asks.

use pontoon_engine::Root;
use pontoon_engine::report::Reader;
use pontoon_engine::report::tally::{NetworkTally, Tally};
use pontoon_kernel::link;
use pontoon_kernel::socket::{Protocol, Socket};
use pontoon_model::lease;

use super::{Family, SourceError};

/// The source for an instance, in the caller's network namespace.
pub fn state(root: Root) -> impl Fn() -> Result<Vec<Family>, SourceError> + Send + Sync + 'static {
    move || {
        let tally = Reader::open(&root)?.tally()?;
        let mut families = counted(&tally);
        families.extend(traffic(&tally)?);
        Ok(families)
    }
}

fn name_of(one: &NetworkTally) -> (&'static str, String) {
    ("network", one.network.name.to_string())
}

fn counted(tally: &Tally) -> Vec<Family> {
    let mut endpoints = Family::gauge("pontoon_endpoints", "Containers on a network.");
    let mut used = Family::gauge("pontoon_pool_used", "Addresses of a pool that are taken.");
    let mut size = Family::gauge("pontoon_pool_size", "Addresses of a pool that can be given out.");
    for one in &tally.networks {
        endpoints.add([name_of(one)], one.endpoints);
        for (pool, taken) in &one.pools {
            let labels = || [name_of(one), ("subnet", pool.subnet.to_string())];
            used.add(labels(), *taken);
            size.add(labels(), lease::capacity(pool));
        }
    }
    let status = |status: &str| [("status", status.to_owned())];
    vec![
        Family::gauge("pontoon_networks", "Networks that somebody made.").with(tally.networks.len()),
        endpoints,
        Family::gauge("pontoon_containers", "Containers that Pontoon runs or ran.")
            .with_labels(status("created"), tally.created)
            .with_labels(status("running"), tally.running)
            .with_labels(status("exited"), tally.exited),
        Family::gauge("pontoon_namespaces", "Namespaces of others that Pontoon has connected.")
            .with(tally.foreign),
        Family::gauge("pontoon_published_ports", "Ports of the host that lead to containers.")
            .with(tally.published),
        Family::gauge("pontoon_cables", "Cables between containers.").with(tally.cables),
        used,
        size,
        Family::gauge("pontoon_journal_pending", "Changes that are begun and not finished.")
            .with(tally.pending),
    ]
}

/// What went through the bridges' own interfaces: from the containers to the host and beyond, and back. Asked for by
/// name, one request for each network.
fn traffic(tally: &Tally) -> Result<Vec<Family>, SourceError> {
    const HELP: [&str; 2] = [
        "Bytes from a network's containers to the host and beyond.",
        "Bytes from the host and beyond to a network's containers.",
    ];
    let mut from = Family::counter("pontoon_network_from_containers_bytes_total", HELP[0]);
    let mut to = Family::counter("pontoon_network_to_containers_bytes_total", HELP[1]);
    let mut socket = Socket::open(Protocol::Route)?;
    for one in &tally.networks {
        if let Some(stats) = link::stats(&mut socket, one.network.bridge_name.as_str())? {
            from.add([name_of(one)], stats.rx_bytes);
            to.add([name_of(one)], stats.tx_bytes);
        }
    }
    Ok(vec![from, to])
}
