//! Holds an answer against an expectation.
//!
//! JSON is compared as text, scalar by scalar, so that numbers, escapes and the order of members
//! all count. A difference has a kind: the data differ (`Fail`), the members of an object come in
//! another order (`Order`), or only white space, escapes or stream framing differ (`Format`).

use super::case::{Expect, Kind};
use super::exchange::Answer;
use super::raw_json::{self, Tree};
use super::template::{Context, Mismatch};

/// How bad a difference is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DiffKind {
    Format,
    Order,
    Fail,
}

/// One difference.
#[derive(Clone, Debug)]
pub(crate) struct Diff {
    pub(crate) kind: DiffKind,
    pub(crate) place: String,
    pub(crate) want: String,
    pub(crate) got: String,
}

impl Diff {
    pub(crate) fn new(
        kind: DiffKind,
        place: &str,
        want: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Self { kind, place: place.to_owned(), want: clip(want.into()), got: clip(got.into()) }
    }

    pub(crate) fn fail(place: &str, want: impl Into<String>, got: impl Into<String>) -> Self {
        Self::new(DiffKind::Fail, place, want, got)
    }
}

/// Whether the data differ.
pub(crate) fn has_failed(diffs: &[Diff]) -> bool {
    diffs.iter().any(|d| d.kind == DiffKind::Fail)
}

/// Compares with the expectation and, where that fails, with each other answer that is allowed.
pub(crate) fn compare(
    expect: &Expect,
    answer: &Answer,
    context: &mut Context,
    is_sorted: bool,
) -> Vec<Diff> {
    let before = context.clone();
    let diffs = compare_one(expect, answer, context, is_sorted);
    if !has_failed(&diffs) {
        return diffs;
    }
    for other in &expect.alt {
        let mut fresh = before.clone();
        let other = compare_one(other, answer, &mut fresh, is_sorted);
        if !has_failed(&other) {
            *context = fresh;
            return other;
        }
    }
    diffs
}

fn compare_one(
    expect: &Expect,
    answer: &Answer,
    context: &mut Context,
    is_sorted: bool,
) -> Vec<Diff> {
    let mut out = Vec::new();
    if let Some(error) = &answer.error
        && !answer.is_closing
    {
        out.push(Diff::fail("transport", "an answer", error.as_str()));
        return out;
    }
    let status = answer.head.as_ref().map(|h| u64::from(h.status));
    if status != expect.status {
        out.push(Diff::fail("status", format!("{:?}", expect.status), format!("{status:?}")));
    }
    for (name, want) in &expect.headers {
        let got = answer.head.as_ref().and_then(|head| head.header(name));
        let place = format!("header {name}");
        match (want, got) {
            (None, None) => {}
            (None, Some(got)) => out.push(Diff::fail(&place, "(absent)", got)),
            (Some(want), None) => out.push(Diff::fail(&place, want.as_str(), "(absent)")),
            (Some(want), Some(got)) => {
                if context.fits(want, &got).is_err() {
                    out.push(Diff::fail(&place, context.fill_soft(want), got));
                }
            }
        }
    }
    compare_body(expect, answer, context, is_sorted, &mut out);
    out
}

fn compare_body(
    expect: &Expect,
    answer: &Answer,
    context: &mut Context,
    is_sorted: bool,
    out: &mut Vec<Diff>,
) {
    if expect.kind == Kind::Ignore {
        return;
    }
    let Ok(text) = std::str::from_utf8(&answer.body) else {
        out.push(Diff::fail("body", "UTF-8 text", String::from_utf8_lossy(&answer.body)));
        return;
    };
    let body = expect.body.as_deref().unwrap_or("");
    match expect.kind {
        Kind::Ignore => {}
        Kind::Empty => {
            if !text.is_empty() {
                out.push(Diff::fail("body", "(empty)", text));
            }
        }
        Kind::Text => compare_text(body, text, context, out),
        Kind::Error => {
            let json: Option<serde_json::Value> = serde_json::from_str(text).ok();
            let got = json.and_then(|json| json.get("errorCode")?.as_u64());
            if got.is_none() || got != expect.code {
                out.push(Diff::fail("errorCode", format!("{:?}", expect.code), text));
            }
        }
        Kind::Stream => compare_stream(expect, answer, text, context, out),
        Kind::Json => {
            let rules = Rules { unordered: expect.unordered, is_sorted };
            compare_json(body, text, context, rules, out);
        }
    }
}

fn compare_text(want: &str, got: &str, context: &mut Context, out: &mut Vec<Diff>) {
    if context.fits(want, got).is_ok() {
        return;
    }
    let trimmed = context.fits(want.trim_end_matches('\n'), got.trim_end_matches('\n'));
    let kind = if trimmed.is_ok() { DiffKind::Format } else { DiffKind::Fail };
    out.push(Diff::new(kind, "body", want, got));
}

