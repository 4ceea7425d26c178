//! What is known of a backup between two of its pieces.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// A backup on its way to a client.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(super) pieces: Receiver<Vec<u8>>,
    /// Whether there may be a piece that was not taken.
    pub(super) has_piece: bool,
    _slot: Arc<()>,
}

impl Sending {
    /// `slot` counts this backup for as long as it lives.
    pub(super) fn new(pieces: Receiver<Vec<u8>>, slot: Arc<()>) -> Self {
        Self { pieces, has_piece: false, _slot: slot }
    }

    pub(crate) fn has_more(&self) -> bool {
        self.has_piece
    }
}
