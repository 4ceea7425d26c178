//! Parameters row by row of the specification: what a request in either dialect comes to.

use super::*;
use crate::config::Dialect::{V2, V04};
use crate::http::request::{Sender, Terms};
use crate::proof::ProofHeaders;
use proptest::prelude::*;

/// The index of the store at the time of the request.
const INDEX: u64 = 7;

/// A request on a key: `PUT prevExist=true | value=x`, where the bar parts the query from a form.
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
        path: "/v2/keys/k",
        query,
        is_http11: true,
        keep_alive: true,
        is_form: body.is_some(),
        content_type: None,
        content_encoding: None,
        accepts_text: false,
        authorization: None,
        sender: Sender::default(),
        proof: ProofHeaders::default(),
        terms: Terms::default(),
        upgrade: None,
        token: None,
        body: body.unwrap_or_default().trim_start().as_bytes(),
    }
}

fn ttl_text(ttl: Option<i64>) -> String {
    ttl.map_or_else(String::new, |ttl| format!(" ttl={ttl}"))
}

fn condition_text(value: Option<&str>, index: Option<u64>) -> String {
    let value = value.map_or_else(String::new, |value| format!(" if={value:?}"));
    let index = index.map_or_else(String::new, |index| format!(" at={index}"));
    value + &index
}

fn flag(is_set: bool, name: &str) -> String {
    if is_set { format!(" {name}") } else { String::new() }
}

/// A command in few words.
fn command_text(command: &Command<'_>) -> String {
    match *command {
        Command::Set { value, dir, ttl, refresh, .. } => {
            let flags = flag(dir, "dir") + &flag(refresh, "refresh");
            format!("set {value:?}{}{flags}", ttl_text(ttl))
        }
        Command::Create { value, dir, ttl, in_order, .. } => {
            let name = match in_order {
                None => "create",
                Some(InOrder::Plain) => "plain",
                Some(InOrder::Padded) => "padded",
            };
            format!("{name} {value:?}{}{}", ttl_text(ttl), flag(dir, "dir"))
        }
        Command::Update { value, ttl, refresh, .. } => {
            format!("update {value:?}{}{}", ttl_text(ttl), flag(refresh, "refresh"))
        }
        Command::CompareAndSwap {
            value, ttl, refresh, prev_value, prev_index, or_create, ..
        } => {
            let flags = flag(refresh, "refresh") + &flag(or_create, "or-create");
            let conditions = condition_text(prev_value, prev_index);
            format!("swap {value:?}{}{conditions}{flags}", ttl_text(ttl))
        }
        Command::Delete { dir, recursive, .. } => {
            format!("delete{}{}", flag(dir, "dir"), flag(recursive, "recursive"))
        }
        Command::CompareAndDelete { prev_value, prev_index, .. } => {
            format!("compare-delete{}", condition_text(prev_value, prev_index))
        }
        Command::Expire { .. }
        | Command::Internal { .. }
        | Command::RaiseIndex { .. }
        | Command::Auth(_)
        | Command::CountRefused(_)
        | Command::Lock { .. } => {
            panic!("no request on a key says so")
        }
    }
}

/// What a request comes to, in few words.
fn said(dialect: Dialect, text: &str) -> String {
    match parse(&request(text), dialect, INDEX) {
        Ok(KeysRequest::Write(write)) => {
            let path = KeyPath::parse("/k").expect("clean");
            command_text(&write.command(path, dialect))
                + &flag(write.form == Form::ActionOnly, "no-value")
        }
        Ok(KeysRequest::Get(get)) => {
            format!("get{}{}", flag(get.recursive, "recursive"), flag(get.quorum, "quorum"))
        }
        Ok(KeysRequest::Watch(watch)) => {
            let flags = flag(watch.recursive, "recursive") + &flag(watch.stream, "stream");
            format!("watch {}{flags}", watch.wait_index)
        }
        Err(error) => format!("{} {} @{}", error.code, error.cause, error.index),
    }
}

fn check(dialect: Dialect, rows: &[(&str, &str)]) {
    for (text, want) in rows {
        assert_eq!(said(dialect, text), *want, "{dialect:?}: {text}");
    }
}

