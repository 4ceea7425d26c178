//! What cannot be read changes nothing: no value is emptied, replaced or removed by a request of
//! which a part was not understood, whatever its content type, encoding, header or framing is.

use super::react;
use crate::testkit::{Request, Site, ask};
use std::net::SocketAddr;

const FORM: &str = "application/x-www-form-urlencoded";

/// How a request is framed and typed, and its body: a head without request line, Host and end.
struct Sent {
    headers: Vec<String>,
    body: Vec<u8>,
}

fn typed(kind: &str, body: &[u8]) -> Sent {
    let mut headers = vec![format!("Content-Length: {}", body.len())];
    if !kind.is_empty() {
        headers.push(format!("Content-Type: {kind}"));
    }
    Sent { headers, body: body.to_vec() }
}

fn with(mut sent: Sent, header: &str) -> Sent {
    sent.headers.push(header.to_owned());
    sent
}

fn framed(headers: &[&str], body: &[u8]) -> Sent {
    let mut headers: Vec<String> = headers.iter().map(|line| (*line).to_owned()).collect();
    headers.push(format!("Content-Type: {FORM}"));
    Sent { headers, body: body.to_vec() }
}

/// Bodies that no method takes.
fn unreadable() -> Vec<Sent> {
    let mut all: Vec<Sent> = [
        "",
        "text/plain",
        "application/json",
        "APPLICATION/JSON; charset=utf-8",
        "multipart/form-data; boundary=B",
        "application/octet-stream",
        "application/x-www-form-urlencoded2",
        "application/x-www-form-urlencoded, text/plain",
        "x-www-form-urlencoded",
        "application",
        ";",
        "\u{1}",
    ]
    .iter()
    .map(|kind| typed(kind, b"value=new"))
    .collect();
    for encoding in ["gzip", "GZIP", "deflate", "br", "zstd", "gzip, identity", "x"] {
        all.push(with(typed(FORM, b"value=new"), &format!("Content-Encoding: {encoding}")));
    }
    let twice = with(typed(FORM, b"value=new"), "Content-Encoding: identity");
    all.push(with(twice, "Content-Encoding: gzip"));
    all.push(with(typed(FORM, b"value=new"), "Content-Type: application/json"));
    all.push(with(typed("application/json", b"value=new"), &format!("Content-Type: {FORM}")));
    let escapes: [&[u8]; 7] = [
        b"value=%",
        b"value=%zz",
        b"value=%f",
        b"%zz=1",
        b"value=new&ttl=%2",
        b"value=new&%",
        b"a=%u1234&value=new",
    ];
    all.extend(escapes.iter().map(|form| typed(FORM, form)));
    let cut: [(&[&str], &[u8]); 12] = [
        (&["Content-Length: 100"], b"value=new"),
        (&["Content-Length: 100"], b""),
        (&["Content-Length: 9", "Content-Length: 10"], b"value=new"),
        (&["Content-Length: -1"], b"value=new"),
        (&["Content-Length: 9, 9"], b"value=new"),
        (&["Content-Length: 9", "Transfer-Encoding: chunked"], b"9\r\nvalue=new\r\n0\r\n\r\n"),
        (&["Transfer-Encoding: gzip, chunked"], b"9\r\nvalue=new\r\n0\r\n\r\n"),
        (&["Transfer-Encoding: identity"], b"value=new"),
        (&["Transfer-Encoding: chunked"], b"9\r\nvalue=new"),
        (&["Transfer-Encoding: chunked"], b"9\r\nvalue=new\r\n"),
        (&["Transfer-Encoding: chunked"], b"9\r\nvalue=new\r\n0\r\n"),
        (&["Transfer-Encoding: chunked"], b"z\r\nvalue=new\r\n0\r\n\r\n"),
    ];
    all.extend(cut.iter().map(|(headers, body)| framed(headers, body)));
    all
}

/// Forms in which there is nothing that PUT and POST know.
fn unknown() -> Vec<Sent> {
    let bodies: [&[u8]; 12] = [
        b"{\"value\":\"new\"}",
        b"[1,2]",
        b"hello",
        b"vaule",
        b"unknown=1&{}",
        b"value[]=new",
        b" value=new",
        b"\0value=new",
        b"=value",
        b"&&&",
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x2b\x4b\xcc\x29\x4d\x05",
        b"v\0a\0l\0u\0e\0=\0x\0",
    ];
    bodies.iter().map(|body| typed(FORM, body)).collect()
}

/// Sends it with a method and a query. Gives the status, or nothing where there was no answer.
fn status(addr: SocketAddr, method: &str, target: &str, sent: &Sent) -> Option<u16> {
    let headers: String = sent.headers.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!("{method} /v2/keys/{target} HTTP/1.1\r\nHost: localhost\r\n{headers}");
    let bytes = [head.as_bytes(), b"\r\n", &sent.body].concat();
    react(addr, &bytes).statuses().first().copied()
}

fn same(addr: SocketAddr, before: &str, what: &str) {
    let after = ask(addr, &Request::get("/v2/keys/?recursive=true&sorted=true")).text();
    assert_eq!(after, before, "{what}");
}