fn compare_stream(
    expect: &Expect,
    answer: &Answer,
    text: &str,
    context: &mut Context,
    out: &mut Vec<Diff>,
) {
    let count = format!("{} events", expect.events.len());
    let got = match raw_json::parse_all(text) {
        Ok(got) => got,
        Err(e) => return out.push(Diff::fail("stream", count, format!("{e} in {text}"))),
    };
    if got.len() != expect.events.len() {
        let got = format!("{} events: {text}", got.len());
        return out.push(Diff::fail("stream", count, got));
    }
    for (at, (want, got)) in expect.events.iter().zip(&got).enumerate() {
        let place = format!("event{at}");
        match raw_json::parse(want) {
            Ok(want) => compare_tree(&want.tree, got, context, &place, Rules::default(), out),
            Err(e) => out.push(Diff::fail(&place, "a readable expectation", e)),
        }
    }
    if let Some(chunks) = expect.chunks
        && chunks != answer.chunks
    {
        let (want, got) = (format!("{chunks} chunks"), format!("{} chunks", answer.chunks));
        out.push(Diff::new(DiffKind::Format, "stream framing", want, got));
    }
}

fn compare_json(want: &str, got: &str, context: &mut Context, rules: Rules, out: &mut Vec<Diff>) {
    let want = match raw_json::parse(want) {
        Ok(document) => document,
        Err(e) => return out.push(Diff::fail("body", "a readable expectation", e)),
    };
    let actual = match raw_json::parse(got) {
        Ok(document) => document,
        Err(e) => {
            let got = format!("not JSON ({e}): {got}");
            return out.push(Diff::fail("body", want.tree.dump(), got));
        }
    };
    compare_tree(&want.tree, &actual.tree, context, "$", rules, out);
    let layout = |document: &raw_json::Document<'_>| {
        let spaced = if document.is_spaced { "spaced" } else { "compact" };
        format!("{spaced} {:?}", document.tail)
    };
    if !actual.tail.trim().is_empty() {
        out.push(Diff::fail("after the JSON body", want.tail, actual.tail));
    } else if layout(&actual) != layout(&want) {
        out.push(Diff::new(DiffKind::Format, "white space", layout(&want), layout(&actual)));
    }
}

/// How lists are compared.
#[derive(Clone, Copy, Debug, Default)]
struct Rules {
    /// Elements may come in any order.
    unordered: bool,
    /// Expected elements are sorted after filling in, since in-order keys have the index in their
    /// name and `10` sorts before `9`.
    is_sorted: bool,
}

fn compare_tree(
    want: &Tree,
    got: &Tree,
    context: &mut Context,
    place: &str,
    rules: Rules,
    out: &mut Vec<Diff>,
) {
    match (want, got) {
        (Tree::Scalar(want), Tree::Scalar(got)) => {
            compare_scalar(want, got, context, place, out);
        }
        (Tree::Array(want), Tree::Array(got)) => {
            compare_array(want, got, context, place, rules, out);
        }
        (Tree::Object(want), Tree::Object(got)) => {
            compare_object(want, got, context, place, rules, out);
        }
        _ => out.push(Diff::fail(place, want.dump(), got.dump())),
    }
}

fn compare_scalar(want: &str, got: &str, context: &mut Context, place: &str, out: &mut Vec<Diff>) {
    let Err(why) = context.fits(want, got) else {
        return;
    };
    let is_same_data = if want.contains("${") {
        let plain = unquote(got).map(|value| value.to_string());
        plain.is_some_and(|plain| plain != got && context.fits(want, &plain).is_ok())
    } else {
        let want = unquote(&want.replace("PREFIX", &context.prefix));
        want.is_some() && want == unquote(got)
    };
    let kind = if is_same_data { DiffKind::Format } else { DiffKind::Fail };
    let want = match why {
        Mismatch::Because(why) if !is_same_data => format!("{want}  ({why})"),
        _ => want.to_owned(),
    };
    out.push(Diff::new(kind, place, want, got));
}

fn compare_array(
    want: &[Tree],
    got: &[Tree],
    context: &mut Context,
    place: &str,
    rules: Rules,
    out: &mut Vec<Diff>,
) {
    let mut wanted: Vec<&Tree> = want.iter().collect();
    let mut gotten: Vec<&Tree> = got.iter().collect();
    if rules.unordered || rules.is_sorted {
        wanted.sort_by_key(|node| context.fill_soft(&node_key(node)));
    }
    if rules.unordered {
        gotten.sort_by_key(|node| node_key(node));
    }
    if wanted.len() != gotten.len() {
        let text = |list: &[Tree]| format!("{} elements: {}", list.len(), dump_all(list));
        return out.push(Diff::fail(place, text(want), text(got)));
    }
    for (at, (want, got)) in wanted.iter().zip(&gotten).enumerate() {
        compare_tree(want, got, context, &format!("{place}[{at}]"), rules, out);
    }
}

