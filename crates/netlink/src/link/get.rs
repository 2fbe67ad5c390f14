//! Questions about links.

use super::{
    IFLA_EXT_MASK, IFLA_INFO_KIND, IFLA_LINKINFO, IFLA_MASTER, LinkIndex, RTM_GETLINK, Target, header,
};
use crate::wire::{Batch, NLM_F_ACK, NLM_F_DUMP};

/// Leave the counters out of the answer, which are most of its length.
const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;

/// A request for one link; `ENODEV` where there is none.
///
/// Before it answers, the kernel runs its pending link-watch work for this link, so that afterwards its carrier is
/// what it will be (`linkwatch_sync_dev()` in
/// `net/core/link_watch.c`).
#[derive(Debug, Clone, Copy)]
pub struct GetLink<'a>(pub Target<'a>);

impl GetLink<'_> {
    /// Appends the request.
    pub fn encode(&self, batch: &mut Batch) {
        batch.message(RTM_GETLINK, NLM_F_ACK, |body| {
            self.0.encode(body, 0, 0);
            body.u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
        });
    }
}

/// A request for all links, or for those of a master or kind. The kernel filters, but walks all: 16 ms per 1,000.
#[derive(Debug, Clone, Copy, Default)]
pub struct DumpLinks<'a> {
    /// Only the ports of this bridge.
    pub master: Option<LinkIndex>,
    /// Only this kind, by the kernel's name (`bridge`).
    pub kind: Option<&'a str>,
}

impl DumpLinks<'_> {
    /// Appends the request.
    pub fn encode(&self, batch: &mut Batch) {
        batch.message(RTM_GETLINK, NLM_F_DUMP, |body| {
            header(body, 0, 0, 0);
            if let Some(master) = self.master {
                body.u32(IFLA_MASTER, master.0);
            }
            if let Some(kind) = self.kind {
                body.nest(IFLA_LINKINFO, |info| info.str(IFLA_INFO_KIND, kind));
            }
            body.u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
        });
    }
}
