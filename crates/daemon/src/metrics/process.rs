//! Figures of the daemon's own process, by the names that all of Prometheus's clients have for them.
//!
//! Source: <https://prometheus.io/docs/instrumenting/writing_clientlibs/>, "Process metrics"; proc_pid_status(5).

use std::fs;
use std::time::SystemTime;

use rustix::time::{ClockId, clock_gettime};

use super::{Family, SourceError};

/// The source. The process's start is the moment of this call.
pub fn process() -> impl Fn() -> Result<Vec<Family>, SourceError> + Send + Sync + 'static {
    let start = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    move || {
        let status = fs::read_to_string("/proc/self/status")?;
        let kilobytes = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            line.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default()
        };
        // One of them is the folder's own.
        let descriptors = fs::read_dir("/proc/self/fd")?.count().saturating_sub(1);
        let used = clock_gettime(ClockId::ProcessCPUTime);
        let seconds = used.tv_sec as f64 + used.tv_nsec as f64 / 1e9;
        Ok(vec![
            Family::counter("process_cpu_seconds_total", "Time on a processor, in seconds.").with(seconds),
            Family::gauge("process_resident_memory_bytes", "Memory in use, in bytes.")
                .with(kilobytes("VmRSS") * 1024),
            Family::gauge("process_virtual_memory_bytes", "Address space in use, in bytes.")
                .with(kilobytes("VmSize") * 1024),
            Family::gauge("process_open_fds", "Open descriptors.").with(descriptors),
            Family::gauge("process_threads", "Threads.").with(kilobytes("Threads")),
            Family::gauge("process_start_time_seconds", "When it started, in seconds since 1970.")
                .with(start.as_secs_f64()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_and_descriptors() {
        let families = process()().unwrap();
        for name in [
            "process_resident_memory_bytes",
            "process_open_fds",
            "process_threads",
            "process_start_time_seconds",
        ] {
            let family = families.iter().find(|family| family.name == name).unwrap();
            assert!(family.samples[0].value >= 1.0, "{name}");
        }
    }
}
