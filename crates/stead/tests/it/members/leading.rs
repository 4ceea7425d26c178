//! `/v2/admin/leader`: leadership that is handed over on request.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{LIMIT, Trio};
use crate::testkit::http::send;
use crate::testkit::{Request, Response, Server, ask, wait_until};

fn put(addr: SocketAddr, body: &str) -> Response {
    ask(addr, &Request::new("PUT", "/v2/admin/leader").body(body.as_bytes()))
}

fn cause(answer: &Response) -> String {
    assert_eq!(answer.json()["errorCode"], 300, "{}", answer.text());
    answer.json()["cause"].as_str().expect("text").to_owned()
}

fn named(name: &str) -> String {
    format!("{{\"name\":\"{name}\"}}")
}

/// The name of the machine at a place.
fn name(at: usize) -> String {
    format!("n{}", at + 1)
}

#[test]
fn the_member_that_is_named_leads_when_the_answer_comes() {
    let trio = Trio::start("leading");
    let leader = trio.leader().expect("there is one");
    let (next, third) = ((leader + 1) % 3, (leader + 2) % 3);
    let addr = trio.servers[leader].v2_addr();
    let answer = put(addr, &named(&name(next)));
    assert_eq!((answer.status(), &answer.json()["name"]), (200, &name(next).into()));
    let shown = ask(addr, &Request::get("/v2/members/leader"));
    assert_eq!(shown.text(), answer.text(), "as the members API shows it in this dialect");
    wait_until("it knows that it leads", LIMIT, || trio.leader() == Some(next));
    let log = trio.servers[leader].log_text();
    let to = name(next);
    for line in [
        format!("handing over leadership: to {to}, as an administrator asked"),
        format!("since an administrator had it handed over to {to}"),
    ] {
        wait_until(&line, LIMIT, || trio.servers[leader].log_text().contains(&line));
    }
    assert!(!log.contains("no majority answered"), "{log}");

    // By its id, and to itself: then there is nothing to be done.
    let id = answer.json()["id"].as_str().expect("text").to_owned();
    let itself = put(trio.servers[next].addr(), &format!("{{\"id\":\"{id}\"}}"));
    assert_eq!((itself.status(), &itself.json()["id"]), (200, &id.into()));
    assert_eq!(trio.leader(), Some(next));
    // A follower sends its clients to the leader, at either port.
    let sent_on = put(trio.servers[third].addr(), "{}");
    let place = format!("http://{}/v2/admin/leader", trio.servers[next].addr());
    assert_eq!((sent_on.status(), sent_on.head.header("Location")), (307, Some(place)));
    let at_peers = trio.servers[third].peer_url();
    let at_peers: SocketAddr = at_peers.trim_start_matches("http://").parse().expect("a place");
    let place = format!("{}/v2/admin/leader", trio.servers[next].peer_url());
    assert_eq!(put(at_peers, "").head.header("Location"), Some(place));
    // To anybody.
    for body in ["", "{}"] {
        let at = trio.leader().expect("there is one");
        let answer = put(trio.servers[at].addr(), body);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_ne!(answer.json()["name"], name(at));
        wait_until("another one leads", LIMIT, || trio.leader().is_some_and(|now| now != at));
    }
}

#[test]
fn what_cannot_be_is_refused_and_nothing_happens() {
    let mut trio = Trio::start("not-leading");
    let leader = trio.leader().expect("there is one");
    let addr = trio.servers[leader].addr();
    for (body, status, want) in [
        ("{\"name\":\"nobody\"}", 404, "/_etcd/machines/nobody"),
        ("{\"id\":\"12345\"}", 404, "/_etcd/machines/12345"),
        ("{\"id\":\"x\"}", 404, "/_etcd/machines/x"),
        ("{\"id\":\"1\",\"name\":\"n1\"}", 400, "not both"),
        (
            "{\"nmae\":\"n1\"}",
            400,
            "the body is not {\\\"id\\\":ID} or {\\\"name\\\":NAME}: unknown",
        ),
        ("[]x", 400, "the body is not"),
        ("name=n1", 400, "the body is not"),
        ("\u{0}", 400, "the body is not"),
    ] {
        let answer = put(addr, body);
        assert_eq!(answer.status(), status, "{body}: {}", answer.text());
        assert!(answer.text().contains(want), "{body}: {}", answer.text());
    }
    let form = Request::put("/v2/admin/leader", "{}").header("Origin", &format!("http://{addr}"));
    assert_eq!(ask(addr, &form).status(), 415, "a page has to say what it sends");
    assert_eq!(ask(addr, &Request::get("/v2/admin/leader")).status(), 405);
    assert_eq!(trio.leader(), Some(leader));

    // One that is dead; for a moment that is not known.
    let gone = (leader + 1) % 3;
    let body = named(&name(gone));
    trio.servers.remove(gone).kill();
    wait_until("it is missed", LIMIT, || put(addr, &body).status() == 409);
    let refused = cause(&put(addr, &body));
    assert_eq!(
        refused,
        format!("{} is not heard, so it cannot lead; nothing was done", name(gone))
    );
    assert_eq!(ask(addr, &Request::put("/v2/keys/a", "value=1")).status(), 201);
    let (_site, alone) = Server::start("leading-alone");
    let refused = cause(&put(alone.addr(), "{}"));
    assert_eq!(refused, "no other voting member is heard: nobody could lead; nothing was done");
}

/// Eight clients hand the leadership around at the same time, while others write.
#[test]
fn any_number_of_requests_leaves_the_cluster_as_it_was() {
    const EACH: usize = 30;
    let trio = Trio::start("leading-many");
    let addrs: Vec<SocketAddr> = trio.servers.iter().map(Server::addr).collect();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut written = 0;
            while !is_over.load(Ordering::Relaxed) {
                let put = Request::put("/v2/keys/w", &format!("value={written}"));
                let answer = send(addrs[written % 3], &put).expect("it answers");
                assert!(answer.status() < 300, "{}", answer.text());
                written += 1;
            }
            written
        });
        let movers: Vec<_> = (0..8)
            .map(|number: usize| {
                let addrs = &addrs;
                scope.spawn(move || {
                    let mut moved = 0;
                    for at in 0..EACH {
                        let body = named(&name((number + at) % 3));
                        let answer = put(addrs[at % 3], &body);
                        let status = answer.status();
                        let is_known = matches!(status, 200 | 307 | 409 | 500 | 503);
                        assert!(is_known, "{status}: {}", answer.text());
                        moved += usize::from(status == 200);
                    }
                    moved
                })
            })
            .collect();
        let moved: usize = movers.into_iter().map(|one| one.join().expect("it asked")).sum();
        is_over.store(true, Ordering::Relaxed);
        assert!(moved > 0, "none was carried out");
        assert!(writer.join().expect("it wrote") > 0);
    });
    wait_until("there is a leader, and all follow it", LIMIT, || {
        let leads = |addr: &SocketAddr| ask(*addr, &Request::get("/v2/members/leader"));
        let leaders: Vec<Response> = addrs.iter().map(leads).collect();
        leaders.iter().all(|one| one.status() == 200 && one.text() == leaders[0].text())
    });
    assert_eq!(ask(addrs[0], &Request::get("/v2/keys/w?quorum=true")).status(), 200);
}
