//! What a snapshot file holds: who this member is, how far it had applied, and the whole store.
//!
//! ```text
//! version u8 | header length u32 | header | store stream
//! header: cluster u64, member u64, name, index u64, term u64, hash u64,
//!         clocks (record.rs), configuration (4 lists of ids, flag u8), membership table,
//!         identity of the directory (18 u64), log id u64, origin u64,
//!         identities of the members,
//!         sessions (session.rs) with their length in front
//! ```
//! Version 1 ends with the membership table; its log id is the cluster's, and no request had an id.
//!
//! Checksums and the file's life cycle are the `wal` crate's business.

use crate::clock::Now;
use crate::identity::Identity;
use crate::membership::Membership;
use crate::session::Sessions;
use crate::types::{ClusterId, LogIndex, LogPosition, MemberId, Term};
use crate::wire::codec::{self, Malformed};
use crate::wire::raft_types::{decode_conf_state, encode_conf_state};
use crate::wire::record;
use raft::eraftpb::ConfState;
use std::io::{self, Read, Write};
use store::{Limits, Stamp, Store, StoreSnapshot};

const VERSION: u8 = 2;
/// What release 0.1 wrote.
const VERSION_1: u8 = 1;
const HEADER_BYTES_MAX: usize = 16 << 20;

/// Everything in a snapshot but the store.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) cluster: ClusterId,
    pub(crate) member: MemberId,
    pub(crate) name: String,
    pub(crate) index: LogIndex,
    pub(crate) term: Term,
    /// The running hash of all entries up to `index`.
    pub(crate) hash: u64,
    pub(crate) stamp: Stamp,
    pub(crate) seen: Now,
    pub(crate) conf_state: ConfState,
    pub(crate) membership: Membership,
    /// The latest start of the directory that was durable when this was written.
    pub(crate) identity: Identity,
    /// What the log behind this snapshot is marked with: no other directory has it.
    pub(crate) log_id: u64,
    /// What tells the file that this was written in from a copy of it; zero where the disk does not
    /// know.
    pub(crate) origin: u64,
    pub(crate) sessions: Sessions,
}

/// Whose snapshot it is: the parts of a header that do not come from the replicated state.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotOwner {
    pub(crate) cluster: ClusterId,
    pub(crate) name: String,
    pub(crate) identity: Identity,
    pub(crate) log_id: u64,
    pub(crate) origin: u64,
}

impl Header {
    /// The last entry that is part of it.
    pub(crate) fn position(&self) -> LogPosition {
        LogPosition { index: self.index, term: self.term }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        codec::put_u64(out, self.cluster.0);
        codec::put_u64(out, self.member.0);
        codec::put_bytes(out, self.name.as_bytes());
        codec::put_u64(out, self.index.0);
        codec::put_u64(out, self.term.0);
        codec::put_u64(out, self.hash);
        record::encode_clocks(out, self.stamp, self.seen);
        encode_conf_state(out, &self.conf_state);
        self.membership.encode(out);
        self.identity.encode(out);
        codec::put_u64(out, self.log_id);
        codec::put_u64(out, self.origin);
        self.membership.encode_identities(out);
        let mut sessions = Vec::new();
        self.sessions.encode(&mut sessions);
        codec::put_bytes(out, &sessions);
    }

    fn decode(mut input: &[u8], version: u8) -> Result<Self, Malformed> {
        let input = &mut input;
        let cluster = ClusterId(codec::take_u64(input)?);
        let member = MemberId(codec::take_u64(input)?);
        let name = codec::take_text(input)?.to_owned();
        let index = LogIndex(codec::take_u64(input)?);
        let term = Term(codec::take_u64(input)?);
        let hash = codec::take_u64(input)?;
        let (stamp, seen) = record::decode_clocks(input)?;
        let conf_state = decode_conf_state(input)?;
        let mut membership = Membership::decode(input)?;
        let (mut identity, mut log_id, mut origin) = (Identity::default(), cluster.0, 0);
        let mut sessions = Sessions::default();
        if version > VERSION_1 {
            (identity, log_id) = (Identity::decode(input)?, codec::take_u64(input)?);
            origin = codec::take_u64(input)?;
            membership.decode_identities(input)?;
            sessions = Sessions::decode(codec::take_bytes(input)?)?;
        }
        if !input.is_empty() || member.0 == 0 {
            return Err(Malformed);
        }
        Ok(Self {
            cluster,
            member,
            name,
            index,
            term,
            hash,
            stamp,
            seen,
            conf_state,
            membership,
            identity,
            log_id,
            origin,
            sessions,
        })
    }
}

