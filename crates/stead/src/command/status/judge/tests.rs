//! Answers of machines, and what is made of them.

use super::super::ask::{Gauges, Readiness, StandingBy};
use super::super::finding::texts;
use super::*;

const NOW: u64 = 1_800_000_000;
const NAMES: [&str; 3] = ["m1", "m2", "m3"];

fn url(name: &str) -> String {
    format!("http://{name}:4001")
}

/// The cluster of three as `by` sees it, with `leader` (empty for none), reaching `reached`.
fn view(by: &str, leader: &str, reached: &[&str]) -> View {
    let seen = |name: &&str| Seen {
        id: format!("id-{name}"),
        name: (*name).to_owned(),
        state: if *name == leader { "leader" } else { "follower" }.to_owned(),
        client_url: url(name),
        peer_url: format!("http://{name}:7001"),
        version: "1".to_owned(),
        applied_index: Some(40),
        lag_entries: Some(0),
        uptime: Some(9),
        voter: true,
        reachable: *name == by || reached.contains(name),
        diverged: false,
    };
    View {
        cluster: "2a".to_owned(),
        leader: leader.to_owned(),
        seen_by: by.to_owned(),
        term: 3,
        commit_index: 40,
        etcd_index: 30,
        members: NAMES.iter().map(seen).collect(),
        standbys: (by == leader).then(Vec::new),
    }
}

fn readiness(failed: &[(&str, &str)]) -> Readiness {
    let failed: Vec<_> =
        failed.iter().map(|(name, why)| ((*name).to_owned(), (*why).to_owned())).collect();
    Readiness { is_ready: failed.is_empty(), failed, warnings: Vec::new() }
}

fn says(view: View, failed: &[(&str, &str)]) -> Probe {
    let url = url(&view.seen_by);
    let heard = Heard {
        version: "1".to_owned(),
        part: Part::Member(view),
        readiness: readiness(failed),
        gauges: Gauges::default(),
        counts_users: None,
    };
    Probe { url, heard: Ok(heard) }
}

fn silent(name: &str) -> Probe {
    Probe { url: url(name), heard: Err("Connection refused".to_owned()) }
}

fn judged(probes: &[Probe]) -> Report {
    Report::of(&[url("m1")], probes, NOW)
}

fn states(report: &Report) -> Vec<(&str, &str)> {
    report.machines.iter().map(|one| (one.name.as_str(), one.state.as_str())).collect()
}

#[test]
fn three_that_answer_are_healthy() {
    let probes: Vec<Probe> = NAMES.iter().map(|name| says(view(name, "m2", &NAMES), &[])).collect();
    let report = judged(&probes);
    assert_eq!(report.verdict, Verdict::Healthy, "{report:?}");
    assert_eq!(states(&report), [("m1", "follower"), ("m2", "leader"), ("m3", "follower")]);
    assert_eq!((report.voters, report.heard, report.leader.as_deref()), (3, 3, Some("m2")));
    assert!(report.machines.iter().all(|one| one.has_same_state == Some(true)));
    assert!(report.advice.is_empty() && report.warnings.is_empty());
}

#[test]
fn keys_are_counted_where_they_are_known_and_certificates_that_end_soon_are_told() {
    let with = |name: &str, gauges| {
        let mut probe = says(view(name, "m2", &NAMES), &[]);
        if let Ok(heard) = &mut probe.heard {
            heard.gauges = gauges;
        }
        probe
    };
    let ends = |days: u64| Some(NOW + days * 86_400);
    let probes = [
        with("m1", Gauges { keys: Some(7), certificate_ends: ends(300), ..Gauges::default() }),
        with("m2", Gauges { keys: Some(8), certificate_ends: ends(9), ..Gauges::default() }),
        with("m3", Gauges::default()),
    ];
    let report = judged(&probes);
    assert_eq!((report.verdict, report.keys), (Verdict::Healthy, Some(8)));
    assert_eq!(texts(&report.warnings), ["http://m2:4001: a certificate ends within 10 days"]);
}