#[test]
fn parameters_come_from_the_form_first_and_the_first_one_wins() {
    for dialect in [V04, V2] {
        check(
            dialect,
            &[
                ("PUT value=q | value=f", "set \"f\""),
                ("PUT value=q", "set \"q\""),
                ("PUT value=1&value=2", "set \"1\""),
                ("PUT | value=1&value=2", "set \"1\""),
                ("PUT ttl=100 | ttl=", "set \"\""),
                ("PUT ttl= | ttl=100", "set \"\" ttl=100"),
                ("PUT | value=a+b%26c", "set \"a b&c\""),
                ("PUT | value=%ff", "set \"\u{fffd}\""),
                ("PUT | val%75e=x", "set \"x\""),
                ("PUT | unknown=1&value=x", "set \"x\""),
                ("PUT | value=TRUE", "set \"TRUE\""),
                ("PUT | value=a=b", "set \"a=b\""),
                ("PUT", "set \"\""),
            ],
        );
        // A body is nothing to GET, and to DELETE as long as it can be read.
        check(
            dialect,
            &[
                ("GET | recursive=true", "get"),
                ("HEAD | recursive=true", "get"),
                ("DELETE | recursive=true&prevValue=x", "delete"),
                ("PUT | unknown=1", "set \"\""),
                ("PUT | unknown=1&x.y-z_=", "set \"\""),
                ("PUT | unknown=1&{}&value=x", "set \"x\""),
            ],
        );
    }
}

#[test]
fn bodies_that_are_no_text_are_stored_with_replacements() {
    let mut binary = request("PUT | ");
    binary.body = b"value=a\xffb\xe4\xbd&ttl=3";
    let Ok(KeysRequest::Write(write)) = parse(&binary, V04, INDEX) else { panic!("a set") };
    let path = KeyPath::parse("/k").expect("clean");
    let want = "set \"a\u{fffd}b\u{fffd}\u{fffd}\" ttl=3";
    assert_eq!(command_text(&write.command(path, V04)), want);
}

#[test]
fn broken_forms_and_queries_are_an_error_for_every_method() {
    for (dialect, index) in [(V04, INDEX), (V2, 0)] {
        for text in [
            "PUT | value=%zz",
            "PUT | value=1&%zz=2",
            "POST | x=%zz",
            "GET x=%zz",
            "HEAD x=%zz",
            "DELETE x=%zz",
            "PUT x=%zz | value=1",
        ] {
            let want = format!("210 invalid URL escape \"%zz\" @{index}");
            assert_eq!(said(dialect, text), want, "{text}");
        }
        let cut_off = format!("210 invalid URL escape \"%\" @{index}");
        assert_eq!(said(dialect, "PUT | value=100%"), cut_off);
    }
    assert_eq!(said(V04, "PUT | value=a;ttl=x"), "set \"a;ttl=x\"");
    let want = "210 invalid semicolon separator in query @0";
    assert_eq!(said(V2, "PUT | value=a;ttl=x"), want);
    assert_eq!(said(V2, "PUT | prevIndex=x&value=a;b"), want, "the form is looked at first");
}

