//! One member's state machine: raft, the key space, and who waits for what. Does no I/O.
//!
//! Inputs change the state and never wait; what has to be written, sent or answered comes out of
//! [`Replica::ready`], and the driver carries it out in the order that safety demands.

use crate::batch::{BatchReader, BatchWriter, Control, Item};
use crate::clock::{ClusterClock, Now};
use crate::error::{EngineError, Failure, Fatal};
use crate::limits::{BATCH_BYTES_MAX, EXPIRE_BATCH_MAX, PROPOSALS_MAX, READS_MAX};
use crate::log::LogView;
use crate::membership::{ClusterConfig, Member, Membership};
use crate::proposal::{Answer, Output, Proposals, fail};
use crate::read::Reads;
use crate::types::{LogIndex, MemberId, Role, Term, Ticket};
use protobuf::Message as _;
use raft::eraftpb::{ConfChangeV2, ConfState, Entry, EntryType};
use raft::{RawNode, StateRole};
use store::{Applied, Command, InternalWrite, KeyPath, Stamp, Store};

/// What the state machine holds at the moment when raft starts: loaded, or empty.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) membership: Membership,
    pub(crate) applied: LogIndex,
    pub(crate) applied_term: Term,
}

/// One member, without its disk and its network.
pub(crate) struct Replica {
    pub(crate) id: MemberId,
    pub(crate) raw: RawNode<LogView>,
    pub(crate) state: State,
    pub(crate) clock: ClusterClock,
    pub(crate) reads: Reads,
    /// Commands applied since the last snapshot was begun.
    pub(crate) commands_since_snapshot: u64,
    batch: BatchWriter,
    batch_tickets: Vec<Option<Ticket>>,
    proposals: Proposals,
    expire_in_flight: bool,
    leading: bool,
    /// Seeds the election time-outs, so that a simulated run can be repeated.
    seed: u64,
    election_ticks: u64,
    timeout_drawn_for: (u64, StateRole),
}

impl Replica {
    pub(crate) fn new(
        id: MemberId,
        raw: RawNode<LogView>,
        state: State,
        clock: ClusterClock,
        seed: u64,
        election_ticks: u64,
    ) -> Self {
        let reads = Reads::new(id, seed);
        Self {
            id,
            raw,
            state,
            clock,
            reads,
            commands_since_snapshot: 0,
            batch: BatchWriter::default(),
            batch_tickets: Vec::new(),
            proposals: Proposals::default(),
            expire_in_flight: false,
            leading: false,
            seed,
            election_ticks,
            timeout_drawn_for: (u64::MAX, StateRole::Follower),
        }
    }

    pub(crate) fn role(&self) -> Role {
        match self.raw.raft.state {
            StateRole::Leader => Role::Leader,
            StateRole::Follower => Role::Follower,
            StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
        }
    }

    pub(crate) fn proposals_waiting(&self) -> usize {
        self.proposals.len()
    }

    pub(crate) fn is_leader(&self) -> bool {
        self.raw.raft.state == StateRole::Leader
    }

    /// Whether this member decides alone, so that no tick is needed while it leads.
    pub(crate) fn is_alone(&self) -> bool {
        let conf = self.raw.store().conf_state();
        conf.voters == [self.id.0] && conf.voters_outgoing.is_empty() && conf.learners.is_empty()
    }

    fn refusal(&self) -> EngineError {
        if self.raw.raft.leader_id == 0 { EngineError::NoLeader } else { EngineError::NotLeader }
    }

    /// Takes a command for the next batch.
    ///
    /// # Errors
    /// [`EngineError`] when it is certain that nothing was done with it.
    pub(crate) fn propose(
        &mut self,
        ticket: Ticket,
        command: &Command<'_>,
    ) -> Result<(), EngineError> {
        if !self.is_leader() {
            return Err(self.refusal());
        }
        if self.proposals.len() + self.batch.len() >= PROPOSALS_MAX {
            return Err(EngineError::Overloaded);
        }
        self.batch.push(command);
        self.batch_tickets.push(Some(ticket));
        Ok(())
    }

    pub(crate) fn propose_control(
        &mut self,
        ticket: Option<Ticket>,
        control: &Control,
    ) -> Result<(), EngineError> {
        if !self.is_leader() {
            return Err(self.refusal());
        }
        self.batch.push_control(control);
        self.batch_tickets.push(ticket);
        Ok(())
    }

    /// Takes a quorum read for the next round.
    ///
    /// # Errors
    /// [`EngineError`] when this member cannot find out what a quorum knows.
    pub(crate) fn read(&mut self, ticket: Ticket) -> Result<(), EngineError> {
        if !self.is_leader() {
            return Err(self.refusal());
        }
        if self.reads.len() >= READS_MAX {
            return Err(EngineError::Overloaded);
        }
        self.reads.gather(ticket);
        Ok(())
    }

