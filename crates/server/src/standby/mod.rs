//! A machine without a place: it has no store and takes no part in consensus, sends clients to the
//! leader, and asks for a place when there is room (API document of 0.4, "Standby";
//! docs/spec/cluster.md section 7). With `-standby-mode=proxy` it relays their connections instead
//! (`tunnel.rs`).
//!
//! A machine that starts and has to ask first what it is to become is served by the same loop: it
//! answers that it lives, and why it does not serve yet (`route.rs`).
//!
//! Its health, version and own statistics are answered here. What it knows of the cluster comes
//! from `poller.rs`, a thread that asks the members now and then.

mod poller;
mod relay;
mod route;
mod tunnel;

use crate::api::answers::{overloaded, refuse_anywhere};
use crate::api::error::{ApiError, STANDBY_INTERNAL};
use crate::api::stats::{self, SelfStats, listing_of_urls};
use crate::api::{Served, call, enter, health, redirect};
use crate::config::{Config, Dialect, Port};
use crate::error::StartError;
use crate::http::browser::Hosts;
use crate::http::cors::Cors;
use crate::http::request::{Refusal, Request};
use crate::join::seek::Facts;
use crate::join::{IdentityCard, JoinError, Start, View};
use crate::member::greeting::refusal;
use crate::metrics::Meters;
use crate::net::tls::{Dialer, Keyring};
use crate::net::{
    self, Caller, Front, FrontParts, Key, Listener, Reply, Response, Service, TOKEN_BASE,
};
use crate::notice::{self, notice};
use crate::proof::Gate;
use crate::sys::clock::SystemClock;
use crate::sys::pulse::Pulse;
use crate::text::printable;
use mio::event::Event;
use mio::net::UnixStream;
use mio::{Events, Interest, Poll, Token, Waker};
use poller::{ClusterPoller, Report, Wish, interval_of};
use replica::{Clock, InitialIdentity, Member, MemberId, Now, Removal};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tunnel::{CONNECT_NS, Tunnel, Upstreams};

const TOKEN_WAKER: Token = Token(14);
const TOKEN_SIGNAL: Token = Token(15);

/// Tokens of tunnels: that of the client's connection and this.
const TUNNEL_BASE: usize = 1 << 40;

/// How long a machine that starts leaves clients to whom it is about to become: 500 ms. What it
/// accepts now it has to close then.
const MOMENT: Duration = Duration::from_millis(500);
const MOMENT_NS: u64 = 500_000_000;

/// How often slow clients are looked after: 1 s.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
const HOUSEKEEPING_NS: u64 = 1_000_000_000;

/// What a machine says of itself that was removed through `/v2/members`.
const STAYS_OUT: &str = "this machine was removed from the cluster through /v2/members, and does \
                         not rejoin until it is restarted";

/// How standing by ended.
#[derive(Debug)]
pub(crate) enum StandbyEnd {
    /// A signal asked for it.
    Stopped,
    /// There is a place for this machine.
    Promoted(Box<InitialIdentity>),
    /// The decision what a starting machine becomes, or that it must not start.
    Decided(Result<Start, JoinError>),
}

/// What the machine waits for.
#[derive(Debug)]
pub(crate) enum Errand {
    /// A place; members may be asked at these peer URLs.
    Place(Vec<String>),
    /// What it becomes.
    Part(Facts),
    /// Nothing: it is a proxy; members may be asked at these peer URLs.
    Relay(Vec<String>),
    /// A place later, or nothing: it was removed just now.
    Aftermath(Box<Aftermath>),
}

/// What a machine knows when it has just been removed.
#[derive(Debug)]
pub(crate) struct Aftermath {
    pub(crate) removal: Removal,
    /// The others as it knew them.
    pub(crate) view: View,
}

impl Aftermath {
    /// Where the others may be asked.
    pub(crate) fn peers(&self) -> Vec<String> {
        self.view.members.iter().map(|member| member.peer_url.clone()).collect()
    }

    fn wish(&self) -> Wish {
        match self.removal {
            Removal::Plain => Wish::PlaceIn(interval_of(&self.view)),
            Removal::Final => Wish::Nothing,
        }
    }
}

/// What a standby is made of.
pub(crate) struct StandbyParts<'a> {
    pub(crate) config: &'a Config,
    pub(crate) clock: SystemClock,
    pub(crate) own: Member,
    pub(crate) errand: Errand,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) signals: UnixStream,
    pub(crate) pulse: &'a Pulse,
    pub(crate) keyring: &'a mut Keyring,
}

/// A machine without a place.
struct Standby<'a> {
    front: Front<Box<Tunnel>>,
    /// What handlers print into.
    body: Vec<u8>,
    config: &'a Config,
    removal: Option<Removal>,
    own: Member,
    /// Kept open: its other end is written to when a signal comes.
    _signals: UnixStream,
    /// Tunnels that had their share of a round, of which no event may tell.
    unfinished: Vec<Key>,
    /// Where tunnels lead: the first that can be reached.
    upstreams: Upstreams,
    /// What is shown there, and who is believed: the same as at the own port for clients.
    dialer: Option<Dialer>,
    gate: Arc<Gate>,
    meters: Rc<Meters>,
    clock: SystemClock,
    started: Now,
    view: Option<View>,
    /// Why a machine that starts does not serve yet; nothing for a standby.
    waits_for: Option<String>,
    /// Whether connections of clients are accepted.
    is_open: bool,
    pulse: &'a Pulse,
    last_housekeeping: u64,
}

