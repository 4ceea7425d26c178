//! What goes wrong: crashes, disks, networks, clocks and memberships.

use crate::machine::SYNC_TAKES;
use crate::member::Running;
use crate::network::Quality;
use crate::plan::{Fault, MILLI, SECOND};
use crate::queue::Event;
use crate::world::{LOOP, World};
use wal::Disk;
use wal::mem::MemDisk;

/// How many records a log may lose at its end when the end is damaged: those since the last sync
/// but one, which are many when a sync is slow. A leader sends 256 messages ahead of what is
/// acknowledged, and so may be in one sync.
const DAMAGED_TAIL_MAX: u64 = 2 * 256;

/// A kind of fault that a run may have.
#[derive(Clone, Copy, Debug)]
enum FaultKind {
    Crash,
    CrashAll,
    CrashAtOperation,
    Pause,
    Partition,
    OneWay,
    Isolate,
    Break,
    Network,
    SlowDisk,
    FailSyncs,
    RefuseWrites,
    FullDisk,
    WallJump,
    HandOver,
    Storm,
    Churn,
    Lie,
    LoseDisk,
    Double,
    Move,
}

impl World {
    fn kinds(&self) -> Vec<FaultKind> {
        let plan = &self.plan;
        let mut kinds = vec![FaultKind::HandOver, FaultKind::Storm, FaultKind::Break];
        let mut add = |wanted: bool, more: &[FaultKind]| {
            if wanted {
                kinds.extend_from_slice(more);
            }
        };
        add(
            plan.crashes,
            &[FaultKind::Crash, FaultKind::Crash, FaultKind::CrashAtOperation, FaultKind::CrashAll],
        );
        add(plan.pauses, &[FaultKind::Pause]);
        add(plan.partitions, &[FaultKind::Partition, FaultKind::OneWay, FaultKind::Isolate]);
        add(plan.bad_network || plan.wild_network, &[FaultKind::Network]);
        add(plan.slow_disks, &[FaultKind::SlowDisk]);
        add(plan.failing_disks, &[FaultKind::FailSyncs, FaultKind::RefuseWrites]);
        add(plan.full_disks, &[FaultKind::FullDisk]);
        add(plan.wall_jumps, &[FaultKind::WallJump, FaultKind::WallJump]);
        add(plan.churn, &[FaultKind::Churn]);
        add(plan.losses, &[FaultKind::LoseDisk]);
        add(plan.doubles, &[FaultKind::Double, FaultKind::Double]);
        add(plan.moves, &[FaultKind::Move]);
        add(plan.liars, &[FaultKind::Lie, FaultKind::Lie]);
        kinds
    }

    /// Something goes wrong, and something else will later.
    pub(crate) fn strike(&mut self) {
        if self.is_healing {
            return;
        }
        let kinds = self.kinds();
        let kind = self.rng.pick(&kinds);
        let at = self.rng.index(self.machines.len());
        self.note(format_args!("fault {kind:?} at place {at}"));
        self.inflict(kind, at);
        let every = self.plan.fault_every;
        let when = self.now + self.rng.range(every / 4, every * 2);
        self.queue.push(when, Event::Fault);
    }

    fn inflict(&mut self, kind: FaultKind, at: usize) {
        match kind {
            FaultKind::Crash => self.strike_down(at),
            FaultKind::CrashAll => {
                // All at once is rare.
                if self.rng.permille(300) {
                    (0..self.machines.len()).for_each(|at| self.strike_down(at));
                }
            }
            FaultKind::CrashAtOperation => {
                let operations = self.rng.below(12);
                self.sicken(at, Fault::CrashInTurn, |disk| disk.fail_after(Some(operations)));
            }
            FaultKind::FailSyncs => {
                self.sicken(at, Fault::FailedSync, |disk| disk.set_fail_syncs(true));
            }
            FaultKind::RefuseWrites => self.refuse_writes(at),
            FaultKind::FullDisk => self.fill_disk(at),
            FaultKind::SlowDisk => self.slow_disk(at),
            FaultKind::Pause => self.pause(at),
            FaultKind::Partition => self.partition(),
            FaultKind::OneWay => {
                let other = self.rng.index(self.machines.len());
                self.network.cut(at, other);
                self.faults.count(Fault::OneWayCut);
                self.heal_network_later();
            }
            FaultKind::Isolate => {
                for other in 0..self.machines.len() {
                    self.network.cut(at, other);
                    self.network.cut(other, at);
                }
                self.faults.count(Fault::Isolation);
                self.heal_network_later();
            }
            FaultKind::Break => self.break_connection(at),
            FaultKind::Network => {
                let is_wild = self.plan.wild_network;
                self.network.quality = Quality::draw(&mut self.rng, is_wild);
                self.faults.count(Fault::NetworkChange);
                self.heal_network_later();
            }
            FaultKind::WallJump => self.set_wall(at),
            FaultKind::HandOver => self.hand_over(),
            FaultKind::Storm => self.storm(),
            FaultKind::Churn => self.churn(),
            FaultKind::Lie => self.lie(at),
            FaultKind::LoseDisk => self.lose_disk(),
            FaultKind::Double => self.double(at),
            FaultKind::Move => self.move_machines(at),
        }
    }

