//! The dashboard, and what it is drawn from beside the rest of the API.

use crate::api::cluster_stats::{self, Seen, Whole};
use crate::api::dashboard::{HEADERS, PATH, file, settings_body};
use crate::http::response::{JSON, TEXT};
use crate::owner::Owner;
use crate::serve::Plain;
use crate::slab::Key;
use replica::{Member, MemberId, Role};

/// A standby that has not asked for so many of its intervals is gone.
const STANDBY_INTERVALS: f64 = 3.0;

impl Owner {
    /// Answers a file of the dashboard; nothing named leads to the page.
    pub(crate) fn dashboard(&mut self, key: Key, asset: Option<&str>) {
        let Some(name) = asset else {
            let extra = format!("Location: {PATH}\r\n");
            let plain = Plain { status: 301, content_type: None, extra: &extra, body: b"" };
            return self.answer(key, &plain);
        };
        let settings;
        let (status, kind, body) = if name == "settings.json" {
            settings = settings_body(&self.config.name, self.config.dashboard, self.config.metrics);
            (200, JSON, settings.as_slice())
        } else if let Some((kind, body)) = file(name) {
            (200, kind, body)
        } else {
            (404, TEXT, &b"404 page not found\n"[..])
        };
        self.answer(key, &Plain { status, content_type: Some(kind), extra: HEADERS, body });
    }

    pub(crate) fn stats_cluster(&mut self, key: Key) {
        let mut members: Vec<Member> = self.driver.membership().members().cloned().collect();
        members.sort_by(|one, other| one.name.cmp(&other.name));
        let seen: Vec<Seen<'_>> = members.iter().map(|member| self.seen(member)).collect();
        let status = self.driver.status();
        let leader = self.leader().map(|leader| leader.name.clone()).unwrap_or_default();
        let interval = self.driver.membership().config().sync_interval * STANDBY_INTERVALS;
        let since = self.now.monotonic.saturating_sub((interval * 1e9) as u64);
        let standbys = (status.role == Role::Leader).then(|| {
            let asked = self.standbys.since(since);
            asked.filter(|(name, _)| members.iter().all(|one| one.name != *name)).collect()
        });
        let whole = Whole {
            id: self.driver.cluster().to_string(),
            leader: &leader,
            seen_by: &self.config.name,
            term: status.term.0,
            commit: status.commit.0,
            store_index: self.driver.store().index().0,
            standbys,
        };
        let body = cluster_stats::cluster_body(&whole, &seen);
        self.answer_resource(key, 200, JSON, &body);
    }

    fn seen<'a>(&'a self, member: &'a Member) -> Seen<'a> {
        let status = self.driver.status();
        let is_own = member.id == status.id;
        let peer = self.driver.peer(member.id);
        let told = peer.filter(|peer| !peer.version.is_empty());
        let uptime = self.now.monotonic.saturating_sub(self.started.monotonic) / 1_000_000_000;
        let applied = if is_own { Some(status.applied.0) } else { told.map(|peer| peer.applied) };
        // What a member said a moment ago is behind what the leader knows it to have.
        let has = applied.max(self.driver.matched(member.id).map(|matched| matched.0));
        Seen {
            id: member.id.to_string(),
            name: &member.name,
            state: self.state_of(member.id),
            client_url: &member.client_url,
            peer_url: &member.peer_url,
            is_voter: self.driver.is_voter(member.id),
            applied,
            lag: has.map(|has| status.commit.0.saturating_sub(has)),
            uptime: if is_own { Some(uptime) } else { told.map(|peer| peer.uptime) },
            version: match told {
                _ if is_own => env!("CARGO_PKG_VERSION"),
                Some(peer) => &peer.version,
                None => "",
            },
            is_reachable: is_own || self.driver.is_reachable(member.id),
            has_diverged: peer.is_some_and(|peer| peer.diverged),
        }
    }

    fn state_of(&self, id: MemberId) -> &'static str {
        let status = self.driver.status();
        if status.leader == Some(id) && (id == status.id || self.driver.is_reachable(id)) {
            "leader"
        } else if id == status.id && status.role == Role::Candidate {
            "candidate"
        } else if self.driver.is_voter(id) {
            "follower"
        } else {
            "learner"
        }
    }
}
