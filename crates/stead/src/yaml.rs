//! The configuration file of 3.x (`-config-file`): a YAML mapping with the names of flags for keys,
//! and two sections whose keys are those of TLS.
//!
//! Of YAML that is all: what could grow while it is read (anchors and aliases) or mean something
//! else to another reader (tags, deeper nesting, several documents) is refused.

use saphyr_parser::{Event, Parser, ScalarStyle};

/// The sections, and what goes before the names of their keys.
const SECTIONS: [(&str, &str); 2] =
    [("client-transport-security", ""), ("peer-transport-security", "peer-")];

/// A key that is a flag's name, and its value; lists with commas between their items.
pub(crate) type Entry = (String, String);

/// Where the reader is.
enum State {
    /// Before the mapping.
    Start,
    /// A key is next.
    Key,
    /// The value of this key is next.
    Value(String),
    /// In the list of this key.
    List(String, Vec<String>),
    /// Behind the mapping.
    End,
}

/// The entries of a file.
///
/// # Errors
/// What cannot be read, in words.
pub(crate) fn read(text: &str) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    let mut state = State::Start;
    let mut section: Option<&str> = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| error.to_string())?;
        let line = span.start.line();
        let refuse = |what: &str| Err(format!("line {line}: {what}"));
        state = match (state, event) {
            (_, Event::Alias(_)) => return refuse("aliases are not supported"),
            (
                _,
                Event::Scalar(_, _, 1.., _)
                | Event::SequenceStart(1.., _)
                | Event::MappingStart(1.., _),
            ) => return refuse("anchors are not supported"),
            (_, Event::Scalar(.., Some(_)) | Event::SequenceStart(_, Some(_)))
            | (_, Event::MappingStart(_, Some(_))) => return refuse("tags are not supported"),
            (State::Start, Event::MappingStart(..)) => State::Key,
            // An empty file.
            (State::Start, Event::Scalar(word, style, ..)) if is_nothing(&word, style) => {
                State::End
            }
            (State::Key, Event::Scalar(word, ..)) => {
                State::Value(format!("{}{word}", section.unwrap_or_default()))
            }
            (State::Key, Event::MappingEnd) => match section.take() {
                Some(_) => State::Key,
                None => State::End,
            },
            (State::Value(_), Event::Scalar(word, style, ..)) if is_nothing(&word, style) => {
                State::Key
            }
            (State::Value(key), Event::Scalar(word, ..)) => {
                entries.push((key, word.into_owned()));
                State::Key
            }
            (State::Value(key), Event::SequenceStart(..)) => State::List(key, Vec::new()),
            (State::Value(key), Event::MappingStart(..)) => {
                match SECTIONS.iter().find(|(name, _)| section.is_none() && *name == key) {
                    Some((_, prefix)) => section = Some(prefix),
                    None => return refuse(&format!("{key}: expected a value or a list")),
                }
                State::Key
            }
            (State::List(key, mut items), Event::Scalar(word, ..)) => {
                items.push(word.into_owned());
                State::List(key, items)
            }
            (State::List(key, items), Event::SequenceEnd) => {
                entries.push((key, items.join(",")));
                State::Key
            }
            (State::End, Event::DocumentStart(_)) => return refuse("a second document"),
            (
                state @ (State::Start | State::End),
                Event::Nothing
                | Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_)
                | Event::DocumentEnd,
            ) => state,
            _ => return refuse("expected a mapping of flag names to values or lists"),
        };
    }
    Ok(entries)
}

/// Whether a value is none: `key:`, `key: ~` and `key: null`.
fn is_nothing(word: &str, style: ScalarStyle) -> bool {
    style == ScalarStyle::Plain && matches!(word, "" | "~" | "null")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_of_etcd_is_read() {
        let text = "# This is the configuration file for the etcd server.\n\n\
            name: 'default'\ndata-dir:\nwal-dir: \"\"\nsnapshot-count: 10000\n\
            listen-client-urls: http://localhost:2379\nstrict-reconfig-check: false\n\
            cors:\n\
            client-transport-security:\n  cert-file: c.pem\n  client-cert-auth: false\n\
            peer-transport-security:\n  # of peers\n  cert-file: p.pem\n  auto-tls: false\n\
            log-outputs: [stderr, \"x y\"]\ninitial-cluster: a=http://h:1,b=http://h:2\n";
        let want = [
            ("name", "default"),
            ("wal-dir", ""),
            ("snapshot-count", "10000"),
            ("listen-client-urls", "http://localhost:2379"),
            ("strict-reconfig-check", "false"),
            ("cert-file", "c.pem"),
            ("client-cert-auth", "false"),
            ("peer-cert-file", "p.pem"),
            ("peer-auto-tls", "false"),
            ("log-outputs", "stderr,x y"),
            ("initial-cluster", "a=http://h:1,b=http://h:2"),
        ];
        let want = want.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        assert_eq!(read(text), Ok(want));
        for text in ["", "# nothing\n", "---\n", "{}"] {
            assert_eq!(read(text), Ok(Vec::new()), "{text:?}");
        }
    }

    #[test]
    fn what_is_more_than_that_is_refused_with_its_line() {
        for (text, want) in [
            ("a: &x 1\nb: *x\n", "line 1: anchors"),
            ("a: 1\nb: *x\n", "anchor"),
            ("a: !!str 1\n", "line 1: tags"),
            ("a:\n  b: 1\n", "a: expected a value or a list"),
            (
                "peer-transport-security:\n  peer-transport-security:\n    a: 1\n",
                "expected a value",
            ),
            ("- a\n- b\n", "line 1: expected a mapping"),
            ("a: [[1]]\n", "line 1: expected a mapping"),
            ("? [a]\n: 1\n", "expected a mapping"),
            ("a: 1\n---\nb: 2\n", "a second document"),
            ("a: 'x\n", "quot"),
            ("just words\n", "expected a mapping"),
        ] {
            let refused = read(text).expect_err(text);
            assert!(refused.contains(want), "{text:?}: {refused}");
        }
        // Brackets within brackets, far more than a stack would take.
        assert!(read(&format!("a: {}", "[".repeat(1 << 18))).is_err());
        assert!(read(&format!("a: {}", "{".repeat(1 << 18))).is_err());
    }
}
