//! From bytes to requests.
//!
//! Heads are parsed by `httparse`. What decides where a request ends is checked here, strictly: a
//! request whose framing is ambiguous is refused and its connection closed (RFC 9112 section 6.3),
//! since a proxy between the client and us may parse it differently (request smuggling).
//!
//! A request may come in any number of pieces. [`State`] remembers how far it was understood, so
//! that a client that sends byte by byte does not make the server look at everything again.

mod chunks;
mod headers;

use crate::proof::ProofHeaders;
use chunks::Chunks;
use headers::{Body, accepts_text, has_bare_line_end, is_form, read_headers};
use std::fmt;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;

/// Bounds on what a client may send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReaderLimits {
    pub(crate) request_line_bytes: usize,
    pub(crate) head_bytes: usize,
    pub(crate) body_bytes: usize,
}

/// How many header lines a request may have.
const HEADERS_MAX: usize = 100;

/// How many bytes of blank lines may come before a request. RFC 9112 section 2.2 asks for one line,
/// for clients that send one too many behind a body.
const BLANK_BYTES_MAX: usize = 16;

/// What has been learned about a request that is still arriving.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Parsing makes no sense before this many bytes are there.
    need: usize,
    /// How much of the head has been searched for its end.
    scanned: usize,
    /// A chunked body, once the head is known.
    chunks: Option<Chunks>,
    /// Whether the head named a path of the key space, once it is known.
    is_keys: bool,
    /// Whether `100 Continue` was sent.
    pub(crate) continued: bool,
}

/// A request method. Others are not supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Put,
    Post,
    Delete,
    Options,
    Other,
}

impl Method {
    fn parse(name: &str) -> Self {
        match name {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "PUT" => Method::Put,
            "POST" => Method::Post,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            _ => Method::Other,
        }
    }

    /// The method of a request that was refused, as well as its bytes tell.
    pub(crate) fn of(buf: &[u8]) -> Self {
        let word = buf.trim_ascii_start().split(|byte| *byte == b' ').next();
        Self::parse(word.and_then(|word| str::from_utf8(word).ok()).unwrap_or_default())
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Put => "PUT",
            Method::Post => "POST",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
            Method::Other => "OTHER",
        }
    }
}

/// A whole request. Texts are borrowed from the connection's bytes.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    /// The path as sent, without the query.
    pub(crate) path: &'a str,
    /// The query as sent, without the question mark.
    pub(crate) query: &'a str,
    pub(crate) is_http11: bool,
    pub(crate) keep_alive: bool,
    /// Whether the body is a form by its content type.
    pub(crate) is_form: bool,
    /// As sent.
    pub(crate) content_type: Option<&'a [u8]>,
    /// Whether the client asks for plain text.
    pub(crate) accepts_text: bool,
    /// Who sent it, as browsers say it, and whom they meant.
    pub(crate) sender: Sender<'a>,
    /// The protocol that the client asks to upgrade to.
    pub(crate) upgrade: Option<&'a [u8]>,
    /// The cluster's secret, as the sender knows it.
    pub(crate) token: Option<&'a [u8]>,
    /// How the sender proves that it knows it.
    pub(crate) proof: ProofHeaders<'a>,
    pub(crate) body: &'a [u8],
}

/// What a browser says of a page that sends a request. Other clients send the host alone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sender<'a> {
    /// Whom the sender meant: HOST or HOST:PORT.
    pub(crate) host: Option<&'a [u8]>,
    /// The page's origin.
    pub(crate) origin: Option<&'a [u8]>,
    /// `Sec-Fetch-Site`: how the page's site relates to this one.
    pub(crate) fetch_site: Option<&'a [u8]>,
}

/// Why a request is refused. The connection is closed after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 400
    Malformed(&'static str),
    /// 413
    BodyTooLarge,
    /// 414
    RequestLineTooLong,
    /// 417
    Expectation,
    /// 431
    HeadTooLarge,
    /// 505
    Version,
}

