//! Opening a log: what is kept, what is cut, what is refused.
//!
//! Reading stops at the first bad record. Usually nothing behind it was ever durable: the process
//! died while it wrote, no client got an answer for the record, and the tail is cut. But when
//! something behind it says that it was durable, the disk has lost what it promised to keep; then
//! nothing is changed and the log is not opened.
//!
//! The one loss that cannot be distinguished from a torn tail is that of records written since the
//! last sync but one: nothing behind them says yet that they were durable.

use crate::cut::{WaitingCut, write_zeros};
use crate::disk::{Disk, DiskFile};
use crate::error::{Context, Error};
use crate::files::{Active, Closed};
use crate::log::{Options, Wal};
use crate::scan::{Scanned, SegmentReader, scan, segment_names};
use crate::segment::{self, HEADER_LEN, Header};
use crate::seq::Seq;
use crate::snapshot;
use std::collections::VecDeque;
use std::fmt;

/// What was cut off the end of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The segment, relative to the data directory.
    pub file: String,
    /// Where the cut is.
    pub offset: u64,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was cut at offset {}: a record was never finished", self.file, self.offset)
    }
}

/// What a log held when it was opened.
#[derive(Debug)]
pub struct Recovered<D: Disk> {
    /// The payloads of all records that have one, in order.
    pub records: Records<D>,
    /// What was cut off the end; nothing if it ended cleanly.
    pub cut: Option<Cut>,
}

/// Reads the payloads of a log in order, one record in memory at a time. Records without one, which
/// begin and close a log, are passed over.
pub struct Records<D: Disk> {
    disk: D,
    log_id: u64,
    segments: VecDeque<Part>,
    current: Option<(SegmentReader<D::File>, Part)>,
}

/// The records of one segment that are still to be read.
#[derive(Debug)]
struct Part {
    name: String,
    seed: u32,
    seq: u64,
    left: u64,
    at: u64,
}

impl<D: Disk> fmt::Debug for Records<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("segments", &self.segments).finish_non_exhaustive()
    }
}

impl<D: Disk> Records<D> {
    pub(crate) fn new(disk: D, log_id: u64, segments: &[Scanned]) -> Self {
        let part = |segment: &Scanned| Part {
            name: segment.name.clone(),
            seed: segment::seed(log_id, segment.first_seq),
            seq: segment.first_seq,
            left: segment.records,
            at: HEADER_LEN,
        };
        Self { disk, log_id, segments: segments.iter().map(part).collect(), current: None }
    }

    /// What the log is called, as it was opened.
    pub fn log_id(&self) -> u64 {
        self.log_id
    }

    fn try_next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        while self.current.as_ref().is_none_or(|(_, part)| part.left == 0) {
            let Some(part) = self.segments.pop_front() else { return Ok(None) };
            let file = self.disk.open(&part.name).context("open", &part.name)?;
            let reader = SegmentReader::new(file, part.seed).context("read", &part.name)?;
            self.current = Some((reader, part));
        }
        let Some((reader, part)) = &mut self.current else { return Ok(None) };
        let Some((head, payload)) = reader.record(part.at, part.seq).context("read", &part.name)?
        else {
            return Err(Error::Damaged {
                file: part.name.clone(),
                offset: part.at,
                detail: format!("record {} could be read once, and now no more", part.seq),
            });
        };
        (part.left, part.seq, part.at) = (part.left - 1, part.seq + 1, part.at + head.record_len());
        Ok(Some(payload.to_vec()))
    }

    fn try_next_used(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            let next = self.try_next()?;
            if next.as_ref().is_none_or(|payload| !payload.is_empty()) {
                return Ok(next);
            }
        }
    }
}

impl<D: Disk> Iterator for Records<D> {
    type Item = Result<Vec<u8>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = self.try_next_used().transpose();
        if matches!(result, Some(Err(_))) {
            // What follows a record that cannot be read must not be taken for the next one.
            self.segments.clear();
            self.current = None;
        }
        result
    }
}

