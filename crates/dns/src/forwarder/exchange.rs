//! One question sent to one server, and what is an answer to it.

use std::net::SocketAddr;
use std::time::Duration;

use crate::message::Answer;
use crate::wire::{Transport, UDP_PAYLOAD, flag, kind};

/// A question's way to one server and back. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExchangeId(pub(super) u64);

#[derive(Debug)]
pub(super) struct Exchange {
    /// The question that it is for.
    pub(super) pending: u64,
    pub(super) server: SocketAddr,
    pub(super) transport: Transport,
    pub(super) sent: Duration,
    pub(super) edns: bool,
    id: u16,
    question: Box<[u8]>,
    mixed_case: bool,
}

/// What is asked, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) question: &'a [u8],
    pub(super) dnssec_ok: bool,
    pub(super) checking_disabled: bool,
    pub(super) edns: bool,
    pub(super) want_ad: bool,
    pub(super) mixed_case: bool,
}

impl Exchange {
    /// The exchange, and the message to send.
    pub(super) fn new(
        pending: u64,
        server: SocketAddr,
        transport: Transport,
        now: Duration,
        request: Request<'_>,
        random: &mut dyn FnMut() -> u64,
    ) -> (Self, Vec<u8>) {
        let id = random() as u16;
        let mut question: Box<[u8]> = request.question.into();
        if request.mixed_case {
            mix_case(&mut question, random);
        }
        let mut flags = flag::RECURSION_DESIRED;
        flags |= if request.checking_disabled { flag::CHECKING_DISABLED } else { 0 };
        // In a question it says that the bit is understood: RFC 6840, 5.7.
        flags |= if request.want_ad { flag::AUTHENTIC } else { 0 };
        let mut message = Vec::with_capacity(12 + question.len() + 11);
        for word in [id, flags, 1, 0, 0, u16::from(request.edns)] {
            message.extend(word.to_be_bytes());
        }
        message.extend(&question);
        if request.edns {
            message.extend([0, 0, kind::OPT as u8]);
            message.extend((UDP_PAYLOAD as u16).to_be_bytes());
            message.extend([0, 0, if request.dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
        }
        let exchange = Self {
            pending,
            server,
            transport,
            sent: now,
            edns: request.edns,
            id,
            question,
            mixed_case: request.mixed_case,
        };
        (exchange, message)
    }

    /// The answer, if the message is one to this question, from this server, and no longer than was said to be taken.
    pub(super) fn read(&self, from: SocketAddr, message: &[u8]) -> Option<Answer> {
        if from != self.server || (self.transport == Transport::Udp && message.len() > UDP_PAYLOAD) {
            return None;
        }
        Answer::parse(message, self.id, &self.question, self.mixed_case)
    }
}

/// Gives each letter of the name a case by chance. Lengths of labels are no letters.
fn mix_case(question: &mut [u8], random: &mut dyn FnMut() -> u64) {
    let name = question.len() - 4;
    for chunk in question[..name].chunks_mut(64) {
        let mut bits = random();
        for byte in chunk {
            if bits & 1 != 0 && byte.is_ascii_alphabetic() {
                *byte ^= 0x20;
            }
            bits >>= 1;
        }
    }
}
