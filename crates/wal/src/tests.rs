//! Tests of the log and the snapshot files on a disk that fails.
