//! User data: what nft keeps with an object for itself, such as comments.
//!
//! A sequence of type (1 byte), length (1 byte), value. Source: libnftnl's `include/libnftnl/udata.h`.

use super::typeof_key::{read_keys, write_keys, write_verdict};
use crate::syntax::{DataType, Key, Set, SetData};

/// The comment's type with tables, chains, rules and elements.
const COMMENT: u8 = 0;
/// `NFTNL_UDATA_SET_KEYBYTEORDER`
const SET_KEY_BYTE_ORDER: u8 = 0;
/// `NFTNL_UDATA_SET_DATABYTEORDER`
const SET_DATA_BYTE_ORDER: u8 = 1;
/// `NFTNL_UDATA_SET_KEY_TYPEOF`
const SET_KEY_TYPEOF: u8 = 3;
/// `NFTNL_UDATA_SET_DATA_TYPEOF`
const SET_DATA_TYPEOF: u8 = 4;
/// `NFTNL_UDATA_SET_DATA_INTERVAL`
const SET_DATA_INTERVAL: u8 = 6;
/// `NFTNL_UDATA_SET_COMMENT`
const SET_COMMENT: u8 = 7;
/// `NFTNL_UDATA_SET_ELEM_FLAGS`
const ELEMENT_FLAGS: u8 = 1;
/// `NFTNL_SET_ELEM_F_INTERVAL_OPEN`: an interval without an end.
const INTERVAL_OPEN: u32 = 1;

/// Appends a value.
pub(super) fn push(bytes: &mut Vec<u8>, kind: u8, value: &[u8]) {
    // Comments are checked to be short before they come here.
    let len = value.len().min(255);
    bytes.push(kind);
    bytes.push(len as u8);
    bytes.extend_from_slice(&value[..len]);
}

fn push_text(bytes: &mut Vec<u8>, kind: u8, text: &str) {
    let mut value = text.as_bytes().to_vec();
    value.push(0);
    push(bytes, kind, &value);
}

/// The first value of a kind.
pub(super) fn find(bytes: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut rest = bytes;
    while let [kind, len, more @ ..] = rest {
        let value = more.get(..usize::from(*len))?;
        if *kind == wanted {
            return Some(value);
        }
        rest = &more[value.len()..];
    }
    None
}

fn find_text(bytes: &[u8], kind: u8) -> Option<String> {
    let value = find(bytes, kind)?;
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    Some(String::from_utf8_lossy(&value[..end]).into_owned())
}

/// User data of a table, a chain or a rule.
pub(super) fn comment(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_text(&mut bytes, COMMENT, text);
    bytes
}

/// The comment of a table, a chain, a rule or an element.
pub(super) fn read_comment(bytes: &[u8]) -> Option<String> {
    find_text(bytes, COMMENT)
}

/// User data of an element, if it needs any.
pub(super) fn element(comment: Option<&str>, open_end: bool) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(comment) = comment {
        push_text(&mut bytes, COMMENT, comment);
    }
    if open_end {
        push(&mut bytes, ELEMENT_FLAGS, &INTERVAL_OPEN.to_ne_bytes());
    }
    (!bytes.is_empty()).then_some(bytes)
}

/// nft's `enum byteorder`: 0 where it does not apply, 1 host, 2 network.
fn byte_order(types: &[DataType]) -> u32 {
    match types {
        [one] if one.is_big_endian() => 2,
        [_] => 1,
        _ => 0,
    }
}

/// User data of a set.
pub(super) fn set(set: &Set) -> Vec<u8> {
    let mut bytes = Vec::new();
    push(&mut bytes, SET_KEY_BYTE_ORDER, &byte_order(&set.key).to_ne_bytes());
    if let Some(data) = &set.data {
        let order = match data {
            SetData::Verdict => 0,
            SetData::Values(types) => byte_order(types),
        };
        push(&mut bytes, SET_DATA_BYTE_ORDER, &order.to_ne_bytes());
        push(&mut bytes, SET_DATA_INTERVAL, &0_u32.to_ne_bytes());
    }
    if let Some(keys) = set.key_of.as_deref().and_then(write_keys) {
        push(&mut bytes, SET_KEY_TYPEOF, &keys);
        if set.data == Some(SetData::Verdict) {
            push(&mut bytes, SET_DATA_TYPEOF, &write_verdict());
        }
    }
    if let Some(comment) = &set.comment {
        push_text(&mut bytes, SET_COMMENT, comment);
    }
    bytes
}

/// The keys that a set with this data was declared with, if it was by keys that are known here.
pub(super) fn read_set_keys(bytes: &[u8], data: Option<&SetData>) -> Option<Vec<Key>> {
    let of_data = match data {
        None => true,
        Some(SetData::Verdict) => find(bytes, SET_DATA_TYPEOF) == Some(&write_verdict()),
        Some(SetData::Values(_)) => false,
    };
    read_keys(find(bytes, SET_KEY_TYPEOF)?).filter(|_| of_data)
}

/// The comment of a set.
pub(super) fn read_set_comment(bytes: &[u8]) -> Option<String> {
    find_text(bytes, SET_COMMENT)
}
