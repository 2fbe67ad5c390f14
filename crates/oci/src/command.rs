//! An engine's own program, for want of a socket: Podman needs none to work.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Kind, OciError};

/// Where programs are, whatever the caller's PATH: hooks and services have short ones.
pub(crate) const FOLDERS: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// How much of what it prints is read, in bytes.
const LONGEST: u64 = 16 << 20;

/// Whether the engine's program is there.
pub(crate) fn is_installed(kind: Kind) -> bool {
    FOLDERS.iter().any(|folder| Path::new(folder).join(kind.program()).exists())
}

/// What the program prints of a container.
///
/// # Errors
///
/// [`OciError::NoContainer`] if it has none of that name; [`OciError::Silent`] if it does not end in time.
pub(crate) fn inspect(kind: Kind, name: &str, patience: Duration) -> Result<Vec<u8>, OciError> {
    let words = ["container", "inspect", "--", name];
    let failed = |message: String| OciError::Command {
        command: format!("{} container inspect {name}", kind.program()),
        message,
    };
    let mut command = Command::new(kind.program());
    command.args(words).env("PATH", FOLDERS.join(":")).stdin(Stdio::null());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| failed(error.to_string()))?;
    let output = reader(child.stdout.take());
    let errors = reader(child.stderr.take());
    let success = end_of(&mut child, patience).ok_or(OciError::Silent { kind })?;
    let printed = output.join().unwrap_or_default();
    let said = String::from_utf8_lossy(&errors.join().unwrap_or_default()).trim().to_owned();
    match success {
        true => Ok(printed),
        false if said.to_ascii_lowercase().contains("no such") => {
            Err(OciError::NoContainer { kind, name: name.to_owned(), near: Vec::new() })
        }
        false => Err(failed(said)),
    }
}

/// Reads a pipe beside the caller: a program whose pipe is full does not end.
fn reader(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What could not be read is missing from what is parsed.
        let _ = pipe.map(|pipe| pipe.take(LONGEST).read_to_end(&mut bytes));
        bytes
    })
}

/// Whether a program succeeded; nothing if it did not end in time, and was ended.
fn end_of(child: &mut Child, patience: Duration) -> Option<bool> {
    let start = Instant::now();
    while start.elapsed() < patience {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.success()),
            Ok(None) => std::thread::sleep(Duration::from_millis(5)),
            Err(_) => return Some(false),
        }
    }
    // It may have ended in this moment.
    let _ = child.kill();
    let _ = child.wait();
    None
}
