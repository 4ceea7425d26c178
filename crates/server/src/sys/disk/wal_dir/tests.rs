//! A log in a directory of its own: which start is taken, and where files go.

use super::*;
use crate::sys::disk::DataDir;
use crate::sys::disk::tests::Scratch;
use wal::Disk;

const LOG: &str = "log-0000000000000001.wal";
const SNAPSHOT: &str = "snapshot-0000000000000001.snap";

fn open(data: &Path, wal: Option<&Path>) -> Result<DataDir, String> {
    DataDir::open_at(data, WalPlace { given: wal, is_forced: false })
}

fn forced(data: &Path, wal: Option<&Path>) -> Result<DataDir, String> {
    DataDir::open_at(data, WalPlace { given: wal, is_forced: true })
}

/// A data directory with a log elsewhere, and both paths.
fn made(label: &str) -> (Scratch, PathBuf, PathBuf) {
    let scratch = Scratch::new(label);
    let (data, wal) = (scratch.path().join("data"), scratch.path().join("fast/log"));
    let data_dir = open(&data, Some(&wal)).expect("a place for files");
    for name in [LOG, "spare-1.wal", SNAPSHOT, "peers-seen"] {
        data_dir.create(name).expect("the disk works");
    }
    data_dir.sync_dir().expect("the disk works");
    (scratch, data, wal)
}

#[test]
fn segments_go_to_their_directory_and_the_rest_does_not() {
    let (_scratch, data, wal) = made("wal-split");
    for (dir, name) in [(&wal, LOG), (&wal, "spare-1.wal"), (&data, SNAPSHOT), (&data, "LOCK")] {
        assert!(dir.join(name).exists(), "{name}");
    }
    assert!(!data.join(LOG).exists() && !wal.join(SNAPSHOT).exists());
    // With the flag, without it, and to be looked at.
    for wal in [Some(wal.as_path()), None] {
        let data_dir = open(&data, wal).expect("it is where it was");
        let names = data_dir.list().expect("the disk works");
        assert!(
            [LOG, SNAPSHOT, "spare-1.wal"].iter().all(|name| names.contains(&(*name).to_owned()))
        );
        data_dir.rename("spare-1.wal", "log-0000000000000002.wal").expect("the disk works");
        data_dir.rename("log-0000000000000002.wal", "spare-1.wal").expect("the disk works");
        assert!(data_dir.room().expect("it says").is_some());
    }
    let looked = DataDir::look(&data).expect("nobody uses it");
    assert!(looked.list().expect("the disk works").contains(&LOG.to_owned()));
    let refusal = open(&data, None).expect_err("in use");
    assert!(refusal.contains("in use by another process"), "{refusal}");
}

#[test]
fn a_log_that_was_moved_is_found_where_the_start_line_says() {
    let (scratch, data, wal) = made("wal-moved");
    let new = scratch.path().join("new");
    let refusal = open(&data, Some(&new)).expect_err("it is elsewhere");
    assert!(refusal.contains("or move the files log-*.wal and spare-*"), "{refusal}");
    fs::rename(&wal, &new).expect("the disk works");
    let refusal = open(&data, None).expect_err("it is gone");
    assert!(refusal.contains("is not there: mount it"), "{refusal}");
    drop(open(&data, Some(&new)).expect("it is there"));
    assert_eq!(recorded(&data), Ok(Some(new.clone())));
    drop(open(&data, None).expect("it is written down"));
    // Lost: only who starts over goes on.
    fs::remove_dir_all(&new).expect("the disk works");
    assert!(open(&data, None).is_err() && open(&data, Some(&wal)).is_err());
    drop(forced(&data, None).expect("it starts over"));
    assert!(new.is_dir());
}

