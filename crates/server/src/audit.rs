//! The audit log: who asked for what, and what came of it, as lines of JSON.
//!
//! The loop hands each line to a thread and never waits for it: what is not written in time is
//! counted, and the count is a line of its own. Values are never in it.

mod sink;

pub use sink::AuditTarget;

use crate::notice::notice;
use crate::sys::signal::on_hangup;
use serde::Serialize;
use sink::Sink;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

/// Lines that wait to be written: with lines of some 300 bytes, 20 MiB at most.
const LINES_MAX: usize = 65_536;

/// How long the end of the process waits for the last lines: 2 s.
const END_TIME_MAX: Duration = Duration::from_secs(2);

/// Longer keys are cut, and end in `...`.
const KEY_BYTES_MAX: usize = 4096;

/// In the place of a status: the client was gone before its request was answered, and what came of
/// it is not known here.
pub(crate) const GONE: u16 = 499;

/// What is audited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPlan {
    /// Where lines go.
    pub target: AuditTarget,
    /// Whether reads that were served are audited too, and not only changes and refusals.
    pub reads: bool,
}

/// A request until its answer is known.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) method: &'static str,
    /// The path, without its query.
    pub(crate) path: String,
    pub(crate) address: String,
    /// The user that it has proven to be.
    pub(crate) user: Option<String>,
    /// The name in the certificate that was shown.
    pub(crate) certificate: Option<String>,
    /// When it came, by the wall clock.
    pub(crate) wall: u64,
    pub(crate) is_read: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    time: &'a str,
    machine: &'a str,
    address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<&'a str>,
    method: &'a str,
    path: &'a str,
    status: u16,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
}

enum Message {
    Line(String),
    Reopen,
    End,
}

/// The loop's side.
pub(crate) struct Audit {
    machine: String,
    reads: bool,
    lines: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
    ended: Receiver<()>,
}

impl Drop for Audit {
    fn drop(&mut self) {
        // Whoever reads nothing of what is written does not keep the process.
        if self.lines.try_send(Message::End).is_ok() {
            let _ = self.ended.recv_timeout(END_TIME_MAX);
        }
    }
}

impl Audit {
    /// Opens what is to be written to, and starts the thread.
    ///
    /// # Errors
    /// What the system gave, with the file's name.
    pub(crate) fn start(plan: &AuditPlan, machine: &str) -> io::Result<Self> {
        let sink = Sink::open(&plan.target)?;
        let (lines, taken) = sync_channel(LINES_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let reopen = lines.clone();
        on_hangup(move || {
            // If the thread is gone the process ends.
            let _ = reopen.send(Message::Reopen);
        })?;
        let (count, name) = (Arc::clone(&dropped), machine.to_owned());
        let (end, ended) = sync_channel(1);
        let work = move || {
            write_lines(&taken, sink, &count, &name);
            let _ = end.send(());
        };
        thread::Builder::new().name("stead-audit".to_owned()).spawn(work)?;
        Ok(Self { machine: machine.to_owned(), reads: plan.reads, lines, dropped, ended })
    }

    /// The answer to a request is known. `index` is the store's, where the answer names one.
    pub(crate) fn note(&self, entry: Entry, status: u16, index: Option<u64>) {
        if entry.is_read && !self.reads && !matches!(status, 401 | 403 | 503) {
            return;
        }
        let line = Line {
            time: &crate::http::time::rfc3339(entry.wall),
            machine: &self.machine,
            address: &entry.address,
            user: entry.user.as_deref(),
            certificate: entry.certificate.as_deref(),
            method: entry.method,
            path: &cut(&entry.path),
            status,
            outcome: outcome(status),
            index: index.filter(|index| *index > 0),
        };
        let text = serde_json::to_string(&line).expect("strings and numbers are JSON");
        if let Err(TrySendError::Full(_)) = self.lines.try_send(Message::Line(text)) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn outcome(status: u16) -> &'static str {
    match status {
        ..=399 => "done",
        GONE => "unknown",
        401 | 403 => "refused",
        _ => "failed",
    }
}

/// A path of bounded length.
fn cut(path: &str) -> std::borrow::Cow<'_, str> {
    if path.len() <= KEY_BYTES_MAX {
        return path.into();
    }
    format!("{}...", path.get(..path.floor_char_boundary(KEY_BYTES_MAX)).unwrap_or_default()).into()
}

/// Writes lines as they come, and what was lost.
fn write_lines(taken: &Receiver<Message>, mut sink: Sink, dropped: &AtomicU64, machine: &str) {
    let mut unwritten: u64 = 0;
    let mut is_failing = false;
    let mut has_unflushed = false;
    loop {
        // What was written reaches the system as soon as nothing more waits.
        let message = match taken.try_recv() {
            Ok(message) => Some(message),
            Err(_) if has_unflushed => None,
            Err(_) => taken.recv().ok(),
        };
        has_unflushed = matches!(message, Some(Message::Line(_)));
        unwritten += dropped.swap(0, Ordering::Relaxed);
        let written = match message {
            Some(Message::Line(line)) => {
                let lost = sink.tell_lost(unwritten, machine);
                match lost.and_then(|()| sink.write(&line)) {
                    Ok(()) => {
                        unwritten = 0;
                        Ok(())
                    }
                    Err(error) => {
                        unwritten += 1;
                        Err(error)
                    }
                }
            }
            Some(Message::Reopen) => sink.reopen(),
            Some(Message::End) => return sink.finish(),
            None => sink.flush(),
        };
        match written {
            Err(error) if !is_failing => {
                is_failing = true;
                notice!(AuditFailed, "", "{error}: lines are lost until it works again");
            }
            Ok(()) if is_failing => {
                is_failing = false;
                notice!(AuditWorks, "", "lines are written again");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
