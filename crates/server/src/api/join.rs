//! Machines that ask for a place, and whether they are reached where they say. The leader dials the
//! address before it proposes anything: an unreachable member does not vote, counts towards the
//! majority all the same, and answers clients from an empty store.
//!
//! The address comes from a stranger, and so little is spent on it: few at a time, few in a second,
//! one short question, no redirects.

use super::admin::refuse_type;
use super::answers::{engine_error, error, redirect_to};
use super::call;
use super::error::{ApiError, INVALID_FORM, RAFT_INTERNAL};
use super::pending::{Joining, Waiting};
use crate::config::{Secret, TlsFiles};
use crate::http::browser::is_json;
use crate::http::request::Request;
use crate::http::url::encode_path;
use crate::join::{CLUSTER_FULL, HttpCaller, IdentityCard, JoinRequest, View, asked_about};
use crate::member::context::Context;
use crate::member::worker::Done;
use crate::net::{Caller, Key, Reply, Response};
use replica::{Answer, EngineError, Failure, Member, MemberId, Ticket};
use std::time::Duration;

/// The error codes of a refused machine (docs/spec/cluster.md section 4).
const ADDRESS_TAKEN: u16 = 109;
const NAME_TAKEN: u16 = 105;

/// How long a machine may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks a machine who it is, at the address that it gave.
fn reach(tls: Option<TlsFiles>, secret: &Secret, member: &Member) -> Result<(), String> {
    let caller = HttpCaller::for_members(tls, secret).in_haste(PATIENCE);
    let url = format!("{}/v2/peer/identity", member.peer_url);
    let reply = caller.get(&url)?;
    let card = match reply.status {
        200 => IdentityCard::parse(&reply.body)?,
        status => return Err(format!("{url}: answered {status}")),
    };
    if card.id == member.id {
        return Ok(());
    }
    let name = if card.name.is_empty() { "another machine" } else { &card.name };
    Err(format!("{name} answers there, with the id {}", card.id))
}

/// `/v2/peer/members`: who is a member, for machines of the cluster.
pub(crate) fn members(cx: &mut Context, query: &str) -> Response {
    cx.standbys.note(query, cx.now.monotonic);
    Response::json(200, view(cx, asked_about(query)).to_json())
}

/// The cluster as this member knows it.
pub(crate) fn view(cx: &Context, about: Option<MemberId>) -> View {
    let membership = cx.driver.membership();
    // Addresses that members announced, if they differ from the membership.
    let mut reached = cx.driver.network().callers();
    reached.retain(|(id, _)| membership.member(*id).is_some());
    View {
        cluster: cx.driver.cluster(),
        own: Some(cx.driver.status().id),
        term: cx.driver.status().term.0,
        leader: cx.driver.status().leader,
        founders: membership.founders().to_vec(),
        members: membership.members().cloned().collect(),
        reached,
        active_size: membership.config().active_size,
        sync_interval: membership.config().sync_interval,
        about: about.map(|id| cx.driver.about(id)),
    }
}

/// `/v2/peer/join`: a machine asks to join. Only the leader decides; others redirect to it.
pub(crate) fn serve(
    cx: &mut Context,
    caller: Caller,
    request: &Request<'_>,
    origin: &mut dyn FnMut() -> String,
) -> Reply<Waiting> {
    if let Err(refused) = call::believe(cx, request, origin) {
        return refused.into();
    }
    if !is_json(request.content_type) {
        return refuse_type().into();
    }
    let wanted = match JoinRequest::parse(request.body) {
        Ok(wanted) => wanted,
        Err(detail) => return error(cx, &ApiError::new(INVALID_FORM, detail, cx.index())).into(),
    };
    let status = cx.driver.status();
    if status.leader == Some(status.id) {
        return dial_back(cx, caller.key, wanted);
    }
    send_to_leader(cx).into()
}

/// Dials the machine that asks for a place, which it gets when it was reached.
fn dial_back(cx: &mut Context, key: Key, request: JoinRequest) -> Reply<Waiting> {
    if !cx.dial_backs.begin(cx.now.monotonic) {
        let cause = "too many machines are joining at the same time; try again";
        return error(cx, &ApiError::overloaded(cause, cx.index())).into();
    }
    let (member, tls) = (request.member.clone(), cx.config.peer_tls.clone());
    let (asked, secret) = (member.clone(), cx.config.finding.token.clone());
    let work = move || Done::Reached(key, reach(tls, &secret, &asked));
    if let Err(failed) = cx.workers.run_once("dial-back", work) {
        cx.dial_backs.end();
        let cause = format!("cannot connect to {}: {failed}", member.peer_url);
        return error(cx, &ApiError::overloaded(&cause, cx.index())).into();
    }
    wait_for(Joining { member, removes: false, request: Some(request) })
}

