//! Elements of sets and maps.

use std::fmt::{self, Write};

use super::statement::show_counter;
use super::{Detail, Shown, duration, joined};
use crate::syntax::{Element, ElementData};

/// `KEY [: DATA]` with everything that an element can have between.
pub(crate) fn show_element(out: &mut dyn Write, element: &Element, detail: Detail) -> fmt::Result {
    out.write_str(&joined(&element.key, " . "))?;
    if let Some(counter) = element.counter {
        out.write_char(' ')?;
        show_counter(out, counter, detail)?;
    }
    if let Some(timeout) = element.timeout {
        write!(out, " timeout {}", duration(timeout))?;
    }
    if let Some(expires) = element.expires {
        write!(out, " expires {}", duration(expires))?;
    }
    if let Some(comment) = &element.comment {
        write!(out, " comment \"{}\"", Shown(comment))?;
    }
    match &element.data {
        None => Ok(()),
        Some(ElementData::Verdict(verdict)) => write!(out, " : {verdict}"),
        Some(ElementData::Values(values)) => write!(out, " : {}", joined(values, " . ")),
    }
}

/// What nft sorts the elements of a set by that holds no intervals: the key as one little-endian number, or its
/// value if it is a single number in network byte order.
///
/// Source: `expr_msort_value()` in nft's `src/mergesort.c`.
pub(crate) fn element_sort_key(element: &Element) -> Vec<u8> {
    let mut bytes: Vec<u8> = element.key.iter().flat_map(|part| part.bounds().0).collect();
    let is_number = matches!(&element.key[..], [part] if part.data_type().is_big_endian());
    if !is_number && cfg!(target_endian = "little") {
        bytes.reverse();
    }
    bytes
}

pub(super) fn show_elements(out: &mut dyn Write, elements: &[Element], detail: Detail) -> fmt::Result {
    out.write_str("{ ")?;
    for (index, element) in elements.iter().enumerate() {
        out.write_str(if index == 0 { "" } else { ", " })?;
        show_element(out, element, detail)?;
    }
    out.write_str(" }")
}
