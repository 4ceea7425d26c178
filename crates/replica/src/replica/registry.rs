//! What the leader writes into the registry of members beside their records: all addresses at which
//! clients reach them (`membership/urls.rs`).
//!
//! Only a leader writes there, so that the key of a member is not written again behind its removal.
//! A member asks for it with a message that is lost without harm: it asks again until it is shown.
//! A leader of an older version passes over that message, and writes the record alone.

use crate::membership::Member;
use crate::membership::urls::{ClientUrls, field, is_url};
use crate::replica::Replica;
use crate::replica::state::Announcement;
use crate::types::MemberId;
use crate::wire::batch::Items;
use store::{Author, Command, InternalWrite, KeyPath};

impl Replica {
    /// Whether the registry shows a member with all its addresses.
    pub(crate) fn shows(&self, member: &Member) -> bool {
        self.state.shows(member)
    }

    /// Has the next entry show a member, if this one leads then.
    pub(crate) fn show(&mut self, announcement: Announcement) {
        self.announcements.insert(announcement.member.id, announcement);
    }

    /// A member wants to be shown: with the record in the text, or with the one that it has if
    /// there is none in it.
    pub(crate) fn take_announcement(&mut self, from: MemberId, text: &str) {
        let Some(known) = self.state.membership.member(from).filter(|_| self.is_leader()) else {
            return;
        };
        let mut member = Member { urls: ClientUrls::parse(text), ..known.clone() };
        if let (Some(client), Some(peer)) = (field(text, "etcd"), field(text, "raft")) {
            if !is_url(&client) || !is_url(&peer) {
                return;
            }
            (member.client_url, member.peer_url) = (client, peer);
        }
        self.show(Announcement { member, first: None });
    }

    /// The items that show who is to be shown. While a change of the membership is under way it may
    /// be their removal, so they wait.
    pub(super) fn take_announcements(&mut self) -> Items {
        let mut items = Items::default();
        if self.announcements.is_empty() || self.raw.raft.has_pending_conf() {
            return items;
        }
        for Announcement { member, first } in std::mem::take(&mut self.announcements).into_values()
        {
            let membership = &self.state.membership;
            let is_here = member.id == self.id || membership.member(member.id).is_some();
            if !is_here || membership.was_removed(member.id) {
                continue;
            }
            let record = self.state.registration(&member, first);
            if record.is_none() && self.shows(&member) {
                continue;
            }
            if let Some(control) = record {
                items.push_control(&control);
            }
            push_value(&mut items, &member);
        }
        items
    }
}

/// The write of a member's key with all that is known of it.
pub(crate) fn push_value(items: &mut Items, member: &Member) {
    let (key, value) = (member.registry_key(), member.registry_value());
    if let Ok(path) = KeyPath::parse(&key) {
        let writes = vec![InternalWrite { path, value: Some(&value) }];
        items.push(Author::default(), &Command::Internal { writes });
    }
}
