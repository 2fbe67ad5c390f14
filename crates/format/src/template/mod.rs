//! Go's `text/template`, as far as people use it with Docker's `--format`, over a [`Value`].
//!
//! Fields, `index`, pipelines, variables, `if`, `with`, `range`, `break`, `continue`, comments and trim markers; the
//! functions in [`FUNCTIONS`]. Maps are walked in the order of their keys, and values print as Go prints them.

mod ast;
mod compare;
mod error;
mod eval;
mod float;
mod function;
mod lex;
mod literal;
mod parse;
mod printf;
mod shape;
mod text;
mod value;

use serde_json::{Map, Value};

pub use error::{Fault, Position, TemplateError};
pub use shape::Shape;

use eval::{Machine, Scene};

/// The functions that a template can call.
pub const FUNCTIONS: &[&str] = &function::NAMES;

/// A parsed template.
#[derive(Debug, Clone)]
pub struct Template {
    source: String,
    nodes: Vec<ast::Node>,
}

impl Template {
    /// Parses a template as it stands on a command line: `\t` and `\n` outside of actions are a tab and a line break.
    ///
    /// # Errors
    ///
    /// If the template is malformed, calls a function or reads a variable that does not exist, or is nested too deeply.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        Self::parse_from(text, 0)
    }

    /// Parses the template that starts at byte `start` of `text`; errors count their columns in the whole text.
    pub(crate) fn parse_from(text: &str, start: usize) -> Result<Self, TemplateError> {
        Ok(Self { source: text.to_owned(), nodes: parse::parse(text, start)? })
    }

    /// Renders the template for `value`, whose fields have the shape of Docker's objects ([`Shape::docker`]).
    ///
    /// # Errors
    ///
    /// If the template asks for a field that `value` does not have, gives a function what it cannot use, or runs for
    /// more steps or makes more text than is sensible.
    pub fn render(&self, value: &Value) -> Result<String, TemplateError> {
        self.render_as(value, &Shape::docker())
    }

    /// Renders the template for `value`, with `shape` telling which of its fields may be absent.
    ///
    /// # Errors
    ///
    /// As [`Template::render`].
    pub fn render_as(&self, value: &Value, shape: &Shape) -> Result<String, TemplateError> {
        self.run(value, Scene { shape, labels: None, header: false }).1
    }

    /// Renders one row of a listing; `labels` answer `{{.Label "key"}}`.
    pub(crate) fn render_row(
        &self,
        value: &Value,
        labels: &Map<String, Value>,
        shape: &Shape,
    ) -> Result<String, TemplateError> {
        self.run(value, Scene { shape, labels: Some(labels), header: false }).1
    }

    /// Renders the heading of a table from the headings of its fields: also what came before an error.
    pub(crate) fn render_header(&self, headings: &Value, shape: &Shape) -> (String, Option<TemplateError>) {
        let (partial, whole) = self.run(headings, Scene { shape, labels: None, header: true });
        match whole {
            Ok(text) => (text, None),
            Err(error) => (partial, Some(error)),
        }
    }

    /// What an error left behind, and the whole.
    fn run(&self, value: &Value, scene: Scene<'_>) -> (String, Result<String, TemplateError>) {
        let mut machine = Machine::new(&self.source, value, scene);
        match machine.run(&self.nodes, value) {
            Ok(()) => (String::new(), Ok(machine.into_text())),
            Err(error) => (machine.into_text(), Err(error)),
        }
    }
}
