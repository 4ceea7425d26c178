//! What a member notices of the others: when they were heard of, how fast they answer, how far they
//! have applied.

use crate::clock::{MonoTime, Now};
use crate::types::{LogIndex, LogPosition, MemberId, Term};
use crate::wire::vitals::Vitals;
use std::collections::BTreeMap;

/// Times of a leader's calls to one follower, in nanoseconds (API document of 0.4, "Leader
/// Statistics").
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latency {
    /// The latest.
    pub current: u64,
    /// The shortest.
    pub minimum: u64,
    /// The longest.
    pub maximum: u64,
    /// How many calls were answered.
    pub success: u64,
    /// How many could not be delivered or were refused.
    pub fail: u64,
    mean: f64,
    /// Sum of the squared distances from the mean (Welford).
    spread: f64,
}

impl Latency {
    fn add(&mut self, ns: u64) {
        self.success += 1;
        self.current = ns;
        self.minimum = if self.success == 1 { ns } else { self.minimum.min(ns) };
        self.maximum = self.maximum.max(ns);
        let distance = ns as f64 - self.mean;
        self.mean += distance / self.success as f64;
        self.spread += distance * (ns as f64 - self.mean);
    }

    /// The mean in nanoseconds.
    pub fn average(&self) -> f64 {
        self.mean
    }

    /// The standard deviation in nanoseconds.
    pub fn standard_deviation(&self) -> f64 {
        if self.success == 0 { 0.0 } else { (self.spread / self.success as f64).sqrt() }
    }
}

/// The bounds of [`RoundTrips`] in nanoseconds: from 25 us on, each twice the one before. They hold
/// those that etcd has, 0.1 ms to 3.3 s.
const ROUND_TRIP_BOUNDS: [u64; 18] = {
    let mut bounds = [25_000; 18];
    let mut at = 1;
    while at < bounds.len() {
        bounds[at] = bounds[at - 1] * 2;
        at += 1;
    }
    bounds
};

/// How long heartbeats to one member took until its answer was here, whenever this one led.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundTrips {
    within: [u64; ROUND_TRIP_BOUNDS.len()],
    /// How many there were.
    pub count: u64,
    /// Nanoseconds, all together.
    pub sum: u64,
}

impl RoundTrips {
    fn add(&mut self, ns: u64) {
        let at = ROUND_TRIP_BOUNDS.partition_point(|bound| *bound < ns);
        if let Some(within) = self.within.get_mut(at) {
            *within += 1;
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(ns);
    }

    /// Each bound in nanoseconds, and how many were within it.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut sum = 0;
        ROUND_TRIP_BOUNDS.into_iter().zip(self.within).map(move |(bound, within)| {
            sum += within;
            (bound, sum)
        })
    }
}

/// One other member, as seen from here.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// When it was last heard of, by this machine's monotonic clock; nothing if never.
    pub heard_at: Option<u64>,
    /// The leader's calls to it, since this member leads.
    pub latency: Latency,
    /// The leader's heartbeats to it, since this process started.
    pub round_trips: RoundTrips,
    /// How far it said that it had applied.
    pub applied: u64,
    /// When it said so, by this machine's monotonic clock; nothing if never.
    pub told_at: Option<u64>,
    /// For how many seconds it had been running, as it said.
    pub uptime: u64,
    /// By how many nanoseconds this machine's wall clock is ahead of what its one said, which was
    /// right when it was sent.
    pub clock_offset_ns: i64,
    /// The version of its program, as it said.
    pub version: String,
    /// Whether its state was found to differ from this member's at the same log index.
    pub diverged: bool,
    /// When it last said that its disk takes no writes, by this machine's monotonic clock; nothing
    /// if it said later that it does.
    pub stuck_at: Option<u64>,
    /// How it said last that it is, and when, by this machine's monotonic clock; nothing if it
    /// never did, as older releases do not.
    vitals: Option<(u64, Vitals)>,
    /// The term in which it said that it leads, and since when, by this machine's wall clock in
    /// nanoseconds, as that followed from what it said first.
    leads_since: Option<(Option<u64>, u64)>,
    /// What the latest comparison of the two states said; nothing before the first.
    pub(crate) agrees: Option<bool>,
    /// When the call was sent that is not answered.
    asked_at: Option<MonoTime>,
    /// The same for a heartbeat.
    beat_at: Option<MonoTime>,
    /// Since when a leader waits for the first word of it.
    pub(crate) missed_at: Option<MonoTime>,
}

