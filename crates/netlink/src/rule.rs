//! Policy-routing rules: which table answers for which packet.
//!
//! Source: `include/uapi/linux/fib_rules.h`, `net/core/fib_rules.c`; ip-rule(8).

use crate::ip::AF_UNSPEC;
use crate::wire::{Attr, Attrs, Batch, Body, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL};
use crate::{Family, Prefix};

/// `RTM_NEWRULE`.
pub const RTM_NEWRULE: u16 = 32;
/// `RTM_DELRULE`.
pub const RTM_DELRULE: u16 = 33;
/// `RTM_GETRULE`.
pub const RTM_GETRULE: u16 = 34;

const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_GOTO: u16 = 4;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_SUPPRESS_IFGROUP: u16 = 13;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FRA_OIFNAME: u16 = 17;
const FRA_FLOW: u16 = 11;
const FRA_TUN_ID: u16 = 12;
const FRA_L3MDEV: u16 = 19;
const FRA_UID_RANGE: u16 = 20;
const FRA_PROTOCOL: u16 = 21;
const FRA_IP_PROTO: u16 = 22;
const FRA_SPORT_RANGE: u16 = 23;
const FRA_DPORT_RANGE: u16 = 24;

const FIB_RULE_INVERT: u32 = 2;
const RT_TABLE_COMPAT: u32 = 252;
const HEADER_LEN: usize = 12;

/// What a rule does with a packet that it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Look up this table, and go on with the next rule if it has no route.
    Table(u32),
    /// Go on at the rule of this priority.
    Goto(u32),
    /// Nothing.
    Nop,
    /// Drop silently.
    Blackhole,
    /// Drop with "network unreachable".
    Unreachable,
    /// Drop with "administratively prohibited".
    Prohibit,
    /// A number without a name.
    Other(u8),
}

impl Action {
    fn number(self) -> u8 {
        match self {
            Self::Table(_) => 1,
            Self::Goto(_) => 2,
            Self::Nop => 3,
            Self::Blackhole => 6,
            Self::Unreachable => 7,
            Self::Prohibit => 8,
            Self::Other(other) => other,
        }
    }
}

/// A mark to compare a packet's with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The value after masking.
    pub value: u32,
    /// Which bits count.
    pub mask: u32,
}

/// A rule: to add or delete, and as the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Address family.
    pub family: Family,
    /// Rules are asked in ascending order; the kernel picks one before the first other than 0 if there is none.
    pub priority: Option<u32>,
    /// Source prefix.
    pub from: Option<Prefix>,
    /// Destination prefix.
    pub to: Option<Prefix>,
    /// Incoming interface by name, which need not exist yet.
    pub iif: Option<String>,
    /// Outgoing interface by name: for packets of this host whose socket is bound to it.
    pub oif: Option<String>,
    /// Packet mark.
    pub mark: Option<Mark>,
    /// What it does.
    pub action: Action,
    /// Whether it matches what it would not.
    pub invert: bool,
    /// Ignore routes with a prefix of this length or less.
    pub suppress_prefix_len: Option<u32>,
    /// Ignore routes out of links of this group.
    pub suppress_group: Option<u32>,
    /// Who made it; [`crate::PROTOCOL`] is us.
    pub protocol: u8,
    /// The transport protocol and its ports. Read only: a rule that is added has none.
    pub transport: Transport,
    /// Whether it asks for more, which is not read: the type of service, the user, a tunnel, a VRF, a realm.
    pub asks_more: bool,
}

/// What a rule asks of the transport header; ports are from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Transport {
    /// The protocol's number.
    pub protocol: Option<u8>,
    /// Source ports.
    pub source: Option<(u16, u16)>,
    /// Destination ports.
    pub destination: Option<(u16, u16)>,
}

impl Rule {
    /// A rule of ours for all packets.
    pub fn new(family: Family, action: Action) -> Self {
        Self {
            family,
            priority: None,
            from: None,
            to: None,
            iif: None,
            oif: None,
            mark: None,
            action,
            invert: false,
            suppress_prefix_len: None,
            suppress_group: None,
            protocol: crate::PROTOCOL,
            transport: Transport::default(),
            asks_more: false,
        }
    }

    /// Appends the request to add it: `EEXIST` where there is one like it.
    pub fn encode_add(&self, batch: &mut Batch) {
        batch.message(RTM_NEWRULE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, |body| self.encode(body));
    }

    /// Appends the request to delete the first rule that has all that this one says: `ENOENT` where there is none.
    pub fn encode_delete(&self, batch: &mut Batch) {
        batch.message(RTM_DELRULE, NLM_F_ACK, |body| self.encode(body));
    }

