//! Why a command ends without success: the words of etcdctl 2, and its exit codes.

use crate::failure::{Failure, Fault, ServerError, Tried, code};
use std::net::ToSocketAddrs;

/// What is said on standard error, and the exit code.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stop {
    pub(super) code: u8,
    /// Nothing is said if it is empty.
    pub(super) text: String,
}

impl Stop {
    /// A sentence as it is.
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self { code: code::BAD_ARGS, text: text.into() }
    }

    /// An argument that is wrong or missing.
    pub(super) fn bad_args(text: &str) -> Self {
        Self { code: code::BAD_ARGS, text: format!("Error:  {text}") }
    }

    /// A call about keys, or of the health.
    pub(super) fn of_server(failure: &Failure) -> Self {
        Self::told(failure, code::SERVER)
    }

    /// A call about members, users and roles.
    pub(super) fn of_admin(failure: &Failure) -> Self {
        match failure {
            Failure::ClosedPipe => Self::told(failure, code::BAD_ARGS),
            _ => Self::plain(words(failure)),
        }
    }

    /// The question where the members are. Only what tells that nobody is there ends the command:
    /// a server may be one that does not know the question.
    pub(super) fn of_sync(failure: &Failure) -> Option<Self> {
        match failure {
            Failure::Unreachable(tried) => {
                let is_dead = tried.iter().all(|one| one.fault == Fault::NoConnection);
                is_dead.then(|| Self::told(failure, code::BAD_CONNECTION))
            }
            Failure::Local(_) => Some(Self::told(failure, code::BAD_CONNECTION)),
            _ => None,
        }
    }

    fn told(failure: &Failure, code: u8) -> Self {
        let detail = match failure {
            Failure::Unreachable(tried) => detail(tried),
            Failure::Unknown { tried, .. } => detail(std::slice::from_ref(tried)),
            _ => String::new(),
        };
        match failure {
            Failure::ClosedPipe => Self { code: code::PIPE, text: String::new() },
            _ => Self { code, text: format!("Error:  {}{detail}", words(failure)) },
        }
    }
}

/// A failure in one sentence, or several where there were several endpoints.
pub(super) fn words(failure: &Failure) -> String {
    match failure {
        Failure::Unreachable(tried) => cluster(tried),
        Failure::Unknown { tried, .. } => cluster(std::slice::from_ref(tried)),
        Failure::Auth(error) | Failure::Server(error) => refusal(error),
        other => other.to_string(),
    }
}

/// What a server refused: as the keys API tells it, or else its message alone.
fn refusal(error: &ServerError) -> String {
    let ServerError { code, message, cause, index, .. } = error;
    match (code, message.is_empty()) {
        (0, false) => message.clone(),
        (0, true) => error.to_string(),
        _ => format!("{code}: {message} ({cause}) [{index}]"),
    }
}

fn cluster(tried: &[Tried]) -> String {
    let one = |(at, one): (usize, &Tried)| format!("; error #{at}: {}\n", reason(one));
    let all: String = tried.iter().enumerate().map(one).collect();
    format!("client: etcd cluster is unavailable or misconfigured{all}")
}

/// The same again, in lines of their own.
fn detail(tried: &[Tried]) -> String {
    let one = |(at, one): (usize, &Tried)| format!("\nerror #{at}: {}", reason(one));
    let all: String = tried.iter().enumerate().map(one).collect();
    format!("{all}\n")
}

/// Why an endpoint gave no answer, in the words of Go.
pub(super) fn reason(tried: &Tried) -> String {
    let Tried { url, why, fault } = tried;
    match fault {
        Fault::NoConnection => no_connection(url, why),
        Fault::NoAnswer => format!("client: endpoint {url} exceeded header timeout"),
        Fault::Status(500 | 503) => format!("client: etcd member {url} has no leader"),
        Fault::Status(status) => {
            let text = ureq::http::StatusCode::from_u16(*status).ok();
            let text = text.and_then(|status| status.canonical_reason()).unwrap_or_default();
            format!("client: etcd member {url} returns server error [{text}]")
        }
        Fault::Other => why.clone(),
    }
}

fn no_connection(url: &str, why: &str) -> String {
    let address = url.split_once("://").map_or(url, |(_, address)| address);
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let known = || address.to_socket_addrs().ok().and_then(|mut addrs| addrs.next());
    match why {
        "no such host" => format!("dial tcp: lookup {host}: no such host"),
        why => {
            let address = known().map_or_else(|| address.to_owned(), |known| known.to_string());
            match why {
                "no connection in time" => format!("dial tcp {address}: i/o timeout"),
                why => format!("dial tcp {address}: connect: {why}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(port: u16, fault: Fault, why: &str) -> Tried {
        Tried { url: format!("http://127.0.0.1:{port}"), why: why.to_owned(), fault }
    }

    #[test]
    fn endpoints_that_do_not_answer_are_told_as_etcdctl_2_does() {
        let both = Failure::Unreachable(vec![
            tried(1, Fault::NoConnection, "connection refused"),
            tried(2, Fault::Status(503), ""),
        ]);
        assert_eq!(
            Stop::of_server(&both).text,
            "Error:  client: etcd cluster is unavailable or misconfigured; error #0: dial tcp \
             127.0.0.1:1: connect: connection refused\n; error #1: client: etcd member \
             http://127.0.0.1:2 has no leader\n\nerror #0: dial tcp 127.0.0.1:1: connect: \
             connection refused\nerror #1: client: etcd member http://127.0.0.1:2 has no leader\n"
        );
        assert_eq!(Stop::of_server(&both).code, code::SERVER);
        // One that answers, however badly, may know more when it is asked for something else.
        assert_eq!(Stop::of_sync(&both), None);
        let dead = Failure::Unreachable(vec![tried(1, Fault::NoConnection, "no such host")]);
        assert_eq!(Stop::of_sync(&dead).map(|stop| stop.code), Some(code::BAD_CONNECTION));
        let slow = Failure::Unreachable(vec![tried(1, Fault::NoAnswer, "")]);
        let text = Stop::of_admin(&slow).text;
        assert!(text.ends_with("client: endpoint http://127.0.0.1:1 exceeded header timeout\n"));
    }

    #[test]
    fn refusals_have_a_number_where_the_api_has_one() {
        let error =
            ServerError::parse(401, br#"{"errorCode":110,"message":"M","cause":"","index":0}"#);
        assert_eq!(words(&Failure::refused(error)), "110: M () [0]");
        let error = ServerError::parse(401, br#"{"message":"Insufficient credentials"}"#);
        assert_eq!(words(&Failure::refused(error)), "Insufficient credentials");
    }
}
