//! The wall clock.

use legacy::WallTime;
use std::time::{SystemTime, UNIX_EPOCH};

/// What time it is, for TTLs.
pub(super) fn now() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
