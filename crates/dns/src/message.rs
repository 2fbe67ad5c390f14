//! What other servers answered: whether it is an answer to the question, how long it may be kept, and what a client is
//! given of it.

use std::ops::Range;
use std::time::Duration;

use crate::wire::{Edns, HEADER, Query, Transport, UDP_PAYLOAD, flag, kind, skip_name, u16_at, u32_at};

/// The longest that an answer is kept.
const LONGEST: u32 = 86_400;
/// The longest that it is kept that there is nothing: RFC 2308, 5 takes one to three hours for sensible, but here it is
/// a person who has just made the record and waits for it.
const LONGEST_NEGATIVE: u32 = 300;
/// How long it is kept that a question cannot be answered: RFC 9520, 3.2 asks for one second at least.
const FAILURE: u32 = 1;

/// What a client asked, kept until there is an answer.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    id: u16,
    flags: u16,
    question: Box<[u8]>,
    edns: Option<Edns>,
    room: usize,
}

impl Asked {
    pub(crate) fn new(query: &Query<'_>, transport: Transport) -> Self {
        Self {
            id: query.id,
            flags: query.flags,
            question: query.question.into(),
            edns: query.edns,
            room: query.room(transport),
        }
    }
}

/// An answer without what is between two servers alone: its number, and the OPT record.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The records, from the end of the question.
    records: Box<[u8]>,
    /// Where in `records` the times to live are.
    ttls: Box<[u32]>,
    /// Answers, authorities, additional records.
    counts: [u16; 3],
    rcode: u16,
    authentic: bool,
    truncated: bool,
    /// How long it may be kept; not at all if there is nothing.
    pub(crate) lifetime: Option<Duration>,
}

/// Where things are in a message.
struct Survey {
    /// The question with its type and class; empty if there is none.
    question: Range<usize>,
    /// The records but the OPT record. Additional ones behind it are left out: they would move, and may be pointed to.
    records: Vec<Record>,
    /// The upper bits of the code in the OPT record.
    rcode: u16,
    /// Where the records end.
    end: usize,
}

/// A record, as far as it matters here.
struct Record {
    section: usize,
    kind: u16,
    /// Where its time to live is.
    at: usize,
    ttl: u32,
    /// For an SOA record, how long it may be kept that there is nothing: its last field.
    minimum: Option<u32>,
}

impl Answer {
    /// Reads a response to the query `id` whose question was `question`; `None` if it is none.
    ///
    /// With `exact`, the case of each letter counts. A refusal may come without its question, as from servers that did
    /// not get as far as that.
    pub(crate) fn parse(message: &[u8], id: u16, question: &[u8], exact: bool) -> Option<Self> {
        let flags = u16_at(message, 2)?;
        let is_response = flags & (flag::RESPONSE | flag::OPCODE) == flag::RESPONSE;
        if !is_response || u16_at(message, 0)? != id {
            return None;
        }
        let survey = survey(message)?;
        let echoed = &message[survey.question.clone()];
        let refusal = echoed.is_empty() && !matches!(flags & flag::RCODE, 0 | 3);
        let (name, rest) = question.split_at(question.len() - 4);
        let same = echoed.len() == question.len()
            && echoed.ends_with(rest)
            && if exact { echoed.starts_with(name) } else { echoed[..name.len()].eq_ignore_ascii_case(name) };
        if !same && !refusal {
            return None;
        }
        let rcode = (survey.rcode << 4) | (flags & flag::RCODE);
        let truncated = flags & flag::TRUNCATED != 0;
        let (begin, records) =
            if refusal { (survey.end, &[][..]) } else { (survey.question.end, &*survey.records) };
        let count = |section| records.iter().filter(|record| record.section == section).count() as u16;
        let wanted = u16_at(rest, 0)?;
        Some(Self {
            records: message[begin..survey.end].into(),
            ttls: records.iter().map(|record| (record.at - begin) as u32).collect(),
            counts: [count(0), count(1), count(2)],
            rcode,
            authentic: flags & flag::AUTHENTIC != 0,
            truncated,
            lifetime: if truncated { None } else { lifetime(rcode, wanted, records) },
        })
    }

    /// What is said when nobody answered.
    pub(crate) fn failure() -> Self {
        Self {
            records: Box::default(),
            ttls: Box::default(),
            counts: [0; 3],
            rcode: 2,
            authentic: false,
            truncated: false,
            lifetime: Some(Duration::from_secs(FAILURE.into())),
        }
    }

