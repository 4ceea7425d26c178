//! Starting a member: from an empty directory, or from what an earlier process left there.

use crate::clock::{Clock, ClusterClock, Now};
use crate::driver::Driver;
use crate::driver::birth::{InitialIdentity, mix, prepare};
use crate::driver::network::{Network, SyncMode};
use crate::driver::options::Options;
use crate::error::Fatal;
use crate::identity::Identity;
use crate::identity::claims::Claims;
use crate::identity::confirm::Origin;
use crate::limits::{COMMITTED_BYTES_PER_READY, TICK_NS, UNCOMMITTED_BYTES_MAX};
use crate::replica::Replica;
use crate::replica::log::{LogView, Tail};
use crate::replica::moments::Moments;
use crate::replica::settle::LocalWaiters;
use crate::replica::state::{Announcement, State};
use crate::snapshot::format::{self, Header};
use crate::types::{LogIndex, MemberId};
use crate::waiting::proposal::Output;
use crate::wire::raft_types::parse_conf_change;
use crate::wire::record::{self, Record};
use raft::eraftpb::{ConfChangeV2, ConfState, Entry, EntryType, HardState};
use raft::storage::MemStorage;
use raft::{RawNode, ReadOnlyOption};
use slog::Logger;
use std::collections::VecDeque;
use std::io;
use store::{Limits, Stamp, Store};
use wal::{Disk, Seq, SnapshotReader, Wal};

/// What was found at the start, for the log.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Whether the directory was empty, so that a new cluster was started.
    pub is_new: bool,
    /// The last log entry in the snapshot that was loaded.
    pub snapshot_index: LogIndex,
    /// How many log entries were replayed on top of it.
    pub entries_replayed: u64,
    /// What was cut off the log's end, in words; nothing if it ended cleanly.
    pub torn_tail: Option<String>,
}

/// A member whose log is read back.
pub(super) struct Recovering {
    header: Header,
    pub(super) state: State,
    hard_state: HardState,
    conf_state: ConfState,
    clock: ClusterClock,
    /// The latest entries that are applied, for members that lag.
    kept: Tail,
    /// Entries that are not known to be committed.
    tail: VecDeque<Entry>,
    entries_replayed: u64,
    identity: Identity,
    lost: Option<LogIndex>,
    /// The file of a copy that was confirmed before this start.
    origin: u64,
}

impl<D: Disk, N: Network, C: Clock> Driver<D, N, C> {
    /// Opens the data directory, or starts a new cluster of one in an empty one, and brings the
    /// member to where it can take part: a member that is alone leads when this returns.
    ///
    /// # Errors
    /// [`Fatal`] with what is wrong and what to do.
    pub fn open(disk: D, network: N, clock: C, options: Options) -> Result<(Self, Opened), Fatal> {
        let logger = Logger::root(slog::Discard, slog::o!());
        Self::open_logged(disk, network, clock, options, &logger)
    }

    /// As [`Driver::open`], where raft's own log lines go to `logger`.
    ///
    /// # Errors
    /// As those of [`Driver::open`].
    pub fn open_logged(
        disk: D,
        network: N,
        clock: C,
        options: Options,
        logger: &Logger,
    ) -> Result<(Self, Opened), Fatal> {
        let now = clock.now();
        let is_new = wal::is_empty(&disk).map_err(wal::Error::from)?;
        if is_new {
            prepare(
                &disk,
                InitialIdentity::from_options(&options, now),
                options.store_limits,
                now,
            )?;
        }
        let Loaded { header, store, log_seq, file, found_in } =
            load_snapshot(&disk, options.store_limits)?;
        if header.name != options.name {
            return Err(Fatal::Identity(format!(
                "the data directory belongs to the machine named {:?}, not to {:?}: give it its \
                 own -name, or another -data-dir",
                header.name, options.name
            )));
        }
        let (mut wal, recovered) =
            Wal::open(disk.clone(), header.log_id, log_seq, options.wal_options.clone())?;
        let torn_tail = recovered.cut.as_ref().map(ToString::to_string);
        let mut recovering = Recovering::from_snapshot(header, store, options.log_tail_bytes, now);
        for payload in recovered.records {
            recovering.replay(&payload?, now)?;
        }
        recovering.commit_if_alone()?;
        let ends_cleanly = wal.ends_cleanly();
        let opened = Opened {
            is_new,
            snapshot_index: recovering.header.index,
            entries_replayed: recovering.entries_replayed,
            torn_tail,
        };
        // Room for terms and votes is set aside while there is some: the disk may be full before
        // the first write comes. On one that is full already this member serves what it has.
        wal.make_room(0)?;
        let snapshot_bytes = wal::file_len(&disk, &file).map_err(wal::Error::from)?;
        let origin =
            Origin::new(recovering.header.origin, found_in, recovering.origin, ends_cleanly);
        let claims = Claims::new(recovering.identity, recovering.lost, origin);
        let log_bytes = wal.bytes_above(recovering.header.index.0);
        let mut driver = recovering.into_driver(wal, disk, network, clock, options, logger)?;
        driver.claims = claims;
        driver.begin_abstention(opened.torn_tail.is_some());
        driver.snapshot_bytes = snapshot_bytes;
        driver.log_start = driver.wal.bytes_taken().saturating_sub(log_bytes);
        let drawn = mix([driver.options.seed, now.wall ^ now.monotonic, driver.replica.id().0]);
        driver.write_identity(driver.claims.identity().next(drawn))?;
        driver.lead_if_alone()?;
        Ok((driver, opened))
    }

