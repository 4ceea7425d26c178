//! The resources beside the key space: version, machines, statistics, administration, health.

use crate::api::admin::{self, Machine};
use crate::api::browser::is_json;
use crate::api::error::{ApiError, INVALID_FORM, LEADER_ELECTION};
use crate::api::members::error_body;
use crate::api::route::Route;
use crate::api::stats::{self, Appends, SelfStats};
use crate::calls::Shape;
use crate::config::Dialect;
use crate::connection::Task;
use crate::http::reader::{Method, Request};
use crate::http::response::{JSON, METRICS, TEXT};
use crate::join::IdentityCard;
use crate::meters::{Gauges, PeerGauge};
use crate::owner::Owner;
use crate::slab::Key;
use replica::{Member, MemberId, Ticket, Traffic};

/// What 0.4 and 2.x clients want to read of a version (spec cluster.md section 1).
const VERSION_TEXT: &str = "etcd 0.4.9";

/// The answer of `/version`, with its content type.
pub(crate) fn version_body(accepts_text: bool) -> (&'static str, String) {
    if accepts_text {
        return (TEXT, VERSION_TEXT.to_owned());
    }
    let body = format!(
        "{{\"etcdserver\":\"2.3.8\",\"etcdcluster\":\"2.3.0\",\"stead\":\"{}\"}}",
        env!("CARGO_PKG_VERSION")
    );
    (JSON, body)
}

/// The client URLs of the members, the leader first, then by name (spec cluster.md section 1).
pub(crate) fn listing_of_urls<'a>(
    members: impl IntoIterator<Item = &'a Member>,
    leader: Option<MemberId>,
) -> String {
    // A founder that has not announced itself yet has no address for clients.
    let announced = members.into_iter().filter(|member| !member.client_url.is_empty());
    let mut members: Vec<&Member> = announced.collect();
    members.sort_by_key(|member| (Some(member.id) != leader, &member.name));
    let urls: Vec<&str> = members.iter().map(|member| member.client_url.as_str()).collect();
    urls.join(", ")
}

/// Whether `/readyz` is to say more than whether.
pub(crate) fn is_verbose(query: &str) -> bool {
    query
        .split('&')
        .any(|word| matches!(word, "verbose" | "verbose=" | "verbose=true" | "verbose=1"))
}

impl Owner {
    pub(crate) fn resource(&mut self, key: Key, request: &Request<'_>, route: Route<'_>) {
        let is_change = !matches!(request.method, Method::Get | Method::Head);
        match route {
            Route::Version => self.version(key, request.accepts_text),
            Route::Machines | Route::Peers => self.machines(key),
            Route::Leader => self.leader_url(key),
            Route::StatsSelf => self.stats_self(key),
            Route::StatsStore => {
                let body = stats::store_body(&self.driver.store().stats());
                self.answer_resource(key, 200, JSON, &body);
            }
            Route::StatsLeader => self.stats_leader(key),
            Route::StatsCluster => self.stats_cluster(key),
            Route::Dashboard(asset) => self.dashboard(key, asset),
            Route::Members | Route::Member(_)
                if is_change && !self.may_administer(key, request, Shape::Message) => {}
            Route::Members => self.members(key, request),
            Route::Member(id) => self.member(key, request, id),
            Route::AdminConfig | Route::AdminMachine(_)
                if is_change && !self.may_administer(key, request, Shape::Error) => {}
            // curl says a form where it is told nothing; a page has to say what it means.
            Route::AdminConfig
                if is_change
                    && request.sender.origin.is_some()
                    && !is_json(request.content_type) =>
            {
                self.refuse_type(key);
            }
            Route::AdminConfig if request.method == Method::Put => {
                self.configure(key, request.body);
            }
            Route::AdminConfig => {
                let body = admin::config_body(&self.driver.membership().config());
                self.answer_resource(key, 200, JSON, &body);
            }
            Route::AdminMachines => self.admin_machines(key),
            Route::AdminMachine(name) if request.method == Method::Delete => {
                self.remove_machine(key, name);
            }
            Route::AdminMachine(name) => self.admin_machine(key, name),
            Route::PeerStream => self.upgrade(key, request),
            Route::PeerChallenge => self.challenge(key),
            Route::PeerJoin | Route::PeerMembers if !self.is_believed(key, request) => {}
            Route::PeerJoin if !is_json(request.content_type) => self.refuse_type(key),
            Route::PeerJoin => self.join(key, request.body),
            Route::PeerMembers => self.peer_members(key, request.query),
            Route::PeerIdentity => {
                let (id, name) = (self.driver.status().id, self.config.name.clone());
                self.answer_resource(key, 200, JSON, &IdentityCard { id, name }.to_json());
            }
            Route::Health => self.health(key),
            Route::Livez => self.answer_resource(key, 200, TEXT, b"ok\n"),
            Route::Readyz => self.readyz(key, is_verbose(request.query)),
            Route::Metrics if self.config.metrics => self.metrics(key),
            Route::Metrics | Route::NotFound | Route::Keys(_) | Route::Module(..) => {
                self.answer_resource(key, 404, TEXT, b"404 page not found\n");
            }
        }
    }

