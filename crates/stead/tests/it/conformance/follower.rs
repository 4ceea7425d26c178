//! The same conversations at a follower.
//!
//! A client that knows one machine of three alone, and not the leader, must see what a client of a
//! single machine sees: its writes are forwarded, and what it reads next where it wrote has them.
//! The expectations and the list of deviations are those of the single machine; what is left out
//! is a new server's own, and named below.

use super::case::{self, Case, Override};
use super::runner::{Outcome, Runner};
use super::{choose, report, share_out};
use crate::cluster::kit::{Cluster, Machine, state};
use crate::testkit::{Request, ask};

/// How many clusters work on the list.
const CLUSTERS: usize = 2;

/// Leaders stay where they are however busy the machine that tests is.
const PATIENT: &str = "-peer-heartbeat-interval 200 -peer-election-timeout 3000";

/// Cases that are left out, with the reason. Besides these, those that count indexes from the very
/// first one: machines that joined have taken some.
const LEFT_OUT: [(&str, &str); 6] = [
    ("http/machines-leader", "lists the machines, which are three here"),
    ("seed-doc/machines", "lists the machines, which are three here"),
    ("seed-doc/stats-leader", "only a leader has these, and it has followers here"),
    ("seed-doc/stats-self", "a follower has another leader than itself, and receives"),
    ("stats/counters", "one deviation in it names an index of a machine that began alone"),
    ("v1/paths", "a follower has another leader than itself, and there are three machines"),
];

#[test]
fn recorded_conversations_are_answered_as_recorded_by_a_follower() {
    let only = std::env::var("STEAD_CASES").unwrap_or_default();
    let overrides = case::load_overrides();
    let mut cases = choose(case::load_cases(), &only);
    for (name, _) in LEFT_OUT {
        assert!(!only.is_empty() || cases.iter().any(|case| case.name == name), "no case {name}");
    }
    cases.retain(|case| !case.is_absolute() && LEFT_OUT.iter().all(|(name, _)| case.name != *name));
    report(&run_all(&cases, &overrides));
}

fn run_all(cases: &[Case], overrides: &[Override]) -> Vec<Outcome> {
    share_out(cases, CLUSTERS, |worker, cases| {
        let shared = empty_cluster("");
        let run = |(number, case): (usize, &Case)| {
            let prefix = format!("ff{worker:x}{:03x}", number + 1);
            if case.has_tag("fresh") {
                let flags = case.server_flags.as_deref().unwrap_or("");
                run(&empty_cluster(flags), case, overrides, prefix)
            } else {
                run(&shared, case, overrides, prefix)
            }
        };
        cases.enumerate().map(run).collect()
    })
}

/// Three machines without any keys of a client.
fn empty_cluster(flags: &str) -> Cluster {
    let cluster = Cluster::start("follower", 3, &format!("{PATIENT} {flags}"));
    // With this key the kit found out that all of them take writes.
    let answer = ask(follower(&cluster).addr(), &Request::delete("/v2/keys/formed"));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    cluster
}

fn follower(cluster: &Cluster) -> &Machine {
    &cluster.machines[(cluster.leader() + 1) % cluster.machines.len()]
}

/// Runs a case at a machine that follows, from its beginning to its end.
fn run(cluster: &Cluster, case: &Case, overrides: &[Override], prefix: String) -> Outcome {
    let follower = follower(cluster);
    let outcome = Runner::new(follower.server(), overrides, prefix).run(case);
    if state(follower.addr()) == "follower" {
        return outcome;
    }
    // A busy machine may have elected another leader; the case is then not about a follower.
    Outcome::broken(&case.name, "stay a follower", "it leads".to_owned())
}
