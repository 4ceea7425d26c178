//! Paths and what they name.

use super::*;
use crate::http::url;
use std::collections::BTreeSet;

const V04: Port = Port::Client(Dialect::V04);

#[test]
fn keys_lose_one_trailing_slash() {
    for (path, key) in [
        ("/v2/keys", "/"),
        ("/v2/keys/", "/"),
        ("/v2/keys/a", "/a"),
        ("/v2/keys/a/", "/a"),
        ("/v2/keys/a/b", "/a/b"),
    ] {
        assert_eq!(route(V04, path), Route::Keys(key), "{path}");
    }
    assert_eq!(route(V04, "/v2/keysfoo"), Route::NotFound);
    assert_eq!(route(Port::Peer, "/v2/keys/a"), Route::NotFound);
}

/// What the loop does with a path: decode, clean, route.
fn resolve(sent: &str) -> String {
    let Ok(path) = url::decode(sent, false) else { return "400".to_owned() };
    if let Some(clean) = url::clean(&path) {
        return format!("301 {}", url::encode_path(&clean));
    }
    match route(V04, &path) {
        Route::Keys(key) => key.to_owned(),
        Route::NotFound => "404".to_owned(),
        other => format!("{other:?}"),
    }
}

#[test]
fn paths_become_keys_as_the_specification_says() {
    for (sent, want) in [
        ("/v2/keys", "/"),
        ("/v2/keys/", "/"),
        ("/v2/keys//a", "301 /v2/keys/a"),
        ("/v2/keys/a/./b", "301 /v2/keys/a/b"),
        ("/v2/keys/a%2F%2Fb", "301 /v2/keys/a/b"),
        ("/v2/keys/a/%2e%2E/b", "301 /v2/keys/b"),
        ("/v2/keys/../b", "301 /v2/b"),
        ("/v2/keys/.", "301 /v2/keys"),
        ("/v2/keys/..", "301 /v2"),
        ("/v2/keys//a%20b%0d%0aX:%20y", "301 /v2/keys/a%20b%0D%0AX:%20y"),
        ("/v2/keys/a%2fb", "/a/b"),
        ("/v2/keys/a%2f", "/a"),
        ("/v2/keys/a%20b", "/a b"),
        ("/v2/keys/a+b", "/a+b"),
        ("/v2/keys/%E4%BD%A0", "/\u{4f60}"),
        ("/v2/keys/%ff%fe", "/\u{fffd}\u{fffd}"),
        ("/v2/keys/a%00b", "/a\0b"),
        ("/v2/keys/a%0ab", "/a\nb"),
        ("/v2/keys/a%3fb", "/a?b"),
        ("/v2/keys/a;b=c", "/a;b=c"),
        ("/v2/keys/a:b@c,d", "/a:b@c,d"),
        ("/v2/keys/...", "/..."),
        ("/v2/keys/%zz", "400"),
        ("/%76%32/keys/a", "/a"),
        ("/v2/Keys/a", "404"),
        ("/v2", "404"),
        ("/", "404"),
        ("/v1/keysa", "404"),
        ("/mod/v2/lock/a", "Module(Lock, \"a\")"),
        ("/mod/v2/lock/a/b/", "Module(Lock, \"a/b\")"),
        ("/mod/v2/lock/a%20b", "Module(Lock, \"a b\")"),
        ("/mod/v2/leader/a", "Module(Leader, \"a\")"),
        ("/mod/v2/lock", "404"),
        ("/mod/v2/lock/", "404"),
        ("/mod/v2/leader/", "404"),
        ("/mod/v2/locks/a", "404"),
        ("/v2/admin/machines/a%20b", "AdminMachine(\"a b\")"),
        ("/v2/admin/machines/a%2fb", "404"),
        ("/v2/admin/machines/", "AdminMachines"),
        ("/v2/stats/self/", "StatsSelf"),
    ] {
        assert_eq!(resolve(sent), want, "{sent}");
    }
}

