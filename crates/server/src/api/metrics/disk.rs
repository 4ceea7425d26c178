//! The log, snapshots and backups, and the disk that they are on.

use super::family::Read::{Histogram, Known, Member, Server};
use super::family::{Metric, counter, gauge, histogram};

const SYNCS: Metric = histogram(
    "etcd_disk_wal_fsync_duration_seconds",
    "Time that a sync of the log took.",
    Histogram(|meters| &meters.syncs),
);

const SNAPSHOTS: Metric = histogram(
    "etcd_debugging_snap_save_total_duration_seconds",
    "Time to write a snapshot, its rests included.",
    Histogram(|meters| &meters.snapshots),
);

pub(super) const TABLE: &[Metric] = &[
    SYNCS,
    // That of 2.x.
    SYNCS.named("etcd_wal_fsync_durations_seconds"),
    counter(
        "etcd_disk_wal_write_bytes_total",
        "Bytes written to the log since the start.",
        Member(|cx| cx.driver.wal().stats().bytes_written as f64),
    ),
    gauge(
        "etcd_wal_last_index_saved",
        "Last log entry that was applied.",
        Member(|cx| cx.driver.status().applied.0 as f64),
    ),
    gauge(
        "stead_wal_bytes",
        "Bytes of the segments that hold the log.",
        Member(|cx| cx.driver.wal().stats().bytes as f64),
    ),
    gauge(
        "stead_wal_segments",
        "Segments that hold the log.",
        Member(|cx| cx.driver.wal().stats().segments as f64),
    ),
    counter(
        "stead_wal_segments_grown_total",
        "Log segments that had to be used before they were zero-filled.",
        Member(|cx| cx.driver.wal().stats().segments_grown as f64),
    ),
    gauge(
        "stead_wal_full",
        "1 while the disk is full and writes are refused.",
        Member(|cx| f64::from(cx.driver.status().is_disk_full)),
    ),
    gauge(
        "stead_disk_free_bytes",
        "Bytes that are free on the disk of the data directory.",
        Known(|at| at.disk.map(|(free, _)| free as f64)),
    ),
    gauge(
        "stead_disk_size_bytes",
        "Size of the disk of the data directory.",
        Known(|at| at.disk.map(|(_, size)| size as f64)),
    ),
    SNAPSHOTS,
    // That of 2.x.
    SNAPSHOTS.named("etcd_snapshot_save_total_durations_seconds"),
    gauge(
        "stead_snapshot_bytes",
        "Size of the last snapshot that was written since the start.",
        Known(|at| Some(at.meters.snapshot_bytes.get() as f64).filter(|bytes| *bytes > 0.0)),
    ),
    counter(
        "stead_snapshot_failed_total",
        "Snapshots that could not be written.",
        Server(|at| at.meters.snapshots_failed.get() as f64),
    ),
    gauge(
        "stead_backup_last_time_seconds",
        "When the last backup of -backup-dir was made, in seconds since 1970; 0 for never.",
        Member(|cx| cx.backups.last as f64 / 1e9),
    ),
    gauge(
        "stead_backup_interval_seconds",
        "The interval of backups, where -backup-dir is set.",
        Known(|at| at.member.and_then(|cx| cx.backups.interval())),
    ),
    counter(
        "stead_backup_failed_total",
        "Backups of -backup-dir that could not be written.",
        Member(|cx| cx.backups.failed as f64),
    ),
];
