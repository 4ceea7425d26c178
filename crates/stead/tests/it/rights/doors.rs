//! Where users count there is no second door: each resource asks as docs/security.md says.

use super::{SOON, auth, count_users, done, of};
use crate::testkit::{Request, Site, ask, wait_until};
use crate::tls::client::{Authority, Client};
use crate::tls::is_other;

#[test]
fn what_shows_or_changes_something_asks_who_it_is() {
    let site = Site::new("rights-doors").with_v2();
    let server = site.start();
    count_users(server.addr());
    let closed = [
        Request::get("/v2/keys/"),
        Request::get("/v2/keys/_etcd/machines"),
        Request::get("/v2/keys/a?wait=true"),
        Request::put("/v2/keys/a", "value=1"),
        Request::post("/v2/keys/a", "value=1"),
        Request::delete("/v2/keys/a?recursive=true"),
        Request::post("/mod/v2/lock/l", "ttl=5"),
        Request::get("/mod/v2/lock/l"),
        Request::put("/mod/v2/leader/l", "ttl=5&name=n"),
        auth("GET", "users", ""),
        auth("GET", "users/ann", ""),
        auth("GET", "roles", ""),
        auth("PUT", "users/eve", r#"{"user":"eve","password":"x","roles":["root"]}"#),
        auth("DELETE", "enable", ""),
        Request::get("/v2/admin/backup"),
        Request::new("PUT", "/v2/admin/index").body(b"{\"atLeast\":1}"),
        Request::new("PUT", "/v2/admin/config").body(b"{}"),
        Request::new("PUT", "/v2/admin/leader"),
        Request::delete("/v2/admin/machines/m0"),
        Request::new("POST", "/v2/members").body(b"{\"peerURLs\":[\"http://127.0.0.1:1\"]}"),
        Request::delete("/v2/members/1"),
    ];
    let users = |request: &Request| {
        let path = request.path.as_str();
        path.starts_with("/v2/auth")
            || path.starts_with("/v2/admin")
            || path.starts_with("/v2/members")
    };
    for addr in [server.addr(), server.v2_addr()] {
        for request in &closed {
            let text = format!("{} {}", request.method, request.path);
            assert_eq!(ask(addr, request).status(), 401, "{text}");
            let wrong = of("root:wrong", request.clone());
            assert_eq!(ask(addr, &wrong).status(), 401, "{text} with a wrong password");
            if users(request) {
                assert_eq!(ask(addr, &of("ann:pw", request.clone())).status(), 401, "{text}");
            }
        }
        assert_eq!(ask(addr, &of("ann:pw", Request::get("/v2/keys/b"))).status(), 401);
        for path in ["/v2/auth/enable", "/v2/members", "/v2/machines", "/health", "/v2/stats/self"]
        {
            assert_eq!(ask(addr, &Request::get(path)).status(), 200, "{path}");
        }
    }
    for path in ["/v1/keys/a", "/v1/watch/a"] {
        assert_eq!(ask(server.addr(), &Request::get(path)).status(), 401, "{path}");
    }
    let at_peers = [
        Request::new("PUT", "/v2/admin/config").body(b"{}"),
        Request::new("PUT", "/v2/admin/leader"),
        Request::delete("/v2/admin/machines/m0"),
        Request::get("/v2/admin/backup"),
    ];
    for request in at_peers {
        assert_eq!(ask(server.peer_addr(), &request).status(), 401, "{}", request.path);
        let config = request.path.ends_with("config");
        if config {
            done(&ask(server.peer_addr(), &of("root:top", request)));
        }
    }
    done(&ask(server.addr(), &of("root:top", Request::get("/v2/admin/backup"))));
}

#[test]
fn a_login_is_tried_without_reading_a_key() {
    // The dashboard's login asks this: who is wrong gets 401, and who is right another error.
    let site = Site::new("rights-login");
    let server = site.start();
    count_users(server.addr());
    let login = Request::get("/v2/keys/?wait=true&waitIndex=none");
    let right = ask(server.addr(), &of("ann:pw", login.clone()));
    assert_eq!((right.status(), &right.json()["errorCode"]), (400, &203.into()));
    for wrong in ["ann:guess", "eve:pw", ":"] {
        assert_eq!(ask(server.addr(), &of(wrong, login.clone())).status(), 401, "{wrong}");
    }
}

#[test]
fn a_user_is_sent_in_a_bounded_body() {
    let site = Site::new("rights-large").with_v2();
    let server = site.start();
    let user = |bytes: usize| {
        let padding = "x".repeat(bytes);
        let body = format!(r#"{{"user":"ann","password":"pw","ignored":"{padding}"}}"#);
        ask(server.addr(), &auth("PUT", "users/ann", &body))
    };
    let refused = user(64 << 10);
    assert_eq!(refused.status(), 413);
    assert_eq!(refused.text(), r#"{"message":"a user takes at most 65536 bytes"}"#);
    assert_eq!(user(60_000).status(), 201);
}

#[test]
fn the_token_lets_an_administrator_in_without_a_password() {
    let site = Site::new("rights-token").flags("-peer-token=secret");
    let server = site.start();
    let addr = server.addr();
    let put_root = || auth("PUT", "users/root", r#"{"user":"root","password":"forgotten"}"#);
    assert_eq!(ask(addr, &put_root()).status(), 401, "users change as members do");
    let token = |request: Request| request.header("Stead-Token", "secret");
    done(&ask(addr, &token(put_root())));
    done(&ask(addr, &token(auth("PUT", "enable", ""))));
    assert_eq!(ask(addr, &auth("GET", "users", "")).status(), 401);
    done(&ask(addr, &token(auth("GET", "users", ""))));
    let again = auth("PUT", "users/root", r#"{"user":"root","password":"known"}"#);
    done(&ask(addr, &token(again)));
    done(&ask(addr, &of("root:known", Request::put("/v2/keys/a", "value=1"))));
    assert_eq!(ask(addr, &token(Request::get("/v2/keys/a"))).status(), 401, "it opens no keys");
}

#[test]
fn the_name_in_a_certificate_is_a_user_where_that_is_asked_for() {
    if is_other() {
        return;
    }
    let authority = Authority::new();
    for (asked, status) in [("-client-cert-auth", 201), ("", 401)] {
        let site = Site::new("rights-certificate");
        authority.write_files(site.folder());
        let path = |name: &str| site.folder().join(name).display().to_string();
        let (cert, key, ca) = (path("cert.pem"), path("key.pem"), path("ca.pem"));
        let trust = match asked {
            "" => format!("-ca-file={ca}"),
            asked => format!("-trusted-ca-file={ca} {asked}"),
        };
        let site = site.flags(&format!("-cert-file={cert} -key-file={key} {trust}"));
        let _server = site.spawn();
        let open =
            |name: &'static str| Client::ready_with(site.addr(), || authority.client_named(name));
        let mut ann = open("ann");
        let role = r#"{"role":"a","permissions":{"kv":{"write":["/a*"]}}}"#;
        for (path, body) in [
            ("users/root", r#"{"user":"root","password":"top"}"#),
            ("roles/a", role),
            ("users/ann", r#"{"user":"ann","password":"pw","roles":["a"]}"#),
            ("enable", ""),
        ] {
            assert!(ann.ask("PUT", &format!("/v2/auth/{path}"), body).0 < 300, "{path}");
        }
        assert_eq!(ann.ask("PUT", "/v2/keys/a/x", "value=1").0, status, "{asked}");
        assert_eq!(ann.ask("PUT", "/v2/keys/b", "value=1").0, 401, "{asked}");
        assert_eq!(open("stranger").ask("PUT", "/v2/keys/a/x", "value=1").0, 401, "{asked}");
    }
}

#[test]
fn the_audit_log_tells_who_did_what_and_begins_again_when_it_is_moved() {
    let site = Site::new("rights-audit");
    let path = site.folder().join("audit.log");
    let site = site.flags(&format!("-audit-log={}", path.display()));
    let server = site.start();
    let addr = server.addr();
    count_users(addr);
    done(&ask(addr, &of("ann:pw", Request::put("/v2/keys/a/x", "value=hidden"))));
    assert_eq!(ask(addr, &of("ann:pw", Request::get("/v2/keys/b?x=y"))).status(), 401);
    done(&ask(addr, &of("ann:pw", Request::get("/v2/keys/a/x"))));
    let lines = || std::fs::read_to_string(&path).unwrap_or_default();
    wait_until("both are told", SOON, || lines().contains("\"path\":\"/v2/keys/b\""));
    let text = lines();
    let told: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.len(), 6, "{text}");
    let write = &told[4];
    for (name, value) in [("user", "ann"), ("method", "PUT"), ("path", "/v2/keys/a/x")] {
        assert_eq!(write[name], value, "{text}");
    }
    assert_eq!((&write["status"], &write["outcome"]), (&201.into(), &"done".into()));
    assert!(write["index"].as_u64().is_some_and(|index| index > 4), "{text}");
    assert_eq!(told[5]["outcome"], "refused");
    for secret in ["hidden", "\"pw\"", "top", "x=y"] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}

#[test]
fn who_has_all_below_a_directory_may_name_it_with_its_slash() {
    // As etcd 3.4.23 answers a user with `/n/*`: Patroni removes a cluster so, and queues are
    // written to so.
    let site = Site::new("rights-slash").with_v2();
    let server = site.start();
    count_users(server.addr());
    let rights = r#"{"role":"n","permissions":{"kv":{"read":["/n/*"],"write":["/n/*"]}}}"#;
    let bob = r#"{"user":"bob","password":"pw","roles":["n"]}"#;
    for (path, body) in [("roles/n", rights), ("users/bob", bob)] {
        done(&ask(server.addr(), &of("root:top", auth("PUT", path, body))));
    }
    for addr in [server.addr(), server.v2_addr()] {
        let by = |user: &str, request: Request| ask(addr, &of(user, request));
        done(&by("bob:pw", Request::put("/v2/keys/n/a", "value=1")));
        let cases = [
            (Request::put("/v2/keys/n/", "dir=true"), 403, 102),
            (Request::put("/v2/keys/n/", "value=1"), 403, 102),
            (Request::put("/v2/keys/n/", "dir=true&prevExist=true&ttl=100"), 200, 0),
            (Request::post("/v2/keys/n/", "value=1"), 201, 0),
            (Request::delete("/v2/keys/n/?dir=true"), 403, 108),
            (Request::delete("/v2/keys/n/?recursive=true"), 200, 0),
        ];
        for (request, status, code) in cases {
            let path = request.path.replacen("/n/", "/n", 1);
            let bare = Request { path, ..request.clone() };
            for user in ["bob:pw", "ann:pw"] {
                let path = &bare.path;
                assert_eq!(by(user, bare.clone()).status(), 401, "{user} {path} without the slash");
            }
            assert_eq!(by("ann:pw", request.clone()).status(), 401, "{}", request.path);
            let answer = by("bob:pw", request.clone());
            let told = answer.json()["errorCode"].as_u64().unwrap_or(0);
            assert_eq!((answer.status(), told), (status, code), "{}", answer.text());
        }
    }
}
