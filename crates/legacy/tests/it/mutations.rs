//! Flipped bits and cut files: nothing panics, and where there are checksums nothing is lost
//! without a word.

use crate::archive::{Archive, Scratch, flip, gunzip, truncate};
use crate::expected::shown;
use legacy::{Error, Imported, Options};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::fs;
use std::path::Path;

fn run(cases: u32, test: impl Fn(u64, u8) -> Result<(), TestCaseError>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let strategy = (any::<u64>(), 0_u8..8);
    TestRunner::new(config).run(&strategy, |(at, bit)| test(at, bit)).unwrap();
}

/// Reads one directory with each bit of some changed, and with the file cut there. Without a
/// warning all must be as before.
fn check(archive: &Archive, dir: &Path, file: &Path, len: u64, cases: u32) {
    let read = |options: &Options| legacy::read(&[dir.to_owned()], options);
    let whole = read(&Options::default()).unwrap();
    let original = fs::read(file).unwrap();
    let accept = Options { accept_damage: true, ..Options::default() };
    run(cases, |at, bit| {
        flip(file, at % len, 1 << bit);
        let (result, accepted) = (read(&Options::default()), read(&accept));
        flip(file, at % len, 1 << bit);
        assert_told(&result, &whole, at % len, bit)?;
        assert_told(&accepted, &whole, at % len, bit)?;

        truncate(file, at % len);
        let (result, accepted) = (read(&Options::default()), read(&accept));
        fs::write(file, &original).unwrap();
        // A log that ends between two records is as good as any, unless the state tells more.
        prop_assert!(result.is_err() || accepted.is_ok());
        Ok(())
    });
    assert!(archive.dir().exists());
}

fn assert_told(
    result: &Result<Imported, Error>,
    whole: &Imported,
    at: u64,
    bit: u8,
) -> Result<(), TestCaseError> {
    if let Ok(imported) = result
        && imported.warnings == whole.warnings
    {
        prop_assert_eq!(shown(imported), shown(whole), "byte {} bit {}", at, bit);
    }
    Ok(())
}

#[test]
fn no_changed_bit_of_a_log_of_2_goes_unnoticed() {
    let archive = Archive::unpack("etcd-2.3.8-overwrite");
    for member in ["m1", "m3"] {
        let dir = archive.file(member);
        let file = dir.join("member/wal/0000000000000000-0000000000000000.wal");
        let len = fs::metadata(&file).unwrap().len();
        check(&archive, &dir, &file, len, 400);
    }
}

#[test]
fn no_changed_bit_of_a_log_of_3_goes_unnoticed() {
    let archive = Archive::unpack("etcd-3.4.23-wal");
    let file = archive.only("member/wal", "wal");
    // Zeros behind the data, but not 64 MB of them for each case.
    truncate(&file, 132_000);
    check(&archive, &archive.dir(), &file, 126_448, 200);
}

/// Lengths and types are not covered by the checksums. This log has entries that were replaced: an
/// entry that passes for something else brings them back.
#[test]
fn no_changed_length_or_type_goes_unnoticed() {
    let archive = Archive::unpack("etcd-2.3.8-overwrite");
    let dirs = [archive.file("m3")];
    let file = dirs[0].join("member/wal/0000000000000000-0000000000000000.wal");
    let whole = legacy::read(&dirs, &Options::default()).unwrap();
    let (bytes, mut at) = (fs::read(&file).unwrap(), 0);
    while let Some((len, _)) = bytes[at..].split_first_chunk() {
        for (at, bit) in (at..at + 10).flat_map(|at| (0..8).map(move |bit| (at as u64, bit))) {
            flip(&file, at, 1 << bit);
            let result = legacy::read(&dirs, &Options::default());
            flip(&file, at, 1 << bit);
            assert_told(&result, &whole, at, bit).unwrap();
        }
        at += 8 + usize::try_from(u64::from_le_bytes(*len)).unwrap();
    }
}

