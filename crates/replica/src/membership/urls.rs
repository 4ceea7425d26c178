//! Where clients reach a member: the addresses of its ports, by the dialect of the API that is
//! spoken there.
//!
//! A member's record names one address for clients, as 0.4 had it. A member with others shows them
//! in the value of its key in the registry, beside `etcd` and `raft`, as parameters of their own:
//!
//! ```text
//! etcd=URL&raft=URL&v04=URL&v04=URL&v2=URL        the URLs percent-encoded
//! ```
//! The key space is the same on all members whatever they know, and is in every snapshot. So the
//! record has the format that it always had, and a member that knows of one address alone reads
//! what it knows and keeps the rest as it is. A parameter that somebody does not know is left out
//! of account; that is how this format grows.

/// How many addresses of one dialect are told at most.
pub const CLIENT_URLS_MAX: usize = 8;

/// The longest of them, in bytes.
pub const CLIENT_URL_BYTES_MAX: usize = 512;

/// Names of the parameters.
const V04: &str = "v04";
const V2: &str = "v2";

/// Where clients reach a member, with scheme: `http://127.0.0.1:4001`. Each list is in the order of
/// its bytes. Both are empty where the member's one address says it all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientUrls {
    v04: Vec<String>,
    v2: Vec<String>,
}

impl ClientUrls {
    /// Addresses of both dialects: what cannot be one, and what is more than is told, is left out.
    pub fn new(v04: Vec<String>, v2: Vec<String>) -> Self {
        Self { v04: kept(v04), v2: kept(v2) }
    }

    /// Those of ports that speak as 0.4 does.
    pub fn v04(&self) -> &[String] {
        &self.v04
    }

    /// Those of ports that speak as 2.x does.
    pub fn v2(&self) -> &[String] {
        &self.v2
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.v04.is_empty() && self.v2.is_empty()
    }

    /// The same beside a member's one address: nothing, where that is the only one.
    #[must_use]
    pub fn beside(self, client_url: &str) -> Self {
        let is_other = self.v04.iter().chain(&self.v2).any(|url| url != client_url);
        if is_other { self } else { Self::default() }
    }

    /// Reads the parameters of a registry value. What is malformed says nothing.
    pub(crate) fn parse(value: &str) -> Self {
        let of = |wanted: &str| {
            let pairs = value.split('&').filter_map(|pair| pair.split_once('='));
            let values = pairs.filter(|(name, _)| *name == wanted);
            values.filter_map(|(_, value)| unescape(value)).collect()
        };
        Self::new(of(V04), of(V2))
    }

    /// Appends the parameters to a registry value.
    pub(crate) fn push_to(&self, value: &mut String) {
        for (name, urls) in [(V04, &self.v04), (V2, &self.v2)] {
            for url in urls {
                if !value.is_empty() {
                    value.push('&');
                }
                value.push_str(name);
                value.push('=');
                value.push_str(&escape(url));
            }
        }
    }
}

/// A parameter of a registry value, if it is there and sound.
pub(crate) fn field(value: &str, wanted: &str) -> Option<String> {
    let mut pairs = value.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| *name == wanted).and_then(|(_, value)| unescape(value))
}

/// Whether an address can be told: it goes into lists that clients take apart, and into headers.
pub(crate) fn is_url(url: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|},".contains(&byte);
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty())
        && url.len() <= CLIENT_URL_BYTES_MAX
        && url.bytes().all(is_plain)
}

/// What can be told of a list: sorted, each once.
fn kept(mut urls: Vec<String>) -> Vec<String> {
    urls.retain(|url| is_url(url));
    urls.sort();
    urls.dedup();
    urls.truncate(CLIENT_URLS_MAX);
    urls
}

/// Percent-encodes as forms are.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Takes that back; nothing if it is malformed.
pub(super) fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = rest.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(v04: &[&str], v2: &[&str]) -> ClientUrls {
        let list = |urls: &[&str]| urls.iter().map(|url| (*url).to_owned()).collect();
        ClientUrls::new(list(v04), list(v2))
    }

    #[test]
    fn addresses_come_back_from_a_value_and_others_are_left_alone() {
        let both = urls(&["http://a:4001"], &["https://b:1", "http://[::1]:2379"]);
        let mut value = "etcd=http%3A%2F%2Fa%3A4001&raft=x".to_owned();
        both.push_to(&mut value);
        assert_eq!(
            value,
            "etcd=http%3A%2F%2Fa%3A4001&raft=x&v04=http%3A%2F%2Fa%3A4001\
             &v2=http%3A%2F%2F%5B%3A%3A1%5D%3A2379&v2=https%3A%2F%2Fb%3A1"
        );
        assert_eq!(ClientUrls::parse(&value), both);
        assert_eq!(ClientUrls::parse(&format!("{value}&v9=http%3A%2F%2Fz%3A1")), both);
        assert_eq!(ClientUrls::parse("etcd=http%3A%2F%2Fa%3A4001&raft=x"), ClientUrls::default());
    }

    #[test]
    fn what_no_client_should_be_told_is_not() {
        for bad in [
            "v2=http%3A%2F%2Fa%3A1%0D%0AX%3A1",
            "v2=ftp%3A%2F%2Fa",
            "v2=http%3A%2F%2F",
            "v2=http%3A%2F%2Fa%2C%20http%3A%2F%2Fb",
            "v2=%zz",
            "v2=%",
            "v2=%+1",
            "v2",
            "v2=%ff",
            "",
        ] {
            assert_eq!(ClientUrls::parse(bad), ClientUrls::default(), "{bad}");
        }
        let long = format!("http://{}:1", "a".repeat(CLIENT_URL_BYTES_MAX));
        assert!(urls(&[], &[&long]).is_empty());
        let many: Vec<String> = (0..100).map(|at| format!("http://a:{at}")).collect();
        assert_eq!(ClientUrls::new(many, Vec::new()).v04().len(), CLIENT_URLS_MAX);
    }

    #[test]
    fn one_address_says_it_all() {
        let one = "http://a:1";
        assert!(urls(&[one], &[]).beside(one).is_empty());
        assert!(urls(&[], &[one]).beside(one).is_empty());
        assert!(urls(&[], &[]).beside(one).is_empty());
        assert!(!urls(&[one], &["http://a:2"]).beside(one).is_empty());
        assert!(!urls(&[], &[one, "http://a:2"]).beside(one).is_empty());
    }
}