#[test]
fn puts_of_0_4_are_told_apart_by_what_is_present() {
    check(
        V04,
        &[
            ("PUT | value=x", "set \"x\""),
            ("PUT | value=x&ttl=5", "set \"x\" ttl=5"),
            ("PUT | dir=true&value=x", "set \"\" dir"),
            ("PUT | dir=TrUe", "set \"\" dir"),
            ("PUT | dir=1", "set \"\""),
            ("PUT | dir=yes", "set \"\""),
            ("PUT | wait=true&value=x", "set \"x\""),
            // Creation looks at no condition.
            ("PUT prevExist=false | value=x", "create \"x\""),
            ("PUT prevExist=FALSE | value=x", "create \"x\""),
            ("PUT prevExist=false&prevIndex=abc&prevValue= | value=x", "create \"x\""),
            ("PUT prevExist=false&dir=true | ttl=9", "create \"\" ttl=9 dir"),
            ("PUT prevExist=true | value=x", "update \"x\""),
            ("PUT prevExist=True | ttl=5", "update \"\" ttl=5"),
            ("PUT prevExist=true | value=", "204 Update @7"),
            ("PUT prevExist=true | value=&ttl=", "204 Update @7"),
            ("PUT prevExist=true&dir=true", "204 Update @7"),
            // Conditions.
            ("PUT prevValue=a | value=x", "swap \"x\" if=\"a\""),
            ("PUT prevIndex=3 | value=x", "swap \"x\" at=3"),
            ("PUT prevIndex=3&prevValue=a | value=x&ttl=1", "swap \"x\" ttl=1 if=\"a\" at=3"),
            ("PUT prevExist=true&prevIndex=3 | value=x", "swap \"x\" at=3"),
            ("PUT prevExist=true&prevValue=a", "swap \"\" if=\"a\""),
            ("PUT prevExist=maybe | value=x", "swap \"x\""),
            ("PUT prevExist= | value=x", "swap \"x\""),
            ("PUT prevExist=1 | value=x", "swap \"x\""),
            ("PUT prevExist=t", "swap \"\""),
            ("PUT prevValue= | value=x", "201 CompareAndSwap @7"),
            ("PUT prevExist=true&prevValue= | value=x", "201 CompareAndSwap @7"),
            ("PUT prevIndex= | value=x", "203 CompareAndSwap @7"),
            ("PUT prevIndex=abc&prevValue=", "203 CompareAndSwap @7"),
            ("PUT prevIndex=1&prevValue=", "201 CompareAndSwap @7"),
            // An index of zero alone is no condition, and makes a missing key.
            ("PUT prevIndex=0 | value=x", "swap \"x\" at=0 or-create"),
            ("PUT prevIndex=00 | value=x", "swap \"x\" at=0 or-create"),
            ("PUT prevIndex=0&prevExist=true | value=x", "swap \"x\" at=0"),
            ("PUT prevIndex=0&prevValue=a | value=x", "swap \"x\" if=\"a\" at=0"),
            // A bad TTL comes before everything else.
            ("PUT prevIndex=abc | ttl=abc", "202 Update @7"),
            ("PUT prevExist=false | ttl=abc", "202 Update @7"),
        ],
    );
}

#[test]
fn numbers_are_decimal_digits_within_bounds() {
    for (text, want) in [
        ("0", Some(0)),
        ("12", Some(12)),
        ("0012", Some(12)),
        ("18446744073709551615", Some(u64::MAX)),
        ("18446744073709551616", None),
        ("", None),
        ("-1", None),
        ("+1", None),
        (" 1", None),
        ("1.0", None),
        ("0x1", None),
        ("\u{0661}", None),
    ] {
        assert_eq!(parse_index(text), want, "{text}");
    }
}

#[test]
fn ttls_are_seconds_within_bounds() {
    for (given, v04, v2) in [
        ("", "", ""),
        ("0", " ttl=0", " ttl=0"),
        ("5", " ttl=5", " ttl=5"),
        ("010", " ttl=10", " ttl=10"),
        ("99999999", " ttl=99999999", " ttl=99999999"),
        ("9223372036", " ttl=9223372036", " ttl=9223372036"),
        ("-1", " ttl=-1", "202"),
        ("-100", " ttl=-100", "202"),
        ("%2B5", " ttl=5", "202"),
        ("9223372037", "202", "202"),
        ("9223372036854775807", "202", "202"),
        ("9223372036854775808", "202", "202"),
        ("-9223372036854775809", "202", "202"),
        ("abc", "202", "202"),
        ("1.5", "202", "202"),
        ("%205", "202", "202"),
        ("5s", "202", "202"),
        ("0x10", "202", "202"),
        ("1e3", "202", "202"),
        ("-", "202", "202"),
        ("%2B", "202", "202"),
        ("%00", "202", "202"),
    ] {
        for (dialect, want, error) in [
            (V04, v04, ["202 Update @7", "202 Create @7"]),
            (V2, v2, ["202 invalid value for \"ttl\" @0"; 2]),
        ] {
            let name = if dialect == V04 { "plain" } else { "padded" };
            let [put, post] = match want {
                "202" => error.map(str::to_owned),
                ttl => [format!("set \"\"{ttl}"), format!("{name} \"\"{ttl}")],
            };
            assert_eq!(said(dialect, &format!("PUT | ttl={given}")), put, "{given}");
            assert_eq!(said(dialect, &format!("POST | ttl={given}")), post, "{given}");
        }
    }
}

