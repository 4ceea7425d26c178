//! RFC 3339 times as seconds since 1970.

/// Seconds since 1970, or nothing where the text is no time.
pub(crate) fn parse_time(text: &str) -> Option<f64> {
    if !text.is_ascii() || text.len() < 20 {
        return None;
    }
    let (front, rest) = text.split_at(19);
    let bytes = front.as_bytes();
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|(at, wanted)| bytes[*at] != *wanted) {
        return None;
    }
    let field = |from: usize, to: usize| number(&front[from..to]);
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    let in_range = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range {
        return None;
    }
    let zone_at = rest.find(['Z', '+', '-'])?;
    let (fraction, zone) = rest.split_at(zone_at);
    let fraction = match fraction.strip_prefix('.') {
        Some(digits) => number(digits).and_then(|_| fraction.parse::<f64>().ok())?,
        None if fraction.is_empty() => 0.0,
        None => return None,
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    // Seconds of four-digit years stay far below 2^53, so the float is exact.
    Some((seconds - offset(zone)?) as f64 + fraction)
}

fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, rest) = zone.split_at(1);
    let (hours, minutes) = rest.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let seconds = number(hours)? * 3600 + number(minutes)? * 60;
    Some(if sign == "-" { -seconds } else { seconds })
}

fn number(digits: &str) -> Option<i64> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// Days since 1970-01-01 in the Gregorian calendar, years counted from March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_utc_and_zones() {
        assert_eq!(parse_time("1970-01-01T00:00:00Z"), Some(0.0));
        assert_eq!(parse_time("2000-03-01T00:00:00.5Z"), Some(951_868_800.5));
        assert_eq!(parse_time("2013-12-04T12:01:21-08:00"), parse_time("2013-12-04T20:01:21Z"));
    }

    #[test]
    fn refuses_other_text() {
        for text in
            ["", "2013-12-04", "2013-12-04T12:01:21", "2013-13-04T12:01:21Z", "x", "yesterday"]
        {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }
}
