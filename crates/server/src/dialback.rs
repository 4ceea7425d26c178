//! Whether a machine that asks for a place is reached where it says. The leader dials the address
//! before it proposes anything: a member that nobody reaches takes part in nothing, counts towards
//! the majority all the same, and answers clients from an empty store.
//!
//! The address comes from a stranger, and so little is spent on it: few at a time, few in a second,
//! one short question, no redirects.

use crate::api::error::{ApiError, RAFT_INTERNAL};
use crate::config::{Secret, TlsFiles};
use crate::connection::{JoinTask, Task};
use crate::join::{Caller, IdentityCard, JoinRequest};
use crate::owner::Owner;
use crate::slab::Key;
use crate::worker::Done;
use replica::{Member, Ticket};
use std::time::Duration;

/// How many addresses are dialled at the same time, and begun within a second.
const AT_ONCE_MAX: usize = 4;
const A_SECOND_MAX: usize = 8;

/// How long a machine may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is being dialled.
#[derive(Debug, Default)]
pub(crate) struct DialBacks {
    running: usize,
    /// The second by the monotonic clock, and how many were begun in it.
    second: u64,
    begun: usize,
}

impl DialBacks {
    /// Whether one more may be begun now; it is counted then.
    fn begin(&mut self, now: u64) -> bool {
        let second = now / 1_000_000_000;
        if second != self.second {
            (self.second, self.begun) = (second, 0);
        }
        let has_room = self.running < AT_ONCE_MAX && self.begun < A_SECOND_MAX;
        if has_room {
            self.running += 1;
            self.begun += 1;
        }
        has_room
    }

    fn end(&mut self) {
        self.running = self.running.saturating_sub(1);
    }
}

/// Asks a machine who it is, at the address that it gave.
fn reach(tls: Option<TlsFiles>, secret: &Secret, member: &Member) -> Result<(), String> {
    let caller = Caller::for_members(tls, secret).in_haste(PATIENCE);
    let url = format!("{}/v2/peer/identity", member.peer_url);
    let reply = caller.get(&url)?;
    let card = match reply.status {
        200 => IdentityCard::parse(&reply.body)?,
        status => return Err(format!("{url}: answered {status}")),
    };
    if card.id == member.id {
        return Ok(());
    }
    let name = if card.name.is_empty() { "another machine" } else { &card.name };
    Err(format!("{name} answers there, with the id {}", card.id))
}

impl Owner {
    /// Dials the machine that asks for a place, which it gets when it was reached.
    pub(crate) fn dial_back(&mut self, key: Key, request: JoinRequest) {
        let index = self.driver.store().index().0;
        if !self.dial_backs.begin(self.now.monotonic) {
            let cause = "too many machines ask for a place at the same time; try again";
            return self.answer_error(key, &ApiError::overloaded(cause, index));
        }
        let (member, tls) = (request.member.clone(), self.config.peer_tls.clone());
        let (asked, secret) = (member.clone(), self.config.finding.token.clone());
        let work = move || Done::Reached(key, reach(tls, &secret, &asked));
        if let Err(error) = self.workers.run_once("dial-back", work) {
            self.dial_backs.end();
            let cause = format!("{} cannot be dialled: {error}", member.peer_url);
            return self.answer_error(key, &ApiError::overloaded(&cause, index));
        }
        if let Some(connection) = self.connections.get_mut(key) {
            let task = JoinTask { member, removes: false, request: Some(request) };
            connection.task = Task::Join(Box::new(task));
        }
    }

    /// A machine was dialled that asks for a place.
    pub(crate) fn reached(&mut self, key: Key, verdict: Result<(), String>) {
        self.dial_backs.end();
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Task::Join(task) = &mut connection.task else { return };
        let Some(request) = task.request.take() else { return };
        connection.task = Task::Idle;
        if connection.ended {
            // It has given up meanwhile, and may never learn that it is a member.
            return self.close(key);
        }
        match verdict {
            Ok(()) => self.give_place(key, request),
            Err(detail) => {
                let index = self.driver.store().index().0;
                let (at, own) = (&request.member.peer_url, &self.config.name);
                let cause = format!(
                    "{at} cannot be reached from {own}, the leader: {detail}; check -peer-addr"
                );
                let error = ApiError::refused(RAFT_INTERNAL, cause, index, 409);
                self.answer_error(key, &error);
            }
        }
    }

    /// Proposes that a machine becomes a member.
    fn give_place(&mut self, key: Key, mut request: JoinRequest) {
        let status = self.driver.status();
        if status.leader != Some(status.id) {
            return self.send_to_leader(key, "/v2/peer/join");
        }
        let membership = self.driver.membership();
        // A machine that an operator announced by its address has its id already.
        let is_it = |one: &&Member| one.peer_url == request.member.peer_url;
        if let Some(id) = membership.expected().find(is_it).map(|expected| expected.id) {
            request.member.id = id;
        }
        let named = membership.member_named(&request.member.name);
        let named = named.filter(|named| named.id != request.member.id).map(|named| named.id);
        let removes = match named {
            // A place that was never used is given anew; one that was used only if the operator
            // says that the disk is lost, since the old self may have promised something.
            Some(id) if request.replace || !self.driver.is_voter(id) => {
                self.driver.propose_removal(Ticket(key.to_u64()), id);
                true
            }
            _ => {
                self.driver.propose_join(Ticket(key.to_u64()), request.member.clone());
                false
            }
        };
        if let Some(connection) = self.connections.get_mut(key) {
            let task = JoinTask { member: request.member, removes, request: None };
            connection.task = Task::Join(Box::new(task));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_make_few_calls_at_a_time_and_few_in_a_second() {
        let mut dials = DialBacks::default();
        let second = 1_000_000_000;
        assert!((0..AT_ONCE_MAX).all(|_| dials.begin(second)));
        assert!(!dials.begin(second), "too many at a time");
        (0..AT_ONCE_MAX).for_each(|_| dials.end());
        assert!((0..A_SECOND_MAX - AT_ONCE_MAX).all(|_| dials.begin(second + 1)));
        assert!(!dials.begin(second + 2), "too many in this second");
        (0..AT_ONCE_MAX).for_each(|_| dials.end());
        assert!(dials.begin(2 * second));
    }
}
