//! A request that came whole, or why it is refused.

use crate::proof::ProofHeaders;
use std::fmt;

/// Bounds on what a client may send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReaderLimits {
    pub(crate) request_line_bytes: usize,
    pub(crate) head_bytes: usize,
    pub(crate) body_bytes: usize,
}

/// A request method. Others are not supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Put,
    Post,
    Delete,
    Options,
    Other,
}

impl Method {
    pub(super) fn parse(name: &str) -> Self {
        match name {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "PUT" => Method::Put,
            "POST" => Method::Post,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            _ => Method::Other,
        }
    }

    /// The method of a request that was refused, as well as its bytes tell.
    pub(crate) fn of(buf: &[u8]) -> Self {
        let word = buf.trim_ascii_start().split(|byte| *byte == b' ').next();
        Self::parse(word.and_then(|word| str::from_utf8(word).ok()).unwrap_or_default())
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Put => "PUT",
            Method::Post => "POST",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
            Method::Other => "OTHER",
        }
    }
}

/// A whole request. Texts are borrowed from the connection's bytes.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    /// The path as sent, without the query.
    pub(crate) path: &'a str,
    /// The query as sent, without the question mark.
    pub(crate) query: &'a str,
    pub(crate) is_http11: bool,
    pub(crate) keep_alive: bool,
    /// Whether the body is a form by its content type.
    pub(crate) is_form: bool,
    /// How the body is encoded, if it is.
    pub(crate) content_encoding: Option<&'a [u8]>,
    /// As sent.
    pub(crate) content_type: Option<&'a [u8]>,
    /// Whether the client asks for plain text.
    pub(crate) accepts_text: bool,
    /// Who it says to be, as sent.
    pub(crate) authorization: Option<&'a [u8]>,
    /// Who sent it, as browsers say it, and whom they meant.
    pub(crate) sender: Sender<'a>,
    /// The protocol that the client asks to upgrade to.
    pub(crate) upgrade: Option<&'a [u8]>,
    /// The cluster's secret, as the sender knows it.
    pub(crate) token: Option<&'a [u8]>,
    /// How the sender proves that it knows it.
    pub(crate) proof: ProofHeaders<'a>,
    pub(crate) terms: Terms<'a>,
    pub(crate) body: &'a [u8],
}

/// On which terms a request is to be answered, as it was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms<'a> {
    /// `If-Match`: only what is still this version is to be changed.
    pub(crate) if_match: Option<&'a [u8]>,
    /// `If-None-Match`: the versions that the client has.
    pub(crate) if_none_match: Option<&'a [u8]>,
    /// `Accept-Encoding`: the encodings that it takes.
    pub(crate) accept_encoding: Option<&'a [u8]>,
    /// `X-Stead-Dashboard`: why the dashboard sends it.
    pub(crate) dashboard: Option<&'a [u8]>,
}

impl Terms<'_> {
    /// Whether the client has what has this tag. A weak one counts too (RFC 9110 section 13.1.2).
    pub(crate) fn has(&self, tag: &str) -> bool {
        let Some(list) = self.if_none_match else { return false };
        list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).any(|known| {
            known == b"*" || known.strip_prefix(b"W/").unwrap_or(known) == tag.as_bytes()
        })
    }

    /// Whether the client takes what is compressed with gzip.
    pub(crate) fn accepts_gzip(&self) -> bool {
        let list = self.accept_encoding.unwrap_or_default().split(|byte| *byte == b',');
        let mut any = false;
        for item in list {
            let mut words = item.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let name = words.next().unwrap_or_default();
            let is_refused = words.any(|word| {
                let mut zeros = word.strip_prefix(b"q=").unwrap_or(b"1").iter();
                zeros.all(|byte| matches!(byte, b'0' | b'.'))
            });
            if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") {
                return !is_refused;
            }
            any |= name == b"*" && !is_refused;
        }
        any
    }

    /// Whether a page sends it by itself, again and again, to keep itself up to date.
    pub(crate) fn is_poll(&self) -> bool {
        self.dashboard.is_some_and(|value| value.eq_ignore_ascii_case(b"poll"))
    }
}

/// What a browser says of a page that sends a request. Other clients send the host alone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sender<'a> {
    /// Whom the sender meant: HOST or HOST:PORT.
    pub(crate) host: Option<&'a [u8]>,
    /// The page's origin.
    pub(crate) origin: Option<&'a [u8]>,
    /// `Sec-Fetch-Site`: how the page's site relates to this one.
    pub(crate) fetch_site: Option<&'a [u8]>,
}

/// Why a request is refused. The connection is closed after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 400
    Malformed(&'static str),
    /// 400: the client has ended its side in the middle of the body.
    CutOff,
    /// 413
    BodyTooLarge,
    /// 414
    RequestLineTooLong,
    /// 417
    Expectation,
    /// 431
    HeadTooLarge,
    /// 505
    Version,
}

impl Refusal {
    pub(crate) fn status(self) -> u16 {
        match self {
            Refusal::Malformed(_) | Refusal::CutOff => 400,
            Refusal::BodyTooLarge => 413,
            Refusal::RequestLineTooLong => 414,
            Refusal::Expectation => 417,
            Refusal::HeadTooLarge => 431,
            Refusal::Version => 505,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Malformed(detail) => detail,
            Refusal::CutOff => "unexpected EOF",
            Refusal::BodyTooLarge => "the request body is too large",
            Refusal::RequestLineTooLong => "the request line is too long",
            Refusal::Expectation => "unsupported Expect header: only 100-continue is supported",
            Refusal::HeadTooLarge => "the request's headers are too large",
            Refusal::Version => {
                "unsupported protocol version: only HTTP/1.0 and HTTP/1.1 are \
                                 supported"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        for (header, want) in [
            ("gzip", true),
            ("GZIP", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("br;q=1, gzip ; q=0.2", true),
            ("*", true),
            ("x-gzip", true),
            ("", false),
            ("identity", false),
            ("gzip;q=0", false),
            ("gzip;q=0.000", false),
            ("*, gzip;q=0", false),
            ("*;q=0", false),
            ("gzipped", false),
        ] {
            let terms = Terms { accept_encoding: Some(header.as_bytes()), ..Terms::default() };
            assert_eq!(terms.accepts_gzip(), want, "{header}");
        }
        assert!(!Terms::default().accepts_gzip());
    }

    #[test]
    fn a_tag_that_is_known_is_found_in_its_list() {
        for (header, want) in [
            ("\"a\"", true),
            ("\"b\" , \"a\"", true),
            ("W/\"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
            ("", false),
        ] {
            let terms = Terms { if_none_match: Some(header.as_bytes()), ..Terms::default() };
            assert_eq!(terms.has("\"a\""), want, "{header}");
        }
        assert!(!Terms::default().has("\"a\""));
    }
}
