//! Whether a member lives and is ready, and what it is.

use super::pending::Waiting;
use crate::http::response::{JSON, TEXT};
use crate::member::context::Context;
use crate::member::probe::Asked;
use crate::member::waiter::Waiter;
use crate::net::{Caller, Key, Reply, Response};
use crate::text::span;
use std::fmt::Write;

/// The version fields that 0.4 and 2.x clients read (docs/spec/cluster.md section 1).
const VERSION_TEXT: &str = "etcd 0.4.9";

/// `/version`.
pub(crate) fn version(accepts_text: bool) -> Response {
    if accepts_text {
        return Response::new(200, TEXT, VERSION_TEXT.as_bytes());
    }
    let body = format!(
        "{{\"etcdserver\":\"2.3.8\",\"etcdcluster\":\"2.3.0\",\"stead\":\"{}\"}}",
        env!("CARGO_PKG_VERSION")
    );
    Response::new(200, JSON, body)
}

/// The check of the backups that this member makes by itself.
const BACKUP_AGE: &str = "backup-age";

/// The check that only the cluster can answer.
const MAJORITY: &str = "majority";

/// What `/health` says.
pub(crate) fn health_of(is_healthy: bool) -> Response {
    match is_healthy {
        true => Response::json(200, b"{\"health\": \"true\"}"),
        false => Response::json(503, b"{\"health\": \"false\"}\n"),
    }
}

/// Whether each check is to be shown.
fn is_verbose(query: &str) -> bool {
    query
        .split('&')
        .any(|word| matches!(word, "verbose" | "verbose=" | "verbose=true" | "verbose=1"))
}

/// A check by name, and why it fails if it does.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) failure: Option<String>,
}

/// The answer to `/livez` and `/readyz`: `ready` where no check fails, else the first reason. With
/// `verbose` there is a line for each check, as Kubernetes and etcd print them, and `notes` follow.
pub(crate) fn answer(checks: &[Check], query: &str, ready: &str, notes: &[String]) -> Response {
    print(checks, is_verbose(query), ready, notes)
}

fn print(checks: &[Check], is_verbose: bool, ready: &str, notes: &[String]) -> Response {
    let failed = checks.iter().find_map(|check| check.failure.as_deref());
    let status = if failed.is_some() { 503 } else { 200 };
    if !is_verbose {
        return Response::text(status, format!("{}\n", failed.unwrap_or(ready)));
    }
    let mut text = String::new();
    for Check { name, failure } in checks {
        // Writing into a text cannot fail.
        let _ = match failure {
            None => writeln!(text, "[+]{name} ok"),
            Some(why) => writeln!(text, "[-]{name} failed: {why}"),
        };
    }
    text.push_str(if failed.is_some() { "not ready\n" } else { ready });
    if failed.is_none() {
        text.push('\n');
    }
    for note in notes {
        text.push_str(note);
        text.push('\n');
    }
    Response::text(status, text)
}

/// `/livez`: whoever answers lives.
pub(crate) fn livez(query: &str) -> Response {
    answer(&[Check { name: "loop", failure: None }], query, "ok", &[])
}

/// A request to `/readyz`.
pub(crate) fn ready(query: &str) -> Asked {
    Asked::Ready { is_verbose: is_verbose(query) }
}

fn print_for(asked: Asked, cx: &Context, checks: &[Check]) -> Response {
    match asked {
        Asked::Health => {
            let is_healthy = !checks.iter().any(forbids_writes);
            cx.meters.told_health(is_healthy);
            health_of(is_healthy)
        }
        Asked::Ready { is_verbose } => print(checks, is_verbose, "ok", &cx.config.warnings),
    }
}

/// Whether a majority follows the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// The cluster has just said so, or is this member alone.
    Given,
    /// The cluster did not say so in time.
    Missing,
    /// It was not asked.
    Unknown,
}

/// What this member can be asked about, in the order in which reasons are told. A new check is
/// explained in docs/operating.md.
fn checks(cx: &Context, proof: Proof) -> [Check; 8] {
    let check = |name, failure| Check { name, failure };
    let differs = cx.driver.has_diverged();
    let unfit = cx.driver.unfit().err().map(|error| error.to_string());
    [
        check("identity", unfit.clone().filter(|_| !differs)),
        check("members-differ", unfit.filter(|_| differs)),
        check("disk", why_disk(cx)),
        check("leader", why_leader(cx)),
        check(MAJORITY, why_majority(cx, proof)),
        check("store", why_store(cx)),
        check("certificate", why_certificate(cx)),
        check(BACKUP_AGE, cx.backups.why_late(cx.now.wall)),
    ]
}

/// What this member knows without asking.
pub(crate) fn known_checks(cx: &Context) -> [Check; 8] {
    let proof = if cx.votes_alone() { Proof::Given } else { Proof::Unknown };
    checks(cx, proof)
}

/// Why this member does not serve, as far as it knows without asking.
pub(crate) fn why_not(cx: &Context) -> Option<String> {
    known_checks(cx).into_iter().filter(forbids_writes).find_map(|check| check.failure)
}

fn forbids_writes(check: &Check) -> bool {
    check.failure.is_some() && check.name != BACKUP_AGE
}

