//! What a member counted in the last hour, in rows of a few numbers: `/v2/stats/history`.
//!
//! Nothing is counted for it that is not counted anyway. Every few seconds the counters are looked
//! at, and what they have gained since the last look is a row. Rows end at whole steps of the wall
//! clock, so that those of several members, and of several questions, fit together; between them
//! counts the monotonic clock.

use crate::metrics::Counts;
use replica::Now;
use std::collections::VecDeque;

/// The numbers of a row, in the order in which they are printed.
pub(crate) const COLUMNS: [&str; 13] = [
    "writes",
    "reads",
    "writeSeconds",
    "writeSecondsP99",
    "syncSeconds",
    "syncSecondsP99",
    "watchers",
    "connections",
    "memory",
    "keys",
    "expired",
    "leaderChanges",
    "lag",
];

/// A row; what is not known is no number.
pub(crate) type Row = [f64; COLUMNS.len()];

/// Milliseconds and number of the rows: ten minutes, and an hour.
const FINE: (u64, usize) = (5_000, 120);
const COARSE: (u64, usize) = (60_000, 60);

/// Over how many fine rows [`Trend::sync_p99`] goes: a minute.
const MINUTE_ROWS: usize = 12;

/// A wall clock that is so little behind the end of a row has reached it: 500 ms.
const SLACK_MS: u64 = 500;

const MS_NS: u64 = 1_000_000;

/// What was counted since the start, as it is at some moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) reads: u64,
    pub(crate) expired: u64,
    pub(crate) leader_changes: u64,
    /// From the arrival of a write to its outcome.
    pub(crate) writes: Counts,
    /// Syncs of the log.
    pub(crate) syncs: Counts,
}

/// What is now, and is not counted up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) watchers: u64,
    pub(crate) connections: u64,
    pub(crate) memory: u64,
    pub(crate) keys: u64,
}

/// Rows of one length.
#[derive(Debug)]
pub(crate) struct Series {
    /// Milliseconds of a row.
    pub(crate) step: u64,
    capacity: usize,
    /// When the last row ended, or the first one begins, by the wall clock in milliseconds.
    pub(crate) end: u64,
    rows: VecDeque<Row>,
    /// The same moment by the monotonic clock, in nanoseconds.
    end_at: u64,
    /// What was counted when that row was made, and when that was.
    before: (u64, Totals),
    /// The longest lag since then, in entries.
    lag: u64,
}

impl Series {
    fn new((step, capacity): (u64, usize), now: Now, totals: Totals) -> Self {
        let (end, end_at) = last_end(now, step);
        let rows = VecDeque::with_capacity(capacity + 1);
        Self { step, capacity, end, rows, end_at, before: (now.monotonic, totals), lag: 0 }
    }

    /// When the next row ends, by the monotonic clock.
    fn due(&self) -> u64 {
        self.end_at.saturating_add(self.step * MS_NS)
    }

    /// Makes the row that has ended, if one has.
    fn close(&mut self, now: Now, totals: &Totals, gauges: Gauges) -> bool {
        if now.monotonic < self.due() {
            return false;
        }
        let (end, end_at) = last_end(now, self.step);
        let half = self.step * MS_NS / 2;
        let passed = (end_at.saturating_sub(self.end_at) + half) / (self.step * MS_NS);
        // This process stood still, and counted nothing.
        let missed = usize::try_from(passed.saturating_sub(1)).unwrap_or(usize::MAX);
        let missed = if self.rows.is_empty() { 0 } else { missed.min(self.capacity) };
        self.rows.extend(std::iter::repeat_n([f64::NAN; COLUMNS.len()], missed));
        self.rows.push_back(self.row(now, totals, gauges));
        let surplus = self.rows.len().saturating_sub(self.capacity);
        self.rows.drain(..surplus);
        (self.end, self.end_at) = (end, end_at);
        (self.before, self.lag) = ((now.monotonic, *totals), 0);
        true
    }

