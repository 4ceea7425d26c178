//! Times as clients read them.

use store::{Node, Stamp};

const NANOS: u64 = 1_000_000_000;
const DAY_SECONDS: u64 = 86_400;

/// Year, month and day of a day counted from 1970-01-01 in the Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted in eras of 400 years that begin on 1 March, so that leap days come last.
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

fn put_padded(out: &mut Vec<u8>, number: u64, width: usize) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number);
    out.extend(std::iter::repeat_n(b'0', width.saturating_sub(digits.len())));
    out.extend_from_slice(digits.as_bytes());
}

fn put_clock(out: &mut Vec<u8>, seconds: u64) {
    let of_day = seconds % DAY_SECONDS;
    put_padded(out, of_day / 3600, 2);
    out.push(b':');
    put_padded(out, of_day / 60 % 60, 2);
    out.push(b':');
    put_padded(out, of_day % 60, 2);
}

/// Seconds since 1970 as `YYYYMMDD-HHMMSS` in UTC, for names of files.
pub(crate) fn compact(seconds: u64) -> String {
    let (year, month, day) = civil(seconds / DAY_SECONDS);
    let of_day = seconds % DAY_SECONDS;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
}

/// RFC 3339 in UTC, with as many digits of the second as are not zero (docs/spec/keys.md section
/// 4.6).
pub(crate) fn put_rfc3339(out: &mut Vec<u8>, nanos: u64) {
    let seconds = nanos / NANOS;
    let (year, month, day) = civil(seconds / DAY_SECONDS);
    put_padded(out, year, 4);
    out.push(b'-');
    put_padded(out, month, 2);
    out.push(b'-');
    put_padded(out, day, 2);
    out.push(b'T');
    put_clock(out, seconds);
    let fraction = nanos % NANOS;
    if fraction > 0 {
        out.push(b'.');
        put_padded(out, fraction, 9);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
    out.push(b'Z');
}

/// A moment as RFC 3339 writes it, in UTC, from nanoseconds since 1970; zeros at the end of the
/// fraction are left out.
pub fn rfc3339(nanos: u64) -> String {
    let mut out = Vec::with_capacity(32);
    put_rfc3339(&mut out, nanos);
    String::from_utf8(out).unwrap_or_default()
}

/// The date as HTTP headers write it.
pub(crate) fn http_date(wall_nanos: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = wall_nanos / NANOS;
    let days = seconds / DAY_SECONDS;
    let (year, month, day) = civil(days);
    let name = |names: &[&'static str], at: u64| {
        usize::try_from(at).ok().and_then(|at| names.get(at).copied()).unwrap_or("")
    };
    let mut clock = Vec::with_capacity(8);
    put_clock(&mut clock, seconds);
    format!(
        "{}, {day:02} {} {year:04} {} GMT",
        name(&DAYS, days % 7),
        name(&MONTHS, month - 1),
        String::from_utf8(clock).unwrap_or_default()
    )
}

/// A duration as Go prints it: `1h0m3.5s`, `350.1ms`, `0s` (docs/spec/stats.md section 2).
pub(crate) fn go_duration(nanos: u64) -> String {
    let fraction = |whole: u64, rest: u64, width: usize| {
        if rest == 0 {
            return whole.to_string();
        }
        let text = format!("{whole}.{rest:0width$}");
        text.trim_end_matches('0').to_owned()
    };
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}\u{b5}s", fraction(nanos / 1_000, nanos % 1_000, 3)),
        1_000_000..NANOS => format!("{}ms", fraction(nanos / 1_000_000, nanos % 1_000_000, 6)),
        _ => {
            let seconds = nanos / NANOS;
            let tail = format!("{}s", fraction(seconds % 60, nanos % NANOS, 9));
            match (seconds / 3600, seconds / 60 % 60) {
                (0, 0) => tail,
                (0, minutes) => format!("{minutes}m{tail}"),
                (hours, minutes) => format!("{hours}h{minutes}m{tail}"),
            }
        }
    }
}

