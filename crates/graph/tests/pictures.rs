//! The pictures of a small host, as they are kept in `small.*`: with `UPDATE_GOLDEN` set, they are written anew.

mod common;

use std::path::Path;

use anstream::adapter::strip_str;
use common::small;
use pontoon_graph::{Graph, dot, mermaid, svg, text};

fn check(name: &str, drawn: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, drawn).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert_eq!(drawn, kept, "{name} is drawn otherwise: look at it, and bless it");
}

#[test]
fn a_small_host() {
    let graph = small();
    let plain = strip_str(&text(&graph)).to_string();
    assert!(plain.lines().all(|line| line.chars().count() <= 100), "{plain}");
    check("small.txt", &plain);
    check("small.svg", &svg(&graph));
    check("small.mmd", &mermaid(&graph));
    check("small.dot", &dot(&graph));
    check("small.json", &graph.json());
}

#[test]
fn a_host_with_nothing() {
    let graph = Graph::default();
    assert_eq!(strip_str(&text(&graph)).to_string(), "host  no default route\n");
    assert!(svg(&graph).contains("outside"));
}

fn names(graph: &Graph) -> (Vec<&str>, Vec<&str>, usize) {
    let networks = graph.networks.iter().map(|network| network.name.as_str()).collect();
    let containers = graph.containers.iter().map(|container| container.name.as_str()).collect();
    (networks, containers, graph.cables.len())
}

#[test]
fn a_part_is_about_what_was_asked_for() {
    let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let of = |networks: &[&str], containers: &[&str]| small().narrowed(&list(networks), &list(containers));
    assert_eq!(names(&of(&[], &[])), names(&small()), "nothing asked for is everything");
    // web is on blue and cellar, and its cable leads to netns-theirs.
    assert_eq!(names(&of(&[], &["web"])), (vec!["blue", "cellar"], vec!["netns-theirs", "web"], 1));
    let cellar = of(&["cellar"], &[]);
    assert_eq!(names(&cellar), (vec!["cellar"], vec!["db", "netns-theirs", "web"], 2));
    let web = cellar.containers.iter().find(|container| container.name == "web").unwrap();
    assert_eq!(web.interfaces.iter().map(|interface| interface.name.as_str()).collect::<Vec<_>>(), ["eth1"]);
    assert_eq!(names(&of(&["blue"], &["db"])), (vec!["blue"], vec!["db"], 1));
    assert_eq!(names(&of(&[], &["lone"])), (vec![], vec!["lone"], 0));
}
