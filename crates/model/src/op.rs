//! Operations: everything that Pontoon ever asks the kernel to change, as data.
//!
//! An operation names its objects (namespace and name, never an index), leaves nothing to decide, and can be kept in
//! the journal, executed, undone, or shown as the command that a person would have typed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use pontoon_nft::syntax::{Command, Rule, TableRef};

use crate::mac::Mac;
use crate::name::IfName;
use crate::publish::Protocol;
use crate::route::StaticRoute;
use crate::sandbox::{NetnsId, ProcessId};

/// Where a namespace can be found.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NetnsPlace {
    /// Pinned at `/run/netns/NAME`.
    Named(String),
    /// At another path.
    Path(String),
    /// The namespace of a process.
    Pid(u32),
}

/// A network namespace: the host's, or another one and where to find it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Netns {
    /// The namespace that Pontoon itself runs in.
    Host,
    /// Another one. Its identity tells it from a later one at the same place.
    Other {
        /// Where to find it.
        place: NetnsPlace,
        /// Which one it is.
        id: NetnsId,
    },
}

/// How a link that Pontoon made is told from one that it did not: both are compared before it is deleted.
///
/// The alias cannot be set in the request that creates the link (`rtnl_create_link()` in the kernel's
/// net/core/rtnetlink.c does not read it), the Ethernet address can: together they cover a kill between the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkMark {
    /// Its alias, as `ip -d link` shows it.
    pub alias: String,
    /// Its Ethernet address.
    pub mac: Mac,
}

/// The other end of a veth pair, made inside its namespace with its final name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VethPeer {
    /// The namespace.
    pub netns: Netns,
    /// Its name.
    pub name: IfName,
    /// Its Ethernet address.
    pub mac: Mac,
}

/// A switch of one interface under `net.ipv4.conf`, set over netlink.
///
/// The numbers are those of `IPV4_DEVCONF_…` in include/uapi/linux/ip.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DevConf {
    /// `forwarding`: packets that arrive here may be forwarded.
    Forwarding,
    /// `arp_notify`: the interface announces its addresses when it comes up.
    ArpNotify,
    /// `route_localnet`: addresses of 127.0.0.0/8 may be those of packets that come and go here.
    RouteLocalnet,
}

impl DevConf {
    /// The file's name under `/proc/sys/net/ipv4/conf/IFNAME`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forwarding => "forwarding",
            Self::ArpNotify => "arp_notify",
            Self::RouteLocalnet => "route_localnet",
        }
    }

    /// The number that netlink knows it by.
    pub fn number(self) -> u16 {
        match self {
            Self::Forwarding => 1,
            Self::ArpNotify => 22,
            Self::RouteLocalnet => 26,
        }
    }
}

/// What is changed at a link.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LinkSettings {
    /// No IPv6 address made by the kernel: no duplicate detection, no multicast joins that flood every port.
    pub no_autoconf: bool,
    /// Switches under `net.ipv4.conf`.
    pub devconf: Vec<(DevConf, bool)>,
    /// The bridge that it becomes a port of.
    pub master: Option<IfName>,
    /// The bridge port exchanges frames with the bridge but not with other isolated ports.
    pub isolated: bool,
    /// The bridge port gives frames back to where they came from.
    pub hairpin: bool,
    /// The link is brought up, after everything else.
    pub up: bool,
}

/// What is put back at a link that somebody changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LinkMending {
    /// The mark: alias and Ethernet address.
    pub mark: bool,
    /// The MTU in bytes.
    pub mtu: Option<u32>,
    /// A bridge's options, as bridges are made with them.
    pub bridge: bool,
    /// A bridge port's options: whether it is isolated; learning and flooding as new ports have them.
    pub isolated: Option<bool>,
}

