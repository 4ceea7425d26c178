//! The one place that touches `replica`: a running member, and what it is told and asked.
//!
//! The rest of the simulator speaks of messages, answers and events only, so that a change of the
//! driver's interface is a change of this file.

use crate::clock::SimClock;
use crate::letter::{self, Address};
use crate::plan::Plan;
use replica::{
    ClaimRefused, ClientUrls, Clock, ClusterConfig, ClusterId, Driver, EngineError, Fatal,
    InitialIdentity, Member, MemberId, Network, Options, Output, PeerClaim, Role, SnapshotJob,
    Status, SyncMode, Ticket,
};
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use store::{
    Access, Auth, Command, Event, Node, Principal, Right, Store, StoreError, StoreIndex,
    WatchFilter, WatcherId,
};
use wal::mem::MemDisk;
use wal::{FillTask, SyncTarget};

pub(crate) const CLUSTER: ClusterId = ClusterId(0xc1);

/// How long a request may wait in a member.
const REQUEST_TIMEOUT_NS: u64 = 2_000_000_000;

/// Messages that a member has sent in the turn that runs.
type Outbox = Rc<RefCell<Vec<(MemberId, Vec<u8>)>>>;

#[derive(Debug)]
struct Wire(Outbox);

impl Network for Wire {
    fn send(&mut self, to: MemberId, message: Vec<u8>) {
        self.0.borrow_mut().push((to, message));
    }
}

/// A member's process.
pub(crate) struct Running {
    driver: Driver<MemDisk, Wire, SimClock>,
    outbox: Outbox,
    out: Output,
}

/// What a machine brings along to each start.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) id: MemberId,
    pub(crate) name: String,
}

impl Identity {
    pub(crate) fn member(&self, address: Address) -> Member {
        let (name, client_url) = (self.name.clone(), format!("http://{}:4001", self.name));
        // Some have a second port, and so more to say of themselves.
        let has_second = name.bytes().last().is_some_and(|byte| byte % 2 == 0);
        let second = has_second.then(|| format!("http://{name}:2379"));
        let urls = ClientUrls::new(vec![client_url.clone()], second.into_iter().collect());
        let urls = urls.beside(&client_url);
        Member { id: self.id, name, client_url, peer_url: letter::url(address), urls }
    }
}

fn limits(plan: &Plan) -> store::Limits {
    let mut limits = store::Limits::default();
    if plan.short_history {
        limits.history_bytes_max = 30_000;
        limits.history_events_min = 100;
    }
    limits
}

fn options(identity: &Identity, address: Address, plan: &Plan, seed: u64) -> Options {
    let member = identity.member(address);
    Options {
        name: member.name,
        client_url: member.client_url,
        client_urls: member.urls,
        peer_url: member.peer_url,
        cluster_config: ClusterConfig { active_size: plan.active_size, ..ClusterConfig::default() },
        store_limits: limits(plan),
        wal_options: wal::Options { segment_bytes: plan.segment_bytes, spares_max: 2 },
        snapshot_count: plan.snapshot_count,
        snapshot_log_bytes_per_command: 16,
        snapshot_log_bytes_max: 1 << 20,
        snapshot_piece_bytes: if seed.is_multiple_of(2) { 1 << 10 } else { 128 << 10 },
        // Snapshots are rare where the log reaches back to whoever lags.
        log_tail_bytes: if seed.is_multiple_of(3) { 1 << 20 } else { 256 },
        heartbeat_ms: 50,
        election_timeout_ms: 200,
        request_timeout_ns: REQUEST_TIMEOUT_NS,
        version: "sim".into(),
        seed,
    }
}

/// Makes an empty disk that of a member. `founders` voted at the beginning of the log.
pub(crate) fn found(
    disk: &MemDisk,
    clock: &SimClock,
    identity: &Identity,
    plan: &Plan,
    founders: Vec<MemberId>,
    known: Vec<Member>,
) -> Result<(), Fatal> {
    let birth = InitialIdentity {
        cluster: CLUSTER,
        id: identity.id,
        name: identity.name.clone(),
        founders,
        known,
    };
    replica::prepare(disk, birth, limits(plan), clock.now())
}

impl Running {
    /// Starts the process.
    pub(crate) fn open(
        disk: &MemDisk,
        clock: &SimClock,
        identity: &Identity,
        address: Address,
        plan: &Plan,
        seed: u64,
    ) -> Result<Self, Fatal> {
        let outbox = Outbox::default();
        let wire = Wire(Rc::clone(&outbox));
        let options = options(identity, address, plan, seed);
        let (driver, _) = Driver::open(disk.clone(), wire, clock.clone(), options)?;
        Ok(Self { driver, outbox, out: Output::default() })
    }

