//! Calls to other machines and to discovery services, over HTTP, by a thread that may wait.
//!
//! Members are called over TLS if this machine has certificates for its peer port, whatever scheme
//! is written: nothing is sent to them unencrypted then.
//!
//! Where the cluster has a secret each call is proven, and so is its answer (`proof.rs`); what is
//! unproven is ignored. The secret itself is never sent, whatever address was named.

use crate::call::manners;
use crate::config::{Finding, Secret, TlsFiles};
use crate::net::tls;
use crate::proof::{Call, ProvenReply, ProvenRequest, Prover};
use crate::text::printable;
use std::cell::RefCell;
use std::io::Read;
use std::time::Duration;

/// Longest answer that is read, in bytes.
const ANSWER_MAX: u64 = 16 << 20;

/// The same for an answer in haste, which may be that of a stranger.
const HASTY_ANSWER_MAX: u64 = 256 << 10;

/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);

/// How long the connection for it may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How often a call is sent on to another machine.
const REDIRECTS_MAX: usize = 5;

/// Whether a URL is that of an HTTP proxy.
///
/// # Errors
/// What is wrong with it.
pub fn check_proxy(url: &str) -> Result<(), String> {
    if !url.starts_with("http://") {
        return Err("expected http://HOST:PORT".to_owned());
    }
    ureq::Proxy::new(url).map(|_| ()).map_err(|error| error.to_string())
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub(crate) struct CallReply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl CallReply {
    /// The body for people.
    pub(crate) fn text(&self) -> String {
        printable(&String::from_utf8_lossy(&self.body))
    }

    /// The sentence in an error's body.
    pub(crate) fn explain(&self) -> String {
        explain(&self.body)
    }

    /// The number of a v2 error, if the body is one.
    pub(crate) fn error_code(&self) -> Option<u64> {
        let value: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        value.get("errorCode")?.as_u64()
    }
}

/// Makes calls. Redirects are followed with method and body as they were.
#[derive(Debug)]
pub(crate) struct HttpCaller {
    /// Whether it calls members only.
    is_for_members: bool,
    tls: Option<TlsFiles>,
    /// How long one call may take, and how often it is sent on.
    patience: Duration,
    redirects_max: usize,
    answer_max: u64,
    /// The proxy by which calls go.
    by: Option<ureq::Proxy>,
    /// Nothing where the cluster has no secret.
    prover: Option<Prover>,
    /// What calls were last made with; kept for the time when the files cannot be used.
    last: RefCell<Option<ureq::Agent>>,
}

impl HttpCaller {
    /// Calls members, over TLS if there are files for it, and with a proof of the secret if the
    /// cluster has one.
    pub(crate) fn for_members(tls: Option<TlsFiles>, secret: &Secret) -> Self {
        Self {
            is_for_members: true,
            tls,
            patience: CALL_TIMEOUT,
            answer_max: ANSWER_MAX,
            redirects_max: REDIRECTS_MAX,
            by: None,
            prover: Prover::new(secret),
            last: RefCell::new(None),
        }
    }

    /// Calls any server; over TLS its certificate must be trusted by the system.
    pub(crate) fn for_anybody() -> Self {
        Self { is_for_members: false, ..Self::for_members(None, &Secret::default()) }
    }

    /// Calls a discovery service, by its proxy if there is one.
    pub(crate) fn for_discovery(finding: &Finding) -> Self {
        // That it is one was checked before the start.
        let by = finding.discovery_proxy.as_deref().and_then(|url| ureq::Proxy::new(url).ok());
        Self { by, ..Self::for_anybody() }
    }

    /// The same with a short time limit and without redirects.
    pub(crate) fn in_haste(self, patience: Duration) -> Self {
        Self { patience, redirects_max: 0, answer_max: HASTY_ANSWER_MAX, ..self }
    }

    /// What a call is made with. The files are read each time: calls are rare, and so new files are
    /// used at once.
    fn agent(&self, is_encrypted: bool) -> Result<ureq::Agent, String> {
        if !is_encrypted {
            return Ok(agent(self.patience, None, self.by.clone()));
        }
        match tls::calls(self.tls.as_ref()) {
            Ok(config) => {
                let agent = agent(self.patience, Some(config), self.by.clone());
                *self.last.borrow_mut() = Some(agent.clone());
                Ok(agent)
            }
            Err(error) => self.last.borrow().clone().ok_or(error),
        }
    }

    /// The URL as it is called.
    fn target(&self, url: &str) -> Result<String, String> {
        match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) if self.tls.is_some() => Ok(format!("https://{rest}")),
            (_, Some(_)) if self.is_for_members && self.tls.is_none() => Err(format!(
                "{url}: peers use TLS there: start this machine with -peer-cert-file and \
                 -peer-key-file"
            )),
            _ => Ok(url.to_owned()),
        }
    }

    /// Reads something.
    ///
    /// # Errors
    /// Why the call failed, in a sentence.
    pub(crate) fn get(&self, url: &str) -> Result<CallReply, String> {
        self.call("GET", url, "", &[])
    }

    /// Calls with a body.
    ///
    /// # Errors
    /// As [`HttpCaller::get`].
    pub(crate) fn call(
        &self,
        method: &str,
        url: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<CallReply, String> {
        let mut url = self.target(url)?;
        let what = What { method, content_type, body };
        for _ in 0..=self.redirects_max {
            let answer = match &self.prover {
                None => self.ask(&url, what, None)?,
                Some(prover) => self.ask_proven(&url, what, prover)?,
            };
            let RawReply { status, location, body, .. } = answer;
            if !matches!(status, 301 | 302 | 307 | 308) || location.is_empty() {
                return Ok(CallReply { status, body });
            }
            let next = self.target(&location)?;
            if url.starts_with("https://") && !next.starts_with("https://") {
                return Err(format!(
                    "{url}: redirects to {}, which is not encrypted",
                    printable(&next)
                ));
            }
            url = next;
        }
        Err(format!("{url}: too many redirects"))
    }

    /// What went wrong, in a sentence.
    fn why(&self, url: &str, error: &ureq::Error) -> String {
        match error {
            ureq::Error::Timeout(ureq::Timeout::Connect) => {
                format!("no connection to {url} within {} s", CONNECT_TIMEOUT.as_secs_f64())
            }
            ureq::Error::Timeout(_) => {
                format!("no answer from {url} within {} s", self.patience.as_secs_f64())
            }
            ureq::Error::Io(error) => format!("{url}: {error}"),
            error => format!("{url}: {error}"),
        }
    }

    /// Asks a member, and believes only an answer that is proven.
    fn ask_proven(&self, url: &str, what: What<'_>, prover: &Prover) -> Result<RawReply, String> {
        let (origin, target) = split(url);
        let at = format!("{origin}/v2/peer/challenge");
        let first = self.ask(&at, What { method: "GET", content_type: "", body: &[] }, None)?;
        if first.status != 200 {
            return Err(format!(
                "{url}: answered {} to a challenge: {}",
                first.status,
                String::from_utf8_lossy(&first.body).trim()
            ));
        }
        let call = challenge_in(&first.body)
            .and_then(|challenge| Call::new(prover, challenge).map_err(|error| error.to_string()))
            .map_err(|error| format!("{url}: {error}"))?;
        let What { method, body, .. } = what;
        let proof = call.proof(ProvenRequest { method, target, body });
        let answer = self.ask(url, what, Some((&call, &proof)))?;
        let RawReply { status, location, body, .. } = &answer;
        if !call.is_answer(ProvenReply { status: *status, location, body }, answer.proof.as_bytes())
        {
            return Err(format!(
                "{url}: answered {status}, but does not prove that it knows the cluster's secret: \
                 give both the same -peer-token, or find out which server answers there ({})",
                explain(body)
            ));
        }
        Ok(answer)
    }

    /// Asks once.
    fn ask(
        &self,
        url: &str,
        what: What<'_>,
        call: Option<(&Call<'_>, &str)>,
    ) -> Result<RawReply, String> {
        let agent = self.agent(url.starts_with("https://"))?;
        let mut request = ureq::http::Request::builder().method(what.method).uri(url);
        if !what.content_type.is_empty() {
            request = request.header("Content-Type", what.content_type);
        }
        if let Some((call, proof)) = call {
            request = request
                .header("Stead-Challenge", call.challenge())
                .header("Stead-Nonce", &call.nonce)
                .header("Stead-Proof", proof);
        }
        let request = request.body(what.body).map_err(|error| format!("{url}: {error}"))?;
        let response = agent.run(request).map_err(|error| self.why(url, &error))?;
        let status = response.status().as_u16();
        let header = |name: &str| {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let (location, proof) = (header("location"), header("stead-proof"));
        let mut body = Vec::new();
        let mut reader = response.into_body().into_reader().take(self.answer_max);
        let read = reader.read_to_end(&mut body);
        read.map_err(|error| self.why(url, &ureq::Error::from(error)))?;
        Ok(RawReply { status, location, proof, body })
    }
}

/// What is asked for at a URL.
#[derive(Clone, Copy)]
struct What<'a> {
    method: &'a str,
    content_type: &'a str,
    body: &'a [u8],
}

/// What came back.
struct RawReply {
    status: u16,
    /// Where the caller is sent on to; empty if nowhere.
    location: String,
    /// Empty if there is none.
    proof: String,
    body: Vec<u8>,
}

/// A URL as the machine and what is asked of it.
fn split(url: &str) -> (&str, &str) {
    let host = url.find("://").map_or(0, |at| at + 3);
    let at = url.get(host..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| host + at);
    let (origin, target) = url.split_at_checked(at).unwrap_or((url, ""));
    (origin, if target.is_empty() { "/" } else { target })
}

/// The challenge in an answer.
fn challenge_in(body: &[u8]) -> Result<String, String> {
    let value: serde_json::Value =
        serde_json::from_slice(body).map_err(|error| format!("invalid challenge: {error}"))?;
    let challenge = value.get("challenge").and_then(serde_json::Value::as_str);
    challenge.map(str::to_owned).ok_or_else(|| "invalid challenge".to_owned())
}

/// The sentence in an error's body, as one line.
fn explain(body: &[u8]) -> String {
    let value: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let member = |name: &str| {
        let text = value.as_ref()?.get(name)?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    };
    let text = member("cause").or_else(|| member("message"));
    printable(&text.unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned()))
}

