//! A command line that was read, and the cluster that it names.

use super::flags::Given;
use super::stop::Stop;
use crate::client::{Client, Manner, Reply, Request};
use crate::failure::{Failure, code};
use crate::options::{Format, Options};
use crate::prompt;
use crate::term::{Screen, say};
use crate::user::authorization_of;
use serde::Deserialize;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

/// Where servers are without a flag or a variable.
const ENDPOINTS: &str = "http://127.0.0.1:2379,http://127.0.0.1:4001";

/// How long one endpoint, and a call, may take without a flag.
const CALL_TIME: Duration = Duration::from_secs(2);
const TOTAL_TIME: Duration = Duration::from_secs(5);

/// No call is as short as this.
const SHORTEST: Duration = Duration::from_millis(1);

/// How long connecting may take at most.
const DIAL_TIME: Duration = Duration::from_secs(30);

/// The flags before the command, and what is behind it.
pub(super) struct Call {
    pub(super) global: Given,
    pub(super) own: Given,
}

/// The cluster, as a command calls it.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) screen: Screen,
    pub(super) format: String,
    total: Duration,
    is_traced: bool,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Call {
    /// A flag before the command, or else a variable.
    fn setting(&self, flag: &str, name: &str) -> Option<String> {
        let given = Some(self.global.text(flag).to_owned()).filter(|given| !given.is_empty());
        given.or_else(|| variable(name))
    }

    /// How answers are printed.
    pub(super) fn format(&self) -> &str {
        Some(self.global.text("output")).filter(|format| !format.is_empty()).unwrap_or("simple")
    }

    /// The first argument, which is a key.
    pub(super) fn key(&self) -> Result<&str, Stop> {
        self.own.arg(0).ok_or_else(|| Stop::bad_args("key required"))
    }

    /// Where the cluster is, and what is shown to it; without a user.
    fn options(&self) -> Result<Options, Stop> {
        if self.setting("discovery-srv", "ETCDCTL_DISCOVERY_SRV").is_some() {
            let why = "--discovery-srv is not supported: name the members with --endpoints";
            return Err(Stop::plain(why));
        }
        let endpoints = [
            ("endpoints", "ETCDCTL_ENDPOINTS"),
            ("endpoint", "ETCDCTL_ENDPOINT"),
            ("peers", "ETCDCTL_PEERS"),
        ];
        let named = endpoints.iter().find_map(|(flag, name)| self.setting(flag, name));
        let cert = self.setting("cert-file", "ETCDCTL_CERT_FILE");
        let key = self.setting("key-file", "ETCDCTL_KEY_FILE");
        if cert.is_some() != key.is_some() {
            let (cert, key) = (cert.unwrap_or_default(), key.unwrap_or_default());
            let why = "KeyFile and CertFile must both be present";
            return Err(Stop::plain(format!("{why}[key: {key}, cert: {cert}]")));
        }
        Ok(Options {
            endpoints: Some(named.unwrap_or_else(|| ENDPOINTS.to_owned())),
            user: None,
            user_file: None,
            token_file: None,
            ca_file: readable(self.setting("ca-file", "ETCDCTL_CA_FILE"))?,
            cert_file: readable(cert)?,
            key_file: readable(key)?,
            timeout: None,
            dial_timeout: self.total().clamp(SHORTEST, DIAL_TIME),
            output: Format::Simple,
        })
    }

    /// How long a call may take.
    fn total(&self) -> Duration {
        self.global.time("total-timeout").unwrap_or(TOTAL_TIME)
    }

    /// Makes ready to call the endpoints that were named.
    ///
    /// # Errors
    /// [`Stop`] with what cannot be used.
    pub(super) fn open(&self) -> Result<Session, Stop> {
        let options = self.options()?;
        let refused = |why: Failure| Stop::plain(why.to_string());
        let authorization = match self.setting("username", "ETCDCTL_USERNAME") {
            Some(user) => {
                let [name, password] = with_password(&user, "Password: ")?;
                Some(authorization_of(&name, &password).map_err(refused)?)
            }
            None => None,
        };
        let mut client = Client::with(&options, authorization).map_err(refused)?;
        let call_max = self.global.time("timeout").unwrap_or(CALL_TIME);
        let call_max = Some(call_max).filter(|max| !max.is_zero());
        let is_traced = self.global.is_set("debug");
        client.set_manner(Manner { is_single_round: true, call_max, is_traced });
        let (screen, format) = (Screen::of_stdout(), self.format().to_owned());
        Ok(Session { client, screen, format, total: self.total(), is_traced })
    }

    /// As [`Self::open`], and asks the cluster where its members are, unless that is forbidden.
    pub(super) fn synced(&self) -> Result<Session, Stop> {
        let mut session = self.open()?;
        if self.global.is_set("no-sync") {
            session.tell_endpoints();
            return Ok(session);
        }
        let named = session.client.endpoints().join(",");
        if session.is_traced {
            say(&format!("start to sync cluster using endpoints({named})"));
        }
        match session.call(&Request::get("/v2/members".to_owned())) {
            Ok(reply) => learn(&mut session.client, &reply)?,
            Err(failure) => {
                if let Some(stop) = Stop::of_sync(&failure) {
                    return Err(stop);
                }
            }
        }
        if session.is_traced {
            let found = session.client.endpoints().join(",");
            say(&format!("got endpoints({found}) after sync"));
        }
        session.tell_endpoints();
        Ok(session)
    }

    /// As [`Self::synced`], for users and roles.
    pub(super) fn admin(&self) -> Result<Session, Stop> {
        let session = self.synced()?;
        // Twice, as there.
        session.tell_endpoints();
        Ok(session)
    }
}

