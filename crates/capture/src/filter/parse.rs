//! From words to a filter. Source: pcap-filter(7); grammar.y of libpcap.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use pontoon_model::diagnose::near;
use pontoon_netlink::link::HwAddr;

use super::lex::{Token, tokens};
use super::{Filter, FilterError, Group, Network, Primitive, Protocol, Side, Transport};

/// Parses a filter.
///
/// # Errors
///
/// What is wrong with it, and where.
pub fn parse(text: &str) -> Result<Filter, FilterError> {
    let mut parser = Parser { text, tokens: tokens(text), next: 0, last: None, depth: 0 };
    let filter = parser.filter()?;
    match parser.peek() {
        None => Ok(filter),
        Some(token) if token.word == ")" => {
            Err(parser.wrong(token, "a parenthesis is closed that is not open", None))
        }
        Some(token) if is_value(token.word) => Err(parser.wrong(
            token,
            &format!("nothing says what `{}` is", token.word),
            Some("write `port 80` or `host 10.0.0.1`"),
        )),
        Some(token) if KNOWN.contains(&token.word) => {
            let what = format!("`{}` does not belong to what stands before it", token.word);
            Err(parser.wrong(token, &what, Some("join conditions with `and` or `or`")))
        }
        Some(token) => Err(parser.unknown(token)),
    }
}

/// Words that begin a condition or a part of one.
const KNOWN: [&str; 23] = [
    "host",
    "net",
    "port",
    "portrange",
    "src",
    "dst",
    "proto",
    "ether",
    "ip",
    "ip6",
    "arp",
    "tcp",
    "udp",
    "sctp",
    "icmp",
    "icmp6",
    "broadcast",
    "multicast",
    "less",
    "greater",
    "and",
    "or",
    "not",
];

/// How deep parentheses and `not` may be.
const DEPTH: usize = 64;

/// Ports that have a word. Source: IANA, Service Name and Transport Protocol Port Number Registry.
const SERVICES: [(&str, u16); 14] = [
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("domain", 53),
    ("dns", 53),
    ("bootps", 67),
    ("bootpc", 68),
    ("http", 80),
    ("ntp", 123),
    ("snmp", 161),
    ("https", 443),
    ("syslog", 514),
    ("mdns", 5353),
];

/// What stands before a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Qualifiers {
    protocol: Option<Base>,
    side: Side,
    kind: Kind,
}

