//! What the kernel refused: which operation, on which object, and why.

use std::fmt;

use pontoon_model::Diagnose;
use pontoon_netlink::wire::Ack;
use rustix::io::Errno;

mod errno;

/// What was to be done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Open it.
    Open,
    /// Make it.
    Create,
    /// Make it, or change it into this.
    Replace,
    /// Change it.
    Change,
    /// Remove it.
    Delete,
    /// Look at it.
    Read,
    /// Go into it.
    Enter,
    /// Send to it.
    Send,
    /// Start it.
    Start,
    /// Carry it out as a whole.
    Commit,
}

impl Verb {
    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Create => "create",
            Self::Replace => "set",
            Self::Change => "change",
            Self::Delete => "delete",
            Self::Read => "read",
            Self::Enter => "enter",
            Self::Send => "send",
            Self::Start => "start",
            Self::Commit => "commit",
        }
    }
}

/// A verb and the kind of object that it is for: "create veth pair".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Operation {
    /// What was to be done.
    pub verb: Verb,
    /// With what kind of object.
    pub kind: &'static str,
}

impl Operation {
    /// `verb` done to an object of `kind`.
    pub const fn new(verb: Verb, kind: &'static str) -> Self {
        Self { verb, kind }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb.as_str(), self.kind)
    }
}

/// An operation that failed, and on what.
///
/// `could not create veth pair veth1a2b (peer eth0): File exists (EEXIST)`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelError {
    /// What was to be done.
    pub operation: Operation,
    /// The object, by its names.
    pub object: String,
    /// The namespace that it was to be done in, where it is not the caller's own.
    pub namespace: Option<String>,
    /// Why it failed.
    pub cause: Cause,
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The kernel refused.
    #[error("{}", errno::describe(*.errno, .text.as_deref()))]
    Refused {
        /// The reason's number.
        errno: Errno,
        /// The reason in the kernel's own words (extended acknowledgement), where it gave them.
        text: Option<String>,
    },
    /// The socket could not hold all answers, and the kernel dropped some: what was done is not known.
    #[error("the socket's receive buffer ran over and the kernel dropped answers (ENOBUFS)")]
    Overrun,
    /// The kernel did not answer: what was done is not known.
    #[error("the kernel gave no answer")]
    Unanswered,
    /// An answer did not fit the buffer and was lost.
    #[error("the kernel's answer of {len} bytes does not fit the buffer of {buffer}")]
    TooLong {
        /// Its length.
        len: usize,
        /// The buffer's length.
        buffer: usize,
    },
    /// What was to be listed changed during each of this many attempts.
    #[error("it changed during each of {attempts} attempts to list it")]
    Changing {
        /// How many attempts.
        attempts: u32,
    },
    /// The answer is not what this version expects.
    #[error("the kernel's answer could not be understood")]
    Malformed,
}

impl Cause {
    /// What an answer other than success says.
    pub(crate) fn from_ack(ack: &Ack) -> Self {
        Self::Refused { errno: Errno::from_raw_os_error(ack.errno), text: ack.text.clone() }
    }
}

impl From<Errno> for Cause {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOBUFS => Self::Overrun,
            errno => Self::Refused { errno, text: None },
        }
    }
}

impl KernelError {
    /// `operation` failed on `object`.
    pub fn new(operation: Operation, object: impl Into<String>, cause: impl Into<Cause>) -> Self {
        Self { operation, object: object.into(), namespace: None, cause: cause.into() }
    }

    /// The same, in the namespace that `name` tells a person.
    pub fn in_namespace(mut self, name: impl Into<String>) -> Self {
        self.namespace = Some(name.into());
        self
    }

    /// The reason's number, where the kernel refused.
    pub fn errno(&self) -> Option<Errno> {
        match self.cause {
            Cause::Refused { errno, .. } => Some(errno),
            Cause::Overrun => Some(Errno::NOBUFS),
            _ => None,
        }
    }

    /// The reason in the kernel's own words, where it gave them.
    pub fn text(&self) -> Option<&str> {
        match &self.cause {
            Cause::Refused { text, .. } => text.as_deref(),
            _ => None,
        }
    }

