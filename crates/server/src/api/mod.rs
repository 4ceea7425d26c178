//! Resources: a file or folder for each, which reads a request, acts and prints.
//!
//! [`enter`] is the front door of members and standbys alike: it finds the resource of a path
//! ([`route`]) and refuses what has none, or not this method. [`respond`] is what a member does
//! with it. A handler gets the [`Context`] and gives back a [`Reply`]; what is not answered at once
//! waits as a [`pending::Waiting`]. [`mod@error`] is the only table of codes, statuses and
//! messages, [`json`] prints JSON.

pub(crate) mod admin;
pub(crate) mod admit;
pub(crate) mod answers;
pub(crate) mod asker;
pub(crate) mod auth;
pub(crate) mod backup;
pub(crate) mod call;
pub(crate) mod cluster_stats;
pub(crate) mod dashboard;
pub(crate) mod dial_backs;
pub(crate) mod error;
pub(crate) mod form;
pub(crate) mod health;
pub(crate) mod join;
pub(crate) mod json;
pub(crate) mod keys;
pub(crate) mod leader;
pub(crate) mod lock;
pub(crate) mod members;
pub(crate) mod metrics;
pub(crate) mod moments;
pub(crate) mod openapi;
pub(crate) mod pending;
pub(crate) mod redirect;
pub(crate) mod route;
pub(crate) mod standbys;
pub(crate) mod stats;
pub(crate) mod trend;

use crate::config::{Config, Dashboard, Port};
use crate::http::request::{Method, Request};
use crate::http::url;
use crate::join::IdentityCard;
use crate::member::context::Context;
use crate::member::greeting;
use crate::member::probe::Asked;
use crate::net::{Caller, Reply, Response};
use admit::Remote;
use answers::{not_found, redirect_to};
use pending::Waiting;
use route::{Route, route};

/// Which resources are served that may be switched off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served {
    modules: bool,
    dashboard: bool,
    metrics: bool,
    /// Whether what has no resource is served as well.
    anything: bool,
}

impl Served {
    pub(crate) fn of(config: &Config) -> Self {
        let (modules, dashboard) = (config.modules, config.dashboard != Dashboard::Off);
        Self { modules, dashboard, metrics: config.metrics, anything: false }
    }

    /// A standby sends clients on whatever they ask for (docs/spec/cluster.md section 7).
    pub(crate) fn by_standby(config: &Config) -> Self {
        Self { anything: true, ..Self::of(config) }
    }
}

/// Finds the resource of a request and has it served. What has no resource, or does not take the
/// method, is refused.
pub(crate) fn enter<T>(
    served: Served,
    port: Port,
    request: &Request<'_>,
    serve: impl FnOnce(Route<'_>) -> Reply<T>,
) -> Reply<T> {
    let Ok(path) = url::decode(request.path, false) else {
        return Response::text(400, b"400 Bad Request\n").into();
    };
    if let Some(clean) = url::clean(&path) {
        let mark = if request.query.is_empty() { "" } else { "?" };
        // The query was parsed by httparse, so it holds no line end.
        let location = format!("{}{mark}{}", url::encode_path(&clean), request.query);
        return redirect_to(301, &location).into();
    }
    let found = match route(port, &path) {
        Route::Module(..) if !served.modules => Route::NotFound,
        Route::Dashboard(_) if !served.dashboard => Route::NotFound,
        Route::Metrics if !served.metrics => Route::NotFound,
        found => found,
    };
    if found == Route::NotFound && served.anything {
        return serve(found);
    }
    if found == Route::NotFound {
        return not_found().with("X-Content-Type-Options: nosniff\r\n").into();
    }
    if !found.allows(request.method) {
        let allow = format!("Allow: {}\r\n", found.allowed());
        return Response::text(405, b"Method Not Allowed\n").with(allow).into();
    }
    serve(found)
}

/// Serves a request to a member.
pub(crate) fn respond(
    cx: &mut Context,
    caller: Caller,
    request: &Request<'_>,
    remote: &mut dyn Remote,
) -> Reply<Waiting> {
    enter(Served::of(&cx.config), caller.port, request, |route| {
        if let Some(reply) = admit::admit(cx, caller, request, route, remote) {
            return reply;
        }
        match route {
            Route::Keys(node) => keys::serve(cx, caller, request, node),
            Route::V1(what, node) => keys::serve_v1(cx, caller, request, (what, node)),
            Route::Module(module, name) => lock::serve(cx, caller, request, module, name),
            Route::PeerStream => greeting::upgrade(cx, caller, request, &remote.origin()),
            _ => resource(cx, caller, request, route, remote),
        }
    })
}

fn resource(
    cx: &mut Context,
    caller: Caller,
    request: &Request<'_>,
    route: Route<'_>,
    remote: &mut dyn Remote,
) -> Reply<Waiting> {
    let is_change = !matches!(request.method, Method::Get | Method::Head);
    match route {
        Route::Version => health::version(request.accepts_text).into(),
        Route::Machines | Route::Peers => stats::machines(cx, caller).into(),
        Route::Leader => stats::leader_url(cx).into(),
        Route::StatsSelf => stats::own(cx, caller).into(),
        Route::StatsStore => {
            Response::json(200, stats::store_body(&cx.driver.store().stats())).into()
        }
        Route::StatsLeader => stats::leader(cx, caller).into(),
        Route::StatsCluster => cluster_stats::serve(cx, caller).into(),
        Route::StatsTimes => moments::serve(cx, caller, request).into(),
        Route::StatsHistory => trend::serve(cx, caller, request).into(),
        Route::Dashboard(asset) => dashboard::serve(&cx.config, asset, request.terms).into(),
        Route::Members => members::serve_all(cx, caller, request),
        Route::Member(id) => members::serve_one(cx, caller, request, id),
        Route::Auth(what) => auth::serve(cx, caller, request, what, remote.address()),
        Route::AdminConfig => admin::config(cx, caller, request),
        Route::AdminBackup => backup::begin(cx, caller),
        Route::AdminIndex => admin::raise_index(cx, caller, request),
        Route::AdminLeader => leader::serve(cx, caller, request),
        Route::AdminMachines => admin::machines(cx, caller).into(),
        Route::AdminMachine(name) if is_change => admin::remove_machine(cx, caller, name),
        Route::AdminMachine(name) => admin::machine(cx, caller, name).into(),
        Route::PeerChallenge => call::challenge(&cx.gate, cx.now.monotonic).into(),
        Route::PeerJoin => join::serve(cx, caller, request, &mut || remote.origin()),
        Route::PeerMembers => match call::believe(cx, request, &mut || remote.origin()) {
            Ok(()) => join::members(cx, request.query).into(),
            Err(refused) => refused.into(),
        },
        Route::PeerIdentity => {
            let (id, name) = (cx.driver.status().id, cx.config.name.clone());
            Response::json(200, IdentityCard { id, name }.to_json()).into()
        }
        Route::Health => health::serve(cx, caller, Asked::Health),
        Route::Livez => health::livez(request.query).into(),
        Route::Readyz => health::serve(cx, caller, health::ready(request.query)),
        Route::Metrics => metrics::serve(cx).into(),
        Route::OpenApi => openapi::serve().into(),
        Route::PeerStream
        | Route::Keys(_)
        | Route::V1(..)
        | Route::Module(..)
        | Route::NotFound => {
            unreachable!("served or refused above")
        }
    }
}
