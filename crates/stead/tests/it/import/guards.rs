//! What a new data directory is made of, and where none is made.

use super::directory::{into, kept, past, target};
use super::{Source, import};
use crate::testkit::{Request, Site, TempDir, ask};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The names in a directory.
fn names(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_directory_with_a_member_is_refused_unless_its_files_are_to_be_set_aside() {
    let (source, site) = (Source::unpack("etcd-2.3.8-wal"), Site::new("import-twice").named("n1"));
    let from = source.arg();
    let server = site.start();
    ask(server.addr(), &Request::put("/v2/keys/mine", "value=stays"));
    for flags in [&[][..], &["--force"], &["--force", "--dry-run"]] {
        into(&site, &[&[from.as_str()], flags].concat()).assert_fails("in use by another process");
    }
    server.terminate();
    let before = names(&site.data_dir());
    for flags in [&[][..], &["--dry-run"]] {
        let run = into(&site, &[&[from.as_str()], flags].concat());
        run.assert_fails("holds a member already: nothing was changed in it");
    }
    // Damage is found before anything is set aside.
    let (other, missing) = (Source::unpack("etcd-0.4.9-wal"), source.path().join("missing"));
    let log = other.path().join("log");
    fs::write(&log, "zzzzzzzz").unwrap();
    for dir in [other.path(), missing] {
        let run = into(&site, &["--force", "--from-dir", &dir.display().to_string()]);
        assert_eq!(run.code, Some(1), "{run:?}");
    }
    let run = into(&site, &[&from, "--force", "--dry-run"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(names(&site.data_dir()), before);
    let server = site.start();
    assert_eq!(kept(server.addr()).keys().collect::<Vec<_>>(), ["/mine"]);
    server.terminate();

    let run = into(&site, &[&from, "--force"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.out.contains("the old files are in "), "{run:?}");
    let aside = names(&site.data_dir()).into_iter().find(|name| name.starts_with("replaced-"));
    let aside = site.data_dir().join(aside.unwrap());
    let server = site.start();
    assert!(kept(server.addr()).contains_key("/plain"));
    assert!(!kept(server.addr()).contains_key("/mine"));
    server.terminate();
    // What was set aside is a data directory of its own.
    let old = Site::new("import-aside").named("n1").with_data_dir(aside);
    assert_eq!(kept(old.start().addr()).keys().collect::<Vec<_>>(), ["/mine"]);
}

#[test]
fn directories_of_others_are_refused_and_left_as_they_are() {
    let source = Source::unpack("etcd-2.3.8-wal");
    let scratch = TempDir::new("import-foreign");
    let (foreign, file) = (scratch.path().join("foreign"), scratch.path().join("file"));
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("notes.txt"), "theirs").unwrap();
    fs::write(&file, "theirs").unwrap();
    for (dir, text) in [
        (foreign.clone(), "is not a data directory of Stead, and not empty (notes.txt)"),
        (source.path().join("member/new"), "which is only read"),
        (source.path(), "is the data directory of an etcd 2.x or 3.x"),
        (file.clone(), "data directory"),
    ] {
        let before = [names(&source.path()), names(&source.path().join("member"))];
        let dir = dir.display().to_string();
        let args = [&source.arg(), "--data-dir", &dir, "--name", "n1", "--force"];
        import(&args).assert_fails(text);
        assert_eq!([names(&source.path()), names(&source.path().join("member"))], before);
        assert_eq!(names(&foreign), BTreeSet::from(["notes.txt".to_owned()]));
        assert_eq!(fs::read_to_string(&file).unwrap(), "theirs");
    }
}

#[test]
fn a_dry_run_makes_nothing_and_says_what_it_would_make() {
    let (source, site) = (Source::unpack("etcd-2.3.8-wal"), Site::new("import-dry").named("n1"));
    let from = source.arg();
    let dry = into(&site, &[&from, "--dry-run", "--json"]).json();
    assert!(!site.data_dir().exists());
    let made = into(&site, &[&from, "--json"]).json();
    for name in ["files", "directories", "bytes", "expired", "skipped", "warnings"] {
        assert_eq!(dry[name], made[name], "{name}");
    }
    assert_eq!(dry["directory"]["goesOnAbove"], made["directory"]["goesOnAbove"]);
    assert_eq!(dry["directory"]["cluster"], serde_json::Value::Null);
    let text = into(&Site::new("import-dry"), &[&from, "--dry-run"]);
    assert_eq!((text.code, text.err.as_str()), (Some(0), ""), "{text:?}");
    for part in ["these would be imported", "index    kept, and past events from 1 on; it goes on"]
    {
        assert!(text.out.contains(part), "{text:?}");
    }
}

#[test]
fn the_report_says_how_to_go_on() {
    let (source, site) = (Source::unpack("etcd-2.3.8-wal"), Site::new("import-told").named("n1"));
    let run = into(&site, &[&source.arg()]);
    let dir = site.data_dir().display().to_string();
    for part in [
        format!("these were imported into {dir}\n"),
        "skipped  nodes of the old server itself".to_owned(),
        format!("{dir} holds a new cluster of one: id "),
        "; it goes on above index 168\n".to_owned(),
        format!("start it: stead -data-dir {dir} -name n1 ...\n"),
    ] {
        assert!(run.out.contains(&part), "no {part:?} in {}", run.out);
    }
}

/// Events move with their keys.
#[test]
fn a_prefix_holds_for_keys_and_past_events() {
    let (source, site) = (Source::unpack("etcd-2.3.8-wal"), Site::new("import-below").named("n1"));
    let args = [&source.arg(), "--prefix=/old/one", "--json"];
    let report = into(&site, &args).json();
    let server = site.start();
    let found = kept(server.addr());
    let (files, dirs): (Vec<_>, Vec<_>) = found.values().partition(|node| node.0.is_some());
    assert_eq!(report["files"].as_u64(), Some(files.len() as u64), "{report}");
    // The two of the prefix are not of the source.
    assert_eq!(report["directories"].as_u64(), Some(dirs.len() as u64 - 2), "{report}");
    assert!(found.keys().all(|key| key.starts_with("/old")));
    let (value, modified, ..) = &found["/old/one/plain"];
    let event = past(server.addr(), "/old/one/plain", *modified);
    assert_eq!(event["node"]["value"].as_str(), value.as_deref(), "{event}");
}

#[test]
fn the_flags_of_the_server_name_the_directory_too() {
    let (source, site) = (Source::unpack("etcd-0.4.9-wal"), Site::new("import-flags").named("n1"));
    let dir = site.data_dir().display().to_string();
    let run = import(&[&source.arg(), "-data-dir", &dir, "-name", "n1"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(kept(site.start().addr()).contains_key("/plain"));
    let [data_dir, name] = target(&site);
    for (args, text) in [
        (vec![data_dir.as_str()], "--data-dir needs the --name"),
        (vec![name.as_str()], "are about --data-dir"),
        (vec![data_dir.as_str(), &name, "--to=127.0.0.1:1"], "either --to or --data-dir"),
    ] {
        let run = import(&[&[source.arg().as_str()], args.as_slice()].concat());
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.err.contains(text), "{run:?}");
    }
}
