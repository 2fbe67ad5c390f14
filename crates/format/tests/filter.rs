//! Filters: what they let through, and what they refuse.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pontoon_format::{FilterError, Filters, Key, Kind, Subject};
use pontoon_model::Diagnose;
use serde_json::{Value, json};

const KEYS: [Key; 10] = [
    Key::new("dangling", Kind::Bool, ""),
    Key::new("driver", Kind::Exact, "/Driver"),
    Key::new("id", Kind::Prefix, "/Id"),
    Key::new("label", Kind::Label, "/Labels"),
    Key::new("label!", Kind::NotLabel, "/Labels"),
    Key::new("name", Kind::Name, "/Name"),
    Key::new("network", Kind::Exact, "/Networks"),
    Key::new("scope", Kind::OneOf(&["local", "global", "swarm"]), "/Scope"),
    Key::new("type", Kind::OneOf(&["custom", "builtin"]), ""),
    Key::new("until", Kind::Until, "/Created"),
];

/// 2024-01-31T12:00:00Z.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_706_702_400)
}

fn web() -> Value {
    json!({
        "Id": "7fca4eb8c647", "Name": "web", "Driver": "bridge", "Scope": "local",
        "Labels": {"owner": "alice", "empty": ""}, "Networks": ["blue", "green"], "Created": "2024-01-31T10:30:00Z",
    })
}

fn parse(given: &[&str]) -> Result<Filters, FilterError> {
    Filters::parse(&KEYS, given, now())
}

fn passes(given: &[&str]) -> bool {
    let filters = parse(given).unwrap_or_else(|error| panic!("{given:?}: {error}"));
    let web = web();
    filters.matches(|key| match key.name {
        "dangling" => Subject::Bool(false),
        "type" => Subject::text("custom"),
        _ => key.read(&web),
    })
}

#[test]
fn what_passes_and_what_does_not() {
    for (given, expected) in [
        (&[][..], true),
        (&["driver=bridge"], true),
        (&["driver=brid"], false),
        (&["driver=host", "driver=bridge"], true),
        (&["driver=bridge", "name=nope"], false),
        (&[" Driver = bridge "], true),
        (&["name=web"], true),
        (&["name=e"], true),
        (&["name=^we"], true),
        (&["name=^eb"], false),
        (&["name=^w.b$"], true),
        (&["name=^/web$"], true),
        (&["name=/web"], true),
        (&["name=/eb"], false),
        (&["name="], true),
        (&["id=7fca"], true),
        (&["id=ca4e"], false),
        (&["label=owner"], true),
        (&["label=owner=alice"], true),
        (&["label=owner=bob"], false),
        (&["label=owner="], false),
        (&["label=empty="], true),
        (&["label=owner", "label=empty"], true),
        (&["label=owner", "label=nope"], false),
        (&["label!=nope"], true),
        (&["label!=owner"], false),
        (&["label!=owner=bob"], true),
        (&["label!=nope", "label!=owner"], false),
        (&["network=green"], true),
        (&["network=red"], false),
        (&["scope=local"], true),
        (&["scope=swarm"], false),
        (&["scope=swarm", "scope=local"], true),
        (&["type=custom"], true),
        (&["type=builtin"], false),
        (&["type=builtin", "type=custom"], true),
        (&["dangling=false"], true),
        (&["dangling=0", "dangling=false"], true),
        (&["dangling=1"], false),
        (&["until=1h"], true),
        (&["until=1h30m"], false),
        (&["until=1h29m59s"], true),
        (&["until=1.4h"], true),
        (&["until=90m1s"], false),
        (&["until=2024-01-31T10:30:00Z"], false),
        (&["until=2024-01-31T10:30:00.000000001Z"], true),
        (&["until=2024-01-31T11:31:00+01:00"], true),
        (&["until=2024-01-31T11:30"], true),
        (&["until=2024-01-31"], false),
        (&["until=2024-02-01"], true),
        (&["until=1706697000"], false),
        (&["until=1706697001"], true),
        (&["until=1706697000.5"], true),
    ] {
        assert_eq!(passes(given), expected, "{given:?}");
    }
}

#[test]
fn what_is_refused() {
    for (given, message, hint) in [
        (
            &["web"][..],
            "filter `web` is not of the form key=value",
            Some("write `--filter web=VALUE`, or `--filter name=web`"),
        ),
        (&["drivr=x"], "unknown filter key `drivr`", Some("did you mean `driver`?")),
        (
            &["=x"],
            "unknown filter key ``",
            Some("the keys are dangling, driver, id, label, label!, name, network, scope, type, until"),
        ),
        (
            &["type=custm"],
            "filter `type=custm`: the value must be `custom` or `builtin`",
            Some("did you mean `custom`?"),
        ),
        (
            &["dangling=yes"],
            "filter `dangling=yes`: the value must be `true` (or `1`) or `false` (or `0`)",
            None,
        ),
        (
            &["dangling=true", "dangling=false"],
            "filter `dangling` is given with two different values",
            Some("give `dangling` once"),
        ),
        (
            &["until=1h", "until=2h"],
            "filter `until` is given with two different values",
            Some("give `until` once"),
        ),
        (&["label="], "filter `label=`: the value must be KEY or KEY=VALUE", None),
    ] {
        let error = parse(given).expect_err(given[0]);
        assert_eq!((error.to_string().as_str(), error.hint().as_deref()), (message, hint), "{given:?}");
    }
    for bad in [
        "",
        "1",
        "h",
        "1x",
        "-1h",
        "2024-13-01",
        "2023-02-29",
        "2024-01-31T",
        "2024-01-31T25:00",
        "1h 3m",
        ".",
    ] {
        let parsed = parse(&[&format!("until={bad}")]);
        assert_eq!(parsed.is_err(), bad != "1", "{bad:?}: {parsed:?}");
    }
    assert!(matches!(parse(&["name=a(b"]), Err(FilterError::BadPattern { key: "name", .. })));
}

/// Dates against Unix times from `date -u -d … +%s`.
#[test]
fn dates_are_counted_right() {
    for (date, seconds) in [
        ("1970-01-01", 0),
        ("1999-12-31T23:59:59Z", 946_684_799),
        ("2000-02-29", 951_782_400),
        ("2024-02-29T12", 1_709_208_000),
        ("2024-03-01T00:00:00-05:00", 1_709_269_200),
        ("2100-03-01", 4_107_542_400_u64),
    ] {
        let filters = parse(&[&format!("until={date}")]).expect(date);
        let at = |seconds| filters.matches(|_| Subject::Time(UNIX_EPOCH + Duration::from_secs(seconds)));
        assert!(!at(seconds), "{date}");
        assert!(seconds == 0 || at(seconds - 1), "{date}");
    }
}
