//! What is in files and is not done: a warning for each kind.

use super::Reader;
use super::value::At;
use crate::error::Caution;
use crate::project::Runtime;

/// Keys of services that are not done, and what that means where it is not plain.
const SERVICE: [(&str, &str); 58] = [
    ("annotations", ""),
    ("attach", ""),
    ("blkio_config", ""),
    ("build", "the image has to be there already"),
    ("cap_add", ""),
    ("cap_drop", ""),
    ("cgroup", ""),
    ("cgroup_parent", ""),
    ("configs", ""),
    ("cpu_count", ""),
    ("cpu_percent", ""),
    ("cpu_period", ""),
    ("cpu_quota", ""),
    ("cpu_rt_period", ""),
    ("cpu_rt_runtime", ""),
    ("cpu_shares", ""),
    ("cpus", ""),
    ("cpuset", ""),
    ("credential_spec", ""),
    ("develop", ""),
    ("device_cgroup_rules", ""),
    ("devices", ""),
    ("external_links", "containers of other projects are found by their names on a network that both join"),
    ("gpus", ""),
    ("group_add", ""),
    ("init", ""),
    ("ipc", ""),
    ("isolation", ""),
    ("logging", ""),
    ("mem_limit", ""),
    ("mem_reservation", ""),
    ("mem_swappiness", ""),
    ("memswap_limit", ""),
    ("models", ""),
    ("oom_kill_disable", ""),
    ("oom_score_adj", ""),
    ("pid", ""),
    ("pids_limit", ""),
    ("platform", ""),
    ("post_start", ""),
    ("pre_stop", ""),
    ("privileged", ""),
    ("provider", ""),
    ("pull_policy", ""),
    ("pull_refresh_after", ""),
    ("read_only", ""),
    ("runtime", "what makes containers is said in `x-pontoon`"),
    ("secrets", ""),
    ("security_opt", ""),
    ("shm_size", ""),
    ("storage_opt", ""),
    ("tmpfs", ""),
    ("ulimits", ""),
    ("use_api_socket", ""),
    ("userns_mode", ""),
    ("uts", ""),
    ("volumes", ""),
    ("volumes_from", ""),
];

/// Keys of `deploy` that are not done.
const DEPLOY: [(&str, &str); 6] = [
    ("endpoint_mode", "a service's name leads to all of its containers, as with `dnsrr`"),
    ("labels", ""),
    ("placement", "all containers are on this host"),
    ("resources", ""),
    ("rollback_config", ""),
    ("update_config", ""),
];

impl Reader<'_> {
    /// Notes the keys of a service that are not done.
    pub(super) fn not_done(&mut self, name: &str, at: &At<'_>, runtime: &Runtime) {
        for (key, why) in SERVICE {
            if let Some(node) = at.get(key).filter(|node| !is_empty(node)) {
                self.report.not_done(&node.node.at, key, name, why);
            }
        }
        if let (Some(user), Runtime::Process { .. }) = (at.get("user"), runtime) {
            self.report.not_done(&user.node.at, "user", name, "it runs as the one who starts it");
        }
        let Some(deploy) = at.get("deploy") else { return };
        for (key, why) in DEPLOY {
            if let Some(node) = deploy.get(key).filter(|node| !is_empty(node)) {
                self.report.not_done(&node.node.at, &format!("deploy.{key}"), name, why);
            }
        }
        if let Some(mode) = deploy.get("mode").filter(|mode| mode.text() != Some("replicated")) {
            let key = format!("deploy.mode: {}", mode.text().unwrap_or_default());
            self.report.not_done(&mode.node.at, &key, name, "its containers are on this host");
        }
        for key in ["delay", "window"] {
            if let Some(node) = deploy.get("restart_policy").and_then(|policy| policy.get(key)) {
                self.report.not_done(&node.node.at, &format!("deploy.restart_policy.{key}"), name, "");
            }
        }
    }

    /// Notes what is in the file itself and means nothing.
    pub(super) fn top_level(&mut self) {
        if let Some(version) = self.section("version") {
            self.report.warn(&version.node.at, Caution::Obsolete("version".into()));
        }
    }
}

/// An empty list or mapping, or a switch that is off.
fn is_empty(at: &At<'_>) -> bool {
    match at.text() {
        Some(text) => text.is_empty() || text == "false",
        None => at.items().is_empty() && at.entries().is_empty(),
    }
}
