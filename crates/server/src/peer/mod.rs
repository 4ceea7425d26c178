//! The ways to all other members.
//!
//! Each member dials every other one and speaks over the connection that it dialled; what the other
//! says comes over a connection that the other dialled. So the members need not agree on which of
//! them dials, and a connection that breaks says which side is gone. What is received is in
//! `owner.rs`, like all that comes over accepted connections.
//!
//! A machine with certificates for its peer port calls over TLS alone, whatever scheme the
//! membership names: nothing that it says, its secret least of all, goes out in plain text.

pub(crate) mod frame;
pub(crate) mod hello;
mod link;
mod meeting;

pub(crate) use link::LinkStats;

use crate::proof::Prover;
use crate::text::printable;
use link::{Greeted, Link, LinkChange, Own};
use meeting::Meetings;
use mio::{Registry, Token, Waker};
use replica::{ClusterId, Member, MemberId, Network, PeerClaim};
use rustls::ClientConfig;
use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Tokens from here on are those of links.
pub(crate) const TOKEN_BASE: usize = 1 << 48;

/// Callers that may be answered elsewhere than the membership says.
const CALLERS_MAX: usize = 16;

/// What the owner has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerEvent {
    /// A member has let this one speak.
    Welcome(MemberId),
    /// A member does not believe that this one is who it says.
    Disowned(MemberId),
    /// Messages to a member were lost.
    Unreachable(MemberId),
    /// A member, or the process that answers at its address, claims that this one was removed.
    Removed(MemberId),
}

type Resolved = (MemberId, String, Option<SocketAddr>);

/// The ways to all other members.
pub(crate) struct PeerLinks {
    registry: Registry,
    waker: Arc<Waker>,
    cluster: ClusterId,
    own: MemberId,
    /// How this member proves itself; nothing where the cluster has no secret.
    prover: Option<Prover>,
    /// How members are called; nothing if in plain HTTP.
    tls: Option<Arc<ClientConfig>>,
    /// HOST:PORT at which this member is reached.
    at: String,
    links: BTreeMap<MemberId, Link>,
    /// Addresses that callers announced, if the membership has none or another one.
    callers: BTreeMap<MemberId, String>,
    meetings: Meetings,
    next_number: usize,
    events: Vec<PeerEvent>,
    resolved_tx: Sender<Resolved>,
    resolved_rx: Receiver<Resolved>,
    now: u64,
}

impl PeerLinks {
    pub(crate) fn new(
        registry: Registry,
        waker: Arc<Waker>,
        prover: Option<Prover>,
        tls: Option<Arc<ClientConfig>>,
    ) -> Self {
        let (resolved_tx, resolved_rx) = channel();
        Self {
            registry,
            waker,
            cluster: ClusterId(0),
            own: MemberId(0),
            prover,
            tls,
            at: String::new(),
            links: BTreeMap::new(),
            callers: BTreeMap::new(),
            meetings: Meetings::default(),
            next_number: 0,
            events: Vec::new(),
            resolved_tx,
            resolved_rx,
            now: 0,
        }
    }

    /// Says who this member is, before anything else.
    pub(crate) fn introduce(&mut self, cluster: ClusterId, own: MemberId, at: &str) {
        (self.cluster, self.own) = (cluster, own);
        at.clone_into(&mut self.at);
    }

    /// Somebody says where a member is reached: it is dialled there in turn with where the
    /// membership says. Says whether that is news.
    pub(crate) fn hint(&mut self, id: MemberId, at: &str) -> bool {
        let Some(link) = self.links.get_mut(&id) else { return false };
        let is_news = link.address != at && link.hint.as_deref() != Some(at);
        if is_news {
            link.hint = Some(at.to_owned());
        }
        is_news
    }

    /// Sets the TLS configuration for outbound connections from now on.
    pub(crate) fn set_tls(&mut self, tls: Option<Arc<ClientConfig>>) {
        self.tls = tls;
    }

    /// A member calls from an address that the membership does not name: it has moved, or came
    /// while this one was away. It is answered there. Says whether there is room for one more: only
    /// so many are answered, and only so many addresses are dialled in a while, since a stranger
    /// may name any.
    pub(crate) fn meet(&mut self, id: MemberId, at: &str, now: u64) -> bool {
        self.now = now;
        let is_known = self.callers.get(&id).is_some_and(|known| known == at);
        let is_full = self.callers.len() >= CALLERS_MAX && !self.callers.contains_key(&id);
        if is_full || (!is_known && !self.meetings.may_dial(now)) {
            return false;
        }
        self.callers.insert(id, at.to_owned());
        if self.links.get(&id).is_none_or(|link| link.address != at && link.target() != at) {
            let link = self.link(id, at);
            self.links.insert(id, link);
            self.dial_due(self.now);
        }
        true
    }

    /// Addresses that callers announced, if they differ from the membership.
    pub(crate) fn callers(&self) -> Vec<(MemberId, String)> {
        self.callers.iter().map(|(id, at)| (*id, at.clone())).collect()
    }

    /// A caller left, or is where the membership says: that counts again. Says whether it was
    /// elsewhere.
    pub(crate) fn forget_caller(&mut self, id: MemberId) -> bool {
        self.callers.remove(&id).is_some()
    }

    fn link(&mut self, id: MemberId, address: &str) -> Link {
        let token = Token(TOKEN_BASE + self.next_number);
        self.next_number += 1;
        let at = self.at.clone();
        let greeted = Greeted { cluster: self.cluster, to: id, at };
        Link::new(token, address.to_owned(), greeted)
    }

