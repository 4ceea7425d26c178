//! The HTTP upgrade with which a member begins to speak to another one.
//!
//! ```text
//! GET /v2/peer/stream?version=1&cluster=HEX&from=HEX&to=HEX&at=HOST:PORT HTTP/1.1
//! Upgrade: stead-peer            Stead-Token: SECRET (if the cluster has one)
//! ```
//! The answer is `101`, or an error that says why not, after which the connection is closed.
//!
//! `at` is where the caller is reached. A member that was away while the cluster changed may be
//! called by a leader that it does not know: it has to be able to answer before it can learn.

use replica::{ClusterId, MemberId};

/// What is upgraded to.
pub(crate) const PROTOCOL: &str = "stead-peer";

/// The version of what is spoken after the upgrade.
const VERSION: u64 = 1;

pub(crate) const PATH: &str = "/v2/peer/stream";

/// Who wants to speak to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) cluster: ClusterId,
    pub(crate) from: MemberId,
    pub(crate) to: MemberId,
    /// HOST:PORT of the caller's peer port.
    pub(crate) at: String,
}

/// Longest HOST:PORT, in bytes.
const ADDRESS_MAX: usize = 300;

impl Hello {
    /// The bytes that the dialling side sends.
    pub(crate) fn request(&self, host: &str, token: &str) -> Vec<u8> {
        let Self { cluster, from, to, at } = self;
        let token =
            if token.is_empty() { String::new() } else { format!("Stead-Token: {token}\r\n") };
        format!(
            "GET {PATH}?version={VERSION}&cluster={cluster}&from={from}&to={to}&at={at} \
             HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: {PROTOCOL}\r\n{token}\r\n"
        )
        .into_bytes()
    }

    /// Reads the query of a request.
    ///
    /// # Errors
    /// Status and sentence of the refusal.
    pub(crate) fn parse(query: &str) -> Result<Self, (u16, &'static str)> {
        let find = |name: &str| {
            let mut values = query.split('&').filter_map(|pair| pair.split_once('='));
            values.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let hex = |name: &str| {
            let digits = find(name)?;
            let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            u64::from_str_radix(digits, 16).ok().filter(|number| is_hex && *number != 0)
        };
        match find("version").map(str::parse::<u64>) {
            Some(Ok(VERSION)) => {}
            Some(Ok(_)) => return Err((426, "this version of the peer protocol is not spoken")),
            _ => return Err((400, "the version of the peer protocol is missing")),
        }
        let at = find("at").filter(|at| is_address(at));
        match (hex("cluster"), hex("from"), hex("to"), at) {
            (Some(cluster), Some(from), Some(to), Some(at)) => Ok(Self {
                cluster: ClusterId(cluster),
                from: MemberId(from),
                to: MemberId(to),
                at: at.to_owned(),
            }),
            _ => Err((400, "cluster, from and to are wanted in hexadecimal, and at as HOST:PORT")),
        }
    }
}

fn is_address(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:-_[]".contains(&byte);
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
    text.len() <= ADDRESS_MAX
        && text.bytes().all(is_plain)
        && port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// The answer that lets the other side speak.
pub(crate) fn welcome() -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {PROTOCOL}\r\n\r\n"
    )
}

/// What the dialling side was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Partial,
    Welcome,
    /// Refused: the status, and what came behind the head so far.
    Refused(u16, String),
    Garbage,
}

/// Longest answer to an upgrade, in bytes.
pub(crate) const ANSWER_MAX: usize = 16 << 10;

/// Reads an answer.
pub(crate) fn read_answer(bytes: &[u8]) -> Answer {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => match response.code {
            // Nothing follows a welcome: the dialled side never speaks.
            Some(101) if len == bytes.len() => Answer::Welcome,
            Some(101) | None => Answer::Garbage,
            Some(code) => {
                let body = bytes.get(len..).unwrap_or_default();
                Answer::Refused(code, String::from_utf8_lossy(body).trim().to_owned())
            }
        },
        Ok(httparse::Status::Partial) if bytes.len() < ANSWER_MAX => Answer::Partial,
        _ => Answer::Garbage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_round_trips() {
        let hello = Hello {
            cluster: ClusterId(0xab),
            from: MemberId(1),
            to: MemberId(u64::MAX),
            at: "[::1]:7001".into(),
        };
        let request = String::from_utf8(hello.request("h:1", "secret")).expect("text");
        assert!(request.contains("\r\nStead-Token: secret\r\n"));
        let query = request.split(['?', ' ']).nth(2).expect("there is one");
        assert_eq!(Hello::parse(query), Ok(hello.clone()));
        assert!(!String::from_utf8(hello.request("h:1", "")).expect("text").contains("Token"));
    }

    #[test]
    fn what_is_missing_or_malformed_is_refused() {
        for (query, status) in [
            ("", 400),
            ("version=1", 400),
            ("version=x&cluster=1&from=1&to=2&at=h:1", 400),
            ("version=2&cluster=1&from=1&to=2&at=h:1", 426),
            ("version=1&cluster=0&from=1&to=2&at=h:1", 400),
            ("version=1&cluster=1&from=+1&to=2&at=h:1", 400),
            ("version=1&cluster=1&from=1&to=10000000000000000", 400),
            ("version=1&cluster=1&from=1&to=&at=h:1", 400),
            ("version=1&cluster=1&from=1&to=2", 400),
            ("version=1&cluster=1&from=1&to=2&at=h", 400),
            ("version=1&cluster=1&from=1&to=2&at=h:0", 400),
            ("version=1&cluster=1&from=1&to=2&at=a/b:1", 400),
        ] {
            assert_eq!(Hello::parse(query).map_err(|(status, _)| status), Err(status), "{query}");
        }
    }

    #[test]
    fn answers_are_told_apart() {
        assert_eq!(read_answer(welcome().as_bytes()), Answer::Welcome);
        let refused = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
        assert_eq!(read_answer(refused), Answer::Refused(403, "no".to_owned()));
        assert_eq!(read_answer(b"HTTP/1.1 4"), Answer::Partial);
        assert_eq!(read_answer(b"SSH-2.0-x\r\n"), Answer::Garbage);
        assert_eq!(read_answer(&[0; 100]), Answer::Garbage);
        let mut more = welcome().into_bytes();
        more.push(1);
        assert_eq!(read_answer(&more), Answer::Garbage);
    }
}
