//! Names of interfaces, networks and sandboxes.

use std::fmt;
use std::str::FromStr;

use crate::Diagnose;

/// Why a text is not a name of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not an interface name.
    #[error("`{0}` is not an interface name: 1 to 15 bytes, no `/`, `:` or white space, not `.` or `..`")]
    Interface(String),
    /// Not a network name.
    #[error(
        "`{0}` is not a network name: it must match [a-zA-Z0-9][a-zA-Z0-9_.-]*, 128 characters at the most"
    )]
    Network(String),
    /// Not a container name.
    #[error(
        "`{0}` is not a container name: it must match [a-zA-Z0-9][a-zA-Z0-9_.-]*, 64 characters at the most"
    )]
    Sandbox(String),
}

impl Diagnose for NameError {
    fn code(&self) -> &'static str {
        match self {
            Self::Interface(_) => "bad-interface-name",
            Self::Network(_) => "bad-network-name",
            Self::Sandbox(_) => "bad-container-name",
        }
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $error:path, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.to_owned())) } else { Err($error(text.to_owned())) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

name!(
    /// A Linux interface name: 1 to 15 bytes, no `/`, `:` or white space, not `.` or `..`.
    ///
    /// The kernel takes each byte for a character of Latin-1, so that letters such as `à` have its no-break space (0xa0)
    /// in them. Names with a `%` are refused too: the kernel takes them for a pattern. Source: `dev_valid_name()` and
    /// `__dev_alloc_name()` in the kernel's net/core/dev.c, `isspace()` in lib/ctype.c; `IFNAMSIZ` is 16 with the NUL.
    IfName,
    NameError::Interface,
    |text| {
        let separates = |c: char| c == '/' || c == ':' || c == '%' || c == '\0' || c.is_whitespace();
        let fits = (1..=15).contains(&text.len()) && text != "." && text != "..";
        fits && !text.contains(separates) && !text.bytes().any(|byte| byte == 0xa0)
    }
);

name!(
    /// A network's name, by Docker's rule for names (`[a-zA-Z0-9][a-zA-Z0-9_.-]*`), up to 128 characters.
    NetworkName,
    NameError::Network,
    |text| valid_docker_name(text, 128)
);

name!(
    /// A container's name, by Docker's rule for names, up to 64 characters.
    ///
    /// The limit is that of a host name (`HOST_NAME_MAX`, gethostname(2)), which a container gets by default.
    SandboxName,
    NameError::Sandbox,
    |text| valid_docker_name(text, 64)
);

fn valid_docker_name(text: &str, longest: usize) -> bool {
    let mut bytes = text.bytes();
    text.len() <= longest
        && bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_names_follow_the_kernel() {
        for good in ["eth0", "a", "br-0123456789ab", "wlan0.5", "é"] {
            assert!(good.parse::<IfName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a:b", "a b", "eth%d", "sixteencharacter", "a\tb", "à"] {
            assert!(bad.parse::<IfName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_follow_docker() {
        for good in ["web", "my_net.1-x", "0", "A"] {
            assert!(good.parse::<NetworkName>().is_ok(), "{good}");
            assert!(good.parse::<SandboxName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "_a", "a/b", "a b", "pid:1", "ä", &"a".repeat(129)] {
            assert!(bad.parse::<NetworkName>().is_err(), "{bad}");
            assert!(bad.parse::<SandboxName>().is_err(), "{bad}");
        }
    }
}