    fn begin_abstention(&mut self, is_torn: bool) {
        // The log alone may know of them: nothing behind the snapshot is applied yet, which one
        // that has joined, or that others have joined, got before there were any.
        let own = self.replica.id();
        let has_others = self.replica.voters_ahead().iter().any(|id| *id != own);
        let timeout_ns = self.options.election_timeout_ms.saturating_mul(1_000_000);
        self.claims.begin_abstention(is_torn, has_others, timeout_ns, self.now.mono());
    }

    /// A member that decides alone need not wait for an election time-out, nor announce itself
    /// later.
    fn lead_if_alone(&mut self) -> Result<(), Fatal> {
        let mut out = Output::default();
        // Changes of the membership that are known to be committed are applied first: a member that
        // is alone by its snapshot may long have company.
        self.turn(SyncMode::InPlace, &mut out)?;
        if !self.replica.is_alone() || self.is_held_up() {
            return Ok(());
        }
        // It is announced below. Were it announced by a turn as well, as happens where turns take
        // longer than a tick, that would take a second index.
        self.last_announcement = Some(self.now.mono());
        self.replica.campaign()?;
        self.turn(SyncMode::InPlace, &mut out)?;
        if !self.replica.is_leader() {
            return Err(Fatal::Raft("the only member did not become leader".to_owned()));
        }
        if self.is_held_up() {
            // There is no room for the new term. What is there is served, and writes are taken when
            // there is some; until then there is nothing to announce.
            return Ok(());
        }
        let config = self.options.cluster_config;
        let own = self.own_member();
        let record = self.replica.registration(&own, Some(config));
        if record.is_none() && self.replica.shows(&own) {
            return Ok(());
        }
        // The tick of this very turn must not announce it again.
        self.last_announcement = Some(self.now.mono());
        match record.filter(|_| own.urls.is_empty()) {
            Some(control) => self.replica.propose_control(None, &control, self.now.mono()),
            None => self.replica.show(Announcement { member: own, first: Some(config) }),
        }
        self.turn(SyncMode::InPlace, &mut out)?;
        Ok(())
    }
}

/// raft's view of the configuration, for a log that is read without being opened: a change that it
/// refuses was skipped by every member.
struct Configuration(RawNode<MemStorage>);

impl Configuration {
    fn new(id: MemberId, conf_state: &ConfState) -> Result<Self, Fatal> {
        let storage = MemStorage::new_with_conf_state(conf_state.clone());
        let config = raft::Config { id: id.0, ..raft::Config::default() };
        let logger = Logger::root(slog::Discard, slog::o!());
        RawNode::new(&config, storage, &logger).map(Self).map_err(Fatal::from)
    }

    /// Takes a change in. Gives it, unless it is refused.
    fn apply(&mut self, entry: &Entry) -> Option<ConfChangeV2> {
        let change = parse_conf_change(entry)?;
        self.0.apply_conf_change(&change).ok().map(|_| change)
    }
}

/// The newest snapshot.
pub(super) struct Loaded {
    pub(super) header: Header,
    pub(super) store: Store,
    /// The record that the log must reach.
    log_seq: Seq,
    file: String,
    /// What tells the file from a copy of it, where the disk knows.
    found_in: Option<u64>,
}

