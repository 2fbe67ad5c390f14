//! What a rule does, in order.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::key::Key;
use super::object::Element;
use super::value::{Operand, Value};

/// One statement of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statement {
    /// Goes on only if the packet matches.
    Match(Match),
    /// Counts packets and bytes.
    Counter(CounterValue),
    /// Decides about the packet, or goes to another chain.
    Verdict(Verdict),
    /// Looks the verdict up in a map.
    Vmap {
        /// The parts of the key.
        key: Vec<Key>,
        /// A map to verdicts.
        map: SetRef,
    },
    /// Source translation to the output interface's address.
    Masquerade {
        /// How ports are chosen.
        flags: NatFlags,
        /// Which ports may be taken.
        ports: Option<PortRange>,
    },
    /// Source or destination translation.
    Nat(Nat),
    /// Destination translation to the host itself.
    Redirect {
        /// The port to go to.
        ports: Option<PortRange>,
        /// How ports are chosen.
        flags: NatFlags,
    },
    /// Refuses the packet and tells its sender.
    Reject(Reject),
    /// Writes a line to the kernel's log.
    Log {
        /// What the line begins with.
        prefix: Option<String>,
        /// How important it is; `None` is nft's default, `warn`.
        level: Option<LogLevel>,
    },
    /// Goes on only as often as this.
    Limit(Limit),
    /// Goes on only with a probability: `numgen random mod OF < BELOW`.
    Chance {
        /// Random numbers are less than this.
        of: u32,
        /// It goes on with those that are less than this.
        below: u32,
    },
    /// Sets the packet's or the connection's mark.
    SetMark {
        /// Whose mark.
        target: MarkTarget,
        /// To what.
        source: MarkSource,
    },
    /// Adds what the packet has to a set, or removes it from there.
    Update(SetUpdate),
    /// Keeps connection tracking off the packet.
    Notrack,
    /// Has the kernel tell of each rule that the packet meets from here on: `meta nftrace set 1`; see [`Trace`].
    ///
    /// [`Trace`]: crate::wire::Trace
    Trace,
    /// An expression that this crate does not know, as the kernel gave it.
    Unknown {
        /// The kernel's name for it.
        name: String,
        /// Its attributes (the inside of `NFTA_EXPR_DATA`).
        bytes: Vec<u8>,
    },
}

/// A comparison or a lookup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// What is compared: one key, or a concatenation to look up in a set.
    pub key: Vec<Key>,
    /// Bits of the key that count (`meta mark & 0xff`), for a single key.
    pub mask: Option<Value>,
    /// How.
    pub op: Op,
    /// With what.
    pub right: Right,
}

impl Match {
    /// `KEY VALUE`: equality, or for connection state and status any of the bits.
    pub fn is(key: Key, right: impl Into<Operand>) -> Statement {
        let right = right.into();
        let op = match &right {
            Operand::Value(Value::CtState(_) | Value::CtStatus(_)) => Op::Any,
            _ => Op::Eq,
        };
        Statement::Match(Self { key: vec![key], mask: None, op, right: Right::Operand(right) })
    }

    /// `KEY != VALUE`
    pub fn is_not(key: Key, right: impl Into<Operand>) -> Statement {
        Statement::Match(Self { key: vec![key], mask: None, op: Op::Ne, right: Right::Operand(right.into()) })
    }

    /// `KEY & MASK == VALUE`
    pub fn masked(key: Key, mask: Value, value: Value) -> Statement {
        Statement::Match(Self {
            key: vec![key],
            mask: Some(mask),
            op: Op::Eq,
            right: Right::Operand(value.into()),
        })
    }

    /// `KEY . KEY @SET`
    pub fn is_in(key: impl Into<Vec<Key>>, set: impl Into<SetRef>) -> Statement {
        Statement::Match(Self { key: key.into(), mask: None, op: Op::Eq, right: Right::Set(set.into()) })
    }

    /// `KEY . KEY != @SET`
    pub fn is_not_in(key: impl Into<Vec<Key>>, set: impl Into<SetRef>) -> Statement {
        Statement::Match(Self { key: key.into(), mask: None, op: Op::Ne, right: Right::Set(set.into()) })
    }
}

/// How a key is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Equal, within, contained.
    Eq,
    /// Not equal, outside, not contained.
    Ne,
    /// Any of the bits is set: what nft means by `ct state established,related`.
    Any,
}

/// The right side of a match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// A constant.
    Operand(Operand),
    /// A set.
    Set(SetRef),
}

/// A set or map that a rule looks into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetRef {
    /// A set of the same table, by its name.
    Named(String),
    /// A set of the rule's own: `{ "a", "b" }`.
    Inline(Vec<Element>),
}

impl From<&str> for SetRef {
    fn from(name: &str) -> Self {
        Self::Named(name.to_owned())
    }
}

impl From<String> for SetRef {
    fn from(name: String) -> Self {
        Self::Named(name)
    }
}

/// What becomes of a packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Lets it through this hook.
    Accept,
    /// Discards it.
    Drop,
    /// Goes on with the next rule.
    Continue,
    /// Goes back to the chain that jumped here, or to the policy.
    Return,
    /// Runs another chain, then goes on.
    Jump(String),
    /// Runs another chain and does not come back.
    Goto(String),
}

