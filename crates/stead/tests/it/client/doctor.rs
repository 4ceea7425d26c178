//! `stead doctor`: one machine, three, one dead, no majority, nothing.

use super::kit::{Run, json, run};
use crate::cluster::kit::{Cluster, PATIENCE, state};
use crate::testkit::{Server, port, wait_until};
use serde_json::Value;

fn flat(run: &Run) -> String {
    run.out.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn findings(report: &Value) -> Vec<(String, String)> {
    let all = report["findings"].as_array().expect("a list");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    all.iter().map(|one| (text(&one["level"]), text(&one["text"]))).collect()
}

#[test]
fn one_machine_is_well_and_its_disk_is_all_there_is() {
    let (_site, server) = Server::start("client-doctor");
    let at = &server.url();
    let told = run(at, &["doctor"]);
    assert_eq!((told.code, told.err.as_str()), (0, ""), "{told:?}");
    let want = "is healthy: 1 of 1 voters answer note: one machine, which makes no backups by itself: \
                its disk is all there is -> `stead backup FILE`, or start it with -backup-dir DIR \
                nothing is wrong";
    assert!(flat(&told).ends_with(want), "{told:?}");
    let report = json(at, &["doctor"]);
    assert_eq!((&report["status"], &report["mayLose"]), (&"healthy".into(), &0.into()));
    assert_eq!(findings(&report).len(), 1, "{report}");
    // The endpoint by a flag goes before that of the environment.
    let nowhere = format!("127.0.0.1:{}", port::free());
    let told = run(&nowhere, &["doctor", "--endpoints", at]);
    assert_eq!(told.code, 0, "{told:?}");
    let none = run(&nowhere, &["doctor"]);
    assert_eq!(none.code, 2, "{none:?}");
    assert!(flat(&none).starts_with("no member answers problem: no member answers ->"), "{none:?}");
    assert!(none.out.contains("onnection refused"), "{none:?}");
    for (args, want) in [
        (&["doctor", "x"][..], "unexpected argument 'x'"),
        (&["doctor", "-o", "xml"], "neither simple nor json"),
        (&["doctor", "--cert-file", "a"], "belong together"),
    ] {
        let refused = run(at, args);
        assert!(refused.code == 2 && refused.err.contains(want), "{refused:?}");
    }
}

#[test]
fn of_three_it_says_how_many_may_be_lost_and_what_to_start() {
    let mut cluster = Cluster::start("client-doctor-three", 3, "");
    let leader = cluster.leader();
    let (first, second) = ((leader + 1) % 3, (leader + 2) % 3);
    let all: Vec<String> = cluster.addrs().iter().map(ToString::to_string).collect();
    let all = all.join(",");
    wait_until("all is well", PATIENCE, || run(&all, &["doctor"]).code == 0);
    let told = run(&all, &["doctor"]);
    let want = format!("is healthy: 3 of 3 voters answer, m{leader} leads, and 1 may be lost\n");
    assert!(told.out.contains(&want) && told.out.ends_with("nothing is wrong\n"), "{told:?}");
    assert_eq!(json(&all, &["doctor"])["mayLose"], 1);

    cluster.machines[first].kill();
    let dead = format!("problem: m{first}: does not answer at http://");
    wait_until("the leader misses it", PATIENCE, || {
        let told = run(&all, &["doctor"]);
        told.code == 1 && flat(&told).contains("no machine that answers hears it")
    });
    let told = run(&all, &["doctor"]);
    let lost = format!("2 of 3 voters answer, m{leader} leads, and no other may be lost");
    for want in [&lost, &dead, "systemctl start stead", &format!("`stead member remove m{first}`")]
    {
        assert!(flat(&told).contains(want), "{want}: {told:?}");
    }

    cluster.machines[second].kill();
    let survivor = cluster.machines[leader].addr();
    wait_until("it knows that it does not lead", PATIENCE, || state(survivor) != "leader");
    let told = run(&all, &["doctor"]);
    assert_eq!(told.code, 2, "{told:?}");
    let none = "problem: no majority: 1 of 3 voters answer, and 2 are needed; writes and quorum reads \
                fail -> start m";
    assert!(
        flat(&told).contains(none) && flat(&told).contains("`stead recover --help`"),
        "{told:?}"
    );
    let report = run(&all, &["doctor", "-o", "json"]);
    let report: Value = serde_json::from_str(&report.out).expect("JSON");
    assert_eq!((&report["status"], &report["mayLose"]), (&"down".into(), &Value::Null));
}
