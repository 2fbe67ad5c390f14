//! Families as text.

use std::fmt::Write as _;

use super::{Family, Sample, Type};

/// The `Content-Type` of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text. Families of one name, of several sources, become one, where the first of them stands.
pub fn encode(families: &[Family]) -> String {
    let mut text = String::new();
    for (place, family) in families.iter().enumerate() {
        if families[..place].iter().any(|before| before.name == family.name) {
            continue;
        }
        let kind = match family.kind {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
        };
        line(&mut text, format_args!("# HELP {} {}", family.name, escaped(family.help, false)));
        line(&mut text, format_args!("# TYPE {} {kind}", family.name));
        let same = families[place..].iter().filter(|other| other.name == family.name);
        same.flat_map(|family| &family.samples).for_each(|sample| value(&mut text, family.name, sample));
    }
    text
}

fn value(text: &mut String, name: &str, sample: &Sample) {
    text.push_str(name);
    for (place, (label, value)) in sample.labels.iter().enumerate() {
        text.push(if place == 0 { '{' } else { ',' });
        write!(text, "{label}=\"{}\"", escaped(value, true)).expect("writing to a String cannot fail");
    }
    if !sample.labels.is_empty() {
        text.push('}');
    }
    line(text, format_args!(" {}", number(sample.value)));
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    writeln!(text, "{content}").expect("writing to a String cannot fail");
}

fn escaped(text: &str, quoted: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quoted { text.replace('"', "\\\"") } else { text }
}

/// As Go's `ParseFloat` reads it.
fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The format's grammar, read back: name, labels, value.
    fn parse(line: &str) -> (String, Vec<(String, String)>, f64) {
        let end = line.find(['{', ' ']).expect("a value follows");
        let name = line[..end].to_owned();
        let mut labels = Vec::new();
        let mut rest = &line[end..];
        if let Some(inner) = rest.strip_prefix('{') {
            rest = inner;
            loop {
                let (label, quoted) = rest.split_once("=\"").expect("a label has a value");
                let (mut value, mut escape, mut close) = (String::new(), false, None);
                for (place, character) in quoted.char_indices() {
                    match (escape, character) {
                        (true, 'n') => value.push('\n'),
                        (true, other) => {
                            assert!(matches!(other, '\\' | '"'), "{other}");
                            value.push(other);
                        }
                        (false, '\\') => {}
                        (false, '"') => {
                            close = Some(place);
                            break;
                        }
                        (false, other) => value.push(other),
                    }
                    escape = !escape && character == '\\';
                }
                labels.push((label.to_owned(), value));
                let after = &quoted[close.expect("a value has an end") + 1..];
                match after.strip_prefix(',') {
                    Some(next) => rest = next,
                    None => {
                        rest = after.strip_prefix('}').expect("labels have an end");
                        break;
                    }
                }
            }
        }
        let value = rest.strip_prefix(' ').expect("a space before the value");
        let value = match value {
            "+Inf" => f64::INFINITY,
            "-Inf" => f64::NEG_INFINITY,
            value => value.parse().expect(value),
        };
        (name, labels, value)
    }

    #[test]
    fn the_text_is_as_the_format_shows_it() {
        let families = [
            Family::counter("pontoon_queries_total", "Queries\nand \\ more.")
                .with_labels([("network", "a\"b\\c\nd".to_owned()), ("kind", "A".to_owned())], 1027_u64),
            Family::gauge("pontoon_networks", "Networks.").with(2_u32),
            Family::counter("pontoon_queries_total", "Queries.").with_labels([("kind", "B".to_owned())], 1.5),
            Family::gauge("pontoon_none", "Nothing."),
        ];
        let expected = r#"# HELP pontoon_queries_total Queries\nand \\ more.
# TYPE pontoon_queries_total counter
pontoon_queries_total{network="a\"b\\c\nd",kind="A"} 1027
pontoon_queries_total{kind="B"} 1.5
# HELP pontoon_networks Networks.
# TYPE pontoon_networks gauge
pontoon_networks 2
# HELP pontoon_none Nothing.
# TYPE pontoon_none gauge
"#;
        assert_eq!(encode(&families), expected);
    }

    proptest! {
        #[test]
        fn what_is_encoded_reads_back(
            values in prop::collection::vec((any::<String>(), prop::num::f64::ANY), 0..5), help: String,
        ) {
            let mut family = Family { help: Box::leak(help.into_boxed_str()), ..Family::gauge("pontoon_x", "") };
            for (label, value) in &values {
                family.add([("a", label.clone()), ("b", String::new())], *value);
            }
            let text = encode(&[family]);
            let lines: Vec<&str> = text.split_terminator('\n').collect();
            prop_assert_eq!(lines.len(), values.len() + 2);
            for (line, (label, value)) in lines[2..].iter().zip(&values) {
                let (name, labels, found) = parse(line);
                prop_assert_eq!(name, "pontoon_x");
                prop_assert_eq!(&labels[0], &("a".to_owned(), label.clone()));
                prop_assert!(found == *value || (found.is_nan() && value.is_nan()));
            }
        }
    }
}
