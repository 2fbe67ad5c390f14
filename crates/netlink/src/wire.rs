//! Messages and attributes as bytes: the layout that every netlink family shares.
//!
//! A netlink message is a 16-byte header, a header of the family's own, and attributes (type-length-value), each
//! padded to four bytes. Source: `include/uapi/linux/netlink.h`, netlink(7).

use std::net::IpAddr;

/// Length of `struct nlmsghdr` in bytes.
pub const HEADER_LEN: usize = 16;
/// Length of `struct nlattr` in bytes.
pub const ATTR_HEADER_LEN: usize = 4;

/// `NLMSG_NOOP`: a message to skip.
pub const NLMSG_NOOP: u16 = 1;
/// `NLMSG_ERROR`: an acknowledgement (`errno` 0) or an error.
pub const NLMSG_ERROR: u16 = 2;
/// `NLMSG_DONE`: the end of a dump.
pub const NLMSG_DONE: u16 = 3;

/// `NLM_F_REQUEST`: set on everything sent to the kernel.
pub const NLM_F_REQUEST: u16 = 0x1;
/// `NLM_F_MULTI`: one of several messages that `NLMSG_DONE` ends.
pub const NLM_F_MULTI: u16 = 0x2;
/// `NLM_F_ACK`: ask for an acknowledgement.
pub const NLM_F_ACK: u16 = 0x4;
/// `NLM_F_ECHO`: send the resulting object back.
pub const NLM_F_ECHO: u16 = 0x8;
/// `NLM_F_DUMP_INTR`: the dump was changed while it was read and must be asked for again.
pub const NLM_F_DUMP_INTR: u16 = 0x10;
/// `NLM_F_REPLACE`: replace an existing object.
pub const NLM_F_REPLACE: u16 = 0x100;
/// `NLM_F_EXCL`: fail if the object exists.
pub const NLM_F_EXCL: u16 = 0x200;
/// `NLM_F_CREATE`: create the object if it does not exist.
pub const NLM_F_CREATE: u16 = 0x400;
/// `NLM_F_APPEND`: add at the end of the list.
pub const NLM_F_APPEND: u16 = 0x800;
/// `NLM_F_DUMP`: all objects (`NLM_F_ROOT | NLM_F_MATCH`).
pub const NLM_F_DUMP: u16 = 0x300;
/// `NLM_F_CAPPED` on an answer: the request is not repeated in it.
pub const NLM_F_CAPPED: u16 = 0x100;
/// `NLM_F_ACK_TLVS` on an answer: extended-ack attributes follow.
pub const NLM_F_ACK_TLVS: u16 = 0x200;

/// `NLA_F_NESTED`: the attribute holds attributes.
pub const NLA_F_NESTED: u16 = 0x8000;
/// `NLA_F_NET_BYTEORDER`: the attribute's value is big-endian.
pub const NLA_F_NET_BYTEORDER: u16 = 0x4000;
/// The bits of an attribute's type that are the type.
pub const NLA_TYPE_MASK: u16 = 0x3fff;

/// Rounds up to the next multiple of four, as every message and attribute is padded.
pub const fn align(len: usize) -> usize {
    (len + 3) & !3
}

/// Several requests, one after the other, to be sent in one system call.
///
/// The sequence number of the *n*th message is `first_seq + n`, so an answer's number tells which request it is for.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    first_seq: u32,
    count: u32,
}

impl Batch {
    /// An empty batch whose first message will carry the sequence number `first_seq`.
    pub fn new(first_seq: u32) -> Self {
        Self { bytes: Vec::with_capacity(512), first_seq, count: 0 }
    }

    /// Appends a message of type `kind` with `flags` (`NLM_F_REQUEST` is added), lets `body` fill it, closes it.
    pub fn message(&mut self, kind: u16, flags: u16, body: impl FnOnce(&mut Body<'_>)) {
        let start = self.bytes.len();
        let seq = self.first_seq.wrapping_add(self.count);
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&seq.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        body(&mut Body { bytes: &mut self.bytes });
        let len = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&len.to_ne_bytes());
        self.count += 1;
    }

    /// The encoded messages.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives the messages new sequence numbers, from `first_seq` on, so that a batch may be built before it is known
    /// which socket sends it, and sent again.
    pub fn renumber(&mut self, first_seq: u32) {
        self.first_seq = first_seq;
        let mut at = 0;
        let mut seq = first_seq;
        while let Some(header) = self.bytes.get_mut(at..at + HEADER_LEN) {
            header[8..12].copy_from_slice(&seq.to_ne_bytes());
            let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
            at += align(len.max(HEADER_LEN));
            seq = seq.wrapping_add(1);
        }
    }

