//! Files that are not as they were written: damage is found and named, and a torn tail is none.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::testkit::{Request, Server, Site, ask};

const KEYS: usize = 40;

/// A value that can be found in a file again.
fn marker(number: usize) -> String {
    format!("marker-{number:04}-{}", "m".repeat(64))
}

/// Writes one key after the other, each in a record of its own, and ends as by a power loss.
fn write_and_kill(site: &Site, count: usize) {
    let server = site.start();
    for number in 0..count {
        let form = format!("value={}", marker(number));
        let answer = ask(server.addr(), &Request::put(&format!("/v2/keys/m/{number}"), &form));
        assert_eq!(answer.status(), 201);
    }
    server.kill();
}

/// Every file in the data directory whose name ends so, with its bytes.
fn files(site: &Site, suffix: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut open = vec![site.data_dir()];
    let mut out = Vec::new();
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.to_string_lossy().ends_with(suffix) {
                let bytes = fs::read(&path).unwrap();
                out.push((path, bytes));
            }
        }
    }
    out.sort();
    out
}

/// The last place of `needle` in any of the files.
fn find(files: &[(PathBuf, Vec<u8>)], needle: &str) -> Option<(PathBuf, usize)> {
    let needle = needle.as_bytes();
    files.iter().find_map(|(path, bytes)| {
        let at = bytes.windows(needle.len()).rposition(|window| window == needle)?;
        Some((path.clone(), at))
    })
}

fn change(path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    edit(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// The start fails with status 1, and names the file and the command that tells more.
fn assert_damage_is_named(site: &Site, path: &Path) {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let (status, text) = site.run_to_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains(&name), "no word of {name}: {text}");
    assert!(text.contains("stead check"), "no word of what to do: {text}");
    assert!(!text.contains("panicked"), "{text}");
    let check = check(site);
    assert_ne!(check.0, Some(0), "{}", check.1);
    assert!(check.1.contains(&name), "{}", check.1);
}

/// `stead check` on the data directory: status and everything that it says.
fn check(site: &Site) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stead"));
    let output = command.arg("check").arg("-data-dir").arg(site.data_dir()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_sound_directory_passes_the_check() {
    let site = Site::new("sound").flags("-snapshot-count 15");
    write_and_kill(&site, KEYS);
    let (status, text) = check(&site);
    assert_eq!(status, Some(0), "{text}");
}

#[test]
fn a_flipped_bit_in_the_log_is_named_and_not_served() {
    let site = Site::new("damaged-log");
    write_and_kill(&site, KEYS);
    let (path, at) = find(&files(&site, ".wal"), &marker(10)).expect("the value is in the log");
    change(&path, |bytes| bytes[at] ^= 1);
    assert_damage_is_named(&site, &path);
    // Mended, it is as it was: the refusal itself has changed nothing.
    change(&path, |bytes| bytes[at] ^= 1);
    assert_all_there(&site.start(), KEYS);
}

#[test]
fn a_flipped_bit_in_a_snapshot_is_named_and_not_served() {
    let site = Site::new("damaged-snapshot").flags("-snapshot-count 15");
    write_and_kill(&site, KEYS);
    let snapshots = files(&site, ".snap");
    let (path, bytes) = snapshots.last().expect("forty writes make a snapshot");
    let at = bytes.len() / 2;
    change(path, |bytes| bytes[at] ^= 1);
    assert_damage_is_named(&site, path);
    change(path, |bytes| bytes[at] ^= 1);
    assert_all_there(&site.start(), KEYS);
}

#[test]
fn a_snapshot_that_is_cut_short_is_named() {
    let site = Site::new("short-snapshot").flags("-snapshot-count 15");
    write_and_kill(&site, KEYS);
    let snapshots = files(&site, ".snap");
    let (path, bytes) = snapshots.last().expect("forty writes make a snapshot");
    change(path, |short| short.truncate(bytes.len() - 7));
    assert_damage_is_named(&site, path);
}

#[test]
fn a_log_that_is_gone_is_not_replaced_by_an_empty_store() {
    let site = Site::new("lost-log").flags("-snapshot-count 15");
    write_and_kill(&site, KEYS);
    for (path, _) in files(&site, ".snap") {
        fs::remove_file(path).unwrap();
    }
    let (status, text) = site.run_to_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn a_snapshot_whose_log_is_gone_is_not_served_as_an_empty_store() {
    for flags in ["", "-snapshot-count 15"] {
        let site = Site::new("lost-wal").flags(flags);
        write_and_kill(&site, KEYS);
        let logs = files(&site, ".wal");
        for (path, _) in &logs {
            fs::remove_file(path).unwrap();
        }
        // The second start is refused as well: the first one made no log in its place.
        for _ in 0..2 {
            let (status, text) = site.run_to_end();
            assert_eq!(status.code(), Some(1), "{text}");
            assert!(text.contains("the log is missing"), "{text}");
            assert!(text.contains("-force-rejoin"), "no word of what to do: {text}");
        }
        let (status, text) = check(&site);
        assert!(status != Some(0) && text.contains("the log is missing"), "{text}");
        // With its files back it is as it was.
        for (path, bytes) in &logs {
            fs::write(path, bytes).unwrap();
        }
        assert_all_there(&site.start(), KEYS);
    }
}

#[test]
fn a_torn_last_record_is_cut_and_nothing_else() {
    let site = Site::new("torn");
    write_and_kill(&site, KEYS);
    let last = marker(KEYS - 1);
    let (path, at) = find(&files(&site, ".wal"), &last).expect("the value is in the log");
    // As if the power had gone while the last record was on its way to the disk.
    change(&path, |bytes| bytes[at + 8..].fill(0));
    let server = site.start();
    assert_all_there(&server, KEYS - 1);
    let torn = ask(server.addr(), &Request::get(&format!("/v2/keys/m/{}", KEYS - 1)));
    assert_eq!(torn.status(), 404);
    assert_eq!(ask(server.addr(), &Request::put("/v2/keys/m/next", "value=1")).status(), 201);
}

#[test]
fn a_flipped_bit_in_the_last_record_after_a_clean_stop_is_named_and_not_cut() {
    let site = Site::new("closed");
    let server = site.start();
    for number in 0..3 {
        let form = format!("value={}", marker(number));
        let answer = ask(server.addr(), &Request::put(&format!("/v2/keys/m/{number}"), &form));
        assert_eq!(answer.status(), 201);
    }
    assert!(server.terminate().success());
    let (path, at) = find(&files(&site, ".wal"), &marker(2)).expect("the value is in the log");
    change(&path, |bytes| bytes[at] ^= 1);
    assert_damage_is_named(&site, &path);
    change(&path, |bytes| bytes[at] ^= 1);
    let server = site.start();
    assert_all_there(&server, 3);
    assert!(server.terminate().success());
    assert_all_there(&site.start(), 3);
}

#[test]
fn a_file_of_an_unknown_version_is_refused() {
    let site = Site::new("version");
    write_and_kill(&site, 3);
    let (path, _) = find(&files(&site, ".wal"), &marker(1)).expect("the value is in the log");
    // The version is the byte after the eight of the magic word.
    change(&path, |bytes| bytes[8] = 99);
    let (status, text) = site.run_to_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("99") || text.contains("version"), "{text}");
}

fn assert_all_there(server: &Server, count: usize) {
    for number in 0..count {
        let answer = ask(server.addr(), &Request::get(&format!("/v2/keys/m/{number}")));
        assert_eq!(answer.json()["node"]["value"], marker(number).as_str(), "key {number}");
    }
}
