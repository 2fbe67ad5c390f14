//! The control socket, if whoever started the daemon has opened it: socket activation.

use std::os::fd::{AsFd as _, OwnedFd};

use pontoon_kernel::activation::{ActivationError, Variables, take};
use pontoon_model::Diagnose;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, sockopt};

/// Why the socket that was passed cannot be the control socket.
#[derive(Debug, thiserror::Error)]
pub enum ControlSocketError {
    /// What was passed cannot be taken.
    #[error(transparent)]
    Passed(#[from] ActivationError),
    /// It is another kind of descriptor.
    #[error(
        "the descriptor `{name}` that was passed is {what}, and not a Unix socket that listens (SOCK_SEQPACKET)"
    )]
    Kind {
        /// What it is called.
        name: String,
        /// What it is.
        what: &'static str,
    },
    /// There are several.
    #[error("{0} sockets were passed, where one is needed")]
    Several(usize),
}

impl Diagnose for ControlSocketError {
    fn code(&self) -> &'static str {
        match self {
            Self::Passed(error) => error.code(),
            Self::Kind { .. } => "activation-kind",
            Self::Several(_) => "activation-several",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Passed(error) => error.hint(),
            Self::Kind { .. } | Self::Several(_) => {
                Some("dist/pontoon-daemon.socket passes the one that is needed".into())
            }
        }
    }
}

/// Takes the control socket that was passed to this process; none if none was.
///
/// # Errors
///
/// If what was passed is something else.
pub fn control_socket() -> Result<Option<OwnedFd>, ControlSocketError> {
    let mut passed = take(&Variables::of_this_process())?;
    if passed.len() > 1 {
        return Err(ControlSocketError::Several(passed.len()));
    }
    let Some(passed) = passed.pop() else { return Ok(None) };
    match unfit(&passed.fd) {
        None => Ok(Some(passed.fd)),
        Some(what) => Err(ControlSocketError::Kind { name: passed.name, what }),
    }
}

/// What a descriptor is that is no listening Unix socket for packets in sequence.
fn unfit(fd: &OwnedFd) -> Option<&'static str> {
    let fd = fd.as_fd();
    match sockopt::socket_type(fd) {
        Ok(SocketType::SEQPACKET) => {}
        Ok(_) => return Some("a socket of another type"),
        Err(Errno::NOTSOCK) => return Some("no socket"),
        Err(_) => return Some("a socket that cannot be asked"),
    }
    match (sockopt::socket_domain(fd), sockopt::socket_acceptconn(fd)) {
        (Ok(AddressFamily::UNIX), Ok(true)) => None,
        (Ok(AddressFamily::UNIX), _) => Some("a socket that does not listen"),
        _ => Some("a socket of another family"),
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::{SocketAddrUnix, SocketFlags, bind, listen, socket_with, socketpair};

    use super::*;

    #[test]
    fn only_a_listening_unix_socket_for_packets_is_one() {
        let socket = |family, kind| socket_with(family, kind, SocketFlags::CLOEXEC, None).unwrap();
        let waiting = socket(AddressFamily::UNIX, SocketType::SEQPACKET);
        assert_eq!(unfit(&waiting), Some("a socket that does not listen"));
        let name = format!("pontoon-activation-{}", std::process::id());
        bind(&waiting, &SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap()).unwrap();
        listen(&waiting, 1).unwrap();
        assert_eq!(unfit(&waiting), None);
        assert_eq!(unfit(&socket(AddressFamily::UNIX, SocketType::STREAM)), Some("a socket of another type"));
        let (pair, _other) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        assert_eq!(unfit(&pair), Some("a socket that does not listen"));
        assert_eq!(unfit(&std::fs::File::open("/dev/null").unwrap().into()), Some("no socket"));
    }
}
