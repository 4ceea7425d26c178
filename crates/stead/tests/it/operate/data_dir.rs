//! Which directories a server uses, which it leaves alone, and what it says about each.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::testkit::{Request, Server, Site, ask, wait_until};

/// A user that owns nothing, and a group of it.
const NOBODY: u32 = 65534;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Starts the server, which must end with code 1 and one line that holds all of `want`.
fn assert_refused(site: &Site, want: &[&str]) {
    let (status, text) = site.run_to_end();
    assert_eq!(status.code(), Some(1), "{text}");
    let last = text.lines().last().unwrap_or_default();
    assert!(last.starts_with("stead: "), "{text}");
    for word in want {
        assert!(last.contains(word), "{word:?} is missing: {text}");
    }
}

/// `stead check` on the directory, which must fail and say all of `want`.
fn assert_check_refuses(site: &Site, want: &str) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_stead"))
        .args(["check", "-data-dir"])
        .arg(site.data_dir())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains(want), "{text}");
}

#[test]
fn a_directory_with_the_files_of_others_is_left_as_it_is() {
    let site = Site::new("foreign");
    let path = site.data_dir();
    fs::create_dir(&path).unwrap();
    for name in ["notes.txt", "LOCK"] {
        fs::write(path.join(name), "theirs").unwrap();
    }
    set_mode(&path, 0o755);
    let said = path.display().to_string();
    assert_refused(&site, &[&said, "not empty (notes.txt)", "nothing was changed", "-data-dir"]);
    assert_refused(&Site::new("forced-foreign").with_data_dir(path.clone()).flags("-f"), &[&said]);
    assert_check_refuses(&site, "not empty (notes.txt)");
    assert_eq!(
        (mode(&path), names(&path)),
        (0o755, ["LOCK", "notes.txt"].map(str::to_owned).into())
    );
    assert_eq!(fs::read_to_string(path.join("LOCK")).unwrap(), "theirs");
}

#[test]
fn the_directories_of_etcd_are_known() {
    for (folders, files, want) in [
        (&["snapshot"][..], &["log", "conf"][..], "an etcd 0.4 or older"),
        (&[], &["standby_info"], "a standby of etcd 0.4"),
        (&["member/wal", "member/snap"], &["member/wal/0.wal"], "an etcd 2.x or 3.x"),
        (&["proxy"], &["proxy/cluster"], "a proxy of etcd 2.x or 3.x"),
    ] {
        let site = Site::new("etcd");
        let path = site.data_dir();
        fs::create_dir(&path).unwrap();
        for folder in folders {
            fs::create_dir_all(path.join(folder)).unwrap();
        }
        for file in files {
            fs::write(path.join(file), "theirs").unwrap();
        }
        let before = names(&path);
        assert_refused(&site, &[want, "does not open it", "stead import --from-dir /"]);
        assert_check_refuses(&site, want);
        assert_eq!(names(&path), before);
        for file in files {
            assert_eq!(fs::read_to_string(path.join(file)).unwrap(), "theirs");
        }
    }
}

#[test]
fn what_is_in_the_place_of_the_directory_is_named() {
    let site = Site::new("dangling");
    symlink("nowhere", site.data_dir()).unwrap();
    assert_refused(&site, &["symbolic link of this name points to nowhere, which does not exist"]);
    let below = Site::new("dangling-below").with_data_dir(site.data_dir().join("deep/data"));
    assert_refused(&below, &["symbolic link of this name points to nowhere"]);

    // A link to a directory is one, and so is a directory on a mount point.
    let site = Site::new("linked");
    fs::create_dir_all(site.folder().join("real/lost+found")).unwrap();
    symlink("real", site.data_dir()).unwrap();
    let server = site.start();
    assert_eq!(ask(server.addr(), &Request::put("/v2/keys/a", "value=1")).status(), 201);
    assert!(server.terminate().success());
    assert!(site.folder().join("real/LOCK").exists());
}

#[test]
fn permissions_of_a_directory_that_was_there_are_narrowed_and_setgid_stays() {
    let site = Site::new("narrowed");
    let path = site.data_dir();
    fs::create_dir(&path).unwrap();
    for (before, after) in [(0o755, 0o700), (0o2770, 0o2700), (0o700, 0o700)] {
        set_mode(&path, before);
        assert!(site.start().terminate().success());
        assert_eq!(mode(&path), after, "{before:o}");
    }
    // Above it nothing is changed.
    let deep = site.folder().join("shared/data");
    fs::create_dir(site.folder().join("shared")).unwrap();
    set_mode(&site.folder().join("shared"), 0o755);
    assert!(Site::new("deep").with_data_dir(deep.clone()).start().terminate().success());
    assert_eq!((mode(&deep), mode(&site.folder().join("shared"))), (0o700, 0o755));
}

/// A directory that everybody can reach, with a copy of the binary; removed when dropped.
struct Outside(PathBuf);

