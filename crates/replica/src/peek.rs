//! A look at the directory of a member that is not going to be opened: whose it is, and which
//! members it knows. Damage is no obstacle where something can be read all the same: a directory
//! that is about to be given up is often one that is damaged.

use crate::clock::Clock;
use crate::driver::{Driver, Network};
use crate::membership::{Member, Membership};
use crate::replica::apply::parse_conf_change;
use crate::snapshot::format::{self, Header};
use crate::types::{ClusterId, MemberId};
use crate::wire::batch::{BatchReader, Control, Item};
use crate::wire::record;
use raft::eraftpb::{Entry, EntryType};
use wal::{Disk, SnapshotReader};

/// What a directory says of its member and of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peeked {
    /// The cluster that it belongs to.
    pub cluster: ClusterId,
    /// The member whose it is.
    pub id: MemberId,
    /// That member's name.
    pub name: String,
    /// The members that it knows of, itself among them if it was announced.
    pub members: Vec<Member>,
}

impl Peeked {
    /// The members other than the one whose directory this is.
    pub fn others(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.id != self.id)
    }
}

/// Reads the newest snapshot that can be read, and what the log says about members, without
/// changing anything. Entries count whether they were committed or not: this is only about who may
/// be asked. Gives nothing if no snapshot can be read.
///
/// # Errors
/// [`wal::Error`] when the directory itself cannot be read.
pub fn peek<D: Disk>(disk: &D) -> Result<Option<Peeked>, wal::Error> {
    let names = wal::list_snapshots(disk)?;
    let Some(header) = names.iter().rev().find_map(|name| read_header(disk, name)) else {
        return Ok(None);
    };
    let mut membership = header.membership;
    for payload in wal::look(disk, header.log_id)? {
        let Ok(record) = payload.map(|payload| record::decode(&payload)) else { break };
        let Ok(record) = record else { break };
        record.entries.iter().for_each(|entry| note(entry, &mut membership));
    }
    Ok(Some(Peeked {
        cluster: header.cluster,
        id: header.member,
        name: header.name,
        members: membership.members().cloned().collect(),
    }))
}

impl<D: Disk, N: Network, C: Clock> Driver<D, N, C> {
    /// The members as they would be if everything in the log were committed. A member that starts
    /// does not know what of its last entries is, and may have no other way to learn where those
    /// are reached who could tell: this is only about who may be asked.
    pub fn announced(&self) -> Vec<Member> {
        self.membership_ahead().members().cloned().collect()
    }

    /// The membership as the log has it, with what is not applied yet. What a member has just been
    /// started with may be committed already, and it does not know.
    pub(crate) fn membership_ahead(&self) -> Membership {
        let mut membership = self.membership().clone();
        let applied = self.replica.state.applied.0;
        let unapplied = self.replica.raw.store().behind_index(applied);
        unapplied.for_each(|entry| note(entry, &mut membership));
        membership
    }
}

fn read_header<D: Disk>(disk: &D, name: &str) -> Option<Header> {
    let mut reader = SnapshotReader::open(disk, name).ok()?;
    format::read_header(&mut reader).ok()
}

/// Takes in what an entry says about members.
fn note(entry: &Entry, membership: &mut Membership) {
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
