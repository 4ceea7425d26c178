//! Events of a key, one after the other, over everything that happens to servers.
//!
//! The index of the last event is known, so that a watch that breaks goes on behind it, at
//! whichever endpoint answers: nothing is lost and nothing comes twice. Only if the history of the
//! server no longer reaches back (error 401) events may be lost; then that is told, and what is
//! there now.

use crate::answer::broken;
use crate::client::{Client, Request, Stream};
use crate::documents::Documents;
use crate::event::{self, Event};
use crate::failure::{Failure, ServerError};
use crate::key::{self, Pairs};
use crate::term::say;
use std::thread;
use std::time::Duration;
use ureq::BodyReader;

/// The pause before a watch that broke is opened again; it grows with each attempt.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The code of an index that the history does not reach back to.
const HISTORY_GONE: u64 = 401;

/// What no patience cures.
fn is_final(failure: &Failure) -> bool {
    matches!(failure, Failure::Auth(_) | Failure::Usage(_) | Failure::Local(_))
}

/// What a watch brings.
#[derive(Debug)]
pub(crate) enum News {
    /// An event, and the server's own document.
    Event(Box<Event>, Vec<u8>),
    /// Events may be lost. What is there now, if it is still there.
    Gap { after: u64, next: u64, now: Option<Vec<u8>> },
}

/// A watch.
pub(crate) struct Follow<'a> {
    client: &'a mut Client,
    /// The path of the key's URL.
    path: String,
    is_recursive: bool,
    /// Whether each event is asked for by itself, and a server that has forgotten what was asked
    /// for ends the watch.
    is_polling: bool,
    /// `X-Etcd-Index` of the answer that the last event came in.
    index: u64,
    /// The index that the next event has at least.
    next: Option<u64>,
    open: Option<Documents<BodyReader<'static>>>,
    pause: Duration,
    /// Whether it ever was open: before, what cannot be reached ends the command.
    was_open: bool,
    is_told: bool,
}

impl<'a> Follow<'a> {
    pub(crate) fn new(
        client: &'a mut Client,
        key: String,
        is_recursive: bool,
        after: Option<u64>,
    ) -> Self {
        let next = after.map(|after| after.saturating_add(1));
        Self {
            client,
            path: key::path(&key),
            is_recursive,
            is_polling: false,
            index: 0,
            next,
            open: None,
            pause: PAUSE,
            was_open: false,
            is_told: false,
        }
    }

    /// A watch as etcdctl 2 has it: one request for each event, and no event is passed over in
    /// silence: a gap is an error.
    pub(crate) fn polling(mut self) -> Self {
        self.is_polling = true;
        self
    }

    /// `X-Etcd-Index` of the answer that the last event came in.
    pub(crate) fn index(&self) -> u64 {
        self.index
    }

    /// Waits for the next event.
    ///
    /// # Errors
    /// [`Failure`] of the first call; later only what no patience cures.
    pub(crate) fn next(&mut self) -> Result<News, Failure> {
        loop {
            let Some(documents) = &mut self.open else {
                match self.reopen() {
                    Ok(()) => {}
                    Err(failure @ Failure::Server(_)) if self.is_polling => return Err(failure),
                    Err(Failure::Server(error)) if error.code == HISTORY_GONE => {
                        if let Some(gap) = self.look_again()? {
                            return Ok(gap);
                        }
                    }
                    Err(failure) if !self.was_open || is_final(&failure) => return Err(failure),
                    Err(failure) => self.tell(&failure.to_string()),
                }
                continue;
            };
            let (document, why) = match documents.next() {
                Ok(document) => (document, "the server ended it".to_owned()),
                Err(error) => (None, broken(&error)),
            };
            let Some(document) = document else {
                self.open = None;
                self.tell(&why);
                continue;
            };
            if let Ok(event) = event::parse(&document) {
                // A server that sends again what it has sent is not believed twice.
                let index = event.node.modified_index;
                if self.next.is_some_and(|next| index < next) {
                    continue;
                }
                self.next = Some(index.saturating_add(1));
                self.pause = PAUSE;
                if self.is_polling {
                    self.open = None;
                }
                return Ok(News::Event(Box::new(event), document));
            }
            self.open = None;
            let error = ServerError::parse(200, &document);
            let is_gone = error.code == HISTORY_GONE;
            match Failure::refused(error) {
                failure @ Failure::Server(_) if self.is_polling => return Err(failure),
                _ if is_gone => {
                    if let Some(gap) = self.look_again()? {
                        return Ok(gap);
                    }
                }
                failure if is_final(&failure) => return Err(failure),
                failure => self.tell(&failure.to_string()),
            }
        }
    }

    /// Opens the watch.
    fn reopen(&mut self) -> Result<(), Failure> {
        let mut query = Pairs::default();
        match self.is_polling {
            true => {
                let word = if self.is_recursive { "true" } else { "false" };
                query.add("recursive", word).add("wait", "true");
            }
            false => {
                query.add("wait", "true").add("stream", "true");
                query.flag("recursive", self.is_recursive);
            }
        }
        query.option("waitIndex", self.next.map(|next| next.to_string()).as_deref());
        let Stream { index, reader } = self.client.open(query.behind(&self.path))?;
        // Whatever comes after this moment is waited for, also if the connection breaks.
        self.next = self.next.or(Some(index.saturating_add(1)));
        self.index = index;
        self.open = Some(Documents::new(reader));
        if self.is_told {
            say(&format!("watching again at {}", self.client.endpoint()));
        }
        (self.was_open, self.is_told) = (true, false);
        Ok(())
    }

    /// Reads what is there now, since the history no longer tells how it came. Nothing if it has to
    /// be tried again.
    fn look_again(&mut self) -> Result<Option<News>, Failure> {
        let after = self.next.unwrap_or(1).saturating_sub(1);
        let mut query = Pairs::default();
        query.add("quorum", "true").flag("recursive", self.is_recursive);
        let request = Request::list(query.behind(&self.path));
        let (index, now) = match self.client.call(&request) {
            Ok(reply) => (reply.index, Some(reply.body)),
            Err(Failure::Server(error)) if error.code == 100 => (error.index, None),
            Err(failure) if !self.was_open || is_final(&failure) => return Err(failure),
            Err(failure) => {
                self.tell(&failure.to_string());
                return Ok(None);
            }
        };
        let next = index.saturating_add(1).max(after.saturating_add(1));
        self.next = Some(next);
        say(&format!(
            "the server's history does not reach back to index {after}: events may be lost; going \
             on from index {next}"
        ));
        Ok(Some(News::Gap { after, next, now }))
    }

    /// Says once that the watch is interrupted, and waits a little.
    fn tell(&mut self, why: &str) {
        if !self.is_told {
            say(&format!("the watch is interrupted and goes on by itself: {why}"));
            self.is_told = true;
        }
        thread::sleep(self.pause);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }
}
