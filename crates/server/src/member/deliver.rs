//! What a turn brought: outcomes to those who asked, events to those who watch.

use super::EventLoop;
use super::greeting::note_doubled;
use super::waiter::Waiter;
use crate::api::answers::{engine_error, error};
use crate::api::error::ApiError;
use crate::api::keys::watch;
use crate::api::lock::queueing;
use crate::api::pending::{OnStop, Waiting};
use crate::api::{admin, auth, backup, health, join, keys, lock, members};
use crate::auth::Job;
use crate::net::{Key, Reply, Response, Service};
use crate::notice::notice;
use replica::{Answer, EngineError, Output, ReadAnswer};
use store::Store;

impl EventLoop {
    /// Passes on everything that a turn brought, and empties it.
    pub(super) fn deliver(&mut self, out: &mut Output) {
        if let Some(old) = out.replaced.take() {
            self.store_replaced(*old);
        }
        if let Some(address) = out.doubled.take() {
            note_doubled(&self.cx, &address);
        }
        for answer in out.answers.drain(..) {
            match Waiter::of(answer.ticket.0) {
                Waiter::Connection(key) => self.deliver_answer(key, &answer),
                Waiter::Lock(key) => queueing::deliver(&mut self.cx, key, &answer),
                Waiter::Probe(_) => unreachable!("a question writes nothing"),
            }
        }
        for read in out.reads.drain(..) {
            self.deliver_read(&read);
        }
        for wake in out.wakes.drain(..) {
            match Waiter::of(wake.owner) {
                Waiter::Connection(_) => watch::deliver(&mut self.cx, &mut self.front, &wake),
                Waiter::Lock(_) => queueing::deliver_wake(&mut self.cx, &wake),
                Waiter::Probe(_) => unreachable!("a question watches nothing"),
            }
        }
        self.cx.events.clear();
        self.judge_again();
        self.carry_out();
    }

    /// An outcome is there, for whatever waits for it. A request that waits for something else has
    /// taken the place of the one that was meant: its connection was answered already.
    fn deliver_answer(&mut self, key: Key, answer: &Answer) {
        let Some(caller) = self.front.caller(key) else { return };
        let Some(waiting) = self.front.take_pending(key) else { return };
        let cx = &mut self.cx;
        let reply = match waiting {
            Waiting::Write { form, since } => {
                keys::written(cx, caller, (form, since), &answer.outcome).into()
            }
            Waiting::AuthWrite(name) => auth::changed(cx, caller, &name, answer).into(),
            Waiting::LockWrite => lock::written(cx, answer).into(),
            Waiting::Configure => admin::configured(cx, answer).into(),
            Waiting::RaiseIndex => admin::index_raised(cx, answer).into(),
            Waiting::Join(joining) => join::stepped(cx, key, joining, answer),
            Waiting::Remove(_) => join::removed(cx, answer).into(),
            Waiting::Member(change) => members::changed(cx, &change, answer).into(),
            other @ (Waiting::Read { .. }
            | Waiting::Credentials
            | Waiting::AuthRead(_)
            | Waiting::Hash(_)
            | Waiting::Watch(_)
            | Waiting::List(_)
            | Waiting::Aside(_)
            | Waiting::BackupRead(_)
            | Waiting::Backup(_)
            | Waiting::Lock(_)
            | Waiting::LockRead { .. }
            | Waiting::HandOver
            | Waiting::Health
            | Waiting::Guest(_)
            | Waiting::Peer(_)) => Reply::Wait(other),
        };
        self.front.give(key, reply, &self.cx.body);
    }