fn wait_for(joining: Joining) -> Reply<Waiting> {
    Reply::Wait(Waiting::Join(Box::new(joining)))
}

/// A machine was dialled that asks for a place.
pub(crate) fn reached(
    cx: &mut Context,
    key: Key,
    mut joining: Box<Joining>,
    verdict: Result<(), String>,
) -> Reply<Waiting> {
    let Some(request) = joining.request.take() else {
        return Reply::Wait(Waiting::Join(joining));
    };
    if let Err(detail) = verdict {
        let (at, own) = (&request.member.peer_url, &cx.config.name);
        let cause = format!("the leader, {own}, cannot reach {at}: {detail}; check -peer-addr");
        return error(cx, &ApiError::refused(RAFT_INTERNAL, cause, cx.index(), 409)).into();
    }
    give_place(cx, key, request)
}

/// Sends a machine that asks for a place to the leader.
fn send_to_leader(cx: &Context) -> Response {
    match cx.leader() {
        Some(leader) => {
            let location = format!("{}{}", leader.peer_url, encode_path("/v2/peer/join"));
            redirect_to(307, &location)
        }
        None => engine_error(cx, EngineError::NoLeader),
    }
}

/// Proposes that a machine becomes a member.
fn give_place(cx: &mut Context, key: Key, mut request: JoinRequest) -> Reply<Waiting> {
    let status = cx.driver.status();
    if status.leader != Some(status.id) {
        return send_to_leader(cx).into();
    }
    let ticket = Ticket(key.to_u64());
    let membership = cx.driver.membership();
    // A machine that an operator announced by its address has its id already.
    let is_it = |one: &&Member| one.peer_url == request.member.peer_url;
    if let Some(id) = membership.expected().find(is_it).map(|expected| expected.id) {
        request.member.id = id;
    }
    let named = membership.member_named(&request.member.name);
    let named = named.filter(|named| named.id != request.member.id).map(|named| named.id);
    let removes = match named {
        // A place that was never used is given again; one that was used only if the operator says
        // that the disk is lost, since the old self may have promised something.
        Some(id) if request.replace || !cx.driver.is_voter(id) => {
            cx.driver.propose_removal(ticket, id);
            true
        }
        _ => {
            cx.driver.propose_join(ticket, request.member.clone());
            false
        }
    };
    wait_for(Joining { member: request.member, removes, request: None })
}

/// What a step of a join came to.
pub(crate) fn stepped(
    cx: &mut Context,
    key: Key,
    mut joining: Box<Joining>,
    outcome: &Answer,
) -> Reply<Waiting> {
    match &outcome.outcome {
        Ok(_) if joining.removes => {
            joining.removes = false;
            cx.driver.propose_join(Ticket(key.to_u64()), joining.member.clone());
            Reply::Wait(Waiting::Join(joining))
        }
        Ok(_) => Response::json(200, view(cx, None).to_json()).into(),
        Err(Failure::Engine(failed)) => refuse(cx, &joining.member, *failed).into(),
        Err(Failure::Store(refused)) => error(cx, &ApiError::from_store(refused, false)).into(),
    }
}

/// The removal of a machine is done, or cannot be.
pub(crate) fn removed(cx: &Context, outcome: &Answer) -> Response {
    match &outcome.outcome {
        Err(Failure::Engine(EngineError::NoSuchMember)) | Ok(_) => removal_done(),
        Err(Failure::Engine(failed)) => engine_error(cx, *failed),
        Err(Failure::Store(refused)) => error(cx, &ApiError::from_store(refused, false)),
    }
}

/// A removal is done, possibly by a concurrent request.
pub(crate) fn removal_done() -> Response {
    Response::json(200, b"")
}

/// A join was refused.
fn refuse(cx: &Context, member: &Member, failed: EngineError) -> Response {
    let (index, name) = (cx.index(), &member.name);
    let refused = |code, cause: String, status| ApiError::refused(code, cause, index, status);
    let answer = match failed {
        EngineError::ClusterFull => {
            let code = u16::try_from(CLUSTER_FULL).expect("the code of 0.4 has three digits");
            refused(code, failed.to_string(), 403)
        }
        EngineError::NameTaken => {
            let cause = format!(
                "a machine named {name} is a member already. If its disk is lost, start it with \
                 -force-rejoin; if this is another machine, give it another -name"
            );
            refused(NAME_TAKEN, cause, 409)
        }
        EngineError::AddressTaken => {
            let cause = format!(
                "{name} is not allowed to join the cluster with existing URL {}",
                member.peer_url
            );
            refused(ADDRESS_TAKEN, cause, 409)
        }
        EngineError::Removed => refused(NAME_TAKEN, failed.to_string(), 410),
        EngineError::AlreadyMember => refused(NAME_TAKEN, failed.to_string(), 409),
        other => ApiError::from_engine(other, index),
    };
    error(cx, &answer)
}
