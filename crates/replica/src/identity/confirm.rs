//! A directory that was copied, and what it waits for.
//!
//! A copy that is older than what its member promised cannot tell by itself, and a member that was
//! away when the latest start was announced cannot tell either. But that something is a copy shows:
//! each snapshot says in which file it was written, and a copy of it is another file. Such a
//! directory may be the latest there is, moved to another disk, so it is not refused. It promises
//! nothing, though, until so many others have let it speak that one of them must know of the latest
//! start: that was in the logs of a majority, of which this member may have been one.
//!
//! A copy whose log has no clean end may be one of a running machine, with its latest start, and
//! nobody can refuse it. It asks the others what they know of its promises (`reports.rs`).

use crate::types::MemberId;
use std::collections::BTreeSet;

/// Whether the directory is where it was, and who has let it speak if it is not.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    /// The file that the snapshot is in; zero where the disk does not tell files from copies.
    found: u64,
    /// The file of a copy that was confirmed before.
    confirmed: u64,
    pub(crate) is_copied: bool,
    /// Whether it may be a copy of a running machine that was not brought up since.
    pub(crate) is_live: bool,
    words: BTreeSet<MemberId>,
}

impl Origin {
    /// `written` is the file in which the snapshot was written, as it says, `found` the one that it
    /// is in, and `confirmed` the one of a copy that was confirmed at an earlier start.
    pub(crate) fn new(
        written: u64,
        found: Option<u64>,
        confirmed: u64,
        ends_cleanly: bool,
    ) -> Self {
        let found = found.unwrap_or(0);
        let is_known = written != 0 && found != 0;
        let is_copied = is_known && found != written && found != confirmed;
        let is_live = is_copied && !ends_cleanly;
        Self { found, confirmed, is_copied, is_live, words: BTreeSet::new() }
    }

    pub(crate) fn is_settled(&self) -> bool {
        !self.is_copied && !self.is_live
    }

    pub(crate) fn take_word(&mut self, of: MemberId) {
        self.words.insert(of);
    }

    pub(crate) fn take_back_word(&mut self, of: MemberId) {
        self.words.remove(&of);
    }

    pub(crate) fn has_word_of(&self, member: MemberId) -> bool {
        self.words.contains(&member)
    }

    /// What a snapshot says of its file before that exists.
    pub(crate) fn for_snapshot(&self) -> u64 {
        if self.is_settled() { 0 } else { UNCONFIRMED }
    }

    /// What a start writes down: a copy that nobody has confirmed stays one after a restart.
    pub(crate) fn to_write(&self) -> u64 {
        if self.is_settled() { self.found } else { self.confirmed }
    }
}

/// What the snapshot of a copy says of its file as long as nobody has confirmed that copy: whatever
/// file it is in, it is a copy as well.
pub(crate) const UNCONFIRMED: u64 = u64::MAX;

/// How many others of `voters` voters have to let a copy speak. A majority has the latest start in
/// its log, the member itself among them: any so many of the others have one of it with them.
pub(crate) fn words_needed(voters: usize) -> usize {
    let (others, knowing) = (voters.saturating_sub(1), voters / 2);
    (others + 1).saturating_sub(knowing.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_majority_and_any_so_many_others_have_a_member_in_common() {
        for (voters, needed) in [(2, 1), (3, 2), (4, 2), (5, 3), (6, 3), (7, 4)] {
            assert_eq!(words_needed(voters), needed, "{voters}");
            // The smallest majority with this member in it, and the others asked.
            let (knowing, others) = (voters / 2, voters - 1);
            assert!(knowing + needed > others, "{voters}");
        }
    }

    #[test]
    fn a_copy_is_one_until_it_is_confirmed() {
        for (written, found, confirmed, is_copied) in [
            (0, Some(5), 0, false),
            (5, None, 0, false),
            (5, Some(5), 0, false),
            (5, Some(6), 0, true),
            (5, Some(6), 6, false),
            (5, Some(7), 6, true),
            (UNCONFIRMED, Some(8), 0, true),
        ] {
            for ends_cleanly in [true, false] {
                let origin = Origin::new(written, found, confirmed, ends_cleanly);
                assert_eq!(origin.is_copied, is_copied, "{written} {found:?} {confirmed}");
                assert_eq!(origin.is_live, is_copied && !ends_cleanly);
                assert_eq!(origin.to_write() == confirmed, is_copied || origin.found == confirmed);
            }
        }
    }
}
