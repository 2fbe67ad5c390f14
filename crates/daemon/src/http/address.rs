//! Where the server listens.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use pontoon_model::Diagnose;

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// At a Unix socket.
    Unix(PathBuf),
    /// At an address and port.
    Tcp(SocketAddr),
}

/// It is neither of the two.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no place to listen at: unix:/PATH or ADDRESS:PORT")]
pub struct AddressError(String);

impl Diagnose for AddressError {
    fn code(&self) -> &'static str {
        "metrics-address"
    }

    fn hint(&self) -> Option<String> {
        match &self.0 {
            text if text.starts_with('/') => Some(format!("did you mean unix:{text}?")),
            text if text.parse::<u16>().is_ok() || text.starts_with(':') => {
                Some(format!("did you mean 127.0.0.1:{}?", text.trim_start_matches(':')))
            }
            _ => Some("for example unix:/run/pontoon/metrics.sock or 127.0.0.1:9100".into()),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError(text.to_owned());
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') && !path.contains('\0') => Ok(Self::Unix(path.into())),
            Some(_) => Err(wrong()),
            None => text.parse().map(Self::Tcp).map_err(|_| wrong()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_path_or_an_address_with_a_port() {
        for text in ["unix:/run/pontoon/metrics.sock", "127.0.0.1:9100", "[::1]:9100", "0.0.0.0:0"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for (text, hint) in [
            ("/run/x", "unix:/run/x"),
            ("9100", "127.0.0.1:9100"),
            (":9100", "127.0.0.1:9100"),
            ("localhost:9100", "for example"),
            ("unix:x", "for example"),
            ("", "for example"),
        ] {
            let hinted = text.parse::<Address>().unwrap_err().hint().unwrap();
            assert!(hinted.contains(hint), "{text}: {hinted}");
        }
    }
}
