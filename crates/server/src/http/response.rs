//! From answers to bytes.
//!
//! Everything that all answers of a listener share is in [`ResponseHead`]; an answer adds its
//! status, its headers and its body. Heads are put together by hand into the connection's outbox,
//! since this is done for each request.

use super::request::Method;
use std::io::Write as _;

/// How the current request is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplyMode {
    pub(crate) method: Method,
    pub(crate) is_http11: bool,
    pub(crate) keep_alive: bool,
    pub(crate) is_head: bool,
    /// Whether a page sent it by itself to keep itself up to date.
    pub(crate) is_poll: bool,
    /// Which of the listed origins it came from.
    pub(crate) origin: u16,
}

impl Default for ReplyMode {
    fn default() -> Self {
        let method = Method::Other;
        let (is_head, is_poll) = (false, false);
        Self { method, is_http11: true, keep_alive: true, is_head, is_poll, origin: 0 }
    }
}

/// What is the same for all answers for a while.
#[derive(Debug)]
pub(crate) struct ResponseHead<'a> {
    /// The date as HTTP writes it.
    pub(crate) date: &'a str,
    /// Header lines about origins, each with its line end; often none.
    pub(crate) cors: &'a str,
    pub(crate) is_http11: bool,
    /// Whether the connection stays open after this answer.
    pub(crate) keep_alive: bool,
    /// Whether only the head is wanted.
    pub(crate) is_head: bool,
}

/// The numbers that answers about the key space carry (docs/spec/keys.md section 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) cluster: u64,
    pub(crate) store_index: u64,
    /// raft's index and term; errors have none.
    pub(crate) raft: Option<(u64, u64)>,
}

/// How the length of a body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// It is known.
    Known(usize),
    /// The body comes in pieces.
    Stream,
}

/// The kinds of content.
pub(crate) const JSON: &str = "application/json";
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
pub(crate) const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `{"message":"..."}`: what is refused outside the key space.
pub(crate) fn message_body(why: &str) -> Vec<u8> {
    format!("{{\"message\":{}}}", serde_json::Value::from(why)).into_bytes()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        301 => "Moved Permanently",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        410 => "Gone",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Status",
    }
}

fn put_number(out: &mut Vec<u8>, name: &str, number: u64) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}

impl<'a> ResponseHead<'a> {
    /// The headers that all answers of a listener share at one moment.
    pub(crate) fn of(date: &'a str, cors: &'a str, mode: ReplyMode) -> Self {
        let ReplyMode { is_http11, keep_alive, is_head, .. } = mode;
        Self { date, cors, is_http11, keep_alive, is_head }
    }

