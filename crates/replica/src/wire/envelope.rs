//! The bytes that members exchange: raft's messages and what travels beside them.
//!
//! ```text
//! version u8 | kind u8 | fields        kinds below 64 are raft's own, see message.rs
//! 71 forward: term, start, seq, floor u64 | items   65 change: term, start, seq u64 | change
//! 66 forward accepted: start, seq, term, index, offset u64   67 refused: start, seq u64 | error u8
//! 72 members: id u64, ...                        73 doubled: address text
//! 68 piece: snapshot term, index, member term, offset, total u64 | configuration | bytes
//! 74 report: nonce, term, last index, last term u64 | voter id u64, ...
//! 69 piece wanted: index, offset u64
//! 70 beacon: index, hash, uptime, wall u64 | version text
//! 75 disk: 1 while it takes no writes, else 0, u64
//! 76 announce: text, as in the registry
//! ```
//! Members trust one another, but not their bytes: what cannot be is dropped.

use crate::error::EngineError;
use crate::identity::reports::Report;
use crate::membership::change::Change;
use crate::session::ForwardId;
use crate::types::{LogPosition, MemberId, Term};
use crate::wire::codec::{self, Malformed};
use crate::wire::raft_message;
use crate::wire::raft_types;
use crate::wire::vitals::Vitals;
use raft::eraftpb::{ConfState, Message};

pub(crate) const VERSION: u8 = 1;

/// The first kind that is not raft's. Release 0.1 forwarded with it, without a floor.
const KINDS_OWN: u8 = 64;
const FORWARD: u8 = 71;
const CHANGE: u8 = 65;
const FORWARD_ACCEPTED: u8 = 66;
const REFUSED: u8 = 67;
const PIECE: u8 = 68;
const PIECE_WANTED: u8 = 69;
const BEACON: u8 = 70;
const MEMBERS: u8 = 72;
const DOUBLED: u8 = 73;
const REPORT: u8 = 74;
const DISK: u8 = 75;
const ANNOUNCE: u8 = 76;
const VITALS: u8 = 77;

/// How many members are named to another one at most.
const MEMBERS_MAX: usize = 256;

/// Longest version text of a beacon, in bytes.
const VERSION_TEXT_MAX: usize = 64;

/// Longest address of another process, in bytes.
const ADDRESS_TEXT_MAX: usize = 1024;

/// Longest text of an announcement, in bytes.
const ANNOUNCEMENT_TEXT_MAX: usize = 64 << 10;

/// A piece of a snapshot on its way to a member that lags.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Piece<'a> {
    /// The sender's term: with the configuration it makes raft's own message.
    pub(crate) sender_term: u64,
    pub(crate) index: u64,
    pub(crate) term: u64,
    pub(crate) offset: u64,
    pub(crate) total: u64,
    pub(crate) conf_state: ConfState,
    pub(crate) bytes: &'a [u8],
}

/// What arrives from another member.
#[derive(Debug, PartialEq)]
pub(crate) enum Envelope<'a> {
    Raft(Box<Message>),
    /// Commands for the leader of `term` to propose; everything up to `floor` is settled where they
    /// come from.
    Forward {
        term: u64,
        id: ForwardId,
        floor: u64,
        items: &'a [u8],
    },
    /// A change of the membership for the leader of `term` to propose.
    Change {
        term: u64,
        id: ForwardId,
        change: Change,
    },
    /// Where in the log a forwarded change was proposed: it is the item at `offset` of that entry.
    ForwardAccepted {
        id: ForwardId,
        position: LogPosition,
        offset: usize,
    },
    /// What was forwarded was not proposed.
    Refused {
        id: ForwardId,
        error: EngineError,
    },
    Piece(Box<Piece<'a>>),
    /// The receiver of a snapshot has everything below `offset`.
    PieceWanted {
        index: u64,
        offset: u64,
    },
    /// How far the sender has applied, the hash of all that it applied, for how many seconds it has
    /// been running, and its wall clock.
    Beacon {
        index: u64,
        hash: u64,
        uptime: u64,
        wall: u64,
        version: &'a str,
    },
    /// Who is a member by the sender's configuration: a member that was away may be called by one
    /// that it does not know.
    Members(Vec<MemberId>),
    /// How far the sender's log goes, for a receiver that may have forgotten what it promised: for
    /// its start with this nonce.
    Report {
        nonce: u64,
        report: Report,
    },
    /// Another process has the receiver's identity, and was refused; it is reached there.
    Doubled {
        address: &'a str,
    },
    /// Whether the sender's disk takes no writes. It is said when that changes, and once a second
    /// while it is so.
    Disk {
        is_stuck: bool,
    },
    /// How the sender is to be shown in the registry: a value of it, without `etcd` and `raft` if
    /// its record is to stay. Releases that do not know it drop it.
    Announce {
        text: &'a str,
    },
    /// How the sender is. Releases that do not know it drop it.
    Vitals(Box<Vitals>),
}

