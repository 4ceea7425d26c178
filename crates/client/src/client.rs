//! Calls of the API: endpoints one after the other, and no write twice.
//!
//! A read goes to the next endpoint whatever went wrong. A write does so only if it is certain that
//! nothing was done: no byte of it has left, or the server says so. Otherwise its fate is unknown,
//! which is an error of its own.

use crate::answer::{Unread, explain, index_of, is_refused_certificate, read_body};
use crate::dial::{Dialer, Marker, Names, Sent};
use crate::endpoint::{self, Endpoint, endpoints};
use crate::failure::{Failure, ServerError, Tried};
use crate::options::Options;
use crate::{tls, user};
use std::thread;
use std::time::{Duration, Instant};
use ureq::http::Response;
use ureq::unversioned::transport::{Connector, RustlsConnector};
use ureq::{Agent, Body, BodyReader};

pub(crate) use ureq::http::Method;

/// How long calls may take without `--timeout`.
const PATIENCE: Duration = Duration::from_secs(5);
const LISTING_PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of answers that are taken.
const ERROR_BYTES_MAX: u64 = 1 << 20;
const BODY_BYTES_MAX: u64 = 512 << 20;

const REDIRECTS_MAX: usize = 5;

/// The pause after a round in which no endpoint could serve; it grows with each.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The least that an endpoint has of the time of a read.
const SHARE_MIN: Duration = Duration::from_millis(500);

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Form,
    Json,
}

