//! Which resource does a path name, and which methods has it?

use crate::api::auth::resource::Resource;
use crate::api::keys::V1;
use crate::api::lock::request::Module;
use crate::config::{Dialect, Port};
use crate::http::request::Method;

/// A resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// A node: the key as it stands behind `/v2/keys`, without its trailing slash.
    Keys(&'a str),
    /// A node in the API before v2, in the same way.
    V1(V1, &'a str),
    Version,
    Machines,
    Leader,
    Peers,
    StatsSelf,
    StatsStore,
    StatsLeader,
    StatsCluster,
    StatsHistory,
    StatsTimes,
    /// The members as 2.x shows them.
    Members,
    /// One of them, by its id as it was sent.
    Member(&'a str),
    AdminConfig,
    AdminBackup,
    AdminIndex,
    /// Which member is to lead.
    AdminLeader,
    AdminMachines,
    AdminMachine(&'a str),
    PeerStream,
    PeerChallenge,
    PeerJoin,
    PeerMembers,
    /// The identity of this machine, while it is not a member.
    PeerIdentity,
    Health,
    Livez,
    Readyz,
    Metrics,
    /// What the client ports serve, for programs.
    OpenApi,
    /// Users, roles, and whether they count.
    Auth(Resource<'a>),
    /// A file of the dashboard, by its name; nothing for what only leads there.
    Dashboard(Option<&'a str>),
    /// A lock or an election, by its name.
    Module(Module, &'a str),
    NotFound,
}

/// Methods of a resource as the `Allow` header lists them.
pub(crate) const KEYS_METHODS: &str = "HEAD,GET,PUT,POST,DELETE";
const READ_METHODS: &str = "GET,HEAD";

const MODULES: [(&str, Module); 2] =
    [("/mod/v2/lock/", Module::Lock), ("/mod/v2/leader/", Module::Leader)];

impl Route<'_> {
    /// The methods that the resource takes.
    pub(crate) fn allowed(self) -> &'static str {
        match self {
            Route::Keys(_) | Route::V1(V1::Key, _) => KEYS_METHODS,
            Route::V1(V1::Watch, _) => "GET,HEAD,POST",
            Route::AdminConfig => "GET,HEAD,PUT",
            Route::AdminMachine(_) => "GET,HEAD,DELETE",
            Route::Members => "GET,HEAD,POST",
            Route::Member(_) => "GET,HEAD,PUT,DELETE",
            Route::Auth(resource) => resource.allowed(),
            Route::AdminBackup => "GET",
            Route::AdminIndex | Route::AdminLeader => "PUT",
            Route::PeerJoin => "POST",
            Route::Module(Module::Lock, _) => KEYS_METHODS,
            Route::Module(Module::Leader, _) => "HEAD,GET,PUT,DELETE",
            _ => READ_METHODS,
        }
    }

    pub(crate) fn allows(self, method: Method) -> bool {
        self.allowed().split(',').any(|allowed| allowed == method.as_str())
    }
}

/// Finds the resource of a decoded, clean path.
pub(crate) fn route(port: Port, path: &str) -> Route<'_> {
    if let (Port::Client(_), Some(key)) = (port, path.strip_prefix("/v2/keys")) {
        if key.is_empty() {
            return Route::Keys("/");
        }
        return node(key).map_or(Route::NotFound, Route::Keys);
    }
    let trimmed = if path.len() > 1 { path.strip_suffix('/').unwrap_or(path) } else { path };
    let shared = match trimmed {
        "/v2/admin/config" => Route::AdminConfig,
        "/v2/admin/backup" => Route::AdminBackup,
        "/v2/admin/index" => Route::AdminIndex,
        "/v2/admin/leader" => Route::AdminLeader,
        "/v2/admin/machines" => Route::AdminMachines,
        "/version" => Route::Version,
        "/health" => Route::Health,
        "/livez" => Route::Livez,
        "/readyz" => Route::Readyz,
        other => match other.strip_prefix("/v2/admin/machines/") {
            Some(name) if !name.is_empty() && !name.contains('/') => Route::AdminMachine(name),
            _ => Route::NotFound,
        },
    };
    let Port::Client(dialect) = port else {
        return match trimmed {
            "/v2/peer/stream" => Route::PeerStream,
            "/v2/peer/challenge" => Route::PeerChallenge,
            "/v2/peer/join" => Route::PeerJoin,
            "/v2/peer/members" => Route::PeerMembers,
            "/v2/peer/identity" => Route::PeerIdentity,
            _ => shared,
        };
    };
    for (prefix, module) in MODULES {
        if let Some(name) = trimmed.strip_prefix(prefix) {
            return if name.is_empty() { Route::NotFound } else { Route::Module(module, name) };
        }
    }
    if let Some(asset) = path.strip_prefix("/mod/dashboard/") {
        return Route::Dashboard(Some(asset));
    }
    if trimmed == "/dashboard" || trimmed == "/mod/dashboard" {
        return Route::Dashboard(None);
    }
    if let (Dialect::V04, Some(rest)) = (dialect, path.strip_prefix("/v1/")) {
        return route_v1(rest);
    }
    if let Some(rest) = path.strip_prefix("/v2/auth/") {
        return Resource::named(rest).map_or(Route::NotFound, Route::Auth);
    }
    if let Some(id) = trimmed.strip_prefix("/v2/members/") {
        return Route::Member(id);
    }
    match (trimmed, dialect) {
        ("/v2/members", _) => Route::Members,
        ("/v2/machines", _) => Route::Machines,
        ("/v2/leader", Dialect::V04) => Route::Leader,
        ("/v2/peers", Dialect::V04) => Route::Peers,
        ("/v2/stats/self", _) => Route::StatsSelf,
        ("/v2/stats/store", _) => Route::StatsStore,
        ("/v2/stats/leader", _) => Route::StatsLeader,
        ("/v2/stats/cluster", _) => Route::StatsCluster,
        ("/v2/stats/history", _) => Route::StatsHistory,
        ("/v2/stats/times", _) => Route::StatsTimes,
        ("/metrics", _) => Route::Metrics,
        ("/openapi.json", _) => Route::OpenApi,
        _ => shared,
    }
}

/// A key without its trailing slash; nothing if it does not begin with one.
fn node(key: &str) -> Option<&str> {
    key.starts_with('/').then(|| match key.strip_suffix('/') {
        Some("") => "/",
        Some(shorter) => shorter,
        None => key,
    })
}

/// The API before v2, which only 0.4 served. `path` is what stands behind `/v1/`.
fn route_v1(path: &str) -> Route<'_> {
    for (prefix, what) in [("keys", V1::Key), ("watch", V1::Watch)] {
        if let Some(key) = path.strip_prefix(prefix).and_then(node) {
            return Route::V1(what, key);
        }
    }
    match path {
        "leader" => Route::Leader,
        "machines" => Route::Machines,
        "peers" => Route::Peers,
        "stats/self" => Route::StatsSelf,
        "stats/store" => Route::StatsStore,
        "stats/leader" => Route::StatsLeader,
        _ => Route::NotFound,
    }
}

#[cfg(test)]
mod tests;
