//! The disk is full: writes are refused in words, reads go on, and room is used when there is some.
//!
//! This needs a file system of its own, which only root can mount; without that the test says so
//! and ends.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::cluster::kit::{Cluster, PATIENCE, sites, state};
use crate::testkit::{Connection, Request, Response, Site, TempDir, ask, wait_until};

/// Room for a few segments of the log.
const SIZE: &str = "size=96m";

/// A small file system, unmounted when dropped.
struct Mount {
    dir: TempDir,
}

impl Mount {
    /// Mounts it; nothing where the system does not allow that.
    fn new() -> Option<Self> {
        let dir = TempDir::new("full");
        let path = dir.path();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", SIZE, "stead-test"]).arg(path);
        let is_mounted = command.output().is_ok_and(|output| output.status.success());
        is_mounted.then_some(Self { dir })
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // What cannot be unmounted now goes with the machine.
        let _ = Command::new("umount").arg("-l").arg(self.dir.path()).output();
    }
}

/// Writes until nothing more fits.
fn fill(path: &Path) -> PathBuf {
    let filler = path.join("filler");
    let mut file = File::create(&filler).unwrap();
    for size in [1 << 20, 4096, 1] {
        let piece = vec![1u8; size];
        while file.write_all(&piece).is_ok() {}
    }
    filler
}

#[test]
fn a_full_disk_refuses_writes_serves_reads_and_recovers() {
    let Some(mount) = Mount::new() else {
        println!("not tested: no file system can be mounted here (root can)");
        return;
    };
    let site = Site::new("disk-full").with_data_dir(mount.path().join("data"));
    let mut server = site.start();
    let addr = server.addr();
    let value = "v".repeat(100 << 10);
    let mut writer = Connection::open(addr).unwrap();
    let mut write = |number: u32| -> Response {
        let path = format!("/v2/keys/full/{}", number % 20);
        writer.exchange(&Request::put(&path, &format!("value={number}-{value}"))).unwrap()
    };
    assert_eq!(write(0).status(), 201);
    let filler = fill(mount.path());
    // The log has room in its current segment, and perhaps in spare ones.
    let refused = (1..2_000).map(&mut write).find(|answer| answer.status() >= 300);
    let refused = refused.expect("a disk of 96 MiB takes no 200 MiB");
    assert!((500..600).contains(&refused.status()), "{refused:?}");
    assert!(refused.json()["errorCode"].is_u64(), "{refused:?}");
    let cause = refused.json()["cause"].as_str().unwrap_or("").to_owned();
    assert!(cause.contains("disk") || cause.contains("space"), "{refused:?}");
    let log_has = |words: &str| std::fs::read_to_string(site.log_path()).unwrap().contains(words);
    let told = format!("ERROR the disk is full: no room in {}", site.data_dir().display());
    wait_until("the log says so", Duration::from_secs(15), || log_has(&told));
    for (path, want) in [
        ("/readyz", "the disk is full: writes are refused\n"),
        ("/readyz?verbose", "[-]disk failed: the disk is full: writes are refused\n"),
    ] {
        let ready = ask(addr, &Request::get(path));
        assert!(ready.status() == 503 && ready.text().contains(want), "{}", ready.text());
    }
    // Reads go on, and show what was acknowledged.
    let listing = ask(addr, &Request::get("/v2/keys/full?recursive=true"));
    assert_eq!(listing.status(), 200);
    let index = listing.index();
    assert!(server.is_running());
    fs::remove_file(filler).unwrap();
    // Without a write: nobody sends any to a machine that is not well.
    wait_until("it is well again", Duration::from_secs(15), || {
        ask(addr, &Request::get("/health")).status() == 200
    });
    wait_until("writes resume", Duration::from_secs(15), || write(5_000).status() < 300);
    let room = "INFO the disk has room again: ";
    wait_until("the log says that too", Duration::from_secs(15), || log_has(room));
    let after = ask(addr, &Request::get("/v2/keys/full/0"));
    assert!(after.index() > index);
    // What was acknowledged around the full disk is durable like everything else.
    server.kill();
    let server = site.start();
    let again = ask(server.addr(), &Request::get("/v2/keys/full/0"));
    assert_eq!(after.text(), again.text());
}

/// The machine that leads has no room: nobody says that a write would work where none does, and all
/// are well again without one.
#[test]
fn a_full_disk_of_the_leader_shows_at_every_member() {
    let Some(mount) = Mount::new() else {
        println!("not tested: no file system can be mounted here (root can)");
        return;
    };
    let mut sites = sites("disk-full-leader", 3, "");
    let first = sites.remove(0).with_data_dir(mount.path().join("data"));
    let founder = first.peer_addr();
    sites.iter_mut().for_each(|site| site.set_flags(&format!("-peers {founder}")));
    sites.insert(0, first);
    let cluster = Cluster::of(sites, &[0, 1, 2]);
    let addrs = cluster.addrs();
    let is_well = |at: usize| ask(addrs[at], &Request::get("/health")).status() == 200;
    wait_until("all are well", PATIENCE, || (0..3).all(is_well));
    let filler = fill(mount.path());
    let value = "v".repeat(100 << 10);
    let mut writer = Connection::open(addrs[0]).unwrap();
    let mut write = |number: u32| {
        let put =
            Request::put(&format!("/v2/keys/full/{}", number % 20), &format!("value={value}"));
        writer.exchange(&put).unwrap().status()
    };
    wait_until("a write is refused", PATIENCE, || (0..50).any(|number| write(number) >= 500));
    wait_until("it is not well", PATIENCE, || !is_well(0));
    let why = "the disk of m0, which leads, takes no writes\n";
    wait_until("the others say so", PATIENCE, || {
        let says = |at: usize| ask(addrs[at], &Request::get("/readyz")).text() == why;
        // A busy machine may have lost its leadership meanwhile.
        state(addrs[0]) != "leader" || (1..3).all(says)
    });
    fs::remove_file(filler).unwrap();
    wait_until("all are well again", PATIENCE, || (0..3).all(is_well));
}