    /// Writes a head. `extra` is whole header lines.
    pub(crate) fn head(
        &self,
        out: &mut Vec<u8>,
        status: u16,
        content_type: Option<&str>,
        numbers: Option<&Numbers>,
        extra: &str,
        length: Length,
    ) {
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
        out.push(b' ');
        out.extend_from_slice(reason(status).as_bytes());
        out.extend_from_slice(b"\r\n");
        if let Some(content_type) = content_type {
            out.extend_from_slice(b"Content-Type: ");
            out.extend_from_slice(content_type.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if let Some(numbers) = numbers {
            put_numbers(out, numbers);
        }
        out.extend_from_slice(self.cors.as_bytes());
        out.extend_from_slice(extra.as_bytes());
        out.extend_from_slice(b"Date: ");
        out.extend_from_slice(self.date.as_bytes());
        out.extend_from_slice(b"\r\n");
        // Without a length or chunks, the end of the connection is the end of the body.
        let is_open_ended = length == Length::Stream && !self.is_http11 && !self.is_head;
        match length {
            // RFC 9110 section 8.6 forbids one here, or wants that of the whole answer.
            Length::Known(_) if matches!(status, 204 | 304) => {}
            Length::Known(length) => put_number(out, "Content-Length: ", length as u64),
            Length::Stream if self.is_http11 => {
                out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            }
            Length::Stream => {}
        }
        if !self.keep_alive || is_open_ended {
            out.extend_from_slice(b"Connection: close\r\n");
        } else if !self.is_http11 {
            out.extend_from_slice(b"Connection: keep-alive\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Writes a whole answer.
    pub(crate) fn answer(
        &self,
        out: &mut Vec<u8>,
        status: u16,
        content_type: Option<&str>,
        numbers: Option<&Numbers>,
        extra: &str,
        body: &[u8],
    ) {
        self.head(out, status, content_type, numbers, extra, Length::Known(body.len()));
        if !self.is_head {
            out.extend_from_slice(body);
        }
    }
}

fn put_numbers(out: &mut Vec<u8>, numbers: &Numbers) {
    let _ = write!(out, "X-Etcd-Cluster-Id: {:x}\r\n", numbers.cluster);
    put_number(out, "X-Etcd-Index: ", numbers.store_index);
    if let Some((index, term)) = numbers.raft {
        put_number(out, "X-Raft-Index: ", index);
        put_number(out, "X-Raft-Term: ", term);
    }
}

/// Writes one piece of a streamed body.
pub(crate) fn put_piece(out: &mut Vec<u8>, bytes: &[u8], is_chunked: bool) {
    if bytes.is_empty() {
        return;
    }
    if is_chunked {
        let _ = write!(out, "{:x}\r\n", bytes.len());
    }
    out.extend_from_slice(bytes);
    if is_chunked {
        out.extend_from_slice(b"\r\n");
    }
}

/// As [`put_piece`], for bytes that `print` appends: they are not copied again.
pub(crate) fn print_piece(out: &mut Vec<u8>, is_chunked: bool, print: impl FnOnce(&mut Vec<u8>)) {
    if !is_chunked {
        return print(out);
    }
    // A guess at how many digits the length will have; it is right for all pieces but odd ones.
    let head = out.len();
    out.extend_from_slice(b"00000\r\n");
    let start = out.len();
    print(out);
    let len = out.len() - start;
    if len == 0 {
        // An empty piece would end the body.
        return out.truncate(head);
    }
    let digits = format!("{len:x}\r\n");
    match out.get_mut(head..start) {
        Some(room) if room.len() == digits.len() => room.copy_from_slice(digits.as_bytes()),
        _ => drop(out.splice(head..start, digits.bytes())),
    }
    out.extend_from_slice(b"\r\n");
}

/// Ends a streamed body.
pub(crate) fn put_end(out: &mut Vec<u8>, is_chunked: bool) {
    if is_chunked {
        out.extend_from_slice(b"0\r\n\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const PLAIN: ResponseHead<'_> =
        ResponseHead { date: DATE, cors: "", is_http11: true, keep_alive: true, is_head: false };

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("heads are text")
    }

    #[test]
    fn an_answer_about_the_key_space_has_all_its_headers() {
        let numbers = Numbers { cluster: 0x2a, store_index: 7, raft: Some((123, 4)) };
        let got = text(|out| PLAIN.answer(out, 201, Some(JSON), Some(&numbers), "", b"{}"));
        let want = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n\
                    X-Etcd-Cluster-Id: 2a\r\nX-Etcd-Index: 7\r\nX-Raft-Index: 123\r\n\
                    X-Raft-Term: 4\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                    Content-Length: 2\r\n\r\n{}";
        assert_eq!(got, want);
        let numbers = Numbers { raft: None, ..numbers };
        let got = text(|out| PLAIN.answer(out, 404, Some(JSON), Some(&numbers), "", b""));
        assert!(got.contains("X-Etcd-Index: 7\r\n") && !got.contains("X-Raft"), "{got}");
    }

    #[test]
    fn a_head_says_when_the_connection_ends() {
        for (is_http11, keep_alive, want) in [
            (true, true, ""),
            (true, false, "Connection: close\r\n"),
            (false, true, "Connection: keep-alive\r\n"),
            (false, false, "Connection: close\r\n"),
        ] {
            let envelope = ResponseHead { is_http11, keep_alive, ..PLAIN };
            let got = text(|out| envelope.answer(out, 200, None, None, "", b""));
            let head =
                format!("HTTP/1.1 200 OK\r\nDate: {DATE}\r\nContent-Length: 0\r\n{want}\r\n");
            assert_eq!(got, head);
        }
    }

    #[test]
    fn head_gets_the_length_and_nothing_of_the_body() {
        let envelope = ResponseHead { is_head: true, ..PLAIN };
        let got = text(|out| envelope.answer(out, 200, Some(TEXT), None, "", b"hello"));
        assert!(got.ends_with("Content-Length: 5\r\n\r\n"), "{got}");
    }

    #[test]
    fn a_stream_is_chunked_or_ends_with_the_connection() {
        for (is_http11, has_coding) in [(true, true), (false, false)] {
            let envelope = ResponseHead { is_http11, ..PLAIN };
            let got = text(|out| envelope.head(out, 200, Some(JSON), None, "", Length::Stream));
            assert_eq!(got.contains("Transfer-Encoding: chunked\r\n"), has_coding);
            assert!(!got.contains("Content-Length"), "{got}");
            // Even if the client would like to keep the connection.
            assert_eq!(got.contains("Connection: close\r\n"), !has_coding, "{got}");
        }
    }

    #[test]
    fn headers_of_origins_and_extra_lines_are_passed_on() {
        let envelope = ResponseHead { cors: "Vary: Origin\r\n", ..PLAIN };
        let got = text(|out| envelope.answer(out, 405, None, None, "Allow: GET\r\n", b""));
        assert!(
            got.starts_with("HTTP/1.1 405 Method Not Allowed\r\nVary: Origin\r\nAllow: GET\r\n")
        );
    }

    #[test]
    fn pieces_are_framed_only_where_they_must_be() {
        for (is_chunked, want) in [
            (true, "3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"),
            (false, "abc0123456789abcdef"),
        ] {
            let got = text(|out| {
                put_piece(out, b"abc", is_chunked);
                // An empty piece would end the body.
                put_piece(out, b"", is_chunked);
                put_piece(out, b"0123456789abcdef", is_chunked);
                put_end(out, is_chunked);
            });
            assert_eq!(got, want);
        }
    }

    #[test]
    fn a_piece_printed_in_place_is_framed_as_one_that_is_copied() {
        for len in [0, 1, 0xf, 0x10, 0xffff, 0x1_0000, 0xf_ffff, 0x10_0000] {
            for is_chunked in [true, false] {
                let bytes = vec![b'x'; len];
                let mut want = b"before".to_vec();
                let mut got = want.clone();
                put_piece(&mut want, &bytes, is_chunked);
                print_piece(&mut got, is_chunked, |out| out.extend_from_slice(&bytes));
                assert!(got == want, "{len} bytes, chunked: {is_chunked}");
            }
        }
    }

    #[test]
    fn every_status_that_is_sent_has_a_reason() {
        for status in
            [200, 201, 301, 304, 400, 401, 403, 404, 405, 412, 413, 414, 417, 431, 500, 503, 505]
        {
            assert_ne!(reason(status), "Status", "{status}");
        }
    }
}
