//! Instructions.

use crate::syntax::{
    ArpField, CounterValue, CtField, EtherField, FibAddress, FibResult, Ip6Field, IpField, IpVersion, Key,
    Limit, LogLevel, MarkTarget, Meta, NatFlags, NatKind, PayloadBase, PortSide, SetOp, Verdict,
};

/// One of the sixteen 32-bit registers, counted from 0.
///
/// The kernel also has the older names of four 128-bit registers for slots 0, 4, 8 and 12.
pub type Slot = u8;

/// One instruction. Source: `enum nft_…_attributes` in nf_tables.h.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Insn {
    /// Reads something into registers.
    Load {
        /// What.
        load: Load,
        /// The first register.
        slot: Slot,
    },
    /// `register = (register & mask) ^ xor`
    Bitwise {
        /// The first register, both source and destination.
        slot: Slot,
        /// Which bits stay.
        mask: Vec<u8>,
        /// Which bits change then.
        xor: Vec<u8>,
    },
    /// Goes on only if the comparison holds.
    Cmp {
        /// The first register.
        slot: Slot,
        /// How.
        op: CmpOp,
        /// With what.
        data: Vec<u8>,
    },
    /// Goes on only within (or outside) a range.
    Range {
        /// The first register.
        slot: Slot,
        /// Whether outside is meant.
        negated: bool,
        /// The first value.
        first: Vec<u8>,
        /// The last value.
        last: Vec<u8>,
    },
    /// Looks the registers up in a set; goes on only if they are there (or not).
    Lookup {
        /// In which set.
        set: SetName,
        /// The first register of the key.
        slot: Slot,
        /// Whether to go on if they are not there.
        negated: bool,
    },
    /// Looks the registers up in a map of verdicts.
    LookupVerdict {
        /// In which map.
        map: SetName,
        /// The first register of the key.
        slot: Slot,
    },
    /// Looks the registers up in a map of values.
    LookupData {
        /// In which map.
        map: SetName,
        /// The first register of the key.
        slot: Slot,
        /// The first register for the data.
        into: Slot,
    },
    /// Adds the registers to a set, or removes them from there. Source: `enum nft_dynset_attributes`.
    Dynset {
        /// What is done.
        op: SetOp,
        /// The set's name.
        set: String,
        /// The first register of the element.
        slot: Slot,
        /// Its time to live in milliseconds.
        timeout: Option<u64>,
        /// What its counter starts with.
        counter: Option<CounterValue>,
    },
    /// Puts a constant into registers.
    Immediate {
        /// The first register.
        slot: Slot,
        /// The constant.
        data: Vec<u8>,
    },
    /// Ends the rule with a verdict.
    Verdict(Verdict),
    /// Counts.
    Counter(CounterValue),
    /// Sets a mark from a register.
    SetMark {
        /// Whose.
        target: MarkTarget,
        /// From where.
        slot: Slot,
    },
    /// Translates an address.
    Nat {
        /// Which end.
        kind: NatKind,
        /// Which addresses.
        version: IpVersion,
        /// Registers of the addresses.
        addresses: Option<NatPart>,
        /// Registers of the ports.
        ports: Option<NatPart>,
        /// How ports are chosen.
        flags: NatFlags,
    },
    /// Translates the source to the interface's address.
    Masquerade {
        /// Registers of the ports.
        ports: Option<NatPart>,
        /// How ports are chosen.
        flags: NatFlags,
    },
    /// Translates the destination to the host.
    Redirect {
        /// Registers of the ports.
        ports: Option<NatPart>,
        /// How ports are chosen.
        flags: NatFlags,
    },
    /// Refuses. Source: `enum nft_reject_types`.
    Reject {
        /// 0 ICMP of the packet's family, 1 TCP reset, 2 the code that both families have.
        kind: u32,
        /// The code.
        code: u8,
    },
    /// Logs.
    Log {
        /// What the line begins with.
        prefix: Option<String>,
        /// How important it is.
        level: Option<LogLevel>,
    },
    /// Limits a rate.
    Limit(Limit),
    /// Puts a random number, in the host's byte order, into a register. Source: `enum nft_ng_attributes`.
    Random {
        /// The register.
        slot: Slot,
        /// The number is less than this.
        of: u32,
    },
    /// Turns a number of 32 bits from the host's byte order into the network's, in which comparisons have their order.
    /// Source: `enum nft_byteorder_attributes`.
    ToNetworkOrder {
        /// The register, both source and destination.
        slot: Slot,
    },
    /// Keeps connection tracking off.
    Notrack,
    /// Switches the packet's trace on or off, by a register's first byte.
    SetTrace {
        /// From where.
        slot: Slot,
    },
    /// Something else.
    Unknown {
        /// The kernel's name for it.
        name: String,
        /// Its attributes.
        bytes: Vec<u8>,
    },
}

/// How a comparison compares. Source: `enum nft_cmp_ops`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CmpOp {
    /// Equal.
    Eq,
    /// Not equal.
    Neq,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// Greater or equal.
    Gte,
}

