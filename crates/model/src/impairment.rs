//! How an interface is made worse than it is: slower, later, lossy.
//!
//! What is impaired is what *leaves* the interface.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Diagnose;

/// What happens to packets that leave an interface. Nothing of it by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Impairment {
    /// How much may leave, in bits a second.
    pub rate: Option<u64>,
    /// How long packets wait.
    pub delay: Option<Duration>,
    /// How much longer or shorter at random. Together with a delay only.
    pub jitter: Option<Duration>,
    /// How many are lost.
    pub loss: Option<Loss>,
}

impl Impairment {
    /// Whether nothing is impaired.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Checks what its parts are together.
    ///
    /// # Errors
    ///
    /// [`ImpairmentError::JitterAlone`], or [`ImpairmentError::JitterTooLong`].
    pub fn check(&self) -> Result<(), ImpairmentError> {
        match (self.delay, self.jitter) {
            (_, None) => Ok(()),
            (None, Some(_)) => Err(ImpairmentError::JitterAlone),
            (Some(delay), Some(jitter)) if jitter > delay => {
                Err(ImpairmentError::JitterTooLong { delay, jitter })
            }
            (Some(_), Some(_)) => Ok(()),
        }
    }
}

impl fmt::Display for Impairment {
    /// `rate 10mbit delay 20ms jitter 5ms loss 1%`; `nothing` if it is nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.rate.map(|rate| format!("rate {}", Rate(rate))),
            self.delay.map(|delay| format!("delay {}", Delay(delay))),
            self.jitter.map(|jitter| format!("jitter {}", Delay(jitter))),
            self.loss.map(|loss| format!("loss {loss}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(if parts.is_empty() { "nothing" } else { "" })?;
        f.write_str(&parts.join(" "))
    }
}

/// A share of packets, in millionths: more than none, all at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Loss(u32);

impl Loss {
    /// Every packet.
    pub const ALL: Self = Self(1_000_000);

    /// So many of a million packets.
    ///
    /// # Errors
    ///
    /// [`ImpairmentError::Loss`] for none, or more than there are.
    pub fn of_million(lost: u32) -> Result<Self, ImpairmentError> {
        match lost {
            1..=1_000_000 => Ok(Self(lost)),
            other => Err(ImpairmentError::Loss(format!("{other} of a million"))),
        }
    }

    /// How many of a million packets.
    pub fn millionths(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Loss {
    type Error = ImpairmentError;

    fn try_from(lost: u32) -> Result<Self, ImpairmentError> {
        Self::of_million(lost)
    }
}

impl From<Loss> for u32 {
    fn from(loss: Loss) -> Self {
        loss.0
    }
}

impl fmt::Display for Loss {
    /// `1%`, `0.05%`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 10_000, self.0 % 10_000);
        match rest {
            0 => write!(f, "{whole}%"),
            rest => write!(f, "{whole}.{}%", format!("{rest:04}").trim_end_matches('0')),
        }
    }
}

impl FromStr for Loss {
    type Err = ImpairmentError;

