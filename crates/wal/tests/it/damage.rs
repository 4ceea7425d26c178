//! Bytes that changed after they were durable: named, never cut, never taken for something else.

use crate::testkit::{
    CLUSTER, Model, Rng, new_disk, open, open_all, options, payload, without_third,
};
use proptest::prelude::*;
use std::io;
use wal::mem::{MemDisk, MemFile};
use wal::{Disk, DiskFile, Error, Seq, Wal, check};

/// A log of twelve records in four segments, each synced before the next was written.
fn sound() -> (MemDisk, Model) {
    let disk = new_disk();
    let mut model = Model::default();
    let (mut wal, _) = open(&disk).unwrap();
    for seq in 1..=12 {
        let bytes = payload(seq, 1, 1001);
        wal.append(seq, &[&bytes]).unwrap();
        wal.sync().unwrap();
        model.append(seq, seq, bytes);
    }
    (disk, model)
}

fn segment_names(disk: &MemDisk) -> Vec<String> {
    disk.list().unwrap()
}

fn open_error(disk: &MemDisk) -> Error {
    match open(disk) {
        Ok((wal, _)) => panic!("it opened, up to record {}", wal.last_seq().0),
        Err(error) => error,
    }
}

/// Opens the log, which must refuse or give what was written, and in full but for the last batch.
fn opens_or_refuses(disk: &MemDisk, model: &Model, last_min: u64) -> bool {
    let before: Vec<_> = disk.list().unwrap().iter().map(|name| disk.content(name)).collect();
    let report = check(disk).unwrap();
    let after: Vec<_> = disk.list().unwrap().iter().map(|name| disk.content(name)).collect();
    assert!(before == after, "the check changed something");
    match open(disk) {
        Ok((_, recovered)) => {
            assert_eq!(report.log_error, None);
            let cut = recovered.cut.map(|cut| cut.to_string());
            assert_eq!(report.cut, cut);
            let records: Vec<_> = recovered.records.map(Result::unwrap).collect();
            let mut model = model.clone();
            model.restart(&records);
            assert!(model.last_seq() >= last_min, "only up to record {}", model.last_seq());
            true
        }
        Err(error) => {
            assert_eq!(report.log_error, Some(error.to_string()));
            let after: Vec<_> =
                disk.list().unwrap().iter().map(|name| disk.content(name)).collect();
            assert!(before == after, "a refused log was changed");
            false
        }
    }
}

#[test]
fn each_flipped_byte_of_a_durable_record_is_damage() {
    let (disk, model) = sound();
    let names = segment_names(&disk);
    let (last, others) = names.split_last().unwrap();
    // Three records of a padded length of 1048 fill a segment; what follows was never written.
    for name in others {
        for at in (0..44).chain((44..3200).step_by(3)) {
            disk.corrupt(name, at, 0x10);
            let opened = opens_or_refuses(&disk.kill(), &model, 12);
            let is_used = at < 44 || (64..64 + 3 * 1048).contains(&at);
            assert_eq!(opened, !is_used || is_padding(at), "{name} at {at}");
            disk.corrupt(name, at, 0x10);
        }
    }
    // The last record has nothing behind it that says that it was durable.
    for at in (64..64 + 2 * 1048).step_by(3) {
        disk.corrupt(last, at, 0x10);
        assert_eq!(opens_or_refuses(&disk.kill(), &model, 12), is_padding(at), "{last} at {at}");
        disk.corrupt(last, at, 0x10);
    }
    for at in (64 + 2 * 1048..64 + 3 * 1048).step_by(3) {
        disk.corrupt(last, at, 0x10);
        assert!(opens_or_refuses(&disk.kill(), &model, 11), "{last} at {at}");
        disk.corrupt(last, at, 0x10);
    }
}

#[test]
fn a_flipped_byte_of_the_only_segments_header_is_damage() {
    let disk = new_disk();
    let (mut wal, _) = open(&disk).unwrap();
    wal.append(1, &[b"the only record"]).unwrap();
    wal.sync().unwrap();
    let name = "log-0000000000000001.wal";
    for at in 0..44 {
        disk.corrupt(name, at, 0x04);
        assert!(matches!(open_error(&disk), Error::Damaged { offset: 0, .. }), "offset {at}");
        // The check knows no cluster now, and must not call it sound.
        let error = check(&disk).unwrap().log_error.expect("the check sees it");
        assert!(error.contains(name), "{error}");
        disk.corrupt(name, at, 0x04);
    }
    assert_eq!(open_all(&disk).1.len(), 1);
}