/// Links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkOp {
    /// Creates a bridge, down, without spanning tree and without forward delay, and marks it.
    AddBridge {
        /// Its name.
        name: IfName,
        /// What it carries.
        mark: LinkMark,
        /// Its MTU in bytes.
        mtu: Option<u32>,
    },
    /// Creates a veth pair with both ends in their places, down, and marks the first end.
    AddVeth {
        /// Where the first end is made.
        netns: Netns,
        /// Its name.
        name: IfName,
        /// What it carries.
        mark: LinkMark,
        /// The bridge that it is made a port of.
        master: Option<IfName>,
        /// The other end.
        peer: VethPeer,
        /// MTU of both, in bytes.
        mtu: Option<u32>,
    },
    /// Changes a link.
    Set {
        /// Where it is.
        netns: Netns,
        /// Its name.
        name: IfName,
        /// The changes.
        settings: LinkSettings,
    },
    /// Puts back what somebody changed at a link that still has the alias or the Ethernet address of its mark.
    Mend {
        /// Where it is.
        netns: Netns,
        /// Its name.
        name: IfName,
        /// What it is known by, half of it at least.
        mark: LinkMark,
        /// What is put back.
        mending: LinkMending,
    },
    /// Deletes a link that carries the mark; one that is not there is not missed.
    Delete {
        /// Where it is.
        netns: Netns,
        /// Its name.
        name: IfName,
        /// What it must carry.
        mark: LinkMark,
    },
    /// Waits until a link in the host's namespace is gone that goes with the namespace of its other end; deletes it
    /// when it stays, because something still holds the namespace.
    Vanish {
        /// Its name.
        name: IfName,
        /// What it must carry.
        mark: LinkMark,
    },
    /// Waits until the links have carrier in the kernel's books, so that the first packet passes.
    Settle {
        /// The links, in the host's namespace.
        names: Vec<IfName>,
        /// More links: namespace and name.
        others: Vec<(Netns, IfName)>,
        /// IPv6 addresses that must be answered for: the kernel makes an address's local route only a moment after the
        /// address (`addrconf_dad_work()` in net/ipv6/addrconf.c), also without duplicate detection.
        addresses: Vec<(Netns, IpAddr)>,
    },
}

/// Addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AddressOp {
    /// Adds an address; IPv6 without duplicate address detection.
    Add {
        /// Where the link is.
        netns: Netns,
        /// The link.
        link: IfName,
        /// The address with its prefix length.
        address: IpNet,
    },
    /// Removes an address; one that is not there is not missed.
    Delete {
        /// Where the link is.
        netns: Netns,
        /// The link.
        link: IfName,
        /// The address with its prefix length.
        address: IpNet,
    },
}

/// Routes: of the main table, but for those of loopback addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RouteOp {
    /// Sets the default route of the gateway's family, whatever it was.
    Default {
        /// Where.
        netns: Netns,
        /// Through which router.
        via: IpAddr,
        /// Out of which link.
        link: IfName,
        /// Router and link of the default route of ours that it replaces.
        previous: Option<(IpAddr, IfName)>,
    },
    /// Lets packets for ::1 come in by a link of the host: a local route that is only found for that link, since the
    /// kernel looks loopback addresses up by interface (`rt6_need_strict()` in net/ipv6/route.c) and the loopback
    /// link's own has the better metric for everybody else. It goes with the link.
    Loopback {
        /// The link.
        link: IfName,
        /// The route's metric: above 0, and another one for each link, as the kernel takes two routes with the same
        /// destination and metric for one.
        metric: u32,
    },
    /// Sends packets for 127.0.0.11, where containers expect to ask for names, out of a link, as if it were an address
    /// on the network behind it: a route of the table `local`, where it is found before that of all of 127.0.0.0/8.
    Names {
        /// Where.
        netns: Netns,
        /// Out of which link.
        link: IfName,
        /// The address that the packets are sent from.
        source: Ipv4Addr,
        /// Source and link of the route that it replaces.
        previous: Option<(Ipv4Addr, IfName)>,
    },
    /// Removes the route of [`RouteOp::Names`]; one that is not there is not missed.
    DeleteNames {
        /// Where.
        netns: Netns,
        /// Out of which link.
        link: IfName,
        /// The address that the packets were sent from.
        source: Ipv4Addr,
    },
    /// Gives a namespace a route by a router; a route that is there to the same destination stays, whoever made it.
    Static {
        /// Where.
        netns: Netns,
        /// Out of which link.
        link: IfName,
        /// The route.
        route: StaticRoute,
    },
    /// Removes the route of [`RouteOp::Static`]; one that is not there is not missed.
    DeleteStatic {
        /// Where.
        netns: Netns,
        /// Out of which link.
        link: IfName,
        /// The route.
        route: StaticRoute,
    },
    /// Makes the route to a subnet anew that the kernel had made for an address of the host's, and somebody deleted.
    Subnet {
        /// The link.
        link: IfName,
        /// The address, with the subnet's prefix length.
        address: IpNet,
    },
    /// Removes the default route through `via`; one that is not there is not missed.
    DeleteDefault {
        /// Where.
        netns: Netns,
        /// Through which router.
        via: IpAddr,
        /// Out of which link.
        link: IfName,
    },
}

/// A token bucket: what leaves a link is no more than this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Bits a second.
    pub rate: u64,
    /// How many bytes may be sent at once.
    pub burst: u32,
    /// How many bytes may wait.
    pub limit: u32,
}

