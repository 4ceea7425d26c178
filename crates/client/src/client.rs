//! Calls of the API: endpoints one after the other, and no write twice.
//!
//! A read goes to the next endpoint whatever went wrong. A write does so only if it is certain that
//! nothing was done: no byte of it has left, or the server says so. Otherwise its fate is unknown,
//! which is an error of its own.

use crate::answer::{Unread, explain, fault, index_of, is_refused_certificate, read_body};
use crate::dial::{Dialer, Marker, Names, Sent};
use crate::endpoint::{self, Endpoint, endpoints};
use crate::failure::{Failure, Fault, ServerError, Tried};
use crate::options::Options;
use crate::request::{Kind, PATIENCE};
use crate::term::say;
use crate::{tls, user};
use std::thread;
use std::time::{Duration, Instant};
use ureq::http::Response;
use ureq::unversioned::transport::{Connector, RustlsConnector};
use ureq::{Agent, Body};

pub(crate) use crate::request::{Method, Reply, Request, Stream};

/// Bytes of answers that are taken.
const ERROR_BYTES_MAX: u64 = 1 << 20;
const BODY_BYTES_MAX: u64 = 512 << 20;

const REDIRECTS_MAX: usize = 5;

/// The pause after a round in which no endpoint could serve; it grows with each.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The least that an endpoint has of the time of a read.
const SHARE_MIN: Duration = Duration::from_millis(500);

/// How one endpoint took a call.
enum Attempt<T> {
    Done(T),
    /// Nothing was done; `refusal` is what the server said.
    NotDone {
        why: String,
        fault: Fault,
        refusal: Option<ServerError>,
    },
    /// It left, and no answer says what became of it.
    Unknown {
        why: String,
        fault: Fault,
    },
    Failed(Failure),
}

/// What is done about endpoints that do not serve.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    /// Every endpoint is asked once, and all that they gave is the failure.
    pub(crate) is_single_round: bool,
    /// How long one endpoint may take at most.
    pub(crate) call_max: Option<Duration>,
    /// Each request is told on standard error, as a command line of curl.
    pub(crate) is_traced: bool,
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
    manner: Manner,
}

impl Client {
    /// # Errors
    /// [`Failure`] with the flag, variable or file that cannot be used.
    pub(crate) fn new(options: &Options) -> Result<Self, Failure> {
        Self::with(options, user::authorization(options)?)
    }