impl Envelope<'_> {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (kind, numbers): (u8, Vec<u64>) = match self {
            Envelope::Raft(message) => return raft_message::encode(message),
            Envelope::Forward { term, id, floor, .. } => {
                (FORWARD, vec![*term, id.start, id.seq, *floor])
            }
            Envelope::Change { term, id, .. } => (CHANGE, vec![*term, id.start, id.seq]),
            Envelope::ForwardAccepted { id, position, offset } => {
                let LogPosition { index, term } = position;
                (FORWARD_ACCEPTED, vec![id.start, id.seq, term.0, index.0, *offset as u64])
            }
            Envelope::Refused { id, .. } => (REFUSED, vec![id.start, id.seq]),
            Envelope::Piece(piece) => {
                (PIECE, vec![piece.term, piece.index, piece.sender_term, piece.offset, piece.total])
            }
            Envelope::PieceWanted { index, offset } => (PIECE_WANTED, vec![*index, *offset]),
            Envelope::Beacon { index, hash, uptime, wall, .. } => {
                (BEACON, vec![*index, *hash, *uptime, *wall])
            }
            Envelope::Members(ids) => {
                (MEMBERS, ids.iter().take(MEMBERS_MAX).map(|id| id.0).collect())
            }
            Envelope::Report { nonce, report } => {
                let Report { term, last, voters } = report;
                let mut numbers = vec![*nonce, term.0, last.index.0, last.term.0];
                numbers.extend(voters.iter().take(MEMBERS_MAX).map(|id| id.0));
                (REPORT, numbers)
            }
            Envelope::Doubled { .. } => (DOUBLED, Vec::new()),
            Envelope::Announce { .. } => (ANNOUNCE, Vec::new()),
            Envelope::Vitals(_) => (VITALS, Vec::new()),
            Envelope::Disk { is_stuck } => (DISK, vec![u64::from(*is_stuck)]),
        };
        let mut out = vec![VERSION, kind];
        numbers.iter().for_each(|number| codec::put_u64(&mut out, *number));
        match self {
            Envelope::Forward { items, .. } => out.extend_from_slice(items),
            Envelope::Change { change, .. } => change.encode(&mut out),
            Envelope::Refused { error, .. } => out.push(error.code()),
            Envelope::Piece(piece) => {
                raft_types::encode_conf_state(&mut out, &piece.conf_state);
                out.extend_from_slice(piece.bytes);
            }
            Envelope::Beacon { version: text, .. }
            | Envelope::Doubled { address: text }
            | Envelope::Announce { text } => {
                out.extend_from_slice(text.as_bytes());
            }
            Envelope::Vitals(vitals) => vitals.encode(&mut out),
            _ => {}
        }
        out
    }
}

/// Gives nothing for bytes that are no message from `from` to this member.
pub(crate) fn decode(bytes: &[u8], from: MemberId, own: MemberId) -> Option<Envelope<'_>> {
    let kind = *bytes.get(1).filter(|_| bytes.first() == Some(&VERSION))?;
    if kind < KINDS_OWN {
        let message = raft_message::decode(bytes, own)?;
        return (message.from == from.0).then(|| Envelope::Raft(Box::new(message)));
    }
    parse(kind, bytes.get(2..)?).ok()
}

