//! One connection, with one request at a time; for events a second one that waits for them.

use super::tally::{Kind, Tally};
use super::{Load, Shared};
use crate::client::{Client, Method, Request};
use crate::failure::Failure;
use crate::key::{self, Pairs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// The pause after an error: a server that refuses is not flooded.
const PAUSE: Duration = Duration::from_millis(20);

/// How long an event may take that a write has caused.
const EVENT_TIME: Duration = Duration::from_secs(10);

/// How long a request for the next event waits; it is asked for again then.
const WATCH_TIME: Duration = Duration::from_secs(30);

/// Letters that values are made of: each is one byte of a form.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz012345";

pub(super) struct Worker<'a> {
    shared: &'a Shared<'a>,
    client: Client,
    /// The one that waits for events.
    watcher: Option<Client>,
    number: u64,
    random: u64,
    value: String,
}

impl<'a> Worker<'a> {
    pub(super) fn new(
        shared: &'a Shared<'a>,
        client: &Client,
        number: u64,
    ) -> Result<Self, Failure> {
        let at = usize::try_from(number).unwrap_or(0);
        let another = || client.another(at);
        let watcher = (shared.args.load == Load::Watch).then(another).transpose()?;
        // Any numbers will do, as long as connections differ.
        let random = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut worker =
            Self { shared, client: another()?, watcher, number, random, value: String::new() };
        let letters = (0..shared.args.value_size).map(|_| {
            let letter = worker.draw(LETTERS.len() as u64);
            char::from(LETTERS[usize::try_from(letter).unwrap_or(0)])
        });
        worker.value = letters.collect();
        Ok(worker)
    }

