//! The parsers of `pontoon-format`.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pontoon_format::{Filters, InspectFormat, Key, Kind, ListFormat, Row, Shape, Template};
use serde_json::{Value, json};

use crate::input::text;

/// More text than a template may make, in bytes: 16 MiB, and what is added after the last look at the limit.
const MOST_TEXT: usize = 17 << 20;

/// An object with all kinds of values, in the shape of Docker's.
static OBJECT: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "Name": "wéb", "Id": "7fca4eb8c647", "Driver": "bridge", "Scope": "local", "Created": "2024-01-31T12:00:00.5Z",
        "Internal": false, "Count": 3, "Negative": -7, "Ratio": 2.5, "Large": u64::MAX, "Nothing": null, "Empty": "",
        "Labels": {"owner": "alice", "日本": "\t"}, "List": ["a", 1, null, {}, ["b"]],
        "IPAM": {"Config": [{"Subnet": "10.0.0.0/24", "Gateway": "10.0.0.1"}, {"Subnet": "fd00::/64"}]},
    })
});

/// [`Template`], [`ListFormat`] and [`InspectFormat`]: what `--format` takes.
pub fn template(data: &[u8]) {
    let text = text(data);
    if let Ok(template) = Template::parse(&text) {
        let strict = template.render_as(&OBJECT, &Shape::strict());
        let docker = template.render(&OBJECT);
        for rendered in [&strict, &docker].into_iter().flatten() {
            assert!(rendered.len() <= MOST_TEXT, "{} bytes of text", rendered.len());
        }
        // What is there is there in any shape.
        assert!(strict.is_err() || strict == docker);
    }
    if let Ok(format) = ListFormat::parse(&text, "table {{.Name}}\t{{.Driver}}") {
        let rows = [Row::new(OBJECT.clone()).with_labels([("owner", "alice")]), Row::new(Value::Null)];
        let _ = format.render(&[("Name", "NAME"), ("Driver", "DRIVER")], &rows);
    }
    if let Ok(format) = InspectFormat::parse(&text) {
        let _ = format.render(std::slice::from_ref(&*OBJECT), &Shape::docker());
    }
}

const KEYS: [Key; 8] = [
    Key::new("driver", Kind::Exact, "/Driver"),
    Key::new("type", Kind::OneOf(&["custom", "builtin"]), "/Type"),
    Key::new("dangling", Kind::Bool, "/Internal"),
    Key::new("name", Kind::Name, "/Name"),
    Key::new("id", Kind::Prefix, "/Id"),
    Key::new("label", Kind::Label, "/Labels"),
    Key::new("label!", Kind::NotLabel, "/Labels"),
    Key::new("until", Kind::Until, "/Created"),
];

/// [`Filters`]: what repeated `--filter` takes. Each line is one.
pub fn filter(data: &[u8]) {
    let text = text(data);
    let now: SystemTime = UNIX_EPOCH + Duration::from_secs(1_706_702_400);
    let Ok(filters) = Filters::parse(&KEYS, text.split('\n'), now) else { return };
    assert!(!filters.is_empty());
    let passes = filters.matches_value(&OBJECT);
    let _ = filters.matches_value(&Value::Null);
    // The same filter twice is the same filter.
    let twice = Filters::parse(&KEYS, text.split('\n').chain(text.split('\n')), now);
    assert!(twice.is_ok_and(|twice| twice.matches_value(&OBJECT) == passes));
}
