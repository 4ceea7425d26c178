//! Graceful shutdown: leadership is transferred, requests in hand are answered, then all is closed.

use super::{EventLoop, background, observe};
use crate::api::keys::{making, watch};
use crate::api::lock::queueing;
use crate::api::{backup, health, leader};
use crate::error::StartError;
use crate::net;
use crate::notice::notice;
use mio::Events;
use replica::{Clock, Role};
use std::time::Duration;

/// How long the transfer of leadership may take when the server stops: 1 s.
const TRANSFER_NS: u64 = 1_000_000_000;

/// How long clients may still ask on connections that are open when the server stops: 200 ms.
const DRAIN_NS: u64 = 200_000_000;

/// How long answers may take to leave when the server stops: 1 s.
const STOP_NS: u64 = 1_000_000_000;

/// How long the loop waits for events meanwhile.
const PAUSE: Duration = Duration::from_millis(5);

impl EventLoop {
    fn is_leader(&self) -> bool {
        self.cx.driver.status().role == Role::Leader
    }

    /// A leader transfers its leadership before it stops, so that no member has to detect that it
    /// is gone. Requests are served meanwhile.
    fn transfer_leadership(&mut self) -> Result<(), StartError> {
        let until = self.cx.clock.now().monotonic + TRANSFER_NS;
        let mut events = Events::with_capacity(256);
        if self.cx.driver.membership().members().count() < 2 || !self.is_leader() {
            return Ok(());
        }
        self.cx.incidents.is_stopping = true;
        self.cx.driver.transfer_leadership();
        while self.is_leader() && self.cx.clock.now().monotonic < until {
            self.take_results()?;
            self.turn()?;
            observe::look(&mut self.cx);
            self.take_events(&mut events, PAUSE)?;
        }
        observe::look(&mut self.cx);
        Ok(())
    }

    /// Waits for events a moment, and takes them. Gives whether there were any.
    fn take_events(&mut self, events: &mut Events, patience: Duration) -> Result<bool, StartError> {
        self.front.poll.poll(events, Some(patience))?;
        self.begin_round();
        for event in &*events {
            self.take(event);
        }
        self.maintain_peers();
        Ok(!events.is_empty())
    }

    /// Stops: no new connections, watches ended, writes in hand finished, answers sent.
    pub(super) fn stop(&mut self) -> Result<(), StartError> {
        notice!(Stopping, "", "");
        self.cx.pulse.stop(None);
        self.transfer_leadership()?;
        self.cx.driver.begin_stop();
        self.finish_up()?;
        self.cx.driver.close()?;
        background::write_seen(&mut self.cx);
        notice!(Stopped, "", "");
        Ok(())
    }

    /// Ends watches, finishes what is in hand and sends the answers. Clients that were about to ask
    /// on a connection that is open are answered for a moment more, with `Connection: close`.
    pub(super) fn finish_up(&mut self) -> Result<(), StartError> {
        self.front.is_stopping = true;
        let is_removed = self.cx.removal.is_some();
        if !is_removed {
            self.front.stop_listening();
        }
        let start = self.cx.clock.now().monotonic;
        let mut events = Events::with_capacity(256);
        loop {
            watch::end_all(self.cx.driver.store_mut(), &mut self.front);
            queueing::end_all(&mut self.cx);
            queueing::advance(&mut self.cx);
            self.carry_out();
            self.take_results()?;
            self.maintain_peers();
            self.turn()?;
            health::answer_late(&mut self.cx);
            leader::look(&mut self.cx);
            self.carry_out();
            let passed = self.cx.clock.now().monotonic.saturating_sub(start);
            let is_done = self.front.is_quiet(passed >= DRAIN_NS)
                && !self.cx.driver.is_syncing()
                && (self.cx.locks.is_empty() || is_removed);
            let is_late = passed > STOP_NS;
            // What came while this thread had no processor is looked at before all is closed.
            if is_done && !is_late && self.take_events(&mut events, Duration::ZERO)? {
                net::go_on(self);
                continue;
            }
            if is_done || is_late {
                self.answer_waiting();
                net::flush_dirty(self);
                return Ok(());
            }
            if is_removed {
                self.answer_waiting();
            }
            self.take_events(&mut events, PAUSE)?;
            net::go_on(self);
        }
    }

    /// Takes what the threads beside the loop have done.
    pub(super) fn take_results(&mut self) -> Result<(), StartError> {
        let results = background::take_results(&mut self.cx)?;
        for maker in results.made {
            making::made(&mut self.front, maker);
        }
        for key in results.backups {
            backup::piece_ready(&mut self.front, key);
        }
        for job in results.passwords {
            self.deliver_password(job);
        }
        for (key, verdict) in results.reached {
            self.deliver_reached(key, verdict);
        }
        Ok(())
    }
}
