//! `--follow`: carries the changes of the source over until it is stopped.
//!
//! ```text
//! watch   one for the whole, one for each hidden key  \
//! keeper  the index, and keys that are about to end    > queue > Follower > crew > target
//! ```
//!
//! The follower is one thread. It knows which keys the source has and as of which change, so that
//! an event that comes twice or late changes nothing, and so that it can compare again by listing
//! the source: when events were lost, when a hidden key is found, and at the end.

mod compare;
mod crew;
mod keeper;
mod known;
mod queue;
mod status;
mod translate;
mod trouble;
mod watch;

use super::change::{Change, What};
use super::hidden::Hidden;
use super::read::Copy;
use super::reader::{Kind, Reader};
use crate::import::target::Target;
use crate::import::ticks::Clock;
use crew::{Crew, Job};
use known::{Entry, Known};
use queue::{Queue, Told};
use status::Status;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};
use trouble::Troubles;
use watch::Watch;

/// By how much the target's index is kept above that of the source.
pub(super) const INDEX_MARGIN: u64 = 1_000_000;

/// How long the follower waits to be told something before it looks around.
const LOOK: Duration = Duration::from_millis(50);

/// Between two comparisons of the same since events were lost.
const COMPARE_PAUSE: Duration = Duration::from_secs(5);

/// How long a target that does not answer is waited for when the end is asked for.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// What goes to the report.
#[derive(Clone, Debug, Default)]
pub(super) struct Followed {
    pub(super) changes: u64,
    pub(super) seconds: u64,
    /// How often the source had forgotten events, so that both were compared again.
    pub(super) cleared: u64,
    /// Changes that the last comparison found, which no watch had told.
    pub(super) found_last: u64,
    pub(super) refused: u64,
    /// The first of them.
    pub(super) named: Vec<String>,
    /// What is wrong, so that the target may lack changes.
    pub(super) incomplete: Option<String>,
}

/// Watches that were opened before the listing, so that nothing falls between.
#[derive(Debug)]
pub(super) struct Begun {
    queue: Arc<Queue>,
    troubles: Arc<Troubles>,
    watched: Vec<String>,
    /// The index behind which they began.
    index: u64,
}

/// Opens a watch of the whole, and of each hidden key that is known.
///
/// # Errors
/// Why that cannot be, in a sentence.
pub(super) fn begin(reader: &mut Reader, hidden: &Hidden) -> Result<Begun, String> {
    let index = reader.index()?;
    let watched = std::iter::once(String::new()).chain(hidden.iter().map(str::to_owned)).collect();
    let begun = Begun { queue: Arc::default(), troubles: Arc::default(), watched, index };
    for root in &begun.watched {
        begun.watch(reader, root, index + 1)?;
    }
    Ok(begun)
}

impl Begun {
    fn watch(&self, reader: &Reader, root: &str, next: u64) -> Result<(), String> {
        let (queue, troubles) = (Arc::clone(&self.queue), Arc::clone(&self.troubles));
        let (reader, root) = (reader.clone(), root.to_owned());
        let watch = Watch { reader, root, next, queue, troubles };
        watch.start().map_err(|error| format!("cannot start a thread: {error}"))
    }
}

/// Both sides of what is followed.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) reader: Reader,
    pub(super) target: Target,
    /// What the target is.
    pub(super) kind: Kind,
    pub(super) prefix: String,
    pub(super) hidden: Hidden,
    /// The index above which the target is; nothing if it does not know how.
    pub(super) floor: Option<u64>,
}

/// The one that decides.
#[derive(Debug)]
struct Follower {
    ends: Ends,
    begun: Begun,
    crew: Crew,
    known: Known,
    keeper: SyncSender<String>,
    clock: Clock,
    /// What is watched, and the index of its listing: events up to there are old.
    roots: BTreeMap<String, u64>,
    followed: Followed,
    /// When a root is to be compared again: events were lost, or the source did not answer.
    owed: BTreeMap<String, Instant>,
    /// When it was compared.
    compared: BTreeMap<String, Instant>,
}

/// Follows until `stop` is set. Gives both sides back.
///
/// # Errors
/// What the system gave, in a sentence.
pub(super) fn follow(
    ends: Ends,
    begun: Begun,
    copy: &mut Copy,
    stop: &AtomicBool,
) -> Result<(Followed, Ends), String> {
    let no_thread = |error: std::io::Error| format!("cannot start a thread: {error}");
    let since = Instant::now();
    let (queue, troubles) = (Arc::clone(&begun.queue), Arc::clone(&begun.troubles));
    let crew = Crew::start(&ends.target, Arc::clone(&troubles)).map_err(no_thread)?;
    let keeper = keeper::start(ends.reader.clone(), Arc::clone(&queue), Arc::clone(&troubles))
        .map_err(no_thread)?;
    let gauge = crew.gauge();
    Status { gauge: gauge.clone(), queue: Arc::clone(&queue), troubles }
        .start()
        .map_err(no_thread)?;
    let mut known = Known::default();
    // Values are not kept for as long as this lasts.
    let nodes = std::mem::take(&mut copy.imported.nodes);
    nodes.iter().for_each(|node| known.insert(&node.path, Entry::of(node)));
    drop(nodes);
    let roots = copy.roots.iter().map(|root| (root.path.clone(), root.index)).collect();
    let mut follower = Follower {
        ends,
        begun,
        crew,
        known,
        keeper,
        clock: copy.clock,
        roots,
        followed: Followed::default(),
        owed: BTreeMap::new(),
        compared: BTreeMap::new(),
    };
    follower.watch_rest(copy)?;
    let (changes, is_over) = (gauge.clone(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| give_up_late(stop, &is_over, &gauge));
        while !stop.load(Ordering::Relaxed) {
            follower.turn();
        }
        follower.finish();
        is_over.store(true, Ordering::Relaxed);
    });
    follower.followed.changes = changes.done();
    (follower.followed.refused, follower.followed.named) = changes.failures();
    follower.followed.seconds = since.elapsed().as_secs();
    Ok((follower.followed, follower.ends))
}

