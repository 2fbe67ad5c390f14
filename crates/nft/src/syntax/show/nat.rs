//! Address translation.

use std::fmt::{self, Display, Formatter, Write};

use super::Detail;
use super::statement::show_lookup;
use crate::syntax::{AddressRange, Family, IpVersion, Nat, NatFlags, NatKind, NatTarget, PortRange};

pub(super) fn show_nat(out: &mut dyn Write, family: Family, nat: &Nat, detail: Detail) -> fmt::Result {
    out.write_str(match nat.kind {
        NatKind::Snat => "snat",
        NatKind::Dnat => "dnat",
    })?;
    let version = match &nat.to {
        NatTarget::Constant { addresses, .. } if addresses.first.is_ipv4() => IpVersion::V4,
        NatTarget::Constant { .. } => IpVersion::V6,
        NatTarget::Map { version, .. } => *version,
    };
    if family == Family::Inet {
        out.write_str(match version {
            IpVersion::V4 => " ip",
            IpVersion::V6 => " ip6",
        })?;
    }
    out.write_str(" to ")?;
    match &nat.to {
        NatTarget::Constant { addresses, ports } => show_nat_constant(out, addresses, *ports)?,
        NatTarget::Map { key, map, .. } => show_lookup(out, key, "map", map, detail)?,
    }
    show_nat_flags(out, nat.flags)
}

fn show_nat_constant(out: &mut dyn Write, addresses: &AddressRange, ports: Option<PortRange>) -> fmt::Result {
    let brackets = ports.is_some() && addresses.first.is_ipv6();
    let one = |out: &mut dyn Write, address: std::net::IpAddr| {
        if brackets { write!(out, "[{address}]") } else { write!(out, "{address}") }
    };
    one(out, addresses.first)?;
    if addresses.last != addresses.first {
        out.write_char('-')?;
        one(out, addresses.last)?;
    }
    match ports {
        Some(ports) => write!(out, ":{ports}"),
        None => Ok(()),
    }
}

pub(super) fn show_nat_flags(out: &mut dyn Write, flags: NatFlags) -> fmt::Result {
    let mut names = Vec::new();
    names.extend(flags.random.then_some("random"));
    names.extend(flags.fully_random.then_some("fully-random"));
    names.extend(flags.persistent.then_some("persistent"));
    if names.is_empty() { Ok(()) } else { write!(out, " {}", names.join(",")) }
}

impl Display for PortRange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.last == self.first { Ok(()) } else { write!(f, "-{}", self.last) }
    }
}
