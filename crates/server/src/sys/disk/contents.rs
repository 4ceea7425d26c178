//! What a directory holds: our files, those of another server, or anything else.

use std::fs;
use std::io;
use std::path::Path;

/// The file whose lock says that a process owns the directory.
pub(super) const LOCK_NAME: &str = "LOCK";

/// The file that says that the machine stands by.
pub(super) const STANDBY_NAME: &str = "standby";

/// The file that says that the machine is a proxy.
pub(super) const PROXY_NAME: &str = "proxy-members";

/// The file that says where the log is, if it is elsewhere.
pub(super) const WAL_DIR_NAME: &str = "wal-dir";

/// The file that says that files are being set aside (`mark.rs`).
pub(super) const MARK_NAME: &str = "set-aside";

/// The file about the other members.
pub(super) const SEEN_NAME: &str = "peers-seen";

/// The maximum number of foreign names in a message.
const NAMES_MAX: usize = 4;

/// What a directory was found to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// Nothing, or nothing but what every file system and every shell leaves behind.
    Empty,
    /// A data directory; these names in it are not ours.
    Ours(Vec<String>),
    /// The data directory of another server.
    Etcd(&'static str),
    /// Something else, with these names.
    Foreign(Vec<String>),
}

/// Looks a directory over. Nothing in it is opened or changed. `known` in it is no stranger.
pub(super) fn inspect(path: &Path, known: Option<&str>) -> io::Result<Contents> {
    let (mut is_ours, mut is_locked, mut strangers) = (false, false, Vec::new());
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        match name.to_str() {
            Some(name) if is_of_store(name) || is_set_aside(name) || is_word(name) => {
                is_ours = true;
            }
            Some(LOCK_NAME) => is_locked = true,
            Some(name) if is_nothing(name) || known == Some(name) => {}
            _ => strangers.push(name.to_string_lossy().escape_debug().to_string()),
        }
    }
    strangers.sort();
    // Other programs have a file LOCK too, so that it alone says nothing.
    Ok(match strangers.is_empty() {
        _ if is_ours => Contents::Ours(strangers),
        true if is_locked => Contents::Ours(strangers),
        true => Contents::Empty,
        false => match find_etcd(path) {
            Some(version) => Contents::Etcd(version),
            None => Contents::Foreign(strangers),
        },
    })
}

/// Some names for a sentence.
pub(super) fn enumerate(names: &[String]) -> String {
    let mut text = names.get(..NAMES_MAX).unwrap_or(names).join(", ");
    if let Some(more) = names.len().checked_sub(NAMES_MAX).filter(|more| *more > 0) {
        text += &format!(" and {more} more");
    }
    text
}

/// Whether a file belongs to the log or to the snapshots, or is about the other members.
pub(super) fn is_of_store(name: &str) -> bool {
    is_log(name) || is_snapshot(name) || name == wal::INCOMING_NAME || name == SEEN_NAME
}

/// Whether a file is a segment of the log, or may become one.
pub(super) fn is_log(name: &str) -> bool {
    let is_segment = name.starts_with("log-") && name.ends_with(".wal");
    is_segment || name.starts_with("spare-") && (name.ends_with(".wal") || name.ends_with(".tmp"))
}

/// Whether a file is a snapshot, finished or not.
pub(super) fn is_snapshot(name: &str) -> bool {
    name.starts_with("snapshot-") && (name.ends_with(".snap") || name.ends_with(".tmp"))
}

/// Whether a sub-directory is one that files were set aside in: `LABEL-YYYYMMDD-HHMMSS[-N]`.
pub(super) fn is_set_aside(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_label =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
    match parts.as_slice() {
        [label, day, time, rest @ ..] => {
            is_label(label)
                && (day.len(), time.len()) == (8, 6)
                && is_number(day)
                && is_number(time)
                && matches!(rest, [] | [_])
                && rest.iter().all(|number| is_number(number))
        }
        _ => false,
    }
}

/// Whether a file holds a word of ours, finished or not.
fn is_word(name: &str) -> bool {
    let stem = name.strip_suffix(".tmp").unwrap_or(name);
    let is_certificate = stem.starts_with("auto-tls-") && stem.ends_with(".pem");
    is_certificate || [STANDBY_NAME, PROXY_NAME, WAL_DIR_NAME, MARK_NAME, SEEN_NAME].contains(&stem)
}

/// Whether a name is what a file system, a volume or an editor puts into every directory.
fn is_nothing(name: &str) -> bool {
    name == "lost+found" || name.starts_with('.')
}