    pub(crate) fn strike_down(&mut self, at: usize) {
        let lives = |one: &crate::machine::Machine| one.running.is_some() || one.is_waiting;
        if self.machines.get(at).is_some_and(lives) {
            let loses_power = self.rng.permille(700);
            self.crash(at, loses_power);
        }
    }

    /// A process ends, or its whole machine does. It starts again later.
    pub(crate) fn crash(&mut self, at: usize, loses_power: bool) {
        let loses_power = loses_power && !self.plan.wall_jumps;
        self.end_snapshot_halfway(at);
        let Some(machine) = self.machines.get_mut(at) else { return };
        if let Some(sync) = &machine.sync {
            let is_done = sync.result.is_some();
            let fault = if is_done { Fault::CrashAfterSync } else { Fault::CrashBeforeSync };
            self.faults.count(fault);
        }
        machine.drop_process();
        let rng = &mut self.rng;
        if loses_power {
            machine.disk = machine.disk.crash(&mut || rng.next());
            machine.clock.reboot();
            self.faults.count(Fault::PowerLoss);
            self.faults.count(Fault::Reboot);
        } else {
            machine.disk = machine.disk.kill();
            self.faults.count(Fault::Kill);
        }
        if self.rng.permille(300) {
            machine.copy = Some(machine.disk.copy());
        }
        let (start, id) = (machine.start, machine.identity.id);
        machine.sync_takes = SYNC_TAKES;
        self.note(format_args!("crash of m{} power loss {loses_power}", id.0));
        let away = self.rng.pick(&[MILLI, 50 * MILLI, 500 * MILLI, 3 * SECOND]);
        let when = self.now + self.rng.range(MILLI, away + MILLI);
        self.queue.push(when, Event::Start { at, start });
        self.lose_requests(at);
        self.drop_watches(at);
        for other in 0..self.machines.len() {
            if other != at && self.rng.permille(700) {
                self.tell_disconnected(other, at);
            }
        }
    }

    fn tell_disconnected(&mut self, at: usize, lost: usize) {
        let Some(other) = self.machines.get(lost).map(|machine| machine.identity.id) else {
            return;
        };
        let Some(start) = self.machines.get(at).map(|machine| machine.start) else { return };
        let when = self.now + self.rng.range(100_000, 30 * MILLI);
        self.queue.push(when, Event::Disconnected { at, start, other });
    }

    /// What of a snapshot was written when the process ends.
    fn end_snapshot_halfway(&mut self, at: usize) {
        let Some(machine) = self.machines.get_mut(at) else { return };
        let Some(job) = machine.snapshot.take() else { return };
        if self.rng.permille(500) {
            machine.disk.fail_after(Some(self.rng.below(10)));
            // Whether it was finished makes no difference to a process that is no more.
            let _ = job.run(&mut |_| {});
            self.faults.count(Fault::CrashInSnapshot);
        }
    }

    /// A member's process starts, after a look whether damage to its disk would be noticed.
    pub(crate) fn open(&mut self, at: usize) {
        if self.plan.damage && !self.is_healing && self.rng.permille(400) {
            self.try_damage(at);
        }
        let seed = self.rng.next();
        let takes_copy = self.rng.permille(if self.plan.doubles { 700 } else { 300 });
        let plan = &self.plan;
        let Some(machine) = self.machines.get_mut(at) else { return };
        if takes_copy {
            machine.copy = Some(machine.disk.copy());
        }
        let (disk, clock, address) = (&machine.disk, &machine.clock, machine.address);
        let opened = Running::open(disk, clock, &machine.identity, address, plan, seed);
        let (name, start) = (machine.identity.name.clone(), machine.start);
        match opened {
            Ok(running) => {
                machine.running = Some(running);
                self.note(format_args!("start of {name}"));
                self.tap(at);
                self.wake(at, self.now);
                let (start, soon) = (start, self.now + MILLI);
                self.queue.push(soon, Event::Call { at, start });
            }
            Err(fatal) => self.fail(LOOP, format!("{name} does not start: {fatal}")),
        }
    }