#[test]
fn posts_of_0_4_know_three_parameters() {
    check(
        V04,
        &[
            ("POST | value=x", "plain \"x\""),
            ("POST value=q | value=f", "plain \"f\""),
            ("POST | value=x&ttl=5&dir=true", "plain \"x\" ttl=5 dir"),
            ("POST prevExist=false&prevIndex=abc&prevValue= | value=x", "plain \"x\""),
            ("POST | refresh=true&value=x&wait=true", "plain \"x\""),
            ("POST | noValueOnSuccess=true", "plain \"\" no-value"),
        ],
    );
}

#[test]
fn deletes_of_0_4_compare_when_a_condition_is_present() {
    check(
        V04,
        &[
            ("DELETE", "delete"),
            ("DELETE dir=true", "delete dir"),
            ("DELETE recursive=TRUE", "delete recursive"),
            ("DELETE dir=1&recursive=yes", "delete"),
            ("DELETE prevExist=maybe", "delete"),
            ("DELETE ttl=abc", "delete"),
            ("DELETE prevValue=a", "compare-delete if=\"a\""),
            ("DELETE prevIndex=3&recursive=true", "compare-delete at=3"),
            ("DELETE prevIndex=0", "compare-delete at=0"),
            ("DELETE prevIndex=3&prevValue=a", "compare-delete if=\"a\" at=3"),
            ("DELETE prevValue=", "201 CompareAndDelete @7"),
            ("DELETE prevIndex=", "203 CompareAndDelete @7"),
            ("DELETE prevIndex=-1&prevValue=", "203 CompareAndDelete @7"),
        ],
    );
}

#[test]
fn reads_of_0_4_look_at_quorum_before_wait() {
    check(
        V04,
        &[
            ("GET", "get"),
            ("HEAD recursive=true&sorted=true", "get recursive"),
            ("GET recursive=tRUE", "get recursive"),
            ("GET recursive=1&sorted=nonsense", "get"),
            ("GET quorum=true&recursive=true", "get recursive quorum"),
            ("GET consistent=true", "get quorum"),
            ("GET quorum=true&wait=true&waitIndex=abc", "get quorum"),
            ("GET wait=true", "watch 0"),
            ("HEAD wait=true", "watch 0"),
            ("GET wait=True&recursive=true&stream=true", "watch 0 recursive stream"),
            ("GET wait=true&waitIndex=", "watch 0"),
            ("GET wait=true&waitIndex=0", "watch 0"),
            ("GET wait=true&waitIndex=12", "watch 12"),
            ("GET wait=true&waitIndex=abc", "203 Watch From Index @7"),
            ("GET wait=true&waitIndex=-1", "203 Watch From Index @7"),
            ("GET wait=1&waitIndex=abc&stream=true", "get"),
            ("GET waitIndex=abc", "get"),
        ],
    );
}

