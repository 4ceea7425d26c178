//! Names that are looked for: those that hold a text, or that match a glob.

/// The longest text, in bytes.
const TEXT_BYTES_MAX: usize = 256;

/// So many comparisons of bytes count as a look at one more child.
const BYTES_OF_A_VISIT: usize = 256;

/// What a name must have. Letter case counts for nothing in ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    /// In lower case.
    text: Box<[u8]>,
    /// Whether `*` and `?` stand for other letters, and the whole name must match.
    is_glob: bool,
}

impl Filter {
    /// Nothing if the text is too long.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_glob = text.contains(['*', '?']);
        let text = text.to_ascii_lowercase().into_bytes().into();
        Some(Self { text, is_glob }).filter(|filter| filter.text.len() <= TEXT_BYTES_MAX)
    }

    /// Whether a name has it.
    pub(crate) fn matches(&self, name: &str) -> bool {
        if self.is_glob {
            return self.matches_whole(name);
        }
        let Some((first, rest)) = self.text.split_first() else { return true };
        let name = name.as_bytes();
        let starts = name.len().saturating_sub(rest.len());
        (0..starts).any(|at| {
            let is_first = name.get(at).is_some_and(|byte| byte.to_ascii_lowercase() == *first);
            let behind = name.get(at + 1..at + 1 + rest.len());
            is_first && behind.is_some_and(|behind| behind.eq_ignore_ascii_case(rest))
        })
    }

    /// A star takes as little as it can, and more where what follows does not match: only the last
    /// one has to be tried again.
    fn matches_whole(&self, name: &str) -> bool {
        let (text, bytes) = (&*self.text, name.as_bytes());
        let (mut in_text, mut at) = (0, 0);
        let mut again = None;
        loop {
            match (text.get(in_text), bytes.get(at)) {
                (None, None) => return true,
                (Some(b'*'), _) => {
                    in_text += 1;
                    again = Some((in_text, at));
                    continue;
                }
                (Some(b'?'), Some(_)) if name.is_char_boundary(at) => {
                    let letter = name.get(at..).and_then(|rest| rest.chars().next());
                    at += letter.map_or(1, char::len_utf8);
                    in_text += 1;
                    continue;
                }
                (Some(wanted), Some(byte))
                    if *wanted != b'?' && byte.to_ascii_lowercase() == *wanted =>
                {
                    (in_text, at) = (in_text + 1, at + 1);
                    continue;
                }
                _ => {}
            }
            let Some((behind_star, taken)) = again else { return false };
            if taken >= bytes.len() {
                return false;
            }
            again = Some((behind_star, taken + 1));
            (in_text, at) = (behind_star, taken + 1);
        }
    }

    /// How many children could be looked at in the time that it takes for a name.
    pub(crate) fn visits(&self, name: &str) -> usize {
        name.len() * self.text.len() / BYTES_OF_A_VISIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_in_the_name_and_a_glob_is_all_of_it() {
        for (filter, name, want) in [
            ("", "anything", true),
            ("eb", "Web-1", true),
            ("WEB", "web-1", true),
            ("web-1", "web-1", true),
            ("web-12", "web-1", false),
            ("1", "", false),
            ("\u{e9}", "caf\u{e9}s", true),
            ("*", "", true),
            ("*", "x", true),
            ("?", "", false),
            ("?", "\u{e9}", true),
            ("?", "\u{4f60}\u{597d}", false),
            ("??", "\u{4f60}\u{597d}", true),
            ("*??", "\u{e9}", false),
            ("*?\u{e9}", "\u{e9}\u{e9}", true),
            ("web-*", "WEB-12", true),
            ("web-*", "my-web-12", false),
            ("*web*", "my-web-12", true),
            ("*-?", "web-1", true),
            ("*-?", "web-12", false),
            ("a*b*c", "aXXbYYbZZc", true),
            ("a*b*c", "aXXbYYcZZ", false),
            ("**a**", "a", true),
            ("a?c", "a?c", true),
        ] {
            let filter = Filter::parse(filter).expect("it is short");
            assert_eq!(filter.matches(name), want, "{filter:?} {name}");
        }
        assert!(Filter::parse(&"x".repeat(257)).is_none());
    }

    /// No pattern takes longer than its length times that of the name.
    #[test]
    fn a_glob_of_many_stars_ends_soon() {
        let filter = Filter::parse(&"*a".repeat(128)).expect("it is short");
        let name = format!("{}b", "a".repeat(60_000));
        assert!(!filter.matches(&name));
        assert!(filter.visits(&name) > 50_000);
    }
}
