//! Classic BPF, which the kernel runs for each packet before it is queued for a socket: conditions become programs.
//!
//! Source: bpf(4) of BSD, Documentation/networking/filter.rst and `bpf_check_classic()` in the kernel's net/core/filter.c.

/// One instruction: `struct sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Insn {
    /// What it does.
    pub code: u16,
    /// How many instructions are passed over if a comparison holds.
    pub jt: u8,
    /// And if it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// How many instructions the kernel takes. Source: `BPF_MAXINSNS` in include/uapi/linux/bpf_common.h.
pub const LONGEST: usize = 4096;

const LD_W_ABS: u16 = 0x20;
const LD_H_ABS: u16 = 0x28;
const LD_B_ABS: u16 = 0x30;
const LD_H_IND: u16 = 0x48;
const LD_LEN: u16 = 0x80;
const LDX_B_MSH: u16 = 0xb1;
const AND_K: u16 = 0x54;
const JA: u16 = 0x05;
const JEQ_K: u16 = 0x15;
const JGT_K: u16 = 0x25;
const JGE_K: u16 = 0x35;
const JSET_K: u16 = 0x45;
const RET_K: u16 = 0x06;

/// A number in a packet. A packet that is too short for it passes no program that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// The byte at an offset.
    Byte(u32),
    /// Two bytes, the higher one first.
    Half(u32),
    /// Four bytes, the highest one first.
    Word(u32),
    /// Two bytes behind an IPv4 header that begins at the first number: the second one is how far behind.
    Behind(u32, u32),
    /// The packet's length.
    Length,
}

/// How a number is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    /// It is this.
    Equal,
    /// It is this or more.
    AtLeast,
    /// It is more.
    More,
    /// It has one of these bits.
    AnyBit,
}

/// A condition on a packet; what stands first is asked first, and only as much as decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cond {
    /// A number, of which only the bits of the mask count.
    Is(Load, u32, Relation, u32),
    Not(Box<Cond>),
    All(Vec<Cond>),
    Any(Vec<Cond>),
}

impl Cond {
    pub(crate) fn equal(load: Load, value: u32) -> Self {
        Self::Is(load, u32::MAX, Relation::Equal, value)
    }

    pub(crate) fn not(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// What no packet is.
    pub(crate) fn never() -> Self {
        Self::Any(Vec::new())
    }
}

/// A place in a program.
type Label = usize;

/// A piece of a program whose jumps go to labels.
enum Piece {
    Label(Label),
    Plain(Insn),
    Branch { code: u16, k: u32, yes: Label, no: Label },
}

/// The program that takes what meets a condition, `take` bytes of it; none if it would be longer than the kernel takes.
pub(crate) fn assemble(cond: &Cond, take: u32) -> Option<Vec<Insn>> {
    const YES: Label = 0;
    const NO: Label = 1;
    let mut writer = Writer { pieces: Vec::new(), labels: 2 };
    writer.cond(cond, YES, NO);
    writer.pieces.extend([Piece::Label(YES), Piece::Plain(plain(RET_K, take))]);
    writer.pieces.extend([Piece::Label(NO), Piece::Plain(plain(RET_K, 0))]);
    let program = link(&writer.pieces, false).or_else(|| link(&writer.pieces, true))?;
    (program.len() <= LONGEST).then_some(program)
}

/// The program that takes every packet, `take` bytes of it.
pub fn everything(take: u32) -> Vec<Insn> {
    vec![plain(RET_K, take)]
}

fn plain(code: u16, k: u32) -> Insn {
    Insn { code, jt: 0, jf: 0, k }
}

struct Writer {
    pieces: Vec<Piece>,
    labels: usize,
}

impl Writer {
    fn label(&mut self) -> Label {
        self.labels += 1;
        self.labels - 1
    }

    /// Writes a condition that goes on at `yes` or `no`.
    fn cond(&mut self, cond: &Cond, yes: Label, no: Label) {
        match cond {
            Cond::Not(inner) => self.cond(inner, no, yes),
            Cond::All(list) => self.list(list, yes, no, true),
            Cond::Any(list) => self.list(list, no, yes, false),
            Cond::Is(load, mask, relation, value) => {
                self.load(*load);
                if *mask != u32::MAX {
                    self.pieces.push(Piece::Plain(plain(AND_K, *mask)));
                }
                let code = match relation {
                    Relation::Equal => JEQ_K,
                    Relation::AtLeast => JGE_K,
                    Relation::More => JGT_K,
                    Relation::AnyBit => JSET_K,
                };
                self.pieces.push(Piece::Branch { code, k: *value, yes, no });
            }
        }
    }

