//! `pontoon explain`

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use pontoon_engine::explain::{self, Carries, Explanation, From, Verdict, Who};
use pontoon_engine::probe::{self, ProbeError, Probed};
use pontoon_engine::snapshot;
use pontoon_model::diagnose::with_causes;
use pontoon_model::observed::snapshot::Snapshot;
use pontoon_model::publish::Protocol;
use pontoon_model::shell::quote;
use pontoon_model::{ContainerRef, Diagnose as _};

use crate::failure::Failure;
use crate::global::Global;
use crate::output;
use crate::parse::target::{Target, target, who};
use crate::show::ladder::{evidence, ladder};

/// Show why a packet arrives or does not, and what lets it through
///
///   pontoon explain web db              a ping from one container to another
///   pontoon explain web outside:443     to a port beyond the host's default route
///   pontoon explain outside web:80      by the port that web has published
///
/// Follows one packet and its answer over the host as it is: routes, neighbours, bridges, everybody's rules, sockets.
/// Nothing is sent, and nothing is changed, unless --probe is given. Each hop comes with the command that shows the same; -v adds the routes that
/// lost. A TO that is no container's name is a name to look up: whom FROM asks for names, and whether they answer, comes
/// first. Each finding has a code with a page of its own: docs/reference/codes.md. The exit code is 0 if the packet
/// arrives and is answered, 1 if not, 2 if that cannot be told.
///
/// With --probe, a real packet is sent from FROM and followed by nftables' trace in every namespace on the way; what it met
/// stands beside what was said, and the exit code is by what really happened: 0 if it was answered, 1 if not, 2 if it
/// arrived and nobody says whether an answer was to be expected. Rules of iptables-legacy are not seen by that trace. What
/// is made for it in the kernel is gone afterwards, however the command ends.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Who sends: a container as in `network connect`, an address, `host`, `outside`
    #[arg(value_name = "FROM", value_parser = who)]
    from: Who,
    /// Who is to get it: the same, with a port `:PORT[/tcp|udp]`; a ping without one
    #[arg(value_name = "TO[:PORT]", value_parser = target)]
    to: Target,
    /// Send a real packet as well, follow it, and show what became of it
    #[arg(long, conflicts_with = "file")]
    probe: bool,
    /// Keep what was read of the host in a file
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Look at what a file has, instead of this host
    #[arg(long = "from", value_name = "FILE", conflicts_with = "save")]
    file: Option<PathBuf>,
    /// How it is shown
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true)]
    format: Format,
}

/// The exit code where it cannot be told whether a packet arrives.
const UNKNOWN: u8 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A ladder of hops
    Text,
    /// Everything that was found
    Json,
}

/// A picture of a host, and who is meant in it.
pub(crate) struct Scene {
    pub(crate) snapshot: Snapshot,
    pub(crate) ends: Vec<Who>,
}

impl Explain {
    pub(crate) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        // A failure says nothing of the packet.
        self.explain(global).map_err(|failure| failure.with_code(UNKNOWN))
    }

    fn explain(self, global: &Global) -> Result<ExitCode, Failure> {
        let Scene { snapshot, mut ends } = scene(global, self.file.as_ref(), &[&self.from, &self.to.who])?;
        if let Some(path) = &self.save {
            save(path, &snapshot)?;
        }
        if let Who::Name(text) = ends[1].clone() {
            let at = explain::question(&snapshot, &ends[0], &Who::Outside, Carries::Echo)?;
            if let From::Namespace(at, _) = at.from
                && let Some(asked) = explain::ask(&snapshot, at)
            {
                output::note(&format!("{} asks {} for {text}\n", name(&self.from), asked.packet.destination));
                if asked.verdict == Verdict::Unreachable {
                    return self.show(global, &asked, &format!("the name server for {text}"));
                }
            }
            let address = explain::resolve(&text).ok_or_else(|| no_such_name(&text))?;
            output::note(&format!("{text} is {address}, by the host's name servers\n"));
            ends[1] = Who::Address(address);
        }
        let question = explain::question(&snapshot, &ends[0], &ends[1], self.to.carries)?;
        let explained = explain::explain(&snapshot, &question);
        if !self.probe {
            return self.show(global, &explained, &name(&self.to.who));
        }
        let probed = probe::probe(&snapshot, &question, &explained, question.outside);
        let probed = match probed {
            Err(ProbeError::Interrupted(signal)) => {
                output::error(&ProbeError::Interrupted(signal).to_string());
                // As a shell tells of a program that a signal ended.
                return Ok(ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX)));
            }
            probed => probed?,
        };
        self.show_probed(global, &explained, &probed)
    }

    /// The command that keeps what was read and what was met.
    fn again(&self, global: &Global) -> String {
        let root = global.root.as_ref();
        let root =
            root.map_or_else(String::new, |root| format!("--root {} ", quote(&root.display().to_string())));
        let port = match self.to.carries {
            Carries::Echo => String::new(),
            Carries::Port(Protocol::Tcp, port) => format!(":{port}"),
            Carries::Port(protocol, port) => format!(":{port}/{protocol}"),
        };
        let (from, to) = (name(&self.from), name(&self.to.who));
        let to = if to.contains(':') && !port.is_empty() { format!("[{to}]") } else { to };
        format!(
            "pontoon {root}explain --probe --save host.json --format json {} {} > probe.json",
            quote(&from),
            quote(&format!("{to}{port}"))
        )
    }

    fn show_probed(
        &self,
        global: &Global,
        explained: &Explanation,
        probed: &Probed,
    ) -> Result<ExitCode, Failure> {
        match self.format {
            Format::Text => {
                let (from, to) = (name(&self.from), name(&self.to.who));
                output::coloured(&ladder(explained, Some(probed), &from, &to, global.verbose))?;
                if !probed.disagreements.is_empty() {
                    output::coloured(&evidence(&self.again(global)))?;
                }
            }
            Format::Json => {
                let mut value = serde_json::to_value(explained).expect("names, numbers and texts are JSON");
                value["probe"] = serde_json::to_value(probed).expect("names, numbers and texts are JSON");
                output::json(&value)?;
            }
        }
        Ok(code(probed.verdict))
    }

    fn show(&self, global: &Global, explained: &Explanation, to: &str) -> Result<ExitCode, Failure> {
        match self.format {
            Format::Text => {
                output::coloured(&ladder(explained, None, &name(&self.from), to, global.verbose))?
            }
            Format::Json => output::json(explained)?,
        }
        Ok(code(explained.verdict))
    }
}

