//! A part of the graph: what is about some networks or containers.

use std::collections::BTreeSet;

use crate::{CableEnd, Graph};

impl Graph {
    /// What is about these containers and networks, by name.
    ///
    /// Containers alone come with their networks, networks alone with their containers; of both, the containers are shown
    /// with their interfaces on the networks. A container at the other end of a cable is shown as well. Nothing asked for
    /// is everything.
    pub fn narrowed(mut self, networks: &[String], containers: &[String]) -> Self {
        if networks.is_empty() && containers.is_empty() {
            return self;
        }
        let asked: BTreeSet<&str> = networks.iter().map(String::as_str).collect();
        let meant: BTreeSet<String> = if containers.is_empty() {
            let on = self.containers.iter().filter(|container| {
                container.interfaces.iter().any(|interface| asked.contains(interface.network.as_str()))
            });
            on.map(|container| container.name.clone()).collect()
        } else {
            containers.iter().cloned().collect()
        };
        let kept: BTreeSet<String> = if networks.is_empty() {
            let of = self.containers.iter().filter(|container| meant.contains(&container.name));
            of.flat_map(|container| &container.interfaces)
                .map(|interface| interface.network.clone())
                .collect()
        } else {
            networks.iter().cloned().collect()
        };
        let is_meant = |end: &CableEnd| end.container.as_ref().is_some_and(|name| meant.contains(name));
        self.cables.retain(|cable| cable.ends.iter().any(is_meant));
        let partners =
            self.cables.iter().flat_map(|cable| &cable.ends).filter_map(|end| end.container.clone());
        let shown: BTreeSet<String> = meant.iter().cloned().chain(partners).collect();
        self.networks.retain(|network| kept.contains(&network.name));
        self.containers.retain(|container| shown.contains(&container.name));
        for container in &mut self.containers {
            container.interfaces.retain(|interface| kept.contains(&interface.network));
        }
        self
    }
}
