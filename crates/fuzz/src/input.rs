//! Reading inputs, and weighing what a parser made of them.

use std::borrow::Cow;
use std::fmt::{self, Debug, Write};

/// The input as text. Bytes that are not UTF-8 are replaced, so that a damaged input still reaches the parser.
pub(crate) fn text(data: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// Checks that `made` is not out of proportion to the input that it was made of.
///
/// The weight is the length of the debug text, which grows with everything that `made` owns.
#[track_caller]
pub(crate) fn assert_in_proportion(made: &impl Debug, data: &[u8]) {
    /// The densest input is a four-byte attribute that becomes a struct of a dozen empty fields.
    const PER_BYTE: usize = 64;
    const AT_LEAST: usize = 8 * 1024;
    let weight = weight(made);
    let limit = AT_LEAST + PER_BYTE * data.len();
    assert!(weight <= limit, "{} bytes became {weight} characters of debug text", data.len());
}

fn weight(made: &impl Debug) -> usize {
    struct Count(usize);
    impl Write for Count {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.len();
            Ok(())
        }
    }
    let mut count = Count(0);
    write!(count, "{made:?}").expect("counting cannot fail");
    count.0
}

/// Takes numbers and choices off the front of an input; zeros when it has come to the end.
#[derive(Debug)]
pub(crate) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let [first, rest @ ..] = self.0 else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 != 0
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }

    /// One of `choices`, which are not empty.
    pub(crate) fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()].clone()
    }
}
