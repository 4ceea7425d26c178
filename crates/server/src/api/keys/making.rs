//! Long answers that are made beside the loop: compressed ones, and those for which all children of
//! a large directory are brought into order.
//!
//! The thread (`member/worker.rs`) makes one piece of one answer at a time, in the order in which
//! they are asked for. The connection gets it, and asks for the next one when the client has taken
//! all of it: a slow client holds no thread, and one piece of memory.

use super::aside::{Aside, Maker};
use super::listing::Print;
use crate::api::pending::Waiting;
use crate::member::context::Context;
use crate::net::{Front, Key, Phase};
use bytes::Bytes;
use std::sync::Arc;

/// Answers that are made like this at most; each holds some 600 KiB.
const ASIDE_MAX: usize = 64;

/// Answers of reads are compressed from this length on.
pub(super) const GZIP_BYTES_MIN: usize = 16 << 10;

/// The header lines of a compressed answer, which has others already or none.
pub(super) fn lines_of_gzip(others: &str) -> String {
    let vary = if others.contains("Vary: ") { "" } else { "Vary: Accept-Encoding\r\n" };
    format!("{others}{vary}Content-Encoding: gzip\r\n")
}

/// Whether there is room for one more such answer.
pub(super) fn has_room(cx: &Context) -> bool {
    Arc::strong_count(&cx.asides) <= ASIDE_MAX
}

/// Begins to make an answer of which `first` was printed.
pub(super) fn begin(
    cx: &mut Context,
    to: (Key, bool),
    answer: impl Print + Send + 'static,
    first: Vec<u8>,
    is_compressed: bool,
) -> Waiting {
    let slot = Arc::clone(&cx.asides);
    let maker = Maker::new(to, answer, first, is_compressed, slot);
    // Without the thread, which the system refused, it is made by the loop.
    Waiting::Aside(Box::new(Aside { maker: cx.workers.make(maker) }))
}

/// A piece was made.
pub(crate) fn made(front: &mut Front<Waiting>, mut maker: Maker) {
    let (key, now) = (maker.key, front.now.monotonic);
    let Some(connection) = front.get_mut(key) else { return };
    let Phase::Waiting(Waiting::Aside(aside)) = &mut connection.phase else { return };
    // Waiting for the thread was not the client's fault.
    connection.busy_since = now;
    let piece = std::mem::take(&mut maker.piece);
    let (len, is_done) = (piece.len(), maker.is_done);
    connection.closes |= is_done && !maker.is_chunked;
    if !is_done {
        aside.maker = Some(maker);
    }
    connection.outbox.append_shared(&Bytes::from(piece));
    front.note_work(len);
    if is_done {
        front.end_answer(key);
    }
    front.mark_dirty(key);
}

/// Has the next piece made: everything before it has left.
pub(crate) fn go_on(cx: &mut Context, front: &mut Front<Waiting>, key: Key) {
    let Some(Waiting::Aside(aside)) = front.pending_mut(key) else { return };
    let Some(maker) = aside.maker.take() else { return };
    if let Some(mut maker) = cx.workers.make(maker) {
        maker.make();
        made(front, maker);
    }
}
