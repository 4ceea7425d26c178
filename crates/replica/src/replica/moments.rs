//! When the indexes of the store were made, as the stamps of the entries say that were applied
//! here.

use store::{Stamp, StoreIndex};

/// Samples that are kept at most: 96 KiB of them.
const SAMPLES_MAX: usize = 4096;

/// What is made within so many nanoseconds has one sample: 1 s.
const STEP_NS: u64 = 1_000_000_000;

/// Where there are too many samples, what is N seconds old keeps one for each N / 250 seconds.
const SHARE: u64 = 250;

/// Up to an index the store had come when an entry was applied.
#[derive(Clone, Copy, Debug)]
struct Sample {
    index: u64,
    /// The stamp of the entry: the cluster's clock, in nanoseconds.
    time: u64,
    /// The same as wall time.
    shown: u64,
}

/// When indexes were made. It gets coarser with age: an index has the time of the next sample.
#[derive(Debug)]
pub struct Moments {
    /// When what came up to here was made is not known.
    floor: u64,
    samples: Vec<Sample>,
    /// When the last sample was begun; until a while later it takes in what comes.
    begun: u64,
}

impl Moments {
    /// Begins with a store of which nothing is known.
    pub(crate) fn new(index: StoreIndex) -> Self {
        Self { floor: index.0, samples: Vec::new(), begun: 0 }
    }

    /// An entry was applied, and the store has come to an index.
    pub(crate) fn note(&mut self, stamp: Stamp, index: StoreIndex) {
        let last = self.samples.last().map_or(self.floor, |last| last.index);
        if index.0 <= last {
            return;
        }
        let time = stamp.time.0;
        let shown = time.saturating_add_signed(stamp.wall_offset.0);
        let sample = Sample { index: index.0, time, shown };
        match self.samples.last_mut() {
            Some(last) if time.saturating_sub(self.begun) < STEP_NS => *last = sample,
            _ => {
                if self.samples.len() >= SAMPLES_MAX {
                    self.thin_out();
                }
                self.begun = time;
                self.samples.push(sample);
            }
        }
    }

    /// The store was replaced by a later one of the same cluster.
    pub(crate) fn skip_to(&mut self, stamp: Stamp, index: StoreIndex) {
        if self.samples.is_empty() {
            self.floor = self.floor.max(index.0);
        }
        self.note(stamp, index);
    }

    /// When an index was made, in nanoseconds since 1970: no later than that. Nothing if it was
    /// made before everything that is known, or was not made yet.
    pub fn of(&self, index: StoreIndex) -> Option<u64> {
        let at = self.samples.partition_point(|sample| sample.index < index.0);
        self.samples.get(at).filter(|_| index.0 > self.floor).map(|sample| sample.shown)
    }

    /// The first time that is known, in nanoseconds since 1970; nothing while none is.
    pub fn since(&self) -> Option<u64> {
        self.samples.first().map(|first| first.shown)
    }

    /// Drops what lies too close to the sample behind it for its age, until a quarter is gone.
    fn thin_out(&mut self) {
        let Some(now) = self.samples.last().map(|last| last.time) else { return };
        let mut share = SHARE;
        while self.samples.len() > SAMPLES_MAX / 4 * 3 && share > 0 {
            let mut behind = u64::MAX;
            self.samples.reverse();
            self.samples.retain(|sample| {
                let apart = (now.saturating_sub(sample.time) / share).max(STEP_NS);
                let is_kept = behind.saturating_sub(sample.time) >= apart;
                if is_kept {
                    behind = sample.time;
                }
                is_kept
            });
            self.samples.reverse();
            share /= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{Timestamp, WallOffset};

    const SECOND: u64 = 1_000_000_000;
    const OFFSET: i64 = 7;

    fn note(moments: &mut Moments, time: u64, index: u64) {
        let (time, wall_offset) = (Timestamp(time), WallOffset(OFFSET));
        moments.note(Stamp { time, wall_offset }, StoreIndex(index));
    }

    fn of(moments: &Moments, index: u64) -> Option<u64> {
        moments.of(StoreIndex(index)).map(|shown| shown - OFFSET.unsigned_abs())
    }

    #[test]
    fn an_index_was_made_by_the_end_of_its_second() {
        let mut moments = Moments::new(StoreIndex(4));
        assert_eq!((of(&moments, 4), of(&moments, 5), moments.since()), (None, None, None));
        note(&mut moments, 10 * SECOND, 5);
        note(&mut moments, 10 * SECOND + 400, 9);
        note(&mut moments, 11 * SECOND + 1, 10);
        note(&mut moments, 30 * SECOND, 10);
        note(&mut moments, 31 * SECOND, 11);
        let first = Some(10 * SECOND + 400);
        let found: Vec<Option<u64>> = (3..=12).map(|index| of(&moments, index)).collect();
        let late = [Some(11 * SECOND + 1), Some(31 * SECOND), None];
        assert_eq!(found[..2], [None; 2]);
        assert_eq!(found[2..7], [first; 5]);
        assert_eq!(found[7..], late);
        assert_eq!(moments.since(), Some(10 * SECOND + 400 + OFFSET.unsigned_abs()));
    }

    #[test]
    fn a_store_that_was_replaced_goes_on_where_something_is_known() {
        let stamp = Stamp { time: Timestamp(50 * SECOND), wall_offset: WallOffset(OFFSET) };
        let mut new = Moments::new(StoreIndex(0));
        new.skip_to(stamp, StoreIndex(100));
        assert_eq!((of(&new, 100), new.since()), (None, None), "made nobody knows when");
        note(&mut new, 60 * SECOND, 101);
        assert_eq!(of(&new, 101), Some(60 * SECOND));
        let mut late = Moments::new(StoreIndex(0));
        note(&mut late, 10 * SECOND, 5);
        late.skip_to(stamp, StoreIndex(100));
        assert_eq!(of(&late, 5), Some(10 * SECOND));
        assert_eq!(of(&late, 60), Some(50 * SECOND), "between the two");
    }

    #[test]
    fn what_is_old_is_known_less_exactly_in_bounded_memory() {
        let mut moments = Moments::new(StoreIndex(0));
        // A write each second for four days.
        let end = 350_000;
        for second in 1..=end {
            note(&mut moments, second * SECOND, second);
            assert!(moments.samples.len() <= SAMPLES_MAX);
        }
        assert!(moments.samples.capacity() * size_of::<Sample>() <= 100 << 10);
        for age in [1, 100, 3_600, 86_400, 300_000] {
            let made = end - age;
            let told = of(&moments, made).expect("it is known") / SECOND;
            // Twice: samples that were thinned out when they were younger.
            let error = told - made;
            assert!(error <= age / 100 + 1, "{age} s ago: {error} s off");
        }
        // A year in which something happens once a minute, and then a busy hour.
        let mut moments = Moments::new(StoreIndex(0));
        for minute in 1..=500_000 {
            note(&mut moments, minute * 60 * SECOND, minute);
        }
        for second in 1..=3_600 {
            note(&mut moments, (30_000_000 + second) * SECOND, 500_000 + second);
        }
        let told = of(&moments, 500_000 + 3_500).expect("it is known") / SECOND;
        assert!(told - 30_003_500 <= 2, "{told}");
        assert!(moments.samples.len() > SAMPLES_MAX / 4);
    }
}
