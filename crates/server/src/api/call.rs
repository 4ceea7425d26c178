//! Calls of machines of the cluster and of administrators: who may make them.
//!
//! Where the cluster has a secret, its machines prove that they know it, in a way that does not
//! tell it (`proof.rs`), and administrators say it, in the header `Stead-Token`.

use super::answers::{Shape, error, refuse_with, unauthorized};
use super::error::{ApiError, RAFT_INTERNAL, UNAUTHORIZED};
use crate::config::Port;
use crate::http::request::Request;
use crate::member::context::Context;
use crate::member::greeting::complain;
use crate::net::{Caller, Response};
use crate::proof::{Gate, Proven, ProvenRequest};
use std::borrow::Cow;

/// What is asked for, as the caller wrote it.
fn target<'a>(request: &Request<'a>) -> Cow<'a, str> {
    match request.query {
        "" => Cow::Borrowed(request.path),
        query => Cow::Owned(format!("{}?{query}", request.path)),
    }
}

/// What a machine that is about to call needs for its proof.
pub(crate) fn challenge(gate: &Gate, now: u64) -> Response {
    match gate.challenge(now) {
        Ok(challenge) => Response::json(200, format!("{{\"challenge\":\"{challenge}\"}}\n")),
        Err(error) => {
            let refused = ApiError::refused(RAFT_INTERNAL, error.to_string(), 0, 503);
            Response::json(refused.status(), refused.body())
        }
    }
}

/// Verifies the proof of a call. Gives the means to prove its answer, if the caller proved
/// anything.
///
/// # Errors
/// Why it is not believed, in a sentence.
pub(crate) fn check(
    gate: &Gate,
    request: &Request<'_>,
    now: u64,
) -> Result<Option<Box<Proven>>, &'static str> {
    let (method, target) = (request.method.as_str(), target(request));
    let asked = ProvenRequest { method, target: &target, body: request.body };
    Ok(gate.check(request.proof, asked, now)?.map(Box::new))
}

/// Whether a call proves itself: by its proof, or by the secret itself where an administrator says
/// it.
fn take_call(cx: &mut Context, request: &Request<'_>) -> Result<(), &'static str> {
    if !cx.config.finding.token.matches(request.token.unwrap_or_default()) {
        cx.proven = check(&cx.gate, request, cx.now.monotonic)?;
    }
    Ok(())
}

/// Whether a call that is reserved to machines of the cluster is admitted.
///
/// # Errors
/// The refusal.
pub(crate) fn believe(
    cx: &mut Context,
    request: &Request<'_>,
    origin: &mut dyn FnMut() -> String,
) -> Result<(), Response> {
    take_call(cx, request).map_err(|why| {
        complain(cx, &origin(), 401, why);
        refuse(cx, why, Shape::Error)
    })
}

/// What let an administrator in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LetIn {
    /// A certificate of a machine, or the cluster's secret.
    Proof,
    /// Who it is, or that users do not count.
    Users,
}

/// Whether a caller may change the members, the configuration or users. A peer port that asks for
/// certificates has been shown one. Where users count it is root, or says the cluster's secret. A
/// machine that has just joined does not know whether they do.
///
/// # Errors
/// The refusal.
pub(crate) fn administer(
    cx: &mut Context,
    caller: Caller,
    request: &Request<'_>,
    shape: Shape,
) -> Result<LetIn, Response> {
    if caller.port == Port::Peer && cx.config.knows_peers() {
        return Ok(LetIn::Proof);
    }
    let counts_users = cx.driver.store().auth().is_enabled();
    let has_secret = !cx.config.finding.token.is_none();
    // Who has a secret to say says more than who has none; but where users count none is needed.
    let may_say = !counts_users || has_secret;
    if may_say && take_call(cx, request).is_ok() && has_secret {
        return Ok(LetIn::Proof);
    }
    if !knows_users(cx) {
        return Err(without_users(cx, shape));
    }
    let is_open = !counts_users && (!has_secret || is_open_client(cx, caller));
    if is_open || (counts_users && cx.driver.store().auth().is_root(cx.who)) {
        return Ok(LetIn::Users);
    }
    if counts_users {
        return Err(unauthorized(cx, caller, shape));
    }
    let why = "the cluster's secret is missing or wrong: send it as Stead-Token";
    Err(refuse(cx, why, shape))
}

fn is_open_client(cx: &Context, caller: Caller) -> bool {
    matches!(caller.port, Port::Client(_)) && cx.config.open_membership
}

/// Whether this machine has caught up with its cluster once: before that it may not have heard yet
/// that users count.
pub(crate) fn knows_users(cx: &Context) -> bool {
    cx.driver.has_store() && cx.driver.status().is_voter
}

/// The refusal of a machine that does not know yet who may do what.
pub(crate) fn without_users(cx: &Context, shape: Shape) -> Response {
    let why = "this machine has joined but has not caught up with the leader yet: it does not know \
               who may do this; nothing was done, try again";
    match shape {
        Shape::Error => error(cx, &ApiError::overloaded(why, cx.index())),
        Shape::Message => refuse_with(cx, 503, why),
    }
}

fn refuse(cx: &Context, why: &str, shape: Shape) -> Response {
    match shape {
        Shape::Error => error(cx, &ApiError::refused(UNAUTHORIZED, why, cx.index(), 401)),
        Shape::Message => refuse_with(cx, 401, why),
    }
}
