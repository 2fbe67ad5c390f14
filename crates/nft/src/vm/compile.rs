//! From statements to instructions.

use super::context::Context;
use super::insn::{CmpOp, Insn, Load, NatPart, SetName, Slot};
use crate::syntax::{
    AddressRange, DataType, Element, ElementData, Family, IcmpxCode, IpVersion, Key, MarkSource, MarkTarget,
    Match, Nat, NatTarget, Op, Operand, PortRange, Reject, Right, Rule, Set, SetData, SetRef, SetUpdate,
    Statement, Value, ether_type, protocol, statement_text,
};

/// A rule's instructions, and the sets of its own that they look into.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Program {
    /// In the order in which the kernel runs them.
    pub insns: Vec<Insn>,
    /// Sets to be made before the rule.
    pub sets: Vec<AnonymousSet>,
}

/// A set that belongs to one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnonymousSet {
    /// Its properties, without a name.
    pub set: Set,
    /// Its elements.
    pub elements: Vec<Element>,
}

/// A rule, a set or an element that cannot be told to the kernel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The two sides of a comparison have different types.
    #[error("`{key}` is of type {expected}, but `{operand}` is of type {found}")]
    TypeMismatch {
        /// The left side.
        key: Key,
        /// Its type.
        expected: DataType,
        /// The right side.
        operand: Operand,
        /// Its type.
        found: DataType,
    },
    /// A lookup without a key, or a plain comparison of a concatenation.
    #[error("`{statement}` needs exactly one key on its left, or a set on its right")]
    KeyCount {
        /// The statement.
        statement: String,
    },
    /// Nothing, or more than fits into the kernel's registers.
    #[error("the key `{key}` is empty or longer than 64 bytes")]
    KeyTooLong {
        /// The parts.
        key: String,
    },
    /// A set of keys that nft keeps no record of, or of other types than its own.
    #[error(
        "a set cannot be declared as `typeof {keys}`: up to four keys of meta, ct and headers can, without data"
    )]
    BadTypeof {
        /// The keys.
        keys: String,
    },
    /// Ranges need values whose bytes are in order.
    #[error("a range of type {data_type} cannot be matched")]
    NoRange {
        /// The type.
        data_type: DataType,
    },
    /// A prefix longer than its address, or of something that is not an address, or a range that ends before it begins.
    #[error("`{operand}` is not a prefix or range")]
    BadInterval {
        /// The operand.
        operand: Operand,
    },
    /// An interface name that is empty or too long.
    #[error("`{name}` is not an interface name")]
    BadIfname {
        /// The name.
        name: String,
    },
    /// A header that no packet of the table's family has.
    #[error("`{key}` cannot be read in a table of family {family}")]
    NotInFamily {
        /// What was to be read.
        key: Key,
        /// The table's family.
        family: Family,
    },
    /// nft adds a match on TCP by itself in this place and shows it; a rule must say it.
    #[error("`reject with tcp reset` needs a match on TCP before it")]
    ResetWithoutTcp,
    /// An IPv4 and an IPv6 address.
    #[error("a translation goes from {first} to {last}, which are of different families")]
    MixedAddresses {
        /// The first address.
        first: std::net::IpAddr,
        /// The last address.
        last: std::net::IpAddr,
    },
    /// A rule's own set without elements, which has no type.
    #[error("`{statement}` looks into a set of its own that has no elements")]
    EmptyInlineSet {
        /// The statement.
        statement: String,
    },
    /// Text that nft's syntax has no way to write, or that is too long for the kernel.
    #[error("{what} `{text}` is longer than {limit} bytes, empty, or has a character that nft cannot quote")]
    BadText {
        /// What the text is.
        what: &'static str,
        /// The text.
        text: String,
        /// How long it may be.
        limit: usize,
    },
}

/// The instructions for `rule` in a table of `family`.
///
/// # Errors
///
/// [`CompileError`] if types do not fit together, or a text or a number is not possible.
pub fn compile(family: Family, rule: &Rule) -> Result<Program, CompileError> {
    let mut compiler = Compiler { family, context: Context::new(family), program: Program::default() };
    for statement in &rule.statements {
        compiler.statement(statement)?;
    }
    Ok(compiler.program)
}

