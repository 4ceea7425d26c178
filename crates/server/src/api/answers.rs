//! Answers that several resources give.

use super::error::{ApiError, INVALID_FORM, UNAUTHORIZED};
use super::members::body::error_body;
use crate::config::{Dialect, Port};
use crate::http::request::Refusal;
use crate::http::response::JSON;
use crate::member::context::Context;
use crate::net::{Body, Caller, Response};
use replica::EngineError;

/// The format of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// That of 0.4: a code, a sentence and its cause.
    Error,
    /// That of the members API of 2.x: a message.
    Message,
}

/// The refusal of somebody who has no right to what it asks.
pub(crate) fn unauthorized(cx: &Context, caller: Caller, shape: Shape) -> Response {
    const WHY: &str = "Insufficient credentials";
    if shape == Shape::Message {
        // 2.x does not say here which cluster it is.
        return Response::json(401, error_body(WHY));
    }
    // As other refusals before a look at the keys (docs/spec/keys.md section 11).
    let index = match caller.port {
        Port::Client(Dialect::V2) => 0,
        _ => cx.index(),
    };
    error(cx, &ApiError::new(UNAUTHORIZED, WHY, index))
}

/// An answer in the words of 2.x: the cluster's id, and JSON unless it is empty.
pub(crate) fn answer_2x(cx: &Context, status: u16, body: impl Into<Body>) -> Response {
    let body = body.into();
    let content_type = (body != Body::Empty).then_some(JSON);
    let extra = format!("X-Etcd-Cluster-Id: {}\r\n", cx.driver.cluster());
    Response { content_type, body, ..Response::empty(status) }.with(extra)
}

/// A refusal in the words of 2.x: a message.
pub(crate) fn refuse_with(cx: &Context, status: u16, message: &str) -> Response {
    answer_2x(cx, status, error_body(message))
}

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

/// The answer to an invalid request. If it named a path of the key space `keys_in` is the dialect
/// in which it did.
pub(crate) fn refuse(cx: &Context, refusal: Refusal, keys_in: Option<Dialect>) -> Response {
    let cause = match refusal {
        Refusal::BodyTooLarge => "http: POST too large".to_owned(),
        Refusal::CutOff => refusal.to_string(),
        _ => return refuse_anywhere(refusal),
    };
    let index = match keys_in {
        None => return refuse_anywhere(refusal),
        Some(Dialect::V04) => cx.index(),
        Some(Dialect::V2) => 0,
    };
    error(cx, &ApiError::new(INVALID_FORM, cause, index))
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
