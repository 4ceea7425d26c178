//! docs/reference/errors.md has each code, and each sentence that a client can be sent.

use super::{message, status};
use replica::EngineError;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const CRATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Files with sentences for clients, beside [`EngineError`] and the table of codes.
const FILES: [&str; 35] = [
    "server/src/api/admin.rs",
    "server/src/api/admit.rs",
    "server/src/api/answers.rs",
    "server/src/api/auth/body.rs",
    "server/src/api/auth/mod.rs",
    "server/src/api/backup/mod.rs",
    "server/src/api/call.rs",
    "server/src/api/form.rs",
    "server/src/api/join.rs",
    "server/src/api/keys/mod.rs",
    "server/src/api/keys/request.rs",
    "server/src/api/keys/request/v1.rs",
    "server/src/api/keys/request/view.rs",
    "server/src/api/keys/watch.rs",
    "server/src/api/leader.rs",
    "server/src/api/lock/mod.rs",
    "server/src/api/lock/queueing.rs",
    "server/src/api/lock/request.rs",
    "server/src/api/members/body.rs",
    "server/src/api/members/mod.rs",
    "server/src/api/stats.rs",
    "server/src/http/browser.rs",
    "server/src/http/reader.rs",
    "server/src/http/request.rs",
    "server/src/member/deliver.rs",
    "server/src/net/accept.rs",
    "server/src/net/slow_clients.rs",
    "server/src/standby/mod.rs",
    "server/src/standby/relay.rs",
    "server/src/standby/route.rs",
    "store/src/auth/change.rs",
    "store/src/auth/judge.rs",
    "store/src/auth/rights.rs",
    "store/src/path.rs",
    "store/src/store.rs",
];

/// What stands in these files and is no error.
const OTHERS: [&str; 11] = [
    "Content-Disposition: attachment; filename=",
    "Allow: GET",
    "as an administrator asked",
    "as of index",
    "clients are sent there",
    "its thread is gone; requests may wait meanwhile",
    "no answer",
    "not ready",
    "ok: relaying",
    "ok: standing by",
    "passes clients on, as a proxy",
];

/// Codes whose senders say another status than the table, since a machine reads them.
const OTHER_STATUS: [(u16, u16); 2] = [(103, 403), (109, 409)];

fn page() -> String {
    fs::read_to_string(format!("{CRATES}/../docs/reference/errors.md")).expect("the page is there")
}

fn with_single_blanks(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn each_code_is_in_the_page_with_its_status_and_message() {
    let page = page();
    let (_, rows) = page.split_once("\n## Codes\n").expect("the chapter is there");
    let (rows, _) = rows.split_once("\n## ").expect("another one follows");
    let mut found = BTreeMap::new();
    for row in rows.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        if let [_, code, status, message, ..] = cells[..]
            && let (Ok(code), Ok(status)) = (code.parse::<u16>(), status.parse::<u16>())
        {
            found.insert(code, (status, message.trim_matches('`').to_owned()));
        }
    }
    let is_known = |code: &u16| *code == 300 || message(*code) != message(300);
    let want: BTreeMap<u16, (u16, String)> = (1..1000)
        .filter(is_known)
        .map(|code| {
            let other = OTHER_STATUS.iter().find(|(one, _)| *one == code);
            let status = other.map_or_else(|| status(code), |(_, status)| *status);
            (code, (status, message(code).to_owned()))
        })
        .collect();
    assert!(want.len() > 30, "{want:?}");
    assert_eq!(found, want);
}

#[test]
fn each_failure_of_the_engine_is_in_the_page() {
    let page = with_single_blanks(&page());
    for failure in EngineError::ALL {
        assert!(page.contains(&failure.to_string()), "{failure}");
    }
}

#[test]
fn each_sentence_for_clients_is_in_the_page() {
    let page = with_single_blanks(&page());
    let mut count = 0;
    let mut missing = Vec::new();
    for file in FILES {
        let source = fs::read_to_string(Path::new(CRATES).join(file)).expect(file);
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        for sentence in texts(source).iter().flat_map(|text| pieces(text)) {
            count += 1;
            if !page.contains(&sentence) && !OTHERS.contains(&sentence.as_str()) {
                missing.push(format!("{file}: {sentence}"));
            }
        }
    }
    assert!(count > 100, "{count}");
    assert!(missing.is_empty(), "docs/reference/errors.md lacks\n{}", missing.join("\n"));
}

/// The strings of a source that are not reasons for a panic.
fn texts(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source;
    let mut before = String::new();
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\''") || rest.starts_with("b'\"'")
        {
            let inner = rest.split_once('\'').and_then(|(_, rest)| rest.split_once('\''));
            rest = inner.map_or("", |(_, behind)| behind);
        } else if first == '"' {
            let (text, behind) = string(&rest[1..]);
            let is_panic = ["expect(", "unreachable!("].iter().any(|end| before.ends_with(end));
            if !is_panic {
                found.push(text);
            }
            rest = behind;
            before.clear();
        } else {
            if !first.is_whitespace() {
                before.push(first);
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

/// A string up to its closing quote, without escapes, and what is behind it.
fn string(text: &str) -> (String, &str) {
    let mut out = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (out, &text[at + 1..]),
            '\\' => match letters.next() {
                // The string goes on in the next line, behind its indent.
                Some((_, '\n')) => {
                    let indent = letters.as_str().len() - letters.as_str().trim_start().len();
                    for _ in 0..indent {
                        letters.next();
                    }
                }
                Some((_, 'n' | 'r' | 't')) => out.push(' '),
                Some((_, other)) => out.push(other),
                None => {}
            },
            letter => out.push(letter),
        }
    }
    (out, "")
}

/// The parts of a text of two words or more, between what is filled in.
fn pieces(text: &str) -> Vec<String> {
    const OPEN: &str = "\u{1}";
    const CLOSE: &str = "\u{2}";
    let text = text.replace("{{", OPEN).replace("}}", CLOSE);
    let mut parts = Vec::new();
    let mut rest = text.as_str();
    while let Some((before, behind)) = rest.split_once('{') {
        parts.push(before);
        rest = behind.split_once('}').map_or("", |(_, rest)| rest);
    }
    parts.push(rest);
    let is_edge = |letter: char| letter.is_whitespace() || ":;,.()[]\"`".contains(letter);
    let plain = |part: &str| {
        let part = part.replace(OPEN, "{").replace(CLOSE, "}");
        with_single_blanks(&part).trim_matches(is_edge).to_owned()
    };
    let parts = parts.into_iter().map(plain);
    parts.filter(|part| part.contains(' ')).collect()
}

#[test]
fn sentences_are_found_in_sources() {
    let source = "// \"a comment here\"\nf(\"one {x} two three: {}\", '\"');\n\
                  g.expect(\"not this one\");\nlet a = \"four \\\n    five \\\"six\\\" {{7 8}}\";";
    let found: Vec<String> = texts(source).iter().flat_map(|text| pieces(text)).collect();
    assert_eq!(found, ["two three", "four five \"six\" {7 8}"]);
}
