//! From answers to bytes.
//!
//! Everything that all answers of a listener share is in [`Envelope`]; an answer adds its status,
//! its headers and its body. Heads are put together by hand into the connection's outbox, since
//! this is done for each request.

use std::io::Write as _;

/// What is the same for all answers for a while.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
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

/// The numbers that answers about the key space carry (spec keys.md section 4.3).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) cluster: u64,
    pub(crate) store_index: u64,
    /// raft's index and term; errors have none.
    pub(crate) raft: Option<(u64, u64)>,
}

/// How the length of a body is told.
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

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        301 => "Moved Permanently",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
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

impl Envelope<'_> {
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
        match length {
            Length::Known(length) => put_number(out, "Content-Length: ", length as u64),
            Length::Stream if self.is_http11 => {
                out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            }
            // The end of the connection is the end of the body.
            Length::Stream => {}
        }
        if !self.keep_alive {
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

/// Ends a streamed body.
pub(crate) fn put_end(out: &mut Vec<u8>, is_chunked: bool) {
    if is_chunked {
        out.extend_from_slice(b"0\r\n\r\n");
    }
}
