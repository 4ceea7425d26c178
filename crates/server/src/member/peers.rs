//! The other members as this one sees them: what they say over the connections that they dialled,
//! who is connected to, and what an operator has to know of them.

use super::context::{Context, Effect};
use super::inbound::{Heard, Inbound};
use super::inquiry;
use crate::net::Key;
use crate::notice::notice;
use crate::peer::{PeerEvent, frame};
use crate::text::printable;
use replica::{Clock, MemberId};

/// How long all members are silent until they may have been replaced: 10 s.
const REPLACED_NS: u64 = 10_000_000_000;

/// Takes the messages in what a member sent. Gives how many bytes were used; nothing if the
/// connection must be closed.
pub(crate) fn take_frames(
    cx: &mut Context,
    key: Key,
    from: MemberId,
    bytes: &[u8],
) -> Option<usize> {
    let now = cx.now.monotonic;
    if let Some(peer) = cx.inbound.peers.get_mut(&from).filter(|one| one.key == key) {
        peer.heard_at = now;
    }
    let (mut used, mut heard) = (0, Heard::default());
    let taken = loop {
        match frame::take(bytes.get(used..).expect("never more bytes are used than were read")) {
            Ok(Some((payload, len))) => {
                if let Err(fatal) = cx.driver.receive(from, payload, &mut cx.out) {
                    cx.fatal = Some(fatal);
                    break Some(bytes.len());
                }
                heard.bytes += payload.len() as u64;
                used += len;
            }
            Ok(None) => break Some(used),
            Err(frame::InvalidFrame) => {
                let name = cx.name_of(from);
                notice!(
                    FrameInvalid,
                    &name,
                    [member = %from,],
                    "{name} sent it; its connection is closed"
                );
                heard.failures += 1;
                break None;
            }
        }
    };
    cx.inbound.note(from, heard);
    taken
}

/// A connection of a member ended.
pub(crate) fn peer_left(cx: &mut Context, key: Key, from: MemberId) {
    if cx.inbound.peers.get(&from).is_some_and(|peer| peer.key == key) {
        cx.inbound.peers.remove(&from);
        cx.driver.network_mut().forget_caller(from);
        cx.inbound.known_membership = u64::MAX;
        cx.driver.peer_lost(from, &mut cx.out);
    }
}

/// Looks after the connections to other members.
pub(crate) fn maintain(cx: &mut Context) {
    let now = cx.now.monotonic;
    cx.driver.network_mut().dial_due(now);
    for event in cx.driver.network_mut().take_events() {
        match event {
            PeerEvent::Welcome(id) => cx.driver.confirmed(id),
            PeerEvent::Disowned(id) => cx.driver.disowned(id),
            PeerEvent::Unreachable(id) => cx.driver.unreachable(id),
            PeerEvent::Removed(from) => cx.inquiry.hint(from, now),
        }
    }
    let version = cx.driver.membership_version();
    if version != cx.inbound.known_membership {
        cx.inbound.known_membership = version;
        let members: Vec<_> = cx.driver.membership().members().cloned().collect();
        cx.driver.network_mut().set_members(members.iter());
        let membership = cx.driver.membership();
        let gone = cx.inbound.peers.iter().filter(|(id, _)| membership.was_removed(**id));
        cx.effects.extend(gone.map(|(_, peer)| Effect::Close(peer.key)));
        let Inbound { peers, heard, .. } = &mut cx.inbound;
        heard.retain(|id, _| membership.member(*id).is_some() || peers.contains_key(id));
    }
    inquiry::advance(cx);
}

/// Takes note of another leader than before.
pub(crate) fn note_leader(cx: &mut Context) {
    let status = cx.driver.status();
    let leads = status.leader.map(|id| (id, status.term));
    if leads != cx.inbound.leads.map(|(id, term, _)| (id, term)) {
        let now = cx.clock.now();
        cx.inbound.leads = leads.map(|(id, term)| (id, term, now));
    }
    let leader = status.leader;
    if leader.is_some() && leader != cx.inbound.last_leader {
        cx.inbound.last_leader = leader;
        cx.leader_changes += 1;
        cx.leader_since = cx.clock.now();
    }
}

