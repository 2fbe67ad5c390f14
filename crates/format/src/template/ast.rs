//! A parsed template.

use super::literal::Number;

#[derive(Debug, Clone)]
pub(super) enum Node {
    Text(String),
    Print(Pipeline),
    Branch(Branch),
    Range(Range),
    Break,
    Continue,
}

/// `{{if}}` or `{{with}}`, with its `{{else if}}` or `{{else with}}` and its `{{else}}`.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    /// Whether a taken arm sees its value as the dot.
    pub(super) sets_dot: bool,
    pub(super) arms: Vec<(Pipeline, Vec<Node>)>,
    pub(super) otherwise: Vec<Node>,
}

#[derive(Debug, Clone)]
pub(super) struct Range {
    pub(super) over: Pipeline,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// `$a, $b := command | command`.
#[derive(Debug, Clone)]
pub(super) struct Pipeline {
    pub(super) at: usize,
    pub(super) variables: Vec<String>,
    /// Whether the variables exist already (`=`) or are new (`:=`).
    pub(super) assigns: bool,
    pub(super) commands: Vec<Command>,
}

/// A value, or a function with its arguments.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) head: Operand,
    pub(super) arguments: Vec<Operand>,
}

/// A base and the fields taken of it; `at..end` is its place in the source.
#[derive(Debug, Clone)]
pub(super) struct Operand {
    pub(super) at: usize,
    pub(super) end: usize,
    pub(super) base: Base,
    pub(super) fields: Vec<Field>,
}

#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) at: usize,
    pub(super) name: String,
}

#[derive(Debug, Clone)]
pub(super) enum Base {
    Dot,
    Variable(String),
    Function(String),
    Nil,
    Bool(bool),
    Number(Number),
    Text(String),
    Paren(Box<Pipeline>),
}
