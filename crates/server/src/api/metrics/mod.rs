//! `/metrics`, in Prometheus' text format.
//!
//! A metric is a row of one of the tables here: its name, its type, its help, and how it is read
//! when somebody asks. What has to be counted as it happens is counted in [`Meters`] and read from
//! there. Names that begin with `etcd_` are those of etcd 2.x and 3.4 for what means the same here,
//! so that dashboards and alerts go on working; names that begin with `stead_` are our own.
//! docs/metrics.md explains each.

mod disk;
mod family;
mod peers;
mod process;
mod raft;
mod requests;
mod store;
pub(crate) mod system;

use crate::config::Config;
use crate::http::response::METRICS;
use crate::member::context::Context;
use crate::metrics::Meters;
use crate::net::{Load, Response};
use crate::sys::disk::space;
use family::{Metric, Peer, Scrape, render};

const TABLES: [&[Metric]; 6] =
    [requests::TABLE, store::TABLE, raft::TABLE, peers::TABLE, disk::TABLE, process::TABLE];

/// What a machine without a place says of itself.
pub(crate) struct Standing<'a> {
    pub(crate) config: &'a Config,
    pub(crate) meters: &'a Meters,
    pub(crate) load: Load,
    /// The monotonic clock.
    pub(crate) now: u64,
    pub(crate) state: &'static str,
    pub(crate) has_leader: bool,
    /// When the certificate ends that ends first, in seconds since 1970.
    pub(crate) certificate_ends: Option<u64>,
}

/// `/metrics` of a member.
pub(crate) fn serve(cx: &Context) -> Response {
    let scrape = Scrape {
        meters: &cx.meters,
        load: cx.load,
        member: Some(cx),
        peers: peers(cx),
        now: cx.now.monotonic,
        state: if cx.driver.status().is_voter { cx.role_name() } else { "learner" },
        has_leader: cx.hears_leader(),
        certificate_ends: cx.certificate.as_ref().map(|one| one.at),
        open_files: system::open_files(),
        disk: space(&cx.config.data_dir),
    };
    Response::new(200, METRICS, render(&TABLES, &scrape))
}

/// `/metrics` of a machine that is no member.
pub(crate) fn serve_standby(standing: &Standing<'_>) -> Response {
    let Standing { config, meters, load, now, state, has_leader, certificate_ends } = *standing;
    let disk = space(&config.data_dir);
    let peers = Vec::new();
    let scrape = Scrape {
        meters,
        load,
        member: None,
        peers,
        now,
        state,
        has_leader,
        certificate_ends,
        open_files: system::open_files(),
        disk,
    };
    Response::new(200, METRICS, render(&TABLES, &scrape))
}

/// What is known of each other member, by name. One that is no member any more is not shown.
fn peers(cx: &Context) -> Vec<Peer<'_>> {
    let membership = cx.driver.membership();
    let status = cx.driver.status();
    let links = cx.driver.network().stats();
    let peers = links.filter_map(|(id, is_open, link)| {
        let peer = cx.driver.peer(id);
        let matched = cx.driver.matched(id);
        Some(Peer {
            ids: (status.id, id),
            name: &membership.member(id)?.name,
            is_open,
            is_reached: cx.reaches(id),
            link,
            heard: cx.inbound.heard(id),
            latency: peer.map(|peer| peer.latency).unwrap_or_default(),
            round_trips: peer.map(|peer| peer.round_trips).unwrap_or_default(),
            lag: matched.map(|matched| status.commit.0.saturating_sub(matched.0)),
            has_diverged: peer.is_some_and(|peer| peer.diverged),
        })
    });
    let mut peers: Vec<Peer<'_>> = peers.collect();
    peers.sort_by_key(|peer| peer.name);
    peers
}

#[cfg(test)]
mod tests;
