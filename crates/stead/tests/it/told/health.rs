//! `/health` and `/readyz`: whether a write would work, at every member and soon.

use super::{PATIENCE, others};
use crate::cluster::kit::{Cluster, Machine, metric};
use crate::testkit::wait::holds_within;
use crate::testkit::{Connection, Request, ask, send, wait_until};
use rustix::process::Signal;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A heartbeat interval that a busy machine keeps.
const HEARTBEAT: Duration = Duration::from_millis(400);
const FLAGS: &str = "-peer-heartbeat-interval 400 -peer-election-timeout 2000";

fn wait_well(cluster: &Cluster) {
    wait_until("all are well", PATIENCE, || {
        cluster.machines.iter().all(|machine| is_healthy(machine.addr()))
    });
}

fn is_healthy(addr: SocketAddr) -> bool {
    send(addr, &Request::get("/health")).is_ok_and(|answer| answer.status() == 200)
}

#[test]
fn health_is_false_as_soon_as_a_write_would_not_work() {
    let mut cluster = Cluster::start("told-health", 3, "");
    let leader = cluster.leader();
    let addr = cluster.machines[leader].addr();
    wait_until("all are well", PATIENCE, || {
        cluster.machines.iter().all(|machine| is_healthy(machine.addr()))
    });
    let ready = ask(addr, &Request::get("/readyz?verbose"));
    assert_eq!(ready.status(), 200, "{}", ready.text());
    for check in ["leader", "store", "disk", "majority", "members-differ", "certificate"] {
        assert!(ready.text().contains(&format!("[+]{check} ok\n")), "{}", ready.text());
    }
    assert_eq!(ask(addr, &Request::get("/readyz")).text(), "ok\n");
    assert_eq!(ask(addr, &Request::get("/livez?verbose")).text(), "[+]loop ok\nok\n");
    for at in others(&cluster, leader) {
        cluster.machines[at].server().signal(Signal::STOP);
    }
    let began = Instant::now();
    wait_until("it is not well", Duration::from_secs(2), || !is_healthy(addr));
    println!("health was false {:?} after the others stopped", began.elapsed());
    wait_until("that it is not ready is explained", PATIENCE, || {
        let ready = ask(addr, &Request::get("/readyz?verbose=1"));
        let text = ready.text();
        assert_eq!(ready.status(), 503, "{text}");
        text.contains("[-]majority failed: 1 of 3 voters are reachable from here")
            && text.contains("[-]leader failed: no leader is reachable; unreachable: m")
            && text.contains("[+]disk ok\n")
            && text.ends_with("not ready\n")
    });
    let plain = ask(addr, &Request::get("/readyz"));
    assert!(plain.text().starts_with("no leader is reachable; unreachable: m"), "{plain:?}");
    assert_eq!(ask(addr, &Request::get("/health")).text(), "{\"health\": \"false\"}\n");
    assert_eq!(ask(addr, &Request::get("/livez")).status(), 200);
    for at in others(&cluster, leader) {
        cluster.machines[at].server().signal(Signal::CONT);
    }
    wait_until("all are well again", PATIENCE, || {
        cluster.machines.iter().all(|machine| is_healthy(machine.addr()))
    });
    cluster.machines.iter_mut().for_each(Machine::kill);
}

/// Asks a machine until it says that it is not well; gives when it said so first.
fn first_false(addr: SocketAddr) -> Instant {
    let mut connection = Connection::open(addr).expect("it listens");
    connection.within(PATIENCE);
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let answer = connection.exchange(&Request::get("/health")).expect("it answers");
        if answer.status() == 503 {
            assert_eq!(answer.text(), "{\"health\": \"false\"}\n");
            return Instant::now();
        }
        assert_eq!(answer.status(), 200, "{}", answer.text());
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{addr} is well for {PATIENCE:?} without a majority")
}