/// What a counter has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct CounterValue {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// How address translation chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct NatFlags {
    /// Ports at random, with a hash.
    pub random: bool,
    /// Ports at random.
    pub fully_random: bool,
    /// A client keeps its address.
    pub persistent: bool,
}

/// Ports, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl From<u16> for PortRange {
    fn from(port: u16) -> Self {
        Self { first: port, last: port }
    }
}

/// Addresses, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AddressRange {
    /// The first.
    pub first: IpAddr,
    /// The last.
    pub last: IpAddr,
}

impl From<IpAddr> for AddressRange {
    fn from(address: IpAddr) -> Self {
        Self { first: address, last: address }
    }
}

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Source or destination translation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nat {
    /// Which end.
    pub kind: NatKind,
    /// To what.
    pub to: NatTarget,
    /// How ports are chosen.
    pub flags: NatFlags,
}

/// Which end of a packet is translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NatKind {
    /// The source.
    Snat,
    /// The destination.
    Dnat,
}

/// What an address is translated to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NatTarget {
    /// A constant.
    Constant {
        /// The addresses.
        addresses: AddressRange,
        /// The ports.
        ports: Option<PortRange>,
    },
    /// What a map says.
    Map {
        /// Which kind of address the map has.
        version: IpVersion,
        /// The parts of the key.
        key: Vec<Key>,
        /// A map to `address` or `address . port`.
        map: SetRef,
        /// Whether the map has ports too.
        with_port: bool,
    },
}

/// How a packet is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reject {
    /// With a reset; only after a match on TCP.
    TcpReset,
    /// With the ICMP or ICMPv6 error that means this.
    Icmpx(IcmpxCode),
    /// With an ICMP destination unreachable of this code.
    Icmp(u8),
    /// With an ICMPv6 destination unreachable of this code.
    Icmpv6(u8),
}

/// Reasons that ICMP and ICMPv6 both have. Source: `enum nft_reject_inet_code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IcmpxCode {
    /// No route.
    NoRoute,
    /// Nobody listens.
    PortUnreachable,
    /// The host cannot be reached.
    HostUnreachable,
    /// An administrator says so.
    AdminProhibited,
}

/// Importance of a log line, from syslog(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// 0
    Emerg,
    /// 1
    Alert,
    /// 2
    Crit,
    /// 3
    Err,
    /// 4
    Warn,
    /// 5
    Notice,
    /// 6
    Info,
    /// 7
    Debug,
}

/// A rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limit {
    /// How many per unit.
    pub rate: u64,
    /// The unit of time.
    pub unit: LimitUnit,
    /// How many may come at once.
    pub burst: u32,
    /// Packets or bytes.
    pub kind: LimitKind,
    /// Whether it matches what is above the rate instead of what is below.
    pub over: bool,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// Packets.
    Packets,
    /// Bytes.
    Bytes,
}

/// A limit's unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitUnit {
    /// One second.
    Second,
    /// 60 seconds.
    Minute,
    /// 3,600 seconds.
    Hour,
    /// 86,400 seconds.
    Day,
    /// 604,800 seconds.
    Week,
}

/// Whose mark is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkTarget {
    /// The packet's.
    Meta,
    /// The connection's.
    Ct,
}

/// Where a mark comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkSource {
    /// A constant.
    Value(u32),
    /// The packet's or the connection's mark.
    Mark(MarkTarget),
    /// What a map says.
    Map {
        /// The parts of the key.
        key: Vec<Key>,
        /// A map to marks.
        map: SetRef,
    },
}

/// A change of a set's elements by a rule: `update @served { ip saddr . th sport timeout 1m counter }`.
///
/// The set must be [`dynamic`](super::Set::dynamic); the kernel gives it room for 65,535 elements if it has no size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetUpdate {
    /// What is done.
    pub op: SetOp,
    /// A set of the same table, by its name. Not a map.
    pub set: String,
    /// The parts of the element.
    pub key: Vec<Key>,
    /// After how many milliseconds the element expires, if not after the set's default.
    pub timeout: Option<u64>,
    /// The element has a counter, which starts with this value.
    ///
    /// A set whose declaration has a counter gives one to every element. Rules that say so again are accepted, and come
    /// back from the kernel without it.
    pub counter: Option<CounterValue>,
}

/// What a rule does with an element. Source: `enum nft_dynset_ops`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetOp {
    /// Adds it if it is not there.
    Add,
    /// Adds it, or lets its time begin again.
    Update,
    /// Removes it.
    Delete,
}

impl SetUpdate {
    /// `OP @SET { KEY . KEY }`
    pub fn new(op: SetOp, set: impl Into<String>, key: impl Into<Vec<Key>>) -> Self {
        Self { op, set: set.into(), key: key.into(), timeout: None, counter: None }
    }

    /// The same with a time to live in milliseconds.
    #[must_use]
    pub fn timeout(mut self, milliseconds: u64) -> Self {
        self.timeout = Some(milliseconds);
        self
    }

    /// The same with a counter that starts at zero.
    #[must_use]
    pub fn counter(mut self) -> Self {
        self.counter = Some(CounterValue::default());
        self
    }
}

impl From<SetUpdate> for Statement {
    fn from(update: SetUpdate) -> Self {
        Self::Update(update)
    }
}

impl From<Match> for Statement {
    fn from(of: Match) -> Self {
        Self::Match(of)
    }
}

impl From<Verdict> for Statement {
    fn from(verdict: Verdict) -> Self {
        Self::Verdict(verdict)
    }
}
