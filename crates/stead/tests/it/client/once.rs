//! Fail-over: a read goes on, a write is never sent twice.

use super::kit::{Fake, answer, good, run};
use crate::testkit::{Server, port};

const NOT_DONE: &str = r#"{"errorCode":300,"message":"Raft Internal Error","cause":"no leader is known; nothing was done, try again","index":7}"#;
const UNKNOWN: &str = r#"{"errorCode":300,"message":"Raft Internal Error","cause":"request timed out; its outcome is unknown","index":7}"#;

/// Endpoints, the first of which misbehaves.
fn both(fake: &Fake, server: &Server) -> String {
    format!("{},{}", fake.url, server.url())
}

#[test]
fn a_write_whose_connection_is_lost_is_sent_once_and_reported() {
    let (_site, server) = Server::start("client-once");
    for args in [
        &["set", "/a", "1"][..],
        &["mk", "/a", "1"],
        &["mk", "--in-order", "/a", "1"],
        &["update", "/a", "1"],
        &["rm", "/a"],
        &["mkdir", "/a"],
    ] {
        let fake = Fake::start(Vec::new());
        let lost = run(&both(&fake, &server), args);
        assert_eq!((lost.code, lost.out.as_str()), (6, ""), "{args:?}: {lost:?}");
        assert!(lost.err.contains("whether it was done is not known"), "{lost:?}");
        assert!(lost.err.contains("\nNext: find out with: stead "), "{lost:?}");
        assert_eq!(fake.requests().len(), 1, "{args:?}: {:?}", fake.requests());
        assert_eq!(run(&server.url(), &["ls", "/a"]).code, 4, "{args:?}: the other one has none");
    }
    let fake = Fake::start(Vec::new());
    let lost = run(&both(&fake, &server), &["set", "/a", "1", "-o", "json"]);
    assert!(lost.code == 6 && lost.err.contains(r#""kind":"unknown""#), "{lost:?}");
}

#[test]
fn a_write_goes_on_only_if_nothing_was_done() {
    let (_site, server) = Server::start("client-on");
    let unused = format!("127.0.0.1:{},{}", port::free(), server.url());
    assert_eq!(good(&unused, &["set", "/refused", "1"]), "1\n");

    let fake = Fake::start(vec![answer(500, "", NOT_DONE)]);
    assert_eq!(good(&both(&fake, &server), &["mk", "--in-order", "/q", "1"]).lines().count(), 1);
    assert_eq!(good(&server.url(), &["ls", "/q"]).lines().count(), 1);

    for body in [UNKNOWN, "", "<html>bad gateway</html>"] {
        let fake = Fake::start(vec![answer(502, "", body)]);
        let unknown = run(&both(&fake, &server), &["set", "/unknown", "1"]);
        assert_eq!(unknown.code, 6, "{unknown:?}");
        assert_eq!(fake.requests().len(), 1);
        assert_eq!(run(&server.url(), &["get", "/unknown"]).code, 4);
    }
}

#[test]
fn a_read_goes_on_whatever_happened() {
    let (_site, server) = Server::start("client-read");
    good(&server.url(), &["set", "/a", "1"]);
    for first in [String::new(), answer(500, "", UNKNOWN), answer(503, "", "busy")] {
        let fake = Fake::start(vec![first]);
        assert_eq!(good(&both(&fake, &server), &["get", "/a"]), "1\n");
        assert_eq!(fake.requests().len(), 1);
    }
}

#[test]
fn an_answer_that_does_not_come_ends_with_the_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let silent = listener.local_addr().expect("it is bound").to_string();
    let (_site, server) = Server::start("client-silent");
    let begun = std::time::Instant::now();
    let lost = run(&silent, &["set", "/a", "1", "--timeout", "300ms"]);
    assert!(lost.code == 6 && lost.err.contains("no answer in time"), "{lost:?}");
    let none = run(&silent, &["get", "/a", "--timeout", "300ms"]);
    assert!(none.code == 2 && none.err.contains("no answer in time"), "{none:?}");
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    good(&server.url(), &["set", "/a", "1"]);
    let both = format!("{silent},{}", server.url());
    assert_eq!(good(&both, &["get", "/a", "--timeout", "10s"]), "1\n");
}

#[test]
fn redirects_are_followed_with_everything_to_known_hosts_only() {
    let (_site, server) = Server::start("client-redirect");
    let to = |url: &str| answer(307, &format!("Location: {url}/v2/keys/a\r\n"), "");
    // It was named as well.
    let fake = Fake::start(vec![to(&server.url())]);
    let endpoints = both(&fake, &server);
    assert_eq!(good(&endpoints, &["set", "/a", "b", "-u", "ann:pw"]), "b\n");
    assert!(fake.requests()[0].to_lowercase().contains("authorization: basic"));
    // The cluster lists it.
    let listed = answer(200, "", &format!("{}, http://127.0.0.1:1", server.url()));
    let fake = Fake::start(vec![to(&server.url()), listed]);
    assert_eq!(good(&fake.url, &["set", "/a", "c"]), "c\n");
    // A stranger gets nothing, and least of all the password.
    let stranger = Fake::start(vec![answer(200, "", "{}")]);
    let fake = Fake::start(vec![to(&stranger.url), answer(200, "", &server.url())]);
    let refused = run(&fake.url, &["set", "/a", "d", "-u", "ann:pw"]);
    assert!(refused.code == 1 && refused.err.contains("neither named nor listed"), "{refused:?}");
    assert!(stranger.requests().is_empty());
    // Nobody is sent round in circles.
    let fake = Fake::start(Vec::new());
    let round: Vec<String> = (0..9).map(|_| to("http://127.0.0.1:9")).collect();
    let circle = Fake::start(round);
    drop(fake);
    let own = circle.url.clone();
    let circle = Fake::start((0..9).map(|_| to(&own)).collect());
    let first = run(&format!("{},{own}", circle.url), &["get", "/a", "--timeout", "2s"]);
    assert_ne!(first.code, 0, "{first:?}");
}

#[test]
fn answers_that_are_none_are_refused() {
    for body in ["", "{}", "[1,2]", "<html>", "{\"action\":\"get\",\"node\":{\"key\":5}}"] {
        let fake = Fake::start(vec![answer(200, "", body)]);
        let refused = run(&fake.url, &["get", "/a"]);
        assert!(refused.code == 1 && refused.err.contains("not one of the v2 API"), "{refused:?}");
    }
    let deep = format!("{{\"action\":\"get\",\"node\":{}", "{\"nodes\":[".repeat(200_000));
    let fake = Fake::start(vec![answer(200, "", &deep)]);
    let refused = run(&fake.url, &["tree"]);
    assert!(refused.code == 1 && refused.err.contains("too deep"), "{refused:?}");
}
