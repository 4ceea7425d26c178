//! The thread beside the loop of a machine without a place. That of a standby asks the members how
//! things are, and for a place; that of a machine that starts finds out what it is to become.

use super::tunnel::Upstreams;
use crate::config::Config;
use crate::error::StartError;
use crate::join::discovery;
use crate::join::seek::{self, Facts, Patience};
use crate::join::{self, Asked, HttpCaller, JoinError, Start, View};
use crate::notice::notice;
use mio::Waker;
use replica::{InitialIdentity, Member};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long to wait without an answer, and before the first one.
const PAUSE: Duration = Duration::from_secs(1);

/// Members that requests are passed on to, and those that are asked.
const UPSTREAMS_MAX: usize = 16;
const PEERS_MAX: usize = 256;

/// How long the thread sleeps at a time, so that it ends soon when it is to end.
const SLEEP_STEP: Duration = Duration::from_millis(20);

/// What a standby asks of the cluster besides its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Place,
    /// A place, but not before this time has passed: it was removed just now.
    PlaceIn(Duration),
    Nothing,
}

/// The time between two looks at the cluster.
pub(crate) fn interval_of(view: &View) -> Duration {
    Duration::from_secs_f64(view.sync_interval.clamp(0.1, 3600.0))
}

/// What the thread found out.
#[derive(Debug)]
pub(crate) enum Report {
    /// The cluster, and where requests are passed on to if that was asked for.
    Seen(View, Box<Upstreams>),
    Lost(String),
    Promoted(Box<InitialIdentity>),
    /// What a machine that starts waits for.
    Waits(String),
    /// What it becomes, or why it does not start.
    Decided(Result<Start, JoinError>),
}

/// The thread, which ends when this is dropped.
pub(crate) struct ClusterPoller {
    reports: Receiver<Report>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The way back to the loop.
struct Line {
    tx: Sender<Report>,
    waker: Arc<Waker>,
    is_over: Arc<AtomicBool>,
}

impl Line {
    /// Sends a report; false if the receiver is gone.
    fn report(&self, report: Report) -> bool {
        self.tx.send(report).is_ok() && self.waker.wake().is_ok()
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn rest(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until && !self.is_over() {
            thread::sleep(SLEEP_STEP);
        }
    }
}

impl Patience for Line {
    fn wait(&mut self, time: Duration) -> bool {
        self.rest(time);
        self.is_over()
    }

    fn say(&mut self, why: String) {
        // Whether the loop is still there is asked by who waits.
        let _ = self.report(Report::Waits(why));
    }
}

struct PollLoop {
    config: Config,
    own: Member,
    caller: HttpCaller,
    peers: Vec<String>,
    /// Whether a member has answered.
    has_seen: bool,
    interval: Duration,
    /// When a place is asked for at the earliest; nothing for never.
    asks_from: Option<Instant>,
    line: Line,
}

impl ClusterPoller {
    fn spawn(
        waker: Arc<Waker>,
        work: impl FnOnce(Line) + Send + 'static,
    ) -> Result<Self, StartError> {
        let (tx, reports) = channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let line = Line { tx, waker, is_over: Arc::clone(&is_over) };
        let builder = thread::Builder::new().name("stead-scout".into());
        let thread = builder.spawn(move || work(line))?;
        Ok(Self { reports, is_over, thread: Some(thread) })
    }

    /// Looks for a place again and again.
    pub(crate) fn start(
        config: &Config,
        own: Member,
        peers: Vec<String>,
        wish: Wish,
        waker: Arc<Waker>,
    ) -> Result<Self, StartError> {
        let caller = HttpCaller::for_members(config.peer_tls.clone(), &config.finding.token);
        let config = config.clone();
        let asks_from = match wish {
            Wish::Place => Some(Instant::now()),
            Wish::PlaceIn(time) => Some(Instant::now() + time),
            Wish::Nothing => None,
        };
        Self::spawn(waker, move |line| {
            let (has_seen, interval) = (false, PAUSE);
            PollLoop { config, own, caller, peers, has_seen, interval, asks_from, line }.run();
        })
    }

