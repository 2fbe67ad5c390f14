//! What the calling process is allowed to do, for checks before a change and for hints after one.
//!
//! Sources: capabilities(7), user_namespaces(7).

use std::fs;

use rustix::thread::CapabilitySet;

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
