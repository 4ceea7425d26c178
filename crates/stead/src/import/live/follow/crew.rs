//! Makes changes at the target over several connections. Changes of one file are made in their
//! order; a change of a directory waits for all before it, and all after it wait for it.

use super::trouble::Troubles;
use crate::import::live::change::{Change, Refusal};
use crate::import::target::Target;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Connections. The server writes what arrives together to its disk at once.
const LANES: usize = 32;

/// Changes that wait in each.
const LANE_LENGTH: usize = 16;

/// How often is looked whether there is room, or nothing left to do.
const LOOK: Duration = Duration::from_millis(1);

/// The pause before a change is tried again at a target that did not answer.
const PAUSE: Duration = Duration::from_millis(500);

/// Who has a trouble that is the target's.
const TARGET: &str = "target";

/// A change on its way.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) change: Change,
    /// The key at the source, and the index of the change there.
    pub(super) key: String,
    pub(super) index: u64,
    /// When it came to be known.
    pub(super) at: Instant,
}

/// What the lanes share.
#[derive(Debug)]
struct Shared {
    /// Jobs that are not done, by their number.
    open: Mutex<BTreeMap<u64, Instant>>,
    /// Jobs that may have been made too early.
    again: Mutex<Vec<(u64, Job)>>,
    failures: Mutex<Vec<String>>,
    failed: AtomicU64,
    done: AtomicU64,
    /// The target is not waited for any longer.
    gave_up: AtomicBool,
    troubles: Arc<Troubles>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many refusals are kept to be named.
const NAMED_MAX: usize = 10;

impl Shared {
    /// Tries until somebody answers, or nobody waits any longer.
    fn make(&self, target: &mut Target, change: &Change) -> Result<(), Refusal> {
        loop {
            if self.gave_up.load(Ordering::Relaxed) && self.troubles.has(TARGET) {
                let why = format!("{}: the target does not answer", change.item.key);
                return Err(Refusal::Final(why));
            }
            match change.make(target) {
                Err(Refusal::Unreachable(why)) => {
                    self.troubles.tell(TARGET, &why);
                    thread::sleep(PAUSE);
                }
                outcome => {
                    self.troubles.settle(TARGET);
                    return outcome;
                }
            }
        }
    }

    fn fail(&self, why: String) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let mut failures = lock(&self.failures);
        if failures.len() < NAMED_MAX {
            failures.push(why);
        }
    }

    fn run(&self, mut target: Target, jobs: &Receiver<(u64, Job)>) {
        while let Ok((number, job)) = jobs.recv() {
            match self.make(&mut target, &job.change) {
                Ok(()) => _ = self.done.fetch_add(1, Ordering::Relaxed),
                Err(Refusal::Order(_)) => lock(&self.again).push((number, job)),
                Err(Refusal::Unreachable(why) | Refusal::Final(why)) => self.fail(why),
            }
            lock(&self.open).remove(&number);
        }
    }
}

/// The lanes, and the connection for what concerns all of them.
#[derive(Debug)]
pub(super) struct Crew {
    lanes: Vec<SyncSender<(u64, Job)>>,
    shared: Arc<Shared>,
    target: Target,
    next: u64,
}

