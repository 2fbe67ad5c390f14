//! Why names cannot be served.

use pontoon_kernel::datagram::DatagramError;
use pontoon_model::Diagnose;
use rustix::io::Errno;

/// The server cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Something of the kernel's is missing.
    #[error("could not {operation} for the name server")]
    Call {
        /// What failed, in the imperative.
        operation: &'static str,
        /// What the kernel said.
        #[source]
        errno: Errno,
    },
    /// There is no thread left.
    #[error("could not start the name server's thread")]
    Thread(#[source] std::io::Error),
}

impl Diagnose for StartError {
    fn code(&self) -> &'static str {
        match self {
            StartError::Call { .. } => "dns-start",
            StartError::Thread(_) => "dns-thread",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            StartError::Call { errno: Errno::MFILE | Errno::NFILE, .. } => {
                Some("raise the limit on open files: `ulimit -n`, or LimitNOFILE= of the service".into())
            }
            _ => None,
        }
    }
}

/// A network's names cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A socket cannot be had.
    #[error("could not serve names on network {network}")]
    Socket {
        /// The network's name.
        network: String,
        /// Why.
        #[source]
        source: DatagramError,
    },
    /// The kernel has no room for one more.
    #[error("could not wait for queries of network {network}")]
    Wait {
        /// The network's name.
        network: String,
        /// What the kernel said.
        #[source]
        errno: Errno,
    },
    /// The server has ended.
    #[error("the name server is not running")]
    Stopped,
}

impl Diagnose for ServeError {
    fn code(&self) -> &'static str {
        match self {
            ServeError::Socket { source, .. } => source.code(),
            ServeError::Wait { .. } => "dns-wait",
            ServeError::Stopped => "dns-stopped",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            ServeError::Socket { source, .. } => source.hint(),
            ServeError::Wait { .. } => None,
            ServeError::Stopped => Some("start the daemon again: `pontoon daemon`".into()),
        }
    }
}
