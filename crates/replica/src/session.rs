//! What the replicated state remembers of requests that members passed on, so that each is carried
//! out once, however often it comes into the log, and so that its outcome can still be told when
//! the entry it was in is gone (Raft dissertation, section 6.3).
//!
//! A request is named by its member, the start of that member's process, and a number that grows.
//! Each says as well below which number everything of its start is settled: such requests are never
//! sent again, so nothing need be remembered of them. Above that floor it is remembered which were
//! carried out, and of the latest what came of them.
//!
//! ```text
//! members u32 | member, ...     member: id u64, used u64, starts u32, start, ...
//! start: start u64, floor u64, applied u32, seq u64, ... | kept u32, kept, ...
//! kept: seq u64, outcomes u32, outcome, ...
//! outcome: 0 lost | 1 event: index u64 | 2 internal | 3 lock: index, before, touched u64, state u8
//!   | 4 error: code u32, index u64, cause
//! ```

use crate::types::MemberId;
use crate::wire::codec::{self, Malformed};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use store::{Applied, ErrorCode, LockOutcome, LockState, StoreError, StoreIndex};

/// How far the numbers of the requests that a member waits for may lie apart.
pub(crate) const WINDOW: u64 = 1024;

/// How many starts of a member are remembered.
const STARTS_MAX: usize = 4;

/// How many members are remembered; there are never so many.
const MEMBERS_MAX: usize = 64;

/// How many requests of a start are remembered as carried out. A member keeps to [`WINDOW`].
const APPLIED_MAX: usize = 2 * WINDOW as usize;

/// Of how many of a member's latest requests the outcomes are kept, of how many items of them, and
/// with how many bytes of causes.
const KEPT_REQUESTS_MAX: usize = 64;
const KEPT_ITEMS_MAX: usize = 4096;
const KEPT_BYTES_MAX: usize = 64 << 10;

/// The longest cause of an error that is kept.
const CAUSE_BYTES_MAX: usize = 1024;

/// Names a request that was forwarded: which start of the sender, and which of its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ForwardId {
    pub(crate) start: u64,
    pub(crate) seq: u64,
}

/// Marks the items of a log entry that are one request of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) member: MemberId,
    pub(crate) id: ForwardId,
    /// Every request of this start with this number or a lower one is settled where it came from.
    pub(crate) floor: u64,
    /// How many items belong to it.
    pub(crate) count: usize,
}

/// What is remembered of the outcome of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was carried out, and more is not remembered.
    Lost,
    /// The event with this index.
    Event(StoreIndex),
    Internal,
    Lock(LockOutcome),
    Failed(StoreError),
}

impl Outcome {
    pub(crate) fn of(result: &Result<Applied, StoreError>) -> Self {
        match result {
            Ok(Applied::Event(event)) => Outcome::Event(event.index),
            // What a user or role is now can be read.
            Ok(Applied::Internal | Applied::Raised | Applied::Counted | Applied::Auth { .. }) => {
                Outcome::Internal
            }
            Ok(Applied::Lock(lock)) => Outcome::Lock(*lock),
            Ok(Applied::Expired(_)) => Outcome::Lost,
            Err(error) if error.cause.len() > CAUSE_BYTES_MAX => Outcome::Lost,
            Err(error) => Outcome::Failed(error.clone()),
        }
    }

    fn text_len(&self) -> usize {
        if let Outcome::Failed(error) = self { error.cause.len() } else { 0 }
    }
}

/// What came of one request.
#[derive(Clone, Debug, PartialEq)]
struct Kept {
    seq: u64,
    outcomes: Vec<Outcome>,
}

/// One start of a member.
#[derive(Clone, Debug, Default, PartialEq)]
struct Session {
    start: u64,
    floor: u64,
    /// Which requests above the floor were carried out.
    applied: BTreeSet<u64>,
    /// The outcomes of the latest of them, in the order in which they were carried out.
    kept: VecDeque<Kept>,
    kept_items: usize,
    kept_bytes: usize,
}

impl Session {
    fn is_applied(&self, seq: u64) -> bool {
        seq <= self.floor || self.applied.contains(&seq)
    }

    fn raise_floor(&mut self, floor: u64) {
        if floor <= self.floor {
            return;
        }
        self.floor = floor;
        self.applied = self.applied.split_off(&floor.saturating_add(1));
        while let Some(at) = self.kept.iter().position(|kept| kept.seq <= floor) {
            self.let_go(at);
        }
    }

    fn let_go(&mut self, at: usize) {
        if let Some(kept) = self.kept.remove(at) {
            self.kept_items -= kept.outcomes.len();
            self.kept_bytes -= kept.outcomes.iter().map(Outcome::text_len).sum::<usize>();
        }
    }

