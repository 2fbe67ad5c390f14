//! Talk between a command and the daemon: messages over a Unix socket, each asked and answered whole.
//!
//! Source: unix(7), `SOCK_SEQPACKET`: message boundaries are kept, and a peer that is gone shows as an empty message.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pontoon_model::Diagnose;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

/// The longest message in bytes, either way.
pub const LONGEST: usize = 64 << 10;

/// A message could not be exchanged.
#[derive(Debug, thiserror::Error)]
#[error("could not {operation} `{path}`")]
pub struct ControlError {
    /// What was tried, in the imperative.
    pub operation: &'static str,
    /// The socket.
    pub path: PathBuf,
    /// What the kernel said; `EPIPE` when the other side is gone, `ETIMEDOUT` when it does not answer, `EMSGSIZE` when
    /// a message is longer than [`LONGEST`].
    #[source]
    pub errno: Errno,
}

impl ControlError {
    /// Whether nobody listens there: there is no socket, or its listener is gone.
    pub fn is_nobody(&self) -> bool {
        matches!(self.errno, Errno::NOENT | Errno::CONNREFUSED)
    }

    /// Whether the other side went away.
    pub fn is_gone(&self) -> bool {
        matches!(self.errno, Errno::PIPE | Errno::CONNRESET)
    }
}

impl Diagnose for ControlError {
    fn code(&self) -> &'static str {
        match self.errno {
            Errno::TIMEDOUT => "daemon-silent",
            Errno::ACCESS | Errno::PERM => "daemon-denied",
            _ => "daemon-unreachable",
        }
    }

    fn hint(&self) -> Option<String> {
        match self.errno {
            Errno::ACCESS | Errno::PERM => {
                Some("the socket is for root, or for the group of `--group`".into())
            }
            _ => None,
        }
    }
}

/// One end of a conversation.
#[derive(Debug)]
pub struct Conversation {
    fd: OwnedFd,
    path: PathBuf,
}

