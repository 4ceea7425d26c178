//! What a member finds when it starts, and starts that are refused.

use crate::kit::{Nobody, Passing, TestClock, bytes, open, options, set, try_open, write};
use replica::{Driver, Fatal};
use std::rc::Rc;
use store::{KeyPath, StoreIndex};
use wal::Disk;
use wal::mem::MemDisk;

fn logs(disk: &MemDisk) -> Vec<String> {
    let mut names = disk.list().expect("the disk is sound");
    names.retain(|name| name.starts_with("log-"));
    names
}

#[test]
fn a_start_on_a_slow_disk_announces_the_member_once() {
    let clock = TestClock(Rc::default(), Passing(15));
    let mut member = open(&MemDisk::new(), &clock);
    assert_eq!(member.store().index(), StoreIndex(1));
    assert_eq!(write(&mut member, &set("/a", "1", None)).expect("it can be written").0, 2);
}

#[test]
fn the_first_write_of_a_new_store_has_index_2() {
    let (disk, clock) = (MemDisk::new(), TestClock::default());
    let mut member = open(&disk, &clock);
    assert_eq!(member.store().index(), StoreIndex(1));
    assert_eq!(write(&mut member, &set("/message", "hi", None)), Ok(StoreIndex(2)));
}

#[test]
fn a_restart_from_snapshot_and_log_gives_the_same_bytes() {
    let (mut disk, clock) = (MemDisk::new(), TestClock::default());
    let mut seed = 1_u64;
    for round in 0..6 {
        let mut member = open(&disk, &clock);
        for number in 0..37 {
            let key = format!("/k{}", (number * 7 + round) % 20);
            write(&mut member, &set(&key, &format!("{round}.{number}"), None)).expect("applies");
            if let Some(job) = member.snapshot_job() {
                let done = job.run(&mut |_| {}).expect("the disk is sound");
                member.snapshot_finished(Some(done)).expect("the disk is sound");
            }
        }
        let (before, index) = (bytes(&member), member.store().index());
        drop(member);
        disk = disk.crash(&mut || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 33
        });
        let member = open(&disk, &clock);
        assert_eq!(member.store().index(), index, "round {round}");
        assert_eq!(bytes(&member), before, "round {round}");
    }
}

#[test]
fn a_member_whose_log_is_gone_or_ends_too_early_is_not_started() {
    for snapshots in [0, 1] {
        let (disk, clock) = (MemDisk::new(), TestClock::default());
        let mut member = open(&disk, &clock);
        for number in 0..30 {
            write(&mut member, &set("/a", &number.to_string(), None)).expect("there is room");
        }
        for _ in 0..snapshots {
            let done = member.begin_snapshot().run(&mut |_| {}).expect("the disk is sound");
            member.snapshot_finished(Some(done)).expect("the disk is sound");
        }
        drop(member);
        let lost = disk.kill();
        logs(&lost).iter().for_each(|name| lost.remove(name).expect("it is there"));
        let text = try_open(&lost, &clock, "m0").err().expect("it is refused").to_string();
        assert!(text.contains("the log is missing") && text.contains("-force-rejoin"), "{text}");
        // The beginning alone is no better, where a snapshot says how far the log went.
        let short = disk.kill();
        for name in logs(&short).iter().skip(1) {
            short.remove(name).expect("it is there");
        }
        if snapshots > 0 {
            let content = short.content(&logs(&short)[0]).expect("it is there");
            short.put(&logs(&short)[0], &content[..500]);
            let text = try_open(&short, &clock, "m0").err().expect("it is refused").to_string();
            assert!(text.contains("is incomplete"), "{text}");
        }
        open(&disk, &clock);
    }
}

#[test]
fn a_member_may_die_at_each_step_of_its_making() {
    let mut rng = 1_u64;
    for failing in 0..40 {
        let (disk, clock) = (MemDisk::new(), TestClock::default());
        disk.fail_after(Some(failing));
        let is_made = try_open(&disk, &clock, "m0").is_ok();
        let disk = disk.crash(&mut || {
            rng = rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(failing);
            rng >> 33
        });
        let mut member = open(&disk, &clock);
        assert_eq!(member.store().index(), StoreIndex(1), "{failing}");
        write(&mut member, &set("/a", "1", None)).expect("there is room");
        if is_made {
            break;
        }
        assert!(failing < 39, "making a member takes too many operations");
    }
}

#[test]
fn a_directory_belongs_to_its_name_and_new_addresses_are_published() {
    let (disk, clock) = (MemDisk::new(), TestClock::default());
    drop(open(&disk, &clock));
    assert!(matches!(try_open(&disk, &clock, "other"), Err(Fatal::Identity(_))));
    let mut moved = options("m0");
    moved.client_url = "http://127.0.0.1:5001".into();
    let (member, opened) = Driver::open(disk.clone(), Nobody, clock.clone(), moved).expect("sound");
    assert!(!opened.is_new);
    assert_eq!(member.store().index(), StoreIndex(2), "one command tells the new address");
    let key = KeyPath::parse("/_etcd/machines/m0").expect("clean");
    let value = member.store().peek(key).expect("registered");
    assert!(value.value().is_some_and(|value| value.contains("5001")), "{value:?}");
}

#[test]
fn a_damaged_snapshot_is_named() {
    let (disk, clock) = (MemDisk::new(), TestClock::default());
    drop(open(&disk, &clock));
    let name = wal::list_snapshots(&disk).expect("lists").pop().expect("there is one");
    disk.corrupt(&name, 60, 1);
    match try_open(&disk, &clock, "m0").err() {
        Some(Fatal::Snapshot { file, .. }) => assert_eq!(file, name),
        other => panic!("not refused: {other:?}"),
    }
}
