//! What becomes of the requests of pages, row by row.

use super::*;

fn hosts(whitelist: &[&str]) -> Hosts {
    let names = ["node1.example:4001", "10.0.0.1:7001", "[2001:db8::7]:4001"];
    let listed = whitelist.iter().filter(|name| **name != "*");
    let all = names.iter().chain(listed).filter_map(|name| host(name.as_bytes()));
    Hosts { names: all.collect(), is_open: whitelist.contains(&"*") }
}

/// Host, origin and `Sec-Fetch-Site` of a request; an empty text is none.
type Sent = (&'static str, &'static str, &'static str);

fn judged(
    hosts: &Hosts,
    cors: &[&str],
    (host, origin, site): Sent,
    is_change: bool,
) -> &'static str {
    let cors = Cors::new(&cors.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>());
    let some = |text: &'static str| (!text.is_empty()).then_some(text.as_bytes());
    let sender = Sender { host: some(host), origin: some(origin), fetch_site: some(site) };
    match hosts.judge(&cors, sender, is_change) {
        Ok(()) => "taken",
        Err(FOREIGN) => "foreign",
        Err(_) => "host",
    }
}

/// Each row: what was sent, what becomes of a change, and of a read.
#[test]
fn pages_of_others_change_nothing() {
    let open = hosts(&["*"]);
    for (sent, change, read) in [
        // Clients and proxies say no origin.
        (("127.0.0.1:4001", "", ""), "taken", "taken"),
        (("node1.example:4001", "", ""), "taken", "taken"),
        (("service.cluster.local:4001", "", ""), "taken", "taken"),
        (("", "", ""), "taken", "taken"),
        // The dashboard.
        (("127.0.0.1:4001", "http://127.0.0.1:4001", "same-origin"), "taken", "taken"),
        (("localhost:4001", "http://localhost:4001", ""), "taken", "taken"),
        (("[::1]:4001", "http://[::1]:4001", ""), "taken", "taken"),
        (("NODE1.example:4001", "http://node1.example:4001", ""), "taken", "taken"),
        (("node1.example", "https://node1.example", ""), "taken", "taken"),
        (("node1.example:443", "https://node1.example", ""), "taken", "taken"),
        (("10.9.9.9:4001", "http://10.9.9.9:4001", ""), "taken", "taken"),
        // A page of somebody else, as a form and as a script.
        (("127.0.0.1:4001", "http://evil.example", "cross-site"), "foreign", "taken"),
        (("127.0.0.1:4001", "http://evil.example", ""), "foreign", "taken"),
        (("127.0.0.1:4001", "null", ""), "foreign", "taken"),
        (("127.0.0.1:4001", "", "cross-site"), "foreign", "taken"),
        (("127.0.0.1:4001", "", "same-origin"), "taken", "taken"),
        (("127.0.0.1:4001", "", "none"), "taken", "taken"),
        (("127.0.0.1:4001", "http://127.0.0.1:3000", "same-site"), "foreign", "taken"),
        (("localhost:4001", "http://localhost", ""), "foreign", "taken"),
        (("node1.example:443", "http://node1.example", ""), "foreign", "taken"),
        (("127.0.0.1:4001", "http://127.0.0.1:4001.evil.example", ""), "foreign", "taken"),
        (("127.0.0.1:4001", "http://evil.example/127.0.0.1:4001", ""), "foreign", "taken"),
        (("127.0.0.1:4001", "file://127.0.0.1:4001", ""), "foreign", "taken"),
        // A page whose name leads here.
        (("evil.example:4001", "http://evil.example:4001", "same-origin"), "host", "host"),
        (("127.0.0.1.evil.example:4001", "http://127.0.0.1.evil.example:4001", ""), "host", "host"),
        (("localhost.evil.example", "http://localhost.evil.example", ""), "host", "host"),
        (("", "http://evil.example:4001", ""), "host", "host"),
        (("node1.example@evil.example", "http://node1.example@evil.example", ""), "host", "host"),
    ] {
        assert_eq!(judged(&open, &[], sent, true), change, "a change of {sent:?}");
        assert_eq!(judged(&open, &[], sent, false), read, "a read of {sent:?}");
    }
}

#[test]
fn cors_opens_what_it_names() {
    let open = hosts(&["*"]);
    let sent = ("127.0.0.1:4001", "https://ui.example", "cross-site");
    assert_eq!(judged(&open, &["https://ui.example"], sent, true), "taken");
    assert_eq!(judged(&open, &["*"], sent, true), "taken");
    assert_eq!(judged(&open, &["https://other.example"], sent, true), "foreign");
    let renamed = ("service.local:4001", "https://ui.example", "cross-site");
    assert_eq!(judged(&open, &["https://ui.example"], renamed, true), "taken");
}

#[test]
fn names_are_configured() {
    let sent = ("Store.Example.:4001", "http://Store.Example.:4001", "");
    assert_eq!(judged(&hosts(&["*"]), &[], sent, true), "host");
    for list in [&["store.example"][..], &["*", "STORE.example"]] {
        assert_eq!(judged(&hosts(list), &[], sent, true), "taken", "{list:?}");
    }
    let closed = hosts(&["store.example"]);
    for (host, want) in [
        ("store.example", "taken"),
        ("127.0.0.1:4001", "taken"),
        ("localhost:4001", "taken"),
        ("node1.example:1", "taken"),
        ("2001:db8::7", "taken"),
        ("evil.example", "host"),
        ("", "taken"),
    ] {
        assert_eq!(judged(&closed, &[], (host, "", ""), false), want, "{host}");
    }
}

#[test]
fn json_is_told_by_its_content_type() {
    for (kind, want) in [
        (&b"application/json"[..], true),
        (b"Application/JSON; charset=utf-8", true),
        (b"text/plain", false),
        (b"application/x-www-form-urlencoded", false),
        (b"application/jsonp", false),
        (b"", false),
    ] {
        assert_eq!(is_json(Some(kind)), want);
    }
    assert!(!is_json(None));
}
