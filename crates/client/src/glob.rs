//! Patterns with `*`, `?` and `[a-z]`.

/// Whether a text is what a pattern says. `*` stands for any number of characters, slashes too.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut in_text) = (0, 0);
    // Where the latest star stands, and how much of the text it stands for: only that one has to be
    // tried again, so that no pattern takes longer than its length times the text's.
    let mut star: Option<(usize, usize)> = None;
    while let Some(letter) = text.get(in_text) {
        if pattern.get(at) == Some(&'*') {
            star = Some((at, in_text));
            at += 1;
            continue;
        }
        if let Some(len) = pattern.get(at..).and_then(|rest| one(rest, *letter)) {
            at += len;
            in_text += 1;
            continue;
        }
        let Some((place, taken)) = star else { return false };
        star = Some((place, taken + 1));
        (at, in_text) = (place + 1, taken + 1);
    }
    pattern.iter().skip(at).all(|c| *c == '*')
}

/// The length of what stands for one character at the pattern's begin, if it stands for this one.
fn one(pattern: &[char], letter: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => class(pattern, letter),
        known => (*known == letter).then_some(1),
    }
}

fn class(pattern: &[char], letter: char) -> Option<usize> {
    // A bracket without an end stands for itself.
    let Some(end) = pattern.iter().skip(2).position(|c| *c == ']').map(|at| at + 2) else {
        return (letter == '[').then_some(1);
    };
    let inner = pattern.get(1..end).unwrap_or_default();
    let (is_not, mut inner) = match inner.split_first() {
        Some(('!' | '^', rest)) if !rest.is_empty() => (true, rest),
        _ => (false, inner),
    };
    let mut is_in = false;
    while let Some((first, rest)) = inner.split_first() {
        inner = match rest {
            ['-', last, rest @ ..] => {
                is_in |= (*first..=*last).contains(&letter);
                rest
            }
            rest => {
                is_in |= *first == letter;
                rest
            }
        };
    }
    (is_in != is_not).then_some(end + 1)
}

#[test]
fn patterns_are_those_of_a_shell() {
    for (pattern, text) in [
        ("*", ""),
        ("a*c", "abbc"),
        ("*.conf", "x.conf.conf"),
        ("?", "\u{e4}"),
        ("[a-c]x", "bx"),
        ("[!a]x", "bx"),
        ("[]x", "[]x"),
        ("/app/*", "/app/a/b"),
        ("a**b", "ab"),
        ("[a-]", "-"),
    ] {
        assert!(matches(pattern, text), "{pattern} {text}");
    }
    for (pattern, text) in
        [("", "a"), ("a", ""), ("?", ""), ("[a-c]", "d"), ("[!a]", "a"), ("a*b", "a")]
    {
        assert!(!matches(pattern, text), "{pattern} {text}");
    }
    let (stars, many) = (format!("{}b", "a*".repeat(50)), "a".repeat(2000));
    assert!(!matches(&stars, &many));
}