/// The registers of a translation's lowest and highest value; the same one twice for a single value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NatPart {
    /// The lowest value's.
    pub min: Slot,
    /// The highest value's.
    pub max: Slot,
}

/// A set as an instruction names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetName {
    /// By name.
    Named(String),
    /// The rule's own, by its place among [`super::Program::sets`].
    Anonymous(usize),
}

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Load {
    /// A key of `meta` (`NFT_META_…`).
    Meta(u32),
    /// A key of `ct` (`NFT_CT_…`), for a direction where it has one.
    Ct {
        /// The key.
        key: u32,
        /// 0 original, 1 reply.
        direction: Option<u8>,
    },
    /// Bytes of the packet.
    Payload {
        /// From where the offset counts.
        base: PayloadBase,
        /// The first byte.
        offset: u32,
        /// How many bytes.
        len: u32,
    },
    /// A route lookup (`NFT_FIB_RESULT_…`, `NFTA_FIB_F_…`).
    Fib {
        /// What is asked.
        result: u32,
        /// For what.
        flags: u32,
    },
}

const fn payload(base: PayloadBase, offset: u32, len: u32) -> Load {
    Load::Payload { base, offset, len }
}

impl Load {
    /// How `key` is read.
    pub const fn of(key: Key) -> Self {
        use PayloadBase::{Link, Network, Transport};
        match key {
            Key::Meta(meta) => Self::Meta(meta_number(meta)),
            Key::Ip(IpField::Saddr) => payload(Network, 12, 4),
            Key::Ip(IpField::Daddr) => payload(Network, 16, 4),
            Key::Ip(IpField::Ttl) => payload(Network, 8, 1),
            Key::Ip(IpField::Protocol) => payload(Network, 9, 1),
            Key::Ip6(Ip6Field::Saddr) => payload(Network, 8, 16),
            Key::Ip6(Ip6Field::Daddr) => payload(Network, 24, 16),
            Key::Ip6(Ip6Field::Nexthdr) => payload(Network, 6, 1),
            Key::Ip6(Ip6Field::Hoplimit) => payload(Network, 7, 1),
            Key::Ether(EtherField::Daddr) => payload(Link, 0, 6),
            Key::Ether(EtherField::Saddr) => payload(Link, 6, 6),
            Key::Ether(EtherField::Type) => payload(Link, 12, 2),
            Key::Arp(ArpField::Operation) => payload(Network, 6, 2),
            Key::Arp(ArpField::SaddrEther) => payload(Network, 8, 6),
            Key::Arp(ArpField::SaddrIp) => payload(Network, 14, 4),
            Key::Arp(ArpField::DaddrEther) => payload(Network, 18, 6),
            Key::Arp(ArpField::DaddrIp) => payload(Network, 24, 4),
            Key::Port { side: PortSide::Source, .. } => payload(Transport, 0, 2),
            Key::Port { side: PortSide::Destination, .. } => payload(Transport, 2, 2),
            Key::IcmpType | Key::Icmpv6Type => payload(Transport, 0, 1),
            Key::Raw { base, offset, len } => payload(base, offset as u32, len as u32),
            Key::Ct(field) => ct_load(field),
            Key::Fib { address, iif, result } => fib_load(address, iif, result),
        }
    }
}

/// Source: `enum nft_meta_keys`.
const fn meta_number(meta: Meta) -> u32 {
    match meta {
        Meta::Protocol => 1,
        Meta::Mark => 3,
        Meta::Iif => 4,
        Meta::Oif => 5,
        Meta::Iifname => 6,
        Meta::Oifname => 7,
        Meta::Iiftype => 8,
        Meta::Nfproto => 15,
        Meta::L4proto => 16,
        Meta::Pkttype => 19,
        Meta::Iifgroup => 21,
        Meta::Oifgroup => 22,
    }
}

/// Source: `enum nft_ct_keys`.
const fn ct_load(field: CtField) -> Load {
    let (key, direction) = match field {
        CtField::State => (0, None),
        CtField::Direction => (1, None),
        CtField::Status => (2, None),
        CtField::Mark => (3, None),
        CtField::OriginalProtoSrc => (11, Some(0)),
        CtField::OriginalProtoDst => (12, Some(0)),
        CtField::OriginalIpSaddr => (19, Some(0)),
        CtField::OriginalIpDaddr => (20, Some(0)),
        CtField::OriginalIp6Saddr => (21, Some(0)),
        CtField::OriginalIp6Daddr => (22, Some(0)),
    };
    Load::Ct { key, direction }
}

/// Source: `enum nft_fib_result`, `enum nft_fib_flags`.
const fn fib_load(address: FibAddress, iif: bool, result: FibResult) -> Load {
    const PRESENT: u32 = 1 << 5;
    let address = match address {
        FibAddress::Saddr => 1,
        FibAddress::Daddr => 2,
    };
    let (result, present) = match result {
        FibResult::Oif => (1, 0),
        FibResult::Oifname => (2, 0),
        FibResult::Type => (3, 0),
        FibResult::Exists => (1, PRESENT),
    };
    Load::Fib { result, flags: address | (iif as u32) << 3 | present }
}
