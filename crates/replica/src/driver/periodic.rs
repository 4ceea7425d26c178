//! What a member does as time passes, without being asked.

use crate::clock::{Clock, MonoTime, Now};
use crate::driver::Driver;
use crate::driver::network::Network;
use crate::error::Fatal;
use crate::limits::{MEMBERSHIP_CHECK_NS, RESEND_NS, TICK_NS};
use crate::membership::{ClusterConfig, Member};
use crate::replica::state::Announcement;
use crate::types::MemberId;
use crate::waiting::proposal::Output;
use crate::wire::batch::Control;
use crate::wire::envelope::Envelope;
use crate::wire::vitals::Vitals;
use std::io::ErrorKind;
use wal::Disk;

/// How often members tell one another how far they are: 1 s.
const BEACON_NS: u64 = 1_000_000_000;

/// How long a member waits before it announces itself again: 2 s.
const ANNOUNCE_NS: u64 = 2_000_000_000;

/// A turn that comes so much later than the one before shows that this process stood still: 500 ms.
const PAUSE_NS: u64 = 500_000_000;

/// For how long no request is given up after that: 2 s.
const PATIENCE_NS: u64 = 2_000_000_000;

impl<D: Disk, N: Network, C: Clock> Driver<D, N, C> {
    pub(super) fn tick(&mut self, now: Now, out: &mut Output) {
        if now.mono().since(self.last_tick) < TICK_NS {
            return;
        }
        let was_stopped = now.mono().since(self.last_tick) > PAUSE_NS && !self.replica.is_alone();
        if was_stopped {
            self.patient_until = now.mono().after(PATIENCE_NS);
        }
        // After a pause raft gets one tick, not the missed ones: a member that was stopped must not
        // campaign the moment it wakes up.
        self.last_tick = now.mono();
        let alone = self.replica.is_alone();
        self.check_abstention();
        let may_campaign = self.replica.is_leader() || !self.abstains();
        if may_campaign && !(self.is_silenced() || alone && self.replica.is_leader()) {
            self.replica.tick();
        }
        let mut since = now.mono().before(self.options.request_timeout_ns);
        if now.mono() < self.patient_until {
            // What became of the requests is known in a moment.
            since = MonoTime::default();
        }
        let retry_ns = self.options.heartbeat_ms.saturating_mul(3_000_000);
        let retry_before = now.mono().before(retry_ns);
        self.replica.expire_waiting(since, retry_before, out);
        self.replica.resend(now.mono().before(RESEND_NS));
        self.announce(now);
        self.show_own(now);
        if !alone {
            self.announce_start(now);
            self.poll_periodic(now);
        }
    }

    /// Tells the cluster this member's name and addresses, if it does not know them. What was said
    /// once is not said again: an operator may have put another address in its place since, for
    /// the next start (docs/spec/cluster.md section 8.1).
    fn announce(&mut self, now: Now) {
        let last = self.last_announcement;
        if self.was_announced
            || last.is_some_and(|last| now.mono().since(last) < ANNOUNCE_NS)
            || self.replica.leader().is_none()
            || !self.replica.is_member()
        {
            return;
        }
        let config = self.replica.is_leader().then_some(self.options.cluster_config);
        let own = self.own_member();
        if let Some(control) = self.replica.registration(&own, config) {
            self.last_announcement = Some(now.mono());
            let known = self.replica.membership().member(own.id);
            let has_more = !own.urls.is_empty() || known.is_some_and(|one| !one.urls.is_empty());
            self.announced_plainly = !has_more || !self.announced_plainly;
            if self.announced_plainly {
                self.replica.propose_control(None, &control, now.mono());
            } else {
                // With all its addresses at once, so that nobody sees it without some of them, or
                // with those that it had before.
                self.ask_to_show(own, config, true);
            }
        } else {
            // What an earlier start announced may still be on its way into the log, where it comes
            // before the entry that names this start.
            self.was_announced = self.replica.has_caught_up() && self.is_start_known();
        }
    }