    fn refuse_type(&mut self, key: Key) {
        let body = error_body("the Content-Type has to be application/json");
        self.answer_resource(key, 415, JSON, &body);
    }

    fn version(&mut self, key: Key, accepts_text: bool) {
        let (kind, body) = version_body(accepts_text);
        self.answer_resource(key, 200, kind, body.as_bytes());
    }

    pub(crate) fn leader(&self) -> Option<&Member> {
        self.driver.status().leader.and_then(|leader| self.driver.membership().member(leader))
    }

    fn machines(&mut self, key: Key) {
        // Clients are not sent to a machine that has not been brought up yet.
        let members = self.driver.membership().members();
        let members = members.filter(|member| self.driver.is_voter(member.id));
        let body = listing_of_urls(members, self.driver.status().leader);
        self.answer_resource(key, 200, TEXT, body.as_bytes());
    }

    fn leader_url(&mut self, key: Key) {
        match self.leader().map(|leader| leader.peer_url.clone()) {
            Some(url) => self.answer_resource(key, 200, TEXT, url.as_bytes()),
            None => {
                let index = self.driver.store().index().0;
                self.answer_error(key, &ApiError::new(LEADER_ELECTION, "", index));
            }
        }
    }

    /// A member as the statistics of a dialect name it: 2.x by its id.
    fn stats_name(&mut self, key: Key, member: Option<&Member>) -> String {
        let dialect = self.connections.get_mut(key).map(|connection| connection.dialect());
        match (member, dialect) {
            (None, _) => String::new(),
            (Some(member), Some(Dialect::V2)) => member.id.to_string(),
            (Some(member), _) => member.name.clone(),
        }
    }

    fn stats_self(&mut self, key: Key) {
        let dialect = self.connections.get_mut(key).map(|connection| connection.dialect());
        let leader = self.leader().cloned();
        let leader = self.stats_name(key, leader.as_ref());
        let is_v2 = dialect == Some(Dialect::V2);
        let state = match (self.role_name(), is_v2) {
            ("leader", true) => "StateLeader",
            ("follower", true) => "StateFollower",
            (_, true) => "StateCandidate",
            (name, false) => name,
        };
        let uptime = self.now.monotonic.saturating_sub(self.leader_since.monotonic);
        let body = stats::self_body(&SelfStats {
            name: &self.config.name,
            id: is_v2.then(|| self.driver.status().id.to_string()),
            state,
            started: self.started.wall,
            leader: &leader,
            leader_since: self.leader_since.wall,
            leader_uptime: uptime,
            received: self.appends(self.driver.appends_received()),
            sent: self.appends(self.driver.appends_sent()),
        });
        self.answer_resource(key, 200, JSON, &body);
    }

    fn appends(&self, traffic: &Traffic) -> Appends {
        Appends { count: traffic.count(), rates: traffic.rates(self.now.monotonic) }
    }

    fn stats_leader(&mut self, key: Key) {
        let dialect = self.connections.get_mut(key).map(|connection| connection.dialect());
        let is_v2 = dialect == Some(Dialect::V2);
        if self.role_name() != "leader" {
            return if is_v2 {
                self.answer_resource(key, 403, JSON, b"{\"message\":\"not current leader\"}")
            } else {
                self.answer_resource(key, 403, TEXT, b"not current leader")
            };
        }
        let own = self.driver.status().id;
        let leader = self.leader().cloned();
        let members: Vec<Member> = self.driver.membership().members().cloned().collect();
        let mut followers = Vec::new();
        for member in members.iter().filter(|member| member.id != own) {
            let latency = self.driver.peer(member.id).map(|peer| peer.latency);
            followers.push((self.stats_name(key, Some(member)), latency.unwrap_or_default()));
        }
        followers.sort_by(|(one, _), (other, _)| one.cmp(other));
        let name = self.stats_name(key, leader.as_ref());
        self.answer_resource(key, 200, JSON, &stats::leader_body(&name, &followers));
    }