/// Says once what an operator has to know: members whose state differs, and whether this one stops
/// for it; entries that could not be applied; a directory that was copied or forgot something.
pub(crate) fn report(cx: &mut Context) {
    report_diverged(cx);
    report_replaced(cx);
    let told = &mut cx.inbound.told;
    let skipped = cx.driver.entries_skipped();
    if skipped > told.entries_skipped {
        let count = skipped - told.entries_skipped;
        notice!(
            EntriesSkipped,
            "",
            "{count} of them could not be applied, by any member; report this as a bug"
        );
        told.entries_skipped = skipped;
    }
    if cx.driver.awaits_reports() && !std::mem::replace(&mut told.live_copy, true) {
        notice!(
            DirectoryLiveCopy,
            "",
            "or of one that did not shut down cleanly: this machine votes only after all other \
             members have reported the ends of their logs, and its own log reaches as far. If one \
             of them is gone for good, remove that member, or start this machine with -force-rejoin"
        );
    }
    if let Some((words, needed)) = cx.driver.awaits_words()
        && !std::mem::replace(&mut told.copy, true)
    {
        notice!(
            DirectoryCopied,
            "",
            [words, needed,],
            "this machine votes after {needed} other members have confirmed that its copy is the \
             latest ({words} so far). If they refuse it, start it with -force-rejoin"
        );
    }
    if let Some(lost) = cx.driver.lost_promise()
        && !std::mem::replace(&mut told.loss, true)
    {
        notice!(
            PromiseLost,
            "",
            [entry = lost.0,],
            "its log does not contain entry {}, so it no longer takes part in the cluster. \
             Start it with -force-rejoin: its files are set aside, and it joins as a new member",
            lost.0
        );
    }
}

/// Says once that all members that this one knows of are silent, and that machines call which say
/// that they are members: all others may have been replaced while this one was away. Nobody that it
/// trusts can tell it so.
fn report_replaced(cx: &mut Context) {
    let up_for = cx.now.monotonic.saturating_sub(cx.started.monotonic);
    if cx.inbound.told.replaced || cx.inbound.peers.is_empty() || up_for < REPLACED_NS {
        return;
    }
    let driver = &cx.driver;
    let (own, leader) = (driver.status().id, driver.status().leader);
    if leader.is_some() {
        // Who hears a leader is not left behind. This is asked in each turn.
        return;
    }
    let unknown = cx.inbound.peers.iter().find(|(id, _)| !driver.listens_to(**id));
    let Some((id, peer)) = unknown else { return };
    let is_silent = |id: MemberId| id == own || !driver.was_heard(id, REPLACED_NS);
    if driver.membership().members().all(|member| is_silent(member.id)) {
        notice!(
            AllReplaced,
            "",
            [member = %id, address = peer.address,],
            "and an unknown machine that claims to be a member connects from {}: all other members \
             may have been replaced while this machine was away. If so, start it with \
             -force-rejoin: its files are set aside, and it joins as a new member",
            peer.address
        );
        cx.inbound.told.replaced = true;
    }
}

fn report_diverged(cx: &mut Context) {
    let index = cx.driver.status().applied.0;
    for member in cx.driver.membership().members() {
        let has_diverged = cx.driver.peer(member.id).is_some_and(|peer| peer.diverged);
        if has_diverged && cx.inbound.told.diverged.insert(member.id) {
            let (id, name) = (member.id, printable(&member.name));
            let stops = cx.driver.has_diverged();
            notice!(
                Diverged,
                &name,
                [member = %id, name, index,],
                "{name} has another state than this machine at log index {index}. {}",
                if stops {
                    "No majority agrees with the state of this machine: it refuses writes and \
                     quorum reads. Find out which members agree, and start the other with \
                     -force-rejoin"
                } else {
                    "A majority agrees with the state of this machine. Start the other with \
                     -force-rejoin: its files are set aside, and it joins as a new member"
                }
            );
        }
    }
}
