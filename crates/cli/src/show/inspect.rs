//! Inspected objects: JSON with the keys in Docker's order, or a template for each.

use pontoon_format::{InspectFormat, Shape};
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use crate::failure::Failure;

/// The objects as `format` wants them.
pub(crate) fn render<T: Serialize>(format: &InspectFormat, objects: &[T]) -> Result<String, Failure> {
    match format {
        InspectFormat::Indented => Ok(indented(objects)),
        InspectFormat::Json => {
            Ok(serde_json::to_string(objects).expect("reports are made of text and numbers") + "\n")
        }
        InspectFormat::Template(_) => {
            let values = objects.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>();
            let values = values.expect("reports are made of text and numbers");
            Ok(format.render(&values, &Shape::docker())?)
        }
    }
}

fn indented<T: Serialize>(objects: &[T]) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"    "));
    objects.serialize(&mut serializer).expect("reports are made of text and numbers");
    bytes.push(b'\n');
    String::from_utf8_lossy(&bytes).into_owned()
}