    fn row(&self, now: Now, totals: &Totals, gauges: Gauges) -> Row {
        let (at, before) = &self.before;
        let seconds = now.monotonic.saturating_sub(*at) as f64 / 1e9;
        let rate = |count: u64, before: u64| count.saturating_sub(before) as f64 / seconds;
        let (writes, syncs) = (totals.writes.since(&before.writes), totals.syncs);
        let syncs = syncs.since(&before.syncs);
        let time = |counts: &Counts, part| counts.quantile(part).unwrap_or(f64::NAN);
        [
            writes.count() as f64 / seconds,
            rate(totals.reads, before.reads),
            time(&writes, 0.5),
            time(&writes, 0.99),
            time(&syncs, 0.5),
            time(&syncs, 0.99),
            gauges.watchers as f64,
            gauges.connections as f64,
            gauges.memory as f64,
            gauges.keys as f64,
            rate(totals.expired, before.expired),
            totals.leader_changes.saturating_sub(before.leader_changes) as f64,
            self.lag as f64,
        ]
    }

    /// The rows that ended later than `since`, in milliseconds of the wall clock; the oldest first.
    pub(crate) fn after(&self, since: u64) -> impl ExactSizeIterator<Item = &Row> {
        let wanted = self.end.saturating_sub(since).div_ceil(self.step);
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        self.rows.iter().skip(self.rows.len().saturating_sub(wanted))
    }
}

/// The last moment at which a row ends, by the wall clock in milliseconds, and by the monotonic
/// clock in nanoseconds.
fn last_end(now: Now, step: u64) -> (u64, u64) {
    let wall = now.wall / MS_NS;
    let end = wall + SLACK_MS - (wall + SLACK_MS) % step;
    let passed_ns = (wall.cast_signed() - end.cast_signed()).saturating_mul(MS_NS.cast_signed());
    (end, now.monotonic.saturating_add_signed(passed_ns.saturating_neg()))
}

/// The last hour.
#[derive(Debug)]
pub(crate) struct Trend {
    pub(crate) fine: Series,
    pub(crate) coarse: Series,
    /// How long syncs took, as that was counted at the end of each of the last fine rows.
    syncs: VecDeque<Counts>,
}

impl Trend {
    pub(crate) fn new(now: Now, totals: Totals) -> Self {
        let syncs = VecDeque::from([totals.syncs]);
        Self {
            fine: Series::new(FINE, now, totals),
            coarse: Series::new(COARSE, now, totals),
            syncs,
        }
    }

    /// Nanoseconds until something is to be noted.
    pub(crate) fn until_due(&self, now: u64) -> u64 {
        self.fine.due().saturating_sub(now)
    }

    /// This member is so many entries behind.
    pub(crate) fn note_lag(&mut self, entries: u64) {
        for series in [&mut self.fine, &mut self.coarse] {
            series.lag = series.lag.max(entries);
        }
    }

    /// Notes what has been counted, and what is: call this when it is due.
    pub(crate) fn note(&mut self, now: Now, totals: &Totals, gauges: Gauges) {
        if self.fine.close(now, totals, gauges) {
            self.syncs.push_back(totals.syncs);
            let surplus = self.syncs.len().saturating_sub(MINUTE_ROWS);
            self.syncs.drain(..surplus);
        }
        self.coarse.close(now, totals, gauges);
    }

