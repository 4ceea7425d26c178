//! From bytes to requests.
//!
//! Heads are parsed by `httparse`. What decides where a request ends is checked here, strictly: a
//! request whose framing is ambiguous is refused and its connection closed (RFC 9112 section 6.3),
//! since a proxy between the client and us may parse it differently (request smuggling).
//!
//! A request may come in any number of pieces. [`PartialRequest`] remembers how far it was
//! understood, so that a client that sends byte by byte does not make the server look at everything
//! again.

mod chunks;

use super::request::{Method, ReaderLimits, Refusal, Request, Sender, Terms};
use crate::proof::ProofHeaders;
use chunks::Chunks;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;

/// How many header lines a request may have.
const HEADERS_MAX: usize = 100;

/// How many bytes of blank lines may come before a request. RFC 9112 section 2.2 asks for one line,
/// for clients that send one too many behind a body.
const BLANK_BYTES_MAX: usize = 16;

/// What has been learned about a request that is still arriving.
#[derive(Debug, Default)]
pub(crate) struct PartialRequest {
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

impl PartialRequest {
    /// Whether the head is there and the body is not. Gives whether it named a path of the key
    /// space.
    pub(crate) fn awaits_body(&self) -> Option<bool> {
        (self.need > 0 || self.chunks.is_some()).then_some(self.is_keys)
    }
}

/// What parsing came to.
#[derive(Debug)]
// It lives on the stack for the length of one request; a box would cost an allocation.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Progress<'a> {
    /// More bytes are wanted. If the client waits for leave to send its body, it must get it now.
    NeedMore { send_continue: bool },
    /// A request, and how many bytes it took.
    Request(Request<'a>, usize),
    /// No request, and there will be none on this connection. The flag says whether the head named
    /// a path of the key space, whose errors have a shape of their own.
    Refused(Refusal, bool),
}

/// Looks for one request at the front of `buf`. `partial` belongs to this request and is reset by
/// the caller when one has been taken.
pub(crate) fn parse<'a>(
    buf: &'a [u8],
    partial: &'a mut PartialRequest,
    limits: &ReaderLimits,
) -> Progress<'a> {
    let blank = match before_head(buf, partial, limits) {
        ControlFlow::Continue(blank) => blank,
        ControlFlow::Break(progress) => return progress,
    };
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut []);
    let head_len = match head.parse_with_uninit_headers(buf, &mut headers) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => {
            partial.scanned = buf.len();
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
    partial.is_keys = target.is_some_and(|(path, _)| path.starts_with("/v2/keys"));
    let is_keys = partial.is_keys;
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
    let end = match find_end(buf, head_len, headers.framing, partial, limits) {
        Ok(Some(end)) => end,
        Ok(None) => {
            let send_continue = headers.expects_continue && is_http11 && !partial.continued;
            partial.continued |= send_continue;
            return Progress::NeedMore { send_continue };
        }
        Err(refusal) => return refuse(refusal),
    };
    let body = match &partial.chunks {
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
        content_encoding: headers.content_encoding,
        content_type: headers.content_type,
        accepts_text: headers.accept.is_some_and(accepts_text),
        authorization: headers.authorization,
        sender: headers.sender,
        upgrade: headers.upgrade,
        token: headers.token,
        proof: headers.proof,
        terms: headers.terms,
        body,
    };
    Progress::Request(request, end)
}

/// Whether a line of the head ends without a carriage return. Some take that for the end of a line
/// and some do not, so that what one of them lets through is two requests to the other.
pub(super) fn has_bare_line_end(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head)
        .any(|at| at.checked_sub(1).and_then(|before| head.get(before)) != Some(&b'\r'))
}

const MORE: Progress<'static> = Progress::NeedMore { send_continue: false };

