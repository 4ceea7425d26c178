//! The log: appends records to segments, and knows what is durable.

use crate::disk::{Disk, DiskFile};
use crate::error::{Context, Error};
use crate::fill::FillTask;
use crate::segment::{self, HEADER_LEN, PAYLOAD_BYTES_MAX, RECORD_HEADER_LEN};
use std::collections::VecDeque;
use std::io;

/// A record's place in the log; grows by one with each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seq(pub u64);

/// Sizes of the log.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of a segment; a larger record gets a segment of its own.
    pub segment_bytes: u64,
    /// How many spare segments are kept for later; further ones are removed.
    pub spares_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 16 << 20, spares_max: 3 }
    }
}

/// Room that [`Wal::make_room`] leaves for what must be written even when the disk is full: terms
/// and votes.
const RESERVE_BYTES: u64 = 64 << 10;

/// A buffer that grew beyond this is given back after use.
const BUF_BYTES_KEPT: usize = 1 << 20;

/// The segment that takes records now.
#[derive(Debug)]
pub(crate) struct Active<F> {
    pub(crate) name: String,
    pub(crate) file: F,
    pub(crate) salt: u64,
    /// Where the next record goes; zero while not even the header is written.
    pub(crate) at: u64,
    /// How far it can be written without asking the disk for more room.
    pub(crate) end: u64,
    pub(crate) mark_max: u64,
    /// Whether its blocks have been written before, so that a sync costs no metadata.
    pub(crate) is_filled: bool,
}

/// A segment that only waits to be replaced by a snapshot.
#[derive(Debug)]
pub(crate) struct Closed {
    pub(crate) name: String,
    pub(crate) len: u64,
    pub(crate) mark_max: u64,
}

/// A file that can become a segment.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) name: String,
    pub(crate) len: u64,
    pub(crate) is_filled: bool,
}

/// Counts for operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalStats {
    /// Segments that had to be used before they were zero-filled.
    pub segments_grown: u64,
    /// Segments that hold records now.
    pub segments: u64,
    /// Bytes that they take up.
    pub bytes: u64,
}

/// An append-only log of records on a disk.
#[derive(Debug)]
pub struct Wal<D: Disk> {
    pub(crate) disk: D,
    pub(crate) options: Options,
    pub(crate) cluster: u64,
    pub(crate) active: Option<Active<D::File>>,
    pub(crate) closed: VecDeque<Closed>,
    pub(crate) spares: VecDeque<Spare>,
    pub(crate) next_seq: u64,
    pub(crate) next_spare: u64,
    synced_seq: u64,
    /// Files written since the last sync, but for the active one.
    dirty: Vec<D::File>,
    is_active_dirty: bool,
    is_dir_dirty: bool,
    is_filling: bool,
    fill_failed: bool,
    is_full: bool,
    has_failed: bool,
    buf: Vec<u8>,
    segments_grown: u64,
}

/// What has to be synced for records up to `seq` to be durable. Any thread may do it.
pub struct SyncTarget<D: Disk> {
    files: Vec<D::File>,
    dir: Option<D>,
    seq: Seq,
}

impl<D: Disk> SyncTarget<D> {
    /// The last record that is durable after a successful sync.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Syncs.
    ///
    /// # Errors
    /// What the disk gave. It must not be tried again.
    pub fn sync(&self) -> io::Result<()> {
        self.files.iter().try_for_each(DiskFile::sync_data)?;
        self.dir.iter().try_for_each(Disk::sync_dir)
    }
}

impl<D: Disk> Wal<D> {
    pub(crate) fn assemble(disk: D, cluster: u64, options: Options, next_seq: u64) -> Self {
        Self {
            disk,
            options,
            cluster,
            active: None,
            closed: VecDeque::new(),
            spares: VecDeque::new(),
            next_seq,
            next_spare: 0,
            synced_seq: next_seq - 1,
            dirty: Vec::new(),
            is_active_dirty: false,
            is_dir_dirty: false,
            is_filling: false,
            fill_failed: false,
            is_full: false,
            has_failed: false,
            buf: Vec::new(),
            segments_grown: 0,
        }
    }

