//! `pontoon up`

use std::process::ExitCode;

use clap::Args;
use pontoon_compose::Project;
use pontoon_project::{Site, UpOptions, up};

use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::parse::project::ProjectFlags;
use crate::show::changes;
use crate::show::plan::{PlanFlag, PlanFormat};
use crate::show::progress::Board;
use crate::verb::compose::logs;

/// Make the networks and start the services of a compose file
///
/// On a project that runs, only what the file changed is changed: a service whose address, networks or ports are others
/// goes on running, one whose command is another is started anew, the rest is left alone. In the foreground the output
/// of all services is shown, and Ctrl-C stops them; with -d it ends when all have started.
#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    project: ProjectFlags,
    /// End when all services have started
    #[arg(long, short)]
    detach: bool,
    /// End when all services have started and those that are checked are healthy
    #[arg(long)]
    wait: bool,
    /// Leave the services alone that those which are named depend on
    #[arg(long)]
    no_deps: bool,
    /// Take away containers of services that the file does not have
    #[arg(long)]
    remove_orphans: bool,
    /// Start all services anew
    #[arg(long)]
    force_recreate: bool,
    /// Services, with those that they depend on; all when none is named
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    #[command(flatten)]
    plan: PlanFlag,
}

impl Up {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let format = global.plan_format(self.plan.format)?;
        let project = self.project.load(&self.services)?;
        let mut site = Site::new(global.instance()?);
        let options = UpOptions {
            services: self.services.clone(),
            no_dependencies: self.no_deps,
            remove_orphans: self.remove_orphans,
            force_recreate: self.force_recreate,
            wait: self.wait,
        };
        if global.dry_run {
            let planned = pontoon_project::changes(&site, &project, &options)?;
            let text = match format {
                PlanFormat::Json => changes::json(&project, &planned),
                PlanFormat::Script => changes::script(&project, &planned),
            };
            output::print(&text)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut board = Board::new();
        up(&mut site, &project, &options, &mut |progress| board.tell(progress))?;
        drop(board);
        if self.detach || self.wait {
            return Ok(ExitCode::SUCCESS);
        }
        self.attend(&mut site, &project)
    }

    /// Shows what the services write until they have ended, or somebody stops them.
    fn attend(&self, site: &mut Site, project: &Project) -> Result<ExitCode, Failure> {
        let interrupted = logs::attend(site, &project.name, &self.services)?;
        if interrupted {
            output::note("stopping; once more does not wait for them\n");
        }
        pontoon_project::stop(site, project, &self.services)?;
        Ok(if interrupted { ExitCode::from(130) } else { ExitCode::SUCCESS })
    }
}
