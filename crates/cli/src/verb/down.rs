//! `pontoon down`

use std::process::ExitCode;

use clap::Args;
use pontoon_project::{DownOptions, Site, down};

use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::parse::project::ProjectFlags;
use crate::show::changes::remove;
use crate::show::progress::Board;

/// End the services of a compose file and take their networks away
///
/// By what carries the project's name, so with -p it needs no file, and services that the file does not have any more
/// go too.
#[derive(Debug, Args)]
pub(crate) struct Down {
    #[command(flatten)]
    project: ProjectFlags,
    /// Accepted for Docker's sake: there are no volumes (-v is --verbose, which does no harm either)
    #[arg(long)]
    volumes: bool,
    /// Accepted for Docker's sake: they go in any case
    #[arg(long)]
    remove_orphans: bool,
    /// Services alone, with the networks left; all when none is named
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

impl Down {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        // A file that cannot be read need not keep a project up whose name is known.
        let (name, project) = match (self.project.given_name(), self.project.read(&[])) {
            (_, Ok(project)) => (project.name.clone(), Some(project)),
            (Some(name), Err(_)) => (name.to_owned(), None),
            (None, Err(failure)) => return Err(failure),
        };
        if global.dry_run {
            let (containers, networks) =
                pontoon_project::standing(&global.reader()?, &name, project.as_ref(), &self.services)?;
            containers.iter().try_for_each(|one| output::line(remove(one)))?;
            networks.iter().try_for_each(|name| output::line(format!("pontoon network rm {name}")))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut site = Site::new(global.instance()?);
        let mut board = Board::new();
        let options = DownOptions { services: self.services };
        down(&mut site, &name, project.as_ref(), &options, &mut |progress| board.tell(progress))?;
        Ok(ExitCode::SUCCESS)
    }
}