impl Peer {
    /// When it was last heard of.
    pub(crate) fn heard(&self) -> Option<MonoTime> {
        self.heard_at.map(MonoTime)
    }

    /// How it is, if it said so at the reading `since` of this machine's monotonic clock or later.
    pub fn vitals(&self, since: u64) -> Option<&Vitals> {
        self.vitals.as_ref().filter(|(at, _)| *at >= since).map(|(_, vitals)| vitals)
    }

    /// Since when it leads in a term without a break, as it said: by this machine's wall clock, in
    /// nanoseconds.
    pub fn leads_since(&self, term: Term) -> Option<u64> {
        self.leads_since.filter(|(of, _)| *of == Some(term.0)).map(|(_, since)| since)
    }

    pub(crate) fn note_vitals(&mut self, vitals: Vitals, now: Now) {
        // Worked out once, so that it stays the same however long its messages take.
        let is_same = self.leads_since.is_some_and(|(term, _)| term == vitals.term);
        match vitals.leads_ns {
            Some(ns) if !is_same => {
                self.leads_since = Some((vitals.term, now.wall.saturating_sub(ns)));
            }
            Some(_) => {}
            None => self.leads_since = None,
        }
        self.vitals = Some((now.monotonic, vitals));
    }
}

/// All other members, as seen from here.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    peers: BTreeMap<MemberId, Peer>,
}

impl Peers {
    pub(crate) fn get(&self, id: MemberId) -> Option<&Peer> {
        self.peers.get(&id)
    }

    pub(crate) fn entry(&mut self, id: MemberId) -> &mut Peer {
        self.peers.entry(id).or_default()
    }

    /// Forgets everybody but `members`.
    pub(crate) fn retain(&mut self, members: impl Fn(MemberId) -> bool) {
        self.peers.retain(|id, _| members(*id));
    }

    /// This member begins to lead: it counts anew, and gives everybody time to be heard of.
    pub(crate) fn start_leading(&mut self, now: MonoTime) {
        for peer in self.peers.values_mut() {
            (peer.latency, peer.asked_at, peer.heard_at) = (Latency::default(), None, Some(now.0));
            peer.beat_at = None;
            peer.missed_at = None;
        }
    }

    /// A leader looks after a member: what was never heard of is missed from here on.
    pub(crate) fn miss(&mut self, id: MemberId, now: MonoTime) {
        self.entry(id).missed_at.get_or_insert(now);
    }

    pub(crate) fn asked(&mut self, id: MemberId, now: MonoTime) {
        self.entry(id).asked_at.get_or_insert(now);
    }

    /// A heartbeat is sent. Until there is an answer those that follow it do not count.
    pub(crate) fn beat(&mut self, id: MemberId, now: MonoTime) {
        self.entry(id).beat_at.get_or_insert(now);
    }

    /// The answer to a heartbeat is here.
    pub(crate) fn beat_answered(&mut self, id: MemberId, now: MonoTime) {
        let peer = self.entry(id);
        if let Some(beat_at) = peer.beat_at.take() {
            peer.round_trips.add(now.since(beat_at));
        }
    }

    pub(crate) fn heard(&mut self, id: MemberId, now: MonoTime) {
        self.entry(id).heard_at = Some(now.0);
    }

    pub(crate) fn answered(&mut self, id: MemberId, now: MonoTime) {
        let peer = self.entry(id);
        if let Some(asked_at) = peer.asked_at.take() {
            peer.latency.add(now.since(asked_at));
        }
    }

    pub(crate) fn failed(&mut self, id: MemberId) {
        let peer = self.entry(id);
        // What was lost with the connection has no answer.
        peer.beat_at = None;
        if peer.asked_at.take().is_some() {
            peer.latency.fail += 1;
        }
    }
}

/// How many of the latest entries the hash is remembered for.
const MARKS: usize = 1024;

/// The running hashes after the latest entries. Two members that applied the same entries have the
/// same one; it is compared between members, and a difference is shown and never hidden.
#[derive(Debug)]
pub(crate) struct Marks {
    /// Index and hash, at the index modulo [`MARKS`].
    marks: Vec<(u64, u64)>,
}

impl Default for Marks {
    fn default() -> Self {
        Self { marks: vec![(0, 0); MARKS] }
    }
}

impl Marks {
    fn at(index: u64) -> usize {
        usize::try_from(index % MARKS as u64).expect("below a small number")
    }

    pub(crate) fn note(&mut self, index: u64, hash: u64) {
        if let Some(mark) = self.marks.get_mut(Self::at(index)) {
            *mark = (index, hash);
        }
    }

