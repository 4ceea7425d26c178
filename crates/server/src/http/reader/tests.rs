//! Requests whole and in pieces, good and bad.

use super::chunks::CHUNK_LINE_MAX;
use super::*;
use proptest::prelude::*;
use std::cell::Cell;
use std::time::Instant;

const LIMITS: ReaderLimits =
    ReaderLimits { request_line_bytes: 64, head_bytes: 512, body_bytes: 100 };
const WIDE: ReaderLimits =
    ReaderLimits { request_line_bytes: 64 << 10, head_bytes: 128 << 10, body_bytes: 10 << 20 };

/// A request as it can be compared after its bytes are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Taken {
    method: Method,
    path: String,
    query: String,
    is_http11: bool,
    keep_alive: bool,
    is_form: bool,
    accepts_text: bool,
    origin: Option<Vec<u8>>,
    body: Vec<u8>,
}

/// What a connection gave: its requests, then why it ended, if it did.
#[derive(Debug, PartialEq, Eq)]
struct Conversation {
    requests: Vec<Taken>,
    refused: Option<(Refusal, bool)>,
    continues: usize,
    left: usize,
}

/// Feeds pieces to the reader as the loop does: what has arrived is kept until it is used up.
fn converse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: &ReaderLimits) -> Conversation {
    let mut said = Conversation { requests: Vec::new(), refused: None, continues: 0, left: 0 };
    let mut buf = Vec::new();
    let mut partial = PartialRequest::default();
    for piece in pieces {
        buf.extend_from_slice(piece);
        while !buf.is_empty() {
            let used = match parse(&buf, &mut partial, limits) {
                Progress::NeedMore { send_continue } => {
                    said.continues += usize::from(send_continue);
                    break;
                }
                Progress::Refused(refusal, is_keys) => {
                    said.refused = Some((refusal, is_keys));
                    said.left = buf.len();
                    return said;
                }
                Progress::Request(request, used) => {
                    said.requests.push(Taken {
                        method: request.method,
                        path: request.path.to_owned(),
                        query: request.query.to_owned(),
                        is_http11: request.is_http11,
                        keep_alive: request.keep_alive,
                        is_form: request.is_form,
                        accepts_text: request.accepts_text,
                        origin: request.sender.origin.map(<[u8]>::to_vec),
                        body: request.body.to_vec(),
                    });
                    used
                }
            };
            assert!(0 < used && used <= buf.len(), "{used} of {} bytes", buf.len());
            buf.drain(..used);
            partial = PartialRequest::default();
        }
    }
    said.left = buf.len();
    said
}

fn one(bytes: &[u8]) -> Taken {
    let mut said = converse([bytes], &LIMITS);
    assert_eq!((said.refused, said.left), (None, 0), "{}", bytes.escape_ascii());
    assert_eq!(said.requests.len(), 1);
    said.requests.remove(0)
}

fn refusal(bytes: &[u8]) -> Option<u16> {
    converse([bytes], &LIMITS).refused.map(|(refusal, _)| refusal.status())
}

#[test]
fn a_request_gives_everything_that_the_api_needs() {
    let taken = one(b"PUT /v2/keys/a%20b?ttl=5&x HTTP/1.1\r\nHost: h\r\nOrigin: http://o\r\n\
          CONTENT-TYPE:  application/x-www-form-urlencoded; param=value \r\nContent-Length: 3\r\n\
          Accept: text/html, Text/Plain;q=0.5\r\n\r\nv=1");
    let want = Taken {
        method: Method::Put,
        path: "/v2/keys/a%20b".to_owned(),
        query: "ttl=5&x".to_owned(),
        is_http11: true,
        keep_alive: true,
        is_form: true,
        accepts_text: true,
        origin: Some(b"http://o".to_vec()),
        body: b"v=1".to_vec(),
    };
    assert_eq!(taken, want);
    let taken = one(b"GET / HTTP/1.0\r\n\r\n");
    let want = Taken {
        method: Method::Get,
        path: "/".to_owned(),
        query: String::new(),
        is_http11: false,
        keep_alive: false,
        is_form: false,
        accepts_text: false,
        origin: None,
        body: Vec::new(),
    };
    assert_eq!(taken, want);
}