/// Which etcd keeps its data in a directory.
fn find_etcd(path: &Path) -> Option<&'static str> {
    let is_dir = |name: &str| path.join(name).is_dir();
    let is_file = |name: &str| path.join(name).is_file();
    if is_dir("member/wal") || is_dir("member/snap") {
        Some("the data directory of an etcd 2.x or 3.x")
    } else if is_dir("wal") && is_dir("snap") {
        Some("the data directory, or the member folder of one, of an etcd 2.x or 3.x")
    } else if is_file("log") && (is_file("conf") || is_dir("snapshot")) {
        Some("the data directory of an etcd 0.4 or older")
    } else if is_file("standby_info") {
        Some("the data directory of a standby of etcd 0.4")
    } else if is_dir("proxy") {
        Some("the data directory of a proxy of etcd 2.x or 3.x")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::disk::tests::Scratch;

    /// Makes a directory of these names; those that end in a slash are directories.
    fn made(names: &[&str]) -> Scratch {
        let scratch = Scratch::new("contents");
        fs::create_dir_all(scratch.path()).expect("the disk works");
        for name in names {
            let path = scratch.path().join(name.trim_end_matches('/'));
            let parent = path.parent().expect("it is in a directory");
            fs::create_dir_all(parent).expect("the disk works");
            let done =
                if name.ends_with('/') { fs::create_dir_all(&path) } else { fs::write(&path, "") };
            done.expect("the disk works");
        }
        scratch
    }

    fn found(names: &[&str]) -> Contents {
        inspect(made(names).path(), None).expect("the disk works")
    }

    #[test]
    fn our_own_directories_are_known() {
        for names in [
            &["LOCK"][..],
            &["LOCK", "lost+found/", ".snapshot/"],
            &["log-0000000000000001.wal"],
            &["snapshot-0000000000000001.snap"],
            &["spare-0.wal"],
            &["spare-0.tmp"],
            &["snapshot-0000000000000001.tmp"],
            &["incoming.tmp"],
            &["LOCK", "standby"],
            &["standby.tmp"],
            &["LOCK", "proxy-members"],
            &["LOCK", "auto-tls-client.pem"],
            &["LOCK", "wal-dir"],
            &["LOCK", "peers-seen"],
            &["LOCK", "peers-seen.tmp"],
            &["removed-20261129-231500/"],
            &["LOCK", "replaced-20261129-231500-1/"],
            &["set-aside", "removed-20261129-231500/"],
        ] {
            assert_eq!(found(names), Contents::Ours(Vec::new()), "{names:?}");
        }
        let beside = found(&["log-0000000000000001.wal", "notes.txt"]);
        assert_eq!(beside, Contents::Ours(vec!["notes.txt".to_owned()]));
        // An earlier version may have begun beside what an etcd left.
        let both = found(&["log-0000000000000001.wal", "log", "conf"]);
        assert_eq!(both, Contents::Ours(vec!["conf".to_owned(), "log".to_owned()]));
    }

    #[test]
    fn an_empty_directory_is_empty_with_what_every_file_system_puts_into_it() {
        for names in [&[][..], &["lost+found/"], &[".keep"], &["..data/"]] {
            assert_eq!(found(names), Contents::Empty, "{names:?}");
        }
    }

    #[test]
    fn directories_of_etcd_are_known_by_their_layout() {
        for (names, want) in [
            (&["log", "conf", "snapshot/"][..], "etcd 0.4"),
            (&["log", "snapshot/"], "etcd 0.4"),
            (&["standby_info"], "standby of etcd 0.4"),
            (&["member/wal/", "member/snap/"], "etcd 2.x or 3.x"),
            (&["member/snap/"], "etcd 2.x or 3.x"),
            (&["wal/", "snap/"], "etcd 2.x or 3.x"),
            (&["proxy/"], "proxy of etcd"),
        ] {
            let found = found(names);
            let is_known = matches!(&found, Contents::Etcd(version) if version.contains(want));
            assert!(is_known, "{names:?}: {found:?}");
        }
    }

    #[test]
    fn everything_else_is_foreign_and_named() {
        for names in [
            &["notes.txt"][..],
            &["LOCK", "CURRENT"],
            &["log"],
            &["member/"],
            &["backup-20261129/"],
            &["standby.old"],
            &["log-1.txt"],
        ] {
            assert!(matches!(found(names), Contents::Foreign(_)), "{names:?}");
        }
        let many = ["a", "b", "c", "d", "e", "f"].map(str::to_owned);
        assert_eq!(enumerate(&many), "a, b, c, d and 2 more");
        assert_eq!(enumerate(&many[..4]), "a, b, c, d");
        let line = vec!["a\\nb".to_owned()];
        assert_eq!(found(&["a\nb"]), Contents::Foreign(line));
    }
}
