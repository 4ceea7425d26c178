//! Bodies as text that two runs can be compared by.

/// Replaces every moment of expiration by `T`, since it is another one in each run.
pub(crate) fn without_expirations(body: &str) -> String {
    const MARK: &str = "\"expiration\":\"";
    let mut out = String::new();
    let mut rest = body;
    while let Some(at) = rest.find(MARK) {
        let (before, after) = rest.split_at(at + MARK.len());
        out.push_str(before);
        out.push_str("T\"");
        rest = after.split_once('"').map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    out
}

#[test]
fn only_expirations_are_replaced() {
    let body = r#"{"key":"/a","expiration":"2026-01-01T00:00:00Z","ttl":5}"#;
    assert_eq!(without_expirations(body), r#"{"key":"/a","expiration":"T","ttl":5}"#);
    assert_eq!(without_expirations("plain"), "plain");
}

/// Fails where two long texts differ, and shows only where they do.
pub(crate) fn assert_same(what: &str, before: &str, after: &str) {
    if before == after {
        return;
    }
    let at = before.bytes().zip(after.bytes()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| {
        let end = text.len().min(at + 120);
        String::from_utf8_lossy(&text.as_bytes()[at.saturating_sub(120)..end]).into_owned()
    };
    panic!("{what}: differs at byte {at}\n  {}\n  {}", around(before), around(after));
}
