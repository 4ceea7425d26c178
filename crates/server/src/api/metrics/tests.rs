//! What the page says, for a machine without a place: it has no member to ask.

use super::*;
use crate::http::request::Method;
use crate::member::inbound::Heard;
use crate::metrics::ServedRead;
use crate::net::Count as _;
use prometheus::proto::MetricType;
use replica::{MemberId, RoundTrips};
use std::time::Duration;

fn text(meters: &Meters, peers: Vec<Peer<'_>>) -> String {
    let scrape = Scrape {
        meters,
        load: Load::default(),
        member: None,
        peers,
        now: 0,
        state: "standby",
        has_leader: true,
        certificate_ends: Some(1_796_056_113),
        open_files: 7.0,
        disk: None,
    };
    String::from_utf8(render(&TABLES, &scrape)).expect("the format is text")
}

fn table() -> impl Iterator<Item = &'static Metric> {
    TABLES.into_iter().flatten()
}

#[test]
fn familiar_names_are_there() {
    let mut meters = Meters::default();
    meters.started = 7;
    let method = Method::Get;
    let waited = Some(Duration::from_millis(3));
    let [is_quorum, is_recursive] = [false, true];
    meters.read(ServedRead { method, is_quorum, is_recursive, waited });
    meters.received(Method::Put);
    meters.failed(404, Method::Get);
    meters.failed(400, Method::Put);
    meters.failed(400, Method::Put);
    let text = text(&meters, Vec::new());
    for line in [
        "# HELP etcd_store_reads_total Reads of the key space.",
        "# TYPE etcd_store_reads_total counter",
        "etcd_store_reads_total{action=\"get\"} 0",
        "etcd_store_reads_total{action=\"getRecursive\"} 1",
        "etcd_debugging_store_reads_total{action=\"getRecursive\"} 1",
        "etcd_http_successful_duration_seconds_bucket{method=\"GET\",le=\"0.002\"} 0",
        "etcd_http_successful_duration_seconds_bucket{method=\"GET\",le=\"0.004\"} 1",
        "etcd_http_successful_duration_second_sum{method=\"GET\"} 0.003",
        "etcd_server_has_leader 1",
        "stead_machine_state{state=\"standby\"} 1",
        "stead_certificate_expiry_time_seconds 1796056113",
        "etcd_http_received_total{method=\"PUT\"} 1",
        "etcd_http_failed_total{code=\"400\",method=\"PUT\"} 2",
        "etcd_http_failed_total{code=\"404\",method=\"GET\"} 1",
        "process_start_time_seconds 7",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} is missing:\n{text}");
    }
    assert!(text.contains("process_resident_memory_bytes "), "{text}");
    assert!(!text.contains("stead_peer_"), "nobody is known:\n{text}");
    // What would say 0 of something that is not there: an alert would take it for a fact.
    for name in ["etcd_server_is_leader", "stead_voters_reached", "stead_raft_is_voter"] {
        assert!(!text.contains(name), "this is no member:\n{text}");
    }
}

#[test]
fn what_only_a_leader_knows_is_left_out_elsewhere() {
    let mut latency = replica::Latency::default();
    (latency.current, latency.fail) = (1_500_000, 2);
    let peer = |name, lag| Peer {
        ids: (MemberId(10), MemberId(11)),
        name,
        is_open: true,
        is_reached: false,
        link: crate::peer::LinkStats { sent_bytes: 5, ..Default::default() },
        heard: Heard { bytes: 6, failures: 1 },
        latency,
        round_trips: RoundTrips::default(),
        lag,
        has_diverged: false,
    };
    let text = text(&Meters::default(), vec![peer("a", Some(3)), peer("b\"", None)]);
    let of_peers = |name| text.lines().filter(|line| line.starts_with(name)).count();
    assert!(text.contains("\nstead_peer_lag_entries{member=\"a\"} 3\n"), "{text}");
    assert!(text.contains("\nstead_peer_latency_seconds{member=\"a\"} 0.0015\n"), "{text}");
    assert!(text.contains("\nstead_peer_sent_bytes_total{member=\"b\\\"\"} 5\n"), "{text}");
    for line in [
        "etcd_network_active_peers{Local=\"a\",Remote=\"b\"} 1",
        "etcd_network_peer_sent_bytes_total{To=\"b\"} 5",
        "etcd_network_peer_received_bytes_total{From=\"b\"} 6",
        "etcd_network_peer_received_failures_total{From=\"b\"} 1",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} is missing:\n{text}");
    }
    assert!(!text.contains("round_trip"), "no heartbeat was sent:\n{text}");
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
    for name in ["etcd_wal_fsync_durations_seconds", "etcd_disk_wal_fsync_duration_seconds"] {
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(name)).collect();
        assert_eq!(lines.len(), 24, "{lines:?}");
        for (at, rest) in [
            (0, "_bucket{le=\"0.0000078125\"} 0"),
            (1, "_bucket{le=\"0.000015625\"} 1"),
            (7, "_bucket{le=\"0.001\"} 1"),
            (20, "_bucket{le=\"8.192\"} 1"),
            (21, "_bucket{le=\"+Inf\"} 2"),
            (22, "_sum 9.000015"),
            (23, "_count 2"),
        ] {
            assert_eq!(lines.get(at).copied(), Some(format!("{name}{rest}").as_str()));
        }
    }
}

#[test]
fn the_page_explains_each_metric_with_its_labels() {
    let mut shown: Vec<String> = table()
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
    assert!(table().all(|metric| !metric.help.is_empty()));
}

#[test]
fn counters_end_in_total_and_nothing_else_does() {
    // Names that etcd gave.
    let excused = [
        "etcd_server_pending_proposal_total",
        "etcd_server_file_descriptors_used_total",
        "etcd_server_health_success",
        "etcd_server_health_failures",
    ];
    for metric in table().filter(|metric| !excused.contains(&metric.name)) {
        let is_counter = metric.kind == MetricType::COUNTER;
        assert_eq!(metric.name.ends_with("_total"), is_counter, "{}", metric.name);
    }
}
