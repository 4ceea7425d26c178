//! Sending a client to the leader, as 0.4 did (docs/spec/cluster.md section 7).

use crate::http::request::{Method, Request};
use crate::net::Response;

/// A 307: the same path and query at another machine. A read has a line for people whose client
/// does not follow.
pub(crate) fn to_leader(leader_url: &str, request: &Request<'_>) -> Response {
    let mark = if request.query.is_empty() { "" } else { "?" };
    // Path and query were parsed by httparse, so they hold no line end.
    let location = format!("{leader_url}{}{mark}{}", request.path, request.query);
    let lines = format!("Location: {location}\r\n");
    if !matches!(request.method, Method::Get | Method::Head) {
        return Response::empty(307).with(lines);
    }
    let body = format!("<a href=\"{}\">Temporary Redirect</a>.\n\n", escape(&location));
    Response::new(307, "text/html; charset=utf-8", body).with(lines)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&#34;")
}
