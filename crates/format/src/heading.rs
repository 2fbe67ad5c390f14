//! The headings of a table.

use serde_json::{Map, Value};

use crate::list::Row;

/// The heading of every field that a row can have: what the caller calls it, or else its own words in capitals.
pub(crate) fn headings(given: &[(&str, &str)], rows: &[Row]) -> Value {
    let mut all: Map<String, Value> = Map::new();
    for row in rows {
        for field in row.fields().keys() {
            all.entry(field.clone()).or_insert_with(|| words(field).into());
        }
    }
    for (field, heading) in given {
        all.insert((*field).to_owned(), (*heading).into());
    }
    Value::Object(all)
}

/// `CreatedAt` as `CREATED AT`; a run of capitals, as in `IPv4` or `ID`, stays one word.
fn words(field: &str) -> String {
    let mut out = String::with_capacity(field.len() + 2);
    let mut after_small = false;
    for letter in field.chars() {
        if letter.is_uppercase() && after_small {
            out.push(' ');
        }
        out.extend(letter.to_uppercase());
        after_small = letter.is_lowercase();
    }
    out
}
