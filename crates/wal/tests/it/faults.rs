//! Each call of the disk, one at a time, gives each kind of error: the log serves on, or refuses with
//! a sentence that names the call and the file; and what was acknowledged is there afterwards.

use crate::testkit::{CLUSTER, fill, new_disk, options, payload};
use std::io::{ErrorKind, Read, Write};
use wal::mem::MemDisk;
use wal::{Disk, Seq, SnapshotReader, SnapshotWriter, Wal};

const KINDS: [ErrorKind; 6] = [
    ErrorKind::Other,
    ErrorKind::StorageFull,
    ErrorKind::PermissionDenied,
    ErrorKind::Interrupted,
    ErrorKind::NotFound,
    ErrorKind::InvalidInput,
];

/// What a start finds: the log, and all records in their order, those in the snapshot first.
type Started = (Wal<MemDisk>, Vec<Vec<u8>>);

/// A record's payload has this length, so that a snapshot can be told apart into records.
const LEN: usize = 700;

fn write_snapshot(disk: &MemDisk, records: &[Vec<u8>], log_seq: Seq) -> std::io::Result<()> {
    let mut writer = SnapshotWriter::create(disk, records.len() as u64, log_seq)?;
    writer.write_all(&records.concat())?;
    writer.finish()?;
    wal::remove_older_snapshots(disk, records.len() as u64)
}

fn start(disk: &MemDisk) -> Result<Started, String> {
    if wal::is_empty(disk).map_err(|error| error.to_string())? {
        let log_seq = wal::begin(disk, CLUSTER).map_err(|error| error.to_string())?;
        write_snapshot(disk, &[], log_seq).map_err(|error| error.to_string())?;
    }
    let names = wal::list_snapshots(disk).map_err(|error| error.to_string())?;
    let newest = names.last().ok_or("cannot find any snapshot")?;
    let mut reader = SnapshotReader::open(disk, newest).map_err(|error| error.to_string())?;
    let mut content = Vec::new();
    reader.read_to_end(&mut content).map_err(|error| error.to_string())?;
    let mut records: Vec<_> = content.chunks(LEN).map(<[u8]>::to_vec).collect();
    let opened = Wal::open(disk.clone(), CLUSTER, reader.log_seq(), options());
    let (wal, recovered) = opened.map_err(|error| error.to_string())?;
    for record in recovered.records {
        let record = record.map_err(|error| error.to_string())?;
        // The log may go further back than the snapshot.
        let number = crate::testkit::seq_of(&record);
        if number > records.len() as u64 {
            assert_eq!(number, records.len() as u64 + 1, "records follow each other");
            records.push(record);
        }
    }
    Ok((wal, records))
}

/// What a life was told that it has, and how it ended.
#[derive(Default)]
struct Life {
    acknowledged: Vec<Vec<u8>>,
    appended: Vec<Vec<u8>>,
}

impl Life {
    fn append(&mut self, wal: &mut Wal<MemDisk>) -> Result<(), String> {
        let number = self.appended.len() as u64 + 1;
        let bytes = payload(number, 1, LEN);
        match wal.append(number, &[&bytes]) {
            Ok(_) => self.appended.push(bytes),
            // Refused, and service goes on.
            Err(error) if error.is_full() && !wal.has_failed() => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
        wal.sync().map_err(|error| error.to_string())?;
        self.acknowledged.clone_from(&self.appended);
        Ok(())
    }

    /// A start, growth over several segments, fills, a snapshot and the release of what it
    /// replaces, an end in order.
    fn live(&mut self, disk: &MemDisk) -> Result<(), String> {
        let (mut wal, found) = start(disk)?;
        assert!(found.starts_with(&self.acknowledged), "a record is missing");
        self.appended = found;
        for round in 0..3 {
            for _ in 0..4 {
                if !wal.make_room(LEN).map_err(|error| error.to_string())? {
                    continue;
                }
                self.append(&mut wal)?;
            }
            // A fill that fails is no error.
            fill(&mut wal);
            if round == 1 && write_snapshot(disk, &self.acknowledged, wal.synced_seq()).is_ok() {
                let mark = self.acknowledged.len() as u64;
                wal.release(mark).map_err(|error| error.to_string())?;
            }
        }
        wal.close().map_err(|error| error.to_string())
    }
}

/// Two lives, then a third on a healthy disk, after a kill or a power loss.
fn run(number: u64, kind: ErrorKind) -> bool {
    let disk = new_disk();
    disk.refuse_call(Some((number, kind)));
    let mut life = Life::default();
    let result = life.live(&disk).and_then(|()| life.live(&disk));
    let is_over = disk.calls() < number;
    disk.refuse_call(None);
    if let Err(text) = &result {
        let says_where = [".wal", ".tmp", ".snap", "the data directory", "the log"];
        let is_named =
            text.contains("cannot ") && says_where.iter().any(|file| text.contains(file));
        let is_named = is_named || text.contains("the disk is full: free some room");
        assert!(is_named, "call {number}, {kind}: {text}");
    }
    for disk in [disk.kill(), disk.crash(&mut || 0)] {
        let mut next = Life { acknowledged: life.acknowledged.clone(), appended: Vec::new() };
        next.live(&disk).unwrap_or_else(|text| panic!("call {number}, {kind}: {text}"));
        assert!(next.acknowledged.len() >= life.acknowledged.len() + 12, "it serves in full");
        assert!(wal::check(&disk).unwrap().is_sound());
    }
    is_over
}

#[test]
fn each_call_may_fail_in_each_way() {
    let mut calls = 0;
    for kind in KINDS {
        for number in 1.. {
            assert!(number < 2000, "there is no end");
            if run(number, kind) {
                calls = number;
                break;
            }
        }
    }
    assert!(calls > 150, "only {calls} calls");
    // Nothing was left behind by any of it that the next start does not remove.
    let disk = new_disk();
    let mut life = Life::default();
    life.live(&disk).unwrap();
    assert!(disk.list().unwrap().iter().all(|name| !name.ends_with(".tmp")));
}
