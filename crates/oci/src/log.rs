//! What a container prints, as its engine passes it on.
//!
//! Source: "Stream format" of `POST /containers/{id}/attach` in Docker's Engine API: eight bytes before each piece, the
//! first says from which stream it is, the last four how long it is. With a terminal it comes as it is.

/// From where something comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Standard output, or the terminal.
    Output,
    /// Standard error.
    Error,
}

/// Something that a container printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// From where.
    pub source: Source,
    /// What.
    pub bytes: Vec<u8>,
}

const HEADER: usize = 8;
/// Engines send no more than they read at once; a length beyond that is no header.
const LONGEST: usize = 16 << 20;

/// Takes the pieces off that are whole.
///
/// # Errors
///
/// If it is no stream of pieces.
pub(crate) fn take(bytes: &mut Vec<u8>) -> Result<Vec<Piece>, String> {
    let (mut pieces, mut rest) = (Vec::new(), bytes.as_slice());
    while let Some((header, after)) = rest.split_at_checked(HEADER) {
        let source = match header[..4] {
            [0 | 1, 0, 0, 0] => Source::Output,
            [2, 0, 0, 0] => Source::Error,
            _ => return Err("a piece of an unknown stream".into()),
        };
        let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        let length = usize::try_from(length).expect("32 bits are a length here");
        if length > LONGEST {
            return Err(format!("a piece of {length} bytes"));
        }
        let Some((piece, after)) = after.split_at_checked(length) else { break };
        pieces.push(Piece { source, bytes: piece.to_vec() });
        rest = after;
    }
    let left = rest.len();
    bytes.drain(..bytes.len() - left);
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_read_however_they_are_cut() {
        let stream = b"\x01\0\0\0\0\0\0\x03out\x02\0\0\0\0\0\0\x05error\x01\0\0\0\0\0\0\0".to_vec();
        let wanted = [(Source::Output, "out"), (Source::Error, "error"), (Source::Output, "")]
            .map(|(source, text)| Piece { source, bytes: text.into() });
        for cut in 0..=stream.len() {
            let mut bytes = stream[..cut].to_vec();
            let mut pieces = take(&mut bytes).unwrap();
            bytes.extend(&stream[cut..]);
            pieces.extend(take(&mut bytes).unwrap());
            assert_eq!(pieces, wanted, "{cut}");
            assert!(bytes.is_empty(), "{cut}");
        }
    }

    #[test]
    fn what_is_no_stream_is_refused() {
        for bad in [&b"plain text"[..], b"\x01\0\0\0\xff\xff\xff\xff", b"\x03\0\0\0\0\0\0\x01x"] {
            assert!(take(&mut bad.to_vec()).is_err());
        }
    }
}