pub(super) fn load_snapshot<D: Disk>(disk: &D, limits: Limits) -> Result<Loaded, Fatal> {
    let names = wal::list_snapshots(disk).map_err(wal::Error::from)?;
    let Some(file) = names.into_iter().next_back() else {
        return Err(Fatal::Identity(format!(
            "the data directory has a log, but no snapshot-*.snap to start from: files are \
             missing. Nothing was changed. Put them back if they are somewhere. {}",
            wal::REMEDY
        )));
    };
    let damaged = |error: io::Error| match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Fatal::Snapshot { file: file.clone(), detail: error.to_string() }
        }
        // The disk may well have it, and gives it another time.
        _ => Fatal::Wal(error.into()),
    };
    let mut reader = SnapshotReader::open(disk, &file).map_err(damaged)?;
    let (header, store) = format::read(&mut reader, limits).map_err(damaged)?;
    let (log_seq, found_in) = (reader.log_seq(), reader.origin());
    Ok(Loaded { header, store, log_seq, file, found_in })
}

fn decode(payload: &[u8]) -> Result<Record, Fatal> {
    record::decode(payload).map_err(|_| Fatal::Log("a record has an unknown content".to_owned()))
}

impl Recovering {
    pub(super) fn from_snapshot(
        mut header: Header,
        store: Store,
        log_tail_bytes: usize,
        now: Now,
    ) -> Self {
        let moments = Moments::new(store.index());
        let mut hard_state = HardState::default();
        hard_state.term = header.term.0;
        hard_state.commit = header.index.0;
        let mut state = State {
            store,
            membership: header.membership.clone(),
            sessions: std::mem::take(&mut header.sessions),
            applied: header.index,
            applied_term: header.term,
            hash: header.hash,
            membership_version: 0,
            entries_skipped: 0,
            moments,
        };
        state.membership.read_registry(&state.store);
        Self {
            clock: ClusterClock::resume(header.stamp, header.seen, now),
            identity: header.identity,
            lost: None,
            origin: 0,
            conf_state: header.conf_state.clone(),
            header,
            state,
            hard_state,
            kept: Tail::new(log_tail_bytes),
            tail: VecDeque::new(),
            entries_replayed: 0,
        }
    }

    /// Takes in one record. Entries that are known to be committed are applied at once, so that a
    /// long log is never in memory as a whole.
    fn replay(&mut self, payload: &[u8], now: Now) -> Result<(), Fatal> {
        self.take_in(decode(payload)?, now)
    }

    fn take_in(&mut self, record: Record, now: Now) -> Result<(), Fatal> {
        while self.tail.back().is_some_and(|last| last.index > record.cut) {
            self.tail.pop_back();
        }
        if record.cut != record::NO_CUT {
            // A snapshot of the leader took the place of the log: what came before it may never
            // have been committed.
            self.kept.clear();
        }
        for entry in record.entries {
            self.push(entry)?;
        }
        let commit = self.hard_state.commit.max(record.hard_state.commit);
        self.hard_state = record.hard_state;
        self.hard_state.commit = commit;
        self.clock = ClusterClock::resume(record.stamp, record.seen, now);
        if let Some(start) = record.start {
            (self.identity, self.lost, self.origin) = (start.identity, start.lost, start.origin);
        }
        self.apply_committed()
    }

    fn push(&mut self, entry: Entry) -> Result<(), Fatal> {
        if entry.index <= self.state.applied.0 {
            // The snapshot is newer than this record. The last entry that was written with an
            // index is the one that was committed.
            self.kept.push(entry);
            return Ok(());
        }
        while self.tail.back().is_some_and(|last| last.index >= entry.index) {
            self.tail.pop_back();
        }
        let last = self.tail.back().map_or(self.state.applied.0, |last| last.index);
        if entry.index != last + 1 {
            return Err(Fatal::Log(format!(
                "entry {} follows entry {last}: what lies between is missing",
                entry.index
            )));
        }
        self.tail.push_back(entry);
        Ok(())
    }

    /// As [`Recovering::replay`], where nobody is going to start from this. Gives the clocks that
    /// stand in the record.
    pub(super) fn replay_for_salvage(&mut self, payload: &[u8]) -> Result<(Stamp, Now), Fatal> {
        let record = decode(payload)?;
        let (stamp, seen) = (record.stamp, record.seen);
        self.take_in(record, seen)?;
        Ok((stamp, seen))
    }

