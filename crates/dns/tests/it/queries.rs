//! Single questions, and whatever bytes there are.

use std::net::IpAddr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, RecordType};
use pontoon_dns::wire::Transport;
use pontoon_dns::{Client, Directory, Member, NetworkNames, Place, Verdict};
use pontoon_model::{NetworkId, SandboxId};
use proptest::prelude::*;

use crate::message::{Said, addresses, ask, checked, query};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// `blue` with `web` (both families), `four` (IPv4 alone) and five containers under the alias `all`.
fn directory() -> (Directory, Client) {
    let mut directory = Directory::default();
    let id = NetworkId::from_bytes([1; 32]);
    let network = directory.set_network(NetworkNames {
        id: id.clone(),
        name: "blue".into(),
        internal: false,
        enabled: true,
        subnets: vec!["10.1.0.0/24".parse().unwrap(), "fd00:1::/64".parse().unwrap()],
        gateways: vec![ip("10.1.0.1"), ip("fd00:1::1")],
    });
    let mut add = |last: u8, name: &str, v6: bool, aliases: &[&str]| {
        let place = Place {
            network: id.clone(),
            v4: Some([10, 1, 0, last].into()),
            v6: v6.then(|| format!("fd00:1::{last:x}").parse().unwrap()),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            links: Vec::new(),
        };
        directory.set_member(Member {
            sandbox: SandboxId::from_bytes([last; 32]),
            name: name.into(),
            short_id: format!("{last:02x}").repeat(6),
            hostname: Some(format!("host-{name}")),
            places: vec![place],
            servers: Vec::new(),
        });
    };
    add(2, "web", true, &[]);
    add(3, "four", false, &["some.where"]);
    for last in 4..9 {
        add(last, &format!("worker{last}"), false, &["all"]);
    }
    (directory, Client { network, source: ip("10.1.0.2") })
}

fn said(name: &str, kind: RecordType) -> Said {
    let (directory, client) = directory();
    ask(&directory, &client, &query(7, name, kind, Some(4096)), Transport::Udp)
}

fn found(addresses: &[&str]) -> Said {
    Said::Answer(ResponseCode::NoError, addresses.iter().map(|address| ip(address)).collect())
}

const NO_DATA: Said = Said::Answer(ResponseCode::NoError, Vec::new());
const NO_NAME: Said = Said::Answer(ResponseCode::NXDomain, Vec::new());

#[test]
fn a_container_has_several_names() {
    for name in ["web", "WEB.", "web.blue", "020202020202", "host-web", "host-web.Blue."] {
        assert_eq!(said(name, RecordType::A), found(&["10.1.0.2"]), "{name}");
        assert_eq!(said(name, RecordType::AAAA), found(&["fd00:1::2"]), "{name}");
    }
    assert_eq!(said("some.where", RecordType::A), found(&["10.1.0.3"]));
    assert_eq!(said("some.where.blue", RecordType::A), found(&["10.1.0.3"]));
}

#[test]
fn a_name_without_such_a_record_still_exists() {
    use RecordType::{CAA, HTTPS, MX, NS, SVCB, TXT};
    assert_eq!(said("four", RecordType::AAAA), NO_DATA);
    for kind in [MX, TXT, SVCB, HTTPS, CAA, NS] {
        assert_eq!(said("web.", kind), NO_DATA, "{kind}");
    }
    assert_eq!(said("nobody", RecordType::A), NO_NAME);
    assert_eq!(said("nobody", MX), NO_NAME);
}

#[test]
fn whatever_there_is_is_one_family() {
    assert_eq!(said("web", RecordType::ANY), found(&["10.1.0.2"]));
}