    /// A read index was reached, or cannot be.
    fn deliver_read(&mut self, read: &ReadAnswer) {
        let key = match Waiter::of(read.ticket.0) {
            Waiter::Connection(key) => key,
            Waiter::Probe(number) if read.outcome.is_ok() => {
                return health::answer_confirmed(&mut self.cx, number);
            }
            Waiter::Probe(_) | Waiter::Lock(_) => return,
        };
        let Some(caller) = self.front.caller(key) else { return };
        let Some(waiting) = self.front.take_pending(key) else { return };
        let cx = &mut self.cx;
        let reply = match waiting {
            Waiting::Read { path, get, who, since } => {
                cx.who = who;
                keys::read_ready(cx, caller, &path, (get, since), read.outcome)
            }
            Waiting::AuthRead(wanted) => auth::read_ready(cx, caller, &wanted, read.outcome).into(),
            Waiting::LockRead { dir, field, who } => {
                cx.who = who;
                lock::read_ready(cx, caller, &dir, field, read.outcome).into()
            }
            Waiting::BackupRead(asker) => backup::read_ready(cx, caller, asker, read.outcome),
            other => Reply::Wait(other),
        };
        self.front.give(key, reply, &self.cx.body);
    }

    /// A password was checked, so that requests can be served; or it has its hash.
    pub(super) fn deliver_password(&mut self, job: Job) {
        match job {
            Job::Checked(done) => {
                for key in self.cx.auth.checked(&done) {
                    if matches!(self.front.pending_mut(key), Some(Waiting::Credentials)) {
                        self.front.serve_again(key);
                    }
                }
            }
            Job::Hashed(key, hash) => {
                let Some(waiting) = self.front.take_pending(key) else { return };
                let reply = match waiting {
                    Waiting::Hash(wish) => auth::hashed(&mut self.cx, key, *wish, hash),
                    other => Reply::Wait(other),
                };
                self.front.give(key, reply, &self.cx.body);
            }
        }
    }

    /// Users or roles have changed: whoever waits for something to which it has no right any more
    /// is refused.
    fn judge_again(&mut self) {
        if self.cx.auth.note_revision(self.cx.driver.store().auth().revision()) {
            watch::judge_again(&mut self.cx, &mut self.front);
            queueing::judge_again(&mut self.cx);
        }
    }

    /// Machines were dialled that ask for a place.
    pub(super) fn deliver_reached(&mut self, key: Key, verdict: Result<(), String>) {
        let has_ended = self.front.get_mut(key).is_none_or(|connection| connection.ended);
        let Some(waiting) = self.front.take_pending(key) else { return };
        let reply = match waiting {
            // It has given up meanwhile, and may never learn that it is a member.
            Waiting::Join(_) if has_ended => return self.close(key),
            Waiting::Join(joining) => join::reached(&mut self.cx, key, joining, verdict),
            other => Reply::Wait(other),
        };
        self.front.give(key, reply, &self.cx.body);
    }

    /// A snapshot of the leader took the place of the store.
    fn store_replaced(&mut self, old: Store) {
        if self.cx.workers.drop_store(old).is_err() {
            notice!(StoreFreed, "", "its thread is gone; requests may wait meanwhile");
        }
        queueing::replace_watchers(&mut self.cx);
        for key in watch::replace_store(&mut self.cx, &mut self.front) {
            self.close(key);
        }
    }

    /// Ends all pending requests: this machine stops, or is no longer a member.
    pub(super) fn answer_waiting(&mut self) {
        let own = self.cx.removal.map(|_| self.cx.driver.status().id);
        for key in self.front.keys() {
            let Some(waiting) = self.front.pending_mut(key) else { continue };
            let is_of_members = matches!(waiting, Waiting::Member(_));
            let response: Response = match waiting.on_stop(own) {
                OnStop::EndsItself => continue,
                OnStop::Refuse => engine_error(&self.cx, EngineError::Stopping),
                OnStop::RefuseUndone => {
                    let cause = "the server is stopping; nothing was done, try again";
                    error(&self.cx, &ApiError::overloaded(cause, self.cx.index()))
                }
                // The other members have confirmed it: success.
                OnStop::RemoveSelf if is_of_members => members::removed(&self.cx),
                OnStop::RemoveSelf => join::removal_done(),
            };
            self.front.answer(key, response, &[]);
        }
    }
}