#[test]
fn a_body_that_cannot_be_read_changes_nothing() {
    let site = Site::new("forms-unread").with_v2();
    let server = site.start();
    let targets =
        ["k", "k?value=query", "k?prevExist=true", "k?prevValue=old", "d?dir=true", "new"];
    for addr in [server.addr(), server.v2_addr()] {
        assert!(ask(addr, &Request::put("/v2/keys/k", "value=old")).status() < 300);
        ask(addr, &Request::put("/v2/keys/d", "dir=true"));
        let before = ask(addr, &Request::get("/v2/keys/?recursive=true&sorted=true")).text();
        for (at, sent) in unreadable().iter().enumerate() {
            for method in ["PUT", "POST", "DELETE"] {
                let target = targets[at % targets.len()];
                let what = format!("{method} {target} {:?} {:?}", sent.headers, sent.body);
                let got = status(addr, method, target, sent);
                assert!(got.is_some_and(|status| (400..500).contains(&status)), "{what}: {got:?}");
                same(addr, &before, &what);
            }
        }
        for sent in unknown() {
            for (method, target) in [("PUT", "k"), ("PUT", "k?prevExist=true"), ("POST", "d")] {
                let what = format!("{method} {target} {:?}", sent.body);
                assert_eq!(status(addr, method, target, &sent), Some(400), "{what}");
                same(addr, &before, &what);
            }
        }
    }
}

/// The causes, since somebody has to find the mistake.
#[test]
fn a_body_that_cannot_be_read_is_refused_with_its_reason() {
    let site = Site::new("forms-told").with_v2();
    let server = site.start();
    let own = ask(server.addr(), &Request::get("/v2/keys/")).index();
    for (addr, index) in [(server.addr(), own), (server.v2_addr(), 0)] {
        for (kind, body, cause) in [
            (
                "application/json",
                "{\"value\":\"1\"}",
                "the body is not application/x-www-form-urlencoded: it has Content-Type \
                 \"application/json\"",
            ),
            (FORM, "{\"value\":\"1\"}", "the body is not a form with a parameter that is known"),
            (FORM, "value=%zz", "invalid URL escape \"%zz\""),
        ] {
            let request = Request::new("PUT", "/v2/keys/k")
                .header("Content-Type", kind)
                .body(body.as_bytes());
            let answer = ask(addr, &request);
            let error = answer.json();
            assert_eq!((answer.status(), &error["errorCode"]), (400, &210.into()), "{body}");
            assert_eq!((&error["cause"], &error["index"]), (&cause.into(), &index.into()));
        }
        let sent = framed(&["Content-Length: 123"], b"value=1");
        let headers: String = sent.headers.iter().map(|line| format!("{line}\r\n")).collect();
        let head = format!("PUT /v2/keys/k HTTP/1.1\r\nHost: localhost\r\n{headers}\r\nvalue=1");
        let reaction = react(addr, head.as_bytes());
        let [(_, body)] = &*reaction.answers else { panic!("{reaction:?}") };
        let want = format!(
            "{{\"errorCode\":210,\"message\":\"Invalid POST form\",\"cause\":\"unexpected EOF\",\
             \"index\":{index}}}\n"
        );
        assert_eq!(String::from_utf8_lossy(body), want);
    }
}

/// What is odd and can be read is stored as ever.
#[test]
fn odd_forms_that_can_be_read_are_stored() {
    let site = Site::new("forms-read").with_v2();
    let server = site.start();
    for addr in [server.addr(), server.v2_addr()] {
        for (sent, want) in [
            (typed(FORM, b"value=1"), "1"),
            (typed("Application/X-WWW-FORM-URLENCODED ; Charset=UTF-8", b"value=2"), "2"),
            (typed("application/x-www-form-urlencoded; param=value", b"value=3"), "3"),
            (with(typed(FORM, b"value=4"), &format!("Content-Type: {FORM}")), "4"),
            (with(typed(FORM, b"value=5"), "Content-Encoding: identity"), "5"),
            (with(typed(FORM, b"value=6"), "Content-Encoding:"), "6"),
            (typed(FORM, b"value=7&value=8"), "7"),
            (typed(FORM, b"&&x=y&value=%39&&"), "9"),
            (typed(FORM, b"value=a%00b"), "a\0b"),
            (typed(FORM, b"value=a\0b"), "a\0b"),
            (typed(FORM, b"value"), ""),
            (typed(FORM, b""), ""),
            (typed("application/json", b""), ""),
            (typed("", b""), ""),
            (framed(&["Transfer-Encoding: chunked"], b"7\r\nvalue=c\r\n0\r\n\r\n"), "c"),
            (
                framed(&["Transfer-Encoding: CHUNKED"], b"7;x=y\r\nvalue=d\r\n0\r\nA: b\r\n\r\n"),
                "d",
            ),
        ] {
            let what = format!("{:?} {:?}", sent.headers, sent.body);
            let got = status(addr, "PUT", "k", &sent);
            assert!(matches!(got, Some(200 | 201)), "{what}: {got:?}");
            let found = ask(addr, &Request::get("/v2/keys/k")).json();
            assert_eq!(found["node"]["value"], want, "{what}");
        }
        // The parameters of DELETE are in the query; a form is passed over.
        let sent = typed(FORM, b"recursive=true&x=y");
        assert_eq!(status(addr, "DELETE", "k", &sent), Some(200));
    }
}
