//! Where parameters come from: the form in the body, and the query (docs/spec/keys.md section 3).
//!
//! What was not understood changes nothing. A body that cannot be read as a form, for its content
//! type, its encoding or what is in it, would else be a form without a value, and empty a key.

use super::error::{ApiError, INVALID_FORM};
use crate::config::Dialect;
use crate::http::request::{Method, Request};
use crate::http::url::{BadForm, each_field};
use std::borrow::Cow;

/// Calls `field` for each pair of the body and then of the query. It says whether it knows the
/// name. The body of a method whose parameters are in the query alone must be readable too.
///
/// # Errors
/// 210 with what cannot be read, and this index.
pub(crate) fn each_parameter<'a>(
    request: &Request<'a>,
    dialect: Dialect,
    index: u64,
    mut field: impl FnMut(&str, Cow<'a, str>) -> bool,
) -> Result<(), ApiError> {
    let refused = |cause: String| ApiError::new(INVALID_FORM, cause, index);
    let each = |form: &'a [u8], field: &mut dyn FnMut(&str, Cow<'a, str>) -> bool| {
        let mut knows_any = false;
        let read = each_field(form, dialect == Dialect::V2, |name, value| {
            knows_any |= field(name, value);
        });
        read.map(|()| knows_any).map_err(|bad| match bad {
            BadForm::Escape(escape) => refused(format!("invalid URL escape {:?}", escape.0)),
            BadForm::Semicolon => refused("invalid semicolon separator in query".to_owned()),
        })
    };
    let is_change = matches!(request.method, Method::Put | Method::Post | Method::Delete);
    if is_change && !request.body.is_empty() {
        if let Some(cause) = unreadable(request) {
            return Err(refused(cause));
        }
        if request.method == Method::Delete {
            each(request.body, &mut |_, _| true)?;
        } else if !each(request.body, &mut field)? && !has_names_alone(request.body) {
            return Err(refused(
                "the body is not a form with a parameter that is known".to_owned(),
            ));
        }
    }
    each(request.query.as_bytes(), &mut field)?;
    Ok(())
}

/// The first value of a parameter of a resource that has this one alone.
///
/// # Errors
/// As of [`each_parameter`].
pub(crate) fn one_parameter<'a>(
    request: &Request<'a>,
    dialect: Dialect,
    index: u64,
    wanted: &str,
) -> Result<Option<Cow<'a, str>>, ApiError> {
    let mut found = None;
    each_parameter(request, dialect, index, |name, value| {
        let is_it = name == wanted;
        if is_it {
            found.get_or_insert(value);
        }
        is_it
    })?;
    Ok(found)
}

/// Whether a form in which nothing is known could be one for another server: each pair has a plain
/// name. JSON, compressed data and the like have none. The original passes over unknown names.
fn has_names_alone(form: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let mut pairs = form.split(|byte| *byte == b'&');
    pairs.all(|pair| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        pair.contains(&b'=') && !name.is_empty() && name.iter().all(is_plain)
    })
}

/// Why a body is no form.
fn unreadable(request: &Request<'_>) -> Option<String> {
    let shown = |value: &[u8]| format!("{:?}", String::from_utf8_lossy(value));
    if let Some(encoding) = request.content_encoding {
        return Some(format!("unsupported Content-Encoding {}", shown(encoding)));
    }
    if request.is_form {
        return None;
    }
    let found = match request.content_type {
        Some(kind) => format!("Content-Type {}", shown(kind)),
        None => "no Content-Type".to_owned(),
    };
    Some(format!("the body is not application/x-www-form-urlencoded: it has {found}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pairs_with_plain_names_are_a_form_for_somebody_else() {
        for (form, want) in [
            ("unknown=1", true),
            ("a-b=&c.d_e=f=g", true),
            ("hello", false),
            ("{\"value\":\"a=b\"}", false),
            ("=value", false),
            ("a=1&", false),
            ("a=1&b", false),
            (" value=1", false),
            ("value[]=1", false),
            ("valu%65=1", false),
            ("", false),
        ] {
            assert_eq!(has_names_alone(form.as_bytes()), want, "{form}");
        }
    }
}
