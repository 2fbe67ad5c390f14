//! Messages for tests, and how they are read.

use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};
use pontoon_dns::wire::Transport;
use pontoon_dns::{Client, Directory, Verdict};

/// A query as a client sends it, with a size that it takes if it knows EDNS.
pub(crate) fn query(id: u16, name: &str, kind: RecordType, edns: Option<u16>) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    let mut question = Query::query(Name::from_ascii(name).unwrap(), kind);
    question.set_query_class(DNSClass::IN);
    message.add_query(question);
    if let Some(size) = edns {
        let mut edns = Edns::new();
        edns.set_max_payload(size);
        message.set_edns(edns);
    }
    message.to_vec().unwrap()
}

/// What a directory says to a query.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Answer(ResponseCode, Vec<IpAddr>),
    Forward,
    Silence,
}

pub(crate) fn ask(directory: &Directory, client: &Client, message: &[u8], transport: Transport) -> Said {
    let mut buffer = vec![0; 65_535];
    match directory.respond(client, message, transport, &mut buffer) {
        Verdict::Answer { len, .. } => {
            let answer = checked(message, &buffer[..len], transport);
            Said::Answer(answer.metadata.response_code, addresses(&answer))
        }
        Verdict::Forward { .. } => Said::Forward,
        Verdict::Silence => Said::Silence,
    }
}

/// An answer that hickory can read: with the number and the question of its query, and no longer than the client takes.
pub(crate) fn checked(query: &[u8], answer: &[u8], transport: Transport) -> Message {
    let parsed =
        Message::from_vec(answer).unwrap_or_else(|error| panic!("{error}: {}", answer.escape_ascii()));
    let asked = Message::from_vec(query).unwrap();
    assert_eq!(parsed.metadata.id, asked.metadata.id);
    assert_eq!(parsed.metadata.message_type, MessageType::Response);
    assert_eq!(parsed.queries, asked.queries);
    // The case is kept.
    let question = &query[12..12 + question_len(query)];
    assert_eq!(&answer[12..12 + question.len()], question);
    assert_eq!(parsed.edns.is_some(), asked.edns.is_some());
    assert!(parsed.edns.as_ref().is_none_or(|edns| edns.max_payload() == 1232));
    if transport == Transport::Udp {
        let room = asked.edns.as_ref().map_or(512, |edns| edns.max_payload().clamp(512, 1232));
        assert!(answer.len() <= usize::from(room), "{} > {room}", answer.len());
    }
    parsed
}

pub(crate) fn question_len(query: &[u8]) -> usize {
    let mut at = 12;
    while query[at] != 0 {
        at += 1 + usize::from(query[at]);
    }
    at + 5 - 12
}

pub(crate) fn addresses(message: &Message) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = message
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(address) => Some(address.0.into()),
            RData::AAAA(address) => Some(address.0.into()),
            _ => None,
        })
        .collect();
    addresses.sort_unstable();
    addresses
}

/// An answer with one address, or without any.
pub(crate) fn answer(query: &[u8], code: u8, address: Option<Ipv4Addr>) -> Vec<u8> {
    let end = 12 + question_len(query);
    let mut message = query[..end].to_vec();
    message[2] = 0x81;
    message[3] = 0x80 | code;
    message[6..12].fill(0);
    if let Some(address) = address {
        message[7] = 1;
        message.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04");
        message.extend(address.octets());
    }
    message
}
