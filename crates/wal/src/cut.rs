//! Cutting off what a record that was never finished left behind the good ones.

use crate::disk::DiskFile;
use crate::scan::read_full_at;
use std::io;

/// Bytes looked at in one step.
const CUT_STEP_BYTES: usize = 64 << 10;

/// What is behind the last good record and could not be overwritten for want of room.
#[derive(Debug)]
pub(crate) struct WaitingCut<F> {
    pub(crate) name: String,
    pub(crate) file: F,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// Writes zeros where there are other bytes.
pub(crate) fn write_zeros<F: DiskFile>(file: &F, from: u64, to: u64) -> io::Result<()> {
    let mut buf = vec![0; CUT_STEP_BYTES];
    let mut at = from;
    while at < to {
        let left = usize::try_from(to - at).expect("a segment is at most 1 GiB");
        let (piece, _) = buf.split_at_mut(left.min(CUT_STEP_BYTES));
        let read = read_full_at(file, piece, at)?;
        let Some(found) = piece.get_mut(..read).filter(|found| !found.is_empty()) else { break };
        if found.iter().any(|byte| *byte != 0) {
            found.fill(0);
            file.write_at(found, at)?;
        }
        at += read as u64;
    }
    Ok(())
}
