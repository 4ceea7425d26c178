//! `/metrics`: what is only looked up when somebody asks.

use crate::http::response::METRICS;
use crate::member::context::Context;
use crate::metrics::{Gauges, PeerGauge};
use crate::net::Response;

/// `/metrics` of a member.
pub(crate) fn serve(cx: &mut Context) -> Response {
    let log = cx.driver.wal_mut().stats();
    let gauges = Gauges {
        status: cx.driver.status(),
        store: cx.driver.store().stats(),
        store_index: cx.index(),
        load: cx.load,
        proposals: cx.driver.proposals_waiting() as u64,
        log_grown: log.segments_grown,
        members_diverged: members_diverged(cx),
        leader_changes: cx.leader_changes,
        peers: peer_gauges(cx),
    };
    Response::new(200, METRICS, cx.meters.render(gauges))
}

fn members_diverged(cx: &Context) -> u64 {
    let members = cx.driver.membership().members();
    let peers = members.filter_map(|member| cx.driver.peer(member.id));
    peers.filter(|peer| peer.diverged).count() as u64
}

fn peer_gauges(cx: &Context) -> Vec<PeerGauge> {
    let membership = cx.driver.membership();
    let commit = cx.driver.status().commit.0;
    let links = cx.driver.network().stats();
    let gauges = links.filter_map(|(id, is_open, link)| {
        let peer = cx.driver.peer(id).cloned().unwrap_or_default();
        let matched = cx.driver.matched(id);
        Some(PeerGauge {
            name: membership.member(id)?.name.clone(),
            is_open,
            link,
            latency: peer.latency,
            lag: matched.map(|matched| commit.saturating_sub(matched.0)),
            has_diverged: peer.diverged,
        })
    });
    gauges.collect()
}
