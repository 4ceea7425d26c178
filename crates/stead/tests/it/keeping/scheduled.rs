//! Backups that a server makes by itself.

use super::must;
use crate::cluster::kit::{PATIENCE, metric};
use crate::testkit::{Request, Site, TempDir, ask, wait_until};
use std::fs;
use std::path::Path;

/// The files of a directory, sorted.
fn files(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("it is there");
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry.expect("the disk works").file_name().into_string().expect("ASCII")
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

#[test]
fn backups_are_made_in_time_kept_and_told() {
    let dir = TempDir::new("scheduled");
    fs::write(dir.path().join("notes.backup"), "mine").expect("the disk works");
    let path = dir.path().display();
    let flags = format!("-backup-dir {path} -backup-interval 1 -backup-keep 2");
    let site = Site::new("scheduled").flags(&flags);
    let server = site.start();
    assert_eq!(ask(server.addr(), &Request::put("/v2/keys/a", "value=1")).status(), 201);
    let mut seen = std::collections::BTreeSet::new();
    wait_until("four backups were made", PATIENCE, || {
        seen.extend(files(dir.path()).into_iter().filter(|name| name.ends_with(".backup")));
        seen.len() >= 5
    });
    wait_until("two are left", PATIENCE, || {
        files(dir.path()).iter().filter(|name| name.ends_with(".backup")).count() == 3
    });
    assert!(files(dir.path()).contains(&"notes.backup".to_owned()), "it is not one of its own");
    let found = files(dir.path()).into_iter().rfind(|name| name != "notes.backup");
    let latest = found.expect("two are left");
    let nodes = must(dir.path(), &["backup", "inspect", "--json", &latest]);
    assert!(nodes.contains("\"key\":\"/a\""), "{nodes}");
    assert!(metric(server.addr(), "stead_backup_failed_total") == Some(0));
    let verbose = ask(server.addr(), &Request::get("/readyz?verbose")).text();
    assert!(verbose.contains("[+]backup-age ok"), "{verbose}");

    // The directory goes away: it is told, and the machine is not ready after a while.
    let gone = dir.path().with_extension("gone");
    fs::rename(dir.path(), &gone).expect("the disk works");
    wait_until("it says that the backups are late", PATIENCE, || {
        let ready = ask(server.addr(), &Request::get("/readyz"));
        ready.status() == 503 && ready.text().contains("no backup was written")
    });
    assert_eq!(ask(server.addr(), &Request::get("/health")).status(), 200, "writes work");
    server.log_with("cannot write a backup");
    fs::rename(&gone, dir.path()).expect("the disk works");
}