fn agent(
    patience: Duration,
    tls: Option<ureq::tls::TlsConfig>,
    by: Option<ureq::Proxy>,
) -> ureq::Agent {
    let builder = manners(CONNECT_TIMEOUT).timeout_global(Some(patience)).proxy(by);
    match tls {
        None => builder.build().into(),
        Some(tls) => builder.tls_config(tls).build().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_is_not_answered_says_what_it_waited_for() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/", silent.local_addr().expect("it is bound"));
        let caller = HttpCaller::for_anybody().in_haste(Duration::from_millis(300));
        let error = caller.get(&url).expect_err("nobody answers");
        assert_eq!(error, format!("no answer from {url} within 0.3 s"));
    }

    #[test]
    fn nothing_for_members_goes_out_in_plain_text_where_there_are_certificates() {
        let file = |name: &str| std::path::PathBuf::from(name);
        let files = TlsFiles { cert: file("c"), key: file("k"), ..TlsFiles::default() };
        let secure = HttpCaller::for_members(Some(files), &Secret::default());
        assert_eq!(secure.target("http://h:1/v2/peer/join"), Ok("https://h:1/v2/peer/join".into()));
        assert_eq!(secure.target("https://h:1"), Ok("https://h:1".into()));
        let error = secure.get("http://127.0.0.1:1/").expect_err("there are no such files");
        assert!(error.contains("cannot read c"), "{error}");
        let plain = HttpCaller::for_members(None, &Secret::default());
        assert_eq!(plain.target("http://h:1"), Ok("http://h:1".into()));
        assert!(plain.target("https://h:1").expect_err("refused").contains("-peer-cert-file"));
        let anybody = HttpCaller::for_anybody();
        assert_eq!(anybody.target("https://h:1"), Ok("https://h:1".into()));
        assert_eq!(anybody.target("http://h:1"), Ok("http://h:1".into()));
    }
}