/// Checks a comment.
pub(crate) fn check_comment(comment: Option<&str>) -> Result<(), CompileError> {
    /// `NFTNL_UDATA_COMMENT_MAXLEN` of libnftnl, with the NUL.
    const LIMIT: usize = 127;
    comment.map_or(Ok(()), |text| check_text("comment", text, LIMIT))
}

/// Checks what a log line begins with.
pub(super) fn check_log_prefix(prefix: Option<&str>) -> Result<(), CompileError> {
    /// `NF_LOG_PREFIXLEN` of the kernel, with the NUL.
    const LIMIT: usize = 127;
    prefix.map_or(Ok(()), |text| check_text("log prefix", text, LIMIT))
}

/// Checks a text that nft writes between quotes.
fn check_text(what: &'static str, text: &str, limit: usize) -> Result<(), CompileError> {
    if text.is_empty() || text.len() > limit || text.contains(|c: char| c == '"' || c.is_control()) {
        return Err(CompileError::BadText { what, text: text.to_owned(), limit });
    }
    Ok(())
}

/// Checks a constant.
pub(super) fn check_value(value: &Value) -> Result<(), CompileError> {
    let Value::Ifname(name) = value else { return Ok(()) };
    let bare = name.strip_suffix('*').unwrap_or(name);
    if bare.is_empty() || bare.len() > 15 || bare.contains(|c: char| c == '"' || c == '*' || c.is_control()) {
        return Err(CompileError::BadIfname { name: name.clone() });
    }
    Ok(())
}

fn check_operand(operand: &Operand) -> Result<(), CompileError> {
    let bad = || CompileError::BadInterval { operand: operand.clone() };
    match operand {
        Operand::Value(value) => check_value(value),
        Operand::Prefix { address, len } => {
            let size = address.data_type().size();
            let is_address = matches!(address, Value::Ipv4(_) | Value::Ipv6(_));
            (is_address && *len > 0 && usize::from(*len) <= size * 8).then_some(()).ok_or_else(bad)
        }
        Operand::Range { first, last } => {
            if !first.data_type().has_intervals() || first.data_type() == DataType::Ifname {
                return Err(CompileError::NoRange { data_type: first.data_type() });
            }
            let in_order = first.data_type() == last.data_type() && first.bytes() <= last.bytes();
            in_order.then_some(()).ok_or_else(bad)
        }
    }
}

/// Checks one part of an element's key.
pub(crate) fn check_element_part(operand: &Operand) -> Result<(), CompileError> {
    if operand.is_interval() && !operand.data_type().has_intervals() {
        return Err(CompileError::NoRange { data_type: operand.data_type() });
    }
    check_operand(operand)
}

struct Compiler {
    family: Family,
    context: Context,
    program: Program,
}

impl Compiler {
    fn emit(&mut self, insn: Insn) {
        self.program.insns.push(insn);
    }

    fn statement(&mut self, statement: &Statement) -> Result<(), CompileError> {
        match statement {
            Statement::Match(of) => self.match_of(of)?,
            Statement::Counter(counter) => self.emit(Insn::Counter(*counter)),
            Statement::Verdict(verdict) => self.emit(Insn::Verdict(verdict.clone())),
            Statement::Vmap { key, map } => {
                let map = self.set_name(key, map, statement)?;
                self.load_key(key)?;
                self.emit(Insn::LookupVerdict { map, slot: 0 });
            }
            Statement::Masquerade { flags, ports } => {
                let ports = ports.map(|ports| self.ports(ports, 0));
                self.emit(Insn::Masquerade { ports, flags: *flags });
            }
            Statement::Redirect { ports, flags } => {
                let ports = ports.map(|ports| self.ports(ports, 0));
                self.emit(Insn::Redirect { ports, flags: *flags });
            }
            Statement::Nat(nat) => self.nat(nat, statement)?,
            Statement::Reject(reject) => self.reject(*reject)?,
            Statement::Log { prefix, level } => {
                check_log_prefix(prefix.as_deref())?;
                self.emit(Insn::Log { prefix: prefix.clone(), level: *level });
            }
            Statement::Limit(limit) => self.emit(Insn::Limit(*limit)),
            Statement::Chance { of, below } => {
                self.emit(Insn::Random { slot: 0, of: *of });
                self.emit(Insn::ToNetworkOrder { slot: 0 });
                self.emit(Insn::Cmp { slot: 0, op: CmpOp::Lt, data: below.to_be_bytes().to_vec() });
            }
            Statement::SetMark { target, source } => self.set_mark(*target, source, statement)?,
            Statement::Update(update) => self.update(update, statement)?,
            Statement::Notrack => self.emit(Insn::Notrack),
            Statement::Trace => {
                self.emit(Insn::Immediate { slot: 0, data: vec![1] });
                self.emit(Insn::SetTrace { slot: 0 });
            }
            Statement::Unknown { name, bytes } => {
                self.emit(Insn::Unknown { name: name.clone(), bytes: bytes.clone() });
            }
        }
        Ok(())
    }

