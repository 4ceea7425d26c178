//! `/openapi.json`: what the ports for clients serve, for programs (OpenAPI 3.1).
//!
//! The document is a file beside this one, and tests hold it against the table of routes.

use crate::net::Response;

pub(crate) const DOCUMENT: &[u8] = include_bytes!("openapi.json");

/// `/openapi.json`.
pub(crate) fn serve() -> Response {
    Response::json(200, DOCUMENT)
}
