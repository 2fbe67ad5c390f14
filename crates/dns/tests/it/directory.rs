//! A directory against a model that goes through everything for each question.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use pontoon_dns::wire::Transport;
use pontoon_dns::{Client, Directory, Member, NetworkNames, Place};
use pontoon_model::{NetworkId, SandboxId};
use proptest::prelude::*;

use crate::message::{Said, ask, query};

const NETWORKS: u8 = 3;
const MEMBERS: u8 = 5;

#[derive(Debug, Clone)]
enum Op {
    SetNetwork { number: u8, name: &'static str, internal: bool, enabled: bool },
    RemoveNetwork(u8),
    SetMember { number: u8, name: &'static str, places: Vec<Placed> },
    RemoveMember(u8),
    Clear,
}

/// The network, whether it has an address of either family, an alias, and what it alone calls somebody.
type Placed = (u8, bool, bool, Option<&'static str>, Option<(&'static str, &'static str)>);

fn op() -> impl Strategy<Value = Op> {
    let networks = prop::sample::select(vec!["blue", "Red", "deep.blue"]);
    let names = || prop::sample::select(vec!["web", "db", "My.Web", "blue", "a_b"]);
    let alias = prop::option::of(prop::sample::select(vec!["all", "ALL", "web", "x.y"]));
    let names_for = prop::sample::select(vec!["front", "DB", "my.web", "all"]);
    let link = prop::option::of((names_for, prop::sample::select(vec!["web", "Db", "all", "a_b", "nobody"])));
    let place = (0..NETWORKS, any::<bool>(), any::<bool>(), alias, link);
    let places = prop::collection::vec(place, 0..4);
    prop_oneof![
        4 => (0..NETWORKS, networks, any::<bool>(), prop::bool::weighted(0.8))
            .prop_map(|(number, name, internal, enabled)| Op::SetNetwork { number, name, internal, enabled }),
        1 => (0..NETWORKS).prop_map(Op::RemoveNetwork),
        8 => (0..MEMBERS, names(), places).prop_map(|(number, name, mut places)| {
            // A container is on a network once.
            places.sort_by_key(|(network, ..)| *network);
            places.dedup_by_key(|(network, ..)| *network);
            let by = usize::from(number) % places.len().max(1);
            places.rotate_left(by);
            Op::SetMember { number, name, places }
        }),
        2 => (0..MEMBERS).prop_map(Op::RemoveMember),
        1 => Just(Op::Clear),
    ]
}

fn network_id(number: u8) -> NetworkId {
    NetworkId::from_bytes([number; 32])
}

fn v4(network: u8, member: u8) -> Ipv4Addr {
    [10, network, 0, member + 2].into()
}

fn v6(network: u8, member: u8) -> Ipv6Addr {
    format!("fd00:{network}::{:x}", member + 2).parse().unwrap()
}

/// What was said last about each.
#[derive(Debug, Default)]
struct Model {
    networks: BTreeMap<u8, NetworkNames>,
    members: BTreeMap<u8, Member>,
}

impl Model {
    fn apply(&mut self, directory: &mut Directory, op: &Op) {
        match op.clone() {
            Op::SetNetwork { number, name, internal, enabled } => {
                let network = NetworkNames {
                    id: network_id(number),
                    name: name.into(),
                    internal,
                    enabled,
                    subnets: vec![format!("10.{number}.0.0/24").parse().unwrap()],
                    gateways: Vec::new(),
                };
                directory.set_network(network.clone());
                self.networks.insert(number, network);
            }
            Op::RemoveNetwork(number) => {
                directory.remove_network(&network_id(number));
                self.networks.remove(&number);
            }
            Op::SetMember { number, name, places } => {
                let place = |(network, four, six, alias, link): Placed| Place {
                    network: network_id(network),
                    v4: four.then(|| v4(network, number)),
                    v6: six.then(|| v6(network, number)),
                    aliases: alias.map(str::to_owned).into_iter().collect(),
                    links: link
                        .map(|(alias, name)| (alias.to_owned(), name.to_owned()))
                        .into_iter()
                        .collect(),
                };
                let member = Member {
                    sandbox: SandboxId::from_bytes([number; 32]),
                    name: name.into(),
                    short_id: format!("{number:012x}"),
                    hostname: None,
                    places: places.into_iter().map(place).collect(),
                    servers: Vec::new(),
                };
                directory.set_member(member.clone());
                self.members.insert(number, member);
            }
            Op::RemoveMember(number) => {
                directory.remove_member(&SandboxId::from_bytes([number; 32]));
                self.members.remove(&number);
            }
            Op::Clear => {
                directory.clear();
                *self = Self::default();
            }
        }
    }

    fn network(&self, id: &NetworkId) -> Option<&NetworkNames> {
        self.networks.values().find(|network| network.id == *id)
    }

    fn say(&self, network: u8, source: IpAddr, name: &str, kind: RecordType) -> Said {
        let id = network_id(network);
        let Some(own) = self.network(&id).filter(|network| network.enabled) else {
            return Said::Answer(ResponseCode::Refused, Vec::new());
        };
        let has = |place: &Place| {
            place.v4.map(IpAddr::V4) == Some(source) || place.v6.map(IpAddr::V6) == Some(source)
        };
        let asker = self
            .members
            .values()
            .find(|member| member.places.iter().any(|place| place.network == id && has(place)));
        let places = asker.map_or(&[][..], |asker| &asker.places);
        let others = places
            .iter()
            .filter(|place| place.network != id)
            .filter_map(|place| self.network(&place.network));
        let visible = std::iter::once(own).chain(others.filter(|network| network.enabled));
        let mut exists = false;
        for network in visible {
            for wanted in [Some(name), name.strip_suffix(&format!(".{}", network.name.to_lowercase()))] {
                let Some(wanted) = wanted else { continue };
                let links =
                    places.iter().filter(|place| place.network == network.id).flat_map(|place| &place.links);
                let link = links.clone().find(|(alias, _)| alias.to_lowercase() == wanted);
                let wanted = link.map_or(wanted.to_owned(), |(_, name)| name.to_lowercase());
                let named = self.members.values().filter(|member| {
                    [&member.name, &member.short_id].into_iter().any(|name| name.to_lowercase() == wanted)
                });
                let aliased =
                    |place: &Place| place.aliases.iter().any(|alias| alias.to_lowercase() == wanted);
                let named: Vec<_> = named.map(|member| &member.sandbox).collect();
                let all = self
                    .members
                    .values()
                    .flat_map(|member| member.places.iter().map(move |place| (member, place)));
                let found: Vec<&Place> = all
                    .filter(|(member, place)| {
                        place.network == network.id && (named.contains(&&member.sandbox) || aliased(place))
                    })
                    .map(|(_, place)| place)
                    .collect();
                exists |= !found.is_empty();
                let address = |place: &&Place| match kind {
                    RecordType::A => place.v4.map(IpAddr::V4),
                    RecordType::AAAA => place.v6.map(IpAddr::V6),
                    _ => None,
                };
                let mut addresses: Vec<IpAddr> = found.iter().filter_map(address).collect();
                addresses.sort_unstable();
                if !addresses.is_empty() {
                    return Said::Answer(ResponseCode::NoError, addresses);
                }
            }
        }
        let leads_out = |network: &NetworkNames| !network.internal;
        let way_out =
            leads_out(own) || places.iter().filter_map(|place| self.network(&place.network)).any(leads_out);
        match (exists, name.contains('.') && way_out) {
            (true, _) => Said::Answer(ResponseCode::NoError, Vec::new()),
            (false, true) => Said::Forward,
            (false, false) => Said::Answer(ResponseCode::NXDomain, Vec::new()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever was said in whatever order, the answer is what the last words amount to: names of networks that the
    /// client is on and of no other, and no address of what was removed.
    #[test]
    fn the_last_word_counts(ops in prop::collection::vec(op(), 1..24)) {
        let (mut directory, mut model) = (Directory::default(), Model::default());
        for op in &ops {
            model.apply(&mut directory, op);
        }
        prop_assert_eq!(directory.len(), model.members.len());
        let names = ["web", "db", "my.web", "blue", "a_b", "all", "x.y", "front", "000000000001", "nobody"];
        let suffixes = ["", ".blue", ".red", ".deep.blue", ".green"];
        for network in 0..NETWORKS {
            let Some(key) = directory.network_key(&network_id(network)) else {
                prop_assert!(!model.networks.contains_key(&network));
                continue;
            };
            for member in 0..=MEMBERS {
                for source in [v4(network, member).into(), v6(network, member).into()] {
                    let client = Client { network: key, source };
                    for (name, suffix) in names.iter().flat_map(|name| suffixes.map(|suffix| (name, suffix))) {
                        let name = format!("{name}{suffix}");
                        for kind in [RecordType::A, RecordType::AAAA, RecordType::TXT] {
                            let message = query(1, &name.to_uppercase(), kind, None);
                            let said = ask(&directory, &client, &message, Transport::Udp);
                            let expected = model.say(network, source, &name, kind);
                            prop_assert_eq!(said, expected, "{} {} from {} by {}", name, kind, source, network);
                        }
                    }
                }
            }
        }
    }
}