    /// Whether it failed because the object, or the link that it is on, is not there.
    ///
    /// Links say `ENODEV`, routes `ESRCH`, rules, neighbours and nft objects `ENOENT`; an address that cannot be
    /// deleted says `EADDRNOTAVAIL`, which means something else when one is added.
    pub fn is_not_found(&self) -> bool {
        match self.errno() {
            Some(Errno::NODEV | Errno::NOENT | Errno::SRCH) => true,
            Some(Errno::ADDRNOTAVAIL) => self.operation.verb == Verb::Delete,
            _ => false,
        }
    }

    /// Whether a route leads nowhere: its link is down, or its router is on none.
    pub fn is_unreachable(&self) -> bool {
        matches!(self.errno(), Some(Errno::NETUNREACH | Errno::NETDOWN | Errno::HOSTUNREACH))
    }

    /// Whether it failed because there is such an object already.
    pub fn is_exists(&self) -> bool {
        self.errno() == Some(Errno::EXIST)
    }

    /// Whether it failed for want of a privilege.
    pub fn is_denied(&self) -> bool {
        matches!(self.errno(), Some(Errno::PERM | Errno::ACCESS))
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {} {}", self.operation, self.object)?;
        if let Some(namespace) = &self.namespace {
            write!(f, " in {namespace}")?;
        }
        write!(f, ": {}", self.cause)
    }
}

impl std::error::Error for KernelError {}

impl Diagnose for KernelError {
    fn code(&self) -> &'static str {
        match &self.cause {
            Cause::Refused { .. } if self.is_denied() => "kernel-denied",
            Cause::Refused { .. } if self.is_exists() => "kernel-exists",
            Cause::Refused { .. } if self.is_not_found() => "kernel-not-found",
            Cause::Refused { .. } => "kernel-refused",
            Cause::Overrun => "kernel-answers-lost",
            Cause::Unanswered => "kernel-no-answer",
            Cause::TooLong { .. } => "kernel-answer-too-long",
            Cause::Changing { .. } => "kernel-list-changing",
            Cause::Malformed => "kernel-answer-malformed",
        }
    }

    fn hint(&self) -> Option<String> {
        match self.errno()? {
            Errno::PERM => {
                let place = self.namespace.as_deref().unwrap_or("this network namespace");
                Some(format!(
                    "this needs the capability CAP_NET_ADMIN in {place}: be root, or try it without in `pontoon lab`"
                ))
            }
            Errno::OPNOTSUPP | Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT => {
                Some("this kernel has not got the feature, or its module is not loaded".to_owned())
            }
            Errno::MSGSIZE => {
                Some("the request is too large for the socket: raise net.core.wmem_max".to_owned())
            }
            Errno::NOBUFS => Some("raise net.core.rmem_max, or be root".to_owned()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(verb: Verb, errno: Errno, text: Option<&str>) -> KernelError {
        let cause = Cause::Refused { errno, text: text.map(str::to_owned) };
        KernelError::new(Operation::new(verb, "veth pair"), "veth1a2b (peer eth0)", cause)
    }

    #[test]
    fn an_error_names_operation_object_and_both_reasons() {
        let error = refused(Verb::Create, Errno::EXIST, None);
        assert_eq!(
            error.to_string(),
            "could not create veth pair veth1a2b (peer eth0): File exists (EEXIST)"
        );
        let error = refused(Verb::Create, Errno::INVAL, Some("MTU too large")).in_namespace("web");
        assert_eq!(
            error.to_string(),
            "could not create veth pair veth1a2b (peer eth0) in web: Invalid argument (EINVAL): MTU too large"
        );
    }

    #[test]
    fn not_found_depends_on_the_operation() {
        assert!(refused(Verb::Delete, Errno::ADDRNOTAVAIL, None).is_not_found());
        assert!(!refused(Verb::Create, Errno::ADDRNOTAVAIL, None).is_not_found());
        assert!(refused(Verb::Change, Errno::NODEV, None).is_not_found());
        assert!(refused(Verb::Create, Errno::EXIST, None).is_exists());
    }

    #[test]
    fn a_missing_privilege_is_named() {
        let error = refused(Verb::Create, Errno::PERM, None).in_namespace("web");
        assert_eq!(error.code(), "kernel-denied");
        let hint = error.hint().unwrap();
        assert!(hint.contains("CAP_NET_ADMIN in web") && hint.contains("pontoon lab"), "{hint}");
    }
}
