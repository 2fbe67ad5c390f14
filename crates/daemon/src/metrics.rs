//! Figures for Prometheus, in its text format.
//!
//! Whoever has something to count gives a source: a function that is asked when somebody scrapes, so that what nobody
//! reads costs nothing. Encoding is pure.
//!
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>, "Text-based format", version 0.0.4.

mod drift;
mod encode;
mod process;
mod state;

use std::error::Error;
use std::fmt;

pub use drift::DriftCounters;
pub use encode::{CONTENT_TYPE, encode};
pub use process::process;
pub use state::state;

/// Whether a figure only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// It only grows, and begins anew with the daemon or the object. Its name ends in `_total`.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// One value of a figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Names and values that tell it from the others.
    pub labels: Vec<(&'static str, String)>,
    /// Its value.
    pub value: f64,
}

/// A figure with its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Its name: `[a-z_]+`, with its unit at the end.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub help: &'static str,
    /// Whether it only grows.
    pub kind: Type,
    /// Its values.
    pub samples: Vec<Sample>,
}

impl Family {
    /// What only grows.
    pub fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Type::Counter, samples: Vec::new() }
    }

    /// What goes up and down.
    pub fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Type::Gauge, samples: Vec::new() }
    }

    /// With its only value.
    #[must_use]
    pub fn with(self, value: impl Number) -> Self {
        self.with_labels([], value)
    }

    /// With one more value.
    #[must_use]
    pub fn with_labels(
        mut self,
        labels: impl IntoIterator<Item = (&'static str, String)>,
        value: impl Number,
    ) -> Self {
        self.add(labels, value);
        self
    }

    /// Adds a value.
    pub fn add(&mut self, labels: impl IntoIterator<Item = (&'static str, String)>, value: impl Number) {
        self.samples.push(Sample { labels: labels.into_iter().collect(), value: value.number() });
    }
}

/// What can be a value. Prometheus has 53 bits of a whole number, and so do these.
pub trait Number {
    /// The value.
    fn number(self) -> f64;
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl Number for $number {
            fn number(self) -> f64 {
                self as f64
            }
        })*
    };
}

numbers!(f64, u128, u64, u32, usize, i64);

/// Why a source has nothing to tell.
pub type SourceError = Box<dyn Error + Send + Sync>;

type Source = Box<dyn Fn() -> Result<Vec<Family>, SourceError> + Send + Sync>;

/// All sources.
#[derive(Default)]
pub struct Registry {
    sources: Vec<(&'static str, Source)>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.sources.iter().map(|(name, _)| name)).finish()
    }
}

impl Registry {
    /// With what the program is, as `pontoon_build_info`.
    pub fn new() -> Self {
        let mut registry = Self::default();
        registry.add("build", || {
            let info = Family::gauge("pontoon_build_info", "The version of the daemon, as a label.");
            Ok(vec![info.with_labels([("version", env!("CARGO_PKG_VERSION").to_owned())], 1_u32)])
        });
        registry
    }

    /// Adds a source under a name for when it fails.
    pub fn add(
        &mut self,
        name: &'static str,
        source: impl Fn() -> Result<Vec<Family>, SourceError> + Send + Sync + 'static,
    ) {
        self.sources.push((name, Box::new(source)));
    }

    /// Asks all sources. Of one that fails, `pontoon_source_up` says so, and the log why.
    pub fn gather(&self) -> Vec<Family> {
        let mut up = Family::gauge("pontoon_source_up", "Whether a source of figures could be read.");
        let mut families = Vec::new();
        for (name, source) in &self.sources {
            let told = source();
            up.add([("source", (*name).to_owned())], u32::from(told.is_ok()));
            match told {
                Ok(told) => families.extend(told),
                Err(error) => tracing::warn!(source = name, "figures could not be read: {error}"),
            }
        }
        families.push(up);
        families
    }

    /// All figures as Prometheus reads them.
    pub fn text(&self) -> String {
        encode(&self.gather())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_fails_does_not_silence_the_others() {
        let mut registry = Registry::new();
        registry.add("broken", || Err("the disk is on fire".into()));
        registry.add("whole", || Ok(vec![Family::gauge("pontoon_x", "X.").with(3_u32)]));
        let text = registry.text();
        assert!(text.contains("pontoon_source_up{source=\"broken\"} 0\n"), "{text}");
        assert!(text.contains("pontoon_source_up{source=\"whole\"} 1\n") && text.contains("pontoon_x 3\n"));
        assert!(text.contains("pontoon_build_info{version=\""), "{text}");
    }
}
