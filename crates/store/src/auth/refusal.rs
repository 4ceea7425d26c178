//! Why users or roles do not change.

use crate::error::ErrorCode;

/// Why a change cannot be, with the sentence for it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Invalid(String),
    Forbidden(String),
    Unknown(String),
    Conflict(String),
}

impl Refusal {
    pub(super) fn into_error(self) -> (ErrorCode, String) {
        match self {
            Refusal::Invalid(text) => (ErrorCode::AuthInvalid, text),
            Refusal::Forbidden(text) => (ErrorCode::AuthForbidden, text),
            Refusal::Unknown(text) => (ErrorCode::AuthUnknown, text),
            Refusal::Conflict(text) => (ErrorCode::AuthConflict, text),
        }
    }
}