/// When a node expires by the wall clock, in nanoseconds, and the seconds until then as `ttl` shows
/// them: rounded up; negative, and then rounded towards zero, when it is overdue.
pub(crate) fn expiration(node: &Node, now: Stamp) -> Option<(u64, i64)> {
    let lease = node.lease()?;
    let deadline = lease.deadline.0;
    let ttl = match deadline.checked_sub(now.time.0) {
        Some(left) => i64::try_from(left.div_ceil(NANOS)).unwrap_or(i64::MAX),
        None => -i64::try_from((now.time.0 - deadline) / NANOS).unwrap_or(i64::MAX),
    };
    Some((lease.shown(), ttl))
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{Command, KeyPath, Limits, Store, Timestamp, WallOffset};

    #[test]
    fn times_print_as_the_protocol_wants_them() {
        for (nanos, want) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400 * NANOS, "2000-02-29T00:00:00Z"),
            (1_709_251_199 * NANOS + 500_000_000, "2024-02-29T23:59:59.5Z"),
            (1_795_417_739 * NANOS + 711_478_460, "2026-11-23T07:08:59.71147846Z"),
            (4_102_444_800 * NANOS + 1, "2100-01-01T00:00:00.000000001Z"),
            (11_000_000_000 * NANOS, "2318-07-30T19:33:20Z"),
        ] {
            assert_eq!(rfc3339(nanos), want);
        }
        assert_eq!(http_date(784_111_777 * NANOS), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn durations_print_as_go_prints_them() {
        for (nanos, want) in [
            (0, "0s"),
            (7, "7ns"),
            (1_500, "1.5\u{b5}s"),
            (350_100_000, "350.1ms"),
            (24_648_619_798, "24.648619798s"),
            (78_544_996_775, "1m18.544996775s"),
            (3_603_000_000_000, "1h0m3s"),
            (7_380_500_000_000, "2h3m0.5s"),
        ] {
            assert_eq!(go_duration(nanos), want);
        }
    }
    #[test]
    fn the_seconds_left_are_rounded_up_and_those_since_towards_zero() {
        let base = 1_795_417_734_709_747_376;
        let mut store = Store::new(Limits::default());
        let path = KeyPath::parse("/k").expect("clean");
        let command = Command::Set { path, value: "", dir: false, ttl: Some(5), refresh: false };
        let set_at = Stamp { time: Timestamp(base), ..Stamp::default() };
        store.apply(&command, set_at, &mut Vec::new()).expect("applies");
        let node = store.get(path).expect("is there");
        for (passed, want) in [
            (0, 5),
            (1, 5),
            (NANOS - 1, 5),
            (NANOS, 4),
            (5 * NANOS - 1, 1),
            (5 * NANOS, 0),
            (6 * NANOS - 1, 0),
            (6 * NANOS, -1),
            (7 * NANOS + 1, -2),
        ] {
            let now = Stamp { time: Timestamp(base + passed), ..Stamp::default() };
            assert_eq!(expiration(&node, now), Some((base + 5 * NANOS, want)), "{passed}");
        }
        let offset = WallOffset(-2_000_000_000);
        let now = Stamp { time: Timestamp(base), wall_offset: offset };
        assert_eq!(expiration(&node, now), Some((base + 5 * NANOS, 5)), "it stays as it was");
        store.apply(&command, now, &mut Vec::new()).expect("applies");
        let node = store.get(path).expect("is there");
        assert_eq!(expiration(&node, set_at), Some((base + 3 * NANOS, 5)), "a new one is another");
        let root = store.get(KeyPath::ROOT).expect("is there");
        assert_eq!(expiration(&root, now), None);
    }

    #[test]
    fn days_follow_each_other_for_a_thousand_years() {
        let mut before = (1969, 12, 31);
        for day in 0..365_250 {
            let (year, month, day_of_month) = civil(day);
            let follows = (year, month, day_of_month) == (before.0, before.1, before.2 + 1)
                || (day_of_month == 1 && before.2 >= 28)
                    && ((year, month) == (before.0, before.1 + 1)
                        || (year, month, before.1) == (before.0 + 1, 1, 12));
            assert!(follows, "{before:?} and then {year}-{month}-{day_of_month}");
            before = (year, month, day_of_month);
        }
        assert_eq!(before, (2970, 1, 7));
        assert_eq!((civil(11_016), civil(11_017)), ((2000, 2, 29), (2000, 3, 1)));
        assert_eq!((civil(47_540), civil(47_541)), ((2100, 2, 28), (2100, 3, 1)));
    }
}
