//! What the API's document says of both modules, and what 0.3.0 answered: requests as typed, answers
//! to the byte.

use std::net::SocketAddr;

use super::{SOON, Waiter, acquire, assert_refused, held, queue, release};
use crate::testkit::{Connection, Request, Response, Server, Site, ask};

const LOCK: &str = "/mod/v2/lock/mylock";
const LEADER: &str = "/mod/v2/leader/myclustername";

const NO_TTL: &str = "The given TTL in POST form is not a number";

/// `curl -L URL -X METHOD -d FORM`.
fn curl(addr: SocketAddr, method: &str, path: &str, form: &str) -> Response {
    let request = Request::new(method, path).header("Accept", "*/*");
    ask(addr, &if form.is_empty() { request } else { request.form(form) })
}

fn assert_text(answer: &Response, want: &str) {
    let kind = answer.head.header("Content-Type");
    assert_eq!(kind.as_deref(), Some("text/plain; charset=utf-8"));
    assert_eq!((answer.status(), answer.text().as_str()), (200, want));
}

#[test]
fn the_lock_module_answers_as_the_document_says() {
    let (_site, server) = Server::start("lock-document");
    let addr = server.addr();
    assert_text(&curl(addr, "POST", LOCK, "ttl=20"), "2");
    for (form, code, message) in [
        ("", 202, NO_TTL),
        ("ttl=abc", 202, NO_TTL),
        ("ttl=20&timeout=abc", 205, "The given timeout in POST form is not a number"),
        ("timeout=abc", 205, "The given timeout in POST form is not a number"),
    ] {
        assert_refused(&curl(addr, "POST", LOCK, form), (400, code, message, "Acquire"));
    }
    // Renewing.
    assert_text(&curl(addr, "PUT", LOCK, "index=2&ttl=20"), "");
    let required = "Index or value is required";
    assert_refused(&curl(addr, "PUT", LOCK, "ttl=20"), (400, 207, required, "Renew"));
    assert_refused(&curl(addr, "PUT", LOCK, "index=2"), (400, 202, NO_TTL, "Renew"));
    let unknown = curl(addr, "PUT", LOCK, "index=5&ttl=20");
    assert_eq!(unknown.status(), 404);
    let body = "{\"errorCode\":100,\"message\":\"Key not found\",\"index\":3}\n";
    assert_eq!(unknown.text(), body, "the document's, with this store's index");
    let unknown = curl(addr, "PUT", LOCK, "value=zzz&ttl=20");
    assert_refused(&unknown, (404, 100, "Key not found", "Renew"));
    // Retrieving.
    assert_text(&curl(addr, "GET", &format!("{LOCK}?field=index"), ""), "2");
    assert_text(&curl(addr, "GET", LOCK, ""), "-");
    let bogus = curl(addr, "GET", &format!("{LOCK}?field=bogus"), "");
    assert_refused(&bogus, (400, 209, "Invalid field", "Get"));
    // Releasing.
    assert_refused(&curl(addr, "DELETE", LOCK, ""), (400, 207, required, "Release"));
    let both = curl(addr, "DELETE", &format!("{LOCK}?index=1&value=2"), "");
    let message = "Index and value cannot both be specified";
    assert_refused(&both, (400, 208, message, "Release"));
    let unknown = curl(addr, "DELETE", &format!("{LOCK}?index=5"), "");
    assert_refused(&unknown, (404, 100, "Key not found", ""));
    let unknown = curl(addr, "DELETE", &format!("{LOCK}?value=zzz"), "");
    assert_refused(&unknown, (404, 100, "Key not found", "Release"));
    assert_text(&curl(addr, "DELETE", &format!("{LOCK}?index=2"), ""), "");
    assert_text(&curl(addr, "GET", LOCK, ""), "");
    // Nobody holds it, which is said before the field is looked at.
    assert_text(&curl(addr, "GET", &format!("{LOCK}?field=bogus"), ""), "");
    let never = curl(addr, "GET", "/mod/v2/lock/never", "");
    assert_refused(&never, (404, 100, "Key not found", ""));
}

#[test]
fn the_leader_module_answers_as_the_document_says() {
    let (_site, server) = Server::start("leader-document");
    let addr = server.addr();
    let name = "foo.mydomain.com";
    assert_text(&curl(addr, "PUT", LEADER, &format!("ttl=300&name={name}")), "2");
    assert_text(&curl(addr, "GET", LEADER, ""), name);
    assert_text(&curl(addr, "PUT", LEADER, &format!("ttl=300&name={name}")), "2");
    let required = "Name is required in POST form";
    assert_refused(&curl(addr, "PUT", LEADER, "ttl=5"), (400, 206, required, "Set"));
    assert_refused(&curl(addr, "PUT", LEADER, "name=x"), (400, 202, NO_TTL, "Acquire"));
    assert_refused(&curl(addr, "DELETE", LEADER, ""), (400, 206, required, "Delete"));
    let nobody = curl(addr, "DELETE", &format!("{LEADER}?name=nobody"), "");
    assert_refused(&nobody, (404, 100, "Key not found", "Release"));
    // The next one waits until the first gives up. Both modules see the same queue.
    let mut bar = Waiter::put(addr, "myclustername", "ttl=300&name=bar");
    let index = super::wait_for_place(addr, "myclustername", 1);
    assert!(bar.is_waiting());
    assert_text(&curl(addr, "DELETE", &format!("{LEADER}?name={name}"), ""), "");
    assert_eq!(bar.held(), index);
    assert_text(&curl(addr, "GET", "/mod/v2/lock/myclustername", ""), "bar");
    // A timeout is named after the seconds that were waited.
    let late = curl(addr, "PUT", LEADER, "ttl=300&name=late&timeout=0");
    assert_refused(&late, (412, 101, "Compare failed", "Acquire: timed out after 0s"));
}