    /// Keeps links to these members and to those that call, and to no others.
    pub(crate) fn set_members<'a>(&mut self, members: impl Iterator<Item = &'a Member>) {
        let own = self.own;
        let mut names = BTreeMap::new();
        let mut wanted: BTreeMap<MemberId, String> = members
            .filter(|member| member.id != own)
            .map(|member| {
                names.insert(member.id, printable(&member.name));
                let address = member.peer_url.split("://").last().unwrap_or_default();
                (member.id, address.to_owned())
            })
            .collect();
        wanted.extend(self.callers.clone());
        let mut links = std::mem::take(&mut self.links);
        for (id, address) in wanted {
            let link = links.remove(&id).map(|link| link.settle(&address));
            let link = link.filter(|link| link.address == address);
            let mut link = link.unwrap_or_else(|| self.link(id, &address));
            link.name = names.remove(&id).unwrap_or_default();
            self.links.insert(id, link);
        }
        self.dial_due(self.now);
    }

    pub(crate) fn take_events(&mut self) -> Vec<PeerEvent> {
        std::mem::take(&mut self.events)
    }

    /// Why a member was last not connected to; nothing if that never was so, or is not known.
    pub(crate) fn why_down(&self, id: MemberId) -> &str {
        self.links.get(&id).map(Link::refusal).unwrap_or_default()
    }

    pub(crate) fn stats(&self) -> impl Iterator<Item = (MemberId, bool, LinkStats)> {
        self.links.iter().map(|(id, link)| (*id, link.is_open(), link.stats))
    }

    /// Something happened to a link's socket. `claim` is what this member says of itself now.
    pub(crate) fn ready(&mut self, token: Token, claim: PeerClaim, now: u64) {
        self.now = now;
        let found = self.links.iter_mut().find(|(_, link)| link.token == token);
        if let Some((id, link)) = found {
            let own = Own { claim, prover: self.prover.as_ref() };
            let (id, change) = (*id, link.ready(now, own));
            self.note(id, change);
        }
    }

    /// Dials all links that are due.
    pub(crate) fn dial_due(&mut self, now: u64) {
        self.now = now;
        while let Ok((id, address, found)) = self.resolved_rx.try_recv() {
            let Some(link) = self.links.get_mut(&id) else { continue };
            if link.is_resolving() && link.target() == address {
                let change = match found {
                    Some(to) => link.connect(to, self.tls.clone(), now, &self.registry),
                    None => link.fail("cannot resolve its name", now),
                };
                self.note(id, change);
            }
        }
        let due: Vec<MemberId> =
            self.links.iter().filter(|(_, link)| link.is_due(now)).map(|(id, _)| *id).collect();
        for id in due {
            self.dial(id, now);
        }
    }

    fn dial(&mut self, id: MemberId, now: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let change = if !link.is_waiting() {
            link.fail("the handshake timed out", now)
        } else if let Ok(to) = link.target().parse() {
            link.connect(to, self.tls.clone(), now, &self.registry)
        } else {
            link.resolve(now);
            let (address, tx) = (link.target().to_owned(), self.resolved_tx.clone());
            let waker = Arc::clone(&self.waker);
            let look_up = move || {
                let found = address.to_socket_addrs().ok().and_then(|mut found| found.next());
                // The loop is gone when the queue is.
                if tx.send((id, address, found)).is_ok() {
                    let _ = waker.wake();
                }
            };
            let started = std::thread::Builder::new().name("stead-resolve".into()).spawn(look_up);
            match started {
                Ok(_) => LinkChange::None,
                Err(error) => link.fail(&error.to_string(), now),
            }
        };
        self.note(id, change);
    }

    fn note(&mut self, id: MemberId, change: LinkChange) {
        match change {
            LinkChange::None => {}
            LinkChange::Opened => tracing::debug!(member = %id, "connected to a member"),
            LinkChange::Admitted => {
                tracing::debug!(member = %id, "a member admitted this one");
                self.events.push(PeerEvent::Welcome(id));
            }
            LinkChange::Broken => self.report(id),
            LinkChange::Disowned => {
                self.report(id);
                self.events.push(PeerEvent::Disowned(id));
            }
            LinkChange::Removed => {
                self.report(id);
                self.events.push(PeerEvent::Removed(id));
            }
        }
    }

    fn report(&mut self, id: MemberId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if !link.is_reported {
            link.is_reported = true;
            self.events.push(PeerEvent::Unreachable(id));
        }
    }
}

impl Network for PeerLinks {
    fn send(&mut self, to: MemberId, message: Vec<u8>) {
        let Some(link) = self.links.get_mut(&to) else { return };
        if !link.send(&message) {
            // Asked again and again: what raft sends meanwhile is lost as well.
            if link.is_open() {
                link.is_reported = false;
            }
            self.report(to);
        }
    }

    fn can_send(&self, to: MemberId) -> bool {
        self.links.get(&to).is_some_and(Link::is_open)
    }

    fn flush(&mut self) {
        let now = self.now;
        let broken: Vec<(MemberId, LinkChange)> = self
            .links
            .iter_mut()
            .map(|(id, link)| (*id, link.flush(now)))
            .filter(|(_, change)| *change != LinkChange::None)
            .collect();
        for (id, change) in broken {
            self.note(id, change);
        }
    }
}