    fn match_of(&mut self, of: &Match) -> Result<(), CompileError> {
        let statement = || statement_text(Family::Inet, &Statement::Match(of.clone()));
        match &of.right {
            Right::Set(set) => {
                if of.mask.is_some() || of.op == Op::Any {
                    return Err(CompileError::KeyCount { statement: statement() });
                }
                let set = self.set_name(&of.key, set, &Statement::Match(of.clone()))?;
                self.load_key(&of.key)?;
                self.emit(Insn::Lookup { set, slot: 0, negated: of.op == Op::Ne });
            }
            Right::Operand(operand) => {
                let [key] = of.key[..] else { return Err(CompileError::KeyCount { statement: statement() }) };
                check_operand(operand)?;
                for value in
                    [Some(operand.data_type()), of.mask.as_ref().map(Value::data_type)].into_iter().flatten()
                {
                    if value != key.data_type() {
                        return Err(CompileError::TypeMismatch {
                            key,
                            expected: key.data_type(),
                            operand: operand.clone(),
                            found: value,
                        });
                    }
                }
                self.dependencies(key)?;
                self.compare(key, of.mask.as_ref(), of.op, operand);
                self.context.learn(of);
            }
        }
        Ok(())
    }

    fn dependencies(&mut self, key: Key) -> Result<(), CompileError> {
        if !self.context.can_have(key) {
            return Err(CompileError::NotInFamily { key, family: self.family });
        }
        if matches!(key, Key::Raw { len: 0 | 65.., .. }) {
            return Err(CompileError::KeyTooLong { key: key.to_string() });
        }
        let needs = self.context.require(key);
        self.emit_needs(needs);
        Ok(())
    }

    fn emit_needs(&mut self, needs: Vec<(Key, Value)>) {
        for (key, value) in needs {
            self.emit(Insn::Load { load: Load::of(key), slot: 0 });
            self.emit(Insn::Cmp { slot: 0, op: CmpOp::Eq, data: value.bytes() });
        }
    }

    fn compare(&mut self, key: Key, mask: Option<&Value>, op: Op, operand: &Operand) {
        let cmp = if op == Op::Ne { CmpOp::Neq } else { CmpOp::Eq };
        let load = Load::of(key);
        match operand {
            Operand::Prefix { address, len } => self.compare_prefix(load, cmp, address, *len),
            Operand::Range { first, last } => {
                self.emit(Insn::Load { load, slot: 0 });
                let (first, last) = (first.bytes(), last.bytes());
                if op == Op::Ne {
                    self.emit(Insn::Range { slot: 0, negated: true, first, last });
                } else {
                    self.emit(Insn::Cmp { slot: 0, op: CmpOp::Gte, data: first });
                    self.emit(Insn::Cmp { slot: 0, op: CmpOp::Lte, data: last });
                }
            }
            Operand::Value(value) => {
                self.emit(Insn::Load { load, slot: 0 });
                let data = value.bytes();
                let xor = vec![0; data.len()];
                match (op, mask) {
                    (Op::Any, _) => {
                        self.emit(Insn::Bitwise { slot: 0, mask: data, xor: xor.clone() });
                        self.emit(Insn::Cmp { slot: 0, op: CmpOp::Neq, data: xor });
                    }
                    (_, Some(mask)) => {
                        self.emit(Insn::Bitwise { slot: 0, mask: mask.bytes(), xor });
                        self.emit(Insn::Cmp { slot: 0, op: cmp, data });
                    }
                    (_, None) => self.emit(Insn::Cmp { slot: 0, op: cmp, data }),
                }
            }
        }
    }

