//! The server that is written to.

use super::answer::Answer;
use super::args::Files;
use super::bounds::{BODY_BYTES_MAX, CALL_TIMEOUT};
use super::clock::now;
use super::key::{is_reserved, key_path};
use super::ticks::Window;
use super::tree;
use crate::secure;
use serde::Deserialize;
use server::Access;
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;
use ureq::http::Request;

/// How often a call is tried, and the pause after the first time; it grows with each.
const TRIES_MAX: u32 = 8;
const PAUSE: Duration = Duration::from_millis(250);

const REDIRECTS_MAX: usize = 3;

const JSON: &str = "application/json";

/// The nodes of a target by their keys: the value of a file, nothing for a directory.
pub(super) type Listing = BTreeMap<String, Option<String>>;

/// A connection to a cluster: its URLs, and the one in use.
#[derive(Clone, Debug)]
pub(super) struct Target {
    agent: ureq::Agent,
    urls: Vec<String>,
    at: usize,
    token: Option<String>,
    /// The header that says who writes, if somebody does.
    authorization: Option<String>,
}

impl Target {
    /// # Errors
    /// The file that cannot be used, in a sentence.
    pub(super) fn open(urls: &[String], files: &Files) -> Result<Self, String> {
        let shown = files.cert.as_deref().zip(files.key.as_deref());
        let access = Access { ca: files.ca.as_deref(), shown, ..Access::default() };
        let is_encrypted = urls.iter().any(|url| url.starts_with("https://"));
        let agent = server::agent(is_encrypted, access, Some(CALL_TIMEOUT))?;
        let token = files.token.as_deref().map(secure::read_secret).transpose()?;
        let authorization = files.user.as_deref().map(client::authorization_in).transpose()?;
        Ok(Self { agent, urls: urls.to_vec(), at: 0, token, authorization })
    }

    /// The same that begins with the URL at `at`, so that several connections share the members.
    pub(super) fn beginning_with(&self, at: usize) -> Self {
        Self { at, ..self.clone() }
    }

