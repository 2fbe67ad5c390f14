//! Sockets that whoever started this process has opened for it.
//!
//! Source: sd_listen_fds(3): descriptors from 3 on, `LISTEN_FDS` of them, if `LISTEN_PID` is this process.
#![expect(unsafe_code, reason = "a descriptor that was inherited has only a number")]

use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use pontoon_model::Diagnose;
use rustix::io::{Errno, FdFlags, fcntl_getfd, fcntl_setfd};

/// `SD_LISTEN_FDS_START` in systemd's sd-daemon.h.
const FIRST: RawFd = 3;
/// Nobody passes more; a number that is out of all reason is refused.
const MOST: usize = 64;

/// Why what was passed cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// A variable is no number, or an impossible one.
    #[error("{variable}={value} is not what systemd sets")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// A descriptor that should be there is not.
    #[error("descriptor {number} was to be passed and cannot be used")]
    Descriptor {
        /// Its number.
        number: RawFd,
        /// What the kernel said.
        #[source]
        errno: Errno,
    },
}

impl Diagnose for ActivationError {
    fn code(&self) -> &'static str {
        match self {
            Self::Variable { .. } => "activation-variable",
            Self::Descriptor { .. } => "activation-descriptor",
        }
    }

    fn hint(&self) -> Option<String> {
        Some("unset LISTEN_PID and LISTEN_FDS to start it without a passed socket".into())
    }
}

/// A descriptor that was passed.
#[derive(Debug)]
pub struct Passed {
    /// What it is called (`FileDescriptorName=`); `unknown` if it has no name.
    pub name: String,
    /// The descriptor, which other programs do not inherit.
    pub fd: OwnedFd,
}

/// What the variables say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables {
    /// `LISTEN_PID`.
    pub pid: Option<String>,
    /// `LISTEN_FDS`.
    pub fds: Option<String>,
    /// `LISTEN_FDNAMES`, with colons between them.
    pub names: Option<String>,
}

impl Variables {
    /// Those of this process.
    pub fn of_this_process() -> Self {
        let get = |name| std::env::var(name).ok();
        Self { pid: get("LISTEN_PID"), fds: get("LISTEN_FDS"), names: get("LISTEN_FDNAMES") }
    }

    /// The names of the descriptors that are for the process `pid`, in order.
    ///
    /// # Errors
    ///
    /// If a variable is no number, or there are more than anybody passes.
    pub fn names_for(&self, pid: u32) -> Result<Vec<String>, ActivationError> {
        let wrong = |variable, value: &str| ActivationError::Variable { variable, value: value.to_owned() };
        let (Some(for_pid), Some(count)) = (&self.pid, &self.fds) else { return Ok(Vec::new()) };
        let meant: u32 = for_pid.parse().map_err(|_| wrong("LISTEN_PID", for_pid))?;
        if meant != pid {
            // Somebody else's, whose environment this process has.
            return Ok(Vec::new());
        }
        let number: usize = count.parse().map_err(|_| wrong("LISTEN_FDS", count))?;
        if number > MOST {
            return Err(wrong("LISTEN_FDS", count));
        }
        let mut names = self.names.iter().flat_map(|names| names.split(':'));
        Ok((0..number)
            .map(|_| names.next().filter(|name| !name.is_empty()).unwrap_or("unknown").to_owned())
            .collect())
    }
}

/// Takes the descriptors that were passed to this process. Only the first call gets them.
///
/// # Errors
///
/// If a variable is wrong, or a descriptor is not there.
pub fn take(variables: &Variables) -> Result<Vec<Passed>, ActivationError> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let names = variables.names_for(std::process::id())?;
    if names.is_empty() || TAKEN.swap(true, Ordering::SeqCst) {
        return Ok(Vec::new());
    }
    names.into_iter().zip(FIRST..).map(|(name, number)| adopt(name, number)).collect()
}

fn adopt(name: String, number: RawFd) -> Result<Passed, ActivationError> {
    let failed = |errno| ActivationError::Descriptor { number, errno };
    // SAFETY: it is only used for the next call, which fails where there is no such descriptor.
    let seen = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = fcntl_getfd(seen).map_err(failed)?;
    fcntl_setfd(seen, flags | FdFlags::CLOEXEC).map_err(failed)?;
    // SAFETY: it is open; by the protocol it was passed to this process, in which nothing else knows of it, and `take`
    // gets here once.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    Ok(Passed { name, fd })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pid: &str, fds: &str, names: Option<&str>) -> Variables {
        Variables { pid: Some(pid.into()), fds: Some(fds.into()), names: names.map(str::to_owned) }
    }

    #[test]
    fn only_what_is_for_this_process_counts() {
        assert_eq!(variables("7", "2", Some("control")).names_for(7).unwrap(), ["control", "unknown"]);
        assert_eq!(variables("7", "2", None).names_for(8).unwrap(), [""; 0]);
        assert_eq!(Variables::default().names_for(8).unwrap(), [""; 0]);
        for (pid, fds) in [("x", "1"), ("7", ""), ("7", "-1"), ("7", "65"), ("7", "99999999999999999999")] {
            assert_eq!(variables(pid, fds, None).names_for(7).unwrap_err().code(), "activation-variable");
        }
    }
}
