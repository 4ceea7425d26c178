//! Applying committed entries: the only place where the replicated state changes.

use crate::clock::Now;
use crate::error::{EngineError, Failure, Fatal};
use crate::replica::Replica;
use crate::replica::moments::Moments;
use crate::replica::progress;
use crate::replica::settle::{Group, LocalWaiters};
use crate::replica::state::State;
use crate::snapshot::format::Header;
use crate::types::{LogIndex, LogPosition, Term};
use crate::waiting::proposal::{Answer, Output, Waiters, fail};
use crate::wire::batch::{self, BatchReader, Control, Item};
use crate::wire::codec::Malformed;
use crate::wire::raft_types::parse_conf_change;
use raft::eraftpb::{Entry, EntryType};
use store::{Applied, Command, ErrorCode, InternalWrite, KeyPath, Stamp, Store, StoreError};

impl Replica {
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
                EntryType::EntryNormal => self.apply_batch(entry, &entry.data, now, out)?,
                _ => self.apply_conf_change(entry, now, out)?,
            }
            self.state.note_applied(entry);
            self.marks.note(entry.index, self.state.hash);
        }
        Ok(())
    }

    /// Begins anew from a snapshot of the leader.
    pub(crate) fn install(&mut self, header: Header, store: Store, now: Now, out: &mut Output) {
        let log = self.raw.mut_store();
        log.restore(header.position(), header.conf_state.clone());
        self.proposals.pass(header.index, &mut out.answers);
        let mut moments = std::mem::replace(&mut self.state.moments, Moments::new(store.index()));
        moments.skip_to(header.stamp, store.index());
        let state = State {
            moments,
            store,
            membership: header.membership,
            sessions: header.sessions,
            applied: header.index,
            applied_term: header.term,
            hash: header.hash,
            membership_version: self.state.membership_version + 1,
            entries_skipped: self.state.entries_skipped,
        };
        let old = std::mem::replace(&mut self.state, state);
        self.state.membership.read_registry(&self.state.store);
        self.settle_from_snapshot(out);
        out.wakes.clear();
        out.replaced = Some(Box::new(old.store));
        self.clock.observe(header.stamp, now, false);
        self.commands_since_snapshot = 0;
        self.expire_in_flight = false;
        self.marks.note(header.index.0, header.hash);
        self.was_member |= self.is_member();
    }

    fn apply_batch(
        &mut self,
        entry: &Entry,
        batch: &[u8],
        now: Now,
        out: &mut Output,
    ) -> Result<(), Fatal> {
        let own = self.proposals.take(LogPosition::of(entry), &mut out.answers);
        let mut waiters = LocalWaiters {
            waiters: own,
            requests: Some((self.id, &mut self.forwards, &mut self.inbox)),
        };
        let applied = self.state.apply_items(entry.index, batch, &mut waiters, out)?;
        if let Some(stamp) = applied.stamp {
            // What a new leader finds in the log was stamped by another, unless there is no other.
            let is_own_term = entry.term == self.raw.raft.term || self.is_alone();
            let is_own = self.is_leader() && is_own_term;
            self.clock.observe(stamp, now, is_own);
        }
        self.commands_since_snapshot += applied.count;
        self.expire_in_flight &= !applied.expired;
        Ok(())
    }

    fn apply_conf_change(
        &mut self,
        entry: &Entry,
        now: Now,
        out: &mut Output,
    ) -> Result<(), Fatal> {
        // What cannot be applied is skipped, by every member alike: it would end each of them at
        // every start.
        let change = parse_conf_change(entry);
        let applied = change.and_then(|change| {
            let conf_state = self.raw.apply_conf_change(&change).ok()?;
            Some((change, conf_state))
        });
        let Some((change, conf_state)) = applied else {
            self.state.entries_skipped += 1;
            let waiters = self.proposals.take(LogPosition::of(entry), &mut out.answers);
            fail(waiters, EngineError::QuorumAtRisk, &mut out.answers);
            return Ok(());
        };
        self.raw.mut_store().set_conf_state(conf_state);
        self.apply_batch(entry, &change.context, now, out)?;
        let is_voter = self.is_voter(self.id);
        self.was_member |= self.is_member();
        // A leader that is in neither set of voters would panic at its next commit.
        if self.is_leader() && !is_voter {
            let term = self.raw.raft.term;
            self.raw.raft.become_follower(term, 0);
        }
        Ok(())
    }
}

/// What applying one entry did beside the outcomes.
#[derive(Debug, Default)]
pub(crate) struct AppliedBatch {
    pub(crate) stamp: Option<Stamp>,
    pub(crate) count: u64,
    pub(crate) expired: bool,
}

impl State {
    /// An entry was applied.
    pub(crate) fn note_applied(&mut self, entry: &Entry) {
        self.applied = LogIndex(entry.index);
        self.applied_term = Term(entry.term);
        self.hash = progress::advance(self.hash, LogPosition::of(entry), &entry.data);
    }

