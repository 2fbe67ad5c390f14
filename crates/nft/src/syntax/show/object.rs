//! Families, tables and chains.

use std::fmt::{self, Display, Formatter, Write};

use super::Shown;
use crate::syntax::{Base, Chain, ChainKind, Family, Hook, Policy, TableRef};

impl Display for Family {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Arp => "arp",
            Self::Bridge => "bridge",
            Self::Netdev => "netdev",
        })
    }
}

impl Display for TableRef {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family, Shown(&self.name))
    }
}

impl Display for ChainKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
            Self::Route => "route",
        })
    }
}

impl Display for Hook {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        })
    }
}

impl Display for Policy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept => "accept",
            Self::Drop => "drop",
        })
    }
}

/// The names of the priorities that are allowed at `hook` of `family`. Source: `std_prios` in nft's `src/rule.c`.
fn named_priorities(family: Family, hook: Hook) -> Vec<(&'static str, i32)> {
    let mut names = Vec::new();
    match family {
        Family::Inet | Family::Ip | Family::Ip6 => {
            names.extend([("raw", -300), ("mangle", -150), ("filter", 0), ("security", 50)]);
            match hook {
                Hook::Prerouting => names.push(("dstnat", -100)),
                Hook::Postrouting => names.push(("srcnat", 100)),
                _ => {}
            }
        }
        Family::Arp | Family::Netdev => names.push(("filter", 0)),
        Family::Bridge => {
            names.push(("filter", -200));
            match hook {
                Hook::Prerouting => names.push(("dstnat", -300)),
                Hook::Output => names.push(("out", 100)),
                Hook::Postrouting => names.push(("srcnat", 300)),
                _ => {}
            }
        }
    }
    names
}

fn show_priority(out: &mut dyn Write, family: Family, hook: Hook, priority: i32) -> fmt::Result {
    /// How far from a named priority nft still uses the name.
    const REACH: u32 = 10;
    let near =
        named_priorities(family, hook).into_iter().find(|(_, named)| priority.abs_diff(*named) <= REACH);
    match near {
        Some((name, named)) if named == priority => write!(out, "{name}"),
        Some((name, named)) if named < priority => write!(out, "{name} + {}", priority.abs_diff(named)),
        Some((name, named)) => write!(out, "{name} - {}", priority.abs_diff(named)),
        None => write!(out, "{priority}"),
    }
}

/// `type filter hook forward priority filter; policy accept;`
pub(crate) fn show_base(out: &mut dyn Write, family: Family, base: &Base) -> fmt::Result {
    write!(out, "type {} hook {} ", base.kind, base.hook)?;
    if let Some(device) = &base.device {
        write!(out, "device \"{}\" ", Shown(device))?;
    }
    out.write_str("priority ")?;
    show_priority(out, family, base.hook, base.priority)?;
    write!(out, "; policy {};", base.policy)
}

pub(super) fn show_chain_body(out: &mut dyn Write, family: Family, chain: &Chain) -> fmt::Result {
    if chain.base.is_none() && chain.comment.is_none() {
        return Ok(());
    }
    out.write_str(" { ")?;
    if let Some(base) = &chain.base {
        show_base(out, family, base)?;
        out.write_char(' ')?;
    }
    if let Some(comment) = &chain.comment {
        write!(out, "comment \"{}\"; ", Shown(comment))?;
    }
    out.write_str("}")
}
