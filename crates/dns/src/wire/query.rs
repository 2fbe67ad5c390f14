//! Reading a query.

use std::fmt;

use super::{HEADER, IN, Rcode, Transport, UDP_CLASSIC, UDP_PAYLOAD, flag, kind, skip_name, u16_at};

/// The longest name, without the root's empty label: RFC 1035, 2.3.4.
const LONGEST: usize = 254;

/// A name as it is looked up: labels with their lengths in front, in lower case, without the root's empty label.
///
/// Only ASCII letters have cases: RFC 4343.
#[derive(Clone, Copy)]
pub struct Name {
    bytes: [u8; 255],
    len: u8,
}

impl Name {
    /// The labels, each behind its length.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The labels one by one.
    pub fn labels(&self) -> Labels<'_> {
        Labels(self.as_bytes())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for label in self.labels() {
            write!(f, "{}.", label.escape_ascii())?;
        }
        Ok(())
    }
}

/// The labels of a [`Name`], from the left.
#[derive(Debug, Clone)]
pub struct Labels<'a>(&'a [u8]);

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.0.split_first()?;
        let (label, rest) = rest.split_at_checked(usize::from(*len))?;
        self.0 = rest;
        Some(label)
    }
}

/// What a client says of itself: RFC 6891, 6.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edns {
    /// The longest datagram that it takes.
    pub payload: u16,
    /// It wants DNSSEC's records: RFC 3225.
    pub dnssec_ok: bool,
}

/// Why a message is not a query that can be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Too short for a header, or a response: an answer could begin a loop.
    Silent,
    /// To be answered with this code, and the header alone.
    Header(Rcode),
}

/// A query that was read: one question, and what its client said of itself.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The number that the answer must have too.
    pub id: u16,
    pub(crate) flags: u16,
    /// The question as it came: name, type and class.
    pub(crate) question: &'a [u8],
    /// The name that is asked for.
    pub name: Name,
    /// The type that is asked for.
    pub kind: u16,
    /// The class that is asked for.
    pub class: u16,
    /// What the client says of itself.
    pub edns: Option<Edns>,
    pub(crate) bad_version: bool,
}

impl<'a> Query<'a> {
    /// Reads a query.
    ///
    /// # Errors
    ///
    /// [`Malformed::Silent`] for what is no query at all; `NOTIMP` for another operation than a query; `FORMERR` for
    /// none or several questions, a name with a pointer in it, records where a query has none, or a message that ends
    /// too early. What comes after the end is ignored.
    pub fn parse(message: &'a [u8]) -> Result<Self, Malformed> {
        let Some(header) = message.first_chunk::<HEADER>() else { return Err(Malformed::Silent) };
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let (id, flags) = (word(0), word(2));
        if flags & flag::RESPONSE != 0 {
            return Err(Malformed::Silent);
        }
        if flags & flag::OPCODE != 0 {
            return Err(Malformed::Header(Rcode::NotImp));
        }
        // Questions, answers, authorities.
        if (word(4), word(6), word(8)) != (1, 0, 0) {
            return Err(Malformed::Header(Rcode::FormErr));
        }
        let wrong = Malformed::Header(Rcode::FormErr);
        let mut name = Name { bytes: [0; 255], len: 0 };
        let end = read_name(message, &mut name).ok_or(wrong)?;
        let question = message.get(HEADER..end + 4).ok_or(wrong)?;
        let (kind, class) = (u16_at(message, end).ok_or(wrong)?, u16_at(message, end + 2).ok_or(wrong)?);
        let mut query = Self { id, flags, question, name, kind, class, edns: None, bad_version: false };
        query.read_additional(message, end + 4, word(10)).ok_or(wrong)?;
        Ok(query)
    }

    /// Finds the OPT record; `None` if there are two, or the message ends too early.
    fn read_additional(&mut self, message: &[u8], mut at: usize, records: u16) -> Option<()> {
        for _ in 0..records {
            let name = at;
            at = skip_name(message, at)?;
            let fixed = message.get(at..at + 10)?;
            let word = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
            at += 10 + usize::from(word(8));
            message.get(..at)?;
            if word(0) == kind::OPT {
                if self.edns.is_some() || message[name] != 0 {
                    return None;
                }
                self.edns = Some(Edns { payload: word(2), dnssec_ok: fixed[6] & 0x80 != 0 });
                self.bad_version = fixed[5] != 0;
            }
        }
        Some(())
    }

