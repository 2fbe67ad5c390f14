//! Sets as attributes.

use pontoon_netlink::wire::{Attr, Attrs, Body};

use super::attribute::{data, set as attribute};
use super::expression::{find, stateful};
use super::typeof_key::write_keys;
use super::user_data;
use crate::syntax::{DataType, Key, Set, SetData};
use crate::vm::{CompileError, Insn};

/// Bits that each part takes in the number of a concatenation's type. Source: `TYPE_BITS` in nft's datatype.h.
const TYPE_BITS: u32 = 6;

fn type_number(types: &[DataType]) -> u32 {
    // A type without a name may be a concatenation itself.
    if let [one] = types {
        return one.id();
    }
    types.iter().fold(0, |number, part| number << TYPE_BITS | (part.id() & ((1 << TYPE_BITS) - 1)))
}

/// The length of a value with these parts: padded if there are several.
pub(super) fn length(types: &[DataType]) -> u32 {
    match types {
        [one] => one.size() as u32,
        parts => parts.iter().map(|part| part.padded() as u32).sum(),
    }
}

/// The parts of a type by its number and length. One part without a name if it is not known.
fn types_of(number: u32, len: u32) -> Vec<DataType> {
    let mut parts = Vec::new();
    let mut rest = number;
    while rest != 0 {
        parts.push(DataType::from_id(rest & ((1 << TYPE_BITS) - 1)));
        rest >>= TYPE_BITS;
    }
    parts.reverse();
    let known: Option<Vec<DataType>> = parts.into_iter().collect();
    known
        .filter(|parts| !parts.is_empty() && length(parts) == len)
        .unwrap_or_else(|| vec![DataType::Other { id: number, len }])
}

/// Whether a set with this type may have been declared with `keys`.
fn have_type(keys: &[Key], number: u32, len: u32) -> bool {
    let types: Vec<DataType> = keys.iter().map(|key| key.data_type()).collect();
    type_number(&types) == number && length(&types) == len
}

/// Checks that the kernel and nft can be told what the set's keys are.
pub(super) fn check(set: &Set) -> Result<(), CompileError> {
    if set.interval
        && let Some(data_type) = set.key.iter().copied().find(|part| !part.has_intervals())
    {
        return Err(CompileError::NoRange { data_type });
    }
    let Some(keys) = &set.key_of else { return Ok(()) };
    let has_values = matches!(set.data, Some(SetData::Values(_)));
    let same_types = keys.iter().map(|key| key.data_type()).eq(set.key.iter().copied());
    if same_types && !has_values && write_keys(keys).is_some() {
        return Ok(());
    }
    Err(CompileError::BadTypeof {
        keys: keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" . "),
    })
}

/// Writes everything of a set but table, name and id.
pub(super) fn write(body: &mut Body<'_>, set: &Set, more_flags: u32) {
    let bit = |set: bool, bit: u32| if set { bit } else { 0 };
    let concat_interval = set.interval && set.key.len() > 1;
    let flags = more_flags
        | bit(set.constant, attribute::CONSTANT)
        | bit(set.interval, attribute::INTERVAL)
        | bit(set.data.is_some(), attribute::MAP)
        | bit(set.timeout || set.default_timeout.is_some(), attribute::HAS_TIMEOUT)
        | bit(set.dynamic, attribute::EVAL)
        | bit(concat_interval, attribute::CONCAT);
    body.u32_be(attribute::FLAGS, flags);
    body.u32_be(attribute::KEY_TYPE, type_number(&set.key));
    body.u32_be(attribute::KEY_LEN, length(&set.key));
    match &set.data {
        None => {}
        Some(SetData::Verdict) => {
            body.u32_be(attribute::DATA_TYPE, attribute::VERDICT);
            body.u32_be(attribute::DATA_LEN, 0);
        }
        Some(SetData::Values(types)) => {
            body.u32_be(attribute::DATA_TYPE, type_number(types));
            body.u32_be(attribute::DATA_LEN, length(types));
        }
    }
    if set.size.is_some() || concat_interval {
        body.nest(attribute::DESC, |body| {
            if let Some(size) = set.size {
                body.u32_be(attribute::DESC_SIZE, size);
            }
            if concat_interval {
                write_concat(body, &set.key);
            }
        });
    }
    if let Some(timeout) = set.default_timeout {
        body.u64_be(attribute::TIMEOUT, timeout);
    }
    body.attr(attribute::USERDATA, &user_data::set(set));
    if set.counter {
        body.nest(attribute::EXPR, |body| {
            body.str(data::EXPR_NAME, "counter");
            body.nest(data::EXPR_DATA, |_| {});
        });
    }
}

fn write_concat(body: &mut Body<'_>, key: &[DataType]) {
    body.nest(attribute::DESC_CONCAT, |body| {
        for part in key {
            body.nest(super::attribute::LIST_ELEM, |body| {
                body.u32_be(attribute::FIELD_LEN, part.size() as u32)
            });
        }
    });
}

/// A declaration's counter needs no values.
fn is_counter(insn: &Insn) -> bool {
    matches!(insn, Insn::Counter(_)) || matches!(insn, Insn::Unknown { name, .. } if name == "counter")
}

/// Reads a set, and whether it is a rule's own.
pub(super) fn read(attrs: Attrs<'_>) -> Option<(Set, bool)> {
    let get = |kind| find(attrs.clone(), kind);
    let number = |kind| get(kind).and_then(|attr: Attr<'_>| attr.u32_be());
    let flags = number(attribute::FLAGS).unwrap_or(0);
    let has = |bit| flags & bit != 0;
    let data = has(attribute::MAP).then(|| match number(attribute::DATA_TYPE) {
        Some(attribute::VERDICT) | None => SetData::Verdict,
        Some(kind) => SetData::Values(types_of(kind, number(attribute::DATA_LEN).unwrap_or(0))),
    });
    let description = get(attribute::DESC);
    let size = description.and_then(|attr| find(attr.nested(), attribute::DESC_SIZE)?.u32_be());
    let stateful = stateful(get(attribute::EXPR), get(attribute::EXPRESSIONS));
    let user_data = get(attribute::USERDATA).map_or(&[][..], |attr| attr.value);
    let (key_type, key_len) = (number(attribute::KEY_TYPE)?, number(attribute::KEY_LEN)?);
    let key_of =
        user_data::read_set_keys(user_data, data.as_ref()).filter(|keys| have_type(keys, key_type, key_len));
    let set = Set {
        name: get(attribute::NAME)?.str()?.to_owned(),
        key: match &key_of {
            Some(keys) => keys.iter().map(|key| key.data_type()).collect(),
            None => types_of(key_type, key_len),
        },
        key_of,
        data,
        interval: has(attribute::INTERVAL),
        constant: has(attribute::CONSTANT),
        dynamic: has(attribute::EVAL),
        timeout: has(attribute::HAS_TIMEOUT),
        default_timeout: get(attribute::TIMEOUT)
            .and_then(|attr| attr.u64_be())
            .filter(|timeout| *timeout != 0),
        size,
        counter: stateful.iter().any(is_counter),
        comment: user_data::read_set_comment(user_data),
    };
    Some((set, has(attribute::ANONYMOUS)))
}
