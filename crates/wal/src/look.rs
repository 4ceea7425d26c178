//! Reading a log without opening it: nothing is changed, cut or adopted.

use crate::disk::Disk;
use crate::error::Error;
use crate::recover::Records;
use crate::scan::{scan, segment_names};

/// The records of each segment up to the first that cannot be read. Damage is passed over: this is
/// for a look at a directory that nobody is going to serve from.
///
/// # Errors
/// [`Error::Io`] when the directory or one of its files cannot be read.
pub fn look<D: Disk>(disk: &D, log_id: u64) -> Result<Records<D>, Error> {
    let mut segments = Vec::new();
    for (first_seq, name) in segment_names(disk)? {
        match scan(disk, log_id, &name, first_seq) {
            Err(Error::Damaged { .. }) => {}
            found => segments.push(found?),
        }
    }
    Ok(Records::new(disk.clone(), log_id, &segments))
}
