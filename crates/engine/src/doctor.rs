//! What is wrong with the host: what there is to know is read here, and told by `pontoon_explain::doctor`.

use std::collections::BTreeSet;

use pontoon_kernel::conntrack;
use pontoon_kernel::socket::{Protocol, Socket};
use pontoon_model::op::Flow;
use pontoon_model::sandbox::{Origin, Status};
use pontoon_model::shell::quote;
use pontoon_model::{ContainerRef, Sandbox};
use pontoon_netlink::Family;
use pontoon_netlink::conntrack::{DumpEntries, Entry};
use pontoon_plan::command;

pub use pontoon_explain::doctor::{Act, Diagnosis, Evidence, Facts, Remedy, Scope, code, examine, worst};
use pontoon_explain::doctor::{Changed, LeftOver, Overlap, Tracked};
pub use pontoon_explain::path::{Code, Severity};

use crate::drift::{Done, Drift, Scope as Looked};
use crate::report::{Reader, ReportError};
use crate::{Engine, EngineError, Mode, Root, conflict, container, snapshot};

/// `IPPROTO_UDP`.
const UDP: u8 = 17;

/// Who is asked about, in the words of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// What was typed.
    pub names: Vec<String>,
    /// The command line of this instance: `pontoon`, and its `--root`.
    pub program: String,
}

/// What is known of a host, who of it is asked about, and what could not be read.
#[derive(Debug)]
pub struct Read {
    /// What is known.
    pub facts: Facts,
    /// Who is asked about.
    pub scope: Scope,
    /// What could not be read, in sentences.
    pub unread: Vec<String>,
}

/// Reads all there is to know. Changes nothing.
///
/// # Errors
///
/// If somebody who is named is not there, or the kernel does not tell: to enter a namespace takes `CAP_SYS_ADMIN`.
pub fn read(root: &Root, reader: &Reader, named: &Named) -> Result<Read, ReportError> {
    let mut scope = Scope::default();
    let mut references = Vec::new();
    for name in &named.names {
        let (network, container) = meant(reader, name)?;
        scope.networks.extend(network);
        references.extend(container);
    }
    let restore = format!("{} restore", named.program);
    let (snapshot, names) = snapshot::everything(reader, &references, &restore)?;
    scope.containers.extend(names);
    let mut unread = Vec::new();
    let flows = tracked().unwrap_or_else(|error| {
        unread.push(format!("connection tracking: {}", pontoon_model::diagnose::with_causes(&error)));
        Vec::new()
    });
    let mut facts =
        Facts { snapshot, changed: Vec::new(), overlaps: Vec::new(), left_over: Vec::new(), flows };
    if !root.dirs.run.join("runtime.db").exists() {
        return Ok(Read { facts, scope, unread });
    }
    let mut engine = Engine::open(root.clone(), Mode::DryRun)?;
    facts.changed = engine.drift(&Looked::everything())?.iter().map(changed).collect();
    let blocks = &engine.config.default_address_pools;
    facts.overlaps = conflict::conflicts(reader, blocks)?.into_iter().map(overlap).collect();
    facts.left_over = engine.left_over(reader, &named.program)?;
    Ok(Read { facts, scope, unread })
}

/// The network and the container that a name means: both where both are called so. A part of an id means a network only
/// where no container is called so.
fn meant(reader: &Reader, name: &str) -> Result<(Option<String>, Option<ContainerRef>), ReportError> {
    let reference: Option<ContainerRef> = name.parse().ok();
    let container = match &reference {
        Some(ContainerRef::Ours(ours)) => reader.container(ours).ok().and(reference),
        _ => reference,
    };
    let named = reader.networks()?.into_iter().find(|network| network.name.as_str() == name);
    match (named, container) {
        (None, None) => Ok((Some(reader.network(name)?.name.to_string()), None)),
        (named, container) => Ok((named.map(|network| network.name.to_string()), container)),
    }
}

fn changed(drift: &Drift) -> Changed {
    Changed {
        code: drift.code.to_string(),
        object: drift.object.clone(),
        found: drift.found.clone(),
        network: drift.network.as_ref().map(ToString::to_string),
        container: drift.container.clone(),
        kept: drift.kept,
        commands: drift.plan.ops().flat_map(command::commands).collect(),
    }
}

