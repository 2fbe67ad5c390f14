//! What every verb knows: which instance, and whether to change it.

use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;
use pontoon_engine::recover;
use pontoon_engine::report::Reader;
use pontoon_engine::root::Daemon;
use pontoon_engine::{Engine, Mode, Outcome, Root};
use pontoon_plan::Plan;

use crate::failure::Failure;
use crate::output;
use crate::show::plan::{self, PlanFormat};

/// Flags that stand before or after any verb.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Keep all state in DIR: an instance of its own, with its own names in the kernel
    #[arg(long, global = true, value_name = "DIR", env = "PONTOON_ROOT", hide_env_values = true)]
    pub(crate) root: Option<PathBuf>,
    /// Show what would be done, as commands with reasons, and change nothing
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
    /// Say more: changing verbs show each step they took
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
}

/// An engine at work, and on a dry run perhaps a place for it to plan in.
///
/// What went differently is told when it ends, also when the verb fails.
pub(crate) struct Session {
    /// There until it is taken along.
    engine: Option<Engine>,
    scratch: Option<Scratch>,
}

const HELD: &str = "the engine is held until it is taken along";

impl Deref for Session {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        self.engine.as_ref().expect(HELD)
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Engine {
        self.engine.as_mut().expect(HELD)
    }
}

impl Session {
    /// The engine, for those who take it along.
    pub(crate) fn into_engine(mut self) -> Engine {
        self.engine.take().expect(HELD)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for warning in self.engine.iter_mut().flat_map(|engine| engine.warnings.drain(..)) {
            output::warning(&warning);
        }
    }
}

impl Global {
    /// The instance.
    pub(crate) fn instance(&self) -> Result<Root, Failure> {
        let mut root = match &self.root {
            Some(folder) => Root::at(folder)?,
            None => Root::host(),
        };
        // This program, also where its file was replaced meanwhile.
        root.daemon = Daemon::Start("/proc/self/exe".into());
        Ok(root)
    }

    /// The state, for reading, once what killed commands left is repaired. Where that cannot be done, what is there
    /// can still be seen.
    pub(crate) fn reader(&self) -> Result<Reader, Failure> {
        let root = self.instance()?;
        match recover::tidy(&root) {
            Ok(done) => done.iter().for_each(|warning| output::warning(warning)),
            Err(error) => output::warning(&format!("could not repair what a killed command left: {error}")),
        }
        Ok(Reader::open(&root)?)
    }

    /// An engine that changes things, or on a dry run only plans to.
    pub(crate) fn session(&self) -> Result<Session, Failure> {
        let root = self.instance()?;
        if !self.dry_run {
            return Ok(Session { engine: Some(Engine::open(root, Mode::Apply)?), scratch: None });
        }
        let (root, scratch) = Scratch::beside(root)?;
        Ok(Session { engine: Some(Engine::open(root, Mode::DryRun)?), scratch })
    }

    /// Ends a changing verb: on a dry run shows the plan, and otherwise what `result` prints.
    pub(crate) fn conclude<T>(
        &self,
        session: &Session,
        format: PlanFormat,
        outcome: &Outcome<T>,
        result: impl FnOnce(&T) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if self.dry_run {
            let note = session
                .scratch
                .as_ref()
                .map(|scratch| format!("Planned from an empty state: {}", scratch.why));
            return output::print(&plan::dry_run(&outcome.plan, format, note.as_deref()));
        }
        if self.verbose {
            output::note(&plan::done(&outcome.plan));
        }
        result(&outcome.value)
    }

    /// Refuses `--format` where nothing is shown.
    pub(crate) fn plan_format(&self, format: Option<PlanFormat>) -> Result<PlanFormat, Failure> {
        match format {
            Some(_) if !self.dry_run => Err(Failure::usage("--format is for --dry-run here")),
            format => Ok(format.unwrap_or_default()),
        }
    }

    /// Shows what would take the networks of containers away.
    pub(crate) fn show_teardown(&self, session: &Session, names: &[String]) -> Result<ExitCode, Failure> {
        let mut all = Plan::default();
        for name in names {
            all.append(session.teardown_plan(name)?);
        }
        let note = "The containers' processes would be ended first";
        output::print(&plan::dry_run(&all, PlanFormat::default(), Some(note)))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Refuses `--dry-run` where it would not be what it says.
    pub(crate) fn no_dry_run(&self, verb: &str) -> Result<(), Failure> {
        match self.dry_run {
            true => {
                Err(Failure::usage(format!("`pontoon {verb}` has no --dry-run: it starts or ends processes")))
            }
            false => Ok(()),
        }
    }
}

/// An empty state to plan in, where the real one is not there or is not the caller's to read.
struct Scratch {
    folder: PathBuf,
    why: String,
}

impl Scratch {
    /// The state to plan in: the real one if it can be used, and nothing is made of it.
    fn beside(mut root: Root) -> Result<(Root, Option<Self>), Failure> {
        let runtime = root.dirs.run.join("runtime.db");
        let why = match File::options().read(true).write(true).open(&runtime) {
            Ok(_) => return Ok((root, None)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                format!("nothing has run yet in {}", root.dirs.run.display())
            }
            Err(error) => {
                format!("{} cannot be read ({error}), so what is there is not considered", runtime.display())
            }
        };
        let scratch = Self { folder: fresh_folder()?, why };
        root.dirs.run = scratch.folder.clone();
        Ok((root, Some(scratch)))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // In the folder for temporary files, what stays is somebody else's to sweep.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn fresh_folder() -> Result<PathBuf, Failure> {
    let nanos =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    let folder = std::env::temp_dir().join(format!("pontoon-dry-run-{}-{nanos:09}", std::process::id()));
    let made = DirBuilder::new().mode(0o700).create(&folder);
    made.map_err(|error| Failure::io(format!("could not make {}", folder.display()), &error))?;
    Ok(folder)
}
