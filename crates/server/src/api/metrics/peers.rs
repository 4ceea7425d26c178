//! The other members, as this one sees them.

use super::family::PeerLabels::{Ends, From, Member as Name, To};
use super::family::Read::{Histograms, Member, Peers};
use super::family::{Metric, Scrape, Spread, counter, gauge, histogram};
use crate::member::context::Context;

const CONNECTED: Metric = gauge(
    "stead_peer_connected",
    "1 while there is a connection to a member.",
    Peers(Name, |peer| Some(f64::from(peer.is_open))),
);

const SENT_BYTES: Metric = counter(
    "stead_peer_sent_bytes_total",
    "Bytes sent to a member since the start.",
    Peers(Name, |peer| Some(peer.link.sent_bytes as f64)),
);

const DROPPED: Metric = counter(
    "stead_peer_dropped_messages_total",
    "Messages to a member that could not be sent; raft sends what matters again.",
    Peers(Name, |peer| Some(peer.link.dropped_messages as f64)),
);

pub(super) const TABLE: &[Metric] = &[
    CONNECTED,
    CONNECTED.named_for("etcd_network_active_peers", Ends),
    gauge(
        "stead_peer_reached",
        "1 while a member was heard of within 3 s, and can be spoken to.",
        Peers(Name, |peer| Some(f64::from(peer.is_reached))),
    ),
    counter(
        "stead_peer_sent_messages_total",
        "Messages sent to a member since the start.",
        Peers(Name, |peer| Some(peer.link.sent_messages as f64)),
    ),
    SENT_BYTES,
    SENT_BYTES.named_for("etcd_network_peer_sent_bytes_total", To),
    counter(
        "etcd_network_peer_received_bytes_total",
        "Bytes received from a member since the start.",
        Peers(From, |peer| Some(peer.heard.bytes as f64)),
    ),
    DROPPED,
    DROPPED.named_for("etcd_network_peer_sent_failures_total", To),
    counter(
        "etcd_network_peer_received_failures_total",
        "Damaged frames received from a member since the start.",
        Peers(From, |peer| Some(peer.heard.failures as f64)),
    ),
    counter(
        "stead_peer_connects_total",
        "Connections made to a member since the start.",
        Peers(Name, |peer| Some(peer.link.connects as f64)),
    ),
    histogram(
        "etcd_network_peer_round_trip_time_seconds",
        "Time from a leader's heartbeat to a member until its answer.",
        Histograms(&["To"], round_trips),
    ),
    gauge(
        "stead_peer_latency_seconds",
        "On the leader: how long its latest call to a member took.",
        Peers(Name, |peer| peer.lag.map(|_| peer.latency.current as f64 / 1e9)),
    ),
    counter(
        "stead_peer_failed_calls_total",
        "Calls to a member that failed since this member leads.",
        Peers(Name, |peer| Some(peer.latency.fail as f64)),
    ),
    gauge(
        "stead_peer_lag_entries",
        "On the leader: committed log entries that a member is not known to have.",
        Peers(Name, |peer| peer.lag.map(|lag| lag as f64)),
    ),
    gauge(
        "stead_members_diverged",
        "Members whose state was found to differ from this one's: must be 0.",
        Member(|cx| members_diverged(cx) as f64),
    ),
    gauge(
        "stead_member_diverged",
        "1 when the state of a member differs from the one here at the same log index.",
        Peers(Name, |peer| Some(f64::from(peer.has_diverged))),
    ),
];

/// Those of members to which this one has sent heartbeats.
fn round_trips(at: &Scrape<'_>) -> Vec<(String, Spread)> {
    let known = at.peers.iter().filter(|peer| peer.round_trips.count > 0);
    known.map(|peer| (peer.ids.1.to_string(), Spread::from(&peer.round_trips))).collect()
}

fn members_diverged(cx: &Context) -> usize {
    let members = cx.driver.membership().members();
    let peers = members.filter_map(|member| cx.driver.peer(member.id));
    peers.filter(|peer| peer.diverged).count()
}
