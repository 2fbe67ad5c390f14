//! Templates against what Docker prints, and what goes wrong with them.

use pontoon_format::{Fault, Position, Shape, Template};
use pontoon_model::Diagnose;
use serde_json::{Value, json};

fn network() -> Value {
    serde_json::from_str(include_str!("network.json")).expect("network.json is JSON")
}

fn render(template: &str) -> Result<String, String> {
    let rendered =
        Template::parse(template).and_then(|parsed| parsed.render_as(&network(), &Shape::strict()));
    rendered.map_err(|error| error.to_string())
}

#[test]
fn renders_as_docker_does() {
    let lines: Vec<&str> = include_str!("docker.txt").lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines.len() > 200 && lines.len().is_multiple_of(2), "{} lines", lines.len());
    let mut wrong = Vec::new();
    for case in lines.chunks(2) {
        let expected = case[1].strip_prefix("=> ").and_then(|line| line.strip_suffix('$')).expect(case[1]);
        let got =
            render(case[0]).map(|text| text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t"));
        if got.as_deref() != Ok(expected) {
            wrong.push(format!("{}\n  Docker: {expected}\n  ours:   {got:?}", case[0]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn renders_what_docker_does_not() {
    for (template, expected) in [
        (r"{{.Name}}\t{{.Driver}}\n", "web\tbridge\n"),
        (r"{{join .List `\n`}}", r"a\nb"),
        ("{{join .List \",\"}} {{join .Mixed \"/\"}}", "a,b a/1/true/<nil>/map[k:v]"),
        ("{{truncate \"日本\" 1}}", "日"),
        ("{{eq .Count 3}} {{eq 1 1.0}} {{lt .Count 3.5}}", "true true true"),
        ("{{.Label \"a\"}}|{{.Label \"zz\"}}|{{\"b\" | .Label}}", "1||2"),
        (
            "{{printf \"%d\" .Mixed}}",
            "[%!d(string=a) 1 %!d(bool=true) <nil> map[%!d(string=k):%!d(string=v)]]",
        ),
    ] {
        assert_eq!(render(template).as_deref(), Ok(expected), "{template}");
    }
}

#[test]
fn the_keys_that_users_choose_may_be_absent() {
    for (template, expected) in [
        ("{{.Labels.zz}}", "<no value>"),
        ("{{if .Labels.zz}}a{{else}}b{{end}}", "b"),
        ("{{with .Labels}}{{.zz}}{{end}}", "<no value>"),
        ("{{index .Labels \"zz\"}}|", "|"),
        ("{{range .IPAM.Config}}<{{.Gateway}}>{{end}}", "<10.0.0.1><>"),
        ("{{.IPAM.Options}}", "map[]"),
        ("{{range .IPAM.Config}}{{.AuxiliaryAddresses}}{{end}}", "map[]map[]"),
    ] {
        let got = Template::parse(template).and_then(|parsed| parsed.render(&network()));
        assert_eq!(got.as_deref(), Ok(expected), "{template}");
    }
    let inside = Template::parse("{{.Containers.c1.Nam}}").and_then(|parsed| parsed.render(&network()));
    assert!(inside.is_err_and(|error| error.is_missing_field()));
}

#[test]
fn errors_say_where_and_what() {
    for (template, expected) in [
        ("{{.Foo}}", "1:3: no field `Foo`"),
        ("{{.IPAM.Foo}}", "1:8: no field `Foo` in `.IPAM`"),
        ("ü\n  {{ (index .IPAM.Config 0).Foo }}", "2:28: no field `Foo` in `(index .IPAM.Config 0)`"),
        ("{{range .IPAM.Config}}{{.Gateway}}{{end}}", "1:25: no field `Gateway`"),
        ("{{.Nothing.X}}", "1:11: cannot take field `X` of null"),
        ("{{.Name.X}}", "1:8: cannot take field `X` of a string"),
        ("{{.List.a}}", "1:8: cannot take field `a` of a list"),
        ("a {{.Name", "1:3: this `{{` is never closed"),
        ("{{.Name}", "1:8: unexpected \"}\" in an action"),
        ("{{.Name!}}", "1:8: unexpected \"!\" in an action"),
        ("{{@}}", "1:3: unexpected \"@\" in an action"),
        ("{{/* c }}", "1:1: this comment is never closed"),
        ("{{ /* a */}}", "1:4: unexpected \"/\" in an action"),
        ("{{}}", "1:3: missing value for command"),
        ("{{if}}x{{end}}", "1:5: missing value for if"),
        ("{{range}}x{{end}}", "1:8: missing value for range"),
        ("{{with}}x{{end}}", "1:7: missing value for with"),
        ("{{if .Up}}", "1:1: this `{{if}}` has no `{{end}}`"),
        ("{{if .Up}}a{{else}}b{{else}}c{{end}}", "1:21: `{{else}}` belongs to no open block"),
        ("x{{end}}", "1:2: `{{end}}` belongs to no open block"),
        ("{{else}}", "1:1: `{{else}}` belongs to no open block"),
        ("{{if .Up}}{{else range .List}}{{end}}", "1:18: unexpected \"range\" after else"),
        ("{{break}}", "1:1: `{{break}}` stands outside of `{{range}}`"),
        ("{{range .List}}{{else}}{{continue}}{{end}}", "1:24: `{{continue}}` stands outside of `{{range}}`"),
        ("{{ .IPAM. }}", "1:9: unexpected \".\" in an operand"),
        ("{{.Name)}}", "1:8: unexpected \")\" in an action"),
        ("{{(.Name}}", "1:3: this `(` is never closed"),
        ("{{\"abc}}", "1:3: this quoted text is never closed"),
        ("{{\"a\\q\"}}", "1:3: `\\q` is no escape in quoted text"),
        ("{{'ab'}}", "1:3: a character literal holds exactly one character"),
        ("{{3abc}}", "1:3: `3abc` is not a number"),
        ("{{|}}", "1:3: unexpected \"|\" in a command"),
        ("{{.Name | | len}}", "1:11: unexpected \"|\" in a command"),
        ("{{nope .Name}}", "1:3: function `nope` not defined"),
        ("{{$x}}", "1:3: undefined variable `$x`"),
        ("{{with $x := 1}}{{end}}{{$x}}", "1:26: undefined variable `$x`"),
        ("{{$a, $b := .List}}", "1:7: too many variables are set by this command"),
        ("{{range $a, $b, $c := .List}}{{end}}", "1:17: too many variables are set by this range"),
        ("{{($x := 1)}}", "1:4: too many variables are set by this pair of parentheses"),
        ("{{nil}}", "1:3: `nil` is not a value that can be printed or tested"),
        ("{{\"a\" \"b\"}}", "1:3: `\"a\"` is not a function and takes no arguments"),
        ("{{.Name | .Driver}}", "1:11: `.Driver` is not a function and takes no arguments"),
        ("{{define \"a\"}}{{end}}", "1:1: `{{define}}` is not supported"),
        ("{{len}}", "1:3: `len` takes 1 argument(s), not 0"),
        ("{{len .Nothing}}", "1:3: `len` needs a string, a list or an object here, not null"),
        ("{{lower 3}}", "1:3: `lower` needs a string here, not a whole number"),
        ("{{join .Name \",\"}}", "1:3: `join` needs a list here, not a string"),
        ("{{pad .Name \"a\" 1}}", "1:3: `pad` needs a whole number here, not a string"),
        ("{{printf 3}}", "1:3: `printf` needs a string here, not a whole number"),
        ("{{index .IPAM.Config 9}}", "1:3: index 9 is out of range, the length is 2"),
        ("{{index .List -1}}", "1:3: index -1 is out of range, the length is 2"),
        ("{{slice .Name 5}}", "1:3: index 5 is out of range, the length is 3"),
        ("{{slice .Name 2 1}}", "1:3: a slice cannot start at 2 and end at 1"),
        ("{{slice \"日本\" 1}}", "1:3: byte 1 lies inside a character"),
        ("{{eq .Name 1}}", "1:3: `eq` cannot compare a string with a whole number"),
        ("{{eq .Labels .Labels}}", "1:3: `eq` cannot compare an object with an object"),
        ("{{lt true false}}", "1:3: `lt` cannot compare a boolean with a boolean"),
        ("{{range .Name}}{{end}}", "1:9: `{{range}}` cannot iterate over a string"),
        ("{{and}}", "1:3: `and` takes at least 1 argument(s), not 0"),
    ] {
        let expected = format!("template: {expected}");
        assert_eq!(render(template), Err(expected), "{template}");
    }
}

#[test]
fn hints_name_what_was_meant() {
    for (template, expected) in [
        ("{{.name}}", Some("did you mean `.Name`?")),
        ("{{.Drivr}}", Some("did you mean `.Driver`?")),
        ("{{.IPAM.Xyz}}", Some("the fields are Config, Driver, Options")),
        ("{{uper .Name}}", Some("did you mean `upper`?")),
        ("{{$name := 1}}{{$nam}}", Some("did you mean `$name`?")),
        ("{{.Name", Some("an action ends with `}}`")),
        ("{{if .Up}}", Some("add `{{end}}`")),
        ("{{@}}", None),
    ] {
        let error =
            Template::parse(template).and_then(|parsed| parsed.render(&network())).expect_err(template);
        assert_eq!(error.hint().as_deref(), expected, "{template}");
    }
}

#[test]
fn bounds_hold() {
    let deep = format!("{{{{{}}}}}", "(".repeat(100_000));
    let error = Template::parse(&deep).expect_err("too deep");
    assert_eq!((error.position, &error.fault), (Position { line: 1, column: 103 }, &Fault::TooDeep(100)));
    let nested = "{{if .Up}}".repeat(100_000);
    assert!(Template::parse(&nested).is_err_and(|error| error.code() == "template-limit"));
    let allowed = format!(
        "{}{{{{{}1{}}}}}{}",
        "{{with 1}}".repeat(50),
        "(".repeat(50),
        ")".repeat(50),
        "{{end}}".repeat(50)
    );
    assert_eq!(Template::parse(&allowed).and_then(|parsed| parsed.render(&Value::Null)).as_deref(), Ok("1"));
    let chain = format!("{{{{if .No}}}}{}{{{{end}}}}", "{{else if .No}}x".repeat(20_000));
    let parsed = Template::parse(&chain).expect("a long chain is not deep");
    assert_eq!(parsed.render(&json!({"No": false})).as_deref(), Ok(""));
    for endless in [
        "{{range 100000000000}}{{end}}",
        "{{range 1000000}}{{range 1000000}}x{{end}}{{end}}",
        "{{pad \"x\" 1000000000 0}}",
        "{{$x := \"x\"}}{{range 100000}}{{$x = pad $x 9999999 9999999}}{{end}}",
        "{{$x := \"\\x01\"}}{{range 100}}{{$x = json $x}}{{end}}",
        "{{$x := \"\"}}{{range 100000000}}{{$x = printf \"%1000000d\" 1}}{{end}}",
        "{{printf \"%1000000v\" (split (printf \"%100000d\" 1) \"\")}}",
        "{{$x := \"xx\"}}{{range 100}}{{$x = print $x $x}}{{end}}",
    ] {
        let error = Template::parse(endless).and_then(|parsed| parsed.render(&json!({}))).expect_err(endless);
        assert_eq!(error.code(), "template-limit", "{endless}: {error}");
    }
}
