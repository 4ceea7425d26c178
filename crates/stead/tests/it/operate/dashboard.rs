//! What the dashboard is made of: its files, and the parts of the API that are there for it. What
//! it does in a browser is in `dashboard/test`.

use crate::testkit::{Connection, Request, Response, Server, Site, ask};
use flate2::read::GzDecoder;
use std::io::Read;

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
        ("app.css", "text/css; charset=utf-8"),
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

/// The headers that every answer for a file has.
fn has_policy(answer: &Response) -> bool {
    let is = |name: &str, want: &str| answer.head.header(name).is_some_and(|it| it.contains(want));
    is("Content-Security-Policy", "default-src 'none'")
        && is("X-Content-Type-Options", "nosniff")
        && is("Cache-Control", "no-cache")
        && is("Vary", "Accept-Encoding")
}

#[test]
fn a_file_that_is_known_is_not_sent_again_and_is_compressed_for_those_who_take_it() {
    let (_site, server) = Server::start("dashboard-cache");
    let addr = server.addr();
    let mut seen = Vec::new();
    for name in ["", "app.js", "app.css", "icon.svg"] {
        let get = || Request::get(&format!("/mod/dashboard/{name}"));
        let plain = ask(addr, &get());
        assert!(plain.status() == 200 && has_policy(&plain), "{name}");
        assert_eq!(plain.head.header("Content-Encoding"), None);
        let packed = ask(addr, &get().header("Accept-Encoding", "br, gzip"));
        assert!(packed.status() == 200 && has_policy(&packed), "{name}");
        assert_eq!(packed.head.header("Content-Encoding").as_deref(), Some("gzip"));
        assert_eq!(packed.head.header("Content-Type"), plain.head.header("Content-Type"));
        let mut bytes = Vec::new();
        GzDecoder::new(&packed.body[..]).read_to_end(&mut bytes).expect("it is gzip");
        assert_eq!(bytes, plain.body, "{name}");
        let tag = |answer: &Response| answer.head.header("ETag").expect("a tag");
        assert!(tag(&plain).starts_with('"') && tag(&plain) != tag(&packed), "{name}");
        for known in [tag(&plain), format!("\"x\", W/{}", tag(&packed)), "*".to_owned()] {
            for method in ["GET", "HEAD"] {
                let path = format!("/mod/dashboard/{name}");
                let again = Request::new(method, &path).header("If-None-Match", &known);
                let again = ask(addr, &again);
                assert_eq!((again.status(), again.body.len()), (304, 0), "{name} {known}");
                assert!(has_policy(&again) && tag(&again) == tag(&plain), "{name} {known}");
                assert_eq!(again.head.header("Content-Length"), None);
            }
        }
        let other = ask(addr, &get().header("If-None-Match", "\"x\""));
        assert_eq!((other.status(), &other.body), (200, &plain.body));
        let refused = ask(addr, &get().header("Accept-Encoding", "gzip;q=0"));
        assert_eq!(refused.body, plain.body);
        let head = ask(addr, &Request::new("HEAD", &format!("/mod/dashboard/{name}")));
        assert_eq!(head.head.header("Content-Length"), Some(plain.body.len().to_string()));
        seen.push(tag(&plain));
    }
    seen.dedup();
    assert_eq!(seen.len(), 4, "one for each file: {seen:?}");
    // A connection goes on behind an answer without a body.
    let mut connection = Connection::open(addr).expect("it listens");
    let mut status = |request: &Request| connection.exchange(request).expect("an answer").status();
    let get = Request::get("/mod/dashboard/");
    for _ in 0..3 {
        assert_eq!(status(&get.clone().header("If-None-Match", &seen[0])), 304);
        assert_eq!(status(&get), 200);
    }
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
