//! Bytes that are no request, or not quite one.

use super::{REACTION, exists, react, read_answers};
use crate::testkit::bystander::Bystander;
use crate::testkit::{Connection, Random, Request, Server, ask};

/// Not HTTP at all, or HTTP that breaks off. No answer may be a success.
const BROKEN: [&[u8]; 26] = [
    b"\0",
    b"\r\n",
    b"\r\n\r\n\r\n\r\n",
    b"\n\n\n\n",
    b" ",
    b"G",
    b"GET",
    b"GET ",
    b"GET /v2/keys/",
    b"GET /v2/keys/ HTTP/1.1",
    b"GET /v2/keys/ HTTP/1.1\r\n",
    b"GET /v2/keys/ HTTP/1.1\r\nHost: a",
    b"GET /v2/keys/ HTTP/1.1\r\nHost: a\r\n",
    b"GET /v2/keys/ HTTP/9.9\r\nHost: a\r\n\r\n",
    b"GET /v2/keys/ HTTP/1.1\r\nHost\r\n\r\n",
    b"GET /v2/keys/ HTTP/1.1\r\n: a\r\n\r\n",
    b"GET /v2/keys/ HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET /v2/keys/ HTTP/1.1\r\nHo\0st: a\r\n\r\n",
    b"GET /v2/keys/\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /v2/keys/ /v2/keys/ HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET\t/v2/keys/ HTTP/1.1\r\nHost: a\r\n\r\n",
    b"G@T{} /v2/keys/ HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"* * *\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
];

/// Requests whose length can be read in two ways. Each hides a second request that must not be
/// carried out; `X` stands for it.
const SMUGGLING: [&str; 22] = [
    "PUT /v2/keys/outer HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
    "PUT /v2/keys/outer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nX",
    "PUT /v2/keys/outer HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nX",
    "PUT /v2/keys/outer HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 5\r\n\r\nX",
    "PUT /v2/keys/outer HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nX",
    "PUT /v2/keys/outer HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\nX",
    "PUT /v2/keys/outer HTTP/1.1\r\nHost: a\r\nContent-Length: 0x0\r\n\r\nX",
    "PUT /v2/keys/outer HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\nX",
    "PUT /v2/keys/outer HTTP/1.1\r\nHost: a\r\nContent-Length: 0 0\r\n\r\nX",
    "PUT /v2/keys/outer HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nX",
    "PUT /v2/keys/outer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\nX",
    "PUT /v2/keys/outer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\nX",
    "PUT /v2/keys/outer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\nX",
    "PUT /v2/keys/outer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\nX",
    "PUT /v2/keys/outer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\nX",
    "PUT /v2/keys/outer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\nX",
    "PUT /v2/keys/outer HTTP/1.1\r\nHost: a\r\nX-A: b\r\n Content-Length: 0\r\n\r\nX",
    "PUT /v2/keys/outer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\nX",
    "PUT /v2/keys/outer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x0\r\n\r\nX",
    "PUT /v2/keys/outer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\nX",
    "PUT /v2/keys/outer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\r\n0\r\n\r\nX",
    "PUT /v2/keys/outer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\nX",
];

const HIDDEN: &str =
    "PUT /v2/keys/smuggled?value=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";

#[test]
fn broken_requests_are_refused_or_cut() {
    let (_site, mut server) = Server::start("broken");
    let bystander = Bystander::start(server.addr());
    for bytes in BROKEN {
        let reaction = react(server.addr(), bytes);
        let shown = String::from_utf8_lossy(bytes);
        assert!(reaction.is_closed, "{shown:?}: {reaction:?}");
        let statuses = reaction.statuses();
        assert!(statuses.len() <= 1, "{shown:?}: {statuses:?}");
        assert!(statuses.iter().all(|s| (400..600).contains(s)), "{shown:?}: {statuses:?}");
    }
    bystander.finish();
    assert!(server.is_running());
}

#[test]
fn garbage_is_survived() {
    let mut random = Random::from_env("STEAD_GARBAGE_SEED");
    let (_site, mut server) = Server::start("garbage");
    let bystander = Bystander::start(server.addr());
    let whole = Request::put("/v2/keys/g/a?ttl=5", "value=1&dir=false").to_bytes(server.addr());
    for round in 0..300 {
        let len = usize::try_from(random.below(2000)).unwrap();
        let mut bytes = random.bytes(len);
        if round % 3 > 0 {
            // A request with some bytes changed reaches deeper than pure noise.
            bytes = whole.clone();
            for _ in 0..=random.below(4) {
                let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
                bytes[at] = random.bytes(1)[0];
            }
        }
        let reaction = react(server.addr(), &bytes);
        assert!(reaction.is_closed, "{bytes:?}: {reaction:?}");
    }
    bystander.finish();
    assert!(server.is_running());
}

#[test]
fn ambiguous_framing_hides_no_request() {
    let (_site, mut server) = Server::start("smuggling");
    for shape in SMUGGLING {
        let reaction = react(server.addr(), shape.replace('X', HIDDEN).as_bytes());
        let statuses = reaction.statuses();
        assert!(reaction.is_closed, "{shape:?}: {statuses:?}");
        assert_eq!(statuses.len(), 1, "{shape:?}: {statuses:?}");
        assert!((400..600).contains(&statuses[0]), "{shape:?}: {statuses:?}");
    }
    for key in ["/smuggled", "/outer"] {
        assert!(!exists(server.addr(), key), "{key} was written");
    }
    assert!(server.is_running());
}

