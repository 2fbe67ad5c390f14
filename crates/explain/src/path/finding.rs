//! What stands in a packet's way, each kind with a code that stays as it is.

use std::fmt;

use serde::{Serialize, Serializer};

/// A kind of finding. Each has a page in docs/reference/codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each has its page, by the name that `Code::name` gives it")]
pub enum Code {
    AddressMissing,
    AddressTwice,
    AutoconfOn,
    BridgeChanged,
    BridgeGone,
    BridgeWithoutAddress,
    ConnectionStale,
    DefaultRouteInternal,
    EchoIgnored,
    FdbWrong,
    FirewallDrop,
    FirewallUnknown,
    ForwardingOff,
    GatewayMissing,
    HairpinOff,
    ImpairmentGone,
    InterfaceGone,
    Ipv6Disabled,
    LeftOver,
    LinkDown,
    ListensOnLoopback,
    MacTwice,
    MarkChanged,
    Martian,
    MtuDiffers,
    MtuSmaller,
    NameTaken,
    NeighbourFailed,
    NeighbourMissing,
    NeighbourWrong,
    NobodyListens,
    NoRoute,
    NoSource,
    NotRead,
    NoWayBack,
    PeerUnknown,
    PortChanged,
    PortsIsolated,
    PortState,
    PortWithoutBridge,
    PortWithoutTarget,
    ReplyAstray,
    ReplyUnmatched,
    ResolverOnLoopback,
    RouteElsewhere,
    RouteGone,
    RouteRefuses,
    RouteUnknown,
    RoutingLoop,
    RpFilter,
    RulesChanged,
    SubnetOverlap,
    SubnetTwice,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 53] = [
        Self::AddressMissing,
        Self::AddressTwice,
        Self::AutoconfOn,
        Self::BridgeChanged,
        Self::BridgeGone,
        Self::BridgeWithoutAddress,
        Self::ConnectionStale,
        Self::DefaultRouteInternal,
        Self::EchoIgnored,
        Self::FdbWrong,
        Self::FirewallDrop,
        Self::FirewallUnknown,
        Self::ForwardingOff,
        Self::GatewayMissing,
        Self::HairpinOff,
        Self::ImpairmentGone,
        Self::InterfaceGone,
        Self::Ipv6Disabled,
        Self::LeftOver,
        Self::LinkDown,
        Self::ListensOnLoopback,
        Self::MacTwice,
        Self::MarkChanged,
        Self::Martian,
        Self::MtuDiffers,
        Self::MtuSmaller,
        Self::NameTaken,
        Self::NeighbourFailed,
        Self::NeighbourMissing,
        Self::NeighbourWrong,
        Self::NobodyListens,
        Self::NoRoute,
        Self::NoSource,
        Self::NotRead,
        Self::NoWayBack,
        Self::PeerUnknown,
        Self::PortChanged,
        Self::PortsIsolated,
        Self::PortState,
        Self::PortWithoutBridge,
        Self::PortWithoutTarget,
        Self::ReplyAstray,
        Self::ReplyUnmatched,
        Self::ResolverOnLoopback,
        Self::RouteElsewhere,
        Self::RouteGone,
        Self::RouteRefuses,
        Self::RouteUnknown,
        Self::RoutingLoop,
        Self::RpFilter,
        Self::RulesChanged,
        Self::SubnetOverlap,
        Self::SubnetTwice,
    ];

    /// What it is called: stable.
    pub fn name(self) -> &'static str {
        match self {
            Self::AddressMissing => "address-missing",
            Self::AddressTwice => "address-twice",
            Self::AutoconfOn => "autoconf-on",
            Self::BridgeChanged => "bridge-changed",
            Self::BridgeGone => "bridge-gone",
            Self::BridgeWithoutAddress => "bridge-without-address",
            Self::ConnectionStale => "connection-stale",
            Self::DefaultRouteInternal => "default-route-internal",
            Self::EchoIgnored => "echo-ignored",
            Self::FdbWrong => "fdb-wrong",
            Self::FirewallDrop => "firewall-drop",
            Self::FirewallUnknown => "firewall-unknown",
            Self::ForwardingOff => "forwarding-off",
            Self::GatewayMissing => "gateway-missing",
            Self::HairpinOff => "hairpin-off",
            Self::ImpairmentGone => "impairment-gone",
            Self::InterfaceGone => "interface-gone",
            Self::Ipv6Disabled => "ipv6-disabled",
            Self::LeftOver => "left-over",
            Self::LinkDown => "link-down",
            Self::ListensOnLoopback => "listens-on-loopback",
            Self::MacTwice => "mac-twice",
            Self::MarkChanged => "mark-changed",
            Self::Martian => "martian",
            Self::MtuDiffers => "mtu-differs",
            Self::MtuSmaller => "mtu-smaller",
            Self::NameTaken => "name-taken",
            Self::NeighbourFailed => "neighbour-failed",
            Self::NeighbourMissing => "neighbour-missing",
            Self::NeighbourWrong => "neighbour-wrong",
            Self::NobodyListens => "nobody-listens",
            Self::NoRoute => "no-route",
            Self::NoSource => "no-source",
            Self::NotRead => "not-read",
            Self::NoWayBack => "no-way-back",
            Self::PeerUnknown => "peer-unknown",
            Self::PortChanged => "port-changed",
            Self::PortsIsolated => "ports-isolated",
            Self::PortState => "port-state",
            Self::PortWithoutBridge => "port-without-bridge",
            Self::PortWithoutTarget => "port-without-target",
            Self::ReplyAstray => "reply-astray",
            Self::ReplyUnmatched => "reply-unmatched",
            Self::ResolverOnLoopback => "resolver-on-loopback",
            Self::RouteElsewhere => "route-elsewhere",
            Self::RouteGone => "route-gone",
            Self::RouteRefuses => "route-refuses",
            Self::RouteUnknown => "route-unknown",
            Self::RoutingLoop => "routing-loop",
            Self::RpFilter => "rp-filter",
            Self::RulesChanged => "rules-changed",
            Self::SubnetOverlap => "subnet-overlap",
            Self::SubnetTwice => "subnet-twice",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What a finding means for the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It passes, but others may not.
    Note,
    /// It is not known whether it passes.
    Unknown,
    /// It does not pass.
    Blocks,
}

