//! How far a stream is: a line now and then, from whose index the client can go on without a gap.
//! What happens elsewhere moves the index as well, so that a stream which is silent for long does
//! not fall out of the history.

use super::watching::Watching;
use crate::api::json;
use crate::api::pending::Waiting;
use crate::http::response::put_piece;
use crate::member::context::Context;
use crate::net::Front;

/// After events, a line comes when there was none for so long: 0.5 s.
const QUIET_NS: u64 = 500_000_000;

/// A stream without events gets a line so often: every 5 s.
const SILENT_NS: u64 = 5_000_000_000;

fn line(index: u64) -> Vec<u8> {
    let mut line = b"{\"action\":\"progress\",\"index\":".to_vec();
    json::put_number(&mut line, index);
    line.extend_from_slice(b"}\n");
    line
}

/// The index up to which everything was sent, if a line is due. `index` is the store's.
fn due(watching: &mut Watching, index: u64, now: u64) -> Option<u64> {
    if watching.lags {
        return None;
    }
    // A stream may begin at an index that is yet to come.
    let upto = index.max(watching.next.0.saturating_sub(1));
    let progress = watching.progress.as_mut()?;
    let patience = if progress.has_news { QUIET_NS } else { SILENT_NS };
    if now.saturating_sub(progress.since) < patience {
        return None;
    }
    progress.has_news = false;
    progress.since = now;
    watching.next.0 = upto + 1;
    Some(upto)
}

/// Tells the streams that asked for it how far they are. All events so far were delivered.
pub(crate) fn tell(cx: &mut Context, front: &mut Front<Waiting>) {
    let (index, now) = (cx.index(), cx.now.monotonic);
    let buffer_bytes = cx.config.limits.stream_buffer_bytes;
    cx.progressing.retain(|key| {
        let Some(connection) = front.get_mut(*key) else { return false };
        let is_full = connection.outbox.len() > buffer_bytes;
        let is_chunked = connection.mode.is_http11;
        let Some(Waiting::Watch(watching)) = connection.pending_mut() else { return false };
        if watching.progress.is_none() {
            return false;
        }
        if !is_full && let Some(upto) = due(watching, index, now) {
            connection.outbox.append(|out| put_piece(out, &line(upto), is_chunked));
            front.mark_dirty(*key);
        }
        true
    });
}
