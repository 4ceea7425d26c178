//! `/v2/auth`: users, roles, and whether they count, as 2.x and 3.x have it; bodies, statuses and
//! messages as recorded from 3.4.23.
//!
//! What is read is confirmed by a majority, as it is there. A change is one command, so that two
//! that come at once are never mixed. A password gets its hash on a thread before the change is
//! proposed; neither it nor its hash is ever printed.

mod body;
pub(crate) mod resource;
pub(crate) mod waiting;

use super::admit;
use super::answers::{
    Shape, answer_2x, cause_of, engine_error, refuse_with as refuse, unauthorized,
};
use super::asker::Asker;
use super::members::body::error_body;
use super::pending::Waiting;
use crate::auth::Work;
use crate::http::request::{Method, Request};
use crate::http::response::JSON;
use crate::member::context::Context;
use crate::net::{Body, Caller, Key, Reply, Response};
use body::Wish;
use replica::{Answer, EngineError, Failure, Ticket};
use resource::Resource;
use std::net::IpAddr;
use store::{Applied, AuthChange, AuthDone, Command, ErrorCode, Principal, StoreError};
use waiting::{AuthRead, AuthWish, Wanted};

/// bcrypt's cost, as in etcd: some 60 ms for each password.
const HASH_COST: u32 = 10;

/// The most bytes that a user may be sent in: all but the password waits while the password gets
/// its hash, of as many users as may wait.
pub const USER_BYTES_MAX: usize = 64 << 10;

fn answer(cx: &Context, status: u16, body: impl Into<Body>) -> Response {
    Response { content_type: Some(JSON), ..answer_2x(cx, status, body) }
}

/// Serves a request whose sender may ask for it.
pub(crate) fn serve(
    cx: &mut Context,
    caller: Caller,
    request: &Request<'_>,
    resource: Resource<'_>,
    from: Option<IpAddr>,
) -> Reply<Waiting> {
    if resource == Resource::Invalid {
        return Response::json(400, error_body("Invalid path")).into();
    }
    if resource == Resource::WhoAmI {
        return who_am_i(cx, caller).into();
    }
    match request.method {
        Method::Put | Method::Delete => change(cx, caller, request, resource, from),
        _ => read(cx, caller, resource),
    }
}

/// Tells a sender who it is to this member. It is not asked whether a majority sees it so: a client
/// that is told so asks for something else next, and that is checked again.
fn who_am_i(cx: &Context, caller: Caller) -> Response {
    match body::who_am_i(cx.driver.store().auth(), cx.who) {
        Some(body) => answer(cx, 200, body),
        None => unauthorized(cx, caller, Shape::Message),
    }
}

fn read(cx: &mut Context, caller: Caller, resource: Resource<'_>) -> Reply<Waiting> {
    let wanted = match resource {
        Resource::Enable => Wanted::Enabled,
        Resource::Users => Wanted::Users,
        Resource::User(name) => Wanted::User(name.to_owned()),
        Resource::Roles => Wanted::Roles,
        Resource::Role(name) => Wanted::Role(name.to_owned()),
        Resource::WhoAmI | Resource::Invalid => unreachable!("it was answered before"),
    };
    let asker = if resource.is_public() { Asker::anybody() } else { Asker::admitted(cx) };
    match cx.driver.read(Ticket(caller.key.to_u64())) {
        Ok(()) => Reply::Wait(Waiting::AuthRead(Box::new(AuthRead { wanted, asker }))),
        Err(failed) => engine_error(cx, failed).into(),
    }
}

/// The read index was reached, or cannot be.
pub(crate) fn read_ready(
    cx: &mut Context,
    caller: Caller,
    read: &AuthRead,
    outcome: Result<(), EngineError>,
) -> Response {
    if let Err(failed) = outcome {
        return engine_error(cx, failed);
    }
    let users = cx.driver.store().auth();
    if !read.asker.is_admitted(users) {
        return unauthorized(cx, caller, Shape::Message);
    }
    let printed = match &read.wanted {
        Wanted::Enabled => Ok(body::enabled(users)),
        Wanted::Users => Ok(body::all_users(users)),
        Wanted::Roles => Ok(body::all_roles(users)),
        Wanted::User(name) => body::one_user(users, name),
        Wanted::Role(name) => body::one_role(users, name),
    };
    match printed {
        Ok(body) => answer(cx, 200, body),
        Err(unknown) => refuse(cx, 404, &unknown),
    }
}