    fn keep(&mut self, seq: u64, outcomes: Vec<Outcome>) {
        self.kept_items += outcomes.len();
        self.kept_bytes += outcomes.iter().map(Outcome::text_len).sum::<usize>();
        self.kept.push_back(Kept { seq, outcomes });
        while self.kept.len() > KEPT_REQUESTS_MAX
            || self.kept_items > KEPT_ITEMS_MAX
            || self.kept_bytes > KEPT_BYTES_MAX
        {
            self.let_go(0);
        }
    }
}

/// All starts of one member that are remembered, the latest last.
#[derive(Clone, Debug, Default, PartialEq)]
struct Starts {
    /// The log index of its latest request.
    used: u64,
    sessions: VecDeque<Session>,
}

/// What became of a request, as far as the state remembers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate<'a> {
    /// It was not carried out.
    Open,
    /// It was carried out; with what came of its items, where that is remembered.
    Done(Option<&'a [Outcome]>),
}

/// The requests of all members.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sessions {
    members: BTreeMap<MemberId, Starts>,
}

impl Sessions {
    fn session(&self, member: MemberId, start: u64) -> Option<&Session> {
        let starts = self.members.get(&member)?;
        starts.sessions.iter().rev().find(|session| session.start == start)
    }

    fn session_mut(&mut self, member: MemberId, start: u64) -> Option<&mut Session> {
        let starts = self.members.get_mut(&member)?;
        starts.sessions.iter_mut().rev().find(|session| session.start == start)
    }

    /// Takes note of a request that is applied with the log entry at `index`. Says whether it is
    /// to be carried out: whether it comes for the first time.
    pub(crate) fn begin(&mut self, mark: &Mark, index: u64) -> bool {
        let ForwardId { start, seq } = mark.id;
        if self.session(mark.member, start).is_none() {
            self.add(mark.member, start);
        }
        if let Some(starts) = self.members.get_mut(&mark.member) {
            starts.used = index;
        }
        let Some(session) = self.session_mut(mark.member, start) else { return true };
        let is_new = !session.is_applied(seq);
        session.raise_floor(mark.floor.min(seq.saturating_sub(1)));
        if is_new {
            session.applied.insert(seq);
            while session.applied.len() > APPLIED_MAX
                && let Some(lowest) = session.applied.first().copied()
            {
                session.raise_floor(lowest);
            }
        }
        is_new
    }

    fn add(&mut self, member: MemberId, start: u64) {
        if !self.members.contains_key(&member) && self.members.len() >= MEMBERS_MAX {
            let oldest = self.members.iter().min_by_key(|(id, starts)| (starts.used, **id));
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                self.members.remove(&oldest);
            }
        }
        let starts = self.members.entry(member).or_default();
        // Nobody waits in a process that has ended.
        for session in &mut starts.sessions {
            session.kept.clear();
            (session.kept_items, session.kept_bytes) = (0, 0);
        }
        starts.sessions.push_back(Session { start, ..Session::default() });
        if starts.sessions.len() > STARTS_MAX {
            starts.sessions.pop_front();
        }
    }

    /// Keeps what came of a request that has just been carried out.
    pub(crate) fn keep(&mut self, mark: &Mark, outcomes: Vec<Outcome>) {
        if let Some(session) = self.session_mut(mark.member, mark.id.start) {
            session.keep(mark.id.seq, outcomes);
        }
    }

    /// What became of a request.
    pub(crate) fn fate(&self, member: MemberId, id: ForwardId) -> Fate<'_> {
        match self.session(member, id.start) {
            Some(session) if session.is_applied(id.seq) => {
                let kept = session.kept.iter().find(|kept| kept.seq == id.seq);
                Fate::Done(kept.map(|kept| kept.outcomes.as_slice()))
            }
            _ => Fate::Open,
        }
    }

    /// A member has left for good: nothing of it is remembered.
    pub(crate) fn forget(&mut self, member: MemberId) {
        self.members.remove(&member);
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        codec::put_u32(out, self.members.len());
        for (id, starts) in &self.members {
            codec::put_u64(out, id.0);
            codec::put_u64(out, starts.used);
            codec::put_u32(out, starts.sessions.len());
            starts.sessions.iter().for_each(|session| session.encode(out));
        }
    }

    /// Reads what [`Sessions::encode`] wrote; all of `input` must belong to it.
    pub(crate) fn decode(mut input: &[u8]) -> Result<Self, Malformed> {
        let input = &mut input;
        let mut members = BTreeMap::new();
        for _ in 0..codec::take_u32(input)? {
            let id = MemberId(codec::take_u64(input)?);
            let mut starts = Starts { used: codec::take_u64(input)?, ..Starts::default() };
            for _ in 0..codec::take_u32(input)? {
                starts.sessions.push_back(Session::decode(input)?);
            }
            members.insert(id, starts);
        }
        if input.is_empty() { Ok(Self { members }) } else { Err(Malformed) }
    }
}

