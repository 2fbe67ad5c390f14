//! Elements as attributes.
//!
//! A set that holds intervals of a single key has two kernel elements for each interval: its beginning, and the first
//! value after it, marked as an end. A set of concatenated intervals has one, with the first and the last key.

use pontoon_netlink::wire::{Attr, Body};

use super::attribute::{LIST_ELEM, data, element as attribute};
use super::expression::{OwnSets, counter_among, find, read_verdict, stateful, write, write_verdict};
use super::user_data;
use crate::syntax::{CounterValue, DataType, Element, ElementData, Operand, Set, SetData, Value};
use crate::vm::Insn;

/// A kernel element as it was received; [`crate::ruleset`] makes [`Element`]s of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawElement {
    /// The key's bytes; empty for the element that stands for all others.
    pub key: Vec<u8>,
    /// The last key's bytes, in a set of concatenated intervals.
    pub key_end: Option<Vec<u8>>,
    /// Whether the key is the first after an interval.
    pub is_end: bool,
    /// What it maps to: bytes or a verdict.
    pub data: Option<RawData>,
    /// A remark.
    pub comment: Option<String>,
    /// Milliseconds to live when it was added.
    pub timeout: Option<u64>,
    /// Milliseconds left.
    pub expires: Option<u64>,
    /// Its counter.
    pub counter: Option<CounterValue>,
}

/// What a kernel element maps to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawData {
    /// A value's bytes.
    Value(Vec<u8>),
    /// A verdict.
    Verdict(crate::syntax::Verdict),
}

/// Joins the parts of a key or a value, each padded if there are several.
pub(super) fn join(parts: &[(DataType, Vec<u8>)]) -> Vec<u8> {
    match parts {
        [(_, one)] => one.clone(),
        parts => {
            let mut joined = Vec::new();
            for (data_type, bytes) in parts {
                let start = joined.len();
                joined.extend_from_slice(bytes);
                joined.resize(start + data_type.padded(), 0);
            }
            joined
        }
    }
}

fn split(types: &[DataType], bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    if let [one] = types {
        return Some(vec![bytes.get(..one.size())?.to_vec()]);
    }
    let mut rest = bytes;
    let mut parts = Vec::new();
    for part in types {
        parts.push(rest.get(..part.size())?.to_vec());
        rest = rest.get(part.padded()..)?;
    }
    Some(parts)
}

/// The number after `bytes` as one big-endian number; `None` after the highest.
fn successor(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut next = bytes.to_vec();
    for byte in next.iter_mut().rev() {
        let (sum, carried) = byte.overflowing_add(1);
        *byte = sum;
        if !carried {
            return Some(next);
        }
    }
    None
}

fn predecessor(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut next = bytes.to_vec();
    for byte in next.iter_mut().rev() {
        let (difference, borrowed) = byte.overflowing_sub(1);
        *byte = difference;
        if !borrowed {
            return Some(next);
        }
    }
    None
}

/// The bounds of an element's key in the kernel's form.
fn key_bounds(element: &Element) -> (Vec<u8>, Vec<u8>) {
    let mut first = Vec::new();
    let mut last = Vec::new();
    for part in &element.key {
        let (low, high) = part.bounds();
        first.push((part.data_type(), low));
        last.push((part.data_type(), high));
    }
    (join(&first), join(&last))
}

/// Writes one element, which may be two for the kernel. `with_data` is false when it is to be removed.
pub(super) fn write_one(body: &mut Body<'_>, element: &Element, interval: bool, with_data: bool) {
    let (first, last) = key_bounds(element);
    let single = element.key.len() == 1;
    let end = if interval && single { successor(&last) } else { None };
    let open = interval && single && end.is_none();
    body.nest(LIST_ELEM, |body| {
        write_key(body, attribute::KEY, &first);
        if interval && !single {
            write_key(body, attribute::KEY_END, &last);
        }
        if with_data {
            write_rest(body, element, open);
        }
    });
    if let Some(end) = end {
        body.nest(LIST_ELEM, |body| {
            body.u32_be(attribute::FLAGS, attribute::INTERVAL_END);
            write_key(body, attribute::KEY, &end);
        });
    }
}

fn write_key(body: &mut Body<'_>, kind: u16, key: &[u8]) {
    body.nest(kind, |body| body.attr(data::VALUE, key));
}