impl Refusal {
    pub(crate) fn status(self) -> u16 {
        match self {
            Refusal::Malformed(_) => 400,
            Refusal::BodyTooLarge => 413,
            Refusal::RequestLineTooLong => 414,
            Refusal::Expectation => 417,
            Refusal::HeadTooLarge => 431,
            Refusal::Version => 505,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Malformed(detail) => detail,
            Refusal::BodyTooLarge => "the request body is too large",
            Refusal::RequestLineTooLong => "the request line is too long",
            Refusal::Expectation => "unsupported Expect header: only 100-continue is supported",
            Refusal::HeadTooLarge => "the request's headers are too large",
            Refusal::Version => {
                "unsupported protocol version: only HTTP/1.0 and HTTP/1.1 are \
                                 supported"
            }
        })
    }
}

/// What parsing came to.
#[derive(Debug)]
pub(crate) enum Progress<'a> {
    /// More bytes are wanted. If the client waits for leave to send its body, it must get it now.
    NeedMore { send_continue: bool },
    /// A request, and how many bytes it took.
    Request(Request<'a>, usize),
    /// No request, and there will be none on this connection. The flag says whether the head named
    /// a path of the key space, whose errors have a shape of their own.
    Refused(Refusal, bool),
}

/// Looks for one request at the front of `buf`. `state` belongs to this request and is reset by the
/// caller when one has been taken.
pub(crate) fn parse<'a>(
    buf: &'a [u8],
    state: &'a mut State,
    limits: &ReaderLimits,
) -> Progress<'a> {
    let blank = match before_head(buf, state, limits) {
        ControlFlow::Continue(blank) => blank,
        ControlFlow::Break(progress) => return progress,
    };
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut []);
    let head_len = match head.parse_with_uninit_headers(buf, &mut headers) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => {
            state.scanned = buf.len();
            return unfinished(buf, limits);
        }
        Err(error) => return Progress::Refused(explain(error, buf), false),
    };
    if has_bare_line_end(buf.get(blank..head_len).unwrap_or_default()) {
        let refusal = Refusal::Malformed("a line of the request's head does not end in CRLF");
        return Progress::Refused(refusal, false);
    }
    let method = Method::parse(head.method.unwrap_or_default());
    let target = split_target(method, head.path.unwrap_or_default());
    state.is_keys = target.is_some_and(|(path, _)| path.starts_with("/v2/keys"));
    let is_keys = state.is_keys;
    let refuse = |refusal| Progress::Refused(refusal, is_keys);
    if let Some(refusal) = head_limits(buf.get(..head_len).unwrap_or(buf), limits) {
        return refuse(refusal);
    }
    let Some((path, query)) = target else {
        return refuse(Refusal::Malformed("invalid request target"));
    };
    let is_http11 = head.version == Some(1);
    let headers = match read_headers(head.headers, is_http11) {
        Ok(headers) => headers,
        Err(refusal) => return refuse(refusal),
    };
    let end = match find_end(buf, head_len, headers.body, state, limits) {
        Ok(Some(end)) => end,
        Ok(None) => {
            let send_continue = headers.expects_continue && is_http11 && !state.continued;
            state.continued |= send_continue;
            return Progress::NeedMore { send_continue };
        }
        Err(refusal) => return refuse(refusal),
    };
    let body = match &state.chunks {
        Some(chunks) => chunks.body(),
        None => buf.get(head_len..end).unwrap_or_default(),
    };
    let request = Request {
        method,
        path,
        query,
        is_http11,
        keep_alive: headers.keep_alive,
        is_form: headers.content_type.is_some_and(is_form),
        content_type: headers.content_type,
        accepts_text: headers.accept.is_some_and(accepts_text),
        sender: headers.sender,
        upgrade: headers.upgrade,
        token: headers.token,
        proof: headers.proof,
        body,
    };
    Progress::Request(request, end)
}

const MORE: Progress<'static> = Progress::NeedMore { send_continue: false };

/// What can be said without a look at the head; else how many bytes of blank lines come before it.
fn before_head(
    buf: &[u8],
    state: &mut State,
    limits: &ReaderLimits,
) -> ControlFlow<Progress<'static>, usize> {
    if buf.len() < state.need {
        return ControlFlow::Break(MORE);
    }
    if let Some(chunks) = &mut state.chunks {
        // The head is looked at again only when the body is whole.
        match chunks.advance(buf, limits) {
            Ok(true) => {}
            Ok(false) => return ControlFlow::Break(MORE),
            Err(refusal) => {
                return ControlFlow::Break(Progress::Refused(refusal, state.is_keys));
            }
        }
    }
    let blank = blank_len(buf);
    if blank > BLANK_BYTES_MAX {
        let refusal = Refusal::Malformed("too many blank lines before the request");
        return ControlFlow::Break(Progress::Refused(refusal, false));
    }
    if state.scanned > 0 && !has_head_end(buf, state.scanned) {
        state.scanned = buf.len();
        return ControlFlow::Break(unfinished(buf, limits));
    }
    ControlFlow::Continue(blank)
}

