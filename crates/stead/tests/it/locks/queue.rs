//! Who waits, for how long, and whose turn it is.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{SOON, Waiter, acquire, assert_refused, held, queue, release, values, wait_for_values};
use crate::testkit::{Request, Server, Site, ask, wait_until};

#[test]
fn a_release_wakes_exactly_the_next() {
    let (_site, server) = Server::start("lock-next");
    let addr = server.addr();
    let first = held(&acquire(addr, "a", "ttl=60&value=one"));
    let (mut two, second) = Waiter::placed(addr, "a", "ttl=60&value=two", 1);
    let (mut three, third) = Waiter::placed(addr, "a", "ttl=60&value=three", 2);
    assert!(first < second && second < third);
    release(addr, "a", "value=one");
    assert_eq!(two.held(), second);
    assert!(three.is_waiting());
    assert_eq!(values(addr, "a"), ["two", "three"]);
    release(addr, "a", &format!("index={second}"));
    assert_eq!(three.held(), third);
}

#[test]
fn a_client_that_hangs_up_loses_its_place_at_once() {
    let (_site, server) = Server::start("lock-hang-up");
    let addr = server.addr();
    held(&acquire(addr, "a", "ttl=600&value=one"));
    let (two, _) = Waiter::placed(addr, "a", "ttl=600&value=two", 1);
    let (nobody, _) = Waiter::placed(addr, "a", "ttl=600", 2);
    let (mut three, third) = Waiter::placed(addr, "a", "ttl=600&value=three", 3);
    drop(two);
    wait_for_values(addr, "a", &["one", "-", "three"]);
    drop(nobody);
    wait_for_values(addr, "a", &["one", "three"]);
    release(addr, "a", "value=one");
    assert_eq!(three.held(), third);
}

#[test]
fn a_client_that_only_stops_sending_has_hung_up() {
    let (_site, server) = Server::start("lock-half");
    let addr = server.addr();
    held(&acquire(addr, "a", "ttl=600&value=one"));
    let (two, _) = Waiter::placed(addr, "a", "ttl=600&value=two", 1);
    two.connection.shutdown_write().unwrap();
    wait_for_values(addr, "a", &["one"]);
}

#[test]
fn a_holder_that_does_not_renew_is_followed_by_the_next() {
    let (_site, server) = Server::start("lock-expiry");
    let addr = server.addr();
    let asked = Instant::now();
    held(&acquire(addr, "a", "ttl=2&value=one"));
    let (mut two, second) = Waiter::placed(addr, "a", "ttl=60&value=two", 1);
    assert_eq!(two.held(), second);
    let waited = asked.elapsed();
    assert!(waited >= Duration::from_secs(2), "two held it after {waited:?}");
    let renewal = ask(addr, &Request::put("/mod/v2/lock/a", "value=one&ttl=5"));
    assert_refused(&renewal, (404, 100, "Key not found", "Renew"));
}

#[test]
fn a_waiting_client_outlives_its_own_ttl() {
    let (_site, server) = Server::start("lock-alive");
    let addr = server.addr();
    held(&acquire(addr, "a", "ttl=60&value=one"));
    let (mut two, second) = Waiter::placed(addr, "a", "ttl=1&value=two", 1);
    // Another client's wait of four seconds is the clock of this test.
    let late = acquire(addr, "a", "ttl=60&value=late&timeout=4");
    assert_eq!(late.status(), 412);
    assert_eq!(queue(addr, "a")[1], (second, "two".to_owned()));
    assert!(two.is_waiting());
    release(addr, "a", "value=one");
    assert_eq!(two.held(), second);
}

#[test]
fn an_entry_that_goes_while_its_client_waits_is_never_a_lock_held() {
    let (_site, server) = Server::start("lock-gone");
    let addr = server.addr();
    held(&acquire(addr, "a", "ttl=600&value=one"));
    let (mut two, second) = Waiter::placed(addr, "a", "ttl=600&value=two", 1);
    let (mut three, third) = Waiter::placed(addr, "a", "ttl=600&value=three", 2);
    release(addr, "a", &format!("index={second}"));
    assert_refused(&two.answer(SOON), (404, 100, "Key not found", ""));
    // An entry whose TTL was cut short expires; it is not refreshed for minutes.
    let cut = ask(addr, &Request::put("/mod/v2/lock/a", &format!("index={third}&ttl=1")));
    assert_eq!(cut.status(), 200);
    assert_refused(&three.answer(SOON), (404, 100, "Key not found", ""));
    assert_eq!(values(addr, "a"), ["one"]);
}

