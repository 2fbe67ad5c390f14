//! Listings against what `docker network ls` prints.

use pontoon_format::{InspectFormat, ListFormat, Row, Shape};
use pontoon_model::Diagnose;
use serde_json::json;

const COLUMNS: &str = r"{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}";

const HEADINGS: [(&str, &str); 4] =
    [("ID", "NETWORK ID"), ("Name", "NAME"), ("Driver", "DRIVER"), ("Scope", "SCOPE")];

fn rows() -> [Row; 2] {
    let row = |id: &str, name: &str, driver: &str, labels: &str| {
        json!({
            "CreatedAt": "2024-01-02 03:04:05 +0000 UTC", "Driver": driver, "ID": id, "IPv6": "false",
            "Internal": "false", "Labels": labels, "Name": name, "Scope": "local",
        })
    };
    [
        Row::new(row("7fca4eb8c647", "bridge", "bridge", "x=y")).with_labels([("x", "y")]),
        Row::new(row("cf03ee007fb4", "日本", "host", "")),
    ]
}

fn list(format: &str) -> Result<String, String> {
    let rendered = ListFormat::parse(format, COLUMNS).and_then(|format| format.render(&HEADINGS, &rows()));
    rendered.map_err(|error| error.to_string())
}

/// Printed by Docker 28.2.2 for these two networks.
#[test]
fn lists_as_docker_does() {
    for (format, expected) in [
        (
            "table",
            "NETWORK ID     NAME      DRIVER    SCOPE\n7fca4eb8c647   bridge    bridge    local\ncf03ee007fb4   日本      host      local\n",
        ),
        (
            r"table {{.ID}}\t{{.Name}}\t{{.Scope}}",
            "NETWORK ID     NAME      SCOPE\n7fca4eb8c647   bridge    local\ncf03ee007fb4   日本      local\n",
        ),
        (
            r#"table {{.ID}}\t{{.Label "com.foo-bar_baz"}}\t{{.Label "x"}}|"#,
            "NETWORK ID     foo bar baz   x|\n7fca4eb8c647                 y|\ncf03ee007fb4                 |\n",
        ),
        (
            r"table {{lower .Name}}\t{{truncate .ID 3}}",
            "NAME      NETWORK ID\nbridge    7fc\n日本      cf0\n",
        ),
        ("table {{.ID}}: {{.Name}}", "NETWORK ID: NAME\n7fca4eb8c647: bridge\ncf03ee007fb4: 日本\n"),
        (
            r"table {{pad .Name 2 2}}|\t{{.Driver}}",
            "  NAME  |     DRIVER\n  bridge  |   bridge\n  日本  |     host\n",
        ),
        (
            r"table {{json .Name}}\t{{.Internal}}\t{{.IPv6}}\t{{.CreatedAt}}\t{{.Labels}}",
            "NAME       INTERNAL   IPV6      CREATED AT                      LABELS\n\"bridge\"   false      false     2024-01-02 03:04:05 +0000 UTC   x=y\n\"日本\"     false      false     2024-01-02 03:04:05 +0000 UTC   \n",
        ),
        (
            r#"table {{if eq .Driver "host"}}{{.Name}}{{end}}\t{{.ID}}"#,
            "          NETWORK ID\n          7fca4eb8c647\n日本      cf03ee007fb4\n",
        ),
        (r"{{.ID}}\t{{.Name}}", "7fca4eb8c647\tbridge\ncf03ee007fb4\t日本\n"),
        (r#"{{.Labels}} {{.Label "zz"}}|"#, "x=y |\n |\n"),
        (
            "json",
            "{\"CreatedAt\":\"2024-01-02 03:04:05 +0000 UTC\",\"Driver\":\"bridge\",\"ID\":\"7fca4eb8c647\",\"IPv6\":\"false\",\"Internal\":\"false\",\"Labels\":\"x=y\",\"Name\":\"bridge\",\"Scope\":\"local\"}\n{\"CreatedAt\":\"2024-01-02 03:04:05 +0000 UTC\",\"Driver\":\"host\",\"ID\":\"cf03ee007fb4\",\"IPv6\":\"false\",\"Internal\":\"false\",\"Labels\":\"\",\"Name\":\"日本\",\"Scope\":\"local\"}\n",
        ),
    ] {
        assert_eq!(list(format).as_deref(), Ok(expected), "{format}");
    }
}

#[test]
fn an_empty_table_has_its_heading_and_its_errors() {
    let empty = |format| ListFormat::parse(format, COLUMNS).and_then(|format| format.render(&HEADINGS, &[]));
    assert_eq!(empty("").as_deref(), Ok("NETWORK ID   NAME      DRIVER    SCOPE\n"));
    let error = empty(r"table {{.ID}}\t{{.Nmae}}").expect_err("no such column");
    assert_eq!(error.to_string(), "template: 1:18: no field `Nmae`");
    assert_eq!(error.hint().as_deref(), Some("did you mean `.Name`?"));
    assert_eq!(empty("json").as_deref(), Ok(""));
}

/// Cells above each other are aligned only while no line between them lacks the column, as in Go's `text/tabwriter`.
#[test]
fn a_line_without_a_column_parts_it() {
    let rows: Vec<Row> =
        ["long long long\tb", "none", "c\td"].iter().map(|name| Row::new(json!({"Name": name}))).collect();
    let format = ListFormat::parse("table {{.Name}}", "").expect("it parses");
    let text = format.render(&[("Name", "A\tB")], &rows).expect("it renders");
    assert_eq!(text, "A                B\nlong long long   b\nnone\nc         d\n");
}

#[test]
fn inspects_as_docker_does() {
    let object = json!({"Name": "web", "IPAM": {"Config": []}});
    for (format, expected) in [
        (
            "",
            "[\n    {\n        \"IPAM\": {\n            \"Config\": []\n        },\n        \"Name\": \"web\"\n    },\n    {\n        \"IPAM\": {\n            \"Config\": []\n        },\n        \"Name\": \"web\"\n    }\n]\n",
        ),
        (
            "json",
            "[{\"IPAM\":{\"Config\":[]},\"Name\":\"web\"},{\"IPAM\":{\"Config\":[]},\"Name\":\"web\"}]\n",
        ),
        ("{{.Name}}", "web\nweb\n"),
    ] {
        let format = InspectFormat::parse(format).expect("it parses");
        let text = format.render(&[object.clone(), object.clone()], &Shape::docker());
        assert_eq!(text.as_deref(), Ok(expected));
    }
    assert_eq!(
        InspectFormat::parse("").and_then(|format| format.render(&[], &Shape::docker())).as_deref(),
        Ok("[]\n")
    );
}
