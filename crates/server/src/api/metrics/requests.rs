//! Requests of clients, and the loop that serves them.

use super::family::Read::{Histogram, Histograms, Labels, Server};
use super::family::{Labelled, Metric, Scrape, Spread, by_word, counter, gauge, histogram};

const DURATIONS: Metric = histogram(
    "etcd_http_successful_duration_seconds",
    "Time from the arrival of a request for a key to its answer, if it succeeded.",
    Histograms(&["method"], durations),
);

pub(super) const TABLE: &[Metric] = &[
    counter(
        "etcd_http_received_total",
        "Requests received on the client ports.",
        Labels(&["method"], |at| by_word(at.meters.received_by_method())),
    ),
    counter(
        "etcd_http_failed_total",
        "Requests answered with a status of 400 or above.",
        Labels(&["code", "method"], failures),
    ),
    DURATIONS,
    // That of 2.x.
    DURATIONS.named("etcd_http_successful_duration_second"),
    counter(
        "stead_http_received_bytes_total",
        "Bytes received from clients.",
        Server(|at| at.load.moved.received as f64),
    ),
    counter(
        "stead_http_sent_bytes_total",
        "Bytes sent to clients.",
        Server(|at| at.load.moved.sent as f64),
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
    counter(
        "stead_http_connections_refused_total",
        "Connections refused because there were too many.",
        Server(|at| at.meters.refused.get() as f64),
    ),
    histogram(
        "stead_loop_round_duration_seconds",
        "Time that a round of the loop took.",
        Histogram(|meters| &meters.rounds),
    ),
    gauge(
        "stead_loop_longest_round_seconds",
        "The longest round of the loop in this minute and the one before.",
        Server(|at| at.meters.longest_round.seconds(at.now)),
    ),
    counter(
        "stead_turns_total",
        "Turns of the loop that had outcomes or events for clients.",
        Server(|at| at.meters.turns.get() as f64),
    ),
    counter(
        "etcd_server_health_success",
        "How often /health was asked and said true.",
        Server(|at| at.meters.healthy.get() as f64),
    ),
    counter(
        "etcd_server_health_failures",
        "How often /health was asked and said false.",
        Server(|at| at.meters.unhealthy.get() as f64),
    ),
];

fn durations(at: &Scrape<'_>) -> Vec<(String, Spread)> {
    at.meters.served().map(|(method, times)| (method.to_owned(), times.into())).collect()
}

fn failures(at: &Scrape<'_>) -> Labelled {
    let failures = at.meters.failures().into_iter();
    let labels = |status: u16, method: &str| vec![status.to_string(), method.to_owned()];
    failures.map(|((status, method), count)| (labels(status, method), count as f64)).collect()
}
