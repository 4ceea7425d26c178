//! Two processes with the identity of one member.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{PATIENCE, lines_with, log_of, secret_flag};
use crate::cluster::kit::{Cluster, Machine, state};
use crate::testkit::http::send;
use crate::testkit::{Request, Site, TempDir, ask, wait_until};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "LOCK" {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// The directory of a member is copied and started beside its original: the first stays, the second
/// is refused, and both logs say so, with both addresses.
fn a_second_process_is_refused(label: &str, flags: &str) {
    let mut cluster = Cluster::start(label, 3, flags);
    let at = (0..3).find(|at| *at != cluster.leader()).unwrap();
    let name = cluster.machines[at].site.name().to_owned();
    cluster.machines[at].server.take().unwrap().terminate();
    let second = Site::new(&format!("{label}-copy")).named(&name).flags(flags);
    copy(&cluster.machines[at].site.data_dir(), &second.data_dir());
    cluster.machines[at].spawn();
    cluster.wait_formed(3);
    let mut process = second.spawn();
    let (first_at, second_at) =
        (cluster.machines[at].site.peer_addr().to_string(), second.peer_addr().to_string());
    wait_until("both logs say so", PATIENCE, || {
        let refused = lines_with(
            &log_of(&second),
            &["ERROR", "already connected from", &first_at, &second_at],
        );
        let told = lines_with(
            &log_of(&cluster.machines[at].site),
            &[
                "ERROR",
                "refused a second process with the identity of this member",
                &first_at,
                &second_at,
            ],
        );
        !refused.is_empty() && !told.is_empty()
    });
    assert!(process.is_running(), "it is refused and does not end");
    cluster.wait_formed(3);
    cluster.wait_equal();
    assert!(cluster.machines.iter().any(|one| state(one.addr()) == "leader"));
    // It goes on to be refused when the first is gone: it is a copy, and may know less.
    let key = Request::put("/v2/keys/later", "value=1");
    assert!(ask(cluster.machines[at].addr(), &key).status() < 300);
    cluster.machines[at].kill();
    wait_until("the copy is told what it is", PATIENCE, || {
        !lines_with(&log_of(&second), &["copy of this machine's own", "-force-rejoin"]).is_empty()
    });
    assert!(process.is_running(), "{}", log_of(&second));
}

/// A founder's directory is put back to what it was before the others joined. By itself it would
/// decide alone.
#[test]
fn a_copy_from_before_the_others_joined_decides_nothing() {
    let founder = Site::new("gates-lone").named("m0");
    let write =
        |addr, value: &str| ask(addr, &Request::put("/v2/keys/a", &format!("value={value}")));
    let process = founder.start();
    assert_eq!(write(founder.addr(), "early").status(), 201);
    process.terminate();
    let older = TempDir::new("gates-lone-older");
    copy(&founder.data_dir(), older.path());
    let process = founder.start();
    let flags = format!("-peers {}", founder.peer_addr());
    let joins = |at| Site::new("gates-lone").named(&format!("m{at}")).flags(&flags);
    let others = [joins(1), joins(2)];
    let machine = |site, server| Machine { site, server: Some(server) };
    let servers = others.each_ref().map(Site::spawn);
    let mut machines = vec![machine(founder, process)];
    machines.extend(others.into_iter().zip(servers).map(|(site, server)| machine(site, server)));
    let mut cluster = Cluster { machines };
    cluster.wait_formed(3);
    assert_eq!(write(cluster.machines[1].addr(), "late").status(), 200);

    cluster.machines[0].server.take().expect("it runs").terminate();
    cluster.leader_but(0);
    let place = cluster.machines[0].site.data_dir();
    std::fs::remove_dir_all(&place).unwrap();
    copy(older.path(), &place);
    cluster.machines[0].spawn();
    let copied = cluster.machines[0].addr();
    wait_until("it is told and believes it", PATIENCE, || {
        send(copied, &Request::get("/readyz"))
            .is_ok_and(|said| said.status() == 503 && said.text().contains("-force-rejoin"))
    });
    let refused = write(copied, "split");
    assert_eq!(refused.status(), 503, "{}", refused.text());
    let kept = ask(cluster.machines[1].addr(), &Request::get("/v2/keys/a?quorum=true"));
    assert!(kept.text().contains("late"), "{}", kept.text());
}

#[test]
fn a_copied_directory_is_refused_without_a_secret() {
    a_second_process_is_refused("gates-doubled", "");
}

#[test]
fn a_copied_directory_is_refused_with_a_secret() {
    let dir = TempDir::new("gates-doubled-token");
    a_second_process_is_refused("gates-doubled-s", &secret_flag(&dir));
}

/// A backup of a running member is put back. It has the latest start, so nobody refuses it, and it
/// lacks a write that its original acknowledged.
#[test]
fn a_copy_of_a_running_directory_elects_nobody_who_knows_less() {
    let mut cluster = Cluster::start("gates-live", 3, "");
    let leader = cluster.leader();
    let (at, away) = ((leader + 1) % 3, (leader + 2) % 3);
    let backup = TempDir::new("gates-live-backup");
    copy(&cluster.machines[at].site.data_dir(), backup.path());
    cluster.machines[away].kill();
    let write = Request::put("/v2/keys/kept", "value=1");
    assert_eq!(ask(cluster.machines[leader].addr(), &write).status(), 201);
    cluster.machines[at].kill();
    cluster.machines[leader].kill();
    let place = cluster.machines[at].site.data_dir();
    std::fs::remove_dir_all(&place).unwrap();
    copy(backup.path(), &place);
    cluster.machines[at].spawn();
    cluster.machines[away].spawn();
    wait_until("its log says what it is", PATIENCE, || {
        let log = log_of(&cluster.machines[at].site);
        !lines_with(&log, &["WARN", "was copied or moved", "-force-rejoin"]).is_empty()
    });
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        for one in [at, away] {
            let refused = send(cluster.machines[one].addr(), &Request::get("/readyz"));
            assert!(refused.is_ok_and(|said| said.status() == 503));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    cluster.machines[leader].spawn();
    cluster.wait_formed(3);
    cluster.wait_equal();
    for one in 0..3 {
        let kept = ask(cluster.machines[one].addr(), &Request::get("/v2/keys/kept?quorum=true"));
        assert_eq!(kept.status(), 200, "{}", kept.text());
    }
    // It is a member like the others from here on.
    let leader = cluster.leader();
    cluster.machines[leader].kill();
    let next = cluster.leader_but(leader);
    let later = Request::put("/v2/keys/later", "value=1");
    assert_eq!(ask(cluster.machines[next].addr(), &later).status(), 201);
}
