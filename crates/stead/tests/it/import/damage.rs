//! Damaged directories, into a new data directory: what cannot be read right is refused with a
//! sentence and nothing is made; what can be is imported, and indexes of what was lost are passed
//! over. `crates/legacy` has the same cases and what is read of each.

use super::directory::{expected, into, kept};
use super::{Run, Source};
use crate::testkit::{Site, TempDir};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The only segment of a log.
const SEGMENT: &str = "member/wal/0000000000000000-0000000000000000.wal";

fn overwrite(file: &Path, offset: usize, change: impl Fn(u8) -> u8, len: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[offset..offset + len].iter_mut().for_each(|byte| *byte = change(*byte));
    fs::write(file, bytes).unwrap();
}

fn cut(file: &Path, len: u64) {
    OpenOptions::new().write(true).open(file).unwrap().set_len(len).unwrap();
}

/// Does something to a directory or a file.
type Damage<'a> = &'a dyn Fn(&Path);

/// The files of a folder with an extension, in the order of their names.
fn all(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_one = |path: &PathBuf| path.extension().is_some_and(|found| found == extension);
    let mut found: Vec<PathBuf> = entries.filter(is_one).collect();
    found.sort();
    found
}

fn remove_all(folder: &Path, extension: &str) {
    all(folder, extension).iter().for_each(|file| fs::remove_file(file).unwrap());
}

/// Asserts that an import fails for a reason, and makes nothing.
fn assert_refused(site: &Site, dir: &Path, text: &str) {
    let run = into(site, &["--from-dir", &dir.display().to_string()]);
    run.assert_fails(text);
    assert!(!site.data_dir().exists(), "{text}");
}

fn refused(name: &'static str, damage: impl Fn(&Path), text: &str) {
    let source = Source::unpack(name);
    damage(&source.path());
    assert_refused(&Site::new("import-damage"), &source.path(), text);
}

#[test]
fn damage_that_would_give_wrong_keys_is_refused_and_nothing_is_made() {
    let z = |dir: &Path| overwrite(&dir.join("log"), 116_327, |_| b'z', 8);
    refused("etcd-0.4.9-wal", z, "damaged at offset 116327");
    let snapshot = |dir: &Path| all(&dir.join("snapshot"), "ss")[0].clone();
    let flip = |dir: &Path| overwrite(&snapshot(dir), 2000, |byte| byte ^ 1, 1);
    refused("etcd-0.4.9-snap", flip, "checksum mismatch of the snapshot");
    let remove = |dir: &Path| fs::remove_file(snapshot(dir)).unwrap();
    refused("etcd-0.4.9-snap", remove, "the entries 1 to 50 are missing");
    for (name, frame) in
        [("etcd-2.3.8-wal", 114_412), ("etcd-3.4.23-wal", 114_624), ("etcd-3.5.1-wal", 115_400)]
    {
        let flip = |dir: &Path| {
            let file = dir.join(SEGMENT);
            let bytes = fs::read(&file).unwrap();
            let len = u32::from_le_bytes(bytes[frame..frame + 4].try_into().unwrap());
            overwrite(&file, frame + 8 + len as usize - 4, |byte| byte ^ 1, 1);
        };
        refused(name, flip, &format!("damaged at offset {frame}"));
    }
    for name in ["etcd-2.3.8-segments", "etcd-3.4.23-segments"] {
        let no_snapshots = |dir: &Path| remove_all(&dir.join("member/snap"), "snap");
        refused(name, no_snapshots, "begins with segment 1");
        let no_end = |dir: &Path| fs::remove_file(&all(&dir.join("member/wal"), "wal")[1]).unwrap();
        refused(name, no_end, "segments are missing");
    }
}

#[test]
fn directories_without_keys_are_refused_and_nothing_is_made() {
    let (cluster, v3) = (Source::unpack("etcd-0.4.9-cluster"), Source::unpack("etcd-3.5.1-v3only"));
    let scratch = TempDir::new("import");
    let (empty, file) = (scratch.path().join("empty"), scratch.path().join("file"));
    fs::create_dir(&empty).unwrap();
    fs::write(&file, "x").unwrap();
    let site = Site::new("import-none");
    for (dir, text) in [
        (cluster.path().join("m4-standby"), "standby of etcd 0.4"),
        (v3.path(), "no keys of the v2 API"),
        (empty, "is not a data directory of etcd"),
        (file, "cannot read"),
        (scratch.path().join("missing"), "cannot read"),
    ] {
        assert_refused(&site, &dir, text);
    }
    // Snapshots of another directory, the newest of them above the end of the log.
    let (one, other) = (Source::unpack("etcd-2.3.8-cluster"), Source::unpack("etcd-2.3.8-snap"));
    let snapshots = one.path().join("m1/member/snap");
    fs::remove_dir_all(&snapshots).unwrap();
    fs::rename(other.path().join("member/snap"), &snapshots).unwrap();
    assert_refused(&site, &one.path().join("m1"), "has no record of it");
}

/// Imports a directory with damage that can be read over, and gives the report.
fn accepted(site: &Site, source: &Source, more: &[&str]) -> serde_json::Value {
    let run: Run = into(site, &[&[source.arg().as_str(), "--json"], more].concat());
    let report = run.json();
    assert!(report["warnings"].as_array().is_some_and(|all| !all.is_empty()), "{report}");
    report
}

