//! `/v2/members`: the members in the words of 2.x (docs/spec/cluster.md section 8.1).
//!
//! A member that is added there is only expected: it has an id and a peer URL, and takes part in
//! nothing. The machine that asks for a place from that address later is given the id, so that what
//! `etcdctl member add` printed stays true.

pub(crate) mod body;

use super::answers::{answer_2x as answer, cause_of, refuse_with as refuse};
use super::error::ApiError;
use super::pending::{MemberChange, Waiting};
use crate::config::Dialect;
use crate::http::request::{Method, Request};
use crate::join::{derive_id, parse_id};
use crate::member::context::Context;
use crate::net::{Body, Caller, Reply, Response};
use body::{member_body, members_body, parse_peer_url};
use replica::{Answer, EngineError, Failure, Member, MemberId, Ticket};

const JSON_ONLY: &[u8] = b"application/json";

/// `/v2/members`.
pub(crate) fn serve_all(cx: &mut Context, caller: Caller, request: &Request<'_>) -> Reply<Waiting> {
    if request.method == Method::Post {
        return add(cx, caller, request).unwrap_or_else(Reply::Now);
    }
    let membership = cx.driver.membership();
    let mut members: Vec<&Member> = membership.members().chain(membership.expected()).collect();
    members.sort_by_key(|member| member.id);
    let bare: Vec<Member>;
    if !cx.driver.has_store() {
        // A machine that has just joined does not know all addresses yet.
        let without = |one: &&Member| Member {
            id: one.id,
            name: one.name.clone(),
            peer_url: one.peer_url.clone(),
            ..Member::default()
        };
        bare = members.iter().map(without).collect();
        members = bare.iter().collect();
    }
    answer(cx, 200, members_body(&members, caller.port.dialect())).into()
}

/// One member: by the word `leader` for those who read, by its id for those who write.
pub(crate) fn serve_one(
    cx: &mut Context,
    caller: Caller,
    request: &Request<'_>,
    id: &str,
) -> Reply<Waiting> {
    match request.method {
        Method::Put => update(cx, caller, request, id).unwrap_or_else(Reply::Now),
        Method::Delete => delete(cx, caller, id).unwrap_or_else(Reply::Now),
        _ if id != "leader" => refuse(cx, 404, "Not found").into(),
        _ => match cx.leader().filter(|_| cx.hears_leader()) {
            Some(leader) => answer(cx, 200, member_body(leader, caller.port.dialect())).into(),
            None => refuse(cx, 503, "During election").into(),
        },
    }
}

/// The peer URL in a request.
fn wanted_url(cx: &Context, request: &Request<'_>) -> Result<String, Response> {
    let content_type = request.content_type.unwrap_or_default();
    if content_type != JSON_ONLY {
        let sent = String::from_utf8_lossy(content_type);
        let message = format!("Bad Content-Type {sent}, accept application/json");
        return Err(refuse(cx, 415, &message));
    }
    parse_peer_url(request.body).map_err(|message| refuse(cx, 400, &message))
}

/// The member or the expected machine with an id.
fn listed(cx: &Context, id: MemberId) -> Option<Member> {
    let membership = cx.driver.membership();
    let mut all = membership.members().chain(membership.expected());
    all.find(|member| member.id == id).cloned()
}

fn is_url_taken(cx: &Context, url: &str, by_other_than: MemberId) -> bool {
    let membership = cx.driver.membership();
    let mut all = membership.members().chain(membership.expected());
    all.any(|member| member.id != by_other_than && member.peer_url == url)
}

fn add(
    cx: &mut Context,
    caller: Caller,
    request: &Request<'_>,
) -> Result<Reply<Waiting>, Response> {
    let peer_url = wanted_url(cx, request)?;
    let (cluster, time) = (cx.driver.cluster().to_string(), cx.now.wall.to_string());
    let ticket = Ticket(caller.key.to_u64());
    let id = MemberId(derive_id(&[&cluster, &peer_url, &time, &ticket.0.to_string()]));
    let member = Member { id, peer_url, ..Member::default() };
    if is_url_taken(cx, &member.peer_url, id) {
        return Err(refuse(cx, 409, "peerURL exists"));
    }
    cx.driver.propose_member(ticket, member.clone());
    Ok(wait_for(MemberChange::Add(member)))
}