    /// Writes a list of which every one has to be `wanted` to come to `through`; the first that is not goes to `out`.
    fn list(&mut self, list: &[Cond], through: Label, out: Label, wanted: bool) {
        for cond in list {
            let next = self.label();
            let (yes, no) = if wanted { (next, out) } else { (out, next) };
            self.cond(cond, yes, no);
            self.pieces.push(Piece::Label(next));
        }
        let always = Piece::Branch { code: JA, k: 0, yes: through, no: through };
        self.pieces.push(always);
    }

    fn load(&mut self, load: Load) {
        let pieces = match load {
            Load::Byte(at) => vec![plain(LD_B_ABS, at)],
            Load::Half(at) => vec![plain(LD_H_ABS, at)],
            Load::Word(at) => vec![plain(LD_W_ABS, at)],
            Load::Behind(header, at) => vec![plain(LDX_B_MSH, header), plain(LD_H_IND, header + at)],
            Load::Length => vec![plain(LD_LEN, 0)],
        };
        self.pieces.extend(pieces.into_iter().map(Piece::Plain));
    }
}

/// Puts numbers in the place of labels. A comparison jumps over 255 instructions at the most; `far` has each followed by
/// two jumps that go anywhere. None where one would have to go further than it can.
fn link(pieces: &[Piece], far: bool) -> Option<Vec<Insn>> {
    let length = |piece: &Piece| match piece {
        Piece::Label(_) => 0,
        Piece::Branch { code, .. } if far && *code != JA => 3,
        Piece::Plain(_) | Piece::Branch { .. } => 1,
    };
    let mut places = std::collections::HashMap::new();
    let mut at = 0;
    for piece in pieces {
        if let Piece::Label(label) = piece {
            places.insert(*label, at);
        }
        at += length(piece);
    }
    let mut program = Vec::new();
    for piece in pieces {
        let here = program.len();
        // Every label stands behind the jumps to it.
        let distance = |label: &Label, from: usize| places[label] - from - 1;
        match piece {
            Piece::Label(_) => {}
            Piece::Plain(insn) => program.push(*insn),
            Piece::Branch { code: JA, yes, .. } => program.push(plain(JA, distance(yes, here) as u32)),
            Piece::Branch { code, k, yes, no } if far => program.extend([
                Insn { code: *code, jt: 0, jf: 1, k: *k },
                plain(JA, distance(yes, here + 1) as u32),
                plain(JA, distance(no, here + 2) as u32),
            ]),
            Piece::Branch { code, k, yes, no } => program.push(Insn {
                code: *code,
                jt: u8::try_from(distance(yes, here)).ok()?,
                jf: u8::try_from(distance(no, here)).ok()?,
                k: *k,
            }),
        }
    }
    Some(program)
}

/// Runs a program on a packet as the kernel does: how many bytes it takes. None if it is not a program that ends, or has
/// instructions that are never made here.
pub fn run(program: &[Insn], packet: &[u8]) -> Option<u32> {
    let (mut a, mut x, mut at) = (0_u32, 0_u32, 0_usize);
    let read = |offset: u32, len: usize| -> Option<u32> {
        let begin = usize::try_from(offset).ok()?;
        let bytes = packet.get(begin..begin.checked_add(len)?)?;
        Some(bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    };
    loop {
        let Insn { code, jt, jf, k } = *program.get(at)?;
        at += 1;
        let mut jump = |holds: bool| at += usize::from(if holds { jt } else { jf });
        let loaded = match code {
            LD_W_ABS => read(k, 4),
            LD_H_ABS => read(k, 2),
            LD_B_ABS => read(k, 1),
            LD_H_IND => read(x.wrapping_add(k), 2),
            LD_LEN => u32::try_from(packet.len()).ok(),
            LDX_B_MSH => {
                // Too short for it, the packet passes nothing.
                let Some(byte) = read(k, 1) else { return Some(0) };
                x = 4 * (byte & 0xf);
                continue;
            }
            AND_K => Some(a & k),
            JA => {
                at += usize::try_from(k).ok()?;
                continue;
            }
            JEQ_K => {
                jump(a == k);
                continue;
            }
            JGT_K => {
                jump(a > k);
                continue;
            }
            JGE_K => {
                jump(a >= k);
                continue;
            }
            JSET_K => {
                jump(a & k != 0);
                continue;
            }
            RET_K => return Some(k),
            _ => return None,
        };
        match loaded {
            Some(number) => a = number,
            None => return Some(0),
        }
    }
}
