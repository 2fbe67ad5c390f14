//! Writing an answer.

use super::{HEADER, IN, Query, Rcode, Transport, UDP_PAYLOAD, flag, kind};

/// The length of an OPT record without options: RFC 6891, 6.1.2.
const OPT: usize = 11;

/// An answer that is being written into a buffer.
///
/// The owner of each record is the name that was asked for, so it is a pointer to the question: RFC 1035, 4.1.4.
#[derive(Debug)]
pub struct Reply<'q, 'b> {
    query: &'q Query<'q>,
    buffer: &'b mut [u8],
    len: usize,
    room: usize,
    answers: u16,
    flags: u16,
}

impl<'q, 'b> Reply<'q, 'b> {
    /// Begins an answer to `query` with its question, as it came.
    ///
    /// `buffer` has room for any question, the header and an OPT record (280 bytes).
    pub fn new(query: &'q Query<'q>, transport: Transport, buffer: &'b mut [u8]) -> Self {
        let len = HEADER + query.question.len();
        buffer[HEADER..len].copy_from_slice(query.question);
        let kept = flag::RECURSION_DESIRED | flag::CHECKING_DISABLED;
        let flags = flag::RESPONSE | flag::RECURSION_AVAILABLE | (query.flags & kept);
        let opt = if query.edns.is_some() { OPT } else { 0 };
        let room = query.room(transport).min(buffer.len()).saturating_sub(opt);
        Self { query, buffer, len, room, answers: 0, flags }
    }

    /// Says that the answer is from whom it is about.
    pub fn authoritative(&mut self) {
        self.flags |= flag::AUTHORITATIVE;
    }

    /// Adds a record. Whatever does not fit is left out and said to be missing.
    pub fn answer(&mut self, kind: u16, ttl: u32, data: &[u8]) -> bool {
        let end = self.len + 12 + data.len();
        if end > self.room {
            self.flags |= flag::TRUNCATED;
            return false;
        }
        let record = &mut self.buffer[self.len..end];
        record[..2].copy_from_slice(&[0xc0, HEADER as u8]);
        record[2..4].copy_from_slice(&kind.to_be_bytes());
        record[4..6].copy_from_slice(&IN.to_be_bytes());
        record[6..10].copy_from_slice(&ttl.to_be_bytes());
        record[10..12].copy_from_slice(&(data.len() as u16).to_be_bytes());
        record[12..].copy_from_slice(data);
        self.len = end;
        self.answers += 1;
        true
    }

    /// How many records there are.
    pub fn answers(&self) -> u16 {
        self.answers
    }

    /// Ends the answer, and says how long it is.
    pub fn finish(mut self, rcode: Rcode) -> usize {
        let number = rcode.number();
        if let Some(edns) = self.query.edns {
            let high = (number >> 4) as u8;
            let dnssec_ok = if edns.dnssec_ok { 0x80 } else { 0 };
            let [size_high, size_low] = (UDP_PAYLOAD as u16).to_be_bytes();
            let opt = [0, 0, kind::OPT as u8, size_high, size_low, high, 0, dnssec_ok, 0, 0, 0];
            self.buffer[self.len..self.len + OPT].copy_from_slice(&opt);
            self.len += OPT;
        }
        self.flags |= number & flag::RCODE;
        let records = u16::from(self.query.edns.is_some());
        write_header(self.buffer, self.query.id, self.flags, [1, self.answers, 0, records]);
        self.len
    }

    /// The header alone, for a message whose question could not be read.
    pub fn header(message: &[u8], rcode: Rcode, buffer: &mut [u8]) -> usize {
        let (id, asked) =
            (u16::from_be_bytes([message[0], message[1]]), u16::from_be_bytes([message[2], message[3]]));
        let flags = flag::RESPONSE | (asked & (flag::OPCODE | flag::RECURSION_DESIRED)) | rcode.number();
        write_header(buffer, id, flags, [0; 4]);
        HEADER
    }
}

fn write_header(buffer: &mut [u8], id: u16, flags: u16, counts: [u16; 4]) {
    let words = [id, flags, counts[0], counts[1], counts[2], counts[3]];
    for (target, word) in buffer.chunks_exact_mut(2).zip(words) {
        target.copy_from_slice(&word.to_be_bytes());
    }
}
