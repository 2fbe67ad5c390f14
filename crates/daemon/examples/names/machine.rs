//! What it was measured on.

use std::fs;

pub(crate) fn describe() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> = cpus
        .lines()
        .filter(|line| line.starts_with("model name"))
        .filter_map(|line| line.split(": ").nth(1))
        .collect();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{} cores ({}), Linux {}", models.len(), models.first().unwrap_or(&"?"), kernel.trim())
}

/// All processors but the first, for taskset(1).
pub(crate) fn others() -> String {
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{}-{}", 1.min(count - 1), count - 1)
}
