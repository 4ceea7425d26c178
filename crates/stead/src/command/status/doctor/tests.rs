//! What is told of which answers.

use super::super::ask::{Readiness, Seen, View};
use super::*;

/// What a member of a cluster of `voters` says; the first of them leads.
fn member(at: usize, voters: usize, gauges: Gauges) -> Probe {
    let seen = |at: usize| Seen {
        name: format!("m{at}"),
        client_url: format!("http://10.0.0.{at}:4001"),
        applied_index: Some(9),
        lag_entries: Some(0),
        uptime: Some(3600),
        voter: true,
        reachable: true,
        ..Seen::default()
    };
    let view = View {
        leader: "m1".to_owned(),
        seen_by: format!("m{at}"),
        members: (1..=voters).map(seen).collect(),
        ..View::default()
    };
    let heard = Heard {
        version: "1".to_owned(),
        part: Part::Member(view),
        readiness: Readiness { is_ready: true, ..Readiness::default() },
        gauges,
        counts_users: Some(true),
    };
    Probe { url: format!("http://10.0.0.{at}:4001"), heard: Ok(heard) }
}

fn cluster(voters: usize, gauges: Gauges) -> Vec<Probe> {
    (1..=voters)
        .map(|at| member(at, voters, if at == 1 { gauges } else { Gauges::default() }))
        .collect()
}

fn told(probes: &[Probe]) -> (String, bool) {
    let report = Report::of(&[], probes, 1_800_000_000);
    let diagnosis = Diagnosis::of(&report, probes);
    let value: serde_json::Value = serde_json::from_str(&diagnosis.json()).expect("JSON");
    assert_eq!(value["findings"].as_array().map(Vec::len), Some(diagnosis.lines.len()));
    (diagnosis.text(), diagnosis.is_well())
}

#[test]
fn a_cluster_that_is_well_is_told_in_two_lines() {
    let good = Gauges {
        disk: Some((50 << 30, 100 << 30)),
        syncs: Some((1000, 995)),
        files: Some((40, 65_536)),
        clock_ahead: Some(-0.2),
        leader_changes: Some(3),
        sizes: Some((64 << 20, 1 << 30)),
        ..Gauges::default()
    };
    let (text, is_well) = told(&cluster(3, good));
    let want = "cluster  is healthy: 3 of 3 voters answer, m1 leads, and 1 may be lost\n\
                nothing is wrong\n";
    assert_eq!((text.as_str(), is_well), (want, true));
}

#[test]
fn what_machines_measure_is_told_with_what_mends_it() {
    let is = |gauges: Gauges, text: &str, remedy: &str| {
        let (told, is_well) = told(&cluster(3, gauges));
        let flat = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(&format!("warning: m1: {text}")), "{text}: {told}");
        assert!(flat.contains(remedy) && !is_well, "{remedy}: {told}");
        assert_eq!(told.matches("warning: ").count(), 1, "{told}");
    };
    let with = Gauges::default;
    let full = Gauges { disk: Some((3 << 30, 100 << 30)), ..with() };
    is(full, "3 GiB are free on its disk of 100 GiB", "`df -h`");
    let slow = Gauges { syncs: Some((1000, 900)), ..with() };
    is(slow, "10 % of the log's syncs take more than 0.064 s", "`stead check disk DIR`");
    let used = Gauges { files: Some((9000, 10_000)), ..with() };
    is(used, "9000 of 10000 files are open", "LimitNOFILE");
    is(Gauges { files: Some((9, 256)), ..with() }, "only 256 files may be open", "LimitNOFILE");
    let ahead = Gauges { clock_ahead: Some(61.26), ..with() };
    is(ahead, "its clock is 61.3 s ahead of the leader's", "`timedatectl set-ntp true`");
    let behind = Gauges { clock_ahead: Some(-2.0), ..with() };
    is(behind, "its clock is 2.0 s behind the leader's", "`timedatectl set-ntp true`");
    let restless = Gauges { leader_changes: Some(100), ..with() };
    is(restless, "saw 100 changes of the leader in 2 h", "docs/tuning.md");
    is(Gauges { sizes: Some((2 << 30, 0)), ..with() }, "its log has 2 GiB", "snapshot");
    let large = Gauges { sizes: Some((0, 5 << 30)), ..with() };
    is(large, "all values together have 5 GiB", "stead tree");
    // Few syncs say nothing.
    let young = Gauges { syncs: Some((50, 0)), ..with() };
    assert!(told(&cluster(3, young)).1);
}

#[test]
fn how_many_voters_there_are_is_a_note() {
    let alone = Gauges { backup_at: Some(0), ..Gauges::default() };
    let kept = Gauges { backup_at: Some(1_700_000_000), ..Gauges::default() };
    for (voters, gauges, want) in [
        (1, alone, "note: one machine, which makes no backups by itself"),
        (1, kept, ""),
        (2, alone, "note: two voters: writes fail when either of them is gone"),
        (4, alone, "note: 4 voters: no more than 1 may be lost, as of 3"),
        (5, alone, ""),
    ] {
        let (text, is_well) = told(&cluster(voters, gauges));
        assert!(is_well && text.contains("nothing is wrong"), "{text}");
        assert!(
            text.contains(want) && text.matches("note").count() == usize::from(!want.is_empty())
        );
    }
}

#[test]
fn a_learner_that_stays_one_and_an_open_door_are_told() {
    let mut probes = cluster(3, Gauges::default());
    let (mut learns, mut is_young) = (probes.clone(), probes.clone());
    for (probes, uptime) in [(&mut learns, 61), (&mut is_young, 60)] {
        for probe in probes.iter_mut() {
            let Ok(Heard { part: Part::Member(view), .. }) = &mut probe.heard else { continue };
            let third = &mut view.members[2];
            (third.voter, third.state, third.uptime) = (false, "learner".to_owned(), Some(uptime));
        }
    }
    let (text, is_well) = told(&learns);
    assert!(text.contains("warning: m3: has not caught up") && !is_well, "{text}");
    assert!(told(&is_young).1, "it has just started");

    for probe in &mut probes {
        probe.heard.as_mut().expect("it answers").counts_users = Some(false);
    }
    let (text, is_well) = told(&probes);
    assert!(text.contains("whoever reaches http://10.0.0.1:4001") && !is_well, "{text}");
    assert_eq!(text.matches("whoever").count(), 1, "once for all of them: {text}");
    let machine = |url: &str| Machine { client_url: url.to_owned(), ..Machine::default() };
    for closed in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1", "https://a:1", ""]
    {
        assert!(!is_public(&machine(closed)), "{closed}");
    }
    assert!(is_public(&machine("http://a:1")) && is_public(&machine("http://[2001:db8::1]:1")));
}

#[test]
fn what_machines_say_becomes_no_command_and_is_bounded() {
    let bad = "m$(reboot)";
    assert!(remedy(&About::Silent { is_heard: false }, bad).contains("remove MACHINE`"));
    assert!(remedy(&About::Silent { is_heard: false }, "m1").contains("remove m1`"));
    let mut probes = cluster(1, Gauges::default());
    let heard = probes[0].heard.as_mut().expect("it answers");
    heard.readiness.failed =
        (0..1000).map(|at| (format!("check{at}"), "\u{1b}[2J".to_owned())).collect();
    let (text, _) = told(&probes);
    assert!(text.ends_with("and 800 more\n") && !text.contains('\u{1b}'), "{text}");
}