#[test]
fn the_host_has_names() {
    for name in ["host.docker.internal", "gateway.docker.internal", "host.containers.internal"] {
        assert_eq!(said(name, RecordType::A), found(&["10.1.0.1"]), "{name}");
        assert_eq!(said(name, RecordType::AAAA), found(&["fd00:1::1"]), "{name}");
        assert_eq!(said(name, RecordType::MX), NO_DATA, "{name}");
    }
    assert_eq!(said("localhost", RecordType::A), found(&["127.0.0.1"]));
    assert_eq!(said("web.localhost", RecordType::AAAA), found(&["::1"]));
    assert_eq!(said("a.docker.internal", RecordType::A), Said::Forward);
}

#[test]
fn who_is_asked_elsewhere() {
    for name in ["example.com", "a.web", "web.red", "."] {
        assert_eq!(said(name, RecordType::A), Said::Forward, "{name}");
    }
    assert_eq!(said("com", RecordType::NS), Said::Forward);
    assert_eq!(said("com", RecordType::DS), Said::Forward);
    for name in ["nobody", "x.invalid", "x.onion", "localhost1"] {
        assert_eq!(said(name, RecordType::A), NO_NAME, "{name}");
    }
    assert_eq!(said("1.2.0.192.in-addr.arpa", RecordType::PTR), Said::Forward);
    assert_eq!(said("99.0.1.10.in-addr.arpa", RecordType::PTR), NO_NAME);
    assert_eq!(said("0.1.10.in-addr.arpa", RecordType::SOA), NO_DATA);
    assert_eq!(said("1.10.in-addr.arpa", RecordType::SOA), Said::Forward);
}

#[test]
fn addresses_have_names() {
    let (directory, client) = directory();
    let target = |name: &str| {
        let (query, mut buffer) = (query(1, name, RecordType::PTR, None), vec![0; 1232]);
        let verdict = directory.respond(&client, &query, Transport::Udp, &mut buffer);
        let Verdict::Answer { len, .. } = verdict else { panic!("{verdict:?}") };
        let answer = checked(&query, &buffer[..len], Transport::Udp);
        assert!(answer.metadata.authoritative && answer.answers[0].ttl == 0);
        match &answer.answers[0].data {
            RData::PTR(name) => name.0.to_ascii(),
            other => panic!("{other}"),
        }
    };
    assert_eq!(target("3.0.1.10.in-addr.arpa"), "four.blue.");
    let six = format!("2.{}1.0.0.0.0.0.d.f.ip6.arpa", "0.".repeat(23));
    assert_eq!(target(&six), "web.blue.");
}

#[test]
fn several_addresses_take_turns() {
    let (directory, client) = directory();
    let query = query(1, "all", RecordType::A, None);
    let mut firsts = Vec::new();
    for _ in 0..5 {
        let mut buffer = vec![0; 1232];
        let Verdict::Answer { len, .. } = directory.respond(&client, &query, Transport::Udp, &mut buffer)
        else {
            panic!()
        };
        let answer = checked(&query, &buffer[..len], Transport::Udp);
        assert_eq!(addresses(&answer).len(), 5);
        let RData::A(first) = &answer.answers[0].data else { panic!() };
        firsts.push(first.0);
    }
    firsts.sort_unstable();
    firsts.dedup();
    assert_eq!(firsts.len(), 5);
}