    fn configure(&mut self, key: Key, body: &[u8]) {
        let index = self.driver.store().index().0;
        let config = match admin::merge_config(self.driver.membership().config(), body) {
            Ok(config) => config,
            Err(detail) => {
                return self.answer_error(key, &ApiError::new(INVALID_FORM, detail, index));
            }
        };
        self.driver.propose_config(Ticket(key.to_u64()), config);
        if let Some(connection) = self.connections.get_mut(key) {
            connection.task = Task::Configure;
        }
    }

    fn machine<'a>(&self, member: &'a Member) -> Machine<'a> {
        let is_leader = self.driver.status().leader == Some(member.id);
        Machine {
            name: &member.name,
            state: if is_leader { "leader" } else { "follower" },
            client_url: &member.client_url,
            peer_url: &member.peer_url,
        }
    }

    fn admin_machines(&mut self, key: Key) {
        let mut members: Vec<&Member> = self.driver.membership().members().collect();
        members.sort_by_key(|member| &member.name);
        let machines: Vec<Machine<'_>> =
            members.into_iter().map(|member| self.machine(member)).collect();
        let body = admin::machines_body(&machines);
        self.answer_resource(key, 200, JSON, &body);
    }

    pub(crate) fn unknown_machine(&mut self, key: Key, name: &str) {
        let index = self.driver.store().index().0;
        self.answer_error(key, &ApiError::new(100, format!("/_etcd/machines/{name}"), index));
    }

    fn admin_machine(&mut self, key: Key, name: &str) {
        let machine = self.driver.membership().member_named(name);
        match machine.map(|member| admin::machine_body(&self.machine(member))) {
            Some(body) => self.answer_resource(key, 200, JSON, &body),
            None => self.unknown_machine(key, name),
        }
    }

    /// Whether there is a leader that was heard of lately. A member that only learns keeps one in
    /// mind that is long gone.
    pub(crate) fn hears_leader(&self) -> bool {
        let status = self.driver.status();
        let hears = |leader| leader == status.id || self.driver.is_reachable(leader);
        status.leader.is_some_and(hears)
    }

    /// Why this member is not ready, if it is not: the first reason.
    pub(crate) fn why_unready(&self) -> Option<String> {
        if let Err(error) = self.driver.unfit() {
            return Some(error.to_string());
        }
        if self.driver.status().is_disk_full {
            return Some("the disk is full: writes are refused".to_owned());
        }
        if !self.hears_leader() {
            return Some(format!("no leader is reachable{}", self.who_is_unreachable()));
        }
        if !self.driver.has_store() {
            return Some("joined, and not brought up by the leader yet".to_owned());
        }
        None
    }

    fn health(&mut self, key: Key) {
        if self.why_unready().is_none() {
            self.answer_resource(key, 200, JSON, b"{\"health\": \"true\"}");
        } else {
            self.answer_resource(key, 503, JSON, b"{\"health\": \"false\"}\n");
        }
    }

    fn readyz(&mut self, key: Key, is_verbose: bool) {
        let (status, mut text) = match self.why_unready() {
            None => (200, "ok\n".to_owned()),
            Some(why) => (503, format!("{why}\n")),
        };
        for warning in self.config.warnings.iter().filter(|_| is_verbose) {
            text.push_str(warning);
            text.push('\n');
        }
        self.answer_resource(key, status, TEXT, text.as_bytes());
    }

    fn members_diverged(&self) -> u64 {
        let members = self.driver.membership().members();
        let peers = members.filter_map(|member| self.driver.peer(member.id));
        peers.filter(|peer| peer.diverged).count() as u64
    }

    fn peer_gauges(&self) -> Vec<PeerGauge> {
        let membership = self.driver.membership();
        let commit = self.driver.status().commit.0;
        let links = self.driver.network().stats();
        let gauges = links.filter_map(|(id, is_open, link)| {
            let peer = self.driver.peer(id).cloned().unwrap_or_default();
            let matched = self.driver.matched(id);
            Some(PeerGauge {
                name: membership.member(id)?.name.clone(),
                is_open,
                link,
                latency: peer.latency,
                lag: matched.map(|matched| commit.saturating_sub(matched.0)),
                has_diverged: peer.diverged,
            })
        });
        gauges.collect()
    }

    fn metrics(&mut self, key: Key) {
        let log = self.driver.wal_mut().stats();
        let gauges = Gauges {
            status: self.driver.status(),
            store: self.driver.store().stats(),
            store_index: self.driver.store().index().0,
            connections: self.connections.len() as u64,
            proposals: self.driver.proposals_waiting() as u64,
            log_grown: log.segments_grown,
            members_diverged: self.members_diverged(),
            leader_changes: self.leader_changes,
            peers: self.peer_gauges(),
        };
        let body = self.meters.render(gauges);
        self.answer_resource(key, 200, METRICS, &body);
    }
}