#[test]
fn one_that_is_down_is_named_with_who_can_speak_to_it() {
    let others = ["m1", "m2"];
    let probes = |reached: &[&str]| {
        let mut probes: Vec<Probe> =
            others.iter().map(|name| says(view(name, "m1", reached), &[])).collect();
        probes.push(silent("m3"));
        probes
    };
    let gone = judged(&probes(&others));
    assert_eq!(gone.verdict, Verdict::Degraded);
    assert_eq!(states(&gone)[2], ("m3", "unreachable"));
    let want = "m3: does not answer at http://m3:4001: Connection refused; no machine that \
                answers hears it";
    assert_eq!(texts(&gone.problems), [want]);
    let elsewhere = judged(&probes(&NAMES));
    let want = "m3: does not answer at http://m3:4001: Connection refused; but m1, m2 can speak to \
                it";
    assert_eq!(
        (elsewhere.verdict, texts(&elsewhere.problems)),
        (Verdict::Degraded, vec![want.to_owned()])
    );
}

#[test]
fn without_a_majority_it_says_what_to_start_and_when_to_recover() {
    // The last one still takes itself for the leader for a moment, or knows that there is none.
    for (leader, failed) in [("m1", "majority"), ("", "leader"), ("m2", "leader")] {
        let probes = [says(view("m1", leader, &[]), &[(failed, "x")]), silent("m2"), silent("m3")];
        let report = judged(&probes);
        assert_eq!(report.verdict, Verdict::Down, "{leader}");
        let advice = report.advice.join("\n");
        assert!(advice.contains("1 of 3 voters answer, and 2 are needed"), "{advice}");
        assert!(advice.contains("m2 (http://m2:7001), m3 (http://m3:7001)"), "{advice}");
        assert!(advice.contains("stead recover"), "{advice}");
    }
}

#[test]
fn a_majority_without_a_leader_is_not_to_be_recovered() {
    let unled = [("leader", "no leader is reachable")];
    let probes: Vec<Probe> =
        NAMES.iter().map(|name| says(view(name, "", &NAMES), &unled)).collect();
    let report = judged(&probes);
    assert_eq!(report.verdict, Verdict::Down);
    let advice = report.advice.join("\n");
    assert!(advice.contains("ask again") && !advice.contains("recover"), "{advice}");
}

#[test]
fn a_member_that_answers_twice_is_one_and_one_that_lags_far_is_told() {
    let mut of_leader = view("m1", "m1", &NAMES);
    of_leader.members[1].lag_entries = Some(LAG_MAX + 1);
    of_leader.members[2].lag_entries = Some(LAG_MAX);
    let mut twice = says(of_leader.clone(), &[]);
    twice.url = "http://localhost:4001".to_owned();
    let mut probes = vec![says(of_leader, &[]), twice];
    probes.extend(["m2", "m3"].map(|name| says(view(name, "m1", &NAMES), &[])));
    let report = judged(&probes);
    assert_eq!((report.verdict, report.machines.len(), report.heard), (Verdict::Healthy, 3, 3));
    let want = "m2: 5001 entries behind the leader; is it catching up?";
    assert_eq!(texts(&report.warnings), [want]);
}

#[test]
fn nothing_that_answers_is_down() {
    let report = judged(&[silent("m1")]);
    assert_eq!((report.verdict, report.cluster), (Verdict::Down, None));
    assert_eq!(texts(&report.problems), ["http://m1:4001: does not answer: Connection refused"]);
    assert!(report.advice.concat().contains("No member answers"), "{:?}", report.advice);
}