    /// Whether a batch is so large that it should go out before more is taken in.
    pub(crate) fn is_batch_full(&self) -> bool {
        self.batch.bytes_len() >= BATCH_BYTES_MAX
    }

    pub(crate) fn batch_bytes(&self) -> usize {
        self.batch.bytes_len()
    }

    pub(crate) fn has_batch(&self) -> bool {
        self.batch.len() > 0
    }

    /// Refuses what is in the batch.
    pub(crate) fn refuse_batch(&mut self, error: EngineError, out: &mut Output) {
        let _ = self.batch.finish(Stamp::default());
        fail(std::mem::take(&mut self.batch_tickets), error, &mut out.answers);
    }

    /// Adds an expiry command when something is due. Only a leader decides that time has passed.
    pub(crate) fn expire_due(&mut self, now: Now) {
        if self.expire_in_flight || !self.is_leader() {
            return;
        }
        if self.state.store.next_deadline().is_some_and(|due| due <= self.clock.time(now)) {
            self.expire_in_flight = true;
            self.batch.push(&Command::Expire { limit: EXPIRE_BATCH_MAX });
            self.batch_tickets.push(None);
        }
    }

    /// Nanoseconds until the next expiry can be proposed; nothing if none is to come.
    pub(crate) fn until_expiry(&self, now: Now) -> Option<u64> {
        if self.expire_in_flight || !self.is_leader() {
            return None;
        }
        self.state.store.next_deadline().map(|due| self.clock.until(due, now))
    }

    /// Proposes the batch as one entry and starts one round for the reads that gathered.
    pub(crate) fn flush(&mut self, now: Now, out: &mut Output) {
        if self.has_batch() {
            let stamp = self.clock.stamp(now);
            let data = self.batch.finish(stamp);
            let tickets = std::mem::take(&mut self.batch_tickets);
            match self.raw.propose(Vec::new(), data) {
                Ok(()) => {
                    let index = self.raw.raft.raft_log.last_index();
                    self.proposals.register(self.raw.raft.term, index, now.monotonic, tickets);
                }
                Err(_) => {
                    self.expire_in_flight = false;
                    let error =
                        if self.is_leader() { EngineError::Overloaded } else { self.refusal() };
                    fail(tickets, error, &mut out.answers);
                }
            }
        }
        // raft drops a read that comes before the leader has committed in its own term.
        if self.reads.has_gathered() && self.raw.raft.commit_to_current_term() {
            let context = self.reads.start_round(now.monotonic);
            self.raw.read_index(context);
        }
    }

    /// Gives up on what has waited since before `since`.
    pub(crate) fn expire_waiting(&mut self, since: u64, out: &mut Output) {
        self.proposals.expire(since, EngineError::Timeout, &mut out.answers);
        self.reads.expire(since, EngineError::Timeout, &mut out.reads);
    }

    /// Draws the election time-out from (seed, member, term, role) whenever one of them changes;
    /// raft's own draw would come from the thread's generator.
    pub(crate) fn fix_election_timeout(&mut self) {
        let key = (self.raw.raft.term, self.raw.raft.state);
        if self.timeout_drawn_for == key {
            return;
        }
        self.timeout_drawn_for = key;
        let mut mixed = self.seed ^ self.id.0.rotate_left(17) ^ key.0.rotate_left(34);
        mixed ^= (key.1 as u64).rotate_left(51);
        mixed = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^= mixed >> 29;
        let ticks = self.election_ticks + mixed % self.election_ticks;
        let ticks = usize::try_from(ticks).expect("election time-outs are small numbers of ticks");
        self.raw.raft.set_randomized_election_timeout(ticks);
    }

    /// Notices that leadership came or went.
    pub(crate) fn observe_role(&mut self, out: &mut Output) {
        self.fix_election_timeout();
        let leading = self.is_leader();
        if leading != self.leading {
            self.leading = leading;
            self.expire_in_flight = false;
            if !leading {
                let error = self.refusal();
                self.refuse_batch(error, out);
                self.reads.fail_all(error, &mut out.reads);
            }
        }
    }

    /// Applies committed entries and settles who waited for them.
    pub(crate) fn apply(
        &mut self,
        entries: &[Entry],
        now: Now,
        out: &mut Output,
    ) -> Result<(), Fatal> {
        for entry in entries {
            if entry.index <= self.state.applied.0 {
                return Err(Fatal::Log(format!("entry {} comes twice", entry.index)));
            }
            match entry.get_entry_type() {
                EntryType::EntryNormal => self.apply_batch(entry, now, out)?,
                _ => self.apply_conf_change(entry)?,
            }
            self.state.applied = LogIndex(entry.index);
            self.state.applied_term = Term(entry.term);
        }
        Ok(())
    }