impl Outside {
    /// Makes it; nothing, with a word, where files cannot be given to somebody else.
    fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root can give a directory to somebody else");
            return None;
        }
        let name = format!("stead-it-{}-outside", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        set_mode(&path, 0o755);
        fs::copy(env!("CARGO_BIN_EXE_stead"), path.join("stead")).unwrap();
        Some(Self(path))
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        // What is left behind harms no test.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_directory_that_belongs_to_somebody_else_is_used_if_it_can_be() {
    let Some(outside) = Outside::new() else { return };
    // This is how a volume looks that was given to a group.
    let path = outside.0.join("data");
    fs::create_dir(&path).unwrap();
    chown(&path, Some(0), Some(NOBODY)).unwrap();
    set_mode(&path, 0o2775);
    let site = Site::new("group").with_data_dir(path.clone());
    let run = |site: &Site| {
        let own = site.command();
        let mut command = std::process::Command::new(outside.0.join("stead"));
        command.args(own.get_args()).current_dir(&outside.0).uid(NOBODY).gid(NOBODY);
        let log = fs::File::create(site.log_path()).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
    };
    let mut child = run(&site);
    wait_until("the server answers", Duration::from_secs(20), || {
        std::net::TcpStream::connect(site.addr()).is_ok() || child.try_wait().unwrap().is_some()
    });
    assert_eq!(child.try_wait().unwrap(), None, "{}", fs::read_to_string(site.log_path()).unwrap());
    assert_eq!(ask(site.addr(), &Request::put("/v2/keys/a", "value=1")).status(), 201);
    child.kill().unwrap();
    child.wait().unwrap();
    let text = fs::read_to_string(site.log_path()).unwrap();
    assert!(text.contains("other users can enter the data directory"), "{text}");
    assert_eq!(mode(&path), 0o2775);

    // One that cannot be written to is refused, with whose it is.
    let path = outside.0.join("theirs");
    fs::create_dir(&path).unwrap();
    set_mode(&path, 0o755);
    let site = Site::new("theirs").with_data_dir(path);
    let mut child = run(&site);
    let mut status = None;
    wait_until("the server ends", Duration::from_secs(20), || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    let text = fs::read_to_string(site.log_path()).unwrap();
    assert_eq!(status.and_then(|status| status.code()), Some(1), "{text}");
    let want = format!(
        "belongs to user 0, group 0, with mode 0755, and this process runs as user {NOBODY}"
    );
    assert!(text.contains(&want), "{text}");
}

#[test]
fn a_machine_whose_word_that_it_stands_by_cannot_be_read_starts_no_cluster() {
    let site = Site::new("standby-word");
    let path = site.data_dir();
    fs::create_dir(&path).unwrap();
    let word = path.join("standby");
    for content in ["", "stead standby 9\nhttp://127.0.0.1:9\n"] {
        fs::write(&word, content).unwrap();
        assert_refused(&site, &[&word.display().to_string(), "does not start a cluster"]);
        assert!(names(&path).iter().all(|name| !name.ends_with(".wal")));
    }
    fs::remove_file(&word).unwrap();
    fs::create_dir(&word).unwrap();
    assert_refused(&site, &[&word.display().to_string(), "cannot be read"]);
    // The remedy that the message names.
    fs::remove_dir(&word).unwrap();
    assert!(site.start().terminate().success());
}

#[test]
fn a_lock_file_that_was_removed_lets_no_second_process_in() {
    let (site, server) = Server::start("lock-removed");
    fs::remove_file(site.data_dir().join("LOCK")).unwrap();
    let second = Site::new("lock-second").with_data_dir(site.data_dir());
    assert_refused(&second, &["in use by another process"]);
    assert_check_refuses(&site, "in use by another process");
    assert_eq!(ask(server.addr(), &Request::put("/v2/keys/a", "value=1")).status(), 201);
}

#[test]
fn a_forced_start_keeps_what_was_there_in_another_place() {
    let (site, server) = Server::start("kept");
    assert_eq!(ask(server.addr(), &Request::put("/v2/keys/a", "value=1")).status(), 201);
    assert!(server.terminate().success());
    let path = site.data_dir();
    let forced = Site::new("kept-forced").with_data_dir(path.clone()).flags("-f");
    let server = forced.start();
    assert_eq!(ask(server.addr(), &Request::get("/v2/keys/a")).status(), 404);
    let text = server.log_with("/replaced-");
    assert!(server.terminate().success());
    let kept: Vec<String> =
        names(&path).into_iter().filter(|name| name.starts_with("replaced-")).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let kept = path.join(&kept[0]);
    assert!(text.contains(&kept.display().to_string()), "{text}");
    // It is a whole data directory, which a server starts from.
    let server = Site::new("kept-again").with_data_dir(kept).start();
    assert_eq!(ask(server.addr(), &Request::get("/v2/keys/a")).status(), 200);
}
