//! Requests about locks and elected leaders: from parameters to what is wanted
//! (docs/spec/modules.md sections 1 and 2).
//!
//! An election is a lock whose values are names, so both modules end in the same few requests. The
//! order of the checks is part of the protocol, since it decides which error a client sees.

use crate::api::error::{ApiError, INVALID_FIELD, TTL_NOT_A_NUMBER};
use crate::api::form::each_parameter;
use crate::api::keys::request::TTL_SECONDS_MAX;
use crate::config::Dialect;
use crate::http::request::{Method, Request};
use std::borrow::Cow;
use store::{ErrorCode, LockAction, LockEntry, Node};

const TIMEOUT_NOT_A_NUMBER: u16 = 205;
const NAME_REQUIRED: u16 = 206;
const INDEX_OR_VALUE_REQUIRED: u16 = 207;
const INDEX_AND_VALUE: u16 = 208;

/// No entry has this number: stands for an index that is none.
const NO_INDEX: u64 = 0;

/// Which of the two modules is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Module {
    Lock,
    Leader,
}

/// The operation of a request about a lock.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LockRequest<'a> {
    Acquire(Acquire<'a>),
    Renew { index: Option<u64>, value: Cow<'a, str>, ttl: i64 },
    Release { index: Option<u64>, value: Cow<'a, str> },
    Get(LockField),
}

/// A request to acquire a lock.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Acquire<'a> {
    pub(crate) value: Cow<'a, str>,
    pub(crate) ttl: i64,
    /// How many seconds it waits; nothing for as long as it takes.
    pub(crate) timeout: Option<u64>,
}

/// What of the holder is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockField {
    Value,
    Index,
    Unknown,
}

impl LockRequest<'_> {
    /// The command for the log; a read needs none.
    pub(crate) fn action(&self) -> Option<LockAction<'_>> {
        let entry = |index: &Option<u64>, value| match *index {
            Some(index) => LockEntry::Index(index),
            None => LockEntry::Value(value),
        };
        Some(match self {
            LockRequest::Acquire(Acquire { value, ttl, timeout }) => {
                LockAction::Acquire { value, ttl: *ttl, waits: *timeout != Some(0) }
            }
            LockRequest::Renew { index, value, ttl } => {
                let new = (index.is_some() && !value.is_empty()).then_some(&**value);
                LockAction::Renew { entry: entry(index, value), value: new, ttl: *ttl }
            }
            LockRequest::Release { index, value } => {
                LockAction::Release { entry: entry(index, value) }
            }
            LockRequest::Get(_) => return None,
        })
    }
}

/// The parameters that mean anything, as they were first given.
#[derive(Debug, Default)]
struct Fields<'a> {
    ttl: Cow<'a, str>,
    timeout: Cow<'a, str>,
    value: Cow<'a, str>,
    index: Cow<'a, str>,
    field: Cow<'a, str>,
    name: Cow<'a, str>,
}

impl<'a> Fields<'a> {
    /// The body goes before the query, and the first of several wins.
    fn read(request: &Request<'a>, dialect: Dialect, at: u64) -> Result<Self, ApiError> {
        let mut fields = Self::default();
        let mut known = [false; 6];
        each_parameter(request, dialect, at, |name, value| {
            let (slot, position) = match name {
                "ttl" => (&mut fields.ttl, 0),
                "timeout" => (&mut fields.timeout, 1),
                "value" => (&mut fields.value, 2),
                "index" => (&mut fields.index, 3),
                "field" => (&mut fields.field, 4),
                "name" => (&mut fields.name, 5),
                _ => return false,
            };
            if let Some(known) = known.get_mut(position)
                && !*known
            {
                *known = true;
                *slot = value;
            }
            true
        })?;
        Ok(fields)
    }

    fn index(&self) -> Option<u64> {
        let is_number = self.index.bytes().all(|byte| byte.is_ascii_digit());
        let index = self.index.parse().ok().filter(|_| is_number).unwrap_or(NO_INDEX);
        (!self.index.is_empty()).then_some(index)
    }
}