/// The head has not arrived completely: more is awaited, unless it is too long already.
fn unfinished(buf: &[u8], limits: &ReaderLimits) -> Progress<'static> {
    head_limits(buf, limits).map_or(MORE, |refusal| Progress::Refused(refusal, false))
}

/// Whether an empty line ends the head somewhere behind what was searched before.
fn has_head_end(buf: &[u8], scanned: usize) -> bool {
    let rest = buf.get(scanned.saturating_sub(3)..).unwrap_or_default();
    memchr::memchr_iter(b'\n', rest)
        .any(|at| matches!(rest.get(at + 1..), Some([b'\n', ..] | [b'\r', b'\n', ..])))
}

/// How many bytes of blank lines come first, counted until they are too many. A carriage return
/// alone is no line: what is refused must not depend on the pieces in which it came.
fn blank_len(buf: &[u8]) -> usize {
    let mut len = 0;
    while len <= BLANK_BYTES_MAX {
        len += match buf.get(len..) {
            Some([b'\n', ..]) => 1,
            Some([b'\r', b'\n', ..]) => 2,
            _ => break,
        };
    }
    len
}

/// Whether the head, or what has come of it, is too long.
fn head_limits(buf: &[u8], limits: &ReaderLimits) -> Option<Refusal> {
    let blank = blank_len(buf);
    let line = buf.get(blank..).unwrap_or_default();
    // The line and its end: with less than that the end may still come.
    let line_max = limits.request_line_bytes + 2;
    let has_end = memchr::memchr(b'\n', line.get(..line_max).unwrap_or(line)).is_some();
    if !has_end && line.len() >= line_max {
        return Some(Refusal::RequestLineTooLong);
    }
    (buf.len() > limits.head_bytes).then_some(Refusal::HeadTooLarge)
}

fn explain(error: httparse::Error, buf: &[u8]) -> Refusal {
    // The parser calls everything a version that stands in its place.
    let third = buf.trim_ascii_start().split(|byte| *byte == b' ').nth(2);
    match error {
        httparse::Error::TooManyHeaders => Refusal::HeadTooLarge,
        httparse::Error::Version if third.is_some_and(|word| word.starts_with(b"HTTP/")) => {
            Refusal::Version
        }
        httparse::Error::Token | httparse::Error::Version => {
            Refusal::Malformed("malformed request line")
        }
        _ => Refusal::Malformed("malformed request head"),
    }
}

/// The path and query of a target: a path, a whole URL, or the `*` of OPTIONS.
fn split_target(method: Method, target: &str) -> Option<(&str, &str)> {
    if target.starts_with('/') || (target == "*" && method == Method::Options) {
        return Some(target.split_once('?').unwrap_or((target, "")));
    }
    let after = |scheme: &str| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    let rest = after("http://").or_else(|| after("https://"))?;
    let tail = rest.find(['/', '?']).and_then(|at| rest.get(at..)).unwrap_or_default();
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    Some((if path.is_empty() { "/" } else { path }, query))
}

/// Where the request ends; nothing if it is not all there.
fn find_end(
    buf: &[u8],
    head_len: usize,
    body: Body,
    state: &mut State,
    limits: &ReaderLimits,
) -> Result<Option<usize>, Refusal> {
    state.scanned = 0;
    let Body::Length(length) = body else {
        let chunks = state.chunks.get_or_insert_with(|| Chunks::new(head_len));
        return Ok(chunks.advance(buf, limits)?.then_some(chunks.end()));
    };
    if length > limits.body_bytes {
        return Err(Refusal::BodyTooLarge);
    }
    let end = head_len + length;
    if buf.len() < end {
        state.need = end;
        return Ok(None);
    }
    Ok(Some(end))
}

#[cfg(test)]
mod tests;
