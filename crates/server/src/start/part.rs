//! Which part a machine plays when it starts. What it becomes is decided in
//! `replica/identity/decide.rs`; here the directory is looked at, and the outcome made true in it.

use super::{Host, Part, options, set_aside};
use crate::config::InitialCluster;
use crate::error::StartError;
use crate::join::decide::{Held, Outcome, sets_aside};
use crate::join::seek::{self, Facts};
use crate::join::{self, JoinError, Start, srv};
use crate::notice::notice;
use crate::standby::{self, Errand};
use replica::{Clock, InitialIdentity, Member, MemberId};

/// What the files of an earlier life are put away under.
const ASIDE: &str = "replaced";

impl Host {
    /// This machine as it asks to become a member.
    pub(super) fn own(&self) -> Member {
        let id = join::derive_id(&[&self.config.name, &self.seed.to_string()]);
        let options = options(&self.config, self.seed);
        Member {
            id: MemberId(id),
            name: self.config.name.clone(),
            client_url: options.client_url,
            urls: options.client_urls,
            peer_url: options.peer_url,
        }
    }

    /// Finds out what this machine is, and gives its directory an identity unless that is to be of
    /// a new cluster (docs/spec/cluster.md section 4).
    pub(super) fn find_part(&mut self) -> Result<Part, StartError> {
        let facts = self.facts()?;
        // A member has its cluster, whatever the DNS says.
        let is_forced = self.config.force || self.config.finding.force_rejoin;
        if facts.held == Held::Nothing || is_forced {
            self.look_up_machines()?;
        }
        let outcome = seek::first_outcome(&self.config, &self.own(), facts.held);
        match outcome {
            Outcome::Restart => Ok(Part::Member),
            Outcome::StandBy => Ok(Part::Standby(self.with_hints(facts.known))),
            Outcome::Refuse(refusal) => {
                let (name, dir) = (&self.config.name, &self.config.data_dir);
                Err(StartError::Join(seek::explain(refusal, name, dir, "")))
            }
            Outcome::Found => self.become_what(&facts, Start::Found),
            Outcome::Ask | Outcome::FoundTogether | Outcome::Join | Outcome::Rejoin => {
                self.seek_part(facts)
            }
        }
    }

    /// Has the machines that the DNS names be those of the start line.
    pub(super) fn look_up_machines(&mut self) -> Result<(), StartError> {
        let Some(srv) = &self.config.finding.srv else { return Ok(()) };
        let members = srv::look_up(srv).map_err(StartError::Join)?;
        let own = srv::own_among(&members, &self.config.peer_url());
        let urls: Vec<&str> = members.iter().map(|(_, url)| url.as_str()).collect();
        let urls = urls.join(", ");
        if own.is_none() && self.config.proxy.is_none() {
            return Err(StartError::Join(format!(
                "-discovery-srv {}: {} is not among the machines that the DNS names ({urls}): set \
                 -peer-addr or -initial-advertise-peer-urls to the one of this machine",
                srv.domain,
                self.config.peer_url()
            )));
        }
        notice!(MachinesFound, "", "{urls}");
        let (token, is_new) = (srv.token.clone(), srv.is_new);
        self.config.finding.initial = Some(InitialCluster { members, token, is_new, own });
        Ok(())
    }

    /// What the directory says. It is looked into only where it may have to be given up.
    fn facts(&self) -> Result<Facts, StartError> {
        let is_empty = wal::is_empty(&self.data_dir).map_err(|error| {
            let dir = self.config.data_dir.display();
            StartError::DataDir(format!("cannot read the data directory {dir}: {error}"))
        })?;
        let is_forced = self.config.force || self.config.finding.force_rejoin;
        if is_empty {
            return match self.data_dir.standby() {
                Ok(Some(known)) => Ok(Facts { held: Held::Standby, known }),
                Ok(None) => Ok(Facts { held: Held::Nothing, known: Vec::new() }),
                // There is a cluster, whatever else it says.
                Err(_) if is_forced => Ok(Facts { held: Held::Standby, known: Vec::new() }),
                Err(error) => Err(StartError::DataDir(error.to_string())),
            };
        }
        if !is_forced {
            return Ok(Facts { held: Held::Several, known: Vec::new() });
        }
        // What cannot be read may have been anything.
        let Some(peeked) = replica::peek(&self.data_dir).ok().flatten() else {
            notice!(DirectoryDamaged, "", "it does not name the member that it belongs to");
            return Ok(Facts { held: Held::Several, known: Vec::new() });
        };
        let known: Vec<String> = peeked.others().map(|member| member.peer_url.clone()).collect();
        let held = if known.is_empty() { Held::Alone } else { Held::Several };
        Ok(Facts { held, known })
    }

    /// Peer URLs, and those that the start line names.
    fn with_hints(&self, mut peers: Vec<String>) -> Vec<String> {
        for hint in join::others(&self.config.finding.peers, &self.own()) {
            if !peers.contains(&hint) {
                peers.push(hint);
            }
        }
        peers
    }

    /// Asks others, and serves the ports meanwhile.
    fn seek_part(&mut self, facts: Facts) -> Result<Part, StartError> {
        let parts = standby::StandbyParts {
            config: &self.config,
            clock: self.clock,
            own: self.own(),
            errand: Errand::Part(facts.clone()),
            listeners: self.ports.again()?,
            signals: self.signals()?,
            pulse: &self.pulse,
            keyring: &mut self.keyring,
        };
        match standby::run(parts, &mut |_| {})? {
            standby::StandbyEnd::Stopped => Ok(Part::Stop),
            standby::StandbyEnd::Promoted(birth) => self.become_what(&facts, Start::Member(birth)),
            standby::StandbyEnd::Decided(Ok(start)) => self.become_what(&facts, start),
            standby::StandbyEnd::Decided(Err(JoinError::Stopped)) => Ok(Part::Stop),
            standby::StandbyEnd::Decided(Err(
                JoinError::Unreachable(detail) | JoinError::Refused(detail),
            )) => Err(StartError::Join(detail)),
        }
    }

    /// Makes an outcome true in the directory. A crash in between never leaves one that would found
    /// a cluster where there is one: the standby marker is there meanwhile.
    fn become_what(&mut self, facts: &Facts, start: Start) -> Result<Part, StartError> {
        let known = match &start {
            Start::Found => Vec::new(),
            Start::Member(birth) => {
                birth.known.iter().map(|member| member.peer_url.clone()).collect()
            }
            Start::Standby(peers) => peers.clone(),
        };
        // The outcome is one that goes on without what the directory held.
        if sets_aside(facts.held, Outcome::Join) {
            if !known.is_empty() {
                self.data_dir.set_standby(Some(&known))?;
            }
            set_aside(&self.data_dir, ASIDE)?;
            notice!(ForceFlag, "", "otherwise the next start does the same again");
            self.data_dir.set_standby((!known.is_empty()).then_some(known.as_slice()))?;
        }
        match start {
            Start::Found => {
                notice!(Founding, "", "{} is its first machine", self.config.name);
                Ok(Part::Member)
            }
            Start::Member(birth) => {
                self.prepare(*birth)?;
                Ok(Part::Member)
            }
            Start::Standby(peers) => Ok(Part::Standby(peers)),
        }
    }

    /// Gives the directory the identity of a member.
    pub(super) fn prepare(&self, birth: InitialIdentity) -> Result<(), StartError> {
        let limits = options(&self.config, self.seed).store_limits;
        replica::prepare(&self.data_dir, birth, limits, self.clock.now())?;
        self.data_dir.set_standby(None)?;
        Ok(())
    }
}
