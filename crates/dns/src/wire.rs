//! Messages on the wire, as far as the hot path needs them: reading a query, and writing an answer to it.

mod query;
mod reply;

pub use query::{Edns, Malformed, Name, Query};
pub use reply::Reply;

/// The length of a message's header: RFC 1035, 4.1.1.
pub const HEADER: usize = 12;

/// The longest answer by UDP, and what we say that we take: it is never fragmented (DNS flag day 2020, RFC 9715).
pub const UDP_PAYLOAD: usize = 1232;

/// The longest answer by UDP to a client that does not say what it takes: RFC 1035, 4.2.1.
pub const UDP_CLASSIC: usize = 512;

/// The longest message that TCP can carry: RFC 1035, 4.2.2.
pub const TCP_PAYLOAD: usize = 65_535;

/// The class of the Internet: RFC 1035, 3.2.4.
pub const IN: u16 = 1;

/// How a query came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// In a datagram; the answer may have to be cut.
    Udp,
    /// On a connection.
    Tcp,
}

/// Types of records that are treated by name: RFC 1035, 3.2.2, and the IANA's registry.
pub mod kind {
    /// An IPv4 address.
    pub const A: u16 = 1;
    /// A name server.
    pub const NS: u16 = 2;
    /// Another name for this one.
    pub const CNAME: u16 = 5;
    /// The start of a zone.
    pub const SOA: u16 = 6;
    /// A name for an address.
    pub const PTR: u16 = 12;
    /// An IPv6 address: RFC 3596.
    pub const AAAA: u16 = 28;
    /// EDNS: RFC 6891.
    pub const OPT: u16 = 41;
    /// DNSSEC's link from a zone to one below: RFC 4034.
    pub const DS: u16 = 43;
    /// DNSSEC's keys: RFC 4034.
    pub const DNSKEY: u16 = 48;
    /// The first of the types that are not data: TKEY, TSIG, IXFR, AXFR, MAILB, MAILA (RFC 6895, 3.1).
    pub const FIRST_META: u16 = 249;
    /// The last of them.
    pub const LAST_META: u16 = 254;
    /// Whatever there is: RFC 8482.
    pub const ANY: u16 = 255;
}

/// What came of a query: RFC 1035, 4.1.1, RFC 6891, 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rcode {
    /// The name exists.
    NoError,
    /// The query is not well formed.
    FormErr,
    /// It could not be found out.
    ServFail,
    /// The name does not exist.
    NxDomain,
    /// Nobody here does that.
    NotImp,
    /// Not for this client, or not here.
    Refused,
    /// An EDNS version that is not known here.
    BadVers,
}

impl Rcode {
    /// All twelve bits; those above the fourth are in the OPT record.
    pub fn number(self) -> u16 {
        match self {
            Self::NoError => 0,
            Self::FormErr => 1,
            Self::ServFail => 2,
            Self::NxDomain => 3,
            Self::NotImp => 4,
            Self::Refused => 5,
            Self::BadVers => 16,
        }
    }
}

/// The header's flags: RFC 1035, 4.1.1, and RFC 4035, 3.1.6 and 3.2.2.
pub(crate) mod flag {
    pub(crate) const RESPONSE: u16 = 0x8000;
    pub(crate) const OPCODE: u16 = 0x7800;
    pub(crate) const AUTHORITATIVE: u16 = 0x0400;
    pub(crate) const TRUNCATED: u16 = 0x0200;
    pub(crate) const RECURSION_DESIRED: u16 = 0x0100;
    pub(crate) const RECURSION_AVAILABLE: u16 = 0x0080;
    pub(crate) const AUTHENTIC: u16 = 0x0020;
    pub(crate) const CHECKING_DISABLED: u16 = 0x0010;
    pub(crate) const RCODE: u16 = 0x000f;
}

/// Two bytes at `at`.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

/// Four bytes at `at`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
}

/// Where the name ends that begins at `at`, which may end in a pointer: RFC 1035, 4.1.4.
pub(crate) fn skip_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            len @ 1..=63 => at += 1 + usize::from(len),
            0xc0.. => return bytes.get(at + 1).map(|_| at + 2),
            _ => return None,
        }
    }
}
