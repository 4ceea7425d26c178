//! What a power loss or a kill leaves: at random moments, and at each operation of the disk.

use crate::testkit::{Bench, Rng, open};
use proptest::prelude::*;
use wal::Error;

#[derive(Clone, Debug)]
enum Op {
    Append { len: usize, mark_ahead: u64 },
    Sync,
    TakeTarget,
    FinishTarget,
    Fill { steps: usize },
    Release { behind: u64 },
    MakeRoom { bytes: usize },
    Crash { seed: u64 },
    Kill,
    KillThenCrash { seed: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0_usize..1500, 0_u64..4)
            .prop_map(|(len, mark_ahead)| Op::Append { len, mark_ahead }),
        2 => (3000_usize..9000, 0_u64..4)
            .prop_map(|(len, mark_ahead)| Op::Append { len, mark_ahead }),
        4 => Just(Op::Sync),
        2 => Just(Op::TakeTarget),
        3 => Just(Op::FinishTarget),
        3 => (1_usize..3).prop_map(|steps| Op::Fill { steps }),
        3 => (0_u64..12).prop_map(|behind| Op::Release { behind }),
        1 => (0_usize..9000).prop_map(|bytes| Op::MakeRoom { bytes }),
        3 => any::<u64>().prop_map(|seed| Op::Crash { seed }),
        1 => Just(Op::Kill),
        1 => any::<u64>().prop_map(|seed| Op::KillThenCrash { seed }),
    ]
}

fn run(bench: &mut Bench, op: &Op) -> Result<(), Error> {
    match *op {
        Op::Append { len, mark_ahead } => {
            let mark = bench.model.last_seq() + mark_ahead;
            bench.append(mark, len)?;
        }
        Op::Sync => bench.sync()?,
        Op::TakeTarget => bench.targets.push(bench.wal.sync_target()),
        Op::FinishTarget => bench.finish_target()?,
        Op::Fill { steps } => bench.step_fill(steps),
        Op::Release { behind } => bench.release(bench.model.last_seq().saturating_sub(behind))?,
        Op::MakeRoom { bytes } => assert!(bench.wal.make_room(bytes)?, "the disk has no limit"),
        Op::Crash { seed } => {
            let mut rng = Rng(seed);
            bench.restart_on(bench.disk.crash(&mut || rng.next()));
        }
        Op::Kill => {
            let last = bench.model.last_seq();
            bench.restart_on(bench.disk.kill());
            assert_eq!(bench.model.last_seq(), last, "a kill loses nothing");
        }
        Op::KillThenCrash { seed } => {
            bench.restart_on(bench.disk.kill());
            let mut rng = Rng(seed);
            bench.restart_on(bench.disk.crash(&mut || rng.next()));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 600,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_durable_is_lost_and_nothing_else_comes_back(
        ops in prop::collection::vec(op(), 1..120),
    ) {
        let mut bench = Bench::new();
        for op in &ops {
            run(&mut bench, op).expect("the disk works");
        }
        bench.restart_on(bench.disk.crash(&mut || 0));
    }
}

/// A life of a log in which everything happens: growth, filled and recycled segments, a record
/// larger than a segment, releases, deferred syncs.
fn story(bench: &mut Bench) -> Result<(), Error> {
    for round in 0..5_u64 {
        for len in [100, 900, 1700] {
            bench.append(round * 10, len)?;
        }
        bench.sync()?;
        bench.step_fill(2);
        bench.append(round * 10 + 1, 600)?;
        bench.targets.push(bench.wal.sync_target());
        bench.append(round * 10 + 2, 700)?;
        bench.finish_target()?;
        bench.append(round * 10 + 3, if round == 2 { 6000 } else { 1200 })?;
        bench.append(round * 10 + 4, 300)?;
        bench.sync()?;
        if round > 0 {
            bench.release((round - 1) * 10 + 9)?;
        }
    }
    Ok(())
}

#[test]
fn each_operation_may_fail_and_the_power_with_it() {
    let mut whole = Bench::new();
    story(&mut whole).expect("the disk works");
    let stats = whole.wal.stats();
    assert!(stats.segments_grown > 1 && stats.spares > 0, "the story is dull: {stats:?}");
    let operations = whole.disk.operations();
    assert!(operations > 80, "only {operations} operations");

    for failing in 0..operations {
        for seed in 0..6 {
            let mut bench = Bench::new();
            let setup = bench.disk.operations();
            bench.disk.fail_after(Some(failing.saturating_sub(setup)));
            // The fill may swallow the failure; the log goes on then, and the crash comes anyway.
            let _ = story(&mut bench);
            let mut rng = Rng(failing << 8 | seed);
            let disk = if seed == 0 {
                bench.disk.crash(&mut || 0)
            } else {
                bench.disk.crash(&mut || rng.next())
            };
            if seed == 1 {
                crash_while_opening(&bench, &disk, &mut rng);
            }
            bench.restart_on(disk);
            story(&mut bench).expect("the disk works again");
            bench.restart_on(bench.disk.crash(&mut || rng.next()));
        }
    }
}

/// Opening a log repairs it, and may be interrupted at each step.
fn crash_while_opening(bench: &Bench, disk: &wal::mem::MemDisk, rng: &mut Rng) {
    for failing in 0.. {
        assert!(failing < 100, "opening takes too many operations");
        let attempt = disk.kill();
        attempt.fail_after(Some(failing));
        let is_open = open(&attempt).is_ok();
        let mut model = bench.model.clone();
        let (_, records) = crate::testkit::open_all(&attempt.crash(&mut || rng.next()));
        model.restart(&records);
        if is_open {
            break;
        }
    }
}

#[test]
fn records_of_a_life_that_was_lost_do_not_come_back() {
    // The next segment begins, and two records of one length are in it; then the power goes. The
    // file's content is there, but not its new name.
    for seed in 0..400 {
        let mut bench = Bench::new();
        let mut rng = Rng(seed);
        for _ in 0..4 {
            bench.append(1, 800).expect("the disk works");
        }
        bench.sync().expect("the disk works");
        bench.step_fill(2);
        for _ in 0..4 {
            bench.append(1, 800).expect("the disk works");
        }
        bench.restart_on(bench.disk.crash(&mut || rng.next()));
        bench.step_fill(2);
        bench.append(1, 800).expect("the disk works");
        bench.restart_on(bench.disk.crash(&mut || rng.next()));
        bench.append(1, 800).expect("the disk works");
        bench.restart_on(bench.disk.crash(&mut || rng.next()));
    }
}
