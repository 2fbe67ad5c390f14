//! Pseudo-terminals for `-t`: make one, relay it to the caller's terminal, put the caller's terminal back.
//!
//! Sources: pty(7), ioctl_tty(2), termios(3).

use std::io::IsTerminal;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, Termios};
use rustix::time::Timespec;

/// Whether standard input and standard output both are terminals, as `-t` needs them.
pub fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// A pseudo-terminal.
///
/// It is one of the caller's `/dev/pts`: a process in another root can use it as its terminal, but does not
/// find its name there.
#[derive(Debug)]
pub struct Pty {
    controller: OwnedFd,
    user: OwnedFd,
}

impl Pty {
    /// Makes one, with the size of the terminal on standard input, if that is one.
    ///
    /// # Errors
    ///
    /// `ENOSPC` when `kernel.pty.max` are in use; `ENOENT` without `/dev/ptmx`.
    pub fn open() -> rustix::io::Result<Pty> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let controller = rustix::pty::openpt(flags)?;
        rustix::pty::grantpt(&controller)?;
        rustix::pty::unlockpt(&controller)?;
        let user = rustix::pty::ioctl_tiocgptpeer(&controller, flags)?;
        let pty = Pty { controller, user };
        copy_size(pty.controller.as_fd());
        Ok(pty)
    }

    /// The end that a process has as its terminal: for [`Stdio::Terminal`](crate::process::Stdio::Terminal).
    pub fn user(&self) -> BorrowedFd<'_> {
        self.user.as_fd()
    }

    /// The end that reads what the process writes.
    pub fn controller(&self) -> BorrowedFd<'_> {
        self.controller.as_fd()
    }
}

/// A terminal in raw mode until this is dropped.
#[derive(Debug)]
pub struct RawMode {
    before: Termios,
}

impl RawMode {
    /// Makes the terminal on standard input raw; `None` when there is no terminal.
    ///
    /// # Errors
    ///
    /// `EIO` in a background process group that is orphaned.
    pub fn enter() -> rustix::io::Result<Option<RawMode>> {
        let stdin = rustix::stdio::stdin();
        if !rustix::termios::isatty(stdin) {
            return Ok(None);
        }
        let before = rustix::termios::tcgetattr(stdin)?;
        let mut raw = before.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(stdin, OptionalActions::Drain, &raw)?;
        Ok(Some(RawMode { before }))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _ = rustix::termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, &self.before);
    }
}

/// Copies between standard input and output and the controller end of a terminal.
pub(crate) struct Relay {
    controller: OwnedFd,
    input: bool,
    output: bool,
    _raw: Option<RawMode>,
}

impl Relay {
    /// Closes the user's end in this process, so that the end of the last user is seen.
    pub(crate) fn start(pty: Pty) -> rustix::io::Result<Relay> {
        let raw = RawMode::enter()?;
        Ok(Relay { controller: pty.controller, input: true, output: true, _raw: raw })
    }

    /// What to wait for.
    pub(crate) fn poll(&self) -> Vec<PollFd<'_>> {
        let mut poll = Vec::new();
        if self.output {
            poll.push(PollFd::new(&self.controller, PollFlags::IN));
        }
        if self.input {
            poll.push(PollFd::from_borrowed_fd(rustix::stdio::stdin(), PollFlags::IN));
        }
        poll
    }

    /// Copies what is there, in both directions, without waiting.
    pub(crate) fn step(&mut self) -> rustix::io::Result<()> {
        if self.output && ready(self.controller.as_fd(), PollFlags::IN)? {
            self.output = self.copy_output()?;
        }
        let writable = ready(self.controller.as_fd(), PollFlags::OUT)?;
        if self.input && writable && ready(rustix::stdio::stdin(), PollFlags::IN)? {
            self.copy_input()?;
        }
        Ok(())
    }

    /// Copies what the process wrote before it ended.
    pub(crate) fn drain(&mut self) -> rustix::io::Result<()> {
        while self.output && ready(self.controller.as_fd(), PollFlags::IN)? {
            self.output = self.copy_output()?;
        }
        Ok(())
    }

    /// Gives the terminal the size of the one on standard input; the kernel tells its users (SIGWINCH).
    pub(crate) fn resize(&self) {
        copy_size(self.controller.as_fd());
    }

    /// Says whether more can come: `EIO` is how the controller sees that the last user closed the terminal.
    fn copy_output(&self) -> rustix::io::Result<bool> {
        let mut buffer = [0; 8192];
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.controller, &mut buffer)) {
            Ok(0) | Err(Errno::IO) => Ok(false),
            Ok(length) => write_all(rustix::stdio::stdout(), &buffer[..length]).map(|()| true),
            Err(errno) => Err(errno),
        }
    }

    fn copy_input(&mut self) -> rustix::io::Result<()> {
        // Small enough for a terminal that is writable to take whole.
        let mut buffer = [0; 256];
        let length = rustix::io::retry_on_intr(|| rustix::io::read(rustix::stdio::stdin(), &mut buffer))?;
        if length > 0 {
            return write_all(self.controller.as_fd(), &buffer[..length]);
        }
        // The end of a file or pipe is, on a terminal, Ctrl-D at the start of a line.
        const END_OF_TRANSMISSION: u8 = 4;
        self.input = false;
        write_all(self.controller.as_fd(), &[END_OF_TRANSMISSION])
    }
}

fn ready(fd: BorrowedFd<'_>, what: PollFlags) -> rustix::io::Result<bool> {
    let mut poll = [PollFd::from_borrowed_fd(fd, what)];
    let at_once = Timespec::default();
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut poll, Some(&at_once)))?;
    let wanted = what | PollFlags::HUP | PollFlags::ERR;
    Ok(poll[0].revents().intersects(wanted))
}

fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(fd, bytes))?;
        bytes = &bytes[written..];
    }
    Ok(())
}

fn copy_size(controller: BorrowedFd<'_>) {
    // Standard input that is no terminal has no size; the default one is then as good as any.
    if let Ok(size) = rustix::termios::tcgetwinsize(rustix::stdio::stdin()) {
        let _ = rustix::termios::tcsetwinsize(controller, size);
    }
}