    /// Seconds within which 99 of 100 syncs were done in the last minute; nothing if there was
    /// none. `syncs` is what was counted until now.
    pub(crate) fn sync_p99(&self, syncs: &Counts) -> Option<f64> {
        syncs.since(self.syncs.front()?).quantile(0.99)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Times;
    use std::time::Duration;

    const SECOND: u64 = 1_000_000_000;

    /// `ms` after a start at half a second before a full minute.
    fn at(ms: u64) -> Now {
        Now { boot: 1, monotonic: 7 * SECOND + ms * MS_NS, wall: 5_999_500 * MS_NS + ms * MS_NS }
    }

    fn reads(reads: u64) -> Totals {
        Totals { reads, ..Totals::default() }
    }

    fn shown(series: &Series, since: u64) -> Vec<Option<f64>> {
        let number = |row: &Row| Some(row[1]).filter(|number| !number.is_nan());
        series.after(since).map(number).collect()
    }

    #[test]
    fn rows_end_at_whole_steps_of_the_wall_clock() {
        let mut trend = Trend::new(at(0), reads(0));
        assert_eq!(trend.fine.end, 6_000_000, "within the slack");
        assert_eq!(trend.until_due(at(0).monotonic), 5_500 * MS_NS);
        trend.note(at(5_499), &reads(55), Gauges::default());
        assert_eq!(shown(&trend.fine, 0), []);
        trend.note(at(5_500), &reads(55), Gauges { keys: 3, ..Gauges::default() });
        assert_eq!((trend.fine.end, shown(&trend.fine, 0)), (6_005_000, vec![Some(10.0)]));
        assert!((trend.fine.after(0).next().expect("a row")[9] - 3.0).abs() < 1e-9);
        // A little late, and then not.
        trend.note(at(12_000), &reads(120), Gauges::default());
        trend.note(at(15_500), &reads(155), Gauges::default());
        assert_eq!(shown(&trend.fine, 0), [Some(10.0); 3]);
        assert_eq!(trend.fine.end, 6_015_000);
        assert_eq!(shown(&trend.fine, 6_005_000), [Some(10.0); 2]);
        assert_eq!(shown(&trend.fine, 6_014_999).len(), 1);
        assert_eq!(shown(&trend.fine, 6_015_000), []);
        assert_eq!(shown(&trend.fine, u64::MAX), []);
        assert_eq!(shown(&trend.coarse, 0), []);
        trend.note(at(60_500), &reads(605), Gauges::default());
        assert_eq!((trend.coarse.end, shown(&trend.coarse, 0)), (6_060_000, vec![Some(10.0)]));
    }

    #[test]
    fn a_process_that_stood_still_has_counted_nothing_meanwhile() {
        let mut trend = Trend::new(at(0), reads(0));
        trend.note(at(5_500), &reads(11), Gauges::default());
        trend.note(at(21_000), &reads(42), Gauges::default());
        let rate = Some(2.0);
        assert_eq!(shown(&trend.fine, 0), [rate, None, None, rate]);
        assert_eq!(trend.fine.end, 6_020_000);
        trend.note(at(100_000_000), &reads(42), Gauges::default());
        assert_eq!(shown(&trend.fine, 0).len(), FINE.1, "it is bounded");
        assert_eq!(shown(&trend.fine, 0).iter().flatten().count(), 1);
    }

    #[test]
    fn a_wall_clock_that_is_set_moves_the_rows_and_makes_none() {
        for jump in [3_600_000_000_000_i64, -3_600_000_000_000, -3_000_000_000] {
            let mut trend = Trend::new(at(0), reads(0));
            trend.note(at(5_500), &reads(11), Gauges::default());
            let set = |ms| Now { wall: at(ms).wall.saturating_add_signed(jump), ..at(ms) };
            trend.note(set(10_500), &reads(21), Gauges::default());
            assert_eq!(shown(&trend.fine, 0).len(), 2, "{jump}");
            let wall = set(10_500).wall / MS_NS;
            assert!(trend.fine.end.abs_diff(wall) < 5_000, "{jump}: {}", trend.fine.end);
        }
    }

    #[test]
    fn times_and_the_lag_are_those_of_the_row() {
        let (writes, syncs) = (Times::default(), Times::default());
        let totals = || Totals {
            writes: writes.counts(),
            syncs: syncs.counts(),
            leader_changes: 1,
            ..Totals::default()
        };
        let mut trend = Trend::new(at(0), Totals::default());
        (0..100).for_each(|_| writes.add(Duration::from_millis(3)));
        syncs.add(Duration::from_millis(40));
        trend.note_lag(7);
        trend.note_lag(2);
        trend.note(at(5_500), &totals(), Gauges::default());
        trend.note(at(10_500), &totals(), Gauges::default());
        let rows: Vec<&Row> = trend.fine.after(0).collect();
        let [first, second] = rows[..] else { panic!("{rows:?}") };
        assert!(first[2] > 0.002 && first[2] < 0.004, "{first:?}");
        assert!(first[5] > 0.0312 && first[5] < 0.064, "{first:?}");
        assert!((first[11] - 1.0).abs() < 1e-9 && (first[12] - 7.0).abs() < 1e-9, "{first:?}");
        assert!(second[2].is_nan() && second[5].is_nan(), "{second:?}");
        assert!(second[11].abs() < 1e-9 && second[12].abs() < 1e-9, "{second:?}");
        let p99 = trend.sync_p99(&syncs.counts()).expect("there was one");
        assert!((p99 - first[5]).abs() < 1e-9);
        for step in 3..=20 {
            trend.note(at(500 + 5_000 * step), &totals(), Gauges::default());
        }
        assert_eq!(trend.sync_p99(&syncs.counts()), None, "it was a minute ago");
    }
}
