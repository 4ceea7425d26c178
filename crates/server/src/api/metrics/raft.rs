//! What this machine is in its cluster, and how far it is.

use super::family::Read::{Histogram, Known, Labels, Member, Server};
use super::family::{Labelled, Metric, Scrape, counter, gauge, histogram};
use crate::api::health;
use crate::member::context::Context;
use replica::Role;

const IS_LEADER: Metric = gauge(
    "etcd_server_is_leader",
    "1 while this member leads.",
    Member(|cx| f64::from(cx.driver.status().role == Role::Leader)),
);

const LEADER_CHANGES: Metric = counter(
    "etcd_server_leader_changes_seen_total",
    "How often another leader was seen since the start.",
    Member(|cx| cx.leader_changes as f64),
);

const COMMITTED: Metric = gauge(
    "stead_raft_commit_index",
    "The highest committed log entry.",
    Member(|cx| cx.driver.status().commit.0 as f64),
);

const APPLIED: Metric = gauge(
    "stead_raft_applied_index",
    "The last log entry that was applied.",
    Member(|cx| cx.driver.status().applied.0 as f64),
);

const PENDING: Metric = gauge(
    "etcd_server_proposals_pending",
    "Writes that wait for their outcome now.",
    Member(|cx| cx.driver.proposals_waiting() as f64),
);

const FAILED: Metric = counter(
    "etcd_server_proposals_failed_total",
    "Writes that this member could not carry out.",
    Server(|at| at.meters.proposals_failed.get() as f64),
);

pub(super) const TABLE: &[Metric] = &[
    gauge(
        "etcd_server_has_leader",
        "1 while a leader is known.",
        Server(|at| f64::from(at.has_leader)),
    ),
    gauge(
        "stead_raft_has_leader",
        "1 while a leader is known.",
        Member(|cx| f64::from(cx.driver.status().leader.is_some())),
    ),
    IS_LEADER,
    IS_LEADER.named("stead_raft_is_leader"),
    gauge(
        "etcd_server_is_learner",
        "1 while this member learns and does not vote yet.",
        Member(|cx| f64::from(!cx.driver.status().is_voter)),
    ),
    gauge(
        "stead_raft_is_voter",
        "1 while this machine takes part in decisions.",
        Member(|cx| f64::from(cx.driver.status().is_voter)),
    ),
    LEADER_CHANGES,
    LEADER_CHANGES.named("stead_raft_leader_changes_total"),
    gauge("stead_raft_term", "The raft term.", Member(|cx| cx.driver.status().term.0 as f64)),
    COMMITTED,
    counter("etcd_server_proposals_committed_total", COMMITTED.help, COMMITTED.read),
    APPLIED,
    counter("etcd_server_proposals_applied_total", APPLIED.help, APPLIED.read),
    PENDING,
    // That of 2.x, as the next one.
    PENDING.named("etcd_server_pending_proposal_total"),
    FAILED,
    FAILED.named("etcd_server_proposal_failed_total"),
    histogram(
        "etcd_server_proposal_durations_seconds",
        "Time from the arrival of a write to its outcome.",
        Histogram(|meters| &meters.proposals),
    ),
    counter(
        "etcd_server_read_indexes_failed_total",
        "Quorum reads that could not be proven.",
        Server(|at| at.meters.read_indexes_failed.get() as f64),
    ),
    counter(
        "stead_health_questions_total",
        "Read indexes that were asked for to answer /health and /readyz.",
        Member(|cx| cx.probe.count as f64),
    ),
    gauge(
        "stead_voters",
        "Members that count for the majority.",
        Member(|cx| cx.voters_reached().1 as f64),
    ),
    gauge(
        "stead_voters_reached",
        "Those of them that this one reaches, itself included.",
        Member(|cx| cx.voters_reached().0 as f64),
    ),
    gauge(
        "stead_ready_check_failed",
        "1 for a check of /readyz that fails.",
        Labels(&["check"], checks),
    ),
    gauge(
        "stead_machine_state",
        "1 for what this machine is now.",
        Labels(&["state"], |at| vec![(vec![at.state.to_owned()], 1.0)]),
    ),
    gauge("etcd_server_id", "1, with the id of this member.", Labels(&["server_id"], id)),
    gauge(
        "stead_clock_offset_seconds",
        "By how much the wall clock is ahead of that of the leader.",
        Known(|at| at.member.and_then(clock_offset)),
    ),
];

fn id(at: &Scrape<'_>) -> Labelled {
    let id = at.member.map(|cx| (vec![cx.driver.status().id.to_string()], 1.0));
    id.into_iter().collect()
}

/// What the leader said last of its clock; nothing while nobody leads, or it has said nothing.
fn clock_offset(cx: &Context) -> Option<f64> {
    let status = cx.driver.status();
    let leader = status.leader.filter(|_| cx.hears_leader())?;
    if leader == status.id {
        return Some(0.0);
    }
    let leader = cx.driver.peer(leader).filter(|peer| !peer.version.is_empty())?;
    Some(leader.clock_offset_ns as f64 / 1e9)
}

fn checks(at: &Scrape<'_>) -> Labelled {
    let checks = at.member.into_iter().flat_map(health::known_checks);
    let failed = |failure: Option<String>| f64::from(failure.is_some());
    checks.map(|check| (vec![check.name.to_owned()], failed(check.failure))).collect()
}
