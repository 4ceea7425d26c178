//! A watch on the source that loses no event.
//!
//! A stream with a `waitIndex` in the past gives one event and then is dead, at every etcd. So what
//! is past is polled, one event for each request, and a stream is opened where nothing is. Whether
//! an event was past is told by the index in the head of the answer, which is that of the
//! registration. A stream is renewed every few seconds: some servers cut old ones silently, and one
//! that is dead for another reason is found so.

use super::queue::{Queue, Told};
use super::trouble::Troubles;
use crate::import::answer::Answer;
use crate::import::bounds::SMALL_BYTES_MAX;
use crate::import::key::key_path;
use crate::import::live::event::{Event, Splitter};
use crate::import::live::hidden::root_of;
use crate::import::live::reader::{Bounds, Reader, SMALL};
use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a stream is used.
const STREAM_TIME: Duration = Duration::from_secs(6);

/// A stream that was silent for so long had no past event to tell.
const SILENCE: Duration = Duration::from_secs(4);

/// How long a poll waits for an event; past ones come at once.
const POLL_TIME: Duration = Duration::from_secs(3);

const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What a thread needs that watches.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) reader: Reader,
    /// `""` for the whole.
    pub(super) root: String,
    /// The first index that was not seen.
    pub(super) next: u64,
    pub(super) queue: Arc<Queue>,
    pub(super) troubles: Arc<Troubles>,
}

/// How a part of the work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Onward,
    /// There are past events.
    Behind,
    Cleared,
    /// Nobody listens.
    Over,
}

impl Watch {
    /// Watches on a thread of its own until the queue is closed, or the source has forgotten.
    ///
    /// # Errors
    /// What the system gave.
    pub(super) fn start(self) -> io::Result<()> {
        thread::Builder::new().name("stead-watch".to_owned()).spawn(move || self.run())?;
        Ok(())
    }

    fn run(mut self) {
        let mut pause = PAUSE;
        let mut turn = Turn::Onward;
        while !self.queue.is_closed() {
            let outcome = match turn {
                Turn::Behind => self.poll(),
                _ => self.stream(),
            };
            match outcome {
                Ok(Turn::Over) => return,
                Ok(Turn::Cleared) => {
                    self.queue.push(Told::Cleared { root: self.root.clone() }, 0);
                    return;
                }
                Ok(next) => (turn, pause) = (next, PAUSE),
                Err(why) => {
                    self.troubles.tell(&self.root, &format!("{}: {why}", self.reader.base()));
                    self.reader.pass_on();
                    thread::sleep(pause);
                    (turn, pause) = (Turn::Onward, (pause * 2).min(PAUSE_MAX));
                }
            }
        }
    }

    fn path(&self, more: &str) -> String {
        let key = if self.root.is_empty() { "/" } else { &self.root };
        format!("{}?wait=true&recursive=true&waitIndex={}{more}", key_path(key), self.next)
    }

    /// One stream, to its end.
    fn stream(&mut self) -> Result<Turn, String> {
        let opened = self.reader.open_stream(&self.path("&stream=true"), STREAM_TIME);
        let (mut answer, mut body) = opened.map_err(|failure| failure.text())?;
        if answer.status != 200 {
            // What cannot be read of a refusal adds nothing to it.
            let _ = body.take(SMALL_BYTES_MAX).read_to_end(&mut answer.body);
            return refused(&answer);
        }
        self.troubles.settle(&self.root);
        let (begun, mut splitter, mut is_silent) = (Instant::now(), Splitter::default(), true);
        let mut bytes = vec![0; 64 << 10];
        loop {
            let read = match body.read(&mut bytes) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::TimedOut => break,
                Err(error) => return Err(error.to_string()),
            };
            splitter.feed(bytes.get(..read).unwrap_or_default());
            while let Some(json) = splitter.next()? {
                is_silent = false;
                let index = match self.tell(&json, true)? {
                    Some(index) => index,
                    None => return Ok(Turn::Over),
                };
                if index <= answer.index {
                    return Ok(Turn::Behind);
                }
            }
            if self.queue.is_closed() {
                return Ok(Turn::Over);
            }
        }
        match (is_silent, begun.elapsed() >= SILENCE) {
            // All up to the registration is known then, though it was nothing for this watch.
            (true, true) => self.next = self.next.max(answer.index.saturating_add(1)),
            // A server that ends streams at once is not asked again at once.
            (true, false) => thread::sleep(PAUSE),
            (false, _) => {}
        }
        Ok(Turn::Onward)
    }

    /// Polls until nothing is past.
    fn poll(&mut self) -> Result<Turn, String> {
        loop {
            let bounds = Bounds { patience: POLL_TIME, ..SMALL };
            // A poll that waits in vain ends like this too; the stream tells what is the matter.
            let Ok((answer, _)) = self.reader.try_get(&self.path(""), bounds) else {
                return Ok(Turn::Onward);
            };
            if answer.status != 200 {
                return refused(&answer);
            }
            match self.tell(&answer.body, false)? {
                None => return Ok(Turn::Over),
                Some(index) if index >= answer.index => return Ok(Turn::Onward),
                Some(_) => {}
            }
        }
    }

    /// Passes an event on. Gives its index; nothing if nobody listens. A stream of an etcd may tell
    /// of the removal of its own key twice.
    fn tell(&mut self, json: &[u8], is_stream: bool) -> Result<Option<u64>, String> {
        let event = Event::parse(json)?;
        let index = event.index();
        if index < self.next && is_stream {
            return Ok(Some(u64::MAX));
        }
        if index < self.next {
            return Err(format!("an event has the index {index}, before {}", self.next));
        }
        self.next = index + 1;
        // The one that decides lists a hidden key itself, and has it watched.
        let told = match root_of(&self.root, event.key()) {
            Some(key) => Told::Found { key: key.to_owned() },
            None => Told::Event { root: self.root.clone(), event: Box::new(event) },
        };
        Ok(self.queue.push(told, json.len()).then_some(index))
    }
}

fn refused(answer: &Answer) -> Result<Turn, String> {
    match answer.error_code() {
        401 => Ok(Turn::Cleared),
        _ => Err(answer.explain()),
    }
}
