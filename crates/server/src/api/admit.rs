//! Who asks, and what it has to be for that: the rules are in the table of docs/security.md.
//!
//! Here is decided who a client is, before anything is done for it. What a user may do with a key
//! is asked where it is done: of the store, at the place of the log where a write is applied.

use super::answers::{Shape, error, unauthorized};
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

/// What a request has to prove where users count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// Nothing: it tells no keys, and changes nothing.
    Nothing,
    /// Who it is: its rights are looked at where they matter.
    Rights,
    /// That it may do everything.
    Root,
}

fn need(route: Route<'_>, method: Method) -> Need {
    let is_read = matches!(method, Method::Get | Method::Head);
    match route {
        Route::Keys(_) | Route::V1(..) | Route::Module(..) => Need::Rights,
        Route::Auth(resource) if is_read && resource.is_public() => Need::Nothing,
        Route::Auth(_) | Route::AdminBackup | Route::AdminIndex => Need::Root,
        Route::Members | Route::Member(_) | Route::AdminConfig | Route::AdminMachine(_) => {
            if is_read {
                Need::Nothing
            } else {
                Need::Root
            }
        }
        // Machines prove to one another that they belong to the cluster.
        Route::PeerStream
        | Route::PeerChallenge
        | Route::PeerJoin
        | Route::PeerMembers
        | Route::PeerIdentity => Need::Nothing,
        Route::Version
        | Route::Machines
        | Route::Leader
        | Route::Peers
        | Route::StatsSelf
        | Route::StatsStore
        | Route::StatsLeader
        | Route::StatsCluster
        | Route::AdminMachines
        | Route::Health
        | Route::Livez
        | Route::Readyz
        | Route::Metrics
        | Route::Dashboard(_)
        | Route::NotFound => Need::Nothing,
    }
}

/// The form of a refusal.
fn shape(route: Route<'_>) -> Shape {
    match route {
        Route::Members | Route::Member(_) | Route::Auth(_) => Shape::Message,
        _ => Shape::Error,
    }
}

/// Finds out who sends a request, into [`Context::who`].
///
/// Gives the reply, where the request cannot be served now or at all.
pub(crate) fn identify(
    cx: &mut Context,
    caller: Caller,
    request: &Request<'_>,
    route: Route<'_>,
    remote: &mut dyn Remote,
) -> Option<Reply<Waiting>> {
    cx.who = Principal::Guest;
    if !cx.driver.store().auth().is_enabled() || need(route, request.method) == Need::Nothing {
        return None;
    }
    let Some(header) = request.authorization else {
        if let Some(name) = remote.certificate_user()
            && let Some(user) = cx.driver.store().auth().user(&name)
        {
            cx.who = Principal::User { id: user.id, password: None };
        }
        return None;
    };
    let users = cx.driver.store().auth();
    match cx.auth.identify(users, header) {
        Identity::Proven(who) => {
            cx.who = who;
            None
        }
        Identity::Wrong => Some(unauthorized(cx, caller, shape(route)).into()),
        Identity::Unknown => {
            let from = remote.address();
            if cx.auth.check(users, header, (caller.key, from)).is_err() {
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
