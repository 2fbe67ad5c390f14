//! Parses the pieces of a template.
//!
//! Source: the sections "Actions" and "Pipelines" in the documentation of Go's `text/template`.

use pontoon_model::diagnose::near;

use super::ast::{Base, Branch, Command, Field, Node, Operand, Pipeline, Range};
use super::error::{Fault, Position, TemplateError};
use super::function;
use super::lex::{self, Action, Kind, Piece, Token};

/// How deep blocks and parentheses may lie within each other.
const MAX_DEPTH: usize = 100;

/// Parses `source` from byte `start` on.
pub(super) fn parse(source: &str, start: usize) -> Result<Vec<Node>, TemplateError> {
    let pieces = lex::pieces(source, start)?;
    let variables = vec!["$".to_owned()];
    let mut parser = Parser { source, pieces: pieces.into_iter(), variables, depth: 0, ranges: 0 };
    let (nodes, stop) = parser.list()?;
    match stop {
        None => Ok(nodes),
        Some(stop) => Err(parser.fault(stop.at, Fault::StrayKeyword(stop.keyword()))),
    }
}

struct Parser<'s> {
    source: &'s str,
    pieces: std::vec::IntoIter<Piece>,
    variables: Vec<String>,
    depth: usize,
    ranges: usize,
}

/// The action that ends a list of nodes.
struct Stop {
    at: usize,
    end: usize,
    /// The tokens after `else`, or none for `end`.
    otherwise: Option<Vec<Token>>,
}

impl Stop {
    fn keyword(&self) -> &'static str {
        if self.otherwise.is_some() { "else" } else { "end" }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Block {
    If,
    With,
    Range,
}

impl Block {
    fn keyword(self) -> &'static str {
        match self {
            Self::If => "if",
            Self::With => "with",
            Self::Range => "range",
        }
    }
}

