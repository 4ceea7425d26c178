//! A cluster of three: all there, one dead, no majority.

use super::keys::{ask_for_documents, type_in};
use super::kit::{good, json, run};
use super::terminal::{shown, type_at_terminal};
use crate::cluster::kit::{Cluster, PATIENCE, state};
use crate::testkit::wait_until;

/// What is the same whichever machines are there, as long as most are.
const TRANSCRIPT: &str = "\
$ set /x/a 1
1
$ get --quorum /x/a
1
$ mk /x/a 1
Error:  105: Key already exists (/x/a) [N]
Next: `stead set` overwrites a key, `stead update` changes one that is there
= 4
$ update /x/a 2
2
$ cat /x/a
2
$ mkdir /x/d
$ updatedir /x/d --ttl 50
$ rmdir /x/d
$ ls --quorum /x
/x/a
$ cp /x/a /x/b
1 key and 0 directories copied
$ mv -r /x /y
2 keys and 1 directory copied, 3 removed
$ tree --quorum /y
/y/ (2)
  a
  b
0 directories, 2 keys
$ watch /y/a --after-index 1
2
$ config get activeSize
9
$ lock l -- echo held
held
$ rm -r /y
";

fn endpoints(cluster: &Cluster, order: [usize; 3]) -> String {
    let all: Vec<String> =
        order.iter().map(|at| cluster.machines[*at].addr().to_string()).collect();
    all.join(",")
}

/// What is left by those that print JSON.
fn remove_documents(endpoints: &str) {
    for key in ["/a", "/q", "/e"] {
        good(endpoints, &["rm", "-r", key]);
    }
}

#[test]
fn commands_do_the_same_while_a_majority_is_there() {
    let mut cluster = Cluster::start("client-three", 3, "");
    let leader = cluster.leader();
    let (first, second) = ((leader + 1) % 3, (leader + 2) % 3);
    let all = endpoints(&cluster, [first, leader, second]);
    type_in(&all, TRANSCRIPT);
    type_at_terminal(&all);
    ask_for_documents(&all);
    remove_documents(&all);
    assert_eq!(json(&all, &["health"])["health"], "healthy");
    let members = json(&all, &["members"]);
    let leaders = members["members"].as_array().expect("a list").iter();
    assert_eq!(leaders.filter(|one| one["isLeader"] == true).count(), 1, "{members}");
    assert_eq!(good(&all, &["members"]).matches("isLeader=true").count(), 1);

    // The first endpoint is dead, and so is the leader.
    cluster.machines[leader].kill();
    let dead_first = endpoints(&cluster, [leader, first, second]);
    wait_until("there is another leader", PATIENCE, || {
        run(&dead_first, &["get", "--quorum", "/nope"]).code == 4
            && run(&dead_first, &["set", "/alive", "1"]).code == 0
    });
    good(&dead_first, &["rm", "/alive"]);
    type_in(&dead_first, TRANSCRIPT);
    type_at_terminal(&dead_first);
    ask_for_documents(&dead_first);
    remove_documents(&dead_first);
    let health = run(&dead_first, &["health"]);
    assert_eq!(health.code, 5, "{health:?}");
    assert!(health.out.ends_with("cluster is degraded\n"), "{health:?}");
    assert!(health.out.contains("is unreachable: no answer: "), "{health:?}");
    // What a container's check asks is about itself.
    let local = endpoints(&cluster, [first, leader, second]);
    assert!(good(&local, &["health", "--local"]).ends_with(" is healthy\n"));
    let health = run(&dead_first, &["health", "--local"]);
    assert!(health.code == 5 && health.out.contains(" is unreachable\n"), "{health:?}");

    // No majority: what needs none goes on.
    cluster.machines[first].kill();
    let left = endpoints(&cluster, [leader, first, second]);
    let survivor = cluster.machines[second].addr();
    wait_until("it knows that it does not lead", PATIENCE, || state(survivor) != "leader");
    wait_until("quorum reads are refused, or not answered in time", PATIENCE, || {
        matches!(run(&left, &["get", "--quorum", "/formed", "--timeout", "2s"]).code, 2 | 4)
    });
    assert_eq!(good(&left, &["get", "/formed"]), "1\n");
    assert!(good(&left, &["tree"]).starts_with("/ ("), "plain reads go on");
    let write = run(&left, &["set", "/x", "1", "--timeout", "2s"]);
    assert!(matches!(write.code, 4 | 6) && write.out.is_empty(), "{write:?}");
    assert!(write.err.contains("\nNext: "), "{write:?}");
    let (write, code) = shown(&left, &["set", "/x", "1", "--timeout", "2s"], &[]);
    assert!(matches!(code, Some(4 | 6)) && write.starts_with("\x1b[1;31mError:"), "{write:?}");
    let write = run(&left, &["set", "/x", "1", "--timeout", "2s", "-o", "json"]);
    let document: serde_json::Value = serde_json::from_str(&write.err).unwrap();
    assert!(matches!(write.code, 4 | 6) && document["exitCode"] == write.code, "{write:?}");
    assert_eq!(json(&left, &["get", "/formed"])["node"]["value"], "1");
    assert_eq!(shown(&left, &["get", "/formed"], &[]), ("1\n".to_owned(), Some(0)));
    let held = run(&left, &["lock", "l", "--wait", "1", "--", "true"]);
    assert!(matches!(held.code, 4 | 6), "{held:?}");
    let health = run(&left, &["health"]);
    assert_eq!(health.code, 5, "{health:?}");
    assert!(health.out.ends_with("cluster is unavailable\n"), "{health:?}");
    let only = cluster.machines[second].addr().to_string();
    let health = run(&only, &["health", "--local"]);
    assert!(health.code == 5 && health.out.contains(" is unhealthy\n"), "{health:?}");
    // Nothing at all.
    cluster.machines[second].kill();
    let none = run(&left, &["get", "/formed"]);
    assert_eq!((none.code, none.err.matches("connection refused").count()), (2, 3), "{none:?}");
}

