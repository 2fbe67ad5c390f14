//! What a service manager is told: that the daemon is ready, that it stops, how it is.
//!
//! Source: sd_notify(3): a datagram of `NAME=VALUE` lines to the socket that `NOTIFY_SOCKET` names, of which `@` as the
//! first character stands for a name without a file.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Whoever wants to know how the daemon is, if there is anybody.
#[derive(Debug, Clone, Default)]
pub struct Notifier {
    socket: Option<OsString>,
}

impl Notifier {
    /// The one that this process was started by.
    pub fn of_this_process() -> Self {
        Self::at(std::env::var_os("NOTIFY_SOCKET"))
    }

    /// One that listens at a path, or with an `@` before it at a name without a file.
    pub fn at(socket: Option<OsString>) -> Self {
        Self { socket: socket.filter(|socket| !socket.is_empty()) }
    }

    /// The daemon answers from now on.
    ///
    /// # Errors
    ///
    /// If nobody listens where somebody should: systemd then believes that the start failed.
    pub fn ready(&self, status: &str) -> io::Result<()> {
        self.say(&format!("READY=1\nSTATUS={}", one_line(status)))
    }

    /// The daemon ends.
    ///
    /// # Errors
    ///
    /// As [`Notifier::ready`].
    pub fn stopping(&self) -> io::Result<()> {
        self.say("STOPPING=1")
    }

    /// How the daemon is, in a sentence that `systemctl status` shows.
    ///
    /// # Errors
    ///
    /// As [`Notifier::ready`].
    pub fn status(&self, status: &str) -> io::Result<()> {
        self.say(&format!("STATUS={}", one_line(status)))
    }

    fn say(&self, text: &str) -> io::Result<()> {
        let Some(name) = &self.socket else { return Ok(()) };
        UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address(name)?).map(drop)
    }
}

fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(name),
    }
}

/// A line break would begin another variable.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(listener: &UnixDatagram) -> String {
        let mut buffer = [0; 200];
        let length = listener.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn it_is_said_at_a_path_or_a_name_or_to_nobody() {
        let unique = format!("pontoon-notify-{}", std::process::id());
        let path = std::env::temp_dir().join(&unique);
        let listener = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::at(Some(path.clone().into()));
        notifier.ready("two\nFDSTORE=1 networks").unwrap();
        assert_eq!(heard(&listener), "READY=1\nSTATUS=two FDSTORE=1 networks");
        std::fs::remove_file(&path).unwrap();
        assert!(notifier.stopping().is_err());
        let listener =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(unique.as_bytes()).unwrap()).unwrap();
        Notifier::at(Some(format!("@{unique}").into())).stopping().unwrap();
        assert_eq!(heard(&listener), "STOPPING=1");
        Notifier::at(None).ready("").unwrap();
        Notifier::at(Some("".into())).status("idle").unwrap();
    }
}