/// A queue in which packets wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// How long.
    pub delay: Duration,
    /// How much longer or shorter at random.
    pub jitter: Duration,
    /// How many packets may wait.
    pub limit: u32,
}

/// What the queueing disciplines of ours at a link do: nothing, where there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Shape {
    /// `tbf`
    pub bucket: Option<Bucket>,
    /// `netem`
    pub wait: Option<Wait>,
}

/// Queueing disciplines are ours by their handles, which no other program gives: see [`Shape::root_handle`].
const HANDLE: u16 = u16::from_be_bytes(*b"pt");

impl Shape {
    /// The handles that the disciplines at a link have if they are ours: the first is `7074:`, in ASCII `pt`.
    ///
    /// Each kind of shape has its own: what is there is changed in place where it is of the same kind, and otherwise
    /// taken the place of, both in one request.
    pub const HANDLES: [u16; 3] = [HANDLE, HANDLE + 1, HANDLE + 2];
    /// The handle of the discipline inside the other, where there are both.
    pub const INNER_HANDLE: u16 = HANDLE + 3;

    /// The handle of the discipline at the link; none where there is none.
    pub fn root_handle(&self) -> Option<u16> {
        match (self.bucket, self.wait) {
            (None, None) => None,
            (Some(_), None) => Some(Self::HANDLES[0]),
            (None, Some(_)) => Some(Self::HANDLES[1]),
            (Some(_), Some(_)) => Some(Self::HANDLES[2]),
        }
    }
}

/// Impairments of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImpairOp {
    /// Puts our queueing disciplines at a link, or takes them away. Somebody else's are left, and it fails.
    Shape {
        /// Where.
        netns: Netns,
        /// The link.
        link: IfName,
        /// What they are to do.
        now: Shape,
        /// What they do.
        before: Shape,
    },
    /// One nftables transaction in a table that is about one link.
    Rules {
        /// Where.
        netns: Netns,
        /// The link.
        link: IfName,
        /// The commands.
        now: Vec<Command>,
        /// The commands that make it as it is.
        before: Vec<Command>,
    },
}

/// Neighbours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NeighbourOp {
    /// Notes for good who has an address: the first packet need not ask, and a moment without carrier, which makes the
    /// kernel forget what it has heard (`neigh_carrier_down()` in net/core/neighbour.c), does not matter.
    Set {
        /// Where.
        netns: Netns,
        /// On which link.
        link: IfName,
        /// The neighbour's address.
        address: IpAddr,
        /// The neighbour's Ethernet address.
        mac: Mac,
    },
    /// Forgets a neighbour; one that is not there is not missed.
    Delete {
        /// Where.
        netns: Netns,
        /// On which link.
        link: IfName,
        /// The neighbour's address.
        address: IpAddr,
    },
    /// Speaks to another IPv4 address from one of its own for the first time. The kernel asks everybody on the link
    /// for the other, and whoever remembers somebody else at the own address hears who has it now (RFC 826).
    Greet {
        /// Where.
        netns: Netns,
        /// The own address.
        from: std::net::Ipv4Addr,
        /// The other.
        to: std::net::Ipv4Addr,
    },
    /// Tells the neighbours of an IPv6 address who has it now (RFC 4861, 7.2.6).
    Announce {
        /// Where.
        netns: Netns,
        /// On which link.
        link: IfName,
        /// The address.
        address: std::net::Ipv6Addr,
        /// Whose it is.
        mac: Mac,
    },
}

/// One nftables transaction: all of it or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NftOp {
    /// The commands.
    pub commands: Vec<Command>,
}

/// Flows that connection tracking knows: packets that go between two ports, and their answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Flow {
    /// Whose first packet was sent to a port, wherever it was led from there: a port of the host that was published, or
    /// was not yet.
    SentTo {
        /// The protocol.
        protocol: Protocol,
        /// The address that it was sent to; `None` is every one, and `0.0.0.0` or `::` every one of that family.
        address: Option<IpAddr>,
        /// The port.
        port: u16,
    },
    /// Whose answers come from here: those that lead to a container's port, whatever they were sent to.
    AnsweredBy {
        /// The protocol.
        protocol: Protocol,
        /// The container's address.
        address: IpAddr,
        /// The container's port.
        port: u16,
    },
}

/// Connection tracking in the host's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConntrackOp {
    /// Forgets flows, so that their next packet meets the rules as a new one does: the rules that rewrite addresses are
    /// asked for a flow's first packet only, and a flow of UDP goes on for as long as packets come. One that is not
    /// there is not missed.
    Forget {
        /// Which.
        flows: Vec<Flow>,
    },
}

