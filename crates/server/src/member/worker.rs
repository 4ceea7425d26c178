//! What must not hold up the loop: syncs while others want to be served, zero-filling log segments,
//! writing snapshots, giving back the memory of removed trees.
//!
//! Each kind of work has a thread of its own, started when the first piece of it comes. Results
//! come back through one queue, and the loop is woken for them.

use super::asking::AnsweredViews;
use super::hints::HintAnswer;
use crate::api::keys::aside::Maker;
use crate::auth::{self, PasswordQueue};
use crate::net::Key;
use crate::sys::disk::DataDir;
use mio::Waker;
use replica::{Backup, SnapshotDone, SnapshotJob};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};
use wal::{FillTask, Seq, SyncTarget};

/// The share of time that the snapshot thread works at most, in percent: with two cores a snapshot
/// at full speed would show in everybody's latency.
const SNAPSHOT_SHARE_PERCENT: u32 = 50;

/// A piece of a backup, and how many of them wait for the connection at most.
const BACKUP_PIECE_BYTES: usize = 128 << 10;
const BACKUP_PIECES_MAX: usize = 8;

/// Subtrees nest as deep as paths do; giving them back recurses as deep.
const GARBAGE_STACK_BYTES: usize = 8 << 20;

/// What a thread reports.
pub(crate) enum Done {
    Synced(Seq, io::Result<()>, Duration),
    Filled(FillTask<DataDir>, io::Result<()>),
    Snapshot(io::Result<SnapshotDone<DataDir>>, Duration),
    /// Whether the machine was reached that asks for a place over this connection.
    Reached(Key, Result<(), String>),
    /// There is a piece of the backup that this connection waits for, or there was the last one.
    BackupPiece(Key),
    /// A piece of a long answer was made.
    Made(Maker),
    /// A backup that this member made by itself, and when it was begun by the wall clock.
    BackupKept(io::Result<(PathBuf, u64)>, u64),
    /// A password was checked or has its hash.
    Password(auth::Job),
    /// Who is reached where.
    Asked(AnsweredViews),
    /// What is known of the other members was written.
    SeenKept,
    /// What others say of the claim that this machine was removed.
    Inquired(Vec<HintAnswer>),
}

/// The threads beside the loop.
pub(crate) struct Workers {
    done_tx: Sender<Done>,
    done_rx: Receiver<Done>,
    waker: Arc<Waker>,
    syncs: Option<Sender<SyncTarget<DataDir>>>,
    fills: Option<Sender<FillTask<DataDir>>>,
    snapshots: Option<Sender<SnapshotJob<DataDir>>>,
    garbage: Option<Sender<Disposal>>,
    answers: Option<Sender<Maker>>,
    seen: Option<Sender<(DataDir, String)>>,
    threads: Vec<thread::JoinHandle<()>>,
}

/// Memory whose return takes a while.
enum Disposal {
    Nodes(Vec<store::Node>),
    Store(Box<store::Store>),
}

impl Workers {
    pub(crate) fn new(waker: Arc<Waker>) -> Self {
        let (done_tx, done_rx) = channel();
        Self {
            done_tx,
            done_rx,
            waker,
            syncs: None,
            fills: None,
            snapshots: None,
            garbage: None,
            answers: None,
            seen: None,
            threads: Vec::new(),
        }
    }

    /// The next result, if there is one.
    pub(crate) fn next_done(&self) -> Option<Done> {
        self.done_rx.try_recv().ok()
    }

    /// Waits until all work in hand is done: nothing is written to the data directory after this.
    pub(crate) fn finish(&mut self) {
        (self.syncs, self.fills, self.snapshots) = (None, None, None);
        (self.garbage, self.answers, self.seen) = (None, None, None);
        for thread in self.threads.drain(..) {
            // A panic there has ended the process.
            let _ = thread.join();
        }
    }

    /// Starts the thread that works on passwords, if none does. It takes half of a core at most:
    /// however many wrong passwords come, the loop has its own.
    pub(crate) fn work_on_passwords(&self, queue: &Arc<PasswordQueue>) -> io::Result<()> {
        if queue.is_served() {
            return Ok(());
        }
        let (report, served) = (self.report(), Arc::clone(queue));
        let work = move || {
            while let Some(work) = served.next() {
                let start = Instant::now();
                report(Done::Password(auth::do_work(work)));
                thread::sleep(start.elapsed());
            }
        };
        thread::Builder::new().name("stead-passwords".to_owned()).spawn(work)?;
        queue.serve();
        Ok(())
    }

