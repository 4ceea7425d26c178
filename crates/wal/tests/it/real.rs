//! The log and a snapshot in a directory of a real file system.

use crate::testkit::{CLUSTER, fill, payload};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use wal::{
    Disk, DiskFile, Options, Seq, SnapshotReader, SnapshotWriter, Wal, check, list_snapshots,
    remove_older_snapshots,
};

#[derive(Clone)]
struct StdDisk(Arc<PathBuf>);

#[derive(Clone)]
struct StdFile(Arc<File>);

impl StdDisk {
    fn new(test: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let path = path.join(format!("wal-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(Arc::new(path))
    }
}

impl Disk for StdDisk {
    type File = StdFile;

    fn create(&self, name: &str) -> io::Result<StdFile> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).open(self.0.join(name))?;
        Ok(StdFile(Arc::new(file)))
    }

    fn open(&self, name: &str) -> io::Result<StdFile> {
        let file = OpenOptions::new().read(true).write(true).open(self.0.join(name))?;
        Ok(StdFile(Arc::new(file)))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&*self.0)?.map(|entry| entry.map(|entry| entry.file_name()));
        let mut names: Vec<_> = names.collect::<io::Result<_>>()?;
        names.sort();
        Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&*self.0)?.sync_all()
    }
}

impl DiskFile for StdFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        let end = offset + len;
        if self.len()? < end { self.0.set_len(end) } else { Ok(()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

fn options() -> Options {
    Options { segment_bytes: 64 << 10, spares_max: 2 }
}

#[test]
fn a_log_lives_in_a_directory() {
    let disk = StdDisk::new("log");
    let mut expected: Vec<Vec<u8>> = Vec::new();
    let mut seq = 0;
    for life in 0..4 {
        let (mut wal, recovered) = Wal::open(disk.clone(), CLUSTER, Seq(0), options()).unwrap();
        let found: Vec<_> = recovered.records.map(Result::unwrap).collect();
        assert!(expected.ends_with(&found), "life {life}");
        assert!(!found.is_empty() || life == 0);
        for _ in 0..100 {
            seq += 1;
            let bytes = payload(seq, life, 3000);
            assert!(wal.make_room(bytes.len()).unwrap());
            assert_eq!(wal.append(seq, &[&bytes]).unwrap().0, seq);
            expected.push(bytes);
            if seq % 10 == 0 {
                let target = wal.sync_target();
                let syncing = std::thread::spawn(move || (target.seq(), target.sync()));
                let (synced, result) = syncing.join().unwrap();
                wal.synced(synced, result).unwrap();
                fill(&mut wal);
            }
            if seq % 40 == 0 {
                wal.release(seq - 15).unwrap();
            }
        }
        assert!(wal.stats().segments < 10, "{:?}", wal.stats());
        wal.sync().unwrap();
    }
    let names = disk.list().unwrap();
    assert!(names.len() < 14, "{names:?}");
    fs::remove_dir_all(&*disk.0).unwrap();
}

#[test]
fn a_snapshot_lives_in_a_directory() {
    let disk = StdDisk::new("snapshot");
    let content = payload(1, 1, 9 << 20);
    wal::begin(&disk, CLUSTER).unwrap();
    for index in [4, 5] {
        let mut writer = SnapshotWriter::create(&disk, index, Seq(1)).unwrap();
        writer.write_all(&content).unwrap();
        writer.finish().unwrap();
    }
    remove_older_snapshots(&disk, 5).unwrap();
    let names = list_snapshots(&disk).unwrap();
    assert_eq!(names, ["snapshot-0000000000000005.snap"]);
    let mut found = Vec::new();
    SnapshotReader::open(&disk, &names[0]).unwrap().read_to_end(&mut found).unwrap();
    assert!(found == content);
    assert!(check(&disk).unwrap().is_sound());
    fs::remove_dir_all(&*disk.0).unwrap();
}
