//! From bytes to requests.
//!
//! Heads are parsed by `httparse`. What decides where a request ends is checked here, strictly: a
//! request whose framing is ambiguous is refused and its connection closed (RFC 9112 section 6.3),
//! since somebody between us and the client may read it otherwise.

use std::fmt;

/// Bounds on what a client may send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) request_line_bytes: usize,
    pub(crate) head_bytes: usize,
    pub(crate) body_bytes: usize,
}

/// How many header lines a request may have.
const HEADERS_MAX: usize = 100;

/// A chunk's size line, extensions included.
const CHUNK_LINE_MAX: usize = 4096;

/// What has been learned about a request that is still arriving.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Parsing makes no sense before this many bytes are there.
    need: usize,
    /// How much of the head has been searched for its end.
    scanned: usize,
    /// Where a chunked body goes on, and what it has given so far.
    chunks: Option<Chunks>,
    /// Whether the client has been told to go on sending.
    pub(crate) continued: bool,
}

#[derive(Debug)]
struct Chunks {
    at: usize,
    body: Vec<u8>,
    is_done: bool,
}

/// A request method. Others than these are no use to anybody here.
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
    /// Whether the client asks for plain text.
    pub(crate) accepts_text: bool,
    pub(crate) origin: Option<&'a [u8]>,
    pub(crate) body: &'a [u8],
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
            Refusal::Expectation => "only the expectation 100-continue can be met",
            Refusal::HeadTooLarge => "the request's headers are too large",
            Refusal::Version => "only HTTP/1.0 and HTTP/1.1 are spoken here",
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

/// What the head says about the body.
struct Framing {
    body: Body,
    keep_alive: bool,
    expects_continue: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    Length(usize),
    Chunked,
}

/// Looks for one request at the front of `buf`. `state` belongs to this request and is reset by the
/// caller when one has been taken.
pub(crate) fn parse<'a>(buf: &'a [u8], state: &'a mut State, limits: &Limits) -> Progress<'a> {
    const MORE: Progress<'_> = Progress::NeedMore { send_continue: false };
    if buf.len() < state.need {
        return MORE;
    }
    if state.scanned > 0 && !has_head_end(buf, state.scanned) {
        state.scanned = buf.len();
        return head_limits(buf, limits).map_or(MORE, |refusal| Progress::Refused(refusal, false));
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let head_len = match head.parse(buf) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => {
            state.scanned = buf.len();
            return head_limits(buf, limits)
                .map_or(MORE, |refusal| Progress::Refused(refusal, false));
        }
        Err(error) => return Progress::Refused(explain(error), false),
    };
    let target = origin_form(head.path.unwrap_or("/"));
    let is_keys = target.starts_with("/v2/keys");
    let refuse = |refusal| Progress::Refused(refusal, is_keys);
    if let Some(refusal) = head_limits(buf.get(..head_len).unwrap_or(buf), limits) {
        return refuse(refusal);
    }
    let is_http11 = head.version == Some(1);
    let framing = match frame(head.headers, is_http11) {
        Ok(framing) => framing,
        Err(refusal) => return refuse(refusal),
    };
    let end = match find_end(buf, head_len, framing.body, state, limits) {
        Ok(Some(end)) => end,
        Ok(None) => {
            let send_continue = framing.expects_continue && is_http11 && !state.continued;
            state.continued |= send_continue;
            return Progress::NeedMore { send_continue };
        }
        Err(refusal) => return refuse(refusal),
    };
    let header = |name: &str| {
        head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|h| h.value)
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let body = match &state.chunks {
        Some(chunks) => &chunks.body,
        None => buf.get(head_len..end).unwrap_or_default(),
    };
    let request = Request {
        method: Method::parse(head.method.unwrap_or_default()),
        path,
        query,
        is_http11,
        keep_alive: framing.keep_alive,
        is_form: header("content-type").is_some_and(is_form),
        accepts_text: header("accept").is_some_and(accepts_text),
        origin: header("origin"),
        body,
    };
    Progress::Request(request, end)
}

/// Whether an empty line ends the head somewhere behind what was searched before.
fn has_head_end(buf: &[u8], scanned: usize) -> bool {
    let rest = buf.get(scanned.saturating_sub(3)..).unwrap_or_default();
    memchr::memchr_iter(b'\n', rest)
        .any(|at| matches!(rest.get(at + 1..), Some([b'\n', ..] | [b'\r', b'\n', ..])))
}

fn head_limits(buf: &[u8], limits: &Limits) -> Option<Refusal> {
    let line = memchr::memchr(b'\n', buf.get(..limits.request_line_bytes + 2).unwrap_or(buf));
    if line.is_none() && buf.len() > limits.request_line_bytes {
        return Some(Refusal::RequestLineTooLong);
    }
    (buf.len() > limits.head_bytes).then_some(Refusal::HeadTooLarge)
}

fn explain(error: httparse::Error) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => Refusal::HeadTooLarge,
        httparse::Error::Version => Refusal::Version,
        httparse::Error::Token => Refusal::Malformed("the request line is malformed"),
        _ => Refusal::Malformed("the request's head is malformed"),
    }
}

