//! `--format` of the verbs that list: one row for each object.

use serde_json::{Map, Value};

use crate::heading;
use crate::tabwriter;
use crate::template::{Shape, Template, TemplateError};

/// How a listing is printed.
///
/// Source: `preFormat()` and `postFormat()` in docker/cli's cli/command/formatter/formatter.go.
#[derive(Debug, Clone)]
pub enum ListFormat {
    /// A heading, then aligned rows.
    Table(Template),
    /// One JSON object on each line.
    Json,
    /// A template for each row, as it stands.
    Rows(Template),
}

/// One object of a listing, with its fields as the listing shows them.
#[derive(Debug, Clone, Default)]
pub struct Row {
    fields: Value,
    labels: Map<String, Value>,
}

impl Row {
    /// A row with these fields; anything but an object has none.
    pub fn new(fields: Value) -> Self {
        let fields = if fields.is_object() { fields } else { Value::Object(Map::new()) };
        Self { fields, labels: Map::new() }
    }

    /// Adds the labels that `{{.Label "key"}}` answers from; `{{.Labels}}` prints the field of that name.
    #[must_use]
    pub fn with_labels<K: Into<String>, V: Into<String>>(
        mut self,
        labels: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.labels =
            labels.into_iter().map(|(key, label)| (key.into(), Value::String(label.into()))).collect();
        self
    }

    pub(crate) fn fields(&self) -> &Map<String, Value> {
        static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        self.fields.as_object().unwrap_or(&NONE)
    }
}

impl ListFormat {
    /// Parses what `--format` was given: `table` (the columns of `default_table`), `table TEMPLATE`, `json` or a
    /// template. An empty text counts as `table`.
    ///
    /// # Errors
    ///
    /// If the template is malformed.
    pub fn parse(text: &str, default_table: &str) -> Result<Self, TemplateError> {
        let text = text.trim_end_matches(' ');
        let start = text.len() - text.trim_start_matches(' ').len();
        match &text[start..] {
            "" | "table" => Template::parse(default_table).map(Self::Table),
            "json" => Ok(Self::Json),
            shown => match shown.strip_prefix("table") {
                Some(columns) => {
                    let columns = text.len() - columns.trim_start_matches(' ').len();
                    Template::parse_from(text, columns).map(Self::Table)
                }
                None => Template::parse_from(text, start).map(Self::Rows),
            },
        }
    }

    /// Renders the rows, each with a line break after it; `headings` gives the heading of each field in a table.
    ///
    /// # Errors
    ///
    /// If the template asks for a field that the rows do not have, or gives a function what it cannot use.
    pub fn render(&self, headings: &[(&str, &str)], rows: &[Row]) -> Result<String, TemplateError> {
        match self {
            Self::Json => Ok(rows.iter().map(|row| format!("{}\n", row.fields)).collect()),
            Self::Rows(template) => lines(template, rows),
            Self::Table(template) => table(template, headings, rows),
        }
    }
}

fn lines(template: &Template, rows: &[Row]) -> Result<String, TemplateError> {
    let shape = Shape::strict();
    let mut text = String::new();
    for row in rows {
        text.push_str(&template.render_row(&row.fields, &row.labels, &shape)?);
        text.push('\n');
    }
    Ok(text)
}

/// A table of no rows still refuses a column that does not exist.
fn table(template: &Template, headings: &[(&str, &str)], rows: &[Row]) -> Result<String, TemplateError> {
    let body = lines(template, rows)?;
    let headings = heading::headings(headings, rows);
    let (header, error) = template.render_header(&headings, &Shape::strict());
    match error {
        Some(error) if rows.is_empty() && error.is_missing_field() => Err(error),
        _ => Ok(tabwriter::align(&format!("{header}\n{body}"))),
    }
}
