//! `eq`, `ne`, `lt`, `le`, `gt` and `ge`.

use std::cmp::Ordering;

use super::error::Fault;
use super::value::Val;

/// Whether `left` equals any of `candidates`, as `eq` with several arguments asks.
pub(super) fn equals_any(left: &Val<'_>, candidates: &[Val<'_>]) -> Result<bool, Fault> {
    for right in candidates {
        if equals("eq", left, right)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the comparison that is called `function` holds between two values.
pub(super) fn holds(function: &str, left: &Val<'_>, right: &Val<'_>) -> Result<bool, Fault> {
    match function {
        "ne" => equals("ne", left, right).map(|equal| !equal),
        "lt" => order("lt", left, right).map(|order| order == Some(Ordering::Less)),
        "gt" => order("gt", left, right).map(|order| order == Some(Ordering::Greater)),
        "le" => order("le", left, right).map(|order| order.is_some_and(Ordering::is_le)),
        _ => order("ge", left, right).map(|order| order.is_some_and(Ordering::is_ge)),
    }
}

fn equals(function: &'static str, left: &Val<'_>, right: &Val<'_>) -> Result<bool, Fault> {
    match (left, right) {
        (Val::Absent | Val::Nil, Val::Absent | Val::Nil) => Ok(true),
        (Val::Absent | Val::Nil, _) | (_, Val::Absent | Val::Nil) => Ok(false),
        (Val::Bool(left), Val::Bool(right)) => Ok(left == right),
        _ => order(function, left, right).map(|order| order == Some(Ordering::Equal)),
    }
}

/// The order of two numbers or two strings; none where a fraction is not a number.
fn order(function: &'static str, left: &Val<'_>, right: &Val<'_>) -> Result<Option<Ordering>, Fault> {
    match (left, right) {
        (Val::Int(left), Val::Int(right)) => Ok(Some(left.cmp(right))),
        (Val::Text(left), Val::Text(right)) => Ok(Some(left.cmp(right))),
        (Val::Float(left), Val::Float(right)) => Ok(left.partial_cmp(right)),
        (Val::Int(left), Val::Float(right)) => Ok((*left as f64).partial_cmp(right)),
        (Val::Float(left), Val::Int(right)) => Ok(left.partial_cmp(&(*right as f64))),
        _ => Err(Fault::Incomparable { function, left: left.kind(), right: right.kind() }),
    }
}