#[test]
fn what_nobody_does_is_refused() {
    let (directory, client) = directory();
    let code = |change: fn(&mut Vec<u8>)| {
        let mut message = query(9, "web", RecordType::A, Some(1232));
        change(&mut message);
        match ask(&directory, &client, &message, Transport::Udp) {
            Said::Answer(code, addresses) => {
                assert!(addresses.is_empty());
                code
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code(|message| message[20] = 3), ResponseCode::Refused);
    assert_eq!(code(|message| message[18] = 252), ResponseCode::Refused);
    // EDNS version 1.
    assert_eq!(u16::from(code(|message| message[27] = 1)), 16);
    let elsewhere = Client { source: ip("10.9.9.9"), ..client };
    let web = query(9, "web", RecordType::A, None);
    assert_eq!(ask(&directory, &elsewhere, &web, Transport::Udp), found(&["10.1.0.2"]));
}

#[test]
fn a_query_that_does_not_want_others_to_be_asked_is_not_sent_on() {
    let (directory, client) = directory();
    let mut message = query(9, "example.com", RecordType::A, None);
    message[2] = 0;
    let refused = Said::Answer(ResponseCode::Refused, Vec::new());
    assert_eq!(ask(&directory, &client, &message, Transport::Udp), refused);
    // The host is at the gateway's address.
    let host = Client { source: ip("10.1.0.1"), ..client };
    let message = query(9, "example.com", RecordType::A, None);
    assert_eq!(ask(&directory, &host, &message, Transport::Udp), refused);
}

/// Bytes that are almost a query: one with bytes changed, cut off, or put in.
fn almost() -> impl Strategy<Value = Vec<u8>> {
    let names = prop::sample::select(vec!["web", "all.blue", "a.b.c", "1.0.1.10.in-addr.arpa", "."]);
    let edns = prop::option::of(any::<u16>());
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (names, edns, changes, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |(name, edns, changes, end, cut)| {
            let mut bytes = query(5, name, RecordType::A, edns);
            for (index, byte) in changes {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
            if cut {
                bytes.truncate(end.index(bytes.len()));
            }
            bytes
        },
    )
}

proptest! {
    /// Whatever comes: an answer is one that can be read, with the number of what came, and it is never an answer to an
    /// answer.
    #[test]
    fn whatever_comes_is_answered_well(
        bytes in prop_oneof![almost(), prop::collection::vec(any::<u8>(), 0..600)],
        tcp in any::<bool>(),
    ) {
        let (directory, client) = directory();
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let mut buffer = vec![0; 65_535];
        match directory.respond(&client, &bytes, transport, &mut buffer) {
            Verdict::Answer { len, .. } => {
                prop_assert_eq!(&buffer[..2], &bytes[..2]);
                prop_assert!(bytes[2] & 0x80 == 0 && buffer[2] & 0x80 != 0);
                prop_assert!(tcp || len <= 1232);
                let parsed = Message::from_vec(&buffer[..len]);
                prop_assert!(parsed.is_ok(), "{:?}", parsed);
            }
            Verdict::Forward { query, .. } => prop_assert_eq!(query.id.to_be_bytes(), &bytes[..2]),
            Verdict::Silence => prop_assert!(bytes.len() < 12 || bytes[2] & 0x80 != 0),
        }
    }

    /// An answer that is too long says so, and holds as much as fits.
    #[test]
    fn what_does_not_fit_is_cut(count in 1u8..200, edns in prop::option::of(0u16..2000)) {
        let (mut directory, client) = directory();
        for last in 0..count {
            let place = Place {
                network: NetworkId::from_bytes([1; 32]),
                v4: Some([10, 1, 1, last].into()),
                v6: None,
                aliases: vec!["many".into()],
                links: Vec::new(),
            };
            let mut sandbox = [9; 32];
            sandbox[0] = last;
            directory.set_member(Member {
                sandbox: SandboxId::from_bytes(sandbox),
                name: format!("m{last}"),
                short_id: format!("{last:012x}"),
                hostname: None,
                places: vec![place],
                servers: Vec::new(),
            });
        }
        let query = query(3, "many", RecordType::A, edns);
        let mut buffer = vec![0; 65_535];
        let Verdict::Answer { len, .. } = directory.respond(&client, &query, Transport::Udp, &mut buffer) else {
            panic!()
        };
        let answer = checked(&query, &buffer[..len], Transport::Udp);
        let found = addresses(&answer).len();
        prop_assert_eq!(answer.metadata.truncation, found < usize::from(count));
        let room = usize::from(edns.map_or(512, |size| size.clamp(512, 1232)));
        prop_assert!(!answer.metadata.truncation || len + 16 > room);
        let Said::Answer(_, all) = ask(&directory, &client, &query, Transport::Tcp) else { panic!() };
        prop_assert_eq!(all.len(), usize::from(count));
    }
}
