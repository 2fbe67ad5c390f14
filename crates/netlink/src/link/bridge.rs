//! What can be set on a bridge.

use crate::wire::{Attrs, Body};

/// A bridge's options: what to set in a request, what is set in an answer.
///
/// Source: `IFLA_BR_…` in `if_link.h`, `br_changelink()` in the kernel's `net/bridge/br_netlink.c`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BridgeOptions {
    /// How long a port listens and learns before it forwards, in hundredths of a second (spanning tree only: without
    /// it, a port forwards at once).
    pub forward_delay: Option<u32>,
    /// After what time an unheard address is forgotten, in hundredths of a second (30,000 by default); 0: at once, so
    /// that every frame is flooded.
    pub ageing_time: Option<u32>,
    /// Whether the bridge takes part in the spanning tree protocol.
    pub stp: Option<bool>,
    /// Spanning tree priority of the bridge.
    pub priority: Option<u16>,
    /// Whether the bridge keeps VLANs apart.
    pub vlan_filtering: Option<bool>,
    /// The VLAN of untagged frames on a new port; 0: none.
    pub vlan_default_pvid: Option<u16>,
    /// Which link-local group addresses (01:80:c2:00:00:0x) are forwarded, a bit each.
    pub group_fwd_mask: Option<u16>,
    /// Whether the bridge listens to IGMP and MLD to send multicast only where it is wanted.
    pub mcast_snooping: Option<bool>,
    /// Whether the bridge asks for multicast listeners itself.
    pub mcast_querier: Option<bool>,
    /// Whether bridged IPv4 packets pass this bridge through iptables (`br_netfilter`), whatever the sysctl says.
    pub nf_call_iptables: Option<bool>,
    /// The same for IPv6.
    pub nf_call_ip6tables: Option<bool>,
    /// The same for ARP.
    pub nf_call_arptables: Option<bool>,
    /// Whether the bridge does not learn from frames to link-local groups (01:80:c2:00:00:0x), which no rule of a
    /// bridge's sees before it does (from Linux 5.0).
    pub no_linklocal_learn: Option<bool>,
    /// How many learned addresses the bridge keeps at most (from Linux 6.7); 0: no limit.
    pub fdb_max_learned: Option<u32>,
}

const FORWARD_DELAY: u16 = 1;
const AGEING_TIME: u16 = 4;
const STP_STATE: u16 = 5;
const PRIORITY: u16 = 6;
const VLAN_FILTERING: u16 = 7;
const GROUP_FWD_MASK: u16 = 9;
const MCAST_SNOOPING: u16 = 23;
const MCAST_QUERIER: u16 = 25;
const NF_CALL_IPTABLES: u16 = 36;
const NF_CALL_IP6TABLES: u16 = 37;
const NF_CALL_ARPTABLES: u16 = 38;
const VLAN_DEFAULT_PVID: u16 = 39;
const MULTI_BOOLOPT: u16 = 46;
const FDB_MAX_LEARNED: u16 = 49;
/// `BR_BOOLOPT_NO_LL_LEARN`, a bit number.
const NO_LL_LEARN: u32 = 0;

impl BridgeOptions {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn encode(&self, data: &mut Body<'_>) {
        let words = [
            (FORWARD_DELAY, self.forward_delay),
            (AGEING_TIME, self.ageing_time),
            (STP_STATE, self.stp.map(u32::from)),
            (FDB_MAX_LEARNED, self.fdb_max_learned),
        ];
        let halves = [
            (PRIORITY, self.priority),
            (VLAN_DEFAULT_PVID, self.vlan_default_pvid),
            (GROUP_FWD_MASK, self.group_fwd_mask),
        ];
        let switches = [
            (VLAN_FILTERING, self.vlan_filtering),
            (MCAST_SNOOPING, self.mcast_snooping),
            (MCAST_QUERIER, self.mcast_querier),
            (NF_CALL_IPTABLES, self.nf_call_iptables),
            (NF_CALL_IP6TABLES, self.nf_call_ip6tables),
            (NF_CALL_ARPTABLES, self.nf_call_arptables),
        ];
        if let Some(on) = self.no_linklocal_learn {
            // `struct br_boolopt_multi`: values, and which of them count.
            let words = [u32::from(on) << NO_LL_LEARN, 1 << NO_LL_LEARN];
            data.attr(MULTI_BOOLOPT, &words.map(u32::to_ne_bytes).concat());
        }
        for (kind, value) in words {
            value.into_iter().for_each(|value| data.u32(kind, value));
        }
        for (kind, value) in halves {
            value.into_iter().for_each(|value| data.u16(kind, value));
        }
        for (kind, value) in switches {
            value.into_iter().for_each(|value| data.u8(kind, u8::from(value)));
        }
    }

    pub(super) fn decode(attrs: Attrs<'_>) -> Self {
        let mut options = Self::default();
        for attr in attrs {
            let switch = || attr.u8().map(|value| value != 0);
            match attr.kind {
                FORWARD_DELAY => options.forward_delay = attr.u32(),
                AGEING_TIME => options.ageing_time = attr.u32(),
                STP_STATE => options.stp = attr.u32().map(|state| state != 0),
                PRIORITY => options.priority = attr.u16(),
                VLAN_FILTERING => options.vlan_filtering = switch(),
                VLAN_DEFAULT_PVID => options.vlan_default_pvid = attr.u16(),
                GROUP_FWD_MASK => options.group_fwd_mask = attr.u16(),
                MCAST_SNOOPING => options.mcast_snooping = switch(),
                MCAST_QUERIER => options.mcast_querier = switch(),
                NF_CALL_IPTABLES => options.nf_call_iptables = switch(),
                NF_CALL_IP6TABLES => options.nf_call_ip6tables = switch(),
                NF_CALL_ARPTABLES => options.nf_call_arptables = switch(),
                MULTI_BOOLOPT => options.no_linklocal_learn = boolean(attr.value, NO_LL_LEARN),
                FDB_MAX_LEARNED => options.fdb_max_learned = attr.u32(),
                _ => {}
            }
        }
        options
    }
}

/// A switch of `struct br_boolopt_multi`, if the kernel has it.
fn boolean(value: &[u8], bit: u32) -> Option<bool> {
    let word = |at: usize| Some(u32::from_ne_bytes(value.get(at..at + 4)?.try_into().ok()?));
    let (values, mask) = (word(0)?, word(4)?);
    (mask >> bit & 1 != 0).then_some(values >> bit & 1 != 0)
}