/// Reads a request. `at` is the store's index, which errors name.
pub(crate) fn parse<'a>(
    module: Module,
    request: &Request<'a>,
    dialect: Dialect,
    at: u64,
) -> Result<LockRequest<'a>, ApiError> {
    let fields = Fields::read(request, dialect, at)?;
    let error = |code, cause| Err(ApiError::new(code, cause, at));
    match (module, request.method) {
        (Module::Lock, Method::Post) => acquire(&fields, fields.value.clone(), at),
        (Module::Lock, Method::Put) => {
            let ttl = ttl(&fields, "Renew", at)?;
            if fields.index.is_empty() && fields.value.is_empty() {
                return error(INDEX_OR_VALUE_REQUIRED, "Renew");
            }
            Ok(LockRequest::Renew { index: fields.index(), value: fields.value, ttl })
        }
        (Module::Lock, Method::Delete) => {
            match (fields.index.is_empty(), fields.value.is_empty()) {
                (true, true) => error(INDEX_OR_VALUE_REQUIRED, "Release"),
                (false, false) => error(INDEX_AND_VALUE, "Release"),
                _ => Ok(LockRequest::Release { index: fields.index(), value: fields.value }),
            }
        }
        (Module::Leader, Method::Put) if fields.name.is_empty() => error(NAME_REQUIRED, "Set"),
        (Module::Leader, Method::Put) => acquire(&fields, fields.name.clone(), at),
        (Module::Leader, Method::Delete) if fields.name.is_empty() => {
            error(NAME_REQUIRED, "Delete")
        }
        (Module::Leader, Method::Delete) => {
            Ok(LockRequest::Release { index: None, value: fields.name })
        }
        (Module::Leader, _) => Ok(LockRequest::Get(LockField::Value)),
        (Module::Lock, _) => Ok(LockRequest::Get(match &*fields.field {
            "" | "value" => LockField::Value,
            "index" => LockField::Index,
            _ => LockField::Unknown,
        })),
    }
}

fn acquire<'a>(
    fields: &Fields<'a>,
    value: Cow<'a, str>,
    at: u64,
) -> Result<LockRequest<'a>, ApiError> {
    let timeout = match &*fields.timeout {
        "" => None,
        // Below zero is for ever.
        given => match given.parse::<i64>() {
            Ok(seconds) => u64::try_from(seconds).ok(),
            Err(_) => return Err(ApiError::new(TIMEOUT_NOT_A_NUMBER, "Acquire", at)),
        },
    };
    let ttl = ttl(fields, "Acquire", at)?;
    Ok(LockRequest::Acquire(Acquire { value, ttl, timeout }))
}

fn ttl(fields: &Fields<'_>, operation: &str, at: u64) -> Result<i64, ApiError> {
    match fields.ttl.parse::<i64>() {
        Ok(ttl) if (1..=TTL_SECONDS_MAX).contains(&ttl) => Ok(ttl),
        _ => Err(ApiError::new(TTL_NOT_A_NUMBER, operation, at)),
    }
}

/// What is read of a lock, whose directory is `lock` if it was ever used.
pub(crate) fn read(lock: Option<&Node>, field: LockField, at: u64) -> Result<String, ApiError> {
    let Some(lock) = lock else {
        return Err(ApiError::new(ErrorCode::KeyNotFound as u16, "", at));
    };
    match (lock.lock_holder(), field) {
        // A free lock is reported before the field is checked.
        (None, _) => Ok(String::new()),
        (Some((_, entry)), LockField::Value) => Ok(entry.value().unwrap_or_default().to_owned()),
        (Some((index, _)), LockField::Index) => Ok(index.to_string()),
        (Some(_), LockField::Unknown) => Err(ApiError::new(INVALID_FIELD, "Get", at)),
    }
}

/// The answer to a client whose patience ran out.
pub(crate) fn timed_out(seconds: u64, at: u64) -> ApiError {
    let cause = format!("Acquire: timed out after {seconds}s");
    ApiError::new(ErrorCode::CompareFailed as u16, cause, at)
}

#[cfg(test)]
mod tests;
