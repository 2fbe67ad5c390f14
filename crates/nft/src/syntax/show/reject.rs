//! Refusals.

use std::fmt::{self, Display, Formatter, Write};

use super::value::{Names, name_of};
use crate::syntax::{Family, IcmpxCode, Reject};

pub(super) fn show_reject(out: &mut dyn Write, family: Family, reject: Reject) -> fmt::Result {
    const ICMP_CODES: Names = &[
        ("net-unreachable", 0),
        ("host-unreachable", 1),
        ("prot-unreachable", 2),
        ("port-unreachable", 3),
        ("frag-needed", 4),
        ("net-prohibited", 9),
        ("host-prohibited", 10),
        ("admin-prohibited", 13),
    ];
    const ICMPV6_CODES: Names = &[
        ("no-route", 0),
        ("admin-prohibited", 1),
        ("addr-unreachable", 3),
        ("port-unreachable", 4),
        ("policy-fail", 5),
        ("reject-route", 6),
    ];
    out.write_str("reject")?;
    if reject == default_reject(family) {
        return Ok(());
    }
    let code = |out: &mut dyn Write, names, code: u8| match name_of(names, u32::from(code)) {
        Some(name) => out.write_str(name),
        None => write!(out, "{code}"),
    };
    match reject {
        Reject::TcpReset => out.write_str(" with tcp reset"),
        Reject::Icmpx(reason) => write!(out, " with icmpx {reason}"),
        Reject::Icmp(number) => {
            out.write_str(" with icmp ")?;
            code(out, ICMP_CODES, number)
        }
        Reject::Icmpv6(number) => {
            out.write_str(" with icmpv6 ")?;
            code(out, ICMPV6_CODES, number)
        }
    }
}

/// What a reject without words means in `family`.
fn default_reject(family: Family) -> Reject {
    match family {
        Family::Ip => Reject::Icmp(3),
        Family::Ip6 => Reject::Icmpv6(4),
        _ => Reject::Icmpx(IcmpxCode::PortUnreachable),
    }
}

impl Display for IcmpxCode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoute => "no-route",
            Self::PortUnreachable => "port-unreachable",
            Self::HostUnreachable => "host-unreachable",
            Self::AdminProhibited => "admin-prohibited",
        })
    }
}
