//! The headers of a request: those that say where it ends, strictly, and those that matter here.

use super::{Refusal, Sender};
use crate::proof::ProofHeaders;

/// What the headers say.
pub(super) struct Headers<'a> {
    pub(super) body: Body,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
    pub(super) content_type: Option<&'a [u8]>,
    pub(super) accept: Option<&'a [u8]>,
    pub(super) sender: Sender<'a>,
    pub(super) upgrade: Option<&'a [u8]>,
    pub(super) token: Option<&'a [u8]>,
    pub(super) proof: ProofHeaders<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    Length(usize),
    Chunked,
}

fn trim(value: &[u8]) -> &[u8] {
    value.trim_ascii()
}

pub(super) fn is_form(value: &[u8]) -> bool {
    let kind = value.split(|byte| *byte == b';').next().unwrap_or_default();
    trim(kind).eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

pub(super) fn accepts_text(value: &[u8]) -> bool {
    value
        .split(|byte| matches!(byte, b',' | b';'))
        .any(|kind| trim(kind).eq_ignore_ascii_case(b"text/plain"))
}

/// Whether a line of the head ends without a carriage return. Some take that for the end of a line
/// and some do not, so that what one of them lets through is two requests to the other.
pub(super) fn has_bare_line_end(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head)
        .any(|at| at.checked_sub(1).and_then(|before| head.get(before)) != Some(&b'\r'))
}

impl<'a> Headers<'a> {
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
            12 if is("content-type") => Some(&mut self.content_type),
            14 if is("sec-fetch-site") => Some(&mut self.sender.fetch_site),
            15 if is("stead-challenge") => Some(&mut self.proof.challenge),
            _ => None,
        }
    }
}

/// Reads the headers that matter. Of several where one is allowed, the first counts.
pub(super) fn read_headers<'a>(
    lines: &[httparse::Header<'a>],
    is_http11: bool,
) -> Result<Headers<'a>, Refusal> {
    let mut length = None;
    let mut is_chunked = false;
    let mut has_host = false;
    let mut closes = false;
    let mut headers = Headers {
        body: Body::Length(0),
        keep_alive: is_http11,
        expects_continue: false,
        content_type: None,
        accept: None,
        sender: Sender::default(),
        upgrade: None,
        token: None,
        proof: ProofHeaders::default(),
    };
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
    headers.body = match (length, is_chunked) {
        (Some(_), true) => {
            return Err(Refusal::Malformed("both Content-Length and Transfer-Encoding are set"));
        }
        (_, true) => Body::Chunked,
        (length, false) => Body::Length(length.unwrap_or(0)),
    };
    Ok(headers)
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