#[test]
fn patience_ends_with_412_and_leaves_nothing_behind() {
    let (_site, server) = Server::start("lock-timeout");
    let addr = server.addr();
    held(&acquire(addr, "a", "ttl=60&value=one&timeout=0"));
    let before = queue(addr, "a");
    let at_once = acquire(addr, "a", "ttl=60&value=two&timeout=0");
    assert_refused(&at_once, (412, 101, "Compare failed", "Acquire: timed out after 0s"));
    assert_eq!(queue(addr, "a"), before);
    let asked = Instant::now();
    let late = acquire(addr, "a", "ttl=60&value=two&timeout=1");
    assert_refused(&late, (412, 101, "Compare failed", "Acquire: timed out after 1s"));
    assert!(asked.elapsed() >= Duration::from_secs(1), "after {:?}", asked.elapsed());
    assert_eq!(queue(addr, "a"), before);
    // Its holder gets it whenever it asks, and who waits for it in time gets it too.
    assert_eq!(held(&acquire(addr, "a", "ttl=60&value=one&timeout=0")), before[0].0);
    let (mut two, second) = Waiter::placed(addr, "a", "ttl=60&value=two&timeout=30", 1);
    release(addr, "a", "value=one");
    assert_eq!(two.held(), second);
}

#[test]
fn patience_without_end_is_written_as_minus_one() {
    let (_site, server) = Server::start("lock-patience");
    let addr = server.addr();
    held(&acquire(addr, "a", "ttl=60&value=one"));
    let (mut two, second) = Waiter::placed(addr, "a", "ttl=60&value=two&timeout=-1", 1);
    assert!(two.is_waiting());
    release(addr, "a", "value=one");
    assert_eq!(two.held(), second);
}

#[test]
fn the_same_value_finds_its_entry_again() {
    let (_site, server) = Server::start("lock-again");
    let addr = server.addr();
    let first = held(&acquire(addr, "a", "ttl=60&value=one"));
    assert_eq!(held(&acquire(addr, "a", "ttl=60&value=one")), first);
    let (two, second) = Waiter::placed(addr, "a", "ttl=600&value=two", 1);
    // One that says nothing of itself is nobody's equal.
    let (_nobody, _) = Waiter::placed(addr, "a", "ttl=60", 2);
    let before = touched(addr, second);
    let mut again = Waiter::post(addr, "a", "ttl=600&value=two");
    wait_until("the second request is in", SOON, || touched(addr, second) > before);
    assert_eq!(values(addr, "a"), ["one", "two", "-"]);
    // The entry stays for the second request when the first goes.
    drop(two);
    let (_third, _) = Waiter::placed(addr, "a", "ttl=60&value=three", 3);
    assert_eq!(values(addr, "a"), ["one", "two", "-", "three"]);
    release(addr, "a", "value=one");
    assert_eq!(again.held(), second);
}

#[test]
fn an_entry_goes_with_the_last_request_for_it() {
    let (_site, server) = Server::start("lock-last");
    let addr = server.addr();
    held(&acquire(addr, "a", "ttl=600&value=one"));
    let (two, second) = Waiter::placed(addr, "a", "ttl=600&value=two", 1);
    let before = touched(addr, second);
    let again = Waiter::post(addr, "a", "ttl=600&value=two");
    wait_until("the second request is in", SOON, || touched(addr, second) > before);
    drop(again);
    drop(two);
    wait_for_values(addr, "a", &["one"]);
}

/// When the entry of a waiting client was last changed.
fn touched(addr: SocketAddr, index: u64) -> u64 {
    let path = format!("/v2/keys/_etcd/mod/lock/a/{index}");
    ask(addr, &Request::get(&path)).json()["node"]["modifiedIndex"].as_u64().unwrap()
}

#[test]
fn both_requests_of_one_client_get_the_lock() {
    let (_site, server) = Server::start("lock-both");
    let addr = server.addr();
    held(&acquire(addr, "a", "ttl=60&value=one"));
    let (mut two, second) = Waiter::placed(addr, "a", "ttl=600&value=two", 1);
    let before = touched(addr, second);
    let mut again = Waiter::post(addr, "a", "ttl=600&value=two");
    wait_until("the second request is in", SOON, || touched(addr, second) > before);
    release(addr, "a", "value=one");
    assert_eq!((two.held(), again.held()), (second, second));
    // One of them hanging up afterwards takes nothing away.
    drop(two);
    assert_eq!(held(&acquire(addr, "a", "ttl=60&value=two&timeout=0")), second);
}

#[test]
fn indexes_only_grow() {
    let (_site, server) = Server::start("lock-token");
    let addr = server.addr();
    let mut last = 0;
    for name in ["a", "b"].iter().cycle().take(20) {
        let index = held(&acquire(addr, name, "ttl=60"));
        assert!(index > last);
        last = index;
        release(addr, name, &format!("index={index}"));
    }
    assert_eq!(queue(addr, "a"), []);
}

#[test]
fn too_many_watchers_send_a_client_away_without_a_trace() {
    let site = Site::new("lock-watchers").flags("-max-watchers=1");
    let server = site.start();
    let addr = server.addr();
    held(&acquire(addr, "a", "ttl=60&value=one"));
    held(&acquire(addr, "b", "ttl=60&value=one"));
    let (_two, _) = Waiter::placed(addr, "a", "ttl=60&value=two", 1);
    // The same lock needs no other watcher.
    let (_three, _) = Waiter::placed(addr, "a", "ttl=60&value=three", 2);
    let answer = acquire(addr, "b", "ttl=60&value=two");
    assert_eq!((answer.status(), super::refusal(&answer).1), (503, 300));
    wait_for_values(addr, "b", &["one"]);
    assert_eq!(values(addr, "a"), ["one", "two", "three"]);
}