#[test]
fn writes_of_2_x_compare_when_a_condition_has_weight() {
    check(
        V2,
        &[
            ("PUT | value=x&ttl=5", "set \"x\" ttl=5"),
            ("PUT dir=1", "set \"\" dir"),
            ("PUT dir=T | value=x", "set \"\" dir"),
            ("PUT prevIndex=0 | value=x", "set \"x\""),
            ("PUT prevExist=false&prevIndex=3 | value=x", "create \"x\""),
            ("PUT prevExist=F | value=x", "create \"x\""),
            ("PUT prevExist=true", "update \"\""),
            ("PUT prevExist=1&prevIndex=0 | ttl=5", "update \"\" ttl=5"),
            ("PUT prevExist=true&prevIndex=3", "swap \"\" at=3"),
            ("PUT prevValue=a | value=x", "swap \"x\" if=\"a\" at=0"),
            ("PUT prevIndex=3&prevValue=a", "swap \"\" if=\"a\" at=3"),
            ("POST | value=x", "padded \"x\""),
            ("POST prevExist=true&prevIndex=3 | dir=t", "padded \"\" dir"),
            ("DELETE prevIndex=0", "delete"),
            ("DELETE recursive=1&dir=t", "delete dir recursive"),
            ("DELETE prevIndex=3", "compare-delete at=3"),
            ("DELETE prevValue=a", "compare-delete if=\"a\" at=0"),
            ("GET quorum=1&wait=1", "get quorum"),
            ("GET wait=t&stream=T&recursive=True&waitIndex=4", "watch 4 recursive stream"),
            ("GET waitIndex=4", "get"),
            ("GET consistent=nonsense", "get"),
            ("HEAD recursive=true", "get recursive"),
        ],
    );
}

#[test]
fn every_method_of_2_x_has_all_its_parameters_checked() {
    for method in ["GET", "HEAD", "PUT", "POST", "DELETE"] {
        for (query, want) in [
            ("prevIndex=", "203 invalid value for \"prevIndex\" @0"),
            ("prevIndex=-1", "203 invalid value for \"prevIndex\" @0"),
            ("waitIndex=x", "203 invalid value for \"waitIndex\" @0"),
            ("waitIndex=", "203 invalid value for \"waitIndex\" @0"),
            ("recursive=", "209 invalid value for \"recursive\" @0"),
            ("sorted=yes", "209 invalid value for \"sorted\" @0"),
            ("wait=tRuE", "209 invalid value for \"wait\" @0"),
            ("dir=2", "209 invalid value for \"dir\" @0"),
            ("quorum=x", "209 invalid value for \"quorum\" @0"),
            ("stream=x", "209 invalid value for \"stream\" @0"),
            ("prevValue=", "201 \"prevValue\" cannot be empty @0"),
            ("noValueOnSuccess=x", "209 invalid value for \"noValueOnSuccess\" @0"),
            ("ttl=x", "202 invalid value for \"ttl\" @0"),
            ("prevExist=", "209 invalid value for prevExist @0"),
            ("prevExist=yes", "209 invalid value for prevExist @0"),
            ("refresh=x", "209 invalid value for refresh @0"),
            ("refresh=true&value=x&ttl=1", "211 A value was provided on a refresh @0"),
            ("refresh=true&value=", "212 No TTL value set @0"),
        ] {
            assert_eq!(said(V2, &format!("{method} {query}")), want, "{method} {query}");
        }
        if method != "GET" {
            let want = "209 \"wait\" can only be used with GET requests @0";
            assert_eq!(said(V2, &format!("{method} wait=true")), want, "{method}");
        }
    }
    for word in ["0", "f", "F", "FALSE", "false", "False"] {
        assert_eq!(said(V2, &format!("GET recursive={word}")), "get");
    }
    for word in ["1", "t", "T", "TRUE", "true", "True"] {
        assert_eq!(said(V2, &format!("GET recursive={word}")), "get recursive");
        assert_eq!(said(V2, &format!("PUT | dir={word}")), "set \"\" dir");
    }
}