#[test]
fn no_changed_bit_of_the_end_of_a_log_goes_unnoticed() {
    for name in ["etcd-2.3.8-wal", "etcd-3.4.23-wal"] {
        let archive = Archive::unpack(name);
        let file = archive.only("member/wal", "wal");
        truncate(&file, fs::metadata(&file).unwrap().len().min(132_000));
        let whole = legacy::read(&[archive.dir()], &Options::default()).unwrap();
        let end = if name.contains("2.3.8") { 125_604 } else { 126_448 };
        for at in end - 300..end {
            for bit in 0..8 {
                flip(&file, at, 1 << bit);
                let result = legacy::read(&[archive.dir()], &Options::default());
                flip(&file, at, 1 << bit);
                assert_told(&result, &whole, at, bit).unwrap();
            }
        }
    }
}

#[test]
fn no_changed_bit_of_a_snapshot_goes_unnoticed() {
    for (name, folder, extension) in
        [("etcd-0.4.9-snap", "snapshot", "ss"), ("etcd-2.3.8-snap", "member/snap", "snap")]
    {
        let archive = Archive::unpack(name);
        let file = archive.all(folder, extension).pop().unwrap();
        let whole = legacy::read_file(&file, &Options::default()).unwrap();
        let (original, len) = (fs::read(&file).unwrap(), fs::metadata(&file).unwrap().len());
        run(60, |at, bit| {
            // The heads are where the structure is.
            let at = if at & 1 == 0 { at % len } else { at % 64 };
            flip(&file, at, 1 << bit);
            let result = legacy::read_file(&file, &Options::default());
            flip(&file, at, 1 << bit);
            assert_told(&result, &whole, at, bit)?;
            truncate(&file, at);
            let result = legacy::read_file(&file, &Options::default());
            fs::write(&file, &original).unwrap();
            prop_assert!(result.is_err());
            Ok(())
        });
    }
}

#[test]
fn logs_and_stores_without_checksums_do_not_panic() {
    /// Before, the log has nothing of clients, which is an error too.
    const FIRST_KEY_ENDS: u64 = 478;
    let archive = Archive::unpack("etcd-0.4.9-wal");
    let log = archive.file("log");
    let original = fs::read(&log).unwrap();
    let accept = Options { accept_damage: true, ..Options::default() };
    run(200, |at, bit| {
        let at = at % original.len() as u64;
        flip(&log, at, 1 << bit);
        let _ = legacy::read(&[archive.dir()], &Options::default());
        let _ = legacy::read(&[archive.dir()], &accept);
        fs::write(&log, &original).unwrap();
        truncate(&log, at);
        let cut = legacy::read(&[archive.dir()], &Options::default());
        fs::write(&log, &original).unwrap();
        // A cut anywhere is a torn tail, or between two entries.
        prop_assert_eq!(cut.is_ok(), at >= FIRST_KEY_ENDS, "cut at {}: {:?}", at, cut.err());
        Ok(())
    });
    let scratch = Scratch::new();
    let (file, json) = (scratch.path().join("x.snap"), gunzip("etcd-0.4.9-migration.snap.gz"));
    run(100, |at, bit| {
        let at = at % json.len() as u64;
        fs::write(&file, &json).unwrap();
        flip(&file, at, 1 << bit);
        let _ = legacy::read_file(&file, &Options::default());
        truncate(&file, at);
        prop_assert!(legacy::read_file(&file, &Options::default()).is_err());
        Ok(())
    });
}

#[test]
fn files_of_random_bytes_do_not_panic() {
    let scratch = Scratch::new();
    let wal = scratch.path().join("member/wal");
    fs::create_dir_all(&wal).unwrap();
    fs::create_dir_all(scratch.path().join("old")).unwrap();
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let strategy = (prop::collection::vec(any::<u8>(), 0..200), 0_usize..4);
    let test = |(bytes, head): (Vec<u8>, usize)| {
        let heads: [&[u8]; 4] =
            [b"", b"      10\n", &[4, 0, 0, 0, 0, 0, 0, 0, 8, 4, 16, 0], &[8, 1]];
        let bytes = [heads[head], &bytes].concat();
        let segment = wal.join("0000000000000000-0000000000000000.wal");
        fs::write(&segment, &bytes).unwrap();
        fs::write(scratch.path().join("old/log"), &bytes).unwrap();
        let accept = Options { accept_damage: true, ..Options::default() };
        let _ = legacy::read(&[scratch.path().to_owned()], &accept);
        let _ = legacy::read(&[scratch.path().join("old")], &accept);
        let _ = legacy::read_file(&segment, &accept);
        Ok(())
    };
    TestRunner::new(config).run(&strategy, test).unwrap();
}