#[test]
fn a_segment_that_was_only_begun_is_no_error_of_the_check() {
    for content in [Vec::new(), vec![0; 600_000]] {
        let disk = new_disk();
        disk.put("log-0000000000000001.wal", &content);
        assert_eq!(check(&disk).unwrap().log_error, None);
        open(&disk).unwrap();
    }
}

/// Zeros between the end of a payload and the next multiple of 8 are not looked at.
fn is_padding(at: usize) -> bool {
    at >= 64 && (at - 64) % 1048 >= 40 + 1001
}

#[test]
fn the_error_says_where_and_what_to_do() {
    let (disk, _) = sound();
    disk.corrupt("log-0000000000000004.wal", 64 + 1048 + 500, 1);
    let error = open_error(&disk);
    let text = error.to_string();
    assert!(matches!(
        &error,
        Error::Damaged { file, offset: 1112, .. } if file == "log-0000000000000004.wal"
    ));
    for part in
        ["log-0000000000000004.wal", "offset 1112", "record 5", "stead check", "-force-rejoin"]
    {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_segment_that_is_gone_is_damage_unless_it_is_the_first() {
    let (disk, model) = sound();
    let names = segment_names(&disk);
    for (at, name) in names.iter().enumerate() {
        let disk = disk.kill();
        disk.remove(name).unwrap();
        if at == 0 {
            // As if it had been released.
            let (_, records) = open_all(&disk);
            assert_eq!(records.len(), 9);
        } else {
            // The one before the last says that the log goes on there.
            assert!(!opens_or_refuses(&disk, &model, 12));
        }
    }
}

#[test]
fn a_truncated_segment_is_damage_unless_it_is_the_last() {
    let (disk, model) = sound();
    let names = segment_names(&disk);
    for (at, name) in names.iter().enumerate() {
        let content = disk.content(name).unwrap();
        for len in [0, 1, 63, 64, 65, 103, 104, 105, 1111, 1112, 1113, 2160, 3000, 3200] {
            let disk = disk.kill();
            disk.put(name, &content[..len]);
            let is_whole = len > 3 * 1048 + 64;
            if at + 1 == names.len() {
                // Without its header, or the first record's head, it was once there and is gone.
                let opens = len >= 64;
                assert_eq!(opens_or_refuses(&disk, &model, 9), opens, "{name} cut at {len}");
            } else {
                assert_eq!(opens_or_refuses(&disk, &model, 12), is_whole, "{name} cut at {len}");
            }
        }
    }
}

#[test]
fn another_cluster_and_another_version_are_refused_by_name() {
    let (disk, _) = sound();
    let other = Wal::open(disk.clone(), CLUSTER + 1, Seq(0), options());
    assert!(matches!(other.err(), Some(Error::WrongCluster { file }) if file.starts_with("log-")));

    let name = "log-000000000000000a.wal";
    let mut bytes = disk.content(name).unwrap();
    bytes[8] = 3;
    let sum = crc32c::crc32c(&bytes[..40]);
    bytes[40..44].copy_from_slice(&sum.to_le_bytes());
    disk.put(name, &bytes);
    let error = open_error(&disk);
    assert!(matches!(&error, Error::UnknownVersion { version: 3, file } if file == name));
    assert_eq!(check(&disk).unwrap().log_error, Some(error.to_string()));
}

#[test]
fn a_log_of_version_1_is_refused_and_not_taken_for_an_empty_one() {
    let disk = new_disk();
    let name = "log-0000000000000001.wal";
    let segment = include_bytes!("../data/log-v1.wal");
    disk.put(name, segment);
    let error = open_error(&disk);
    assert!(matches!(&error, Error::UnknownVersion { version: 1, file } if file == name));
    assert_eq!(check(&disk).unwrap().log_error, Some(error.to_string()));
    assert_eq!(disk.content(name), Some(segment.to_vec()), "it was not touched");
}

#[test]
fn segments_that_changed_places_are_damage() {
    let (disk, _) = sound();
    let names = segment_names(&disk);
    for (one, other) in [(0, 1), (1, 2), (0, 3), (2, 3)] {
        let disk = disk.kill();
        let (a, b) = (disk.content(&names[one]).unwrap(), disk.content(&names[other]).unwrap());
        disk.put(&names[one], &b);
        disk.put(&names[other], &a);
        assert!(matches!(open_error(&disk), Error::Damaged { .. }), "{one} and {other}");
    }
}

#[test]
fn a_segment_that_overlaps_the_one_before_is_damage() {
    let (disk, _) = sound();
    let (short, _) = (new_disk(), ());
    let (mut wal, _) = open(&short).unwrap();
    wal.append(0, &[b"x"]).unwrap();
    wal.append(0, &[&[0; 4000]]).unwrap();
    wal.sync().unwrap();
    let name = "log-0000000000000002.wal";
    disk.put(name, &short.content(name).unwrap());
    assert!(matches!(open_error(&disk), Error::Damaged { file, .. } if file == name));
}

#[test]
fn an_unfinished_newest_segment_is_dropped() {
    let (disk, model) = sound();
    let name = "log-000000000000000d.wal";
    let recycled = disk.content("log-0000000000000001.wal").unwrap();
    for content in [Vec::new(), vec![0; 4096], vec![7; 100], recycled] {
        let disk = disk.kill();
        disk.put(name, &content);
        assert!(opens_or_refuses(&disk, &model, 12));
        assert_eq!(disk.content(name), None);
    }
}

#[test]
fn a_directory_with_nothing_but_rubbish_in_its_first_segment_is_new() {
    let disk = new_disk();
    disk.put("log-0000000000000001.wal", b"rubbish");
    assert!(!wal::is_empty(&disk).unwrap());
    let (wal, records) = open_all(&disk);
    assert_eq!((wal.last_seq().0, records.len()), (0, 0));
    assert!(wal::is_empty(&disk).unwrap());

    disk.put("log-0000000000000005.wal", b"rubbish");
    assert!(matches!(open_error(&disk), Error::Damaged { offset: 0, .. }), "records 1-4 are gone");
}

#[test]
fn a_tail_that_never_was_durable_is_cut_and_stays_cut() {
    let (disk, name, third) = without_third();

    let (mut wal, recovered) = open(&disk).unwrap();
    let cut = recovered.cut.as_ref().unwrap().to_string();
    assert!(cut.contains(name) && cut.contains(&format!("offset {third}")), "{cut}");
    assert_eq!(recovered.records.count(), 2);
    wal.append(3, &[&payload(3, 2, 100)]).unwrap();
    wal.sync().unwrap();
    let (_, records) = open_all(&disk.crash(&mut || 0));
    assert_eq!(records.last(), Some(&payload(3, 2, 100)), "the old record 4 is gone for good");
}

#[test]
fn a_record_inside_a_record_is_not_found() {
    // A client sends bytes that are a valid later record of this very segment, and the power fails
    // while they are written.
    let other = new_disk();
    let (mut wal, _) = open(&other).unwrap();
    for seq in 1..=8 {
        wal.append(seq, &[&payload(seq, 1, 50)]).unwrap();
        wal.sync().unwrap();
    }
    let name = "log-0000000000000001.wal";
    let forged = other.content(name).unwrap();

    let disk = new_disk();
    let (mut wal, _) = open(&disk).unwrap();
    wal.append(1, &[b"first"]).unwrap();
    wal.sync().unwrap();
    wal.append(2, &[&forged[..1024]]).unwrap();
    wal.sync().unwrap();
    disk.corrupt(name, 64 + 48 + 40 + 1000, 1);
    let (mut wal, recovered) = open(&disk).unwrap();
    assert!(recovered.cut.is_some());
    assert_eq!(recovered.records.map(Result::unwrap).collect::<Vec<_>>(), [b"first"]);
    wal.append(2, &[b"second"]).unwrap();
    let (_, records) = open_all(&disk);
    assert_eq!(records, [b"first".to_vec(), b"second".to_vec()]);
}

#[test]
fn a_segment_full_of_what_looks_like_records_is_read_in_one_go() {
    // Each multiple of 8 could be a record that reaches to the end of the file.
    let disk = new_disk();
    let (mut wal, _) = open(&disk).unwrap();
    wal.append(1, &[b"first"]).unwrap();
    wal.sync().unwrap();
    let name = "log-0000000000000001.wal";
    let mut bytes = disk.content(name).unwrap();
    bytes.truncate(64 + 48);
    while bytes.len() < 8 << 20 {
        bytes.extend_from_slice(&[100, 0, 0, 0, 0, 0, 0, 0]);
    }
    disk.put(name, &bytes);
    assert_eq!(open_all(&disk).1, [b"first"]);
}

#[test]
fn a_record_that_changes_while_the_log_is_read_is_an_error() {
    let (disk, _) = sound();
    let (_, recovered) = open(&disk).unwrap();
    disk.corrupt("log-0000000000000004.wal", 200, 1);
    let results: Vec<_> = recovered.records.collect();
    assert_eq!(results.len(), 4, "nothing comes after the error");
    assert!(matches!(results.last(), Some(Err(Error::Damaged { .. }))));
}

#[test]
fn a_disk_that_cannot_be_read_is_no_empty_log() {
    let (disk, _) = sound();
    disk.set_fail_reads(true);
    assert!(matches!(open_error(&disk), Error::Io { .. }));
    assert!(check(&disk).unwrap().log_error.is_some());
    disk.set_fail_reads(false);
    assert_eq!(open_all(&disk).1.len(), 12);
}

/// A disk whose files claim to be of any length, as files with holes do.
#[derive(Clone)]
struct Endless(MemDisk);

#[derive(Clone)]
struct EndlessFile(MemFile);

impl Disk for Endless {
    type File = EndlessFile;

    fn create(&self, name: &str) -> io::Result<EndlessFile> {
        self.0.create(name).map(EndlessFile)
    }

    fn open(&self, name: &str) -> io::Result<EndlessFile> {
        self.0.open(name).map(EndlessFile)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.0.sync_dir()
    }
}

impl DiskFile for EndlessFile {
    fn len(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.0.read_at(buf, offset)?;
        buf[read..].fill(0);
        Ok(buf.len())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        self.0.reserve(offset, len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

#[test]
fn a_file_of_absurd_length_is_refused_at_once() {
    let (disk, _) = sound();
    let endless = Endless(disk);
    let error = open(&endless).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    endless.0.put("snapshot-0000000000000001.snap", b"STEADSNP");
    assert!(wal::SnapshotReader::open(&endless, "snapshot-0000000000000001.snap").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn mutated_files_give_what_was_written_or_an_error(
        seed in any::<u64>(),
        edits in prop::collection::vec((any::<usize>(), 0_usize..200, any::<u8>()), 1..6),
    ) {
        let (disk, model) = sound();
        let names = segment_names(&disk);
        let mut rng = Rng(seed);
        for (at, span, kind) in edits {
            let name = &names[usize::try_from(rng.next() % 4).unwrap()];
            let mut bytes = disk.content(name).unwrap();
            if bytes.is_empty() {
                continue;
            }
            let at = at % bytes.len();
            let end = (at + span).min(bytes.len());
            match kind % 5 {
                0 => bytes[at..end].fill(kind),
                1 => drop(bytes.drain(at..end)),
                2 => bytes.truncate(at),
                3 => bytes[at] ^= 1 << (kind % 8),
                _ => {
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
            }
            disk.put(name, &bytes);
        }
        opens_or_refuses(&disk, &model, 0);
    }

    #[test]
    fn garbage_is_no_log(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        first_seq in 1_u64..3,
    ) {
        let disk = new_disk();
        disk.put(&format!("log-{first_seq:016x}.wal"), &bytes);
        match open(&disk) {
            Ok((wal, recovered)) => {
                prop_assert_eq!(recovered.records.count(), 0);
                prop_assert_eq!(wal.last_seq().0, 0);
            }
            Err(error) => prop_assert!(matches!(error, Error::Damaged { .. }), "{}", error),
        }
    }
}
