//! When certificates end. A connection that is open goes on past that day, and no new one is made:
//! a cluster dies of it at its next restart, unless somebody is told before.

use crate::http::time::rfc3339;
use crate::notice::notice;
use crate::text::span;
use rustls::pki_types::CertificateDer;
use std::path::{Path, PathBuf};

const SECOND_NS: u64 = 1_000_000_000;
const DAY_SECONDS: u64 = 86_400;

/// From so many days before it on the end of a certificate is told.
const WARN_DAYS: u64 = 30;

/// The time between two lines about it: one day.
const REPEAT_NS: u64 = DAY_SECONDS * SECOND_NS;

/// A file with a certificate, and when that ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expiry {
    pub(crate) file: PathBuf,
    /// Seconds since 1970.
    pub(crate) at: u64,
    told_at: Option<u64>,
}

impl Expiry {
    /// The end of the certificate in `file` that ends first, as far as it can be told.
    pub(super) fn of(file: &Path, chain: &[CertificateDer<'_>]) -> Option<Self> {
        let at = chain.iter().filter_map(|one| not_after(one)).min()?;
        Some(Self { file: file.to_owned(), at, told_at: None })
    }

    /// How long it is valid still, in nanoseconds; nothing if it has ended. `now` is the wall
    /// clock.
    pub(crate) fn left_ns(&self, now: u64) -> Option<u64> {
        self.at.saturating_mul(SECOND_NS).checked_sub(now)
    }

    /// Tells the end if it is near, at the start and once a day.
    pub(super) fn tell(&mut self, now: u64) {
        let left = self.left_ns(now);
        let is_near = left.is_none_or(|left| left <= WARN_DAYS * DAY_SECONDS * SECOND_NS);
        let is_due = self.told_at.is_none_or(|at| now.saturating_sub(at) >= REPEAT_NS);
        if !is_near || !is_due {
            return;
        }
        self.told_at = Some(now);
        let (file, date) = (self.file.display(), rfc3339(self.at.saturating_mul(SECOND_NS)));
        let about = file.to_string();
        match left {
            Some(left) => notice!(
                CertificateEnds,
                &about,
                "{file}, on {date}, in {}: replace the file, which is read again without a restart",
                span(left)
            ),
            None => notice!(
                CertificateEnded,
                &about,
                "{file}, on {date}: others refuse new connections. Replace the file, which is \
                 read again without a restart"
            ),
        }
    }
}

/// The contents of the DER element at the beginning, its tag, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        len @ 0..=0x7f => (usize::from(*len), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let len = bytes.iter().fold(0_usize, |len, byte| (len << 8) | usize::from(*byte));
            (len, rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(len)?;
    Some((*tag, contents, rest))
}

/// The validity of a certificate, and what follows it (RFC 5280, 4.1).
fn validity(der: &[u8]) -> Option<(&[u8], &[u8])> {
    const VERSION: u8 = 0xa0;
    let (_, certificate, _) = element(der)?;
    let (_, mut rest, _) = element(certificate)?;
    if *rest.first()? == VERSION {
        (_, _, rest) = element(rest)?;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        (_, _, rest) = element(rest)?;
    }
    let (_, validity, behind) = element(rest)?;
    Some((validity, behind))
}

/// `notAfter` of a certificate, in seconds since 1970 (RFC 5280, 4.1.2.5).
pub(super) fn not_after(der: &[u8]) -> Option<u64> {
    let (validity, _) = validity(der)?;
    let (_, _, behind) = element(validity)?;
    let (tag, time, _) = element(behind)?;
    seconds(tag, time)
}

/// The common name in the subject of a certificate (RFC 5280, 4.1.2.6); the last one of several, as
/// etcd takes it.
pub(crate) fn common_name(der: &[u8]) -> Option<String> {
    const COMMON_NAME: &[u8] = &[0x55, 4, 3];
    const UTF8: u8 = 0x0c;
    const PRINTABLE: u8 = 0x13;
    const IA5: u8 = 0x16;
    let (_, behind) = validity(der)?;
    let (_, mut names, _) = element(behind)?;
    let mut found = None;
    while !names.is_empty() {
        let (_, set, rest) = element(names)?;
        names = rest;
        let (_, pair, _) = element(set)?;
        let (_, kind, value) = element(pair)?;
        let (tag, text, _) = element(value)?;
        if kind == COMMON_NAME && matches!(tag, UTF8 | PRINTABLE | IA5) {
            found = Some(std::str::from_utf8(text).ok()?.to_owned());
        }
    }
    found
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`, in seconds since 1970.
fn seconds(tag: u8, time: &[u8]) -> Option<u64> {
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    let text = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: u64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<u64>().ok();
    let (month, day) = (part(0)?, part(2)?);
    let of_day = part(4)? * 3600 + part(6)? * 60 + part(8)?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year < 1970 {
        return None;
    }
    Some(days(year, month, day) * DAY_SECONDS + of_day)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar.
fn days(year: u64, month: u64, day: u64) -> u64 {
    // Years that begin on 1 March, so that leap days come last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_years = year * 365 + year / 4 - year / 100 + year / 400;
    of_years + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_time_are_read() {
        for (tag, text, want) in [
            (0x17, "700101000000Z", Some(0)),
            (0x17, "261130162833Z", Some(1_796_056_113)),
            (0x17, "491231235959Z", Some(2_524_607_999)),
            (0x18, "20500101000000Z", Some(2_524_608_000)),
            (0x18, "20240229120000Z", Some(1_709_208_000)),
            (0x18, "99991231235959Z", Some(253_402_300_799)),
            (0x17, "261330162833Z", None),
            (0x17, "26113016283Z", None),
            (0x18, "261130162833", None),
            (0x05, "261130162833Z", None),
            (0x17, "\u{e9}1130162833Z", None),
            (0x17, "", None),
        ] {
            assert_eq!(seconds(tag, text.as_bytes()), want, "{text}");
        }
    }

    fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
        let len = u8::try_from(contents.len()).expect("short");
        let mut out = if len < 0x80 { vec![tag, len] } else { vec![tag, 0x81, len] };
        out.extend_from_slice(contents);
        out
    }

    #[test]
    fn the_end_of_a_certificate_is_found_and_garbage_has_none() {
        let time = |text: &str| der(0x17, text.as_bytes());
        let validity = der(0x30, &[time("250101000000Z"), time("261130162833Z")].concat());
        let issuer = der(0x30, &[7; 60]);
        let head = [der(0xa0, &[2, 1, 2]), der(2, &[1]), der(0x30, &[6, 0]), issuer].concat();
        let tail = der(0x30, &[9; 40]);
        let certificate = der(0x30, &der(0x30, &[head, validity, tail].concat()));
        assert_eq!(not_after(&certificate), Some(1_796_056_113));
        for end in 0..certificate.len() {
            let cut = certificate.get(..end).expect("shorter");
            assert_eq!(not_after(cut), None, "{end} bytes");
        }
        for bytes in [&[0x30, 0x84, 255, 255, 255, 255][..], &[0x30, 0x80], &[0; 64], &[0x30]] {
            assert_eq!(not_after(bytes), None);
        }
    }

    #[test]
    fn what_is_left_is_counted_from_the_wall_clock() {
        let expiry = Expiry { file: PathBuf::from("cert.pem"), at: 100, told_at: None };
        assert_eq!(expiry.left_ns(40 * SECOND_NS), Some(60 * SECOND_NS));
        assert_eq!(expiry.left_ns(101 * SECOND_NS), None);
    }
}