    /// Has all addresses of this member shown in the registry, as soon as its record is there, and
    /// again whenever something else was written in their place.
    fn show_own(&mut self, now: Now) {
        let version = self.replica.membership_version();
        let is_asked =
            |(at, seen): (MonoTime, u64)| seen == version && now.mono().since(at) < ANNOUNCE_NS;
        if self.shown_at == Some(version)
            || self.last_showing.is_some_and(is_asked)
            || self.replica.leader().is_none()
            || !self.replica.is_member()
            || !self.replica.has_caught_up()
        {
            return;
        }
        let own = self.own_member();
        let is_announced = self.was_announced || self.replica.registration(&own, None).is_none();
        let known = self.replica.membership().member(own.id).filter(|_| is_announced);
        let Some(wanted) = known.map(|known| Member { urls: own.urls, ..known.clone() }) else {
            return;
        };
        if self.replica.shows(&wanted) {
            self.shown_at = Some(version);
            return;
        }
        self.last_showing = Some((now.mono(), version));
        self.ask_to_show(wanted, None, false);
    }

    /// Has the leader show this member. `has_record` says whether it tells its record as well.
    fn ask_to_show(&mut self, member: Member, first: Option<ClusterConfig>, has_record: bool) {
        if self.replica.is_leader() {
            return self.replica.show(Announcement { member, first });
        }
        let Some(leader) = self.replica.other_leader() else { return };
        let mut text = String::new();
        if has_record {
            text = member.registry_value();
        } else {
            member.urls.push_to(&mut text);
        }
        self.network.send(leader, Envelope::Announce { text: &text }.encode());
    }

    /// Whether the cluster knows which start of the directory speaks for this member.
    fn is_start_known(&self) -> bool {
        let (id, identity) = (self.replica.id(), self.claims.identity());
        identity.start == 0 || self.replica.membership().identity(id) == Some(identity)
    }

    /// Tells the cluster which directory speaks for this member, so that an older copy of it is
    /// told apart by everybody, after a restart of everybody too.
    fn announce_start(&mut self, now: Now) {
        let (id, identity) = (self.replica.id(), self.claims.identity());
        let last = self.last_start_announcement;
        if self.is_start_known()
            || self.replica.membership().member(id).is_none()
            || last.is_some_and(|last| now.mono().since(last) < ANNOUNCE_NS)
            || self.replica.leader().is_none()
            || self.unfit().is_err()
        {
            return;
        }
        self.last_start_announcement = Some(now.mono());
        let control = Control::Started(id, identity);
        self.replica.propose_control(None, &control, now.mono());
    }

    /// Whether this member has seen, since it started, all that was answered before: a plain read
    /// before that would go back in time for whoever read here before.
    pub fn is_warm(&self) -> bool {
        self.is_warm || self.replica.decides_alone()
    }

    /// A proven read was answered here, or nobody can be waited for any longer.
    pub fn warm_up(&mut self) {
        self.is_warm = true;
    }

    /// Whether this member ever had the store of its cluster. One that has just joined has not, and
    /// must not say what is in it.
    pub fn has_store(&self) -> bool {
        self.replica.applied().0 > 0 && self.replica.was_member()
    }

    pub(super) fn own_member(&self) -> Member {
        Member {
            id: self.replica.id(),
            name: self.options.name.clone(),
            client_url: self.options.client_url.clone(),
            urls: self.options.client_urls.clone().beside(&self.options.client_url),
            peer_url: self.options.peer_url.clone(),
        }
    }

