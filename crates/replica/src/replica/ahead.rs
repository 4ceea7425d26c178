//! What the log says about members, before it is applied.

use crate::membership::Membership;
use crate::types::MemberId;
use crate::wire::batch::{BatchReader, Control, Item};
use crate::wire::raft_types::parse_conf_change;
use raft::eraftpb::{ConfChangeType, Entry, EntryType};

/// Takes in what an entry says about members.
pub(crate) fn note(entry: &Entry, membership: &mut Membership) {
    let change;
    let batch: &[u8] = if entry.get_entry_type() == EntryType::EntryNormal {
        &entry.data
    } else {
        let Some(parsed) = parse_conf_change(entry) else { return };
        change = parsed;
        &change.context
    };
    let Ok(Some(mut batch)) = BatchReader::open(batch) else { return };
    while let Ok(Some(item)) = batch.next_item() {
        match item {
            Item::Control(Control::Register { member, .. }) => membership.register(member),
            Item::Control(Control::Remove(id)) => drop(membership.remove(id, false)),
            Item::Control(Control::Expel(id)) => drop(membership.remove(id, true)),
            Item::Control(Control::Started(id, identity)) => membership.note_start(id, identity),
            _ => {}
        }
    }
}

/// Whom an entry gives a vote.
pub(crate) fn new_voters(entry: &Entry) -> impl Iterator<Item = MemberId> {
    changed(entry, ConfChangeType::AddNode)
}

/// Whom an entry removes from the configuration.
pub(crate) fn removed_voters(entry: &Entry) -> impl Iterator<Item = MemberId> {
    changed(entry, ConfChangeType::RemoveNode)
}

fn changed(entry: &Entry, kind: ConfChangeType) -> impl Iterator<Item = MemberId> {
    let changes = parse_conf_change(entry).map(|change| change.changes.to_vec());
    let all = changes.into_iter().flatten();
    all.filter(move |one| one.get_change_type() == kind).map(|one| MemberId(one.node_id))
}
