//! Many wrong passwords: nobody else is held up, and no wrong one is let in.

use super::{count_users, of};
use crate::testkit::{Connection, Request, Site, ask};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Connections that guess.
const GUESSERS: usize = 20;

/// How long they guess.
const FLOOD: Duration = Duration::from_secs(3);

#[test]
fn wrong_passwords_hold_up_nobody_who_is_known() {
    let site = Site::new("rights-flood");
    let server = site.start();
    let addr = server.addr();
    count_users(addr);
    let read = || of("ann:pw", Request::get("/v2/keys/a/x"));
    assert_eq!(ask(addr, &read()).status(), 404, "her password is known from now on");
    let (ends, guessed) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for guesser in 0..GUESSERS {
            let (ends, guessed) = (&ends, &guessed);
            scope.spawn(move || {
                let mut connection = Connection::open(addr).unwrap();
                connection.within(Duration::from_secs(60));
                for number in 0.. {
                    if ends.load(Ordering::Relaxed) {
                        break;
                    }
                    let user = format!("ann:{guesser}-{number}");
                    let guess = of(&user, Request::get("/v2/keys/a/x"));
                    let status = connection.exchange(&guess).unwrap().status();
                    assert!(matches!(status, 401 | 503), "{status}");
                    guessed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let (since, mut served) = (Instant::now(), 0);
        let mut connection = Connection::open(addr).unwrap();
        connection.within(Duration::from_secs(20));
        while since.elapsed() < FLOOD {
            assert_eq!(connection.exchange(&read()).unwrap().status(), 404);
            served += 1;
        }
        ends.store(true, Ordering::Relaxed);
        println!("{served} reads beside the flood");
        assert!(served > 10);
    });
    let guessed = guessed.load(Ordering::Relaxed);
    println!("{guessed} wrong passwords");
    assert!(guessed > 20, "most are refused without a look");
    // A password that nobody has checked yet is, when the flood is over.
    assert_eq!(ask(addr, &of("root:top", Request::get("/v2/keys/a/x"))).status(), 404);
}

#[test]
fn a_stop_says_to_those_whose_password_waits_that_nothing_was_done() {
    let site = Site::new("rights-stop");
    let server = site.start();
    count_users(server.addr());
    let ask_for = |name: usize| {
        let mut connection = Connection::open(server.addr()).unwrap();
        connection.within(Duration::from_secs(20));
        let put = Request::put("/v2/keys/a/x", "value=1");
        connection.send(&of(&format!("n{name}:x"), put)).unwrap();
        connection
    };
    // Each takes some 100 ms, and the stop no more than a second.
    let waiting: Vec<Connection> = (0..40).map(ask_for).collect();
    // They are read in the order in which they came: behind this one all of them wait.
    assert_eq!(ask(server.addr(), &Request::get("/version")).status(), 200);
    assert!(server.terminate().success());
    let mut undone = 0;
    for mut connection in waiting {
        let answer = connection.response("PUT").unwrap();
        let text = answer.text();
        let is_wrong = answer.status() == 401;
        assert!(is_wrong || text.contains("nothing was done"), "{} {text}", answer.status());
        undone += u32::from(!is_wrong);
    }
    assert!(undone > 0, "all passwords were checked in time: this shows nothing");
}
