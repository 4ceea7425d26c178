//! The log: appends records to segments, and knows what is durable.
//!
//! It never waits for the disk but in [`Wal::sync`] and [`Wal::open`]; what takes long is handed
//! out, to be done elsewhere and reported ([`Wal::sync_target`], [`Wal::next_fill`]).

use crate::cut::{WaitingCut, write_zeros};
use crate::disk::{Disk, DiskFile};
use crate::error::{Context, Error};
use crate::files::{Active, Closed, Left, Spare, Unsynced};
use crate::fill::{FillTask, Filling};
use crate::segment::{self, HEADER_LEN, Label, RECORD_BYTES_MAX, SEGMENT_BYTES_MAX};
use crate::seq::Seq;
use crate::sync::{Gate, SyncTarget};
use std::collections::VecDeque;
use std::io;

/// Sizes of the log.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of a segment, between 4 KiB and 1 GiB; a larger record gets a segment of its own.
    pub segment_bytes: u64,
    /// How many spare segments are kept for later; further ones are removed.
    pub spares_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 16 << 20, spares_max: 3 }
    }
}

const SEGMENT_BYTES_MIN: u64 = 4 << 10;

/// Room that [`Wal::make_room`] leaves for what must be written even when the disk is full: terms
/// and votes.
const RESERVE_BYTES: u64 = 64 << 10;

/// A buffer that grew beyond this is given back after use.
const BUF_BYTES_KEPT: usize = 1 << 20;

/// Counts for operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalStats {
    /// Segments that had to be used before they were zero-filled.
    pub segments_grown: u64,
    /// Segments that hold records now.
    pub segments: u64,
    /// Bytes that they take up.
    pub bytes: u64,
    /// Bytes of records that were written since the start, with what frames them.
    pub bytes_written: u64,
    /// Files that wait to become segments.
    pub spares: u64,
}

/// An append-only log of records on a disk.
#[derive(Debug)]
pub struct Wal<D: Disk> {
    pub(crate) disk: D,
    pub(crate) log_id: u64,
    pub(crate) active: Option<Active<D::File>>,
    pub(crate) closed: VecDeque<Closed>,
    pub(crate) options: Options,
    pub(crate) spares: VecDeque<Spare<D::File>>,
    pub(crate) next_spare: u64,
    pub(crate) next_seq: u64,
    pub(crate) synced_seq: u64,
    /// In the order of their records.
    pub(crate) unsynced: VecDeque<Unsynced<D::File>>,
    pub(crate) gate: Gate,
    /// Names are durable when this record is.
    pub(crate) names_synced_with: u64,
    /// Segments that were left and do not say yet where the log goes on.
    pub(crate) left: VecDeque<Left<D::File>>,
    pub(crate) filling: Filling,
    pub(crate) is_full: bool,
    /// What must be overwritten before anything is appended.
    pub(crate) waiting_cut: Option<WaitingCut<D::File>>,
    pub(crate) has_failed: bool,
    /// Whether the last record is one that closes the log.
    pub(crate) is_closed: bool,
    buf: Vec<u8>,
    segments_grown: u64,
    pub(crate) bytes_taken: u64,
    bytes_written: u64,
}

impl<D: Disk> Wal<D> {
    pub(crate) fn assemble(disk: D, log_id: u64, mut options: Options, next_seq: u64) -> Self {
        options.segment_bytes = options.segment_bytes.clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
        Self {
            disk,
            log_id,
            active: None,
            closed: VecDeque::new(),
            options,
            spares: VecDeque::new(),
            next_spare: 0,
            next_seq,
            synced_seq: next_seq - 1,
            unsynced: VecDeque::new(),
            gate: Gate::default(),
            names_synced_with: 0,
            left: VecDeque::new(),
            filling: Filling::default(),
            is_full: false,
            waiting_cut: None,
            has_failed: false,
            is_closed: false,
            buf: Vec::new(),
            segments_grown: 0,
            bytes_taken: 0,
            bytes_written: 0,
        }
    }

    /// Whether one record with `bytes` of payload is certain to find room without asking the disk
    /// for any. Some is always left for terms and votes.
    pub fn has_room(&self, bytes: usize) -> bool {
        let need = room_for(bytes);
        let has_place = self.active.as_ref().is_some_and(|active| active.fits(need))
            || self.spares.iter().any(|spare| self.is_usable(spare) && spare.len >= need);
        has_place && self.waiting_cut.is_none()
    }

