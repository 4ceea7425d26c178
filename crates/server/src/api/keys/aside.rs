//! What makes a long answer beside the loop, and what is known of it meanwhile; `making.rs` has how
//! the two get together.

use super::listing::{PIECE_BYTES, PIECE_VISITS, Portion, Print};
use crate::http::response::{print_piece, put_end};
use crate::net::Key;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

/// Children that are looked at for a piece.
const VISITS: usize = 8 * PIECE_VISITS;

/// Makes an answer, piece by piece.
pub(crate) struct Maker {
    /// Whose answer it is.
    pub(crate) key: Key,
    answer: Box<dyn Print + Send>,
    /// What was printed already.
    first: Vec<u8>,
    gzip: Option<GzEncoder<Vec<u8>>>,
    pub(super) is_chunked: bool,
    /// The piece that was made, as it is sent.
    pub(super) piece: Vec<u8>,
    pub(super) is_done: bool,
    _slot: Arc<()>,
}

impl fmt::Debug for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Maker").field("answer", &self.answer).finish_non_exhaustive()
    }
}

/// An answer that is made beside the loop.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    /// What makes the next piece; nothing while it is with the thread.
    pub(super) maker: Option<Maker>,
}

impl Aside {
    /// Whether the next piece can be asked for.
    pub(crate) fn has_more(&self) -> bool {
        self.maker.is_some()
    }
}

impl Maker {
    /// Of the answer, `first` was printed already. `slot` counts it for as long as it is made.
    pub(super) fn new(
        (key, is_chunked): (Key, bool),
        answer: impl Print + Send + 'static,
        first: Vec<u8>,
        is_compressed: bool,
        slot: Arc<()>,
    ) -> Self {
        let gzip = is_compressed.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        let (answer, piece, is_done) = (Box::new(answer), Vec::new(), false);
        Self { key, answer, first, gzip, is_chunked, piece, is_done, _slot: slot }
    }

    /// Makes the next piece.
    pub(crate) fn make(&mut self) {
        let mut plain = std::mem::take(&mut self.first);
        plain.reserve(PIECE_BYTES + PIECE_BYTES / 64);
        self.answer.fill(&mut plain, Portion { bytes: PIECE_BYTES, visits: VISITS });
        self.is_done = self.answer.is_done();
        let (gzip, is_done) = (&mut self.gzip, self.is_done);
        print_piece(&mut self.piece, self.is_chunked, |out| {
            let Some(encoder) = gzip else { return out.append(&mut plain) };
            encoder.write_all(&plain).expect("memory takes all");
            out.append(encoder.get_mut());
            if is_done && let Some(encoder) = gzip.take() {
                out.append(&mut encoder.finish().expect("memory takes all"));
            }
        });
        if self.is_done {
            put_end(&mut self.piece, self.is_chunked);
        }
    }
}
