//! Sockets of TCP, UDP and SCTP: who has which port.
//!
//! Source: `include/uapi/linux/sock_diag.h`, `include/uapi/linux/inet_diag.h`, `net/ipv4/inet_diag.c`; sock_diag(7).

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use crate::Family;
use crate::wire::{Attrs, Batch, Body, NLM_F_DUMP};

/// `SOCK_DIAG_BY_FAMILY`.
pub const SOCK_DIAG_BY_FAMILY: u16 = 20;

const INET_DIAG_REQ_BYTECODE: u16 = 1;
const INET_DIAG_SKV6ONLY: u16 = 11;

const INET_DIAG_BC_S_GE: u8 = 2;
const INET_DIAG_BC_S_LE: u8 = 3;
/// Length of `struct inet_diag_bc_op` in bytes; a comparison with a port is two of them.
const OP_LEN: u8 = 4;

/// Length of `struct inet_diag_req_v2` in bytes.
const REQUEST_LEN: usize = 56;
/// Length of `struct inet_diag_msg` in bytes.
const ANSWER_LEN: usize = 72;

/// What a socket does: the states of TCP, which the others borrow.
///
/// Source: `include/net/tcp_states.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Connected.
    Established,
    /// Connecting.
    SynSent,
    /// Being connected to.
    SynReceived,
    /// Closed at this end, not acknowledged yet.
    FinWait1,
    /// Closed at this end.
    FinWait2,
    /// Closed at both ends: the kernel alone remembers it for a minute.
    TimeWait,
    /// Not connected; UDP's that takes packets from everyone.
    Close,
    /// Closed at the other end.
    CloseWait,
    /// Closed at both ends, the last not acknowledged yet.
    LastAck,
    /// Waiting for connections.
    Listen,
    /// Closed at both ends at the same time.
    Closing,
    /// Being connected to; listed as [`State::SynReceived`].
    NewSynReceived,
    /// Has a port, and neither listens nor connects. Since Linux 6.8 these are listed when this state is asked for; the
    /// answer says [`State::Close`].
    BoundInactive,
    /// A number without a name.
    Other(u8),
}

impl State {
    const NUMBERS: [(u8, Self); 13] = [
        (1, Self::Established),
        (2, Self::SynSent),
        (3, Self::SynReceived),
        (4, Self::FinWait1),
        (5, Self::FinWait2),
        (6, Self::TimeWait),
        (7, Self::Close),
        (8, Self::CloseWait),
        (9, Self::LastAck),
        (10, Self::Listen),
        (11, Self::Closing),
        (12, Self::NewSynReceived),
        (13, Self::BoundInactive),
    ];

    fn from_number(number: u8) -> Self {
        let known = Self::NUMBERS.iter().find(|(known, _)| *known == number);
        known.map_or(Self::Other(number), |(_, state)| *state)
    }

    /// The kernel's number.
    pub fn number(self) -> u8 {
        match self {
            Self::Other(number) => number,
            named => Self::NUMBERS.iter().find(|(_, state)| *state == named).map_or(0, |(number, _)| *number),
        }
    }
}

/// A set of [`State`]s: bit *n* is the state with the number *n*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct States(pub u32);

impl States {
    /// All of them.
    pub const ALL: Self = Self(u32::MAX);

    /// These.
    pub fn of(states: &[State]) -> Self {
        Self(
            states.iter().fold(0, |bits, state| bits | 1_u32.checked_shl(state.number().into()).unwrap_or(0)),
        )
    }

    /// All others.
    pub fn others(self) -> Self {
        Self(!self.0)
    }
}

/// A request for the sockets of one family and protocol that have a port of these; the kernel picks them out.
///
/// A dump ends with `ENOENT` where the kernel does not have the protocol, or not its part of `inet_diag`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpSockets {
    /// The family of the socket; one of IPv6 may have IPv4's ports as well.
    pub family: Family,
    /// The protocol's number: 6, 17 or 132.
    pub protocol: u8,
    /// Only those in one of these states.
    pub states: States,
    /// Only those whose own port is one of these.
    pub ports: RangeInclusive<u16>,
}

impl DumpSockets {
    /// Appends the request.
    pub fn encode(&self, batch: &mut Batch) {
        batch.message(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, |body| {
            let mut header = [0; REQUEST_LEN];
            header[0] = self.family.number();
            header[1] = self.protocol;
            header[4..8].copy_from_slice(&self.states.0.to_ne_bytes());
            body.raw(&header);
            self.encode_filter(body);
        });
    }

    /// The program `S_GE first; S_LE last`. A comparison is one operation and, where the next would be, its number; an
    /// operation says by how many bytes to go on if it holds and if not, and behind the end is refused.
    fn encode_filter(&self, body: &mut Body<'_>) {
        let comparison = |code, port: u16, left: u8| {
            let refuse = u16::from(left) + u16::from(OP_LEN);
            let [refuse, port] = [refuse, port].map(u16::to_ne_bytes);
            [code, 2 * OP_LEN, refuse[0], refuse[1], 0, 0, port[0], port[1]]
        };
        let first = comparison(INET_DIAG_BC_S_GE, *self.ports.start(), 4 * OP_LEN);
        let last = comparison(INET_DIAG_BC_S_LE, *self.ports.end(), 2 * OP_LEN);
        body.attr(INET_DIAG_REQ_BYTECODE, &[first, last].concat());
    }
}

/// A socket, as the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InetSocket {
    /// What it does.
    pub state: State,
    /// Its own address and port; the address of zeroes where it takes packets to any.
    pub local: SocketAddr,
    /// The other end; zeroes where there is none.
    pub peer: SocketAddr,
    /// Index of the link that it is bound to; 0 for none.
    pub link: u32,
    /// User that made it, as the user namespace of the one who asks numbers users.
    pub uid: u32,
    /// Number of its file (`socket:[…]` in `/proc/PID/fd`); 0 where no process has it any more.
    pub inode: u32,
    /// Whether one of IPv6 leaves IPv4 alone; told of those that are not connected.
    pub v6only: Option<bool>,
}

impl InetSocket {
    /// Reads the payload of an answer to [`DumpSockets`]; `None` if it is not one of IPv4 or IPv6.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let header = payload.get(..ANSWER_LEN)?;
        let family = Family::from_number(header[0])?;
        let number = |at: usize| Some(u32::from_ne_bytes(header.get(at..at + 4)?.try_into().ok()?));
        let port = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let mut attrs = Attrs::new(&payload[ANSWER_LEN..]);
        let v6only = attrs.find(|attr| attr.kind == INET_DIAG_SKV6ONLY).and_then(|attr| attr.u8());
        Some(Self {
            state: State::from_number(header[1]),
            local: SocketAddr::new(address(family, header.get(8..24)?)?, port(4)),
            peer: SocketAddr::new(address(family, header.get(24..40)?)?, port(6)),
            link: number(40)?,
            uid: number(64)?,
            inode: number(68)?,
            v6only: v6only.map(|on| on != 0),
        })
    }
}

/// Reads a field of 16 bytes, of which IPv4 has the first four.
fn address(family: Family, field: &[u8]) -> Option<IpAddr> {
    match family {
        Family::V4 => Some(<[u8; 4]>::try_from(field.get(..4)?).ok()?.into()),
        Family::V6 => Some(<[u8; 16]>::try_from(field).ok()?.into()),
    }
}
