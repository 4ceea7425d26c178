//! How many lines the log gets: repeats are counted, and an incident does not flood it.
//!
//! The first line of a kind about a subject is written at once, and where something can be lost and
//! come back the second and the third as well ([`Notice::burst`]): the log must not end with what
//! is no longer so. Further ones within a minute are counted, and the latest of them is written at
//! the end of that minute with their number. A kind
//! gets [`KIND_LINES_MAX`] lines a minute, and all together [`LINES_MAX`], some of them kept for
//! leader and majority; what is beyond waits for the next minute. So neither many members nor many
//! strangers hide the rest. Errors do not wait.

use super::kinds::{Level, Notice};

/// The time in which the same line is written once: 60 s.
const PERIOD_NS: u64 = 60_000_000_000;

/// Lines in that time, errors and what an operator has just asked for aside.
const LINES_MAX: usize = 12;

/// Those that are not about leader and majority, which nothing else may hold back.
const ORDINARY_MAX: usize = 7;

/// Those of one kind.
const KIND_LINES_MAX: usize = 4;

/// Subjects of a kind that are remembered. Lines about others are counted together.
const SUBJECTS_MAX: usize = 16;

/// Bytes of a line that waits.
const TEXT_BYTES_MAX: usize = 1024;

/// A line that was written, or is to be.
#[derive(Debug)]
struct Entry {
    kind: Notice,
    about: String,
    /// When it was written in the last minute.
    told_at: Vec<u64>,
    /// When the latest of those came that were not written.
    latest_at: u64,
    more: u64,
    latest: String,
}

/// A line that is due, with what is to stand behind it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) kind: Notice,
    pub(super) text: String,
}

/// What was written lately.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    entries: Vec<Entry>,
    /// The lines of the last minute, and when they were written.
    told: Vec<(Notice, u64)>,
    /// Lines for which there was no entry.
    left_out: u64,
}

impl Limiter {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new(), told: Vec::new(), left_out: 0 }
    }

    /// Whether a line is to be written now.
    pub(super) fn admit(&mut self, kind: Notice, about: &str, text: &str, now: u64) -> bool {
        if kind.is_unlimited() {
            return true;
        }
        let may_tell = self.may_tell(kind, now);
        let found = self.entries.iter_mut().find(|it| it.kind == kind && it.about == about);
        let entry = match found {
            Some(entry) => entry,
            None => {
                self.entries.retain(|it| it.more > 0 || it.is_remembered(now));
                if self.entries.iter().filter(|it| it.kind == kind).count() >= SUBJECTS_MAX {
                    self.left_out += 1;
                    return false;
                }
                let (about, latest) = (about.to_owned(), String::new());
                let fresh =
                    Entry { kind, about, told_at: Vec::new(), latest_at: now, more: 0, latest };
                self.entries.push_mut(fresh)
            }
        };
        if may_tell && entry.is_free(now) {
            entry.note_told(now);
            // Those that were counted meanwhile are told by this line.
            entry.more = 0;
            self.told.push((kind, now));
            return true;
        }
        (entry.more, entry.latest_at) = (entry.more + 1, now);
        entry.latest =
            text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or("").to_owned();
        false
    }

    fn may_tell(&mut self, kind: Notice, now: u64) -> bool {
        self.told.retain(|(_, at)| now.saturating_sub(*at) < PERIOD_NS);
        let of_kind = self.told.iter().filter(|(told, _)| *told == kind).count();
        // In the first minute after a start the cluster is told as it forms.
        let times = if now < PERIOD_NS { 2 } else { 1 };
        let most = times * if kind.is_first() { LINES_MAX } else { ORDINARY_MAX };
        kind.level() == Level::Error || (self.told.len() < most && of_kind < KIND_LINES_MAX)
    }

    /// The next line that waited long enough.
    pub(super) fn next_due(&mut self, now: u64) -> Option<Due> {
        let waits = |it: &Entry| it.more > 0 && it.is_free(now);
        let kinds: Vec<Notice> =
            self.entries.iter().filter(|it| waits(it)).map(|it| it.kind).collect();
        let kind = kinds.into_iter().find(|kind| self.may_tell(*kind, now));
        let Some(kind) = kind else { return self.left_out_due(now) };
        let entry = self.entries.iter_mut().find(|it| it.kind == kind && waits(it))?;
        self.told.push((kind, now));
        let latest = std::mem::take(&mut entry.latest);
        let ago = now.saturating_sub(entry.latest_at) / 1_000_000_000;
        let more = std::mem::take(&mut entry.more);
        let was_told = !entry.told_at.is_empty();
        entry.note_told(now);
        let text = match (was_told, more) {
            (true, _) => format!("{latest} ({more} more in the last minute, this one {ago} s ago)"),
            (false, 1) => format!("{latest} (held back: this was {ago} s ago)"),
            (false, _) => format!("{latest} (held back, {more} of them: this was {ago} s ago)"),
        };
        Some(Due { kind, text })
    }

    fn left_out_due(&mut self, now: u64) -> Option<Due> {
        if self.left_out == 0 || !self.may_tell(Notice::LeftOut, now) {
            return None;
        }
        self.told.push((Notice::LeftOut, now));
        let count = std::mem::take(&mut self.left_out);
        Some(Due { kind: Notice::LeftOut, text: format!("{count} lines about other subjects") })
    }

    /// Whether anything waits.
    pub(super) fn has_waiting(&self) -> bool {
        self.left_out > 0 || self.entries.iter().any(|entry| entry.more > 0)
    }
}

