//! What those who listen to the ruleset are told.

use pontoon_netlink::wire::{Attrs, Message};

use super::attribute::{GEN_ID, GEN_PROC_NAME, GEN_PROC_PID, SUBSYSTEM, msg};
use super::expression::find;
use crate::syntax::{Family, TableRef};

/// A message of the group `NFNLGRP_NFTABLES`. A transaction's objects come first, then the new generation.
///
/// Source: `nf_tables_commit()`, `nf_tables_fill_gen_info()` in the kernel's net/netfilter/nf_tables_api.c.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Something in a table, or the table itself, is new, changed or gone.
    Touched {
        /// The table.
        table: TableRef,
        /// Whether something is gone.
        removed: bool,
    },
    /// A transaction took effect.
    Generation {
        /// The ruleset's new generation.
        id: u32,
        /// The thread that sent it.
        pid: u32,
        /// That thread's name, of at most 15 bytes.
        name: String,
    },
}

impl Notice {
    /// Reads a message; `None` if it is of another kind.
    pub fn read(message: &Message<'_>) -> Option<Self> {
        /// Length of `struct nfgenmsg`.
        const GENERIC_LEN: usize = 4;
        /// What is attribute 1 of tables, chains, rules, sets, elements and stateful objects alike: the table's name.
        const TABLE: u16 = 1;
        if message.kind >> 8 != SUBSYSTEM {
            return None;
        }
        let attrs = Attrs::new(message.payload.get(GENERIC_LEN..)?);
        let get = |kind| find(attrs.clone(), kind);
        let removed = match message.kind & 0xff {
            msg::NEWGEN => {
                return Some(Self::Generation {
                    id: get(GEN_ID)?.u32_be()?,
                    pid: get(GEN_PROC_PID).and_then(|attr| attr.u32_be()).unwrap_or(0),
                    name: get(GEN_PROC_NAME).and_then(|attr| attr.str()).unwrap_or_default().to_owned(),
                });
            }
            msg::DELTABLE
            | msg::DELCHAIN
            | msg::DELRULE
            | msg::DELSET
            | msg::DELSETELEM
            | msg::DELOBJ
            | msg::DELFLOWTABLE => true,
            msg::NEWTABLE
            | msg::NEWCHAIN
            | msg::NEWRULE
            | msg::NEWSET
            | msg::NEWSETELEM
            | msg::NEWOBJ
            | msg::NEWFLOWTABLE => false,
            _ => return None,
        };
        let family = Family::from_number(*message.payload.first()?)?;
        let name = get(TABLE)?.str()?;
        Some(Self::Touched { table: TableRef::new(family, name), removed })
    }
}

#[cfg(test)]
mod tests {
    use pontoon_netlink::wire::Body;

    use super::*;

    fn read(kind: u16, family: u8, fill: impl FnOnce(&mut Body<'_>)) -> Option<Notice> {
        let mut payload = vec![family, 0, 0, 0];
        fill(&mut Body::on(&mut payload));
        Notice::read(&Message { kind: SUBSYSTEM << 8 | kind, flags: 0, seq: 0, payload: &payload })
    }

    #[test]
    fn who_changed_what() {
        let touched =
            |removed| Some(Notice::Touched { table: TableRef::new(Family::Inet, "pontoon"), removed });
        assert_eq!(read(msg::DELSETELEM, 1, |body| body.str(1, "pontoon")), touched(true));
        assert_eq!(read(msg::NEWRULE, 1, |body| body.str(1, "pontoon")), touched(false));
        let generation = read(msg::NEWGEN, 0, |body| {
            body.u32_be(GEN_ID, 7);
            body.u32_be(GEN_PROC_PID, 4711);
            body.str(GEN_PROC_NAME, "nft");
        });
        assert_eq!(generation, Some(Notice::Generation { id: 7, pid: 4711, name: "nft".into() }));
    }

    #[test]
    fn what_is_no_notice_is_none() {
        assert_eq!(read(msg::GETGEN, 0, |_| {}), None);
        assert_eq!(read(msg::NEWGEN, 0, |_| {}), None);
        assert_eq!(read(msg::NEWRULE, 1, |_| {}), None);
        assert_eq!(Notice::read(&Message { kind: 16, flags: 0, seq: 0, payload: &[0; 32] }), None);
    }
}
