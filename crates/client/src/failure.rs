//! Why a command failed: what the user reads, and the exit code (docs/cli.md).

use crate::text::clean;
use serde::Deserialize;
use serde_json::json;
use std::fmt;
use std::io;

/// The exit codes of etcdctl 2, and one of our own.
pub(crate) mod code {
    pub(crate) const BAD_ARGS: u8 = 1;
    pub(crate) const BAD_CONNECTION: u8 = 2;
    pub(crate) const BAD_AUTH: u8 = 3;
    pub(crate) const SERVER: u8 = 4;
    pub(crate) const UNHEALTHY: u8 = 5;
    /// A write was sent, and whether it was done is not known.
    pub(crate) const UNKNOWN: u8 = 6;
    /// What a shell gives for a program that SIGPIPE has ended.
    pub(crate) const PIPE: u8 = 141;
}

/// An error that a server told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerError {
    /// The status of HTTP.
    pub(crate) status: u16,
    /// The code of the v2 API; 0 where there is none.
    pub(crate) code: u64,
    pub(crate) message: String,
    pub(crate) cause: String,
    pub(crate) index: u64,
}

/// Bytes of a text that is no error of the API which are shown.
const TEXT_MAX: usize = 300;

impl ServerError {
    /// What the body of an answer says.
    pub(crate) fn parse(status: u16, body: &[u8]) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Body {
            #[serde(rename = "errorCode")]
            code: u64,
            message: String,
            cause: String,
            index: u64,
        }
        match serde_json::from_slice::<Body>(body) {
            Ok(Body { code, message, cause, index }) if !message.is_empty() => {
                Self { status, code, message, cause, index }
            }
            _ => {
                let text: String = String::from_utf8_lossy(body).chars().take(TEXT_MAX).collect();
                Self { status, message: text.trim().to_owned(), ..Self::default() }
            }
        }
    }

    /// Whether the server is sure that nothing was done: a write may be sent to another one.
    pub(crate) fn is_nothing_done(&self) -> bool {
        let says = |text: &str| self.cause.contains(text) || self.message.contains(text);
        // 402 is a standby's that knows no leader to send anything to.
        self.code == 402 || says("nothing was done") || says("nothing was written")
    }

    /// What a user may do about it.
    fn next_step(&self) -> Option<&'static str> {
        let wants_token = self.cause.contains("Stead-Token");
        Some(match self.code {
            110 if wants_token => "give the cluster's token: --token-file FILE",
            101 => "the key has changed: read it again, and decide anew",
            102 => "it is a directory: `stead ls` lists it, `stead rm --recursive` removes it",
            104 => "a part of the path is a key with a value, and can hold no other keys",
            105 => "`stead set` overwrites a key, `stead update` changes one that is there",
            107 => "name a key below /",
            108 => "`stead rm --recursive` removes a directory with all that is in it",
            110 => "name a user with the right to do this: --user NAME",
            300 | 301 | 402 => "`stead doctor` tells what is wrong with the cluster",
            _ if self.status == 401 => "give the cluster's token: --token-file FILE",
            _ => return None,
        })
    }
}

impl fmt::Display for ServerError {
    /// As etcdctl 2 prints it: `100: Key not found (/x) [7]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, code, message, cause, index } = self;
        match (code, cause.as_str()) {
            (0, _) if message.is_empty() => write!(f, "the server answered {status}"),
            (0, _) => write!(f, "the server answered {status}: {}", clean(message)),
            (_, "") => write!(f, "{code}: {} [{index}]", clean(message)),
            (..) => write!(f, "{code}: {} ({}) [{index}]", clean(message), clean(cause)),
        }
    }
}

/// What kept an endpoint from answering, as far as others than people want to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is no connection.
    NoConnection,
    /// It took too long.
    NoAnswer,
    /// A status of HTTP that tells of the server's own trouble.
    Status(u16),
    Other,
}

/// An endpoint, and why it gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tried {
    pub(crate) url: String,
    pub(crate) why: String,
    pub(crate) fault: Fault,
}

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// What was asked for cannot be.
    Usage(String),
    /// No endpoint answers.
    Unreachable(Vec<Tried>),
    /// The server refuses who asks.
    Auth(ServerError),
    Server(ServerError),
    /// A write was sent to an endpoint, and whether it was done is not known.
    Unknown {
        tried: Tried,
        check: String,
    },
    /// Something on this side: a file, a program.
    Local(String),
    /// A part was done: what, and why not the rest.
    Stopped {
        done: String,
        why: Box<Failure>,
    },
    /// Nobody reads what is printed.
    ClosedPipe,
}

impl Failure {
    /// A refusal of a server.
    pub(crate) fn refused(error: ServerError) -> Self {
        match (error.code, error.status) {
            (110, _) | (0, 401 | 403) => Self::Auth(error),
            _ => Self::Server(error),
        }
    }

    /// The code of the API, if a server told one.
    pub(crate) fn api_code(&self) -> Option<u64> {
        match self {
            Self::Auth(error) | Self::Server(error) => Some(error.code),
            _ => None,
        }
    }