    /// As [`Wal::has_room`], but asks the disk for room if need be. While this says no, nothing but
    /// terms and votes should be appended.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk is broken rather than full.
    pub fn make_room(&mut self, bytes: usize) -> Result<bool, Error> {
        self.refuse_after_failure()?;
        if !self.finish_cut()? {
            return Ok(false);
        }
        if !self.has_room(bytes) {
            match self.reserve_spare(room_for(bytes)) {
                Ok(()) => {}
                Err(error) if error.is_full() => {
                    self.is_full = true;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        self.is_full = false;
        Ok(true)
    }

    /// Overwrites what is behind the last good record, if that is still to be done. Nothing may be
    /// appended before. Says whether it is done.
    fn finish_cut(&mut self) -> Result<bool, Error> {
        let Some(cut) = &self.waiting_cut else { return Ok(true) };
        match write_zeros(&cut.file, cut.from, cut.to).context("cut", &cut.name) {
            Ok(()) => {}
            Err(error) if error.is_full() => {
                self.is_full = true;
                return Ok(false);
            }
            Err(error) => return self.fail(error),
        }
        // Whatever a sync says, also that there is no room: a second one may claim what the first
        // one lost, and the old bytes would come back.
        match cut.file.sync_all().context("sync", &cut.name) {
            Ok(()) => {
                self.waiting_cut = None;
                Ok(true)
            }
            Err(error) => self.fail(error),
        }
    }

    /// Whether the last look found no room.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    fn is_usable(&self, spare: &Spare<D::File>) -> bool {
        spare.usable_from <= self.synced_seq
    }

    /// A spare whose blocks are reserved but were never written.
    fn reserve_spare(&mut self, need: u64) -> Result<(), Error> {
        let name = segment::spare_name(self.next_spare);
        let len = need.max(self.options.segment_bytes);
        let file = self.disk.create(&name).context("create", &name)?;
        self.next_spare += 1;
        if let Err(error) = file.reserve(0, len) {
            drop(file);
            self.disk.remove(&name).context("remove", &name)?;
            return Err(error).context("reserve room for", &name);
        }
        self.spares.push_back(Spare { name, file, len, is_filled: false, usable_from: 0 });
        Ok(())
    }

    /// Appends one record, in the page cache; it is durable after a sync. `mark` is the caller's,
    /// and decides with [`Wal::release`] how long the record is kept.
    ///
    /// # Errors
    /// [`Error::Full`] and [`Error::TooLarge`] leave the log as it was; after [`Error::Io`] it
    /// refuses everything.
    pub fn append(&mut self, mark: u64, parts: &[&[u8]]) -> Result<Seq, Error> {
        self.refuse_after_failure()?;
        let len = parts.iter().fold(0, |sum: usize, part| sum.saturating_add(part.len()));
        if len > RECORD_BYTES_MAX {
            return Err(Error::TooLarge(len));
        }
        if !self.finish_cut()? {
            return Err(Error::Full);
        }
        if !self.has_place(len) {
            self.rotate(HEADER_LEN + segment::record_len(len))?;
        }
        let seq = self.next_seq;
        match self.write(seq, mark, parts) {
            Ok(()) => {
                self.next_seq += 1;
                self.is_closed = len == 0;
                Ok(Seq(seq))
            }
            // What may have been written of it lies behind the end, where the next record goes.
            Err(error) if error.is_full() => {
                self.is_full = true;
                Err(Error::Full)
            }
            Err(error) => self.fail(error),
        }
    }

    fn has_place(&self, payload_len: usize) -> bool {
        let Some(active) = &self.active else { return false };
        let need = active.need(payload_len);
        // A segment whose blocks were never written is left as soon as a better one is there, with
        // as much room at least: it may have been promised.
        let left = active.end.saturating_sub(active.at);
        let has_better = !active.is_filled
            && self.spares.iter().any(|spare| {
                spare.is_filled && self.is_usable(spare) && spare.len >= HEADER_LEN + left
            });
        !has_better && active.fits(need)
    }

    fn write(&mut self, seq: u64, mark: u64, parts: &[&[u8]]) -> Result<(), Error> {
        let active = self.active.as_mut().expect("rotate made a segment active");
        let len = parts.iter().map(|part| part.len()).sum();
        assert!(active.fits(active.need(len)), "a record is written where there is room for it");
        self.buf.clear();
        if active.at == 0 {
            segment::encode_header(&mut self.buf, self.log_id, seq, active.is_filled);
        }
        let label = Label { seq, mark, synced: self.synced_seq };
        segment::encode_record(&mut self.buf, active.seed, label, parts);
        active.file.write_at(&self.buf, active.at).context("write to", &active.name)?;
        active.at += self.buf.len() as u64;
        self.bytes_taken += self.buf.len() as u64;
        self.bytes_written += self.buf.len() as u64;
        assert!(segment::is_aligned(active.at), "records begin at multiples of 8");
        active.mark_max = active.mark_max.max(mark);
        if self.buf.capacity() > BUF_BYTES_KEPT {
            self.buf = Vec::new();
        }
        match self.unsynced.back_mut().filter(|file| file.first_seq == active.first_seq) {
            Some(file) => file.last_seq = seq,
            None => {
                let (file, first_seq) = (active.file.clone(), active.first_seq);
                self.unsynced.push_back(Unsynced { file, first_seq, last_seq: seq });
            }
        }
        Ok(())
    }

    /// Makes everything that was appended durable.
    ///
    /// # Errors
    /// [`Error::Io`]; the log then refuses everything, and a sync is never tried again.
    pub fn sync(&mut self) -> Result<(), Error> {
        self.refuse_after_failure()?;
        let target = self.sync_target();
        let result = target.sync();
        self.synced(target.seq, result)
    }

    /// What another thread has to sync, as of now. Report the result with [`Wal::synced`].
    pub fn sync_target(&self) -> SyncTarget<D> {
        let files = self.unsynced.iter().map(|unsynced| unsynced.file.clone()).collect();
        let has_new_names = self.names_synced_with > self.synced_seq;
        let dir = has_new_names.then(|| self.disk.clone());
        SyncTarget { files, dir, seq: Seq(self.next_seq - 1), gate: self.gate.clone() }
    }

    /// Takes note of a sync's result.
    ///
    /// # Errors
    /// [`Error::Io`] when it failed; the log then refuses everything.
    pub fn synced(&mut self, seq: Seq, result: io::Result<()>) -> Result<(), Error> {
        self.refuse_after_failure()?;
        assert!(seq.0 < self.next_seq, "a sync covers records that were appended");
        if let Err(error) = result.context("sync", "the log") {
            return self.fail(error);
        }
        self.synced_seq = self.synced_seq.max(seq.0);
        while self.unsynced.front().is_some_and(|file| file.last_seq <= self.synced_seq) {
            self.unsynced.pop_front();
        }
        self.mark_left()
    }

    /// Ends a log whose owner stops in order: everything is durable, and a last record says so.
    /// Without it nothing says of the last record that it was durable, and damage to it would be
    /// taken for a write that was never finished. Where there is no room for it, it is left out.
    ///
    /// # Errors
    /// As [`Wal::sync`].
    pub fn close(&mut self) -> Result<(), Error> {
        self.sync()?;
        if self.is_closed {
            return Ok(());
        }
        match self.append(0, &[]) {
            Ok(_) => self.sync(),
            Err(error) if error.is_full() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes another segment the active one, with room for `need` bytes.
    fn rotate(&mut self, need: u64) -> Result<(), Error> {
        let fits = |spare: &Spare<D::File>| self.is_usable(spare) && spare.len >= need;
        let filled = self.spares.iter().position(|spare| spare.is_filled && fits(spare));
        let choice = filled.or_else(|| self.spares.iter().position(fits));
        let spare = match choice.and_then(|at| self.spares.remove(at)) {
            Some(spare) => spare,
            None => match self.reserve_spare(need) {
                Ok(()) => self.spares.pop_back().expect("a spare was just added"),
                Err(error) if error.is_full() => {
                    self.is_full = true;
                    return Err(Error::Full);
                }
                Err(error) => return Err(error),
            },
        };
        let name = segment::name(self.next_seq);
        match self.disk.rename(&spare.name, &name).context("rename", &spare.name) {
            Ok(()) => {
                self.activate(spare, name);
                Ok(())
            }
            Err(error) if error.is_full() => {
                // Its name takes room as well where names are copied on write.
                self.spares.push_front(spare);
                self.is_full = true;
                Err(Error::Full)
            }
            Err(error) => self.fail(error),
        }
    }

    fn activate(&mut self, spare: Spare<D::File>, name: String) {
        let first_seq = self.next_seq;
        self.segments_grown += u64::from(!spare.is_filled);
        self.names_synced_with = first_seq;
        let active = Active {
            name,
            file: spare.file,
            first_seq,
            seed: segment::seed(self.log_id, first_seq),
            at: 0,
            end: spare.len,
            mark_max: 0,
            is_filled: spare.is_filled,
        };
        // One without a record would have had the same name: its file has just been replaced.
        let old = self.active.replace(active).filter(|old| old.first_seq < first_seq);
        if let Some(old) = old {
            let Active { first_seq, seed, at, .. } = old;
            let next = self.next_seq;
            self.bytes_taken += old.end.saturating_sub(at);
            let name = old.name.clone();
            self.left.push_back(Left { name, file: old.file, first_seq, seed, at, next });
            self.closed.push_back(Closed {
                name: old.name,
                first_seq: old.first_seq,
                len: old.end,
                mark_max: old.mark_max,
                is_filled: old.is_filled,
            });
        }
    }

    /// Work for another thread, if the log wants a segment filled with zeros. Report its end with
    /// [`Wal::filled`].
    pub fn next_fill(&mut self) -> Option<FillTask<D>> {
        let has_filled = self.spares.iter().any(|spare| spare.is_filled);
        if !self.filling.is_idle() || self.has_failed || has_filled {
            return None;
        }
        self.filling.start();
        let number = self.next_spare;
        self.next_spare += 1;
        Some(FillTask::new(self.disk.clone(), number, self.options.segment_bytes))
    }

    /// Takes note of the end of a [`FillTask`]. One that failed is not tried again before
    /// [`Wal::retry_fill`] says so.
    pub fn filled(&mut self, task: FillTask<D>, result: &io::Result<()>) {
        let spare = task.into_spare().filter(|_| result.is_ok());
        self.filling.end(spare.is_some());
        self.spares.extend(spare);
    }

    /// Allows another try after a fill that failed, a second later and after ever longer rests, of
    /// five minutes at most: call this now and then. `now` is in nanoseconds and never goes back.
    pub fn retry_fill(&mut self, now: u64) {
        self.filling.retry(now);
    }

    /// How many fills failed since the last one that did not.
    pub fn fill_failures(&self) -> u32 {
        self.filling.failures()
    }

    /// The name of the segment that takes records now; nothing before the first record.
    pub fn newest_segment(&self) -> Option<&str> {
        self.active.as_ref().map(|active| active.name.as_str())
    }

    /// The last record that is known to be durable.
    pub fn synced_seq(&self) -> Seq {
        Seq(self.synced_seq)
    }

    /// The last record that was appended.
    pub fn last_seq(&self) -> Seq {
        Seq(self.next_seq - 1)
    }

    /// Whether the last thing in the log is the mark of a clean stop.
    pub fn ends_cleanly(&self) -> bool {
        self.is_closed
    }

    /// Whether an error of the disk has closed the log.
    pub fn has_failed(&self) -> bool {
        self.has_failed
    }

    pub(crate) fn refuse_after_failure(&self) -> Result<(), Error> {
        if self.has_failed { Err(Error::Failed) } else { Ok(()) }
    }

    pub(crate) fn fail<T>(&mut self, error: Error) -> Result<T, Error> {
        self.has_failed = true;
        Err(error)
    }

    /// How much of the disk the log has taken so far, from the oldest segment on that was found at
    /// the start: records, and what was left free at the ends of segments. It never goes back.
    pub fn bytes_taken(&self) -> u64 {
        self.bytes_taken
    }

    /// How much of that is in segments with records of higher marks than `mark`.
    pub fn bytes_above(&self, mark: u64) -> u64 {
        let closed = self.closed.iter().filter(|closed| closed.mark_max > mark);
        let active = self.active.as_ref().filter(|active| active.mark_max > mark);
        closed.map(|closed| closed.len).sum::<u64>() + active.map_or(0, |active| active.at)
    }

    /// Counts for operators.
    pub fn stats(&self) -> WalStats {
        let active = self.active.as_ref();
        WalStats {
            segments_grown: self.segments_grown,
            segments: (self.closed.len() + usize::from(active.is_some())) as u64,
            bytes: self.closed.iter().map(|closed| closed.len).sum::<u64>()
                + active.map_or(0, |active| active.end),
            bytes_written: self.bytes_written,
            spares: self.spares.len() as u64,
        }
    }
}

/// What a segment must have left for a record to be taken in, the reserve included.
fn room_for(payload_len: usize) -> u64 {
    segment::record_len(payload_len).saturating_add(HEADER_LEN + RESERVE_BYTES)
}
