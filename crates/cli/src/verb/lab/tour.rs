//! The tour: each step is a command line that a person could type, and what it really printed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use pontoon_kernel::process::{Child, ExitStatus, Spec, Stdio, spawn};
use pontoon_plan::command::quote;

use super::outside::Outside;
use super::traces::Traces;
use crate::failure::Failure;
use crate::output;

const HEADING: Style = Style::new().bold();
const COMMAND: Style = AnsiColor::Green.on_default();
const ALL_RIGHT: Style = AnsiColor::Green.on_default().bold();

/// How long the kernel may take to let go of what a container that has ended had.
const LETTING_GO: Duration = Duration::from_secs(3);

/// A tour of a throw-away host.
pub(super) struct Tour<'a> {
    program: &'a Path,
    environment: Vec<(OsString, OsString)>,
    outside: &'a Outside,
    steps: u32,
}

impl<'a> Tour<'a> {
    pub(super) fn new(
        program: &'a Path,
        environment: Vec<(OsString, OsString)>,
        outside: &'a Outside,
    ) -> Self {
        Self { program, environment, outside, steps: 0 }
    }

    /// Takes the whole tour; an error is where it went wrong.
    pub(super) fn take(mut self) -> Result<(), Failure> {
        let before = Traces::find()?;
        self.say("This is a throw-away host of its own; nothing of yours is touched.\n")?;
        self.network()?;
        self.two_containers()?;
        self.outside_world()?;
        self.plan()?;
        self.take_up_again(&before)?;
        self.say("\nThe same on your own host, as root: `pontoon network create blue` and so on.\n")?;
        self.say("To look around here: `pontoon lab -- bash`. Every verb: `pontoon --help`.\n")
    }

    fn network(&mut self) -> Result<(), Failure> {
        self.heading("A network: a bridge with the gateway's address, and rules")?;
        self.pontoon(&["network", "create", "blue"])?;
        self.pontoon(&["network", "ls"])?;
        Ok(())
    }

    fn two_containers(&mut self) -> Result<(), Failure> {
        self.heading("Two containers on it: one serves a page, the other fetches it by name")?;
        self.pontoon(&[
            "run",
            "-d",
            "--name",
            "web",
            "--network",
            "blue",
            "pontoon",
            "lab-serve",
            "Hello from web.",
        ])?;
        self.pontoon(&["ps"])?;
        let page =
            self.pontoon(&["run", "--rm", "--network", "blue", "pontoon", "lab-fetch", &url("web")])?;
        expect(page.contains("Hello from web."), "the page did not come")
    }

    fn outside_world(&mut self) -> Result<(), Failure> {
        self.heading("The outside: a server there knows no way back to the container")?;
        let server = self.serve_outside()?;
        let fetched =
            self.pontoon(&["run", "--rm", "--network", "blue", "pontoon", "lab-fetch", &url(Outside::FAR)]);
        end(server)?;
        let came_from_host = fetched?.contains(&format!("You came from {}.", Outside::HOST));
        expect(came_from_host, "the outside did not see the host's address")?;
        self.say(&format!(
            "The source became the host's address, {}, on the way out (masquerade).\n",
            Outside::HOST
        ))
    }

    fn plan(&mut self) -> Result<(), Failure> {
        self.heading("What a command would do, as what you would have typed, each step with its reason")?;
        self.pontoon(&["network", "create", "--dry-run", "--subnet", "10.99.0.0/24", "green"])?;
        self.pontoon(&["run", "--dry-run", "--name", "db", "--network", "blue", "true"])?;
        Ok(())
    }

    fn take_up_again(&mut self, before: &Traces) -> Result<(), Failure> {
        self.heading("Taking it all up again")?;
        self.pontoon(&["rm", "-f", "web"])?;
        self.pontoon(&["network", "rm", "blue"])?;
        self.pontoon(&["system", "prune", "-f"])?;
        let start = Instant::now();
        let mut after = Traces::find()?;
        while after != *before && start.elapsed() < LETTING_GO {
            thread::sleep(Duration::from_millis(5));
            after = Traces::find()?;
        }
        let differences = after.differences(before);
        if !differences.is_empty() {
            return Err(Failure::new(format!("something is left: {}", differences.join("; "))));
        }
        self.say(&format!("Before: {}.\nAfter:  {}.\n", before.summary(), after.summary()))?;
        self.say(&format!("{ALL_RIGHT}Nothing is left.{ALL_RIGHT:#}\n"))
    }

    fn heading(&mut self, text: &str) -> Result<(), Failure> {
        self.steps += 1;
        self.say(&format!("\n{HEADING}{}. {text}{HEADING:#}\n", self.steps))
    }

    fn say(&self, text: &str) -> Result<(), Failure> {
        output::coloured(text)
    }

    /// Runs this program; returns what it printed, which has been shown.
    fn pontoon(&self, words: &[&str]) -> Result<String, Failure> {
        let shown: Vec<String> = words.iter().map(|word| quote(word)).collect();
        self.say(&format!("{COMMAND}$ pontoon {}{COMMAND:#}\n", shown.join(" ")))?;
        let path = self.path("step");
        let child = spawn(&self.spec(words, &path))?;
        let status = child.wait()?;
        let printed = std::fs::read_to_string(&path).unwrap_or_default();
        output::print(&printed)?;
        // The next step writes to it again.
        let _ = std::fs::remove_file(&path);
        match status {
            ExitStatus::Exited(0) => Ok(printed),
            status => Err(Failure::new(format!("the tour ends here: exit code {}", status.code()))),
        }
    }

    fn serve_outside(&self) -> Result<Child, Failure> {
        let path = self.path("outside");
        let spec = Spec {
            netns: Some(&self.outside.netns),
            die_with_parent: true,
            ..self.spec(&["lab-serve", "Hello from the outside."], &path)
        };
        Ok(spawn(&spec)?)
    }

    fn spec(&self, words: &[&str], output: &Path) -> Spec<'a> {
        let command =
            [self.program.as_os_str().to_owned()].into_iter().chain(words.iter().map(OsString::from));
        Spec {
            environment: self.environment.clone(),
            stdio: Stdio::Log(output.to_owned()),
            ..Spec::new(command)
        }
    }

    /// Where a program's output is kept: the lab's /run is in memory and its own.
    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("/run").join(format!("tour-{name}.log"))
    }
}

fn url(address: &str) -> String {
    format!("http://{address}/")
}

fn expect(holds: bool, otherwise: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::new(otherwise)) }
}

/// Ends a server.
fn end(server: Child) -> Result<(), Failure> {
    const KILL: i32 = 9;
    server.process().signal(KILL)?;
    server.wait()?;
    Ok(())
}
