//! Whether all is well, for those who ask over HTTP.

use std::collections::BTreeMap;

use pontoon_engine::Root;
use pontoon_engine::report::Reader;
use serde_json::{Value, json};

use crate::http::Response;

/// How the daemon is.
#[derive(Debug, Clone, Default)]
pub struct Health {
    /// What there is to say, by name.
    pub state: BTreeMap<&'static str, Value>,
    /// What is wrong, in sentences. None means that all is well.
    pub problems: Vec<String>,
}

impl Health {
    /// With something to say.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.state.insert(name, value.into());
        self
    }

    /// With something that is wrong.
    #[must_use]
    pub fn with_problem(mut self, problem: impl Into<String>) -> Self {
        self.problems.push(problem.into());
        self
    }

    /// With what the state of an instance says, or that it cannot be read.
    #[must_use]
    pub fn with_state(self, root: &Root) -> Self {
        match Reader::open(root).and_then(|reader| reader.tally()) {
            Ok(tally) => self
                .with("networks", tally.networks.len())
                .with("running", tally.running)
                .with("pending", tally.pending),
            Err(error) => self.with_problem(format!("the state cannot be read: {error}")),
        }
    }

    /// 200 if all is well, 503 with what is wrong otherwise.
    pub fn response(&self) -> Response {
        let well = self.problems.is_empty();
        let status = if well { "ok" } else { "failing" };
        let body = json!({ "status": status, "problems": self.problems, "state": self.state });
        Response::new(if well { 200 } else { 503 }, "application/json", format!("{body}\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said() {
        let well = Health::default().with("networks", 2);
        let said = well.response();
        assert_eq!(
            (said.status, said.body.as_str()),
            (200, "{\"problems\":[],\"state\":{\"networks\":2},\"status\":\"ok\"}\n")
        );
        let said = well.with_problem("no socket for blue").response();
        assert!(said.status == 503 && said.body.contains("no socket for blue"), "{}", said.body);
    }
}
