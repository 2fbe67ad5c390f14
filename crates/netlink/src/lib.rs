//! Netlink messages as bytes: build and parse requests of rtnetlink, ctnetlink and sock_diag without I/O.
//!
//! A request is a struct with an `encode` that appends it to a [`wire::Batch`]; an answer is a struct with a `decode`
//! that takes a message's payload. What a request leaves at `None` is not sent, so the kernel's default or the present
//! value stays.
//!
//! | module | kernel object | source |
//! | --- | --- | --- |
//! | [`link`] | interfaces, bridges and their ports | `if_link.h`, `if_bridge.h` |
//! | [`address`] | interface addresses | `if_addr.h` |
//! | [`route`] | routes and route look-ups | `rtnetlink.h` |
//! | [`rule`] | policy-routing rules | `fib_rules.h` |
//! | [`nsid`] | the numbers that namespaces have for each other | `net_namespace.h` |
//! | [`netconf`] | changes of per-interface settings | `netconf.h` |
//! | [`neighbour`] | ARP and NDP entries, bridge forwarding entries | `neighbour.h` |
//! | [`qdisc`] | queueing disciplines | `pkt_sched.h` |
//! | [`conntrack`] | connection tracking's entries | `nfnetlink_conntrack.h` |
//! | [`socket_diag`] | sockets and their ports | `sock_diag.h`, `inet_diag.h` |
//!
//! Every request asks for an acknowledgement (`NLM_F_ACK`), except dumps, which end with `NLMSG_DONE`.

pub mod address;
pub mod conntrack;
pub mod link;
pub mod neighbour;
pub mod netconf;
pub mod nsid;
pub mod qdisc;
pub mod route;
pub mod rule;
pub mod socket_diag;
pub mod wire;

mod ip;

pub use ip::{Family, Prefix};

/// The `rtm_protocol`, `FRA_PROTOCOL` and `IFA_PROTO` that marks a route, a rule or an address as Pontoon's: 112.
///
/// Values from 5 to 255 mean nothing to the kernel and say who made the entry. 112 (ASCII `p`) is in neither the
/// kernel's `rtnetlink.h` nor iproute2's `rt_protos`, which have nothing between 99 and 186, and `ip route` prints it as
/// `proto 112`.
pub const PROTOCOL: u8 = 112;