fn no_such_name(name: &str) -> Failure {
    let hint = "`pontoon ps -a` shows yours; others are pid:N, netns:NAME, docker:NAME or podman:NAME";
    Failure::new(format!("`{name}` is no container, and no name server of the host's knows it"))
        .with_hint(hint)
}

fn code(verdict: Verdict) -> ExitCode {
    ExitCode::from(match verdict {
        Verdict::Reachable => 0,
        Verdict::Unreachable => 1,
        Verdict::Unknown => UNKNOWN,
    })
}

fn name(who: &Who) -> String {
    match who {
        Who::Host => "host".to_owned(),
        Who::Outside => "outside".to_owned(),
        Who::Container(reference) => reference.to_string(),
        Who::Address(address) => address.to_string(),
        Who::Name(name) => name.clone(),
    }
}

/// The host as it is, or as a file has it, with those who are meant.
pub(crate) fn scene(global: &Global, file: Option<&PathBuf>, whos: &[&Who]) -> Result<Scene, Failure> {
    if let Some(path) = file {
        let ends = whos.iter().map(|who| (*who).clone()).collect();
        return Ok(Scene { snapshot: load(path)?, ends });
    }
    let reader = global.reader()?;
    let mut ends: Vec<Who> = whos.iter().map(|who| (*who).clone()).collect();
    for (place, end) in ends.iter_mut().enumerate() {
        let Who::Container(ContainerRef::Ours(name)) = &*end else { continue };
        if reader.container(name).is_ok() {
            continue;
        }
        if let Some((address, source)) = explain::named(&reader, name)? {
            output::note(&format!("{name} is {address}: {source}\n"));
            *end = Who::Address(address);
        } else if place > 0 {
            *end = Who::Name(name.clone());
        }
    }
    let references: Vec<ContainerRef> = ends
        .iter()
        .filter_map(|end| match end {
            Who::Container(reference) => Some(reference.clone()),
            _ => None,
        })
        .collect();
    let (snapshot, names) = snapshot::take(&reader, &references, &restore(global))?;
    let mut names = names.into_iter();
    for end in ends.iter_mut().filter(|end| matches!(end, Who::Container(_))) {
        // By the name that it has there: an id, say, means the container of some name.
        if let Some(Ok(reference)) = names.next().map(|name| name.parse()) {
            *end = Who::Container(reference);
        }
    }
    Ok(Scene { snapshot, ends })
}

/// Keeps a picture of a host in a file.
pub(crate) fn save(path: &Path, snapshot: &Snapshot) -> Result<(), Failure> {
    let written = fs::write(path, snapshot.to_json());
    written.map_err(|error| Failure::io(format!("could not write {}", path.display()), &error))
}

/// The picture of a host in a file.
pub(crate) fn load(path: &Path) -> Result<Snapshot, Failure> {
    let text = fs::read_to_string(path);
    let text = text.map_err(|error| Failure::io(format!("could not read {}", path.display()), &error))?;
    Snapshot::from_json(&text).map_err(|error| {
        let failure = Failure::new(format!("{}: {}", path.display(), with_causes(&error)));
        error.hint().into_iter().fold(failure, Failure::with_hint)
    })
}

/// The command that puts back what is this instance's.
pub(crate) fn restore(global: &Global) -> String {
    let root = global.root.as_ref();
    let root =
        root.map_or_else(String::new, |root| format!("--root {} ", quote(&root.display().to_string())));
    format!("pontoon {root}restore")
}
