//! What the calling process is allowed to do, for checks before a change and for hints after one; and giving up what is
//! not needed.
//!
//! Sources: capabilities(7), user_namespaces(7).

use std::fs;

use pontoon_model::Diagnose;
use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

/// Whether the process has `CAP_NET_ADMIN` effective in its user namespace.
pub fn net_admin() -> bool {
    effective().contains(CapabilitySet::NET_ADMIN)
}

/// Whether the process has `CAP_SYS_ADMIN` effective in its user namespace: setns(2), unshare(2), mount(2).
pub fn sys_admin() -> bool {
    effective().contains(CapabilitySet::SYS_ADMIN)
}

/// The effective capabilities of the calling thread; none when they cannot be read.
pub fn effective() -> CapabilitySet {
    rustix::thread::capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective)
}

/// Privileges could not be given up.
#[derive(Debug, thiserror::Error)]
#[error("could not {operation}")]
pub struct DropError {
    /// What was tried, in the imperative.
    pub operation: &'static str,
    /// What the kernel said.
    #[source]
    pub errno: Errno,
}

impl Diagnose for DropError {
    fn code(&self) -> &'static str {
        "drop-privileges"
    }
}

/// Gives up every capability but `keep`, for good: what is not kept leaves the bounding set too, nothing is inherited
/// by other programs, and none that is executed gains any (`no_new_privs`). What of `keep` the thread does not have, it
/// does not get.
///
/// Capabilities belong to threads: call it before any other is started, which then has the same.
///
/// # Errors
///
/// If the kernel refuses. The thread may then have given up a part; it should end.
pub fn drop_all_but(keep: CapabilitySet) -> Result<(), DropError> {
    let failed = |operation| move |errno| DropError { operation, errno };
    set_no_new_privs(true).map_err(failed("refuse new privileges"))?;
    let had = capabilities(None).map_err(failed("read the capabilities"))?;
    // To leave the bounding set takes CAP_SETPCAP; who lacks it cannot get them back either, thanks to `no_new_privs`.
    if had.effective.contains(CapabilitySet::SETPCAP) {
        for one in each_but(keep) {
            match remove_capability_from_bounding_set(one) {
                // One that this kernel does not know.
                Ok(()) | Err(Errno::INVAL) => {}
                Err(errno) => return Err(failed("leave the bounding set")(errno)),
            }
        }
    }
    match clear_ambient_capability_set() {
        // Before Linux 4.3 there was no such set.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(errno) => return Err(failed("clear the ambient capabilities")(errno)),
    }
    let kept = had.permitted & keep;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).map_err(failed("give up capabilities"))
}

/// Every capability that is not in `keep`, one by one: also those that a later kernel may have.
fn each_but(keep: CapabilitySet) -> impl Iterator<Item = CapabilitySet> {
    (0..u64::BITS)
        .map(|bit| CapabilitySet::from_bits_retain(1 << bit))
        .filter(move |one| !keep.contains(*one))
}

/// A setting that keeps a user without privileges from making a user namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserNamespaceObstacle {
    /// `kernel.unprivileged_userns_clone` is 0 (a patch of Debian and Arch).
    UnprivilegedClone,
    /// `user.max_user_namespaces` is 0.
    Limit,
    /// `kernel.apparmor_restrict_unprivileged_userns` is 1 (Ubuntu 23.10 and later).
    AppArmor,
}

impl UserNamespaceObstacle {
    /// The kernel parameter and the value that lifts it.
    pub fn remedy(self) -> &'static str {
        match self {
            UserNamespaceObstacle::UnprivilegedClone => "kernel.unprivileged_userns_clone=1",
            UserNamespaceObstacle::Limit => "user.max_user_namespaces=15000",
            UserNamespaceObstacle::AppArmor => "kernel.apparmor_restrict_unprivileged_userns=0",
        }
    }
}

/// The settings that forbid user namespaces to users without privileges; none does not promise that they
/// work, since a seccomp filter or a security module cannot be read.
pub fn user_namespace_obstacles() -> Vec<UserNamespaceObstacle> {
    [
        ("kernel/unprivileged_userns_clone", "0", UserNamespaceObstacle::UnprivilegedClone),
        ("user/max_user_namespaces", "0", UserNamespaceObstacle::Limit),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", UserNamespaceObstacle::AppArmor),
    ]
    .into_iter()
    .filter(|(key, forbids, _)| {
        fs::read_to_string(format!("/proc/sys/{key}")).is_ok_and(|value| value.trim() == *forbids)
    })
    .map(|(_, _, obstacle)| obstacle)
    .collect()
}
