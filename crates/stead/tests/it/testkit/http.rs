//! A raw HTTP/1.1 client over one TCP connection.
//!
//! It sends bytes exactly as given and shows what came back: status line, headers, body, and the
//! chunks in which the body came. It follows no redirect, retries nothing and normalises nothing,
//! since what is under test is what a plain socket sees. Every wait has a deadline.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long an ordinary exchange may take before it counts as failed.
pub(crate) const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(20);

/// The longest line of a head that the client takes.
const LINE_BYTES_MAX: usize = 1 << 20;

/// A request as it goes out: nothing is added but `Host`, `Content-Length` and what a chunked
/// upload needs.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) chunked: bool,
    pub(crate) version: String,
}

impl Request {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: None,
            chunked: false,
            version: "1.1".to_owned(),
        }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn put(path: &str, form: &str) -> Self {
        Self::new("PUT", path).form(form)
    }

    pub(crate) fn post(path: &str, form: &str) -> Self {
        Self::new("POST", path).form(form)
    }

    pub(crate) fn delete(path: &str) -> Self {
        Self::new("DELETE", path)
    }

    /// Gives the request a form as its body, with the content type of forms.
    pub(crate) fn form(self, form: &str) -> Self {
        self.header("Content-Type", "application/x-www-form-urlencoded").body(form.as_bytes())
    }

    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.body = Some(body.to_vec());
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    /// The bytes on the wire.
    pub(crate) fn to_bytes(&self, host: SocketAddr) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/{}\r\n", self.method, self.path, self.version);
        if !self.has_header("host") {
            head.push_str(&format!("Host: {host}\r\n"));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut out = Vec::new();
        match &self.body {
            Some(body) if self.chunked => {
                head.push_str("Transfer-Encoding: chunked\r\n\r\n");
                out.extend_from_slice(head.as_bytes());
                // Small bodies go in pieces of seven bytes, so that chunks end inside of tokens.
                let piece = if body.len() < 4096 { 7 } else { body.len() };
                for part in body.chunks(piece) {
                    out.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                    out.extend_from_slice(part);
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(b"0\r\n\r\n");
            }
            Some(body) => {
                if !self.has_header("content-length") {
                    head.push_str(&format!("Content-Length: {}\r\n", body.len()));
                }
                head.push_str("\r\n");
                out.extend_from_slice(head.as_bytes());
                out.extend_from_slice(body);
            }
            None => {
                head.push_str("\r\n");
                out.extend_from_slice(head.as_bytes());
            }
        }
        out
    }
}

/// Status line and headers of an answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// All values of a header, joined as HTTP allows.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> = self
            .headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
            .collect();
        if values.is_empty() { None } else { Some(values.join(", ")) }
    }

    pub(crate) fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().contains("chunked"))
    }

    fn has_body(&self, method: &str) -> bool {
        method != "HEAD" && !matches!(self.status, 100..200 | 204 | 304)
    }
}

/// A whole answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Response {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; a body that is none fails the test and is shown.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("not JSON ({e}): status {} {}", self.status(), self.text()))
    }

    /// `X-Etcd-Index`, which every answer of the key space carries.
    pub(crate) fn index(&self) -> u64 {
        let text = self.head.header("X-Etcd-Index");
        text.as_deref()
            .and_then(|t| t.parse().ok())
            .unwrap_or_else(|| panic!("no usable X-Etcd-Index {text:?}: {self:?}"))
    }
}

/// Where the body of an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    None,
    Length(usize),
    Chunked,
    UntilClose,
}

/// One connection, with what has arrived and is not yet consumed.
pub(crate) struct Connection {
    stream: TcpStream,
    addr: SocketAddr,
    buf: Vec<u8>,
    deadline: Instant,
}

