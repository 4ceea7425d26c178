//! Requests of the API before v2, as 0.4 still served it (docs/spec/keys.md section 15).

use super::{
    Fields, Form, Get, KeysRequest, Watch, Write, WriteKind, parse_index, parse_ttl, text,
};
use crate::api::error::{ApiError, INDEX_NOT_A_NUMBER, TTL_NOT_A_NUMBER, VALUE_REQUIRED};
use crate::config::Dialect;
use crate::http::request::{Method, Request};

/// Reads a request for `/v1/keys/KEY`. `index` is the store's, which errors name.
///
/// # Errors
/// 200 without a value, 202 for an invalid TTL, 210 for an invalid form.
pub(crate) fn parse_key<'a>(
    request: &Request<'a>,
    index: u64,
) -> Result<KeysRequest<'a>, ApiError> {
    let fields = Fields::read(request, Dialect::V04, index)?;
    match request.method {
        Method::Put | Method::Post => set(fields, index),
        Method::Delete => Ok(write(WriteKind::Delete, Fields::default(), None)),
        _ => {
            let (recursive, hidden, quorum, form) = (false, false, false, Form::V1);
            let (view, has, takes_gzip) = (None, None, false);
            Ok(KeysRequest::Get(Get { recursive, hidden, quorum, form, view, has, takes_gzip }))
        }
    }
}

/// Reads a request for `/v1/watch/KEY`: GET waits for what comes, POST from an index on.
///
/// # Errors
/// 203 for an invalid index, 210 for an invalid form.
pub(crate) fn parse_watch<'a>(
    request: &Request<'a>,
    index: u64,
) -> Result<KeysRequest<'a>, ApiError> {
    let mut wait_index = 0;
    if request.method == Method::Post {
        let fields = Fields::read(request, Dialect::V04, index)?;
        let Some(from) = parse_index(text(&fields.index)) else {
            return Err(ApiError::new(INDEX_NOT_A_NUMBER, "Watch From Index", index));
        };
        wait_index = from;
    }
    let (recursive, hidden, stream, progress, form) = (false, false, false, false, Form::V1);
    Ok(KeysRequest::Watch(Watch { recursive, hidden, stream, progress, wait_index, form }))
}

/// A set; with a `prevValue` a test-and-set, with an empty one a creation.
fn set(mut fields: Fields<'_>, index: u64) -> Result<KeysRequest<'_>, ApiError> {
    if text(&fields.value).is_empty() {
        return Err(ApiError::new(VALUE_REQUIRED, "Set", index));
    }
    let Ok(ttl) = parse_ttl(text(&fields.ttl)) else {
        return Err(ApiError::new(TTL_NOT_A_NUMBER, "Set", index));
    };
    let (value, prev_value) = (fields.value.take(), fields.prev_value.take());
    let kind = match prev_value.as_deref() {
        None => WriteKind::Set,
        Some("") => WriteKind::Create,
        Some(_) => WriteKind::CompareAndSwap { or_create: false },
    };
    // The parameters that only v2 knows mean nothing here.
    Ok(write(kind, Fields { value, prev_value, ..Fields::default() }, ttl))
}

fn write(kind: WriteKind, fields: Fields<'_>, ttl: Option<i64>) -> KeysRequest<'_> {
    KeysRequest::Write(Write { kind, fields, ttl, prev_index: None, form: Form::V1 })
}
