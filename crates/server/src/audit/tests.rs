//! Lines as they are written, moved away, and lost.

use super::sink::{Journal, Sink};
use super::*;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Instant;

fn entry(path: &str) -> Entry {
    Entry {
        method: "PUT",
        path: path.to_owned(),
        address: "127.0.0.1:5".to_owned(),
        user: Some("ann".to_owned()),
        certificate: None,
        wall: 1_795_418_275_068_498_647,
        is_read: false,
    }
}

fn plan(path: &Path) -> AuditPlan {
    AuditPlan { target: AuditTarget::File(path.to_owned()), reads: false }
}

/// Waits until a file has this text.
fn wait_for(path: &Path, text: &str) -> String {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let found = std::fs::read_to_string(path).unwrap_or_default();
        if found.contains(text) {
            return found;
        }
        assert!(Instant::now() < end, "{text} is not in {found:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("stead-audit-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind it does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_line_tells_who_did_what_and_reads_are_left_out_unless_refused() {
    let folder = Folder::new("line");
    let path = folder.join("audit.log");
    let audit = Audit::start(&plan(&path), "m\"1").expect("it opens");
    audit.note(Entry { is_read: true, ..entry("/v2/keys/read") }, 200, Some(4));
    audit.note(Entry { is_read: true, ..entry("/v2/keys/secret") }, 401, None);
    audit.note(entry("/v2/keys/a"), 201, Some(5));
    drop(audit);
    let text = wait_for(&path, "/v2/keys/a\"");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].contains("\"status\":401,\"outcome\":\"refused\""), "{text}");
    let wanted = "{\"time\":\"2026-11-23T07:17:55.068498647Z\",\"machine\":\"m\\\"1\",\
                  \"address\":\"127.0.0.1:5\",\"user\":\"ann\",\"method\":\"PUT\",\
                  \"path\":\"/v2/keys/a\",\"status\":201,\"outcome\":\"done\",\"index\":5}";
    assert_eq!(lines[1], wanted);
}

#[test]
fn what_is_lost_is_counted() {
    let folder = Folder::new("lost");
    let mut sink = Sink::open(&plan(&folder.join("audit.log")).target).expect("it opens");
    sink.tell_lost(0, "m1").expect("it takes that");
    sink.tell_lost(7, "m1").expect("it takes that");
    sink.finish();
    let text = std::fs::read_to_string(folder.join("audit.log")).expect("it is there");
    assert_eq!(text, "{\"machine\":\"m1\",\"lost\":7}\n");
}

#[test]
fn a_file_that_was_moved_away_is_made_anew() {
    let folder = Folder::new("moved");
    let path = folder.join("audit.log");
    let mut sink = Sink::open(&plan(&path).target).expect("it opens");
    sink.write("one").expect("it takes that");
    std::fs::rename(&path, folder.join("audit.1")).expect("it is there");
    sink.reopen().expect("it opens");
    sink.write("two").expect("it takes that");
    sink.finish();
    let read = |name| std::fs::read_to_string(folder.join(name)).expect("it is there");
    assert_eq!((read("audit.1").as_str(), read("audit.log").as_str()), ("one\n", "two\n"));
}

#[test]
fn long_paths_are_cut() {
    let long = "\u{e9}".repeat(KEY_BYTES_MAX);
    assert!(cut(&long).len() <= KEY_BYTES_MAX + 3 && cut(&long).ends_with("..."));
    assert_eq!(cut("/v2/keys/a"), "/v2/keys/a");
}

#[test]
fn lines_reach_a_journal_that_was_restarted() {
    let folder = Folder::new("journal");
    let path = folder.join("socket");
    assert!(Journal::open(&path).is_err(), "nobody listens");
    let listen = || {
        let socket = UnixDatagram::bind(&path).expect("nobody listens there");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a time that is allowed");
        socket
    };
    let received = |socket: &UnixDatagram| {
        let mut bytes = [0; 200];
        let len = socket.recv(&mut bytes).expect("a line was sent");
        String::from_utf8_lossy(&bytes[..len]).into_owned()
    };
    let first = listen();
    let mut sink = Sink::Journald(Journal::open(&path).expect("it listens"));
    sink.write("{\"one\":1}").expect("it listens");
    let text = received(&first);
    assert_eq!(text, "MESSAGE={\"one\":1}\nPRIORITY=6\nSYSLOG_IDENTIFIER=stead-audit\n");
    drop(first);
    std::fs::remove_file(&path).expect("it was there");
    assert!(sink.write("{}").is_err(), "nobody listens");
    let second = listen();
    sink.write("{\"two\":2}").expect("it listens again");
    assert!(received(&second).starts_with("MESSAGE={\"two\":2}\n"));
}
