//! The reader of `pontoon-compose`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pontoon_compose::{Project, Request, config, load};
use pontoon_model::Diagnose;

use crate::input::text;

/// [`load`] and [`config`]. Behind each line `#### NAME` is another file; the first is `compose.yaml`.
pub fn compose(data: &[u8]) {
    let text = text(data);
    let mut files = BTreeMap::new();
    for (number, part) in text.split("#### ").enumerate() {
        let (name, text) = match number {
            0 => ("compose.yaml", part),
            _ => part.split_once('\n').unwrap_or((part, "")),
        };
        files.insert(Path::new("/project").join(name), text.to_owned());
    }
    match load(&request(), &files) {
        Ok(project) => reads_again(&project, &files),
        Err(errors) => {
            assert!(!errors.0.is_empty());
            for error in &errors.0 {
                assert!(!error.to_string().is_empty() && !error.code().is_empty());
                assert_ne!(error.hint().as_deref(), Some(""));
            }
        }
    }
}

fn request() -> Request {
    Request { working_directory: "/project".into(), profiles: vec!["*".into()], ..Request::default() }
}

/// The document that [`config`] makes says the same.
fn reads_again(project: &Project, files: &BTreeMap<PathBuf, String>) {
    let config = config(&request(), files).expect("what can be read can be written");
    for text in [config.yaml(), config.json()] {
        let files: BTreeMap<PathBuf, String> =
            [(Path::new("/project/compose.yaml").to_owned(), text.clone())].into();
        let again = load(&request(), &files).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        assert_eq!(again.name, project.name);
        assert_eq!(again.networks, project.networks, "{text}");
        assert_eq!(again.cables, project.cables, "{text}");
        assert_eq!(again.services.len(), project.services.len(), "{text}");
        for service in &project.services {
            let mut other = again.services.iter().find(|other| other.name == service.name).cloned();
            if let Some(other) = &mut other {
                // Keys of mappings come back in another order.
                other.depends_on.sort_by_key(|other| position(service, &other.service));
            }
            assert_eq!(other.as_ref(), Some(service), "{text}");
        }
    }
}

fn position(service: &pontoon_compose::project::Service, name: &str) -> Option<usize> {
    service.depends_on.iter().position(|dependency| dependency.service == name)
}
