//! `/v2/members`: the members in the words of 2.x (spec cluster.md section 8.1).
//!
//! A member that is added there is only expected: it has an id and a peer URL, and takes part in
//! nothing. The machine that asks for a place from that address later is given the id, so that what
//! `etcdctl member add` printed stays true.

use crate::api::error::ApiError;
use crate::api::members::{error_body, member_body, members_body, parse_peer_url};
use crate::connection::{MemberTask, Task};
use crate::http::reader::{Method, Request};
use crate::join::{derive_id, parse_id};
use crate::owner::Owner;
use crate::slab::Key;
use replica::{Answer, EngineError, Failure, Member, MemberId, Ticket};

const JSON_ONLY: &[u8] = b"application/json";

impl Owner {
    pub(crate) fn members(&mut self, key: Key, request: &Request<'_>) {
        if request.method == Method::Post {
            return self.add_member(key, request);
        }
        let membership = self.driver.membership();
        let mut members: Vec<&Member> = membership.members().chain(membership.expected()).collect();
        members.sort_by_key(|member| member.id);
        let body = members_body(&members);
        self.answer_about_members(key, 200, &body);
    }

    /// One member: by the word `leader` for those who read, by its id for those who write.
    pub(crate) fn member(&mut self, key: Key, request: &Request<'_>, id: &str) {
        match request.method {
            Method::Put => self.update_member(key, request, id),
            Method::Delete => self.delete_member(key, id),
            _ if id != "leader" => self.refuse_member(key, 404, "Not found"),
            _ => match self.leader().filter(|_| self.hears_leader()).map(member_body) {
                Some(body) => self.answer_about_members(key, 200, &body),
                None => self.refuse_member(key, 503, "During election"),
            },
        }
    }

    fn refuse_member(&mut self, key: Key, status: u16, message: &str) {
        self.answer_about_members(key, status, &error_body(message));
    }

    /// The peer URL in a request, or nothing when the request is answered.
    fn wanted_url(&mut self, key: Key, request: &Request<'_>) -> Option<String> {
        let content_type = request.content_type.unwrap_or_default();
        if content_type != JSON_ONLY {
            let sent = String::from_utf8_lossy(content_type);
            let message = format!("Bad Content-Type {sent}, accept application/json");
            self.refuse_member(key, 415, &message);
            return None;
        }
        match parse_peer_url(request.body) {
            Ok(url) => Some(url),
            Err(message) => {
                self.refuse_member(key, 400, &message);
                None
            }
        }
    }

    /// The member or the expected machine with an id.
    fn listed(&self, id: MemberId) -> Option<Member> {
        let membership = self.driver.membership();
        let mut all = membership.members().chain(membership.expected());
        all.find(|member| member.id == id).cloned()
    }

    fn is_url_taken(&self, url: &str, by_other_than: MemberId) -> bool {
        let membership = self.driver.membership();
        let mut all = membership.members().chain(membership.expected());
        all.any(|member| member.id != by_other_than && member.peer_url == url)
    }

    fn add_member(&mut self, key: Key, request: &Request<'_>) {
        let Some(peer_url) = self.wanted_url(key, request) else { return };
        let cluster = self.driver.cluster().to_string();
        let time = self.now.wall.to_string();
        let id = MemberId(derive_id(&[&cluster, &peer_url, &time, &key.to_u64().to_string()]));
        let (name, client_url) = (String::new(), String::new());
        let member = Member { id, name, client_url, peer_url };
        if self.is_url_taken(&member.peer_url, id) {
            return self.refuse_member(key, 409, "peerURL exists");
        }
        self.driver.propose_member(Ticket(key.to_u64()), member.clone());
        self.await_member(key, MemberTask::Add(member));
    }

    /// A member, or a machine that is expected; or nothing when the request is answered.
    fn known_member(&mut self, key: Key, text: &str) -> Option<Member> {
        let id = parse_id(text).map(MemberId);
        let found = id.and_then(|id| self.listed(id));
        if found.is_none() {
            match id.filter(|id| self.driver.membership().was_removed(*id)) {
                Some(id) => {
                    self.refuse_member(key, 410, &format!("Member permanently removed: {id}"));
                }
                None => self.refuse_member(key, 404, &format!("No such member: {text}")),
            }
        }
        found
    }

    fn update_member(&mut self, key: Key, request: &Request<'_>, id: &str) {
        let Some(mut member) = self.known_member(key, id) else { return };
        let Some(peer_url) = self.wanted_url(key, request) else { return };
        if self.is_url_taken(&peer_url, member.id) {
            return self.refuse_member(key, 409, "peerURL exists");
        }
        member.peer_url = peer_url;
        self.driver.propose_member(Ticket(key.to_u64()), member.clone());
        self.await_member(key, MemberTask::Update(member));
    }

    fn delete_member(&mut self, key: Key, id: &str) {
        let Some(member) = self.known_member(key, id) else { return };
        let ticket = Ticket(key.to_u64());
        if member.name.is_empty() {
            self.driver.propose_forgetting(ticket, member.id);
        } else {
            self.driver.propose_expulsion(ticket, member.id);
        }
        self.await_member(key, MemberTask::Remove(member.id));
    }

    fn await_member(&mut self, key: Key, task: MemberTask) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.task = Task::Member(Box::new(task));
        }
    }

    /// What was asked for is in the log. Whether it came about is seen in the table, since somebody
    /// else may have been quicker.
    pub(crate) fn deliver_member(&mut self, key: Key, answer: &Answer) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Task::Member(task) = std::mem::replace(&mut connection.task, Task::Idle) else {
            return;
        };
        let is_removal = matches!(*task, MemberTask::Remove(_));
        match &answer.outcome {
            Ok(_) => self.member_changed(key, &task),
            Err(Failure::Engine(EngineError::NoSuchMember)) if is_removal => {
                self.answer_about_members(key, 204, b"");
            }
            Err(Failure::Engine(error)) => {
                self.meters.proposal_failed();
                let status = ApiError::from_engine(*error, 0).status();
                self.refuse_member(key, status, &error.to_string());
            }
            Err(Failure::Store(_)) => self.refuse_member(key, 500, "Internal Server Error"),
        }
    }

    fn member_changed(&mut self, key: Key, task: &MemberTask) {
        match task {
            MemberTask::Add(member) => match self.listed(member.id) {
                Some(_) => self.answer_about_members(key, 201, &member_body(member)),
                None if self.is_url_taken(&member.peer_url, member.id) => {
                    self.refuse_member(key, 409, "peerURL exists");
                }
                None => self.refuse_member(key, 409, "too many members are expected"),
            },
            MemberTask::Update(member) => match self.listed(member.id) {
                Some(listed) if listed.peer_url == member.peer_url => {
                    self.answer_about_members(key, 204, b"");
                }
                _ => self.refuse_member(key, 409, "the member has changed; try again"),
            },
            MemberTask::Remove(id) if self.listed(*id).is_some() => {
                // It has come just now, so that it is a member and not only expected.
                self.refuse_member(key, 409, "the member has just started; try again");
            }
            MemberTask::Remove(_) => self.answer_about_members(key, 204, b""),
        }
    }
}
