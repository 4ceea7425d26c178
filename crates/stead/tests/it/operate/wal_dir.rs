//! A log in a directory of its own.

use crate::testkit::server::template;
use crate::testkit::{Request, Site, ask};
use std::path::Path;

fn has_log(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("log-"))
    })
}

#[test]
fn the_log_is_where_it_is_told_to_be_and_is_found_again() {
    if template().is_some() {
        return;
    }
    let mut site = Site::new("wal-dir");
    let wal = site.folder().join("fast/log");
    site.set_flags(&format!("-wal-dir {}", wal.display()));
    let value =
        |site: &Site| ask(site.addr(), &Request::get("/v2/keys/a")).json()["node"]["value"].clone();
    let server = site.start();
    assert_eq!(ask(server.addr(), &Request::put("/v2/keys/a", "value=1")).status(), 201);
    server.kill();
    assert!(has_log(&wal) && !has_log(&site.data_dir()));
    // Without the flag, and moved to where the flag says.
    site.set_flags("");
    let server = site.start();
    assert_eq!(value(&site), "1");
    assert_eq!(ask(server.addr(), &Request::put("/v2/keys/a", "value=2")).status(), 200);
    assert_eq!(server.terminate().code(), Some(0));
    let new = site.folder().join("new");
    site.set_flags(&format!("-wal-dir {}", new.display()));
    let (status, text) = site.run_to_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("or move the files log-*.wal and spare-*"), "{text}");
    std::fs::rename(&wal, &new).unwrap();
    let server = site.start();
    assert_eq!(value(&site), "2");
    assert_eq!(server.terminate().code(), Some(0));
    // A check finds it, and a log that is not there is no reason to begin anew.
    let check = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_stead"));
        command.arg("check").arg("-data-dir").arg(site.data_dir()).output().unwrap()
    };
    assert!(String::from_utf8_lossy(&check().stdout).contains(": sound"), "{:?}", check());
    std::fs::rename(&new, &wal).unwrap();
    assert!(!check().status.success());
    let (status, text) = site.run_to_end();
    assert_eq!(status.code(), Some(1), "{text}");
    // With the log of another time the directory is not a member's either.
    std::fs::create_dir(&new).unwrap();
    std::fs::write(new.join("log-0000000000000001.wal"), "").unwrap();
    let (status, text) = site.run_to_end();
    assert_eq!(status.code(), Some(1), "{text}");
    std::fs::remove_dir_all(&new).unwrap();
    std::fs::rename(&wal, &new).unwrap();
    let server = site.start();
    assert_eq!(value(&site), "2");
    assert_eq!(server.terminate().code(), Some(0));
    // Who starts over has both set aside.
    site.set_flags("-force");
    let server = site.start();
    assert_eq!(ask(server.addr(), &Request::get("/v2/keys/a")).status(), 404);
    assert!(has_log(&new));
    let aside = |dir: &Path| {
        let entries = std::fs::read_dir(dir).unwrap().flatten();
        entries.filter(|one| one.file_name().to_string_lossy().starts_with("replaced-")).count()
    };
    assert_eq!((aside(&new), aside(&site.data_dir())), (1, 1));
}
