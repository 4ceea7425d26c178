//! Log segments of arbitrary bytes, and sound ones with arbitrary changes: opening gives what was
//! written or an error, and what was opened can be written to.
//!
//! The checksums stop nearly all arbitrary bytes, so most inputs are read as changes to a log that
//! was written properly: eight bytes each, which say where, how and with what.

use wal::mem::MemDisk;
use wal::{Disk, Error, Options, Seq, Wal};

const CLUSTER: u64 = 7;

/// Changes that are read from one input at most.
const CHANGES_MAX: usize = 64;

fn options() -> Options {
    Options { segment_bytes: 4096, spares_max: 2 }
}

fn payload(seq: u64) -> Vec<u8> {
    let len = usize::try_from(40 + seq * 97 % 900).expect("a small number");
    seq.to_le_bytes().into_iter().cycle().take(len).collect()
}

/// Ten records in some segments, half of them synced one by one.
fn written() -> MemDisk {
    let disk = MemDisk::new();
    let (mut wal, _) =
        Wal::open(disk.clone(), CLUSTER, Seq(0), options()).expect("an empty directory");
    for seq in 1..=10 {
        wal.append(seq, &[&payload(seq)]).expect("there is room");
        if seq % 2 == 0 {
            wal.sync().expect("the disk works");
        }
    }
    disk
}

fn change(disk: &MemDisk, change: &[u8]) {
    let [file, kind, at_low, at_high, len, byte, ..] = *change else { return };
    let names = disk.list().expect("the disk works");
    let Some(name) = names.get(usize::from(file) % names.len().max(1)) else { return };
    let mut bytes = content(disk, name);
    let at = usize::from(u16::from_le_bytes([at_low, at_high])) % (bytes.len() + 1);
    let end = (at + usize::from(len)).min(bytes.len());
    match kind % 6 {
        0 => bytes[at..end].iter_mut().for_each(|old| *old ^= byte),
        1 => bytes[at..end].fill(byte),
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let copy = bytes[at..end].to_vec();
            bytes.splice(at..at, copy);
        }
        _ => {
            let other = content(disk, &names[usize::from(byte) % names.len()]);
            let start = at.min(other.len());
            bytes.splice(at..end, other[start..].iter().take(usize::from(len)).copied());
        }
    }
    disk.put(name, &bytes);
}

fn content(disk: &MemDisk, name: &str) -> Vec<u8> {
    use wal::DiskFile;
    let file = disk.open(name).expect("it was listed");
    let mut bytes = vec![0; usize::try_from(file.len().expect("the disk works")).expect("small")];
    let read = file.read_at(&mut bytes, 0).expect("the disk works");
    bytes.truncate(read);
    bytes
}

/// Opens what is there. Records must be ones that were written, in order.
fn open(disk: &MemDisk) -> Option<usize> {
    let report = wal::check(disk).expect("the directory can be listed");
    let opened = Wal::open(disk.clone(), CLUSTER, Seq(0), options());
    let (mut wal, recovered) = match opened {
        Ok(opened) => opened,
        // The check knows no cluster that the log should belong to.
        Err(Error::WrongCluster { .. }) => return None,
        Err(error) => {
            assert!(report.log_error.is_some(), "the check says nothing of: {error}");
            return None;
        }
    };
    let records: Vec<Vec<u8>> =
        recovered.records.collect::<Result<_, _>>().expect("what was found can be read");
    if let Some(first) = records.first() {
        let first = u64::from_le_bytes(first[..8].try_into().expect("eight bytes"));
        for (seq, record) in (first..).zip(&records) {
            assert!((1..=10).contains(&seq) && *record == payload(seq), "a record nobody wrote");
        }
    }
    wal.append(99, &[b"a new record"]).expect("an open log takes records");
    wal.sync().expect("the disk works");
    let (_, again) =
        Wal::open(disk.clone(), CLUSTER, Seq(0), options()).expect("it was just written");
    let again = again.records.collect::<Result<Vec<_>, _>>().expect("it was just written");
    assert_eq!(again.len(), records.len() + 1, "an append brought something else along");
    assert_eq!(again.last().map(Vec::as_slice), Some(&b"a new record"[..]));
    Some(records.len())
}

/// See the module.
pub(crate) fn check(data: &[u8]) {
    let Some((mode, data)) = data.split_first() else { return };
    if mode % 4 == 0 {
        let disk = MemDisk::new();
        let (first, second) = data.split_at(data.len() / 2);
        disk.put("log-0000000000000001.wal", first);
        if mode & 4 == 0 {
            disk.put("log-0000000000000003.wal", second);
        }
        // Bytes that happen to be a valid record of cluster 7 are beyond what a run can find.
        let _ = open(&disk);
        return;
    }
    let disk = written();
    data.chunks(8).take(CHANGES_MAX).for_each(|bytes| change(&disk, bytes));
    let _ = open(&disk);
}