/// A call of the API.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: Method,
    path: String,
    body: Option<(Kind, String)>,
    needs_token: bool,
    /// How long it may take, without `--timeout`.
    patience: Duration,
    /// What tells later whether it was done, as a command.
    check: String,
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

    fn is_write(&self) -> bool {
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

/// How one endpoint took a call.
enum Attempt<T> {
    Done(T),
    /// Nothing was done; `refusal` is what the server said.
    NotDone {
        why: String,
        refusal: Option<ServerError>,
    },
    /// It left, and no answer says what became of it.
    Unknown(String),
    Failed(Failure),
}

/// The endpoints of a cluster, and how they are called.
pub(crate) struct Client {
    agent: Agent,
    /// Whether the agent can do TLS.
    is_encrypted: bool,
    options: Options,
    endpoints: Vec<Endpoint>,
    /// The one that answered last.
    at: usize,
    sent: Sent,
    authorization: Option<String>,
    token: Option<String>,
    timeout: Option<Duration>,
    /// Addresses that the cluster lists; asked for when there is a redirect.
    listed: Option<Vec<String>>,
}

impl Client {
    /// # Errors
    /// [`Failure`] with the flag, variable or file that cannot be used.
    pub(crate) fn new(options: &Options) -> Result<Self, Failure> {
        let endpoints = endpoints(options.endpoints.as_deref(), |name| std::env::var(name).ok())?;
        let authorization = user::authorization(options)?;
        let token = user::token(options)?;
        // Certificates take milliseconds to load, which a call without TLS does not have to spend.
        let is_encrypted = endpoints.iter().any(|one| is_https(&one.base));
        let sent = Sent::default();
        let agent = agent(options, is_encrypted, &endpoints, &sent)?;
        let (timeout, options) = (options.timeout, options.clone());
        Ok(Self {
            agent,
            is_encrypted,
            options,
            endpoints,
            at: 0,
            sent,
            authorization,
            token,
            timeout,
            listed: None,
        })
    }

    /// Makes ready for a URL that is not among the endpoints.
    fn prepare(&mut self, url: &str) -> Result<(), Failure> {
        if is_https(url) && !self.is_encrypted {
            self.agent = agent(&self.options, true, &self.endpoints, &self.sent)?;
            self.is_encrypted = true;
        }
        Ok(())
    }

    /// Calls, and gives the answer if it is no error.
    ///
    /// # Errors
    /// [`Failure`]: the server's error, that nobody answers, or that a write's fate is unknown.
    pub(crate) fn call(&mut self, request: &Request) -> Result<Reply, Failure> {
        let patience = self.timeout.unwrap_or(request.patience);
        self.call_for(request, patience)
    }

    /// The same, whatever `--timeout` says.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) fn call_for(
        &mut self,
        request: &Request,
        patience: Duration,
    ) -> Result<Reply, Failure> {
        let read = |response: Response<Body>| {
            let index = index_of(response.headers());
            match read_body(response.into_body(), BODY_BYTES_MAX) {
                Ok(body) => Attempt::Done(Reply { index, body }),
                Err(Unread::TooLong) => Attempt::Failed(Failure::Local(format!(
                    "the answer has more than {} MB, which is not taken",
                    BODY_BYTES_MAX >> 20
                ))),
                Err(Unread::Broken(why)) => Attempt::Unknown(why),
            }
        };
        self.rounds(request, patience, true, read)
    }

    /// Opens an answer that has no end by itself.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) fn open(&mut self, path: String) -> Result<Stream, Failure> {
        let request = Request::get(path);
        let patience = self.timeout.unwrap_or(PATIENCE);
        self.rounds(&request, patience, false, |response| {
            let index = index_of(response.headers());
            Attempt::Done(Stream { index, reader: response.into_body().into_reader() })
        })
    }

    /// The endpoint that answered last, as the user knows it.
    pub(crate) fn endpoint(&self) -> &str {
        self.endpoints.get(self.at).map_or("", |one| one.shown.as_str())
    }

    /// The URL of the endpoint that was named first.
    pub(crate) fn first(&self) -> &str {
        self.endpoints.first().map_or("", |one| one.base.as_str())
    }

    /// Calls one URL once, without credentials; gives status and body.
    ///
    /// # Errors
    /// Why nothing came.
    pub(crate) fn probe(
        &mut self,
        url: &str,
        patience: Duration,
    ) -> Result<(u16, Vec<u8>), String> {
        self.prepare(url).map_err(|failure| failure.to_string())?;
        let request = self.agent.get(url).config().timeout_global(Some(patience)).build();
        let response = request.call().map_err(|error| explain(&error))?;
        let status = response.status().as_u16();
        match read_body(response.into_body(), ERROR_BYTES_MAX) {
            Ok(body) => Ok((status, body)),
            Err(Unread::TooLong) => Err("the answer is too long".to_owned()),
            Err(Unread::Broken(why)) => Err(why),
        }
    }

    /// Asks endpoints one after the other, and again while one of them may recover.
    fn rounds<T>(
        &mut self,
        request: &Request,
        patience: Duration,
        is_whole: bool,
        read: impl Fn(Response<Body>) -> Attempt<T>,
    ) -> Result<T, Failure> {
        let deadline = Instant::now() + patience;
        let mut pause = PAUSE;
        loop {
            let mut tried = Vec::new();
            let mut refused = None;
            let count = self.endpoints.len();
            for left in (1..=count).rev() {
                let remaining = deadline.saturating_duration_since(Instant::now());
                let shares = u32::try_from(left).unwrap_or(1);
                let share = match request.is_write() {
                    true => remaining,
                    false => (remaining / shares).max(SHARE_MIN),
                };
                let why = match self.attempt(request, share, is_whole, &read) {
                    Attempt::Done(answer) => return Ok(answer),
                    Attempt::Failed(failure) => return Err(failure),
                    Attempt::Unknown(why) if request.is_write() => {
                        let url = self.endpoint().to_owned();
                        return Err(Failure::Unknown { url, why, check: request.check.clone() });
                    }
                    Attempt::Unknown(why) => why,
                    Attempt::NotDone { why, refusal } => {
                        refused = refusal.or(refused);
                        why
                    }
                };
                tried.push(Tried { url: self.endpoint().to_owned(), why });
                self.at = (self.at + 1) % count;
            }
            let remaining = deadline.saturating_duration_since(Instant::now());
            match refused {
                // It may have a leader again in a moment.
                Some(_) if remaining > pause => thread::sleep(pause),
                Some(error) => return Err(Failure::refused(error)),
                None => return Err(Failure::Unreachable(tried)),
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Calls the endpoint in use, and follows where it sends the call.
    fn attempt<T>(
        &mut self,
        request: &Request,
        patience: Duration,
        is_whole: bool,
        read: impl Fn(Response<Body>) -> Attempt<T>,
    ) -> Attempt<T> {
        let deadline = Instant::now() + patience;
        let Some(named) = self.endpoints.get(self.at) else {
            return Attempt::Failed(Failure::Usage("there is no endpoint".to_owned()));
        };
        let mut base = named.base.clone();
        let mut path = request.path.clone();
        for _ in 0..=REDIRECTS_MAX {
            let remaining = deadline.saturating_duration_since(Instant::now());
            let response = match self.send(request, &format!("{base}{path}"), remaining, is_whole) {
                Ok(response) => response,
                Err(error) if self.sent.is_set() && !is_refused_certificate(&error) => {
                    return Attempt::Unknown(explain(&error));
                }
                Err(error) => return Attempt::NotDone { why: explain(&error), refusal: None },
            };
            let status = response.status().as_u16();
            let moved =
                matches!(status, 301 | 302 | 307 | 308).then(|| location(&response)).flatten();
            match moved {
                Some((to, onward)) => {
                    if !self.is_known(&to, &base) {
                        return Attempt::Failed(Failure::Local(format!(
                            "{} sends this call on to {to}, which is neither named nor listed by \
                             the cluster: it is not followed",
                            self.endpoint()
                        )));
                    }
                    if let Err(failure) = self.prepare(&to) {
                        return Attempt::Failed(failure);
                    }
                    (base, path) = (to, onward);
                }
                None if status < 300 => return read(response),
                None => return refusal(request, status, response),
            }
        }
        let why = format!("more than {REDIRECTS_MAX} redirects");
        Attempt::NotDone { why, refusal: None }
    }

    fn send(
        &self,
        request: &Request,
        url: &str,
        patience: Duration,
        is_whole: bool,
    ) -> Result<Response<Body>, ureq::Error> {
        self.sent.reset();
        let mut builder = ureq::http::Request::builder().method(request.method.clone()).uri(url);
        if let Some(authorization) = &self.authorization {
            builder = builder.header("Authorization", authorization);
        }
        if let Some(token) = self.token.as_ref().filter(|_| request.needs_token) {
            builder = builder.header("Stead-Token", token);
        }
        let patience = Some(patience.max(Duration::from_millis(1)));
        let (whole, head) = if is_whole { (patience, None) } else { (None, patience) };
        match &request.body {
            Some((kind, text)) => {
                let kind = match kind {
                    Kind::Form => "application/x-www-form-urlencoded",
                    Kind::Json => "application/json",
                };
                let request = builder.header("Content-Type", kind).body(text.as_str())?;
                let request = self.agent.configure_request(request);
                let request = request.timeout_global(whole).timeout_recv_response(head);
                self.agent.run(request.build())
            }
            None => {
                let request = self.agent.configure_request(builder.body(())?);
                let request = request.timeout_global(whole).timeout_recv_response(head);
                self.agent.run(request.build())
            }
        }
    }

    /// Whether a call, with its credentials, may be sent on to an address.
    fn is_known(&mut self, to: &str, from: &str) -> bool {
        // What was encrypted stays so.
        if is_https(from) && !is_https(to) {
            return false;
        }
        if self.endpoints.iter().any(|one| one.base == to) {
            return true;
        }
        if self.listed.is_none() {
            let answer = self.probe(&format!("{from}/v2/machines"), PATIENCE);
            let text = answer.map(|(_, body)| String::from_utf8_lossy(&body).into_owned());
            let bases = |text: String| {
                text.split(',').filter_map(|word| endpoint::base(word.trim())).collect()
            };
            self.listed = text.ok().map(bases);
        }
        self.listed.as_ref().is_some_and(|listed| listed.iter().any(|one| one == to))
    }
}

fn is_https(url: &str) -> bool {
    url.starts_with("https:")
}

fn agent(
    options: &Options,
    is_encrypted: bool,
    endpoints: &[Endpoint],
    sent: &Sent,
) -> Result<Agent, Failure> {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(options.dial_timeout))
        .timeout_resolve(Some(options.dial_timeout))
        .proxy(None)
        .user_agent(concat!("stead/", env!("CARGO_PKG_VERSION")));
    let config = match is_encrypted {
        true => config.tls_config(tls::config(options).map_err(Failure::Local)?).build(),
        false => config.build(),
    };
    let sockets = endpoints.iter().map(|one| one.socket.clone()).collect();
    let connector =
        Dialer { sockets }.chain(RustlsConnector::default()).chain(Marker(sent.clone()));
    Ok(Agent::with_parts(config, connector, Names::default()))
}

/// Base and path of where an answer sends the call.
fn location(response: &Response<Body>) -> Option<(String, String)> {
    let text = response.headers().get("location")?.to_str().ok()?;
    let uri: ureq::http::Uri = text.parse().ok()?;
    let base = endpoint::base(&format!("{}://{}", uri.scheme_str()?, uri.authority()?))?;
    Some((base, uri.path_and_query()?.as_str().to_owned()))
}

fn refusal<T>(request: &Request, status: u16, response: Response<Body>) -> Attempt<T> {
    let body = match read_body(response.into_body(), ERROR_BYTES_MAX) {
        Ok(body) => body,
        Err(Unread::TooLong) => b"the answer is too long".to_vec(),
        Err(Unread::Broken(why)) => return Attempt::Unknown(why),
    };
    let error = ServerError::parse(status, &body);
    match status {
        500.. if !request.is_write() || error.is_nothing_done() => {
            Attempt::NotDone { why: error.to_string(), refusal: Some(error) }
        }
        500.. => Attempt::Unknown(error.to_string()),
        _ => Attempt::Failed(Failure::refused(error)),
    }
}
