//! Numbers that a network namespace has for others: those in which `IFLA_LINK_NETNSID` tells where a link's peer is.
//!
//! Source: `include/uapi/linux/net_namespace.h`, `rtnl_net_getid()` in net/core/net_namespace.c.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use crate::ip::AF_UNSPEC;
use crate::wire::{Attrs, Batch, NLM_F_ACK};

/// `RTM_NEWNSID`.
pub const RTM_NEWNSID: u16 = 88;
/// `RTM_GETNSID`.
pub const RTM_GETNSID: u16 = 90;

const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;

/// Length of `struct rtgenmsg`, a byte, padded.
const HEADER_LEN: usize = 4;

/// A request for the number that the asking socket's namespace has for the one behind a descriptor.
#[derive(Debug, Clone, Copy)]
pub struct GetNsid<'a>(pub BorrowedFd<'a>);

impl GetNsid<'_> {
    /// Appends the request.
    pub fn encode(self, batch: &mut Batch) {
        batch.message(RTM_GETNSID, NLM_F_ACK, |body| {
            body.raw(&[AF_UNSPEC, 0, 0, 0]);
            body.u32(NETNSA_FD, self.0.as_raw_fd().cast_unsigned());
        });
    }

    /// Reads the payload of an `RTM_NEWNSID` message; `None` where the other namespace has no number here.
    pub fn decode(payload: &[u8]) -> Option<i32> {
        let mut attrs = Attrs::new(payload.get(HEADER_LEN..)?);
        let id = attrs.find(|attr| attr.kind == NETNSA_NSID)?.u32()?.cast_signed();
        (id >= 0).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Body;

    #[test]
    fn a_number_that_is_not_assigned_is_none() {
        let message = |id: i32| {
            let mut bytes = vec![0; HEADER_LEN];
            Body::on(&mut bytes).u32(NETNSA_NSID, id.cast_unsigned());
            bytes
        };
        assert_eq!(GetNsid::decode(&message(3)), Some(3));
        assert_eq!(GetNsid::decode(&message(-1)), None);
        assert_eq!(GetNsid::decode(&[]), None);
    }
}
