//! Health checks.
//!
//! Source: the Compose Specification, "healthcheck".

use super::Reader;
use super::value::At;
use crate::project::{HealthCheck, Runtime, Test};

impl Reader<'_> {
    /// A service's health check; none when it is switched off or not said.
    pub(super) fn health_check(&mut self, at: &At<'_>, runtime: &Runtime) -> Option<HealthCheck> {
        let at = at.get("healthcheck").filter(|at| at.node.as_map().is_some())?;
        if self.report.flag(&at, "disable") {
            return None;
        }
        let test = match at.get("test") {
            Some(test) => Some(self.test(&test)??),
            None => None,
        };
        if test.is_none() && matches!(runtime, Runtime::Process { .. } | Runtime::Oci { .. }) {
            let fault = crate::Fault::Lacks { place: at.quoted(), key: "test" };
            self.report.error(&at.node.at, fault);
        }
        Some(HealthCheck {
            test,
            interval: self.report.duration(&at, "interval"),
            timeout: self.report.duration(&at, "timeout"),
            retries: at.get("retries").and_then(|at| self.report.value(&at, "a whole number")),
            start_period: self.report.duration(&at, "start_period"),
            start_interval: self.report.duration(&at, "start_interval"),
        })
    }

    /// The command; `None` inside when it is `NONE`, outside when it cannot be read.
    fn test(&mut self, at: &At<'_>) -> Option<Option<Test>> {
        if let Some(line) = at.text() {
            return Some((!line.is_empty()).then(|| Test::Shell(line.to_owned())));
        }
        let words: Vec<String> = at.items().iter().filter_map(At::text).map(str::to_owned).collect();
        match words.split_first() {
            None => Some(None),
            Some((first, [])) if first == "NONE" => Some(None),
            Some((first, rest)) if first == "CMD" && !rest.is_empty() => {
                Some(Some(Test::Exec(rest.to_vec())))
            }
            Some((first, [line])) if first == "CMD-SHELL" => Some(Some(Test::Shell(line.clone()))),
            Some((first, _)) => {
                let expected = "the beginning of a test: [NONE], [CMD, PROGRAM, …] or [CMD-SHELL, LINE]";
                let fault = crate::Fault::Value {
                    given: first.clone(),
                    place: at.quoted(),
                    expected: expected.into(),
                };
                self.report.error(&at.node.at, fault);
                None
            }
        }
    }
}
