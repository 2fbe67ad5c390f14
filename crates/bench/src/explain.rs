//! What it takes to read a host and to follow a packet over it.

use std::net::Ipv4Addr;

use pontoon_engine::Root;
use pontoon_engine::explain::{self, Carries, Verdict, Who};
use pontoon_engine::report::Reader;
use pontoon_engine::snapshot;
use pontoon_kernel::nftables;
use pontoon_kernel::socket::{Protocol, Socket};
use pontoon_model::ContainerRef;
use pontoon_model::publish::Protocol as Transport;
use pontoon_nft::syntax::{
    Base, Chain, ChainKind, Command, DataType, Element, Elements, Family, Hook, Key, Match, Policy, Priority,
    Rule, Set, Statement, TableRef, Value, Verdict as Fate,
};

use crate::attach::InProcess;
use crate::error::BenchError;
use crate::place::{self, Place};
use crate::samples::{Samples, timed};
use crate::scale::Scale;

const CONTAINERS: usize = 100;
const RULES: u32 = 1_000;
const ELEMENTS: u32 = 10_000;
/// One of so many rules looks into the set.
const LOOKS: u32 = 100;
const PORT: u16 = 80;

/// What was measured.
#[derive(Debug)]
pub(crate) struct Explained {
    /// To read the host.
    pub(crate) read: Samples,
    /// To follow a packet and its answer over it.
    pub(crate) followed: Samples,
    /// How large the host is that is read: containers, rules, elements of sets.
    pub(crate) size: (usize, u32, u32),
}

/// Makes the host, reads it, follows a connection from one container to another, over rules by way of the host.
pub(crate) fn measure(scale: &Scale) -> Result<Explained, BenchError> {
    let mut engine = InProcess::create("explained", &["10.208.0.0/16"])?;
    let mut far = InProcess::create("elsewhere", &["10.209.0.0/16"])?;
    let places = Place::several("explained", 0, CONTAINERS)?;
    for (number, place) in places.iter().enumerate() {
        let network = if number % 2 == 0 { &mut engine } else { &mut far };
        network.connect(&place.name)?;
    }
    let _server = places[1].listen(PORT)?;
    let _host = place::listen(PORT)?;
    nftables::apply(&mut Socket::open(Protocol::Netfilter)?, &rules())?;
    let reader = Reader::open(&Root::host())?;
    let ends = [0, 1].map(|number: usize| ContainerRef::NetnsName(places[number].name.clone()));
    let (mut read, mut followed) = (Vec::new(), Vec::new());
    for _ in 0..scale.samples.min(20) {
        let (time, (picture, names)) = timed(|| snapshot::take(&reader, &ends, "pontoon restore"))?;
        read.push(time);
        let ends: Vec<Who> =
            names.iter().filter_map(|name| Some(Who::Container(name.parse().ok()?))).collect();
        let [from, to] = ends.as_slice() else { return Err(BenchError::Astray) };
        let carries = Carries::Port(Transport::Tcp, PORT);
        let question = explain::question(&picture, from, to, carries)?;
        let (time, explained) = timed(|| Ok::<_, BenchError>(explain::explain(&picture, &question)))?;
        followed.push(time);
        // Our rules keep the networks apart, and the others' are all passed before that is known.
        if picture.namespaces.len() <= CONTAINERS || explained.verdict != Verdict::Unreachable {
            return Err(BenchError::Astray);
        }
    }
    let size = (CONTAINERS, RULES, ELEMENTS);
    Ok(Explained { read: Samples::new(read), followed: Samples::new(followed), size })
}

/// Rules that drop what others send, and a set of many others.
fn rules() -> Vec<Command> {
    let table = TableRef::new(Family::Inet, "theirs");
    let base = Base {
        kind: ChainKind::Filter,
        hook: Hook::Forward,
        priority: Priority::FILTER,
        policy: Policy::Accept,
        device: None,
    };
    let chain = Chain { name: "forward".into(), base: Some(base), comment: None };
    let set = Set::new("others", vec![DataType::Ipv4Addr]);
    let elements: Vec<Element> = (0..ELEMENTS).map(|number| Element::new([other(number)])).collect();
    let mut commands = vec![
        Command::CreateTable { table: table.clone(), comment: None },
        Command::AddSet { table: table.clone(), set },
        Command::AddElements(Elements::new(table.clone(), "others", elements)),
        Command::AddChain { table: table.clone(), chain },
    ];
    commands.extend((0..RULES).map(|number| {
        let from = match number % LOOKS {
            0 => Match::is_in(vec![Key::IP_SADDR], "others"),
            _ => Match::is(Key::IP_SADDR, other(number)),
        };
        let rule = Rule::new(vec![from, Statement::Verdict(Fate::Drop)]);
        Command::AddRule { table: table.clone(), chain: "forward".into(), rule }
    }));
    commands
}

fn other(number: u32) -> Value {
    Value::Ipv4(Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + number))
}