    /// Asks the member in use for something that only administrators may have. The secret goes to
    /// it alone: redirects are not followed.
    ///
    /// # Errors
    /// Why it failed, in a sentence.
    pub(super) fn administer(
        &mut self,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> Result<Answer, String> {
        let mut why = "no URL was given".to_owned();
        for _ in 0..self.urls.len() {
            let base = self.base()?;
            let token = self.token.as_deref();
            match self.ask(method, &format!("{base}{path}"), (JSON, token), body) {
                Ok(answer) if answer.status < 500 => return Ok(answer),
                Ok(answer) => why = format!("{base}: {}", answer.explain()),
                Err(error) => why = format!("{base}: {error}"),
            }
            self.at += 1;
        }
        Err(why)
    }

    /// Lets the index go on above that of a source, so that an index which a client kept never
    /// names a change that is yet to come. Says whether this server knows how.
    ///
    /// # Errors
    /// Why it failed, in a sentence.
    pub(super) fn raise_index(&mut self, index: u64) -> Result<bool, String> {
        let body = format!("{{\"atLeast\":{index}}}");
        let answer = self.administer("PUT", "/v2/admin/index", body.as_bytes())?;
        match answer.status {
            200..300 => Ok(true),
            404 | 405 => Ok(false),
            401 => Err("the cluster has a secret or users: give it with --token-file, or a file \
                        with root:PASSWORD with --user-file"
                .to_owned()),
            _ => Err(format!("cannot raise the target's index: {}", answer.explain())),
        }
    }

    /// Whether it is a Stead, which has more than an etcd.
    ///
    /// # Errors
    /// Why it failed, in a sentence.
    pub(super) fn is_stead(&mut self) -> Result<bool, String> {
        let answer = self.call("GET", "/version", "", b"")?;
        let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        Ok(answer.status == 200 && json.get("stead").is_some())
    }

    fn base(&self) -> Result<String, String> {
        let base = self.urls.get(self.at % self.urls.len().max(1)).cloned();
        base.ok_or_else(|| "no URL was given".to_owned())
    }

    /// Makes a call, and again if no member can answer it now.
    ///
    /// # Errors
    /// Why it failed, in a sentence.
    pub(super) fn call(
        &mut self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<Answer, String> {
        let mut why = String::new();
        for attempt in 1..=TRIES_MAX {
            let base = self.base()?;
            match self.follow(method, format!("{base}{path}"), content_type, body) {
                Ok(answer) if answer.status < 500 => return Ok(answer),
                Ok(answer) => why = format!("{base}: {}", answer.explain()),
                Err(error) => why = format!("{base}: {error}"),
            }
            self.at += 1;
            if attempt < TRIES_MAX {
                thread::sleep(PAUSE * attempt);
            }
        }
        Err(why)
    }

    /// Makes a call once, wherever it is sent on to.
    fn follow(
        &self,
        method: &str,
        mut url: String,
        content_type: &str,
        body: &[u8],
    ) -> Result<Answer, String> {
        for _ in 0..=REDIRECTS_MAX {
            let answer = self.ask(method, &url, (content_type, None), body)?;
            if answer.status != 307 || answer.location.is_empty() {
                return Ok(answer);
            }
            url = answer.location;
        }
        Err("too many redirects".to_owned())
    }

    fn ask(
        &self,
        method: &str,
        url: &str,
        (content_type, token): (&str, Option<&str>),
        body: &[u8],
    ) -> Result<Answer, String> {
        let request = Request::builder().method(method).uri(url);
        let request = match content_type {
            "" => request,
            kind => request.header("Content-Type", kind),
        };
        let request = match token {
            None => request,
            Some(token) => request.header("Stead-Token", token),
        };
        // Whoever was not named is not told the password, also where it is sent on to.
        let is_named = self.urls.iter().any(|named| {
            url.strip_prefix(named.as_str()).is_some_and(|rest| rest.starts_with('/'))
        });
        let request = match self.authorization.as_deref().filter(|_| is_named) {
            None => request,
            Some(header) => request.header("Authorization", header),
        };
        let request = request.body(body).map_err(|error| error.to_string())?;
        let response = self.agent.run(request).map_err(|error| error.to_string())?;
        Answer::read(response, BODY_BYTES_MAX).map_err(|error| error.to_string())
    }

    /// Lists everything at and below a key, hidden nodes too, but not what servers keep for
    /// themselves.
    ///
    /// # Errors
    /// Why it failed, in a sentence.
    pub(super) fn list(&mut self, prefix: &str) -> Result<Listing, String> {
        let key = if prefix.is_empty() { "/" } else { prefix };
        let path = format!("{}?recursive=true&hidden=true&quorum=true", key_path(key));
        let sent = now();
        let answer = self.call("GET", &path, "", b"")?;
        let wrong = |why: String| format!("cannot list the target's keys: {why}");
        let listing = match (answer.status, answer.error_code()) {
            (200, _) => tree::read(prefix, &answer, Window { sent, came: now() }).map_err(wrong)?,
            (404, 100) => return Ok(Listing::new()),
            (401, _) => {
                let why = answer.explain();
                return Err(wrong(format!("{why}; give a file with root:PASSWORD as --user-file")));
            }
            _ => return Err(wrong(answer.explain())),
        };
        let is_own = |key: &str| key == "/_etcd" || is_reserved(key);
        let nodes = listing.nodes.into_iter().filter(|node| !is_own(&node.path));
        Ok(nodes.map(|node| (node.path, node.state.content.into_value())).collect())
    }

    /// The value of a file, if the key is one; nothing if it is a directory.
    ///
    /// # Errors
    /// Why it failed, in a sentence.
    pub(super) fn get(&mut self, key: &str) -> Result<Option<String>, String> {
        let path = format!("{}?quorum=true", key_path(key));
        let answer = self.call("GET", &path, "", b"")?;
        if answer.status != 200 {
            return Err(format!("cannot read {key}: {}", answer.explain()));
        }
        let one: One = serde_json::from_slice(&answer.body)
            .map_err(|error| format!("cannot read {key}: {error}"))?;
        Ok(one.node.value)
    }
}

#[derive(Deserialize)]
struct One {
    node: OneNode,
}

#[derive(Deserialize)]
struct OneNode {
    value: Option<String>,
}
