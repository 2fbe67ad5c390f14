//! Cables: `x-pontoon.links`, each two ends as `pontoon link` takes them, or a mapping.

use ipnet::IpNet;
use pontoon_model::IfName;

use super::value::At;
use super::{Placed, Reader};
use crate::error::Fault;
use crate::project::{Cable, CableEnd, Place};

/// The word for the host.
const HOST: &str = "host";
/// What an end looks like.
const END: &str = "an end of a cable: SERVICE[:INTERFACE][=ADDRESS/LENGTH[,…]], where SERVICE may be `host`";

impl Reader<'_> {
    /// The cables between active services, or one and the host.
    pub(super) fn cables(&mut self, services: &[Placed<'_>]) -> Vec<Cable> {
        let Some(ours) = self.section("x-pontoon") else { return Vec::new() };
        let mut cables = Vec::new();
        for at in ours.items_of("links") {
            if let Some(cable) = self.cable(&at)
                && self.ends_are_there(&cable, &at, services)
            {
                cables.push(cable);
            }
        }
        cables
    }

    fn cable(&mut self, at: &At<'_>) -> Option<Cable> {
        if let Some(line) = at.text() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let ends = words.iter().map(|word| end(word).ok_or_else(|| not_an_end(at, word)));
            let ends = ends.collect::<Result<Vec<_>, _>>();
            let ends = self.report.take(&at.node.at, ends)?;
            return Some(Cable { ends: self.two(ends, at)?, mtu: None, impair: None });
        }
        let ends = at.items_of("ends");
        let ends = ends.iter().map(|end| self.end(end)).collect::<Option<Vec<_>>>()?;
        let mtu = at.get("mtu").and_then(|at| self.report.value(&at, "an MTU in bytes"));
        let impair = at.get("impair").map(|at| self.impair(&at));
        Some(Cable { ends: self.two(ends, at)?, mtu, impair })
    }

    fn two(&mut self, ends: Vec<CableEnd>, at: &At<'_>) -> Option<[CableEnd; 2]> {
        let found = ends.len();
        let two: Result<[CableEnd; 2], _> = ends.try_into();
        let both_host = |ends: &[CableEnd; 2]| ends.iter().all(|end| end.place == Place::Host);
        let two = match two {
            Ok(ends) if !both_host(&ends) => Ok(ends),
            Ok(_) => Err("a cable with one end at the most in the host".to_owned()),
            Err(_) => Err(format!("a cable with two ends, but with {found}")),
        };
        let given = at.text().unwrap_or("ends").to_owned();
        let two = two.map_err(|expected| Fault::Value { given, place: at.quoted(), expected });
        self.report.take(&at.node.at, two)
    }

    /// An end: a word, or a mapping.
    fn end(&mut self, at: &At<'_>) -> Option<CableEnd> {
        if let Some(word) = at.text() {
            let end = end(word).ok_or_else(|| not_an_end(at, word));
            return self.report.take(&at.node.at, end);
        }
        let service = at.text_of("at").ok_or_else(|| Fault::Lacks { place: at.quoted(), key: "at" });
        let place = place(self.report.take(&at.node.at, service)?);
        let addresses = at.get("addresses");
        let addresses = addresses.map_or_else(Vec::new, |at| match at.text() {
            Some(_) => vec![at],
            None => at.items(),
        });
        let expected = "an address with its prefix length such as 10.9.0.1/30";
        Some(CableEnd {
            place,
            ifname: at.get("interface").and_then(|at| self.report.parsed(&at)),
            addresses: addresses.iter().filter_map(|at| self.report.value(at, expected)).collect(),
            gateway: at.get("gateway").and_then(|at| self.report.value(&at, "an IP address")),
        })
    }

    /// Whether both ends are active; that they are services with one container.
    fn ends_are_there(&mut self, cable: &Cable, at: &At<'_>, services: &[Placed<'_>]) -> bool {
        let mut there = true;
        for end in &cable.ends {
            let Place::Service(name) = &end.place else { continue };
            match self.need(name, &at.quoted()) {
                // A cable goes with its ends.
                Err(Fault::Inactive { .. }) => there = false,
                Err(fault) => {
                    self.report.error(&at.node.at, fault);
                    there = false;
                }
                Ok(()) => {
                    let scale = services.iter().find(|placed| placed.service.name == *name);
                    let scale = scale.map_or(1, |placed| placed.service.scale);
                    if scale != 1 {
                        let what = "the end of a cable".into();
                        let fault = Fault::OnlyOne { service: name.clone(), scale, what };
                        self.report.error(&at.node.at, fault);
                    }
                }
            }
        }
        there
    }
}

fn not_an_end(at: &At<'_>, word: &str) -> Fault {
    Fault::Value { given: word.to_owned(), place: at.quoted(), expected: END.into() }
}

fn place(name: &str) -> Place {
    if name == HOST { Place::Host } else { Place::Service(name.to_owned()) }
}

/// `SERVICE[:INTERFACE][=ADDRESS/LENGTH[,…]]`.
fn end(word: &str) -> Option<CableEnd> {
    let (rest, addresses) = match word.split_once('=') {
        Some((rest, list)) => {
            (rest, list.split(',').map(str::parse).collect::<Result<Vec<IpNet>, _>>().ok()?)
        }
        None => (word, Vec::new()),
    };
    let (name, ifname) = match rest.split_once(':') {
        Some((name, ifname)) => (name, Some(ifname.parse::<IfName>().ok()?)),
        None => (rest, None),
    };
    (!name.is_empty()).then(|| CableEnd { place: place(name), ifname, addresses, gateway: None })
}