#[test]
fn a_leader_of_the_past_is_not_believed() {
    let mut old = view("m1", "m1", &[]);
    old.term = 2;
    let probes = [
        says(old, &[("majority", "1 of 3 voters are reachable from here")]),
        says(view("m2", "m3", &["m3"]), &[]),
        says(view("m3", "m3", &["m2"]), &[]),
    ];
    let report = judged(&probes);
    assert_eq!(states(&report), [("m1", "follower"), ("m2", "follower"), ("m3", "leader")]);
    assert_eq!((report.verdict, report.term), (Verdict::Degraded, Some(3)));
}

#[test]
fn a_check_that_fails_and_a_state_that_differs_are_problems() {
    let mut of_leader = view("m1", "m1", &NAMES);
    of_leader.members[2].diverged = true;
    let probes = [
        says(of_leader, &[("backup-age", "the last is 3 days old")]),
        says(view("m2", "m1", &NAMES), &[]),
        says(view("m3", "m1", &NAMES), &[("members-differ", "x")]),
    ];
    let report = judged(&probes);
    assert_eq!(report.verdict, Verdict::Degraded);
    let same: Vec<_> = report.machines.iter().map(|one| one.has_same_state).collect();
    assert_eq!(same, [Some(true), Some(true), Some(false)]);
    let problems = texts(&report.problems).join("\n");
    assert!(problems.contains("m1: not ready: backup-age: the last is 3 days old"), "{problems}");
    assert!(problems.contains("m3: its state differs"), "{problems}");
}

#[test]
fn another_cluster_is_a_problem_and_not_this_one() {
    let mut stranger = view("m1", "", &[]);
    stranger.cluster = "2b".to_owned();
    let probes = [says(stranger, &[("leader", "x")]), says(view("m2", "m2", &["m1", "m3"]), &[])];
    let report = judged(&probes);
    assert_eq!(report.cluster.as_deref(), Some("2a"));
    let problems = texts(&report.problems).join("\n");
    assert!(problems.contains("m1: is of another cluster, 2b"), "{problems}");
    assert!(problems.contains("m1: does not answer at http://m1:4001: another machine"));
}

#[test]
fn standbys_and_machines_that_join_are_listed() {
    let mut of_leader = view("m1", "m1", &NAMES);
    let standby = |name: &str| StandingBy { name: name.to_owned(), client_url: url(name) };
    of_leader.standbys = Some(vec![standby("s1"), standby("s2")]);
    let other = |name: &str, part, failed: &[(&str, &str)]| Probe {
        url: url(name),
        heard: Ok(Heard {
            version: "2".to_owned(),
            part,
            readiness: readiness(failed),
            gauges: Gauges::default(),
            counts_users: None,
        }),
    };
    let standing_by = Part::Standby { name: "s1".to_owned(), members: Vec::new() };
    let probes = [
        says(of_leader, &[]),
        says(view("m2", "m1", &NAMES), &[]),
        says(view("m3", "m1", &NAMES), &[]),
        other("s1", standing_by.clone(), &[]),
        silent("s2"),
        other("s1-by-another-name", standing_by.clone(), &[]),
        other("new", Part::Waiting, &[("store", "joining: no answer")]),
    ];
    let report = judged(&probes);
    let want = [("s1", "standby"), ("s2", "unreachable"), ("http://new:4001", "joining")];
    assert_eq!(states(&report)[3..], want);
    let problems = texts(&report.problems).join("\n");
    assert!(problems.contains("s2: does not answer at http://s2:4001"), "{problems}");
    assert!(problems.contains("http://new:4001: not ready: store: joining"), "{problems}");
    assert_eq!(texts(&report.warnings), ["several versions run: 1, 2"]);
}

#[test]
fn founders_that_are_in_no_table_yet_are_listed() {
    let mut alone = view("m1", "", &[]);
    alone.members.clear();
    let report = judged(&[says(alone, &[("majority", "1 of 3 voters are reachable from here")])]);
    assert_eq!((report.verdict, states(&report)), (Verdict::Down, vec![("m1", "follower")]));
    assert!(report.problems[0].text.contains("1 of 3 voters"), "{:?}", report.problems);
}
