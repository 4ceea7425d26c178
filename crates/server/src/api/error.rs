//! The only table from errors to what clients see of them (docs/spec/keys.md section 11).

use super::json;
use crate::http::response::Numbers;
use replica::EngineError;
use store::{ErrorCode, StoreError};

/// An error of the v2 API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) code: u16,
    pub(crate) cause: String,
    pub(crate) index: u64,
    /// Differs from the table's for some.
    status: Option<u16>,
}

pub(crate) const COMPARE_FAILED: u16 = 101;
pub(crate) const UNAUTHORIZED: u16 = 110;
pub(crate) const VALUE_REQUIRED: u16 = 200;
pub(crate) const PREV_VALUE_REQUIRED: u16 = 201;
pub(crate) const TTL_NOT_A_NUMBER: u16 = 202;
pub(crate) const INDEX_NOT_A_NUMBER: u16 = 203;
pub(crate) const VALUE_OR_TTL_REQUIRED: u16 = 204;
pub(crate) const INVALID_FIELD: u16 = 209;
pub(crate) const INVALID_FORM: u16 = 210;
pub(crate) const REFRESH_VALUE: u16 = 211;
pub(crate) const REFRESH_TTL_REQUIRED: u16 = 212;
pub(crate) const RAFT_INTERNAL: u16 = 300;
pub(crate) const LEADER_ELECTION: u16 = 301;
pub(crate) const WATCHER_CLEARED: u16 = 400;

fn message(code: u16) -> &'static str {
    match code {
        100 => "Key not found",
        COMPARE_FAILED => "Compare failed",
        102 => "Not a file",
        103 => "Reached the max number of peers in the cluster",
        104 => "Not a directory",
        105 => "Key already exists",
        106 => "The prefix of given key is a keyword in etcd",
        107 => "Root is read only",
        108 => "Directory not empty",
        109 => "Peer address has existed",
        110 => "The request requires user authentication",
        VALUE_REQUIRED => "Value is Required in POST form",
        PREV_VALUE_REQUIRED => "PrevValue is Required in POST form",
        TTL_NOT_A_NUMBER => "The given TTL in POST form is not a number",
        INDEX_NOT_A_NUMBER => "The given index in POST form is not a number",
        VALUE_OR_TTL_REQUIRED => "Value or TTL is required in POST form",
        205 => "The given timeout in POST form is not a number",
        206 => "Name is required in POST form",
        207 => "Index or value is required",
        208 => "Index and value cannot both be specified",
        INVALID_FIELD => "Invalid field",
        INVALID_FORM => "Invalid POST form",
        REFRESH_VALUE => "Value provided on refresh",
        REFRESH_TTL_REQUIRED => "A TTL must be provided on refresh",
        LEADER_ELECTION => "During Leader Election",
        WATCHER_CLEARED => "watcher is cleared due to etcd recovery",
        401 => "The event in requested index is outdated and cleared",
        402 => "Standby Internal Error",
        403 => "Invalid active size",
        404 => "Standby remove delay",
        500 => "Client Internal Error",
        _ => "Raft Internal Error",
    }
}

fn status(code: u16) -> u16 {
    match code {
        100 => 404,
        101 | 105 => 412,
        102 | 108 => 403,
        110 => 401,
        300 | 301 => 500,
        // 0.4 answered 400, but the request is valid: the standby knows no leader.
        402 => 503,
        _ => 400,
    }
}

/// A standby that knows no leader.
pub(crate) const STANDBY_INTERNAL: u16 = 402;

impl ApiError {
    pub(crate) fn new(code: u16, cause: impl Into<String>, index: u64) -> Self {
        Self { code, cause: cause.into(), index, status: None }
    }

    /// An error with a status that its code does not say.
    pub(crate) fn refused(code: u16, cause: impl Into<String>, index: u64, status: u16) -> Self {
        Self { code, cause: cause.into(), index, status: Some(status) }
    }

    /// An error of the store. 2.x has no name for the root, so it names no cause there
    /// (docs/spec/quirks.md Q8).
    pub(crate) fn from_store(error: &StoreError, hides_root: bool) -> Self {
        let is_hidden = hides_root && error.code == ErrorCode::NotAFile && error.cause == "/";
        let cause = if is_hidden { "" } else { error.cause.as_str() };
        Self::new(error.code as u16, cause, error.index.0)
    }

    /// This server cannot serve the request now.
    pub(crate) fn from_engine(error: EngineError, index: u64) -> Self {
        let status = match error {
            EngineError::Overloaded
            | EngineError::DiskFull
            | EngineError::Stopping
            | EngineError::Diverged
            | EngineError::LostPromise
            | EngineError::Unconfirmed
            | EngineError::Disowned => Some(503),
            EngineError::QuorumAtRisk | EngineError::ChangePending | EngineError::AlreadyMember => {
                Some(409)
            }
            _ => None,
        };
        Self { code: RAFT_INTERNAL, cause: error.to_string(), index, status }
    }

    /// A limit of this server.
    pub(crate) fn overloaded(cause: &str, index: u64) -> Self {
        Self { code: RAFT_INTERNAL, cause: cause.to_owned(), index, status: Some(503) }
    }

    pub(crate) fn status(&self) -> u16 {
        self.status.unwrap_or_else(|| status(self.code))
    }

