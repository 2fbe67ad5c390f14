//! `--format` of the verbs that inspect: whole objects.

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

use crate::template::{Shape, Template, TemplateError};

/// How inspected objects are printed.
///
/// Source: docker/cli's cli/command/inspect/inspector.go.
#[derive(Debug, Clone)]
pub enum InspectFormat {
    /// One JSON array, indented by four spaces.
    Indented,
    /// One JSON array on one line.
    Json,
    /// A template for each object, each with a line break after it.
    Template(Template),
}

impl InspectFormat {
    /// Parses what `--format` was given: nothing, `json` or a template.
    ///
    /// # Errors
    ///
    /// If the template is malformed.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        match text {
            "" => Ok(Self::Indented),
            "json" => Ok(Self::Json),
            _ => Template::parse(text).map(Self::Template),
        }
    }

    /// Renders the objects; `shape` tells which of their fields may be absent.
    ///
    /// # Errors
    ///
    /// If the template asks for a field that an object does not have, or gives a function what it cannot use.
    pub fn render(&self, objects: &[Value], shape: &Shape) -> Result<String, TemplateError> {
        match self {
            Self::Indented => Ok(indented(objects) + "\n"),
            Self::Json => Ok(objects.iter().cloned().collect::<Value>().to_string() + "\n"),
            Self::Template(template) => {
                let mut text = String::new();
                for object in objects {
                    text.push_str(&template.render_as(object, shape)?);
                    text.push('\n');
                }
                Ok(text)
            }
        }
    }
}

fn indented(objects: &[Value]) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"    "));
    match objects.serialize(&mut serializer) {
        Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => unreachable!("a JSON value always serializes, and a Vec takes every byte"),
    }
}
