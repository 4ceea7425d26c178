//! What a handler gives back for a request.

use crate::http::response::{JSON, Numbers, TEXT};
use std::borrow::Cow;

/// The body of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Body {
    #[default]
    Empty,
    Static(&'static [u8]),
    Owned(Vec<u8>),
    /// What the handler left in the buffer that all handlers print into, so that most answers cost
    /// no allocation.
    Printed,
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Body::Static(bytes)
    }
}

impl<const LEN: usize> From<&'static [u8; LEN]> for Body {
    fn from(bytes: &'static [u8; LEN]) -> Self {
        Body::Static(bytes)
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Body::Owned(bytes)
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Body::Owned(text.into_bytes())
    }
}

/// An answer that is complete.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) numbers: Option<Numbers>,
    /// Whole header lines.
    pub(crate) extra: Cow<'static, str>,
    pub(crate) body: Body,
}

impl Response {
    pub(crate) fn new(status: u16, content_type: &'static str, body: impl Into<Body>) -> Self {
        Self { content_type: Some(content_type), body: body.into(), ..Self::empty(status) }
    }

    pub(crate) fn json(status: u16, body: impl Into<Body>) -> Self {
        Self::new(status, JSON, body)
    }

    pub(crate) fn text(status: u16, body: impl Into<Body>) -> Self {
        Self::new(status, TEXT, body)
    }

    /// An answer without a body.
    pub(crate) fn empty(status: u16) -> Self {
        let (content_type, numbers, body) = (None, None, Body::Empty);
        Self { status, content_type, numbers, extra: Cow::Borrowed(""), body }
    }

    /// The same with header lines, each with its line end.
    pub(crate) fn with(mut self, extra: impl Into<Cow<'static, str>>) -> Self {
        self.extra = extra.into();
        self
    }

    /// The same with the numbers of the key space.
    pub(crate) fn at(mut self, numbers: Numbers) -> Self {
        self.numbers = Some(numbers);
        self
    }
}

/// The result of handling a request. `T` is what it may wait for.
#[derive(Debug)]
pub(crate) enum Reply<T> {
    /// It is answered.
    Now(Response),
    /// It is answered, and the connection ends with it.
    Last(Response),
    /// It is answered later.
    Wait(T),
    /// It is served from the beginning again as soon as [`super::Front::serve_again`] says so.
    Hold(T),
    /// The head and the first piece of the body go out now, the rest as it comes about. With
    /// `is_held` the head may wait a moment for what follows.
    Stream { head: Response, pending: T, is_held: bool },
    /// The connection is upgraded from HTTP; `head` is the whole answer.
    Upgrade { head: String, pending: T },
    /// The request, and what follows it on the connection, is passed on by the service itself.
    Relay(T),
}

/// What became of the bytes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// They are used up.
    Served,
    /// They are kept, for the request is served again from its beginning.
    Held,
    /// They are passed on, with all that follows on the connection.
    Relayed,
}

impl<T> Reply<T> {
    /// What becomes of the bytes of the request.
    pub(super) fn taken(&self) -> Taken {
        match self {
            Reply::Hold(_) => Taken::Held,
            Reply::Relay(_) => Taken::Relayed,
            _ => Taken::Served,
        }
    }
}

impl<T> From<Response> for Reply<T> {
    fn from(response: Response) -> Self {
        Reply::Now(response)
    }
}