    /// Forgets the messages and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The sequence number of the first message.
    pub fn first_seq(&self) -> u32 {
        self.first_seq
    }
}

/// The inside of a message, or of a nested attribute, while it is written.
#[derive(Debug)]
pub struct Body<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Body<'_> {
    /// A body that writes attributes to the end of `bytes`, outside of any message.
    pub fn on(bytes: &mut Vec<u8>) -> Body<'_> {
        Body { bytes }
    }

    /// Appends raw bytes (the family's header), padded to four.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.pad();
    }

    /// Appends an attribute.
    ///
    /// # Panics
    ///
    /// If `value` is longer than an attribute can be (65,531 bytes).
    pub fn attr(&mut self, kind: u16, value: &[u8]) {
        let len = u16::try_from(ATTR_HEADER_LEN + value.len()).expect("attribute fits in 64 KiB");
        self.bytes.extend_from_slice(&len.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
    }

    /// Appends an attribute without a value.
    pub fn flag(&mut self, kind: u16) {
        self.attr(kind, &[]);
    }

    /// Appends a one-byte attribute.
    pub fn u8(&mut self, kind: u16, value: u8) {
        self.attr(kind, &[value]);
    }

    /// Appends a 16-bit attribute in host byte order.
    pub fn u16(&mut self, kind: u16, value: u16) {
        self.attr(kind, &value.to_ne_bytes());
    }

    /// Appends a 32-bit attribute in host byte order.
    pub fn u32(&mut self, kind: u16, value: u32) {
        self.attr(kind, &value.to_ne_bytes());
    }

    /// Appends an IPv4 or IPv6 address: four or sixteen bytes.
    pub fn ip(&mut self, kind: u16, value: IpAddr) {
        match value {
            IpAddr::V4(v4) => self.attr(kind, &v4.octets()),
            IpAddr::V6(v6) => self.attr(kind, &v6.octets()),
        }
    }

    /// Appends a 16-bit attribute in network byte order.
    pub fn u16_be(&mut self, kind: u16, value: u16) {
        self.attr(kind, &value.to_be_bytes());
    }

    /// Appends a 32-bit attribute in network byte order, as nfnetlink has them.
    pub fn u32_be(&mut self, kind: u16, value: u32) {
        self.attr(kind, &value.to_be_bytes());
    }

    /// Appends a 64-bit attribute in network byte order.
    pub fn u64_be(&mut self, kind: u16, value: u64) {
        self.attr(kind, &value.to_be_bytes());
    }

    /// Appends a NUL-terminated string.
    pub fn str(&mut self, kind: u16, value: &str) {
        let mut bytes = Vec::with_capacity(value.len() + 1);
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
        self.attr(kind, &bytes);
    }

    /// Appends an attribute of attributes (with `NLA_F_NESTED`).
    ///
    /// # Panics
    ///
    /// If what `inner` writes is longer than an attribute can be.
    pub fn nest(&mut self, kind: u16, inner: impl FnOnce(&mut Body<'_>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; ATTR_HEADER_LEN]);
        inner(&mut Body { bytes: self.bytes });
        let len = u16::try_from(self.bytes.len() - start).expect("attribute fits in 64 KiB");
        self.bytes[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        self.bytes[start + 2..start + 4].copy_from_slice(&(kind | NLA_F_NESTED).to_ne_bytes());
    }

    fn pad(&mut self) {
        self.bytes.resize(align(self.bytes.len()), 0);
    }
}

/// A received message: its header's fields and what follows the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Message type (`NLMSG_…`, `RTM_…`, `NFT_MSG_…`).
    pub kind: u16,
    /// `NLM_F_…` flags.
    pub flags: u16,
    /// Sequence number of the request that this answers.
    pub seq: u32,
    /// Everything after the 16-byte header.
    pub payload: &'a [u8],
}

/// Iterates over the messages in what one `recv` returned; stops at the first malformed one.
#[derive(Debug, Clone)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    /// Over the messages in `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let header = self.rest.get(..HEADER_LEN)?;
        let len = u32::from_ne_bytes(header[0..4].try_into().ok()?) as usize;
        if len < HEADER_LEN || len > self.rest.len() {
            self.rest = &[];
            return None;
        }
        let message = Message {
            kind: u16::from_ne_bytes([header[4], header[5]]),
            flags: u16::from_ne_bytes([header[6], header[7]]),
            seq: u32::from_ne_bytes(header[8..12].try_into().ok()?),
            payload: &self.rest[HEADER_LEN..len],
        };
        self.rest = self.rest.get(align(len)..).unwrap_or(&[]);
        Some(message)
    }
}