/// Decides what is good, what was never finished and what is damage. Gives the number of segments
/// to keep; the last of them is to be cut where its good records end.
pub(crate) fn judge(segments: &[Scanned], log_id: u64) -> Result<usize, Error> {
    segments.iter().try_for_each(|segment| judge_header(segment, log_id))?;
    let mut expected = None;
    for (at, segment) in segments.iter().enumerate() {
        let tail = segments.iter().skip(at);
        let synced = tail.map(Scanned::synced).max().expect("this segment is one of them");
        let expected_seq = expected.unwrap_or(segment.first_seq);
        if segment.first_seq < expected_seq {
            let detail = format!(
                "it begins with record {}, which is in the segment before it too",
                segment.first_seq
            );
            return Err(damage(segment, 0, detail));
        }
        let before = at.checked_sub(1).and_then(|before| segments.get(before));
        if segment.first_seq > expected_seq || !segment.has_begun() {
            // Segments before the first were released, and none is before a durable record is in
            // a later one.
            let is_lost = synced >= expected_seq
                || (at == 0 && segment.first_seq > 1)
                || before.is_some_and(|before| before.leads_on)
                || (segment.first_seq == expected_seq && segment.has_lost_header);
            return match before {
                _ if !is_lost => Ok(at),
                Some(before) if segment.first_seq > expected_seq => Err(lost_record(before)),
                _ => Err(damage(segment, 0, "its header cannot be read".to_owned())),
            };
        }
        // A record that found the disk full in the middle may have gone to the next segment then:
        // what is behind is a piece of it, and nothing is lost.
        let goes_on = segments
            .get(at + 1)
            .is_some_and(|next| next.first_seq == segment.next_seq() && next.has_begun());
        if segment.behind.is_some() && synced >= segment.next_seq() && !goes_on {
            return Err(lost_record(segment));
        }
        expected = Some(segment.next_seq());
    }
    match segments.last() {
        Some(last) if last.leads_on => Err(lost_segment(last)),
        _ => Ok(segments.len()),
    }
}

fn judge_header(segment: &Scanned, log_id: u64) -> Result<(), Error> {
    let file = segment.name.clone();
    match segment.header {
        Header::Unknown(version) => Err(Error::UnknownVersion { file, version }),
        Header::Valid { log_id: found, .. } if found != log_id => Err(Error::WrongCluster { file }),
        // An older header is what a recycled file holds before it is written to.
        Header::Valid { first_seq, .. } if first_seq > segment.first_seq => Err(damage(
            segment,
            0,
            format!("its header says that it begins with record {first_seq}"),
        )),
        Header::Valid { .. } | Header::Bad => Ok(()),
    }
}

/// Damage that was found before anything was changed.
fn damage(segment: &Scanned, offset: u64, detail: String) -> Error {
    let detail = format!("{detail}. Nothing was changed");
    Error::Damaged { file: segment.name.clone(), offset, detail }
}

fn lost_segment(last: &Scanned) -> Error {
    let missing = segment::name(last.next_seq());
    let detail = format!("the log goes on in {missing}, which is missing");
    damage(last, last.end, detail)
}

fn lost_record(segment: &Scanned) -> Error {
    let seq = segment.next_seq();
    let detail = format!("record {seq} cannot be read, and later ones say that it was durable");
    damage(segment, segment.end, detail)
}

/// Refuses a log of which `keep` segments are kept, if it ends before a record that was durable.
pub(crate) fn refuse_too_short(segments: &[Scanned], keep: usize, reach: Seq) -> Result<(), Error> {
    let last = keep.checked_sub(1).and_then(|last| segments.get(last));
    let found = last.map_or(0, |last| last.next_seq() - 1);
    if found >= reach.0 {
        return Ok(());
    }
    let file = last.map(|last| last.name.clone());
    Err(Error::TooShort { file, found: Seq(found), reach })
}

/// Whether anything that may have been a record is behind the good part of a log of which `keep`
/// segments are kept, and where.
pub(crate) fn find_cut(segments: &[Scanned], keep: usize) -> Option<Cut> {
    let last = keep.checked_sub(1).and_then(|last| segments.get(last));
    match (last, segments.get(keep)) {
        (Some(last), dropped) if last.behind.is_some() || dropped.is_some() => {
            Some(Cut { file: last.name.clone(), offset: last.end })
        }
        (None, Some(dropped)) => Some(Cut { file: dropped.name.clone(), offset: 0 }),
        _ => None,
    }
}

