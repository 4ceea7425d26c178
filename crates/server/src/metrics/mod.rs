//! Counting as requests pass: the counters that are touched for each request, looked up once.

mod registry;

use crate::http::reader::Method;
use crate::net::{Count, Load};
use crate::peer::LinkStats;
use prometheus::core::{AtomicU64, GenericCounter};
use registry::Metrics;
use replica::{Latency, Now, Status};
use std::time::Duration;
use store::{Action, StoreStats};

type Counter = GenericCounter<AtomicU64>;

const METHODS: [Method; 7] = [
    Method::Get,
    Method::Head,
    Method::Put,
    Method::Post,
    Method::Delete,
    Method::Options,
    Method::Other,
];

/// The metrics of a server, ready to be moved.
pub(crate) struct Meters {
    metrics: Metrics,
    received: [Counter; 7],
    writes: [Counter; 7],
    reads: Counter,
}

impl Count for Meters {
    fn received(&self, method: Method) {
        let counters = METHODS.iter().zip(&self.received);
        if let Some((_, counter)) = counters.into_iter().find(|(held, _)| **held == method) {
            counter.inc();
        }
    }

    fn failed(&self, status: u16, method: Method) {
        let mut digits = itoa::Buffer::new();
        let labels = [digits.format(status), method.as_str()];
        self.metrics.failed.with_label_values(&labels).inc();
    }

    fn refused(&self) {
        self.metrics.connections_refused.inc();
    }
}

impl Meters {
    pub(crate) fn new(now: Now) -> Self {
        let metrics = Metrics::new();
        metrics.process_start.set(i64::try_from(now.wall / 1_000_000_000).unwrap_or(0));
        Self {
            received: METHODS.map(|method| metrics.received.with_label_values(&[method.as_str()])),
            writes: Action::ALL.map(|action| metrics.writes.with_label_values(&[action.as_str()])),
            reads: metrics.reads.with_label_values(&["get"]),
            metrics,
        }
    }

    pub(crate) fn read(&self) {
        self.reads.inc();
    }

    pub(crate) fn wrote(&self, action: Action, took: u64) {
        let counters = Action::ALL.iter().zip(&self.writes);
        if let Some((_, counter)) = counters.into_iter().find(|(held, _)| **held == action) {
            counter.inc();
        }
        self.metrics.duration.observe(took as f64 / 1e9);
    }

    pub(crate) fn proposal_failed(&self) {
        self.metrics.proposals_failed.inc();
    }

    pub(crate) fn watch(&self) {
        self.metrics.watch_requests.inc();
    }

    pub(crate) fn watcher_cleared(&self) {
        self.metrics.watchers_cleared.inc();
    }

    /// A turn with outcomes: the proposals in it took about as long.
    pub(crate) fn observe_turn(&self, from: Now, to: Now) {
        let seconds = to.monotonic.saturating_sub(from.monotonic) as f64 / 1e9;
        self.metrics.turns.inc();
        self.metrics.proposal_duration.observe(seconds);
    }

    /// A round of the loop.
    pub(crate) fn round(&self, took: Duration) {
        self.metrics.round_duration.observe(took.as_secs_f64());
    }

    /// A sync of the log, wherever it was done.
    pub(crate) fn synced(&self, took: Duration) {
        self.metrics.fsync_duration.observe(took.as_secs_f64());
    }

    pub(crate) fn snapshot_done(&self, took: Duration) {
        self.metrics.snapshot_duration.observe(took.as_secs_f64());
    }

    pub(crate) fn snapshot_failed(&self) {
        self.metrics.snapshot_failed.inc();
    }

    /// The text that Prometheus reads at a machine that is no member.
    pub(crate) fn render_standby(&self, load: Load) -> Vec<u8> {
        self.set_load(load);
        self.metrics.render()
    }

    /// What is known of each other member. One that is no member any more is not shown.
    fn set_peers(&self, peers: &[PeerGauge]) {
        let metrics = &self.metrics;
        let counters = [
            &metrics.peer_messages,
            &metrics.peer_bytes,
            &metrics.peer_dropped,
            &metrics.peer_connects,
            &metrics.peer_failed_calls,
        ];
        counters.iter().for_each(|vector| vector.reset());
        let gauges = [&metrics.peers_connected, &metrics.member_diverged, &metrics.peer_lag];
        gauges.iter().for_each(|vector| vector.reset());
        metrics.peer_latency.reset();
        for peer in peers {
            let label = [peer.name.as_str()];
            let LinkStats { sent_messages, sent_bytes, dropped_messages, connects } = peer.link;
            let failed = peer.latency.fail;
            let values = [sent_messages, sent_bytes, dropped_messages, connects, failed];
            for (vector, value) in counters.iter().zip(values) {
                vector.with_label_values(&label).inc_by(value);
            }
            metrics.peers_connected.with_label_values(&label).set(i64::from(peer.is_open));
            metrics.member_diverged.with_label_values(&label).set(i64::from(peer.has_diverged));
            // Only a leader knows these.
            if let Some(lag) = peer.lag {
                let seconds = peer.latency.current as f64 / 1e9;
                metrics.peer_latency.with_label_values(&label).set(seconds);
                metrics.peer_lag.with_label_values(&label).set(signed(lag));
            }
        }
    }

    fn set_load(&self, load: Load) {
        self.metrics.connections.set(signed(load.connections as u64));
        self.metrics.input_bytes.set(signed(load.held.input as u64));
        self.metrics.output_bytes.set(signed(load.held.output as u64));
    }

    /// The text that Prometheus reads, with what is only looked up when somebody asks.
    pub(crate) fn render(&self, now: Gauges) -> Vec<u8> {
        let metrics = &self.metrics;
        grow(&metrics.expires, now.store.expire_count);
        metrics.watchers.set(signed(now.store.watchers));
        self.set_load(now.load);
        metrics.proposals_pending.set(signed(now.proposals));
        metrics.is_voter.set(i64::from(now.status.is_voter));
        metrics.members_diverged.set(signed(now.members_diverged));
        self.set_peers(&now.peers);
        grow(&metrics.log_grown, now.log_grown);
        metrics.log_full.set(i64::from(now.status.is_disk_full));
        metrics.term.set(signed(now.status.term.0));
        metrics.commit.set(signed(now.status.commit.0));
        metrics.applied.set(signed(now.status.applied.0));
        metrics.has_leader.set(i64::from(now.status.leader.is_some()));
        grow(&metrics.leader_changes, now.leader_changes);
        metrics.last_index.set(signed(now.status.applied.0));
        metrics.store_index.set(signed(now.store_index));
        metrics.is_leader.set(i64::from(now.status.role == replica::Role::Leader));
        metrics.render()
    }
}

/// What is looked up when somebody asks for the metrics.
pub(crate) struct Gauges {
    pub(crate) status: Status,
    pub(crate) store: StoreStats,
    pub(crate) store_index: u64,
    pub(crate) load: Load,
    pub(crate) proposals: u64,
    pub(crate) log_grown: u64,
    pub(crate) members_diverged: u64,
    pub(crate) leader_changes: u64,
    pub(crate) peers: Vec<PeerGauge>,
}

/// One of the other members.
pub(crate) struct PeerGauge {
    pub(crate) name: String,
    pub(crate) is_open: bool,
    pub(crate) link: LinkStats,
    pub(crate) latency: Latency,
    /// How many committed entries it is not known to have; only a leader knows.
    pub(crate) lag: Option<u64>,
    pub(crate) has_diverged: bool,
}

/// A number as a gauge has it.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Brings a counter up to what was counted elsewhere.
fn grow(counter: &Counter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}