    /// Whether the server cut it.
    pub(crate) fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// Whether it says what there is or that there is nothing, and not that the server could not find out.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self.rcode, 0 | 3)
    }

    /// Whether a server says so that does not know EDNS: RFC 6891, 7.
    pub(crate) fn is_stranger_to_edns(&self) -> bool {
        matches!(self.rcode, 1 | 4 | 16)
    }

    /// About how much memory it takes.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.records.len() + self.ttls.len() * size_of::<u32>()
    }

    /// The message for a client, `age` after the answer came.
    ///
    /// What does not fit is cut down to the question: RFC 2181, 9.
    pub(crate) fn write(&self, asked: &Asked, age: Duration, trust_ad: bool) -> Vec<u8> {
        let opt = if asked.edns.is_some() { 11 } else { 0 };
        let whole = HEADER + asked.question.len() + self.records.len() + opt;
        let fits = whole <= asked.room && !self.truncated;
        // An extended code without an OPT record to hold it is a failure like any other.
        let rcode = if self.rcode > 15 && asked.edns.is_none() { 2 } else { self.rcode };
        let mut flags = flag::RESPONSE | flag::RECURSION_AVAILABLE | (rcode & flag::RCODE);
        flags |= asked.flags & (flag::RECURSION_DESIRED | flag::CHECKING_DISABLED);
        let wants_ad = asked.flags & flag::AUTHENTIC != 0 || asked.edns.is_some_and(|edns| edns.dnssec_ok);
        if self.authentic && trust_ad && wants_ad {
            flags |= flag::AUTHENTIC;
        }
        if !fits {
            flags |= flag::TRUNCATED;
        }
        let [answers, authorities, additional] = if fits { self.counts } else { [0; 3] };
        let additional = additional + u16::from(asked.edns.is_some());
        let mut message = Vec::with_capacity(whole);
        for word in [asked.id, flags, 1, answers, authorities, additional] {
            message.extend(word.to_be_bytes());
        }
        message.extend(&asked.question);
        if fits {
            let begin = message.len();
            message.extend(&self.records);
            let age = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
            for at in &self.ttls {
                let at = begin + *at as usize;
                let left = u32_at(&message, at).map_or(0, |ttl| ttl.saturating_sub(age));
                message[at..at + 4].copy_from_slice(&left.to_be_bytes());
            }
        }
        if let Some(edns) = asked.edns {
            message.extend([0, 0, kind::OPT as u8]);
            message.extend((UDP_PAYLOAD as u16).to_be_bytes());
            message.extend([(rcode >> 4) as u8, 0, if edns.dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
        }
        message
    }
}

/// Goes through a message without looking at what the records say.
fn survey(message: &[u8]) -> Option<Survey> {
    let questions = u16_at(message, 4)?;
    let mut at = HEADER;
    if questions > 1 {
        return None;
    }
    if questions == 1 {
        at = skip_name(message, at)? + 4;
        // A pointer has nothing to point to yet.
        message.get(HEADER..at).filter(|question| question[0] < 0xc0)?;
    }
    let question = HEADER..at;
    let mut records = Vec::new();
    let mut opt = None;
    for section in 0..3 {
        for _ in 0..u16_at(message, 6 + 2 * section)? {
            let begin = at;
            at = skip_name(message, at)?;
            let kind = u16_at(message, at)?;
            let ttl = u32_at(message, at + 4)?;
            let len = usize::from(u16_at(message, at + 8)?);
            let end = at + 10 + len;
            message.get(..end)?;
            if kind == kind::OPT {
                if section != 2 || opt.is_some() {
                    return None;
                }
                opt = Some((begin, (ttl >> 24) as u16));
            } else if opt.is_none() {
                // Two names of the root alone, and five numbers.
                let is_soa = kind == kind::SOA && len >= 22;
                let minimum = if is_soa { u32_at(message, end - 4) } else { None };
                records.push(Record { section, kind, at: at + 4, ttl, minimum });
            }
            at = end;
        }
    }
    let (end, rcode) = opt.unwrap_or((at, 0));
    Some(Survey { question, records, rcode, end })
}

/// How long an answer to a question for type `wanted` may be kept: RFC 1035, 3.2.1, and RFC 2308, 5 where it says that
/// there is nothing.
fn lifetime(rcode: u16, wanted: u16, records: &[Record]) -> Option<Duration> {
    // One with its highest bit set is none: RFC 2181, 8.
    let ttl = |record: &Record| if record.ttl > i32::MAX as u32 { 0 } else { record.ttl };
    let least = |longest: u32| records.iter().map(ttl).min().unwrap_or(longest).min(longest);
    // There may be just another name, without such a record either.
    let has_answer = |record: &Record| record.section == 0 && (record.kind == wanted || wanted == kind::ANY);
    let seconds = match rcode {
        2 => FAILURE,
        0 if records.iter().any(has_answer) => least(LONGEST),
        0 | 3 => {
            let in_authority = records.iter().filter(|record| record.section == 1);
            least(LONGEST_NEGATIVE).min(in_authority.filter_map(|record| record.minimum).next()?)
        }
        _ => return None,
    };
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}
