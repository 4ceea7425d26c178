//! The HTTP upgrade with which a member begins to speak to another one.
//!
//! ```text
//! GET /v2/peer/stream?version=2&cluster=HEX&from=HEX&to=HEX&at=HOST:PORT
//!     &incarnation=HEX&start=HEX&nonce=HEX&earlier=HEX.HEX...&term=HEX&index=HEX&lastterm=HEX
//!     &doubtful=0|1 HTTP/1.1
//! Upgrade: stead-peer            Stead-Nonce: NONCE (if the cluster has a secret)
//!
//! HTTP/1.1 101 Switching Protocols
//! Upgrade: stead-peer            Stead-Nonce: NONCE, Stead-Proof: PROOF (likewise)
//! ```
//! With a secret both sides prove that they know it (`proof.rs`) before they believe a word: the
//! dialled side in its answer, over the whole query and both nonces, the dialling side in its first
//! frame. Only then the dialled side knows whom it answered, so its verdict follows: `200`, after
//! which it is silent, or a refusal. A refusal is an HTTP error, after which the connection is
//! closed. Both are proven as well. Without a secret `101` is the verdict.
//!
//! `at` is where the caller is reached. A member that was away while the cluster changed may be
//! called by a leader that it does not know: it has to be able to answer before it can learn.

use crate::proof::{Label, Prover, is_nonce};
use crate::text::printable;
use replica::{ClusterId, Identity, LogIndex, MemberId, PeerClaim, Term};

/// What is upgraded to.
pub(crate) const PROTOCOL: &str = "stead-peer";

/// The version of the upgrade, and of what is spoken after it.
const VERSION: u64 = 2;

pub(crate) const PATH: &str = "/v2/peer/stream";

/// What the dialling side says in its first frame, in the place of a proof, when the dialled side
/// has not proven itself: so that its log says why the connection ends.
pub(crate) const UNPROVEN: &[u8] = b"unproven";

/// The two ends of a peer connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) cluster: ClusterId,
    pub(crate) to: MemberId,
    /// HOST:PORT of the caller's peer port.
    pub(crate) at: String,
    /// Who calls, and what it knows.
    pub(crate) claim: PeerClaim,
}

/// Longest HOST:PORT, in bytes.
const ADDRESS_MAX: usize = 300;

impl Hello {
    pub(crate) fn query(&self) -> String {
        let Self { cluster, to, at, claim } = self;
        let PeerClaim { id, identity, term, last_index, last_term, is_doubtful } = claim;
        let Identity { incarnation, start, nonce, earlier } = identity;
        let earlier: Vec<String> = earlier.iter().map(|drawn| format!("{drawn:x}")).collect();
        let earlier = earlier.join(".");
        format!(
            "version={VERSION}&cluster={cluster}&from={id}&to={to}&at={at}\
             &incarnation={incarnation:x}&start={start:x}&nonce={nonce:x}\
             &earlier={earlier}&term={:x}&index={:x}&lastterm={:x}&doubtful={}",
            term.0,
            last_index.0,
            last_term.0,
            u8::from(*is_doubtful)
        )
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
        let number = |digits: &str| {
            let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            u64::from_str_radix(digits, 16).ok().filter(|_| is_hex)
        };
        let any = |name: &str| number(find(name)?);
        let hex = |name: &str| any(name).filter(|number| *number != 0);
        match find("version").map(str::parse::<u64>) {
            Some(Ok(VERSION)) => {}
            Some(Ok(_)) => return Err((426, "unsupported version of the peer protocol")),
            _ => return Err((400, "missing version of the peer protocol")),
        }
        let wanted = "expected cluster, from and to in hexadecimal, and at as HOST:PORT";
        let at = find("at").filter(|at| is_address(at));
        let (Some(cluster), Some(from), Some(to), Some(at)) =
            (hex("cluster"), hex("from"), hex("to"), at)
        else {
            return Err((400, wanted));
        };
        let identity = || {
            let (incarnation, start) = (any("incarnation")?, any("start")?);
            let mut identity =
                Identity { incarnation, start, nonce: any("nonce")?, ..Identity::default() };
            let mut words = find("earlier")?.split('.');
            for earlier in &mut identity.earlier {
                *earlier = number(words.next()?)?;
            }
            words.next().is_none().then_some(identity)
        };
        let doubt = find("doubtful").filter(|word| matches!(*word, "0" | "1"));
        let log = || Some((any("term")?, any("index")?, any("lastterm")?));
        let (Some(identity), Some((term, index, last_term)), Some(doubt)) =
            (identity(), log(), doubt)
        else {
            return Err((400, "incomplete identity claim"));
        };
        let claim = PeerClaim {
            id: MemberId(from),
            identity,
            term: Term(term),
            last_index: LogIndex(index),
            last_term: Term(last_term),
            is_doubtful: doubt == "1",
        };
        Ok(Self { cluster: ClusterId(cluster), to: MemberId(to), at: at.to_owned(), claim })
    }
}

/// The bytes that the dialling side sends; with a nonce if the other side has to prove itself.
pub(crate) fn request(host: &str, query: &str, nonce: Option<&str>) -> Vec<u8> {
    let nonce = nonce.map(|nonce| format!("Stead-Nonce: {nonce}\r\n")).unwrap_or_default();
    format!(
        "GET {PATH}?{query} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\n\
         Upgrade: {PROTOCOL}\r\n{nonce}\r\n"
    )
    .into_bytes()
}