/// Something in a packet's way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which kind.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// The namespace where it is.
    pub place: String,
    /// What is so, in a sentence.
    pub sentence: String,
    /// What lets the packet through, as commands.
    pub fix: Vec<String>,
    /// What to do where no command can, or to know besides.
    pub advice: Option<String>,
}

impl Finding {
    /// One that stops the packet, without a remedy yet.
    pub(super) fn new(code: Code, place: &str, sentence: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Blocks,
            place: place.to_owned(),
            sentence: sentence.into(),
            fix: Vec::new(),
            advice: None,
        }
    }

    /// Whether it says what another says, whatever is proposed.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        (self.code, &self.place, &self.sentence) == (other.code, &other.place, &other.sentence)
    }

    /// The same, of which it is not known whether it stops the packet.
    pub(super) fn perhaps(mut self) -> Self {
        self.severity = Severity::Unknown;
        self
    }

    /// The same, to be known: it stops no packet of this size and kind.
    pub(super) fn note(mut self) -> Self {
        self.severity = Severity::Note;
        self
    }

    pub(super) fn fix(mut self, command: impl Into<String>) -> Self {
        self.fix.push(command.into());
        self
    }

    pub(super) fn fixes(mut self, commands: Vec<String>) -> Self {
        self.fix.extend(commands);
        self
    }

    pub(super) fn advice(mut self, words: impl Into<String>) -> Self {
        self.advice = Some(words.into());
        self
    }
}
