//! The lock and leader modules: requests become commands of the store, and clients that have to
//! wait are kept until their turn comes (docs/spec/modules.md sections 1 and 2).

pub(crate) mod queueing;
pub(crate) mod request;
pub(crate) mod waiters;

use super::answers::{Shape, engine_error, error, not_found, unauthorized};
use super::error::{ApiError, INVALID_FIELD};
use super::pending::Waiting;
use crate::config::Port;
use crate::http::request::Request;
use crate::member::context::Context;
use crate::net::{Body, Caller, Reply, Response};
use queueing::known;
use replica::{Answer, EngineError, Failure, Ticket};
use request::{LockField, LockRequest, Module};
use store::{Access, Command, KeyPath, LOCK_ROOT, Right};

/// Serves a request to one of the modules. `name` is what follows in the path.
pub(crate) fn serve(
    cx: &mut Context,
    caller: Caller,
    request: &Request<'_>,
    module: Module,
    name: &str,
) -> Reply<Waiting> {
    let Port::Client(dialect) = caller.port else { return not_found().into() };
    let at = cx.index();
    let dir = format!("{LOCK_ROOT}/{name}");
    let Ok(path) = KeyPath::parse(&dir) else {
        let refused = ApiError::new(INVALID_FIELD, "the name has too many components", at);
        return error(cx, &refused).into();
    };
    let wanted = match request::parse(module, request, dialect, at) {
        Ok(wanted) => wanted,
        Err(refused) => return error(cx, &refused).into(),
    };
    let right = match wanted {
        LockRequest::Get(_) => Right::Read,
        _ => Right::Write,
    };
    if !may(cx, path, right) {
        return unauthorized(cx, caller, Shape::Error).into();
    }
    match (&wanted, wanted.action()) {
        (LockRequest::Acquire(acquire), Some(action)) => {
            queueing::acquire(cx, caller, path, acquire, action)
        }
        (LockRequest::Get(field), _) => read(cx, caller, path, *field),
        (_, Some(action)) => {
            let command = Command::Lock { dir: path, action };
            match cx.driver.propose_as(Ticket(caller.key.to_u64()), cx.who.into(), &command) {
                Ok(()) => Reply::Wait(Waiting::LockWrite),
                Err(failed) => engine_error(cx, failed).into(),
            }
        }
        (_, None) => unreachable!("only a read has no command"),
    }
}

/// Whether the client may do this with a lock: it needs the right to the lock's directory.
fn may(cx: &Context, path: KeyPath<'_>, right: Right) -> bool {
    cx.driver.store().auth().allows(cx.who, Access::new(path, right))
}

/// Who holds a lock is read as it is, not as this member remembers it.
fn read(cx: &mut Context, caller: Caller, path: KeyPath<'_>, field: LockField) -> Reply<Waiting> {
    cx.note_read();
    match cx.driver.read(Ticket(caller.key.to_u64())) {
        Ok(()) => Reply::Wait(Waiting::LockRead { dir: path.as_str().into(), field, who: cx.who }),
        Err(failed) => engine_error(cx, failed).into(),
    }
}

/// The store is fresh enough for a read of a lock, or cannot be.
pub(crate) fn read_ready(
    cx: &mut Context,
    caller: Caller,
    dir: &str,
    field: LockField,
    outcome: Result<(), EngineError>,
) -> Response {
    if let Err(failed) = outcome {
        return engine_error(cx, failed);
    }
    if !may(cx, known(dir), Right::Read) {
        return unauthorized(cx, caller, Shape::Error);
    }
    let store = cx.driver.store();
    let node = store.peek(known(dir)).filter(store::Node::is_dir);
    match request::read(node.as_ref(), field, store.index().0) {
        Ok(text) => Response::text(200, text),
        Err(refused) => error(cx, &refused),
    }
}

/// A renewal or a release is done, or cannot be.
pub(crate) fn written(cx: &mut Context, answer: &Answer) -> Response {
    match &answer.outcome {
        Ok(_) => Response::text(200, Body::Empty),
        Err(Failure::Store(refused)) => error(cx, &ApiError::from_store(refused, false)),
        Err(Failure::Engine(failed)) => engine_error(cx, *failed),
    }
}
