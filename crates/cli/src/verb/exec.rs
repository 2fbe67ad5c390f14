//! `pontoon exec`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use pontoon_engine::container::ExecSpec;

use crate::failure::Failure;
use crate::global::Global;
use crate::parse::environment;
use crate::verb::code;
use crate::verb::run::{failed, set_up};

/// Run one more command in a running container
///
/// It gets the container's environment and sees what the container sees. The exit code is the command's.
#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// Accepted for Docker's sake: standard input is always passed on
    #[arg(long, short)]
    interactive: bool,
    /// Give it a terminal of its own
    #[arg(long, short)]
    tty: bool,
    /// Environment variable
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// File with an environment variable on each line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Directory to start in
    #[arg(long, short, value_name = "DIR")]
    workdir: Option<PathBuf>,
    /// Container by name, id, or the beginning of an id
    container: String,
    /// Command and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    command: Vec<String>,
}

impl Exec {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        global.no_dry_run("exec")?;
        let spec = ExecSpec {
            argv: self.command,
            env: environment::gather(&self.env_file, &self.env)?,
            workdir: self.workdir,
            tty: self.tty,
        };
        let mut session = global.session().map_err(set_up)?;
        let status = session.exec(&self.container, &spec).map_err(failed)?;
        Ok(code(status.code()))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::{Cli, Verb};

    #[test]
    fn both_ways_to_write_it_mean_the_same() {
        for line in ["pontoon exec -it web ls -l", "pontoon exec -it web -- ls -l"] {
            let Ok(Cli { verb: Verb::Exec(exec), .. }) = Cli::try_parse_from(line.split(' ')) else {
                panic!("{line}")
            };
            assert_eq!(
                (exec.container.as_str(), exec.command.join(" ").as_str()),
                ("web", "ls -l"),
                "{line}"
            );
        }
    }
}
