//! JSON as it was on the wire: members in their order, scalars as their exact text.
//!
//! Expectations may hold placeholders such as `${i0+1}` where a scalar stands, so this reads a
//! little more than JSON.

/// How deep a document may be nested.
const DEPTH_MAX: usize = 200;

/// A document or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    /// The text of a scalar; strings keep their quotes.
    Scalar(String),
    /// Members in order; names keep their quotes.
    Object(Vec<(String, Tree)>),
    Array(Vec<Tree>),
}

impl Tree {
    /// The document again, without white space.
    pub(crate) fn dump(&self) -> String {
        match self {
            Self::Scalar(text) => text.clone(),
            Self::Object(members) => {
                let parts: Vec<String> = members
                    .iter()
                    .map(|(name, value)| format!("{name}:{}", value.dump()))
                    .collect();
                format!("{{{}}}", parts.join(","))
            }
            Self::Array(elements) => {
                let parts: Vec<String> = elements.iter().map(Self::dump).collect();
                format!("[{}]", parts.join(","))
            }
        }
    }
}

/// One document, and what stands around it.
pub(crate) struct Document<'a> {
    pub(crate) tree: Tree,
    /// Whether there was white space inside.
    pub(crate) is_spaced: bool,
    /// What follows the document.
    pub(crate) tail: &'a str,
}

/// Reads one document.
pub(crate) fn parse(text: &str) -> Result<Document<'_>, String> {
    let mut reader = Reader { text, at: 0, is_spaced: false, depth: 0 };
    let tree = reader.value()?;
    Ok(Document { tree, is_spaced: reader.is_spaced, tail: &text[reader.at..] })
}

/// Reads documents that follow each other, as in a stream of events.
pub(crate) fn parse_all(text: &str) -> Result<Vec<Tree>, String> {
    let mut out = Vec::new();
    let mut rest = text.trim_start_matches(is_white);
    while !rest.is_empty() {
        let document = parse(rest)?;
        out.push(document.tree);
        rest = document.tail.trim_start_matches(is_white);
    }
    Ok(out)
}

fn is_white(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    is_spaced: bool,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip(&mut self) {
        let rest = self.rest();
        let white = rest.len() - rest.trim_start_matches(is_white).len();
        if white > 0 {
            self.is_spaced = true;
            self.at += white;
        }
    }

    fn takes(&mut self, wanted: char) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn value(&mut self) -> Result<Tree, String> {
        self.skip();
        if self.depth > DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX} at {}", self.at));
        }
        self.depth += 1;
        let tree = if self.takes('{') {
            self.object()
        } else if self.takes('[') {
            self.array()
        } else {
            self.scalar().map(Tree::Scalar)
        };
        self.depth -= 1;
        tree
    }

    fn object(&mut self) -> Result<Tree, String> {
        let mut members = Vec::new();
        self.skip();
        if self.takes('}') {
            return Ok(Tree::Object(members));
        }
        loop {
            self.skip();
            if !self.rest().starts_with('"') {
                return Err(format!("member name wanted at {}", self.at));
            }
            let name = self.scalar()?;
            self.skip();
            if !self.takes(':') {
                return Err(format!("':' wanted at {}", self.at));
            }
            members.push((name, self.value()?));
            self.skip();
            if self.takes('}') {
                return Ok(Tree::Object(members));
            }
            if !self.takes(',') {
                return Err(format!("',' or '}}' wanted at {}", self.at));
            }
        }
    }

    fn array(&mut self) -> Result<Tree, String> {
        let mut elements = Vec::new();
        self.skip();
        if self.takes(']') {
            return Ok(Tree::Array(elements));
        }
        loop {
            elements.push(self.value()?);
            self.skip();
            if self.takes(']') {
                return Ok(Tree::Array(elements));
            }
            if !self.takes(',') {
                return Err(format!("',' or ']' wanted at {}", self.at));
            }
        }
    }

    fn scalar(&mut self) -> Result<String, String> {
        let rest = self.rest();
        let len = scalar_len(rest).ok_or_else(|| format!("no JSON value at {}", self.at))?;
        self.at += len;
        Ok(rest[..len].to_owned())
    }
}

/// The length of the string, number, word or placeholder that `text` begins with.
fn scalar_len(text: &str) -> Option<usize> {
    if text.starts_with('"') {
        return string_len(text);
    }
    if text.starts_with("${") {
        return Some(text.find('}')? + 1);
    }
    if let Some(word) = ["true", "false", "null"].iter().find(|word| text.starts_with(**word)) {
        return Some(word.len());
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let end = digits
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-')))
        .unwrap_or(digits.len());
    Some(text.len() - digits.len() + end)
}

fn string_len(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_text() {
        let document = parse("{\"b\": 1.50, \"a\":[true,\"\\u003c\",${n_x+1}]}\n").unwrap();
        assert_eq!(document.tree.dump(), "{\"b\":1.50,\"a\":[true,\"\\u003c\",${n_x+1}]}");
        assert!(document.is_spaced);
        assert_eq!(document.tail, "\n");
    }

    #[test]
    fn reads_documents_in_a_row() {
        assert_eq!(parse_all("{}{\"a\":1}\n[]").unwrap().len(), 3);
        assert!(parse_all("").unwrap().is_empty());
    }

    #[test]
    fn refuses_what_is_no_json() {
        for text in ["", "{", "{\"a\"}", "[1,]", "\"open", "nope", "{\"a\":1,}", "-"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