fn write_rest(body: &mut Body<'_>, element: &Element, open: bool) {
    match &element.data {
        None => {}
        Some(ElementData::Verdict(verdict)) => {
            body.nest(attribute::DATA, |body| write_verdict(body, verdict))
        }
        Some(ElementData::Values(values)) => {
            let parts: Vec<_> = values.iter().map(|value| (value.data_type(), value.bytes())).collect();
            write_key(body, attribute::DATA, &join(&parts));
        }
    }
    if let Some(timeout) = element.timeout {
        body.u64_be(attribute::TIMEOUT, timeout);
    }
    if let Some(bytes) = user_data::element(element.comment.as_deref(), open) {
        body.attr(attribute::USERDATA, &bytes);
    }
    if let Some(counter) = element.counter {
        body.nest(attribute::EXPR, |body| write(body, &Insn::Counter(counter), &OwnSets { names: &[] }));
    }
}

/// Reads one kernel element.
pub(super) fn read(attr: &Attr<'_>) -> RawElement {
    let get = |kind| find(attr.nested(), kind);
    let value =
        |kind| get(kind).and_then(|attr: Attr<'_>| Some(find(attr.nested(), data::VALUE)?.value.to_vec()));
    let verdict = || read_verdict(&find(get(attribute::DATA)?.nested(), data::VERDICT)?);
    let counter = counter_among(&stateful(get(attribute::EXPR), get(attribute::EXPRESSIONS)));
    RawElement {
        key: value(attribute::KEY).unwrap_or_default(),
        key_end: value(attribute::KEY_END),
        is_end: get(attribute::FLAGS).and_then(|attr| attr.u32_be()).unwrap_or(0) & attribute::INTERVAL_END
            != 0,
        data: value(attribute::DATA).map(RawData::Value).or_else(|| verdict().map(RawData::Verdict)),
        comment: get(attribute::USERDATA).and_then(|attr| user_data::read_comment(attr.value)),
        timeout: get(attribute::TIMEOUT).and_then(|attr| attr.u64_be()),
        expires: get(attribute::EXPIRATION).and_then(|attr| attr.u64_be()),
        counter,
    }
}

/// The elements of `set` that the kernel's elements are, in the order in which nft lists them.
///
/// Elements whose bytes do not fit the set's types are left out.
pub(crate) fn decode_elements(set: &Set, raw: &[RawElement]) -> Vec<Element> {
    if set.interval && set.key.len() == 1 {
        return decode_intervals(set, raw);
    }
    let mut elements: Vec<Element> = raw
        .iter()
        .filter_map(|raw| {
            let last = raw.key_end.as_ref().unwrap_or(&raw.key);
            element(set, &raw.key, last, raw)
        })
        .collect();
    if !set.interval {
        elements.sort_by_cached_key(crate::syntax::element_sort_key);
    }
    elements
}

fn decode_intervals(set: &Set, raw: &[RawElement]) -> Vec<Element> {
    let mut sorted: Vec<&RawElement> = raw.iter().collect();
    // An interval may begin where another ends: the end comes first.
    sorted.sort_by(|a, b| a.key.cmp(&b.key).then(b.is_end.cmp(&a.is_end)));
    let mut elements = Vec::new();
    for (index, start) in sorted.iter().enumerate().filter(|(_, raw)| !raw.is_end) {
        let last = match sorted.get(index + 1) {
            Some(next) => predecessor(&next.key),
            None => Some(vec![0xff; start.key.len()]),
        };
        elements.extend(last.and_then(|last| element(set, &start.key, &last, start)));
    }
    elements
}

fn element(set: &Set, first: &[u8], last: &[u8], raw: &RawElement) -> Option<Element> {
    let lows = split(&set.key, first)?;
    let highs = split(&set.key, last)?;
    let key = set
        .key
        .iter()
        .zip(lows.iter().zip(&highs))
        .map(|(data_type, (low, high))| Operand::from_bounds(*data_type, low, high))
        .collect::<Option<Vec<_>>>()?;
    let data = match (&raw.data, &set.data) {
        (Some(RawData::Verdict(verdict)), _) => Some(ElementData::Verdict(verdict.clone())),
        (Some(RawData::Value(bytes)), Some(SetData::Values(types))) => {
            let parts = split(types, bytes)?;
            let values =
                types.iter().zip(&parts).map(|(data_type, part)| Value::from_bytes(*data_type, part));
            Some(ElementData::Values(values.collect::<Option<Vec<_>>>()?))
        }
        _ => None,
    };
    Some(Element {
        key,
        data,
        comment: raw.comment.clone(),
        timeout: raw.timeout,
        expires: raw.expires,
        counter: raw.counter,
    })
}
