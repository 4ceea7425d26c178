//! One request whose answer can be looked at while it arrives.

use std::io::ErrorKind;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use super::template::wall_seconds;
use crate::testkit::http::{Head, is_hang_up};
use crate::testkit::{Connection, Request};

/// What has arrived so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) head: Option<Head>,
    pub(crate) body: Vec<u8>,
    /// How many pieces the body came in.
    pub(crate) chunks: u64,
    /// The answer is whole.
    pub(crate) is_complete: bool,
    pub(crate) error: Option<String>,
    /// The error was that nothing more came in time.
    pub(crate) is_timed_out: bool,
    /// The client itself hung up, so that an error is no surprise.
    pub(crate) is_closing: bool,
    pub(crate) sent: f64,
    pub(crate) received: f64,
}

impl Answer {
    pub(crate) fn is_over(&self) -> bool {
        self.is_complete || self.error.is_some()
    }
}

#[derive(Default)]
struct Shared {
    answer: Mutex<Answer>,
    changed: Condvar,
    socket: Mutex<Option<TcpStream>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Answer> {
        self.answer.lock().expect("no thread panics while it holds the answer")
    }

    fn update(&self, change: impl FnOnce(&mut Answer)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

/// A request under way in a thread of its own.
pub(crate) struct Exchange {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Exchange {
    /// Sends the request; the answer is collected in the background.
    pub(crate) fn start(addr: SocketAddr, request: Request, limit: Duration) -> Self {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::spawn(move || run(&theirs, addr, &request, limit));
        Self { shared, thread: Some(thread) }
    }

    /// Sends the request and waits for the whole answer.
    pub(crate) fn perform(addr: SocketAddr, request: &Request, limit: Duration) -> Answer {
        let shared = Shared::default();
        run(&shared, addr, request, limit);
        shared.lock().clone()
    }

    /// Waits until `done` holds, and says whether it does; either way the answer so far.
    pub(crate) fn wait(
        &self,
        limit: Duration,
        mut done: impl FnMut(&Answer) -> bool,
    ) -> (bool, Answer) {
        let guard = self.shared.lock();
        let (guard, _) = self
            .shared
            .changed
            .wait_timeout_while(guard, limit, |answer| !done(answer))
            .expect("no thread panics while it holds the answer");
        let is_done = done(&guard);
        (is_done, guard.clone())
    }

    /// The client hangs up.
    pub(crate) fn close(mut self) {
        self.hang_up();
    }

    fn hang_up(&mut self) {
        self.shared.update(|answer| answer.is_closing = true);
        let socket = self.shared.socket.lock().expect("no thread panics while it holds the socket");
        if let Some(socket) = socket.as_ref() {
            // The server may have gone first, which is as good.
            let _ = socket.shutdown(Shutdown::Both);
        }
        drop(socket);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the reader of an answer does not panic");
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.hang_up();
    }
}

fn run(shared: &Shared, addr: SocketAddr, request: &Request, limit: Duration) {
    let result = receive(shared, addr, request, limit);
    shared.update(|answer| {
        answer.received = wall_seconds();
        match result {
            Ok(()) => answer.is_complete = true,
            Err(e) => {
                answer.is_timed_out = e.kind() == ErrorKind::TimedOut;
                answer.error = Some(e.to_string());
            }
        }
    });
}

fn receive(
    shared: &Shared,
    addr: SocketAddr,
    request: &Request,
    limit: Duration,
) -> std::io::Result<()> {
    let mut connection = Connection::open(addr)?;
    *shared.socket.lock().expect("no thread panics while it holds the socket") =
        Some(connection.socket()?);
    connection.within(limit);
    shared.update(|answer| answer.sent = wall_seconds());
    match connection.send(request) {
        // The server may answer, and close, before it has read everything.
        Err(e) if is_hang_up(&e) => {}
        other => other?,
    }
    let head = connection.head()?;
    shared.update(|answer| answer.head = Some(head.clone()));
    connection.body(&request.method, &head, &mut |piece| {
        shared.update(|answer| {
            answer.body.extend_from_slice(piece);
            answer.chunks += 1;
        });
    })
}
