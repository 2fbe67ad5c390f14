//! What an OCI runtime tells a hook on its standard input.
//!
//! Source: the OCI runtime specification, "State" and "POSIX-platform Hooks",
//! <https://github.com/opencontainers/runtime-spec/blob/main/runtime.md#state>.

use std::collections::BTreeMap;

use pontoon_model::Diagnose;
use serde::Deserialize;

/// The longest state, in bytes. Annotations have no limit of their own.
pub const LONGEST: usize = 1 << 20;

/// A container as its runtime describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct State {
    /// The version of the specification.
    #[serde(rename = "ociVersion")]
    pub version: String,
    /// The container's id, unique among those of its runtime.
    pub id: String,
    /// Its first process; not there once it has ended.
    #[serde(default)]
    pub pid: u32,
    /// `creating`, `created`, `running` or `stopped`.
    #[serde(default)]
    pub status: String,
    /// The folder of its `config.json`.
    #[serde(default)]
    pub bundle: String,
    /// Its annotations.
    #[serde(default)]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// Why a state is none.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is longer than any state.
    #[error("the container's state is longer than {LONGEST} bytes")]
    TooLong,
    /// It is no JSON of a state's shape.
    #[error("the container's state is not understood")]
    Malformed(#[source] serde_json::Error),
    /// Its id cannot be one.
    #[error("`{0}` cannot be a container's id")]
    Id(String),
}

impl Diagnose for StateError {
    fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "oci-state-too-long",
            Self::Malformed(_) => "oci-state-malformed",
            Self::Id(_) => "oci-state-bad-id",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(
            "an OCI runtime passes it on standard input: `pontoon oci-hook` is for `hooks` in config.json"
                .into(),
        )
    }
}

impl State {
    /// Reads a state.
    ///
    /// # Errors
    ///
    /// If it is too long or is none.
    pub fn parse(json: &[u8]) -> Result<Self, StateError> {
        if json.len() > LONGEST {
            return Err(StateError::TooLong);
        }
        let state: Self = serde_json::from_slice(json).map_err(StateError::Malformed)?;
        // What may be in a reference.
        let fine = |id: &str| !id.is_empty() && id.len() <= 1024 && !id.contains(char::is_control);
        if fine(&state.id) { Ok(state) } else { Err(StateError::Id(state.id)) }
    }

    /// The words of an annotation, which are separated by white space.
    pub fn words(&self, annotation: &str) -> Vec<&str> {
        let found = self.annotations.as_ref().and_then(|annotations| annotations.get(annotation));
        found.into_iter().flat_map(|text| text.split_whitespace()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_example_is_read() {
        let json = br#"{"ociVersion": "0.2.0", "id": "oci-container1", "status": "running", "pid": 4422,
            "bundle": "/containers/redis", "annotations": {"myKey": " a  b "}}"#;
        let state = State::parse(json).unwrap();
        assert_eq!(
            (state.id.as_str(), state.pid, state.status.as_str()),
            ("oci-container1", 4422, "running")
        );
        assert_eq!((state.words("myKey"), state.words("other").len()), (vec!["a", "b"], 0));
        let ended =
            State::parse(br#"{"ociVersion":"1.0.2","id":"a","status":"stopped","bundle":"/b"}"#).unwrap();
        assert_eq!(ended.pid, 0);
    }

    #[test]
    fn what_is_no_state_is_refused() {
        for (bad, code) in [
            ("", "oci-state-malformed"),
            ("{}", "oci-state-malformed"),
            (r#"{"ociVersion":"1","id":"a","pid":-1}"#, "oci-state-malformed"),
            (r#"{"ociVersion":"1","id":""}"#, "oci-state-bad-id"),
            (r#"{"ociVersion":"1","id":"a\nb"}"#, "oci-state-bad-id"),
        ] {
            assert_eq!(State::parse(bad.as_bytes()).unwrap_err().code(), code, "{bad}");
        }
        assert_eq!(State::parse(&vec![b' '; LONGEST + 1]).unwrap_err().code(), "oci-state-too-long");
    }
}
