//! The last step of a child: find the command in its new root and become it.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::io::Errno;

use super::error::{Failure, SpawnError, Step};
use super::fork;

/// What `execvp` searches when the environment has no PATH; with the administrator's directories, since a
/// container's process is root in it.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command, its arguments and its environment, checked and ready for execve(2).
#[derive(Debug)]
pub(crate) struct Launch {
    arguments: Vec<CString>,
    environment: Vec<CString>,
    path: OsString,
}

impl Launch {
    pub(crate) fn new(
        command: &[OsString],
        environment: &[(OsString, OsString)],
    ) -> Result<Launch, SpawnError> {
        if command.first().is_none_or(|first| first.is_empty()) {
            return Err(SpawnError::NoCommand);
        }
        let arguments = command.iter().map(|word| c_string(word, "an argument")).collect::<Result<_, _>>()?;
        let mut variables = Vec::new();
        for (name, value) in environment {
            let mut variable = name.clone();
            variable.push("=");
            variable.push(value);
            variables.push(c_string(&variable, &format!("the variable `{}`", name.display()))?);
        }
        let path = environment.iter().rev().find(|(name, _)| name == "PATH");
        let path = path.map_or_else(|| DEFAULT_PATH.into(), |(_, value)| value.clone());
        Ok(Launch { arguments, environment: variables, path })
    }

    /// Becomes the command. Returns only when that failed.
    ///
    /// As execvp(3): a name with a slash is a path, another is tried in each directory of PATH; a file that
    /// the kernel cannot run (`ENOEXEC`) is given to `/bin/sh`.
    pub(crate) fn run(&self) -> Failure {
        fork::reset_signals();
        fork::close_on_exec_from(3);
        let command = self.arguments[0].as_bytes();
        let mut error = Errno::NOENT;
        if command.contains(&b'/') {
            error = self.attempt(&self.arguments[0]);
        } else {
            for directory in self.path.as_bytes().split(|byte| *byte == b':') {
                let directory = if directory.is_empty() { b"." } else { directory };
                let Ok(program) = CString::new([directory, b"/", command].concat()) else { continue };
                match self.attempt(&program) {
                    Errno::NOENT | Errno::NOTDIR => {}
                    // A directory that may not be searched, such as one of root's on a user's PATH.
                    Errno::ACCESS if rustix::fs::stat(&program).is_err() => {}
                    errno => error = errno,
                }
            }
        }
        Failure { step: Step::Command, object: String::from_utf8_lossy(command).into_owned(), errno: error }
    }

    /// Tries one file. `NOENT` says that it is not there; `LIBACC` that what it needs is not there.
    fn attempt(&self, program: &CString) -> Errno {
        match fork::execve(program, &self.arguments, &self.environment) {
            Errno::NOENT if rustix::fs::stat(program).is_ok() => Errno::LIBACC,
            Errno::NOEXEC => {
                let mut arguments = vec![c"sh".to_owned(), program.clone()];
                arguments.extend_from_slice(&self.arguments[1..]);
                fork::execve(&c"/bin/sh".to_owned(), &arguments, &self.environment)
            }
            errno => errno,
        }
    }
}

/// What the parent says about a child that failed.
pub(crate) fn explain(failure: Failure, command: &OsStr) -> SpawnError {
    let command = command.to_owned();
    match failure {
        Failure { step: Step::Command, errno: Errno::NOENT | Errno::NOTDIR, .. } => {
            SpawnError::CommandNotFound { command }
        }
        Failure { step: Step::Command, errno: Errno::LIBACC, .. } => {
            SpawnError::CommandNotRunnable { command, errno: Errno::NOENT }
        }
        Failure { step: Step::Command, errno, .. } => SpawnError::CommandNotRunnable { command, errno },
        Failure { step, object, errno } => SpawnError::Step { step, object, errno },
    }
}

fn c_string(text: &OsStr, what: &str) -> Result<CString, SpawnError> {
    CString::new(text.to_owned().into_vec()).map_err(|_| SpawnError::NulByte { what: what.into() })
}