/// Writes a whole snapshot into `out`.
pub(crate) fn write(header: &Header, store: &StoreSnapshot, out: &mut dyn Write) -> io::Result<()> {
    let mut bytes = Vec::new();
    header.encode(&mut bytes);
    let mut front = vec![VERSION];
    codec::put_u32(&mut front, bytes.len());
    out.write_all(&front)?;
    out.write_all(&bytes)?;
    store.write(out)
}

/// Reads the header, and leaves `input` at the store.
pub(crate) fn read_header(input: &mut dyn Read) -> io::Result<Header> {
    let mut front = [0; 5];
    input.read_exact(&mut front)?;
    let [version, len @ ..] = front;
    if !matches!(version, VERSION_1 | VERSION) {
        return Err(invalid(format!("snapshot content of unknown version {version}")));
    }
    let len = usize::try_from(u32::from_le_bytes(len)).unwrap_or(usize::MAX);
    if len > HEADER_BYTES_MAX {
        return Err(invalid(format!("snapshot header of {len} bytes is too long")));
    }
    let mut bytes = vec![0; len];
    input.read_exact(&mut bytes)?;
    Header::decode(&bytes, version).map_err(|_| invalid("snapshot header is malformed".to_owned()))
}

/// Reads a whole snapshot.
pub(crate) fn read(input: &mut dyn Read, limits: Limits) -> io::Result<(Header, Store)> {
    let header = read_header(input)?;
    let store = Store::load(input, limits)?;
    Ok((header, store))
}

fn invalid(detail: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::ForwardId;
    use crate::session::Mark;
    use store::{Timestamp, WallOffset};

    #[test]
    fn a_header_round_trips_and_every_truncation_is_noticed() {
        let mut conf_state = ConfState::default();
        conf_state.voters = vec![1, 2];
        conf_state.learners = vec![3];
        let mut header = Header {
            cluster: ClusterId(5),
            member: MemberId(1),
            name: "m0".into(),
            index: LogIndex(77),
            term: Term(4),
            hash: 99,
            stamp: Stamp { time: Timestamp(6), wall_offset: WallOffset(-1) },
            seen: Now { boot: 1, monotonic: 2, wall: 3 },
            conf_state,
            membership: Membership::default(),
            identity: Identity { incarnation: 1, start: 2, ..Identity::default() },
            log_id: 8,
            origin: 9,
            sessions: Sessions::default(),
        };
        let id = ForwardId { start: 4, seq: 2 };
        header.sessions.begin(&Mark { member: MemberId(9), id, floor: 1, count: 1 }, 70);
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        assert_eq!(Header::decode(&bytes, VERSION).as_ref(), Ok(&header));
        for len in 0..bytes.len() {
            assert!(Header::decode(bytes.get(..len).expect("shorter"), VERSION).is_err());
        }
        let mut sessions = Vec::new();
        header.sessions.encode(&mut sessions);
        let first = &bytes[..bytes.len() - sessions.len() - 4 - 18 * 8 - 8 - 8 - 4];
        let first = Header::decode(first, VERSION_1).expect("what version 1 had");
        assert_eq!((first.identity, first.log_id), (Identity::default(), 5));
        assert_eq!(first.sessions, Sessions::default());
    }

    #[test]
    fn a_newer_content_and_an_endless_header_are_refused_by_name() {
        let text = |bytes: &[u8]| {
            let error = read_header(&mut &bytes[..]).expect_err("it is refused");
            error.to_string()
        };
        assert!(text(&[VERSION + 1, 0, 0, 0, 0]).contains("unknown version"));
        assert!(text(&[VERSION, 0xff, 0xff, 0xff, 0xff]).contains("too long"));
        assert!(text(&[VERSION, 4, 0, 0, 0, 1, 2, 3, 4]).contains("malformed"));
        assert!(read_header(&mut &[VERSION, 4, 0][..]).is_err(), "it ends too early");
    }
}