    /// A number below another one (xorshift).
    fn draw(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    /// Writes a key; gives the index of the change.
    fn put(&mut self, number: u64) -> Result<Option<u64>, Failure> {
        // Values differ, as they do in earnest.
        let letter = usize::try_from(self.draw(LETTERS.len() as u64)).unwrap_or(0);
        let letter = LETTERS.get(letter..=letter).and_then(|one| std::str::from_utf8(one).ok());
        self.value.replace_range(..1, letter.unwrap_or("a"));
        let mut form = Pairs::default();
        form.add("value", &self.value);
        let key = self.shared.key(number);
        let request = Request::write(Method::PUT, key::path(&key), format!("stead get {key}"));
        let reply = self.client.call(&request.form(form.form()))?;
        self.shared.done.fetch_add(1, Ordering::Relaxed);
        Ok(modified_index(&reply.body))
    }

    fn get(&mut self, number: u64) -> Result<(), Failure> {
        let mut path = key::path(&self.shared.key(number));
        if self.shared.args.quorum {
            path += "?quorum=true";
        }
        self.client.call(&Request::get(path))?;
        self.shared.done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Writes this connection's share of the keys that are to be read.
    pub(super) fn prepare(&mut self) -> Result<(), Failure> {
        let step = usize::from(self.shared.args.connections);
        for number in (self.number..self.shared.args.key_count.into()).step_by(step) {
            if self.shared.is_stopped() {
                break;
            }
            self.put(number).map(drop)?;
        }
        Ok(())
    }

    /// Does what was asked for until the end.
    pub(super) fn work(&mut self, end: Instant) -> Tally {
        let mut tally = Tally::default();
        if let Some(watcher) = self.watcher.take() {
            self.work_with(watcher, end, &mut tally);
            return tally;
        }
        let keys = u64::from(self.shared.args.key_count);
        while Instant::now() < end && !self.shared.is_stopped() {
            let number = self.draw(keys);
            let is_write_due = self.draw(4) == 0;
            let kind = match self.shared.args.load {
                Load::Put => Kind::Put,
                Load::Mixed if is_write_due => Kind::Put,
                Load::Get | Load::Mixed | Load::Watch => Kind::Get,
            };
            let begun = Instant::now();
            let outcome = match kind {
                Kind::Get => self.get(number),
                Kind::Put | Kind::Event => self.put(number).map(drop),
            };
            match outcome {
                Ok(()) => tally.took(kind, begun.elapsed()),
                Err(failure) => {
                    tally.failed(kind, failure);
                    thread::sleep(PAUSE);
                }
            }
        }
        tally
    }

    /// Writes a key of its own and waits for the event, again and again.
    fn work_with(&mut self, watcher: Client, end: Instant, tally: &mut Tally) {
        let is_due = || Instant::now() < end && !self.shared.is_stopped();
        // Its index is where the first event is waited from.
        let first = loop {
            match self.put(self.number) {
                Ok(index) => break index,
                Err(failure) => tally.failed(Kind::Put, failure),
            }
            if !is_due() {
                return;
            }
            thread::sleep(PAUSE);
        };
        let (sender, events) = channel();
        let is_over = AtomicBool::new(false);
        let path = key::path(&self.shared.key(self.number));
        thread::scope(|scope| {
            let is_over = &is_over;
            let mut watcher =
                EventWatcher { client: watcher, path, next: first.map(|one| one + 1) };
            let started = thread::Builder::new()
                .spawn_scoped(scope, move || watcher.wait_for_events(is_over, &sender));
            if let Err(error) = started {
                let why = format!("cannot start a thread: {error}");
                return tally.failed(Kind::Event, Failure::Local(why));
            }
            while Instant::now() < end && !self.shared.is_stopped() {
                self.write_and_wait(&events, tally);
            }
            is_over.store(true, Ordering::Relaxed);
            // The last event, so that nobody waits for one any more.
            if let Err(failure) = self.put(self.number) {
                tally.failed(Kind::Put, failure);
            }
        });
    }

    fn write_and_wait(&mut self, events: &Receiver<Seen>, tally: &mut Tally) {
        let begun = Instant::now();
        if let Err(failure) = self.put(self.number) {
            tally.failed(Kind::Put, failure);
            return thread::sleep(PAUSE);
        }
        tally.took(Kind::Put, begun.elapsed());
        let deadline = Instant::now() + EVENT_TIME;
        loop {
            match events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                // One of a write whose answer was an error.
                Ok(Ok(at)) if at < begun => {}
                Ok(Ok(at)) => return tally.took(Kind::Event, at.duration_since(begun)),
                Ok(Err(failure)) => tally.failed(Kind::Event, failure),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let why = "no event came within 10 s".to_owned();
                    return tally.failed(Kind::Event, Failure::Local(why));
                }
            }
        }
    }
}

/// When an event came, or why none did.
type Seen = Result<Instant, Failure>;

/// Waits for one event of a key after the other, so that none is missed.
struct EventWatcher {
    client: Client,
    path: String,
    /// The index of the next event at the least.
    next: Option<u64>,
}

impl EventWatcher {
    fn wait_for_events(&mut self, is_over: &AtomicBool, sender: &Sender<Seen>) {
        while !is_over.load(Ordering::Relaxed) {
            let from = self.next.map(|index| format!("&waitIndex={index}")).unwrap_or_default();
            let request = Request::get(format!("{}?wait=true{from}", self.path));
            match self.client.call_for(&request, WATCH_TIME) {
                Ok(reply) => {
                    let at = Instant::now();
                    self.next = modified_index(&reply.body).map(|index| index + 1).or(self.next);
                    if sender.send(Ok(at)).is_err() {
                        return;
                    }
                }
                Err(failure) => {
                    // Whoever counts may have gone on to the end.
                    let _ = sender.send(Err(failure));
                    thread::sleep(PAUSE);
                }
            }
        }
    }
}

fn modified_index(body: &[u8]) -> Option<u64> {
    let event: serde_json::Value = serde_json::from_slice(body).ok()?;
    event.get("node")?.get("modifiedIndex")?.as_u64()
}
