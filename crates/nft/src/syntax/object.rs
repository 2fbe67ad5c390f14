//! Tables, chains, sets and rules.

use serde::{Deserialize, Serialize};

use super::key::Key;
use super::statement::{CounterValue, Statement, Verdict};
use super::value::{DataType, Operand, Value};

/// The family of a table: which packets its chains can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// ARP.
    Arp,
    /// What crosses a bridge.
    Bridge,
    /// What enters an interface.
    Netdev,
}

impl Family {
    /// All of them, in the order of the kernel's numbers.
    pub const ALL: [Self; 6] = [Self::Inet, Self::Ip, Self::Arp, Self::Netdev, Self::Bridge, Self::Ip6];

    /// The kernel's number (`NFPROTO_…`).
    pub const fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Ip => 2,
            Self::Arp => 3,
            Self::Netdev => 5,
            Self::Bridge => 7,
            Self::Ip6 => 10,
        }
    }

    /// The family with the kernel's number `number`.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.number() == number)
    }
}

/// A table by family and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableRef {
    /// Its family.
    pub family: Family,
    /// Its name, unique in the family.
    pub name: String,
}

impl TableRef {
    /// The table `name` of `family`.
    pub fn new(family: Family, name: impl Into<String>) -> Self {
        Self { family, name: name.into() }
    }
}

/// A chain: a list of rules that a hook or another chain calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Its name, unique in the table.
    pub name: String,
    /// Where packets enter it from the stack, if they do.
    pub base: Option<Base>,
    /// A remark.
    pub comment: Option<String>,
}

/// A base chain's place in the stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// What the chain may do.
    pub kind: ChainKind,
    /// Where packets come from.
    pub hook: Hook,
    /// Its turn at the hook: lower numbers come first.
    pub priority: i32,
    /// What becomes of packets that no rule decides about.
    pub policy: Policy,
    /// The interface, for `ingress`.
    pub device: Option<String>,
}

/// What a base chain may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainKind {
    /// Anything but translate addresses.
    Filter,
    /// Translates addresses, of a connection's first packet.
    Nat,
    /// Like filter, and packets are routed again if they changed.
    Route,
}

/// A place in the stack where packets can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// Before routing.
    Prerouting,
    /// For the host.
    Input,
    /// Through the host.
    Forward,
    /// From the host.
    Output,
    /// After routing.
    Postrouting,
    /// As it enters an interface.
    Ingress,
    /// As it leaves an interface.
    Egress,
}

/// What becomes of packets that no rule of a base chain decides about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// They pass.
    Accept,
    /// They are discarded.
    Drop,
}

/// Priorities that have a name in nft(8), for the families other than bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Priority;

impl Priority {
    /// `raw`: before connection tracking.
    pub const RAW: i32 = -300;
    /// `mangle`
    pub const MANGLE: i32 = -150;
    /// `dstnat`, in prerouting.
    pub const DSTNAT: i32 = -100;
    /// `filter`
    pub const FILTER: i32 = 0;
    /// `security`
    pub const SECURITY: i32 = 50;
    /// `srcnat`, in postrouting.
    pub const SRCNAT: i32 = 100;
    /// `filter` in a bridge table.
    pub const BRIDGE_FILTER: i32 = -200;
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rule {
    /// What it does, in order.
    pub statements: Vec<Statement>,
    /// A remark.
    pub comment: Option<String>,
}

impl Rule {
    /// A rule of these statements, without a comment.
    pub fn new(statements: impl Into<Vec<Statement>>) -> Self {
        Self { statements: statements.into(), comment: None }
    }

    /// Whether it says what `other` says, remark and all: what either has counted does not matter, nor whether it
    /// counts at all.
    pub fn says_as(&self, other: &Self) -> bool {
        let says = |statement: &&Statement| !matches!(statement, Statement::Counter(_));
        self.comment == other.comment
            && self.statements.iter().filter(says).eq(other.statements.iter().filter(says))
    }

