//! YAML as a tree whose nodes and keys know where they are from.
//!
//! Source: YAML 1.2.2; the merge key `<<` of YAML 1.1 (<https://yaml.org/type/merge.html>).

use std::collections::BTreeMap;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag as YamlTag};

use crate::error::{ComposeError, Fault, Position};

/// Deeper than this is no compose file.
const DEEPEST: usize = 64;
/// More nodes than this, those behind aliases counted each time, is no compose file.
const MOST: usize = 100_000;

/// A place in a file, cheap to copy.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub(crate) file: Rc<str>,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl From<&Mark> for Position {
    fn from(mark: &Mark) -> Self {
        Self { file: mark.file.to_string(), line: mark.line, column: mark.column }
    }
}

impl From<&Mark> for Option<Position> {
    fn from(mark: &Mark) -> Self {
        Some(mark.into())
    }
}

/// What a file says about the merging of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merging {
    /// Nothing: as the rules have it.
    Usual,
    /// `!reset`: what is below it in earlier files is taken away.
    Reset,
    /// `!override`: it replaces what earlier files have.
    Override,
}

/// A node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: Mark,
    pub(crate) merging: Merging,
    pub(crate) data: Data,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    Null,
    /// A text; whether it was written without quotes, so that it may be a number or a truth value.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Map),
}

/// A mapping, in the order of the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Map(pub(crate) Vec<Entry>);

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: Mark,
    pub(crate) node: Node,
}

impl Map {
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.0.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.0.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.node)
    }

    /// The value of `key`, which is `null` if it was not there.
    pub(crate) fn entry(&mut self, key: &str, at: &Mark) -> &mut Node {
        let position = self.0.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
            self.0.push(Entry { key: key.to_owned(), at: at.clone(), node: Node::null(at) });
            self.0.len() - 1
        });
        &mut self.0[position].node
    }

    pub(crate) fn set(&mut self, key: &str, node: Node) {
        let at = node.at.clone();
        *self.entry(key, &at) = node;
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<Entry> {
        let position = self.0.iter().position(|entry| entry.key == key)?;
        Some(self.0.remove(position))
    }
}

impl Node {
    pub(crate) fn new(at: &Mark, data: Data) -> Self {
        Self { at: at.clone(), merging: Merging::Usual, data }
    }

    pub(crate) fn null(at: &Mark) -> Self {
        Self::new(at, Data::Null)
    }

    pub(crate) fn text(at: &Mark, text: impl Into<String>) -> Self {
        Self::new(at, Data::Scalar { text: text.into(), plain: false })
    }

    /// A text that is a number or a truth value where it looks like one.
    pub(crate) fn plain(at: &Mark, text: impl Into<String>) -> Self {
        Self::new(at, Data::Scalar { text: text.into(), plain: true })
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.data, Data::Null)
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Node]> {
        match &self.data {
            Data::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn as_map(&self) -> Option<&Map> {
        match &self.data {
            Data::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn as_map_mut(&mut self) -> Option<&mut Map> {
        match &mut self.data {
            Data::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The value of `key` in a mapping, unless it is null.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key).filter(|node| !node.is_null())
    }

    /// The entries of a mapping; none of anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        self.as_map().map_or(&[], |map| map.0.as_slice())
    }

    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Null => "nothing",
            Data::Scalar { .. } => "a text",
            Data::List(_) => "a list",
            Data::Map(_) => "a mapping",
        }
    }

    /// How many levels it has.
    fn height(&self) -> usize {
        match &self.data {
            Data::Null | Data::Scalar { .. } => 1,
            Data::List(items) => 1 + items.iter().map(Node::height).max().unwrap_or(0),
            Data::Map(map) => 1 + map.0.iter().map(|entry| entry.node.height()).max().unwrap_or(0),
        }
    }

    /// Whether both say the same, wherever they are from. The order of keys means nothing.
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (&self.data, &other.data) {
            (Data::Null, Data::Null) => true,
            (Data::Scalar { text, .. }, Data::Scalar { text: other, .. }) => text == other,
            (Data::List(items), Data::List(others)) => {
                items.len() == others.len() && items.iter().zip(others).all(|(item, other)| item.same(other))
            }
            (Data::Map(map), Data::Map(other)) => {
                let in_other =
                    |entry: &Entry| other.get(&entry.key).is_some_and(|node| entry.node.same(node));
                map.0.len() == other.0.len() && map.0.iter().all(in_other)
            }
            _ => false,
        }
    }
}