    /// The same for whoever the `Authorization` header says, whatever user the options name.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn with(options: &Options, authorization: Option<String>) -> Result<Self, Failure> {
        let endpoints = endpoints(options.endpoints.as_deref(), |name| std::env::var(name).ok())?;
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
            manner: Manner::default(),
        })
    }

    pub(crate) fn set_manner(&mut self, manner: Manner) {
        self.manner = manner;
    }

    /// Another client of the same cluster, with connections of its own. It begins at another
    /// endpoint for each `number`, and asks nobody for a password again.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn another(&self, number: usize) -> Result<Self, Failure> {
        let sent = Sent::default();
        let agent = agent(&self.options, self.is_encrypted, &self.endpoints, &sent)?;
        Ok(Self {
            agent,
            sent,
            is_encrypted: self.is_encrypted,
            options: self.options.clone(),
            endpoints: self.endpoints.clone(),
            at: number % self.endpoints.len().max(1),
            authorization: self.authorization.clone(),
            token: self.token.clone(),
            timeout: self.timeout,
            listed: self.listed.clone(),
            manner: self.manner,
        })
    }

    /// All endpoints, as the user knows them.
    pub(crate) fn endpoints(&self) -> Vec<&str> {
        self.endpoints.iter().map(|one| one.shown.as_str()).collect()
    }

    /// Puts the addresses that the cluster names before the endpoints that were named to this
    /// client. Sockets stay alone: who named one wants this machine. What was encrypted stays so.
    pub(crate) fn learn(&mut self, urls: &[String]) {
        let is_encrypted = self.endpoints.iter().any(|one| is_https(&one.base));
        if self.endpoints.iter().any(|one| one.socket.is_some()) {
            return;
        }
        let bases = urls.iter().filter_map(|url| endpoint::base(url));
        let kept = bases.filter(|base| is_https(base) || !is_encrypted);
        let learnt: Vec<Endpoint> = kept.map(Endpoint::of_base).collect();
        let named = std::mem::replace(&mut self.endpoints, learnt);
        for one in named {
            if self.endpoints.iter().all(|known| known.base != one.base) {
                self.endpoints.push(one);
            }
        }
        self.at = 0;
    }

    /// Whether all endpoints are on this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.endpoints.iter().all(Endpoint::is_local)
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
                Err(Unread::Broken(why)) => Attempt::Unknown { why, fault: Fault::Other },
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
    pub(crate) fn probe(&mut self, url: &str, patience: Duration) -> Result<(u16, Vec<u8>), Tried> {
        let tried = |why: String, fault| {
            let base = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
            Tried { url: base, why, fault }
        };
        self.prepare(url).map_err(|failure| tried(failure.to_string(), Fault::Other))?;
        let request = self.agent.get(url).config().timeout_global(Some(patience)).build();
        let response = request.call().map_err(|error| tried(explain(&error), fault(&error)))?;
        let status = response.status().as_u16();
        match read_body(response.into_body(), ERROR_BYTES_MAX) {
            Ok(body) => Ok((status, body)),
            Err(Unread::TooLong) => Err(tried("the answer is too long".to_owned(), Fault::Other)),
            Err(Unread::Broken(why)) => Err(tried(why, Fault::Other)),
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
                let share = self.manner.call_max.map_or(share, |max| max.min(remaining));
                let attempt = self.attempt(request, share, is_whole, &read);
                let tried_at = |why, fault| Tried { url: self.endpoint().to_owned(), why, fault };
                tried.push(match attempt {
                    Attempt::Done(answer) => return Ok(answer),
                    Attempt::Failed(failure) => return Err(failure),
                    Attempt::Unknown { why, fault } if request.is_write() => {
                        let (tried, check) = (tried_at(why, fault), request.check.clone());
                        return Err(Failure::Unknown { tried, check });
                    }
                    Attempt::Unknown { why, fault } => tried_at(why, fault),
                    Attempt::NotDone { why, fault, refusal } => {
                        refused = refusal.or(refused);
                        tried_at(why, fault)
                    }
                });
                self.at = (self.at + 1) % count;
            }
            let remaining = deadline.saturating_duration_since(Instant::now());
            match refused {
                _ if self.manner.is_single_round => return Err(Failure::Unreachable(tried)),
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
                Err(error) => {
                    let (why, fault) = (explain(&error), fault(&error));
                    return match self.sent.is_set() && !is_refused_certificate(&error) {
                        true => Attempt::Unknown { why, fault },
                        false => Attempt::NotDone { why, fault, refusal: None },
                    };
                }
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
        Attempt::NotDone { why, fault: Fault::Other, refusal: None }
    }

    fn send(
        &self,
        request: &Request,
        url: &str,
        patience: Duration,
        is_whole: bool,
    ) -> Result<Response<Body>, ureq::Error> {
        self.sent.reset();
        if self.manner.is_traced {
            say(&request.traced(url));
        }
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
        Err(Unread::Broken(why)) => return Attempt::Unknown { why, fault: Fault::Other },
    };
    let error = ServerError::parse(status, &body);
    match status {
        500.. if !request.is_write() || error.is_nothing_done() => {
            let why = error.to_string();
            Attempt::NotDone { why, fault: Fault::Status(status), refusal: Some(error) }
        }
        500.. => Attempt::Unknown { why: error.to_string(), fault: Fault::Status(status) },
        _ => Attempt::Failed(Failure::refused(error)),
    }
}
