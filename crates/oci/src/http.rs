//! HTTP, as much of it as an engine's API takes: requests as bytes, and the head of an answer.
//!
//! Requests are of version 1.0: what is answered ends with the connection, or is as long as it says, and is never sent in
//! chunks. Source: RFC 9112, 6.1 and 6.3.

/// The longest head of an answer, in bytes.
pub(crate) const LONGEST_HEAD: usize = 32 << 10;
const MOST_HEADERS: usize = 64;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    method: &'static str,
    target: String,
    body: Option<Vec<u8>>,
}

impl Request {
    /// One to the place that these segments name.
    pub(crate) fn new(method: &'static str, segments: &[&str]) -> Self {
        let target = segments.iter().map(|segment| format!("/{}", escape(segment))).collect();
        Self { method, target, body: None }
    }

    /// With a parameter.
    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        self.target.push(if self.target.contains('?') { '&' } else { '?' });
        self.target.push_str(&format!("{}={}", escape(key), escape(value)));
        self
    }

    /// With JSON to read.
    #[must_use]
    pub(crate) fn with_json(mut self, body: &serde_json::Value) -> Self {
        self.body = Some(body.to_string().into_bytes());
        self
    }

    /// As it is sent.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let Self { method, target, body } = self;
        let mut bytes = format!("{method} {target} HTTP/1.0\r\nHost: localhost\r\nUser-Agent: pontoon\r\n");
        match body {
            Some(body) => {
                bytes.push_str(&format!(
                    "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                ));
                [bytes.as_bytes(), body].concat()
            }
            None => {
                // Some engines want a length of whatever may have a body.
                bytes.push_str(if *method == "GET" { "\r\n" } else { "Content-Length: 0\r\n\r\n" });
                bytes.into_bytes()
            }
        }
    }
}

/// Everything but RFC 3986's unreserved characters as `%XX`.
fn escape(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(escaped).collect()
}

/// The head of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// HTTP's status.
    pub(crate) status: u16,
    /// How long the body is, where that is said.
    pub(crate) length: Option<u64>,
    /// Where the body begins.
    pub(crate) end: usize,
}

/// Reads the head of an answer; `None` as long as it is not all there.
///
/// # Errors
///
/// What of it is no HTTP that is understood here.
pub(crate) fn head(bytes: &[u8]) -> Result<Option<Head>, String> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let end = match response.parse(bytes) {
        Ok(httparse::Status::Complete(end)) => end,
        Ok(httparse::Status::Partial) if bytes.len() > LONGEST_HEAD => {
            return Err("a head without end".into());
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let status = response.code.ok_or("no status")?;
    let mut length = None;
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return Err("a body in chunks, which was not asked for".into());
        }
        if header.name.eq_ignore_ascii_case("content-length") {
            let value = std::str::from_utf8(header.value).ok().and_then(|text| text.trim().parse().ok());
            length = Some(value.ok_or("a length that is no number")?);
        }
    }
    Ok(Some(Head { status, length, end }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_name_holds_stays_within_its_segment() {
        let request = Request::new("GET", &["containers", "a/../b?c d", "json"]).with("filters", "{\"a\":1}");
        let text = String::from_utf8(request.bytes()).unwrap();
        assert!(
            text.starts_with(
                "GET /containers/a%2F..%2Fb%3Fc%20d/json?filters=%7B%22a%22%3A1%7D HTTP/1.0\r\n"
            ),
            "{text}"
        );
        assert!(text.ends_with("\r\n\r\n"));
        let request = Request::new("POST", &["x"]).with("a", "1").with("b", "2");
        assert!(request.bytes().starts_with(b"POST /x?a=1&b=2 HTTP/1.0\r\n"));
        let text = String::from_utf8(request.with_json(&serde_json::json!({"a": "ä"})).bytes()).unwrap();
        assert!(text.ends_with("Content-Length: 10\r\n\r\n{\"a\":\"ä\"}"), "{text}");
    }

    #[test]
    fn heads_are_read_as_they_come() {
        let whole =
            b"HTTP/1.0 404 Not Found\r\nContent-Type: application/json\r\ncontent-length: 7\r\n\r\n{}";
        for end in 0..whole.len() - 2 {
            assert_eq!(head(&whole[..end]), Ok(None), "{end}");
        }
        let found = Head { status: 404, length: Some(7), end: whole.len() - 2 };
        assert_eq!(head(whole), Ok(Some(found)));
        let endless = head(b"HTTP/1.1 200 OK\r\n\r\n").unwrap().unwrap();
        assert_eq!((endless.status, endless.length), (200, None));
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for bad in [
            &b"SSH-2.0-OpenSSH\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        ] {
            assert!(head(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
        let long = [&b"HTTP/1.1 200 OK\r\nX: "[..], &vec![b'x'; LONGEST_HEAD]].concat();
        assert!(head(&long).is_err());
    }
}