/// A member, or a machine that is expected.
fn known(cx: &Context, text: &str) -> Result<Member, Response> {
    let id = parse_id(text).map(MemberId);
    id.and_then(|id| listed(cx, id)).ok_or_else(|| {
        match id.filter(|id| cx.driver.membership().was_removed(*id)) {
            Some(id) => refuse(cx, 410, &format!("Member permanently removed: {id}")),
            None => refuse(cx, 404, &format!("No such member: {text}")),
        }
    })
}

fn update(
    cx: &mut Context,
    caller: Caller,
    request: &Request<'_>,
    id: &str,
) -> Result<Reply<Waiting>, Response> {
    let mut member = known(cx, id)?;
    let peer_url = wanted_url(cx, request)?;
    if is_url_taken(cx, &peer_url, member.id) {
        return Err(refuse(cx, 409, "peerURL exists"));
    }
    member.peer_url = peer_url;
    cx.driver.propose_member(Ticket(caller.key.to_u64()), member.clone());
    Ok(wait_for(MemberChange::Update(member)))
}

fn delete(cx: &mut Context, caller: Caller, id: &str) -> Result<Reply<Waiting>, Response> {
    let member = known(cx, id)?;
    let ticket = Ticket(caller.key.to_u64());
    if member.name.is_empty() {
        cx.driver.propose_forgetting(ticket, member.id);
    } else {
        cx.driver.propose_expulsion(ticket, member.id);
    }
    Ok(wait_for(MemberChange::Remove(member.id)))
}

fn wait_for(change: MemberChange) -> Reply<Waiting> {
    Reply::Wait(Waiting::Member(Box::new(change)))
}

/// What was asked for is in the log. Whether it came about is seen in the table, since somebody
/// else may have been quicker.
pub(crate) fn changed(cx: &mut Context, change: &MemberChange, outcome: &Answer) -> Response {
    let is_removal = matches!(change, MemberChange::Remove(_));
    match &outcome.outcome {
        Ok(_) => came_about(cx, change),
        Err(Failure::Engine(EngineError::NoSuchMember)) if is_removal => removed(cx),
        Err(Failure::Engine(failed)) => {
            cx.meters.proposals_failed.add_one();
            let status = ApiError::from_engine(*failed, 0).status();
            refuse(cx, status, &cause_of(cx, *failed))
        }
        Err(Failure::Store(_)) => refuse(cx, 500, "Internal Server Error"),
    }
}

/// A member was removed.
pub(crate) fn removed(cx: &Context) -> Response {
    answer(cx, 204, Body::Empty)
}

fn came_about(cx: &Context, change: &MemberChange) -> Response {
    match change {
        MemberChange::Add(member) => match listed(cx, member.id) {
            // It has no address for clients yet, in any dialect.
            Some(_) => answer(cx, 201, member_body(member, Dialect::V2)),
            None if is_url_taken(cx, &member.peer_url, member.id) => {
                refuse(cx, 409, "peerURL exists")
            }
            None => refuse(cx, 409, "too many members are expected"),
        },
        MemberChange::Update(member) => match listed(cx, member.id) {
            Some(listed) if listed.peer_url == member.peer_url => answer(cx, 204, Body::Empty),
            _ => refuse(cx, 409, "the member has changed; try again"),
        },
        MemberChange::Remove(id) if listed(cx, *id).is_some() => {
            // It has come just now, so that it is a member and not only expected.
            refuse(cx, 409, "the member has just started; try again")
        }
        MemberChange::Remove(_) => removed(cx),
    }
}