fn compare_object(
    want: &[(String, Tree)],
    got: &[(String, Tree)],
    context: &mut Context,
    place: &str,
    rules: Rules,
    out: &mut Vec<Diff>,
) {
    let find = |members: &[(String, Tree)], name: &str| {
        members.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
    };
    let mut optional = Vec::new();
    for (at, (name, _)) in got.iter().enumerate() {
        if got[..at].iter().any(|(n, _)| n == name) {
            out.push(Diff::fail(place, "no repeated members", name.as_str()));
        }
    }
    for (name, value) in want {
        let below = format!("{place}.{}", name.trim_matches('"'));
        match find(got, name) {
            Some(found) => compare_tree(value, &found, context, &below, rules, out),
            None if may_be_absent(name, value) => optional.push(name.as_str()),
            None => out.push(Diff::fail(&below, value.dump(), "(absent)")),
        }
    }
    let has_expiration = find(want, "\"expiration\"").is_some();
    for (name, value) in got {
        if find(want, name).is_none() && !(has_expiration && is_last_second(name, value)) {
            let below = format!("{place}.{}", name.trim_matches('"'));
            out.push(Diff::fail(&below, "(absent)", value.dump()));
        }
    }
    let names = |from: &[(String, Tree)], other: &[(String, Tree)]| -> Vec<String> {
        let common = from.iter().filter(|(name, _)| find(other, name).is_some());
        common.map(|(name, _)| name.clone()).collect()
    };
    let (wanted, gotten) = (names(want, got), names(got, want));
    if wanted != gotten {
        out.push(Diff::new(DiffKind::Order, place, wanted.join(" "), gotten.join(" ")));
    }
}

/// A `ttl` is left out where it is 0, so one that is near 0 may be absent.
fn may_be_absent(name: &str, value: &Tree) -> bool {
    let Tree::Scalar(text) = value else {
        return false;
    };
    let ttl = text.strip_prefix("${ttl:").and_then(|rest| rest.strip_suffix('}'));
    let ttl: Option<i64> = ttl.and_then(|digits| digits.parse().ok());
    name == "\"ttl\"" && ttl.is_some_and(|ttl| ttl.abs() <= 1)
}

fn is_last_second(name: &str, value: &Tree) -> bool {
    name == "\"ttl\"" && matches!(value, Tree::Scalar(text) if text == "1" || text == "-1")
}

fn node_key(node: &Tree) -> String {
    let Tree::Object(members) = node else {
        return String::new();
    };
    for (name, value) in members {
        if let (r#""key""#, Tree::Scalar(text)) = (name.as_str(), value) {
            let plain = unquote(text);
            let plain = plain.as_ref().and_then(serde_json::Value::as_str);
            return plain.unwrap_or(text).to_owned();
        }
    }
    String::new()
}

fn unquote(text: &str) -> Option<serde_json::Value> {
    serde_json::from_str(text).ok()
}

fn dump_all(list: &[Tree]) -> String {
    list.iter().map(Tree::dump).collect::<Vec<_>>().join(",")
}

fn clip(text: String) -> String {
    const CHARS_MAX: usize = 400;
    if text.chars().count() <= CHARS_MAX {
        return text;
    }
    let head: String = text.chars().take(CHARS_MAX).collect();
    format!("{head}... ({} bytes)", text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diffs(want: &str, got: &str) -> Vec<DiffKind> {
        let mut context = Context::new("cf-1".to_owned(), String::new(), String::new());
        let mut out = Vec::new();
        compare_json(want, got, &mut context, Rules::default(), &mut out);
        out.iter().map(|d| d.kind).collect()
    }

    #[test]
    fn equal_texts_have_no_difference() {
        assert!(diffs("{\"a\":1,\"b\":\"PREFIX\"}", "{\"a\":1,\"b\":\"cf-1\"}").is_empty());
    }

    #[test]
    fn every_kind_of_difference_is_seen() {
        assert_eq!(diffs("{\"a\":1}", "{\"a\":2}"), [DiffKind::Fail]);
        assert_eq!(diffs("{\"a\":1}", "{}"), [DiffKind::Fail]);
        assert_eq!(diffs("{}", "{\"a\":1}"), [DiffKind::Fail]);
        assert_eq!(diffs("{\"a\":1}", "{\"a\":1.0}"), [DiffKind::Fail]);
        assert_eq!(diffs("{\"a\":1}", "{\"a\":\"1\"}"), [DiffKind::Fail]);
        assert_eq!(diffs("[1,2]", "[2,1]"), [DiffKind::Fail, DiffKind::Fail]);
        assert_eq!(diffs("{}", "{}{}"), [DiffKind::Fail]);
        assert_eq!(diffs("{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}"), [DiffKind::Order]);
        assert_eq!(diffs("{\"a\":1}", "{\"a\": 1}"), [DiffKind::Format]);
        assert_eq!(diffs("{\"a\":1}", "{\"a\":1}\n"), [DiffKind::Format]);
        assert_eq!(diffs("[\"\\u003c\"]", "[\"<\"]"), [DiffKind::Format]);
        assert!(diffs("{\"a\":1}", "404 page not found").contains(&DiffKind::Fail));
    }

    #[test]
    fn a_ttl_of_the_last_second_may_be_absent() {
        assert!(diffs("{\"ttl\":${ttl:1}}", "{}").is_empty());
        assert_eq!(diffs("{\"ttl\":${ttl:5}}", "{}"), [DiffKind::Fail]);
    }
}
