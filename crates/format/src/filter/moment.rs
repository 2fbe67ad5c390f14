//! The times that `until` takes.
//!
//! Source: "Filtering" in Docker's documentation of `network prune`: an age as Go writes durations, RFC 3339 whole or
//! cut short, or Unix seconds.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970 in UTC.
pub(super) type Nanos = i128;

const SECOND: Nanos = 1_000_000_000;

/// The units of an age; a longer name comes before the one that it starts with.
const UNITS: [(&str, Nanos); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3600 * SECOND),
];

pub(super) fn of_time(time: SystemTime) -> Nanos {
    let nanos = |distance: std::time::Duration| i128::try_from(distance.as_nanos()).unwrap_or(Nanos::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => nanos(since),
        Err(before) => -nanos(before.duration()),
    }
}

/// None for what no clock of this machine can say.
pub(super) fn to_time(nanos: Nanos) -> Option<SystemTime> {
    let distance = std::time::Duration::from_nanos(u64::try_from(nanos.unsigned_abs()).ok()?);
    match nanos >= 0 {
        true => UNIX_EPOCH.checked_add(distance),
        false => UNIX_EPOCH.checked_sub(distance),
    }
}

/// An age before `now`, or a time of its own.
pub(super) fn parse(text: &str, now: SystemTime) -> Option<Nanos> {
    age(text).and_then(|age| of_time(now).checked_sub(age)).or_else(|| absolute(text))
}

/// A time that needs no other: Unix seconds, or a date with or without a time and a zone.
pub(super) fn absolute(text: &str) -> Option<Nanos> {
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return decimal(text);
    }
    date_and_time(text)
}

/// `1h30m`, `1.5h`: numbers with units, one after the other.
fn age(text: &str) -> Option<Nanos> {
    let mut rest = text;
    let mut total: Nanos = 0;
    while !rest.is_empty() {
        let length = rest.find(|next: char| !next.is_ascii_digit() && next != '.')?;
        let amount = decimal(&rest[..length])?;
        rest = &rest[length..];
        let (name, unit) = UNITS.iter().find(|(name, _)| rest.starts_with(name))?;
        total = total.checked_add(amount.checked_mul(*unit)? / SECOND)?;
        rest = &rest[name.len()..];
    }
    (!text.is_empty()).then_some(total)
}

/// A decimal number in units of 10⁻⁹, cut after nine decimals.
fn decimal(text: &str) -> Option<Nanos> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits || whole.len() > 15 {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { digits(whole)? };
    let kept: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    Some(whole * SECOND + digits(&kept)?)
}

fn digits(text: &str) -> Option<Nanos> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// `2024-01-31`, `2024-01-31T12`, `…T12:00`, `…T12:00:00`, `…T12:00:00.5`, each with `Z`, `+01:00` or no zone.
fn date_and_time(text: &str) -> Option<Nanos> {
    let (date, after) = (text.get(..10)?, text.get(10..)?);
    let (clock, zone) = match after.strip_prefix(['T', 't', ' ']) {
        Some(rest) => rest.split_at(rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len())),
        None => ("", after),
    };
    if after.starts_with(['T', 't', ' ']) && clock.is_empty() {
        return None;
    }
    let days = days_since_epoch(date)?;
    Some(days * 86_400 * SECOND + time_of_day(clock)? - zone_offset(zone)?)
}

fn time_of_day(clock: &str) -> Option<Nanos> {
    if clock.is_empty() {
        return Some(0);
    }
    let mut parts = clock.split(':');
    let hours = two_digits(parts.next()?, 23)?;
    let minutes = parts.next().map_or(Some(0), |part| two_digits(part, 59))?;
    let seconds = match parts.next() {
        None => 0,
        Some(part) => {
            two_digits(part.get(..2)?, 60)?;
            decimal(part).filter(|_| part.len() == 2 || part[2..].starts_with('.'))?
        }
    };
    parts.next().is_none().then_some((hours * 3600 + minutes * 60) * SECOND + seconds)
}

fn zone_offset(zone: &str) -> Option<Nanos> {
    if matches!(zone, "" | "Z" | "z") {
        return Some(0);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let seconds = two_digits(hours, 23)? * 3600 + two_digits(minutes, 59)? * 60;
    match zone.as_bytes()[0] {
        b'+' => Some(seconds * SECOND),
        b'-' => Some(-seconds * SECOND),
        _ => None,
    }
}

fn two_digits(text: &str, most: Nanos) -> Option<Nanos> {
    digits(text).filter(|number| text.len() == 2 && *number <= most)
}

/// The days from 1970-01-01 to a date of the Gregorian calendar.
///
/// Counts years from March, so that a leap day ends its year.
fn days_since_epoch(date: &str) -> Option<Nanos> {
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if year.len() != 4 || parts.next().is_some() {
        return None;
    }
    let (year, month, day) = (digits(year)?, two_digits(month, 12)?, two_digits(day, 31)?);
    if month == 0 || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    let from_march = (month + 9) % 12;
    let year = if month <= 2 { year - 1 } else { year };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    const MARCH_OF_YEAR_0_TO_1970: Nanos = 719_468;
    Some(year * 365 + leap_days + day_of_year - MARCH_OF_YEAR_0_TO_1970)
}

fn days_in_month(year: Nanos, month: Nanos) -> Nanos {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
