//! What a rule does, but for translations and refusals.

use std::fmt::{self, Display, Formatter, Write};

use super::element::show_elements;
use super::nat::{show_nat, show_nat_flags};
use super::reject::show_reject;
use super::{Detail, Shown, duration, joined};
use crate::syntax::{
    CounterValue, DataType, Family, Key, Limit, LimitKind, LimitUnit, LogLevel, MarkSource, MarkTarget,
    Match, Op, Right, SetOp, SetRef, SetUpdate, Statement, Value, Verdict,
};

pub(super) fn show_statement(
    out: &mut dyn Write,
    family: Family,
    statement: &Statement,
    detail: Detail,
) -> fmt::Result {
    match statement {
        Statement::Match(of) => show_match(out, of, detail),
        Statement::Counter(counter) => show_counter(out, *counter, detail),
        Statement::Verdict(verdict) => write!(out, "{verdict}"),
        Statement::Vmap { key, map } => show_lookup(out, key, "vmap", map, detail),
        Statement::Masquerade { flags, ports } => {
            out.write_str("masquerade")?;
            if let Some(ports) = ports {
                write!(out, " to :{ports}")?;
            }
            show_nat_flags(out, *flags)
        }
        Statement::Nat(nat) => show_nat(out, family, nat, detail),
        Statement::Redirect { ports, flags } => {
            out.write_str("redirect")?;
            if let Some(ports) = ports {
                write!(out, " to :{ports}")?;
            }
            show_nat_flags(out, *flags)
        }
        Statement::Reject(reject) => show_reject(out, family, *reject),
        Statement::Log { prefix, level } => {
            out.write_str("log")?;
            if let Some(prefix) = prefix {
                write!(out, " prefix \"{}\"", Shown(prefix))?;
            }
            match level {
                Some(level) => write!(out, " level {level}"),
                None => Ok(()),
            }
        }
        Statement::Limit(limit) => write!(out, "{limit}"),
        Statement::Chance { of, below } => write!(out, "numgen random mod {of} < {below}"),
        Statement::SetMark { target, source } => show_set_mark(out, *target, source, detail),
        Statement::Update(update) => show_update(out, update, detail),
        Statement::Notrack => out.write_str("notrack"),
        Statement::Trace => out.write_str("meta nftrace set 1"),
        Statement::Unknown { name, .. } => write!(out, "<{}>", Shown(name)),
    }
}

/// One statement as it stands in a rule of `family`.
pub(crate) fn statement_text(family: Family, statement: &Statement) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = show_statement(&mut text, family, statement, Detail::Command);
    text
}

fn show_match(out: &mut dyn Write, of: &Match, detail: Detail) -> fmt::Result {
    out.write_str(&joined(&of.key, " . "))?;
    if let Some(mask) = &of.mask {
        write!(out, " & {mask}")?;
    }
    let is_mask_type =
        matches!(of.key.first().map(|key| key.data_type()), Some(DataType::CtState | DataType::CtStatus));
    let explicit = of.mask.is_some() || (is_mask_type && matches!(of.right, Right::Operand(_)));
    out.write_str(match of.op {
        Op::Ne => " != ",
        Op::Eq if explicit => " == ",
        Op::Eq | Op::Any => " ",
    })?;
    match &of.right {
        Right::Operand(operand) => write!(out, "{operand}"),
        Right::Set(set) => show_set_ref(out, set, detail),
    }
}

fn show_set_ref(out: &mut dyn Write, set: &SetRef, detail: Detail) -> fmt::Result {
    match set {
        SetRef::Named(name) => write!(out, "@{}", Shown(name)),
        SetRef::Inline(elements) => show_elements(out, elements, detail),
    }
}

pub(super) fn show_lookup(
    out: &mut dyn Write,
    key: &[Key],
    word: &str,
    set: &SetRef,
    detail: Detail,
) -> fmt::Result {
    write!(out, "{} {word} ", joined(key, " . "))?;
    show_set_ref(out, set, detail)
}

pub(super) fn show_counter(out: &mut dyn Write, counter: CounterValue, detail: Detail) -> fmt::Result {
    out.write_str("counter")?;
    if detail == Detail::Command && counter == CounterValue::default() {
        return Ok(());
    }
    write!(out, " packets {} bytes {}", counter.packets, counter.bytes)
}

fn show_set_mark(
    out: &mut dyn Write,
    target: MarkTarget,
    source: &MarkSource,
    detail: Detail,
) -> fmt::Result {
    let name = |target| match target {
        MarkTarget::Meta => "meta mark",
        MarkTarget::Ct => "ct mark",
    };
    write!(out, "{} set ", name(target))?;
    match source {
        MarkSource::Value(mark) => write!(out, "{}", Value::Mark(*mark)),
        MarkSource::Mark(from) => out.write_str(name(*from)),
        MarkSource::Map { key, map } => show_lookup(out, key, "map", map, detail),
    }
}

/// nft shows no values here: what the elements have counted is with them.
fn show_update(out: &mut dyn Write, update: &SetUpdate, detail: Detail) -> fmt::Result {
    let verb = match update.op {
        SetOp::Add => "add",
        SetOp::Update => "update",
        SetOp::Delete => "delete",
    };
    write!(out, "{verb} @{} {{ {}", Shown(&update.set), joined(&update.key, " . "))?;
    if let Some(timeout) = update.timeout {
        write!(out, " timeout {}", duration(timeout))?;
    }
    match update.counter {
        Some(counter) if detail == Detail::Command => {
            out.write_char(' ')?;
            show_counter(out, counter, detail)?;
        }
        Some(_) => out.write_str(" counter")?,
        None => {}
    }
    out.write_str(" }")
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Continue => f.write_str("continue"),
            Self::Return => f.write_str("return"),
            Self::Jump(chain) => write!(f, "jump {}", Shown(chain)),
            Self::Goto(chain) => write!(f, "goto {}", Shown(chain)),
        }
    }
}

impl Display for LogLevel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Emerg => "emerg",
            Self::Alert => "alert",
            Self::Crit => "crit",
            Self::Err => "err",
            Self::Warn => "warn",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        })
    }
}

impl Display for Limit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            LimitUnit::Second => "second",
            LimitUnit::Minute => "minute",
            LimitUnit::Hour => "hour",
            LimitUnit::Day => "day",
            LimitUnit::Week => "week",
        };
        f.write_str("limit rate ")?;
        f.write_str(if self.over { "over " } else { "" })?;
        match self.kind {
            LimitKind::Packets => {
                write!(f, "{}/{unit}", self.rate)?;
                // nft's default when a rule does not say.
                if self.burst == 5 { Ok(()) } else { write!(f, " burst {} packets", self.burst) }
            }
            LimitKind::Bytes => {
                let (rate, rate_unit) = byte_unit(self.rate);
                write!(f, "{rate} {rate_unit}/{unit}")?;
                let (burst, burst_unit) = byte_unit(u64::from(self.burst));
                if burst == 0 { Ok(()) } else { write!(f, " burst {burst} {burst_unit}") }
            }
        }
    }
}

/// The largest unit that divides `bytes`.
fn byte_unit(bytes: u64) -> (u64, &'static str) {
    match bytes {
        0 => (0, "bytes"),
        _ if bytes.is_multiple_of(1 << 20) => (bytes >> 20, "mbytes"),
        _ if bytes.is_multiple_of(1 << 10) => (bytes >> 10, "kbytes"),
        _ => (bytes, "bytes"),
    }
}
