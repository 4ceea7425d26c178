//! The write-ahead log of one member.

use super::frame::{Entry, HardState, Record, kind, two_numbers};
use super::segment::{Flaw, Segment, SegmentReader, Step};
use super::torn::Bad;
use crate::{Damage, Error, Options, Warning};
use std::path::Path;

/// What the segments from some snapshot on hold.
#[derive(Debug)]
pub(super) struct Log {
    /// Ids of the member and of its cluster.
    pub(super) metadata: Option<(u64, u64)>,
    /// The raft index of the snapshot that the entries continue.
    base: u64,
    /// The highest raft index of any entry, those that are not kept too.
    pub(super) highest: u64,
    /// Entries with the indexes from `base` + 1 on, without gaps.
    pub(super) entries: Vec<Entry>,
    /// Index and term of each snapshot that was made or received.
    pub(super) snapshots: Vec<(u64, u64)>,
    /// The last one.
    pub(super) state: HardState,
    pub(super) warnings: Vec<Warning>,
    unknown: u64,
    /// An entry whose predecessor is missing: its index, file and offset.
    gap: Option<(u64, Damage)>,
}

impl Log {
    /// Reads the segments, which follow each other, and keeps the entries above `base`.
    pub(super) fn read(segments: &[Segment], base: u64, options: &Options) -> Result<Self, Error> {
        let mut log = Self {
            metadata: None,
            base,
            highest: 0,
            entries: Vec::new(),
            snapshots: Vec::new(),
            state: HardState::default(),
            warnings: Vec::new(),
            unknown: 0,
            gap: None,
        };
        let mut running = None;
        for (segment, left) in segments.iter().zip((0..segments.len()).rev()) {
            match log.read_segment(segment, running, left == 0, options)? {
                Some(next) => running = next,
                None => break,
            }
        }
        if log.unknown > 0 {
            log.warnings.push(Warning::UnknownRecords(log.unknown));
        }
        Ok(log)
    }

    /// The raft index of the last entry, or of the snapshot if there is none.
    pub(super) fn last_index(&self) -> u64 {
        self.base + self.entries.len() as u64
    }

    /// Entries that are missing above the snapshot, if any are.
    pub(super) fn gap(&self) -> Option<&Damage> {
        let (index, damage) = self.gap.as_ref()?;
        (*index > self.last_index() + 1).then_some(damage)
    }

    /// Whether the log lacks entries that its state says are committed: entries are written before
    /// the state that commits them.
    pub(super) fn is_cut_short(&self) -> bool {
        let snapshot = self.snapshots.iter().map(|(index, _)| *index).max().unwrap_or(0);
        self.state.commit > self.last_index().max(snapshot)
    }

    /// Reads one segment; returns the checksum to go on with, or nothing if the log ends here.
    fn read_segment(
        &mut self,
        segment: &Segment,
        running: Option<u32>,
        is_last: bool,
        options: &Options,
    ) -> Result<Option<Option<u32>>, Error> {
        let path = &segment.path;
        let mut reader = SegmentReader::open(path, running)?;
        loop {
            match reader.step()? {
                Step::End => return Ok(Some(reader.running)),
                Step::Record(record) => {
                    let taken = self.take(record);
                    let offset = reader.offset;
                    match taken {
                        Ok(None) => {}
                        Ok(Some(index)) => self.note_gap(path, offset, index),
                        Err(what) => return self.refuse(path, offset, what, options),
                    }
                }
                Step::Flawed(flaw) => {
                    let (offset, body) = (reader.offset, reader.body());
                    let bad = Bad { path, offset, flaw, body, last_good: self.last_index() };
                    if is_last && bad.is_torn()? {
                        let (file, last_good) = (path.clone(), self.last_index());
                        self.warnings.push(Warning::TornTail { file, offset, last_good });
                        return Ok(None);
                    }
                    let is_long = flaw == Flaw::Cut && !is_last;
                    let what = if is_long { "the segment ends too early" } else { flaw.as_str() };
                    return self.refuse(path, offset, what, options);
                }
            }
        }
    }

    /// Damage at an offset: an error, or the end of the log if that is accepted.
    fn refuse(
        &mut self,
        path: &Path,
        offset: u64,
        what: &str,
        options: &Options,
    ) -> Result<Option<Option<u32>>, Error> {
        let damage = Damage {
            file: path.to_owned(),
            offset,
            what: what.to_owned(),
            last_good: Some(self.last_index()),
        };
        if !options.accept_damage {
            return Err(Error::Damage { damage, can_be_accepted: true });
        }
        self.warnings.push(Warning::Damage(damage));
        Ok(None)
    }

    fn note_gap(&mut self, path: &Path, offset: u64, index: u64) {
        let last = self.last_index();
        let what = format!("the entries from raft index {} to {} are missing", last + 1, index - 1);
        let file = path.to_owned();
        self.gap.get_or_insert((index, Damage { file, offset, what, last_good: Some(last) }));
    }

    /// Takes a record, or says what is wrong with it. The index of an entry is returned if the
    /// one before it is missing.
    fn take(&mut self, record: Record<'_>) -> Result<Option<u64>, &'static str> {
        const INVALID: &str = "the content of the record is invalid";
        match record.kind {
            kind::METADATA => {
                let ids = two_numbers(record.data, (1, 2)).map_err(|_| INVALID)?;
                if *self.metadata.get_or_insert(ids) != ids {
                    return Err("the segment is of another member or cluster");
                }
            }
            kind::ENTRY => {
                let entry = Entry::decode(record.data).map_err(|_| INVALID)?;
                self.highest = self.highest.max(entry.index);
                return Ok(self.push(entry));
            }
            kind::STATE => self.state = HardState::decode(record.data).map_err(|_| INVALID)?,
            kind::CRC => {}
            kind::SNAPSHOT => {
                let snapshot = two_numbers(record.data, (1, 2)).map_err(|_| INVALID)?;
                self.snapshots.push(snapshot);
            }
            _ => self.unknown += 1,
        }
        Ok(None)
    }

    /// Adds an entry. A new leader's entry replaces the one with its index and all above it. What
    /// 2.0 converted from 0.4 begins with an entry of index 0, which means nothing.
    fn push(&mut self, entry: Entry) -> Option<u64> {
        let above = entry.index.checked_sub(self.base).filter(|above| *above > 0)?;
        let at = usize::try_from(above - 1).unwrap_or(usize::MAX);
        if at > self.entries.len() {
            return Some(entry.index);
        }
        self.entries.truncate(at);
        self.entries.push(entry);
        None
    }
}