    /// Finds out what the machine is to become.
    pub(crate) fn seek(
        config: &Config,
        own: Member,
        facts: Facts,
        waker: Arc<Waker>,
    ) -> Result<Self, StartError> {
        let config = config.clone();
        Self::spawn(waker, move |mut line| {
            let decided = seek::seek(&config, &own, &facts, &mut line);
            line.report(Report::Decided(decided));
        })
    }

    pub(crate) fn next(&self) -> Option<Report> {
        self.reports.try_recv().ok()
    }
}

impl Drop for ClusterPoller {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.is_finished()
        {
            // It cannot have panicked with anything to tell.
            let _ = thread.join();
        }
    }
}

impl PollLoop {
    fn run(mut self) {
        while !self.line.is_over() {
            let report = self.round();
            let is_last = matches!(report, Report::Promoted(_));
            if !self.line.report(report) || is_last {
                return;
            }
            self.line.rest(self.interval);
        }
    }

    fn round(&mut self) -> Report {
        let mut problems = Vec::new();
        if self.config.proxy.is_some() && !self.has_seen {
            problems.extend(self.look_up().err());
        }
        for peer in self.peers.clone() {
            // A machine that does not ask to join is not listed as a standby.
            let view = match self.asks_from {
                Some(_) => join::view_for(&self.caller, &peer, &self.own),
                None => join::view_of(&self.caller, &peer),
            };
            match view {
                Ok(view) => return self.seen(view),
                Err(detail) => problems.push(detail),
            }
        }
        self.interval = PAUSE;
        Report::Lost(problems.join("; "))
    }

    fn seen(&mut self, view: View) -> Report {
        // The leader is asked first: it tells others which standbys there are.
        let mut members: Vec<&Member> = view.members.iter().collect();
        members.sort_by_key(|member| Some(member.id) != view.leader);
        self.peers = members.into_iter().map(|member| member.peer_url.clone()).collect();
        self.interval = interval_of(&view);
        self.has_seen = true;
        let leader = view.members.iter().find(|member| Some(member.id) == view.leader);
        let has_room = (view.members.len() as u64) < view.active_size;
        let may_ask = self.asks_from.is_some_and(|from| Instant::now() >= from);
        if let (true, true, Some(leader)) = (may_ask, has_room, leader) {
            match join::ask(&self.config, &self.caller, &leader.peer_url, &self.own) {
                Ok(Asked::Joined(birth)) => return Report::Promoted(birth),
                Ok(Asked::Full(_)) => {}
                Err(JoinError::Unreachable(detail) | JoinError::Refused(detail)) => {
                    notice!(StandbyRefused, "", "{detail}");
                }
                Err(JoinError::Stopped) => {}
            }
        }
        let upstreams = self.upstreams(&view);
        Report::Seen(view, Box::new(upstreams))
    }

    /// Where requests are passed on to: the leader, or any member for a proxy.
    fn upstreams(&self, view: &View) -> Upstreams {
        let is_proxy = self.config.proxy.is_some();
        let mut members: Vec<&Member> = view.members.iter().collect();
        members.sort_by_key(|one| (Some(one.id) != view.leader, Some(one.id) != view.own));
        members.retain(|one| match is_proxy {
            true => !one.client_url.is_empty(),
            false => self.config.proxies_standby && Some(one.id) == view.leader,
        });
        members.truncate(UPSTREAMS_MAX);
        Upstreams::find(&members, self.config.client_tls.is_some())
    }

    /// Asks the discovery service of a proxy for members.
    fn look_up(&mut self) -> Result<(), String> {
        let finding = &self.config.finding;
        let Some(url) = &finding.discovery else { return Ok(()) };
        let found = discovery::look(&HttpCaller::for_discovery(finding), url, &self.own.name)?;
        for url in join::others(&found, &self.own) {
            if !self.peers.contains(&url) && self.peers.len() < PEERS_MAX {
                self.peers.push(url);
            }
        }
        Ok(())
    }
}
