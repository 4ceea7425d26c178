//! What happened, as lines of text: hashed always, kept when somebody wants to read them.
//!
//! Two runs of one seed are the same exactly if their hashes are. A run that fails is repeated with
//! the lines kept, which costs nothing while all is well.

use crate::Nanos;
use std::fmt::{self, Write as _};

/// FNV-1a, 64 bits: enough to tell runs apart, and the same on every machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hash(pub(crate) u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// The record of one run.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    hash: Hash,
    line: String,
    /// The lines themselves, if they are kept.
    kept: Option<Vec<String>>,
}

impl Trace {
    pub(crate) fn new(keep: bool) -> Self {
        Self { kept: keep.then(Vec::new), ..Self::default() }
    }

    pub(crate) fn note(&mut self, at: Nanos, what: fmt::Arguments<'_>) {
        self.line.clear();
        let micros = at / 1000;
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        let written = writeln!(self.line, "{seconds:3}.{micros:06} {what}");
        written.expect("a string takes all");
        self.hash.add(self.line.as_bytes());
        if let Some(kept) = &mut self.kept {
            kept.push(self.line.trim_end().to_owned());
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash.0
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.kept.unwrap_or_default()
    }
}
