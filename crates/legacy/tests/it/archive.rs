//! Unpacks the directories.

use flate2::read::GzDecoder;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// A temporary directory, which goes with the value.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("stead-legacy-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An unpacked archive.
pub(crate) struct Archive {
    scratch: Scratch,
    name: String,
}

impl Archive {
    pub(crate) fn unpack(name: &str) -> Self {
        let scratch = Scratch::new();
        let file = File::open(data(&format!("{name}.tar.gz"))).unwrap();
        let mut archive = tar::Archive::new(GzDecoder::new(file));
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = scratch.path().join(entry.path().unwrap());
            if entry.header().entry_type().is_dir() {
                fs::create_dir_all(path).unwrap();
            } else {
                write_with_holes(&mut entry, &path);
            }
        }
        Self { scratch, name: name.to_owned() }
    }

    /// The folder: a data directory, or that of a cluster.
    pub(crate) fn dir(&self) -> PathBuf {
        self.scratch.path().join(&self.name)
    }

    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.dir().join(path)
    }

    /// The only file in a folder with an extension.
    pub(crate) fn only(&self, folder: &str, extension: &str) -> PathBuf {
        let found = self.all(folder, extension);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    }

    /// The files in a folder with an extension, in the order of their names.
    pub(crate) fn all(&self, folder: &str, extension: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.file(folder)).unwrap();
        let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        found.retain(|path| path.extension().is_some_and(|found| found == extension));
        found.sort();
        found
    }
}

/// Copies a file, and leaves out blocks of zeros.
fn write_with_holes(input: &mut impl Read, path: &Path) {
    let (mut file, mut buf, mut len) = (File::create(path).unwrap(), vec![0; 64 << 10], 0);
    loop {
        let read = input.read(&mut buf).unwrap();
        if read == 0 {
            break;
        }
        len += read as u64;
        if buf[..read].iter().all(|byte| *byte == 0) {
            file.seek(SeekFrom::Current(read as i64)).unwrap();
        } else {
            file.write_all(&buf[..read]).unwrap();
        }
    }
    file.set_len(len).unwrap();
}

/// A file of the tests' data.
pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// The bytes of a file that is packed by gzip.
pub(crate) fn gunzip(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(data(name)).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Overwrites bytes of a file.
pub(crate) fn overwrite(path: &Path, offset: u64, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.write_all(bytes).unwrap();
}

/// Flips bits of one byte.
pub(crate) fn flip(path: &Path, offset: u64, bits: u8) {
    let mut file = fs::OpenOptions::new().read(true).open(path).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.read_exact(&mut byte).unwrap();
    overwrite(path, offset, &[byte[0] ^ bits]);
}

/// Cuts a file.
pub(crate) fn truncate(path: &Path, len: u64) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

pub(crate) fn append(path: &Path, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}
