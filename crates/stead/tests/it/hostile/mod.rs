//! No input takes the server down.
//!
//! Whatever bytes arrive: what comes back is well-formed HTTP or a closed connection, the process
//! lives, its memory stays bounded, and a well-behaved client beside it is served throughout.

mod bounds;
mod bytes;
mod clients;
mod disk;
mod forms;
mod memory;
mod requests;
mod share;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::testkit::http::{Head, is_hang_up};
use crate::testkit::{Connection, Request, ask};

/// How long the server may take to answer, or to close, after the last byte of bad input.
const REACTION: Duration = Duration::from_secs(10);

/// What came back for some bytes: answers in order, and whether the server closed after them.
#[derive(Debug)]
struct Reaction {
    answers: Vec<(Head, Vec<u8>)>,
    is_closed: bool,
}

impl Reaction {
    fn statuses(&self) -> Vec<u16> {
        self.answers.iter().map(|(head, _)| head.status).collect()
    }
}

/// Sends bytes, says that no more will come, and reads answers until the server closes. Anything
/// that is not well-formed HTTP fails the test.
fn react(addr: SocketAddr, bytes: &[u8]) -> Reaction {
    let mut connection = Connection::open(addr).unwrap();
    match connection.write(bytes) {
        // The server may have seen enough before all is sent.
        Err(e) if is_hang_up(&e) => {}
        other => other.unwrap(),
    }
    // The server may have closed already, which ends the other direction as well.
    let _ = connection.shutdown_write();
    read_answers(&mut connection, "GET")
}

/// Reads answers until the server closes.
fn read_answers(connection: &mut Connection, method: &str) -> Reaction {
    connection.within(REACTION);
    let mut answers = Vec::new();
    loop {
        match read_answer(connection, method) {
            Ok(answer) => answers.push(answer),
            Err(e) if is_hang_up(&e) && connection.unread().is_empty() => {
                return Reaction { answers, is_closed: true };
            }
            Err(e) if e.kind() == io::ErrorKind::TimedOut && connection.unread().is_empty() => {
                return Reaction { answers, is_closed: false };
            }
            Err(e) => panic!("{e} after {answers:?}, unread {:?}", connection.unread()),
        }
    }
}

fn read_answer(connection: &mut Connection, method: &str) -> io::Result<(Head, Vec<u8>)> {
    let head = connection.head()?;
    let mut body = Vec::new();
    connection.body(method, &head, &mut |part| body.extend_from_slice(part))?;
    Ok((head, body))
}

/// Whether a key is there.
fn exists(addr: SocketAddr, key: &str) -> bool {
    ask(addr, &Request::get(&format!("/v2/keys{key}"))).status() == 200
}