    /// As [`Running::open`], but only to see what would be found; says so in words.
    pub(crate) fn probe(
        disk: &MemDisk,
        clock: &SimClock,
        identity: &Identity,
        plan: &Plan,
    ) -> Result<Probe, Fatal> {
        let wire = Wire(Outbox::default());
        let options = options(identity, 0, plan, 1);
        let (mut driver, opened) = Driver::open(disk.clone(), wire, clock.clone(), options)?;
        let last_seq = driver.wal_mut().last_seq().0;
        let status = driver.status();
        let mut bytes = Vec::new();
        driver.store().snapshot().write(&mut bytes).expect("a vector takes all");
        Ok(Probe {
            torn_tail: opened.torn_tail,
            last_seq,
            found: (status.term.0, status.commit.0, status.applied.0, bytes),
        })
    }

    pub(crate) fn refuse(&mut self, command: &Command<'_>) -> Option<StoreError> {
        self.driver.refuse(command)
    }

    pub(crate) fn propose(&mut self, op: u64, command: &Command<'_>) -> Result<(), EngineError> {
        self.driver.propose(Ticket(op), command)
    }

    pub(crate) fn propose_as(
        &mut self,
        op: u64,
        who: Principal,
        command: &Command<'_>,
    ) -> Result<(), EngineError> {
        self.driver.propose_as(Ticket(op), who.into(), command)
    }

    /// Whether somebody may do something, as far as this member has applied what users may.
    pub(crate) fn may(&self, who: Principal, command: &Command<'_>) -> bool {
        self.store().may(who.into(), command)
    }

    pub(crate) fn may_read(&self, who: Principal, key: &str) -> bool {
        let access = Access::new(crate::client::path(key), Right::Read);
        self.auth().allows(who, access)
    }

    pub(crate) fn auth(&self) -> &Auth {
        self.store().auth()
    }

    pub(crate) fn read(&mut self, op: u64) -> Result<(), EngineError> {
        self.driver.read(Ticket(op))
    }

    pub(crate) fn join(&mut self, op: u64, member: Member) {
        self.driver.propose_join(Ticket(op), member);
    }

    pub(crate) fn remove(&mut self, op: u64, id: MemberId) {
        self.driver.propose_removal(Ticket(op), id);
    }

    pub(crate) fn hand_over(&mut self) {
        self.driver.transfer_leadership();
    }

    /// What this process says of itself before it is listened to.
    pub(crate) fn claim(&self) -> PeerClaim {
        self.driver.own_claim()
    }

    /// Why it takes no part, if it does not.
    pub(crate) fn fitness(&self) -> String {
        let words = self.driver.awaits_words();
        let lost = self.driver.lost_promise();
        format!("lost {lost:?} words {words:?} {:?}", self.driver.unfit())
    }

    /// Another member does not believe that this process is who it says.
    pub(crate) fn disowned(&mut self, by: MemberId) {
        self.driver.disowned(by);
    }

    /// Another member has let this process speak.
    pub(crate) fn confirmed(&mut self, by: MemberId) {
        self.driver.confirmed(by);
    }

    /// Whether another process may speak as the member that it says it is.
    pub(crate) fn meet(&mut self, claim: &PeerClaim) -> Result<(), ClaimRefused> {
        self.driver.meet(claim)
    }

    /// Whether the registry says which directory speaks for a member.
    pub(crate) fn knows_directory(&self, id: MemberId) -> bool {
        self.driver.membership().identity(id).is_some()
    }

    pub(crate) fn receive(&mut self, from: MemberId, message: &[u8]) -> Result<(), Fatal> {
        self.driver.receive(from, message, &mut self.out)
    }

    /// The connection to or from a member broke.
    pub(crate) fn disconnected(&mut self, other: MemberId) {
        self.driver.unreachable(other);
        self.driver.peer_lost(other, &mut self.out);
    }

    /// One turn. What came of it is taken with [`Running::take_output`].
    pub(crate) fn turn(&mut self, is_deferred: bool) -> Result<Option<SyncTarget<MemDisk>>, Fatal> {
        let mode = if is_deferred { SyncMode::Deferred } else { SyncMode::InPlace };
        let target = self.driver.turn(mode, &mut self.out)?;
        drop(self.driver.store_mut().take_garbage());
        self.driver.take_sync_times().for_each(drop);
        Ok(target)
    }

    pub(crate) fn take_output(&mut self) -> Output {
        std::mem::take(&mut self.out)
    }

