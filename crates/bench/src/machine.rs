//! What the figures were measured on.

use std::fs;

/// The machine, in words.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Processor cores that this process may use.
    pub(crate) cores: usize,
    /// The processor's model.
    pub(crate) processor: String,
    /// The kernel's name and version.
    pub(crate) kernel: String,
}

impl Machine {
    /// This one.
    pub(crate) fn here() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let processor = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| model(&text));
        let name = rustix::system::uname();
        let kernel = format!("{} {}", name.sysname().to_string_lossy(), name.release().to_string_lossy());
        Self { cores, processor: processor.unwrap_or_else(|| "unknown".into()), kernel }
    }
}

fn model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
