//! Values as they are written, and what they mean: numbers, times and sizes with their units.

use crate::setting::Kind;

/// Longest time or size that is looked at, in bytes of text.
const TEXT_MAX: usize = 64;

/// Units of time in nanoseconds, as Go writes them, and days.
const TIMES: [(&str, u128); 9] = [
    ("ns", 1),
    ("us", 1000),
    ("\u{b5}s", 1000),
    ("\u{3bc}s", 1000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Units of size in bytes, in small letters.
const SIZES: [(&str, u128); 9] = [
    ("b", 1),
    ("kb", 1000),
    ("kib", 1 << 10),
    ("mb", 1_000_000),
    ("mib", 1 << 20),
    ("gb", 1_000_000_000),
    ("gib", 1 << 30),
    ("tb", 1_000_000_000_000),
    ("tib", 1 << 40),
];

/// The value in the form in which it is kept: a time or a size as a number of its base unit.
///
/// # Errors
/// What is expected in its place.
pub(crate) fn normal(kind: Kind, value: &str) -> Result<String, String> {
    match kind {
        Kind::Text | Kind::List => Ok(value.to_owned()),
        Kind::Bool if matches!(value, "true" | "false") => Ok(value.to_owned()),
        Kind::Bool => Err("expected true or false".to_owned()),
        Kind::Number(min, max) => whole(value, (min, max), None, "a whole number"),
        Kind::Bytes(min, max) => {
            let with_unit = |text: &str| size(text).map(|bytes| (bytes, 1));
            let wanted = "a whole number of bytes, or a size with a unit, as in 64KiB or 10MB";
            whole(value, (min, max), Some(&with_unit), wanted)
        }
        Kind::Micros(min, max) => {
            let with_unit = |text: &str| time(text).map(|ns| (ns, 1000));
            let wanted = "a whole number of microseconds, or a time with a unit, as in 50us";
            whole(value, (min, max), Some(&with_unit), wanted)
        }
        Kind::Millis(min, max) => {
            let with_unit = |text: &str| time(text).map(|ns| (ns, 1_000_000));
            let wanted =
                "a whole number of milliseconds, or a time with a unit, as in 250ms or 1m30s";
            whole(value, (min, max), Some(&with_unit), wanted)
        }
        Kind::Seconds => seconds(value).ok_or_else(|| {
            "expected a number of seconds, or a time with a unit, as in 250ms or 1m30s".to_owned()
        }),
        Kind::Choice(words) if words.contains(&value) => Ok(value.to_owned()),
        Kind::Choice(words) => Err(format!("expected one of {}", words.join(", "))),
    }
}

/// A value as people are shown it: in a form that means the same when it is written again.
pub(crate) fn shown(kind: Kind, value: &str) -> String {
    match kind {
        _ if value.is_empty() => String::new(),
        Kind::Bytes(..) => match value.parse::<u64>() {
            Ok(bytes) => size_of(bytes),
            Err(_) => value.to_owned(),
        },
        Kind::Micros(..) => format!("{value}us"),
        Kind::Millis(..) => format!("{value}ms"),
        Kind::Seconds => format!("{value}s"),
        _ => value.to_owned(),
    }
}

/// Reads a text with a unit: how many there are, and how many of them make one of the base unit.
type WithUnit<'a> = &'a dyn Fn(&str) -> Option<(u128, u128)>;

fn whole(
    value: &str,
    (min, max): (u64, u64),
    with_unit: Option<WithUnit<'_>>,
    wanted: &str,
) -> Result<String, String> {
    let is_bare = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let number = match with_unit.filter(|_| !is_bare).and_then(|read| read(value)) {
        Some((count, each)) if count % each == 0 => u64::try_from(count / each).ok(),
        Some(_) => None,
        None => value.parse::<u64>().ok(),
    };
    match number {
        Some(number) if (min..=max).contains(&number) => Ok(number.to_string()),
        Some(_) => Err(format!("expected a number from {min} to {max}")),
        None => Err(format!("expected {wanted}")),
    }
}

fn seconds(value: &str) -> Option<String> {
    if let Ok(seconds) = value.parse::<f64>() {
        return (seconds.is_finite() && seconds >= 0.0).then(|| value.to_owned());
    }
    let ns = time(value)?;
    let (whole, rest) = (ns / 1_000_000_000, ns % 1_000_000_000);
    let text = if rest == 0 { whole.to_string() } else { format!("{whole}.{rest:09}") };
    Some(if rest == 0 { text } else { text.trim_end_matches('0').to_owned() })
}

/// A time in nanoseconds: numbers with a unit each, without anything between them.
pub(crate) fn time(text: &str) -> Option<u128> {
    let mut sum: u128 = 0;
    let mut rest = Some(text).filter(|text| !text.is_empty() && text.len() <= TEXT_MAX)?;
    while !rest.is_empty() {
        let (number, after) = number(rest)?;
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at_checked(end)?;
        let (_, ns) = TIMES.iter().find(|(name, _)| *name == unit)?;
        sum = sum.checked_add(number.times(*ns)?)?;
        rest = next;
    }
    Some(sum)
}

/// A size in bytes: one number with a unit.
fn size(text: &str) -> Option<u128> {
    let text = Some(text).filter(|text| text.len() <= TEXT_MAX)?;
    let (number, unit) = number(text)?;
    let unit = unit.trim_start().to_ascii_lowercase();
    let (_, bytes) = SIZES.iter().find(|(name, _)| *name == unit)?;
    number.times(*bytes)
}

/// A decimal number: its digits, and how many of them are behind the point.
struct Decimal {
    digits: u128,
    places: u32,
}

impl Decimal {
    /// So many of a unit, if that is a whole number.
    fn times(&self, unit: u128) -> Option<u128> {
        let scale = 10_u128.checked_pow(self.places)?;
        let product = self.digits.checked_mul(unit)?;
        (product % scale == 0).then_some(product / scale)
    }
}

/// The number that a text begins with, and what follows it.
fn number(text: &str) -> Option<(Decimal, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(end)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() > 18 || fraction.contains('.') {
        return None;
    }
    let digits = format!("{whole}{fraction}").parse().ok()?;
    Some((Decimal { digits, places: u32::try_from(fraction.len()).ok()? }, rest))
}

/// A size with the largest unit of 1024 that it is a multiple of.
fn size_of(bytes: u64) -> String {
    let units = [("TiB", 40_u32), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let fits = |(_, bits): &&(&str, u32)| bytes > 0 && bytes.trailing_zeros() >= *bits;
    match units.iter().find(fits) {
        Some((name, bits)) => format!("{}{name}", bytes >> bits),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: Kind = Kind::Bytes(0, 1 << 40);
    const MILLIS: Kind = Kind::Millis(10, 60_000);

    #[test]
    fn a_number_keeps_its_unit_and_a_unit_says_its_own() {
        for (kind, written, want, back) in [
            (BYTES, "4096", "4096", "4KiB"),
            (BYTES, "0", "0", "0B"),
            (BYTES, "10MB", "10000000", "10000000B"),
            (BYTES, "10MiB", "10485760", "10MiB"),
            (BYTES, "1.5 kib", "1536", "1536B"),
            (MILLIS, "250", "250", "250ms"),
            (MILLIS, "5s", "5000", "5000ms"),
            (MILLIS, "0.25s", "250", "250ms"),
            (Kind::Millis(0, 1 << 40), "1h1m1s1ms", "3661001", "3661001ms"),
            (Kind::Micros(0, 1000), "50\u{b5}s", "50", "50us"),
            (Kind::Micros(0, 1000), "1ms", "1000", "1000us"),
            (Kind::Seconds, "1.50", "1.50", "1.50s"),
            (Kind::Seconds, "1m30s", "90", "90s"),
            (Kind::Seconds, "250ms", "0.25", "0.25s"),
            (Kind::Seconds, "7d", "604800", "604800s"),
        ] {
            let kept = normal(kind, written).expect(written);
            assert_eq!(kept, want, "{written}");
            assert_eq!(shown(kind, &kept), back, "{written}");
            let again = normal(kind, &shown(kind, &kept)).expect("what is shown can be written");
            assert_eq!(again.parse::<f64>(), kept.parse::<f64>(), "{written}");
        }
    }

    #[test]
    fn what_is_no_value_is_refused_with_what_is() {
        for (kind, written, want) in [
            (BYTES, "10M", "expected a whole number of bytes, or a size with a unit"),
            (BYTES, "1.3B", "expected a whole number of bytes"),
            (BYTES, "-1", "expected a whole number"),
            (BYTES, "", "expected a whole number"),
            (BYTES, "99999999999999999999TiB", "expected a whole number"),
            (BYTES, "2TiB", "expected a number from 0 to 1099511627776"),
            (MILLIS, "5ms", "expected a number from 10 to 60000"),
            (MILLIS, "1500us", "expected a whole number of milliseconds"),
            (MILLIS, "5 s", "expected a whole number of milliseconds"),
            (MILLIS, "5sec", "a time with a unit, as in 250ms or 1m30s"),
            (MILLIS, "s", "expected a whole number of milliseconds"),
            (MILLIS, ".s", "expected a whole number of milliseconds"),
            (MILLIS, "1.2.3s", "expected a whole number of milliseconds"),
            (Kind::Seconds, "-1s", "expected a number of seconds"),
            (Kind::Seconds, "NaN", "expected a number of seconds"),
            (Kind::Seconds, "1m30", "expected a number of seconds"),
            (Kind::Seconds, "1\u{20ac}", "expected a number of seconds"),
            (Kind::Number(1, 5), "1s", "expected a whole number"),
        ] {
            let refused = normal(kind, written).expect_err(written);
            assert!(refused.contains(want), "{written}: {refused}");
        }
        assert!(normal(Kind::Seconds, &"1s".repeat(1 << 20)).is_err());
        assert_eq!(time(&"1s".repeat(32)), Some(32_000_000_000));
    }
}