    /// Whether the hash at `index` is another than `hash`; nothing if it is not remembered.
    pub(crate) fn differs(&self, index: u64, hash: u64) -> Option<bool> {
        let (marked, value) = *self.marks.get(Self::at(index))?;
        (marked == index && index > 0).then_some(value != hash)
    }
}

/// The hash after one more entry.
pub(crate) fn advance(hash: u64, position: LogPosition, data: &[u8]) -> u64 {
    let LogPosition { index: LogIndex(index), term: Term(term) } = position;
    let sum = u64::from(crc32c::crc32c(data));
    let mut mixed = hash.rotate_left(23) ^ sum ^ index.rotate_left(32) ^ term.rotate_left(47);
    mixed = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_have_a_mean_and_a_deviation() {
        let mut peers = Peers::default();
        let id = MemberId(2);
        for (asked, answered) in [(0, 2), (10, 14), (20, 26)] {
            peers.asked(id, MonoTime(asked));
            peers.asked(id, MonoTime(asked + 1));
            peers.answered(id, MonoTime(answered));
            peers.answered(id, MonoTime(answered + 1));
        }
        peers.asked(id, MonoTime(30));
        peers.failed(id);
        let latency = peers.get(id).expect("there").latency;
        assert_eq!((latency.success, latency.fail, latency.current), (3, 1, 6));
        assert_eq!((latency.minimum, latency.maximum), (2, 6));
        assert!((latency.average() - 4.0).abs() < 1e-9);
        assert!((latency.standard_deviation() - (8.0_f64 / 3.0).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn a_round_trip_is_from_a_heartbeat_to_its_answer() {
        let (mut peers, id) = (Peers::default(), MemberId(2));
        for (sent, answered) in [(0, 25_000), (0, 25_001), (0, 3_276_800_000), (0, 9_000_000_000)] {
            peers.beat(id, MonoTime(sent));
            peers.beat(id, MonoTime(sent + 7));
            peers.beat_answered(id, MonoTime(answered));
            peers.beat_answered(id, MonoTime(answered + 7));
        }
        peers.beat(id, MonoTime(0));
        peers.failed(id);
        peers.beat_answered(id, MonoTime(1));
        let round_trips = peers.get(id).expect("there").round_trips;
        assert_eq!((round_trips.count, round_trips.sum), (4, 12_276_850_001));
        let within: Vec<(u64, u64)> = round_trips.cumulative().collect();
        assert_eq!(within.first(), Some(&(25_000, 1)));
        assert_eq!(within.get(1), Some(&(50_000, 2)));
        assert_eq!(within.get(2), Some(&(100_000, 2)), "the first bound of etcd");
        assert_eq!(within.last(), Some(&(3_276_800_000, 3)));
    }

    #[test]
    fn since_when_a_leader_leads_stays_as_it_was_first_said() {
        let mut peer = Peer::default();
        let now = |monotonic| Now { boot: 1, monotonic, wall: 1000 + monotonic };
        let said = |term, leads_ns| Vitals { term: Some(term), leads_ns, ..Vitals::default() };
        assert_eq!(peer.vitals(0), None);
        peer.note_vitals(said(3, Some(50)), now(100));
        peer.note_vitals(said(3, Some(130)), now(200));
        assert_eq!(peer.leads_since(Term(3)), Some(1050));
        assert_eq!(peer.leads_since(Term(4)), None);
        assert_eq!(peer.vitals(200).and_then(|one| one.leads_ns), Some(130));
        assert_eq!(peer.vitals(201), None, "it is silent");
        peer.note_vitals(said(4, Some(5)), now(300));
        assert_eq!(peer.leads_since(Term(4)), Some(1295));
        peer.note_vitals(said(5, None), now(400));
        assert_eq!(peer.leads_since(Term(4)), None);
    }

    #[test]
    fn a_difference_shows_at_once_and_stays() {
        let mut marks = Marks::default();
        let (mut one, mut other) = (0, 0);
        let mut add = |index, mine: &[u8], theirs: &[u8]| {
            one = advance(one, LogPosition::new(index, 1), mine);
            other = advance(other, LogPosition::new(index, 1), theirs);
            marks.note(index, one);
            marks.differs(index, other)
        };
        assert_eq!(add(1, b"same", b"same"), Some(false));
        assert_eq!(add(2, b"this", b"that"), Some(true));
        assert_eq!(add(3, b"same", b"same"), Some(true));
        assert_eq!(marks.differs(5000, 1), None, "not applied yet");
        assert_eq!(marks.differs(0, 0), None);
    }
}
