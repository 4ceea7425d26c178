//! Watchers: one at each member, which together tell the order of all changes, and a few that move
//! from member to member and always ask for what comes after the last that they were told.

use crate::http::Connection;
use crate::login::Login;
use crate::record::{self, Shared, Told};
use crate::work::PATIENCE;
use serde_json::Value;
use sim::Stretch;
use sim::rng::Rng;
use std::io;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

/// How long a watcher waits for a line before it looks whether anything has changed.
const LOOK: Duration = Duration::from_millis(100);

/// What those that move watch.
const PATHS: [(&str, bool); 4] = [("/", true), ("/r", true), ("/q", true), ("/r/0", false)];

/// One watcher.
pub(crate) struct Watcher<'a> {
    shared: &'a Shared,
    /// Its place among the watchers of the window.
    id: usize,
    /// The member that it stays at; nothing for one that moves.
    member: Option<usize>,
    rng: Rng,
}

impl<'a> Watcher<'a> {
    pub(crate) fn new(shared: &'a Shared, id: usize, member: Option<usize>, rng: Rng) -> Self {
        Self { shared, id, member, rng }
    }

    /// What it is told in a new window that begins behind an index.
    pub(crate) fn told(id: usize, member: Option<usize>, base: u64) -> Told {
        let (path, recursive) = match member {
            Some(_) => ("/", true),
            None => PATHS.get(id % PATHS.len()).copied().unwrap_or(("/", true)),
        };
        let name = member.map_or_else(|| format!("mover {id}"), |at| format!("watcher at m{at}"));
        let next = base + 1;
        let stretches = vec![Stretch { from: next, ..Stretch::default() }];
        Told { name, path: path.to_owned(), recursive, next, stretches }
    }

    pub(crate) fn run(mut self) {
        while !self.shared.is_over() {
            // Whatever ends the watch, the next one asks for what comes after the last event.
            if self.watch().is_err() {
                thread::sleep(Duration::from_millis(50));
            }
        }
    }

    /// Watches at one member until the window or the member is another.
    fn watch(&mut self) -> io::Result<()> {
        let (window, next, path, recursive) = {
            let window = self.shared.window();
            let Some(told) = window.watchers.get(self.id) else {
                return Err(io::ErrorKind::NotFound.into());
            };
            (window.number, told.next, told.path.clone(), told.recursive)
        };
        let at = self.member.unwrap_or_else(|| self.rng.index(self.shared.addrs.len()));
        let addr = *self.shared.addrs.get(at).expect("members are counted from zero");
        let epoch = self.shared.epoch.load(Ordering::SeqCst);
        // Of all keys, which only one may see who may do everything.
        let mut connection = Connection::open(addr, PATIENCE)?.by(Some(&Login::root()));
        let dir = record::dir(window);
        let target = format!(
            "/v2/keys{dir}{}?wait=true&stream=true&recursive={recursive}&waitIndex={next}",
            path.trim_end_matches('/')
        );
        connection.send("GET", &target, "")?;
        connection.head()?;
        let mut looks = if self.member.is_some() { u64::MAX } else { self.rng.range(10, 60) };
        while looks > 0 && !self.shared.is_over() {
            if self.shared.epoch.load(Ordering::SeqCst) != epoch {
                return Ok(());
            }
            looks -= 1;
            let Some(line) = connection.line(LOOK)? else { continue };
            // Chunk lengths and blank lines are between the events.
            let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
            if !event.is_object() {
                continue;
            }
            if !self.take(window, &event) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes note of an event; says whether the watch goes on.
    fn take(&self, number: u64, event: &Value) -> bool {
        let now = self.shared.now();
        let mut window = self.shared.window();
        if window.number != number {
            return false;
        }
        if event["errorCode"].as_u64() == Some(401) {
            let index = event["index"].as_u64().unwrap_or(0);
            if let Some(told) = window.watchers.get_mut(self.id) {
                told.clear(index);
            }
            return false;
        }
        if event["errorCode"].is_u64() {
            return false;
        }
        let Some((index, change)) = record::change(number, event) else { return true };
        if let Some(told) = window.watchers.get_mut(self.id) {
            told.next = index + 1;
            if let Some(stretch) = told.stretches.last_mut() {
                stretch.told.push(index);
            }
        }
        if let Err(text) = window.changes.note(index, change, now) {
            drop(window);
            self.shared.violation(text);
        }
        true
    }
}

impl Told {
    /// Error 401: it begins anew behind what is there now.
    fn clear(&mut self, index: u64) {
        if let Some(stretch) = self.stretches.last_mut() {
            stretch.was_cleared = true;
        }
        self.next = index + 1;
        self.stretches.push(Stretch { from: self.next, ..Stretch::default() });
    }
}
