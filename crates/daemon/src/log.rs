//! What the daemon says about itself: lines on standard error.
//!
//! What each level is for stands in docs/reference/daemon.md. Names, queries and packets of containers are spoken of at
//! `trace` alone, and what they are called is somebody else's choice: nothing of a message breaks the line.
//!
//! Source: sd-daemon(3) for `<N>` before a line, systemd.exec(5) for `JOURNAL_STREAM`.

use std::fmt::{self, Write as _};
use std::io;
use std::str::FromStr;
use std::time::SystemTime;

use pontoon_model::Diagnose;
use pontoon_model::diagnose::near;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level as Severity, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The variable that has the level where the command line does not say it.
pub const VARIABLE: &str = "PONTOON_LOG";

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// What failed, and what does not work now.
    Error,
    /// What is not as it should be and goes on all the same: drift, conflicts, upstream servers that do not answer.
    Warn,
    /// Start, stop, and what was changed: networks taken over, repairs.
    #[default]
    Info,
    /// Each request of a command, each zone, each notification of the kernel that matters.
    Debug,
    /// Each query and each notification.
    Trace,
}

impl Level {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    /// The level that is wanted: what the command line said, or `PONTOON_LOG`, or `info`.
    ///
    /// # Errors
    ///
    /// If the variable has no level.
    pub fn wanted(given: Option<Self>) -> Result<Self, LevelError> {
        match (given, std::env::var(VARIABLE)) {
            (Some(level), _) => Ok(level),
            (None, Ok(text)) if !text.is_empty() => text.parse(),
            (None, _) => Ok(Self::default()),
        }
    }

    fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// There is no such level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a level of the log: error, warn, info, debug or trace")]
pub struct LevelError(String);

impl Diagnose for LevelError {
    fn code(&self) -> &'static str {
        "log-level"
    }

    fn hint(&self) -> Option<String> {
        let near = near(&self.0, Level::ALL.map(Level::word));
        near.first().map(|word| format!("did you mean `{word}`?"))
    }
}

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        Self::ALL.into_iter().find(|level| level.word() == text).ok_or_else(|| LevelError(text.to_owned()))
    }
}

/// Lets what is said at `level` and above go to standard error from now on. A second call changes nothing.
pub fn init(level: Level) {
    let journal = std::env::var("JOURNAL_STREAM").is_ok_and(|stream| is_standard_error(&stream));
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level.filter())
        .with_writer(io::stderr)
        .event_format(Lines { journal })
        .finish();
    // Somebody else's, in a test, is as good.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Whether `JOURNAL_STREAM` names where standard error leads: it is inherited by those whose output goes elsewhere.
fn is_standard_error(stream: &str) -> bool {
    let Ok(found) = rustix::fs::fstat(rustix::stdio::stderr()) else { return false };
    stream == format!("{}:{}", found.st_dev, found.st_ino)
}

/// How a line looks.
#[derive(Debug, Clone, Copy)]
struct Lines {
    /// For the journal, which has a time of its own: `<4>drift: message`.
    journal: bool,
}

impl Lines {
    fn line(self, severity: Severity, target: &str, fields: &str, now: SystemTime) -> String {
        let place = target.strip_prefix("pontoon_").unwrap_or(target).replace("::", "/");
        let place = place.strip_prefix("daemon/").unwrap_or(&place);
        let mut line = match self.journal {
            true => format!("<{}>", priority(severity)),
            false => format!("{} {severity:>5} ", humantime::format_rfc3339_millis(now)),
        };
        line.push_str(place);
        line.push_str(": ");
        for character in fields.chars() {
            match character.is_control() {
                true => {
                    write!(line, "{}", character.escape_default()).expect("writing to a String cannot fail")
                }
                false => line.push(character),
            }
        }
        line.push('\n');
        line
    }
}

/// Source: `SD_ERR` and the others in systemd's sd-daemon.h, which are syslog's.
fn priority(severity: Severity) -> u8 {
    match severity {
        Severity::ERROR => 3,
        Severity::WARN => 4,
        Severity::INFO => 6,
        _ => 7,
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = String::new();
        context.format_fields(Writer::new(&mut fields), event)?;
        let metadata = event.metadata();
        writer.write_str(&self.line(*metadata.level(), metadata.target(), &fields, SystemTime::now()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_message_is_one_line_whatever_it_names() {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::Warn.filter())
            .with_writer(move || writer.clone())
            .event_format(Lines { journal: true })
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(network = "blue", "somebody said \"{}\"", "a\n<0>b\u{1b}[2J");
            tracing::info!("not at this level");
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.starts_with("<4>log/tests: somebody said") && text.contains("network=\"blue\""),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn a_person_reads_time_and_level() {
        let line = Lines { journal: false }.line(
            Severity::INFO,
            "pontoon_daemon::dns::zone",
            "x",
            SystemTime::UNIX_EPOCH,
        );
        assert_eq!(line, "1970-01-01T00:00:00.000Z  INFO dns/zone: x\n");
    }

    #[test]
    fn levels_are_words() {
        assert_eq!("debug".parse(), Ok(Level::Debug));
        let error = "waring".parse::<Level>().unwrap_err();
        assert_eq!(error.hint().as_deref(), Some("did you mean `warn`?"));
        assert_eq!(Level::wanted(Some(Level::Trace)), Ok(Level::Trace));
        assert!(!is_standard_error("0:0"));
    }
}
