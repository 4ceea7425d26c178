//! Sending a client to the leader, as 0.4 did (spec cluster.md section 7).

use crate::http::reader::{Method, Request};

/// What belongs to a 307: the same path and query at another machine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Redirect {
    /// Header lines.
    pub(crate) lines: String,
    pub(crate) content_type: Option<&'static str>,
    /// A line for people whose client does not follow; a read alone has one.
    pub(crate) body: String,
}

impl Redirect {
    pub(crate) fn new(leader_url: &str, request: &Request<'_>) -> Self {
        let mark = if request.query.is_empty() { "" } else { "?" };
        // Path and query were parsed by httparse, so they hold no line end.
        let location = format!("{leader_url}{}{mark}{}", request.path, request.query);
        let lines = format!("Location: {location}\r\n");
        if !matches!(request.method, Method::Get | Method::Head) {
            return Self { lines, content_type: None, body: String::new() };
        }
        let body = format!("<a href=\"{}\">Temporary Redirect</a>.\n\n", escape(&location));
        Self { lines, content_type: Some("text/html; charset=utf-8"), body }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&#34;")
}
