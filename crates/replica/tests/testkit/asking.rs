//! What members are asked for, and what comes of it.

use super::{Cluster, TestDriver};
use replica::{ClusterConfig, EngineError, Failure, Member, MemberId, Ticket};
use store::Command;

impl Cluster {
    pub(super) fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    pub(crate) fn propose(&mut self, at: usize, command: &Command<'_>) -> Ticket {
        let ticket = self.ticket();
        self.member_mut(at).propose(ticket, command).expect("there is room");
        ticket
    }

    pub(crate) fn is_answered(&self, ticket: Ticket) -> bool {
        self.outcomes.contains_key(&ticket.0)
    }

    /// The outcome of a write, if it is there.
    pub(crate) fn outcome_of(&self, ticket: Ticket) -> Option<&Result<(), Failure>> {
        self.outcomes.get(&ticket.0)
    }

    pub(crate) fn outcome(&mut self, ticket: Ticket) -> Result<(), Failure> {
        self.deliver();
        self.run_until(|cluster| cluster.outcomes.contains_key(&ticket.0));
        self.outcomes.remove(&ticket.0).expect("just seen")
    }

    pub(crate) fn write(&mut self, at: usize, command: &Command<'_>) -> Result<(), Failure> {
        let ticket = self.propose(at, command);
        self.turn(at);
        self.outcome(ticket)
    }

    pub(crate) fn read(&mut self, at: usize) -> Result<(), EngineError> {
        let ticket = self.ticket();
        self.member_mut(at).read(ticket)?;
        self.turn(at);
        self.deliver();
        self.run_until(|cluster| cluster.reads.contains_key(&ticket.0));
        self.reads.remove(&ticket.0).expect("just seen")
    }

    /// Asks for a quorum read; its request may be [held](Self::hold) and delivered late.
    pub(crate) fn begin_read(&mut self, at: usize) -> Ticket {
        let ticket = self.ask_read(at);
        self.turn(at);
        ticket
    }

    /// Asks for a quorum read without a turn.
    pub(super) fn ask_read(&mut self, at: usize) -> Ticket {
        let ticket = self.ticket();
        self.member_mut(at).read(ticket).expect("there is room");
        ticket
    }

    /// Whether a read was confirmed, once it is answered.
    pub(crate) fn read_outcome(&self, ticket: Ticket) -> Option<Result<(), EngineError>> {
        self.reads.get(&ticket.0).copied()
    }

    pub(crate) fn hand_over(&mut self, at: usize) {
        self.member_mut(at).transfer_leadership();
    }

    /// Asks a member for a change, and waits for what comes of it.
    pub(super) fn change(
        &mut self,
        at: usize,
        ask: impl FnOnce(&mut TestDriver, Ticket),
    ) -> Result<(), EngineError> {
        let ticket = self.ticket();
        ask(self.member_mut(at), ticket);
        self.turn(at);
        match self.outcome(ticket) {
            Ok(()) => Ok(()),
            Err(Failure::Engine(error)) => Err(error),
            Err(other) => panic!("{other:?}"),
        }
    }

    pub(crate) fn configure(
        &mut self,
        at: usize,
        config: ClusterConfig,
    ) -> Result<(), EngineError> {
        self.change(at, |member, ticket| member.propose_config(ticket, None, config))
    }

    pub(crate) fn expect(&mut self, at: usize, machine: Member) -> Result<(), EngineError> {
        self.change(at, |member, ticket| member.propose_member(ticket, machine))
    }

    pub(crate) fn forget(&mut self, at: usize, id: MemberId) -> Result<(), EngineError> {
        self.change(at, |member, ticket| member.propose_forgetting(ticket, id))
    }

    /// Proposes without a turn.
    pub(crate) fn try_propose(
        &mut self,
        at: usize,
        command: &Command<'_>,
    ) -> Result<Ticket, EngineError> {
        let ticket = self.ticket();
        self.member_mut(at).propose(ticket, command)?;
        Ok(ticket)
    }

    /// Asks for a quorum read without a turn.
    pub(crate) fn try_read(&mut self, at: usize) -> Result<(), EngineError> {
        let ticket = self.ticket();
        self.member_mut(at).read(ticket)
    }

    /// Asks a member for a removal; what it has to say to others is on its way then.
    pub(crate) fn begin_removal(&mut self, at: usize, id: MemberId) {
        let ticket = self.ticket();
        self.member_mut(at).propose_removal(ticket, id);
        self.turn(at);
    }

    /// Asks a member to put a member's addresses into its log; nobody hears of it yet.
    pub(crate) fn begin_registration(&mut self, at: usize, member: Member) {
        let ticket = self.ticket();
        self.member_mut(at).propose_member(ticket, member);
        self.turn(at);
    }

    pub(crate) fn remove(&mut self, at: usize, id: MemberId) -> Result<(), EngineError> {
        self.change(at, |member, ticket| member.propose_removal(ticket, id))
    }

    pub(crate) fn ask_join(&mut self, at: usize, machine: Member) -> Result<(), EngineError> {
        self.change(at, |member, ticket| member.propose_join(ticket, machine))
    }

    pub(crate) fn answers_ok(&self) -> usize {
        self.outcomes.values().filter(|outcome| outcome.is_ok()).count()
    }

    pub(crate) fn failures(&self) -> Vec<&Failure> {
        self.outcomes.values().filter_map(|outcome| outcome.as_ref().err()).collect()
    }
}
