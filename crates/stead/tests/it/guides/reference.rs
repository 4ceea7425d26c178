//! The API reference, typed, and the OpenAPI document held against a server.

use crate::testkit::{Request, Server, Site, ask};
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;

pages! {
    "docs/reference", every_page_is_typed, ["errors.md"],
    administration => "administration.md",
    health => "health.md",
    keys => "keys.md",
    locks => "locks.md",
    members => "members.md",
    statistics => "statistics.md",
    users => "users.md",
    v1 => "v1.md",
    watches => "watches.md",
}

/// Parts of a path that vary: in the document, in the pages, and in a request.
const PARTS: [[&str; 3]; 4] = [
    ["{key}", "KEY", "a"],
    ["{name}", "NAME", "m0"],
    ["{id}", "ID", "leader"],
    ["{file}", "", "app.js"],
];
const IN_PAGES: usize = 1;
const IN_REQUESTS: usize = 2;

const METHODS: [&str; 5] = ["get", "head", "put", "post", "delete"];

/// A path of the document in other words.
fn worded(path: &str, column: usize) -> String {
    PARTS.iter().fold(path.to_owned(), |path, part| path.replace(part[0], part[column]))
}

fn document(server: &Server) -> Value {
    let [one, two] = [server.addr(), server.v2_addr()].map(|addr| {
        let answer = ask(addr, &Request::get("/openapi.json"));
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.head.header("Content-Type").as_deref(), Some("application/json"));
        answer.json()
    });
    assert_eq!(one, two);
    one
}

/// Whether a request is served, with whatever status.
fn is_served(addr: SocketAddr, method: &str, path: &str) -> bool {
    let answer = ask(addr, &Request::new(&method.to_uppercase(), path));
    // Only what no resource is found for is answered in this way.
    let is_missing =
        answer.status() == 404 && answer.head.header("X-Content-Type-Options").is_some();
    answer.status() != 405 && !is_missing
}

#[test]
fn the_document_describes_what_is_served() {
    let site = Site::new("openapi").with_v2();
    let server = site.start();
    let document = document(&server);
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")));
    for field in ["title", "version"] {
        assert!(document["info"][field].is_string(), "{field}");
    }
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().expect("an object") {
        let is_old = item["x-dialects"][0] == "0.4";
        let target = worded(path, IN_REQUESTS);
        for method in METHODS {
            let operation = &item[method];
            // It would wait for news.
            let waits = path.starts_with("/v1/watch/") && matches!(method, "get" | "head");
            if waits {
                continue;
            }
            let is_there = operation.is_object();
            let served = [server.addr(), server.v2_addr()].map(|at| is_served(at, method, &target));
            assert_eq!(served, [is_there, is_there && !is_old], "{method} {path}");
            if is_there {
                operations += 1;
                assert!(operation["summary"].is_string(), "{method} {path}");
                let responses = operation["responses"].as_object();
                assert!(responses.is_some_and(|all| !all.is_empty()), "{method} {path}");
            }
        }
    }
    assert!(operations > 80, "{operations}");
}

#[test]
fn the_pages_name_each_path_of_the_document() {
    let site = Site::new("openapi-pages").with_v2();
    let server = site.start();
    let index = format!("{}/docs/reference/README.md", super::ROOT);
    let index = fs::read_to_string(index).expect("the index is there");
    for path in document(&server)["paths"].as_object().expect("an object").keys() {
        let named = worded(path, IN_PAGES);
        assert!(index.contains(&format!("`{named}`")), "docs/reference/README.md lacks {named}");
    }
}
