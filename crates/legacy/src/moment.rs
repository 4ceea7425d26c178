//! Points in time of the wall clock.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Nanoseconds since 1970. The times of the first servers go beyond 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) i128);

/// A string is not a time in the format of RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidTime;

/// 0001-01-01T00:00:00Z, with which the servers say "none".
const NONE: Moment = Moment(-62_135_596_800_000_000_000);

/// 2000-01-01T00:00:00Z. The servers take earlier deadlines of a set or create for none.
pub(crate) const YEAR_2000: Moment = Moment(946_684_800_000_000_000);

impl Moment {
    /// Reads a time of RFC 3339, with up to nine fractional digits and any zone offset. An absent
    /// (empty) time and the year 1 mean none.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, InvalidTime> {
        if text.is_empty() {
            return Ok(None);
        }
        let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InvalidTime)?;
        Ok(Some(Moment(time.unix_timestamp_nanos())).filter(|moment| *moment != NONE))
    }

    /// The number of a request of 2.x: nanoseconds, 0 for none.
    pub(crate) fn from_nanos(nanos: i64) -> Option<Self> {
        (nanos != 0).then_some(Moment(i128::from(nanos)))
    }

    /// Nanoseconds since 1970, at most those that 64 bits hold (the year 2554).
    pub(crate) fn saturate(self) -> u64 {
        u64::try_from(self.0.max(0)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_nanosecond_in_any_zone() {
        for (text, want) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-23T07:13:39.71147846Z", 1_795_418_019_711_478_460),
            ("2026-11-23T00:13:39.71147846-07:00", 1_795_418_019_711_478_460),
            ("2319-01-01T00:00:00.000000001Z", 11_013_321_600_000_000_001),
        ] {
            assert_eq!(Moment::parse(text), Ok(Some(Moment(want))), "{text}");
        }
        assert_eq!(Moment::parse("2000-01-01T00:00:00Z"), Ok(Some(YEAR_2000)));
    }

    #[test]
    fn no_time_and_the_year_one_mean_none() {
        assert_eq!(Moment::parse(""), Ok(None));
        assert_eq!(Moment::parse("0001-01-01T00:00:00Z"), Ok(None));
        assert_eq!(Moment::parse("0001-01-01T02:00:00+02:00"), Ok(None));
        assert_eq!(Moment::parse("yesterday"), Err(InvalidTime));
    }

    #[test]
    fn what_64_bits_do_not_hold_is_cut() {
        assert_eq!(Moment(-1).saturate(), 0);
        assert_eq!(Moment(i128::MAX).saturate(), u64::MAX);
    }
}
