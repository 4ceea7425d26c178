//! What the dashboard is made of: its files, and the parts of the API that are there for it. What
//! it does in a browser is in `dashboard/test`.

use crate::testkit::{Request, Server, Site, ask};

#[test]
fn the_page_is_served_with_a_policy_that_lets_nothing_else_in() {
    let (_site, server) = Server::start("dashboard");
    let addr = server.addr();
    for path in ["/dashboard", "/dashboard/", "/mod/dashboard"] {
        let answer = ask(addr, &Request::get(path));
        assert_eq!(answer.status(), 301, "{path}");
        assert_eq!(answer.head.header("Location").as_deref(), Some("/mod/dashboard/"));
    }
    for (name, kind) in [
        ("", "text/html; charset=utf-8"),
        ("app.js", "text/javascript; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("settings.json", "application/json"),
    ] {
        let answer = ask(addr, &Request::get(&format!("/mod/dashboard/{name}")));
        assert_eq!(answer.status(), 200, "{name}");
        assert_eq!(answer.head.header("Content-Type").as_deref(), Some(kind));
        let policy = answer.head.header("Content-Security-Policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert_eq!(answer.head.header("X-Content-Type-Options").as_deref(), Some("nosniff"));
    }
    for path in ["/mod/dashboard/none.js", "/mod/dashboard/a/b", "/mod/dashboard/app.js/"] {
        assert_eq!(ask(addr, &Request::get(path)).status(), 404, "{path}");
    }
    assert_eq!(ask(addr, &Request::put("/mod/dashboard/", "")).status(), 405);
}

#[test]
fn it_can_be_switched_off() {
    let site = Site::new("dashboard-off").flags("-dashboard off");
    let server = site.start();
    for path in ["/dashboard", "/mod/dashboard", "/mod/dashboard/", "/mod/dashboard/app.js"] {
        assert_eq!(ask(server.addr(), &Request::get(path)).status(), 404, "{path}");
    }
}

#[test]
fn the_cluster_is_described_by_a_machine_alone() {
    let (_site, server) = Server::start("dashboard-cluster");
    let seen = ask(server.addr(), &Request::get("/v2/stats/cluster")).json();
    assert_eq!(seen["members"].as_array().map(Vec::len), Some(1), "{seen}");
    let own = &seen["members"][0];
    assert_eq!((&own["state"], &own["name"]), (&"leader".into(), &seen["leader"]), "{seen}");
    assert_eq!((&own["lagEntries"], &own["reachable"]), (&0.into(), &true.into()), "{seen}");
    assert_eq!(seen["standbys"], serde_json::json!([]), "{seen}");
}

#[test]
fn hidden_nodes_are_listed_for_those_who_ask() {
    let (_site, server) = Server::start("dashboard-hidden");
    let addr = server.addr();
    for key in ["/d/a", "/d/_b", "/d/e/_f/g"] {
        let put = Request::put(&format!("/v2/keys{key}"), "value=1");
        assert_eq!(ask(addr, &put).status(), 201);
    }
    let count = |query: &str| {
        let answer = ask(addr, &Request::get(&format!("/v2/keys/d?recursive=true{query}")));
        assert_eq!(answer.status(), 200);
        answer.text().matches("\"value\":\"1\"").count()
    };
    assert_eq!((count(""), count("&hidden=false"), count("&hidden=true")), (1, 1, 3));
    assert_eq!(count("&hidden=true&quorum=true"), 3);
}
