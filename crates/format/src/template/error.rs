//! What can be wrong with a template, and where.

use std::fmt;

use pontoon_model::Diagnose;

/// A place in a template: line and column, both counted in characters from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
}

impl Position {
    /// The place of byte `offset` in `source`; an offset past the end, or inside a character, counts as the nearest before.
    pub(crate) fn in_source(source: &str, offset: usize) -> Self {
        let mut end = offset.min(source.len());
        while !source.is_char_boundary(end) {
            end -= 1;
        }
        let before = &source[..end];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A template that could not be parsed or rendered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("template: {position}: {fault}")]
pub struct TemplateError {
    /// Where in the template.
    pub position: Position,
    /// What is wrong there.
    pub fault: Fault,
}

impl TemplateError {
    /// Whether the template asks for a field that does not exist.
    pub fn is_missing_field(&self) -> bool {
        matches!(self.fault, Fault::NoField { .. })
    }
}

/// What is wrong at one place of a template.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    /// `{{` without `}}`.
    #[error("this `{{{{` is never closed")]
    UnclosedAction,
    /// `{{/*` without `*/}}`.
    #[error("this comment is never closed")]
    UnclosedComment,
    /// A string or character literal without its end quote.
    #[error("this quoted text is never closed")]
    UnclosedQuote,
    /// `(` without `)`.
    #[error("this `(` is never closed")]
    UnclosedParen,
    /// `{{if}}`, `{{range}}` or `{{with}}` without `{{end}}`.
    #[error("this `{{{{{0}}}}}` has no `{{{{end}}}}`")]
    UnclosedBlock(&'static str),
    /// A literal that is neither a whole number nor a fraction.
    #[error("`{0}` is not a number")]
    BadNumber(String),
    /// An unknown escape in a quoted literal.
    #[error("`\\{0}` is no escape in quoted text")]
    BadEscape(String),
    /// A character literal that holds none or several characters.
    #[error("a character literal holds exactly one character")]
    BadChar,
    /// Something that cannot stand where it stands.
    #[error("unexpected {found} {place}")]
    Unexpected {
        /// What stands there, quoted.
        found: String,
        /// Where that is, such as `in an action`.
        place: &'static str,
    },
    /// An action without a value.
    #[error("missing value for {0}")]
    MissingValue(&'static str),
    /// `{{end}}` or `{{else}}` outside of any block, or a second `{{else}}`.
    #[error("`{{{{{0}}}}}` belongs to no open block")]
    StrayKeyword(&'static str),
    /// `{{break}}` or `{{continue}}` outside of `{{range}}`.
    #[error("`{{{{{0}}}}}` stands outside of `{{{{range}}}}`")]
    OutsideRange(&'static str),
    /// More variables than the statement can set.
    #[error("too many variables are set by this {0}")]
    TooManyVariables(&'static str),
    /// A variable that nothing has set.
    #[error("undefined variable `{name}`")]
    UndefinedVariable {
        /// The variable, with its `$`.
        name: String,
        /// Variables that are written almost like it.
        near: Vec<String>,
    },
    /// A function that does not exist.
    #[error("function `{name}` not defined")]
    UndefinedFunction {
        /// The function.
        name: String,
        /// Functions that are written almost like it.
        near: Vec<String>,
    },
    /// A statement of `text/template` that this crate leaves out.
    #[error("`{{{{{0}}}}}` is not supported")]
    Unsupported(String),
    /// Blocks or parentheses within each other beyond the bound.
    #[error("blocks or parentheses are nested more than {0} deep")]
    TooDeep(usize),
    /// A field that the value does not have.
    #[error("no field `{field}`{}", of_what(.of))]
    NoField {
        /// The field that was asked for.
        field: String,
        /// The expression that it was asked of; empty for the value that is rendered.
        of: String,
        /// Fields that are written almost like it.
        near: Vec<String>,
        /// Every field that there is.
        known: Vec<String>,
    },
    /// A field of something that has none.
    #[error("cannot take field `{field}` of {kind}")]
    NotAnObject {
        /// The field that was asked for.
        field: String,
        /// What it was asked of, such as `a string`.
        kind: &'static str,
    },
    /// Arguments given to something that is no function.
    #[error("`{0}` is not a function and takes no arguments")]
    NotAFunction(String),
    /// `nil` where a value is needed.
    #[error("`nil` is not a value that can be printed or tested")]
    NilCommand,
    /// A wrong count of arguments.
    #[error("`{function}` takes {want} argument(s), not {got}")]
    ArgumentCount {
        /// The function.
        function: String,
        /// How many it takes.
        want: &'static str,
        /// How many were given.
        got: usize,
    },
    /// An argument of a type that the function cannot use.
    #[error("`{function}` needs {want} here, not {kind}")]
    ArgumentType {
        /// The function.
        function: String,
        /// What it needs, such as `a string`.
        want: &'static str,
        /// What it got.
        kind: &'static str,
    },
    /// An index or a bound that lies outside.
    #[error("index {index} is out of range, the length is {length}")]
    OutOfRange {
        /// The index or bound.
        index: i128,
        /// The length.
        length: usize,
    },
    /// A slice that ends before it starts.
    #[error("a slice cannot start at {start} and end at {end}")]
    BackwardSlice {
        /// Its first index.
        start: usize,
        /// The index after its last.
        end: usize,
    },
    /// A slice that would cut a character in two.
    #[error("byte {0} lies inside a character")]
    InsideCharacter(usize),
    /// Two values that cannot be compared by this function.
    #[error("`{function}` cannot compare {left} with {right}")]
    Incomparable {
        /// The function.
        function: &'static str,
        /// The first value's kind.
        left: &'static str,
        /// The second value's kind.
        right: &'static str,
    },
    /// `{{range}}` over something without elements.
    #[error("`{{{{range}}}}` cannot iterate over {0}")]
    NotIterable(&'static str),
    /// The template ran for too many steps.
    #[error("gave up after {0} steps")]
    TooManySteps(u64),
    /// The template made too much text.
    #[error("gave up after {0} MiB of text")]
    TooMuchText(usize),
}

fn of_what(expression: &str) -> String {
    if expression.is_empty() { String::new() } else { format!(" in `{expression}`") }
}

impl Diagnose for TemplateError {
    fn code(&self) -> &'static str {
        match self.fault {
            Fault::NoField { .. } | Fault::NotAnObject { .. } => "template-field",
            Fault::TooDeep(_) | Fault::TooManySteps(_) | Fault::TooMuchText(_) => "template-limit",
            Fault::ArgumentCount { .. }
            | Fault::ArgumentType { .. }
            | Fault::NotAFunction(_)
            | Fault::OutOfRange { .. }
            | Fault::BackwardSlice { .. }
            | Fault::InsideCharacter(_)
            | Fault::Incomparable { .. }
            | Fault::NotIterable(_) => "template-value",
            _ => "template-syntax",
        }
    }

    fn hint(&self) -> Option<String> {
        match &self.fault {
            Fault::UndefinedVariable { near, .. } | Fault::UndefinedFunction { near, .. } => {
                did_you_mean("", near)
            }
            Fault::NoField { near, known, .. } => did_you_mean(".", near).or_else(|| fields_listed(known)),
            Fault::UnclosedAction => Some("an action ends with `}}`".into()),
            Fault::UnclosedBlock(_) => Some("add `{{end}}`".into()),
            Fault::Incomparable { .. } => Some("compare a field of each instead".into()),
            Fault::BadEscape(_) => Some("write `\\\\` for a backslash, or quote with backticks".into()),
            _ => None,
        }
    }
}

fn did_you_mean(prefix: &str, near: &[String]) -> Option<String> {
    if near.is_empty() {
        return None;
    }
    let quoted: Vec<String> = near.iter().map(|name| format!("`{prefix}{name}`")).collect();
    Some(format!("did you mean {}?", quoted.join(" or ")))
}

/// The fields there are; beyond a dozen, the rest is left to `{{json .}}`.
fn fields_listed(known: &[String]) -> Option<String> {
    const SHOWN: usize = 12;
    match known.len() {
        0 => None,
        count if count <= SHOWN => Some(format!("the fields are {}", known.join(", "))),
        _ => {
            Some(format!("the fields are {}, …; `{{{{json .}}}}` shows them all", known[..SHOWN].join(", ")))
        }
    }
}