    /// The headers' numbers: errors carry no raft ones.
    pub(crate) fn numbers(&self, cluster: u64) -> Numbers {
        Numbers { cluster, store_index: self.index, raft: None }
    }

    /// The body, with its line end.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(b"{\"errorCode\":");
        json::put_number(&mut out, u64::from(self.code));
        out.extend_from_slice(b",\"message\":\"");
        out.extend_from_slice(message(self.code).as_bytes());
        out.push(b'"');
        if !self.cause.is_empty() {
            out.extend_from_slice(b",\"cause\":");
            json::put_string(&mut out, &self.cause, false);
        }
        out.extend_from_slice(b",\"index\":");
        json::put_number(&mut out, self.index);
        out.extend_from_slice(b"}\n");
        out
    }
}

#[cfg(test)]
mod documented;

#[cfg(test)]
mod tests {
    use super::*;
    use store::StoreIndex;

    #[test]
    fn every_code_has_its_status_and_message() {
        for (code, want_status, want_message) in [
            (100, 404, "Key not found"),
            (101, 412, "Compare failed"),
            (102, 403, "Not a file"),
            (103, 400, "Reached the max number of peers in the cluster"),
            (104, 400, "Not a directory"),
            (105, 412, "Key already exists"),
            (106, 400, "The prefix of given key is a keyword in etcd"),
            (107, 400, "Root is read only"),
            (108, 403, "Directory not empty"),
            (109, 400, "Peer address has existed"),
            (110, 401, "The request requires user authentication"),
            (200, 400, "Value is Required in POST form"),
            (201, 400, "PrevValue is Required in POST form"),
            (202, 400, "The given TTL in POST form is not a number"),
            (203, 400, "The given index in POST form is not a number"),
            (204, 400, "Value or TTL is required in POST form"),
            (205, 400, "The given timeout in POST form is not a number"),
            (206, 400, "Name is required in POST form"),
            (207, 400, "Index or value is required"),
            (208, 400, "Index and value cannot both be specified"),
            (209, 400, "Invalid field"),
            (210, 400, "Invalid POST form"),
            (211, 400, "Value provided on refresh"),
            (212, 400, "A TTL must be provided on refresh"),
            (300, 500, "Raft Internal Error"),
            (301, 500, "During Leader Election"),
            (400, 400, "watcher is cleared due to etcd recovery"),
            (401, 400, "The event in requested index is outdated and cleared"),
            (402, 503, "Standby Internal Error"),
            (403, 400, "Invalid active size"),
            (404, 400, "Standby remove delay"),
            (500, 400, "Client Internal Error"),
        ] {
            assert_eq!((status(code), message(code)), (want_status, want_message), "{code}");
        }
    }

    #[test]
    fn a_body_has_its_members_in_order_and_ends_its_line() {
        let error = ApiError::new(101, "[\"a\" != b]", 7);
        let want = "{\"errorCode\":101,\"message\":\"Compare failed\",\
                    \"cause\":\"[\\\"a\\\" != b]\",\"index\":7}\n";
        assert_eq!(String::from_utf8(error.body()).as_deref(), Ok(want));
        assert_eq!(error.status(), 412);
        let error = ApiError::new(RAFT_INTERNAL, "", 0);
        let want = "{\"errorCode\":300,\"message\":\"Raft Internal Error\",\"index\":0}\n";
        assert_eq!(String::from_utf8(error.body()).as_deref(), Ok(want));
    }

    #[test]
    fn errors_of_the_store_keep_their_cause_and_index() {
        let error =
            |code, cause: &str| StoreError { code, cause: cause.to_owned(), index: StoreIndex(9) };
        let not_a_file = error(ErrorCode::NotAFile, "/");
        assert_eq!(ApiError::from_store(&not_a_file, false), ApiError::new(102, "/", 9));
        assert_eq!(ApiError::from_store(&not_a_file, true), ApiError::new(102, "", 9));
        let read_only = error(ErrorCode::RootReadOnly, "/");
        assert_eq!(ApiError::from_store(&read_only, true), ApiError::new(107, "/", 9));
        let cleared = error(ErrorCode::EventIndexCleared, "the requested history [253/5]");
        let shown = ApiError::from_store(&cleared, true);
        assert_eq!((shown.code, shown.status(), shown.index), (401, 400, 9));
        let numbers = shown.numbers(3);
        assert_eq!((numbers.cluster, numbers.store_index, numbers.raft), (3, 9, None));
    }

    #[test]
    fn what_this_server_cannot_do_now_is_said_with_its_reason() {
        for (error, want) in [
            (EngineError::NoLeader, 500),
            (EngineError::NotLeader, 500),
            (EngineError::Timeout, 500),
            (EngineError::Superseded, 500),
            (EngineError::Overloaded, 503),
            (EngineError::DiskFull, 503),
            (EngineError::Stopping, 503),
        ] {
            let shown = ApiError::from_engine(error, 4);
            assert_eq!((shown.code, shown.status(), shown.index), (300, want, 4), "{error}");
            assert!(!shown.cause.is_empty());
        }
        let shown = ApiError::overloaded("too many watchers; try again later", 4);
        assert_eq!((shown.code, shown.status()), (300, 503));
    }
}