    fn apply_batch(&mut self, entry: &Entry, now: Now, out: &mut Output) -> Result<(), Fatal> {
        let tickets = self.proposals.take(entry.term, entry.index, &mut out.answers);
        let applied = self.state.apply_items(entry, &tickets, out)?;
        if let Some(stamp) = applied.stamp {
            self.clock.observe(stamp, now);
        }
        self.commands_since_snapshot += applied.count;
        self.expire_in_flight &= !applied.expired;
        Ok(())
    }

    fn apply_conf_change(&mut self, entry: &Entry) -> Result<(), Fatal> {
        let change = parse_conf_change(entry)?;
        let conf_state = self.raw.apply_conf_change(&change)?;
        self.raw.mut_store().set_conf_state(conf_state.clone());
        // A leader that is in neither set of voters would panic at its next commit.
        let voter = |ids: &[u64]| ids.contains(&self.id.0);
        if self.is_leader() && !voter(&conf_state.voters) && !voter(&conf_state.voters_outgoing) {
            let term = self.raw.raft.term;
            self.raw.raft.become_follower(term, 0);
        }
        Ok(())
    }

    pub(crate) fn conf_state(&self) -> &ConfState {
        self.raw.store().conf_state()
    }
}

pub(crate) fn parse_conf_change(entry: &Entry) -> Result<ConfChangeV2, Fatal> {
    let malformed = || Fatal::Log(format!("entry {} is no membership change", entry.index));
    // The older kind is never proposed by any version of this program.
    if entry.get_entry_type() != EntryType::EntryConfChangeV2 {
        return Err(malformed());
    }
    ConfChangeV2::parse_from_bytes(&entry.data).map_err(|_| malformed())
}

/// What applying one entry did beside the outcomes.
#[derive(Debug, Default)]
pub(crate) struct AppliedBatch {
    pub(crate) stamp: Option<Stamp>,
    pub(crate) count: u64,
    pub(crate) expired: bool,
}

impl State {
    /// Applies the items of a normal entry. `tickets` are those of its proposer, or empty.
    pub(crate) fn apply_items(
        &mut self,
        entry: &Entry,
        tickets: &[Option<Ticket>],
        out: &mut Output,
    ) -> Result<AppliedBatch, Fatal> {
        let unknown = |_| Fatal::Log(format!("entry {} has an unknown content", entry.index));
        let mut applied = AppliedBatch::default();
        let Some(mut batch) = BatchReader::open(&entry.data).map_err(unknown)? else {
            return Ok(applied);
        };
        applied.stamp = Some(batch.stamp);
        let mut tickets = tickets.iter();
        while let Some(item) = batch.next_item().map_err(unknown)? {
            applied.count += 1;
            let outcome = match item {
                Item::Store(command) => {
                    applied.expired |= matches!(command, Command::Expire { .. });
                    self.store.apply(&command, batch.stamp, &mut out.wakes)
                }
                Item::Control(control) => self.apply_control(control, batch.stamp, out),
            };
            if let Some(Some(ticket)) = tickets.next() {
                let outcome = outcome.map_err(Failure::Store);
                out.answers.push(Answer { ticket: *ticket, outcome });
            }
        }
        Ok(applied)
    }

    fn apply_control(
        &mut self,
        control: Control,
        stamp: Stamp,
        out: &mut Output,
    ) -> Result<Applied, store::StoreError> {
        let config_value;
        let (member_path, member_value);
        let mut writes = Vec::with_capacity(2);
        let config = match &control {
            Control::Register { config, .. } => *config,
            Control::Configure(config) => Some(*config),
        };
        if let Control::Register { member, .. } = &control {
            member_path = machine_key(member);
            member_value = member.registry_value();
            if let Ok(path) = KeyPath::parse(&member_path) {
                writes.push(InternalWrite { path, value: Some(&member_value) });
            }
            self.membership.register(member.clone());
        }
        if let Some(config) = config {
            config_value = config.registry_value();
            let path = KeyPath::parse("/_etcd/config").expect("the path is clean");
            writes.push(InternalWrite { path, value: Some(&config_value) });
            self.membership.configure(config);
        }
        self.store.apply(&Command::Internal { writes }, stamp, &mut out.wakes)
    }

    /// What this member must tell the cluster about itself, if anything has changed.
    pub(crate) fn registration(
        &self,
        member: &Member,
        first: Option<ClusterConfig>,
    ) -> Option<Control> {
        match self.membership.member(member.id) {
            Some(known) if known == member => None,
            Some(_) => Some(Control::Register { member: member.clone(), config: None }),
            None => Some(Control::Register { member: member.clone(), config: first }),
        }
    }
}

fn machine_key(member: &Member) -> String {
    format!("/_etcd/machines/{}", member.name)
}
