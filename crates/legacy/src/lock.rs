//! Is a server running on these files?
//!
//! 2.x and 3.x lock each open segment of their log exclusively: by `flock`, later by open file
//! description locks, which conflict with the ordinary record locks. So trying to share each kind
//! tells. The locks end with the file handle. 0.4 locks nothing.

use crate::Error;
use rustix::fs::{FlockOperation, fcntl_lock, flock};
use rustix::io::Errno;
use std::fs::File;
use std::path::Path;

/// Refuses if another process has the file locked. File systems without locks tell nothing.
pub(crate) fn check(file: &Path, dir: &Path) -> Result<(), Error> {
    let handle = File::open(file).map_err(|error| Error::io(file, error))?;
    let share = FlockOperation::NonBlockingLockShared;
    let is_refused =
        |result: Result<(), Errno>| matches!(result, Err(Errno::WOULDBLOCK | Errno::ACCESS));
    if is_refused(flock(&handle, share)) || is_refused(fcntl_lock(&handle, share)) {
        return Err(Error::InUse(dir.to_owned()));
    }
    Ok(())
}
