//! Runs a parsed template over a value.

use std::borrow::Cow;

use pontoon_model::diagnose::near;
use serde_json::{Map, Value};

use super::ast::{Base, Branch, Command, Field, Node, Operand, Pipeline, Range};
use super::error::{Fault, Position, TemplateError};
use super::function;
use super::shape::Shape;
use super::value::{Val, sorted};

/// Nodes, commands, rounds of a loop and blocks of copied text that one rendering may take: seconds, not minutes.
const MAX_STEPS: u64 = 5_000_000;

/// The text that one rendering may make, and that one value may hold, in MiB.
pub(super) const MAX_MIB: usize = 16;

/// What a template is rendered for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'v> {
    pub(super) shape: &'v Shape,
    /// What `{{.Label "key"}}` answers from in a listing.
    pub(super) labels: Option<&'v Map<String, Value>>,
    /// Whether the value holds headings, which functions leave alone.
    pub(super) header: bool,
}

pub(super) struct Machine<'v> {
    source: &'v str,
    scene: Scene<'v>,
    variables: Vec<(&'v str, Val<'v>)>,
    out: String,
    steps: u64,
}

/// How a list of nodes ended.
#[derive(Clone, Copy, PartialEq)]
enum Flow {
    Next,
    Break,
    Continue,
}

type Step<T> = Result<T, TemplateError>;

impl<'v> Machine<'v> {
    pub(super) fn new(source: &'v str, root: &'v Value, scene: Scene<'v>) -> Self {
        let variables = vec![("$", Val::from_json(root, false))];
        Self { source, scene, variables, out: String::new(), steps: 0 }
    }

    pub(super) fn run(&mut self, nodes: &'v [Node], root: &'v Value) -> Step<()> {
        self.list(nodes, &Val::from_json(root, false)).map(drop)
    }

    pub(super) fn into_text(self) -> String {
        self.out
    }

    fn list(&mut self, nodes: &'v [Node], dot: &Val<'v>) -> Step<Flow> {
        for node in nodes {
            let flow = match node {
                Node::Text(text) => {
                    self.out.push_str(text);
                    Flow::Next
                }
                Node::Print(pipeline) => self.print(pipeline, dot)?,
                Node::Branch(branch) => self.branch(branch, dot)?,
                Node::Range(range) => self.range(range, dot)?,
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            self.step(0)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    /// Counts one step, and checks what has been written so far.
    fn step(&mut self, at: usize) -> Step<()> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(self.fault(at, Fault::TooManySteps(MAX_STEPS)));
        }
        if self.out.len() > MAX_MIB << 20 {
            return Err(self.fault(at, Fault::TooMuchText(MAX_MIB)));
        }
        Ok(())
    }

    fn print(&mut self, pipeline: &'v Pipeline, dot: &Val<'v>) -> Step<Flow> {
        let value = self.pipeline(pipeline, dot)?;
        if pipeline.variables.is_empty() {
            value.print(&mut self.out);
        }
        Ok(Flow::Next)
    }

    fn branch(&mut self, branch: &'v Branch, dot: &Val<'v>) -> Step<Flow> {
        let scope = self.variables.len();
        let mut chosen = (&branch.otherwise[..], dot.clone());
        for (test, body) in &branch.arms {
            let value = self.pipeline(test, dot)?;
            self.step(test.at)?;
            if value.is_true() {
                chosen = (body, if branch.sets_dot { value } else { dot.clone() });
                break;
            }
        }
        let flow = self.list(chosen.0, &chosen.1)?;
        self.variables.truncate(scope);
        Ok(flow)
    }

    fn range(&mut self, range: &'v Range, dot: &Val<'v>) -> Step<Flow> {
        let scope = self.variables.len();
        let over = self.commands(&range.over, dot)?;
        let mut rounds: Box<dyn Iterator<Item = (Val<'v>, Val<'v>)>> = match &over {
            Val::Absent | Val::Nil => Box::new(std::iter::empty()),
            Val::Int(count) => Box::new((0..*count).map(|index| (Val::Int(index), Val::Int(index)))),
            Val::Map(map, _) => Box::new(
                sorted(map)
                    .into_iter()
                    .map(|(key, value)| (Val::Text(Cow::Borrowed(key)), Val::from_json(value, false))),
            ),
            Val::Array(_) | Val::List(_) => {
                let elements = over.elements().unwrap_or_default();
                Box::new((0..).map(Val::Int).zip(elements))
            }
            other => return Err(self.fault(range.over.at, Fault::NotIterable(other.kind()))),
        };
        let Some(first) = rounds.next() else {
            let flow = self.list(&range.otherwise, dot)?;
            self.variables.truncate(scope);
            return Ok(flow);
        };
        for (key, element) in std::iter::once(first).chain(rounds) {
            self.step(range.over.at)?;
            self.set_round(&range.over, key, &element);
            let flow = self.list(&range.body, &element)?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
    }

    /// Sets a loop's variables: one gets the element, two get key and element.
    fn set_round(&mut self, over: &'v Pipeline, key: Val<'v>, element: &Val<'v>) {
        match &over.variables[..] {
            [only] => self.set(only, element.clone(), over.assigns),
            [first, second] => {
                self.set(first, key, over.assigns);
                self.set(second, element.clone(), over.assigns);
            }
            _ => {}
        }
    }

    fn set(&mut self, name: &'v str, value: Val<'v>, assigns: bool) {
        let known = self.variables.iter_mut().rev().find(|(known, _)| *known == name);
        match known {
            Some(slot) if assigns => slot.1 = value,
            _ => self.variables.push((name, value)),
        }
    }

    fn pipeline(&mut self, pipeline: &'v Pipeline, dot: &Val<'v>) -> Step<Val<'v>> {
        let value = self.commands(pipeline, dot)?;
        for name in &pipeline.variables {
            self.set(name, value.clone(), pipeline.assigns);
        }
        Ok(value)
    }

    /// Runs the commands, each getting the value of the one before as its last argument.
    fn commands(&mut self, pipeline: &'v Pipeline, dot: &Val<'v>) -> Step<Val<'v>> {
        let mut piped = None;
        for command in &pipeline.commands {
            self.step(command.head.at)?;
            let value = self.command(command, dot, piped)?;
            self.steps += value.weight();
            piped = Some(value);
        }
        Ok(piped.unwrap_or(Val::Absent))
    }