impl<D: Disk> Wal<D> {
    /// Opens the log of a directory; an empty directory gives an empty log. What was found is
    /// durable when this returns.
    ///
    /// `log_id` is what the log was called when it was begun; files of another one are refused.
    /// `reach` is a record that was durable once, by what the caller knows from elsewhere: a log
    /// that ends before it has lost files, or is an older one, and is refused. With zero nothing
    /// is known.
    ///
    /// # Errors
    /// [`Error`] with the file and what to do. Nothing was changed then, but for errors of the
    /// disk while an unfinished tail was being cut. A full disk is none: what is there can be read,
    /// and the cut is made up for before anything is written ([`Wal::make_room`]).
    pub fn open(
        disk: D,
        log_id: u64,
        reach: Seq,
        options: Options,
    ) -> Result<(Self, Recovered<D>), Error> {
        let mut segments = Vec::new();
        for (first_seq, name) in segment_names(&disk)? {
            segments.push(scan(&disk, log_id, &name, first_seq)?);
        }
        let keep = judge(&segments, log_id)?;
        refuse_too_short(&segments, keep, reach)?;
        let cut = find_cut(&segments, keep);
        for dropped in segments.drain(keep..).rev() {
            disk.remove(&dropped.name).context("remove", &dropped.name)?;
        }
        let waiting_cut = settle(&disk, &segments)?;
        remove_leftovers(&disk)?;
        disk.sync_dir().context("sync", "the data directory")?;
        let next_seq = segments.last().map_or(1, Scanned::next_seq);
        let mut wal = Wal::assemble(disk.clone(), log_id, options, next_seq);
        wal.adopt(&segments)?;
        wal.mark_found(&segments)?;
        wal.is_full = waiting_cut.is_some();
        wal.waiting_cut = waiting_cut;
        Ok((wal, Recovered { records: Records::new(disk, log_id, &segments), cut }))
    }

    fn adopt(&mut self, segments: &[Scanned]) -> Result<(), Error> {
        let Some((last, closed)) = segments.split_last() else { return Ok(()) };
        assert_eq!(last.next_seq(), self.next_seq, "the log goes on behind its last record");
        let follow = closed.iter().zip(segments.iter().skip(1));
        for (one, next) in follow {
            assert_eq!(one.next_seq(), next.first_seq, "no record is missing between segments");
        }
        let is_filled =
            |segment: &Scanned| matches!(segment.header, Header::Valid { is_filled: true, .. });
        self.closed = closed
            .iter()
            .map(|segment| Closed {
                name: segment.name.clone(),
                first_seq: segment.first_seq,
                len: segment.len,
                mark_max: segment.mark_max,
                is_filled: is_filled(segment),
            })
            .collect();
        self.bytes_taken = closed.iter().map(|segment| segment.len).sum::<u64>() + last.end;
        let file = self.disk.open(&last.name).context("open", &last.name)?;
        // A directory that was copied may have holes where zeros were. Only what lies behind the
        // records is asked for: a disk that cannot reserve may write there. Without a promise the
        // next record gets a segment of its own.
        let left = last.len.saturating_sub(last.end);
        let is_reserved = left > 0 && file.reserve(last.end, left).is_ok();
        let end = if is_reserved { last.len } else { last.end };
        self.is_closed = last.ends_empty;
        self.active = Some(Active {
            name: last.name.clone(),
            file,
            first_seq: last.first_seq,
            seed: segment::seed(self.log_id, last.first_seq),
            at: last.end,
            end,
            mark_max: last.mark_max,
            is_filled: is_filled(last),
        });
        Ok(())
    }
}

/// Makes what was read durable: it may still be in the page cache alone, and nobody may act on it
/// before. What is behind the last good record is overwritten first, so that nothing of it can ever
/// be taken for a record again. Gives what is still to be overwritten, if there is no room for it:
/// file systems that copy on write want room even for that.
fn settle<D: Disk>(disk: &D, segments: &[Scanned]) -> Result<Option<WaitingCut<D::File>>, Error> {
    let mut waiting = None;
    for (at, segment) in segments.iter().enumerate() {
        let file = disk.open(&segment.name).context("open", &segment.name)?;
        if let Some(behind) = segment.behind.filter(|_| at + 1 == segments.len()) {
            let (from, to) = (segment.end, behind.end.min(segment.len));
            match write_zeros(&file, from, to).context("cut", &segment.name) {
                Ok(()) => {}
                Err(error) if error.is_full() => {
                    let (name, file) = (segment.name.clone(), file.clone());
                    waiting = Some(WaitingCut { name, file, from, to });
                }
                Err(error) => return Err(error),
            }
        }
        file.sync_all().context("sync", &segment.name)?;
    }
    Ok(waiting)
}

/// Removes files of ours that were never finished, and spare segments.
///
/// A spare may hold records of the process that died: it was to become a segment, and the change of
/// its name was lost. The next segment may begin with the same record and so have the same salt;
/// in that file, what the dead process wrote would be taken for records again.
fn remove_leftovers<D: Disk>(disk: &D) -> Result<(), Error> {
    for name in disk.list().context("list", "the data directory")? {
        if segment::is_spare_name(&name) || snapshot::is_temporary_name(&name) {
            disk.remove(&name).context("remove", &name)?;
        }
    }
    Ok(())
}
