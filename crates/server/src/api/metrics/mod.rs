//! `/metrics`, in Prometheus' text format.
//!
//! A metric is a row of [`TABLE`]: its name, its type, its help, and how it is read when somebody
//! asks. What has to be counted as it happens is counted in [`Meters`] and read from there. Names
//! that begin with `etcd_` are those that 2.x exposed (docs/spec/cluster.md section 10), so that
//! existing dashboards go on working; names that begin with `stead_` are our own. docs/metrics.md
//! explains each.

mod family;
mod process;

use crate::http::response::METRICS;
use crate::member::context::Context;
use crate::metrics::Meters;
use crate::net::{Load, Response};
use family::Read::{Labels, Member, Peers, Server};
use family::{Labelled, Metric, Peer, Scrape, counter, gauge, histogram, render};
use replica::Role;

const TABLE: &[Metric] = &[
    // Requests.
    counter(
        "etcd_http_received_total",
        "Requests received on the client ports.",
        Labels(&["method"], |meters| by_word(meters.received_by_method())),
    ),
    counter(
        "etcd_http_failed_total",
        "Requests answered with a status of 400 or above.",
        Labels(&["code", "method"], failures),
    ),
    histogram(
        "etcd_http_successful_duration_second",
        "Time from a write's arrival to its answer, for writes that succeeded.",
        |meters| &meters.writing,
    ),
    gauge(
        "stead_http_connections",
        "Connections of clients now.",
        Server(|at| at.load.connections as f64),
    ),
    gauge(
        "stead_http_input_bytes",
        "Bytes of requests that have not arrived completely.",
        Server(|at| at.load.held.input as f64),
    ),
    gauge(
        "stead_http_output_bytes",
        "Bytes of answers that wait for their clients.",
        Server(|at| at.load.held.output as f64),
    ),
    histogram(
        "stead_loop_round_duration_seconds",
        "Time that a round of the loop took.",
        |meters| &meters.rounds,
    ),
    counter(
        "stead_http_connections_refused_total",
        "Connections refused because there were too many.",
        Server(|at| at.meters.refused.get() as f64),
    ),
    // The key space.
    counter(
        "etcd_store_reads_total",
        "Reads of the key space.",
        Labels(&["action"], |meters| by_word([("get", meters.reads.get())])),
    ),
    counter(
        "etcd_store_writes_total",
        "Writes of clients that were applied.",
        Labels(&["action"], |meters| by_word(meters.writes_by_action())),
    ),
    counter(
        "etcd_store_expires_total",
        "Nodes that expired.",
        Member(|cx| cx.driver.store().stats().expire_count as f64),
    ),
    counter(
        "etcd_store_watch_requests_total",
        "Watches begun.",
        Server(|at| at.meters.watches.get() as f64),
    ),
    gauge(
        "etcd_store_watchers",
        "Watchers that wait now.",
        Member(|cx| cx.driver.store().stats().watchers as f64),
    ),
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
    // Raft. The name of the first gauge is one that 2.x gave it.
    gauge(
        "etcd_server_pending_proposal_total",
        "Writes that wait for their outcome now.",
        Member(|cx| cx.driver.proposals_waiting() as f64),
    ),
    counter(
        "etcd_server_proposal_failed_total",
        "Writes that this member could not carry out.",
        Server(|at| at.meters.proposals_failed.get() as f64),
    ),
    histogram(
        "etcd_server_proposal_durations_seconds",
        "Time from proposing a write to knowing its outcome.",
        |meters| &meters.proposals,
    ),
    gauge("stead_raft_term", "The raft term.", Member(|cx| cx.driver.status().term.0 as f64)),
    gauge(
        "stead_raft_commit_index",
        "The highest committed log entry.",
        Member(|cx| cx.driver.status().commit.0 as f64),
    ),
    gauge(
        "stead_raft_applied_index",
        "The last log entry that was applied.",
        Member(|cx| cx.driver.status().applied.0 as f64),
    ),
    gauge(
        "stead_raft_is_leader",
        "1 while this member leads.",
        Member(|cx| f64::from(cx.driver.status().role == Role::Leader)),
    ),
    gauge(
        "stead_raft_is_voter",
        "1 while this machine takes part in decisions.",
        Member(|cx| f64::from(cx.driver.status().is_voter)),
    ),
    gauge(
        "stead_raft_has_leader",
        "1 while a leader is known.",
        Member(|cx| f64::from(cx.driver.status().leader.is_some())),
    ),
    counter(
        "stead_raft_leader_changes_total",
        "How often another leader was seen since the start.",
        Member(|cx| cx.leader_changes as f64),
    ),
    counter(
        "stead_health_questions_total",
        "Read indexes that were asked for to answer /health and /readyz.",
        Member(|cx| cx.probe.count as f64),
    ),
    // Other members.
    gauge(
        "stead_peer_connected",
        "1 while this member can speak to the other one.",
        Peers(|peer| Some(f64::from(peer.is_open))),
    ),
    counter(
        "stead_peer_sent_messages_total",
        "Messages sent to a member since the start.",
        Peers(|peer| Some(peer.link.sent_messages as f64)),
    ),
    counter(
        "stead_peer_sent_bytes_total",
        "Bytes sent to a member since the start.",
        Peers(|peer| Some(peer.link.sent_bytes as f64)),
    ),
    counter(
        "stead_peer_dropped_messages_total",
        "Messages to a member that could not be sent; raft sends what matters again.",
        Peers(|peer| Some(peer.link.dropped_messages as f64)),
    ),
    counter(
        "stead_peer_connects_total",
        "Connections made to a member since the start.",
        Peers(|peer| Some(peer.link.connects as f64)),
    ),
    gauge(
        "stead_peer_latency_seconds",
        "On the leader: how long its latest call to a member took.",
        Peers(|peer| peer.lag.map(|_| peer.latency.current as f64 / 1e9)),
    ),
    counter(
        "stead_peer_failed_calls_total",
        "Calls to a member that failed since this member leads.",
        Peers(|peer| Some(peer.latency.fail as f64)),
    ),
    gauge(
        "stead_peer_lag_entries",
        "On the leader: committed log entries that a member is not known to have.",
        Peers(|peer| peer.lag.map(|lag| lag as f64)),
    ),
    gauge(
        "stead_members_diverged",
        "Members whose state was found to differ from this one's: must be 0.",
        Member(|cx| members_diverged(cx) as f64),
    ),
    gauge(
        "stead_member_diverged",
        "1 when the state of a member differs from the one here at the same log index.",
        Peers(|peer| Some(f64::from(peer.has_diverged))),
    ),
    // The disk.
    histogram("etcd_wal_fsync_durations_seconds", "Time that a sync of the log took.", |meters| {
        &meters.syncs
    }),
    gauge(
        "etcd_wal_last_index_saved",
        "Last log entry that was applied.",
        Member(|cx| cx.driver.status().applied.0 as f64),
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
    histogram(
        "etcd_snapshot_save_total_durations_seconds",
        "Time to write a snapshot, its rests included.",
        |meters| &meters.snapshots,
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
    counter(
        "stead_backup_failed_total",
        "Backups of -backup-dir that could not be written.",
        Member(|cx| cx.backups.failed as f64),
    ),
    // The process. The name of the second one is from 2.x too.
    counter(
        "stead_turns_total",
        "Turns of the loop.",
        Server(|at| at.meters.proposals.count() as f64),
    ),
    gauge(
        "etcd_server_file_descriptors_used_total",
        "File descriptors that the process holds.",
        Server(|_| process::open_files()),
    ),
    counter(
        "process_cpu_seconds_total",
        "Processor time used.",
        Server(|_| process::cpu_seconds()),
    ),
    gauge(
        "process_resident_memory_bytes",
        "Resident memory.",
        Server(|_| process::resident_bytes()),
    ),
    gauge(
        "process_start_time_seconds",
        "When the process started.",
        Server(|at| at.meters.started as f64),
    ),
];

/// `/metrics` of a member.
pub(crate) fn serve(cx: &Context) -> Response {
    let scrape = Scrape { meters: &cx.meters, load: cx.load, member: Some(cx), peers: peers(cx) };
    Response::new(200, METRICS, render(TABLE, &scrape))
}

/// `/metrics` of a machine that is no member.
pub(crate) fn serve_standby(meters: &Meters, load: Load) -> Response {
    let scrape = Scrape { meters, load, member: None, peers: Vec::new() };
    Response::new(200, METRICS, render(TABLE, &scrape))
}

/// Samples with one label, in its order.
fn by_word<'a>(values: impl IntoIterator<Item = (&'a str, u64)>) -> Labelled {
    let mut samples: Labelled =
        values.into_iter().map(|(word, value)| (vec![word.to_owned()], value)).collect();
    samples.sort_unstable();
    samples
}

