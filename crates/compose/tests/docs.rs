//! What the reference shows can be read, without a warning.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pontoon_compose::{Request, load};

#[test]
fn every_example_of_the_reference_is_read() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/compose.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let examples: Vec<&str> =
        page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    assert!(examples.len() >= 5, "only {} examples", examples.len());
    for example in examples {
        let files: BTreeMap<PathBuf, String> = [("/project/compose.yaml".into(), example.to_owned())].into();
        let request = Request { working_directory: "/project".into(), ..Request::default() };
        let project = load(&request, &files).unwrap_or_else(|errors| panic!("{errors}\n{example}"));
        assert_eq!(project.warnings, [], "{example}");
        assert!(!project.services.is_empty(), "{example}");
    }
}