    /// Applies what is not known to be committed as well. Gives the last entry that is.
    pub(super) fn apply_all(&mut self) -> Result<LogIndex, Fatal> {
        let committed = self.hard_state.commit.max(self.state.applied.0);
        let mut configuration = Configuration::new(self.header.member, &self.conf_state)?;
        while let Some(entry) = self.tail.pop_front() {
            let change;
            let batch: &[u8] = if entry.get_entry_type() == EntryType::EntryNormal {
                &entry.data
            } else {
                change = configuration.apply(&entry);
                change.as_ref().map_or(&[], |change| &change.context)
            };
            let (mut nobody, mut out) = (LocalWaiters::default(), Output::default());
            self.state.apply_items(entry.index, batch, &mut nobody, &mut out)?;
            self.state.note_applied(&entry);
        }
        Ok(LogIndex(committed.min(self.state.applied.0)))
    }

    /// What the only voter has in its log is committed: nobody else could decide otherwise. It need
    /// not lead again to know, for which it would have to write a term: on a disk that is full it
    /// serves everything that it acknowledged. What follows a change of the membership is left to
    /// raft.
    fn commit_if_alone(&mut self) -> Result<(), Fatal> {
        let conf = &self.conf_state;
        if conf.voters != [self.header.member.0] || !conf.voters_outgoing.is_empty() {
            return Ok(());
        }
        let normal =
            self.tail.iter().take_while(|entry| entry.get_entry_type() == EntryType::EntryNormal);
        let last = normal.last().map_or(0, |entry| entry.index);
        self.hard_state.commit = self.hard_state.commit.max(last);
        self.apply_committed()
    }

    fn apply_committed(&mut self) -> Result<(), Fatal> {
        let mut out = Output::default();
        while let Some(entry) = self.tail.front() {
            // Membership changes are left to raft, which must see them itself.
            if entry.index > self.hard_state.commit
                || entry.get_entry_type() != EntryType::EntryNormal
            {
                break;
            }
            let mut nobody = LocalWaiters::default();
            self.state.apply_items(entry.index, &entry.data, &mut nobody, &mut out)?;
            self.state.note_applied(entry);
            self.entries_replayed += 1;
            if let Some(entry) = self.tail.pop_front() {
                self.kept.push(entry);
            }
            drop(self.state.store.take_garbage());
        }
        Ok(())
    }

    fn into_driver<D: Disk, N: Network, C: Clock>(
        mut self,
        wal: Wal<D>,
        disk: D,
        network: N,
        clock: C,
        options: Options,
        logger: &Logger,
    ) -> Result<Driver<D, N, C>, Fatal> {
        let applied = self.state.position();
        let last = self.tail.back().map_or(applied.index.0, |entry| entry.index);
        // The commit index is written without a sync and may have been ahead of what survived.
        self.hard_state.commit = self.hard_state.commit.clamp(applied.index.0, last);
        let mut log = LogView::behind(self.kept, applied, self.hard_state, self.conf_state);
        log.append(self.tail.make_contiguous());
        log.set_snapshot(self.header.position(), self.header.conf_state);
        let id = self.header.member;
        let config = raft_config(id, applied.index.0, &options);
        let raw = RawNode::new(&config, log, logger)?;
        let seed = options.seed;
        let replica = Replica::new(id, raw, self.state, self.clock, seed, self.entries_replayed);
        let (cluster, log_id) = (self.header.cluster, self.header.log_id);
        let mut driver = Driver::assemble(replica, wal, disk, network, clock, options, cluster);
        driver.log_id = log_id;
        Ok(driver)
    }
}

fn raft_config(id: MemberId, applied: u64, options: &Options) -> raft::Config {
    let ticks = |ms: u64| usize::try_from((ms * 1_000_000 / TICK_NS).max(1)).unwrap_or(usize::MAX);
    let heartbeat_tick = ticks(options.heartbeat_ms);
    raft::Config {
        id: id.0,
        heartbeat_tick,
        election_tick: ticks(options.election_timeout_ms).max(heartbeat_tick + 1),
        applied,
        max_size_per_msg: 1 << 20,
        max_inflight_msgs: 256,
        check_quorum: true,
        pre_vote: true,
        read_only_option: ReadOnlyOption::Safe,
        max_uncommitted_size: UNCOMMITTED_BYTES_MAX,
        max_committed_size_per_ready: COMMITTED_BYTES_PER_READY,
        ..raft::Config::default()
    }
}
