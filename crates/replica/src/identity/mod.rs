//! Which data directory speaks for a member, and what a member believes of those who call it.
//!
//! raft knows members by their ids alone, and trusts that whoever has an id remembers what was
//! promised under it. A directory that was lost and made anew, an older copy of it, or a copy that
//! runs beside it has the same id and remembers less. So each directory has an identity, the
//! registry of the cluster holds the latest one of each member, and every member tells its own
//! before it is listened to.

pub(crate) mod claims;
pub(crate) mod confirm;
pub mod decide;
pub(crate) mod reports;

use crate::types::{LogIndex, MemberId, Term};
use crate::wire::codec::{self, Malformed};
use std::fmt;

/// What tells one data directory, and one start of it, from all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// Drawn when the directory was made; zero in one that version 0.1 made and that has not been
    /// started since.
    pub incarnation: u64,
    /// How often the directory was started.
    pub start: u64,
    /// Drawn at this start: two copies of one directory have the same count after theirs.
    pub nonce: u64,
    /// What was drawn at the starts before this one, the latest first: an older copy that was
    /// started again and again has as high a count as its original, and other ancestors.
    pub earlier: [u64; EARLIER],
}

/// How many earlier starts an identity remembers.
const EARLIER: usize = 15;

impl Identity {
    /// The identity of the next start of this directory. `drawn` is a number that nobody else
    /// draws.
    pub(crate) fn next(self, drawn: u64) -> Self {
        let mut earlier = self.earlier;
        earlier.rotate_right(1);
        if let Some(latest) = earlier.first_mut() {
            *latest = self.nonce;
        }
        Self {
            incarnation: if self.incarnation == 0 { drawn } else { self.incarnation },
            start: self.start + 1,
            nonce: drawn.rotate_left(32) ^ 0x5bd1_e995_9d1b_54a5,
            earlier,
        }
    }

    /// What was drawn at the start with this count, as far as it is remembered.
    fn drawn_at(&self, start: u64) -> Option<u64> {
        match usize::try_from(self.start.checked_sub(start)?).ok()? {
            0 => Some(self.nonce),
            back => self.earlier.get(back - 1).copied(),
        }
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        let numbers = [self.incarnation, self.start, self.nonce];
        numbers.iter().chain(&self.earlier).for_each(|number| codec::put_u64(out, *number));
    }

    pub(crate) fn decode(input: &mut &[u8]) -> Result<Self, Malformed> {
        let mut identity = Self {
            incarnation: codec::take_u64(input)?,
            start: codec::take_u64(input)?,
            nonce: codec::take_u64(input)?,
            ..Self::default()
        };
        for earlier in &mut identity.earlier {
            *earlier = codec::take_u64(input)?;
        }
        Ok(identity)
    }
}

/// What a member says of itself before it is listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerClaim {
    /// Who it says that it is.
    pub id: MemberId,
    /// The directory that it speaks for.
    pub identity: Identity,
    /// raft's term there.
    pub term: Term,
    /// The last entry that is durable in its log.
    pub last_index: LogIndex,
    /// The term of that entry.
    pub last_term: Term,
    /// Whether its start cut off the end of its log: it may have promised more than it knows, and
    /// asks to be brought up as far as it ever was.
    pub is_doubtful: bool,
}

/// Why a claim is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimRefused {
    /// The member's directory was made anew since the cluster knew it.
    DirectoryReplaced,
    /// The directory is an older state, or a copy, of the one that the cluster knows.
    OlderCopy {
        /// How often it was started.
        start: u64,
        /// How often the one that the cluster knows was.
        known: u64,
    },
    /// Its log ends before what it acknowledged to this leader.
    LostPromise {
        /// Where its log ends.
        has: LogIndex,
        /// What it acknowledged.
        acknowledged: LogIndex,
    },
}

