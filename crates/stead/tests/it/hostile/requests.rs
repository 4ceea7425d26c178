//! Requests in good form that ask for too much or for nonsense.

use super::{exists, react};
use crate::testkit::bystander::Bystander;
use crate::testkit::{Request, Server, ask, send};

#[test]
fn deep_and_odd_paths_get_definite_answers() {
    let (_site, mut server) = Server::start("paths");
    let bystander = Bystander::start(server.addr());
    let addr = server.addr();
    let deep = format!("/v2/keys{}", "/a".repeat(20_000));
    let dotted = format!("/v2/keys/{}b", "../".repeat(10_000));
    let slashes = format!("/v2/keys/{}b", "/".repeat(30_000));
    let escaped = format!("/v2/keys/{}", "%2f".repeat(15_000));
    for path in [deep, dotted, slashes, escaped] {
        let answer = ask(addr, &Request::put(&path, "value=1"));
        let status = answer.status();
        assert!(matches!(status, 301 | 400 | 404 | 414), "{}: {status}", &path[..40]);
    }
    // As deep as is allowed must also be listed, watched and deleted.
    let allowed = format!("/v2/keys/d{}", "/a".repeat(60));
    assert_eq!(ask(addr, &Request::put(&allowed, "value=1")).status(), 201);
    let listing = ask(addr, &Request::get("/v2/keys/d?recursive=true"));
    assert_eq!(listing.text().matches("\"nodes\"").count(), 60);
    assert_eq!(ask(addr, &Request::delete("/v2/keys/d?recursive=true")).status(), 200);
    bystander.finish();
    assert!(server.is_running());
}

#[test]
fn bad_encodings_get_definite_answers() {
    let (_site, mut server) = Server::start("encodings");
    let addr = server.addr();
    for path in ["%", "%z", "%zz", "%0", "a%2", "a%%20", "%G0", "a%u1234"] {
        let answer = ask(addr, &Request::put(&format!("/v2/keys/{path}"), "value=1"));
        assert_eq!(answer.status(), 400, "{path}: {answer:?}");
    }
    for (path, stored) in [
        ("%00", "\"/\\u0000\""),
        ("%ff%fe", "\"/\u{fffd}\u{fffd}\""),
        ("%c0%af", "\"/\u{fffd}\u{fffd}\""),
        ("%ed%a0%80", "\"/\u{fffd}\u{fffd}\u{fffd}\""),
        ("a%20b", "\"/a b\""),
        ("%E4%BD%A0", "\"/\u{4f60}\""),
    ] {
        let answer = ask(addr, &Request::put(&format!("/v2/keys/{path}"), "value=1"));
        assert!(matches!(answer.status(), 200 | 201), "{path}: {answer:?}");
        assert!(answer.text().contains(stored), "{path}: {}", answer.text());
    }
    for form in ["value=%", "value=%zz", "%zz=1", "value=%f", "value=1&ttl=%"] {
        let answer = ask(addr, &Request::put("/v2/keys/form", form));
        assert_eq!((answer.status(), &answer.json()["errorCode"]), (400, &210.into()), "{form}");
    }
    assert!(!exists(addr, "/form"));
    // Bytes above 127 in the request line are no HTTP.
    let reaction = react(addr, b"GET /v2/keys/\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(reaction.statuses().iter().all(|s| (200..500).contains(s)), "{reaction:?}");
    assert!(server.is_running());
}

#[test]
fn forms_of_many_fields_and_wild_numbers_get_definite_answers() {
    let (_site, mut server) = Server::start("forms");
    let bystander = Bystander::start(server.addr());
    let addr = server.addr();
    let many = format!("value=1{}", "&a=b".repeat(200_000));
    let repeated = "value=1&".repeat(200_000);
    let separators = "&".repeat(1_000_000);
    for form in [many, repeated, separators] {
        let status = ask(addr, &Request::put("/v2/keys/many", &form)).status();
        assert!(matches!(status, 200 | 201 | 400 | 413), "{status}");
    }
    let digits = "9".repeat(100_000);
    for (query, code) in [
        (format!("ttl={digits}"), 202),
        ("ttl=-9223372036854775809".to_owned(), 202),
        ("ttl=1e9".to_owned(), 202),
        (format!("prevIndex={digits}"), 203),
        ("prevIndex=-1".to_owned(), 203),
    ] {
        let answer = ask(addr, &Request::put("/v2/keys/wild", &format!("value=1&{query}")));
        let expected = (400, code.into());
        assert_eq!((answer.status(), answer.json()["errorCode"].clone()), expected, "{query:.40}");
    }
    let answer = ask(addr, &Request::get("/v2/keys/wild?wait=true&waitIndex=1e3"));
    assert_eq!((answer.status(), &answer.json()["errorCode"]), (400, &203.into()));
    bystander.finish();
    assert!(server.is_running());
}

#[test]
fn a_body_above_the_limit_is_refused_and_not_stored() {
    let (_site, mut server) = Server::start("bodies");
    let bystander = Bystander::start(server.addr());
    let before = server.memory_kb("VmRSS");
    let value = "v".repeat(11 << 20);
    for is_chunked in [false, true] {
        let mut request = Request::put("/v2/keys/huge", &format!("value={value}"));
        request.chunked = is_chunked;
        // A reset may overtake the answer, since the server stops reading.
        if let Ok(answer) = send(server.addr(), &request) {
            assert!(matches!(answer.status(), 400 | 413), "{}", answer.status());
            assert!(answer.json()["message"].is_string());
        }
    }
    // Nobody reads this much, and nobody sets aside room for it.
    let announced =
        "PUT /v2/keys/huge HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000000\r\n\r\nv";
    let reaction = react(server.addr(), announced.as_bytes());
    assert!(reaction.is_closed);
    assert!(reaction.statuses().iter().all(|s| matches!(s, 400 | 413)), "{reaction:?}");
    assert!(!exists(server.addr(), "/huge"));
    let grown = server.memory_kb("VmRSS").saturating_sub(before);
    assert!(grown < 64 << 10, "the server grew by {grown} kB");
    bystander.finish();
    assert!(server.is_running());
}

#[test]
fn a_value_just_below_the_limit_is_stored() {
    let (_site, server) = Server::start("large");
    let value = "v".repeat(9 << 20);
    let answer = ask(server.addr(), &Request::put("/v2/keys/large", &format!("value={value}")));
    assert_eq!(answer.status(), 201);
    let answer = ask(server.addr(), &Request::get("/v2/keys/large"));
    assert_eq!(answer.json()["node"]["value"].as_str().map(str::len), Some(9 << 20));
}

#[test]
fn wild_documents_for_the_configuration_are_refused() {
    let (_site, mut server) = Server::start("documents");
    let before = ask(server.peer_addr(), &Request::get("/v2/admin/config")).text();
    let nested = format!("{}1{}", "{\"a\":".repeat(50_000), "}".repeat(50_000));
    let arrays = "[".repeat(200_000);
    for body in ["", "nope", "[]", "1", "\"text\"", "{", "{\"activeSize\":", &nested, &arrays] {
        let request = Request::new("PUT", "/v2/admin/config").body(body.as_bytes());
        let answer = ask(server.peer_addr(), &request);
        assert_eq!(answer.status(), 400, "{body:.40}: {answer:?}");
    }
    let after = ask(server.peer_addr(), &Request::get("/v2/admin/config")).text();
    assert_eq!(before, after);
    assert!(server.is_running());
}
