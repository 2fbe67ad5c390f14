//! Commands that are started, timed and waited for.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

use crate::error::BenchError;
use crate::samples::timed;

/// The variable that names the `pontoon` to measure.
const VARIABLE: &str = "PONTOON_BIN";

/// The do-nothing command that all others are compared with.
pub(crate) const TRUE: &str = "/bin/true";

/// The `pontoon` to measure: the variable's, or the one beside this program.
pub(crate) fn pontoon() -> Result<PathBuf, BenchError> {
    let path = match std::env::var_os(VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => own()?.with_file_name("pontoon"),
    };
    std::path::absolute(&path).ok().filter(|path| path.is_file()).ok_or(BenchError::NoProgram(path))
}

/// This program, which runs itself again as a worker.
pub(crate) fn own() -> Result<PathBuf, BenchError> {
    std::env::current_exe().map_err(BenchError::io("find this program"))
}

/// Runs a command, which must succeed, and says how long it took from before its start to after its end.
pub(crate) fn run(command: &mut Command) -> Result<Duration, BenchError> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let (time, status) = timed(|| command.status()).map_err(BenchError::io("start a command"))?;
    if status.success() { Ok(time) } else { Err(failed(command, status.to_string())) }
}

/// That a command failed.
pub(crate) fn failed(command: &Command, status: String) -> BenchError {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    BenchError::Command { command: words.join(" "), status }
}

/// The most memory that a command and its children had resident, in KiB.
///
/// A helper runs it, since the kernel tells the most of all children that a process ever had; and since what a
/// process has resident when it starts another counts as that one's, the helper is a fresh one.
pub(crate) fn peak_memory(words: &[OsString]) -> Result<u64, BenchError> {
    let mut helper = Command::new(own()?);
    let output = helper.arg("peak-memory").args(words).stderr(Stdio::inherit()).output();
    let output = output.map_err(BenchError::io("start a helper"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    said.trim().parse().map_err(|_| failed(&helper, output.status.to_string()))
}

/// The helper: runs a command and prints its peak in KiB.
pub(crate) fn tell_peak_memory(words: &[OsString]) -> Result<(), BenchError> {
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    run(Command::new(program).args(arguments))?;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN);
    let usage = usage.map_err(|errno| BenchError::io("read what a child used")(errno.into()))?;
    println!("{}", usage.max_rss());
    Ok(())
}
