//! `/v2/admin/backup`: the whole key space at one point of the log, as a file.
//!
//! The point lies behind everything that was acknowledged before the request came: a read index is
//! asked for first, as for a quorum read. A thread prints the file from a snapshot that shares the
//! store's nodes; the connection takes a piece whenever it has sent the last one, so that a slow
//! client holds the thread up and nothing else.

pub(super) mod sending;

use super::answers::{Shape, engine_error, error, unauthorized};
use super::asker::Asker;
use super::error::ApiError;
use super::pending::Waiting;
use crate::http::response::{put_end, put_piece};
use crate::member::backups::PROGRAM;
use crate::member::context::Context;
use crate::net::{Body, Caller, Front, Key, Phase, Reply, Response};
use crate::notice::notice;
use replica::{EngineError, Ticket};
use sending::Sending;
use std::sync::Arc;
use std::sync::mpsc::TryRecvError;

const OCTETS: &str = "application/octet-stream";

/// Backups that are made at a time. Each holds on to the nodes that are replaced meanwhile.
const BACKUPS_MAX: usize = 2;

/// Begins a backup.
pub(crate) fn begin(cx: &mut Context, caller: Caller) -> Reply<Waiting> {
    match cx.driver.read(Ticket(caller.key.to_u64())) {
        Ok(()) => Reply::Wait(Waiting::BackupRead(Asker::admitted(cx))),
        Err(failed) => engine_error(cx, failed).into(),
    }
}

/// The read index was reached, or cannot be.
pub(crate) fn read_ready(
    cx: &mut Context,
    caller: Caller,
    asker: Asker,
    outcome: Result<(), EngineError>,
) -> Reply<Waiting> {
    if let Err(failed) = outcome {
        return engine_error(cx, failed).into();
    }
    if !asker.is_admitted(cx.driver.store().auth()) {
        return unauthorized(cx, caller, Shape::Error).into();
    }
    if Arc::strong_count(&cx.sending_backups) > BACKUPS_MAX {
        let cause = format!("{BACKUPS_MAX} backups are being made: try again when one is done");
        return error(cx, &ApiError::overloaded(&cause, cx.index())).into();
    }
    let backup = cx.driver.backup(PROGRAM);
    let (index, numbers) = (backup.index(), cx.numbers(backup.index()));
    let slot = Arc::clone(&cx.sending_backups);
    match cx.workers.backup(caller.key, backup) {
        Ok(pieces) => {
            notice!(BackupSent, "", [index = index.0,], "as of index {}", index.0);
            let name = format!("{}-{}.backup", cx.config.name, index.0);
            let name = name.replace(|c: char| !c.is_ascii_graphic() || "\"\\/".contains(c), "_");
            let extra = format!("Content-Disposition: attachment; filename=\"{name}\"\r\n");
            let head = Response::new(200, OCTETS, Body::Empty).at(numbers).with(extra);
            let sending = Sending::new(pieces, slot);
            Reply::Stream { head, pending: Waiting::Backup(Box::new(sending)), is_held: false }
        }
        Err(failed) => {
            let cause = format!("cannot start a thread for the backup: {failed}");
            error(cx, &ApiError::overloaded(&cause, cx.index())).into()
        }
    }
}

/// A piece is there, or the last one was.
pub(crate) fn piece_ready(front: &mut Front<Waiting>, key: Key) {
    if let Some(Waiting::Backup(sending)) = front.pending_mut(key) {
        sending.has_piece = true;
        front.mark_dirty(key);
    }
}

/// Sends the next piece: everything before it has left.
pub(crate) fn send_on(front: &mut Front<Waiting>, key: Key) {
    let now = front.now.monotonic;
    let Some(connection) = front.get_mut(key) else { return };
    let is_chunked = connection.mode.is_http11;
    let Phase::Waiting(Waiting::Backup(sending)) = &mut connection.phase else { return };
    // The thread rests meanwhile: waiting for it is not the client's fault.
    connection.busy_since = now;
    match sending.pieces.try_recv() {
        Ok(piece) => {
            connection.outbox.append(|out| put_piece(out, &piece, is_chunked));
            front.note_work(piece.len());
            front.mark_dirty(key);
        }
        // The thread tells when there is another one.
        Err(TryRecvError::Empty) => sending.has_piece = false,
        Err(TryRecvError::Disconnected) => {
            connection.outbox.append(|out| put_end(out, is_chunked));
            connection.closes |= !is_chunked;
            front.end_answer(key);
            front.mark_dirty(key);
        }
    }
}