/// A protocol before another word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    Ether,
    Protocol(Protocol),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// None was said: a host, or a network where it has a prefix length.
    Open,
    Host,
    Net,
    Port,
    PortRange,
    Proto,
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token<'a>>,
    next: usize,
    /// What the last value was said to be.
    last: Option<Qualifiers>,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.next).copied()
    }

    fn peek_is(&self, words: &[&str]) -> bool {
        self.peek().is_some_and(|token| words.contains(&token.word))
    }

    /// Passes over a word if it is one of these.
    fn take(&mut self, words: &[&str]) -> bool {
        let is = self.peek_is(words);
        self.next += usize::from(is);
        is
    }

    fn wrong(&self, token: Token<'_>, what: &str, instead: Option<&'static str>) -> FilterError {
        FilterError::Wrong { filter: self.text.to_owned(), what: what.to_owned(), at: token.at, instead }
    }

    fn unknown(&self, token: Token<'_>) -> FilterError {
        if token.word.contains('[') {
            let instead =
                Some("bytes of packets cannot be compared; capture more, and filter when you read the file");
            return self.wrong(token, &format!("`{}` is not understood", token.word), instead);
        }
        let near = near(token.word, KNOWN).into_iter().map(str::to_owned).collect();
        FilterError::Unknown { filter: self.text.to_owned(), word: token.word.to_owned(), at: token.at, near }
    }

    /// The next word, which has to be there.
    fn need(&mut self, what: &str) -> Result<Token<'a>, FilterError> {
        let end = Token { word: "", at: self.text.chars().count() + 1 };
        let token = self.peek().ok_or_else(|| self.wrong(end, &format!("{what} is missing"), None))?;
        self.next += 1;
        Ok(token)
    }

    fn filter(&mut self) -> Result<Filter, FilterError> {
        let mut left = self.term()?;
        loop {
            if self.take(&["and", "&&"]) {
                left = Filter::And(Box::new(left), Box::new(self.term()?));
            } else if self.take(&["or", "||"]) {
                left = Filter::Or(Box::new(left), Box::new(self.term()?));
            } else {
                return Ok(left);
            }
        }
    }

    fn term(&mut self) -> Result<Filter, FilterError> {
        let start = self.need("a condition")?;
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.wrong(start, "there are too many parentheses in each other", None));
        }
        let term = match start.word {
            "not" | "!" => Filter::Not(Box::new(self.term()?)),
            "(" => {
                let inner = self.filter()?;
                if !self.take(&[")"]) {
                    let here = self.peek().unwrap_or(start);
                    return Err(match self.peek() {
                        Some(token) if !KNOWN.contains(&token.word) && !is_value(token.word) => {
                            self.unknown(token)
                        }
                        _ => self.wrong(here, "a parenthesis is not closed", None),
                    });
                }
                inner
            }
            _ => {
                self.next -= 1;
                Filter::Is(self.primitive()?)
            }
        };
        self.depth -= 1;
        Ok(term)
    }

    fn primitive(&mut self) -> Result<Primitive, FilterError> {
        let start = self.need("a condition")?;
        match start.word {
            "less" => return self.length().map(Primitive::AtMost),
            "greater" => return self.length().map(Primitive::AtLeast),
            "broadcast" => return Ok(Primitive::Broadcast),
            "multicast" => return Ok(Primitive::Multicast(Group::Ethernet)),
            _ => self.next -= 1,
        }
        let protocol = self.protocol();
        if self.take(&["broadcast"]) {
            return match protocol {
                Some(Base::Ether) => Ok(Primitive::Broadcast),
                _ => Err(self.wrong(
                    start,
                    "only `ether` has `broadcast`",
                    Some("write `broadcast`, which is for Ethernet"),
                )),
            };
        }
        if self.take(&["multicast"]) {
            return match protocol {
                Some(Base::Ether) => Ok(Primitive::Multicast(Group::Ethernet)),
                Some(Base::Protocol(Protocol::Ip)) => Ok(Primitive::Multicast(Group::Ip)),
                Some(Base::Protocol(Protocol::Ip6)) => Ok(Primitive::Multicast(Group::Ip6)),
                _ => Err(self.wrong(start, &format!("`{}` has no `multicast`", start.word), None)),
            };
        }
        let side = self.side();
        let kind = self.kind();
        let qualifiers = match (protocol, side, kind) {
            (Some(Base::Protocol(protocol)), None, None) => {
                self.last = None;
                return Ok(Primitive::Protocol(protocol));
            }
            (None, None, None) if is_value(start.word) => {
                let open = Qualifiers { protocol: None, side: Side::Either, kind: Kind::Open };
                self.last.unwrap_or(open)
            }
            (None, None, None) => return Err(self.unknown(start)),
            (protocol, side, kind) => {
                Qualifiers { protocol, side: side.unwrap_or(Side::Either), kind: kind.unwrap_or(Kind::Open) }
            }
        };
        self.last = Some(qualifiers);
        self.value(qualifiers)
    }

    fn protocol(&mut self) -> Option<Base> {
        let all = [
            Protocol::Ip,
            Protocol::Ip6,
            Protocol::Arp,
            Protocol::Tcp,
            Protocol::Udp,
            Protocol::Sctp,
            Protocol::Icmp,
            Protocol::Icmp6,
        ];
        if self.take(&["ether"]) {
            return Some(Base::Ether);
        }
        all.into_iter().find(|protocol| self.take(&[protocol.word()])).map(Base::Protocol)
    }

    fn side(&mut self) -> Option<Side> {
        let (one, other) = match self.peek()?.word {
            "src" => (Side::Source, "dst"),
            "dst" => (Side::Destination, "src"),
            _ => return None,
        };
        self.next += 1;
        // `src or dst`, `src and dst`; but `src 10.0.0.1 and dst …` is another condition.
        let joined = [(["or", "||"], Side::Either), (["and", "&&"], Side::Both)];
        let follows = self.tokens.get(self.next + 1).is_some_and(|token| token.word == other);
        for (words, side) in joined {
            if follows && self.take(&words) {
                self.next += 1;
                return Some(side);
            }
        }
        Some(one)
    }

    fn kind(&mut self) -> Option<Kind> {
        let kinds = [
            ("host", Kind::Host),
            ("net", Kind::Net),
            ("portrange", Kind::PortRange),
            ("port", Kind::Port),
            ("proto", Kind::Proto),
        ];
        kinds.into_iter().find(|(word, _)| self.take(&[*word])).map(|(_, kind)| kind)
    }

    fn length(&mut self) -> Result<u32, FilterError> {
        let token = self.need("a number of bytes")?;
        token
            .word
            .parse()
            .map_err(|_| self.wrong(token, &format!("`{}` is not a number of bytes", token.word), None))
    }

    fn value(&mut self, what: Qualifiers) -> Result<Primitive, FilterError> {
        let Qualifiers { protocol, side, kind } = what;
        match (kind, protocol) {
            (Kind::Proto, _) => self.protocol_number(what),
            (Kind::Host | Kind::Open, Some(Base::Ether)) => {
                let token = self.need("an Ethernet address")?;
                let mac = mac(token.word)
                    .ok_or_else(|| self.not(token, "an Ethernet address such as 02:00:ac:11:00:02"))?;
                Ok(Primitive::Ethernet { side, mac })
            }
            (Kind::Host | Kind::Net | Kind::Open, _) => self.address(what),
            (Kind::Port | Kind::PortRange, _) => self.ports(what),
        }
    }

    fn not(&self, token: Token<'_>, what: &str) -> FilterError {
        if KNOWN.contains(&token.word) {
            return self.wrong(token, &format!("`{}` stands where {what} is missing", token.word), None);
        }
        self.wrong(token, &format!("`{}` is not {what}", token.word), None)
    }

    fn address(&mut self, what: Qualifiers) -> Result<Primitive, FilterError> {
        let within = match what.protocol {
            None => None,
            Some(Base::Protocol(Protocol::Ip)) => Some(Network::Ip),
            Some(Base::Protocol(Protocol::Ip6)) => Some(Network::Ip6),
            Some(Base::Protocol(Protocol::Arp)) => Some(Network::Arp),
            Some(_) => {
                let token = self.need("an address")?;
                let instead = Some("join them: `tcp and host 10.0.0.1`");
                return Err(self.wrong(token, "addresses are of `ip`, `ip6` or `arp`", instead));
            }
        };
        let token = self.need("an address")?;
        let (address, len) = match what.kind {
            Kind::Host => self.host(token)?,
            Kind::Net => self.net(token)?,
            _ if token.word.contains('/') => self.net(token)?,
            _ => self.host(token)?,
        };
        if matches!(
            (within, address),
            (Some(Network::Ip6), IpAddr::V4(_)) | (Some(Network::Ip | Network::Arp), IpAddr::V6(_))
        ) {
            return Err(self.wrong(token, &format!("`{}` is of the other family", token.word), None));
        }
        Ok(Primitive::Address { within, side: what.side, address, len })
    }

    fn host(&self, token: Token<'_>) -> Result<(IpAddr, u8), FilterError> {
        let address: IpAddr =
            token.word.parse().map_err(|_| self.not(token, "an address such as 10.0.0.1"))?;
        Ok((address, if address.is_ipv4() { 32 } else { 128 }))
    }

    /// `10.0.0.0/8`, `10`, `192.168`, `10.0.0.0 mask 255.0.0.0`, `fd00::/8`.
    fn net(&mut self, token: Token<'_>) -> Result<(IpAddr, u8), FilterError> {
        const NET: &str = "a network such as 10.0.0.0/8";
        if self.take(&["mask"]) {
            let mask = self.need("a mask")?;
            let bits: Ipv4Addr =
                mask.word.parse().map_err(|_| self.not(mask, "a mask such as 255.255.0.0"))?;
            let address: Ipv4Addr = token.word.parse().map_err(|_| self.not(token, NET))?;
            let len = u32::from(bits).leading_ones() as u8;
            if u32::from(bits).checked_shl(len.into()).unwrap_or(0) != 0 {
                return Err(self.not(mask, "a mask of ones before zeros"));
            }
            return self.network(token, address.into(), len);
        }
        let (address, len) = match token.word.split_once('/') {
            Some((address, len)) => (address, Some(len)),
            None => (token.word, None),
        };
        let parts = address.split('.').count();
        let (address, whole): (IpAddr, u8) = match address.parse::<IpAddr>() {
            // One that ends in zeros is as long as it looks, no shorter: as in libpcap.
            Ok(address) => (address, if address.is_ipv4() { 32 } else { 128 }),
            Err(_) if parts < 4 => {
                let filled = format!("{address}{}", ".0".repeat(4 - parts));
                (filled.parse().map_err(|_| self.not(token, NET))?, 8 * parts as u8)
            }
            Err(_) => return Err(self.not(token, NET)),
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let len = match len {
            None => whole,
            Some(len) => len.parse().ok().filter(|len| *len <= most).ok_or_else(|| self.not(token, NET))?,
        };
        self.network(token, address, len)
    }

    /// A network has no bits behind its prefix: libpcap refuses others, too.
    fn network(&self, token: Token<'_>, address: IpAddr, len: u8) -> Result<(IpAddr, u8), FilterError> {
        let net = ipnet::IpNet::new(address, len).map_err(|_| self.not(token, "a network"))?;
        match net.network() == address {
            true => Ok((address, len)),
            false => {
                let what = format!("`{}` has bits of a host; the network is {}", token.word, net.trunc());
                Err(self.wrong(token, &what, None))
            }
        }
    }

    fn ports(&mut self, what: Qualifiers) -> Result<Primitive, FilterError> {
        let transport = match what.protocol {
            None => None,
            Some(Base::Protocol(Protocol::Tcp)) => Some(Transport::Tcp),
            Some(Base::Protocol(Protocol::Udp)) => Some(Transport::Udp),
            Some(Base::Protocol(Protocol::Sctp)) => Some(Transport::Sctp),
            Some(_) => {
                let token = self.need("a port")?;
                let instead = Some("join them: `ip and port 80`");
                return Err(self.wrong(token, "ports are of `tcp`, `udp` or `sctp`", instead));
            }
        };
        let token = self.need("a port")?;
        let ports = match what.kind {
            Kind::Port => self.port(token, token.word).map(|port| port..=port),
            _ => self.range(token),
        }?;
        Ok(Primitive::Port { transport, side: what.side, ports })
    }

    fn port(&self, token: Token<'_>, text: &str) -> Result<u16, FilterError> {
        let service = SERVICES.iter().find(|(name, _)| *name == text).map(|(_, port)| *port);
        service.or_else(|| number(text)).ok_or_else(|| self.not(token, "a port from 0 to 65535"))
    }

    fn range(&self, token: Token<'_>) -> Result<RangeInclusive<u16>, FilterError> {
        let (first, last) = token.word.split_once('-').unwrap_or((token.word, token.word));
        let (first, last) = (self.port(token, first)?, self.port(token, last)?);
        // The other way round means the same, as in libpcap.
        Ok(first.min(last)..=first.max(last))
    }

    fn protocol_number(&mut self, what: Qualifiers) -> Result<Primitive, FilterError> {
        let token = self.need("a protocol")?;
        let word = token.word.trim_start_matches('\\');
        let named = [("icmp", 1), ("tcp", 6), ("udp", 17), ("icmp6", 58), ("sctp", 132)];
        let types = [("ip", 0x0800), ("arp", 0x0806), ("ip6", 0x86dd)];
        match what.protocol {
            Some(Base::Ether) => {
                let known = types.iter().find(|(name, _)| *name == word).map(|(_, number)| *number);
                let number =
                    known.or_else(|| number(word)).ok_or_else(|| self.not(token, "an Ethernet type"))?;
                Ok(Primitive::EtherType(number))
            }
            Some(Base::Protocol(base @ (Protocol::Ip | Protocol::Ip6))) => {
                let known = named.iter().find(|(name, _)| *name == word).map(|(_, number)| *number);
                let number = known.or_else(|| word.parse().ok());
                let number = number.ok_or_else(|| self.not(token, "a protocol of IP"))?;
                Ok(Primitive::IpProtocol { v6: base == Protocol::Ip6, number })
            }
            _ => Err(self.wrong(token, "`proto` is of `ether`, `ip` or `ip6`", Some("write `ip proto 47`"))),
        }
    }
}

/// A number, also in hexadecimal.
fn number(text: &str) -> Option<u16> {
    match text.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Whether a word is an address or a number and not one of the language.
fn is_value(word: &str) -> bool {
    let begins = word.starts_with(|c: char| c.is_ascii_hexdigit() || c == ':');
    begins && (word.contains(':') || word.starts_with(|c: char| c.is_ascii_digit()))
        || SERVICES.iter().any(|(name, _)| *name == word)
}

/// Six bytes in hexadecimal, of one or two digits each.
fn mac(text: &str) -> Option<HwAddr> {
    let mut bytes = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut bytes {
        let part = parts.next().filter(|part| part.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(HwAddr(bytes))
}