    /// Whether a record with `bytes` of payload is certain to find room; asks the disk for some if
    /// need be. When this says no, nothing but terms and votes should be appended.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk is broken rather than full.
    pub fn make_room(&mut self, bytes: usize) -> Result<bool, Error> {
        let need = (HEADER_LEN + RECORD_HEADER_LEN + bytes) as u64 + RESERVE_BYTES;
        let in_active = self.active.as_ref().is_some_and(|active| active.at + need <= active.end);
        if in_active || self.spares.iter().any(|spare| spare.len >= need) {
            self.is_full = false;
            return Ok(true);
        }
        match self.reserve_spare(need) {
            Ok(()) => {
                self.is_full = false;
                Ok(true)
            }
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::StorageFull => {
                self.is_full = true;
                Ok(false)
            }
            Err(error) => self.fail(error),
        }
    }

    /// Whether the last look found no room.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// A spare whose blocks are reserved but were never written.
    fn reserve_spare(&mut self, need: u64) -> Result<(), Error> {
        let name = segment::spare_name(self.next_spare);
        let len = need.max(self.options.segment_bytes);
        let file = self.disk.create(&name).context("create", &name)?;
        if let Err(error) = file.reserve(0, len) {
            drop(file);
            self.disk.remove(&name).context("remove", &name)?;
            return Err(error).context("reserve room for", &name);
        }
        self.next_spare += 1;
        self.spares.push_back(Spare { name, len, is_filled: false });
        Ok(())
    }

    /// Appends one record, in the page cache; it is durable after a sync. `mark` is the caller's,
    /// and decides with [`Wal::release`] how long the record is kept.
    ///
    /// # Errors
    /// [`Error::Full`] and [`Error::TooLarge`] leave the log as it was; after [`Error::Io`] it
    /// refuses everything.
    pub fn append(&mut self, mark: u64, parts: &[&[u8]]) -> Result<Seq, Error> {
        if self.has_failed {
            return Err(Error::Failed);
        }
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if len > PAYLOAD_BYTES_MAX {
            return Err(Error::TooLarge(len));
        }
        if !self.has_place((RECORD_HEADER_LEN + len) as u64) {
            self.rotate((RECORD_HEADER_LEN + len) as u64)?;
        }
        let seq = self.next_seq;
        let result = self.write(seq, mark, parts);
        match result {
            Ok(()) => {
                self.next_seq += 1;
                self.is_active_dirty = true;
                Ok(Seq(seq))
            }
            Err(error) => self.fail(error),
        }
    }

    fn has_place(&self, need: u64) -> bool {
        let Some(active) = &self.active else { return false };
        let header = if active.at == 0 { HEADER_LEN as u64 } else { 0 };
        // A segment whose blocks were never written is left as soon as a better one is there.
        let stay = active.is_filled || !self.spares.iter().any(|spare| spare.is_filled);
        stay && active.at + header + need <= active.end
    }

    fn write(&mut self, seq: u64, mark: u64, parts: &[&[u8]]) -> Result<(), Error> {
        let active = self.active.as_mut().expect("rotate made a segment active");
        self.buf.clear();
        if active.at == 0 {
            self.buf.extend_from_slice(&segment::encode_header(self.cluster, seq));
        }
        segment::encode_record(&mut self.buf, active.salt, seq, mark, self.synced_seq, parts);
        active.file.write_at(&self.buf, active.at).context("write to", &active.name)?;
        active.at += self.buf.len() as u64;
        active.mark_max = active.mark_max.max(mark);
        if self.buf.capacity() > BUF_BYTES_KEPT {
            self.buf = Vec::new();
        }
        Ok(())
    }

    /// Makes another segment the active one.
    fn rotate(&mut self, need: u64) -> Result<(), Error> {
        let need = need + HEADER_LEN as u64;
        let fitting = |spare: &Spare| spare.len >= need;
        let choice = self
            .spares
            .iter()
            .position(|spare| spare.is_filled && fitting(spare))
            .or_else(|| self.spares.iter().position(fitting));
        let spare = match choice.and_then(|at| self.spares.remove(at)) {
            Some(spare) => spare,
            None => match self.reserve_spare(need) {
                Ok(()) => self.spares.pop_back().expect("a spare was just added"),
                Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::StorageFull => {
                    self.is_full = true;
                    return Err(Error::Full);
                }
                Err(error) => return self.fail(error),
            },
        };
        self.segments_grown += u64::from(!spare.is_filled);
        match self.activate(spare) {
            Ok(()) => Ok(()),
            Err(error) => self.fail(error),
        }
    }

