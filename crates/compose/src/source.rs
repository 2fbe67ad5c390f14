//! Files found, read, and made into one tree.

mod extends;
mod find;
mod include;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::error::{ComposeErrors, Fault};
use crate::report::{Environment, Report, Scope};
use crate::yaml::{Data, Map, Mark, Node, parse};
use crate::{Files, Request, canonical, interpolate, merge, name, path, schema};

pub(crate) use include::DEFAULT_RUNTIME;

/// All files as one.
#[derive(Debug)]
pub(crate) struct Sources {
    /// The tree, in the long forms.
    pub(crate) tree: Node,
    /// The project's name.
    pub(crate) name: String,
    /// Where relative paths start.
    pub(crate) directory: PathBuf,
    /// The variables.
    pub(crate) environment: Environment,
}

/// What reading files needs.
pub(crate) struct Reader<'a> {
    files: &'a dyn Files,
    working_directory: &'a Path,
    report: Report,
}

/// What a file is read with.
struct Context<'a> {
    /// Where its relative paths start.
    directory: &'a Path,
    /// The variables.
    environment: &'a Environment,
    /// Files that are being included, the outermost first.
    including: &'a [PathBuf],
}

/// A document of a file.
struct Document {
    path: PathBuf,
    tree: Node,
}

/// Reads all files of a request; what is wrong with what they say is in the report.
///
/// # Errors
///
/// When there are none, or one cannot be read at all.
pub(crate) fn gather(request: &Request, files: &dyn Files) -> Result<(Sources, Report), ComposeErrors> {
    let working_directory = request.working_directory.as_path();
    let mut reader = Reader { files, working_directory, report: Report::default() };
    let found = find::find(&mut reader, request);
    let mut documents = Vec::new();
    for path in found.as_ref().map_or(&[][..], |found| &found.files) {
        documents.extend(reader.documents(path, None));
    }
    let Some(mut found) = found.filter(|_| reader.report.errors.is_empty()) else {
        return Err(ComposeErrors(reader.report.errors));
    };
    let name = project_name(&mut reader, request, &found, &documents);
    let name = name.ok_or_else(|| ComposeErrors(std::mem::take(&mut reader.report.errors)))?;
    found.environment.insert("COMPOSE_PROJECT_NAME".into(), name.clone());
    let context =
        Context { directory: &found.directory, environment: &found.environment, including: &found.files };
    let tree = reader.merged(documents, &context);
    let find::Found { directory, environment, .. } = found;
    Ok((Sources { tree, name, directory, environment }, reader.report))
}

/// `--project-name`, `COMPOSE_PROJECT_NAME`, the last `name:`, or the directory's.
fn project_name(
    reader: &mut Reader<'_>,
    request: &Request,
    found: &find::Found,
    documents: &[Document],
) -> Option<String> {
    let given = request.project_name.as_ref().or_else(|| found.environment.get("COMPOSE_PROJECT_NAME"));
    if let Some(given) = given.filter(|given| !given.is_empty()) {
        let valid = name::valid(given).map_err(|fault| reader.report.push(fault.at(None)));
        return valid.ok();
    }
    let named = documents.iter().rev().find_map(|document| document.tree.get("name"));
    let Some((node, text)) = named.and_then(|node| Some((node, node.as_text()?))) else {
        let made = name::of_directory(&found.directory);
        return made.map_err(|fault| reader.report.push(fault.at(None))).ok();
    };
    let result = {
        let mut scope = Scope { environment: &found.environment, report: &mut reader.report, at: &node.at };
        interpolate::substitute(text, &mut scope)
    };
    let text = reader.report.take(&node.at, result)?;
    reader.report.take(&node.at, name::valid(&text))
}

impl Reader<'_> {
    /// The text of a file that has to be there. `from` is where it is named.
    fn text(&mut self, path: &Path, from: Option<&Mark>) -> Option<String> {
        let fault = match self.files.read(path) {
            Ok(Some(text)) => return Some(text),
            Ok(None) => Fault::Missing(path.to_owned()),
            Err(reason) => Fault::Unreadable { path: path.to_owned(), reason },
        };
        self.report.push(fault.at(from.and_then(Into::into)));
        None
    }

    /// The documents of a file that has to be there; empty ones are left out.
    fn documents(&mut self, path: &Path, from: Option<&Mark>) -> Vec<Document> {
        let Some(text) = self.text(path, from) else { return Vec::new() };
        match parse(&text, &path::shown(self.working_directory, path)) {
            Ok(trees) => trees.into_iter().map(|tree| Document { path: path.to_owned(), tree }).collect(),
            Err(error) => {
                self.report.push(error);
                Vec::new()
            }
        }
    }

    /// One tree of several documents, each over those before it.
    fn merged(&mut self, documents: Vec<Document>, context: &Context<'_>) -> Node {
        let nowhere = Mark { file: Rc::from(""), line: 1, column: 1 };
        let mut whole = Node::new(&nowhere, Data::Map(Map::default()));
        for document in documents {
            let tree = self.prepared(document, context);
            if tree.as_map().is_some() {
                merge::merge(&mut whole, tree);
            }
        }
        merge::settle(&mut whole);
        whole
    }

    /// A document with its variables replaced, checked, in the long forms, with what it extends and includes.
    fn prepared(&mut self, document: Document, context: &Context<'_>) -> Node {
        let Document { path, tree } = document;
        let mut tree = self.long(tree, context);
        extends::resolve(self, &mut tree, &path, context);
        include::resolve(self, &mut tree, context);
        tree
    }

    /// A document with its variables replaced, checked, in the long forms.
    fn long(&mut self, mut tree: Node, context: &Context<'_>) -> Node {
        replace_variables(&mut tree, context.environment, &mut self.report);
        schema::check(&tree, &schema::FILE, "", &mut self.report);
        canonical::file(&mut tree, context.directory, &mut self.report);
        tree
    }
}

/// Replaces the variables in all values.
fn replace_variables(node: &mut Node, environment: &Environment, report: &mut Report) {
    match &mut node.data {
        Data::Null => {}
        Data::Scalar { text, .. } if !text.contains('$') => {}
        Data::Scalar { text, .. } => {
            let result = {
                let mut scope = Scope { environment, report, at: &node.at };
                interpolate::substitute(text, &mut scope)
            };
            if let Some(replaced) = report.take(&node.at, result) {
                *text = replaced;
            }
        }
        Data::List(items) => {
            items.iter_mut().for_each(|item| replace_variables(item, environment, report));
        }
        Data::Map(map) => {
            map.0.iter_mut().for_each(|entry| replace_variables(&mut entry.node, environment, report));
        }
    }
}