fn overlap(one: conflict::Conflict) -> Overlap {
    Overlap {
        severity: match one.severity {
            conflict::Severity::Breaks => Severity::Blocks,
            conflict::Severity::Doubtful => Severity::Unknown,
            conflict::Severity::Note => Severity::Note,
        },
        network: one.network.to_string(),
        subnet: one.subnet,
        sentence: one.sentence,
        affected: one.affected.into_iter().map(|affected| affected.container).collect(),
        finer: one.finer,
        renumber: one.renumber,
    }
}

/// Flows of UDP that were led elsewhere than they were sent.
fn tracked() -> Result<Vec<Tracked>, EngineError> {
    let mut socket = Socket::open(Protocol::Netfilter)?;
    let mut found = Vec::new();
    for family in [Family::V4, Family::V6] {
        let entries = conntrack::list(&mut socket, &DumpEntries { family, protocol: Some(UDP) })?;
        found.extend(entries.iter().filter_map(led));
    }
    Ok(found)
}

fn led(entry: &Entry) -> Option<Tracked> {
    let (sent, answer) = (&entry.orig, &entry.reply);
    let is_led = (sent.destination, sent.ports?.destination) != (answer.source, answer.ports?.source);
    (is_led && sent.protocol == UDP).then_some(Tracked {
        source: sent.source,
        destination: (sent.destination, sent.ports?.destination),
        answered_by: (answer.source, answer.ports?.source),
    })
}

impl Engine {
    /// What has our mark, or a record, and no owner.
    fn left_over(&mut self, reader: &Reader, program: &str) -> Result<Vec<LeftOver>, ReportError> {
        let mut found = Vec::new();
        for name in self.leaked_links()? {
            found.push(LeftOver {
                sentence: format!("the link {name} has Pontoon's mark, and belongs to nothing that is there"),
                shown_by: format!("ip -d link show dev {name}"),
                command: format!("ip link delete dev {name}"),
            });
        }
        for sandbox in reader.containers()? {
            found.extend(gone(&sandbox, reader, program)?);
        }
        Ok(found)
    }

    /// Puts back one thing that is not as it was made.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn put_back_one(&mut self, code: &str, object: &str) -> Result<(), EngineError> {
        let wanted =
            |drift: &Drift| drift.code.as_str() == code && drift.object == object && drift.is_repairable();
        for repair in self.repair_those(wanted)? {
            if let Done::Failed(error) = repair.done {
                return Err(error);
            }
        }
        Ok(())
    }
}

/// A container that ended without a word: its records hold addresses that nobody has.
fn gone(sandbox: &Sandbox, reader: &Reader, program: &str) -> Result<Vec<LeftOver>, ReportError> {
    let is_over = matches!(sandbox.status, Status::Exited(_));
    if is_over || snapshot::is_there(sandbox) {
        return Ok(Vec::new());
    }
    let name = sandbox.known_as();
    if matches!(sandbox.origin, Origin::Run) {
        if container::running(sandbox)?.is_some() {
            return Ok(Vec::new());
        }
        return Ok(vec![LeftOver {
            sentence: format!("container {name} is recorded as running, and its namespace is gone"),
            shown_by: format!("{program} ps"),
            command: format!("{program} rm -f {}", quote(&name)),
        }]);
    }
    let mut networks: BTreeSet<String> = BTreeSet::new();
    networks.extend(reader.of_container(sandbox)?.into_iter().map(|place| place.network.name.to_string()));
    let told = |network: String| LeftOver {
        sentence: format!("{name} is gone, and still has an address on network {network}"),
        shown_by: format!("{program} network inspect {network}"),
        command: format!("{program} network disconnect -f {network} {}", quote(&name)),
    };
    Ok(networks.into_iter().map(told).collect())
}

/// Has the kernel forget a flow. Says how many entries there were.
///
/// # Errors
///
/// Without `CAP_NET_ADMIN`.
pub fn forget(flow: Flow) -> Result<usize, EngineError> {
    let mut socket = Socket::open(Protocol::Netfilter)?;
    Ok(conntrack::forget(&mut socket, &[flow])?)
}
