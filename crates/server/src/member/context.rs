//! What handlers work on: the member, and all that belongs to it but the connections.

use super::asking::Asking;
use super::backups::Backups;
use super::handover::HandOver;
use super::hints::Inquiry;
use super::inbound::Inbound;
use super::incidents::Incidents;
use super::probe::Probe;
use super::seen::Seen;
use super::worker::Workers;
use crate::api::dial_backs::DialBacks;
use crate::api::keys::event_bytes::EventBytes;
use crate::api::lock::waiters::LockWaiters;
use crate::api::standbys::Standbys;
use crate::auth::Authenticator;
use crate::config::Config;
use crate::http::response::Numbers;
use crate::http::time::rfc3339;
use crate::metrics::Meters;
use crate::net::tls::Expiry;
use crate::net::{Key, Load, Response};
use crate::peer::PeerLinks;
use crate::proof::{Gate, Proven};
use crate::sys::clock::SystemClock;
use crate::sys::disk::DataDir;
use crate::sys::pulse::Pulse;
use crate::text::{printable, span};
use crate::trend::Trend;
use replica::{Driver, Fatal, Member, MemberId, Network, Now, Output, Removal, Role};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use store::{Principal, StoreIndex};

/// The replica of this process, with its disk, its network and its clock.
pub(crate) type Engine = Driver<DataDir, PeerLinks, SystemClock>;

/// A member that was not heard of for so long counts as unreachable: 3 s. Members tell one another
/// how they are every second.
pub(crate) const SILENCE_NS: u64 = 3_000_000_000;

/// The shortest time without a heartbeat that counts as silence: 100 ms. On a busy machine a short
/// interval is missed now and then.
const BEAT_MIN_NS: u64 = 100_000_000;

/// Whether another member can be spoken to, and speaks.
pub(super) fn reaches(driver: &Engine, id: MemberId) -> bool {
    driver.network().can_send(id) && driver.was_heard(id, SILENCE_NS)
}

/// An action on a connection other than the one that is served.
#[derive(Debug)]
pub(crate) enum Effect {
    Answer(Key, Response),
    /// The same, and the connection ends with it.
    AnswerLast(Key, Response),
    Close(Key),
}

/// What handlers work on.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) driver: Engine,
    pub(crate) workers: Workers,
    pub(crate) meters: Rc<Meters>,
    /// Verifies proofs of callers, and proves this machine's answers.
    pub(crate) gate: Arc<Gate>,
    /// Knows who sends requests.
    pub(crate) auth: Authenticator,
    /// Who sent the current request.
    pub(crate) who: Principal,
    /// Whether it has shown what counts as root: a machine's certificate, or the cluster's secret.
    pub(crate) is_let_in: bool,
    /// Clients that wait for locks.
    pub(crate) locks: LockWaiters,
    /// Streams that are told how far they are.
    pub(crate) progressing: Vec<Key>,
    /// Events as they are sent to watchers.
    pub(crate) events: EventBytes,
    /// What handlers print into; kept for its memory.
    pub(crate) body: Vec<u8>,
    pub(crate) clock: SystemClock,
    pub(crate) now: Now,
    /// When the outcomes of the latest turn that had any were there, by the monotonic clock.
    pub(crate) outcomes_at: u64,
    pub(crate) started: Now,
    /// When this process first saw its leader, by both clocks.
    pub(crate) leader_since: Now,
    /// How often another leader was seen than before.
    pub(crate) leader_changes: u64,
    /// Other members as they speak to this one.
    pub(crate) inbound: Inbound,
    /// Members that are looked for.
    pub(crate) asking: Asking,
    /// Machines that ask for a place and are being dialled.
    pub(crate) dial_backs: DialBacks,
    /// The standbys that asked this member how things are.
    pub(crate) standbys: Standbys,
    /// Each backup that is being sent holds this.
    pub(crate) sending_backups: Arc<()>,
    /// Each answer that is made beside the loop holds this.
    pub(crate) asides: Arc<()>,
    /// Those that this member makes by itself.
    pub(crate) backups: Backups,
    /// What the log was told of the cluster.
    pub(crate) incidents: Incidents,
    pub(crate) pulse: Pulse,
    /// Whether a write would work, as the cluster said last.
    pub(crate) probe: Probe,
    /// Leadership that an administrator has handed over.
    pub(crate) hand_over: HandOver,
    /// How far the others were when they last said so.
    pub(crate) seen: Seen,
    /// What it counted in the last hour.
    pub(crate) trend: Trend,
    /// The certificate of this machine that ends first, if it has any.
    pub(crate) certificate: Option<Expiry>,
    /// How this machine was removed, if it was.
    pub(crate) removal: Option<Removal>,
    /// What others say about that.
    pub(crate) inquiry: Inquiry,
    /// What broke while messages of members were taken; the next turn says so.
    pub(crate) fatal: Option<Fatal>,
    pub(crate) out: Output,
    /// Actions that handlers request on other connections.
    pub(crate) effects: Vec<Effect>,
    /// The exchange that proves the answer to the current request.
    pub(crate) proven: Option<Box<Proven>>,
    /// How many connections there are, and what they hold.
    pub(crate) load: Load,
    /// When a read was last served, by the monotonic clock.
    pub(crate) last_read_at: u64,
    /// Whether one was served in this round.
    pub(crate) has_read: bool,
}