impl Session {
    fn encode(&self, out: &mut Vec<u8>) {
        codec::put_u64(out, self.start);
        codec::put_u64(out, self.floor);
        codec::put_u32(out, self.applied.len());
        self.applied.iter().for_each(|seq| codec::put_u64(out, *seq));
        codec::put_u32(out, self.kept.len());
        for kept in &self.kept {
            codec::put_u64(out, kept.seq);
            codec::put_u32(out, kept.outcomes.len());
            kept.outcomes.iter().for_each(|outcome| outcome.encode(out));
        }
    }

    fn decode(input: &mut &[u8]) -> Result<Self, Malformed> {
        let (start, floor) = (codec::take_u64(input)?, codec::take_u64(input)?);
        let mut session = Self { start, floor, ..Self::default() };
        for _ in 0..codec::take_u32(input)? {
            session.applied.insert(codec::take_u64(input)?);
        }
        for _ in 0..codec::take_u32(input)? {
            let seq = codec::take_u64(input)?;
            let mut outcomes = Vec::new();
            for _ in 0..codec::take_u32(input)? {
                outcomes.push(Outcome::decode(input)?);
            }
            session.keep(seq, outcomes);
        }
        Ok(session)
    }
}

const LOST: u8 = 0;
const EVENT: u8 = 1;
const INTERNAL: u8 = 2;
const LOCK: u8 = 3;
const FAILED: u8 = 4;

const LOCK_STATES: [LockState; 3] = [LockState::Held, LockState::Waiting, LockState::Gone];

const CODES: [ErrorCode; 14] = [
    ErrorCode::KeyNotFound,
    ErrorCode::CompareFailed,
    ErrorCode::NotAFile,
    ErrorCode::NotADirectory,
    ErrorCode::KeyAlreadyExists,
    ErrorCode::Reserved,
    ErrorCode::RootReadOnly,
    ErrorCode::DirectoryNotEmpty,
    ErrorCode::EventIndexCleared,
    ErrorCode::Unauthorized,
    ErrorCode::AuthInvalid,
    ErrorCode::AuthForbidden,
    ErrorCode::AuthUnknown,
    ErrorCode::AuthConflict,
];