    fn report(&self) -> impl Fn(Done) + Send + 'static {
        let (tx, waker) = (self.done_tx.clone(), Arc::clone(&self.waker));
        move |done| {
            // If the queue is gone the loop has ended, and the result is not needed.
            if tx.send(done).is_ok() {
                let _ = waker.wake();
            }
        }
    }

    /// Does one piece of work on a thread of its own. It must not touch the data directory: nobody
    /// waits for it at the end.
    pub(crate) fn run_once(
        &self,
        name: &str,
        work: impl FnOnce() -> Done + Send + 'static,
    ) -> io::Result<()> {
        let report = self.report();
        thread::Builder::new().name(format!("stead-{name}")).spawn(move || report(work()))?;
        Ok(())
    }

    pub(crate) fn sync(&mut self, target: SyncTarget<DataDir>) -> io::Result<()> {
        let report = self.report();
        let work = move |target: SyncTarget<DataDir>| {
            let start = Instant::now();
            let result = target.sync();
            report(Done::Synced(target.seq(), result, start.elapsed()));
        };
        hand_over(&mut self.threads, &mut self.syncs, "sync", 0, work, target)
    }

    pub(crate) fn fill(&mut self, task: FillTask<DataDir>) -> io::Result<()> {
        let report = self.report();
        let work = move |mut task: FillTask<DataDir>| {
            let result = task.run();
            report(Done::Filled(task, result));
        };
        hand_over(&mut self.threads, &mut self.fills, "fill", 0, work, task)
    }

    pub(crate) fn snapshot(&mut self, job: SnapshotJob<DataDir>) -> io::Result<()> {
        let report = self.report();
        let work = move |job: SnapshotJob<DataDir>| {
            let start = Instant::now();
            let mut pace = SnapshotPace::new(start);
            let result = job.run(&mut |bytes| pace.wrote(bytes));
            report(Done::Snapshot(result, start.elapsed()));
        };
        hand_over(
            &mut self.threads,
            &mut self.snapshots,
            "snapshot",
            GARBAGE_STACK_BYTES,
            work,
            job,
        )
    }

    /// Makes a piece of a long answer. There is one thread for all of them, so that they take one
    /// core at most. Gives the maker back where the system has no thread.
    pub(crate) fn make(&mut self, maker: Maker) -> Option<Maker> {
        if let Some(tx) = &self.answers {
            return tx.send(maker).err().map(|refused| refused.0);
        }
        let report = self.report();
        let (tx, rx) = channel::<Maker>();
        let work = move || {
            for mut maker in rx {
                maker.make();
                report(Done::Made(maker));
            }
        };
        match thread::Builder::new().name("stead-answers".to_owned()).spawn(work) {
            Ok(thread) => self.threads.push(thread),
            Err(_) => return Some(maker),
        }
        let refused = tx.send(maker).err().map(|refused| refused.0);
        self.answers = Some(tx);
        refused
    }

    /// Prints a backup on a thread of its own. Gives its pieces: with them goes the thread, whoever
    /// lets go of the other side first.
    pub(crate) fn backup(&self, key: Key, backup: Backup) -> io::Result<Receiver<Vec<u8>>> {
        let (pieces, taken) = sync_channel(BACKUP_PIECES_MAX);
        let report = self.report();
        let work = move || {
            let pace = SnapshotPace::new(Instant::now());
            let sink = Pieces { pieces, report: &|| report(Done::BackupPiece(key)), pace };
            // A client that left needs no more of it.
            drop(backup.write(io::BufWriter::with_capacity(BACKUP_PIECE_BYTES, sink)));
            report(Done::BackupPiece(key));
        };
        thread::Builder::new().name("stead-backup".to_owned()).spawn(work)?;
        Ok(taken)
    }

    /// Writes what is known of the other members.
    pub(crate) fn keep_seen(&mut self, data_dir: DataDir, text: String) -> io::Result<()> {
        let report = self.report();
        let work = move |(data_dir, text): (DataDir, String)| {
            // It is only shown, so that one which cannot be written is nobody's concern: what else
            // cannot be written is told.
            let _ = data_dir.write_seen(&text);
            report(Done::SeenKept);
        };
        hand_over(&mut self.threads, &mut self.seen, "seen", 0, work, (data_dir, text))
    }

    pub(crate) fn drop_garbage(&mut self, nodes: Vec<store::Node>) -> io::Result<()> {
        self.drop_later(Disposal::Nodes(nodes))
    }

    pub(crate) fn drop_store(&mut self, store: store::Store) -> io::Result<()> {
        self.drop_later(Disposal::Store(Box::new(store)))
    }

    fn drop_later(&mut self, garbage: Disposal) -> io::Result<()> {
        let work = |garbage| match garbage {
            Disposal::Nodes(nodes) => drop(nodes),
            Disposal::Store(store) => drop(store),
        };
        hand_over(
            &mut self.threads,
            &mut self.garbage,
            "garbage",
            GARBAGE_STACK_BYTES,
            work,
            garbage,
        )
    }
}

/// Sends `work` to its thread, which is started first if need be.
fn hand_over<W: Send + 'static>(
    threads: &mut Vec<thread::JoinHandle<()>>,
    slot: &mut Option<Sender<W>>,
    name: &str,
    stack_bytes: usize,
    run: impl Fn(W) + Send + 'static,
    work: W,
) -> io::Result<()> {
    let gone = || io::Error::other("a background thread has ended");
    if let Some(tx) = slot {
        return tx.send(work).map_err(|_| gone());
    }
    let (tx, rx) = channel();
    let builder = thread::Builder::new().name(format!("stead-{name}"));
    let builder = if stack_bytes > 0 { builder.stack_size(stack_bytes) } else { builder };
    threads.push(builder.spawn(move || rx.into_iter().for_each(run))?);
    tx.send(work).map_err(|_| gone())?;
    *slot = Some(tx);
    Ok(())
}

/// Where a backup is printed to: the connection takes piece after piece.
struct Pieces<'a> {
    pieces: SyncSender<Vec<u8>>,
    report: &'a dyn Fn(),
    pace: SnapshotPace,
}

impl io::Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pieces.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        (self.report)();
        self.pace.wrote(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Rests between pieces, so that the thread takes its share of a core and no more.
struct SnapshotPace {
    worked_since: Instant,
    bytes: usize,
}

impl SnapshotPace {
    /// Rest after this much output.
    const STEP_BYTES: usize = 256 << 10;

    fn new(start: Instant) -> Self {
        Self { worked_since: start, bytes: 0 }
    }

    fn wrote(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes < Self::STEP_BYTES {
            return;
        }
        self.bytes = 0;
        let rest =
            self.worked_since.elapsed() * (100 - SNAPSHOT_SHARE_PERCENT) / SNAPSHOT_SHARE_PERCENT;
        thread::sleep(rest);
        self.worked_since = Instant::now();
    }
}