/// What can be said without a look at the head; else how many bytes of blank lines come before it.
fn before_head(
    buf: &[u8],
    partial: &mut PartialRequest,
    limits: &ReaderLimits,
) -> ControlFlow<Progress<'static>, usize> {
    if buf.len() < partial.need {
        return ControlFlow::Break(MORE);
    }
    if let Some(chunks) = &mut partial.chunks {
        // The head is looked at again only when the body is whole.
        match chunks.advance(buf, limits) {
            Ok(true) => {}
            Ok(false) => return ControlFlow::Break(MORE),
            Err(refusal) => {
                return ControlFlow::Break(Progress::Refused(refusal, partial.is_keys));
            }
        }
    }
    let blank = blank_len(buf);
    if blank > BLANK_BYTES_MAX {
        let refusal = Refusal::Malformed("too many blank lines before the request");
        return ControlFlow::Break(Progress::Refused(refusal, false));
    }
    if partial.scanned > 0 && !has_head_end(buf, partial.scanned) {
        partial.scanned = buf.len();
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
    framing: Framing,
    partial: &mut PartialRequest,
    limits: &ReaderLimits,
) -> Result<Option<usize>, Refusal> {
    partial.scanned = 0;
    let Framing::Length(length) = framing else {
        let chunks = partial.chunks.get_or_insert_with(|| Chunks::new(head_len));
        return Ok(chunks.advance(buf, limits)?.then_some(chunks.end()));
    };
    if length > limits.body_bytes {
        return Err(Refusal::BodyTooLarge);
    }
    let end = head_len + length;
    if buf.len() < end {
        partial.need = end;
        return Ok(None);
    }
    Ok(Some(end))
}

/// What the headers say.
struct Headers<'a> {
    framing: Framing,
    keep_alive: bool,
    expects_continue: bool,
    content_type: Option<&'a [u8]>,
    content_encoding: Option<&'a [u8]>,
    accept: Option<&'a [u8]>,
    authorization: Option<&'a [u8]>,
    sender: Sender<'a>,
    upgrade: Option<&'a [u8]>,
    token: Option<&'a [u8]>,
    proof: ProofHeaders<'a>,
    terms: Terms<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
}

fn trim(value: &[u8]) -> &[u8] {
    value.trim_ascii()
}

fn is_form(value: &[u8]) -> bool {
    let kind = value.split(|byte| *byte == b';').next().unwrap_or_default();
    trim(kind).eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

fn accepts_text(value: &[u8]) -> bool {
    value
        .split(|byte| matches!(byte, b',' | b';'))
        .any(|kind| trim(kind).eq_ignore_ascii_case(b"text/plain"))
}

impl<'a> Headers<'a> {
    fn none(keep_alive: bool) -> Self {
        Self {
            framing: Framing::Length(0),
            keep_alive,
            expects_continue: false,
            content_type: None,
            content_encoding: None,
            accept: None,
            authorization: None,
            sender: Sender::default(),
            upgrade: None,
            token: None,
            proof: ProofHeaders::default(),
            terms: Terms::default(),
        }
    }

    /// Notes what a header says of the body's content. Those that contradict one another are
    /// refused: what one reads as a form is none to another.
    fn note_content(&mut self, name: &str, value: &'a [u8]) -> Result<(), Refusal> {
        if name.eq_ignore_ascii_case("content-type") {
            if self.content_type.is_some_and(|first| first != value) {
                return Err(Refusal::Malformed("more than one Content-Type header"));
            }
            self.content_type = Some(value);
        }
        // The first of several may say `identity`, and the next one something else.
        let is_plain = value.is_empty() || value.eq_ignore_ascii_case(b"identity");
        if name.eq_ignore_ascii_case("content-encoding") && !is_plain {
            self.content_encoding = Some(value);
        }
        Ok(())
    }

    /// Where the first of the headers with a name is kept; nothing if it does not matter.
    fn first_of(&mut self, name: &str) -> Option<&mut Option<&'a [u8]>> {
        let is = |wanted| name.eq_ignore_ascii_case(wanted);
        match name.len() {
            6 if is("accept") => Some(&mut self.accept),
            6 if is("origin") => Some(&mut self.sender.origin),
            7 if is("upgrade") => Some(&mut self.upgrade),
            11 if is("stead-token") => Some(&mut self.token),
            11 if is("stead-nonce") => Some(&mut self.proof.nonce),
            11 if is("stead-proof") => Some(&mut self.proof.proof),
            13 if is("authorization") => Some(&mut self.authorization),
            14 if is("sec-fetch-site") => Some(&mut self.sender.fetch_site),
            8 if is("if-match") => Some(&mut self.terms.if_match),
            13 if is("if-none-match") => Some(&mut self.terms.if_none_match),
            15 if is("accept-encoding") => Some(&mut self.terms.accept_encoding),
            17 if is("x-stead-dashboard") => Some(&mut self.terms.dashboard),
            15 if is("stead-challenge") => Some(&mut self.proof.challenge),
            _ => None,
        }
    }
}