fn change(
    cx: &mut Context,
    caller: Caller,
    request: &Request<'_>,
    resource: Resource<'_>,
    from: Option<IpAddr>,
) -> Reply<Waiting> {
    let is_put = request.method == Method::Put;
    if matches!(resource, Resource::User(_)) && request.body.len() > USER_BYTES_MAX {
        return refuse(cx, 413, &format!("a user takes at most {USER_BYTES_MAX} bytes")).into();
    }
    let opens_guest = cx.config.opens_guest;
    let (wish, name) = match resource {
        Resource::Enable if is_put => (Ok(AuthChange::Enable { opens_guest }.into()), ""),
        Resource::Enable => (Ok(AuthChange::Disable.into()), ""),
        Resource::User(name) if is_put => (body::put_user(name, request.body), name),
        Resource::User(name) => (Ok(AuthChange::DeleteUser { name: name.into() }.into()), name),
        Resource::Role(name) if is_put => (body::put_role(name, request.body), name),
        Resource::Role(name) => (Ok(AuthChange::DeleteRole { name: name.into() }.into()), name),
        Resource::Users | Resource::Roles | Resource::WhoAmI | Resource::Invalid => {
            unreachable!("these have no such method")
        }
    };
    let Wish { change, password } = match wish {
        Ok(wish) => wish,
        Err(message) => return refuse(cx, 400, message).into(),
    };
    let Some(password) = password else { return propose(cx, caller.key, change, name) };
    let password = password.into_bytes();
    let work = Work::Hash { password, key: caller.key, cost: HASH_COST };
    if !cx.auth.queue().push(from, name, work) {
        let message = "too many passwords are being hashed; try again later";
        return refuse(cx, 503, message).into();
    }
    if let Err(failed) = admit::start_thread(cx) {
        return failed.into();
    }
    let wish = AuthWish { change, name: name.to_owned(), who: cx.who };
    Reply::Wait(Waiting::Hash(Box::new(wish)))
}

/// The hash of a new password is there.
pub(crate) fn hashed(
    cx: &mut Context,
    key: Key,
    wish: AuthWish,
    hash: Result<String, String>,
) -> Reply<Waiting> {
    let AuthWish { mut change, name, who } = wish;
    let hash = match hash {
        Ok(hash) => hash,
        Err(failed) => return refuse(cx, 500, &failed).into(),
    };
    match &mut change {
        AuthChange::CreateUser { password_hash, .. }
        | AuthChange::PutUser { password_hash, .. }
        | AuthChange::UpdateUser { password_hash, .. } => *password_hash = Some(hash),
        _ => unreachable!("only users have passwords"),
    }
    cx.who = who;
    propose(cx, key, change, &name)
}

/// In whose name somebody changes something that only root may, and was admitted to: who is let in
/// by a certificate of a machine or by the cluster's secret acts as root.
pub(crate) fn acting_as(cx: &Context) -> Principal {
    let users = cx.driver.store().auth();
    if users.is_root(cx.who) { cx.who } else { users.root() }
}

fn propose(cx: &mut Context, key: Key, change: AuthChange, name: &str) -> Reply<Waiting> {
    let who = acting_as(cx);
    match cx.driver.propose_as(Ticket(key.to_u64()), who.into(), &Command::Auth(Box::new(change))) {
        Ok(()) => Reply::Wait(Waiting::AuthWrite(name.into())),
        Err(failed) => engine_error(cx, failed).into(),
    }
}

/// A change was made, or could not be.
pub(crate) fn changed(cx: &Context, caller: Caller, name: &str, outcome: &Answer) -> Response {
    match &outcome.outcome {
        Ok(Applied::Auth { done: AuthDone::User { user, created }, .. }) => {
            answer(cx, if *created { 201 } else { 200 }, body::changed_user(user))
        }
        Ok(Applied::Auth { done: AuthDone::Role { name, rights, created }, .. }) => {
            answer(cx, if *created { 201 } else { 200 }, body::role(name, rights))
        }
        Ok(Applied::Auth { done: AuthDone::Done, .. }) => answer(cx, 200, Body::Empty),
        // Its entry came in a snapshot: it was made, and what there is now is shown.
        Ok(_) => match cx.driver.store().auth().user(name) {
            Some(user) => answer(cx, 200, body::changed_user(user)),
            None => answer(cx, 200, Body::Empty),
        },
        Err(Failure::Store(refused)) => refused_by_store(cx, caller, refused),
        Err(Failure::Engine(failed)) => {
            cx.meters.proposals_failed.add_one();
            refuse(cx, 500, &cause_of(cx, *failed))
        }
    }
}

fn refused_by_store(cx: &Context, caller: Caller, refused: &StoreError) -> Response {
    let status = match refused.code {
        ErrorCode::Unauthorized => return unauthorized(cx, caller, Shape::Message),
        ErrorCode::AuthForbidden => 403,
        ErrorCode::AuthUnknown => 404,
        ErrorCode::AuthConflict => 409,
        _ => 400,
    };
    refuse(cx, status, &format!("auth: {}", refused.cause))
}
