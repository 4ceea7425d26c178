//! Calls to other machines and to discovery services, over HTTP, by a thread that may wait.
//!
//! Members are called over TLS if this machine has certificates for its peer port, whatever scheme
//! is written: what is said to them, the cluster's secret above all, never goes out in plain text
//! then.

use crate::config::TlsFiles;
use crate::text::printable;
use crate::tls;
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

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The body for people.
    pub(crate) fn text(&self) -> String {
        printable(&String::from_utf8_lossy(&self.body))
    }

    /// The number of a v2 error, if the body is one.
    pub(crate) fn error_code(&self) -> Option<u64> {
        let value: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        value.get("errorCode")?.as_u64()
    }
}

/// Makes calls. Redirects are followed with method and body as they were.
#[derive(Debug)]
pub(crate) struct Caller {
    /// Whether members are called, and not anybody.
    is_for_members: bool,
    tls: Option<TlsFiles>,
    /// How long one call may take, and how often it is sent on.
    patience: Duration,
    redirects_max: usize,
    answer_max: u64,
    /// What calls were last made with; kept for the time when the files cannot be used.
    last: RefCell<Option<ureq::Agent>>,
}

impl Caller {
    /// Calls members, over TLS if there are files for it.
    pub(crate) fn for_members(tls: Option<TlsFiles>) -> Self {
        let (patience, redirects_max, answer_max) = (CALL_TIMEOUT, REDIRECTS_MAX, ANSWER_MAX);
        Self {
            is_for_members: true,
            tls,
            patience,
            redirects_max,
            answer_max,
            last: RefCell::new(None),
        }
    }

    /// Calls anybody; over TLS it has to be somebody that the system trusts.
    pub(crate) fn for_anybody() -> Self {
        Self { is_for_members: false, ..Self::for_members(None) }
    }

    /// The same for a question that has to be answered at once, and by whoever is asked.
    pub(crate) fn in_haste(self, patience: Duration) -> Self {
        Self { patience, redirects_max: 0, answer_max: HASTY_ANSWER_MAX, ..self }
    }

    /// What a call is made with. The files are read each time: calls are rare, and so new files are
    /// used at once.
    fn agent(&self, is_encrypted: bool) -> Result<ureq::Agent, String> {
        if !is_encrypted {
            return Ok(agent(self.patience, None));
        }
        match tls::calls(self.tls.as_ref()) {
            Ok(config) => {
                let agent = agent(self.patience, Some(config));
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
                "{url}: members speak TLS to one another there, which this machine cannot without \
                 -peer-cert-file and -peer-key-file"
            )),
            _ => Ok(url.to_owned()),
        }
    }

    /// Reads something.
    ///
    /// # Errors
    /// Why there is no answer, in a sentence.
    pub(crate) fn get(&self, url: &str) -> Result<Reply, String> {
        self.call("GET", url, "", &[])
    }

    /// Calls with a body.
    ///
    /// # Errors
    /// As [`Caller::get`].
    pub(crate) fn call(
        &self,
        method: &str,
        url: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<Reply, String> {
        let mut url = self.target(url)?;
        for _ in 0..=self.redirects_max {
            let is_encrypted = url.starts_with("https://");
            let agent = self.agent(is_encrypted)?;
            let mut request = ureq::http::Request::builder().method(method).uri(&url);
            if !content_type.is_empty() {
                request = request.header("Content-Type", content_type);
            }
            let request = request.body(body).map_err(|error| format!("{url}: {error}"))?;
            let response = agent.run(request).map_err(|error| self.explain(&url, &error))?;
            let status = response.status().as_u16();
            let location = response.headers().get("location").and_then(|at| at.to_str().ok());
            if let (301 | 302 | 307 | 308, Some(location)) = (status, location) {
                let next = self.target(location)?;
                if is_encrypted && !next.starts_with("https://") {
                    return Err(format!(
                        "{url}: sends on to {}, which is not encrypted",
                        printable(&next)
                    ));
                }
                url = next;
                continue;
            }
            let mut answer = Vec::new();
            let reader = response.into_body().into_reader();
            reader
                .take(self.answer_max)
                .read_to_end(&mut answer)
                .map_err(|error| self.explain(&url, &ureq::Error::from(error)))?;
            return Ok(Reply { status, body: answer });
        }
        Err(format!("{url}: sent on too often"))
    }

    /// What went wrong, in a sentence.
    fn explain(&self, url: &str, error: &ureq::Error) -> String {
        match error {
            ureq::Error::Timeout(ureq::Timeout::Connect) => {
                format!("no connection to {url} within {} s", CONNECT_TIMEOUT.as_secs_f64())
            }
            ureq::Error::Timeout(_) => {
                format!("no answer from {url} within {} s", self.patience.as_secs_f64())
            }
            error => format!("{url}: {error}"),
        }
    }
}

fn agent(patience: Duration, tls: Option<ureq::tls::TlsConfig>) -> ureq::Agent {
    let builder = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(patience))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .proxy(None)
        .user_agent(concat!("stead/", env!("CARGO_PKG_VERSION")));
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
        let caller = Caller::for_anybody().in_haste(Duration::from_millis(300));
        let error = caller.get(&url).expect_err("nobody answers");
        assert_eq!(error, format!("no answer from {url} within 0.3 s"));
    }

    #[test]
    fn nothing_for_members_goes_out_in_plain_text_where_there_are_certificates() {
        let file = |name: &str| std::path::PathBuf::from(name);
        let files = TlsFiles { cert: file("c"), key: file("k"), ca: None, asks_callers: false };
        let secure = Caller::for_members(Some(files));
        assert_eq!(secure.target("http://h:1/v2/peer/join"), Ok("https://h:1/v2/peer/join".into()));
        assert_eq!(secure.target("https://h:1"), Ok("https://h:1".into()));
        let error = secure.get("http://127.0.0.1:1/").expect_err("there are no such files");
        assert!(error.contains("cannot read c"), "{error}");
        let plain = Caller::for_members(None);
        assert_eq!(plain.target("http://h:1"), Ok("http://h:1".into()));
        assert!(plain.target("https://h:1").expect_err("refused").contains("-peer-cert-file"));
        let anybody = Caller::for_anybody();
        assert_eq!(anybody.target("https://h:1"), Ok("https://h:1".into()));
        assert_eq!(anybody.target("http://h:1"), Ok("http://h:1".into()));
    }
}