    /// Like nft: a prefix of whole bytes reads only these, any other masks.
    fn compare_prefix(&mut self, load: Load, op: CmpOp, address: &Value, len: u8) {
        let prefix = Operand::Prefix { address: address.clone(), len };
        let (mut network, _) = prefix.bounds();
        let size = network.len();
        if let (Load::Payload { base, offset, .. }, 0) = (load, len % 8) {
            network.truncate(usize::from(len / 8));
            self.emit(Insn::Load { load: Load::Payload { base, offset, len: u32::from(len / 8) }, slot: 0 });
        } else {
            self.emit(Insn::Load { load, slot: 0 });
            let mask = crate::syntax::prefix_mask(size, len);
            self.emit(Insn::Bitwise { slot: 0, mask, xor: vec![0; size] });
        }
        self.emit(Insn::Cmp { slot: 0, op, data: network });
    }

    /// Loads the parts of a key into neighbouring registers, each part from a fresh one.
    fn load_key(&mut self, key: &[Key]) -> Result<(), CompileError> {
        for part in key {
            self.dependencies(*part)?;
        }
        let mut slot: usize = 0;
        for part in key {
            let words = part.data_type().padded() / 4;
            let free = slot + words <= 16;
            let Some(first) = Slot::try_from(slot).ok().filter(|_| free) else {
                let key = key.iter().map(ToString::to_string).collect::<Vec<_>>().join(" . ");
                return Err(CompileError::KeyTooLong { key });
            };
            self.emit(Insn::Load { load: Load::of(*part), slot: first });
            slot += words;
        }
        Ok(())
    }

    fn set_name(
        &mut self,
        key: &[Key],
        set: &SetRef,
        statement: &Statement,
    ) -> Result<SetName, CompileError> {
        let text = || statement_text(self.family, statement);
        if key.is_empty() {
            return Err(CompileError::KeyCount { statement: text() });
        }
        let elements = match set {
            SetRef::Named(name) => return Ok(SetName::Named(name.clone())),
            SetRef::Inline(elements) => elements,
        };
        let Some(first) = elements.first() else {
            return Err(CompileError::EmptyInlineSet { statement: text() });
        };
        let types: Vec<DataType> = key.iter().map(|part| part.data_type()).collect();
        for element in elements {
            if element.key.len() != key.len() {
                return Err(CompileError::KeyCount { statement: text() });
            }
            for (part, operand) in key.iter().zip(&element.key) {
                if operand.data_type() != part.data_type() {
                    return Err(CompileError::TypeMismatch {
                        key: *part,
                        expected: part.data_type(),
                        operand: operand.clone(),
                        found: operand.data_type(),
                    });
                }
                check_element_part(operand)?;
            }
        }
        let data = first.data.as_ref().map(|data| match data {
            ElementData::Verdict(_) => SetData::Verdict,
            ElementData::Values(values) => SetData::Values(values.iter().map(Value::data_type).collect()),
        });
        let interval = elements.iter().any(|element| element.key.iter().any(Operand::is_interval));
        let set = Set { key: types, data, interval, constant: true, ..Set::default() };
        self.program.sets.push(AnonymousSet { set, elements: elements.clone() });
        Ok(SetName::Anonymous(self.program.sets.len() - 1))
    }

    fn update(&mut self, update: &SetUpdate, statement: &Statement) -> Result<(), CompileError> {
        if update.key.is_empty() {
            return Err(CompileError::KeyCount { statement: statement_text(self.family, statement) });
        }
        self.load_key(&update.key)?;
        let SetUpdate { op, set, timeout, counter, .. } = update.clone();
        self.emit(Insn::Dynset { op, set, slot: 0, timeout, counter });
        Ok(())
    }

    fn ports(&mut self, ports: PortRange, slot: Slot) -> NatPart {
        let mut part = NatPart { min: slot, max: slot };
        self.emit(Insn::Immediate { slot, data: ports.first.to_be_bytes().to_vec() });
        if ports.last != ports.first {
            part.max = slot + 4;
            self.emit(Insn::Immediate { slot: part.max, data: ports.last.to_be_bytes().to_vec() });
        }
        part
    }

