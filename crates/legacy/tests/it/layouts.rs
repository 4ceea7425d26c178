//! What lies where, and what is no data directory at all.

use crate::archive::{Archive, Scratch};
use crate::expected::{Expected, assert_equal};
use legacy::{Error, NoData, Options};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

fn read(dir: PathBuf) -> Result<legacy::Imported, Error> {
    legacy::read(&[dir], &Options::default())
}

#[test]
fn the_member_folder_itself_is_read_too() {
    let archive = Archive::unpack("etcd-2.3.8-snap");
    assert_equal(&read(archive.file("member")).unwrap(), &Expected::of("etcd-2.3.8-snap"));
}

#[test]
fn older_files_beside_those_of_a_converted_directory_are_ignored() {
    let (archive, older) = (Archive::unpack("etcd-2.3.8-wal"), Archive::unpack("etcd-0.4.9-wal"));
    for name in ["log", "conf", "snapshot"] {
        fs::rename(older.file(name), archive.file("member").join(name)).unwrap();
    }
    assert_equal(&read(archive.file("member")).unwrap(), &Expected::of("etcd-2.3.8-wal"));
}

#[test]
fn a_write_ahead_log_elsewhere_is_asked_for() {
    let archive = Archive::unpack("etcd-2.3.8-snap");
    let elsewhere = archive.file("elsewhere");
    fs::rename(archive.file("member/wal"), &elsewhere).unwrap();
    let error = read(archive.dir()).unwrap_err();
    assert!(matches!(error, Error::WalElsewhere(_)), "{error}");
    assert!(error.to_string().contains("--wal-dir"), "{error}");
    let options = Options { wal_dir: Some(elsewhere), ..Options::default() };
    let imported = legacy::read(&[archive.dir()], &options).unwrap();
    assert_equal(&imported, &Expected::of("etcd-2.3.8-snap"));
    let two = legacy::read(&[archive.dir(), archive.dir()], &options);
    assert!(matches!(two, Err(Error::Options(_))), "{two:?}");
}

#[test]
fn directories_without_data_are_refused_by_name() {
    let scratch = Scratch::new();
    let made = |name: &str, inside: &[&str]| {
        let dir = scratch.path().join(name);
        fs::create_dir_all(&dir).unwrap();
        for name in inside {
            fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
            fs::write(dir.join(name), "").unwrap();
        }
        dir
    };
    for (dir, text) in [
        (made("empty", &[]), "is not a data directory"),
        (made("other", &["notes.txt"]), "is not a data directory"),
        (made("stead", &["LOCK", "log-0000000000000001.wal"]), "is not a data directory"),
        (made("proxy-of-2", &["proxy/cluster"]), "belongs to a proxy"),
        (made("new-04", &["log", "conf"]), "has no keys"),
        (made("of-3", &["member/snap/db"]), "no write-ahead log"),
        (made("member-of-2", &["snap/0000000000000002-0000000000000033.snap"]), "--wal-dir"),
        (scratch.path().join("missing"), "cannot read"),
        (scratch.path().join("other/notes.txt"), "cannot read"),
    ] {
        let error = read(dir).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
    let standby = made("standby", &["log"]);
    let json = r#"{"Running":true,"Cluster":[{"name":"a","state":"leader",
        "clientURL":"http://a:4001","peerURL":"http://a:7001"}],"SyncInterval":5}"#;
    fs::write(standby.join("standby_info"), json).unwrap();
    match read(standby).unwrap_err() {
        Error::NoData { why: NoData::Standby(members), .. } => {
            assert_eq!(members, ["http://a:4001"]);
        }
        other => panic!("{other}"),
    }
}

#[test]
fn files_that_are_no_snapshots_are_refused_by_name() {
    let scratch = Scratch::new();
    let file = |name: &str, bytes: &[u8]| {
        let path = scratch.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    for (path, text) in [
        (file("empty", b""), "it is empty"),
        (file("packed", &[0x1f, 0x8b, 8, 0]), "unpack it first"),
        (file("text", b"hello"), "it is none of"),
        (file("cut", b"{\"Root\":"), "invalid JSON"),
        (file("short.snap", &[8, 0x80, 1, 0x12]), "damaged at offset 0"),
        (file("short.ss", b"00000000\n{"), "checksum mismatch"),
        (scratch.path().to_owned(), "cannot read"),
    ] {
        let error = legacy::read_file(&path, &Options::default()).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn a_running_server_is_noticed_by_its_locks() {
    let archive = Archive::unpack("etcd-2.3.8-wal");
    let segment = archive.only("member/wal", "wal");
    let locked = File::open(&segment).unwrap();
    locked.lock().unwrap();
    let error = read(archive.dir()).unwrap_err();
    assert!(matches!(error, Error::InUse(_)), "{error}");
    let options = Options { live: true, ..Options::default() };
    let imported = legacy::read(&[archive.dir()], &options).unwrap();
    assert_equal(&imported, &Expected::of("etcd-2.3.8-wal"));
    drop(locked);
    read(archive.dir()).unwrap();
}

/// A segment's name tells which one it is.
fn rename_segment(path: &Path, seq: u64) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let (_, first) = name.split_once('-').unwrap();
    fs::rename(path, path.with_file_name(format!("{seq:016x}-{first}"))).unwrap();
}

#[test]
fn a_segment_missing_between_others_is_noticed() {
    let archive = Archive::unpack("etcd-2.3.8-segments");
    rename_segment(&archive.all("member/wal", "wal")[1], 3);
    let error = read(archive.dir()).unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error}");
    assert!(error.to_string().contains("between 1 and 3"), "{error}");
}

#[test]
fn a_segment_of_another_member_is_noticed() {
    let archive = Archive::unpack("etcd-2.3.8-overwrite");
    let name = "member/wal/0000000000000001-0000000000000001.wal";
    let other = archive.file("m2").join("member/wal/0000000000000000-0000000000000000.wal");
    fs::copy(other, archive.file("m1").join(name)).unwrap();
    let error = read(archive.file("m1")).unwrap_err();
    assert!(matches!(error, Error::Damage { .. }), "{error}");
}
