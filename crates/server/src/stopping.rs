//! Ending without losing anybody's request.

use crate::connection::{Connection, Task};
use crate::error::StartError;
use crate::owner::Owner;
use mio::Events;
use replica::{Clock, Role};
use std::time::Duration;

/// How long handing leadership over may take when the server stops: 1 s.
const HAND_OVER_NS: u64 = 1_000_000_000;

/// How long clients may still ask on connections that are open when the server stops: 200 ms.
const DRAIN_NS: u64 = 200_000_000;

/// How long answers may take to leave when the server stops: 1 s.
const STOP_NS: u64 = 1_000_000_000;

impl Owner {
    /// A leader hands over before it stops, so that nobody has to notice that it is gone. Requests
    /// are served meanwhile.
    fn hand_over(&mut self) -> Result<(), StartError> {
        let until = self.clock.now().monotonic + HAND_OVER_NS;
        let mut events = Events::with_capacity(256);
        let is_leader = |owner: &Self| owner.driver.status().role == Role::Leader;
        if self.driver.membership().members().count() < 2 || !is_leader(self) {
            return Ok(());
        }
        self.driver.hand_over();
        while is_leader(self) && self.clock.now().monotonic < until {
            self.take_results()?;
            self.turn()?;
            self.poll.poll(&mut events, Some(Duration::from_millis(5)))?;
            self.begin_round();
            for event in &events {
                self.take(event);
            }
            self.tend_peers();
        }
        Ok(())
    }

    /// Stops: no new connections, watches ended, writes in hand finished, answers sent.
    pub(crate) fn stop(&mut self) -> Result<(), StartError> {
        tracing::info!("stopping");
        self.hand_over()?;
        self.finish_up()?;
        self.driver.close()?;
        tracing::info!("stopped");
        Ok(())
    }

    /// Takes the connections that wait already, and refuses others from here on: whoever tries
    /// another machine next should not have to wait for this one to be gone.
    fn stop_listening(&mut self) {
        (0..self.listeners.len()).for_each(|at| self.accept(at));
        for listener in self.listeners.drain(..) {
            // The port is held open elsewhere for the next part that the machine plays, so that
            // closing it here would not be enough.
            let _ = socket2::SockRef::from(&listener.socket).shutdown(std::net::Shutdown::Both);
        }
    }

    /// Ends watches, finishes what is in hand and sends the answers. Clients that were about to ask
    /// on a connection that is open are answered for a moment more, and told that it ends.
    pub(crate) fn finish_up(&mut self) -> Result<(), StartError> {
        self.is_stopping = true;
        if self.removal.is_none() {
            self.stop_listening();
        }
        let start = self.clock.now().monotonic;
        let mut events = Events::with_capacity(256);
        loop {
            self.end_watches();
            self.end_claims();
            self.tend_claims();
            self.take_results()?;
            self.tend_peers();
            self.turn()?;
            let passed = self.clock.now().monotonic.saturating_sub(start);
            let is_waiting = |connection: &Connection| {
                let is_peer = matches!(connection.task, Task::Peer(_) | Task::Guest(_));
                let has_more = !connection.outbox.is_empty() || !connection.socket.is_flushed();
                has_more || (!is_peer && (!connection.is_idle() || passed < DRAIN_NS))
            };
            let keys = self.connections.keys().into_iter();
            let mut connections = keys.filter(|key| {
                self.connections.get_mut(*key).is_some_and(|connection| is_waiting(connection))
            });
            let is_done = connections.next().is_none()
                && !self.driver.is_syncing()
                && (self.claims.is_empty() || self.removal.is_some());
            if is_done || passed > STOP_NS {
                self.answer_waiting();
                self.flush_dirty();
                return Ok(());
            }
            if self.removal.is_some() {
                self.answer_waiting();
            }
            self.poll.poll(&mut events, Some(Duration::from_millis(5)))?;
            self.begin_round();
            for event in &events {
                self.take(event);
            }
            self.go_on()?;
        }
    }
}
