//! The answers of a standby: its identity and its health; for the rest it redirects clients to the
//! leader, or passes their connections on.
//!
//! While a machine that starts waits to hear what it is to become, it answers that it lives, so
//! that no supervisor kills it for its silence, and gives the reason why it does not serve yet.

use super::IdentityCard;
use super::{
    Caller, Member, Port, Removal, Reply, Request, Response, STAYS_OUT, SelfStats, Standby, Tunnel,
    call, health, listing_of_urls, redirect, refusal, refuse, stats,
};
use crate::api::health::Check;
use crate::api::route::Route;
use crate::api::{metrics, openapi};
use crate::http::request::Method;

/// Where a proxy of 2.x shows what it passes requests on to.
const PROXY_PATH: &str = "/v2/config/local/proxy";

impl Standby<'_> {
    /// Answers a request for a resource.
    pub(super) fn respond(
        &mut self,
        caller: Caller,
        request: &Request<'_>,
        route: Route<'_>,
    ) -> Reply<Box<Tunnel>> {
        if let Some(response) = self.own_answer(request, route) {
            return response.into();
        }
        if self.waits_for.is_some() {
            return self.while_waiting(request, route).into();
        }
        match route {
            Route::Health => health::health_of(self.leader().is_some()).into(),
            Route::Readyz => self.readyz(request.query).into(),
            Route::StatsSelf => self.stats_self().into(),
            Route::Machines | Route::Peers if let Some(view) = &self.view => {
                let dialect = caller.port.dialect();
                Response::text(200, listing_of_urls(&view.members, view.leader, dialect)).into()
            }
            _ if caller.port == Port::Peer => {
                Response::text(404, b"this machine is standing by\n").into()
            }
            _ if self.config.proxy.is_some() && request.path == PROXY_PATH => {
                self.endpoints(request).into()
            }
            _ if self.config.proxies_standby || self.config.proxy.is_some() => {
                self.begin_tunnel(caller, request)
            }
            _ => self.send_on(caller, request).into(),
        }
    }

    /// What is answered whether this machine waits or stands by.
    fn own_answer(&self, request: &Request<'_>, route: Route<'_>) -> Option<Response> {
        let response = match route {
            Route::PeerChallenge => call::challenge(&self.gate, self.front.now.monotonic),
            // The leader asks before it gives a place: at an address that cannot be reached a
            // member has no use.
            Route::PeerIdentity => {
                let Member { id, name, .. } = &self.own;
                Response::json(200, IdentityCard { id: *id, name: name.clone() }.to_json())
            }
            Route::PeerStream => {
                refusal(&self.gate, request, 503, "this machine is not a member of the cluster")
            }
            Route::Version => health::version(request.accepts_text),
            Route::Livez => health::livez(request.query),
            Route::Metrics => self.metrics(),
            Route::OpenApi => openapi::serve(),
            _ => return None,
        };
        Some(response)
    }

    fn metrics(&self) -> Response {
        metrics::serve_standby(&metrics::Standing {
            config: self.config,
            meters: &self.meters,
            load: self.front.load(),
            now: self.front.now.monotonic,
            state: if self.waits_for.is_some() { "joining" } else { "standby" },
            has_leader: self.leader().is_some(),
            certificate_ends: self.front.keyring.ends_first().map(|one| one.at),
        })
    }

    fn while_waiting(&self, request: &Request<'_>, route: Route<'_>) -> Response {
        let why = format!("joining: {}", self.waits_for.as_deref().unwrap_or_default());
        match route {
            Route::Health => health::health_of(false),
            Route::Readyz => {
                let check = Check { name: "store", failure: Some(why) };
                health::answer(&[check], request.query, "ok", &self.config.warnings)
            }
            _ => refuse(&why),
        }
    }

    /// The client URLs that a proxy passes requests on to, as that of 2.x shows them.
    fn endpoints(&self, request: &Request<'_>) -> Response {
        if request.method != Method::Get {
            return Response::text(405, b"Method Not Allowed\n").with("Allow: GET\r\n");
        }
        let members = self.view.iter().flat_map(|view| &view.members);
        let urls: Vec<&str> = members.map(|member| member.client_url.as_str()).collect();
        Response::json(200, serde_json::json!({ "endpoints": urls }).to_string() + "\n")
    }

    fn readyz(&self, query: &str) -> Response {
        let is_out = self.removal == Some(Removal::Final);
        let knows_leader = self.leader().is_some();
        let checks = [
            Check { name: "identity", failure: is_out.then(|| STAYS_OUT.to_owned()) },
            Check {
                name: "leader",
                failure: (!knows_leader).then(|| "no leader is known".to_owned()),
            },
        ];
        health::answer(&checks, query, self.ready_word(), &self.config.warnings)
    }

    /// What `/readyz` says where all is well.
    fn ready_word(&self) -> &'static str {
        if self.config.proxy.is_some() { "ok: relaying" } else { "ok: standing by" }
    }

    fn stats_self(&self) -> Response {
        let leader = self.leader().map_or("", |leader| leader.name.as_str());
        let now = self.front.now.monotonic;
        let body = stats::self_body(&SelfStats {
            name: &self.own.name,
            id: None,
            state: "standby",
            started: self.started.wall,
            leader,
            leader_since: self.started.wall,
            leader_uptime: now.saturating_sub(self.started.monotonic),
            received: stats::Appends::default(),
            sent: stats::Appends::default(),
        });
        Response::json(200, body)
    }

    /// Sends a client to the leader with the same path and query.
    fn send_on(&self, caller: Caller, request: &Request<'_>) -> Response {
        match (self.leader(), self.removal) {
            (Some(leader), _) => {
                let url = caller.port.dialect().url_of(leader, caller.is_tls);
                redirect::to_leader(url, request)
            }
            (None, Some(Removal::Final)) => refuse(&format!("no leader is known; {STAYS_OUT}")),
            (None, _) => refuse("no leader is known"),
        }
    }
}
