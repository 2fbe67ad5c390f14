//! Published and exposed ports.
//!
//! Source: the Compose Specification, "ports" and "expose".

use pontoon_model::publish::{ExposedPorts, PublishSpec};

use super::Reader;
use super::value::At;
use crate::error::Fault;
use crate::project::Networking;

impl Reader<'_> {
    /// The published ports of a service, where its networking leaves it any.
    pub(super) fn ports(&mut self, name: &str, at: &At<'_>, networking: &Networking) -> Vec<PublishSpec> {
        let Some(list) = at.get("ports").filter(|list| !list.items().is_empty()) else { return Vec::new() };
        let ports = list.items().iter().filter_map(|at| self.port(at)).collect();
        match networking {
            Networking::Networks(_) => return ports,
            Networking::Host => {
                let why = "it has the host's network, where its ports are the host's";
                self.report.not_done(&list.node.at, "ports", name, why);
            }
            Networking::None => self.report.not_done(&list.node.at, "ports", name, "it has no network"),
            Networking::Service(_) | Networking::Container(_) => {
                let fault = Fault::Both { place: at.quoted(), one: "network_mode", other: "ports" };
                self.report.error(&list.node.at, fault);
            }
        }
        Vec::new()
    }

    /// A port in the long form.
    fn port(&mut self, at: &At<'_>) -> Option<PublishSpec> {
        at.node.as_map()?;
        let Some(target) = at.text_of("target") else {
            self.report.error(&at.node.at, Fault::Lacks { place: at.quoted(), key: "target" });
            return None;
        };
        if let Some(mode) = at.get("mode").filter(|mode| !matches!(mode.text(), Some("host" | "ingress"))) {
            self.report.error(&mode.node.at, mode.is_not("a mode: host or ingress"));
        }
        let address = at.text_of("host_ip").map(|ip| {
            let bare = ip.contains(':') && !ip.starts_with('[');
            if bare { format!("[{ip}]:") } else { format!("{ip}:") }
        });
        let published = at.text_of("published").map(|port| format!("{port}:"));
        let published =
            published.unwrap_or_else(|| if address.is_some() { ":".into() } else { String::new() });
        let protocol = at.text_of("protocol").unwrap_or("tcp");
        let text = format!("{}{published}{target}/{protocol}", address.unwrap_or_default());
        let parsed = text.parse().map_err(|error| Fault::refused(at.quoted(), &error));
        self.report.take(&at.node.at, parsed)
    }

    pub(super) fn expose(&mut self, at: &At<'_>) -> Vec<ExposedPorts> {
        at.items_of("expose").iter().filter_map(|at| self.report.parsed(at)).collect()
    }
}
