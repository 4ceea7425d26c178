//! Snapshot files of arbitrary bytes, and sound ones with arbitrary changes: reading gives what was
//! written or an error. And the stream inside, which the store loads.

use std::io::{Read, Write};
use store::{Command, KeyPath, Limits, Stamp, Store, Timestamp, WallOffset};
use wal::mem::MemDisk;
use wal::{Seq, SnapshotReader, SnapshotWriter};

const NAME: &str = "snapshot-0000000000000007.snap";

fn written(content: &[u8]) -> MemDisk {
    let disk = MemDisk::new();
    let mut writer = SnapshotWriter::create(&disk, 7, Seq(1)).expect("the disk works");
    writer.write_all(content).expect("the disk works");
    writer.finish().expect("the disk works");
    disk
}

/// Reads a whole file; what comes before an error counts as handed out.
fn read(disk: &MemDisk) -> (Vec<u8>, bool) {
    let mut handed_out = Vec::new();
    let Ok(mut reader) = SnapshotReader::open(disk, NAME) else { return (handed_out, false) };
    let is_whole = reader.read_to_end(&mut handed_out).is_ok();
    if !is_whole {
        let mut more = [0; 16];
        assert!(reader.read(&mut more).is_err(), "a damaged file goes on after its damage");
    }
    (handed_out, is_whole)
}

/// What loads can be written, and loads again as the same bytes.
fn load(stream: &[u8]) {
    let Ok(store) = Store::load(&mut &stream[..], Limits::default()) else { return };
    let mut once = Vec::new();
    store.snapshot().write(&mut once).expect("memory takes it");
    let again = Store::load(&mut once.as_slice(), Limits::default()).expect("it was just written");
    let mut twice = Vec::new();
    again.snapshot().write(&mut twice).expect("memory takes it");
    assert!(once == twice, "a snapshot of a loaded snapshot differs");
}

/// The stream of a small store, with the changes that `data` names: where, how many bytes to take
/// out, and which ones to put there.
fn changed_stream(data: &[u8]) -> Vec<u8> {
    let mut store = Store::new(Limits::default());
    let keys =
        [("/a", None), ("/d/x", Some(5)), ("/d/y", None), ("/d/e/f", Some(90)), ("/a", None)];
    for (number, (key, ttl)) in (1..).zip(keys) {
        let path = KeyPath::parse(key).expect("a plain key");
        let command = Command::Set { path, value: "value", dir: false, ttl, refresh: false };
        let stamp = Stamp { time: Timestamp(number << 30), wall_offset: WallOffset(7) };
        store.apply(&command, stamp, &mut Vec::new()).expect("nothing is in the way");
    }
    let mut stream = Vec::new();
    store.snapshot().write(&mut stream).expect("memory takes it");
    for change in data.chunks_exact(6).take(32) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % (stream.len() + 1);
        let end = (at + usize::from(change[2] % 8)).min(stream.len());
        let put = &change[3..3 + usize::from(change[2] / 8 % 4)];
        stream.splice(at..end, put.iter().copied());
    }
    stream
}

/// See the module.
pub(crate) fn check(data: &[u8]) {
    let Some((mode, data)) = data.split_first() else { return };
    match mode % 4 {
        0 => {
            let disk = MemDisk::new();
            disk.put(NAME, data);
            let _ = read(&disk);
        }
        1 => {
            // The first bytes are changes, the rest is the content; long enough for two chunks.
            let (changes, content) = data.split_at(data.len().min(16));
            let content: Vec<u8> =
                content.iter().copied().cycle().take(content.len() * 64).collect();
            let disk = written(&content);
            for change in changes.chunks_exact(4) {
                let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
                disk.corrupt(NAME, at * usize::from(change[2]).max(1), change[3]);
            }
            let (handed_out, is_whole) = read(&disk);
            assert!(content.starts_with(&handed_out), "bytes that nobody wrote");
            assert!(!is_whole || handed_out == content, "the end is missing");
        }
        2 => load(data),
        _ => load(&changed_stream(data)),
    }
}
