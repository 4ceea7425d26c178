//! A client that waits: a long poll or a stream of events.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use serde_json::Value;

use super::http::{Connection, Head, Request};

/// How long an event that must come may take.
pub(crate) const EVENT_TIMEOUT: Duration = Duration::from_secs(10);

/// An open watch. Its headers have arrived, so it is registered at the server.
pub(crate) struct Watch {
    connection: Connection,
    head: Head,
    text: Vec<u8>,
    /// How much of the text has been handed out already.
    consumed: usize,
    ended: bool,
}

impl Watch {
    /// Sends the request and reads the headers, which the server sends before any event.
    pub(crate) fn open(addr: SocketAddr, path: &str) -> Self {
        Self::try_open(addr, path).unwrap_or_else(|e| panic!("watch {path}: {e}"))
    }

    pub(crate) fn try_open(addr: SocketAddr, path: &str) -> io::Result<Self> {
        let mut connection = Connection::open(addr)?;
        connection.send(&Request::get(path))?;
        let head = connection.head()?;
        Ok(Self { connection, head, text: Vec::new(), consumed: 0, ended: false })
    }

    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    /// The next event; none where the answer has ended.
    pub(crate) fn next(&mut self, limit: Duration) -> io::Result<Option<Value>> {
        self.connection.within(limit);
        loop {
            if let Some(event) = self.take_event()? {
                return Ok(Some(event));
            }
            if self.ended {
                return Ok(None);
            }
            self.receive()?;
        }
    }

    /// The next event, which must come.
    pub(crate) fn event(&mut self) -> Value {
        match self.next(EVENT_TIMEOUT) {
            Ok(Some(event)) => event,
            other => panic!("no event: {other:?}"),
        }
    }

    /// Whether no event comes for `limit`.
    pub(crate) fn is_silent(&mut self, limit: Duration) -> bool {
        matches!(self.next(limit), Err(e) if e.kind() == io::ErrorKind::TimedOut)
    }

    pub(crate) fn hang_up(self) {
        if let Ok(socket) = self.connection.socket() {
            // The peer may have gone first, which is as good.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        if self.head.is_chunked() {
            match self.connection.chunk()? {
                Some(chunk) => self.text.extend_from_slice(&chunk),
                None => self.ended = true,
            }
        } else {
            let head = self.head.clone();
            let text = &mut self.text;
            self.connection.body("GET", &head, &mut |part| text.extend_from_slice(part))?;
            self.ended = true;
        }
        Ok(())
    }

    fn take_event(&mut self) -> io::Result<Option<Value>> {
        let rest = &self.text[self.consumed..];
        let mut documents = serde_json::Deserializer::from_slice(rest).into_iter();
        match documents.next() {
            Some(Ok(event)) => {
                self.consumed += documents.byte_offset();
                Ok(Some(event))
            }
            Some(Err(e)) if !e.is_eof() => Err(io::Error::other(e)),
            _ => {
                self.text.drain(..self.consumed);
                self.consumed = 0;
                Ok(None)
            }
        }
    }
}