impl Parser<'_> {
    /// Parses up to `{{end}}`, `{{else}}` or the end of the template.
    fn list(&mut self) -> Result<(Vec<Node>, Option<Stop>), TemplateError> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let action = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(action) => action,
            };
            let word = match action.tokens.first().map(|token| &token.kind) {
                Some(Kind::Word(word)) => word.clone(),
                _ => String::new(),
            };
            match &word[..] {
                "end" => {
                    self.nothing_after(&action, "after end")?;
                    return Ok((nodes, Some(Stop { at: action.at, end: action.end, otherwise: None })));
                }
                "else" => {
                    let otherwise = Some(action.tokens[1..].to_vec());
                    return Ok((nodes, Some(Stop { at: action.at, end: action.end, otherwise })));
                }
                _ => nodes.push(self.statement(&word, action)?),
            }
        }
        Ok((nodes, None))
    }

    fn statement(&mut self, word: &str, action: Action) -> Result<Node, TemplateError> {
        match word {
            "if" => self.branch(Block::If, action),
            "with" => self.branch(Block::With, action),
            "range" => self.range(action),
            "break" => self.leave(&action, "break", Node::Break),
            "continue" => self.leave(&action, "continue", Node::Continue),
            "define" | "template" | "block" => {
                Err(self.fault(action.at, Fault::Unsupported(word.to_owned())))
            }
            _ => self.whole_pipeline(&action.tokens, action.end, "command", 1).map(Node::Print),
        }
    }

    fn leave(&self, action: &Action, keyword: &'static str, node: Node) -> Result<Node, TemplateError> {
        self.nothing_after(action, "after break or continue")?;
        if self.ranges == 0 {
            return Err(self.fault(action.at, Fault::OutsideRange(keyword)));
        }
        Ok(node)
    }

    fn nothing_after(&self, action: &Action, place: &'static str) -> Result<(), TemplateError> {
        match action.tokens.get(1) {
            None => Ok(()),
            Some(token) => Err(self.unexpected(token, place)),
        }
    }

    fn branch(&mut self, block: Block, action: Action) -> Result<Node, TemplateError> {
        self.enter(action.at)?;
        let scope = self.variables.len();
        let mut arms = Vec::new();
        let mut otherwise = Vec::new();
        let (mut tokens, mut end) = (action.tokens[1..].to_vec(), action.end);
        loop {
            let test = self.whole_pipeline(&tokens, end, block.keyword(), 1)?;
            let inner = self.variables.len();
            let (body, stop) = self.list()?;
            self.variables.truncate(inner);
            arms.push((test, body));
            let stop = stop.ok_or_else(|| self.unclosed(action.at, block))?;
            let Some(after) = stop.otherwise else { break };
            if !after.is_empty() {
                (tokens, end) = (self.chained(&after, block)?, stop.end);
                continue;
            }
            otherwise = self.last_list(action.at, block)?;
            break;
        }
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok(Node::Branch(Branch { sets_dot: block == Block::With, arms, otherwise }))
    }

    /// The test of `{{else if …}}`, which goes with `if`, or of `{{else with …}}`, which goes with `with`.
    fn chained(&self, after: &[Token], block: Block) -> Result<Vec<Token>, TemplateError> {
        match &after[0].kind {
            Kind::Word(word) if word == block.keyword() => Ok(after[1..].to_vec()),
            _ => Err(self.unexpected(&after[0], "after else")),
        }
    }

    /// What follows `{{else}}`, up to `{{end}}`.
    fn last_list(&mut self, at: usize, block: Block) -> Result<Vec<Node>, TemplateError> {
        let scope = self.variables.len();
        let (nodes, stop) = self.list()?;
        self.variables.truncate(scope);
        let stop = stop.ok_or_else(|| self.unclosed(at, block))?;
        match stop.otherwise {
            None => Ok(nodes),
            Some(_) => Err(self.fault(stop.at, Fault::StrayKeyword("else"))),
        }
    }

    fn range(&mut self, action: Action) -> Result<Node, TemplateError> {
        self.enter(action.at)?;
        let scope = self.variables.len();
        let over = self.whole_pipeline(&action.tokens[1..], action.end, "range", 2)?;
        self.ranges += 1;
        let (body, stop) = self.list()?;
        self.ranges -= 1;
        let stop = stop.ok_or_else(|| self.unclosed(action.at, Block::Range))?;
        let otherwise = match &stop.otherwise {
            None => Vec::new(),
            Some(after) if after.is_empty() => self.last_list(action.at, Block::Range)?,
            Some(after) => return Err(self.unexpected(&after[0], "after else")),
        };
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok(Node::Range(Range { over, body, otherwise }))
    }

    fn enter(&mut self, at: usize) -> Result<(), TemplateError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(self.fault(at, Fault::TooDeep(MAX_DEPTH))) } else { Ok(()) }
    }

    /// Parses a pipeline that fills `tokens`; `most` is how many variables it may set.
    fn whole_pipeline(
        &mut self,
        tokens: &[Token],
        end: usize,
        what: &'static str,
        most: usize,
    ) -> Result<Pipeline, TemplateError> {
        let mut cursor = Cursor { tokens, next: 0, end };
        let pipeline = self.pipeline(&mut cursor, what, most)?;
        match cursor.peek() {
            None => Ok(pipeline),
            Some(token) => Err(self.unexpected(token, "in an action")),
        }
    }

    fn pipeline(
        &mut self,
        cursor: &mut Cursor<'_>,
        what: &'static str,
        most: usize,
    ) -> Result<Pipeline, TemplateError> {
        let at = cursor.offset();
        let (variables, assigns) = self.declaration(cursor, what, most)?;
        let mut commands = Vec::new();
        loop {
            match cursor.peek() {
                None | Some(Token { kind: Kind::Close, .. }) if commands.is_empty() => {
                    return Err(self.fault(cursor.offset(), Fault::MissingValue(what)));
                }
                None | Some(Token { kind: Kind::Close, .. }) => break,
                Some(_) => commands.push(self.command(cursor)?),
            }
            match cursor.peek() {
                Some(Token { kind: Kind::Pipe, .. }) => cursor.next += 1,
                _ => break,
            }
        }
        if !assigns {
            self.variables.extend(variables.iter().cloned());
        }
        Ok(Pipeline { at, variables, assigns, commands })
    }

    /// `$a :=`, `$a =`, and in a range `$a, $b :=`.
    fn declaration(
        &self,
        cursor: &mut Cursor<'_>,
        what: &'static str,
        most: usize,
    ) -> Result<(Vec<String>, bool), TemplateError> {
        let mut variables = Vec::new();
        let mut ahead = cursor.next;
        while let Some(Token { kind: Kind::Variable(name), at, .. }) = cursor.tokens.get(ahead) {
            variables.push(name.clone());
            let assigns = match cursor.tokens.get(ahead + 1).map(|token| &token.kind) {
                Some(Kind::Comma) => {
                    ahead += 2;
                    continue;
                }
                Some(Kind::Declare) => false,
                Some(Kind::Assign) => true,
                _ => break,
            };
            if variables.len() > most {
                return Err(self.fault(*at, Fault::TooManyVariables(what)));
            }
            if assigns {
                variables.iter().try_for_each(|name| self.defined(name, *at))?;
            }
            cursor.next = ahead + 2;
            return Ok((variables, assigns));
        }
        Ok((Vec::new(), false))
    }

    fn command(&mut self, cursor: &mut Cursor<'_>) -> Result<Command, TemplateError> {
        let head = self.operand(cursor)?;
        let mut arguments = Vec::new();
        while let Some(token) = cursor.peek() {
            match token.kind {
                Kind::Pipe | Kind::Close => break,
                _ if token.spaced || token.kind == Kind::Open => arguments.push(self.operand(cursor)?),
                _ => return Err(self.unexpected(token, "in an operand")),
            }
        }
        Ok(Command { head, arguments })
    }

    fn operand(&mut self, cursor: &mut Cursor<'_>) -> Result<Operand, TemplateError> {
        let Some(token) = cursor.take() else {
            return Err(self.fault(cursor.end, Fault::MissingValue("command")));
        };
        let mut fields = Vec::new();
        let base = match &token.kind {
            Kind::Dot => Base::Dot,
            Kind::Field(name) => {
                fields.push(Field { at: token.at, name: name.clone() });
                Base::Dot
            }
            Kind::Variable(name) => {
                self.defined(name, token.at)?;
                Base::Variable(name.clone())
            }
            Kind::Word(word) => self.word(word, token.at)?,
            Kind::Number(number) => Base::Number(*number),
            Kind::Text(text) => Base::Text(text.clone()),
            Kind::Open => self.paren(cursor, token.at)?,
            Kind::Close | Kind::Pipe | Kind::Declare | Kind::Assign | Kind::Comma => {
                return Err(self.unexpected(token, "in a command"));
            }
        };
        let takes_fields = !matches!(token.kind, Kind::Dot);
        while let Some(Token { kind: Kind::Field(name), at, spaced: false, .. }) = cursor.peek() {
            if !takes_fields {
                break;
            }
            fields.push(Field { at: *at, name: name.clone() });
            cursor.next += 1;
        }
        Ok(Operand { at: token.at, end: cursor.behind(), base, fields })
    }

    fn paren(&mut self, cursor: &mut Cursor<'_>, at: usize) -> Result<Base, TemplateError> {
        self.enter(at)?;
        let inner = self.pipeline(cursor, "pair of parentheses", 0)?;
        self.depth -= 1;
        match cursor.take() {
            Some(Token { kind: Kind::Close, .. }) => Ok(Base::Paren(Box::new(inner))),
            Some(token) => Err(self.unexpected(token, "in parentheses")),
            None => Err(self.fault(at, Fault::UnclosedParen)),
        }
    }

    fn word(&self, word: &str, at: usize) -> Result<Base, TemplateError> {
        match word {
            "true" => Ok(Base::Bool(true)),
            "false" => Ok(Base::Bool(false)),
            "nil" => Ok(Base::Nil),
            _ if function::NAMES.contains(&word) => Ok(Base::Function(word.to_owned())),
            _ => {
                let near = near(word, function::NAMES).into_iter().map(str::to_owned).collect();
                Err(self.fault(at, Fault::UndefinedFunction { name: word.to_owned(), near }))
            }
        }
    }

    fn defined(&self, name: &str, at: usize) -> Result<(), TemplateError> {
        if self.variables.iter().any(|known| known == name) {
            return Ok(());
        }
        let known = self.variables.iter().map(String::as_str).filter(|known| *known != "$");
        let near = near(name, known).into_iter().map(str::to_owned).collect();
        Err(self.fault(at, Fault::UndefinedVariable { name: name.to_owned(), near }))
    }

    fn unclosed(&self, at: usize, block: Block) -> TemplateError {
        self.fault(at, Fault::UnclosedBlock(block.keyword()))
    }

    fn unexpected(&self, token: &Token, place: &'static str) -> TemplateError {
        let found = format!("{:?}", &self.source[token.at..token.end]);
        self.fault(token.at, Fault::Unexpected { found, place })
    }

    fn fault(&self, offset: usize, fault: Fault) -> TemplateError {
        TemplateError { position: Position::in_source(self.source, offset), fault }
    }
}

/// The tokens of one action, read from left to right.
struct Cursor<'t> {
    tokens: &'t [Token],
    next: usize,
    end: usize,
}

impl<'t> Cursor<'t> {
    fn peek(&self) -> Option<&'t Token> {
        self.tokens.get(self.next)
    }

    fn take(&mut self) -> Option<&'t Token> {
        let token = self.peek()?;
        self.next += 1;
        Some(token)
    }

    /// Where the next token starts.
    fn offset(&self) -> usize {
        self.peek().map_or(self.end, |token| token.at)
    }

    /// Where the last token ended.
    fn behind(&self) -> usize {
        self.tokens[..self.next].last().map_or(self.end, |token| token.end)
    }
}