    fn command(&mut self, command: &'v Command, dot: &Val<'v>, piped: Option<Val<'v>>) -> Step<Val<'v>> {
        let head = &command.head;
        let bare = command.arguments.is_empty() && piped.is_none();
        match &head.base {
            Base::Function(name) => {
                let value = self.call(name, command, dot, piped)?;
                self.fields(value, &head.fields, head.at)
            }
            Base::Nil if bare => Err(self.fault(head.at, Fault::NilCommand)),
            _ if bare => self.operand(head, dot),
            _ if head.fields.last().is_some_and(|last| last.name == "Label") => {
                self.label(command, dot, piped)
            }
            _ => Err(self.fault(head.at, Fault::NotAFunction(self.quote(head).to_owned()))),
        }
    }

    fn call(
        &mut self,
        name: &'v str,
        command: &'v Command,
        dot: &Val<'v>,
        piped: Option<Val<'v>>,
    ) -> Step<Val<'v>> {
        let at = command.head.at;
        if let Some(stops_at) = function::short_circuit(name) {
            return self.short_circuit(stops_at, command, dot, piped);
        }
        let mut arguments = Vec::with_capacity(command.arguments.len() + 1);
        for argument in &command.arguments {
            arguments.push(self.operand(argument, dot)?);
        }
        arguments.extend(piped);
        if self.scene.header && function::leaves_headings(name) && !arguments.is_empty() {
            return Ok(arguments.swap_remove(0));
        }
        function::call(name, &arguments).map_err(|fault| self.fault(at, fault))
    }

