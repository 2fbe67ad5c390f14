//! Each code has its page, each page its code, and the index has all of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pontoon_explain::path::Code;

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference")
}

#[test]
fn each_code_has_its_page_and_each_page_its_code() {
    let codes: BTreeSet<String> = Code::ALL.iter().map(|code| code.name().to_owned()).collect();
    assert_eq!(codes.len(), Code::ALL.len(), "two codes have one name");
    let pages = fs::read_dir(reference().join("codes")).expect("the pages are there");
    let names = pages.map(|page| page.unwrap().file_name().into_string().unwrap());
    let pages: BTreeSet<String> = names.map(|name| name.trim_end_matches(".md").to_owned()).collect();
    assert_eq!(pages, codes);
}

#[test]
fn each_page_begins_with_its_code_and_is_in_the_index() {
    let index = fs::read_to_string(reference().join("codes.md")).expect("the index is there");
    for code in Code::ALL {
        let page = fs::read_to_string(reference().join(format!("codes/{code}.md"))).unwrap();
        assert!(page.starts_with(&format!("# {code}: ")), "{code}");
        for part in ["```sh\n", "**How it comes about.**", "**What to do.**"] {
            assert!(page.contains(part), "{code}: no {part}");
        }
        assert!(index.contains(&format!("[`{code}`](codes/{code}.md)")), "{code} is not in the index");
    }
}
