//! Keys as paths of URLs, and values as forms.

use crate::failure::Failure;
use std::fmt::Write as _;

/// A key in its plain form: it begins with a slash, and has none at its end or after another one.
///
/// # Errors
/// [`Failure::Usage`] for a name that no key can have.
pub(crate) fn normal(key: &str) -> Result<String, Failure> {
    let mut out = String::with_capacity(key.len() + 1);
    for part in key.split('/').filter(|part| !part.is_empty()) {
        if matches!(part, "." | "..") {
            return Err(Failure::Usage(format!("{key:?}: no part of a key is called {part:?}")));
        }
        out.push('/');
        out.push_str(part);
    }
    if out.is_empty() {
        out.push('/');
    }
    Ok(out)
}

/// The path of a key's URL. The key is in its plain form.
pub(crate) fn path(key: &str) -> String {
    let mut out = "/v2/keys".to_owned();
    if key != "/" {
        encode(key.as_bytes(), true, &mut out);
    }
    out
}

/// The path of a resource with a name, such as a lock.
pub(crate) fn named(prefix: &str, name: &str) -> String {
    let mut out = prefix.to_owned();
    encode(name.as_bytes(), true, &mut out);
    out
}

/// The last part of a key.
pub(crate) fn name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

fn encode(bytes: &[u8], keeps_slash: bool, out: &mut String) {
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(*byte));
            }
            b'/' if keeps_slash => out.push('/'),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
}

/// Parameters, as a query or as a form.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs(String);

impl Pairs {
    pub(crate) fn add(&mut self, name: &str, value: &str) -> &mut Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        encode(value.as_bytes(), false, &mut self.0);
        self
    }

    /// Adds `name=true` if it is.
    pub(crate) fn flag(&mut self, name: &str, is_set: bool) -> &mut Self {
        if is_set { self.add(name, "true") } else { self }
    }

    /// Adds a parameter if it has a value.
    pub(crate) fn option(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.add(name, value),
            None => self,
        }
    }

    pub(crate) fn form(self) -> String {
        self.0
    }

    /// The path with these as its query.
    pub(crate) fn behind(&self, path: &str) -> String {
        match self.0.as_str() {
            "" => path.to_owned(),
            query => format!("{path}?{query}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_one_plain_form() {
        for (given, want) in [("/a/b", "/a/b"), ("a//b/", "/a/b"), ("", "/"), ("//", "/")] {
            assert_eq!(normal(given).as_deref(), Ok(want), "{given}");
        }
        for wrong in ["/a/../b", ".", "/a/."] {
            assert!(normal(wrong).is_err(), "{wrong}");
        }
        assert_eq!(path("/"), "/v2/keys");
        assert_eq!(path("/a b/\u{e4}?#%"), "/v2/keys/a%20b/%C3%A4%3F%23%25");
        assert_eq!(name("/a/b"), "b");
    }

    #[test]
    fn values_arrive_as_they_were() {
        let mut pairs = Pairs::default();
        pairs.add("value", "a&b=c d+%\n/").flag("dir", false).flag("x", true);
        pairs.option("ttl", Some("5")).option("none", None);
        assert_eq!(pairs.form(), "value=a%26b%3Dc%20d%2B%25%0A%2F&x=true&ttl=5");
        assert_eq!(Pairs::default().behind("/p"), "/p");
    }
}
