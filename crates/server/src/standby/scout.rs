//! The thread of a standby that asks the members how things are, and for a place.

use super::tunnel::Upstream;
use crate::config::Config;
use crate::error::StartError;
use crate::join::{self, Asked, Caller, JoinError, View};
use mio::Waker;
use replica::{Birth, Member};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long to wait when nobody answers, and before the first answer.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the thread sleeps at a time, so that it ends soon when it is to end.
const NAP: Duration = Duration::from_millis(20);

/// What the thread found out.
#[derive(Debug)]
pub(crate) enum Report {
    /// The cluster, and where clients reach its leader if that was asked for.
    Seen(View, Option<Upstream>),
    Lost(String),
    Promoted(Box<Birth>),
}

/// The thread, which ends when this is dropped.
pub(crate) struct Scout {
    reports: Receiver<Report>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Rounds {
    config: Config,
    own: Member,
    caller: Caller,
    peers: Vec<String>,
    interval: Duration,
    tx: Sender<Report>,
    waker: Arc<Waker>,
    is_over: Arc<AtomicBool>,
}

impl Scout {
    pub(crate) fn start(
        config: &Config,
        own: Member,
        peers: Vec<String>,
        waker: Arc<Waker>,
    ) -> Result<Self, StartError> {
        let (tx, reports) = channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let rounds = Rounds {
            config: config.clone(),
            own,
            caller: Caller::for_members(config.peer_tls.clone()),
            peers,
            interval: PAUSE,
            tx,
            waker,
            is_over: Arc::clone(&is_over),
        };
        let builder = thread::Builder::new().name("stead-scout".into());
        let thread = builder.spawn(move || rounds.run())?;
        Ok(Self { reports, is_over, thread: Some(thread) })
    }

    pub(crate) fn next(&self) -> Option<Report> {
        self.reports.try_recv().ok()
    }
}

impl Drop for Scout {
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

impl Rounds {
    fn run(mut self) {
        while !self.is_over.load(Ordering::Relaxed) {
            let report = self.round();
            let is_last = matches!(report, Report::Promoted(_));
            // The loop is gone when the queue is: nobody wants to know then.
            if self.tx.send(report).is_err() || self.waker.wake().is_err() || is_last {
                return;
            }
            let until = Instant::now() + self.interval;
            while Instant::now() < until && !self.is_over.load(Ordering::Relaxed) {
                thread::sleep(NAP);
            }
        }
    }

    fn round(&mut self) -> Report {
        let mut problems = Vec::new();
        for peer in self.peers.clone() {
            match join::view_for(&self.caller, &peer, &self.own) {
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
        self.interval = Duration::from_secs_f64(view.sync_interval.clamp(0.1, 3600.0));
        let leader = view.members.iter().find(|member| Some(member.id) == view.leader);
        let has_room = (view.members.len() as u64) < view.active_size;
        if let (true, Some(leader)) = (has_room, leader) {
            match join::ask(&self.config, &self.caller, &leader.peer_url, &self.own) {
                Ok(Asked::Joined(birth)) => return Report::Promoted(birth),
                Ok(Asked::Full(_)) => {}
                Err(JoinError::Unreachable(detail) | JoinError::Refused(detail)) => {
                    tracing::warn!("no place in the cluster: {detail}");
                }
                Err(JoinError::Stopped) => {}
            }
        }
        let upstream = leader.filter(|_| self.config.proxies_standby);
        let upstream = upstream.and_then(|leader| Upstream::find(&leader.client_url));
        Report::Seen(view, upstream)
    }
}
