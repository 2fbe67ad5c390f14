//! The verbs, one file each.

pub(crate) mod capture;
pub(crate) mod completion;
pub(crate) mod compose;
pub(crate) mod daemon;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod explain;
pub(crate) mod firewall;
pub(crate) mod graph;
pub(crate) mod help;
pub(crate) mod impair;
pub(crate) mod inspect;
pub(crate) mod lab;
pub(crate) mod link;
pub(crate) mod logs;
pub(crate) mod network;
pub(crate) mod oci_hook;
pub(crate) mod port;
pub(crate) mod ps;
pub(crate) mod publish;
pub(crate) mod reach;
pub(crate) mod restore;
pub(crate) mod rm;
pub(crate) mod route;
pub(crate) mod run;
pub(crate) mod stats;
pub(crate) mod stop;
pub(crate) mod system;
pub(crate) mod test;
pub(crate) mod unlink;
pub(crate) mod unpublish;
pub(crate) mod up;

use std::process::ExitCode;

/// A container's exit code as ours.
pub(crate) fn code(code: i32) -> ExitCode {
    // Exit codes are a byte: exit(3).
    ExitCode::from(u8::try_from(code & 0xff).unwrap_or(u8::MAX))
}
