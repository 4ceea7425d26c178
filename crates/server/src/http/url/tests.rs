//! Escapes, forms and paths, row by row of the specification.

use super::*;
use proptest::prelude::*;

#[test]
fn escapes_decode_once_and_bad_ones_are_shown() {
    for (text, plus, want) in [
        ("", true, ""),
        ("a%20b", false, "a b"),
        ("a+b", false, "a+b"),
        ("a+b", true, "a b"),
        ("a%2Bb", true, "a+b"),
        ("%2525", true, "%25"),
        ("a%2fb%2Fc", false, "a/b/c"),
        ("%E4%BD%A0", false, "\u{4f60}"),
        ("a%00b%0ac", false, "a\0b\nc"),
        ("a%3fb", false, "a?b"),
    ] {
        assert_eq!(decode(text, plus).as_deref(), Ok(want), "{text}");
    }
    for (text, shown) in [
        ("%zz", "%zz"),
        ("a%", "%"),
        ("a%1", "%1"),
        ("%1x%20", "%1x"),
        ("%+1", "%+1"),
        ("%%20", "%%2"),
        ("%\u{e9}", "%\u{e9}"),
    ] {
        assert_eq!(decode(text, true), Err(BadEscape(shown.to_owned())), "{text}");
    }
}

#[test]
fn each_byte_that_is_no_text_becomes_one_replacement() {
    for (bytes, want) in [
        (&b"%ff%fe"[..], "\u{fffd}\u{fffd}"),
        (b"\xff", "\u{fffd}"),
        // A character that was cut off: two bytes, two replacements.
        (b"a%E4%BDb", "a\u{fffd}\u{fffd}b"),
        (b"a\xe4\xbdb", "a\u{fffd}\u{fffd}b"),
        // A surrogate is no character.
        (b"%ED%A0%80", "\u{fffd}\u{fffd}\u{fffd}"),
        (b"%EF%BF%BD", "\u{fffd}"),
    ] {
        assert_eq!(decode_bytes(bytes, false).as_deref(), Ok(want), "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_text_without_escapes_is_not_copied() {
    assert!(matches!(decode("/v2/keys/a", false), Ok(Cow::Borrowed("/v2/keys/a"))));
    assert!(matches!(decode_bytes(b"a+b", false), Ok(Cow::Borrowed("a+b"))));
}

/// Every name of a form with its value, in order.
fn fields(form: &[u8], refuse_semicolons: bool) -> Result<Vec<(String, String)>, BadForm> {
    let mut fields = Vec::new();
    each_field(form, refuse_semicolons, |name, value| {
        fields.push((name.to_owned(), value.into_owned()));
    })?;
    Ok(fields)
}

#[test]
fn forms_are_split_at_ampersands_and_first_equals_signs() {
    for (form, want) in [
        ("", &[][..]),
        ("&&", &[]),
        ("a", &[("a", "")]),
        ("a=", &[("a", "")]),
        ("=b", &[("", "b")]),
        ("=", &[("", "")]),
        ("a=b=c", &[("a", "b=c")]),
        ("a=1&a=2&b=", &[("a", "1"), ("a", "2"), ("b", "")]),
        ("pre%76Value=x+y%26z", &[("prevValue", "x y&z")]),
        ("a;b=c;d", &[("a;b", "c;d")]),
    ] {
        let want: Vec<_> =
            want.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(fields(form.as_bytes(), false), Ok(want), "{form}");
    }
    assert_eq!(fields(b"a=\xff", false), Ok(vec![("a".to_owned(), "\u{fffd}".to_owned())]));
}

#[test]
fn broken_forms_are_refused() {
    let bad = |text: &str| Err(BadForm::Escape(BadEscape(text.to_owned())));
    assert_eq!(fields(b"a=1&value=%zz", false), bad("%zz"));
    assert_eq!(fields(b"%q=1", false), bad("%q"));
    assert_eq!(fields(b"a=1;b=2", true), Err(BadForm::Semicolon));
    assert_eq!(fields(b"a=1%3Bb", true).map(|fields| fields.len()), Ok(1));
}

#[test]
fn paths_are_cleaned_as_the_specification_says() {
    for (path, want) in [
        ("/v2/keys//a", "/v2/keys/a"),
        ("/v2/keys/a/./b", "/v2/keys/a/b"),
        ("/v2/keys/../b", "/v2/b"),
        ("/v2/keys/.", "/v2/keys"),
        ("/v2/keys/..", "/v2"),
        ("/v2/keys/a/", "/v2/keys/a/"),
        ("/v2/keys/a//", "/v2/keys/a/"),
        ("/v2/keys/a/b/../", "/v2/keys/a/"),
        ("/../../x", "/x"),
        ("/..", "/"),
        ("//", "/"),
        ("///evil.example/", "/evil.example/"),
        ("x", "/x"),
        ("", "/"),
    ] {
        let got = clean(path);
        assert_eq!(got.as_deref().unwrap_or(path), want, "{path}");
        assert_eq!(got.is_none(), path == want, "{path}");
    }
    for path in ["/", "/v2/keys/", "/v2/keys/a/", "/v2/keys/...", "/v2/keys/a.b", "/..a/.b"] {
        assert_eq!(clean(path), None, "{path}");
    }
}

#[test]
fn locations_hold_nothing_that_ends_a_header() {
    let path = "/a b?c\u{4f60};\r\nX-Evil: 1\0%\"<>#[]";
    let want = "/a%20b%3Fc%E4%BD%A0;%0D%0AX-Evil:%201%00%25%22%3C%3E%23%5B%5D";
    assert_eq!(encode_path(path), want);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_encoded_path_decodes_to_itself(path in any::<String>()) {
        let encoded = encode_path(&path);
        prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic()));
        let decoded = decode(&encoded, false);
        prop_assert_eq!(decoded.as_deref(), Ok(&*path));
    }

    #[test]
    fn a_clean_path_is_clean(path in "(/|\\.|\\.\\.|a|[^/]{1,3}){0,12}") {
        let once = clean(&path).unwrap_or_else(|| path.clone());
        prop_assert_eq!(clean(&once), None);
        prop_assert!(once.starts_with('/') && !once.contains("//"));
        // Only a path that is clean already is left alone.
        prop_assert_eq!(clean(&path).is_none(), once == path);
    }

    #[test]
    fn forms_round_trip(pairs in prop::collection::vec((any::<String>(), any::<String>()), 0..6)) {
        let escape = |text: &str| {
            text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>()
        };
        let pair = |(name, value): &(String, String)| format!("{}={}", escape(name), escape(value));
        let form: Vec<_> = pairs.iter().map(pair).collect();
        prop_assert_eq!(fields(form.join("&").as_bytes(), true), Ok(pairs));
    }

    #[test]
    fn any_bytes_are_a_form_or_are_refused(
        form in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(b"%&=+;1a".to_vec())], 0..60),
        strict in any::<bool>(),
    ) {
        if let Ok(fields) = fields(&form, strict) {
            prop_assert!(fields.len() <= form.len());
        }
    }
}