/// Some time after the end was asked for a target that does not answer is no longer waited for.
fn give_up_late(stop: &AtomicBool, is_over: &AtomicBool, gauge: &crew::Gauge) {
    let mut left = END_TIMEOUT;
    while !is_over.load(Ordering::Relaxed) {
        thread::sleep(LOOK);
        if stop.load(Ordering::Relaxed) {
            left = left.saturating_sub(LOOK);
        }
        if left.is_zero() {
            return gauge.give_up();
        }
    }
}

impl Follower {
    /// Watches what the listing alone has shown.
    fn watch_rest(&mut self, copy: &Copy) -> Result<(), String> {
        for root in &copy.roots {
            if !self.begun.watched.contains(&root.path) {
                self.begun.watch(&self.ends.reader, &root.path, root.index + 1)?;
                self.begun.watched.push(root.path.clone());
            }
        }
        // Of what was not there when it was to be listed all events count.
        let index = self.begun.index;
        let watched = self.begun.watched.iter();
        watched.for_each(|root| _ = self.roots.entry(root.clone()).or_insert(index));
        Ok(())
    }

    /// One thing that was told, and what is due.
    fn turn(&mut self) {
        if let Some((told, at)) = self.begun.queue.pop(LOOK) {
            self.take(told, at);
        }
        if self.ends.reader.kind != Kind::V04 {
            self.look_at_due();
        }
        if self.crew.has_again() {
            self.drain();
        }
        let now = Instant::now();
        let owed = self.owed.iter().find(|(_, at)| **at <= now).map(|(root, _)| root.clone());
        if let Some(root) = owed {
            self.compare_again(&root);
        }
    }

    fn take(&mut self, told: Told, at: Instant) {
        match told {
            Told::Event { root, event } => self.event(&root, *event, at),
            Told::Cleared { root } => {
                self.followed.cleared += 1;
                self.begun.watched.retain(|watched| *watched != root);
                // A source that forgets all the time is not listed all the time.
                let soonest = self.compared.get(&root).map(|before| *before + COMPARE_PAUSE);
                self.owed.insert(root, soonest.unwrap_or(at).max(at));
            }
            Told::Found { key } => {
                self.ends.hidden.add(&key);
                let is_new = self.ends.hidden.contains(&key) && !self.roots.contains_key(&key);
                if is_new {
                    self.compare_again(&key);
                }
            }
            Told::Index(index) => self.keep_above(index),
            Told::Checked { key, found } => self.checked(&key, *found, at),
        }
    }

    /// Has keys looked at whose time is nearly over, as many as the keeper takes.
    fn look_at_due(&mut self) {
        while let Some(key) = self.known.next_due() {
            match self.keeper.try_send(key) {
                Ok(()) => {}
                Err(TrySendError::Full(key) | TrySendError::Disconnected(key)) => {
                    return self.known.defer(key);
                }
            }
        }
    }

    /// Keeps the target's index well above that of the source: whoever moves over with an index of
    /// the source gets error 401, and never another event.
    fn keep_above(&mut self, index: u64) {
        let listed = self.roots.get("").copied().unwrap_or_default();
        match (1..listed).contains(&index) {
            true => self
                .begun
                .troubles
                .tell("back", &format!("the source has gone back to index {index} from {listed}")),
            false => self.begun.troubles.settle("back"),
        }
        let Some(floor) = self.ends.floor else { return };
        if index + INDEX_MARGIN / 2 > floor {
            let at_least = index + INDEX_MARGIN;
            match self.ends.target.raise_index(at_least) {
                Ok(is_raised) => self.ends.floor = is_raised.then_some(at_least),
                // The next second comes.
                Err(why) => self.begun.troubles.tell("index", &why),
            }
        } else {
            self.begun.troubles.settle("index");
        }
    }

    fn give(&mut self, change: Change, key: &str, index: u64, at: Instant) {
        let job = Job { change, key: key.to_owned(), index, at };
        let known = &self.known;
        self.crew.give(job, &|job| is_current(known, job));
    }

    fn drain(&mut self) {
        let known = &self.known;
        self.crew.drain(&|job| is_current(known, job));
    }

    /// Makes all changes that are known, and compares a last time.
    fn finish(&mut self) {
        self.begun.queue.close();
        while let Some((told, at)) = self.begun.queue.pop(Duration::ZERO) {
            self.take(told, at);
        }
        self.compare_last();
        self.drain();
        if let Ok(index) = self.ends.reader.index() {
            self.keep_above(index);
        }
    }
}

/// Whether a change is the last that was heard of its key.
fn is_current(known: &Known, job: &Job) -> bool {
    match known.get(&job.key) {
        Some(entry) => entry.modified == job.index,
        // A file that went may be a directory by now.
        None => {
            let is_removal = !matches!(job.change.what, What::Set | What::Refresh);
            is_removal && !known.has_below(&job.key)
        }
    }
}
