//! What the loop gives to the threads beside it, and what it does with their results.

use super::backups::PROGRAM;
use super::context::Context;
use super::worker::Done;
use super::{inquiry, moved, observe};
use crate::api::keys::aside::Maker;
use crate::auth;
use crate::error::StartError;
use crate::net::Key;
use crate::notice::notice;
use crate::sys::disk::{DataDir, print_seen};
use crate::text::{size, span_of};
use replica::{Fatal, SnapshotDone};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Starts the work of background threads.
pub(super) fn hand_out(cx: &mut Context) -> Result<(), StartError> {
    if let Some(task) = cx.driver.wal_mut().next_fill() {
        cx.workers.fill(task)?;
    }
    if let Some(job) = cx.driver.snapshot_job() {
        cx.workers.snapshot(job)?;
    }
    let garbage = cx.driver.store_mut().take_garbage();
    if !garbage.is_empty() {
        cx.workers.drop_garbage(garbage)?;
    }
    Ok(())
}

/// Whether a machine was reached that asks for a place over a connection.
pub(super) type Reached = (Key, Result<(), String>);

/// The results that connections wait for.
#[derive(Default)]
pub(super) struct ForConnections {
    pub(super) reached: Vec<Reached>,
    /// Those that wait for a piece of a backup.
    pub(super) backups: Vec<Key>,
    /// Pieces of long answers.
    pub(super) made: Vec<Maker>,
    /// What was done with passwords.
    pub(super) passwords: Vec<auth::Job>,
}

/// Takes the results that have come. Gives those that a connection waits for.
pub(super) fn take_results(cx: &mut Context) -> Result<ForConnections, StartError> {
    let mut results = ForConnections::default();
    while let Some(done) = cx.workers.next_done() {
        match done {
            Done::Synced(seq, result, took) => {
                cx.meters.syncs.add(took);
                observe::note_sync(cx, took);
                cx.driver.synced(seq, result)?;
            }
            Done::Filled(task, result) => {
                // Said once, and once more when it works again: on a full disk it is tried for as
                // long as that lasts.
                let failures = cx.driver.wal_mut().fill_failures();
                match &result {
                    Err(error) if failures == 0 => {
                        let place = cx.config.data_dir.display();
                        notice!(
                            SegmentUnprepared,
                            "",
                            "{error}, in {place}: trying again (is the disk full?)"
                        );
                    }
                    Ok(()) if failures > 0 => {
                        notice!(SegmentPrepared, "", "after {failures} attempts");
                    }
                    _ => {}
                }
                cx.driver.wal_mut().filled(task, &result);
            }
            Done::Snapshot(result, took) => snapshot_done(cx, result, took)?,
            Done::Reached(key, verdict) => {
                cx.dial_backs.end();
                results.reached.push((key, verdict));
            }
            Done::BackupPiece(key) => results.backups.push(key),
            Done::Made(maker) => results.made.push(maker),
            Done::BackupKept(result, wall) => backup_done(cx, result, wall),
            Done::Password(job) => results.passwords.push(job),
            Done::SeenKept => cx.seen.is_busy = false,
            Done::Asked(answers) => moved::asked(cx, &answers),
            Done::Inquired(answers) => inquiry::answered(cx, &answers),
        }
    }
    Ok(results)
}

fn snapshot_done(
    cx: &mut Context,
    result: io::Result<SnapshotDone<DataDir>>,
    took: Duration,
) -> Result<(), Fatal> {
    match result {
        Ok(done) => {
            let (index, bytes, ms) = (done.index().0, done.bytes(), took.as_millis());
            if done.is_incoming() {
                notice!(
                    SnapshotInstalled,
                    "",
                    [index, bytes, ms,],
                    "{} up to entry {index}, read in {}",
                    size(bytes),
                    span_of(took)
                );
            } else {
                cx.meters.snapshots.add(took);
                cx.meters.snapshot_bytes.set(bytes);
                notice!(
                    SnapshotWritten,
                    "",
                    [index, bytes, ms,],
                    "{} up to entry {index}, in {}",
                    size(bytes),
                    span_of(took)
                );
            }
            cx.driver.snapshot_finished(Some(done))
        }
        Err(error) => {
            cx.meters.snapshots_failed.add_one();
            let place = cx.config.data_dir.display();
            notice!(
                SnapshotFailed,
                "",
                "{error}, in {place}: the log is kept, and grows until one succeeds"
            );
            cx.driver.snapshot_finished(None)
        }
    }
}

/// Takes note of how far the other members are, and has it written where that is due.
pub(super) fn note_seen(cx: &mut Context) {
    gather_seen(cx);
    if let Some(all) = cx.seen.take_due(cx.now.monotonic) {
        let text = print_seen(cx.driver.cluster(), cx.driver.status().id, &all);
        cx.seen.is_busy = cx.workers.keep_seen(cx.driver.disk().clone(), text).is_ok();
    }
}

/// Writes it once more: this member stops.
pub(super) fn write_seen(cx: &mut Context) {
    gather_seen(cx);
    let all = cx.seen.all();
    if !cx.seen.is_busy && !all.is_empty() {
        let text = print_seen(cx.driver.cluster(), cx.driver.status().id, &all);
        // It is only shown: what else cannot be written is told.
        let _ = cx.driver.disk().write_seen(&text);
    }
}

fn gather_seen(cx: &mut Context) {
    let Context { driver, seen, now, .. } = cx;
    let own = driver.status().id;
    // After a start the table may be an old one: who is not in it yet is not forgotten.
    seen.retain(|id| !driver.membership().was_removed(id));
    for id in driver.membership().members().map(|member| member.id).filter(|id| *id != own) {
        if let Some(peer) = driver.peer(id) {
            seen.note(id, peer, *now);
        }
    }
}

/// Begins the backup of `-backup-dir` that is due.
pub(super) fn make_backup(cx: &mut Context) {
    let now = cx.now;
    if !cx.driver.has_store() {
        return;
    }
    let Some(dir) = cx.backups.take_due(now.monotonic) else { return };
    let backup = cx.driver.backup(PROGRAM);
    let work = move || Done::BackupKept(dir.write(&backup, now.wall / 1_000_000_000), now.wall);
    if let Err(error) = cx.workers.run_once("backup-file", work) {
        backup_done(cx, Err(error), now.wall);
    }
}

fn backup_done(cx: &mut Context, result: io::Result<(PathBuf, u64)>, wall: u64) {
    match result {
        Ok((path, bytes)) => {
            cx.backups.note_kept(wall);
            notice!(BackupKept, "", [bytes,], "{}", path.display());
        }
        Err(error) => {
            let dir = cx.backups.note_failed(cx.now.monotonic);
            notice!(BackupFailed, "", "in {dir}: {error}");
        }
    }
}
