//! Leadership that is handed over to a member that was named.

use crate::testkit::{Cluster, set};
use replica::{HandOverRefused, MemberId};

#[test]
fn leadership_goes_to_the_member_that_is_named() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.settle();
    let (next, third) = ((leader + 1) % 3, (leader + 2) % 3);
    let id = |cluster: &Cluster, at: usize| cluster.member(at).status().id;
    let (own, target, other) = (id(&cluster, leader), id(&cluster, next), id(&cluster, third));
    let refused = cluster.member_mut(next).hand_over(None);
    assert_eq!(refused, Err(HandOverRefused::NotLeader));
    let stranger = cluster.member_mut(leader).hand_over(Some(MemberId(7)));
    assert_eq!(stranger, Err(HandOverRefused::NotVoter));
    assert_eq!(cluster.member_mut(leader).hand_over(Some(own)), Ok(own), "it leads");
    assert_eq!(cluster.member(leader).handing_over_to(), None);

    assert_eq!(cluster.member_mut(leader).hand_over(Some(target)), Ok(target));
    assert_eq!(cluster.member(leader).handing_over_to(), Some(target));
    // Who wants the same joins in; who wants another one has to wait.
    assert_eq!(cluster.member_mut(leader).hand_over(None), Ok(target));
    let busy = cluster.member_mut(leader).hand_over(Some(other));
    assert_eq!(busy, Err(HandOverRefused::UnderWay(target)));
    cluster.settle();
    assert_eq!(cluster.leader_but(leader), Some(next));

    // To anybody; and to nobody when nobody is heard.
    let chosen = cluster.member_mut(next).hand_over(None).expect("two others are there");
    assert!(chosen != target);
    cluster.settle();
    let now = cluster.leader_but(next).expect("somebody else leads");
    assert_eq!(id(&cluster, now), chosen);
    cluster.assert_equal();
}

#[test]
fn leadership_stays_where_the_member_that_is_named_is_gone() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.settle();
    let gone = (leader + 1) % 3;
    let id = cluster.member(gone).status().id;
    cluster.crash(gone);
    // It counts as heard for a moment; then it has an election time-out to answer.
    if cluster.member_mut(leader).hand_over(Some(id)).is_ok() {
        cluster.run(100);
        assert_eq!(cluster.member(leader).handing_over_to(), None, "it was given up");
    }
    cluster.run(200);
    assert_eq!(cluster.leader_but(gone), Some(leader));
    assert_eq!(cluster.member_mut(leader).hand_over(Some(id)), Err(HandOverRefused::Silent));
    cluster.write(leader, &set("/a", "v")).expect("it goes on");
}
