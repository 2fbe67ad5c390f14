//! The values that a template computes with, and how Go prints them.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::error::Fault;
use super::float;
use super::literal::Number;

static EMPTY: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

/// One value; what comes from the rendered JSON is borrowed from it.
#[derive(Debug, Clone)]
pub(super) enum Val<'v> {
    /// The key of an open map that is not there: Go's zero `reflect.Value`.
    Absent,
    Nil,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Cow<'v, str>),
    Array(&'v [Value]),
    /// A list that a function made.
    List(Rc<[Val<'v>]>),
    /// An object, and whether users choose its keys.
    Map(&'v Map<String, Value>, bool),
}

impl<'v> Val<'v> {
    pub(super) fn from_json(value: &'v Value, open: bool) -> Self {
        match value {
            Value::Null if open => Self::empty_map(),
            Value::Null => Self::Nil,
            Value::Bool(bool) => Self::Bool(*bool),
            Value::Number(number) => from_number(number),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(items) => Self::Array(items),
            Value::Object(map) => Self::Map(map, open),
        }
    }

    pub(super) fn from_literal(number: Number) -> Self {
        match number {
            Number::Int(int) => Self::Int(int),
            Number::Float(float) => Self::Float(float),
        }
    }

    pub(super) fn empty_map() -> Self {
        Self::Map(&EMPTY, true)
    }

    /// The kind, with an article, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Absent => "no value",
            Self::Nil => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a fraction",
            Self::Text(_) => "a string",
            Self::Array(_) | Self::List(_) => "a list",
            Self::Map(..) => "an object",
        }
    }

    /// The name of the Go type, as `%T` prints it.
    pub(super) fn go_type(&self) -> &'static str {
        match self {
            Self::Absent | Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Array(_) => "[]interface {}",
            Self::List(_) => "[]string",
            Self::Map(..) => "map[string]interface {}",
        }
    }

    /// Go's truth: not false, zero, empty or nil.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Absent | Self::Nil => false,
            Self::Bool(bool) => *bool,
            Self::Int(int) => *int != 0,
            Self::Float(float) => *float != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Array(items) => !items.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(map, _) => !map.is_empty(),
        }
    }

    /// The steps that copying it counts for: one for each 256 bytes of text.
    pub(super) fn weight(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64 >> 8,
            Self::List(items) => items.len() as u64 >> 4,
            _ => 0,
        }
    }

    /// The elements of a list.
    pub(super) fn elements(&self) -> Option<Vec<Val<'v>>> {
        match self {
            Self::Array(items) => Some(items.iter().map(|item| Self::from_json(item, false)).collect()),
            Self::List(items) => Some(items.to_vec()),
            _ => None,
        }
    }

    /// Prints it as an action does: nothing at all is `<no value>`.
    pub(super) fn print(&self, out: &mut String) {
        match self {
            Self::Absent | Self::Nil => out.push_str("<no value>"),
            other => other.print_inner(out),
        }
    }

    /// Prints it as `fmt.Print` does.
    pub(super) fn print_inner(&self, out: &mut String) {
        match self {
            Self::Absent | Self::Nil => out.push_str("<nil>"),
            Self::Bool(bool) => out.push_str(if *bool { "true" } else { "false" }),
            Self::Int(int) => out.push_str(&int.to_string()),
            Self::Float(float) => out.push_str(&float::shortest(*float)),
            Self::Text(text) => out.push_str(text),
            Self::Array(_) | Self::List(_) => {
                out.push('[');
                for (index, item) in self.elements().unwrap_or_default().iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { " " });
                    item.print_inner(out);
                }
                out.push(']');
            }
            Self::Map(map, _) => {
                out.push_str("map[");
                for (index, (key, value)) in sorted(map).into_iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { " " });
                    out.push_str(key);
                    out.push(':');
                    Self::from_json(value, false).print_inner(out);
                }
                out.push(']');
            }
        }
    }

    /// The compact JSON of it, with the line separators of Unicode escaped as Go does; nothing at all is `null`.
    pub(super) fn to_json(&self) -> String {
        self.plain_json().replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
    }

    fn plain_json(&self) -> String {
        match self {
            Self::Absent | Self::Nil => "null".into(),
            Self::Bool(bool) => bool.to_string(),
            Self::Int(int) => int.to_string(),
            Self::Float(float) => float::json(*float),
            Self::Text(text) => Value::from(text.as_ref()).to_string(),
            Self::Array(items) => {
                let inner: Vec<String> = items.iter().map(Value::to_string).collect();
                format!("[{}]", inner.join(","))
            }
            Self::List(items) => {
                let inner: Vec<String> = items.iter().map(Val::plain_json).collect();
                format!("[{}]", inner.join(","))
            }
            Self::Map(map, _) => serde_json::to_string(map).unwrap_or_default(),
        }
    }

    /// Go's `len`: the bytes of a string, the elements of a list or a map.
    pub(super) fn length(&self) -> Result<usize, Fault> {
        match self {
            Self::Text(text) => Ok(text.len()),
            Self::Array(items) => Ok(items.len()),
            Self::List(items) => Ok(items.len()),
            Self::Map(map, _) => Ok(map.len()),
            other => Err(Fault::ArgumentType {
                function: "len".into(),
                want: "a string, a list or an object",
                kind: other.kind(),
            }),
        }
    }
}

fn from_number<'v>(number: &serde_json::Number) -> Val<'v> {
    match (number.as_i64(), number.as_u64()) {
        (Some(int), _) => Val::Int(i128::from(int)),
        (None, Some(int)) => Val::Int(i128::from(int)),
        (None, None) => Val::Float(number.as_f64().unwrap_or(f64::NAN)),
    }
}

/// The entries of a map in the order of their keys, whatever order the map keeps.
pub(super) fn sorted(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut entries: Vec<(&String, &Value)> = map.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    entries
}
