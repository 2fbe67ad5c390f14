//! No input makes this crate panic.

use std::time::{Duration, UNIX_EPOCH};

use pontoon_format::{Filters, InspectFormat, Key, Kind, ListFormat, Row, Shape, Template};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What templates are made of, in any order.
fn fragment() -> impl Strategy<Value = String> {
    let words = [
        "{{",
        "}}",
        "{{-",
        "-}}",
        " ",
        "\n",
        "\\t",
        "(",
        ")",
        "|",
        ":=",
        "=",
        ",",
        ".",
        ".Name",
        ".List",
        ".Labels",
        ".Nested.A",
        "$",
        "$x",
        "$x := ",
        "if ",
        "else",
        "end",
        "range ",
        "range $i, $x := ",
        "with ",
        "break",
        "continue",
        "and ",
        "or ",
        "not ",
        "eq ",
        "lt ",
        "index ",
        "slice ",
        "len ",
        "print ",
        "println ",
        "json ",
        "split ",
        "join ",
        "pad ",
        "truncate ",
        "title ",
        "upper ",
        "define ",
        "nil",
        "true",
        "0",
        "1",
        "-7",
        "1.5",
        "1e400",
        "99999999999999999999",
        "0x",
        "'a'",
        "'",
        "\"",
        "`",
        "\"a,b\"",
        "\",\"",
        "\"\\x\"",
        "/*",
        "*/",
        "日本",
        "table ",
        "json",
    ];
    prop_oneof![
        8 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        2 => "printf \"(%[-+# 0]{0,3}[0-9*]{0,3}(\\.[0-9*]{0,2})?(\\[[0-9]{0,2}\\])?.){0,3}\" ",
        1 => any::<char>().prop_map(String::from),
    ]
}

/// A template that has a chance to parse: actions around fragments.
fn template() -> impl Strategy<Value = String> {
    let loose = proptest::collection::vec(fragment(), 0..24).prop_map(|parts| parts.concat());
    let action =
        proptest::collection::vec(fragment(), 0..6).prop_map(|parts| format!("{{{{{}}}}}", parts.join(" ")));
    prop_oneof![
        loose,
        proptest::collection::vec(action, 0..6).prop_map(|actions| actions.concat()),
        any::<String>()
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("Name|List|Labels|Nested|A|[a-z]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A call of any function with arguments of any kind.
fn call() -> impl Strategy<Value = String> {
    let arguments = [
        ".", ".Name", ".List", ".Labels", "1", "-1", "0", "3", "2.5", "\"é\"", "\"\"", "true", "nil", "1e300",
    ];
    let argument = proptest::sample::select(arguments.to_vec());
    (proptest::sample::select(pontoon_format::template::FUNCTIONS), proptest::collection::vec(argument, 0..4))
        .prop_map(|(function, arguments)| format!("{{{{{function} {}}}}}", arguments.join(" ")))
}

const KEYS: [Key; 8] = [
    Key::new("driver", Kind::Exact, "/Driver"),
    Key::new("type", Kind::OneOf(&["custom", "builtin"]), "/Type"),
    Key::new("dangling", Kind::Bool, "/Dangling"),
    Key::new("name", Kind::Name, "/Name"),
    Key::new("id", Kind::Prefix, "/Id"),
    Key::new("label", Kind::Label, "/Labels"),
    Key::new("label!", Kind::NotLabel, "/Labels"),
    Key::new("until", Kind::Until, "/Created"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn templates(text in template(), value in value()) {
        let named = json!({"Name": "web", "List": ["a", "b"], "Labels": {"a": "1"}, "Nested": {"A": value}});
        if let Ok(template) = Template::parse(&text) {
            let _ = template.render(&value);
            let _ = template.render(&named);
            let _ = template.render_as(&named, &Shape::strict());
        }
    }

    #[test]
    fn functions(text in call(), value in value()) {
        let named = json!({"Name": "wéb", "List": ["a", 1, null, {}], "Labels": value});
        let template = Template::parse(&text).expect("a call parses");
        let _ = template.render(&named);
        let _ = template.render(&value);
    }

    #[test]
    fn formats(text in "(%[-+# 0]{0,3}[0-9*]{0,7}(\\.[0-9*]{0,7})?(\\[[0-9]{0,2}\\])?.){0,4}", value in value()) {
        let template = Template::parse("{{printf .Format .Value 7 -2.5 \"é\" true .Value}}").expect("it parses");
        let _ = template.render(&json!({"Format": text, "Value": value}));
    }

    #[test]
    fn listings(text in template(), value in value()) {
        let rows = [Row::new(value), Row::new(json!({"Name": "日本\u{301}\t"})).with_labels([("a", "b")])];
        for text in [text.clone(), format!("table {text}")] {
            if let Ok(format) = ListFormat::parse(&text, "{{.Name}}") {
                let _ = format.render(&[("Name", "NAME")], &rows);
                let _ = format.render(&[], &[]);
            }
        }
        if let Ok(format) = InspectFormat::parse(&text) {
            let _ = format.render(&[json!({"Name": "web"})], &Shape::docker());
        }
    }

    #[test]
    fn filters(
        key in "driver|type|dangling|name|id|label!?|until|[a-z]{0,6}",
        filter in prop_oneof![any::<String>(), "[-0-9.:TZhms+ ]{0,24}", "[a-z.*+?^$()\\[\\]{}|\\\\/]{0,12}"],
        text in any::<String>(),
        value in value(),
    ) {
        let now = UNIX_EPOCH + Duration::from_secs(1_706_702_400);
        let object = json!({"Name": text, "Driver": value, "Labels": value, "Created": filter, "Dangling": value});
        if let Ok(filters) = Filters::parse(&KEYS, [format!("{key}={filter}"), filter.clone()], now) {
            filters.matches_value(&object);
        }
        if let Ok(filters) = Filters::parse(&KEYS, [format!("{key}={filter}")], now) {
            filters.matches_value(&object);
            filters.matches_value(&value);
        }
    }

    /// Whatever stands outside of actions comes out as it went in.
    #[test]
    fn plain_text_is_kept(text in "[^{\\\\]{0,40}") {
        prop_assert_eq!(Template::parse(&text).and_then(|template| template.render(&Value::Null)), Ok(text));
    }
}