impl Crew {
    /// Starts the lanes.
    ///
    /// # Errors
    /// What the system gave.
    pub(super) fn start(target: &Target, troubles: Arc<Troubles>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            open: Mutex::default(),
            again: Mutex::default(),
            failures: Mutex::default(),
            failed: AtomicU64::new(0),
            done: AtomicU64::new(0),
            gave_up: AtomicBool::new(false),
            troubles,
        });
        let mut lanes = Vec::new();
        for at in 0..LANES {
            let (sender, jobs) = sync_channel(LANE_LENGTH);
            let (shared, target) = (Arc::clone(&shared), target.beginning_with(at));
            let builder = thread::Builder::new().name("stead-lane".to_owned());
            builder.spawn(move || shared.run(target, &jobs))?;
            lanes.push(sender);
        }
        Ok(Self { lanes, shared, target: target.clone(), next: 0 })
    }

    /// Gives a job to a lane, or does it when all before it are done. `is_current` says whether a
    /// change of a key that is to be made again is still the last one.
    pub(super) fn give(&mut self, job: Job, is_current: &dyn Fn(&Job) -> bool) {
        let number = self.next;
        self.next += 1;
        lock(&self.shared.open).insert(number, job.at);
        if job.change.is_of_file() {
            return self.send(number, job);
        }
        self.drain_but(number, is_current);
        match self.shared.make(&mut self.target, &job.change) {
            Ok(()) => _ = self.shared.done.fetch_add(1, Ordering::Relaxed),
            Err(Refusal::Unreachable(why) | Refusal::Order(why) | Refusal::Final(why)) => {
                self.shared.fail(why);
            }
        }
        lock(&self.shared.open).remove(&number);
    }

    fn send(&self, number: u64, job: Job) {
        let mut hasher = DefaultHasher::new();
        job.change.item.key.hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % LANES as u64).unwrap_or_default();
        let Some(lane) = self.lanes.get(at) else { return };
        let mut waiting = (number, job);
        loop {
            match lane.try_send(waiting) {
                Ok(()) => return,
                Err(TrySendError::Full(back)) => waiting = back,
                Err(TrySendError::Disconnected((number, job))) => {
                    self.shared.fail(format!("{}: a thread has ended", job.key));
                    lock(&self.shared.open).remove(&number);
                    return;
                }
            }
            thread::sleep(LOOK);
        }
    }

    /// Waits until everything is done, and makes again what was made too early.
    pub(super) fn drain(&mut self, is_current: &dyn Fn(&Job) -> bool) {
        self.drain_but(u64::MAX, is_current);
    }

    fn drain_but(&mut self, number: u64, is_current: &dyn Fn(&Job) -> bool) {
        let is_open = |open: &BTreeMap<u64, Instant>| open.keys().any(|other| *other != number);
        while is_open(&lock(&self.shared.open)) {
            thread::sleep(LOOK);
        }
        let mut again = std::mem::take(&mut *lock(&self.shared.again));
        again.sort_by_key(|(number, _)| *number);
        for (_, job) in again.into_iter().filter(|(_, job)| is_current(job)) {
            match self.shared.make(&mut self.target, &job.change) {
                Ok(()) => _ = self.shared.done.fetch_add(1, Ordering::Relaxed),
                Err(Refusal::Unreachable(why) | Refusal::Order(why) | Refusal::Final(why)) => {
                    self.shared.fail(why);
                }
            }
        }
    }

    /// Whether there is something that is to be made again.
    pub(super) fn has_again(&self) -> bool {
        !lock(&self.shared.again).is_empty()
    }

    /// What is told of the lanes.
    pub(super) fn gauge(&self) -> Gauge {
        Gauge(Arc::clone(&self.shared))
    }
}

/// What the lanes have done, from elsewhere.
#[derive(Clone, Debug)]
pub(super) struct Gauge(Arc<Shared>);

impl Gauge {
    /// For how long the oldest job is known.
    pub(super) fn age(&self) -> Duration {
        lock(&self.0.open).values().map(Instant::elapsed).max().unwrap_or_default()
    }

    pub(super) fn done(&self) -> u64 {
        self.0.done.load(Ordering::Relaxed)
    }

    /// The number of changes that were refused, and the first of them.
    pub(super) fn failures(&self) -> (u64, Vec<String>) {
        (self.0.failed.load(Ordering::Relaxed), lock(&self.0.failures).clone())
    }

    /// From now on a target that does not answer is not waited for.
    pub(super) fn give_up(&self) {
        self.0.gave_up.store(true, Ordering::Relaxed);
    }
}
