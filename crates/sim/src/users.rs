//! As whom clients ask, and what the world takes down of rights.
//!
//! Hashes are never compared here: a member takes a client for any user that the member knows, as
//! if it had given the password that the member has for it. Whatever changes later, it then shows
//! what it had proven.

use crate::admin::ROLE;
use crate::check::rights::{self, Account, Shown};
use crate::history::{Kind, Op, OpId, Outcome, UserStep};
use crate::member::Running;
use crate::plan::Fault;
use crate::request::Request;
use crate::world::World;
use store::{Principal, ROOT, UserId};

fn shown(user: &store::User) -> Shown {
    Shown { name: user.name.to_string(), id: user.id.0, password: user.password_since.0 }
}

/// A proof as a store takes it.
pub(crate) fn principal(shown: Option<&Shown>) -> Principal {
    shown.map_or(Principal::Guest, |shown| Principal::User {
        id: UserId(shown.id),
        password: Some(store::StoreIndex(shown.password)),
    })
}

/// All users of a member but root.
pub(crate) fn accounts(running: &Running) -> Vec<Account> {
    let users = running.auth().users().filter(|user| &*user.name != ROOT);
    let account = |user: &std::sync::Arc<store::User>| Account {
        user: shown(user),
        has_role: user.roles().any(|role| role == ROLE),
    };
    users.map(account).collect()
}

impl World {
    /// As whom a client asks: as a user that it proves to be just now, or as what it had proven.
    pub(crate) fn identify(&mut self, client: usize, at: usize, id: OpId, request: &Request) {
        if !self.plan.users {
            return;
        }
        let Some(running) = self.machines.get(at).and_then(|one| one.running.as_ref()) else {
            return;
        };
        let Some(client) = self.clients.get_mut(client) else { return };
        if matches!(request.kind, Kind::Users(_)) {
            self.ledger.asked_at.insert(id, running.index());
            if let Some(root) = running.auth().user(ROOT) {
                self.ledger.shown.insert(id, shown(root));
            }
            return;
        }
        if !rights::is_guarded(&request.key) {
            return;
        }
        let known = accounts(running);
        if !known.is_empty() && (client.proven.is_none() || client.rng.permille(700)) {
            let at = client.rng.index(known.len());
            client.proven = known.get(at).map(|account| account.user.clone());
        }
        if let Some(proven) = &client.proven {
            self.ledger.shown.insert(id, proven.clone());
        }
    }

    /// Takes note of what became of an operation, as far as rights are concerned.
    pub(crate) fn note_rights(&mut self, id: OpId, op: &Op) {
        if matches!(op.outcome, Outcome::Refused { code: rights::UNAUTHORIZED, .. }) {
            self.faults.count(Fault::RightMissed);
        }
        let (Kind::Users(step), Outcome::Written { .. }) = (op.kind, &op.outcome) else { return };
        if matches!(step, UserStep::Password | UserStep::Revoke | UserStep::Remove) {
            self.faults.count(Fault::RightTaken);
        }
        let running = self.machines.get(op.machine.0).and_then(|one| one.running.as_ref());
        if let Some(running) = running {
            self.ledger.told_at.insert(id, running.index());
        }
    }

    /// Whether the member itself turns a request away, as its front does; sometimes only the log
    /// judges, as when rights change on the way.
    pub(crate) fn has_gate(&mut self) -> bool {
        self.plan.users && self.rng.permille(500)
    }

    /// What all members have in the end, who are equal.
    pub(crate) fn check_users(&self) -> crate::check::Verdict {
        let Some(running) = self.machines.iter().find_map(|machine| {
            machine.running.as_ref().filter(|_| self.plan.users && !machine.is_gone)
        }) else {
            return Ok(());
        };
        let counts = running.auth().is_enabled();
        rights::check_end(&self.history, &self.ledger, counts, &accounts(running))
    }
}
