//! Reading a request: its first line, and where it ends. Its fields say nothing that matters here.
//!
//! Source: RFC 9112, sections 2 (a line may end in a bare LF), 3 and 5.

use super::Response;

/// How long a request may be, in bytes.
pub const LONGEST: usize = 8 * 1024;

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The answer.
    Get,
    /// The answer without its body.
    Head,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is wanted.
    pub method: Method,
    /// Of what: a path that begins with `/`, without what follows a `?`.
    pub path: String,
}

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no HTTP.
    #[error("the request is malformed")]
    Malformed,
    /// It wants something else than to read.
    #[error("only GET and HEAD are answered")]
    Method,
    /// It is longer than anybody needs.
    #[error("the request is too long")]
    TooLong,
    /// It did not come in time.
    #[error("the request took too long")]
    Late,
    /// It is another HTTP.
    #[error("only HTTP/1.0 and HTTP/1.1 are spoken")]
    Version,
    /// There are enough others.
    #[error("too many requests at a time")]
    Busy,
}

impl Refusal {
    /// As an answer.
    pub fn response(self) -> Response {
        let status = match self {
            Self::Malformed => 400,
            Self::Method => 405,
            Self::TooLong => 431,
            Self::Late => 408,
            Self::Version => 505,
            Self::Busy => 503,
        };
        Response::text(status, &format!("{self}\n"))
    }
}

/// Reads what has come up to now; nothing as long as its end is not there.
///
/// # Errors
///
/// If it can become no request any more.
pub fn parse(bytes: &[u8]) -> Result<Option<Request>, Refusal> {
    let mut lines = Lines(bytes);
    let Some(first) = lines.next() else { return unfinished(bytes) };
    let request = request_line(first)?;
    for line in lines.by_ref() {
        if line.is_empty() {
            return if bytes.len() > LONGEST { Err(Refusal::TooLong) } else { Ok(Some(request)) };
        }
        field(line)?;
    }
    unfinished(bytes)
}

fn unfinished(bytes: &[u8]) -> Result<Option<Request>, Refusal> {
    if bytes.len() >= LONGEST { Err(Refusal::TooLong) } else { Ok(None) }
}

/// Whole lines, without their ends.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == b'\n')?;
        let line = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

fn request_line(line: &[u8]) -> Result<Request, Refusal> {
    let text = std::str::from_utf8(line).map_err(|_| Refusal::Malformed)?;
    let mut words = text.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Refusal::Malformed);
    };
    if method.is_empty() || !method.bytes().all(is_token) {
        return Err(Refusal::Malformed);
    }
    match version {
        "HTTP/1.0" | "HTTP/1.1" => {}
        other if other.starts_with("HTTP/") => return Err(Refusal::Version),
        _ => return Err(Refusal::Malformed),
    }
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        _ => return Err(Refusal::Method),
    };
    Ok(Request { method, path: path(target)? })
}

/// The path of a target, also of one with an authority before it, as a proxy gets it.
fn path(target: &str) -> Result<String, Refusal> {
    let local = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |start| &rest[start..]),
        None => target,
    };
    let path = local.split('?').next().unwrap_or_default();
    let visible = path.bytes().all(|byte| byte.is_ascii_graphic());
    if path.starts_with('/') && visible { Ok(path.to_owned()) } else { Err(Refusal::Malformed) }
}

/// A field has a name, and a colon right behind it.
fn field(line: &[u8]) -> Result<(), Refusal> {
    let end = line.iter().position(|byte| *byte == b':').ok_or(Refusal::Malformed)?;
    let name_is_one = end > 0 && line[..end].iter().all(|byte| is_token(*byte));
    let value_is_one = line[end..].iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control());
    if name_is_one && value_is_one { Ok(()) } else { Err(Refusal::Malformed) }
}

/// Source: RFC 9110, section 5.6.2, "tchar".
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_of(text: &str) -> Result<Option<String>, Refusal> {
        parse(text.as_bytes()).map(|request| request.map(|request| request.path))
    }

    #[test]
    fn a_request_ends_with_an_empty_line() {
        let whole = "GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(path_of(&whole[..end]), Ok(None), "{end}");
        }
        assert_eq!(path_of(whole).unwrap().unwrap(), "/metrics");
        assert_eq!(path_of("GET http://h:1/healthz HTTP/1.0\n\n").unwrap().unwrap(), "/healthz");
        assert_eq!(path_of("HEAD http://h HTTP/1.0\r\n\r\nmore").unwrap().unwrap(), "/");
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for (text, refusal) in [
            ("\r\n\r\n", Refusal::Malformed),
            ("GET /\r\n\r\n", Refusal::Malformed),
            ("GET  / HTTP/1.1\r\n\r\n", Refusal::Malformed),
            ("GET * HTTP/1.1\r\n\r\n", Refusal::Malformed),
            ("GET /a\u{7f} HTTP/1.1\r\n\r\n", Refusal::Malformed),
            ("GET / HTTP/1.1\r\nno field\r\n\r\n", Refusal::Malformed),
            ("GET / HTTP/1.1\r\nA : b\r\n\r\n", Refusal::Malformed),
            ("GET / HTTP/1.1\r\n folded: b\r\n\r\n", Refusal::Malformed),
            ("GET / HTTP/2\r\n\r\n", Refusal::Version),
            ("POST / HTTP/1.1\r\n\r\n", Refusal::Method),
            ("\u{16}\u{3}\u{1}\n", Refusal::Malformed),
        ] {
            assert_eq!(path_of(text), Err(refusal), "{text:?}");
        }
        let long = format!("GET / HTTP/1.1\r\nA: {}", "b".repeat(LONGEST));
        assert_eq!(path_of(&long), Err(Refusal::TooLong));
        assert_eq!(path_of(&"x".repeat(LONGEST)), Err(Refusal::TooLong));
    }
}
