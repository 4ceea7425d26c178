//! What is asked of the API, and what it answers.

use std::time::Duration;
use ureq::BodyReader;

pub(crate) use ureq::http::Method;

/// How long calls may take without `--timeout`.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
const LISTING_PATIENCE: Duration = Duration::from_secs(60);

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Form,
    Json,
}

/// A call of the API.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Option<(Kind, String)>,
    pub(crate) needs_token: bool,
    /// How long it may take, without `--timeout`.
    pub(crate) patience: Duration,
    /// What tells later whether it was done, as a command.
    pub(crate) check: String,
}

impl Request {
    fn new(method: Method, path: String) -> Self {
        let (body, needs_token, check) = (None, false, String::new());
        Self { method, path, body, needs_token, patience: PATIENCE, check }
    }

    pub(crate) fn get(path: String) -> Self {
        Self::new(Method::GET, path)
    }

    /// A read of many nodes, which may take longer.
    pub(crate) fn list(path: String) -> Self {
        Self { patience: LISTING_PATIENCE, ..Self::get(path) }
    }

    /// A write, and the command that finds out whether it was done.
    pub(crate) fn write(method: Method, path: String, check: String) -> Self {
        Self { check, ..Self::new(method, path) }
    }

    pub(crate) fn form(mut self, form: String) -> Self {
        self.body = Some((Kind::Form, form));
        self
    }

    pub(crate) fn json(mut self, json: String) -> Self {
        self.body = Some((Kind::Json, json));
        self
    }

    /// Sends the cluster's token along, if there is one.
    pub(crate) fn with_token(mut self) -> Self {
        self.needs_token = true;
        self
    }

    pub(crate) fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The request as etcdctl 2 shows it with `--debug`.
    pub(crate) fn traced(&self, url: &str) -> String {
        // Blanks as forms and queries had them there.
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let query = if query.is_empty() { query } else { &format!("?{}", plus(query)) };
        let body = self.body.as_ref().map(|(kind, text)| match kind {
            Kind::Form => format!(" -d \"{}\"", plus(text)),
            Kind::Json => format!(" -d {}", serde_json::Value::from(text.as_str())),
        });
        let body = body.unwrap_or_default();
        format!("cURL Command: curl -X {} {path}{query}{body}", self.method)
    }

    pub(crate) fn is_write(&self) -> bool {
        self.method != Method::GET
    }
}

/// An answer that is no error.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// `X-Etcd-Index`; 0 where there is none.
    pub(crate) index: u64,
    pub(crate) body: Vec<u8>,
}

/// An answer whose body comes little by little.
pub(crate) struct Stream {
    pub(crate) index: u64,
    pub(crate) reader: BodyReader<'static>,
}

fn plus(form: &str) -> String {
    form.replace("%20", "+")
}
