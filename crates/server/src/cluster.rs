//! The other members: their messages, their wish to join, and their removal.

use crate::api::error::{ApiError, INVALID_FORM};
use crate::connection::{JoinTask, MemberTask, Task};
use crate::http::response::JSON;
use crate::http::url::encode_path;
use crate::join::{CLUSTER_FULL, JoinRequest, View, asked_about};
use crate::owner::Owner;
use crate::peer::{PeerEvent, frame};
use crate::slab::Key;
use replica::{Clock, EngineError, Fatal, MemberId, Ticket};

/// The error codes of a refused machine (spec cluster.md section 4).
const ADDRESS_TAKEN: u16 = 109;
const NAME_TAKEN: u16 = 105;

/// A member that was not heard of for so long counts as unreachable: 3 s. Members tell one another
/// how they are every second.
const SILENCE_NS: u64 = 3_000_000_000;

impl Owner {
    /// Takes the messages in what a member sent.
    pub(crate) fn take_frames(&mut self, key: Key, from: MemberId, bytes: &[u8]) {
        self.note_speaker(key, from);
        let Some(connection) = self.connections.get_mut(key) else { return };
        let mut input = std::mem::take(&mut connection.input);
        let is_direct = input.is_empty();
        if !is_direct {
            input.extend_from_slice(bytes);
        }
        let all = if is_direct { bytes } else { input.as_slice() };
        let mut used = 0;
        loop {
            match frame::take(all.get(used..).unwrap_or_default()) {
                Ok(Some((payload, len))) => {
                    let received = self.driver.receive(from, payload, &mut self.out);
                    if let Err(fatal) = received {
                        self.fatal = Some(fatal);
                        return;
                    }
                    used += len;
                }
                Ok(None) => break,
                Err(frame::Garbage) => {
                    tracing::warn!(member = %from, "a member sent garbage; its connection ends");
                    return self.close(key);
                }
            }
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        if is_direct {
            input.extend_from_slice(all_behind(bytes, used));
        } else {
            input.drain(..used);
        }
        connection.input = input;
    }

    /// A connection of a member ended.
    pub(crate) fn speaker_left(&mut self, key: Key, from: MemberId) {
        if self.speakers.get(&from).is_some_and(|speaker| speaker.key == key) {
            self.speakers.remove(&from);
            self.driver.network_mut().forget_caller(from);
            self.known_membership = u64::MAX;
            self.driver.peer_lost(from, &mut self.out);
        }
    }

    /// Looks after the connections to other members.
    pub(crate) fn tend_peers(&mut self) {
        let now = self.now.monotonic;
        self.driver.network_mut().tend(now);
        for event in self.driver.network_mut().take_events() {
            match event {
                PeerEvent::Welcome(id) => self.driver.confirmed(id),
                PeerEvent::Disowned(id) => self.driver.disowned(id),
                PeerEvent::Unreachable(id) => self.driver.unreachable(id),
                PeerEvent::Removed(from) => self.inquiry.hint(from, now),
            }
        }
        let version = self.driver.membership_version();
        if version != self.known_membership {
            self.known_membership = version;
            let members: Vec<_> = self.driver.membership().members().cloned().collect();
            self.driver.network_mut().set_members(members.iter());
            let gone: Vec<Key> = self
                .speakers
                .iter()
                .filter(|(id, _)| self.driver.membership().was_removed(**id))
                .map(|(_, speaker)| speaker.key)
                .collect();
            gone.into_iter().for_each(|key| self.close(key));
        }
        self.tend_inquiry();
    }

    /// Takes note of another leader than before.
    pub(crate) fn note_leader(&mut self) {
        let leader = self.driver.status().leader;
        if leader.is_some() && leader != self.last_leader {
            self.last_leader = leader;
            self.leader_changes += 1;
            self.leader_since = self.clock.now();
        }
    }

    /// Says once of each member whose state differs that it does, and whether this one stops for
    /// it; and what of the log could not be applied.
    pub(crate) fn report_divergence(&mut self) {
        let index = self.driver.status().applied.0;
        for member in self.driver.membership().members() {
            let has_diverged = self.driver.peer(member.id).is_some_and(|peer| peer.diverged);
            if has_diverged && self.diverged.insert(member.id) {
                let (id, name) = (member.id, member.name.as_str());
                let stops = self.driver.has_diverged();
                tracing::error!(
                    member = %id, name, index,
                    "the state of this member differs from the one here at the same log index. {}",
                    if stops {
                        "No majority has the state of this machine: it takes no writes and proves \
                         no reads. Find out which members agree, and start the other with \
                         -force-rejoin"
                    } else {
                        "A majority has the state of this machine. Start the other with \
                         -force-rejoin: its files are set aside, and it joins anew"
                    }
                );
            }
        }
        let skipped = self.driver.entries_skipped();
        if skipped > self.entries_skipped {
            tracing::error!(
                skipped = skipped - self.entries_skipped,
                "committed entries could not be applied and were skipped, by every member alike"
            );
            self.entries_skipped = skipped;
        }
        if self.driver.awaits_leader() && !std::mem::replace(&mut self.has_told_live_copy, true) {
            tracing::warn!(
                "the data directory was copied from a running machine, or from one that was not \
                 stopped in order: this machine keeps out of elections until a leader has brought \
                 it up, or all other members can be reached"
            );
        }
        if let Some((words, needed)) = self.driver.awaits_words()
            && !std::mem::replace(&mut self.has_told_copy, true)
        {
            tracing::warn!(
                words,
                needed,
                "the data directory was copied or moved since it was last in use: this machine \
                 takes part as soon as that many other members have confirmed that it is the \
                 latest. If they refuse it, start it with -force-rejoin"
            );
        }
        if let Some(lost) = self.driver.lost_promise()
            && !std::mem::replace(&mut self.has_told_loss, true)
        {
            tracing::error!(
                entry = lost.0,
                "this machine acknowledged an entry that its log does not hold: it takes no part \
                 any more. Start it with -force-rejoin: its files are set aside, and it joins anew"
            );
        }
    }

    /// What broke while messages were taken.
    pub(crate) fn take_fatal(&mut self) -> Result<(), Fatal> {
        self.fatal.take().map_or(Ok(()), Err)
    }

    pub(crate) fn view(&self, about: Option<MemberId>) -> View {
        let membership = self.driver.membership();
        View {
            cluster: self.driver.cluster(),
            own: Some(self.driver.status().id),
            term: self.driver.status().term.0,
            leader: self.driver.status().leader,
            founders: membership.founders().to_vec(),
            members: membership.members().cloned().collect(),
            reached: self.reached_elsewhere(),
            active_size: membership.config().active_size,
            sync_interval: membership.config().sync_interval,
            about: about.map(|id| self.driver.about(id)),
        }
    }

    /// Where members said that they are reached, if the membership says something else.
    fn reached_elsewhere(&self) -> Vec<(MemberId, String)> {
        let mut callers = self.driver.network().callers();
        callers.retain(|(id, _)| self.driver.membership().member(*id).is_some());
        callers
    }

    pub(crate) fn peer_members(&mut self, key: Key, query: &str) {
        self.standbys.note(query, self.now.monotonic);
        let body = self.view(asked_about(query)).to_json();
        self.answer_resource(key, 200, JSON, &body);
    }

    /// The end of a sentence: the members that this one cannot speak to.
    pub(crate) fn who_is_unreachable(&self) -> String {
        let own = self.driver.status().id;
        let open: Vec<MemberId> = self
            .driver
            .network()
            .stats()
            .filter(|(id, is_open, _)| *is_open && self.driver.was_heard(*id, SILENCE_NS))
            .map(|(id, ..)| id)
            .collect();
        let members = self.driver.membership().members();
        let gone: Vec<&str> = members
            .filter(|member| member.id != own && !open.contains(&member.id))
            .map(|member| member.name.as_str())
            .collect();
        if gone.is_empty() { String::new() } else { format!("; unreachable: {}", gone.join(", ")) }
    }

    /// A machine wants to become a member. Only the leader decides; others send it on.
    pub(crate) fn join(&mut self, key: Key, body: &[u8]) {
        let index = self.driver.store().index().0;
        let request = match JoinRequest::parse(body) {
            Ok(request) => request,
            Err(detail) => {
                return self.answer_error(key, &ApiError::new(INVALID_FORM, detail, index));
            }
        };
        let status = self.driver.status();
        if status.leader != Some(status.id) {
            return self.send_to_leader(key, "/v2/peer/join");
        }
        self.dial_back(key, request);
    }

    /// Sends a request for the leader's peer port there.
    pub(crate) fn send_to_leader(&mut self, key: Key, path: &str) {
        let leader = self.leader().map(|leader| leader.peer_url.clone());
        match leader {
            Some(url) => self.redirect_to(key, 307, &format!("{url}{}", encode_path(path))),
            None => self.answer_engine_error(key, EngineError::NoLeader),
        }
    }

    /// A step of a join is done.
    pub(crate) fn joined(&mut self, key: Key, mut task: Box<JoinTask>) {
        if !task.removes {
            let body = self.view(None).to_json();
            return self.answer_resource(key, 200, JSON, &body);
        }
        task.removes = false;
        self.driver.propose_join(Ticket(key.to_u64()), task.member.clone());
        if let Some(connection) = self.connections.get_mut(key) {
            connection.task = Task::Join(task);
        }
    }

    /// A join was refused.
    pub(crate) fn not_joined(&mut self, key: Key, task: &JoinTask, error: EngineError) {
        let index = self.driver.store().index().0;
        let name = &task.member.name;
        let refused = |code, cause: String, status| ApiError::refused(code, cause, index, status);
        let error = match error {
            EngineError::ClusterFull => {
                let code = u16::try_from(CLUSTER_FULL).unwrap_or_default();
                refused(code, error.to_string(), 403)
            }
            EngineError::NameTaken => {
                let cause = format!(
                    "a machine named {name} is a member already. If its disk is lost, start it \
                     with -force-rejoin; if this is another machine, give it another -name"
                );
                refused(NAME_TAKEN, cause, 409)
            }
            EngineError::AddressTaken => {
                let cause = format!(
                    "{name} is not allowed to join the cluster with existing URL {}",
                    task.member.peer_url
                );
                refused(ADDRESS_TAKEN, cause, 409)
            }
            EngineError::Removed => refused(NAME_TAKEN, error.to_string(), 410),
            EngineError::AlreadyMember => refused(NAME_TAKEN, error.to_string(), 409),
            other => ApiError::from_engine(other, index),
        };
        self.answer_error(key, &error);
    }

    /// Nothing more comes of what clients wait for: this machine stops, or is no member any more.
    pub(crate) fn answer_waiting(&mut self) {
        let own = self.driver.status().id;
        for key in self.connections.keys() {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            match connection.task {
                // The others have said so: it is done.
                Task::Remove(id) if id == own && self.removal.is_some() => {
                    self.answer_resource(key, 200, JSON, b"");
                }
                Task::Member(ref task)
                    if matches!(**task, MemberTask::Remove(id) if id == own)
                        && self.removal.is_some() =>
                {
                    self.answer_about_members(key, 204, b"");
                }
                Task::Write { .. } | Task::Configure | Task::Join(_) | Task::Member(_) => {
                    self.answer_engine_error(key, EngineError::Stopping);
                }
                Task::Read { .. } | Task::Remove(_) => {
                    self.answer_engine_error(key, EngineError::Stopping);
                }
                Task::LockWrite | Task::LockRead { .. } => {
                    self.answer_engine_error(key, EngineError::Stopping);
                }
                _ => {}
            }
        }
    }

    /// Removes a machine for good. The answer comes when it is no member any more.
    pub(crate) fn remove_machine(&mut self, key: Key, name: &str) {
        let found = self.driver.membership().member_named(name);
        let Some(id) = found.map(|member| member.id) else {
            return self.unknown_machine(key, name);
        };
        self.driver.propose_removal(Ticket(key.to_u64()), id);
        if let Some(connection) = self.connections.get_mut(key) {
            connection.task = Task::Remove(id);
        }
    }
}

fn all_behind(bytes: &[u8], used: usize) -> &[u8] {
    bytes.get(used..).unwrap_or_default()
}