#[test]
fn methods_are_told_apart_by_their_exact_names() {
    for (name, want) in [
        ("GET", Method::Get),
        ("HEAD", Method::Head),
        ("PUT", Method::Put),
        ("POST", Method::Post),
        ("DELETE", Method::Delete),
        ("OPTIONS", Method::Options),
        ("PATCH", Method::Other),
        ("get", Method::Other),
    ] {
        let text = format!("{name} /a HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(one(text.as_bytes()).method, want, "{name}");
    }
}

#[test]
fn a_target_may_be_a_whole_url_but_must_name_a_path() {
    for (target, path, query) in [
        ("/a?b=c?d", "/a", "b=c?d"),
        ("/a?", "/a", ""),
        ("http://h:4001/v2/keys/a?x=1", "/v2/keys/a", "x=1"),
        ("HTTPS://h/a", "/a", ""),
        ("http://h", "/", ""),
        ("http://h?wait=true", "/", "wait=true"),
        ("http://h?a=/b", "/", "a=/b"),
        ("//h/a", "//h/a", ""),
    ] {
        let text = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let taken = one(text.as_bytes());
        assert_eq!((&*taken.path, &*taken.query), (path, query), "{target}");
    }
    assert_eq!(one(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").path, "*");
    for line in ["GET *", "GET a/b", "GET ?a", "CONNECT h:80", "GET ftp://h/a", "GET http:/a"] {
        let text = format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(refusal(text.as_bytes()), Some(400), "{line}");
    }
}

#[test]
fn connections_stay_open_as_the_version_and_the_client_say() {
    for (version, header, want) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: Keep-Alive, CLOSE\r\n", false),
        ("1.1", "Connection: x\r\nConnection: close\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: close\r\n", false),
    ] {
        let text = format!("GET / HTTP/{version}\r\nHost: h\r\n{header}\r\n");
        assert_eq!(one(text.as_bytes()).keep_alive, want, "{version} {header}");
    }
}

#[test]
fn only_a_form_content_type_is_a_form() {
    for (kind, want) in [
        ("application/x-www-form-urlencoded", true),
        ("Application/X-WWW-Form-URLencoded", true),
        ("application/x-www-form-urlencoded;charset=utf-8", true),
        (" application/x-www-form-urlencoded ; param=value", true),
        ("application/x-www-form-urlencoded2", false),
        ("text/plain", false),
        ("application/json", false),
        ("multipart/form-data; boundary=x", false),
        ("", false),
    ] {
        let text = format!("PUT / HTTP/1.1\r\nHost: h\r\nContent-Type:{kind}\r\n\r\n");
        assert_eq!(one(text.as_bytes()).is_form, want, "{kind}");
    }
    let twice = |first, second| {
        format!(
            "PUT / HTTP/1.1\r\nHost: h\r\nContent-Type: {first}\r\nContent-Type: {second}\r\n\r\n"
        )
    };
    let form = "application/x-www-form-urlencoded";
    assert!(one(twice(form, form).as_bytes()).is_form);
    for (first, second) in [("text/plain", form), (form, "text/plain"), (form, "")] {
        assert_eq!(refusal(twice(first, second).as_bytes()), Some(400), "{first} {second}");
    }
}

#[test]
fn bodies_end_where_their_framing_says() {
    let taken = one(b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab");
    assert_eq!(taken.body, b"ab");
    let taken =
        one(b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab");
    assert_eq!(taken.body, b"ab");
    let head = "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n";
    for (chunks, want) in [
        ("0\r\n\r\n", ""),
        ("3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("1\r\na\r\n2;x=y\r\nbc\r\n000\r\n\r\n", "abc"),
        ("a \r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n", "0123456789"),
        ("1\r\n\r\r\n1\r\n\n\r\n0\r\nA: b\r\nC: d\r\n\r\n", "\r\n"),
    ] {
        let text = format!("{head}{chunks}");
        assert_eq!(one(text.as_bytes()).body, want.as_bytes(), "{chunks}");
    }
}

#[test]
fn ambiguous_framing_is_refused() {
    for (headers, want) in [
        ("Content-Length: 1\r\nContent-Length: 2\r\n", 400),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: +1\r\n", 400),
        ("Content-Length: 0x1\r\n", 400),
        ("Content-Length: 1, 1\r\n", 400),
        ("Content-Length: 1 1\r\n", 400),
        ("Content-Length:\r\n", 400),
        ("Content-Length: 101\r\n", 413),
        ("Content-Length: 18446744073709551615\r\n", 413),
        ("Content-Length: 99999999999999999999999999\r\n", 413),
        ("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", 400),
        ("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: gzip\r\n", 400),
        ("Transfer-Encoding: gzip, chunked\r\n", 400),
        ("Transfer-Encoding: identity\r\n", 400),
        ("Transfer-Encoding:\r\n", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding : chunked\r\n", 400),
        (" Content-Length: 1\r\n", 400),
        ("X: a\r\n folded\r\n", 400),
        ("X: a\rb\r\n", 400),
        ("X: a\0b\r\n", 400),
        ("no colon\r\n", 400),
        (": empty\r\n", 400),
        ("Host: again\r\n", 400),
        ("Expect: 200-ok\r\n", 417),
    ] {
        let text = format!("PUT /v2/keys/a HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
        assert_eq!(refusal(text.as_bytes()), Some(want), "{headers}");
    }
    let chunked_by_10 = b"PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(refusal(chunked_by_10), Some(400));
}

#[test]
fn malformed_chunks_are_refused() {
    let head = "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (chunks, want) in [
        ("\r\n", 400),
        ("x\r\n", 400),
        ("-1\r\n", 400),
        ("+1\r\n", 400),
        ("0x1\r\na\r\n", 400),
        (" 1\r\na\r\n", 400),
        ("1\na\r\n", 400),
        ("1\r\nab\r\n", 400),
        ("2\r\na\r\n\r\n", 400),
        ("1\r\na\n0\r\n\r\n", 400),
        ("0\r\nX: y\n\r\n", 400),
        ("0\r\n\n", 400),
        ("65\r\n", 413),
        ("ffffffffffffffff\r\n", 413),
        ("fffffffffffffffffffffffff\r\n", 413),
    ] {
        let text = format!("{head}{chunks}");
        assert_eq!(refusal(text.as_bytes()), Some(want), "{}", chunks.escape_debug());
    }
    let long = format!("{head}1;{}\r\n", "x".repeat(CHUNK_LINE_MAX));
    assert_eq!(refusal(long.as_bytes()), Some(400));
    let trailer = format!("{head}0\r\n{}", "A: b\r\n".repeat(100));
    assert_eq!(refusal(trailer.as_bytes()), Some(431));
}

/// Chunks of one byte with long extensions would hold many times their worth of memory.
#[test]
fn the_framing_of_chunks_takes_no_more_room_than_a_body() {
    let head = "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let small = format!("{head}{}0\r\n\r\n", "1\r\na\r\n".repeat(15));
    assert_eq!(one(small.as_bytes()).body, b"a".repeat(15));
    let greedy = format!("{head}{}", "1;extension=of-some-length\r\na\r\n".repeat(15));
    assert_eq!(refusal(greedy.as_bytes()), Some(413));
}

#[test]
fn request_lines_and_versions_are_checked() {
    for (text, want) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        ("GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505),
        ("GET / HTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("GET /\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("G(T / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("\u{16}\u{3}\u{1}\0", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ] {
        assert_eq!(refusal(text.as_bytes()), Some(want), "{}", text.escape_debug());
    }
    assert_eq!(refusal(b"GET /\xff HTTP/1.1\r\nHost: h\r\n\r\n"), Some(400));
    let umlaut = "GET /\u{fc} HTTP/1.1\r\nHost: h\r\n\r\n";
    assert_eq!(one(umlaut.as_bytes()).path, "/\u{fc}");
}

#[test]
fn limits_hold_whether_the_head_is_whole_or_not() {
    let at_limit = format!("GET /{} HTTP/1.1", "a".repeat(LIMITS.request_line_bytes - 14));
    assert_eq!(at_limit.len(), LIMITS.request_line_bytes);
    assert_eq!(refusal(format!("{at_limit}\r\nHost: h\r\n\r\n").as_bytes()), None);
    let above = format!("GET /a{}", &at_limit[5..]);
    assert_eq!(refusal(format!("{above}\r\nHost: h\r\n\r\n").as_bytes()), Some(414));
    assert_eq!(refusal(format!("\r\n{above}\r\nHost: h\r\n\r\n").as_bytes()), Some(414));
    assert_eq!(refusal(format!("GET /{}", "a".repeat(100)).as_bytes()), Some(414));
    let wide = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}", "a".repeat(500));
    assert_eq!(refusal(wide.as_bytes()), Some(431));
    assert_eq!(refusal(format!("{wide}\r\n\r\n").as_bytes()), Some(431));
    let many = |count| format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "a:\r\n".repeat(count));
    let requests = |text: String| converse([text.as_bytes()], &WIDE);
    assert_eq!(requests(many(99)).requests.len(), 1);
    assert_eq!(requests(many(100)).refused, Some((Refusal::HeadTooLarge, false)));
}

#[test]
fn a_few_blank_lines_before_a_request_are_passed_over() {
    assert_eq!(one(b"\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n").path, "/a");
    assert_eq!(one(b"\r\n\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n").path, "/a");
    assert_eq!(refusal(&b"\r\n".repeat(20)), Some(400));
    assert_eq!(refusal(b"\rGET / HTTP/1.1\r\nHost: h\r\n\r\n"), Some(400));
}

#[test]
fn pipelined_requests_are_taken_one_by_one() {
    let text = b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx\
                 PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
                 1\r\ny\r\n0\r\n\r\n\
                 GET /c HTTP/1.1\r\nHost: h\r\n\r\nGET /d";
    let said = converse([&text[..]], &LIMITS);
    let got: Vec<_> =
        said.requests.iter().map(|taken| (&*taken.path, taken.body.as_slice())).collect();
    assert_eq!(got, [("/a", &b"x"[..]), ("/b", b"y"), ("/c", b"")]);
    assert_eq!((said.refused, said.left), (None, 6));
}

#[test]
fn leave_to_send_a_body_is_given_once_and_only_if_it_is_waited_for() {
    let request = |version: &str, framing: &str| {
        format!("PUT /v2/keys/a HTTP/{version}\r\nHost: h\r\nExpect: 100-Continue\r\n{framing}\r\n")
    };
    for (framing, body) in [
        ("Content-Length: 2\r\n", "ab"),
        ("Transfer-Encoding: chunked\r\n", "2\r\nab\r\n0\r\n\r\n"),
    ] {
        let head = request("1.1", framing);
        let pieces = std::iter::once(head.as_bytes()).chain(body.as_bytes().chunks(1));
        let said = converse(pieces, &LIMITS);
        assert_eq!((said.continues, said.requests.len()), (1, 1), "{framing}");
        assert_eq!(said.requests[0].body, b"ab");
        let whole = format!("{head}{body}");
        assert_eq!(converse([whole.as_bytes()], &LIMITS).continues, 0, "{framing}");
    }
    let head = request("1.0", "Content-Length: 2\r\n");
    assert_eq!(converse([head.as_bytes()], &LIMITS).continues, 0);
    let said = converse([request("1.1", "Content-Length: 200\r\n").as_bytes()], &LIMITS);
    assert_eq!((said.continues, said.refused), (0, Some((Refusal::BodyTooLarge, true))));
}

#[test]
fn a_refusal_says_whether_it_is_about_the_key_space() {
    for (target, want) in [("/v2/keys/a", true), ("/v2/admin/config", false)] {
        let head = format!("PUT {target} HTTP/1.1\r\nHost: h\r\n");
        let sized = format!("{head}Content-Length: 101\r\n\r\n");
        let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
        for pieces in [vec![&*sized], vec![&*chunked, "6", "5\r\n"]] {
            let said = converse(pieces.iter().map(|piece| piece.as_bytes()), &LIMITS);
            assert_eq!(said.refused, Some((Refusal::BodyTooLarge, want)), "{target}");
        }
    }
}

/// A client that sends byte by byte must not make the reader look at everything again and again.
#[test]
fn the_work_is_in_proportion_to_the_bytes_however_they_are_cut() {
    let blank = "\r\n".to_owned();
    let head = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "a".repeat(100_000));
    let padded = format!("PUT / HTTP/1.1\r\nHost: h\r\nX: {}\r\n", "a".repeat(100_000));
    let chunks = format!(
        "{padded}Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        "10\r\n0123456789abcdef\r\n".repeat(5000)
    );
    let trailer =
        format!("{padded}Transfer-Encoding: chunked\r\n\r\n0\r\n{}\r\n", "A: b\r\n".repeat(20_000));
    for text in [blank + &head, chunks, trailer] {
        let start = Instant::now();
        let said = converse(text.as_bytes().chunks(1), &WIDE);
        assert_eq!((said.requests.len(), said.refused), (1, None));
        // Going over everything for each byte takes seconds; this takes some milliseconds.
        assert!(start.elapsed().as_millis() < 1500, "{:?}", start.elapsed());
    }
}

/// Lines that requests are made of, well and badly formed.
fn line() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "GET /v2/keys/a?wait=true HTTP/1.1\r\n",
        "PUT /v2/keys/a HTTP/1.1\r\n",
        "GET http://h/a HTTP/1.0\r\n",
        "OPTIONS * HTTP/1.1\r\n",
        "Host: h\r\n",
        "Content-Length: 7\r\n",
        "Content-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Expect: 100-continue\r\n",
        "Connection: close\r\n",
        "X: y\n",
        "\r\n",
        "\n",
        "\r",
        "4\r\nabcd\r\n",
        "1;x\r\n\n\r\n",
        "0\r\n",
        "0\r\n\r\n",
        "value=x",
        "\0",
    ])
}

/// One request that is certainly whole, and what it must give.
fn request() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let body = prop::collection::vec(any::<u8>(), 0..60);
    (body, 0..3_usize, prop::collection::vec(1..20_usize, 0..4)).prop_map(|(body, kind, cuts)| {
        let mut text = b"PUT /v2/keys/a?b=c HTTP/1.1\r\nHost: h\r\n".to_vec();
        match kind {
            0 => {
                text.extend_from_slice(
                    format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(),
                );
                text.extend_from_slice(&body);
            }
            1 => {
                text.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                let mut rest = &body[..];
                let mut cuts = cuts.into_iter();
                while !rest.is_empty() {
                    let (now, later) = rest.split_at(cuts.next().unwrap_or(60).min(rest.len()));
                    text.extend_from_slice(format!("{:X};x\r\n", now.len()).as_bytes());
                    text.extend_from_slice(now);
                    text.extend_from_slice(b"\r\n");
                    rest = later;
                }
                text.extend_from_slice(b"0\r\nT: t\r\n\r\n");
            }
            _ => {
                text.extend_from_slice(b"\r\n");
                return (text, Vec::new());
            }
        }
        (text, body)
    })
}

/// The bytes cut at the given places.
fn cut<'a>(bytes: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let at = Cell::new(0);
    let mut sizes = sizes.iter().cycle();
    std::iter::from_fn(move || {
        let from = at.get();
        let to = bytes.len().min(from + sizes.next().copied().unwrap_or(1));
        at.set(to);
        (from < to).then(|| &bytes[from..to])
    })
}

