//! Which Pontoon this is, of several on one host: the marks and names that tell their objects apart.

use pontoon_model::id::{EndpointId, NetworkId};
use pontoon_model::op::LinkMark;
use pontoon_model::{Endpoint, Mac, Network};
use pontoon_nft::syntax::{Family, TableRef};

/// An instance: the default one, or one with a `--root` of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Instance {
    tag: Option<String>,
}

impl Instance {
    /// The instance whose state is in the default places.
    pub fn host() -> Self {
        Self { tag: None }
    }

    /// The instance whose state is in `root`, an absolute path: eight digits of its FNV-1a hash tell it apart.
    pub fn with_root(root: &str) -> Self {
        let hash = root.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self { tag: Some(format!("{:08x}", (hash ^ (hash >> 32)) as u32)) }
    }

    /// The name of the default network's bridge, where the instance may have a name that is not random.
    pub fn default_bridge(&self) -> Option<&'static str> {
        self.tag.is_none().then_some("pontoon0")
    }

    /// The table that holds all of the instance's rules.
    pub fn table(&self) -> TableRef {
        let name = self.tag.as_ref().map_or_else(|| "pontoon".to_owned(), |tag| format!("pontoon_{tag}"));
        TableRef::new(Family::Inet, name)
    }

    /// The table that says who may send what on the instance's bridges.
    pub fn guard_table(&self) -> TableRef {
        TableRef { family: Family::Bridge, ..self.table() }
    }

    /// What every mark of this instance begins with.
    pub fn mark_prefix(&self) -> String {
        self.tag.as_ref().map_or_else(|| "pontoon:".to_owned(), |tag| format!("pontoon-{tag}:"))
    }

    /// The mark of what is ours in somebody else's firewall: the comment of rules, the first line of files.
    pub fn guest_mark(&self) -> String {
        format!("{}integration", self.mark_prefix())
    }

    /// What our zone in firewalld is called, and what its policies begin with: names of 17 characters at the most.
    pub fn firewalld_zone(&self) -> String {
        self.tag.as_ref().map_or_else(|| "pontoon".to_owned(), |tag| format!("pt-{tag}"))
    }

    /// A namespace's name for a container called `name` when that name is taken in `/run/netns`.
    pub fn second_netns_name(&self, name: &str, id: &str) -> String {
        format!("{name}-{}", &id[..8.min(id.len())])
    }

    /// The mark of a network's bridge.
    pub fn bridge_mark(&self, network: &Network) -> LinkMark {
        LinkMark { alias: self.network_alias(&network.id), mac: network.bridge_mac }
    }

    /// The mark of an endpoint's end on the bridge.
    pub fn endpoint_mark(&self, endpoint: &Endpoint) -> LinkMark {
        self.veth_mark(&endpoint.id)
    }

    /// The mark of the first end of a veth pair made for `id`: its Ethernet address is as random as the id.
    pub fn veth_mark(&self, id: &EndpointId) -> LinkMark {
        let byte = |index: usize| u8::from_str_radix(&id.as_str()[2 * index..2 * index + 2], 16).unwrap_or(0);
        let mac = Mac::local([0x0a | byte(6) & 0xf0, byte(7), byte(8), byte(9), byte(10), byte(11)]);
        LinkMark { alias: format!("{}endpoint:{id}", self.mark_prefix()), mac }
    }

    /// The mark of another of a network's links: one whose Ethernet address is `mac`.
    pub fn network_mark(&self, network: &Network, mac: Mac) -> LinkMark {
        LinkMark { alias: self.network_alias(&network.id), mac }
    }

    fn network_alias(&self, id: &NetworkId) -> String {
        format!("{}network:{id}", self.mark_prefix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_never_share_a_name() {
        let (host, one, two) = (Instance::host(), Instance::with_root("/a"), Instance::with_root("/b"));
        assert_eq!(host.table().name, "pontoon");
        assert_ne!(one.table(), two.table());
        assert_ne!(one.mark_prefix(), two.mark_prefix());
        assert!(!one.mark_prefix().starts_with(&host.mark_prefix()));
    }
}
