//! A server that is measured: ours, or aardvark-dns.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::server::address;

/// Whom to measure.
#[derive(Debug, Clone)]
pub(crate) enum Peer {
    Ours,
    Aardvark { program: PathBuf, name: String },
}

/// A server that runs. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    pid: u32,
}

impl Peer {
    pub(crate) fn aardvark(program: &Path) -> Self {
        let output = Command::new(program).arg("version").output().expect("aardvark-dns runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        let version =
            version.or_else(|| text.split('"').find(|word| word.starts_with(|c: char| c.is_ascii_digit())));
        let name = format!("aardvark-dns {}", version.unwrap_or("?"));
        Self::Aardvark { program: program.to_owned(), name }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Ours => "Pontoon",
            Self::Aardvark { name, .. } => name,
        }
    }

    /// Starts it with so many containers, on the first processor.
    pub(crate) fn start(&self, containers: u32) -> Running {
        match self {
            Self::Ours => {
                let own = std::env::current_exe().expect("a program has a path");
                let mut command = Command::new("taskset");
                command.args(["-c", "0"]).arg(own).args(["serve", &containers.to_string()]);
                let child = command.stdout(Stdio::null()).spawn().expect("taskset is installed");
                let pid = child.id();
                Running { child, pid }
            }
            Self::Aardvark { program, .. } => {
                let folder = "/run/aardvark";
                let _ = fs::remove_dir_all(folder);
                fs::create_dir_all(folder).expect("/run is the lab's own");
                let mut text = "10.9.0.1\n".to_owned();
                for number in 0..containers {
                    let id = format!("{number:064x}");
                    text.push_str(&format!("{id} {}  c{number},{}\n", address(number), &id[52..]));
                }
                fs::write(format!("{folder}/blue"), text).expect("/run is the lab's own");
                let mut command = Command::new("taskset");
                command.args(["-c", "0"]).arg(program).args(["--config", folder, "-p", "53", "run"]);
                let mut child = command.stdout(Stdio::null()).spawn().expect("taskset is installed");
                std::thread::sleep(Duration::from_millis(500));
                // Newer ones go into the background and say who they are.
                let file = fs::read_to_string(format!("{folder}/aardvark.pid")).ok();
                let pid = file.and_then(|text| text.trim().parse().ok()).unwrap_or_else(|| child.id());
                if pid != child.id() {
                    let _ = child.wait();
                }
                Running { child, pid }
            }
        }
    }
}

impl Running {
    /// The time that its threads have had a processor.
    pub(crate) fn cpu(&self) -> Duration {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.pid)).expect("it runs");
        let fields: Vec<&str> = text.rsplit(')').next().expect("a name").split_whitespace().collect();
        let ticks: u64 =
            fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime");
        Duration::from_millis(ticks * 10)
    }

    /// Its resident memory, in MiB.
    pub(crate) fn memory(&self) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("it runs");
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", &self.pid.to_string()]).status();
        let _ = self.child.wait();
        std::thread::sleep(Duration::from_millis(100));
    }
}