    /// The same rule with a comment.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }
}

/// A named set, or a map if it has data.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Set {
    /// Its name, unique in the table.
    pub name: String,
    /// The types of a key's parts.
    pub key: Vec<DataType>,
    /// The keys whose types they are (`typeof`), if it was declared so. Sets and maps to verdicts only.
    ///
    /// The only way to declare a set for [`Key::Raw`], whose type has no name.
    pub key_of: Option<Vec<Key>>,
    /// What a map maps to.
    pub data: Option<SetData>,
    /// Elements may be prefixes and ranges.
    pub interval: bool,
    /// Elements cannot be changed once a rule uses the set.
    pub constant: bool,
    /// Rules may add elements.
    pub dynamic: bool,
    /// Elements may expire.
    pub timeout: bool,
    /// After how many milliseconds elements expire that do not say.
    pub default_timeout: Option<u64>,
    /// How many elements there may be.
    pub size: Option<u32>,
    /// Each element has a counter.
    pub counter: bool,
    /// A remark.
    pub comment: Option<String>,
}

impl Set {
    /// A set of `key`.
    pub fn new(name: impl Into<String>, key: impl Into<Vec<DataType>>) -> Self {
        Self { name: name.into(), key: key.into(), ..Self::default() }
    }

    /// A set of what `keys` have: `typeof KEY . KEY`.
    pub fn of_keys(name: impl Into<String>, keys: impl Into<Vec<Key>>) -> Self {
        let keys = keys.into();
        let types: Vec<DataType> = keys.iter().map(|key| key.data_type()).collect();
        Self { key_of: Some(keys), ..Self::new(name, types) }
    }

    /// A map from `key` to `data`.
    pub fn map(
        name: impl Into<String>,
        key: impl Into<Vec<DataType>>,
        data: impl Into<Vec<DataType>>,
    ) -> Self {
        Self { data: Some(SetData::Values(data.into())), ..Self::new(name, key) }
    }

    /// A map from `key` to verdicts.
    pub fn verdict_map(name: impl Into<String>, key: impl Into<Vec<DataType>>) -> Self {
        Self { data: Some(SetData::Verdict), ..Self::new(name, key) }
    }

    /// The same set with elements that rules add, `size` of them at most.
    #[must_use]
    pub fn dynamic(mut self, size: u32) -> Self {
        self.dynamic = true;
        self.size = Some(size);
        self
    }

    /// The same set with elements that expire after so many milliseconds if they do not say.
    #[must_use]
    pub fn expiring(mut self, milliseconds: u64) -> Self {
        self.timeout = true;
        self.default_timeout = Some(milliseconds);
        self
    }

    /// The same set with a counter in each element.
    #[must_use]
    pub fn counted(mut self) -> Self {
        self.counter = true;
        self
    }

    /// The same set with prefixes and ranges allowed.
    #[must_use]
    pub fn interval(mut self) -> Self {
        self.interval = true;
        self
    }

    /// The same set with a comment.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }
}

/// What a map maps to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetData {
    /// A verdict.
    Verdict,
    /// A value, or several.
    Values(Vec<DataType>),
}

/// An element of a set or map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Element {
    /// The parts of its key.
    pub key: Vec<Operand>,
    /// What it maps to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<ElementData>,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// After how many milliseconds it expires, if not after the set's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// In how many milliseconds it will expire. Only the kernel says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// What its counter has counted, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counter: Option<CounterValue>,
}

impl Element {
    /// An element with this key and no data.
    pub fn new(key: impl IntoIterator<Item = impl Into<Operand>>) -> Self {
        Self {
            key: key.into_iter().map(Into::into).collect(),
            data: None,
            comment: None,
            timeout: None,
            expires: None,
            counter: None,
        }
    }

    /// The same element with values as data.
    #[must_use]
    pub fn to(mut self, values: impl Into<Vec<Value>>) -> Self {
        self.data = Some(ElementData::Values(values.into()));
        self
    }

    /// The same element with a verdict as data.
    #[must_use]
    pub fn verdict(mut self, verdict: Verdict) -> Self {
        self.data = Some(ElementData::Verdict(verdict));
        self
    }

    /// The same element with a counter that has counted so much. The set should be [`counted`](Set::counted): nft
    /// 1.0.6 reads a counter only there.
    #[must_use]
    pub fn counter(mut self, packets: u64, bytes: u64) -> Self {
        self.counter = Some(CounterValue { packets, bytes });
        self
    }

    /// The same element with a comment.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }
}

/// What an element maps to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ElementData {
    /// A verdict.
    Verdict(Verdict),
    /// A value, or several.
    Values(Vec<Value>),
}
