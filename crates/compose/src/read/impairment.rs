//! What is made worse: `impair` of a service or a cable.

use super::Reader;
use super::value::At;
use crate::project::{Impair, Impairment, Networking};

/// Units of a rate in bits a second. Source: tc(8), "RATES"; those that end in `bps` are bytes.
const RATES: [(&str, u64); 15] = [
    ("bit", 1),
    ("kbit", 1_000),
    ("mbit", 1_000_000),
    ("gbit", 1_000_000_000),
    ("tbit", 1_000_000_000_000),
    ("kibit", 1 << 10),
    ("mibit", 1 << 20),
    ("gibit", 1 << 30),
    ("tibit", 1 << 40),
    ("bps", 8),
    ("kbps", 8_000),
    ("mbps", 8_000_000),
    ("gbps", 8_000_000_000),
    ("tbps", 8_000_000_000_000),
    ("", 1),
];

impl Reader<'_> {
    /// `x-pontoon.impair` of a service: one mapping, or a list of them.
    pub(super) fn impairments(&mut self, at: &At<'_>, networking: &Networking) -> Vec<Impairment> {
        let Some(at) = at.get("x-pontoon").and_then(|ours| ours.get("impair")) else { return Vec::new() };
        let all = if at.node.as_map().is_some() { vec![at] } else { at.items() };
        all.iter().filter_map(|at| self.impairment(at, networking)).collect()
    }

    fn impairment(&mut self, at: &At<'_>, networking: &Networking) -> Option<Impairment> {
        let network = at.get("network");
        if let Some(network) = &network {
            let joins = |key: &str| match networking {
                Networking::Networks(all) => all.iter().any(|joined| joined.key == key),
                _ => false,
            };
            if !network.text().is_some_and(joins) {
                self.report.error(&network.node.at, network.is_not("a network that the service joins"));
            }
        }
        let network = network.and_then(|at| at.text().map(str::to_owned));
        Some(Impairment { network, what: self.impair(at) })
    }

    /// `{ rate, delay, jitter, loss }`.
    pub(super) fn impair(&mut self, at: &At<'_>) -> Impair {
        let impair = Impair {
            rate: at.get("rate").and_then(|at| {
                let rate = rate(at.text()?).ok_or_else(|| at.is_not("a rate such as 10mbit"));
                self.report.take(&at.node.at, rate)
            }),
            delay: self.report.duration(at, "delay"),
            jitter: self.report.duration(at, "jitter"),
            loss: at.get("loss").and_then(|at| {
                let loss = loss(at.text()?).ok_or_else(|| at.is_not("a share of 0 to 100 % such as 0.5%"));
                self.report.take(&at.node.at, loss)
            }),
        };
        if let (Some(jitter), None) = (at.get("jitter"), impair.delay) {
            let expected = "possible without a `delay` that it changes";
            self.report.error(&jitter.node.at, jitter.is_not(expected));
        }
        impair
    }
}

/// Bits a second; more than none.
fn rate(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start().to_ascii_lowercase();
    let (_, bits) = RATES.into_iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(bits).filter(|rate| *rate > 0)
}

/// Percent.
fn loss(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    number.parse().ok().filter(|loss| (0.0..=100.0).contains(loss))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_losses_are_read_as_tc_reads_them() {
        for (text, bits) in [
            ("10mbit", 10_000_000),
            ("1gbit", 1_000_000_000),
            ("512kbit", 512_000),
            ("1Mibit", 1_048_576),
            ("1kbps", 8_000),
            ("9600", 9_600),
            ("5 mbit", 5_000_000),
        ] {
            assert_eq!(rate(text), Some(bits), "{text}");
        }
        for bad in ["", "0", "fast", "1.5mbit", "-1bit", "10mb", "99999999999tbit"] {
            assert_eq!(rate(bad), None, "{bad}");
        }
        assert_eq!((loss("0.5%"), loss("100"), loss("0")), (Some(0.5), Some(100.0), Some(0.0)));
        for bad in ["", "%", "101%", "-1", "NaN", "inf"] {
            assert_eq!(loss(bad), None, "{bad}");
        }
    }
}
