//! Files that containers' output is kept in.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::failure::Failure;

/// How much of what was written before is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    All,
    Lines(u64),
}

/// Reads `--tail`.
pub(crate) fn tail(text: &str) -> Result<Tail, String> {
    match text {
        "all" => Ok(Tail::All),
        text => {
            text.parse().map(Tail::Lines).map_err(|_| "it must be a number of lines, or `all`".to_owned())
        }
    }
}

/// The file with a container's output.
pub(crate) fn open(path: &Path, name: &str) -> Result<File, Failure> {
    File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::new(format!("no output of container `{name}` was kept"))
            .with_hint("the output of a container in the foreground goes to whoever started it; -d keeps it"),
        _ => Failure::io(format!("could not read {}", path.display()), &error),
    })
}

/// Goes to where the last `lines` lines begin, reading from the end in pieces.
pub(crate) fn skip_to_last(log: &mut File, lines: u64) -> io::Result<()> {
    const PIECE: u64 = 64 * 1024;
    let end = log.seek(SeekFrom::End(0))?;
    if lines == 0 {
        return Ok(());
    }
    let mut start = end;
    let mut left = lines;
    let mut piece = Vec::new();
    while start > 0 {
        let from = start.saturating_sub(PIECE);
        log.seek(SeekFrom::Start(from))?;
        piece.clear();
        io::Read::by_ref(log).take(start - from).read_to_end(&mut piece)?;
        for (at, _) in piece.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = from + at as u64 + 1;
            // The break at the very end closes the last line, and begins none.
            if after == end {
                continue;
            }
            left -= 1;
            if left == 0 {
                return log.seek(SeekFrom::Start(after)).map(drop);
            }
        }
        start = from;
    }
    log.rewind()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_found_from_the_end() {
        let path = std::env::temp_dir().join(format!("pontoon-logs-test-{}", std::process::id()));
        for (text, lines, expected) in [
            ("a\nb\nc\n", 1, "c\n"),
            ("a\nb\nc", 2, "b\nc"),
            ("a\nb\n", 5, "a\nb\n"),
            ("a\n\n", 1, "\n"),
            ("a\nb\n", 0, ""),
            ("", 3, ""),
        ] {
            std::fs::write(&path, text).unwrap();
            let mut file = File::open(&path).unwrap();
            skip_to_last(&mut file, lines).unwrap();
            let mut rest = String::new();
            file.read_to_string(&mut rest).unwrap();
            assert_eq!(rest, expected, "{text:?} {lines}");
        }
        std::fs::remove_file(&path).unwrap();
    }
}