/// The path and query of a target, which may be a whole URL.
fn origin_form(target: &str) -> &str {
    let scheme = target.get(..7).filter(|start| start.eq_ignore_ascii_case("http://"));
    match scheme {
        Some(_) => target.get(7..).and_then(|rest| rest.find('/').and_then(|at| rest.get(at..))),
        None => Some(target),
    }
    .unwrap_or("/")
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

fn frame(headers: &[httparse::Header<'_>], is_http11: bool) -> Result<Framing, Refusal> {
    let mut length = None;
    let mut is_chunked = false;
    let mut has_host = false;
    let mut framing =
        Framing { body: Body::Length(0), keep_alive: is_http11, expects_continue: false };
    for header in headers {
        let value = trim(header.value);
        // Compared by length first: most headers are none of these.
        match header.name.len() {
            4 if header.name.eq_ignore_ascii_case("host") => {
                if has_host {
                    return Err(Refusal::Malformed("there are several Host headers"));
                }
                has_host = true;
            }
            6 if header.name.eq_ignore_ascii_case("expect") => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Refusal::Expectation);
                }
                framing.expects_continue = true;
            }
            10 if header.name.eq_ignore_ascii_case("connection") => {
                for option in value.split(|byte| *byte == b',').map(trim) {
                    if option.eq_ignore_ascii_case(b"close") {
                        framing.keep_alive = false;
                    } else if option.eq_ignore_ascii_case(b"keep-alive") && !is_http11 {
                        framing.keep_alive = true;
                    }
                }
            }
            14 if header.name.eq_ignore_ascii_case("content-length") => {
                let found = parse_length(value)?;
                if length.is_some_and(|length| length != found) {
                    return Err(Refusal::Malformed("there are several Content-Length headers"));
                }
                length = Some(found);
            }
            17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                if is_chunked || !value.eq_ignore_ascii_case(b"chunked") || !is_http11 {
                    return Err(Refusal::Malformed("the transfer encoding is not understood"));
                }
                is_chunked = true;
            }
            _ => {}
        }
    }
    if is_http11 && !has_host {
        return Err(Refusal::Malformed("the Host header is missing"));
    }
    framing.body = match (length, is_chunked) {
        (Some(_), true) => {
            return Err(Refusal::Malformed("both Content-Length and Transfer-Encoding are given"));
        }
        (_, true) => Body::Chunked,
        (length, false) => Body::Length(length.unwrap_or(0)),
    };
    Ok(framing)
}

fn parse_length(value: &[u8]) -> Result<usize, Refusal> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| is_number);
    match text.map(str::parse) {
        Some(Ok(length)) => Ok(length),
        Some(Err(_)) => Err(Refusal::BodyTooLarge),
        None => Err(Refusal::Malformed("the Content-Length is no number")),
    }
}

/// Where the request ends; nothing if it is not all there.
fn find_end(
    buf: &[u8],
    head_len: usize,
    body: Body,
    state: &mut State,
    limits: &Limits,
) -> Result<Option<usize>, Refusal> {
    state.scanned = 0;
    let Body::Length(length) = body else {
        let chunks = state.chunks.get_or_insert_with(|| Chunks {
            at: head_len,
            body: Vec::new(),
            is_done: false,
        });
        while !chunks.is_done && chunks.step(buf, limits)? {}
        return Ok(chunks.is_done.then_some(chunks.at));
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

impl Chunks {
    /// Takes one chunk, or the trailer. Says whether it got on.
    fn step(&mut self, buf: &[u8], limits: &Limits) -> Result<bool, Refusal> {
        let rest = buf.get(self.at..).unwrap_or_default();
        let line_bytes = rest.get(..CHUNK_LINE_MAX).unwrap_or(rest);
        let Some(line_end) = memchr::memchr(b'\n', line_bytes) else {
            let is_long = rest.len() >= CHUNK_LINE_MAX;
            let refusal = Refusal::Malformed("a chunk's size is malformed");
            return if is_long { Err(refusal) } else { Ok(false) };
        };
        let line = rest.get(..line_end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").ok_or(Refusal::Malformed("a chunk is malformed"))?;
        let size = chunk_size(line)?;
        let data_at = line_end + 1;
        if size == 0 {
            return self.finish(rest, data_at, limits);
        }
        if self.body.len() + size > limits.body_bytes {
            return Err(Refusal::BodyTooLarge);
        }
        let Some(tail) = rest.get(data_at + size..data_at + size + 2) else { return Ok(false) };
        if tail != b"\r\n" {
            return Err(Refusal::Malformed("a chunk is not as long as it says"));
        }
        self.body.extend_from_slice(rest.get(data_at..data_at + size).unwrap_or_default());
        self.at += data_at + size + 2;
        Ok(true)
    }

    /// Passes over the trailer fields behind the last chunk.
    fn finish(&mut self, rest: &[u8], from: usize, limits: &Limits) -> Result<bool, Refusal> {
        let mut at = from;
        loop {
            let tail = rest.get(at..).unwrap_or_default();
            let Some(len) = memchr::memchr(b'\n', tail) else {
                let is_long = tail.len() > limits.head_bytes;
                return if is_long { Err(Refusal::HeadTooLarge) } else { Ok(false) };
            };
            at += len + 1;
            if matches!(tail.get(..len), Some(b"" | b"\r")) {
                self.at += at;
                self.is_done = true;
                return Ok(true);
            }
            if at - from > limits.head_bytes {
                return Err(Refusal::HeadTooLarge);
            }
        }
    }
}

fn chunk_size(line: &[u8]) -> Result<usize, Refusal> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let digits = digits.trim_ascii_end();
    let is_hex = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).ok().filter(|_| is_hex);
    match text.map(|text| usize::from_str_radix(text, 16)) {
        // A size near the top of the range would overflow sums; it is too large anyhow.
        Some(Ok(size)) if size <= usize::MAX / 4 => Ok(size),
        Some(_) => Err(Refusal::BodyTooLarge),
        None => Err(Refusal::Malformed("a chunk's size is malformed")),
    }
}