/// Reads the headers that matter. Of several where one is allowed, the first counts.
fn read_headers<'a>(
    lines: &[httparse::Header<'a>],
    is_http11: bool,
) -> Result<Headers<'a>, Refusal> {
    let mut length = None;
    let mut is_chunked = false;
    let mut has_host = false;
    let mut closes = false;
    let mut headers = Headers::none(is_http11);
    for header in lines {
        let value = trim(header.value);
        // Compared by length first, here and in `first_of`: most headers are none of these.
        match header.name.len() {
            4 if header.name.eq_ignore_ascii_case("host") => {
                if has_host {
                    return Err(Refusal::Malformed("more than one Host header"));
                }
                has_host = true;
                headers.sender.host = Some(value);
            }
            6 if header.name.eq_ignore_ascii_case("expect") => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Refusal::Expectation);
                }
                headers.expects_continue = true;
            }
            10 if header.name.eq_ignore_ascii_case("connection") => {
                closes |= has_option(value, b"close");
                headers.keep_alive |= has_option(value, b"keep-alive");
            }
            14 if header.name.eq_ignore_ascii_case("content-length") => {
                let found = parse_length(value)?;
                if length.is_some_and(|length| length != found) {
                    return Err(Refusal::Malformed("more than one Content-Length header"));
                }
                length = Some(found);
            }
            17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                if is_chunked || !value.eq_ignore_ascii_case(b"chunked") || !is_http11 {
                    return Err(Refusal::Malformed("unsupported Transfer-Encoding"));
                }
                is_chunked = true;
            }
            12 | 16 => headers.note_content(header.name, value)?,
            _ => {
                if let Some(first) = headers.first_of(header.name) {
                    first.get_or_insert(value);
                }
            }
        }
    }
    if is_http11 && !has_host {
        return Err(Refusal::Malformed("missing Host header"));
    }
    headers.keep_alive &= !closes;
    headers.framing = framing(length, is_chunked)?;
    Ok(headers)
}

fn framing(length: Option<usize>, is_chunked: bool) -> Result<Framing, Refusal> {
    match (length, is_chunked) {
        (Some(_), true) => {
            Err(Refusal::Malformed("both Content-Length and Transfer-Encoding are set"))
        }
        (_, true) => Ok(Framing::Chunked),
        (length, false) => Ok(Framing::Length(length.unwrap_or(0))),
    }
}

/// Whether a list of words has this one.
fn has_option(value: &[u8], name: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|option| trim(option).eq_ignore_ascii_case(name))
}

fn parse_length(value: &[u8]) -> Result<usize, Refusal> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| is_number);
    match text.map(str::parse) {
        Some(Ok(length)) => Ok(length),
        Some(Err(_)) => Err(Refusal::BodyTooLarge),
        None => Err(Refusal::Malformed("invalid Content-Length")),
    }
}

#[cfg(test)]
mod tests;
