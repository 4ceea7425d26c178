//! Parameters of both modules row by row: what a request comes to, or which error.

use super::*;
use crate::api::error::INVALID_FORM;
use crate::config::Dialect::{V2, V04};
use crate::http::request::{Sender, Terms};
use crate::proof::ProofHeaders;
use proptest::prelude::*;

/// The index of the store at the time of the request.
const AT: u64 = 7;

/// A request as `METHOD query | body`.
fn request(text: &str) -> Request<'_> {
    let (head, body) = text.split_once('|').map_or((text, None), |(head, body)| (head, Some(body)));
    let (method, query) = head.trim().split_once(' ').unwrap_or((head.trim(), ""));
    Request {
        method: match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "PUT" => Method::Put,
            "POST" => Method::Post,
            "DELETE" => Method::Delete,
            other => panic!("no method: {other}"),
        },
        path: "/mod/v2/lock/a",
        query,
        is_http11: true,
        keep_alive: true,
        is_form: body.is_some(),
        accepts_text: false,
        authorization: None,
        sender: Sender::default(),
        proof: ProofHeaders::default(),
        terms: Terms::default(),
        content_type: None,
        content_encoding: None,
        upgrade: None,
        token: None,
        body: body.unwrap_or_default().trim_start().as_bytes(),
    }
}

fn shown(module: Module, text: &str) -> String {
    match parse(module, &request(text), V04, AT) {
        Err(error) => {
            assert_eq!((error.index, error.status()), (AT, 400), "{text}");
            format!("{} {}", error.code, error.cause)
        }
        Ok(LockRequest::Acquire(Acquire { value, ttl, timeout })) => {
            format!("acquire {value:?} {ttl} {timeout:?}")
        }
        Ok(LockRequest::Get(field)) => format!("get {field:?}"),
        Ok(wanted) => format!("{:?}", wanted.action().expect("it is no read")),
    }
}

#[test]
fn a_lock_is_asked_for_with_a_ttl() {
    for (text, want) in [
        ("POST | ttl=20", "acquire \"\" 20 None"),
        ("POST ttl=20&value=q", "acquire \"q\" 20 None"),
        ("POST ttl=1 | ttl=20&ttl=3", "acquire \"\" 20 None"),
        ("POST | ttl=20&value=a+b%2f&timeout=", "acquire \"a b/\" 20 None"),
        ("POST | ttl=20&timeout=-1", "acquire \"\" 20 None"),
        ("POST | ttl=20&timeout=0", "acquire \"\" 20 Some(0)"),
        ("POST | ttl=9223372036&timeout=30", "acquire \"\" 9223372036 Some(30)"),
        ("POST", "202 Acquire"),
        ("POST | ttl=", "202 Acquire"),
        ("POST | ttl=abc", "202 Acquire"),
        ("POST | ttl=1.5", "202 Acquire"),
        ("POST | ttl=0", "202 Acquire"),
        ("POST | ttl=-5", "202 Acquire"),
        ("POST | ttl=9223372037", "202 Acquire"),
        ("POST | ttl=99999999999999999999", "202 Acquire"),
        ("POST | timeout=abc", "205 Acquire"),
        ("POST | ttl=20&timeout=1.5", "205 Acquire"),
        ("POST | ttl=%zz", "210 invalid URL escape \"%zz\""),
    ] {
        assert_eq!(shown(Module::Lock, text), want, "{text}");
    }
}

#[test]
fn renewal_and_release_need_to_know_which_entry() {
    for (text, want) in [
        ("PUT | index=5&ttl=20", "Renew { entry: Index(5), value: None, ttl: 20 }"),
        ("PUT | value=v&ttl=20", "Renew { entry: Value(\"v\"), value: None, ttl: 20 }"),
        ("PUT index=5&value=w&ttl=2", "Renew { entry: Index(5), value: Some(\"w\"), ttl: 2 }"),
        ("PUT | index=x&ttl=20", "Renew { entry: Index(0), value: None, ttl: 20 }"),
        ("PUT | index=%2b5&ttl=20", "Renew { entry: Index(0), value: None, ttl: 20 }"),
        ("PUT | ttl=20", "207 Renew"),
        ("PUT | ttl=20&index=&value=", "207 Renew"),
        ("PUT | index=5", "202 Renew"),
        ("PUT | ttl=x", "202 Renew"),
        ("DELETE index=5", "Release { entry: Index(5) }"),
        ("DELETE index=99999999999999999999", "Release { entry: Index(0) }"),
        ("DELETE value=v", "Release { entry: Value(\"v\") }"),
        ("DELETE", "207 Release"),
        ("DELETE | index=5", "207 Release"),
        ("DELETE index=5&value=v", "208 Release"),
        ("GET", "get Value"),
        ("HEAD field=value", "get Value"),
        ("GET field=", "get Value"),
        ("GET field=index", "get Index"),
        ("GET field=bogus", "get Unknown"),
    ] {
        assert_eq!(shown(Module::Lock, text), want, "{text}");
    }
}

#[test]
fn an_election_is_a_lock_whose_values_are_names() {
    for (text, want) in [
        ("PUT | ttl=300&name=a", "acquire \"a\" 300 None"),
        ("PUT ttl=300&name=a&timeout=5&value=b", "acquire \"a\" 300 Some(5)"),
        ("PUT | ttl=300", "206 Set"),
        ("PUT | name=&ttl=x", "206 Set"),
        ("PUT | name=a", "202 Acquire"),
        ("PUT | name=a&timeout=x", "205 Acquire"),
        ("DELETE name=a&index=5", "Release { entry: Value(\"a\") }"),
        ("DELETE", "206 Delete"),
        ("GET field=index", "get Value"),
    ] {
        assert_eq!(shown(Module::Leader, text), want, "{text}");
    }
}

#[test]
fn a_semicolon_parts_nothing_where_2_x_is_spoken() {
    let refused = parse(Module::Lock, &request("POST ttl=2;value=a"), V2, AT);
    assert_eq!(refused.map_err(|error| error.code), Err(INVALID_FORM));
}

#[test]
fn only_who_waits_no_time_at_all_takes_no_place_in_the_queue() {
    for (text, want) in [
        ("POST | ttl=2", true),
        ("POST | ttl=2&timeout=1", true),
        ("POST | ttl=2&timeout=0", false),
    ] {
        let wanted = parse(Module::Lock, &request(text), V04, AT).expect("it is right");
        let Some(LockAction::Acquire { waits, .. }) = wanted.action() else { panic!("{text}") };
        assert_eq!(waits, want, "{text}");
    }
}

proptest! {
    #[test]
    fn anything_may_be_sent(
        method in prop_oneof![Just("GET"), Just("PUT"), Just("POST"), Just("DELETE")],
        query in "[ -~]{0,60}",
        body in ".{0,60}",
    ) {
        let query = query.replace(['|', ' '], "&ttl=");
        let text = format!("{method} {query} | {body}");
        for (module, dialect) in [(Module::Lock, V04), (Module::Lock, V2), (Module::Leader, V04)] {
            // Whatever comes of it, it is an answer.
            let _ = parse(module, &request(&text), dialect, AT);
        }
    }
}
