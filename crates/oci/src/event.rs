//! What happens to an engine's containers.
//!
//! Source: `GET /events` of Docker's Engine API: an object for each event, one after the other.

use serde::Deserialize;

/// What happened to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Its process runs.
    Started,
    /// Its process has ended.
    Died,
    /// It was removed.
    Removed,
}

/// Something that happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The container's id.
    pub id: String,
    /// What happened.
    pub what: What,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "Action", default)]
    action: String,
    #[serde(rename = "Actor")]
    actor: RawActor,
}

#[derive(Deserialize)]
struct RawActor {
    #[serde(rename = "ID")]
    id: String,
}

/// The events that are asked for, as the API's filters.
pub(crate) const FILTERS: &str =
    r#"{"type":["container"],"event":["start","die","died","destroy","remove"]}"#;

/// Takes the events off that are whole. Others than those asked for are left out.
///
/// # Errors
///
/// What of it is no event.
pub(crate) fn take(bytes: &mut Vec<u8>) -> Result<Vec<Event>, String> {
    let mut events = Vec::new();
    let mut read = serde_json::Deserializer::from_slice(bytes).into_iter::<Raw>();
    for raw in &mut read {
        match raw {
            Ok(Raw { action, actor }) => {
                let what = match action.as_str() {
                    "start" => Some(What::Started),
                    "die" | "died" => Some(What::Died),
                    "destroy" | "remove" => Some(What::Removed),
                    _ => None,
                };
                events.extend(what.map(|what| Event { id: actor.id, what }));
            }
            Err(error) if error.is_eof() => break,
            Err(error) => return Err(error.to_string()),
        }
    }
    let end = read.byte_offset();
    bytes.drain(..end);
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = concat!(
        r#"{"status":"start","id":"a","Type":"container","Action":"start","Actor":{"ID":"a","Attributes":{"name":"}{"}}}"#,
        "\n",
        r#"{"Type":"container","Action":"exec_create: sh","Actor":{"ID":"b"}}"#,
        r#"{"Type":"container","Action":"destroy","Actor":{"ID":"c"}}"#,
        "\n",
    );

    #[test]
    fn events_are_read_however_they_are_cut() {
        let wanted =
            [("a", What::Started), ("c", What::Removed)].map(|(id, what)| Event { id: id.into(), what });
        for cut in 0..LINES.len() {
            let mut bytes = LINES.as_bytes()[..cut].to_vec();
            let mut events = take(&mut bytes).unwrap();
            bytes.extend(&LINES.as_bytes()[cut..]);
            events.extend(take(&mut bytes).unwrap());
            assert_eq!(events, wanted, "{cut}");
            assert!(bytes.iter().all(u8::is_ascii_whitespace), "{cut}");
        }
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for bad in ["x", "[]", r#"{"Action":"start"}"#] {
            assert!(take(&mut bad.as_bytes().to_vec()).is_err(), "{bad}");
        }
    }
}
