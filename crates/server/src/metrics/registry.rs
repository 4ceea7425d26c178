//! What `/metrics` shows, in Prometheus' text format.
//!
//! Names that begin with `etcd_` are those that 2.x exposed (docs/spec/cluster.md section 10), so
//! that existing dashboards go on working; names that begin with `stead_` are our own.
//! docs/metrics.md explains each.

use prometheus::core::{AtomicU64, GenericCounter, GenericCounterVec};
use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramOpts, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

type Counter = GenericCounter<AtomicU64>;
type CounterVec = GenericCounterVec<AtomicU64>;

/// Seconds: from 10 us, where an in-memory answer is, to 8 s, where requests time out.
fn latency_buckets() -> Vec<f64> {
    (0..20).map(|power| 1e-5 * 2_f64.powi(power)).collect()
}

/// All metrics of one server.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) reads: CounterVec,
    pub(crate) writes: CounterVec,
    pub(crate) expires: Counter,
    pub(crate) watch_requests: Counter,
    pub(crate) watchers: IntGauge,
    pub(crate) received: CounterVec,
    pub(crate) failed: CounterVec,
    pub(crate) duration: Histogram,
    pub(crate) proposals_pending: IntGauge,
    pub(crate) proposals_failed: Counter,
    pub(crate) proposal_duration: Histogram,
    pub(crate) fds: IntGauge,
    pub(crate) fsync_duration: Histogram,
    pub(crate) last_index: IntGauge,
    pub(crate) snapshot_duration: Histogram,
    pub(crate) snapshot_failed: Counter,
    pub(crate) connections: IntGauge,
    pub(crate) connections_refused: Counter,
    pub(crate) input_bytes: IntGauge,
    pub(crate) round_duration: Histogram,
    pub(crate) output_bytes: IntGauge,
    pub(crate) watchers_cleared: Counter,
    pub(crate) log_grown: Counter,
    pub(crate) log_full: IntGauge,
    pub(crate) term: IntGauge,
    pub(crate) commit: IntGauge,
    pub(crate) store_index: IntGauge,
    pub(crate) applied: IntGauge,
    pub(crate) is_leader: IntGauge,
    pub(crate) is_voter: IntGauge,
    pub(crate) members_diverged: IntGauge,
    pub(crate) has_leader: IntGauge,
    pub(crate) leader_changes: Counter,
    pub(crate) peers_connected: IntGaugeVec,
    pub(crate) peer_messages: CounterVec,
    pub(crate) peer_bytes: CounterVec,
    pub(crate) peer_dropped: CounterVec,
    pub(crate) peer_connects: CounterVec,
    pub(crate) peer_latency: GaugeVec,
    pub(crate) peer_failed_calls: CounterVec,
    pub(crate) peer_lag: IntGaugeVec,
    pub(crate) member_diverged: IntGaugeVec,
    pub(crate) turns: Counter,
    pub(crate) process_cpu: prometheus::Counter,
    pub(crate) process_memory: IntGauge,
    pub(crate) process_start: IntGauge,
}