#[test]
fn a_log_within_moves_out_by_hand_alone() {
    let scratch = Scratch::new("wal-out");
    let (data, wal) = (scratch.path().join("data"), scratch.path().join("log"));
    let data_dir = open(&data, None).expect("a place for files");
    data_dir.create(LOG).expect("the disk works");
    data_dir.create(SNAPSHOT).expect("the disk works");
    drop(data_dir);
    let refusal = open(&data, Some(&wal)).expect_err("it is within");
    assert!(refusal.contains("has its log in itself"), "{refusal}");
    let refusal = open(&data, Some(&data)).expect_err("the same").to_string();
    assert!(refusal.contains("leave it out"), "{refusal}");
    fs::create_dir(&wal).expect("the disk works");
    fs::rename(data.join(LOG), wal.join(LOG)).expect("the disk works");
    let data_dir = open(&data, Some(&wal)).expect("it was moved");
    assert!(data_dir.list().expect("the disk works").contains(&LOG.to_owned()));
    drop(data_dir);
    // A log of others is not that of a new directory, and neither is one without its snapshot.
    let refusal = open(&scratch.path().join("other"), Some(&wal)).expect_err("not its own");
    assert!(refusal.contains("the log of another data directory"), "{refusal}");
    fs::remove_file(data.join(WAL_DIR_NAME)).expect("the disk works");
    let refusal = open(&data, Some(&scratch.path().join("empty"))).expect_err("no log");
    assert!(refusal.contains("neither there nor in"), "{refusal}");
}

#[test]
fn foreign_directories_and_unknown_words_are_left_as_they_are() {
    let scratch = Scratch::new("wal-foreign");
    let (data, wal) = (scratch.path().join("data"), scratch.path().join("log"));
    fs::create_dir_all(&wal).expect("the disk works");
    fs::write(wal.join("notes.txt"), "theirs").expect("the disk works");
    let refusal = open(&data, Some(&wal)).expect_err("it is not ours");
    assert!(refusal.contains("holds other files (notes.txt)"), "{refusal}");
    assert!(!wal.join(LOCK_NAME).exists());
    fs::remove_file(wal.join("notes.txt")).expect("the disk works");
    drop(open(&data, Some(&wal)).expect("it is empty"));
    for word in ["", "stead wal-dir 2\n/x\n", "stead wal-dir 1\nrelative\n", "stead wal-dir 1\n/x"]
    {
        fs::write(data.join(WAL_DIR_NAME), word).expect("the disk works");
        for refusal in [open(&data, Some(&wal)).err(), DataDir::look(&data).err()] {
            assert!(refusal.expect("unknown").contains("wal-dir says where"), "{word:?}");
        }
    }
    // A directory within the data directory is no stranger there.
    let scratch = Scratch::new("wal-within");
    let inner = scratch.path().join("wal");
    fs::create_dir_all(&inner).expect("the disk works");
    drop(open(scratch.path(), Some(&inner)).expect("it is ours"));
    drop(open(scratch.path(), None).expect("it is ours"));
}

#[test]
fn files_are_set_aside_and_replaced_in_both_directories() {
    let (_scratch, data, wal) = made("wal-aside");
    let data_dir = open(&data, None).expect("it is ours");
    let target = data_dir.set_aside("replaced").expect("the disk works");
    let name = target.file_name().expect("it has one");
    assert!(target.join(SNAPSHOT).exists() && wal.join(name).join(LOG).exists());
    assert!(wal::is_empty(&data_dir).expect("the disk works"));
    // What is built beside takes the place of what is here.
    data_dir.create(LOG).expect("the disk works");
    data_dir.create(SNAPSHOT).expect("the disk works");
    let built = data_dir.build_beside(|disk| {
        for name in ["log-0000000000000007.wal", "snapshot-0000000000000007.snap"] {
            disk.create(name)?;
        }
        Ok::<_, io::Error>(())
    });
    let built = built.expect("the disk works");
    let aside = data_dir.adopt(&built, "recovered").expect("the disk works").expect("old ones");
    let aside_name = aside.file_name().expect("it has one");
    assert!(wal.join(aside_name).join(LOG).exists() && aside.join(SNAPSHOT).exists());
    assert!(wal.join("log-0000000000000007.wal").exists());
    assert!(data.join("snapshot-0000000000000007.snap").exists());
    assert!(!wal.join(&built).exists() && !data.join(&built).exists());
    drop(data_dir);
    drop(open(&data, None).expect("what was set aside is ours"));
}
