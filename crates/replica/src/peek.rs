//! A look at the directory of a member that is not going to be opened: whose it is, and which
//! members it knows. Damage is no obstacle where something can be read all the same: a directory
//! that is about to be given up is often one that is damaged.

use crate::membership::Member;
use crate::replica::ahead;
use crate::snapshot::format::{self, Header};
use crate::types::{ClusterId, MemberId};
use crate::wire::record;
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
        record.entries.iter().for_each(|entry| ahead::note(entry, &mut membership));
    }
    Ok(Some(Peeked {
        cluster: header.cluster,
        id: header.member,
        name: header.name,
        members: membership.members().cloned().collect(),
    }))
}

fn read_header<D: Disk>(disk: &D, name: &str) -> Option<Header> {
    let mut reader = SnapshotReader::open(disk, name).ok()?;
    format::read_header(&mut reader).ok()
}