    /// Damages copies of a disk and looks what a start makes of them: it refuses, or it finds
    /// exactly what is on the sound disk.
    fn try_damage(&mut self, at: usize) {
        let Some(machine) = self.machines.get(at) else { return };
        let (clock, identity) = (machine.clock.clone(), machine.identity.clone());
        let (sound, damaged) = (machine.disk.kill(), machine.disk.kill());
        let (found, harmless) = match self.rng.below(10) {
            0..6 => {
                self.flip_bit(&damaged);
                (Fault::FlippedBitFound, Fault::FlippedBitHarmless)
            }
            6 | 7 => {
                self.lose_log(&damaged);
                (Fault::LostLogFound, Fault::LostLogHarmless)
            }
            _ => {
                let (read, shift) = (self.rng.below(12), 512 * self.rng.range(1, 16));
                damaged.misdirect_read(read, shift);
                (Fault::MisreadFound, Fault::MisreadHarmless)
            }
        };
        let Ok(expected) = Running::probe(&sound, &clock, &identity, &self.plan) else {
            return self.fail(LOOP, format!("{} does not start", identity.name));
        };
        match Running::probe(&damaged, &clock, &identity, &self.plan) {
            Err(_) => self.faults.count(found),
            Ok(probe) if probe.found == expected.found => self.faults.count(harmless),
            // One of the last records was hit, behind which nothing says that it was durable: it
            // cannot be told from one that was never finished.
            Ok(probe)
                if probe.last_seq < expected.last_seq
                    && expected.last_seq - probe.last_seq <= DAMAGED_TAIL_MAX =>
            {
                self.faults.count(Fault::DamagedTail);
            }
            Ok(probe) => {
                let detail = format!(
                    "{} found {probe} where {expected} is, and did not notice",
                    identity.name
                );
                self.fail("damage", detail);
            }
        }
    }

    /// The newest files of the log are gone, or all of them.
    fn lose_log(&mut self, disk: &MemDisk) {
        let mut names = disk.list().unwrap_or_default();
        names.retain(|name| name.starts_with("log-"));
        let keep = self.rng.index(names.len().max(1));
        for name in names.get(keep..).unwrap_or_default() {
            self.trace.note(self.now, format_args!("lose {name}"));
            disk.remove(name).expect("it is there");
        }
    }

    fn flip_bit(&mut self, disk: &MemDisk) {
        let names = disk.list().unwrap_or_default();
        for _ in 0..20 {
            let Some(name) = names.get(self.rng.index(names.len())) else { return };
            let content = disk.content(name).unwrap_or_default();
            let offset = self.rng.index(content.len());
            // Most of a segment is zeros that were never written.
            if content.get(offset).is_some_and(|byte| *byte != 0) {
                let mask = 1 << self.rng.below(8);
                self.trace.note(self.now, format_args!("flip {name} {offset} {mask:x}"));
                return disk.corrupt(name, offset, mask);
            }
        }
    }

    /// A disk begins to fail; the process stops when it notices.
    fn sicken(&mut self, at: usize, fault: Fault, how: impl Fn(&MemDisk)) {
        let Some(machine) = self.machines.get_mut(at) else { return };
        if machine.running.is_none() {
            return;
        }
        machine.is_sick = true;
        how(&machine.disk);
        if fault != Fault::CrashInTurn {
            self.faults.count(fault);
        }
        let start = machine.start;
        let when = self.now + self.rng.range(50 * MILLI, 500 * MILLI);
        self.queue.push(when, Event::HealDisk { at, start });
    }

    fn fill_disk(&mut self, at: usize) {
        let Some(machine) = self.machines.get_mut(at).filter(|one| one.running.is_some()) else {
            return;
        };
        let room = self.rng.pick(&[0, 3_000, 100_000]);
        machine.disk.set_capacity(Some(machine.disk.used() + room));
        self.faults.count(Fault::DiskFull);
        let start = machine.start;
        let when = self.now + self.rng.range(100 * MILLI, 3 * SECOND);
        self.queue.push(when, Event::HealDisk { at, start });
    }

    /// The disk is full although it promised room, as where writing copies. Nobody stops for it.
    fn refuse_writes(&mut self, at: usize) {
        let Some(machine) = self.machines.get_mut(at).filter(|one| one.running.is_some()) else {
            return;
        };
        machine.disk.set_refuse_writes(true);
        self.faults.count(Fault::WriteRefused);
        let start = machine.start;
        let when = self.now + self.rng.range(50 * MILLI, 3 * SECOND);
        self.queue.push(when, Event::HealDisk { at, start });
    }