#[test]
fn good_requests_before_garbage_are_answered() {
    let (_site, mut server) = Server::start("pipelined");
    let good = Request::put("/v2/keys/good", "value=1").to_bytes(server.addr());
    let mut bytes = [good.as_slice(), good.as_slice()].concat();
    bytes.extend_from_slice(b"\x01\x02 nonsense\r\n\r\n");
    bytes.extend_from_slice(&Request::put("/v2/keys/late", "value=1").to_bytes(server.addr()));
    let mut connection = Connection::open(server.addr()).unwrap();
    connection.write(&bytes).unwrap();
    let reaction = read_answers(&mut connection, "GET");
    assert_eq!(reaction.statuses(), [201, 200, 400], "{reaction:?}");
    assert!(reaction.is_closed);
    assert!(!exists(server.addr(), "/late"), "what follows garbage must not be believed");
    assert!(server.is_running());
}

#[test]
fn a_client_that_has_said_everything_is_answered_in_full() {
    let (_site, mut server) = Server::start("half-closed");
    let addr = server.addr();
    let mut bytes = Request::put("/v2/keys/a", "value=1").to_bytes(addr);
    bytes.extend(Request::put("/v2/keys/a", "value=2").to_bytes(addr));
    bytes.extend(Request::get("/v2/keys/a").to_bytes(addr));
    bytes.extend(Request::get("/v2/keys/none").to_bytes(addr));
    // It closes its own direction right away, as a pipe from a file does.
    let reaction = react(addr, &bytes);
    assert_eq!(reaction.statuses(), [201, 200, 200, 404], "{reaction:?}");
    assert!(reaction.is_closed);
    assert!(server.is_running());
}

#[test]
fn a_body_that_breaks_off_writes_nothing() {
    let (_site, mut server) = Server::start("truncated");
    let head = "PUT /v2/keys/half HTTP/1.1\r\nHost: a\r\n\
        Content-Type: application/x-www-form-urlencoded\r\n";
    let bodies = [
        "Content-Length: 20\r\n\r\nvalue=1",
        "Transfer-Encoding: chunked\r\n\r\n7\r\nvalue=1\r\n",
        "Transfer-Encoding: chunked\r\n\r\n7\r\nvalue=1\r\n0\r\n",
        "Transfer-Encoding: chunked\r\n\r\n7\r\nvalue",
        "Transfer-Encoding: chunked\r\n\r\n7",
        "Transfer-Encoding: chunked\r\n\r\n",
        "Expect: 100-continue\r\nContent-Length: 7\r\n\r\n",
    ];
    for body in bodies {
        let reaction = react(server.addr(), format!("{head}{body}").as_bytes());
        let statuses = reaction.statuses();
        assert!(reaction.is_closed, "{body:?}: {reaction:?}");
        assert!(statuses.iter().all(|s| *s >= 400), "{body:?}: {statuses:?}");
    }
    assert!(!exists(server.addr(), "/half"));
    assert!(server.is_running());
}

#[test]
fn a_head_without_end_is_refused() {
    let (_site, mut server) = Server::start("heads");
    let bystander = Bystander::start(server.addr());
    let line = format!("GET /v2/keys/{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(1 << 20));
    let header = format!("GET / HTTP/1.1\r\nHost: a\r\nX-A: {}\r\n\r\n", "a".repeat(1 << 20));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-A: b\r\n".repeat(20_000));
    for (bytes, wanted) in [(line, 414), (header, 431), (many, 431)] {
        let reaction = react(server.addr(), bytes.as_bytes());
        assert!(reaction.is_closed);
        // A reset may overtake the answer, since the server stops reading.
        let statuses = reaction.statuses();
        assert!(statuses.is_empty() || statuses == [wanted], "{statuses:?}, wanted {wanted}");
    }
    bystander.finish();
    assert!(server.is_running());
}

#[test]
fn a_head_too_long_is_told_so() {
    let (_site, server) = Server::start("head-limit");
    // Just above the limits, so that the whole request fits into the buffers on the way and the
    // answer cannot be lost.
    let line = format!("GET /v2/keys/{} HTTP/1.1\r\n", "a".repeat(66 << 10));
    let head = "GET /v2/keys/ HTTP/1.1\r\nHost: a\r\n".to_owned();
    let header = format!("{head}X-A: {}\r\n", "a".repeat(130 << 10));
    for (bytes, wanted) in [(line, 414), (header, 431)] {
        let mut connection = Connection::open(server.addr()).unwrap();
        connection.write(bytes.as_bytes()).unwrap();
        connection.within(REACTION);
        let reaction = read_answers(&mut connection, "GET");
        assert_eq!(reaction.statuses(), [wanted]);
        let (_, body) = &reaction.answers[0];
        let json: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert!(json["message"].is_string(), "{json}");
    }
    // A header just below the limit is fine.
    let padded = Request::get("/v2/keys/").header("X-A", &"a".repeat(100 << 10));
    assert_eq!(ask(server.addr(), &padded).status(), 200);
}