impl Context {
    /// A read is being served: its client may ask for the next thing at once.
    pub(crate) fn note_read(&mut self) {
        self.last_read_at = self.now.monotonic;
        self.has_read = true;
    }

    /// How long a request waited that came at `since` and whose outcome is in the latest turn.
    pub(crate) fn waited(&self, since: u64) -> Duration {
        Duration::from_nanos(self.outcomes_at.saturating_sub(since))
    }

    /// Answers another connection than the one that is served.
    pub(crate) fn answer(&mut self, key: Key, response: Response) {
        self.effects.push(Effect::Answer(key, response));
    }

    /// The numbers for an answer about the key space as it was at `index`.
    pub(crate) fn numbers(&self, index: StoreIndex) -> Numbers {
        let status = self.driver.status();
        Numbers {
            cluster: self.driver.cluster().0,
            store_index: index.0,
            raft: Some((status.commit.0, status.term.0)),
        }
    }

    /// The index of the key space as it is now.
    pub(crate) fn index(&self) -> u64 {
        self.driver.store().index().0
    }

    pub(crate) fn leader(&self) -> Option<&Member> {
        self.driver.status().leader.and_then(|leader| self.driver.membership().member(leader))
    }

    /// Whether there is a leader that was heard of lately. A member that only learns keeps one in
    /// mind that is long gone.
    pub(crate) fn hears_leader(&self) -> bool {
        let status = self.driver.status();
        let hears = |leader| leader == status.id || self.driver.is_reachable(leader);
        status.leader.is_some_and(hears)
    }

    /// Whether there is a leader that can be spoken to.
    pub(crate) fn is_led(&self) -> bool {
        let status = self.driver.status();
        let can_ask = |leader| leader == status.id || self.driver.network().can_send(leader);
        status.leader.is_some_and(can_ask)
    }

    /// Whether this member is the only one that votes, so that nobody has to be asked.
    pub(crate) fn votes_alone(&self) -> bool {
        let own = self.driver.status().id;
        self.driver.voters().eq([own])
    }

    /// Whether the disk of a member takes no writes, as far as is known here.
    pub(crate) fn is_stuck(&self, id: MemberId) -> bool {
        if id == self.driver.status().id {
            return self.driver.is_stuck();
        }
        self.driver.is_peer_stuck(id, SILENCE_NS)
    }

    /// Whether a member that exchanges heartbeats with this one did so lately: it missed one at
    /// most.
    fn beats(&self, id: MemberId) -> bool {
        let missed_ns = self.config.heartbeat_interval_ms.saturating_mul(2_000_000);
        let late_ns = missed_ns.max(BEAT_MIN_NS);
        self.driver.network().can_send(id) && self.driver.was_heard(id, late_ns)
    }

    /// How many voters this member reaches, itself included, and how many there are. A leader hears
    /// each of them with every heartbeat, another member once a second.
    pub(crate) fn voters_reached(&self) -> (usize, usize) {
        let status = self.driver.status();
        let reaches = |id| match status.role {
            _ if id == status.id => true,
            Role::Leader => self.beats(id),
            _ if Some(id) == status.leader => self.beats(id),
            _ => self.reaches(id),
        };
        self.driver
            .voters()
            .fold((0, 0), |(reached, all), id| (reached + usize::from(reaches(id)), all + 1))
    }

    /// Whether another member can be spoken to, and speaks.
    pub(crate) fn reaches(&self, id: MemberId) -> bool {
        reaches(&self.driver, id)
    }

    /// What people call a member.
    pub(crate) fn name_of(&self, id: MemberId) -> String {
        match self.driver.membership().member(id) {
            Some(member) => printable(&member.name),
            None if id == self.driver.status().id => self.config.name.clone(),
            None => format!("the machine with id {id}"),
        }
    }

    /// The end of a sentence: the members that this one cannot speak to.
    pub(crate) fn who_is_unreachable(&self) -> String {
        let own = self.driver.status().id;
        let members = self.driver.membership().members();
        let gone = members.filter(|member| member.id != own && !self.reaches(member.id));
        let gone: Vec<String> = gone.map(|member| printable(&member.name)).collect();
        if gone.is_empty() { String::new() } else { format!("; unreachable: {}", gone.join(", ")) }
    }

    /// Where this member has reached no majority for a minute or more: since when, and what to do.
    pub(crate) fn majority_gone(&self) -> Option<String> {
        let ns = self.incidents.reach.gone_for(self.now.monotonic)?;
        Some(majority_gone(self.now.wall, ns))
    }

    /// The part that this member plays, in the words of the statistics.
    pub(crate) fn role_name(&self) -> &'static str {
        match self.driver.status().role {
            Role::Leader => "leader",
            Role::Follower => "follower",
            Role::Candidate => "candidate",
        }
    }
}

/// What to do about a majority that has been gone for `ns` at the wall time `now`.
fn majority_gone(now: u64, ns: u64) -> String {
    let since = now.saturating_sub(ns);
    let since = rfc3339(since - since % 1_000_000_000);
    format!(
        "no majority since {since} ({}): start the missing machines again; only if most machines \
         are lost for good, make one that is left a new cluster with `stead recover`",
        span(ns)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_that_is_gone_is_told_with_its_moment_and_the_remedy() {
        let text = majority_gone(1_795_418_275_068_498_647, 180_000_000_000);
        assert!(text.starts_with("no majority since 2026-11-23T07:14:55Z (3 min): "), "{text}");
        assert!(text.contains("`stead recover`"), "{text}");
    }
}