    fn slow_disk(&mut self, at: usize) {
        let Some(machine) = self.machines.get_mut(at) else { return };
        machine.sync_takes = self.rng.pick(&[
            (5 * MILLI, 30 * MILLI),
            (20 * MILLI, 200 * MILLI),
            (300 * MILLI, 900 * MILLI),
        ]);
        let start = machine.start;
        let when = self.now + self.rng.range(100 * MILLI, 3 * SECOND);
        self.queue.push(when, Event::HealDisk { at, start });
    }

    /// A disk is sound again, if its process lived through it.
    pub(crate) fn heal_disk(&mut self, at: usize) {
        let Some(machine) = self.machines.get_mut(at) else { return };
        machine.disk.set_capacity(None);
        machine.disk.set_refuse_writes(false);
        machine.sync_takes = SYNC_TAKES;
        if machine.is_sick && machine.running.is_some() {
            // Part of what it wrote may be lost, so that it has to start anew.
            return self.crash(at, true);
        }
        machine.is_sick = false;
    }

    fn pause(&mut self, at: usize) {
        let Some(machine) = self.machines.get_mut(at) else { return };
        if !machine.is_up() {
            return;
        }
        machine.is_paused = true;
        self.faults.count(Fault::Pause);
        let start = machine.start;
        let how_long = self.rng.pick(&[50 * MILLI, 300 * MILLI, 2 * SECOND, 6 * SECOND]);
        let when = self.now + self.rng.range(10 * MILLI, how_long);
        self.queue.push(when, Event::Resume { at, start });
    }

    pub(crate) fn resume(&mut self, at: usize) {
        if let Some(machine) = self.machines.get_mut(at) {
            machine.is_paused = false;
        }
        self.wake(at, self.now);
    }

    /// Splits the machines into two groups that do not hear each other.
    fn partition(&mut self) {
        let count = self.machines.len();
        let sides: Vec<bool> = (0..count).map(|_| self.rng.permille(500)).collect();
        for (from, one) in sides.iter().enumerate() {
            for (to, other) in sides.iter().enumerate() {
                if one != other {
                    self.network.cut(from, to);
                }
            }
        }
        self.faults.count(Fault::Partition);
        self.heal_network_later();
    }

    fn heal_network_later(&mut self) {
        let how_long = self.rng.pick(&[100 * MILLI, 800 * MILLI, 4 * SECOND]);
        let when = self.now + self.rng.range(20 * MILLI, how_long);
        self.queue.push(when, Event::HealNetwork);
    }

    pub(crate) fn heal_network(&mut self) {
        self.network.heal();
        self.network.quality = Quality::GOOD;
    }

    /// A connection breaks and is made anew at once.
    fn break_connection(&mut self, at: usize) {
        let other = self.rng.index(self.machines.len());
        if other != at {
            self.faults.count(Fault::BrokenConnection);
            self.tell_disconnected(at, other);
        }
    }

    fn set_wall(&mut self, at: usize) {
        let Some(machine) = self.machines.get(at) else { return };
        let by = self.rng.pick(&[MILLI, SECOND, 60 * SECOND, 86_400 * SECOND]);
        let by = self.rng.range(1, by).cast_signed();
        let by = if self.rng.permille(500) { by } else { -by };
        machine.clock.set_wall(by);
        self.faults.count(Fault::WallJump);
    }

    fn hand_over(&mut self) {
        let leader = self.machines.iter_mut().enumerate().find_map(|(at, machine)| {
            let running = machine.running.as_mut().filter(|running| running.is_leader())?;
            running.hand_over();
            Some(at)
        });
        if let Some(at) = leader {
            self.faults.count(Fault::HandOver);
            self.wake(at, self.now);
        }
    }

    /// Puts everything right: from now on nothing goes wrong any more.
    pub(crate) fn heal(&mut self) {
        self.note(format_args!("everything is put right"));
        self.is_healing = true;
        self.heal_network();
        self.end_imposture();
        for at in 0..self.machines.len() {
            self.heal_disk(at);
            self.resume(at);
            let Some(machine) = self.machines.get(at) else { continue };
            if machine.running.is_none() && !machine.is_off {
                let (start, soon) = (machine.start, self.now + MILLI);
                self.queue.push(soon, Event::Start { at, start });
            }
            self.add_probe(at);
        }
    }
}
