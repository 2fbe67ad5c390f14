//! How the daemon is, as it says itself.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// How the daemon is. What an older one does not say is as if it were nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Its process.
    pub pid: u32,
    /// Its program's version.
    pub version: String,
    /// When it started, in seconds since 1970.
    pub started: u64,
    /// How long ago that is, in seconds, whatever became of the clock.
    pub uptime_seconds: u64,
    /// Whether a command started it, and it ends when nobody needs it.
    pub on_demand: bool,
    /// Whether it puts back what somebody changed.
    pub repairs: bool,
    /// Networks with names that somebody is on.
    pub networks: usize,
    /// Containers with names.
    pub containers: usize,
    /// Questions for names that came.
    pub questions: u64,
    /// The networks, those first that are not served; [`Status::MOST_NETWORKS`] at the most.
    pub served: Vec<ServedNetwork>,
    /// The servers that are asked for other names, in their order.
    pub upstreams: Vec<Upstream>,
}

impl Status {
    /// So many networks are told of, as an answer is a single message.
    pub const MOST_NETWORKS: usize = 64;
}

/// A network with names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServedNetwork {
    /// Its name.
    pub name: String,
    /// The bridge that it is served on.
    pub bridge: String,
    /// How many containers are on it.
    pub containers: usize,
    /// Why it is not served, in a sentence; a second line is a hint.
    pub failure: Option<String>,
}

/// Another server.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Upstream {
    /// Its address and port.
    pub server: String,
    /// Whether it answers; nothing before it was asked.
    pub works: Option<bool>,
    /// How long its answers take, in milliseconds.
    pub round_trip_ms: Option<f64>,
    /// How often it answered.
    pub answers: u64,
    /// How often it did not in time.
    pub timeouts: u64,
}

/// A time in seconds since 1970; 0 for one before.
pub fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