#[test]
fn each_port_has_its_resources() {
    const V2: Port = Port::Client(Dialect::V2);
    for (path, ports) in [
        ("/v2/keys/a", [true, true, false]),
        ("/version", [true, true, true]),
        ("/v2/machines", [true, true, false]),
        ("/v2/leader", [true, false, false]),
        ("/v2/peers", [true, false, false]),
        ("/v2/stats/self", [true, true, false]),
        ("/v2/stats/store", [true, true, false]),
        ("/v2/stats/leader", [true, true, false]),
        ("/v2/admin/config", [true, true, true]),
        ("/v2/admin/machines", [true, true, true]),
        ("/health", [true, true, true]),
        ("/livez", [true, true, true]),
        ("/readyz", [true, true, true]),
        ("/metrics", [true, true, false]),
        ("/openapi.json", [true, true, false]),
        ("/mod/v2/lock/a", [true, true, false]),
        ("/mod/v2/leader/a", [true, true, false]),
        ("/join", [false, false, false]),
        ("/v2/speedTest", [false, false, false]),
    ] {
        let is_there = [V04, V2, Port::Peer].map(|port| route(port, path) != Route::NotFound);
        assert_eq!(is_there, ports, "{path}");
    }
}

#[test]
fn methods_are_allowed_as_they_are_listed() {
    use Method::{Delete, Get, Head, Options, Other, Post, Put};
    for (route, want) in [
        (Route::Keys("/"), &[Get, Head, Put, Post, Delete][..]),
        (Route::AdminConfig, &[Get, Head, Put]),
        (Route::AdminMachines, &[Get, Head]),
        (Route::AdminMachine("a"), &[Get, Head, Delete]),
        (Route::Version, &[Get, Head]),
        (Route::Health, &[Get, Head]),
        (Route::StatsStore, &[Get, Head]),
        (Route::Module(Module::Lock, "a"), &[Get, Head, Put, Post, Delete]),
        (Route::Module(Module::Leader, "a"), &[Get, Head, Put, Delete]),
    ] {
        for method in [Get, Head, Put, Post, Delete, Options, Other] {
            assert_eq!(route.allows(method), want.contains(&method), "{route:?} {method:?}");
        }
    }
    assert_eq!(Route::Keys("/").allowed(), "HEAD,GET,PUT,POST,DELETE");
}

#[test]
fn the_api_before_v2_is_there_for_clients_of_0_4_alone() {
    for (path, want) in [
        ("/v1/keys/a/b", Route::V1(V1::Key, "/a/b")),
        ("/v1/keys/a/", Route::V1(V1::Key, "/a")),
        ("/v1/keys/", Route::V1(V1::Key, "/")),
        ("/v1/watch/a", Route::V1(V1::Watch, "/a")),
        ("/v1/leader", Route::Leader),
        ("/v1/machines", Route::Machines),
        ("/v1/stats/store", Route::StatsStore),
        ("/v1/keysa", Route::NotFound),
        ("/v1/keys", Route::NotFound),
        ("/v1/members", Route::NotFound),
    ] {
        assert_eq!(route(V04, path), want, "{path}");
        assert_eq!(route(Port::Client(Dialect::V2), path), Route::NotFound, "{path}");
        assert_eq!(route(Port::Peer, path), Route::NotFound, "{path}");
    }
}

