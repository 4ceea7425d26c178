//! A look at a directory that nobody opens.

use crate::testkit::Cluster;

#[test]
fn a_directory_says_whose_it_is_and_who_the_others_are() {
    let mut cluster = Cluster::alone();
    let founder = replica::peek(cluster.disk(0)).expect("it can be read").expect("a member's");
    assert_eq!((founder.id, founder.others().count()), (cluster.id(0), 0));
    let joined = cluster.join(0).expect("there is room");
    cluster.settle();
    cluster.crash(0);
    // No snapshot says so yet: the log alone does.
    let founder = replica::peek(cluster.disk(0)).expect("it can be read").expect("a member's");
    let others: Vec<_> = founder.others().map(|member| member.id).collect();
    assert_eq!(others, [cluster.id(joined)]);
    cluster.restart(0);
    cluster.settle();
    cluster.assert_equal();
}

#[test]
fn a_damaged_directory_says_what_can_be_read_and_is_not_changed() {
    let mut cluster = Cluster::alone();
    cluster.join(0).expect("there is room");
    cluster.settle();
    cluster.crash(0);
    let disk = cluster.disk(0).clone();
    let names = wal::Disk::list(&disk).expect("it can be read");
    for name in names.iter().filter(|name| name.ends_with(".wal")) {
        let len = disk.content(name).expect("it is there").len();
        (0..len).step_by(97).for_each(|at| disk.corrupt(name, at, 0xff));
    }
    let seen = replica::peek(&disk).expect("it can be read").expect("the snapshot is sound");
    assert_eq!(seen.id, cluster.id(0));
    for name in names.iter().filter(|name| name.ends_with(".snap")) {
        (0..64).for_each(|at| disk.corrupt(name, at, 0xff));
    }
    assert_eq!(replica::peek(&disk).expect("it can be read"), None);
    assert_eq!(wal::Disk::list(&disk).expect("it can be read"), names);
}

#[test]
fn a_member_that_starts_knows_who_announced_what_before_it_is_committed() {
    let mut cluster = Cluster::founded(3);
    cluster.settle();
    let names = |cluster: &Cluster, at: usize| -> Vec<String> {
        let announced = cluster.member(at).announced();
        announced.into_iter().map(|member| member.name).collect()
    };
    let all = names(&cluster, 0);
    assert_eq!(all.len(), 3);
    // Nobody is there to say what was committed.
    (0..3).for_each(|at| cluster.crash(at));
    cluster.restart(1);
    assert_eq!(names(&cluster, 1), all);
}
