//! Passwords that were hashed elsewhere.

use super::{auth, count_users, done, of};
use crate::testkit::{Request, Site, ask};

/// `pw` with a cost of 4, by the crypt of libxcrypt.
const HASH: &str = "$2y$04$abcdefghijklmnopqrstuuyvPXIbu7xe6/CED2DzX8z6Si09MlzlW";

#[test]
fn a_hash_is_taken_as_a_password_is_and_never_shown() {
    let site = Site::new("rights-hashes");
    let path = site.folder().join("audit.log");
    let site = site.flags(&format!("-audit-log={}", path.display()));
    let server = site.start();
    let addr = server.addr();
    count_users(addr);
    let put = |who: &str, fields: &str| {
        let body = format!(r#"{{"user":"bob",{fields}}}"#);
        ask(addr, &of(who, auth("PUT", "users/bob", &body)))
    };
    let hash = |prefix: &str| format!(r#""passwordHash":"{prefix}{}""#, &HASH[4..]);
    let read = |who: &str| ask(addr, &of(who, Request::get("/v2/keys/a?recursive=true"))).status();
    let made = put("root:top", &(hash("$2y$") + r#","roles":["a"]"#));
    assert_eq!((made.status(), made.text().contains("$2")), (200, false), "{}", made.text());
    assert_eq!((read("bob:pw"), read("bob:other")), (404, 401));
    for prefix in ["$2a$", "$2b$"] {
        done(&put("root:top", r#""password":"other""#));
        assert_eq!((read("bob:pw"), read("bob:other")), (401, 404));
        done(&put("root:top", &hash(prefix)));
        assert_eq!((read("bob:pw"), read("bob:other")), (404, 401), "{prefix}");
    }
    for (fields, why) in [
        (hash("$2x$"), "no bcrypt hash"),
        (r#""passwordHash":"pw""#.to_owned(), "no bcrypt hash"),
        (hash("$2y$").replace("$04$", "$15$"), "between 4 and 14"),
        (hash("$2y$").replace("$04$", "$31$"), "between 4 and 14"),
        (hash("$2y$") + r#","password":"x""#, "both password and passwordHash"),
    ] {
        let answer = put("root:top", &fields);
        assert_eq!(answer.status(), 400, "{fields}");
        assert!(answer.text().contains(why), "{fields}: {}", answer.text());
    }
    for who in ["ann:pw", "bob:pw", "bob:wrong"] {
        assert_eq!(put(who, &hash("$2y$")).status(), 401, "{who} is not root");
    }
    let shown = ask(addr, &of("root:top", auth("GET", "users", ""))).text();
    assert!(shown.contains("bob") && !shown.contains("$2"), "{shown}");
    server.terminate();
    let logs = [std::fs::read_to_string(&path).unwrap(), site_log(&site)];
    assert!(logs.iter().all(|log| !log.contains("$04$")), "a hash is in a log");
}

fn site_log(site: &Site) -> String {
    std::fs::read_to_string(site.log_path()).unwrap()
}