#[test]
fn what_comes_before_a_request_is_refused_alike_in_any_pieces() {
    let malformed = Some((Refusal::Malformed("malformed request head"), false));
    let blank = "too many blank lines before the request";
    let too_many = Some((Refusal::Malformed(blank), false));
    for (start, want) in [("\r".repeat(40), malformed), ("\r\n".repeat(9), too_many)] {
        for rest in ["", "GET /v2/keys/a HTTP/1.1\r\nHost: h", "noise\0"] {
            let text = format!("{start}{rest}\r\n\r\n");
            for sizes in [&[text.len()][..], &[1], &[1, 14], &[16, 1], &[18]] {
                let said = converse(cut(text.as_bytes(), sizes), &WIDE);
                assert_eq!(said.refused, want, "{sizes:?} {}", text.escape_debug());
            }
        }
    }
}

#[test]
fn a_request_line_may_be_as_long_as_it_may_in_any_pieces() {
    for (more, is_taken) in [(0, true), (1, false)] {
        let path = "x".repeat(LIMITS.request_line_bytes - "GET / HTTP/1.1".len() + more);
        let text = format!("GET /{path} HTTP/1.1\r\nHost: h\r\n\r\n");
        for size in 1..text.len() {
            let said = converse(cut(text.as_bytes(), &[size]), &LIMITS);
            assert_eq!(said.requests.len(), usize::from(is_taken), "pieces of {size}");
            let want = (!is_taken).then_some((Refusal::RequestLineTooLong, false));
            assert_eq!(said.refused, want, "pieces of {size}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whole_requests_arrive_unchanged_in_any_pieces(
        requests in prop::collection::vec(request(), 1..5),
        sizes in prop::collection::vec(1..40_usize, 1..8),
    ) {
        let text: Vec<u8> = requests.iter().flat_map(|(text, _)| text.clone()).collect();
        let said = converse(cut(&text, &sizes), &WIDE);
        prop_assert_eq!((said.refused, said.left), (None, 0));
        let bodies: Vec<_> = said.requests.into_iter().map(|taken| taken.body).collect();
        let want: Vec<_> = requests.into_iter().map(|(_, body)| body).collect();
        prop_assert_eq!(bodies, want);
    }

    #[test]
    fn pieces_make_no_difference_to_malformed_bytes_either(
        lines in prop::collection::vec(line(), 0..14),
        noise in prop::collection::vec(any::<u8>(), 0..8),
        sizes in prop::collection::vec(1..30_usize, 1..8),
    ) {
        let mut text = lines.concat().into_bytes();
        text.extend_from_slice(&noise);
        // A head that has come in part is looked at again only when its end is there.
        text.extend_from_slice(b"\r\n\r\n");
        let whole = converse([&text[..]], &WIDE);
        let pieces = converse(cut(&text, &sizes), &WIDE);
        prop_assert_eq!(whole.requests, pieces.requests);
        prop_assert_eq!(whole.refused, pieces.refused);
    }

    #[test]
    fn any_bytes_are_taken_or_refused(
        text in prop::collection::vec(any::<u8>(), 0..300),
        sizes in prop::collection::vec(1..30_usize, 1..8),
    ) {
        converse(cut(&text, &sizes), &LIMITS);
    }
}