impl fmt::Display for ClaimRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DirectoryReplaced => f.write_str(
                "the cluster knows another data directory under this machine's id: its disk was \
                 lost or replaced",
            )?,
            Self::OlderCopy { start, known } if start == known => write!(
                f,
                "the data directory is a copy of this machine's own: the cluster has seen another \
                 start {known} of it"
            )?,
            Self::OlderCopy { start, known } => write!(
                f,
                "the data directory is an older state or a copy of this machine's own: start \
                 {start} of it, where the cluster has seen start {known}"
            )?,
            Self::LostPromise { has, acknowledged } => write!(
                f,
                "the machine's log ends at entry {}, and it acknowledged entry {}",
                has.0, acknowledged.0
            )?,
        }
        f.write_str(
            ". Start the machine with -force-rejoin: its files are set aside, and it joins anew",
        )
    }
}

impl std::error::Error for ClaimRefused {}

impl ClaimRefused {
    /// The HTTP status of the refusal.
    pub fn status(&self) -> u16 {
        409
    }
}

/// Whether an identity may follow the one that is known of a member.
///
/// # Errors
/// [`ClaimRefused`] with what tells that it does not.
pub(crate) fn check(known: Identity, claimed: Identity) -> Result<(), ClaimRefused> {
    // What version 0.1 wrote has none.
    let is_known = known.incarnation != 0;
    if is_known && claimed.incarnation != known.incarnation {
        return Err(ClaimRefused::DirectoryReplaced);
    }
    // It is the start that is known, or one that came after it. One that came after so many others
    // that it is not remembered has a start behind it that somebody else knows of.
    let is_older = claimed.start < known.start
        || claimed.drawn_at(known.start).is_some_and(|drawn| drawn != known.nonce);
    if is_known && is_older {
        return Err(ClaimRefused::OlderCopy { start: claimed.start, known: known.start });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(incarnation: u64, start: u64, nonce: u64) -> Identity {
        Identity { incarnation, start, nonce, ..Identity::default() }
    }

    fn after(mut identity: Identity, draws: impl IntoIterator<Item = u64>) -> Identity {
        draws.into_iter().for_each(|drawn| identity = identity.next(drawn));
        identity
    }

    #[test]
    fn a_later_start_of_the_same_directory_is_believed_and_nothing_else() {
        let known = identity(7, 3, 33);
        for (claimed, expected) in [
            (known, Ok(())),
            (after(known, [4]), Ok(())),
            (after(known, 4..12), Ok(())),
            (after(known, 4..40), Ok(())),
            (identity(7, 4, 44), Err(ClaimRefused::OlderCopy { start: 4, known: 3 })),
            (after(identity(7, 1, 11), 2..9), Err(ClaimRefused::OlderCopy { start: 8, known: 3 })),
            (identity(8, 4, 44), Err(ClaimRefused::DirectoryReplaced)),
            (identity(0, 4, 44), Err(ClaimRefused::DirectoryReplaced)),
            (identity(7, 2, 22), Err(ClaimRefused::OlderCopy { start: 2, known: 3 })),
            (identity(7, 3, 34), Err(ClaimRefused::OlderCopy { start: 3, known: 3 })),
        ] {
            assert_eq!(check(known, claimed), expected, "{claimed:?}");
        }
        assert_eq!(check(Identity::default(), identity(8, 1, 2)), Ok(()), "nothing is known");
    }

    #[test]
    fn each_start_has_an_identity_of_its_own() {
        let made = identity(7, 0, 0);
        let (one, other) = (made.next(5), made.next(6));
        assert_eq!((one.incarnation, one.start), (7, 1));
        assert_ne!(one.nonce, other.nonce);
        assert_eq!(check(one, other), Err(ClaimRefused::OlderCopy { start: 1, known: 1 }));
        assert_eq!(check(one, one.next(9)), Ok(()));
        assert_ne!(Identity::default().next(5).incarnation, 0, "one of version 0.1 gets its own");
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        for refused in [
            ClaimRefused::DirectoryReplaced,
            ClaimRefused::OlderCopy { start: 2, known: 3 },
            ClaimRefused::LostPromise { has: LogIndex(2), acknowledged: LogIndex(3) },
        ] {
            assert!(refused.to_string().contains("-force-rejoin"), "{refused}");
            assert_eq!(refused.status(), 409);
        }
    }
}
