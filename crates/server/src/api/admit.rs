//! Who asks, and what it has to be for that: the rules are in the table of docs/security.md.
//!
//! Here is decided who a client is, before anything is done for it. What a user may do with a key
//! is asked where it is done: of the store, at the place of the log where a write is applied.

use super::answers::{Shape, error, unauthorized};
use super::auth::resource::Resource;
use super::call::{self, LetIn};
use super::error::ApiError;
use super::pending::Waiting;
use super::route::Route;
use crate::auth::Identity;
use crate::http::request::{Method, Request};
use crate::member::context::Context;
use crate::net::{Caller, Reply, Response};
use std::net::IpAddr;
use store::Principal;

/// What is known of the connection of a request beside what it says.
pub(crate) trait Remote {
    /// Where it comes from, for the log.
    fn origin(&mut self) -> String;
    /// Its address; nothing for a socket of this machine.
    fn address(&mut self) -> Option<IpAddr>;
    /// The name in the certificate that it showed, if such names are users.
    fn certificate_user(&mut self) -> Option<String>;
}

/// Who may ask for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Everybody: it tells no keys, and changes nothing.
    Open,
    /// Machines of the cluster: its handler asks for their proof, each in its own way.
    Machine,
    /// Where users count, whoever has the right; it is looked at where it matters.
    Rights,
    /// Who administers the cluster; see [`call::administer`].
    Administer,
    /// The same where users count, and everybody where they do not.
    AdministerUsers,
}

/// The rules of all resources, which docs/security.md lists for readers. A resource that is not
/// named here is not served: there is no other door.
fn rule(route: Route<'_>, method: Method) -> Rule {
    let is_read = matches!(method, Method::Get | Method::Head);
    match route {
        Route::Keys(_) | Route::V1(..) | Route::Module(..) => Rule::Rights,
        Route::Auth(Resource::WhoAmI) => Rule::Rights,
        Route::Auth(resource) if is_read && resource.is_public() => Rule::Open,
        Route::Auth(_) if is_read => Rule::AdministerUsers,
        Route::Auth(_) | Route::AdminBackup | Route::AdminIndex | Route::AdminLeader => {
            Rule::Administer
        }
        Route::Members | Route::Member(_) | Route::AdminConfig | Route::AdminMachine(_) => {
            if is_read {
                Rule::Open
            } else {
                Rule::Administer
            }
        }
        Route::PeerStream | Route::PeerJoin | Route::PeerMembers => Rule::Machine,
        // Both come before a proof.
        Route::PeerChallenge | Route::PeerIdentity => Rule::Open,
        Route::Version
        | Route::Machines
        | Route::Leader
        | Route::Peers
        | Route::StatsSelf
        | Route::StatsStore
        | Route::StatsLeader
        | Route::StatsCluster
        | Route::StatsHistory
        | Route::StatsTimes
        | Route::AdminMachines
        | Route::Health
        | Route::Livez
        | Route::Readyz
        | Route::Metrics
        | Route::OpenApi
        | Route::Dashboard(_)
        | Route::NotFound => Rule::Open,
    }
}

/// The form of a refusal.
fn shape(route: Route<'_>) -> Shape {
    match route {
        Route::Members | Route::Member(_) | Route::Auth(_) => Shape::Message,
        _ => Shape::Error,
    }
}

/// Applies the rule of a resource to a request; who sent it is in [`Context::who`] from then on.
///
/// Gives the reply, where the request cannot be served now or at all.
pub(crate) fn admit(
    cx: &mut Context,
    caller: Caller,
    request: &Request<'_>,
    route: Route<'_>,
    remote: &mut dyn Remote,
) -> Option<Reply<Waiting>> {
    (cx.who, cx.is_let_in) = (Principal::Guest, false);
    let counts_users = cx.driver.store().auth().is_enabled();
    let rule = rule(route, request.method);
    match rule {
        Rule::Open | Rule::Machine => return None,
        Rule::Rights | Rule::AdministerUsers => {
            if request.authorization.is_some() && !call::knows_users(cx) {
                // It would be taken for a guest, and refused what it may do.
                return Some(call::without_users(cx, shape(route)).into());
            }
            if !counts_users {
                return None;
            }
        }
        Rule::Administer => {}
    }
    if counts_users && let Some(reply) = identify(cx, caller, request, route, remote) {
        return Some(reply);
    }
    if rule == Rule::Rights {
        return None;
    }
    match call::administer(cx, caller, request, shape(route)) {
        Ok(let_in) => {
            cx.is_let_in = let_in == LetIn::Proof;
            None
        }
        Err(refused) => Some(refused.into()),
    }
}

/// Finds out who sends a request. Gives the reply, where that is not known yet or is not true.
fn identify(
    cx: &mut Context,
    caller: Caller,
    request: &Request<'_>,
    route: Route<'_>,
    remote: &mut dyn Remote,
) -> Option<Reply<Waiting>> {
    let users = cx.driver.store().auth();
    let Some(header) = request.authorization else {
        if let Some(name) = remote.certificate_user()
            && let Some(user) = users.user(&name)
        {
            cx.who = Principal::User { id: user.id, password: None };
        }
        return None;
    };
    match cx.auth.identify(users, header) {
        Identity::Proven(who) => {
            cx.who = who;
            None
        }
        Identity::Wrong => Some(unauthorized(cx, caller, shape(route)).into()),
        Identity::Unknown(unchecked) => {
            let from = remote.address();
            if cx.auth.check(users, unchecked, (caller.key, from)).is_err() {
                let cause = "too many passwords are being checked; try again later";
                return Some(error(cx, &ApiError::overloaded(cause, cx.index())).into());
            }
            if let Err(failed) = start_thread(cx) {
                cx.auth.forget(caller.key);
                return Some(failed.into());
            }
            Some(Reply::Hold(Waiting::Credentials))
        }
    }
}

/// Starts the thread that works on passwords, at the first of them.
///
/// # Errors
/// The refusal, when the system gives none.
pub(crate) fn start_thread(cx: &mut Context) -> Result<(), Response> {
    cx.workers.work_on_passwords(cx.auth.queue()).map_err(|failed| {
        let cause = format!("cannot start a thread for passwords: {failed}");
        error(cx, &ApiError::overloaded(&cause, cx.index()))
    })
}