    fn nat(&mut self, nat: &Nat, statement: &Statement) -> Result<(), CompileError> {
        let (version, addresses, ports) = match &nat.to {
            NatTarget::Constant { addresses, ports } => {
                let (version, part) = self.addresses(*addresses)?;
                (version, part, ports.map(|ports| self.ports(ports, part.max + 4)))
            }
            NatTarget::Map { version, key, map, with_port } => {
                let map = self.set_name(key, map, statement)?;
                self.load_key(key)?;
                self.emit(Insn::LookupData { map, slot: 0, into: 0 });
                let port = match version {
                    IpVersion::V4 => 1,
                    IpVersion::V6 => 4,
                };
                (*version, NatPart { min: 0, max: 0 }, with_port.then_some(NatPart { min: port, max: port }))
            }
        };
        self.emit(Insn::Nat { kind: nat.kind, version, addresses: Some(addresses), ports, flags: nat.flags });
        Ok(())
    }

    fn addresses(&mut self, addresses: AddressRange) -> Result<(IpVersion, NatPart), CompileError> {
        let AddressRange { first, last } = addresses;
        if first.is_ipv4() != last.is_ipv4() {
            return Err(CompileError::MixedAddresses { first, last });
        }
        let octets = |address| match address {
            std::net::IpAddr::V4(address) => address.octets().to_vec(),
            std::net::IpAddr::V6(address) => address.octets().to_vec(),
        };
        let mut part = NatPart { min: 0, max: 0 };
        self.emit(Insn::Immediate { slot: 0, data: octets(first) });
        if last != first {
            part.max = 4;
            self.emit(Insn::Immediate { slot: 4, data: octets(last) });
        }
        Ok((if first.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 }, part))
    }

    fn reject(&mut self, reject: Reject) -> Result<(), CompileError> {
        let (kind, code) = match reject {
            Reject::TcpReset => {
                if self.context.transport() != Some(protocol::TCP) {
                    return Err(CompileError::ResetWithoutTcp);
                }
                (1, 0)
            }
            Reject::Icmpx(reason) => (2, icmpx_number(reason)),
            Reject::Icmp(code) => (0, self.icmp_reject(Key::IcmpType, ether_type::IP, code)?),
            Reject::Icmpv6(code) => (0, self.icmp_reject(Key::Icmpv6Type, ether_type::IP6, code)?),
        };
        self.emit(Insn::Reject { kind, code });
        Ok(())
    }

    fn icmp_reject(&mut self, protocol: Key, network: u16, code: u8) -> Result<u8, CompileError> {
        if !self.context.can_have(protocol) {
            return Err(CompileError::NotInFamily { key: protocol, family: self.family });
        }
        let needs = self.context.require_ip(network);
        self.emit_needs(needs);
        Ok(code)
    }

    fn set_mark(
        &mut self,
        target: MarkTarget,
        source: &MarkSource,
        of: &Statement,
    ) -> Result<(), CompileError> {
        match source {
            MarkSource::Value(mark) => {
                self.emit(Insn::Immediate { slot: 0, data: mark.to_ne_bytes().to_vec() })
            }
            MarkSource::Mark(from) => {
                let key = match from {
                    MarkTarget::Meta => Key::MARK,
                    MarkTarget::Ct => Key::Ct(crate::syntax::CtField::Mark),
                };
                self.emit(Insn::Load { load: Load::of(key), slot: 0 });
            }
            MarkSource::Map { key, map } => {
                let map = self.set_name(key, map, of)?;
                self.load_key(key)?;
                self.emit(Insn::LookupData { map, slot: 0, into: 0 });
            }
        }
        self.emit(Insn::SetMark { target, slot: 0 });
        Ok(())
    }
}

/// Source: `enum nft_reject_inet_code`.
const fn icmpx_number(reason: IcmpxCode) -> u8 {
    match reason {
        IcmpxCode::NoRoute => 0,
        IcmpxCode::PortUnreachable => 1,
        IcmpxCode::HostUnreachable => 2,
        IcmpxCode::AdminProhibited => 3,
    }
}