    /// Applies the items of an entry, and answers who waits for them. A request that was carried
    /// out before is passed over.
    pub(crate) fn apply_items(
        &mut self,
        index: u64,
        batch: &[u8],
        local: &mut LocalWaiters<'_>,
        out: &mut Output,
    ) -> Result<AppliedBatch, Fatal> {
        let mut applied = AppliedBatch::default();
        let mut waiters = std::mem::take(&mut local.waiters);
        let Some(mut batch) = self.open_batch(index, batch, &mut waiters, out)? else {
            return Ok(applied);
        };
        applied.stamp = Some(batch.stamp);
        self.store.set_reserves_all(batch.reserves_all);
        let mut waiting = waiters.iter().peekable();
        let mut position = 0;
        let mut group: Option<Group> = None;
        loop {
            let item = match batch.next_item() {
                Ok(Some(item)) => item,
                Ok(None) => break,
                // The rest is skipped by every member alike.
                Err(Malformed) => {
                    self.entries_skipped += 1;
                    fail(
                        waiting.by_ref().copied().collect(),
                        EngineError::Unknown,
                        &mut out.answers,
                    );
                    break;
                }
            };
            if let Some(done) = group.as_mut().filter(|group| !group.is_new && group.left > 0) {
                done.left -= 1;
                continue;
            }
            let outcome = match item {
                Item::Request(mark) => {
                    group = Some(self.open_group(mark, index, local, out));
                    continue;
                }
                Item::Store(author, command) => {
                    applied.expired |= matches!(command, Command::Expire { .. });
                    self.note_registry(&command);
                    self.store.apply_as(author, &command, batch.stamp, &mut out.wakes)
                }
                Item::Control(Control::Started(id, identity)) => {
                    self.membership.note_start(id, identity);
                    Ok(Applied::Internal)
                }
                Item::Control(control) => self.apply_control(control, batch.stamp, out),
            };
            applied.count += 1;
            if let Some(group) = group.as_mut().filter(|group| group.left > 0) {
                self.note_outcome(group, outcome, out);
                continue;
            }
            if let Some((_, ticket)) = waiting.next_if(|(at, _)| *at == position) {
                let outcome = outcome.map_err(Failure::Store);
                out.answers.push(Answer { ticket: *ticket, outcome });
            }
            position += 1;
        }
        if let Some(group) = group {
            group.give_up(&mut out.answers);
        }
        self.moments.note(batch.stamp, self.store.index());
        Ok(applied)
    }

    /// Opens the batch of an entry; nothing if there is none that can be applied, of which those
    /// who wait for it are told.
    fn open_batch<'a>(
        &mut self,
        index: u64,
        batch: &'a [u8],
        waiters: &mut Waiters,
        out: &mut Output,
    ) -> Result<Option<BatchReader<'a>>, Fatal> {
        let error = match BatchReader::open(batch) {
            Ok(Some(batch)) => return Ok(Some(batch)),
            // raft puts an empty entry where it refuses a change of the configuration.
            Ok(None) => EngineError::ChangePending,
            // Members of that version apply it.
            Err(Malformed) if batch::is_newer(batch) => {
                return Err(Fatal::Log(format!(
                    "entry {index} was written by a newer version of this program: start that one"
                )));
            }
            Err(Malformed) => {
                self.entries_skipped += 1;
                EngineError::Unknown
            }
        };
        fail(std::mem::take(waiters), error, &mut out.answers);
        Ok(None)
    }

    /// What the leader writes into the registry is where members are reached.
    fn note_registry(&mut self, command: &Command<'_>) {
        let Command::Internal { writes } = command else { return };
        for write in writes {
            if let Some(value) = write.value
                && self.membership.note_value(write.path.as_str(), value)
            {
                self.membership_version += 1;
            }
        }
    }

    fn apply_control(
        &mut self,
        control: Control,
        stamp: Stamp,
        out: &mut Output,
    ) -> Result<Applied, store::StoreError> {
        if let Control::Reconfigure { from, .. } = &control
            && *from != self.membership.config()
        {
            return Err(StoreError {
                code: ErrorCode::CompareFailed,
                cause: "the configuration is another one by now".into(),
                index: self.store.index(),
            });
        }
        self.membership_version += 1;
        if let Control::Remove(id) = &control {
            self.sessions.forget(*id);
        }
        let config_value;
        let (member_path, member_value);
        let mut writes = Vec::with_capacity(2);
        let config = match &control {
            // Only the very first member brings the configuration along.
            Control::Register { config, .. } => config.filter(|_| !self.membership.is_configured()),
            Control::Configure(config) | Control::Reconfigure { to: config, .. } => Some(*config),
            Control::Remove(_) | Control::Expel(_) => None,
            Control::Forget(_) | Control::Started(..) => None,
        };
        if let Control::Forget(id) = &control {
            self.membership.forget(*id);
        } else if let Control::Remove(id) | Control::Expel(id) = &control
            && let Some(member) = self.membership.remove(*id, matches!(control, Control::Expel(_)))
        {
            member_path = member.registry_key();
            if let Ok(path) = KeyPath::parse(&member_path) {
                writes.push(InternalWrite { path, value: None });
            }
        } else if let Control::Register { member, .. } = &control
            && member.name.is_empty()
        {
            self.membership.expect(member.clone());
        } else if let Control::Register { member, .. } = &control
            && !self.membership.was_removed(member.id)
        {
            member_path = member.registry_key();
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
}