/// Each check, broken together with all later ones: the first of them decides.
#[test]
fn the_checks_of_2_x_come_in_its_order() {
    let checks = [
        ("y=%zz", "210"),
        ("prevIndex=x", "203 invalid value for \"prevIndex\""),
        ("waitIndex=x", "203 invalid value for \"waitIndex\""),
        ("recursive=x", "209 invalid value for \"recursive\""),
        ("sorted=x", "209 invalid value for \"sorted\""),
        ("wait=x", "209 invalid value for \"wait\""),
        ("dir=x", "209 invalid value for \"dir\""),
        ("quorum=x", "209 invalid value for \"quorum\""),
        ("stream=x", "209 invalid value for \"stream\""),
        ("prevValue=", "201"),
        ("noValueOnSuccess=x", "209 invalid value for \"noValueOnSuccess\""),
        ("ttl=x", "202"),
        ("prevExist=x", "209 invalid value for prevExist"),
        ("refresh=x", "209 invalid value for refresh"),
    ];
    for at in 0..checks.len() {
        // Reversed, so that the order of the parameters cannot be what decides.
        let query: Vec<_> = checks[at..].iter().rev().map(|(broken, _)| *broken).collect();
        let got = said(V2, &format!("PUT {}", query.join("&")));
        assert!(got.starts_with(checks[at].1), "{got}, not {}", checks[at].1);
    }
    let got = said(V2, "PUT wait=true&prevValue=&ttl=x");
    assert!(got.starts_with("209 \"wait\" can only"), "{got}");
    let got = said(V2, "PUT refresh=true&value=x&noValueOnSuccess=x");
    assert!(got.starts_with("209 invalid value for \"noValueOnSuccess\""), "{got}");
}

#[test]
fn a_refresh_and_short_answers_work_in_both_dialects() {
    for dialect in [V04, V2] {
        check(
            dialect,
            &[
                ("PUT | refresh=true&ttl=5", "set \"\" ttl=5 refresh"),
                ("PUT prevExist=true | refresh=true&ttl=5", "update \"\" ttl=5 refresh"),
                ("PUT | refresh=false&value=x", "set \"x\""),
                ("PUT | noValueOnSuccess=true&value=x", "set \"x\" no-value"),
                ("PUT | noValueOnSuccess=false&value=x", "set \"x\""),
                ("PUT prevExist=false | noValueOnSuccess=true", "create \"\" no-value"),
                ("DELETE noValueOnSuccess=true", "delete"),
                ("GET noValueOnSuccess=true", "get"),
            ],
        );
    }
    check(
        V04,
        &[
            ("PUT | refresh=TRUE&ttl=5", "set \"\" ttl=5 refresh"),
            ("PUT | refresh=1&value=x", "set \"x\""),
            ("PUT prevIndex=3 | refresh=true&ttl=5", "swap \"\" ttl=5 at=3 refresh"),
            ("PUT | refresh=true&value=x&ttl=5", "211 A value was provided on a refresh @7"),
            ("PUT | refresh=true", "212 No TTL value set @7"),
            ("PUT | refresh=true&ttl=x", "202 Update @7"),
        ],
    );
    check(V2, &[("PUT prevIndex=3 | refresh=1&ttl=5", "swap \"\" ttl=5 at=3 refresh")]);
}

