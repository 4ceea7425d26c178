//! Answers that several resources give.

use super::error::{ApiError, INVALID_FORM};
use crate::http::request::Refusal;
use crate::http::response::JSON;
use crate::member::context::Context;
use crate::net::{Body, Response};
use replica::EngineError;

pub(crate) fn not_found() -> Response {
    Response::text(404, b"404 page not found\n")
}

/// Sends a client elsewhere.
pub(crate) fn redirect_to(status: u16, location: &str) -> Response {
    Response::empty(status).with(format!("Location: {location}\r\n"))
}

/// A request is refused by the key space or by this server.
pub(crate) fn error(cx: &Context, error: &ApiError) -> Response {
    let numbers = error.numbers(cx.driver.cluster().0);
    Response::new(error.status(), JSON, Body::Owned(error.body())).at(numbers)
}

/// What was proposed or asked for failed.
pub(crate) fn engine_error(cx: &Context, failed: EngineError) -> Response {
    cx.meters.proposals_failed.add_one();
    let mut answer = ApiError::from_engine(failed, cx.index());
    answer.cause = cause_of(cx, failed);
    error(cx, &answer)
}

/// Why this member could not serve a request: who is missing where members are, and what to do when
/// they have been for long.
pub(crate) fn cause_of(cx: &Context, failed: EngineError) -> String {
    let mut cause = failed.to_string();
    if matches!(failed, EngineError::NoLeader | EngineError::Timeout | EngineError::Unknown) {
        cause.push_str(&cx.who_is_unreachable());
        if let Some(gone) = cx.majority_gone() {
            cause.push_str("; ");
            cause.push_str(&gone);
        }
    }
    cause
}

/// The answer to an invalid request. `is_keys` says that it named a path of the key space.
pub(crate) fn refuse(cx: &Context, refusal: Refusal, is_keys: bool) -> Response {
    if is_keys && refusal == Refusal::BodyTooLarge {
        return error(cx, &ApiError::new(INVALID_FORM, "http: POST too large", cx.index()));
    }
    refuse_anywhere(refusal)
}

/// The same at a machine without a key space.
pub(crate) fn refuse_anywhere(refusal: Refusal) -> Response {
    Response::json(refusal.status(), format!("{{\"message\":\"{refusal}\"}}\n"))
}

/// A client is refused because a limit is reached.
pub(crate) fn overloaded(cause: &'static str) -> Response {
    let error = ApiError::overloaded(cause, 0);
    Response::json(error.status(), error.body())
}
