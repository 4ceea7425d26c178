//! A model of the log, and what several tests need.

use std::collections::BTreeMap;
use wal::mem::MemDisk;
use wal::{Disk, Error, FillTask, Options, Recovered, Seq, SyncTarget, Wal};

pub(crate) const CLUSTER: u64 = 0x5eed;

/// Numbers that look random, the same for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

/// An empty disk, with or without a call that reserves room.
pub(crate) fn new_disk() -> MemDisk {
    let disk = MemDisk::new();
    disk.set_reserving(crate::RESERVING);
    disk
}

/// A log of four records, of which the last two were not synced and the third never reached the
/// disk. With it the name of its segment, and where the third would be.
pub(crate) fn without_third() -> (MemDisk, &'static str, usize) {
    let disk = new_disk();
    let (mut wal, _) = open(&disk).unwrap();
    for seq in 1..=4 {
        wal.append(seq, &[&payload(seq, 1, 100)]).unwrap();
        if seq == 2 {
            wal.sync().unwrap();
        }
    }
    let (name, third) = ("log-0000000000000001.wal", 64 + 2 * 144);
    let mut bytes = disk.content(name).unwrap();
    bytes[third..third + 144].fill(0);
    disk.put(name, &bytes);
    (disk, name, third)
}

/// Small segments, so that a test sees many of them.
pub(crate) fn options() -> Options {
    Options { segment_bytes: 4096, spares_max: 2 }
}

pub(crate) fn open<D: Disk>(disk: &D) -> Result<(Wal<D>, Recovered<D>), Error> {
    Wal::open(disk.clone(), CLUSTER, Seq(0), options())
}

/// Opens a log that must open, and reads all its records.
pub(crate) fn open_all<D: Disk>(disk: &D) -> (Wal<D>, Vec<Vec<u8>>) {
    let (wal, recovered) = open(disk).expect("the log opens");
    let records = recovered.records.collect::<Result<_, _>>().expect("its records can be read");
    (wal, records)
}

/// A payload that says which record it is and who wrote it.
pub(crate) fn payload(seq: u64, life: u64, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len.max(16));
    bytes.extend_from_slice(&seq.to_le_bytes());
    bytes.extend_from_slice(&life.to_le_bytes());
    let mut rng = Rng(seq << 32 | life);
    while bytes.len() < len {
        bytes.extend_from_slice(&rng.next().to_le_bytes());
    }
    bytes.truncate(len.max(16));
    bytes
}

pub(crate) fn seq_of(payload: &[u8]) -> u64 {
    u64::from_le_bytes(payload[..8].try_into().unwrap())
}

/// Runs a fill to its end and reports it.
pub(crate) fn fill<D: Disk>(wal: &mut Wal<D>) -> bool {
    let Some(mut task) = wal.next_fill() else { return false };
    let result = task.run();
    let is_done = result.is_ok();
    wal.filled(task, &result);
    is_done
}

/// What a log must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    records: BTreeMap<u64, (u64, Vec<u8>)>,
    durable: u64,
    released: u64,
}

impl Model {
    pub(crate) fn last_seq(&self) -> u64 {
        self.records.keys().next_back().copied().unwrap_or(0)
    }

    pub(crate) fn append(&mut self, seq: u64, mark: u64, payload: Vec<u8>) {
        assert_eq!(seq, self.last_seq() + 1, "sequence numbers have no gaps");
        self.records.insert(seq, (mark, payload));
    }

    pub(crate) fn synced(&mut self, seq: u64) {
        self.durable = self.durable.max(seq);
    }

    pub(crate) fn release(&mut self, mark: u64) {
        self.released = self.released.max(mark);
    }

    /// Checks what a restart gave: records without gaps, each as it was appended, nothing durable
    /// missing but what was released. From then on all of it is durable, and the rest never was.
    pub(crate) fn restart(&mut self, found: &[Vec<u8>]) {
        for (before, after) in found.iter().zip(found.iter().skip(1)) {
            assert_eq!(seq_of(after), seq_of(before) + 1, "records follow each other");
        }
        for payload in found {
            let (_, appended) = self.records.get(&seq_of(payload)).expect("it was appended");
            assert!(payload == appended, "record {} is another's", seq_of(payload));
        }
        let last = found.last().map_or(0, |payload| seq_of(payload));
        assert!(last >= self.durable, "{} was durable, {last} is the last", self.durable);
        let first = found.first().map_or(1, |payload| seq_of(payload));
        for (seq, (mark, _)) in self.records.range(..first) {
            assert!(*mark <= self.released, "record {seq} was dropped and never released");
        }
        self.records.split_off(&(last + 1));
        self.durable = last;
    }
}

/// A log with its model, on a disk that can fail.
pub(crate) struct Bench {
    pub(crate) disk: MemDisk,
    pub(crate) wal: Wal<MemDisk>,
    pub(crate) model: Model,
    pub(crate) targets: Vec<SyncTarget<MemDisk>>,
    pub(crate) filling: Option<FillTask<MemDisk>>,
    pub(crate) life: u64,
    now: u64,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let disk = new_disk();
        let (wal, records) = open_all(&disk);
        assert!(records.is_empty());
        Self {
            disk,
            wal,
            model: Model::default(),
            targets: Vec::new(),
            filling: None,
            life: 1,
            now: 0,
        }
    }

    pub(crate) fn append(&mut self, mark: u64, len: usize) -> Result<Seq, Error> {
        let bytes = payload(self.model.last_seq() + 1, self.life, len);
        let (front, back) = bytes.split_at(bytes.len() / 3);
        let seq = self.wal.append(mark, &[front, back])?;
        self.model.append(seq.0, mark, bytes);
        Ok(seq)
    }

    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        self.wal.sync()?;
        self.model.synced(self.model.last_seq());
        Ok(())
    }

    /// Syncs and reports the oldest target that was handed out.
    pub(crate) fn finish_target(&mut self) -> Result<(), Error> {
        if self.targets.is_empty() {
            return Ok(());
        }
        let target = self.targets.remove(0);
        let result = target.sync();
        let is_ok = result.is_ok();
        self.wal.synced(target.seq(), result)?;
        if is_ok {
            self.model.synced(target.seq().0);
        }
        Ok(())
    }

    pub(crate) fn step_fill(&mut self, steps: usize) {
        if self.filling.is_none() {
            self.filling = self.wal.next_fill();
        }
        for _ in 0..steps {
            let Some(mut task) = self.filling.take() else { return };
            match task.step() {
                Ok(false) => self.filling = Some(task),
                Ok(true) => self.wal.filled(task, &Ok(())),
                Err(error) => self.wal.filled(task, &Err(error)),
            }
        }
    }

    /// Allows another fill, however often it has failed.
    pub(crate) fn retry_fill(&mut self) {
        for _ in 0..2 {
            self.now += 10_000_000_000_000;
            self.wal.retry_fill(self.now);
        }
    }

    pub(crate) fn release(&mut self, mark: u64) -> Result<(), Error> {
        self.model.release(mark);
        self.wal.release(mark)
    }

    /// Goes on with what is on `disk`. Its records must be what the model allows.
    pub(crate) fn restart_on(&mut self, disk: MemDisk) {
        let (wal, records) = open_all(&disk);
        self.model.restart(&records);
        assert_eq!(wal.last_seq().0, self.model.last_seq());
        assert_eq!(wal.synced_seq(), wal.last_seq());
        (self.disk, self.wal) = (disk, wal);
        self.targets.clear();
        self.filling = None;
        self.life += 1;
    }
}
