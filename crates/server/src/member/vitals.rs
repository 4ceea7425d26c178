//! How this member is: what it counted, for its trend, and what it tells the others once a
//! second.

use super::context::{Context, Engine};
use crate::api::health;
use crate::api::metrics::system;
use crate::trend::{Gauges, Totals, Trend};
use replica::{Now, Role, Vitals};

/// Nothing has been counted yet but what the store has kept.
pub(super) fn begin(driver: &Engine, now: Now) -> Trend {
    let expired = driver.store().stats().expire_count;
    Trend::new(now, Totals { expired, ..Totals::default() })
}

/// Notes for the trend what was counted, when that is due.
pub(super) fn note(cx: &mut Context) {
    if cx.trend.until_due(cx.now.monotonic) > 0 {
        return;
    }
    note_lag(cx);
    let stats = cx.driver.store().stats();
    let totals = Totals {
        reads: cx.meters.reads_of_clients(),
        expired: stats.expire_count,
        leader_changes: cx.leader_changes,
        writes: cx.meters.proposals.counts(),
        syncs: cx.meters.syncs.counts(),
    };
    let gauges = Gauges {
        watchers: stats.watchers,
        connections: cx.load.connections as u64,
        memory: system::resident_bytes() as u64,
        keys: cx.driver.store().totals().keys,
    };
    cx.trend.note(cx.now, &totals, gauges);
}

fn note_lag(cx: &mut Context) {
    let status = cx.driver.status();
    cx.trend.note_lag(status.commit.0.saturating_sub(status.applied.0));
}

/// Tells the other members how this one is: once a second.
pub(super) fn tell(cx: &mut Context) {
    note_lag(cx);
    if cx.driver.membership().members().nth(1).is_some() {
        let vitals = own(cx);
        cx.driver.tell_vitals(&vitals);
    }
}

/// How this member is.
pub(crate) fn own(cx: &Context) -> Vitals {
    let status = cx.driver.status();
    let led = cx.inbound.leads.filter(|(id, ..)| *id == status.id && status.role == Role::Leader);
    let store = cx.driver.store();
    let failing = health::known_checks(cx).into_iter().filter(|check| check.failure.is_some());
    let sync_p99 = cx.trend.sync_p99(&cx.meters.syncs.counts());
    Vitals {
        term: Some(status.term.0),
        commit: Some(status.commit.0),
        leads_ns: led.map(|(.., since)| cx.now.monotonic.saturating_sub(since.monotonic)),
        sync_ns: sync_p99.map(|seconds| (seconds * 1e9) as u64),
        memory: Some(system::resident_bytes() as u64),
        store_bytes: Some(store.totals().value_bytes),
        keys: Some(store.totals().keys),
        watchers: Some(store.stats().watchers),
        connections: Some(cx.load.connections as u64),
        failing: failing.map(|check| check.name.to_owned()).collect(),
    }
}

/// Since when the present leader has led without a break, by the wall clock in nanoseconds: as that
/// one says itself, or else as this member saw it. Nothing without a leader.
pub(crate) fn leader_since(cx: &Context) -> Option<u64> {
    let (id, term, seen) = cx.inbound.leads.filter(|_| cx.hears_leader())?;
    let said = cx.driver.peer(id).and_then(|peer| peer.leads_since(term));
    Some(said.unwrap_or(seen.wall))
}

/// How many more voters may fail while a majority goes on; nothing without a leader.
pub(crate) fn tolerates(cx: &Context) -> Option<usize> {
    if !cx.hears_leader() {
        return None;
    }
    let own = cx.driver.status().id;
    let (mut voters, mut fit) = (0, 0);
    for id in cx.driver.voters() {
        voters += 1;
        fit += usize::from((id == own || cx.reaches(id)) && !cx.is_stuck(id));
    }
    let needed = voters / 2 + 1;
    Some(usize::saturating_sub(fit, needed))
}
