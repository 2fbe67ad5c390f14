//! The time as records have it.

use std::time::SystemTime;

/// Now, in RFC 3339 with nanoseconds, UTC.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_nanos(SystemTime::now()).to_string()
}
