//! Queues over the end of a server and its next start.

use super::{SOON, Waiter, acquire, held, queue, refusal, release, values, wait_for_values};
use crate::testkit::{Request, Server, ask};

#[test]
fn a_crash_keeps_the_queue_and_the_places_of_those_who_come_back() {
    let (site, server) = Server::start("lock-crash");
    let addr = server.addr();
    let first = held(&acquire(addr, "a", "ttl=600&value=one"));
    let (_lost, _) = Waiter::placed(addr, "a", "ttl=3&value=lost", 1);
    let (_two, second) = Waiter::placed(addr, "a", "ttl=600&value=two", 2);
    server.kill();
    let server = site.start();
    let addr = server.addr();
    // Nobody who waited is there any more; what is left of them is in the store.
    let mut two = Waiter::post(addr, "a", "ttl=600&value=two");
    let (mut three, third) = Waiter::placed(addr, "a", "ttl=600&value=three", 3);
    assert!(two.is_waiting());
    let renewal = ask(addr, &Request::put("/mod/v2/lock/a", &format!("index={first}&ttl=600")));
    assert_eq!(renewal.status(), 200);
    release(addr, "a", "value=one");
    // The one that did not come back is in front until its TTL is over.
    assert_eq!(two.held(), second);
    assert!(three.is_waiting());
    release(addr, "a", "value=two");
    assert_eq!(three.held(), third);
    assert!(third > second && second > first);
}

#[test]
fn a_clean_stop_sends_the_waiting_away_and_keeps_the_holder() {
    let (site, mut server) = Server::start("lock-stop");
    let addr = server.addr();
    let first = held(&acquire(addr, "a", "ttl=600&value=one"));
    let (mut two, _) = Waiter::placed(addr, "a", "ttl=600&value=two", 1);
    let (mut nobody, _) = Waiter::placed(addr, "a", "ttl=600", 2);
    server.signal(rustix::process::Signal::TERM);
    for waiter in [&mut two, &mut nobody] {
        let answer = waiter.answer(SOON);
        assert_eq!((answer.status(), refusal(&answer).1), (503, 300));
    }
    assert_eq!(server.wait_end().code(), Some(0), "{}", server.log_text());
    let server = site.start();
    assert_eq!(queue(server.addr(), "a"), [(first, "one".to_owned())]);
    let next = acquire(server.addr(), "b", "ttl=600");
    assert!(held(&next) > first);
}

#[test]
fn whole_queues_of_clients_that_vanish_leave_only_the_holder() {
    let (_site, server) = Server::start("lock-vanish");
    let addr = server.addr();
    held(&acquire(addr, "a", "ttl=600&value=one"));
    let forms = (0..40).map(|n| match n % 2 {
        0 => format!("ttl=600&value=w{n}"),
        _ => "ttl=600".to_owned(),
    });
    let waiters: Vec<Waiter> = forms.map(|form| Waiter::post(addr, "a", &form)).collect();
    // Some are still on their way in when they hang up.
    drop(waiters);
    wait_for_values(addr, "a", &["one"]);
    let (mut two, _) = Waiter::placed(addr, "a", "ttl=600&value=two", 1);
    release(addr, "a", "value=one");
    two.held();
    assert_eq!(values(addr, "a"), ["two"]);
}
