//! `pontoon lab`

pub(crate) mod fetch;
mod outside;
pub(crate) mod serve;
mod tour;
mod traces;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use pontoon_kernel::lab::{self, Options};
use pontoon_kernel::process::{Foreground, SpawnError, Spec, spawn};

use crate::failure::Failure;
use crate::global::Global;
use crate::verb::code;
use outside::Outside;

/// A throw-away host: try everything as root without being root, and leave nothing behind
///
/// Without a command, a tour: a network, two containers, a page fetched, the outside reached, and all taken away again.
/// With one, that command on the throw-away host: `pontoon lab -- bash`.
///
/// The host has user, mount, network, pid and IPC namespaces of its own; /run, /var/lib/pontoon and what is written to
/// /etc are in memory. Behind its eth0 (192.0.2.2/24, 2001:db8:1::2/64) is a simulated outside, the namespace `outside`,
/// with the addresses 192.0.2.1, 198.51.100.1, 2001:db8:1::1 and 2001:db8:2::1 and no way back to container networks.
#[derive(Debug, Args)]
pub(crate) struct Lab {
    /// Name of the throw-away host
    #[arg(long, value_name = "NAME", default_value = "lab")]
    hostname: String,
    /// Leave eth0 and what is behind it out
    #[arg(long)]
    no_outside: bool,
    /// Command and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true)]
    command: Vec<OsString>,
}

impl Lab {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        global.no_dry_run("lab")?;
        if self.no_outside && self.command.is_empty() {
            return Err(Failure::usage(
                "the tour needs the outside: give a command, or leave --no-outside out",
            ));
        }
        let program = std::env::current_exe()
            .map_err(|error| Failure::io("could not find this program's file", &error))?;
        let options =
            Options { hostname: self.hostname.clone(), mirrored: vec!["/etc".into()], ..Options::default() };
        let status = lab::run(&options, || match self.inside(&program) {
            Ok(code) => code,
            Err(failure) => failure.tell().into(),
        })?;
        Ok(code(status.code()))
    }

    /// What happens on the throw-away host.
    fn inside(&self, program: &Path) -> Result<i32, Failure> {
        let outside = if self.no_outside { None } else { Some(Outside::build()?) };
        let environment = environment(program);
        if let (Some(outside), true) = (&outside, self.command.is_empty()) {
            return tour::Tour::new(program, environment, outside).take().map(|()| 0);
        }
        let foreground = Foreground::prepare().map_err(not_run)?;
        let spec = Spec { environment, ..Spec::new(&self.command) };
        let child = spawn(&spec).map_err(not_run)?;
        Ok(foreground.wait(&child).map_err(not_run)?.code())
    }
}

/// The caller's environment, but for the state that is not the lab's, and with this program on the PATH.
fn environment(program: &Path) -> Vec<(OsString, OsString)> {
    let mut variables: Vec<_> =
        std::env::vars_os().filter(|(name, _)| name != "PONTOON_ROOT" && name != "PATH").collect();
    let folder = program.parent().map(PathBuf::from).unwrap_or_default();
    let before = std::env::var_os("PATH")
        .unwrap_or_else(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
    let mut path = folder.into_os_string();
    path.push(":");
    path.push(before);
    variables.push(("PATH".into(), path));
    variables
}

/// As `run` and `exec` have it.
fn not_run(error: SpawnError) -> Failure {
    let code = match &error {
        SpawnError::CommandNotFound { .. } => 127,
        SpawnError::CommandNotRunnable { .. } => 126,
        _ => 125,
    };
    Failure::from(error).with_code(code)
}