fn parse(kind: u8, mut bytes: &[u8]) -> Result<Envelope<'_>, Malformed> {
    let input = &mut bytes;
    let envelope = match kind {
        FORWARD => {
            let (term, id) = (codec::take_u64(input)?, take_id(input)?);
            return Ok(Envelope::Forward {
                term,
                id,
                floor: codec::take_u64(input)?,
                items: input,
            });
        }
        CHANGE => Envelope::Change {
            term: codec::take_u64(input)?,
            id: take_id(input)?,
            change: Change::decode(input)?,
        },
        FORWARD_ACCEPTED => {
            let (id, term, index) =
                (take_id(input)?, codec::take_u64(input)?, codec::take_u64(input)?);
            let offset = usize::try_from(codec::take_u64(input)?).map_err(|_| Malformed)?;
            Envelope::ForwardAccepted { id, position: LogPosition::new(index, term), offset }
        }
        REFUSED => Envelope::Refused {
            id: take_id(input)?,
            error: EngineError::from_code(codec::take_u8(input)?).ok_or(Malformed)?,
        },
        PIECE => return take_piece(input),
        PIECE_WANTED => Envelope::PieceWanted {
            index: codec::take_u64(input)?,
            offset: codec::take_u64(input)?,
        },
        BEACON => {
            let (index, hash) = (codec::take_u64(input)?, codec::take_u64(input)?);
            let (uptime, wall) = (codec::take_u64(input)?, codec::take_u64(input)?);
            let version = std::str::from_utf8(input).map_err(|_| Malformed)?;
            if version.len() > VERSION_TEXT_MAX {
                return Err(Malformed);
            }
            return Ok(Envelope::Beacon { index, hash, uptime, wall, version });
        }
        MEMBERS => Envelope::Members(take_members(input)?),
        REPORT => {
            let (nonce, term) = (codec::take_u64(input)?, Term(codec::take_u64(input)?));
            let last = LogPosition::new(codec::take_u64(input)?, codec::take_u64(input)?);
            let voters = take_members(input)?;
            Envelope::Report { nonce, report: Report { term, last, voters } }
        }
        DOUBLED => {
            let address = std::str::from_utf8(input).map_err(|_| Malformed)?;
            if address.len() > ADDRESS_TEXT_MAX {
                return Err(Malformed);
            }
            return Ok(Envelope::Doubled { address });
        }
        ANNOUNCE => {
            let text = std::str::from_utf8(input).map_err(|_| Malformed)?;
            if text.len() > ANNOUNCEMENT_TEXT_MAX {
                return Err(Malformed);
            }
            return Ok(Envelope::Announce { text });
        }
        VITALS => Envelope::Vitals(Box::new(Vitals::decode(input)?)),
        DISK => match codec::take_u64(input)? {
            word @ 0..=1 => Envelope::Disk { is_stuck: word == 1 },
            _ => return Err(Malformed),
        },
        _ => return Err(Malformed),
    };
    if input.is_empty() { Ok(envelope) } else { Err(Malformed) }
}

fn take_id(input: &mut &[u8]) -> Result<ForwardId, Malformed> {
    Ok(ForwardId { start: codec::take_u64(input)?, seq: codec::take_u64(input)? })
}

/// Takes ids up to the end.
fn take_members(input: &mut &[u8]) -> Result<Vec<MemberId>, Malformed> {
    let mut ids = Vec::new();
    while !input.is_empty() {
        ids.push(MemberId(codec::take_u64(input)?));
        if ids.len() > MEMBERS_MAX {
            return Err(Malformed);
        }
    }
    Ok(ids)
}

