//! A service.
//!
//! Source: the Compose Specification, "Services top-level elements".

use std::net::IpAddr;
use std::path::PathBuf;

use pontoon_model::sandbox::HostEntry;

use super::Reader;
use super::value::At;
use crate::error::Fault;
use crate::project::{Link, Networking, Runtime, Service};

impl Reader<'_> {
    pub(super) fn service(&mut self, name: &str, at: &At<'_>) -> Service {
        let networking = self.networking(name, at);
        // What has no runtime has had its error, and is read on for others.
        let runtime = self.runtime(name, at).unwrap_or(Runtime::Docker { image: String::new() });
        self.not_done(name, at, &runtime);
        let service = Service {
            name: name.to_owned(),
            container_name: at.text_of("container_name").map(str::to_owned),
            scale: self.scale(at),
            entrypoint: self.command(at, "entrypoint"),
            command: self.command(at, "command"),
            environment: self.variables(at),
            working_dir: at.text_of("working_dir").map(PathBuf::from),
            user: at.text_of("user").map(str::to_owned),
            tty: self.report.flag(at, "tty"),
            stdin_open: self.report.flag(at, "stdin_open"),
            hostname: at.text_of("hostname").map(str::to_owned),
            domainname: at.text_of("domainname").map(str::to_owned),
            ports: self.ports(name, at, &networking),
            expose: self.expose(at),
            extra_hosts: self.extra_hosts(at),
            dns: at.items_of("dns").iter().filter_map(|at| self.name_server(at)).collect(),
            dns_search: at.texts_of("dns_search"),
            dns_options: at.texts_of("dns_opt"),
            sysctls: at.pairs_of("sysctls"),
            links: links(at),
            labels: self.labels(at),
            depends_on: self.dependencies(name, at, &networking),
            healthcheck: self.health_check(at, &runtime),
            restart: self.restart(at),
            stop_signal: at.text_of("stop_signal").map(str::to_owned),
            stop_grace: self.report.duration(at, "stop_grace_period"),
            routes: self.routes(at),
            impair: self.impairments(at, &networking),
            profiles: at.texts_of("profiles"),
            networking,
            runtime,
        };
        self.runs_something(&service, at);
        self.one_of_each(&service, at);
        service
    }

    /// `scale`, or `deploy.replicas`; both may be said when they say the same.
    fn scale(&mut self, at: &At<'_>) -> u32 {
        let number = "a whole number of containers";
        let scale = at.get("scale").and_then(|at| self.report.value(&at, number));
        let replicas_at = at.get("deploy").and_then(|deploy| deploy.get("replicas"));
        let replicas = replicas_at.as_ref().and_then(|at| self.report.value(at, number));
        if let (Some(scale), Some(replicas), Some(at)) = (scale, replicas, replicas_at)
            && scale != replicas
        {
            self.report.error(&at.node.at, at.is_not(format_args!("what `scale` says: {scale}")));
        }
        scale.or(replicas).unwrap_or(1)
    }

    fn name_server(&mut self, at: &At<'_>) -> Option<IpAddr> {
        self.report.value(at, "the IP address of a name server")
    }

    /// `HOST=ADDRESS`, as the long forms have it.
    fn extra_hosts(&mut self, at: &At<'_>) -> Vec<(String, HostEntry)> {
        at.items_of("extra_hosts").iter().filter_map(|at| self.extra_host(at)).collect()
    }

    fn extra_host(&mut self, at: &At<'_>) -> Option<(String, HostEntry)> {
        let (host, address) = at.text()?.split_once('=').unwrap_or_default();
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        let entry = bare.parse().ok().filter(|_| !host.is_empty());
        let entry = entry.ok_or_else(|| at.is_not("a host and its address: HOST=IP, or HOST=host-gateway"));
        Some((host.to_owned(), self.report.take(&at.node.at, entry)?))
    }

    /// That several containers do not have what only one can.
    fn one_of_each(&mut self, service: &Service, at: &At<'_>) {
        let Service { name, scale, container_name, networking, ports, .. } = service;
        if let (Some(node), Some(given)) = (at.get("container_name"), container_name) {
            if *scale > 1 {
                let fault = Fault::OneName { service: name.clone(), scale: *scale, name: given.clone() };
                self.report.error(&node.node.at, fault);
            }
            self.report.parsed::<pontoon_model::SandboxName>(&node);
        }
        if *scale <= 1 {
            return;
        }
        let mut only_one = |place: Option<At<'_>>, what: String| {
            let place = place.unwrap_or_else(|| at.clone());
            let fault = Fault::OnlyOne { service: name.clone(), scale: *scale, what };
            self.report.error(&place.node.at, fault);
        };
        let fixed = ports.iter().filter_map(|port| match port.host {
            pontoon_model::publish::HostPorts::Exactly(first) => Some(first),
            _ => None,
        });
        for first in fixed {
            only_one(at.get("ports"), format!("host port {first}"));
        }
        let Networking::Networks(joined) = networking else { return };
        for joined in joined {
            let place = || at.get("networks")?.get(&joined.key);
            let addresses = joined.ipv4.map(IpAddr::V4).into_iter().chain(joined.ipv6.map(IpAddr::V6));
            for address in addresses {
                only_one(place(), format!("address {address}"));
            }
            if let Some(mac) = joined.mac {
                only_one(place(), format!("Ethernet address {mac}"));
            }
        }
    }
}

/// `SERVICE` or `SERVICE:ALIAS`.
fn links(at: &At<'_>) -> Vec<Link> {
    let link = |text: String| {
        let (service, alias) = text.split_once(':').unwrap_or((&text, &text));
        Link { service: service.to_owned(), alias: alias.to_owned() }
    };
    at.texts_of("links").into_iter().map(link).collect()
}
