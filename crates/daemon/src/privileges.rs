//! What the daemon may do, and giving up the rest.

use pontoon_kernel::capability::{DropError, drop_all_but};
use rustix::thread::CapabilitySet;

/// What the daemon needs, and why; the same as in dist/pontoon-daemon.service.
///
/// - `CAP_NET_ADMIN`: links, addresses, routes, rules.
/// - `CAP_NET_BIND_SERVICE`: port 53.
/// - `CAP_NET_RAW`: to announce addresses, and to bind sockets to a device.
/// - `CAP_SYS_ADMIN`: to enter network namespaces, and to unpin those of containers that have ended.
/// - `CAP_SYS_PTRACE`: to open the namespace of a process that runs with more rights or as another user.
/// - `CAP_KILL`: to end a container that was being started when its `run` was killed.
/// - `CAP_DAC_OVERRIDE`: to read and remove what containers that run as others left in its own folders.
pub const NEEDED: CapabilitySet = CapabilitySet::NET_ADMIN
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SYS_ADMIN)
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::DAC_OVERRIDE);

/// Gives up all that is not [`NEEDED`], for good. To be called before the daemon starts a thread.
///
/// # Errors
///
/// If the kernel refuses.
pub fn give_up() -> Result<(), DropError> {
    drop_all_but(NEEDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_leaves_the_same() {
        let unit = include_str!("../../../dist/pontoon-daemon.service");
        let line = unit.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).unwrap();
        let named = line.split_whitespace().map(|name| {
            let name = name.strip_prefix("CAP_").unwrap();
            CapabilitySet::from_name(name).unwrap_or_else(|| panic!("{name}"))
        });
        assert_eq!(named.fold(CapabilitySet::empty(), CapabilitySet::union), NEEDED);
    }
}