/// Makes a metric and registers it. Names are literals, so neither can fail.
struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn add<M: prometheus::core::Collector + Clone + 'static>(
        &self,
        metric: prometheus::Result<M>,
    ) -> M {
        let metric = metric.expect("metric names and labels are valid literals");
        self.0.register(Box::new(metric.clone())).expect("each metric is registered once");
        metric
    }

    fn counter(&self, name: &str, help: &str) -> Counter {
        self.add(Counter::new(name, help))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> CounterVec {
        self.add(CounterVec::new(Opts::new(name, help), labels))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::new(name, help))
    }

    fn peer_gauge(&self, name: &str, help: &str) -> IntGaugeVec {
        self.add(IntGaugeVec::new(Opts::new(name, help), &["member"]))
    }

    fn peer_counter(&self, name: &str, help: &str) -> CounterVec {
        self.counters(name, help, &["member"])
    }

    fn latency(&self, name: &str, help: &str) -> Histogram {
        let opts = HistogramOpts::new(name, help).buckets(latency_buckets());
        self.add(Histogram::with_opts(opts))
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let make = Maker(&registry);
        Self {
            reads: make.counters("etcd_store_reads_total", "Reads of the key space.", &["action"]),
            writes: make.counters(
                "etcd_store_writes_total",
                "Writes of clients that were applied.",
                &["action"],
            ),
            expires: make.counter("etcd_store_expires_total", "Nodes that expired."),
            watch_requests: make.counter("etcd_store_watch_requests_total", "Watches begun."),
            watchers: make.gauge("etcd_store_watchers", "Watchers that wait now."),
            received: make.counters(
                "etcd_http_received_total",
                "Requests received on the client ports.",
                &["method"],
            ),
            failed: make.counters(
                "etcd_http_failed_total",
                "Requests answered with a status of 400 or above.",
                &["code", "method"],
            ),
            duration: make.latency(
                "etcd_http_successful_duration_second",
                "Time from a write's arrival to its answer, for writes that succeeded.",
            ),
            proposals_pending: make.gauge(
                "etcd_server_pending_proposal_total",
                "Writes that wait for their outcome now.",
            ),
            proposals_failed: make.counter(
                "etcd_server_proposal_failed_total",
                "Writes that this member could not carry out.",
            ),
            proposal_duration: make.latency(
                "etcd_server_proposal_durations_seconds",
                "Time from proposing a write to knowing its outcome.",
            ),
            fds: make.gauge(
                "etcd_server_file_descriptors_used_total",
                "File descriptors that the process holds.",
            ),
            fsync_duration: make
                .latency("etcd_wal_fsync_durations_seconds", "Time that a sync of the log took."),
            last_index: make.gauge("etcd_wal_last_index_saved", "Last log entry that was applied."),
            snapshot_duration: make.latency(
                "etcd_snapshot_save_total_durations_seconds",
                "Time to write a snapshot, its rests included.",
            ),
            snapshot_failed: make
                .counter("stead_snapshot_failed_total", "Snapshots that could not be written."),
            connections: make.gauge("stead_http_connections", "Connections of clients now."),
            round_duration: make.latency(
                "stead_loop_round_duration_seconds",
                "Time that a round of the loop took.",
            ),
            input_bytes: make.gauge(
                "stead_http_input_bytes",
                "Bytes of requests that have not arrived completely.",
            ),
            output_bytes: make
                .gauge("stead_http_output_bytes", "Bytes of answers that wait for their clients."),
            connections_refused: make.counter(
                "stead_http_connections_refused_total",
                "Connections refused because there were too many.",
            ),
            watchers_cleared: make.counter(
                "stead_watchers_cleared_total",
                "Streams ended because the client read too slowly to keep up with the history.",
            ),
            log_grown: make.counter(
                "stead_wal_segments_grown_total",
                "Log segments that had to be used before they were zero-filled.",
            ),
            log_full: make
                .gauge("stead_wal_full", "1 while the disk is full and writes are refused."),
            is_voter: make
                .gauge("stead_raft_is_voter", "1 while this machine takes part in decisions."),
            members_diverged: make.gauge(
                "stead_members_diverged",
                "Members whose state was found to differ from this one's: must be 0.",
            ),
            peers_connected: make.peer_gauge(
                "stead_peer_connected",
                "1 while this member can speak to the other one.",
            ),
            peer_messages: make.peer_counter(
                "stead_peer_sent_messages_total",
                "Messages sent to a member since the start.",
            ),
            peer_bytes: make.peer_counter(
                "stead_peer_sent_bytes_total",
                "Bytes sent to a member since the start.",
            ),
            peer_dropped: make.peer_counter(
                "stead_peer_dropped_messages_total",
                "Messages to a member that could not be sent; raft sends what matters again.",
            ),
            peer_connects: make.peer_counter(
                "stead_peer_connects_total",
                "Connections made to a member since the start.",
            ),
            peer_latency: make.add(GaugeVec::new(
                Opts::new(
                    "stead_peer_latency_seconds",
                    "On the leader: how long its latest call to a member took.",
                ),
                &["member"],
            )),
            peer_failed_calls: make.peer_counter(
                "stead_peer_failed_calls_total",
                "Calls to a member that failed since this member leads.",
            ),
            peer_lag: make.peer_gauge(
                "stead_peer_lag_entries",
                "On the leader: committed log entries that a member is not known to have.",
            ),
            member_diverged: make.peer_gauge(
                "stead_member_diverged",
                "1 when the state of a member differs from the one here at the same log index.",
            ),
            applied: make.gauge("stead_raft_applied_index", "The last log entry that was applied."),
            has_leader: make.gauge("stead_raft_has_leader", "1 while a leader is known."),
            leader_changes: make.counter(
                "stead_raft_leader_changes_total",
                "How often another leader was seen since the start.",
            ),
            term: make.gauge("stead_raft_term", "The raft term."),
            commit: make.gauge("stead_raft_commit_index", "The highest committed log entry."),
            store_index: make.gauge("stead_store_index", "The index of the last change of a key."),
            is_leader: make.gauge("stead_raft_is_leader", "1 while this member leads."),
            turns: make.counter("stead_turns_total", "Turns of the loop."),
            process_cpu: make
                .add(prometheus::Counter::new("process_cpu_seconds_total", "Processor time used.")),
            process_memory: make.gauge("process_resident_memory_bytes", "Resident memory."),
            process_start: make.gauge("process_start_time_seconds", "When the process started."),
            registry,
        }
    }

    /// The text that Prometheus reads.
    pub(crate) fn render(&self) -> Vec<u8> {
        self.observe_process();
        let mut out = Vec::with_capacity(16 << 10);
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut out) {
            tracing::error!(%error, "metrics cannot be printed");
        }
        out
    }

    fn observe_process(&self) {
        if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
            self.fds.set(i64::try_from(entries.count()).unwrap_or(i64::MAX));
        }
        if let Ok(statm) = std::fs::read_to_string("/proc/self/statm") {
            let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<i64>().ok());
            let page = i64::try_from(rustix::param::page_size()).unwrap_or(4096);
            self.process_memory.set(pages.unwrap_or(0).saturating_mul(page));
        }
        let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let seconds = used.tv_sec as f64 + used.tv_nsec as f64 / 1e9;
        self.process_cpu.inc_by((seconds - self.process_cpu.get()).max(0.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn familiar_names_are_there() {
        let metrics = Metrics::new();
        metrics.reads.with_label_values(&["get"]).inc();
        let text = String::from_utf8(metrics.render()).expect("the format is text");
        assert!(text.contains("etcd_store_reads_total{action=\"get\"} 1"), "{text}");
        for name in ["etcd_store_watchers 0", "process_resident_memory_bytes", "stead_raft_term"] {
            assert!(text.contains(name), "{name} is missing:\n{text}");
        }
    }

    #[test]
    fn each_metric_is_explained_by_its_name() {
        let metrics = Metrics::new();
        let counters = [
            &metrics.reads,
            &metrics.writes,
            &metrics.received,
            &metrics.peer_messages,
            &metrics.peer_bytes,
            &metrics.peer_dropped,
            &metrics.peer_connects,
            &metrics.peer_failed_calls,
        ];
        counters.iter().for_each(|vector| drop(vector.with_label_values(&["x"])));
        metrics.failed.with_label_values(&["x", "x"]);
        metrics.peer_latency.with_label_values(&["x"]);
        let gauges = [&metrics.peers_connected, &metrics.peer_lag, &metrics.member_diverged];
        gauges.iter().for_each(|vector| drop(vector.with_label_values(&["x"])));
        let families = metrics.registry.gather();
        let mut shown: Vec<&str> = families.iter().map(|family| family.name()).collect();
        let page = include_str!("../../../../docs/metrics.md");
        let row = |line: &'static str| line.strip_prefix("| `")?.split(['`', '{']).next();
        let mut explained: Vec<&str> = page.lines().filter_map(row).collect();
        shown.sort_unstable();
        explained.sort_unstable();
        assert_eq!(shown, explained);
        assert!(families.iter().all(|family| !family.help().is_empty()));
    }
}
