//! The bytes of raft's own types, as messages, log records and snapshot files have them in common.

use crate::wire::codec::{self, Malformed};
use protobuf::Message as _;
use raft::eraftpb::{ConfChangeV2, ConfState, Entry, EntryType};

pub(crate) fn encode_entry(out: &mut Vec<u8>, entry: &Entry) {
    codec::put_u64(out, entry.term);
    codec::put_u64(out, entry.index);
    out.push(match entry.get_entry_type() {
        EntryType::EntryNormal => 0,
        EntryType::EntryConfChange => 1,
        EntryType::EntryConfChangeV2 => 2,
    });
    codec::put_bytes(out, &entry.data);
}

pub(crate) fn decode_entry(input: &mut &[u8]) -> Result<Entry, Malformed> {
    let mut entry = Entry::default();
    entry.term = codec::take_u64(input)?;
    entry.index = codec::take_u64(input)?;
    entry.set_entry_type(match codec::take_u8(input)? {
        0 => EntryType::EntryNormal,
        1 => EntryType::EntryConfChange,
        2 => EntryType::EntryConfChangeV2,
        _ => return Err(Malformed),
    });
    entry.data = codec::take_bytes(input)?.to_vec().into();
    Ok(entry)
}

/// Writes raft's configuration: four lists of ids and a flag.
pub(crate) fn encode_conf_state(out: &mut Vec<u8>, conf: &ConfState) {
    for ids in [&conf.voters, &conf.learners, &conf.voters_outgoing, &conf.learners_next] {
        codec::put_u32(out, ids.len());
        ids.iter().for_each(|id| codec::put_u64(out, *id));
    }
    out.push(u8::from(conf.auto_leave));
}

/// Reads what [`encode_conf_state`] wrote.
pub(crate) fn decode_conf_state(input: &mut &[u8]) -> Result<ConfState, Malformed> {
    let mut conf_state = ConfState::default();
    conf_state.voters = take_ids(input)?;
    conf_state.learners = take_ids(input)?;
    conf_state.voters_outgoing = take_ids(input)?;
    conf_state.learners_next = take_ids(input)?;
    conf_state.auto_leave = codec::take_u8(input)? != 0;
    Ok(conf_state)
}

fn take_ids(input: &mut &[u8]) -> Result<Vec<u64>, Malformed> {
    let count = codec::take_u32(input)?;
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(codec::take_u64(input)?);
    }
    Ok(ids)
}

/// The change of the configuration that an entry holds; nothing if it holds none. The older kind
/// is never proposed by any version of this program.
pub(crate) fn parse_conf_change(entry: &Entry) -> Option<ConfChangeV2> {
    if entry.get_entry_type() != EntryType::EntryConfChangeV2 {
        return None;
    }
    ConfChangeV2::parse_from_bytes(&entry.data).ok()
}
