//! The key space.

use super::family::Read::{Labels, Member, Server};
use super::family::{Metric, by_word, counter, gauge};

const READS: Metric = counter(
    "etcd_store_reads_total",
    "Reads of the key space.",
    Labels(&["action"], |at| by_word(at.meters.reads.by_action())),
);

const READS_FAILED: Metric = counter(
    "etcd_store_reads_failed_total",
    "Reads of keys that are not there.",
    Labels(&["action"], |at| by_word(at.meters.reads_failed.by_action())),
);

const WRITES: Metric = counter(
    "etcd_store_writes_total",
    "Writes of clients of this member that were applied.",
    Labels(&["action"], |at| by_word(at.meters.writes_by_action())),
);

const EXPIRES: Metric = counter(
    "etcd_store_expires_total",
    "Nodes that expired.",
    Member(|cx| cx.driver.store().stats().expire_count as f64),
);

const WATCH_REQUESTS: Metric = counter(
    "etcd_store_watch_requests_total",
    "Watches begun.",
    Server(|at| at.meters.watches.get() as f64),
);

const WATCHERS: Metric = gauge(
    "etcd_store_watchers",
    "Watchers that wait now.",
    Member(|cx| cx.driver.store().stats().watchers as f64),
);

pub(super) const TABLE: &[Metric] = &[
    READS,
    READS_FAILED,
    WRITES,
    EXPIRES,
    WATCH_REQUESTS,
    WATCHERS,
    // Those of 3.x, whose store of the v2 API they are about.
    READS.named("etcd_debugging_store_reads_total"),
    READS_FAILED.named("etcd_debugging_store_reads_failed_total"),
    WRITES.named("etcd_debugging_store_writes_total"),
    EXPIRES.named("etcd_debugging_store_expires_total"),
    WATCH_REQUESTS.named("etcd_debugging_store_watch_requests_total"),
    WATCHERS.named("etcd_debugging_store_watchers"),
    counter(
        "stead_watchers_cleared_total",
        "Streams ended because the client read too slowly to keep up with the history.",
        Server(|at| at.meters.watchers_cleared.get() as f64),
    ),
    gauge(
        "stead_store_index",
        "The index of the last change of a key.",
        Member(|cx| cx.index() as f64),
    ),
    gauge(
        "stead_store_keys",
        "Keys that have a value, the cluster's own below /_etcd included.",
        Member(|cx| cx.driver.store().totals().keys as f64),
    ),
    gauge(
        "stead_store_value_bytes",
        "Bytes of all values.",
        Member(|cx| cx.driver.store().totals().value_bytes as f64),
    ),
    gauge(
        "stead_history_events",
        "Past events that are kept for watches.",
        Member(|cx| cx.driver.store().history_size().0 as f64),
    ),
    gauge(
        "stead_history_bytes",
        "Bytes that past events are counted with.",
        Member(|cx| cx.driver.store().history_size().1 as f64),
    ),
];