impl Conversation {
    /// Begins one with whoever listens at `path`.
    ///
    /// # Errors
    ///
    /// [`ControlError::is_nobody`] where nobody does; `EACCES` for those whom the socket is not for.
    pub fn connect(path: &Path) -> Result<Self, ControlError> {
        let fail = |errno| ControlError { operation: "connect to", path: path.to_owned(), errno };
        let fd = socket().map_err(fail)?;
        let address = SocketAddrUnix::new(path).map_err(fail)?;
        rustix::io::retry_on_intr(|| rustix::net::connect(&fd, &address)).map_err(fail)?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// [`ControlError::is_gone`] when the other side is gone, `EMSGSIZE` when the message is too long.
    pub fn send(&self, message: &[u8]) -> Result<(), ControlError> {
        let fail = |errno| self.failed("send to", errno);
        if message.len() > LONGEST {
            return Err(fail(Errno::MSGSIZE));
        }
        let send = || rustix::net::send(&self.fd, message, SendFlags::NOSIGNAL);
        rustix::io::retry_on_intr(send).map(drop).map_err(fail)
    }

    /// Waits for a message.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT` after `patience`, [`ControlError::is_gone`] when the other side is gone, `EMSGSIZE` when its message is
    /// longer than [`LONGEST`].
    pub fn receive(&self, patience: Duration) -> Result<Vec<u8>, ControlError> {
        let fail = |errno| self.failed("hear from", errno);
        let limit = Timespec::try_from(patience).map_err(|_| fail(Errno::INVAL))?;
        let mut wanted = [PollFd::new(&self.fd, PollFlags::IN)];
        match rustix::io::retry_on_intr(|| rustix::event::poll(&mut wanted, Some(&limit))).map_err(fail)? {
            0 => Err(fail(Errno::TIMEDOUT)),
            _ => self.take().and_then(|message| message.ok_or_else(|| fail(Errno::TIMEDOUT))),
        }
    }

    /// Takes a message if one is there.
    ///
    /// # Errors
    ///
    /// As [`Conversation::receive`], but for the wait.
    pub fn take(&self) -> Result<Option<Vec<u8>>, ControlError> {
        let fail = |errno| self.failed("hear from", errno);
        // One byte more, to tell a message that is too long.
        let mut buffer = vec![0; LONGEST + 1];
        let receive = || rustix::net::recv(&self.fd, &mut *buffer, RecvFlags::DONTWAIT);
        let length = match rustix::io::retry_on_intr(receive) {
            Ok((length, _)) => length,
            Err(Errno::AGAIN) => return Ok(None),
            Err(errno) => return Err(fail(errno)),
        };
        match length {
            0 => Err(fail(Errno::PIPE)),
            length if length > LONGEST => Err(fail(Errno::MSGSIZE)),
            length => {
                buffer.truncate(length);
                Ok(Some(buffer))
            }
        }
    }

    fn failed(&self, operation: &'static str, errno: Errno) -> ControlError {
        ControlError { operation, path: self.path.clone(), errno }
    }
}

impl AsFd for Conversation {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A place where conversations begin.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    path: PathBuf,
}

impl Listener {
    /// Listens at `path`, for root alone, in the place of a listener that is gone.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` where somebody listens already.
    pub fn bind(path: &Path) -> Result<Self, ControlError> {
        let fail = |errno| ControlError { operation: "listen at", path: path.to_owned(), errno };
        match Conversation::connect(path) {
            Ok(_) => return Err(fail(Errno::ADDRINUSE)),
            Err(error) if error.errno == Errno::CONNREFUSED => {
                rustix::fs::unlink(path).map_err(fail)?;
            }
            Err(error) if error.is_nobody() => {}
            Err(error) => return Err(error),
        }
        let fd = socket().map_err(fail)?;
        let address = SocketAddrUnix::new(path).map_err(fail)?;
        rustix::net::bind(&fd, &address).map_err(fail)?;
        // Before it listens, nobody gets in.
        rustix::fs::chmod(path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).map_err(fail)?;
        rustix::net::listen(&fd, 1024).map_err(fail)?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// One that somebody else made, as systemd does.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is no listening Unix socket of messages.
    pub fn adopt(fd: OwnedFd, path: &Path) -> Result<Self, ControlError> {
        use rustix::net::sockopt::{socket_acceptconn, socket_domain, socket_type};
        let fail = |errno| ControlError { operation: "listen at", path: path.to_owned(), errno };
        let right = socket_domain(&fd).map_err(fail)? == AddressFamily::UNIX
            && socket_type(&fd).map_err(fail)? == SocketType::SEQPACKET
            && socket_acceptconn(&fd).map_err(fail)?;
        if right { Ok(Self { fd, path: path.to_owned() }) } else { Err(fail(Errno::INVAL)) }
    }

    /// The next conversation, if one waits.
    ///
    /// # Errors
    ///
    /// `EMFILE` when no more files may be open.
    pub fn accept(&self) -> Result<Option<Conversation>, ControlError> {
        let mut wanted = [PollFd::new(&self.fd, PollFlags::IN)];
        let none = Timespec { tv_sec: 0, tv_nsec: 0 };
        let fail = |errno| ControlError { operation: "listen at", path: self.path.clone(), errno };
        let ready =
            rustix::io::retry_on_intr(|| rustix::event::poll(&mut wanted, Some(&none))).map_err(fail)?;
        if ready == 0 {
            return Ok(None);
        }
        match rustix::net::accept_with(&self.fd, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(fd) => Ok(Some(Conversation { fd, path: self.path.clone() })),
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => Ok(None),
            Err(errno) => Err(fail(errno)),
        }
    }

    /// Gives the socket to a group as well, and the way to it: its folder can be passed through, and not be listed.
    ///
    /// # Errors
    ///
    /// `EPERM` for a group that the caller may not give to.
    pub fn share_with(&self, group: u32) -> Result<(), ControlError> {
        use rustix::fs::{Gid, Mode, chmod, chown};
        let folder = self.path.parent().map(|folder| (folder, Mode::RWXU | Mode::XGRP));
        let socket = (self.path.as_path(), Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP);
        for (path, mode) in folder.into_iter().chain([socket]) {
            let fail = |errno| ControlError { operation: "share", path: path.to_owned(), errno };
            chown(path, None, Some(Gid::from_raw(group))).map_err(fail)?;
            chmod(path, mode).map_err(fail)?;
        }
        Ok(())
    }

    /// Takes the socket's name away; who comes later finds nobody.
    ///
    /// # Errors
    ///
    /// If the file cannot be removed.
    pub fn withdraw(&self) -> Result<(), ControlError> {
        rustix::fs::unlink(&self.path).map_err(|errno| ControlError {
            operation: "remove",
            path: self.path.clone(),
            errno,
        })
    }

    /// The socket, for the process that is to listen.
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn socket() -> rustix::io::Result<OwnedFd> {
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("pontoon-control-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    #[test]
    fn messages_arrive_whole_and_are_answered() {
        let path = place("whole");
        let listener = Listener::bind(&path).unwrap();
        let asking = Conversation::connect(&path).unwrap();
        asking.send(b"one").unwrap();
        asking.send(&[7; LONGEST]).unwrap();
        let answering = listener.accept().unwrap().expect("somebody waits");
        assert_eq!(answering.take().unwrap().as_deref(), Some(&b"one"[..]));
        assert_eq!(answering.take().unwrap().map(|message| message.len()), Some(LONGEST));
        assert_eq!(answering.take().unwrap(), None);
        answering.send(b"two").unwrap();
        assert_eq!(asking.receive(Duration::from_secs(5)).unwrap(), b"two");
        drop(asking);
        assert!(answering.take().unwrap_err().is_gone());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_message_that_is_too_long_is_not_sent() {
        let path = place("long");
        let listener = Listener::bind(&path).unwrap();
        let asking = Conversation::connect(&path).unwrap();
        assert_eq!(asking.send(&[0; LONGEST + 1]).unwrap_err().errno, Errno::MSGSIZE);
        assert_eq!(asking.receive(Duration::from_millis(5)).unwrap_err().errno, Errno::TIMEDOUT);
        drop(listener);
        assert!(asking.receive(Duration::from_secs(5)).unwrap_err().is_gone());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn where_nobody_listens_is_told_and_can_be_taken() {
        let path = place("nobody");
        assert!(Conversation::connect(&path).unwrap_err().is_nobody());
        drop(Listener::bind(&path).unwrap());
        assert!(Conversation::connect(&path).unwrap_err().is_nobody(), "its listener is gone");
        let listener = Listener::bind(&path).unwrap();
        assert_eq!(Listener::bind(&path).unwrap_err().errno, Errno::ADDRINUSE);
        listener.withdraw().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn only_a_listening_socket_is_adopted() {
        let path = place("adopt");
        let listener = Listener::bind(&path).unwrap();
        let other = socket().unwrap();
        assert_eq!(Listener::adopt(other, &path).unwrap_err().errno, Errno::INVAL);
        assert!(Listener::adopt(listener.into_fd(), &path).is_ok());
        std::fs::remove_file(&path).unwrap();
    }
}