/// The documents of a text; empty ones are left out.
///
/// # Errors
///
/// Where it is not YAML, has a key twice or a tag that means nothing here.
pub(crate) fn parse(text: &str, file: &str) -> Result<Vec<Node>, ComposeError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder =
        Builder { events: Parser::new_from_str(text), file: file.into(), anchors: BTreeMap::new(), nodes: 0 };
    let mut documents = Vec::new();
    loop {
        let (event, span) = builder.next()?;
        match event {
            Event::StreamEnd => return Ok(documents),
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            event => {
                let node = builder.node(event, span, 0)?;
                if !node.is_null() {
                    documents.push(node);
                }
            }
        }
    }
}

/// What an alias stands for.
struct Anchor {
    node: Node,
    nodes: usize,
    height: usize,
}

struct Builder<'a> {
    events: Parser<'a, StrInput<'a>>,
    file: Rc<str>,
    anchors: BTreeMap<usize, Anchor>,
    nodes: usize,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), ComposeError> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let at = self.mark(error.marker().line(), error.marker().col());
                Err(Fault::Yaml(error.info().to_owned()).at(&at))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn mark(&self, line: usize, column: usize) -> Mark {
        Mark { file: Rc::clone(&self.file), line: line.max(1), column: column + 1 }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, ComposeError> {
        let at = self.mark(span.start.line(), span.start.col());
        self.nodes += 1;
        if depth > DEEPEST {
            return Err(too_deep(&at));
        }
        let before = self.nodes;
        let (data, anchor, tag) = match event {
            Event::Alias(anchor) => return self.alias(anchor, &at, depth),
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.as_ref().is_none_or(|tag| !is_text(tag));
                let null = plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let data = if null { Data::Null } else { Data::Scalar { text: text.into_owned(), plain } };
                (data, anchor, tag)
            }
            Event::SequenceStart(anchor, tag) => (Data::List(self.list(depth)?), anchor, tag),
            Event::MappingStart(anchor, tag) => (Data::Map(self.map(depth)?), anchor, tag),
            _ => return Err(Fault::Yaml("a value is missing".into()).at(&at)),
        };
        let merging = tag.map_or(Ok(Merging::Usual), |tag| merging(&tag)).map_err(|fault| fault.at(&at))?;
        let node = Node { at, merging, data };
        if anchor > 0 {
            let (nodes, height) = (self.nodes - before + 1, node.height());
            self.anchors.insert(anchor, Anchor { node: node.clone(), nodes, height });
        }
        self.enough(&node.at)?;
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, at: &Mark, depth: usize) -> Result<Node, ComposeError> {
        let inside = || Fault::Yaml("an alias stands in what it stands for".into()).at(at);
        let anchor = self.anchors.get(&anchor).ok_or_else(inside)?;
        if depth + anchor.height > DEEPEST + 1 {
            return Err(too_deep(at));
        }
        self.nodes += anchor.nodes;
        let node = anchor.node.clone();
        self.enough(at)?;
        Ok(node)
    }

    fn enough(&self, at: &Mark) -> Result<(), ComposeError> {
        let fault =
            Fault::TooMuch("there are more than 100000 values, those behind aliases counted each time");
        if self.nodes > MOST { Err(fault.at(at)) } else { Ok(()) }
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, ComposeError> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(items);
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<Map, ComposeError> {
        let mut map = Map::default();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let node = self.node(event, span, depth + 1)?;
            let Data::Scalar { text, plain } = key.data else {
                let fault = Fault::Kind { place: "a key".into(), expected: "a text", found: key.kind() };
                return Err(fault.at(&key.at));
            };
            if text == "<<" && plain {
                merged.push(node);
            } else if map.get(&text).is_some() {
                return Err(Fault::DuplicateKey(text).at(&key.at));
            } else {
                map.0.push(Entry { key: text, at: key.at, node });
            }
        }
        for node in merged {
            merge_key(&mut map, node)?;
        }
        Ok(map)
    }
}

fn too_deep(at: &Mark) -> ComposeError {
    Fault::TooMuch("it is nested more than 64 deep").at(at)
}

