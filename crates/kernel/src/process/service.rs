//! Starting a program that serves: with a socket that somebody waits at already.

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::error::{SpawnError, parent};
use super::fork;
use super::keeper::stay_behind;

/// The descriptor of the first socket that a service is given. Source: sd_listen_fds(3).
const FIRST: i32 = 3;

/// Starts `program` with `socket`, in a session of its own and at `/`, and returns when it runs. What it says goes to `log`, which
/// is made anew.
///
/// The socket is given as systemd gives it: as descriptor 3, with `LISTEN_FDS` and `LISTEN_PID` in the environment.
///
/// # Errors
///
/// `EAGAIN` when no more processes are allowed; what execve(2) says of the program.
pub fn start_service(
    program: &Path,
    arguments: &[OsString],
    socket: OwnedFd,
    log: &Path,
) -> Result<(), SpawnError> {
    let c_string = |text: &OsStr| {
        CString::new(text.as_bytes()).map_err(|_| SpawnError::NulByte { what: "an argument".into() })
    };
    let path = c_string(program.as_os_str())?;
    let arguments: Vec<CString> = arguments.iter().map(|word| c_string(word)).collect::<Result<_, _>>()?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let log = rustix::fs::open(log, flags, Mode::RUSR | Mode::WUSR).map_err(parent("open the log"))?;
    let said = stay_behind(|said| {
        let error = match hand_over(&socket, &log) {
            Ok(()) => fork::execve(&path, &arguments, &environment()),
            Err(errno) => errno,
        };
        said.send(&error.raw_os_error().to_ne_bytes());
        1
    })?;
    match <[u8; 4]>::try_from(said.as_slice()) {
        // The pipe was closed by exec.
        Err(_) => Ok(()),
        Ok(errno) => Err(SpawnError::CommandNotRunnable {
            command: program.into(),
            errno: rustix::io::Errno::from_raw_os_error(i32::from_ne_bytes(errno)),
        }),
    }
}

fn hand_over(socket: &OwnedFd, log: &OwnedFd) -> rustix::io::Result<()> {
    rustix::stdio::dup2_stderr(log)?;
    rustix::process::chdir("/")?;
    // Aside first: it may have the very number that it is to get, and would then be closed by exec.
    let aside = rustix::io::fcntl_dupfd_cloexec(socket, FIRST + 1)?;
    fork::install(aside.as_fd(), FIRST)?;
    fork::reset_signals();
    fork::close_on_exec_from(FIRST.unsigned_abs() + 1);
    Ok(())
}

/// The caller's, but for what says where a socket is, and what is about the caller alone.
fn environment() -> Vec<CString> {
    let about_it =
        |name: &[u8]| [&b"LISTEN_"[..], b"PONTOON_TEST_"].iter().any(|start| name.starts_with(start));
    let others = std::env::vars_os().filter(|(name, _)| !about_it(name.as_bytes()));
    let given = [("LISTEN_FDS", "1".to_owned()), ("LISTEN_PID", std::process::id().to_string())];
    let given = given.into_iter().map(|(name, value)| (name.into(), value.into()));
    let joined = others.chain(given).filter_map(|(mut name, value): (OsString, OsString)| {
        name.push("=");
        name.push(value);
        CString::new(name.into_vec()).ok()
    });
    joined.collect()
}