/// A received attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attr<'a> {
    /// The type without the flag bits.
    pub kind: u16,
    /// The value, without padding.
    pub value: &'a [u8],
}

impl<'a> Attr<'a> {
    /// The value as a byte, if it is one.
    pub fn u8(&self) -> Option<u8> {
        self.value.first().copied()
    }

    /// The value as a 16-bit number in host byte order, if it has that length.
    pub fn u16(&self) -> Option<u16> {
        Some(u16::from_ne_bytes(self.value.try_into().ok()?))
    }

    /// The value as a 32-bit number in host byte order, if it has that length.
    pub fn u32(&self) -> Option<u32> {
        Some(u32::from_ne_bytes(self.value.try_into().ok()?))
    }

    /// The value as an IPv4 or IPv6 address, by its length.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.value.len() {
            4 => <[u8; 4]>::try_from(self.value).ok().map(IpAddr::from),
            16 => <[u8; 16]>::try_from(self.value).ok().map(IpAddr::from),
            _ => None,
        }
    }

    /// The value as a 16-bit number in network byte order, if it has that length.
    pub fn u16_be(&self) -> Option<u16> {
        Some(u16::from_be_bytes(self.value.try_into().ok()?))
    }

    /// The value as a 32-bit number in network byte order, if it has that length.
    pub fn u32_be(&self) -> Option<u32> {
        Some(u32::from_be_bytes(self.value.try_into().ok()?))
    }

    /// The value as a 64-bit number in network byte order, if it has that length.
    pub fn u64_be(&self) -> Option<u64> {
        Some(u64::from_be_bytes(self.value.try_into().ok()?))
    }

    /// The value as text up to the first NUL, if it is UTF-8.
    pub fn str(&self) -> Option<&'a str> {
        let end = self.value.iter().position(|byte| *byte == 0).unwrap_or(self.value.len());
        std::str::from_utf8(&self.value[..end]).ok()
    }

    /// The attributes inside.
    pub fn nested(&self) -> Attrs<'a> {
        Attrs::new(self.value)
    }
}

/// Iterates over attributes; stops at the first malformed one.
#[derive(Debug, Clone)]
pub struct Attrs<'a> {
    rest: &'a [u8],
}

impl<'a> Attrs<'a> {
    /// Over the attributes in `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Attrs<'a> {
    type Item = Attr<'a>;

    fn next(&mut self) -> Option<Attr<'a>> {
        let header = self.rest.get(..ATTR_HEADER_LEN)?;
        let len = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        if len < ATTR_HEADER_LEN || len > self.rest.len() {
            self.rest = &[];
            return None;
        }
        let kind = u16::from_ne_bytes([header[2], header[3]]) & NLA_TYPE_MASK;
        let value = &self.rest[ATTR_HEADER_LEN..len];
        self.rest = self.rest.get(align(len)..).unwrap_or(&[]);
        Some(Attr { kind, value })
    }
}

/// An answer to one request: success, or an error with the kernel's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// Sequence number of the request.
    pub seq: u32,
    /// The positive errno; 0 for success.
    pub errno: i32,
    /// The extended-ack text (`NLMSGERR_ATTR_MSG`), where the kernel gave one. A success may carry a warning.
    pub text: Option<String>,
}

impl Ack {
    /// Reads an `NLMSG_ERROR` message; `None` if it is another kind, too short or without an errno.
    pub fn parse(message: &Message<'_>) -> Option<Self> {
        const NLMSGERR_ATTR_MSG: u16 = 1;
        if message.kind != NLMSG_ERROR {
            return None;
        }
        let negative = i32::from_ne_bytes(message.payload.get(..4)?.try_into().ok()?);
        let errno = negative.checked_neg().filter(|errno| *errno >= 0)?;
        let mut text = None;
        if message.flags & NLM_F_ACK_TLVS != 0 {
            // After errno comes the request's header, and the whole request unless it was capped.
            let request = message.payload.get(4..)?;
            let skip = if message.flags & NLM_F_CAPPED != 0 {
                HEADER_LEN
            } else {
                align(u32::from_ne_bytes(request.get(..4)?.try_into().ok()?) as usize)
            };
            text = request.get(skip..).and_then(|rest| {
                let attr = Attrs::new(rest).find(|attr| attr.kind == NLMSGERR_ATTR_MSG)?;
                attr.str().map(str::to_owned)
            });
        }
        Some(Self { seq: message.seq, errno, text })
    }
}
