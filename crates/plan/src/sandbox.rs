//! A sandbox's namespace by its name, and the files that `ip netns exec` gives to those who enter it.

use pontoon_model::op::{FileOp, LinkOp, LinkSettings, Netns, NetnsOp, SysctlOp};
use pontoon_model::sandbox::NetnsId;
use pontoon_model::supervision::NetSysctl;

use crate::Plan;
use crate::undo::first_line;

/// Files that a sandbox's name brings along: path and contents.
pub type Files = Vec<(String, String)>;

/// The steps that give a new namespace its name and files.
pub fn name(name: &str, id: NetnsId, files: &Files) -> Plan {
    let mut plan = Plan::default();
    plan.push(NetnsOp::Add { name: name.to_owned(), id }, format!("{name}: a network namespace of its own"));
    for (path, contents) in files {
        let write = FileOp::Write { path: path.clone(), contents: contents.clone() };
        let file = path.rsplit('/').next().unwrap_or(path);
        plan.push(write, format!("`ip netns exec {name}` sees it as /etc/{file}"));
    }
    plan
}

/// The step that lets a namespace without any network reach itself.
pub fn loopback(netns: &Netns, name: &str) -> Plan {
    let mut plan = Plan::default();
    let settings = LinkSettings { up: true, ..LinkSettings::default() };
    let lo = "lo".parse().expect("an interface name");
    plan.push(
        LinkOp::Set { netns: netns.clone(), name: lo, settings },
        format!("{name} reaches itself, at 127.0.0.1 and ::1"),
    );
    plan
}

/// The steps that set what the container wants set in its namespace. Its interfaces are there by then.
pub fn settings(netns: &Netns, name: &str, sysctls: &[NetSysctl]) -> Plan {
    let mut plan = Plan::default();
    for NetSysctl { key, value } in sysctls {
        let (netns, key, value) = (netns.clone(), key.clone(), value.clone());
        plan.push(SysctlOp { netns, key, value, previous: None }, format!("{name}: asked for with --sysctl"));
    }
    plan
}

/// The steps that take name and files away.
pub fn forget(name: &str, id: NetnsId, files: &Files) -> Plan {
    let mut plan = Plan::default();
    for (path, contents) in files {
        let remove = FileOp::Remove { path: path.clone(), mark: first_line(contents).to_owned() };
        plan.push(remove, format!("{name} is gone, and nobody enters it any more"));
    }
    plan.push(
        NetnsOp::Delete { name: name.to_owned(), id },
        format!("{name}: the namespace goes with the last process in it"),
    );
    plan
}