    /// `and` and `or`: the first argument whose truth is `stops_at`, or else the last.
    fn short_circuit(
        &mut self,
        stops_at: bool,
        command: &'v Command,
        dot: &Val<'v>,
        piped: Option<Val<'v>>,
    ) -> Step<Val<'v>> {
        let mut last = None;
        for argument in &command.arguments {
            let value = self.operand(argument, dot)?;
            if value.is_true() == stops_at {
                return Ok(value);
            }
            last = Some(value);
        }
        let function = if stops_at { "or" } else { "and" }.to_owned();
        let missing = Fault::ArgumentCount { function, want: "at least 1", got: 0 };
        piped.or(last).ok_or_else(|| self.fault(command.head.at, missing))
    }

    /// `{{.Label "key"}}`: the label of a row, or of an object that has `Labels`.
    fn label(&mut self, command: &'v Command, dot: &Val<'v>, piped: Option<Val<'v>>) -> Step<Val<'v>> {
        let head = &command.head;
        let mut given = Vec::new();
        for argument in &command.arguments {
            given.push(self.operand(argument, dot)?);
        }
        given.extend(piped);
        let [Val::Text(key)] = &given[..] else {
            let fault = Fault::ArgumentCount { function: "Label".into(), want: "1 string", got: given.len() };
            return Err(self.fault(head.at, fault));
        };
        if self.scene.header {
            let last = key.rsplit('.').next().unwrap_or_default();
            return Ok(Val::Text(Cow::Owned(last.replace(['-', '_'], " "))));
        }
        let base = self.base(head, dot)?;
        let owner = self.fields(base, &head.fields[..head.fields.len() - 1], head.at)?;
        let labels = match &owner {
            Val::Map(map, _) => map.get("Labels").and_then(Value::as_object).or(self.scene.labels),
            other => {
                let fault = Fault::NotAnObject { field: "Label".into(), kind: other.kind() };
                return Err(self.fault(head.at, fault));
            }
        };
        let found = labels.and_then(|labels| labels.get(key.as_ref()));
        Ok(found.map_or(Val::Text(Cow::Borrowed("")), |label| Val::from_json(label, false)))
    }

    fn operand(&mut self, operand: &'v Operand, dot: &Val<'v>) -> Step<Val<'v>> {
        let base = match &operand.base {
            Base::Function(name) => self.call_alone(name, operand.at)?,
            _ => self.base(operand, dot)?,
        };
        self.steps += base.weight();
        self.fields(base, &operand.fields, operand.at)
    }

    /// A function as an argument, without arguments of its own.
    fn call_alone(&self, name: &str, at: usize) -> Step<Val<'v>> {
        let called = match function::short_circuit(name) {
            Some(_) => Err(Fault::ArgumentCount { function: name.to_owned(), want: "at least 1", got: 0 }),
            None => function::call(name, &[]),
        };
        called.map_err(|fault| self.fault(at, fault))
    }

    fn base(&mut self, operand: &'v Operand, dot: &Val<'v>) -> Step<Val<'v>> {
        Ok(match &operand.base {
            Base::Dot => dot.clone(),
            Base::Variable(name) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                known.map_or(Val::Absent, |(_, value)| value.clone())
            }
            Base::Function(_) | Base::Nil => Val::Nil,
            Base::Bool(bool) => Val::Bool(*bool),
            Base::Number(number) => Val::from_literal(*number),
            Base::Text(text) => Val::Text(Cow::Borrowed(text)),
            Base::Paren(inner) => self.pipeline(inner, dot)?,
        })
    }

    fn fields(&self, base: Val<'v>, fields: &'v [Field], start: usize) -> Step<Val<'v>> {
        let mut value = base;
        for field in fields {
            value = self.field(&value, field, start)?;
        }
        Ok(value)
    }

    fn field(&self, owner: &Val<'v>, field: &'v Field, start: usize) -> Step<Val<'v>> {
        let name = &field.name[..];
        let Val::Map(map, open) = owner else {
            let fault = Fault::NotAnObject { field: name.to_owned(), kind: owner.kind() };
            return Err(self.fault(field.at, fault));
        };
        let shape = self.scene.shape;
        match map.get(name) {
            Some(value) => Ok(Val::from_json(value, !open && shape.is_open(name))),
            None if *open => Ok(Val::Absent),
            None if shape.is_optional(name) && shape.is_open(name) => Ok(Val::empty_map()),
            None if shape.is_optional(name) => Ok(Val::Text(Cow::Borrowed(""))),
            None => Err(self.fault(field.at, missing_field(map, name, &self.source[start..field.at]))),
        }
    }

    /// The operand as it is written.
    fn quote(&self, operand: &Operand) -> &'v str {
        &self.source[operand.at..operand.end]
    }

    fn fault(&self, offset: usize, fault: Fault) -> TemplateError {
        TemplateError { position: Position::in_source(self.source, offset), fault }
    }
}

/// The fault of a field that `map` does not have; one that differs in case alone is nearest.
fn missing_field(map: &Map<String, Value>, name: &str, of: &str) -> Fault {
    let known: Vec<String> = sorted(map).into_iter().map(|(key, _)| key.clone()).collect();
    let same: Vec<&str> =
        known.iter().map(String::as_str).filter(|key| key.eq_ignore_ascii_case(name)).collect();
    let close = if same.is_empty() { near(name, known.iter().map(String::as_str)) } else { same };
    let near = close.into_iter().map(str::to_owned).collect();
    Fault::NoField { field: name.to_owned(), of: of.to_owned(), near, known }
}