fn take_piece<'a>(input: &mut &'a [u8]) -> Result<Envelope<'a>, Malformed> {
    let (term, index) = (codec::take_u64(input)?, codec::take_u64(input)?);
    let sender_term = codec::take_u64(input)?;
    let (offset, total) = (codec::take_u64(input)?, codec::take_u64(input)?);
    let conf_state = raft_types::decode_conf_state(input)?;
    let end = offset.checked_add(input.len() as u64).ok_or(Malformed)?;
    if index == 0 || input.is_empty() || end > total {
        return Err(Malformed);
    }
    let bytes = *input;
    let piece = Piece { sender_term, index, term, offset, total, conf_state, bytes };
    Ok(Envelope::Piece(Box::new(piece)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::Member;

    const FROM: MemberId = MemberId(1);
    const TO: MemberId = MemberId(2);

    fn examples() -> Vec<Envelope<'static>> {
        let id = ForwardId { start: 7, seq: 8 };
        let member = Member {
            id: MemberId(4),
            name: "m4".into(),
            client_url: "http://c".into(),
            peer_url: "http://p".into(),
            ..Member::default()
        };
        let mut conf_state = ConfState::default();
        conf_state.voters = vec![1, 2];
        vec![
            Envelope::Change { term: 3, id, change: Change::Join(member) },
            Envelope::Change { term: 3, id, change: Change::Remove(MemberId(4)) },
            Envelope::ForwardAccepted { id, position: LogPosition::new(9, 3), offset: 2 },
            Envelope::Refused { id, error: EngineError::QuorumAtRisk },
            Envelope::Piece(Box::new(Piece {
                sender_term: 3,
                index: 10,
                term: 2,
                offset: 0,
                total: 5,
                conf_state,
                bytes: b"bytes",
            })),
            Envelope::PieceWanted { index: 10, offset: 5 },
            Envelope::Forward { term: 3, id, floor: 6, items: b"items" },
            Envelope::Beacon { index: 4, hash: 5, uptime: 6, wall: 7, version: "0.1.0" },
            Envelope::Members(vec![MemberId(1), MemberId(2)]),
            Envelope::Report {
                nonce: 9,
                report: Report {
                    term: Term(3),
                    last: LogPosition::new(9, 2),
                    voters: vec![MemberId(1), MemberId(2)],
                },
            },
            Envelope::Doubled { address: "127.0.0.1:7003" },
            Envelope::Announce { text: "etcd=http%3A%2F%2Fa%3A1&raft=x&v2=http%3A%2F%2Fa%3A2" },
            Envelope::Announce { text: "" },
            Envelope::Disk { is_stuck: false },
            Envelope::Disk { is_stuck: true },
            Envelope::Vitals(Box::default()),
            Envelope::Vitals(Box::new(Vitals {
                commit: Some(9),
                failing: vec!["disk".into()],
                ..Vitals::default()
            })),
        ]
    }

    #[test]
    fn everything_round_trips() {
        for envelope in examples() {
            let bytes = envelope.encode();
            assert_eq!(decode(&bytes, FROM, TO), Some(envelope));
        }
    }

    #[test]
    fn no_truncation_and_no_other_version_ends_the_process() {
        for envelope in examples() {
            let mut bytes = envelope.encode();
            for len in 0..bytes.len() {
                let cut = bytes.get(..len).expect("shorter");
                assert_ne!(decode(cut, FROM, TO), Some(envelope_of(&bytes)), "cut at {len}");
            }
            bytes[0] = 9;
            assert_eq!(decode(&bytes, FROM, TO), None);
        }
        assert_eq!(decode(&[], FROM, TO), None);
        assert_eq!(decode(&[VERSION, 99], FROM, TO), None);
    }

    fn envelope_of(bytes: &[u8]) -> Envelope<'_> {
        decode(bytes, FROM, TO).expect("whole")
    }

    #[test]
    fn a_piece_beyond_its_end_is_dropped() {
        let piece = Piece {
            sender_term: 3,
            index: 10,
            term: 2,
            offset: 3,
            total: 5,
            conf_state: ConfState::default(),
            bytes: b"bytes",
        };
        assert_eq!(decode(&Envelope::Piece(Box::new(piece)).encode(), FROM, TO), None);
    }

    #[test]
    fn texts_without_a_bound_are_dropped() {
        let address = "a".repeat(ADDRESS_TEXT_MAX + 1);
        let encode = |address| Envelope::Doubled { address }.encode();
        assert_eq!(decode(&encode(&address), FROM, TO), None);
        assert!(decode(&encode(&address[1..]), FROM, TO).is_some());
        assert_eq!(decode(&[VERSION, DOUBLED, 0xff], FROM, TO), None);
        let text = "a".repeat(ANNOUNCEMENT_TEXT_MAX + 1);
        assert_eq!(decode(&Envelope::Announce { text: &text }.encode(), FROM, TO), None);
    }

    #[test]
    fn a_message_in_anothers_name_is_dropped() {
        let mut message = Message::default();
        message.set_msg_type(raft::eraftpb::MessageType::MsgHeartbeat);
        (message.from, message.to, message.term) = (1, 2, 3);
        let bytes = Envelope::Raft(Box::new(message)).encode();
        assert!(decode(&bytes, FROM, TO).is_some());
        assert!(decode(&bytes, MemberId(3), TO).is_none());
    }
}