    /// Does what has to be done now and then in a cluster.
    fn poll_periodic(&mut self, now: Now) {
        self.pump_transfers(now);
        if now.mono().since(self.last_membership_check) >= MEMBERSHIP_CHECK_NS {
            self.last_membership_check = now.mono();
            self.replica.propose_membership_changes(now);
            if self.has_diverged() {
                self.replica.transfer_leadership();
            }
            let syncs_since = self.unsynced.syncs_since();
            let patience_ns = self.options.election_timeout_ms.saturating_mul(1_000_000);
            if syncs_since.is_some_and(|at| now.mono().since(at) > patience_ns) {
                // Nothing is applied here before it is durable here: with a disk that hangs this
                // member would hold up everybody.
                self.replica.transfer_leadership();
            }
            let waits_since = self.unwritten.since();
            if waits_since.is_some_and(|at| now.mono().since(at) > patience_ns) {
                self.replica.transfer_leadership();
            }
        }
        let (is_stuck, was_stuck) = (self.is_stuck(), self.told_stuck);
        let is_beacon_due = now.mono().since(self.last_beacon) >= BEACON_NS;
        if is_stuck != was_stuck || is_stuck && is_beacon_due {
            self.told_stuck = is_stuck;
            for id in self.others() {
                self.network.send(id, Envelope::Disk { is_stuck }.encode());
            }
        }
        if is_beacon_due {
            self.last_beacon = now.mono();
            self.send_beacons();
        }
    }

    /// All other members by raft's configuration.
    fn others(&self) -> Vec<MemberId> {
        let (own, conf) = (self.replica.id(), self.replica.conf_state());
        let ids = conf.voters.iter().chain(&conf.learners).copied().map(MemberId);
        ids.filter(|id| *id != own).collect()
    }

    fn send_beacons(&mut self) {
        let (index, hash) = (self.replica.applied().0, self.replica.applied_hash());
        let uptime = self.now.mono().since(self.started) / 1_000_000_000;
        let (wall, version) = (self.now.wall, &self.options.version);
        let beacon = Envelope::Beacon { index, hash, uptime, wall, version }.encode();
        let conf = self.replica.conf_state();
        let ids = conf.voters.iter().chain(&conf.learners).copied().map(MemberId);
        let members = Envelope::Members(ids.collect()).encode();
        for id in self.others() {
            self.network.send(id, beacon.clone());
            self.network.send(id, members.clone());
        }
        self.send_reports();
        self.replica.forget_strangers();
    }

    /// Tells the other members how this one is, for whoever asks one of them: call this once a
    /// second.
    pub fn tell_vitals(&mut self, vitals: &Vitals) {
        let message = Envelope::Vitals(Box::new(vitals.clone())).encode();
        for id in self.others() {
            self.network.send(id, message.clone());
        }
        self.network.flush();
    }

    /// Looks whether the log can still be found by its name. Somebody may remove or replace the
    /// directory of a running process, whose writes go to files that nobody can open again.
    ///
    /// # Errors
    /// [`Fatal`]: what would be acknowledged from here on would be lost.
    pub fn check_directory(&self) -> Result<(), Fatal> {
        let Some(name) = self.wal.newest_segment() else { return Ok(()) };
        match self.disk.open(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Fatal::Identity(format!(
                "{name} is gone: the data directory was removed or replaced while it was in use, \
                 and nothing more is acknowledged. Stop this machine's unit; put the directory \
                 back if it is somewhere, or start a member of a cluster with -force-rejoin"
            ))),
            // Out of descriptors, most likely: that is told elsewhere.
            _ => Ok(()),
        }
    }

    /// Nanoseconds until the next turn is due even if nothing arrives; nothing if it can wait for
    /// ever.
    pub fn until_due(&self) -> Option<u64> {
        if self.replica.has_more_to_propose() {
            return Some(0);
        }
        let now = self.clock.now();
        let (expiry, count) =
            (self.replica.until_expiry(now), self.replica.until_count(now.mono()));
        let alone = self.replica.is_alone() && self.replica.is_leader();
        let must_tick = !alone || self.unsynced.is_syncing() || self.is_held_up();
        let tick = must_tick.then(|| self.last_tick.after(TICK_NS).since(now.mono()));
        [expiry, count, tick].into_iter().flatten().min()
    }
}