    /// `1%`, `0.05%`: a percentage with four decimal places at the most.
    fn from_str(text: &str) -> Result<Self, ImpairmentError> {
        let bad = || ImpairmentError::Loss(text.to_owned());
        let digits = text.strip_suffix('%').ok_or_else(bad)?;
        let lost = scaled(digits, 10_000).and_then(|lost| u32::try_from(lost).ok()).ok_or_else(bad)?;
        Self::of_million(lost).map_err(|_| bad())
    }
}

/// A rate in bits a second, as it is written: `10mbit`, `1.5gbit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(pub u64);

/// Units of a rate, largest first, as tc(8) has them: by thousands.
const RATES: [(&str, u64); 5] =
    [("tbit", 1_000_000_000_000), ("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1_000), ("bit", 1)];

/// The slowest rate: a packet of 1500 bytes takes a second and a half.
const SLOWEST: u64 = 8_000;
/// The fastest rate.
const FASTEST: u64 = 1_000_000_000_000;

impl FromStr for Rate {
    type Err = ImpairmentError;

    fn from_str(text: &str) -> Result<Self, ImpairmentError> {
        let lower = text.to_ascii_lowercase();
        let bad = || ImpairmentError::Rate(text.to_owned());
        let parts = RATES.iter().find_map(|(unit, bits)| Some((lower.strip_suffix(unit)?, *bits)));
        let (digits, unit) = parts.ok_or_else(bad)?;
        let rate = scaled(digits, unit).ok_or_else(bad)?;
        match rate {
            SLOWEST..=FASTEST => Ok(Self(rate)),
            _ => Err(ImpairmentError::RateOutside(text.to_owned())),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, bits): &&(&str, u64)| self.0.is_multiple_of(*bits);
        let (unit, bits) = RATES.iter().find(fits).unwrap_or(&("bit", 1));
        write!(f, "{}{unit}", self.0 / bits)
    }
}

/// A time that packets wait, as it is written: `20ms`, `1.5s`, `300us`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delay(pub Duration);

/// Units of a time in nanoseconds. `s` stands last: the others end with it too.
const TIMES: [(&str, u64); 4] = [("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)];

/// The shortest time, and the longest: the kernel counts in steps of 64 ns, of which 32 bits are 274 s.
const SHORTEST: Duration = Duration::from_micros(1);
const LONGEST: Duration = Duration::from_secs(240);

impl FromStr for Delay {
    type Err = ImpairmentError;

    fn from_str(text: &str) -> Result<Self, ImpairmentError> {
        let bad = || ImpairmentError::Delay(text.to_owned());
        let parts = TIMES.iter().find_map(|(unit, length)| Some((text.strip_suffix(unit)?, *length)));
        let (digits, unit) = parts.ok_or_else(bad)?;
        let time = Duration::from_nanos(scaled(digits, unit).ok_or_else(bad)?);
        match (SHORTEST..=LONGEST).contains(&time) {
            true => Ok(Self(time)),
            false => Err(ImpairmentError::DelayOutside(text.to_owned())),
        }
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = self.0.as_nanos();
        let fits = |(_, length): &&(&str, u64)| nanoseconds.is_multiple_of(u128::from(*length));
        let (unit, length) = TIMES.iter().rev().find(fits).unwrap_or(&("ns", 1));
        write!(f, "{}{unit}", nanoseconds / u128::from(*length))
    }
}

/// `digits`, with a point or without, times `unit`; `None` if it is no number, or no whole number of the smallest unit.
fn scaled(digits: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) || digits.ends_with('.') {
        return None;
    }
    let mut value = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    let mut place = unit;
    for digit in fraction.bytes() {
        let digit = u64::from(digit - b'0');
        if digit != 0 && !place.is_multiple_of(10) {
            return None;
        }
        place /= 10;
        value = value.checked_add(digit * place)?;
    }
    Some(value)
}

/// What is wrong with an impairment that a person wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImpairmentError {
    /// Not a rate.
    #[error("`{0}` is not a rate: a number with bit, kbit, mbit or gbit, such as 10mbit")]
    Rate(String),
    /// A rate that is too slow for any use, or faster than anything.
    #[error("rate {0} is outside of what can be set: 8kbit to 1tbit")]
    RateOutside(String),
    /// Not a time.
    #[error("`{0}` is not a time: a number with us, ms or s, such as 20ms")]
    Delay(String),
    /// A time that is too short to be kept, or longer than the kernel can count.
    #[error("{0} is outside of what packets can wait: 1us to 240s")]
    DelayOutside(String),
    /// Not a share of packets.
    #[error("`{0}` is not a share of packets: more than 0% and not more than 100%, such as 1% or 0.05%")]
    Loss(String),
    /// A jitter of no delay.
    #[error("a jitter of no delay was asked for")]
    JitterAlone,
    /// Packets cannot leave before they came.
    #[error("a jitter of {} is longer than the delay of {}", Delay(*.jitter), Delay(*.delay))]
    JitterTooLong {
        /// The delay.
        delay: Duration,
        /// The jitter.
        jitter: Duration,
    },
}

impl Diagnose for ImpairmentError {
    fn code(&self) -> &'static str {
        match self {
            Self::Rate(_) | Self::RateOutside(_) => "bad-rate",
            Self::Delay(_) | Self::DelayOutside(_) => "bad-delay",
            Self::Loss(_) => "bad-loss",
            Self::JitterAlone | Self::JitterTooLong { .. } => "bad-jitter",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::JitterAlone => {
                Some("add --delay: packets wait for that long, give or take the jitter".into())
            }
            Self::JitterTooLong { .. } => Some("make the delay as long as the jitter at least".into()),
            Self::Loss(text) if text.parse::<f64>().is_ok() => Some(format!("did you mean {text}%?")),
            Self::Rate(text) if text.parse::<f64>().is_ok() => Some(format!("did you mean {text}mbit?")),
            Self::Delay(text) if text.parse::<f64>().is_ok() => Some(format!("did you mean {text}ms?")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_shown() {
        for (text, bits, shown) in [
            ("10mbit", 10_000_000, "10mbit"),
            ("1.5gbit", 1_500_000_000, "1500mbit"),
            ("64kbit", 64_000, "64kbit"),
            ("8000bit", 8_000, "8kbit"),
            ("12345bit", 12_345, "12345bit"),
            ("10Mbit", 10_000_000, "10mbit"),
            ("1tbit", FASTEST, "1tbit"),
        ] {
            let rate: Rate = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((rate.0, rate.to_string()), (bits, shown.to_owned()), "{text}");
        }
        for bad in
            ["", "10", "mbit", "10mb", "-1mbit", "1.mbit", ".5mbit", "1e3mbit", "0.5bit", "7kbit", "2tbit"]
        {
            assert_eq!(bad.parse::<Rate>().map_err(|error| error.code()), Err("bad-rate"), "{bad}");
        }
        let huge = "99999999999999999999gbit".parse::<Rate>();
        assert_eq!(huge.map_err(|error| error.code()), Err("bad-rate"));
    }

    #[test]
    fn times_are_read_and_shown() {
        for (text, nanoseconds, shown) in [
            ("20ms", 20_000_000, "20ms"),
            ("0.5ms", 500_000, "500us"),
            ("1.5s", 1_500_000_000, "1500ms"),
            ("300us", 300_000, "300us"),
            ("2s", 2_000_000_000, "2s"),
            ("1500ns", 1_500, "1500ns"),
        ] {
            let delay: Delay = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(delay, Delay(Duration::from_nanos(nanoseconds)), "{text}");
            assert_eq!(delay.to_string(), shown, "{text}");
        }
        for bad in ["", "20", "s", "1m", "-1ms", "0ms", "0.5ns", "241s", "1 ms"] {
            assert_eq!(bad.parse::<Delay>().map_err(|error| error.code()), Err("bad-delay"), "{bad}");
        }
    }

    #[test]
    fn shares_are_read_and_shown() {
        for (text, millionths, shown) in [
            ("1%", 10_000, "1%"),
            ("0.05%", 500, "0.05%"),
            ("100%", 1_000_000, "100%"),
            ("12.5000%", 125_000, "12.5%"),
        ] {
            let loss: Loss = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((loss.millionths(), loss.to_string()), (millionths, shown.to_owned()), "{text}");
        }
        for bad in ["", "1", "%", "0%", "101%", "-1%", "0.00001%", "100.0001%", "1 %"] {
            assert_eq!(bad.parse::<Loss>().map_err(|error| error.code()), Err("bad-loss"), "{bad}");
        }
        assert_eq!("5".parse::<Loss>().unwrap_err().hint().as_deref(), Some("did you mean 5%?"));
        assert!(serde_json::from_str::<Loss>("1000001").is_err());
    }

    #[test]
    fn a_jitter_belongs_to_a_delay() {
        let millis = |count| Some(Duration::from_millis(count));
        let of = |delay, jitter| Impairment { delay, jitter, ..Impairment::default() }.check();
        assert_eq!(of(None, millis(1)), Err(ImpairmentError::JitterAlone));
        assert!(of(millis(1), millis(2)).is_err_and(|error| error.to_string().contains("jitter of 2ms")));
        assert_eq!(of(millis(2), millis(2)), Ok(()));
        assert_eq!(of(None, None), Ok(()));
    }

    #[test]
    fn an_impairment_is_told_in_one_line() {
        let all = Impairment {
            rate: Some(10_000_000),
            delay: Some(Duration::from_millis(20)),
            jitter: Some(Duration::from_millis(5)),
            loss: Some(Loss::of_million(10_000).unwrap()),
        };
        assert_eq!(all.to_string(), "rate 10mbit delay 20ms jitter 5ms loss 1%");
        assert_eq!(Impairment::default().to_string(), "nothing");
    }
}