    /// Whether the client wants others to be asked.
    pub fn recursion_desired(&self) -> bool {
        self.flags & flag::RECURSION_DESIRED != 0
    }

    /// Whether the class is that of the Internet.
    pub fn is_internet(&self) -> bool {
        self.class == IN
    }

    /// Whether DNSSEC's records are wanted.
    pub(crate) fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec_ok)
    }

    /// Whether the client checks signatures itself: RFC 4035, 3.2.2.
    pub(crate) fn checking_disabled(&self) -> bool {
        self.flags & flag::CHECKING_DISABLED != 0
    }

    /// How long the answer may be.
    pub fn room(&self, transport: Transport) -> usize {
        match (transport, self.edns) {
            (Transport::Tcp, _) => super::TCP_PAYLOAD,
            (Transport::Udp, None) => UDP_CLASSIC,
            (Transport::Udp, Some(edns)) => usize::from(edns.payload).clamp(UDP_CLASSIC, UDP_PAYLOAD),
        }
    }
}

/// Reads the name of the question into `name` and returns where it ends.
fn read_name(message: &[u8], name: &mut Name) -> Option<usize> {
    let mut at = HEADER;
    let mut len = 0;
    loop {
        let label = usize::from(*message.get(at)?);
        if label == 0 {
            name.len = u8::try_from(len).ok()?;
            return Some(at + 1);
        }
        // Longer ones are pointers, which have nothing to point to yet.
        if label > 63 || len + 1 + label > LONGEST {
            return None;
        }
        let bytes = message.get(at..at + 1 + label)?;
        let target = &mut name.bytes[len..len + 1 + label];
        target.copy_from_slice(bytes);
        target[1..].make_ascii_lowercase();
        at += 1 + label;
        len += 1 + label;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x03wEb\0\0\x01\0\x01";

    #[test]
    fn a_query_is_read() {
        let query = Query::parse(WEB).unwrap();
        assert_eq!((query.id, query.kind, query.class, query.edns), (0x1234, kind::A, IN, None));
        assert_eq!(query.name.as_bytes(), b"\x03web");
        assert_eq!(query.question, b"\x03wEb\0\0\x01\0\x01");
        assert!(query.recursion_desired());
        assert_eq!((query.room(Transport::Udp), query.room(Transport::Tcp)), (512, 65535));
    }

    #[test]
    fn a_client_says_what_it_takes() {
        let mut bytes = WEB.to_vec();
        bytes[11] = 1;
        bytes.extend(b"\0\0\x29\x10\0\0\0\x80\0\0\0");
        let query = Query::parse(&bytes).unwrap();
        assert_eq!(query.edns, Some(Edns { payload: 4096, dnssec_ok: true }));
        assert_eq!(query.room(Transport::Udp), 1232);
        bytes[11] = 2;
        bytes.extend(b"\0\0\x29\x10\0\0\0\0\0\0\0");
        assert_eq!(Query::parse(&bytes).unwrap_err(), Malformed::Header(Rcode::FormErr));
    }

    #[test]
    fn what_is_no_query_is_told_apart() {
        let with = |at: usize, byte: u8| {
            let mut bytes = WEB.to_vec();
            bytes[at] = byte;
            Query::parse(&bytes).map(|query| query.id)
        };
        assert_eq!(Query::parse(&WEB[..11]).unwrap_err(), Malformed::Silent);
        assert_eq!(with(2, 0x81), Err(Malformed::Silent));
        assert_eq!(with(2, 0x29), Err(Malformed::Header(Rcode::NotImp)));
        for (at, byte) in [(5, 0), (5, 2), (7, 1), (9, 1), (11, 1), (12, 0xc0), (12, 0x40), (12, 63)] {
            assert_eq!(with(at, byte), Err(Malformed::Header(Rcode::FormErr)), "{at} {byte}");
        }
    }

    #[test]
    fn the_longest_name_is_read() {
        let message = |labels: &[usize]| {
            let mut bytes = WEB[..HEADER].to_vec();
            for len in labels {
                bytes.push(*len as u8);
                bytes.extend(vec![b'X'; *len]);
            }
            bytes.extend(b"\0\0\x01\0\x01");
            bytes
        };
        assert_eq!(Query::parse(&message(&[63, 63, 63, 61])).unwrap().name.as_bytes().len(), 254);
        assert!(Query::parse(&message(&[63, 63, 63, 62])).is_err());
        assert_eq!(Query::parse(&message(&[])).unwrap().name.labels().count(), 0);
    }
}