/// Stands by until a signal comes, or a place. `remember` is given the peer URLs of the members
/// whenever they change, so that a restart finds them.
///
/// # Errors
/// [`StartError`] with what broke.
pub(crate) fn run(
    parts: StandbyParts<'_>,
    remember: &mut dyn FnMut(&[String]),
) -> Result<StandbyEnd, StartError> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), TOKEN_WAKER)?);
    let StandbyParts { config, clock, own, errand, listeners, mut signals, pulse, keyring } = parts;
    poll.registry().register(&mut signals, TOKEN_SIGNAL, Interest::READABLE)?;
    let waits_for =
        matches!(errand, Errand::Part(_)).then(|| "asking others how to start".to_owned());
    let (mut removal, mut view) = (None, None);
    let poller = match errand {
        Errand::Place(peers) => {
            ClusterPoller::start(config, own.clone(), peers, Wish::Place, waker)?
        }
        Errand::Relay(peers) => {
            ClusterPoller::start(config, own.clone(), peers, Wish::Nothing, waker)?
        }
        Errand::Part(facts) => ClusterPoller::seek(config, own.clone(), facts, waker)?,
        Errand::Aftermath(after) => {
            let (peers, wish) = (after.peers(), after.wish());
            (removal, view) = (Some(after.removal), Some(after.view));
            ClusterPoller::start(config, own.clone(), peers, wish, waker)?
        }
    };
    let now = clock.now();
    let gate = Arc::new(Gate::new(&config.finding.token)?);
    let meters = Rc::new(Meters::new(now));
    let front = Front::new(FrontParts {
        live: config.live_limits(),
        cors: Cors::new(&config.cors),
        hosts: Hosts::of(config),
        poll,
        keyring: std::mem::take(keyring),
        listeners,
        gate: Arc::clone(&gate),
        counters: Rc::clone(&meters) as Rc<dyn net::Count>,
        names_users: false,
        audit: None,
        refusal: overloaded,
        now,
    });
    let mut standby = Standby {
        front,
        body: Vec::new(),
        config,
        removal,
        own,
        _signals: signals,
        unfinished: Vec::new(),
        upstreams: Upstreams::default(),
        dialer: dialer_of(config)?,
        gate,
        meters,
        clock,
        started: now,
        view,
        waits_for,
        is_open: false,
        pulse,
        last_housekeeping: now.monotonic,
    };
    if standby.waits_for.is_none() {
        match config.proxy {
            None => notice!(StandingBy, "", "{}", config.name),
            Some(_) => notice!(Proxying, "", "{}", config.name),
        }
        standby.open()?;
    }
    // Others that start ask as well, and are not to wait for one another.
    standby.front.open(|port| port == Port::Peer)?;
    let ended = standby.serve(&poller, remember);
    *keyring = std::mem::take(&mut standby.front.keyring);
    ended
}

/// What clients are passed on with, where they are and members want TLS.
fn dialer_of(config: &Config) -> Result<Option<Dialer>, StartError> {
    let client_tls = config.client_tls.clone().filter(|_| config.proxies_standby);
    // A proxy of 2.x calls members with what machines show to one another.
    let client_tls = client_tls.or(config.peer_tls.clone().filter(|_| config.proxy.is_some()));
    client_tls.map(Dialer::open).transpose()
}