impl Entry {
    fn lately(&self, now: u64) -> usize {
        self.told_at.iter().filter(|at| now.saturating_sub(**at) < PERIOD_NS).count()
    }

    /// Whether it may be written as far as the lines before it are concerned.
    fn is_free(&self, now: u64) -> bool {
        self.lately(now) < self.kind.burst()
    }

    fn is_remembered(&self, now: u64) -> bool {
        self.lately(now) > 0
    }

    fn note_told(&mut self, now: u64) {
        self.told_at.retain(|at| now.saturating_sub(*at) < PERIOD_NS);
        self.told_at.push(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Long after the start.
    const LATE: u64 = 1_000_000 * SECOND;

    fn drain(limiter: &mut Limiter, now: u64) -> Vec<String> {
        std::iter::from_fn(|| limiter.next_due(now)).map(|due| due.text).collect()
    }

    #[test]
    fn the_first_line_is_written_at_once_and_repeats_are_counted() {
        let mut limiter = Limiter::new();
        let mut say = |about: &str, now: u64| {
            limiter.admit(Notice::LinkRefused, about, &format!("{about} at {now}"), now)
        };
        assert!(say("m1", 0));
        assert!(say("m2", 0), "another subject");
        assert!((1..=50).all(|at| !say("m1", at * SECOND)));
        assert!(limiter.has_waiting());
        assert_eq!(drain(&mut limiter, 59 * SECOND), [""; 0], "too early");
        let at = 50 * SECOND;
        let last = format!("m1 at {at} (50 more in the last minute, this one 10 s ago)");
        assert_eq!(drain(&mut limiter, 60 * SECOND), [last]);
        assert!(!limiter.has_waiting());
        assert!(!limiter.admit(Notice::LinkRefused, "m1", "again", 61 * SECOND));
        assert!(limiter.admit(Notice::LinkRefused, "m1", "again", 120 * SECOND));
    }

    #[test]
    fn what_comes_and_goes_is_written_some_times() {
        let mut limiter = Limiter::new();
        let mut told = Vec::new();
        for at in 0..10 {
            for kind in [Notice::MajorityLost, Notice::MajorityBack] {
                if limiter.admit(kind, "", "text", at * SECOND) {
                    told.push((kind, at));
                }
            }
        }
        assert_eq!(told.len(), 6, "{told:?}");
        let late = drain(&mut limiter, 60 * SECOND);
        let text = "text (7 more in the last minute, this one 51 s ago)".to_owned();
        assert_eq!(late, [text.clone(), text]);
    }

    #[test]
    fn a_kind_and_all_together_have_a_bound_and_errors_do_not_wait() {
        use Notice::{CallerRefused, LeaderNew, LinkRefused, MajorityBack, PeerBack, TlsRefused};
        let mut limiter = Limiter::new();
        let mut say = |kind: Notice, count: usize| {
            let about = |at: usize| format!("m{at}");
            (0..count).filter(|at| limiter.admit(kind, &about(*at), &about(*at), LATE)).count()
        };
        assert_eq!(say(CallerRefused, 10), KIND_LINES_MAX);
        assert_eq!(say(LinkRefused, 10), ORDINARY_MAX - KIND_LINES_MAX);
        assert_eq!(say(PeerBack, 1), 0, "all together");
        assert_eq!(say(LeaderNew, 10), KIND_LINES_MAX);
        assert_eq!(say(MajorityBack, 10), LINES_MAX - ORDINARY_MAX - KIND_LINES_MAX);
        assert_eq!(say(Notice::DiskFull, 1), 1, "an error");
        assert_eq!(say(Notice::Stopping, 5), 5, "what somebody asked for");
        assert_eq!(say(TlsRefused, 1), 0);
        assert_eq!(drain(&mut limiter, LATE + 2 * SECOND), [""; 0]);
        let late = drain(&mut limiter, LATE + 62 * SECOND);
        assert_eq!(late.len(), LINES_MAX, "{late:?}");
        assert_eq!(late.first().map(String::as_str), Some("m4 (held back: this was 62 s ago)"));
    }

    #[test]
    fn strangers_take_a_bounded_amount_of_memory_and_hide_nothing() {
        let mut limiter = Limiter::new();
        for at in 0..10_000 {
            limiter.admit(Notice::CallerRefused, &at.to_string(), "text", 0);
        }
        assert_eq!((limiter.entries.len(), limiter.told.len()), (SUBJECTS_MAX, KIND_LINES_MAX));
        assert_eq!(limiter.left_out, 10_000 - SUBJECTS_MAX as u64);
        assert!(limiter.admit(Notice::LeaderNew, "m1", "m1", 0), "the cluster's own lines");
        let mut lines = Vec::new();
        for minute in 1..10 {
            lines.extend(drain(&mut limiter, minute * 61 * SECOND));
        }
        assert!(lines.iter().any(|line| line == "9984 lines about other subjects"), "{lines:?}");
        assert!(limiter.admit(Notice::CallerRefused, "new", "text", 11 * 61 * SECOND));
        assert!(limiter.entries.len() <= SUBJECTS_MAX);
    }
}
