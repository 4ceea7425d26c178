//! The bytes of a raft message between members.
//!
//! raft trusts what it is stepped with and ends the process on what cannot be, so a decoded message
//! is checked first: known type, for this member, entries contiguous and their terms not falling.
//!
//! ```text
//! version u8 | type u8 | to, from, term, log term, index, commit, commit term,
//!   request snapshot, reject hint, priority: u64 each | reject u8 | context | entries u32
//!   | entry, ...
//! ```

use crate::types::MemberId;
use crate::wire::codec::{self, Malformed};
use crate::wire::raft_types;
use raft::eraftpb::{Message, MessageType};

const VERSION: u8 = 1;

/// The types that travel between members. Their position is their number on the wire.
const TYPES: [MessageType; 12] = [
    MessageType::MsgAppend,
    MessageType::MsgAppendResponse,
    MessageType::MsgRequestVote,
    MessageType::MsgRequestVoteResponse,
    MessageType::MsgHeartbeat,
    MessageType::MsgHeartbeatResponse,
    MessageType::MsgTransferLeader,
    MessageType::MsgTimeoutNow,
    MessageType::MsgReadIndex,
    MessageType::MsgReadIndexResp,
    MessageType::MsgRequestPreVote,
    MessageType::MsgRequestPreVoteResponse,
];

pub(crate) fn encode(message: &Message) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    out.push(VERSION);
    let kind = TYPES.iter().position(|kind| *kind == message.get_msg_type());
    let kind = kind.expect("raft has nothing else to say to other members");
    out.push(u8::try_from(kind).expect("there are few types"));
    for number in [
        message.to,
        message.from,
        message.term,
        message.log_term,
        message.index,
        message.commit,
        message.commit_term,
        message.request_snapshot,
        message.reject_hint,
        message.priority.cast_unsigned(),
    ] {
        codec::put_u64(&mut out, number);
    }
    out.push(u8::from(message.reject));
    codec::put_bytes(&mut out, &message.context);
    // A read index travels as the payload of one entry, which has no place in the log.
    codec::put_u32(&mut out, message.entries.len());
    for entry in message.entries.iter() {
        raft_types::encode_entry(&mut out, entry);
    }
    out
}

/// Gives nothing for bytes that are no message for this member.
pub(crate) fn decode(bytes: &[u8], own: MemberId) -> Option<Message> {
    let message = parse(bytes).ok()?;
    // One without a term is what raft tells itself.
    let is_from_another = message.from != own.0 && message.from != 0 && message.term != 0;
    let fits = match message.get_msg_type() {
        MessageType::MsgAppend => is_contiguous(&message),
        // What is asked travels as the payload of an entry.
        MessageType::MsgReadIndex | MessageType::MsgReadIndexResp => message.entries.len() == 1,
        _ => true,
    };
    (message.to == own.0 && is_from_another && fits).then_some(message)
}

fn parse(mut bytes: &[u8]) -> Result<Message, Malformed> {
    let input = &mut bytes;
    if codec::take_u8(input)? != VERSION {
        return Err(Malformed);
    }
    let mut message = Message::default();
    let kind = TYPES.get(usize::from(codec::take_u8(input)?)).ok_or(Malformed)?;
    message.set_msg_type(*kind);
    message.to = codec::take_u64(input)?;
    message.from = codec::take_u64(input)?;
    message.term = codec::take_u64(input)?;
    message.log_term = codec::take_u64(input)?;
    message.index = codec::take_u64(input)?;
    message.commit = codec::take_u64(input)?;
    message.commit_term = codec::take_u64(input)?;
    message.request_snapshot = codec::take_u64(input)?;
    message.reject_hint = codec::take_u64(input)?;
    message.priority = codec::take_u64(input)?.cast_signed();
    message.reject = codec::take_u8(input)? != 0;
    message.context = codec::take_bytes(input)?.to_vec().into();
    let count = codec::take_u32(input)?;
    for _ in 0..count {
        message.entries.push(raft_types::decode_entry(input)?);
    }
    if input.is_empty() { Ok(message) } else { Err(Malformed) }
}

fn is_contiguous(message: &Message) -> bool {
    let mut before = (message.index, message.log_term);
    message.entries.iter().all(|entry| {
        let follows = before.0.checked_add(1) == Some(entry.index) && entry.term >= before.1;
        before = (entry.index, entry.term);
        follows && entry.term <= message.term
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft::eraftpb::Entry;

    fn append(indexes: &[u64]) -> Message {
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgAppend);
        (message.to, message.from, message.term) = (2, 1, 3);
        (message.index, message.log_term, message.commit) = (4, 2, 4);
        for index in indexes {
            let mut entry = Entry::default();
            (entry.index, entry.term) = (*index, 3);
            entry.data = vec![1, 2, 3].into();
            message.entries.push(entry);
        }
        message
    }

    #[test]
    fn a_message_round_trips_and_every_truncation_is_dropped() {
        let message = append(&[5, 6]);
        let bytes = encode(&message);
        assert_eq!(decode(&bytes, MemberId(2)), Some(message));
        for len in 0..bytes.len() {
            assert_eq!(decode(bytes.get(..len).expect("shorter"), MemberId(2)), None);
        }
    }

    #[test]
    fn what_would_end_the_process_is_dropped() {
        assert_eq!(decode(&encode(&append(&[5])), MemberId(3)), None, "for another member");
        assert_eq!(decode(&encode(&append(&[6])), MemberId(2)), None, "leaves a gap");
        assert_eq!(decode(&encode(&append(&[5, 5])), MemberId(2)), None, "not contiguous");
        let mut unknown = encode(&append(&[5]));
        unknown[1] = u8::try_from(TYPES.len()).expect("there are few");
        assert_eq!(decode(&unknown, MemberId(2)), None, "of no type that travels");
        let mut vote = append(&[]);
        vote.set_msg_type(MessageType::MsgRequestVote);
        assert_eq!(decode(&encode(&vote), MemberId(2)).as_ref(), Some(&vote));
        vote.term = 0;
        assert_eq!(decode(&encode(&vote), MemberId(2)), None, "as if raft told itself");
        let mut read = append(&[]);
        read.set_msg_type(MessageType::MsgReadIndex);
        assert_eq!(decode(&encode(&read), MemberId(2)), None, "nothing is asked");
    }
}
