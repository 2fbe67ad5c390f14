//! What a service runs, and with what environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Reader;
use super::value::At;
use crate::envfile::{self, Format};
use crate::error::Fault;
use crate::path::shown;
use crate::project::{Restart, Runtime, Service};
use crate::report::Environment;
use crate::words;

impl Reader<'_> {
    /// `command` or `entrypoint`: a list, or a line whose words are split.
    pub(super) fn command(&mut self, at: &At<'_>, key: &str) -> Option<Vec<String>> {
        let at = at.get(key)?;
        let Some(line) = at.text() else {
            return Some(at.items().iter().filter_map(At::text).map(str::to_owned).collect());
        };
        let words = words::split(line).ok_or_else(|| at.is_not("a command: a quote is not closed"));
        self.report.take(&at.node.at, words)
    }

    /// That a process has something to run: words of its entry point or command.
    pub(super) fn runs_something(&mut self, service: &Service, at: &At<'_>) {
        let unread = |key: &str, words: &Option<Vec<String>>| at.get(key).is_some() && words.is_none();
        let Service { entrypoint, command, runtime, name, .. } = service;
        let words = entrypoint.iter().chain(command).flatten().count();
        let failed = unread("entrypoint", entrypoint) || unread("command", command);
        if matches!(runtime, Runtime::Process { .. }) && words == 0 && !failed {
            self.report.error(&at.node.at, Fault::NoCommand(name.clone()));
        }
    }

    /// The variables of `env_file` and `environment`.
    pub(super) fn variables(&mut self, at: &At<'_>) -> Environment {
        let mut variables = Environment::new();
        for file in at.items_of("env_file") {
            self.env_file(&file, &mut variables);
        }
        for (key, _, at) in at.entries_of("environment") {
            let value = match at.node.is_null() {
                true => self.environment.get(key).cloned(),
                false => at.text().map(str::to_owned),
            };
            match value {
                Some(value) => variables.insert(key.to_owned(), value),
                None => variables.remove(key),
            };
        }
        variables
    }

    fn env_file(&mut self, at: &At<'_>, variables: &mut Environment) {
        let Some(path) = at.text_of("path") else {
            self.report.error(&at.node.at, Fault::Lacks { place: at.quoted(), key: "path" });
            return;
        };
        let required = at.get("required").and_then(|at| self.report.boolean(&at)).unwrap_or(true);
        let format = match at.get("format").as_ref().map(|format| (format.text(), format)) {
            None | Some((Some(""), _)) => Format::Usual,
            Some((Some("raw"), _)) => Format::Raw,
            Some((_, format)) => {
                return self.report.error(&format.node.at, format.is_not("a format: raw, or nothing"));
            }
        };
        if let Some(text) = self.file(Path::new(path), required, at) {
            let shown = shown(self.working_directory, Path::new(path));
            envfile::read(&text, &shown, format, self.environment, variables, &mut self.report);
        }
    }

    /// The text of a file; `None` with an error, or when it need not be there.
    fn file(&mut self, path: &Path, required: bool, at: &At<'_>) -> Option<String> {
        let fault = match self.files.read(path) {
            Ok(Some(text)) => return Some(text),
            Ok(None) if !required => return None,
            Ok(None) => Fault::Missing(path.to_owned()),
            Err(reason) => Fault::Unreadable { path: path.to_owned(), reason },
        };
        self.report.error(&at.node.at, fault);
        None
    }

    /// The labels of `label_file` and `labels`.
    pub(super) fn labels(&mut self, at: &At<'_>) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for file in at.items_of("label_file") {
            let Some(path) = file.text().map(PathBuf::from) else { continue };
            if let Some(text) = self.file(&path, true, &file) {
                let shown = shown(self.working_directory, &path);
                let outside = Environment::new();
                envfile::read(&text, &shown, Format::Usual, &outside, &mut labels, &mut self.report);
            }
        }
        labels.extend(at.pairs_of("labels"));
        labels
    }

    /// `restart`, or else `deploy.restart_policy`.
    pub(super) fn restart(&mut self, at: &At<'_>) -> Restart {
        let Some(given) = at.get("restart").filter(|restart| restart.text() != Some("")) else {
            return self.restart_policy(at);
        };
        let restart = match given.text().unwrap_or_default().split_once(':') {
            Some(("on-failure", times)) => times.parse().ok().map(|times| Restart::OnFailure(Some(times))),
            Some(_) => None,
            None => restart_word(given.text().unwrap_or_default()),
        };
        let expected = "when to restart: no, always, on-failure, on-failure:TIMES or unless-stopped";
        let restart = restart.ok_or_else(|| given.is_not(expected));
        self.report.take(&given.node.at, restart).unwrap_or(Restart::No)
    }

    fn restart_policy(&mut self, at: &At<'_>) -> Restart {
        let policy = at.get("deploy").and_then(|deploy| deploy.get("restart_policy"));
        let Some(policy) = policy else { return Restart::No };
        let times = policy.get("max_attempts").and_then(|at| self.report.value(&at, "a whole number"));
        let Some(condition) = policy.get("condition") else { return Restart::Always };
        let restart = match condition.text().unwrap_or_default() {
            "any" => Some(Restart::Always),
            "none" => Some(Restart::No),
            "on-failure" => Some(Restart::OnFailure(times)),
            _ => None,
        };
        let restart = restart.ok_or_else(|| condition.is_not("a condition: none, on-failure or any"));
        self.report.take(&condition.node.at, restart).unwrap_or(Restart::No)
    }
}

fn restart_word(word: &str) -> Option<Restart> {
    match word {
        // YAML 1.1 takes a bare `no` for false, and some write that.
        "no" | "false" => Some(Restart::No),
        "always" => Some(Restart::Always),
        "on-failure" => Some(Restart::OnFailure(None)),
        "unless-stopped" => Some(Restart::UnlessStopped),
        _ => None,
    }
}