impl Outcome {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Outcome::Lost => out.push(LOST),
            Outcome::Event(index) => {
                out.push(EVENT);
                codec::put_u64(out, index.0);
            }
            Outcome::Internal => out.push(INTERNAL),
            Outcome::Lock(lock) => {
                out.push(LOCK);
                codec::put_u64(out, lock.index);
                codec::put_u64(out, lock.before);
                codec::put_u64(out, lock.touched);
                let state = LOCK_STATES.iter().position(|state| *state == lock.state);
                let state = state.expect("all states are in the list");
                out.push(u8::try_from(state).expect("there are few states"));
            }
            Outcome::Failed(error) => {
                out.push(FAILED);
                codec::put_u32(out, usize::from(error.code as u16));
                codec::put_u64(out, error.index.0);
                codec::put_bytes(out, error.cause.as_bytes());
            }
        }
    }

    fn decode(input: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(match codec::take_u8(input)? {
            LOST => Outcome::Lost,
            EVENT => Outcome::Event(StoreIndex(codec::take_u64(input)?)),
            INTERNAL => Outcome::Internal,
            LOCK => {
                let (index, before) = (codec::take_u64(input)?, codec::take_u64(input)?);
                let touched = codec::take_u64(input)?;
                let state = LOCK_STATES.get(usize::from(codec::take_u8(input)?));
                let state = *state.ok_or(Malformed)?;
                Outcome::Lock(LockOutcome { index, state, before, touched })
            }
            FAILED => {
                let code = codec::take_u32(input)?;
                let code = CODES.iter().find(|known| usize::from(**known as u16) == code);
                let code = *code.ok_or(Malformed)?;
                let index = StoreIndex(codec::take_u64(input)?);
                let cause = codec::take_text(input)?.to_owned();
                Outcome::Failed(StoreError { code, cause, index })
            }
            _ => return Err(Malformed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBER: MemberId = MemberId(7);

    fn mark(start: u64, seq: u64, floor: u64) -> Mark {
        Mark { member: MEMBER, id: ForwardId { start, seq }, floor, count: 1 }
    }

    fn is_done(sessions: &Sessions, start: u64, seq: u64) -> bool {
        sessions.fate(MEMBER, ForwardId { start, seq }) != Fate::Open
    }

    #[test]
    fn each_request_is_carried_out_once_in_whatever_order() {
        let mut sessions = Sessions::default();
        assert!(sessions.begin(&mark(1, 5, 3), 10));
        assert!(
            sessions.begin(&mark(1, 4, 3), 11),
            "refused first, and accepted after a later one"
        );
        assert!(!sessions.begin(&mark(1, 5, 3), 12));
        assert!(!sessions.begin(&mark(1, 3, 0), 13), "it was settled before the fifth was sent");
        assert!(sessions.begin(&mark(1, 8, 5), 14));
        assert!(!sessions.begin(&mark(1, 4, 3), 15), "below the floor");
        assert!(sessions.begin(&mark(1, 7, 5), 16));
        assert!(sessions.begin(&mark(2, 1, 0), 17), "another start begins anew");
        assert!(!sessions.begin(&mark(1, 7, 5), 18), "and the old one is not forgotten");
    }

    #[test]
    fn a_floor_above_its_own_request_settles_nothing_that_may_come() {
        let mut sessions = Sessions::default();
        assert!(sessions.begin(&mark(1, 5, u64::MAX), 1));
        assert!(is_done(&sessions, 1, 5));
        assert!(sessions.begin(&mark(1, 6, 4), 2));
    }

    #[test]
    fn outcomes_are_kept_until_the_member_has_settled_them() {
        let mut sessions = Sessions::default();
        let lock = LockOutcome { index: 4, state: LockState::Waiting, before: 0, touched: 4 };
        let error = StoreError {
            code: ErrorCode::CompareFailed,
            cause: "[a != b]".into(),
            index: StoreIndex(9),
        };
        let outcomes = vec![
            Outcome::Event(StoreIndex(8)),
            Outcome::Failed(error),
            Outcome::Lock(lock),
            Outcome::Internal,
            Outcome::Lost,
        ];
        sessions.begin(&mark(1, 1, 0), 1);
        sessions.keep(&mark(1, 1, 0), outcomes.clone());
        let fate = |sessions: &Sessions| match sessions.fate(MEMBER, ForwardId { start: 1, seq: 1 })
        {
            Fate::Done(kept) => kept.map(<[Outcome]>::to_vec),
            Fate::Open => panic!("it was carried out"),
        };
        assert_eq!(fate(&sessions), Some(outcomes));
        let mut bytes = Vec::new();
        sessions.encode(&mut bytes);
        assert_eq!(Sessions::decode(&bytes).as_ref(), Ok(&sessions));
        for len in 0..bytes.len() {
            assert!(Sessions::decode(bytes.get(..len).expect("shorter")).is_err());
        }
        sessions.begin(&mark(1, 2, 1), 2);
        assert_eq!(fate(&sessions), None);
        sessions.forget(MEMBER);
        assert!(!is_done(&sessions, 1, 1));
    }

    #[test]
    fn everything_is_bounded() {
        let mut sessions = Sessions::default();
        for seq in 1..=10_000 {
            assert!(sessions.begin(&mark(1, seq, 0), seq));
            sessions.keep(&mark(1, seq, 0), vec![Outcome::Internal; 100]);
        }
        let session = sessions.session(MEMBER, 1).expect("there");
        assert_eq!(session.applied.len(), APPLIED_MAX);
        assert!(session.kept.len() <= KEPT_REQUESTS_MAX && session.kept_items <= KEPT_ITEMS_MAX);
        assert!(is_done(&sessions, 1, 1), "what fell below is not done again");
        sessions.keep(&mark(1, 10_001, 0), vec![Outcome::Internal; KEPT_ITEMS_MAX + 1]);
        let cause = "c".repeat(CAUSE_BYTES_MAX);
        let error = StoreError { code: ErrorCode::KeyNotFound, cause, index: StoreIndex(1) };
        for seq in 1..=100 {
            sessions.keep(&mark(1, seq, 0), vec![Outcome::Failed(error.clone()); 10]);
        }
        assert!(sessions.session(MEMBER, 1).expect("there").kept_bytes <= KEPT_BYTES_MAX);
        for start in 2..100 {
            sessions.begin(&mark(start, 1, 0), 20_000 + start);
        }
        assert_eq!(sessions.members[&MEMBER].sessions.len(), STARTS_MAX);
        for id in 100..1000 {
            sessions.begin(&Mark { member: MemberId(id), ..mark(1, 1, 0) }, 30_000 + id);
        }
        assert_eq!(sessions.members.len(), MEMBERS_MAX);
    }

    #[test]
    fn a_long_cause_is_not_kept() {
        let error = |len: usize| {
            let cause = "c".repeat(len);
            Err(StoreError { code: ErrorCode::CompareFailed, cause, index: StoreIndex(1) })
        };
        assert_eq!(Outcome::of(&error(CAUSE_BYTES_MAX + 1)), Outcome::Lost);
        assert!(matches!(Outcome::of(&error(10)), Outcome::Failed(_)));
    }
}