/// The old server may have acknowledged what was torn, and given it an index.
#[test]
fn a_torn_end_is_imported_without_giving_its_indexes_again() {
    let torn = |file: &Path| cut(file, fs::metadata(file).unwrap().len() - 5);
    let state = |len| move |file: &Path| cut(file, len);
    let append = |file: &Path| {
        let mut file = OpenOptions::new().append(true).open(file).unwrap();
        file.write_all(&[1, 2, 3, 4, 5]).unwrap();
    };
    let zeros = |file: &Path| overwrite(file, 125_952, |_| 0, 512);
    let cases: [(&str, &str, Damage<'_>, bool); 9] = [
        ("etcd-0.4.9-wal", "log", &torn, false),
        ("etcd-2.3.8-wal", SEGMENT, &state(125_601), true),
        ("etcd-3.4.23-wal", SEGMENT, &state(126_445), true),
        ("etcd-3.5.1-wal", SEGMENT, &state(127_541), true),
        ("etcd-2.3.8-wal", SEGMENT, &state(125_482), false),
        ("etcd-3.4.23-wal", SEGMENT, &state(126_316), false),
        ("etcd-3.5.1-wal", SEGMENT, &state(127_412), false),
        ("etcd-2.3.8-wal", SEGMENT, &append, true),
        ("etcd-3.4.23-wal", SEGMENT, &zeros, false),
    ];
    for (name, file, damage, is_whole) in cases {
        let (source, site) = (Source::unpack(name), Site::new("import-torn"));
        damage(&source.path().join(file));
        let report = accepted(&site, &source, &[]);
        let (mut want, index) = expected(name);
        if !is_whole {
            want.retain(|key, _| !key.starts_with("/after"));
        }
        let above = report["source"]["storeIndex"].as_u64().unwrap() + 1_000_000;
        assert!(above > index, "{name}");
        assert_eq!(report["directory"]["goesOnAbove"].as_u64(), Some(above), "{name}");
        let server = site.start();
        assert_eq!(kept(server.addr()), want, "{name}");
    }
}

#[test]
fn damage_before_the_end_is_imported_up_to_there_when_it_is_accepted() {
    let (source, site) = (Source::unpack("etcd-0.4.9-wal"), Site::new("import-accept"));
    overwrite(&source.path().join("log"), 116_327, |_| b'z', 8);
    let report = accepted(&site, &source, &["--accept-damage"]);
    assert_eq!(report["source"]["applied"], 99, "{report}");
    assert_eq!(report["directory"]["indexMargin"], 1_000_000, "{report}");
    assert!(report["expired"].as_u64() > Some(0), "{report}");
    let (found, (want, _)) = (kept(site.start().addr()), expected("etcd-0.4.9-wal"));
    assert!(found.len() > 50 && found.len() < want.len(), "{}", found.len());
    assert_eq!(found.get("/plain"), want.get("/plain"));
}

/// Nothing is lost by these, and so no index either.
#[test]
fn what_is_not_needed_may_be_damaged() {
    let conf = |dir: &Path| fs::remove_file(dir.join("conf")).unwrap();
    let newest = |dir: &Path| {
        overwrite(&all(&dir.join("member/snap"), "snap")[4], 500, |byte| byte ^ 1, 1);
    };
    let no_snapshots = |dir: &Path| remove_all(&dir.join("member/snap"), "snap");
    let first = |dir: &Path| fs::remove_file(&all(&dir.join("member/wal"), "wal")[0]).unwrap();
    let cases: [(&str, Damage<'_>); 8] = [
        ("etcd-0.4.9-wal", &conf),
        ("etcd-2.3.8-snap", &newest),
        ("etcd-3.4.23-snap", &newest),
        ("etcd-3.5.1-snap", &newest),
        ("etcd-2.3.8-snap", &no_snapshots),
        ("etcd-3.5.1-snap", &no_snapshots),
        ("etcd-2.3.8-segments", &first),
        ("etcd-3.4.23-segments", &first),
    ];
    for (name, damage) in cases {
        let (source, site) = (Source::unpack(name), Site::new("import-unhurt"));
        damage(&source.path());
        let report = into(&site, &[&source.arg(), "--json"]).json();
        let (want, index) = expected(name);
        assert_eq!(report["directory"]["goesOnAbove"].as_u64(), Some(index), "{name}: {report}");
        assert_eq!(kept(site.start().addr()), want, "{name}");
    }
}

/// Logs of 0.4 have no checksums: docs/operating.md says so.
#[test]
fn a_changed_value_of_04_cannot_be_noticed() {
    let (source, site) = (Source::unpack("etcd-0.4.9-wal"), Site::new("import-changed"));
    let log = source.path().join("log");
    let bytes = fs::read(&log).unwrap();
    let at = bytes.windows(11).position(|bytes| bytes == b"hello world").unwrap();
    overwrite(&log, at, |_| b'J', 1);
    assert_eq!(into(&site, &[&source.arg()]).code, Some(0));
    assert_eq!(kept(site.start().addr())["/plain"].0.as_deref(), Some("Jello world"));
}
