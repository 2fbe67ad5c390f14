//! Which engine, and where it listens.

use std::fmt;
use std::path::PathBuf;

use crate::OciError;

/// An engine that runs containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Docker.
    Docker,
    /// Podman.
    Podman,
}

impl Kind {
    /// The program that people talk to it with.
    pub fn program(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }

    /// The variable that says where it listens. Source: docker(1), podman(1).
    pub fn variable(self) -> &'static str {
        match self {
            Self::Docker => "DOCKER_HOST",
            Self::Podman => "CONTAINER_HOST",
        }
    }

    /// Where it may listen, by what the variables of the environment say.
    ///
    /// # Errors
    ///
    /// If its variable names something other than a Unix socket.
    pub(crate) fn sockets(self, variable: impl Fn(&str) -> Option<String>) -> Result<Vec<PathBuf>, OciError> {
        let named = self.variable();
        if let Some(value) = variable(named).filter(|value| !value.is_empty()) {
            return match value.strip_prefix("unix://").filter(|path| path.starts_with('/')) {
                Some(path) => Ok(vec![path.into()]),
                None => Err(OciError::BadHost { variable: named, value }),
            };
        }
        Ok(match self {
            Self::Docker => vec!["/var/run/docker.sock".into()],
            Self::Podman => {
                let own = variable("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty());
                let own = own.map(|folder| PathBuf::from(folder).join("podman/podman.sock"));
                [PathBuf::from("/run/podman/podman.sock")].into_iter().chain(own).collect()
            }
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Docker => "Docker",
            Self::Podman => "Podman",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(kind: Kind, variables: &[(&str, &str)]) -> Result<Vec<String>, OciError> {
        let variable =
            |name: &str| variables.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned());
        let found = kind.sockets(variable)?;
        Ok(found.into_iter().map(|path| path.display().to_string()).collect())
    }

    #[test]
    fn the_variable_goes_before_the_usual_places() {
        assert_eq!(sockets(Kind::Docker, &[]).unwrap(), ["/var/run/docker.sock"]);
        assert_eq!(sockets(Kind::Docker, &[("DOCKER_HOST", "unix:///run/d.sock")]).unwrap(), ["/run/d.sock"]);
        assert_eq!(sockets(Kind::Docker, &[("DOCKER_HOST", "")]).unwrap(), ["/var/run/docker.sock"]);
        assert_eq!(
            sockets(Kind::Podman, &[("XDG_RUNTIME_DIR", "/run/user/7")]).unwrap(),
            ["/run/podman/podman.sock", "/run/user/7/podman/podman.sock"]
        );
        assert_eq!(
            sockets(Kind::Podman, &[("CONTAINER_HOST", "unix:///p"), ("XDG_RUNTIME_DIR", "/r")]).unwrap(),
            ["/p"]
        );
    }

    #[test]
    fn an_engine_elsewhere_is_refused() {
        for host in ["tcp://10.0.0.1:2375", "ssh://me@there", "unix://relative", "/run/docker.sock"] {
            let refused = sockets(Kind::Docker, &[("DOCKER_HOST", host)]);
            assert!(matches!(refused, Err(OciError::BadHost { .. })), "{host}");
        }
    }
}
