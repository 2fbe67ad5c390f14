//! Inputs made from a corpus: the same ones every time.

/// A generator of numbers that are the same every time: xorshift64*.
///
/// Source: S. Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled" (2016).
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        (self.roll() >> 16) as usize % end
    }

    /// A part of `0..len`, at most `longest` long.
    fn range(&mut self, len: usize, longest: usize) -> std::ops::Range<usize> {
        let start = self.below(len + 1);
        let end = (start + self.below(longest + 1)).min(len);
        start..end
    }
}

/// Longer inputs are cut.
const LONGEST: usize = 4096;

/// First the seeds themselves, then what becomes of them.
pub(crate) struct Inputs<'a> {
    seeds: &'a [Vec<u8>],
    given: usize,
    dice: Dice,
}

impl<'a> Inputs<'a> {
    /// From `seeds`, of which there is at least one.
    pub(crate) fn new(seeds: &'a [Vec<u8>]) -> Self {
        Self { seeds, given: 0, dice: Dice(0x9e37_79b9_7f4a_7c15) }
    }

    fn seed(&mut self) -> &'a [u8] {
        &self.seeds[self.dice.below(self.seeds.len())]
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        const NUMBERS: [u64; 12] =
            [0, 1, 2, 3, 4, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, u32::MAX as u64, 1 << 31];
        let len = input.len();
        match self.dice.below(8) {
            0 if len > 0 => input[self.dice.below(len)] ^= 1 << self.dice.below(8),
            1 if len > 0 => input[self.dice.below(len)] = self.dice.roll() as u8,
            2 => {
                let number = NUMBERS[self.dice.below(NUMBERS.len())].to_ne_bytes();
                let place = self.dice.range(len, 4);
                let width = place.len();
                input[place].copy_from_slice(&number[..width]);
            }
            3 => drop(input.drain(self.dice.range(len, 16))),
            4 => {
                let again = input[self.dice.range(len, 24)].to_vec();
                let place = self.dice.below(len + 1);
                input.splice(place..place, again);
            }
            5 => {
                let other = self.seed();
                let part = &other[self.dice.range(other.len(), 32)];
                let place = self.dice.range(len, 16);
                input.splice(place, part.iter().copied());
            }
            6 => {
                let other = self.seed();
                input.truncate(self.dice.below(len + 1));
                input.extend_from_slice(&other[self.dice.below(other.len() + 1)..]);
            }
            _ => {
                let place = self.dice.below(len + 1);
                input.insert(place, (32 + self.dice.below(95)) as u8);
            }
        }
        input.truncate(LONGEST);
    }
}

impl Iterator for Inputs<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        self.given += 1;
        if let Some(seed) = self.seeds.get(self.given - 1) {
            return Some(seed.clone());
        }
        let mut input = self.seed().to_vec();
        for _ in 0..=self.dice.below(5) {
            self.mutate(&mut input);
        }
        Some(input)
    }
}
