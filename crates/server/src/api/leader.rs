//! `/v2/admin/leader`: which member is to lead.
//!
//! The leader hands over, so that a follower sends its clients there. One handover is under way at
//! a time; everybody who asked for it waits for the same outcome.

use super::admin::refuse_type;
use super::answers::{engine_error, error};
use super::error::{ApiError, INVALID_FORM, RAFT_INTERNAL};
use super::members::body::member_body;
use super::pending::Waiting;
use super::redirect;
use crate::config::{Dialect, Port};
use crate::http::browser::is_json;
use crate::http::request::Request;
use crate::join::parse_id;
use crate::member::context::Context;
use crate::net::{Caller, Reply, Response};
use crate::notice::notice;
use replica::{EngineError, HandOverRefused, MemberId, Role};
use serde::Deserialize;

/// How many election time-outs an election may take that was called on request.
const ELECTIONS_MAX: u64 = 5;

/// The body of a request. Without either it may be any member.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    id: Option<String>,
    name: Option<String>,
}

/// `PUT /v2/admin/leader`.
pub(crate) fn serve(cx: &mut Context, caller: Caller, request: &Request<'_>) -> Reply<Waiting> {
    if request.sender.origin.is_some() && !is_json(request.content_type) {
        return refuse_type().into();
    }
    if cx.driver.status().role != Role::Leader {
        return send_on(cx, caller, request).into();
    }
    match wanted(cx, request.body).and_then(|target| begin(cx, target)) {
        Ok(target) if target == cx.driver.status().id => leads(cx, caller.port.dialect()).into(),
        Ok(_) => {
            cx.hand_over.waiting.push((caller.key, caller.port.dialect()));
            Reply::Wait(Waiting::HandOver)
        }
        Err(refused) => error(cx, &refused).into(),
    }
}

/// Sends a client to the leader, which alone can hand over.
fn send_on(cx: &Context, caller: Caller, request: &Request<'_>) -> Response {
    let Some(leader) = cx.leader().filter(|_| cx.hears_leader()) else {
        return engine_error(cx, EngineError::NoLeader);
    };
    let url = match caller.port {
        Port::Peer => leader.peer_url.as_str(),
        Port::Client(dialect) => dialect.url_of(leader, caller.is_tls),
    };
    redirect::to_leader(url, request)
}

/// The member that a body names.
fn wanted(cx: &Context, body: &[u8]) -> Result<Option<MemberId>, ApiError> {
    let wanted = match body {
        [] => Wanted::default(),
        body => serde_json::from_slice(body).map_err(|wrong| {
            let cause = format!("the body is not {{\"id\":ID}} or {{\"name\":NAME}}: {wrong}");
            ApiError::new(INVALID_FORM, cause, cx.index())
        })?,
    };
    let members = cx.driver.membership();
    let (word, found) = match (&wanted.id, &wanted.name) {
        (None, None) => return Ok(None),
        (Some(id), None) => {
            let parsed = parse_id(id).map(MemberId);
            (id, parsed.and_then(|id| members.member(id)))
        }
        (None, Some(name)) => (name, members.member_named(name)),
        (Some(_), Some(_)) => {
            let cause = "give the id or the name, and not both";
            return Err(ApiError::new(INVALID_FORM, cause, cx.index()));
        }
    };
    let unknown = || ApiError::new(100, format!("/_etcd/machines/{word}"), cx.index());
    found.map(|member| Some(member.id)).ok_or_else(unknown)
}

/// Begins to hand over; gives to whom.
fn begin(cx: &mut Context, target: Option<MemberId>) -> Result<MemberId, ApiError> {
    let name = target.map_or_else(String::new, |id| cx.name_of(id));
    if let Some(id) = target.filter(|id| cx.is_stuck(*id)) {
        let cause = format!("the disk of {} takes no writes; nothing was done", cx.name_of(id));
        return Err(conflict(cx, cause));
    }
    let status = cx.driver.status();
    let is_new = cx.driver.handing_over_to().is_none();
    let refused = match cx.driver.hand_over(target) {
        Ok(id) => {
            if is_new && id != status.id {
                let patience_ns = cx.config.election_timeout_ms.saturating_mul(1_000_000);
                let hand_over = &mut cx.hand_over;
                hand_over.last = Some((status.term, id));
                hand_over.until = cx.now.monotonic + ELECTIONS_MAX * patience_ns;
                notice!(LeaderHandOver, "", "to {}, as an administrator asked", cx.name_of(id));
            }
            return Ok(id);
        }
        Err(refused) => refused,
    };
    let cause = match refused {
        HandOverRefused::NotLeader => {
            return Err(ApiError::from_engine(EngineError::NoLeader, cx.index()));
        }
        HandOverRefused::UnderWay(id) => {
            let other = cx.name_of(id);
            format!("leadership is being handed over to {other}; nothing was done, try again")
        }
        HandOverRefused::Nobody => {
            let cause = "no other voting member is heard: nobody could lead; nothing was done";
            return Err(conflict(cx, cause.to_owned()));
        }
        HandOverRefused::NotVoter => {
            let cause = format!("{name} does not vote yet, so it cannot lead; nothing was done");
            return Err(conflict(cx, cause));
        }
        HandOverRefused::Silent => {
            let cause = format!("{name} is not heard, so it cannot lead; nothing was done");
            return Err(conflict(cx, cause));
        }
        HandOverRefused::Behind(entries) => {
            let cause = format!("{name} is {entries} entries behind the leader; nothing was done");
            return Err(conflict(cx, cause));
        }
    };
    Err(ApiError::overloaded(&cause, cx.index()))
}

/// What does not come right by itself.
fn conflict(cx: &Context, cause: String) -> ApiError {
    ApiError::refused(RAFT_INTERNAL, cause, cx.index(), 409)
}

/// The member that leads.
fn leads(cx: &Context, dialect: Dialect) -> Response {
    match cx.leader() {
        Some(leader) => Response::json(200, member_body(leader, dialect)),
        None => engine_error(cx, EngineError::NoLeader),
    }
}

/// Answers those who wait, once it is known who leads, or that nobody took over.
pub(crate) fn look(cx: &mut Context) {
    if cx.hand_over.waiting.is_empty() {
        return;
    }
    let Some((term, target)) = cx.hand_over.last else { return };
    let status = cx.driver.status();
    let next = status.leader.filter(|_| status.term > term);
    let is_given_up = status.term == term && cx.driver.handing_over_to().is_none();
    let is_late = cx.now.monotonic >= cx.hand_over.until;
    if next.is_none() && !is_given_up && !is_late {
        return;
    }
    let failed = match next {
        Some(id) if id == target => None,
        Some(id) => {
            let (other, name) = (cx.name_of(id), cx.name_of(target));
            Some(conflict(cx, format!("{other} was elected in the place of {name}; try again")))
        }
        None => {
            let name = cx.name_of(target);
            let cause = match is_given_up {
                true => format!("{name} did not take over in time; nothing was done, try again"),
                false => format!("the election that {name} was to win has no outcome yet"),
            };
            Some(ApiError::overloaded(&cause, cx.index()))
        }
    };
    for (key, dialect) in std::mem::take(&mut cx.hand_over.waiting) {
        let response = match &failed {
            None => leads(cx, dialect),
            Some(failed) => error(cx, failed),
        };
        cx.answer(key, response);
    }
}
