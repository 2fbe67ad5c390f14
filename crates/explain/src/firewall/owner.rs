//! Whose a table is, by the names in it.

use std::fmt;

use pontoon_nft::ruleset::Table;
use pontoon_nft::syntax::Family;
use serde::{Deserialize, Serialize};

/// Who made a table or chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// Docker.
    Docker,
    /// ufw, the firewall of Ubuntu.
    Ufw,
    /// firewalld, the firewall of Fedora and its like.
    Firewalld,
    /// kube-proxy, or a network of Kubernetes.
    Kubernetes,
    /// libvirt.
    Libvirt,
    /// Podman, by netavark or by CNI.
    Podman,
    /// Somebody with `iptables`.
    Iptables,
    /// Somebody with `nft`.
    Nft,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Docker => "Docker",
            Self::Ufw => "ufw",
            Self::Firewalld => "firewalld",
            Self::Kubernetes => "Kubernetes",
            Self::Libvirt => "libvirt",
            Self::Podman => "Podman",
            Self::Iptables => "somebody's iptables rules",
            Self::Nft => "somebody's nftables rules",
        })
    }
}

/// How chains begin that only one program makes.
///
/// Sources: moby's daemon/libnetwork/drivers/bridge/internal/iptabler, ufw's src/ufw-init-functions, firewalld's
/// src/firewall/core/ipXtables.py and nftables.py, kube-proxy's pkg/proxy/iptables/proxier.go, Calico's
/// felix/rules/rule_defs.go, libvirt's src/network/network_iptables.c, netavark's src/firewall/varktables/types.rs,
/// CNI's plugins/meta/portmap.
const CHAINS: [(&str, Owner); 13] = [
    ("DOCKER", Owner::Docker),
    ("ufw-", Owner::Ufw),
    ("ufw6-", Owner::Ufw),
    ("FWDI_", Owner::Firewalld),
    ("FWD_", Owner::Firewalld),
    ("FORWARD_direct", Owner::Firewalld),
    ("filter_FWD_", Owner::Firewalld),
    ("KUBE-", Owner::Kubernetes),
    ("cali-", Owner::Kubernetes),
    ("LIBVIRT_", Owner::Libvirt),
    ("NETAVARK", Owner::Podman),
    ("CNI-", Owner::Podman),
    ("CNI_", Owner::Podman),
];

/// How tables begin that only one program makes.
const TABLES: [(&str, Owner); 6] = [
    ("firewalld", Owner::Firewalld),
    ("docker-bridges", Owner::Docker),
    ("kube-", Owner::Kubernetes),
    ("calico", Owner::Kubernetes),
    ("libvirt_network", Owner::Libvirt),
    ("netavark", Owner::Podman),
];

/// Who has `table`, of which the chain `dropping` drops.
///
/// A chain's own name tells most. The chains of a hook are everybody's: they drop because of the one that came and
/// set their policy, and those that do this come first here.
pub fn owner(table: &Table, dropping: &str) -> Owner {
    let by_chain =
        |name: &str| CHAINS.iter().find(|(start, _)| name.starts_with(start)).map(|(_, owner)| *owner);
    let by_table =
        TABLES.iter().find(|(start, _)| table.table.name.starts_with(start)).map(|(_, owner)| *owner);
    if let Some(owner) = by_table.or_else(|| by_chain(dropping)) {
        return owner;
    }
    let mut present: Vec<Owner> =
        table.chains.iter().filter_map(|chain| by_chain(&chain.chain.name)).collect();
    // Of these only Docker, ufw and firewalld set the policy of a hook's chain.
    present.retain(|owner| matches!(owner, Owner::Docker | Owner::Ufw | Owner::Firewalld));
    present.sort_unstable();
    present.first().copied().unwrap_or_else(|| by_hand(table))
}

fn by_hand(table: &Table) -> Owner {
    if is_iptables(table) { Owner::Iptables } else { Owner::Nft }
}

/// Whether iptables-nft shows the table: its chains of hooks have iptables' names.
pub fn is_iptables(table: &Table) -> bool {
    const NAMES: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];
    let mut base = table.chains.iter().filter(|chain| chain.chain.base.is_some()).peekable();
    matches!(table.table.family, Family::Ip | Family::Ip6)
        && ["filter", "mangle", "raw", "security", "nat"].contains(&table.table.name.as_str())
        && base.peek().is_some()
        && base.all(|chain| NAMES.contains(&chain.chain.name.as_str()))
}
