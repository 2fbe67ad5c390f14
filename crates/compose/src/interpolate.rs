//! Variables in values: `$NAME`, `${NAME}`, `${NAME:-default}` and their like.
//!
//! Source: the Compose Specification, "Interpolation".

use crate::error::Fault;

/// Deeper than this is nothing that a person writes.
const DEEPEST: usize = 16;

/// What variables stand for.
pub(crate) trait Variables {
    /// The value of a variable.
    fn get(&self, name: &str) -> Option<&str>;

    /// A variable without a default is not set.
    fn unset(&mut self, name: &str);
}

/// `text` with its variables replaced; `$$` is a dollar sign.
///
/// # Errors
///
/// [`Fault::VariableSyntax`], or [`Fault::VariableNeeded`] for `${NAME:?message}` without a value.
pub(crate) fn substitute(text: &str, variables: &mut dyn Variables) -> Result<String, Fault> {
    replace(text, variables, 0)
}

fn replace(text: &str, variables: &mut dyn Variables, depth: usize) -> Result<String, Fault> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some(inside) = after.strip_prefix('{') {
            let end = closing(inside).ok_or_else(|| syntax(&rest[at..], "its `}` is missing"))?;
            out.push_str(&braced(&inside[..end], variables, depth)?);
            rest = &inside[end + 1..];
        } else {
            let (name, tail) = after.split_at(name_length(after));
            if name.is_empty() {
                return Err(syntax(&rest[at..], "a name or `{` has to follow the dollar sign"));
            }
            out.push_str(&value(name, variables));
            rest = tail;
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn syntax(text: &str, why: &'static str) -> Fault {
    let shown: String = text.chars().take(40).collect();
    Fault::VariableSyntax { text: shown, why }
}

/// How many bytes of a name `text` begins with: a letter or `_`, then also digits.
fn name_length(text: &str) -> usize {
    let part =
        |at: usize, byte: u8| byte == b'_' || byte.is_ascii_alphabetic() || at > 0 && byte.is_ascii_digit();
    text.bytes().enumerate().position(|(at, byte)| !part(at, byte)).unwrap_or(text.len())
}

/// Where the brace ends that `text` is in.
fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut open = 1;
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'$', Some(b'{')) => {
                open += 1;
                at += 1;
            }
            // A dollar sign that stands for itself opens nothing.
            (b'$', Some(b'$')) => at += 1,
            (b'}', _) => {
                open -= 1;
                if open == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

fn value(name: &str, variables: &mut dyn Variables) -> String {
    if let Some(value) = variables.get(name) {
        return value.to_owned();
    }
    variables.unset(name);
    String::new()
}

/// What stands between braces: a name, an operator, and what belongs to that.
fn braced(inside: &str, variables: &mut dyn Variables, depth: usize) -> Result<String, Fault> {
    let (name, rest) = inside.split_at(name_length(inside));
    let whole = || format!("${{{inside}}}");
    if name.is_empty() {
        return Err(syntax(&whole(), "its name is missing"));
    }
    if rest.is_empty() {
        return Ok(value(name, variables));
    }
    if depth >= DEEPEST {
        return Err(syntax(&whole(), "it is nested too deep"));
    }
    let (also_empty, rest) = match rest.strip_prefix(':') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let given = variables.get(name).filter(|value| !also_empty || !value.is_empty()).map(str::to_owned);
    let mut operand = |text: &str| replace(text, variables, depth + 1);
    match (rest.split_at_checked(1), given) {
        (Some(("-", _) | ("?", _)), Some(given)) => Ok(given),
        (Some(("-", default)), None) => operand(default),
        (Some(("+", instead)), Some(_)) => operand(instead),
        (Some(("+", _)), None) => Ok(String::new()),
        (Some(("?", message)), None) => {
            let message = operand(message)?;
            Err(Fault::VariableNeeded { name: name.to_owned(), message })
        }
        _ => Err(syntax(&whole(), "`-`, `:-`, `?`, `:?`, `+`, `:+` or `}` has to follow the name")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    struct Given(BTreeMap<&'static str, &'static str>, Vec<String>);

    impl Variables for Given {
        fn get(&self, name: &str) -> Option<&str> {
            self.0.get(name).copied()
        }

        fn unset(&mut self, name: &str) {
            self.1.push(name.to_owned());
        }
    }

    fn given() -> Given {
        Given(BTreeMap::from([("A", "a"), ("EMPTY", ""), ("B_1", "b")]), Vec::new())
    }

    #[test]
    fn the_specifications_forms_are_replaced() {
        for (text, becomes) in [
            ("", ""),
            ("plain", "plain"),
            ("$A", "a"),
            ("x${A}y", "xay"),
            ("$A-$B_1", "a-b"),
            ("$$A", "$A"),
            ("$$$A", "$a"),
            ("${NO:-d}", "d"),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY-d}", ""),
            ("${NO-d}", "d"),
            ("${A:-d}", "a"),
            ("${A:+x}", "x"),
            ("${EMPTY:+x}", ""),
            ("${EMPTY+x}", "x"),
            ("${NO+x}", ""),
            ("${NO:-}", ""),
            ("${NO:-${A}}", "a"),
            ("${NO:-${NONE:-$A}}", "a"),
            ("${NO:-a b}/c", "a b/c"),
            ("${NO:-$$x}", "$x"),
            ("${A:?needed}", "a"),
            ("${NO:-{\"a\": 1}}", "{\"a\": 1}"),
            ("${NO:-10.0.0.0/24}", "10.0.0.0/24"),
        ] {
            assert_eq!(substitute(text, &mut given()).as_deref(), Ok(becomes), "{text}");
        }
    }

    #[test]
    fn what_is_not_set_is_noted() {
        let mut given = given();
        assert_eq!(substitute("$NO ${NONE} ${X:-y}", &mut given).as_deref(), Ok("  y"));
        assert_eq!(given.1, ["NO", "NONE"]);
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        for (text, says) in [
            ("$", "a name or `{` has to follow"),
            ("a $ b", "a name or `{`"),
            ("$1", "a name or `{`"),
            ("${A", "its `}` is missing"),
            ("${}", "its name is missing"),
            ("${-x}", "its name is missing"),
            ("${A/b/c}", "has to follow the name"),
            ("${A:}", "has to follow the name"),
            ("${NO:?is needed}", "variable NO is needed: is needed"),
            ("${NO?}", "variable NO is needed"),
            ("${EMPTY:?no $A}", "variable EMPTY is needed: no a"),
        ] {
            let error = substitute(text, &mut given()).expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "[$a{}:?+A-]{0,60}|\\PC{0,40}") {
            let _ = substitute(&text, &mut given());
        }

        #[test]
        fn doubled_dollars_stand_for_themselves(text in "\\PC{0,40}") {
            prop_assert_eq!(substitute(&text.replace('$', "$$"), &mut given()), Ok(text));
        }
    }
}
