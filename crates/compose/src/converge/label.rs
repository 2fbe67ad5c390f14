//! The labels that a project's containers and networks carry, under the names that Docker's tools look for.
//!
//! Source: docker/compose, pkg/api/labels.go.

/// The project.
pub const PROJECT: &str = "com.docker.compose.project";
/// The directory that the project's file is in.
pub const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
/// The service of a container.
pub const SERVICE: &str = "com.docker.compose.service";
/// Which of its service's containers it is, from 1.
pub const NUMBER: &str = "com.docker.compose.container-number";
/// Whether a container was made by a command of its own and not by the file.
pub const ONE_OFF: &str = "com.docker.compose.oneoff";
/// The key of a network.
pub const NETWORK: &str = "com.docker.compose.network";

/// Whether a label is one of a project's own, and not of a person's.
pub fn is_ours(key: &str) -> bool {
    key.starts_with("com.docker.compose.")
}