fn failures(meters: &Meters) -> Labelled {
    let failures = meters.failures().into_iter();
    failures
        .map(|((status, method), count)| (vec![status.to_string(), method.to_owned()], count))
        .collect()
}

fn members_diverged(cx: &Context) -> usize {
    let members = cx.driver.membership().members();
    let peers = members.filter_map(|member| cx.driver.peer(member.id));
    peers.filter(|peer| peer.diverged).count()
}

/// What is known of each other member, by name. One that is no member any more is not shown.
fn peers(cx: &Context) -> Vec<Peer<'_>> {
    let membership = cx.driver.membership();
    let commit = cx.driver.status().commit.0;
    let links = cx.driver.network().stats();
    let peers = links.filter_map(|(id, is_open, link)| {
        let peer = cx.driver.peer(id);
        let matched = cx.driver.matched(id);
        Some(Peer {
            name: &membership.member(id)?.name,
            is_open,
            link,
            latency: peer.map(|peer| peer.latency).unwrap_or_default(),
            lag: matched.map(|matched| commit.saturating_sub(matched.0)),
            has_diverged: peer.is_some_and(|peer| peer.diverged),
        })
    });
    let mut peers: Vec<Peer<'_>> = peers.collect();
    peers.sort_by_key(|peer| peer.name);
    peers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::request::Method;
    use crate::net::Count as _;
    use prometheus::proto::MetricType;
    use std::time::Duration;

    fn text(meters: &Meters, peers: Vec<Peer<'_>>) -> String {
        let scrape = Scrape { meters, load: Load::default(), member: None, peers };
        String::from_utf8(render(TABLE, &scrape)).expect("the format is text")
    }

    #[test]
    fn familiar_names_are_there() {
        let mut meters = Meters::default();
        meters.started = 7;
        meters.reads.add_one();
        meters.received(Method::Put);
        meters.failed(404, Method::Get);
        meters.failed(400, Method::Put);
        meters.failed(400, Method::Put);
        let text = text(&meters, Vec::new());
        for line in [
            "# HELP etcd_store_reads_total Reads of the key space.",
            "# TYPE etcd_store_reads_total counter",
            "etcd_store_reads_total{action=\"get\"} 1",
            "etcd_store_watchers 0",
            "etcd_http_received_total{method=\"PUT\"} 1",
            "etcd_http_failed_total{code=\"400\",method=\"PUT\"} 2",
            "etcd_http_failed_total{code=\"404\",method=\"GET\"} 1",
            "process_start_time_seconds 7",
            "# TYPE stead_raft_term gauge",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is missing:\n{text}");
        }
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
        assert!(!text.contains("stead_peer_"), "nobody is known:\n{text}");
    }

    #[test]
    fn what_only_a_leader_knows_is_left_out_elsewhere() {
        let mut latency = replica::Latency::default();
        (latency.current, latency.fail) = (1_500_000, 2);
        let peer = |name, lag| Peer {
            name,
            is_open: true,
            link: crate::peer::LinkStats { sent_bytes: 5, ..Default::default() },
            latency,
            lag,
            has_diverged: false,
        };
        let text = text(&Meters::default(), vec![peer("a", Some(3)), peer("b\"", None)]);
        let of_peers = |name| text.lines().filter(|line| line.starts_with(name)).count();
        assert!(text.contains("\nstead_peer_lag_entries{member=\"a\"} 3\n"), "{text}");
        assert!(text.contains("\nstead_peer_latency_seconds{member=\"a\"} 0.0015\n"), "{text}");
        assert!(text.contains("\nstead_peer_sent_bytes_total{member=\"b\\\"\"} 5\n"), "{text}");
        assert!(text.contains("\nstead_peer_failed_calls_total{member=\"a\"} 2\n"), "{text}");
        assert_eq!(of_peers("stead_peer_lag_entries{"), 1);
        assert_eq!(of_peers("stead_peer_connected{"), 2);
    }

    #[test]
    fn a_histogram_has_its_buckets_its_sum_and_its_count() {
        let meters = Meters::default();
        meters.syncs.add(Duration::from_micros(15));
        meters.syncs.add(Duration::from_secs(9));
        let text = text(&meters, Vec::new());
        let name = "etcd_wal_fsync_durations_seconds";
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(name)).collect();
        assert_eq!(lines.len(), 23, "{lines:?}");
        for (at, rest) in [
            (0, "_bucket{le=\"0.00001\"} 0"),
            (1, "_bucket{le=\"0.00002\"} 1"),
            (19, "_bucket{le=\"5.24288\"} 1"),
            (20, "_bucket{le=\"+Inf\"} 2"),
            (21, "_sum 9.000015"),
            (22, "_count 2"),
        ] {
            assert_eq!(lines.get(at).copied(), Some(format!("{name}{rest}").as_str()));
        }
    }

    #[test]
    fn the_page_explains_each_metric_with_its_labels() {
        let mut shown: Vec<String> = TABLE
            .iter()
            .map(|metric| match metric.labels() {
                [] => metric.name.to_owned(),
                labels => format!("{}{{{}}}", metric.name, labels.join(",")),
            })
            .collect();
        let page = include_str!("../../../../../docs/metrics.md");
        let row = |line: &str| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned());
        let mut explained: Vec<String> = page.lines().filter_map(row).collect();
        shown.sort_unstable();
        explained.sort_unstable();
        assert_eq!(shown, explained);
        assert!(TABLE.iter().all(|metric| !metric.help.is_empty()));
    }

    #[test]
    fn counters_end_in_total_and_nothing_else_does() {
        // Gauges to which 2.x gave such names.
        let excused =
            ["etcd_server_pending_proposal_total", "etcd_server_file_descriptors_used_total"];
        for metric in TABLE.iter().filter(|metric| !excused.contains(&metric.name)) {
            let is_counter = metric.kind == MetricType::COUNTER;
            assert_eq!(metric.name.ends_with("_total"), is_counter, "{}", metric.name);
        }
    }
}