impl Standby<'_> {
    fn serve(
        &mut self,
        poller: &ClusterPoller,
        remember: &mut dyn FnMut(&[String]),
    ) -> Result<StandbyEnd, StartError> {
        let mut events = Events::with_capacity(256);
        loop {
            match self.front.poll.poll(&mut events, Some(self.patience())) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            self.front.set_now(self.clock.now());
            self.pulse.beat();
            net::begin_round(self);
            while let Some(report) = poller.next() {
                if let Some(ended) = self.hear(report, remember)? {
                    return Ok(ended);
                }
            }
            for event in &events {
                if event.token() == TOKEN_SIGNAL {
                    notice!(Stopping, "", "");
                    self.pulse.stop(None);
                    return Ok(StandbyEnd::Stopped);
                }
                self.take(event);
            }
            for key in std::mem::take(&mut self.unfinished) {
                self.carry(key);
            }
            net::go_on(self);
            let now = self.front.now.monotonic;
            if now.saturating_sub(self.started.monotonic) >= MOMENT_NS {
                self.open()?;
            }
            if now.saturating_sub(self.last_housekeeping) >= HOUSEKEEPING_NS {
                self.last_housekeeping = now;
                self.housekeep();
            }
            net::flush_dirty(self);
            self.front.accept_due();
        }
    }

    /// How long to wait for the next event.
    fn patience(&self) -> Duration {
        let due = Duration::from_nanos(self.front.until_due()).min(self.pulse.rest());
        match self.is_open {
            _ if !self.unfinished.is_empty() => Duration::ZERO,
            true => HOUSEKEEPING.min(due),
            false => MOMENT.min(due),
        }
    }

    /// Takes what was found out about the cluster. Gives how standing by ends, if it does.
    fn hear(
        &mut self,
        report: Report,
        remember: &mut dyn FnMut(&[String]),
    ) -> Result<Option<StandbyEnd>, StartError> {
        match report {
            Report::Seen(view, upstreams) => {
                let urls: Vec<String> =
                    view.members.iter().map(|member| member.peer_url.clone()).collect();
                remember(&urls);
                let before = self.leader().map(|one| one.id);
                self.view = Some(view);
                self.upstreams = *upstreams;
                self.tell_leader(before);
            }
            Report::Lost(detail) => {
                notice!(StandbyLost, "", "{detail}");
                if let Some(view) = &mut self.view {
                    view.leader = None;
                }
            }
            Report::Promoted(birth) => return Ok(Some(StandbyEnd::Promoted(birth))),
            Report::Waits(why) => {
                self.waits_for = Some(why);
                self.tell_pulse();
                self.open()?;
            }
            Report::Decided(decided) => return Ok(Some(StandbyEnd::Decided(decided))),
        }
        Ok(None)
    }

    /// Starts to accept connections of clients.
    fn open(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.is_open, true) {
            return Ok(());
        }
        self.front.open(|port| port != Port::Peer)?;
        self.tell_pulse();
        Ok(())
    }

    /// Tells who supervises this process what it does.
    fn tell_pulse(&self) {
        self.pulse.tell(|| match (&self.waits_for, self.config.proxy.is_some()) {
            (Some(why), _) => (false, format!("not ready: {why}")),
            (None, true) => (true, "passes clients on, as a proxy".to_owned()),
            (None, false) => (true, "stands by".to_owned()),
        });
    }

    fn take(&mut self, event: &Event) {
        match event.token() {
            TOKEN_WAKER => {}
            Token(at @ TUNNEL_BASE..) => {
                if let Some(key) = self.front.key_of(Token(at - TUNNEL_BASE)) {
                    self.carry(key);
                }
            }
            _ => net::take(self, event),
        }
    }

    fn leader(&self) -> Option<&Member> {
        let view = self.view.as_ref()?;
        let leader = view.leader?;
        view.members.iter().find(|one| one.id == leader && !one.client_url.is_empty())
    }

    /// Tells which leader this machine sends clients to, if that has changed.
    fn tell_leader(&self, before: Option<MemberId>) {
        let Some(leader) = self.leader().filter(|leader| Some(leader.id) != before) else { return };
        let mut urls = leader.v04_urls();
        urls.extend(leader.v2_urls());
        urls.dedup();
        let (name, at) = (printable(&leader.name), printable(&urls.join(" ")));
        notice!(StandbyLeader, &name, "{name} at {at}: clients are sent there");
    }

    /// Ends the connections of clients that neither send nor read.
    fn housekeep(&mut self) {
        notice::tell_waiting();
        self.tell_pulse();
        self.front.refresh();
        if let Some(dialer) = &mut self.dialer {
            dialer.refresh(false);
        }
        let now = self.front.now.monotonic;
        for key in self.front.keys() {
            let Some(tunnel) = self.front.pending_mut(key) else { continue };
            if !tunnel.is_open && now.saturating_sub(tunnel.since) > CONNECT_NS {
                self.dial_next(key, "no answer");
            }
        }
        net::close_slow(self);
    }
}

/// The refusal of a machine that has no place.
fn refuse(cause: &str) -> Response {
    let error = ApiError::refused(STANDBY_INTERNAL, cause, 0, 503);
    Response::json(error.status(), error.body())
}

impl Service for Standby<'_> {
    type Pending = Box<Tunnel>;

    fn parts(&mut self) -> (&mut Front<Box<Tunnel>>, &mut Vec<u8>) {
        (&mut self.front, &mut self.body)
    }

    fn request(&mut self, caller: Caller, request: &Request<'_>) -> Reply<Box<Tunnel>> {
        // Nothing here needs a proof; its answer is proven too.
        if let Ok(Some(proven)) = call::check(&self.gate, request, self.front.now.monotonic) {
            self.front.prove(caller.key, proven);
        }
        enter(Served::by_standby(self.config), caller.port, request, |route| {
            self.respond(caller, request, route)
        })
    }

    fn refuse(&mut self, refusal: Refusal, _: Option<Dialect>) -> Response {
        refuse_anywhere(refusal)
    }

    fn take_bytes(&mut self, _: Key, _: &[u8]) -> Option<usize> {
        unreachable!("upgraded connections are relayed")
    }

    fn relay(&mut self, key: Key) {
        self.carry(key);
    }

    fn print_more(&mut self, _: Key) {
        unreachable!("all answers here are short")
    }

    // A tunnel ends with its client.
    fn client_gone(&mut self, _: Key, _: Box<Tunnel>) {}
}