/// A kernel setting by file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SysctlOp {
    /// Where: network settings are each namespace's own.
    pub netns: Netns,
    /// Path below `/proc/sys`, with slashes.
    pub key: String,
    /// The value.
    pub value: String,
    /// What it was, if that is to be restored one day.
    pub previous: Option<String>,
}

/// Namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetnsOp {
    /// Pins a new namespace at `/run/netns/NAME`, where `ip netns` sees it.
    Add {
        /// Its name.
        name: String,
        /// Which one it is.
        id: NetnsId,
    },
    /// Takes the pin away if it is that namespace's; the namespace goes when nothing is in it any more.
    Delete {
        /// Its name.
        name: String,
        /// Which one it is.
        id: NetnsId,
    },
}

/// Files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileOp {
    /// Writes a file that is not there, and its folder.
    Write {
        /// Its path.
        path: String,
        /// What is in it.
        contents: String,
    },
    /// Puts other lines in the place of some, in place: the file may be mounted somewhere. One that is not there, or does
    /// not begin with our mark, stays as it is, and so do all other lines.
    Edit {
        /// The process whose root directory the path begins at; the host's where none is named.
        within: Option<ProcessId>,
        /// Its path.
        path: String,
        /// The first line that was written: our mark.
        mark: String,
        /// Lines and what they become.
        lines: Vec<(String, String)>,
    },
    /// Removes a file if its first line is still this, and its folder if that is empty then.
    Remove {
        /// Its path.
        path: String,
        /// The first line that was written: our mark.
        mark: String,
    },
}

/// Rules and files of ours among somebody else's: in the firewall of another program.
///
/// What is there of others stays as it is; what is ours is told by its mark, a rule's comment or a file's first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GuestOp {
    /// Puts rules at the top of somebody's chain, in this order, but for those that are there.
    AddRules {
        /// The table.
        table: TableRef,
        /// The chain.
        chain: String,
        /// The rules, each with our mark as its comment.
        rules: Vec<Rule>,
    },
    /// Takes rules out of somebody's chain. Rules, chain or table that are gone are not missed.
    RemoveRules {
        /// The table.
        table: TableRef,
        /// The chain.
        chain: String,
        /// The rules, each with our mark as its comment.
        rules: Vec<Rule>,
        /// Their numbers when they were seen, for a person; they are found by what they are.
        handles: Vec<u64>,
    },
    /// Writes a file of ours into somebody's folder, or writes it anew.
    WriteFile {
        /// Its path.
        path: String,
        /// What is in it; the first line is our mark.
        contents: String,
    },
    /// Removes a file if its first line is still our mark.
    RemoveFile {
        /// Its path.
        path: String,
        /// The first line that was written: our mark.
        mark: String,
    },
    /// Has a program read its files again, if it runs: by SIGHUP, as its service does.
    Reload {
        /// The program.
        program: String,
    },
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// Of a link.
    Link(LinkOp),
    /// Of an address.
    Address(AddressOp),
    /// Of a route.
    Route(RouteOp),
    /// Of a neighbour.
    Neighbour(NeighbourOp),
    /// Of how packets leave a link.
    Impair(ImpairOp),
    /// Of the nftables ruleset.
    Nft(NftOp),
    /// Of connection tracking.
    Conntrack(ConntrackOp),
    /// Of a kernel setting.
    Sysctl(SysctlOp),
    /// Of a namespace.
    Netns(NetnsOp),
    /// Of a file.
    File(FileOp),
    /// Of what is among somebody else\'s.
    Guest(GuestOp),
}

/// Why a step is there, for the person who reads the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Why(pub String);

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A change and its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The change.
    pub op: Op,
    /// Why it is made.
    pub why: Why,
}

impl Step {
    /// A step.
    pub fn new(op: impl Into<Op>, why: impl Into<String>) -> Self {
        Self { op: op.into(), why: Why(why.into()) }
    }
}

macro_rules! into_op {
    ($($variant:ident: $kind:ty),*) => {
        $(impl From<$kind> for Op {
            fn from(op: $kind) -> Self {
                Self::$variant(op)
            }
        })*
    };
}

into_op!(
    Link: LinkOp,
    Address: AddressOp,
    Route: RouteOp,
    Neighbour: NeighbourOp,
    Impair: ImpairOp,
    Nft: NftOp,
    Conntrack: ConntrackOp,
    Sysctl: SysctlOp,
    Netns: NetnsOp,
    File: FileOp,
    Guest: GuestOp
);