#[test]
fn members_are_added_updated_and_removed() {
    let cluster = Cluster::start("client-members", 3, "");
    let all = endpoints(&cluster, [0, 1, 2]);
    let added = good(&all, &["member", "add", "m9", "http://127.0.0.1:17999"]);
    assert!(added.starts_with("Added member named m9 with ID "), "{added}");
    assert!(added.contains("\nETCD_NAME=\"m9\"\n") && added.contains("m9=http://127.0.0.1:17999"));
    let unstarted = good(&all, &["members"]);
    assert!(unstarted.contains("[unstarted]: peerURLs=http://127.0.0.1:17999"), "{unstarted}");
    let id = added["Added member named m9 with ID ".len()..].split(' ').next().expect("an id");
    assert_eq!(
        good(&all, &["member", "remove", id]),
        format!("Removed member {id} from cluster\n")
    );
    let unknown = run(&all, &["member", "remove", "nobody"]);
    assert!(unknown.code == 1 && unknown.err.contains("no member is called"), "{unknown:?}");
    let same = cluster.machines[2].site.peer_addr();
    let updated = good(&all, &["member", "update", "m2", &format!("http://{same}")]);
    assert!(updated.starts_with("Updated member with ID "), "{updated}");
}

#[test]
fn leadership_is_moved_from_wherever_one_asks() {
    let cluster = Cluster::start("client-leader", 3, "");
    let leader = cluster.leader();
    let (next, third) = ((leader + 1) % 3, (leader + 2) % 3);
    // A follower sends the call on, with its body.
    let follower = cluster.machines[third].addr().to_string();
    let moved = good(&follower, &["move-leader", &format!("m{next}")]);
    assert!(moved.starts_with(&format!("m{next} (")) && moved.ends_with(") leads\n"), "{moved}");
    let id = moved.split(['(', ')']).nth(1).expect("an id").to_owned();
    assert!(good(&follower, &["members"]).contains(&format!("{id}: name=m{next} ")));
    let again = json(&follower, &["move-leader", &id]);
    assert_eq!((&again["leader"]["id"], &again["leader"]["isLeader"]), (&id.into(), &true.into()));
    assert_ne!(json(&follower, &["move-leader"])["leader"]["name"], format!("m{next}"));
    let unknown = run(&follower, &["move-leader", "nobody"]);
    assert!(unknown.code == 1 && unknown.err.contains("no member is called"), "{unknown:?}");

    // The first endpoint is dead.
    let mut cluster = cluster;
    let gone = cluster.leader();
    cluster.machines[gone].kill();
    let (one, other) = ((gone + 1) % 3, (gone + 2) % 3);
    let all = endpoints(&cluster, [gone, one, other]);
    wait_until("there is another leader", PATIENCE, || {
        run(&all, &["set", "/alive", "1"]).code == 0
    });
    let to = format!("m{one}");
    wait_until("it leads", PATIENCE, || {
        let moved = run(&all, &["move-leader", &to]);
        assert!(matches!(moved.code, 0 | 4), "{moved:?}");
        moved.code == 0
    });
    let dead = run(&all, &["move-leader", &format!("m{gone}")]);
    assert_eq!((dead.code, dead.out.as_str()), (4, ""), "{dead:?}");
    // No majority.
    cluster.machines[other].kill();
    let left = cluster.machines[one].addr();
    wait_until("it knows that it does not lead", PATIENCE, || state(left) != "leader");
    let none = run(&all, &["move-leader", &to, "--timeout", "1s"]);
    assert!(matches!(none.code, 2 | 4) && none.err.contains("no leader is known"), "{none:?}");
}