    fn encode(&self, body: &mut Body<'_>) {
        let mut header = [0; HEADER_LEN];
        header[0] = self.family.number();
        header[1] = self.to.map_or(0, |to| to.len);
        header[2] = self.from.map_or(0, |from| from.len);
        if let Action::Table(table) = self.action {
            header[4] = u8::try_from(table).unwrap_or(RT_TABLE_COMPAT as u8);
        }
        header[7] = self.action.number();
        let flags = if self.invert { FIB_RULE_INVERT } else { 0 };
        header[8..12].copy_from_slice(&flags.to_ne_bytes());
        body.raw(&header);
        self.encode_matches(body);
        let (goto, table) = match self.action {
            Action::Goto(priority) => (Some(priority), None),
            Action::Table(table) => (None, Some(table)),
            _ => (None, None),
        };
        let numbers = [
            (FRA_PRIORITY, self.priority),
            (FRA_GOTO, goto),
            (FRA_TABLE, table),
            (FRA_SUPPRESS_PREFIXLEN, self.suppress_prefix_len),
            (FRA_SUPPRESS_IFGROUP, self.suppress_group),
        ];
        for (kind, value) in numbers {
            value.into_iter().for_each(|value| body.u32(kind, value));
        }
        body.u8(FRA_PROTOCOL, self.protocol);
    }

    fn encode_matches(&self, body: &mut Body<'_>) {
        for (kind, prefix) in [(FRA_DST, self.to), (FRA_SRC, self.from)] {
            // The kernel refuses an address together with the length 0.
            prefix
                .into_iter()
                .filter(|prefix| prefix.len > 0)
                .for_each(|prefix| body.ip(kind, prefix.address));
        }
        for (kind, name) in [(FRA_IIFNAME, &self.iif), (FRA_OIFNAME, &self.oif)] {
            name.iter().for_each(|name| body.str(kind, name));
        }
        if let Some(mark) = self.mark {
            body.u32(FRA_FWMARK, mark.value);
            body.u32(FRA_FWMASK, mark.mask);
        }
    }

    /// Reads the payload of an `RTM_NEWRULE` or `RTM_DELRULE` message; `None` if it is not of IPv4 or IPv6.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let header = payload.get(..HEADER_LEN)?;
        let family = Family::from_number(header[0])?;
        let mut rule = Self::new(family, Action::Nop);
        rule.protocol = 0;
        // The kernel leaves the priority 0 out.
        rule.priority = Some(0);
        // The type of service.
        rule.asks_more = header[3] != 0;
        rule.invert = u32::from_ne_bytes(header[8..12].try_into().ok()?) & FIB_RULE_INVERT != 0;
        let (mut table, mut goto) = (u32::from(header[4]), 0);
        for attr in Attrs::new(&payload[HEADER_LEN..]) {
            match attr.kind {
                FRA_TABLE => table = attr.u32().unwrap_or(table),
                FRA_GOTO => goto = attr.u32().unwrap_or(goto),
                FRA_DST => rule.to = attr.ip().map(|address| Prefix::new(address, header[1])),
                FRA_SRC => rule.from = attr.ip().map(|address| Prefix::new(address, header[2])),
                _ => rule.take(&attr),
            }
        }
        rule.action = match header[7] {
            1 => Action::Table(table),
            2 => Action::Goto(goto),
            3 => Action::Nop,
            6 => Action::Blackhole,
            7 => Action::Unreachable,
            8 => Action::Prohibit,
            other => Action::Other(other),
        };
        Some(rule)
    }

    fn take(&mut self, attr: &Attr<'_>) {
        // "Suppress nothing" is told as -1.
        let limit = || attr.u32().filter(|limit| *limit != u32::MAX);
        match attr.kind {
            FRA_PRIORITY => self.priority = attr.u32().or(self.priority),
            FRA_IIFNAME => self.iif = attr.str().map(str::to_owned),
            FRA_OIFNAME => self.oif = attr.str().map(str::to_owned),
            FRA_FWMARK => self.mark_mut().value = attr.u32().unwrap_or_default(),
            FRA_FWMASK => self.mark_mut().mask = attr.u32().unwrap_or_default(),
            FRA_SUPPRESS_PREFIXLEN => self.suppress_prefix_len = limit(),
            FRA_SUPPRESS_IFGROUP => self.suppress_group = limit(),
            FRA_PROTOCOL => self.protocol = attr.u8().unwrap_or_default(),
            FRA_IP_PROTO => self.transport.protocol = attr.u8(),
            FRA_SPORT_RANGE => self.transport.source = ports(attr),
            FRA_DPORT_RANGE => self.transport.destination = ports(attr),
            FRA_L3MDEV => self.asks_more |= attr.u8() != Some(0),
            FRA_TUN_ID => self.asks_more |= attr.value.iter().any(|byte| *byte != 0),
            FRA_UID_RANGE | FRA_FLOW => self.asks_more = true,
            _ => {}
        }
    }

    fn mark_mut(&mut self) -> &mut Mark {
        self.mark.get_or_insert(Mark { value: 0, mask: u32::MAX })
    }
}

/// `struct fib_rule_port_range`: both ends, in the machine's order.
fn ports(attr: &Attr<'_>) -> Option<(u16, u16)> {
    let [a, b, c, d] = *attr.value.first_chunk::<4>()?;
    Some((u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d])))
}

/// A request for all rules, or those of a family.
#[derive(Debug, Clone, Copy, Default)]
pub struct DumpRules {
    /// Only this family.
    pub family: Option<Family>,
}

impl DumpRules {
    /// Appends the request.
    pub fn encode(&self, batch: &mut Batch) {
        batch.message(RTM_GETRULE, NLM_F_DUMP, |body| {
            let mut header = [0; HEADER_LEN];
            header[0] = self.family.map_or(AF_UNSPEC, Family::number);
            body.raw(&header);
        });
    }
}