#[test]
fn parameters_stand_in_the_body_or_in_the_query() {
    let (_site, server) = Server::start("lock-parameters");
    let addr = server.addr();
    let by_query = curl(addr, "POST", &format!("{LOCK}?ttl=20&value=q"), "");
    let index = held(&by_query);
    assert_text(&curl(addr, "GET", LOCK, ""), "q");
    // The body goes first, and DELETE has none.
    assert_text(&curl(addr, "PUT", &format!("{LOCK}?ttl=x"), "ttl=30&value=q"), "");
    assert_eq!(curl(addr, "DELETE", LOCK, "value=q").status(), 400);
    assert_text(&curl(addr, "PUT", LOCK, &format!("ttl=30&index={index}&value=w")), "");
    assert_text(&curl(addr, "GET", LOCK, ""), "w");
    for ttl in ["0", "-1", "9223372037", "1e3", "99999999999999999999"] {
        let answer = acquire(addr, "mylock", &format!("ttl={ttl}"));
        assert_refused(&answer, (400, 202, NO_TTL, "Acquire"));
    }
    let broken = acquire(addr, "mylock", "ttl=%zz");
    assert_eq!(super::refusal(&broken).1, 210);
}

#[test]
fn any_name_is_a_lock_of_its_own() {
    let (_site, server) = Server::start("lock-names");
    let addr = server.addr();
    let mut last = 0;
    for name in ["a", "a/b", "a/b/c", "_hidden", "with%20blank", "%C3%A4", "12", "a/12"] {
        let index = held(&acquire(addr, name, "ttl=60&value=me"));
        assert!(index > last, "{name}");
        last = index;
        assert_text(&curl(addr, "GET", &format!("/mod/v2/lock/{name}"), ""), "me");
    }
    release(addr, "a/b", "value=me");
    assert_text(&curl(addr, "GET", "/mod/v2/lock/a/b/", ""), "");
    assert_eq!(queue(addr, "a/b/c").len(), 1);
    let deep = format!("/mod/v2/lock{}", "/d".repeat(1000));
    let answer = curl(addr, "POST", &deep, "ttl=20");
    assert_eq!(super::refusal(&answer).1, 209, "{}", answer.text());
    let long = "x".repeat(60_000);
    held(&acquire(addr, "long", &format!("ttl=20&value={long}")));
    assert_text(&curl(addr, "GET", "/mod/v2/lock/long", ""), &long);
    // Clients cannot write there by themselves.
    let write = curl(addr, "PUT", "/v2/keys/_etcd/mod/lock/a/1", "value=me");
    assert_eq!((write.status(), super::refusal(&write).1), (400, 106));
}

#[test]
fn methods_that_a_module_lacks_are_refused() {
    let (_site, server) = Server::start("lock-methods");
    let addr = server.addr();
    held(&acquire(addr, "mylock", "ttl=20&value=me"));
    for (method, path, status) in [
        ("PATCH", LOCK, 405),
        ("POST", LEADER, 405),
        ("HEAD", LOCK, 200),
        ("GET", "/mod/v2/lock", 404),
        ("GET", "/mod/v2/lock/", 404),
        ("GET", "/mod/v2/leader/", 404),
        ("GET", "/mod/v2/other/a", 404),
    ] {
        assert_eq!(curl(addr, method, path, "").status(), status, "{method} {path}");
    }
}

#[test]
fn both_ports_serve_them_and_a_flag_turns_them_off() {
    let site = Site::new("lock-flag").with_v2();
    let server = site.start();
    let index = held(&acquire(server.v2_addr(), "mylock", "ttl=60&value=me"));
    assert_text(
        &curl(server.addr(), "GET", &format!("{LOCK}?field=index"), ""),
        &index.to_string(),
    );
    server.terminate();
    let site = site.flags("-modules=off");
    let server = site.start();
    for (method, path) in
        [("POST", LOCK), ("GET", LOCK), ("PUT", LOCK), ("DELETE", LOCK), ("PUT", LEADER)]
    {
        let answer = curl(server.addr(), method, path, "ttl=20&name=a");
        assert_eq!((answer.status(), answer.text().as_str()), (404, "404 page not found\n"));
    }
    // What is there stays there.
    assert_eq!(queue(server.addr(), "mylock"), [(index, "me".to_owned())]);
}

#[test]
fn what_is_sent_ahead_is_answered_after_the_wait() {
    let (_site, server) = Server::start("lock-ahead");
    let addr = server.addr();
    let first = held(&acquire(addr, "mylock", "ttl=60"));
    let mut connection = Connection::open(addr).unwrap();
    connection.send(&Request::post(LOCK, "ttl=60")).unwrap();
    connection.send(&Request::get(&format!("{LOCK}?field=index"))).unwrap();
    let second = super::wait_for_place(addr, "mylock", 1);
    release(addr, "mylock", &format!("index={first}"));
    connection.within(SOON);
    assert_eq!(held(&connection.response("POST").unwrap()), second);
    assert_text(&connection.response("GET").unwrap(), &second.to_string());
}
