//! What is asked for in a message of DNS, and what came of it. Source: RFC 1035, 4.

use super::bytes::Bytes;

/// The first question, with what was answered.
pub(super) fn words(message: Bytes<'_>) -> Option<String> {
    let flags = message.half(2)?;
    if message.half(4)? == 0 {
        return None;
    }
    let (name, at) = name(message, 12)?;
    let kind = kind(message.half(at)?);
    if flags & 0x8000 == 0 {
        return Some(format!("{kind} {name}?"));
    }
    let outcome = match (flags & 0xf, message.half(6)?) {
        (0, 1) => "1 answer".to_owned(),
        (0, count) => format!("{count} answers"),
        (2, _) => "server failure".to_owned(),
        (3, _) => "no such name".to_owned(),
        (5, _) => "refused".to_owned(),
        (code, _) => format!("error {code}"),
    };
    Some(format!("{kind} {name}: {outcome}"))
}

/// A name that is written out, and where it ends. Questions have no pointers to point back at.
fn name(message: Bytes<'_>, mut at: usize) -> Option<(String, usize)> {
    let mut text = String::new();
    loop {
        let length = usize::from(message.byte(at)?);
        if length == 0 {
            return Some((if text.is_empty() { ".".to_owned() } else { text }, at + 1));
        }
        if length > 63 || text.len() > 255 * 4 {
            return None;
        }
        if !text.is_empty() {
            text.push('.');
        }
        text.extend(message.slice(at + 1, length)?.iter().map(|byte| byte.escape_ascii().to_string()));
        at += 1 + length;
    }
}

fn kind(number: u16) -> String {
    let known = match number {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        65 => "HTTPS",
        255 => "ANY",
        other => return format!("TYPE{other}"),
    };
    known.to_owned()
}
