//! What a member is asked for: writes, quorum reads, changes of the membership.

use crate::clock::{Clock, MonoTime};
use crate::driver::Driver;
use crate::driver::network::Network;
use crate::error::EngineError;
use crate::membership::change::Change;
use crate::membership::{ClusterConfig, Member};
use crate::replica::handover::HandOverRefused;
use crate::types::{MemberId, Ticket};
use crate::wire::batch::Control;
use store::{Author, Command, StoreError};
use wal::Disk;

impl<D: Disk, N: Network, C: Clock> Driver<D, N, C> {
    /// Takes the mutation of a client that is nobody in particular into this turn's batch.
    ///
    /// # Errors
    /// [`EngineError`] when it is certain that nothing was done with it.
    pub fn propose(&mut self, ticket: Ticket, command: &Command<'_>) -> Result<(), EngineError> {
        self.propose_as(ticket, Author::default(), command)
    }

    /// The same for somebody. Whether its author has the right to it is asked where it is applied.
    ///
    /// # Errors
    /// [`EngineError`] when it is certain that nothing was done with it.
    pub fn propose_as(
        &mut self,
        ticket: Ticket,
        author: Author,
        command: &Command<'_>,
    ) -> Result<(), EngineError> {
        self.unfit()?;
        let now = self.arrival();
        self.replica.propose(ticket, (author, command), now)
    }

    /// Refuses a command that is sure to fail, without a place in the log; gives the error, if so.
    /// Only a member that decides alone can: it has applied everything that was ever answered, so
    /// that the failure is true between the coming of the request and its answer. In a cluster
    /// another member may have been told of a change that this one has not applied.
    pub fn refuse(&mut self, command: &Command<'_>) -> Option<StoreError> {
        if !self.replica.decides_alone() {
            return None;
        }
        self.replica.store_mut().refuse(command)
    }

    /// When a request came, by the monotonic clock. Those of one turn share a reading.
    fn arrival(&mut self) -> MonoTime {
        if !self.replica.has_gathered() {
            self.now = self.clock.now();
        }
        self.now.mono()
    }

    /// Takes a new cluster configuration into this turn's batch.
    /// With `from` it is replaced only if it is that one when it is its turn; else the outcome is
    /// that the comparison failed.
    pub fn propose_config(
        &mut self,
        ticket: Ticket,
        from: Option<ClusterConfig>,
        to: ClusterConfig,
    ) {
        let now = self.arrival();
        let control = match from {
            Some(from) => Control::Reconfigure { from, to },
            None => Control::Configure(to),
        };
        self.replica.propose_control(Some(ticket), &control, now);
    }

    /// Asks for a machine to become a member: it learns first, and votes when it has caught up.
    pub fn propose_join(&mut self, ticket: Ticket, member: Member) {
        let now = self.arrival();
        self.replica.propose_change(Some(ticket), Change::Join(member), now);
    }

    /// Asks for a member to leave for good. Its machine may ask for a place again, under another
    /// id.
    pub fn propose_removal(&mut self, ticket: Ticket, id: MemberId) {
        let now = self.arrival();
        self.replica.propose_change(Some(ticket), Change::Remove(id), now);
    }

    /// The same, and its machine is to stay out until its operator starts it again.
    pub fn propose_expulsion(&mut self, ticket: Ticket, id: MemberId) {
        let now = self.arrival();
        self.replica.propose_change(Some(ticket), Change::Expel(id), now);
    }

    /// Puts a member as it is to be into this turn's batch. One without a name is only expected: a
    /// place for a machine that is still to come, which takes part in nothing.
    pub fn propose_member(&mut self, ticket: Ticket, member: Member) {
        let now = self.arrival();
        let control = Control::Register { member, config: None };
        self.replica.propose_control(Some(ticket), &control, now);
    }

    /// Asks for a machine not to be expected any more.
    pub fn propose_forgetting(&mut self, ticket: Ticket, id: MemberId) {
        let now = self.arrival();
        self.replica.propose_control(Some(ticket), &Control::Forget(id), now);
    }

    /// Transfers leadership to another member, if there is one to take it.
    pub fn transfer_leadership(&mut self) {
        self.replica.transfer_leadership();
    }

    /// Begins to hand leadership over to a member, or to the one that is furthest; gives which one
    /// that is. It leads when [`Driver::status`] says so, which may still come while
    /// [`Driver::handing_over_to`] names it.
    ///
    /// # Errors
    /// [`HandOverRefused`]; nothing was done.
    pub fn hand_over(&mut self, target: Option<MemberId>) -> Result<MemberId, HandOverRefused> {
        let now = self.clock.now();
        self.replica.hand_over(target, now)
    }

    /// The member that this one is handing its leadership over to.
    pub fn handing_over_to(&self) -> Option<MemberId> {
        self.replica.handing_over_to()
    }

    /// Takes a quorum read into this turn's round.
    ///
    /// # Errors
    /// [`EngineError`] when this member cannot serve it.
    pub fn read(&mut self, ticket: Ticket) -> Result<(), EngineError> {
        self.unfit()?;
        let now = self.arrival();
        self.replica.read(ticket, now)
    }

    /// Whether a turn should run before more proposals are taken in.
    pub fn is_batch_full(&self) -> bool {
        self.replica.is_batch_full()
    }
}
