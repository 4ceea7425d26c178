//! What was measured: how long each request took, and every error.

use crate::failure::Failure;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest time that is told apart: 10 min, in microseconds.
const MICROS_MAX: u64 = 600_000_000;

/// Significant digits of times.
const DIGITS: u8 = 3;

/// Texts of errors that are kept apart. What is beyond is counted together.
const TEXTS_MAX: usize = 20;
const OTHERS: &str = "other errors";

/// Bytes of such a text.
const TEXT_BYTES_MAX: usize = 300;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Put,
    Get,
    /// From a write to its event.
    Event,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::Event => "event",
        }
    }
}

/// The requests of one kind.
#[derive(Debug)]
pub(super) struct Series {
    times: Histogram<u64>,
    pub(super) errors: u64,
}

impl Series {
    fn new() -> Self {
        let times = Histogram::new_with_bounds(1, MICROS_MAX, DIGITS);
        Self { times: times.expect("the bounds are constants that are valid"), errors: 0 }
    }

    /// Requests that were answered without an error.
    pub(super) fn count(&self) -> u64 {
        self.times.len()
    }

    /// The time that a share of the requests did not exceed, in milliseconds.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        self.times.value_at_quantile(share) as f64 / 1000.0
    }

    /// The longest time, in milliseconds.
    pub(super) fn max(&self) -> f64 {
        self.times.max() as f64 / 1000.0
    }
}

/// What was measured.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) series: BTreeMap<Kind, Series>,
    /// How often each error came.
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) first: Option<Failure>,
}

impl Tally {
    fn of(&mut self, kind: Kind) -> &mut Series {
        self.series.entry(kind).or_insert_with(Series::new)
    }

    /// A request was answered.
    pub(super) fn took(&mut self, kind: Kind, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.of(kind).times.saturating_record(micros.max(1));
    }

    /// A request failed.
    pub(super) fn failed(&mut self, kind: Kind, failure: Failure) {
        self.of(kind).errors += 1;
        self.count_error(&failure.to_string(), 1);
        self.first.get_or_insert(failure);
    }

    fn count_error(&mut self, text: &str, count: u64) {
        let end = text.floor_char_boundary(TEXT_BYTES_MAX);
        let text = without_index(text.get(..end).unwrap_or_default());
        let is_new = !self.errors.contains_key(text);
        let text = if is_new && self.errors.len() >= TEXTS_MAX { OTHERS } else { text };
        *self.errors.entry(text.to_owned()).or_default() += count;
    }

    /// Adds what another connection has measured.
    pub(super) fn add(&mut self, other: Self) {
        for (kind, series) in other.series {
            let own = self.of(kind);
            own.errors += series.errors;
            own.times.add(&series.times).expect("all have the same bounds");
        }
        for (text, count) in other.errors {
            self.count_error(&text, count);
        }
        self.first = self.first.take().or(other.first);
    }
}

/// An error without the index of its moment, as in `100: Key not found (/a) [7]`.
fn without_index(text: &str) -> &str {
    let Some((head, index)) = text.rsplit_once(" [") else { return text };
    let index = index.strip_suffix(']');
    let is_index = index.is_some_and(|index| index.bytes().all(|byte| byte.is_ascii_digit()));
    if is_index { head } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_counts_in_all_that_is_told_of_them() {
        let (mut one, mut other) = (Tally::default(), Tally::default());
        for ms in 1..=99 {
            one.took(Kind::Put, Duration::from_millis(ms));
        }
        other.took(Kind::Put, Duration::from_secs(1));
        other.took(Kind::Get, Duration::ZERO);
        one.add(other);
        let puts = &one.series[&Kind::Put];
        assert_eq!((puts.count(), puts.errors, one.series[&Kind::Get].count()), (100, 0, 1));
        let close = |ms: f64, want: f64| (ms / want - 1.0).abs() < 0.01;
        assert!(close(puts.quantile(0.5), 50.0) && close(puts.quantile(0.9), 90.0));
        assert!(close(puts.quantile(0.99), 99.0) && close(puts.max(), 1000.0));
        // What takes longer than can be told apart is not dropped.
        one.took(Kind::Put, Duration::from_secs(100_000));
        assert_eq!(one.series[&Kind::Put].count(), 101);
    }

    #[test]
    fn every_error_counts_and_few_texts_are_kept() {
        let mut all = Tally::default();
        for number in 0..100 {
            let mut one = Tally::default();
            one.failed(Kind::Get, Failure::Local(format!("100: Key not found (/a) [{number}]")));
            one.failed(Kind::Put, Failure::Local(format!("error {number}")));
            all.add(one);
        }
        assert_eq!(all.errors["100: Key not found (/a)"], 100);
        assert_eq!(all.errors.len(), TEXTS_MAX + 1);
        assert_eq!(all.errors.values().sum::<u64>(), 200);
        assert_eq!(all.series[&Kind::Put].errors + all.series[&Kind::Get].errors, 200);
        assert_eq!(all.first, Some(Failure::Local("100: Key not found (/a) [0]".to_owned())));
        let long = "\u{e9}".repeat(1000);
        all.failed(Kind::Put, Failure::Local(long));
        assert!(all.errors.keys().all(|text| text.len() <= TEXT_BYTES_MAX));
    }
}
