//! What a container finds around it: its files, its environment, its log.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use pontoon_kernel::process::{FileSource, Files};
use pontoon_model::sandbox::{Process, Sandbox};
use pontoon_model::{SandboxId, SandboxName};
use pontoon_plan::resolver::{self, Asked};
use pontoon_plan::sandbox as naming;

use crate::connect::Connected;
use crate::observe::resolv_confs;
use crate::run::RunSpec;
use crate::{EngineError, Root};

/// The folder of files for `ip netns exec`, and the key under which it is noted that we made it.
pub(crate) const NETNS_FILES: &str = "/etc/netns";
/// The note.
pub(crate) const MADE: &str = "made";

/// What a container's files say of its networks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Around {
    /// Its own addresses.
    pub(crate) addresses: Vec<IpAddr>,
    /// Where it asks for names of containers.
    names: Vec<IpAddr>,
    /// The host's addresses for it.
    gateways: Vec<IpAddr>,
}

impl Around {
    /// `loopback`: whether names can be asked for at 127.0.0.11.
    pub(crate) fn of(connected: &[Connected], loopback: bool) -> Self {
        let places: Vec<_> = connected.iter().map(|one| (&one.endpoint, &one.network)).collect();
        Self {
            addresses: places.iter().flat_map(|(endpoint, _)| endpoint.addresses()).collect(),
            names: resolver::names(&places, loopback),
            gateways: resolver::host_gateways(&places),
        }
    }
}

/// Docker's containers are called by their short id; ours by their name, which a person can read.
pub(crate) fn hostname(spec: &RunSpec, name: &SandboxName) -> String {
    if spec.process.hostname.is_empty() { name.to_string() } else { spec.process.hostname.clone() }
}

/// The files that iproute2 mounts over those of `/etc` for `ip netns exec`. Source: ip-netns(8).
pub(crate) fn netns_files(pinned: &str, sandbox: &Sandbox, around: &Around) -> naming::Files {
    let hosts = hosts(sandbox, around);
    vec![
        (format!("/etc/netns/{pinned}/resolv.conf"), resolv_conf(sandbox, around).0),
        (format!("/etc/netns/{pinned}/hosts"), hosts),
    ]
}

fn hosts(sandbox: &Sandbox, around: &Around) -> String {
    let (process, name) = (&sandbox.process, sandbox.name.as_str());
    let Around { addresses, gateways, .. } = around;
    resolver::hosts(&mark(sandbox), &process.hostname, name, addresses, &process.extra_hosts, gateways)
}

fn mark(sandbox: &Sandbox) -> String {
    resolver::mark(sandbox.name.as_str(), sandbox.id.short())
}

pub(crate) fn resolv_conf(sandbox: &Sandbox, around: &Around) -> (String, bool) {
    let process = &sandbox.process;
    let (host, upstream) = resolv_confs();
    let asked =
        Asked { nameservers: &process.dns, search: &process.dns_search, options: &process.dns_options };
    resolver::resolv_conf(&mark(sandbox), &host, upstream.as_ref(), &asked, &around.names)
}

pub(crate) fn files(sandbox: &Sandbox, resolv_conf: String, around: &Around) -> Files {
    Files {
        resolv_conf: Some(FileSource::Contents(resolv_conf.into_bytes())),
        hosts: Some(FileSource::Contents(hosts(sandbox, around).into_bytes())),
        hostname: Some(FileSource::Contents(format!("{}\n", sandbox.process.hostname).into_bytes())),
    }
}

/// The caller's environment with what was asked for; a variable without a value is the caller's.
pub(crate) fn environment(process: &Process, tty: bool) -> Vec<(OsString, OsString)> {
    let mut variables: BTreeMap<OsString, OsString> =
        std::env::vars_os().filter(|(name, _)| !is_ours(name)).collect();
    variables.insert("HOSTNAME".into(), process.hostname.clone().into());
    if tty {
        variables.entry("TERM".into()).or_insert_with(|| "xterm".into());
    }
    for given in &process.env {
        if let Some((name, value)) = given.split_once('=') {
            variables.insert(name.into(), value.into());
        }
    }
    variables.into_iter().collect()
}

fn is_ours(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().starts_with("PONTOON_")
}

/// Makes the folder for a container's output, and names the file.
pub(crate) fn create_log(root: &Root, id: &SandboxId) -> Result<PathBuf, EngineError> {
    let folder = root.container(id.as_str());
    std::fs::create_dir_all(&folder).map_err(|source| EngineError::Write { path: folder.clone(), source })?;
    Ok(folder.join("output.log"))
}
