//! What `config` makes of a project reads as the same project.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pontoon_compose::{Project, Request, config, load};

/// The project without what is told of files alone, and without the order of their keys.
fn essence(mut project: Project) -> Project {
    project.services.sort_by(|left, right| left.name.cmp(&right.name));
    for service in &mut project.services {
        service.depends_on.sort_by(|left, right| left.service.cmp(&right.service));
    }
    project.expectations.sort_by_key(|expectation| format!("{expectation:?}"));
    Project { warnings: Vec::new(), inactive: Vec::new(), ..project }
}

fn again(text: String) -> Project {
    let files: BTreeMap<PathBuf, String> = [(Path::new("/project/compose.yaml").into(), text)].into();
    let request =
        Request { working_directory: "/project".into(), profiles: vec!["*".into()], ..Request::default() };
    load(&request, &files).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn every_case_is_the_same_when_it_is_read_again() {
    let mut read = 0;
    for (path, request, files) in common::cases() {
        let Ok(project) = load(&request, &files) else {
            assert!(config(&request, &files).is_err(), "{}", path.display());
            continue;
        };
        let config = config(&request, &files).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(config.warnings, project.warnings);
        let project = essence(project);
        for text in [config.yaml(), config.json()] {
            assert_eq!(essence(again(text.clone())), project, "{}\n{text}", path.display());
        }
        read += 1;
    }
    assert!(read >= 50, "only {read} cases can be read");
}

#[test]
fn the_document_is_in_the_long_forms() {
    let text = "services: {web: {command: echo $$HOME, ports: ['127.0.0.1:80:80'], environment: [A=1], labels: {x: 'y: z'}}}";
    let files: BTreeMap<PathBuf, String> = [(Path::new("/project/compose.yaml").into(), text.into())].into();
    let request = Request { working_directory: "/project".into(), ..Request::default() };
    let expected = "\
name: project
networks:
  default:
    name: project_default
services:
  web:
    command:
      - echo
      - \"$$HOME\"
    environment:
      A: \"1\"
    labels:
      x: \"y: z\"
    networks:
      default: null
    ports:
      - host_ip: \"127.0.0.1\"
        protocol: tcp
        published: \"80\"
        target: 80
    x-pontoon:
      runtime: process
";
    assert_eq!(config(&request, &files).unwrap_or_else(|errors| panic!("{errors}")).yaml(), expected);
}