    /// What writing to standard output gave.
    pub(crate) fn of_output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Local(format!("cannot write to standard output: {error}")),
        }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Local(_) => code::BAD_ARGS,
            Self::Unreachable(_) => code::BAD_CONNECTION,
            Self::Auth(_) => code::BAD_AUTH,
            Self::Server(_) => code::SERVER,
            Self::Unknown { .. } => code::UNKNOWN,
            Self::Stopped { why, .. } => why.exit_code(),
            Self::ClosedPipe => code::PIPE,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Usage(_) => "usage",
            Self::Unreachable(_) => "unreachable",
            Self::Auth(_) => "auth",
            Self::Server(_) => "server",
            Self::Unknown { .. } => "unknown",
            Self::Local(_) => "local",
            Self::Stopped { .. } => "stopped",
            Self::ClosedPipe => "closed",
        }
    }

    /// What to do next, if there is something to say.
    pub(crate) fn next_step(&self) -> Option<String> {
        match self {
            Self::Unreachable(_) => {
                Some("name endpoints that run: --endpoints URL,URL or STEAD_ENDPOINTS".to_owned())
            }
            Self::Auth(error) | Self::Server(error) => error.next_step().map(str::to_owned),
            Self::Unknown { check, .. } => Some(format!("find out with: {check}")),
            Self::Stopped { why, .. } => why.next_step(),
            Self::Usage(_) | Self::Local(_) | Self::ClosedPipe => None,
        }
    }

    /// The same as one line of JSON.
    pub(crate) fn to_json(&self) -> String {
        let mut value = json!({
            "kind": self.kind(),
            "exitCode": self.exit_code(),
            "message": self.to_string(),
        });
        let server = match self {
            Self::Auth(error) | Self::Server(error) => Some(error),
            Self::Stopped { why, .. } => match &**why {
                Self::Auth(error) | Self::Server(error) => Some(error),
                _ => None,
            },
            _ => None,
        };
        if let Some(ServerError { status, code, message, cause, index }) = server {
            let more = json!({
                "status": status, "errorCode": code, "message": message, "cause": cause,
                "index": index,
            });
            if let (Some(value), Some(more)) = (value.as_object_mut(), more.as_object()) {
                value.extend(more.clone());
            }
        }
        if let (Self::Stopped { done, .. }, Some(value)) = (self, value.as_object_mut()) {
            value.insert("done".to_owned(), done.as_str().into());
        }
        if let (Some(next), Some(value)) = (self.next_step(), value.as_object_mut()) {
            value.insert("next".to_owned(), next.into());
        }
        value.to_string()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Local(text) => f.write_str(text),
            Self::Unreachable(tried) => {
                f.write_str("no endpoint answers")?;
                let lead = |at| if at == 0 { ": " } else { "; " };
                tried.iter().enumerate().try_for_each(|(at, Tried { url, why, .. })| {
                    write!(f, "{}{url}: {}", lead(at), clean(why))
                })
            }
            Self::Auth(error) | Self::Server(error) => error.fmt(f),
            Self::Unknown { tried: Tried { url, why, .. }, .. } => write!(
                f,
                "the write was sent to {url}, and whether it was done is not known: {}; it was \
                 not sent again",
                clean(why)
            ),
            Self::Stopped { done, why } => write!(f, "{done}, then: {why}"),
            Self::ClosedPipe => f.write_str("nobody reads the output"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_printed_as_etcdctl_2_does() {
        let body = br#"{"errorCode":100,"message":"Key not found","cause":"/x","index":7}"#;
        let error = ServerError::parse(404, body);
        assert_eq!(error.to_string(), "100: Key not found (/x) [7]");
        assert_eq!(Failure::refused(error).exit_code(), code::SERVER);
        let error = ServerError::parse(500, br#"{"errorCode":300,"message":"M","index":0}"#);
        assert_eq!(error.to_string(), "300: M [0]");
        let error = ServerError::parse(409, br#"{"message":"Conflict"}"#);
        assert_eq!(error.to_string(), "the server answered 409: Conflict");
        let error = ServerError::parse(502, b"<html>\x1b[2J");
        assert_eq!(error.to_string(), "the server answered 502: <html>\\u{1b}[2J");
        assert_eq!(ServerError::parse(503, b"").to_string(), "the server answered 503");
    }

    #[test]
    fn who_has_no_right_is_told_what_is_missing() {
        let of = |cause: &str| {
            let cause = cause.to_owned();
            Failure::refused(ServerError { code: 110, cause, ..ServerError::default() })
        };
        let next = |cause: &str| of(cause).next_step().expect("there is one");
        assert!(
            next("the cluster's secret is missing: send it as Stead-Token").contains("--token-")
        );
        assert!(next("/a").contains("--user "));
    }

    #[test]
    fn only_a_sure_refusal_lets_a_write_go_elsewhere() {
        let of = |cause: &str| ServerError { cause: cause.to_owned(), ..ServerError::default() };
        assert!(of("no leader is known; nothing was done, try again").is_nothing_done());
        assert!(of("the disk is full; nothing was written, reads go on").is_nothing_done());
        assert!(!of("request timed out; its outcome is unknown").is_nothing_done());
        assert!(ServerError { code: 402, ..ServerError::default() }.is_nothing_done());
    }

    #[test]
    fn json_has_the_servers_words_and_the_next_step() {
        let error = ServerError { code: 105, message: "M".to_owned(), ..ServerError::default() };
        let value: serde_json::Value =
            serde_json::from_str(&Failure::refused(error).to_json()).expect("it is JSON");
        assert_eq!(value["errorCode"], 105);
        assert_eq!(value["exitCode"], 4);
        assert!(value["next"].as_str().is_some_and(|next| next.contains("stead set")));
        let why = Box::new(Failure::ClosedPipe);
        let stopped = Failure::Stopped { done: "2 keys were copied".to_owned(), why };
        assert_eq!(stopped.exit_code(), code::PIPE);
        assert!(stopped.to_string().starts_with("2 keys were copied, then: "));
    }
}
