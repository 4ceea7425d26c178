//! Rust source as a list of words and signs: no comments, no contents of literals, and, where that
//! is asked for, no code that only tests have.

/// A word or a sign, with the line that it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

impl Token<'_> {
    /// The line where it ends; literals may have several.
    pub(crate) fn last_line(&self) -> usize {
        self.line + self.text.matches('\n').count()
    }
}

/// Takes a source apart. `::` is one sign, everything else that is no word is a sign for itself; a
/// literal is one token, with its quotation marks.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        let (length, is_kept) = next(rest);
        let text = rest.get(..length).unwrap_or(rest);
        if is_kept {
            found.push(Token { text, line });
        }
        line += text.matches('\n').count();
        at += text.len();
    }
    found
}

/// How long what comes next is, and whether it is more than space or a comment.
fn next(rest: &str) -> (usize, bool) {
    let bytes = rest.as_bytes();
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii();
    let length = |of: &dyn Fn(&u8) -> bool| bytes.iter().take_while(|byte| of(byte)).count();
    match bytes {
        [first, ..] if first.is_ascii_whitespace() => (length(&u8::is_ascii_whitespace), false),
        [b'/', b'/', ..] => (length(&|byte| *byte != b'\n'), false),
        [b'/', b'*', ..] => (comment(bytes), false),
        [b':', b':', ..] => (2, true),
        [b'"', ..] => (string(bytes, 1), true),
        [b'b' | b'c', b'"', ..] => (string(bytes, 2), true),
        [b'b', b'\'', ..] => (character(bytes, 2).unwrap_or(2), true),
        [b'\'', ..] => (character(bytes, 1).unwrap_or(1), true),
        [b'r' | b'b' | b'c', ..] if raw_string(rest).is_some() => {
            (raw_string(rest).unwrap_or(1), true)
        }
        [first, ..] if is_word(first) => (length(&is_word), true),
        _ => (1, true),
    }
}

/// Comments of this kind stand in each other.
fn comment(bytes: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(pair) = bytes.get(at..at + 2) {
        match pair {
            b"/*" => depth += 1,
            b"*/" if depth == 1 => return at + 2,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
    }
    bytes.len()
}

fn string(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// A character, and not the mark of a lifetime.
fn character(bytes: &[u8], start: usize) -> Option<usize> {
    if bytes.get(start) == Some(&b'\\') {
        let closed = bytes.iter().skip(start + 2).position(|byte| *byte == b'\'')?;
        return Some(start + 2 + closed + 1);
    }
    let text = bytes.get(start..start + 5).or(bytes.get(start..))?;
    // A character has four bytes at most.
    let closed = text.iter().position(|byte| *byte == b'\'')?;
    let is_one = std::str::from_utf8(text.get(..closed)?).is_ok_and(|s| s.chars().count() == 1);
    is_one.then_some(start + closed + 1)
}

fn raw_string(rest: &str) -> Option<usize> {
    let behind = ["br", "cr", "r"].iter().find_map(|prefix| rest.strip_prefix(prefix))?;
    let hashes = behind.bytes().take_while(|byte| *byte == b'#').count();
    let inside = behind.get(hashes..)?.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let closed = inside.find(&end).map_or(inside.len(), |at| at + end.len());
    Some(rest.len() - inside.len() + closed)
}

/// Leaves out what stands behind `#[cfg(test)]`, the attribute with it.
pub(crate) fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match attribute(tokens, at) {
            Some(end) if is_test_only(&tokens[at..end]) => at = item_end(tokens, end),
            Some(end) => {
                kept.extend_from_slice(&tokens[at..end]);
                at = end;
            }
            None => {
                kept.push(token.clone());
                at += 1;
            }
        }
    }
    kept
}

/// Where the attribute that begins here ends.
fn attribute(tokens: &[Token<'_>], at: usize) -> Option<usize> {
    let text = |at: usize| tokens.get(at).map(|token| token.text);
    (text(at) == Some("#") && text(at + 1) == Some("[")).then(|| closing(tokens, at + 1))
}

fn is_test_only(attribute: &[Token<'_>]) -> bool {
    let has = |word: &str| attribute.iter().any(|token| token.text == word);
    let is_cfg = attribute.get(2).is_some_and(|token| token.text == "cfg");
    is_cfg && has("test") && !has("not")
}

/// Behind the bracket that closes the one at `at`.
pub(crate) fn closing(tokens: &[Token<'_>], at: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(at) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

/// Behind the item, field or statement that begins here, further attributes included.
fn item_end(tokens: &[Token<'_>], start: usize) -> usize {
    let mut at = start;
    while let Some(end) = attribute(tokens, at) {
        at = end;
    }
    let word = |token: &&Token<'_>| !matches!(token.text, "pub" | "(" | "crate" | "super" | ")");
    let first = tokens.iter().skip(at).find(word).map_or("", |token| token.text);
    // A body ends these; a comma may stand before it.
    let has_body = matches!(first, "fn" | "mod" | "impl" | "struct" | "enum" | "trait" | "unsafe");
    while let Some(token) = tokens.get(at) {
        match token.text {
            ";" => return at + 1,
            "," if !has_body => return at + 1,
            // It was the last of a list.
            "}" | ")" | "]" => return at,
            "{" if first != "use" => return closing(tokens, at),
            "(" | "[" | "{" => at = closing(tokens, at),
            _ => at += 1,
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> String {
        let words: Vec<&str> = tokens(source).iter().map(|token| token.text).collect();
        words.join(" ")
    }

    fn product(source: &str) -> String {
        let words: Vec<&str> =
            without_tests(&tokens(source)).iter().map(|token| token.text).collect();
        words.join(" ")
    }

    #[test]
    fn comments_are_left_out_and_literals_are_one_word() {
        assert_eq!(words("a /* b /* c */ d */ e // f\ng"), "a e g");
        assert_eq!(words(r#"x("a::b \" {", 'c', '\'', b'{', b"}")"#), {
            r#"x ( "a::b \" {" , 'c' , '\'' , b'{' , b"}" )"#
        });
        assert_eq!(words("r#\"a\" b\"# r\"\\\" br\"c\""), "r#\"a\" b\"# r\"\\\" br\"c\"");
        assert_eq!(words("fn a<'b>(c: &'b str) {}"), "fn a < ' b > ( c : & ' b str ) { }");
        assert_eq!(words("a::b..c"), "a :: b . . c");
        assert_eq!(tokens("a\n\"b\nc\" d")[2].line, 3);
    }

    #[test]
    fn code_of_tests_is_left_out() {
        for (source, want) in [
            ("#[cfg(test)] mod tests { fn a() {} } b", "b"),
            ("#[cfg(test)] mod tests; b", "b"),
            ("#[cfg(test)] use a::{b, c}; d", "d"),
            ("#[cfg(test)] #[allow(x)] fn a<B, C>(d: E) -> F { g } h", "h"),
            ("struct A { #[cfg(test)] b: C, d: E }", "struct A { d : E }"),
            ("f(a, #[cfg(test)] b)", "f ( a , )"),
            ("#[cfg(any(test, feature = \"x\"))] pub(crate) fn a() {} b", "b"),
            ("#[cfg(not(test))] fn a() {}", "# [ cfg ( not ( test ) ) ] fn a ( ) { }"),
        ] {
            assert_eq!(product(source), want, "{source}");
        }
    }
}