    fn activate(&mut self, spare: Spare) -> Result<(), Error> {
        let name = segment::name(self.next_seq);
        self.disk.rename(&spare.name, &name).context("rename", &spare.name)?;
        let file = self.disk.open(&name).context("open", &name)?;
        self.is_dir_dirty = true;
        let active = Active {
            name,
            file,
            salt: segment::salt(self.cluster, self.next_seq),
            at: 0,
            end: spare.len,
            mark_max: 0,
            is_filled: spare.is_filled,
        };
        if let Some(old) = self.active.replace(active) {
            if self.is_active_dirty {
                self.dirty.push(old.file);
                self.is_active_dirty = false;
            }
            self.closed.push_back(Closed { name: old.name, len: old.end, mark_max: old.mark_max });
        }
        Ok(())
    }

    /// Makes everything that was appended durable.
    ///
    /// # Errors
    /// [`Error::Io`]; the log then refuses everything, and a sync is never tried again.
    pub fn sync(&mut self) -> Result<(), Error> {
        if self.has_failed {
            return Err(Error::Failed);
        }
        let target = self.sync_target();
        let result = target.sync();
        self.synced(target.seq, result)
    }

    /// What another thread has to sync, as of now. Report the result with [`Wal::synced`].
    pub fn sync_target(&mut self) -> SyncTarget<D> {
        let mut files = std::mem::take(&mut self.dirty);
        if std::mem::take(&mut self.is_active_dirty) {
            files.extend(self.active.as_ref().map(|active| active.file.clone()));
        }
        let dir = std::mem::take(&mut self.is_dir_dirty).then(|| self.disk.clone());
        SyncTarget { files, dir, seq: Seq(self.next_seq - 1) }
    }

    /// Takes note of a sync's result.
    ///
    /// # Errors
    /// [`Error::Io`] when it failed; the log then refuses everything.
    pub fn synced(&mut self, seq: Seq, result: io::Result<()>) -> Result<(), Error> {
        match result.context("sync", "the log") {
            Ok(()) => {
                self.synced_seq = self.synced_seq.max(seq.0);
                Ok(())
            }
            Err(error) => self.fail(error),
        }
    }

    fn fail<T>(&mut self, error: Error) -> Result<T, Error> {
        self.has_failed = true;
        Err(error)
    }

    /// Lets go of the segments whose records all have marks of `mark` or below, but for the active
    /// one. They become spares, or are removed when there are enough.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn release(&mut self, mark: u64) -> Result<(), Error> {
        while self.closed.front().is_some_and(|closed| closed.mark_max <= mark) {
            let Some(closed) = self.closed.pop_front() else { break };
            let fits = closed.len >= self.options.segment_bytes
                && closed.len < self.options.segment_bytes * 2;
            if fits && self.spares.len() < self.options.spares_max {
                let name = segment::spare_name(self.next_spare);
                self.next_spare += 1;
                self.disk.rename(&closed.name, &name).context("rename", &closed.name)?;
                self.spares.push_back(Spare { name, len: closed.len, is_filled: true });
            } else {
                self.disk.remove(&closed.name).context("remove", &closed.name)?;
            }
        }
        Ok(())
    }

    /// Work for another thread, if the log wants a segment filled with zeros. Report its end with
    /// [`Wal::filled`].
    pub fn next_fill(&mut self) -> Option<FillTask<D>> {
        if self.is_filling || self.fill_failed || self.spares.iter().any(|spare| spare.is_filled) {
            return None;
        }
        self.is_filling = true;
        let number = self.next_spare;
        self.next_spare += 1;
        Some(FillTask::new(self.disk.clone(), number, self.options.segment_bytes))
    }

    /// Takes note of the end of a [`FillTask`]. One that failed is not tried again before
    /// [`Wal::retry_fill`].
    pub fn filled(&mut self, task: FillTask<D>, result: &io::Result<()>) {
        self.is_filling = false;
        if result.is_ok() {
            let (name, len) = task.into_spare();
            self.spares.push_back(Spare { name, len, is_filled: true });
        } else {
            self.fill_failed = true;
        }
    }

    /// Allows another try after a fill that failed: call this now and then.
    pub fn retry_fill(&mut self) {
        self.fill_failed = false;
    }

    /// Counts for operators.
    pub fn stats(&self) -> WalStats {
        let active = self.active.as_ref();
        WalStats {
            segments_grown: self.segments_grown,
            segments: (self.closed.len() + usize::from(active.is_some())) as u64,
            bytes: self.closed.iter().map(|closed| closed.len).sum::<u64>()
                + active.map_or(0, |active| active.end),
        }
    }
}
