//! A backup: the key space at one point of the log, as a file that belongs to no member.
//!
//! ```text
//! a checked stream (wal/src/stream.rs) with the magic "STEADBAK", whose content is
//! header length u32 | header | store stream
//! header: cluster u64, log index u64, term u64, hash u64, clocks (record.rs),
//!         name of the member that made it, the program and its version,
//!         membership table
//! ```
//! It holds no identity, no vote and no request id: what is made of it is a new cluster.

use crate::clock::Now;
use crate::membership::{ClusterConfig, Member, Membership};
use crate::types::{ClusterId, LogIndex, Term};
use crate::wire::codec::{self, Malformed};
use crate::wire::record;
use std::io::{self, Read, Write};
use store::{Limits, Stamp, Store, StoreIndex, StoreSnapshot};
use wal::{CheckedReader, CheckedWriter};

/// What a backup begins with.
pub const BACKUP_MAGIC: [u8; 8] = *b"STEADBAK";

const VERSION: u8 = 1;
const HEADER_BYTES_MAX: usize = 16 << 20;

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct BackupInfo {
    /// The cluster that it was made of.
    pub cluster: ClusterId,
    /// The last entry of that cluster's log whose effect is in it.
    pub log_index: LogIndex,
    /// The term of that entry.
    pub term: Term,
    /// The running hash of all entries up to there.
    pub hash: u64,
    /// The cluster's clock at that point.
    pub stamp: Stamp,
    /// The clocks of the machine that made it; `wall` is when it was made.
    pub made: Now,
    /// The name of the member that made it.
    pub made_by: String,
    /// The program that made it, with its version.
    pub program: String,
    pub(crate) membership: Membership,
}

impl BackupInfo {
    /// The members at that point, in the order of their ids.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.membership.members()
    }

    /// The configuration of the cluster.
    pub fn config(&self) -> ClusterConfig {
        self.membership.config()
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        codec::put_u64(&mut out, self.cluster.0);
        codec::put_u64(&mut out, self.log_index.0);
        codec::put_u64(&mut out, self.term.0);
        codec::put_u64(&mut out, self.hash);
        record::encode_clocks(&mut out, self.stamp, self.made);
        codec::put_bytes(&mut out, self.made_by.as_bytes());
        codec::put_bytes(&mut out, self.program.as_bytes());
        self.membership.encode(&mut out);
        out
    }

    fn decode(mut input: &[u8]) -> Result<Self, Malformed> {
        let input = &mut input;
        let cluster = ClusterId(codec::take_u64(input)?);
        let log_index = LogIndex(codec::take_u64(input)?);
        let term = Term(codec::take_u64(input)?);
        let hash = codec::take_u64(input)?;
        let (stamp, made) = record::decode_clocks(input)?;
        let made_by = codec::take_text(input)?.to_owned();
        let program = codec::take_text(input)?.to_owned();
        let membership = Membership::decode(input)?;
        if !input.is_empty() {
            return Err(Malformed);
        }
        Ok(Self { cluster, log_index, term, hash, stamp, made, made_by, program, membership })
    }
}

/// A backup that is to be written. It shares the store's nodes, so that making it costs nothing;
/// the store copies what it changes meanwhile.
#[derive(Clone, Debug)]
pub struct Backup {
    info: BackupInfo,
    store: StoreSnapshot,
}

impl Backup {
    pub(crate) fn new(info: BackupInfo, store: StoreSnapshot) -> Self {
        Self { info, store }
    }

    /// What it says of itself.
    pub fn info(&self) -> &BackupInfo {
        &self.info
    }

    /// The index of the last change in it.
    pub fn index(&self) -> StoreIndex {
        self.store.index()
    }

    /// Writes it, in pieces of some 64 KiB. Gives back `out`.
    ///
    /// # Errors
    /// What `out` gave. What was written before is of no use then.
    pub fn write<W: Write>(&self, out: W) -> io::Result<W> {
        let mut out = CheckedWriter::create(out, BACKUP_MAGIC, VERSION)?;
        let header = self.info.encode();
        let mut front = Vec::new();
        codec::put_u32(&mut front, header.len());
        out.write_all(&front)?;
        out.write_all(&header)?;
        self.store.write(&mut out)?;
        out.finish()
    }
}

/// Reads a backup as a whole, and checks all of it.
///
/// # Errors
/// `InvalidData` with what is wrong and where, or what `input` gave.
pub fn read_backup(input: impl Read, limits: Limits) -> io::Result<(BackupInfo, Store)> {
    let (mut reader, _) = CheckedReader::open(input, BACKUP_MAGIC, &[VERSION])?;
    let mut front = [0; 4];
    reader.read_exact(&mut front)?;
    let len = usize::try_from(u32::from_le_bytes(front)).unwrap_or(usize::MAX);
    if len > HEADER_BYTES_MAX {
        return Err(invalid(&format!("its header of {len} bytes is too long")));
    }
    let mut header = vec![0; len];
    reader.read_exact(&mut header)?;
    let info = BackupInfo::decode(&header).map_err(|_| invalid("its header is malformed"))?;
    let store = Store::load(&mut reader, limits)?;
    reader.finish()?;
    Ok((info, store))
}

fn invalid(detail: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::Member;
    use crate::types::MemberId;
    use store::{Command, KeyPath, Timestamp, WallOffset};

    fn sample() -> (BackupInfo, Store) {
        let mut membership = Membership::founded_by(vec![MemberId(1)], Vec::new());
        membership.register(Member {
            id: MemberId(1),
            name: "m1".into(),
            client_url: "http://127.0.0.1:4001".into(),
            peer_url: "http://127.0.0.1:7001".into(),
            ..Member::default()
        });
        let stamp = Stamp { time: Timestamp(70), wall_offset: WallOffset(-1) };
        let info = BackupInfo {
            cluster: ClusterId(9),
            log_index: LogIndex(5),
            term: Term(2),
            hash: 7,
            stamp,
            made: Now { boot: 1, monotonic: 2, wall: 3 },
            made_by: "m1".into(),
            program: "stead 0".into(),
            membership,
        };
        let mut store = Store::new(Limits::default());
        for at in 0..300 {
            let key = format!("/dir/{at}");
            let path = KeyPath::parse(&key).expect("clean");
            let set = Command::Set { path, value: &key, dir: false, ttl: Some(at), refresh: false };
            store.apply(&set, stamp, &mut Vec::new()).expect("nothing is in the way");
        }
        (info, store)
    }

    fn bytes_of(store: &Store) -> Vec<u8> {
        let mut bytes = Vec::new();
        store.snapshot().write(&mut bytes).expect("memory takes it");
        bytes
    }

    #[test]
    fn a_backup_comes_back_and_no_damage_passes() {
        let (info, store) = sample();
        let backup = Backup::new(info.clone(), store.snapshot());
        let bytes = backup.write(Vec::new()).expect("memory takes it");
        let (read, loaded) = read_backup(&bytes[..], Limits::default()).expect("it is whole");
        assert_eq!((read, bytes_of(&loaded)), (info, bytes_of(&store)));
        for at in (0..bytes.len()).step_by(97) {
            assert!(read_backup(&bytes[..at], Limits::default()).is_err(), "cut at {at}");
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            assert!(read_backup(&flipped[..], Limits::default()).is_err(), "flipped at {at}");
        }
    }
}