/// A file that can be read, if one was named.
fn readable(path: Option<String>) -> Result<Option<PathBuf>, Stop> {
    let Some(path) = path else { return Ok(None) };
    match File::open(&path) {
        Ok(_) => Ok(Some(PathBuf::from(path))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Stop::plain(format!("open {path}: no such file or directory")))
        }
        Err(error) => Err(Stop::plain(format!("open {path}: {error}"))),
    }
}

/// Takes over where the members are.
fn learn(client: &mut Client, reply: &Reply) -> Result<(), Stop> {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Member {
        #[serde(rename = "clientURLs")]
        client_urls: Vec<String>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Body {
        members: Vec<Member>,
    }
    // An answer that is none is passed over, as there.
    let Ok(body) = serde_json::from_slice::<Body>(&reply.body) else { return Ok(()) };
    let urls: Vec<String> = body.members.into_iter().flat_map(|one| one.client_urls).collect();
    if urls.is_empty() {
        let named = client.endpoints().join(",");
        return Err(Stop {
            code: code::SERVER,
            text: format!(
                "etcd cluster has no published client endpoints.\nTry '--no-sync' if you want to \
                 access non-published client endpoints({named}).\nError:  client: no endpoints \
                 available"
            ),
        });
    }
    client.learn(&urls);
    Ok(())
}

impl Session {
    /// Calls within the time that the command line gives.
    ///
    /// # Errors
    /// [`Failure`] of the call.
    pub(super) fn call(&mut self, request: &Request) -> Result<Reply, Failure> {
        let over = || Failure::Local("context deadline exceeded".to_owned());
        if self.total < SHORTEST {
            return Err(over());
        }
        let begun = std::time::Instant::now();
        match self.client.call_for(request, self.total) {
            Err(Failure::Unreachable(_) | Failure::Unknown { .. })
                if begun.elapsed() >= self.total =>
            {
                Err(over())
            }
            result => result,
        }
    }

    pub(super) fn tell_endpoints(&self) {
        if self.is_traced {
            say(&format!("Cluster-Endpoints: {}", self.client.endpoints().join(", ")));
        }
    }

    pub(super) fn is_simple(&self) -> bool {
        self.format == "simple"
    }
}

/// Name and password; the password is read from standard input if it was not given.
///
/// # Errors
/// [`Stop`] if it cannot be read.
pub(super) fn with_password(user: &str, question: &str) -> Result<[String; 2], Stop> {
    Ok(match user.split_once(':') {
        Some((name, password)) => [name.to_owned(), password.to_owned()],
        None => [user.to_owned(), password(question)?],
    })
}

/// A line of standard input, which a terminal does not show.
///
/// # Errors
/// [`Stop`] if it cannot be read.
pub(super) fn password(question: &str) -> Result<String, Stop> {
    let read = prompt::silent_line(question);
    read.map_err(|error| Stop::plain(format!("Error reading password: {error}")))
}