impl Connection {
    pub(crate) fn open(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, Duration::from_secs(10))?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(EXCHANGE_TIMEOUT))?;
        Ok(Self { stream, addr, buf: Vec::new(), deadline: Instant::now() + EXCHANGE_TIMEOUT })
    }

    /// All reads from now on must be done within `limit`.
    pub(crate) fn within(&mut self, limit: Duration) -> &mut Self {
        self.deadline = Instant::now() + limit;
        self
    }

    /// Another handle on the socket, for hanging up from elsewhere.
    pub(crate) fn socket(&self) -> io::Result<TcpStream> {
        self.stream.try_clone()
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Says that nothing more will be sent.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    pub(crate) fn send(&mut self, request: &Request) -> io::Result<()> {
        let bytes = request.to_bytes(self.addr);
        self.write(&bytes)
    }

    /// One request and its whole answer.
    pub(crate) fn exchange(&mut self, request: &Request) -> io::Result<Response> {
        self.within(EXCHANGE_TIMEOUT);
        self.send(request)?;
        self.response(&request.method)
    }

    /// The next answer, whole.
    pub(crate) fn response(&mut self, method: &str) -> io::Result<Response> {
        let head = self.head()?;
        let mut body = Vec::new();
        self.body(method, &head, &mut |part| body.extend_from_slice(part))?;
        Ok(Response { head, body })
    }

    /// The next status line and headers; interim answers are passed over.
    pub(crate) fn head(&mut self) -> io::Result<Head> {
        loop {
            let head = self.any_head()?;
            if head.status != 100 {
                return Ok(head);
            }
        }
    }

    /// The next status line and headers, interim answers too.
    pub(crate) fn any_head(&mut self) -> io::Result<Head> {
        let line = self.line()?;
        let status = line
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.get(2..5))
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| malformed(format!("status line {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(Head { status, headers });
            }
            let (name, value) =
                line.split_once(':').ok_or_else(|| malformed(format!("header {line:?}")))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// The body that belongs to `head`, piece by piece as it arrives. A piece is a chunk where the
    /// answer is chunked.
    pub(crate) fn body(
        &mut self,
        method: &str,
        head: &Head,
        each: &mut dyn FnMut(&[u8]),
    ) -> io::Result<()> {
        match framing(method, head)? {
            Framing::None => Ok(()),
            Framing::Length(len) => {
                let body = self.exactly(len)?;
                each(&body);
                Ok(())
            }
            Framing::Chunked => {
                while let Some(chunk) = self.chunk()? {
                    each(&chunk);
                }
                Ok(())
            }
            Framing::UntilClose => {
                let body = self.rest()?;
                each(&body);
                Ok(())
            }
        }
    }

    /// The next chunk of a chunked body; nothing where the body ends.
    pub(crate) fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.line()?;
        let digits = line.split(';').next().unwrap_or("").trim();
        let len = usize::from_str_radix(digits, 16)
            .map_err(|_| malformed(format!("chunk length {line:?}")))?;
        if len == 0 {
            while !self.line()?.is_empty() {}
            return Ok(None);
        }
        let chunk = self.exactly(len)?;
        let end = self.exactly(2)?;
        if end != b"\r\n" {
            return Err(malformed(format!("end of chunk {end:?}")));
        }
        Ok(Some(chunk))
    }

    /// Everything until the other side closes.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.fill()? > 0 {}
        Ok(std::mem::take(&mut self.buf))
    }

    /// Whether the other side has closed, which is waited for until the deadline. Bytes that still
    /// come are kept.
    pub(crate) fn is_closed(&mut self) -> bool {
        loop {
            match self.fill() {
                Ok(0) => return true,
                Ok(_) => {}
                Err(e) => return is_hang_up(&e),
            }
        }
    }

    /// What has arrived and was not consumed.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.buf
    }

    fn line(&mut self) -> io::Result<String> {
        let mut scanned = 0;
        loop {
            if let Some(at) = self.buf[scanned..].iter().position(|b| *b == b'\n') {
                let mut line: Vec<u8> = self.buf.drain(..=scanned + at).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                // Header bytes are Latin-1, as far as they mean anything.
                return Ok(line.iter().map(|b| char::from(*b)).collect());
            }
            scanned = self.buf.len();
            if scanned > LINE_BYTES_MAX {
                return Err(malformed("a line without end".to_owned()));
            }
            if self.fill()? == 0 {
                return Err(closed());
            }
        }
    }

    fn exactly(&mut self, len: usize) -> io::Result<Vec<u8>> {
        while self.buf.len() < len {
            if self.fill()? == 0 {
                return Err(closed());
            }
        }
        let rest = self.buf.split_off(len);
        Ok(std::mem::replace(&mut self.buf, rest))
    }

    /// Reads once; 0 means that the other side has closed.
    fn fill(&mut self) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::from(ErrorKind::TimedOut));
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut piece = [0u8; 64 << 10];
        loop {
            match self.stream.read(&mut piece) {
                Ok(n) => {
                    self.buf.extend_from_slice(&piece[..n]);
                    return Ok(n);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    return Err(io::Error::from(ErrorKind::TimedOut));
                }
                Err(e) => return Err(e),
            }
        }
    }
}

/// One request on a connection of its own.
pub(crate) fn send(addr: SocketAddr, request: &Request) -> io::Result<Response> {
    Connection::open(addr)?.exchange(request)
}

/// One request that must be answered; the test fails otherwise.
pub(crate) fn ask(addr: SocketAddr, request: &Request) -> Response {
    send(addr, request).unwrap_or_else(|e| panic!("{} {}: {e}", request.method, request.path))
}

/// Whether an error only says that the other side has gone.
pub(crate) fn is_hang_up(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::BrokenPipe
            | ErrorKind::ConnectionAborted
    )
}

fn framing(method: &str, head: &Head) -> io::Result<Framing> {
    if !head.has_body(method) {
        return Ok(Framing::None);
    }
    if head.is_chunked() {
        return Ok(Framing::Chunked);
    }
    match head.header("content-length") {
        Some(text) => {
            text.parse().map(Framing::Length).map_err(|_| malformed(format!("length {text:?}")))
        }
        None => Ok(Framing::UntilClose),
    }
}

fn malformed(what: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("malformed answer: {what}"))
}

fn closed() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "connection closed before the answer was whole")
}