/// Where the OpenAPI document has a resource, with the same words for what varies.
fn documented(route: Route<'_>) -> Option<&'static str> {
    Some(match route {
        Route::Keys("/") => "/v2/keys",
        Route::Keys(_) => "/v2/keys/{key}",
        Route::V1(V1::Key, _) => "/v1/keys/{key}",
        Route::V1(V1::Watch, _) => "/v1/watch/{key}",
        Route::Version => "/version",
        Route::Machines => "/v2/machines",
        Route::Leader => "/v2/leader",
        Route::Peers => "/v2/peers",
        Route::StatsSelf => "/v2/stats/self",
        Route::StatsStore => "/v2/stats/store",
        Route::StatsLeader => "/v2/stats/leader",
        Route::StatsCluster => "/v2/stats/cluster",
        Route::StatsHistory => "/v2/stats/history",
        Route::StatsTimes => "/v2/stats/times",
        Route::Members => "/v2/members",
        Route::Member(_) => "/v2/members/{id}",
        Route::AdminConfig => "/v2/admin/config",
        Route::AdminBackup => "/v2/admin/backup",
        Route::AdminIndex => "/v2/admin/index",
        Route::AdminLeader => "/v2/admin/leader",
        Route::AdminMachines => "/v2/admin/machines",
        Route::AdminMachine(_) => "/v2/admin/machines/{name}",
        Route::Health => "/health",
        Route::Livez => "/livez",
        Route::Readyz => "/readyz",
        Route::Metrics => "/metrics",
        Route::OpenApi => "/openapi.json",
        Route::Auth(Resource::Enable) => "/v2/auth/enable",
        Route::Auth(Resource::WhoAmI) => "/v2/auth/whoami",
        Route::Auth(Resource::Users) => "/v2/auth/users",
        Route::Auth(Resource::Roles) => "/v2/auth/roles",
        Route::Auth(Resource::User(_)) => "/v2/auth/users/{name}",
        Route::Auth(Resource::Role(_)) => "/v2/auth/roles/{name}",
        Route::Dashboard(None) => "/dashboard",
        Route::Dashboard(Some(_)) => "/mod/dashboard/{file}",
        Route::Module(Module::Lock, _) => "/mod/v2/lock/{name}",
        Route::Module(Module::Leader, _) => "/mod/v2/leader/{name}",
        // Machines alone call these; and what is no resource.
        Route::PeerStream
        | Route::PeerChallenge
        | Route::PeerJoin
        | Route::PeerMembers
        | Route::PeerIdentity
        | Route::Auth(Resource::Invalid)
        | Route::NotFound => return None,
    })
}

/// One of each resource for clients.
const FOR_CLIENTS: [Route<'static>; 37] = [
    Route::Keys("/"),
    Route::Keys("/a"),
    Route::V1(V1::Key, "/a"),
    Route::V1(V1::Watch, "/a"),
    Route::Version,
    Route::Machines,
    Route::Leader,
    Route::Peers,
    Route::StatsSelf,
    Route::StatsStore,
    Route::StatsLeader,
    Route::StatsCluster,
    Route::StatsHistory,
    Route::StatsTimes,
    Route::Members,
    Route::Member("1"),
    Route::AdminConfig,
    Route::AdminBackup,
    Route::AdminIndex,
    Route::AdminLeader,
    Route::AdminMachines,
    Route::AdminMachine("m"),
    Route::Health,
    Route::Livez,
    Route::Readyz,
    Route::Metrics,
    Route::OpenApi,
    Route::Auth(Resource::Enable),
    Route::Auth(Resource::WhoAmI),
    Route::Auth(Resource::Users),
    Route::Auth(Resource::Roles),
    Route::Auth(Resource::User("u")),
    Route::Auth(Resource::Role("r")),
    Route::Dashboard(None),
    Route::Dashboard(Some("")),
    Route::Module(Module::Lock, "l"),
    Route::Module(Module::Leader, "l"),
];

/// How many paths of the document name one resource: those of v1 are others' too.
const SHARED_WITH_V1: usize = 6;

#[test]
fn the_openapi_document_has_each_resource_with_its_methods() {
    let document: serde_json::Value =
        serde_json::from_slice(crate::api::openapi::DOCUMENT).expect("it is JSON");
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")));
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let paths = document["paths"].as_object().expect("there are paths");
    let methods_of = |path: &str| -> BTreeSet<String> {
        let item = paths[path].as_object().expect("an object");
        let methods = item.keys().filter(|name| *name != "parameters" && *name != "x-dialects");
        methods.map(|name| name.to_uppercase()).collect()
    };
    let mut shared = 0;
    for (path, item) in paths {
        let sample = path.replace("{key}", "a/b").replace("{id}", "1").replace("{name}", "n");
        let sample = sample.replace("{file}", "app.js");
        let is_old = item.get("x-dialects").is_some_and(|dialects| dialects[0] == "0.4");
        for dialect in [Dialect::V04, Dialect::V2] {
            let found = route(Port::Client(dialect), &sample);
            if is_old && dialect == Dialect::V2 {
                assert_eq!(found, Route::NotFound, "{path}");
                continue;
            }
            let allowed: BTreeSet<String> = found.allowed().split(',').map(str::to_owned).collect();
            assert_eq!(methods_of(path), allowed, "{path}");
            let documented = documented(found).unwrap_or_else(|| panic!("{path} is not served"));
            if documented != path {
                assert!(path.starts_with("/v1/"), "{path} is {documented}");
                shared += 1;
            }
        }
    }
    assert_eq!(shared, SHARED_WITH_V1);
    for route in FOR_CLIENTS {
        let path = documented(route).expect("it is for clients");
        assert!(paths.contains_key(path), "{path} is not in openapi.json");
    }
}