fn is_address(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:-_[]".contains(&byte);
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
    text.len() <= ADDRESS_MAX
        && text.bytes().all(is_plain)
        && port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// The answer that lets the other side speak. `proven` is the dialled side's nonce and its proof.
pub(crate) fn welcome(proven: Option<(&str, &str)>) -> String {
    let proof = proven
        .map(|(nonce, proof)| format!("Stead-Nonce: {nonce}\r\nStead-Proof: {proof}\r\n"))
        .unwrap_or_default();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {PROTOCOL}\r\n\
         {proof}\r\n"
    )
}

/// The handshake between two members, before either trusts the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exchange {
    /// The query of the hello.
    pub(crate) query: String,
    /// What the dialling side drew; empty if it has no secret.
    pub(crate) nonce: String,
}

impl Exchange {
    /// The proof of the dialled side that it is welcome here.
    pub(crate) fn welcome(&self, prover: &Prover, nonce: &str) -> String {
        prover.prove(Label::Welcome, &self.fields(nonce))
    }

    /// Whether the dialled side has proven itself.
    pub(crate) fn is_welcome(&self, prover: &Prover, nonce: &str, proof: &str) -> bool {
        is_nonce(nonce.as_bytes())
            && prover.verify(Label::Welcome, &self.fields(nonce), proof.as_bytes())
    }

    /// The proof of the dialling side.
    pub(crate) fn hello(&self, prover: &Prover, nonce: &str) -> String {
        prover.prove(Label::Hello, &self.fields(nonce))
    }

    /// Whether the dialling side has proven itself.
    pub(crate) fn is_hello(&self, prover: &Prover, nonce: &str, proof: &[u8]) -> bool {
        prover.verify(Label::Hello, &self.fields(nonce), proof)
    }

    /// The proof of a verdict.
    pub(crate) fn verdict(&self, prover: &Prover, status: u16, body: &[u8]) -> String {
        let status = status.to_string();
        prover.prove(Label::Verdict, &self.verdict_fields(&status, body))
    }

    /// Whether a verdict is one of a machine that knows the secret.
    pub(crate) fn is_verdict(
        &self,
        prover: &Prover,
        (status, body): (u16, &[u8]),
        proof: &str,
    ) -> bool {
        let status = status.to_string();
        let fields = self.verdict_fields(&status, body);
        prover.verify(Label::Verdict, &fields, proof.as_bytes())
    }

    fn fields<'a>(&'a self, nonce: &'a str) -> [&'a [u8]; 3] {
        [self.query.as_bytes(), self.nonce.as_bytes(), nonce.as_bytes()]
    }

    fn verdict_fields<'a>(&'a self, status: &'a str, body: &'a [u8]) -> [&'a [u8]; 4] {
        [self.query.as_bytes(), self.nonce.as_bytes(), status.as_bytes(), body]
    }
}

/// What a refusal says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HelloRefusal {
    pub(crate) status: u16,
    /// All that came behind the head.
    pub(crate) body: Vec<u8>,
    /// Empty if there is none.
    pub(crate) proof: String,
}

impl HelloRefusal {
    /// The sentence in it, fit for one line of a log.
    pub(crate) fn sentence(&self) -> String {
        let value: Option<serde_json::Value> = serde_json::from_slice(&self.body).ok();
        let message = value.as_ref().and_then(|value| value.get("message")?.as_str());
        match message {
            Some(message) => printable(message),
            None => printable(String::from_utf8_lossy(&self.body).trim()),
        }
    }
}

/// The admission of a proven caller, the last message to it.
pub(crate) fn admission(said: &Exchange, prover: &Prover) -> String {
    let proof = said.verdict(prover, 200, b"");
    format!("HTTP/1.1 200 Admitted\r\nStead-Proof: {proof}\r\n\r\n")
}

/// What the dialling side was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HelloAnswer {
    Partial,
    /// With the dialled side's nonce and proof; empty if it gave none.
    Welcome(String, String),
    /// With the proof of it.
    Admitted(String),
    Refused(HelloRefusal),
    Invalid,
}

/// Longest answer to an upgrade, in bytes.
pub(crate) const ANSWER_MAX: usize = 16 << 10;

/// Reads an answer. `is_all` says that nothing more will come.
pub(crate) fn read_answer(bytes: &[u8], is_all: bool) -> HelloAnswer {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let may_go_on = bytes.len() < ANSWER_MAX && !is_all;
    let parsed = response.parse(bytes);
    let Ok(httparse::Status::Complete(len)) = parsed else {
        let is_partial = parsed.is_ok() && may_go_on;
        return if is_partial { HelloAnswer::Partial } else { HelloAnswer::Invalid };
    };
    let find = |name: &str| {
        let named = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        named.and_then(|header| str::from_utf8(header.value).ok()).unwrap_or_default().trim()
    };
    let proof = find("stead-proof").to_owned();
    match response.code {
        // Nothing follows a welcome: the dialled side never speaks.
        Some(101) if len == bytes.len() => {
            HelloAnswer::Welcome(find("stead-nonce").to_owned(), proof)
        }
        Some(101) | None => HelloAnswer::Invalid,
        // Nothing follows it either.
        Some(200) if len == bytes.len() => HelloAnswer::Admitted(proof),
        Some(status) => {
            let body = bytes.get(len..).unwrap_or_default();
            let length = find("content-length").parse().unwrap_or(body.len());
            match body.get(..length) {
                Some(body) => {
                    HelloAnswer::Refused(HelloRefusal { status, body: body.to_vec(), proof })
                }
                None if may_go_on => HelloAnswer::Partial,
                None => HelloAnswer::Refused(HelloRefusal { status, body: body.to_vec(), proof }),
            }
        }
    }
}

#[cfg(test)]
mod tests;