/// Adds what `<<` brings: entries that are not there yet.
fn merge_key(map: &mut Map, node: Node) -> Result<(), ComposeError> {
    match node.data {
        Data::Map(from) => {
            for entry in from.0 {
                if map.get(&entry.key).is_none() {
                    map.0.push(entry);
                }
            }
            Ok(())
        }
        Data::List(items) if items.iter().all(|item| item.as_map().is_some()) => {
            items.into_iter().try_for_each(|item| merge_key(map, item))
        }
        Data::Null => Ok(()),
        _ => Err(Fault::MergeKey.at(&node.at)),
    }
}

/// Whether a tag says that a scalar is a text, whatever it looks like: `!!str`, or `!` alone.
fn is_text(tag: &YamlTag) -> bool {
    tag.is_yaml_core_schema() && tag.suffix == "str" || format!("{}{}", tag.handle, tag.suffix) == "!"
}

fn merging(tag: &YamlTag) -> Result<Merging, Fault> {
    match format!("{}{}", tag.handle, tag.suffix).as_str() {
        "!reset" => Ok(Merging::Reset),
        "!override" => Ok(Merging::Override),
        "!" => Ok(Merging::Usual),
        _ if tag.is_yaml_core_schema() => Ok(Merging::Usual),
        other => Err(Fault::Tag(other.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Node {
        parse(text, "f").unwrap_or_else(|error| panic!("{text}: {error}")).remove(0)
    }

    fn error(text: &str) -> String {
        parse(text, "f").expect_err(text).to_string()
    }

    #[test]
    fn keys_and_values_know_their_places() {
        let node = one("a:\n  b: [1, two]\n");
        let inner = node.get("a").and_then(|a| a.get("b")).unwrap();
        let two = &inner.as_list().unwrap()[1];
        assert_eq!((two.at.line, two.at.column, two.as_text()), (2, 10, Some("two")));
        let key = &node.get("a").unwrap().entries()[0];
        assert_eq!((key.at.line, key.at.column), (2, 3));
    }

    #[test]
    fn aliases_and_merge_keys_are_followed() {
        let text = "x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz: {<<: [*x, *y], a: 0}\nw: {<<: *x}\n";
        let node = one(text);
        assert!(node.get("z").unwrap().same(&one("{a: 0, b: 2, c: 4}")));
        assert!(node.get("w").unwrap().same(&one("{b: 2, a: 1}")));
        assert!(one("{\"<<\": 1}").get("<<").is_some(), "a quoted key is a key");
    }

    #[test]
    fn tags_say_how_to_merge() {
        let node = one("a: !reset []\nb: !override {c: 1}\nd: !!str 1\n");
        assert_eq!(node.as_map().unwrap().get("a").unwrap().merging, Merging::Reset);
        assert_eq!(node.get("b").unwrap().merging, Merging::Override);
        assert!(matches!(node.get("d").unwrap().data, Data::Scalar { plain: false, .. }));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        assert_eq!(error("a: 1\nb: 2\na: 3\n"), "f:3:1: `a` is there twice");
        assert_eq!(error("a: !secret x\n"), "f:1:4: tag `!secret` is not one of compose files");
        assert_eq!(error("<<: 1\n"), "f:1:5: `<<` takes a mapping, or a list of them");
        assert_eq!(error("[a]: 1\n"), "f:1:1: a key has to be a text, not a list");
        assert!(error("a: [1\n").starts_with("f:2:1: this is not YAML: "), "{}", error("a: [1\n"));
    }

    #[test]
    fn nothing_grows_out_of_bounds() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let before = format!("*a{}", level - 1);
            text.push_str(&format!("a{level}: &a{level} [{}]\n", [before.as_str(); 10].join(", ")));
        }
        assert!(error(&text).contains("100000"), "{}", error(&text));
        assert!(error(&"[".repeat(100)).contains("64 deep"));
        let deep = |levels: usize| {
            let (open, close) = ("[".repeat(levels), "]".repeat(levels));
            format!("a: &a {open}x{close}\nb: {open}*a{close}\n")
        };
        assert!(error(&deep(40)).contains("64 deep"));
        assert!(parse(&deep(31), "f").is_ok());
        assert!(error("a: &a [*a]").contains("stands in"), "{}", error("a: &a [*a]"));
    }
}