/// Stops `stopped`; all others say `false` within two heartbeats, and `true` when those go on.
fn check_loss(cluster: &Cluster, stopped: &[usize]) {
    wait_well(cluster);
    // Each has asked a few times, so that it knows how long that takes.
    for _ in 0..10 {
        std::thread::sleep(HEARTBEAT / 2);
        cluster.machines.iter().for_each(|machine| assert!(is_healthy(machine.addr())));
    }
    let signal = |signal| {
        stopped.iter().for_each(|at| cluster.machines[*at].server().signal(signal));
    };
    let left: Vec<usize> = (0..cluster.machines.len()).filter(|at| !stopped.contains(at)).collect();
    let began = Instant::now();
    signal(Signal::STOP);
    let asking = left.iter().map(|at| {
        let addr = cluster.machines[*at].addr();
        std::thread::spawn(move || first_false(addr))
    });
    let asking: Vec<_> = asking.collect();
    for (at, asked) in left.iter().zip(asking) {
        let took = asked.join().expect("it was told").duration_since(began);
        println!("m{at} was not well {took:?} after {stopped:?} stopped");
        assert!(took <= 2 * HEARTBEAT, "m{at}: {took:?}");
    }
    for at in &left {
        let ready = ask(cluster.machines[*at].addr(), &Request::get("/readyz?verbose"));
        let failed = ["[-]majority failed: ", "[-]leader failed: "];
        assert!(failed.iter().any(|words| ready.text().contains(words)), "{}", ready.text());
    }
    signal(Signal::CONT);
    wait_well(cluster);
    let put = Request::put("/v2/keys/after", "value=1");
    for machine in &cluster.machines {
        let written = holds_within(PATIENCE, || {
            send(machine.addr(), &put).is_ok_and(|answer| answer.status() < 300)
        });
        assert!(written, "{} is well and takes no write", machine.site.name());
    }
}

#[test]
fn a_leader_without_a_majority_is_not_well_within_two_heartbeats() {
    let cluster = Cluster::start("health-leader", 3, FLAGS);
    let stopped = others(&cluster, cluster.leader());
    check_loss(&cluster, &stopped);
}

#[test]
fn a_follower_without_a_majority_is_not_well_within_two_heartbeats() {
    let cluster = Cluster::start("health-follower", 3, FLAGS);
    let leader = cluster.leader();
    check_loss(&cluster, &[leader, (leader + 1) % 3]);
}

#[test]
fn a_follower_of_a_leader_without_a_majority_is_not_well_either() {
    let cluster = Cluster::start("health-five", 5, FLAGS);
    let leader = cluster.leader();
    let stopped: Vec<usize> = (1..4).map(|step| (leader + step) % 5).collect();
    check_loss(&cluster, &stopped);
}

#[test]
fn a_healthy_cluster_is_never_told_to_be_otherwise() {
    let cluster = Cluster::start("health-idle", 3, FLAGS);
    wait_well(&cluster);
    for number in 0..200 {
        for machine in &cluster.machines {
            for path in ["/health", "/readyz"] {
                let answer = ask(machine.addr(), &Request::get(path));
                let name = machine.site.name();
                assert_eq!(answer.status(), 200, "{number}: {name} {path}: {}", answer.text());
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn many_who_ask_share_a_question() {
    const CALLERS: usize = 100;
    const CALLS: usize = 60;
    let cluster = Cluster::start("health-many", 3, FLAGS);
    wait_well(&cluster);
    let addrs = cluster.addrs();
    let asked = || -> Vec<u64> {
        let count = |addr: &SocketAddr| metric(*addr, "stead_health_questions_total");
        addrs.iter().map(|addr| count(addr).expect("it is counted")).collect()
    };
    let before = asked();
    let began = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| {
            let addr = addrs[number % addrs.len()];
            std::thread::spawn(move || {
                let mut connection = Connection::open(addr).expect("it listens");
                connection.within(PATIENCE);
                for _ in 0..CALLS {
                    let answer = connection.exchange(&Request::get("/health"));
                    assert_eq!(answer.expect("it answers").status(), 200);
                    std::thread::sleep(HEARTBEAT / 20);
                }
            })
        })
        .collect();
    callers.into_iter().for_each(|caller| caller.join().expect("all are told"));
    let after = asked();
    let questions_max = began.elapsed().as_nanos() / (HEARTBEAT / 2).as_nanos() + 1;
    for (before, after) in before.iter().zip(&after) {
        let questions = after - before;
        println!("{questions} questions for {} calls", CALLERS * CALLS / 3);
        assert!(questions > 1, "what was confirmed once is old after that");
        assert!(u128::from(questions) <= questions_max, "{questions} > {questions_max}");
    }
}

#[test]
fn a_machine_that_votes_alone_asks_nobody() {
    let cluster = Cluster::start("health-alone", 1, FLAGS);
    let addr = cluster.machines[0].addr();
    for path in ["/health", "/readyz", "/readyz?verbose"] {
        assert_eq!(ask(addr, &Request::get(path)).status(), 200, "{path}");
    }
    assert_eq!(metric(addr, "stead_health_questions_total"), Some(0));
}
