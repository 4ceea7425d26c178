//! Asks a member one thing at a time, with a deadline.
//!
//! It keeps its connection while the member does. What matters to a history is told apart: whether
//! the question can have reached the member at all.

use crate::login::Login;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Bytes of an answer at most; a listing of a whole window has some hundred kilobytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    #[cfg(test)]
    pub(crate) fn of(status: u16, body: &str) -> Self {
        Self { status, head: String::new(), body: body.to_owned() }
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The store's index that came with the answer.
    pub(crate) fn index(&self) -> u64 {
        self.header("X-Etcd-Index").and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The member cannot have read the question.
    NotSent,
    /// It may have.
    Unknown,
}

/// A connection to one member.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    host: SocketAddr,
    buf: Vec<u8>,
    /// Who asks on it; nobody in particular if it is not said.
    who: Option<Login>,
    /// The member will not answer on it again.
    pub(crate) is_over: bool,
}

impl Connection {
    pub(crate) fn open(addr: SocketAddr, within: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, within)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(within))?;
        stream.set_write_timeout(Some(within))?;
        Ok(Self { stream, host: addr, buf: Vec::new(), who: None, is_over: false })
    }

    /// Says who asks from now on.
    #[must_use]
    pub(crate) fn by(mut self, who: Option<&Login>) -> Self {
        self.who = who.cloned();
        self
    }

    /// Whether the member has closed the connection while nothing was asked. Clients look before
    /// they ask again, since a server that stops closes what is idle.
    fn is_closed(&self) -> bool {
        let mut byte = [0];
        let peeked = self.stream.set_nonblocking(true).and_then(|()| self.stream.peek(&mut byte));
        let is_open = matches!(&peeked, Err(error) if is_timeout(error)) || matches!(peeked, Ok(1));
        self.stream.set_nonblocking(false).is_err() || !is_open
    }

    /// Sends a request without waiting for the answer.
    pub(crate) fn send(&mut self, method: &str, target: &str, form: &str) -> io::Result<()> {
        self.send_as("application/x-www-form-urlencoded", (method, target, form))
    }

    /// The same with a body of another type: method, target, body.
    pub(crate) fn send_as(
        &mut self,
        content_type: &str,
        (method, target, body): (&str, &str, &str),
    ) -> io::Result<()> {
        let who = self.who.as_ref().map_or("", Login::line);
        let text = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\n{who}\
             Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        );
        self.send_bytes(text.as_bytes())
    }

    /// Sends what need be no request.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Reads one answer whose length the head says.
    pub(crate) fn answer(&mut self) -> io::Result<Answer> {
        let (status, head) = self.head()?;
        let mut answer = Answer { status, head, body: String::new() };
        let len: usize =
            answer.header("Content-Length").and_then(|text| text.parse().ok()).unwrap_or(0);
        if len > ANSWER_BYTES_MAX {
            return Err(invalid("the answer is too long"));
        }
        while self.buf.len() < len {
            self.fill()?;
        }
        let body: Vec<u8> = self.buf.drain(..len).collect();
        answer.body = String::from_utf8(body).map_err(|_| invalid("the body is no text"))?;
        self.is_over = answer.header("Connection").is_some_and(|word| word == "close");
        Ok(answer)
    }

    /// Status and headers; what follows stays where it is.
    pub(crate) fn head(&mut self) -> io::Result<(u16, String)> {
        let end = loop {
            if let Some(at) = self.buf.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if self.buf.len() > 1 << 20 {
                return Err(invalid("the head is too long"));
            }
            self.fill()?;
        };
        let head: Vec<u8> = self.buf.drain(..end).collect();
        let head = String::from_utf8(head).map_err(|_| invalid("the head is no text"))?;
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        Ok((status.ok_or_else(|| invalid("no status"))?, head))
    }

    /// The next line of a stream of events, if it is there within the time.
    pub(crate) fn line(&mut self, within: Duration) -> io::Result<Option<String>> {
        self.stream.set_read_timeout(Some(within))?;
        loop {
            if let Some(at) = self.buf.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buf.drain(..=at).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim().to_owned()));
            }
            if self.buf.len() > ANSWER_BYTES_MAX {
                return Err(invalid("the line is too long"));
            }
            match self.fill() {
                Ok(()) => {}
                Err(error) if is_timeout(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut piece = [0; 16 << 10];
        let len = self.stream.read(&mut piece)?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.buf.extend_from_slice(piece.get(..len).unwrap_or_default());
        Ok(())
    }
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Asks over the connection in `slot`, or over a new one that stays there.
pub(crate) fn ask(
    slot: &mut Option<Connection>,
    addr: SocketAddr,
    within: Duration,
    who: Option<&Login>,
    request: (&str, &str, &str),
) -> Result<Answer, Lost> {
    let connection = match slot.take().filter(|connection| !connection.is_closed()) {
        Some(connection) => connection,
        None => Connection::open(addr, within).map_err(|_| Lost::NotSent)?,
    };
    let mut connection = connection.by(who);
    let lost = |_| Lost::Unknown;
    connection.send(request.0, request.1, request.2).map_err(lost)?;
    let answer = connection.answer().map_err(lost)?;
    if !connection.is_over {
        *slot = Some(connection);
    }
    Ok(answer)
}

/// Asks once, over a connection of its own, as nobody in particular.
pub(crate) fn once(
    addr: SocketAddr,
    within: Duration,
    request: (&str, &str, &str),
) -> Option<Answer> {
    ask(&mut None, addr, within, None, request).ok()
}

/// The same as who may do everything. Where users do not count nobody looks at that.
pub(crate) fn as_root(
    addr: SocketAddr,
    within: Duration,
    request: (&str, &str, &str),
) -> Option<Answer> {
    ask(&mut None, addr, within, Some(&Login::root()), request).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_connection_that_the_server_has_closed_is_not_asked_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let within = Duration::from_secs(10);
        let connection = Connection::open(addr, within).unwrap();
        let (stream, _) = listener.accept().unwrap();
        assert!(!connection.is_closed());
        drop(stream);
        let begun = std::time::Instant::now();
        while !connection.is_closed() {
            assert!(begun.elapsed() < within);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