/// `/health` and `/readyz`: asks the cluster, unless it has just answered or this member knows
/// already that a write would not work.
pub(crate) fn serve(cx: &mut Context, caller: Caller, asked: Asked) -> Reply<Waiting> {
    let now = cx.now.monotonic;
    let is_given = cx.votes_alone() || cx.probe.is_confirmed(now);
    let proof = if is_given { Proof::Given } else { Proof::Unknown };
    let known = checks(cx, proof);
    let fails = |check: &Check| forbids_writes(check) && check.name != MAJORITY;
    if is_given || known.iter().any(fails) {
        return print_for(asked, cx, &known).into();
    }
    if let Some(number) = cx.probe.next_question(now)
        && cx.driver.read(Waiter::Probe(number).ticket()).is_err()
    {
        // More reads wait than may.
        return print_for(asked, cx, &checks(cx, Proof::Missing)).into();
    }
    cx.probe.wait(caller.key, asked);
    Reply::Wait(Waiting::Health)
}

/// The cluster has confirmed that a majority follows the leader.
pub(crate) fn answer_confirmed(cx: &mut Context, number: u32) {
    let waiting = cx.probe.answered(number, cx.now.monotonic);
    answer_all(cx, waiting, Proof::Given);
}

/// Answers those who have waited for that as long as it may take.
pub(crate) fn answer_late(cx: &mut Context) {
    let waiting = cx.probe.take_late(cx.now.monotonic);
    answer_all(cx, waiting, Proof::Missing);
}

fn answer_all(cx: &mut Context, waiting: Vec<(Key, Asked)>, proof: Proof) {
    if waiting.is_empty() {
        return;
    }
    let checks = checks(cx, proof);
    for (key, asked) in waiting {
        let response = print_for(asked, cx, &checks);
        cx.answer(key, response);
    }
}

fn why_disk(cx: &Context) -> Option<String> {
    if cx.driver.status().is_disk_full {
        return Some("the disk is full: writes are refused".to_owned());
    }
    let patience_ns = cx.config.election_timeout_ms.saturating_mul(1_000_000);
    let syncing = cx.driver.syncing_ns().filter(|ns| *ns > patience_ns)?;
    Some(format!("a sync of the log has been under way for {}: writes wait", span(syncing)))
}

fn why_leader(cx: &Context) -> Option<String> {
    if !cx.is_led() {
        return Some(format!("no leader is reachable{}", cx.who_is_unreachable()));
    }
    let status = cx.driver.status();
    let leader = status.leader.filter(|id| *id != status.id && cx.is_stuck(*id))?;
    Some(format!("the disk of {}, which leads, takes no writes", cx.name_of(leader)))
}

fn why_majority(cx: &Context, proof: Proof) -> Option<String> {
    let (reached, voters) = cx.voters_reached();
    let stuck = cx.driver.voters().filter(|id| cx.is_stuck(*id)).count();
    if voters - stuck <= voters / 2 {
        return Some(format!("the disks of {stuck} of {voters} voters take no writes"));
    }
    let is_reached = reached > voters / 2;
    match proof {
        Proof::Given => None,
        Proof::Unknown if is_reached => None,
        Proof::Missing if is_reached => {
            let patience = span(cx.probe.patience_ns());
            Some(format!("no majority has confirmed within {patience} that it follows the leader"))
        }
        Proof::Unknown | Proof::Missing => {
            let missing = cx.who_is_unreachable();
            let gone = cx.majority_gone().map(|gone| format!("; {gone}")).unwrap_or_default();
            Some(format!("{reached} of {voters} voters are reachable from here{missing}{gone}"))
        }
    }
}

fn why_store(cx: &Context) -> Option<String> {
    let is_there = cx.driver.has_store();
    (!is_there).then(|| "joined, but has not caught up with the leader yet".to_owned())
}

fn why_certificate(cx: &Context) -> Option<String> {
    let expiry = cx.certificate.as_ref().filter(|one| one.left_ns(cx.now.wall).is_none())?;
    Some(format!("{} has ended: replace the file", expiry.file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Body;

    fn text(failures: [Option<&str>; 2], query: &str) -> (u16, String) {
        let checks = ["leader", "disk"].into_iter().zip(failures);
        let checks: Vec<Check> = checks
            .map(|(name, failure)| Check { name, failure: failure.map(str::to_owned) })
            .collect();
        let response = answer(&checks, query, "ok", &["WARNING: open".to_owned()]);
        let Body::Owned(body) = response.body else { panic!("it is short") };
        (response.status, String::from_utf8(body).expect("text"))
    }

    #[test]
    fn the_plain_form_has_the_first_reason_and_the_verbose_one_all_checks() {
        let (full, gone) = (Some("the disk is full"), Some("no leader is reachable"));
        for (failures, query, status, want) in [
            ([None, None], "", 200, "ok\n"),
            ([gone, full], "", 503, "no leader is reachable\n"),
            ([None, None], "verbose", 200, "[+]leader ok\n[+]disk ok\nok\nWARNING: open\n"),
            (
                [None, full],
                "a=b&verbose=1",
                503,
                "[+]leader ok\n[-]disk failed: the disk is full\nnot ready\nWARNING: open\n",
            ),
        ] {
            assert_eq!(text(failures, query), (status, want.to_owned()), "{query}");
        }
    }
}