    pub(crate) fn take_messages(&mut self) -> Vec<(MemberId, Vec<u8>)> {
        std::mem::take(&mut *self.outbox.borrow_mut())
    }

    pub(crate) fn synced(
        &mut self,
        target: &SyncTarget<MemDisk>,
        result: io::Result<()>,
    ) -> Result<(), Fatal> {
        self.driver.synced(target.seq(), result)
    }

    pub(crate) fn until_due(&self) -> Option<u64> {
        self.driver.until_due()
    }

    pub(crate) fn snapshot_job(&mut self) -> Option<SnapshotJob<MemDisk>> {
        self.driver.snapshot_job()
    }

    /// Takes note of the end of a snapshot. Says whether it was written.
    pub(crate) fn snapshot_finished(
        &mut self,
        done: io::Result<replica::SnapshotDone<MemDisk>>,
    ) -> Result<bool, Fatal> {
        let is_written = done.is_ok();
        self.driver.snapshot_finished(done.ok())?;
        Ok(is_written)
    }

    pub(crate) fn next_fill(&mut self) -> Option<FillTask<MemDisk>> {
        self.driver.retry_fill();
        self.driver.wal_mut().next_fill()
    }

    /// Does a fill to its end.
    pub(crate) fn fill(&mut self, mut task: FillTask<MemDisk>) {
        let result = task.run();
        self.driver.wal_mut().filled(task, &result);
    }

    pub(crate) fn status(&self) -> Status {
        self.driver.status()
    }

    pub(crate) fn is_leader(&self) -> bool {
        self.driver.status().role == Role::Leader
    }

    pub(crate) fn founders(&self) -> Vec<MemberId> {
        self.driver.membership().founders().to_vec()
    }

    /// The members as the whole log has them, committed or not.
    pub(crate) fn announced(&self) -> Vec<Member> {
        self.driver.announced()
    }

    pub(crate) fn membership_version(&self) -> u64 {
        self.driver.membership_version()
    }

    pub(crate) fn is_voter(&self, id: MemberId) -> bool {
        self.driver.is_voter(id)
    }

    /// Whether this member would listen to another one.
    pub(crate) fn knows(&self, id: MemberId) -> bool {
        self.driver.listens_to(id)
    }

    pub(crate) fn was_removed(&self, id: MemberId) -> bool {
        self.driver.membership().was_removed(id)
    }

    pub(crate) fn members(&self) -> Vec<Member> {
        self.driver.membership().members().cloned().collect()
    }

    fn store(&self) -> &Store {
        self.driver.store()
    }

    pub(crate) fn index(&self) -> u64 {
        self.store().index().0
    }

    pub(crate) fn peek(&self, path: &str) -> Option<Node> {
        self.store().peek(crate::client::path(path))
    }

    /// All that the member holds, as bytes.
    pub(crate) fn contents(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.store().snapshot().write(&mut bytes).expect("a vector takes all");
        bytes
    }

    pub(crate) fn next_event(
        &self,
        filter: &WatchFilter,
        from: u64,
    ) -> Result<Option<Arc<Event>>, StoreError> {
        self.store().next_event(filter, StoreIndex(from))
    }

    pub(crate) fn oldest_event(&self) -> Option<u64> {
        self.store().oldest_event().map(|index| index.0)
    }

    /// The first index of which the window of past events tells.
    pub(crate) fn first_kept(&self) -> u64 {
        let filter = WatchFilter { path: "/".into(), recursive: true, hidden: false };
        match self.next_event(&filter, 1) {
            Ok(_) => 1,
            Err(_) => self.oldest_event().unwrap_or(u64::MAX),
        }
    }

    pub(crate) fn watch(
        &mut self,
        filter: &WatchFilter,
        from: u64,
        stream: bool,
        owner: u64,
    ) -> Option<WatcherId> {
        self.driver.store_mut().watch(filter, StoreIndex(from), stream, owner)
    }

    pub(crate) fn unwatch(&mut self, id: WatcherId) {
        self.driver.store_mut().unwatch(id);
    }
}

/// What a start found.
pub(crate) struct Probe {
    pub(crate) torn_tail: Option<String>,
    /// The last record of the log.
    pub(crate) last_seq: u64,
    /// Term, commit index, applied index and the store's bytes.
    pub(crate) found: (u64, u64, u64, Vec<u8>),
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (term, commit, applied, contents) = &self.found;
        let (len, tail, seq) = (contents.len(), &self.torn_tail, self.last_seq);
        write!(
            f,
            "record {seq}, term {term}, commit {commit}, applied {applied}, {len} bytes, tail \
             {tail:?}"
        )
    }
}
