//! Calls to other machines and to discovery services, over HTTP, by a thread that may wait.

use std::io::Read;
use std::time::Duration;

/// Longest answer that is read, in bytes.
const ANSWER_MAX: u64 = 16 << 20;

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
        String::from_utf8_lossy(&self.body).trim().to_owned()
    }

    /// The number of a v2 error, if the body is one.
    pub(crate) fn error_code(&self) -> Option<u64> {
        let value: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        value.get("errorCode")?.as_u64()
    }
}

/// Makes calls. Redirects are followed with method and body as they were.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    agent: ureq::Agent,
}

impl Caller {
    pub(crate) fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(CALL_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .proxy(None)
            .user_agent(concat!("stead/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into() }
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
        let mut url = url.to_owned();
        for _ in 0..=REDIRECTS_MAX {
            let mut request = ureq::http::Request::builder().method(method).uri(&url);
            if !content_type.is_empty() {
                request = request.header("Content-Type", content_type);
            }
            let request = request.body(body).map_err(|error| format!("{url}: {error}"))?;
            let response = self.agent.run(request).map_err(|error| format!("{url}: {error}"))?;
            let status = response.status().as_u16();
            let location = response.headers().get("location").and_then(|at| at.to_str().ok());
            if let (301 | 302 | 307 | 308, Some(location)) = (status, location) {
                location.clone_into(&mut url);
                continue;
            }
            let mut answer = Vec::new();
            let reader = response.into_body().into_reader();
            reader
                .take(ANSWER_MAX)
                .read_to_end(&mut answer)
                .map_err(|error| format!("{url}: {error}"))?;
            return Ok(Reply { status, body: answer });
        }
        Err(format!("{url}: sent on too often"))
    }
}