/// A field as clients write it, or nearly.
fn field() -> impl Strategy<Value = String> {
    let names = vec![
        "value",
        "ttl",
        "dir",
        "prevValue",
        "prevIndex",
        "prevExist",
        "refresh",
        "noValueOnSuccess",
        "wait",
        "waitIndex",
        "stream",
        "recursive",
        "sorted",
        "quorum",
        "x",
    ];
    let values =
        vec!["", "true", "false", "0", "1", "17", "-3", "99999999999999999999", "%zz", "x"];
    (prop::sample::select(names), prop::sample::select(values))
        .prop_map(|(name, value)| format!("{name}={value}"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes out is a command that the log can hold, or an error of the table.
    #[test]
    fn any_parameters_are_a_request_or_an_error(
        method in prop::sample::select(vec!["GET", "HEAD", "PUT", "POST", "DELETE"]),
        query in prop::collection::vec(field(), 0..5),
        form in prop::collection::vec(field(), 0..5),
        v2 in any::<bool>(),
    ) {
        let dialect = if v2 { V2 } else { V04 };
        let text = format!("{method} {} | {}", query.join("&"), form.join("&"));
        match parse(&request(&text), dialect, INDEX) {
            Ok(KeysRequest::Write(write)) => {
                prop_assert!(["PUT", "POST", "DELETE"].contains(&method));
                let path = KeyPath::parse("/k").expect("clean");
                let command = write.command(path, dialect);
                let mut bytes = Vec::new();
                command.encode(&mut bytes);
                let decoded = Command::decode(&mut &bytes[..]);
                prop_assert_eq!(decoded, Ok(command));
            }
            Ok(_) => prop_assert!(["GET", "HEAD"].contains(&method)),
            Err(error) => {
                prop_assert!((201..=212).contains(&error.code), "{}", error.code);
                prop_assert_eq!(error.status(), 400);
            }
        }
    }
}

/// What a read asks for beside the node, or the error.
fn view_of(query: &str, dialect: Dialect) -> Result<Option<Box<View>>, (u16, String, u64)> {
    let text = format!("GET {query}");
    match parse(&request(&text), dialect, INDEX) {
        Ok(KeysRequest::Get(get)) => Ok(get.view),
        Ok(other) => panic!("{query}: {other:?}"),
        Err(error) => Err((error.code, error.cause, error.index)),
    }
}

#[test]
fn a_part_of_a_listing_is_asked_for_alike_in_both_dialects() {
    use super::view::{Order, OrderBy};
    for dialect in [V04, V2] {
        let view = |query| view_of(query, dialect).expect(query);
        assert_eq!(view("recursive=true&hidden=true&sorted=true&limits=1&Count=true"), None);
        let full = "limit=10000&limit=x&after=a%2Fb&filter=W*&keysOnly=1&count=true&recursive=true";
        let got = view(full).expect("there is one");
        assert!(got.is_page && got.keys_only && got.count && got.filter.is_some());
        assert_eq!((got.limit, &*got.after), (Some(10_000), "a/b"));
        let got = view("preview=0&keysOnly=false").expect("there is one");
        assert!(!got.is_page && !got.keys_only);
        assert_eq!(got.preview, Some(0));
        let got = view("order=-modified&offset=7").expect("there is one");
        assert_eq!(got.order, Order { by: OrderBy::Modified, descends: true });
        // What is put in order is bounded.
        assert_eq!((got.limit, got.offset), (Some(10_000), 7));
        assert_eq!(view("order=name").expect("there is one").limit, None);
        let index = if dialect == V04 { INDEX } else { 0 };
        for (query, name) in [
            ("limit=0", "\"limit\""),
            ("limit=10001", "\"limit\""),
            ("limit=", "\"limit\""),
            ("limit=%2B1", "\"limit\""),
            ("limit=99999999999999999999", "\"limit\""),
            ("offset=-1", "\"offset\""),
            ("preview=x", "\"preview\""),
            ("order=", "\"order\""),
            ("order=--name", "\"order\""),
            ("keysOnly=yes", "\"keysOnly\""),
            ("count=maybe", "\"count\""),
            ("order=size&recursive=true", "\"recursive\""),
            ("offset=0&recursive=true", "\"recursive\""),
            ("order=size&after=x", "\"after\""),
        ] {
            let (code, cause, at) = view_of(query, dialect).expect_err(query);
            assert_eq!((code, at), (INVALID_FIELD, index), "{query}");
            assert!(cause.contains(name), "{query}: {cause}");
        }
        let long = format!("filter={}", "x".repeat(257));
        assert_eq!(view_of(&long, dialect).expect_err("too long").0, INVALID_FIELD);
    }
}

#[test]
fn parts_of_listings_mean_nothing_to_writes_and_watches() {
    for dialect in [V04, V2] {
        for text in [
            "PUT limit=x | value=1",
            "DELETE count=x",
            "POST order=x | limit=x",
            "GET wait=true&limit=x",
        ] {
            assert!(parse(&request(text), dialect, INDEX).is_ok(), "{text}");
        }
        let parsed = parse(&request("GET wait=true&hidden=true&progress=true"), dialect, INDEX);
        let Ok(KeysRequest::Watch(watch)) = parsed else { panic!("{parsed:?}") };
        // A long poll has nothing to say before its event.
        assert!(watch.hidden && !watch.progress);
        let text = "GET wait=true&stream=true&progress=true";
        let parsed = parse(&request(text), dialect, INDEX);
        let Ok(KeysRequest::Watch(watch)) = parsed else { panic!("{parsed:?}") };
        assert!(!watch.hidden && watch.progress);
    }
}
