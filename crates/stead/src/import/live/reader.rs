//! A server that is read from: the source, and the target where both are compared.

use crate::import::answer::{Answer, Unread};
use crate::import::args::Files;
use crate::import::bounds::{
    BODY_BYTES_MAX, BODY_TIMEOUT, CALL_TIMEOUT, INDEX_MAX, SMALL_BYTES_MAX,
};
use crate::import::clock::now;
use crate::import::key::key_path;
use crate::import::ticks::Window;
use crate::import::tree::{self, Listing};
use server::Access;
use std::path::Path;
use std::thread;
use std::time::Duration;
use ureq::http::{Request, Response};
use ureq::{Body, BodyReader};

/// How often a call is tried, and the pause after the first time; it grows with each.
const TRIES_MAX: u32 = 6;
const PAUSE: Duration = Duration::from_millis(250);

const REDIRECTS_MAX: usize = 3;

/// A key that is not there: the heads of its answers tell of the server, and cost the least.
const NOWHERE: &str = "/v2/keys/_stead/none";

/// Whose dialect it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Stead,
    /// 0.2 to 0.4.
    V04,
    /// 2.x and 3.x.
    V2,
}

/// A connection to a cluster: its URLs, and the one in use.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    agent: ureq::Agent,
    urls: Vec<String>,
    at: usize,
    authorization: Option<String>,
    /// The flag that names the file with a user for it.
    user_flag: &'static str,
    /// What it says that it is.
    pub(super) version: String,
    pub(super) kind: Kind,
}

/// How much may come, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) bytes: u64,
    pub(super) patience: Duration,
}

/// For answers about one thing.
pub(super) const SMALL: Bounds = Bounds { bytes: SMALL_BYTES_MAX, patience: CALL_TIMEOUT };

/// For listings.
pub(super) const LARGE: Bounds = Bounds { bytes: BODY_BYTES_MAX, patience: BODY_TIMEOUT };

impl Reader {
    /// Finds out what answers there.
    ///
    /// # Errors
    /// The file that cannot be used, or that nobody answers, in a sentence.
    pub(super) fn open(
        urls: &[String],
        files: &Files,
        (user_flag, user): (&'static str, Option<&Path>),
    ) -> Result<Self, String> {
        let shown = files.cert.as_deref().zip(files.key.as_deref());
        let access = Access { ca: files.ca.as_deref(), shown, ..Access::default() };
        let is_encrypted = urls.iter().any(|url| url.starts_with("https://"));
        let agent = server::agent(is_encrypted, access, Some(CALL_TIMEOUT))?;
        let authorization = user.map(client::authorization_in).transpose()?;
        let (version, kind) = (String::new(), Kind::V2);
        let urls = urls.to_vec();
        let mut reader = Self { agent, urls, at: 0, authorization, user_flag, version, kind };
        let (answer, _) = reader.get("/version", SMALL)?;
        (reader.version, reader.kind) = version_of(&answer);
        Ok(reader)
    }

    /// The URL in use.
    pub(super) fn base(&self) -> &str {
        self.urls.get(self.at % self.urls.len().max(1)).map_or("", String::as_str)
    }

    /// Goes on with the next URL.
    pub(super) fn pass_on(&mut self) {
        self.at += 1;
    }

    /// Reads, and again if no member can answer now.
    ///
    /// # Errors
    /// Why it failed, in a sentence.
    pub(super) fn get(&mut self, path: &str, bounds: Bounds) -> Result<(Answer, Window), String> {
        let mut why = String::new();
        for attempt in 1..=TRIES_MAX {
            match self.try_get(path, bounds) {
                Ok((answer, window)) if answer.status < 500 => return Ok((answer, window)),
                Ok((answer, _)) => why = format!("{}: {}", self.base(), answer.explain()),
                Err(Failure::Temporary(error)) => why = format!("{}: {error}", self.base()),
                Err(Failure::Final(error)) => return Err(format!("{}: {error}", self.base())),
            }
            self.pass_on();
            if attempt < TRIES_MAX {
                thread::sleep(PAUSE * attempt);
            }
        }
        Err(why)
    }

    /// Reads once, wherever the member in use sends it on to.
    pub(super) fn try_get(&self, path: &str, bounds: Bounds) -> Result<(Answer, Window), Failure> {
        let mut url = format!("{}{path}", self.base());
        // A password goes to the servers that were named and to no other.
        let mut authorization = self.authorization.as_deref();
        for _ in 0..=REDIRECTS_MAX {
            let sent = now();
            let response = self.send(&url, authorization, bounds.patience)?;
            let answer = Answer::read(response, bounds.bytes).map_err(|error| match error {
                Unread::TooLong(max) => Failure::Final(format!(
                    "the answer to {path} has more than {max} bytes, which is not taken"
                )),
                Unread::Broken(error) => Failure::Temporary(error.to_string()),
            })?;
            if answer.status != 307 || answer.location.is_empty() {
                return Ok((answer, Window { sent, came: now() }));
            }
            (url, authorization) = (answer.location, None);
        }
        Err(Failure::Temporary("too many redirects".to_owned()))
    }

    /// Opens a stream, which ends after `patience` at the latest.
    pub(super) fn open_stream(
        &self,
        path: &str,
        patience: Duration,
    ) -> Result<(Answer, BodyReader<'static>), Failure> {
        let url = format!("{}{path}", self.base());
        let response = self.send(&url, self.authorization.as_deref(), patience)?;
        let answer = Answer::begun(&response);
        Ok((answer, response.into_body().into_reader()))
    }

    fn send(
        &self,
        url: &str,
        authorization: Option<&str>,
        patience: Duration,
    ) -> Result<Response<Body>, Failure> {
        let mut request = Request::get(url);
        if let Some(text) = authorization {
            request = request.header("Authorization", text);
        }
        let request = request.body(()).map_err(|error| Failure::Final(error.to_string()))?;
        let request = self
            .agent
            .configure_request(request)
            .timeout_global(Some(patience))
            .timeout_recv_response(Some(patience))
            .build();
        self.agent.run(request).map_err(|error| Failure::Temporary(error.to_string()))
    }

    /// The parameters of a read that misses nothing that was acknowledged.
    fn consistency(&self) -> &'static str {
        match self.kind {
            // Quorum reads of 0.4 have a wrong `X-Etcd-Index`.
            Kind::V04 => "consistent=true",
            Kind::Stead | Kind::V2 => "quorum=true",
        }
    }

    /// Lists everything at and below a key (`""` for the root), with hidden nodes where the server
    /// shows them. Nothing if the key is not there.
    ///
    /// # Errors
    /// Why it failed, in a sentence.
    pub(super) fn list(&mut self, key: &str) -> Result<Option<Listing>, String> {
        let path = if key.is_empty() { "/" } else { key };
        let url = format!("{}?recursive=true&hidden=true&{}", key_path(path), self.consistency());
        let (answer, window) = self.get(&url, LARGE)?;
        self.listed(key, &answer, window)
    }

    /// The node of one key. Nothing if it is not there.
    ///
    /// # Errors
    /// Why it failed, in a sentence.
    pub(super) fn look(&mut self, key: &str) -> Result<Option<Listing>, String> {
        let url = format!("{}?{}", key_path(key), self.consistency());
        let (answer, window) = self.get(&url, LARGE)?;
        let mut listing = self.listed(key, &answer, window)?;
        if let Some(listing) = &mut listing {
            listing.nodes.retain(|node| node.path == key);
        }
        Ok(listing)
    }

    fn listed(
        &self,
        key: &str,
        answer: &Answer,
        window: Window,
    ) -> Result<Option<Listing>, String> {
        let named = |why: String| format!("{}: cannot list {key}/: {why}", self.base());
        match (answer.status, answer.error_code()) {
            (200, _) => tree::read(key, answer, window).map(Some).map_err(named),
            (404, 100) => Ok(None),
            _ => Err(named(self.refusal(answer))),
        }
    }

    /// The id of the cluster, where it tells one.
    ///
    /// # Errors
    /// Why it failed, in a sentence.
    pub(super) fn cluster(&mut self) -> Result<String, String> {
        let (answer, _) = self.get(NOWHERE, SMALL)?;
        Ok(answer.cluster)
    }

    /// The index of the store, as the member in use has it.
    ///
    /// # Errors
    /// Why it failed, in a sentence.
    pub(super) fn index(&mut self) -> Result<u64, String> {
        let (answer, _) = self.get(NOWHERE, SMALL)?;
        match answer.index {
            0 if answer.status >= 400 => Err(format!("{}: {}", self.base(), self.refusal(&answer))),
            index @ 0..=INDEX_MAX => Ok(index),
            index => Err(format!("{}: its index is {index}, which cannot be", self.base())),
        }
    }

    /// Why a server refused, and what to do about it.
    fn refusal(&self, answer: &Answer) -> String {
        let why = answer.explain();
        match (answer.status, answer.error_code()) {
            (404, 0) => "there is no v2 API; an etcd 3.x has it if it is started with \
                         --enable-v2=true"
                .to_owned(),
            (401 | 403, _) => {
                format!("{why}; give a file with root:PASSWORD as {}", self.user_flag)
            }
            _ => why,
        }
    }
}

/// Why nothing came.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// The next try, or the next member, may fare better.
    Temporary(String),
    Final(String),
}

impl Failure {
    pub(super) fn text(self) -> String {
        match self {
            Self::Temporary(why) | Self::Final(why) => why,
        }
    }
}

/// What an answer to `/version` says.
fn version_of(answer: &Answer) -> (String, Kind) {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Version {
        etcdserver: String,
        stead: Option<String>,
    }
    // What strangers say goes to the terminal.
    let clean = |text: &str| text.trim().chars().filter(|c| !c.is_control()).take(40).collect();
    if answer.status != 200 {
        return ("unknown".to_owned(), Kind::V2);
    }
    if let Ok(version) = serde_json::from_slice::<Version>(&answer.body) {
        return match version.stead {
            Some(stead) => (format!("Stead {}", clean(&stead) as String), Kind::Stead),
            None => (format!("etcd {}", clean(&version.etcdserver) as String), Kind::V2),
        };
    }
    let text = String::from_utf8_lossy(&answer.body);
    let kind = if text.starts_with("etcd 0.") { Kind::V04 } else { Kind::V2 };
    (clean(&text), kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

    /// A server that reads the head of one request, and answers with what `answer` writes.
    fn serve(answer: impl FnOnce(&mut TcpStream, String) + Send + 'static) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let addr = listener.local_addr().expect("it is bound");
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("somebody calls");
            stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket takes it");
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                head.push(byte[0]);
            }
            answer(&mut stream, String::from_utf8_lossy(&head).into_owned());
        });
        format!("http://{addr}")
    }

    fn reader(url: &str, authorization: Option<&str>) -> Reader {
        let access = Access::default();
        let agent = server::agent(false, access, Some(CALL_TIMEOUT)).expect("it needs no files");
        let (urls, authorization) = (vec![url.to_owned()], authorization.map(str::to_owned));
        let (user_flag, version) = ("--source-user-file", String::new());
        Reader { agent, urls, at: 0, authorization, user_flag, version, kind: Kind::V2 }
    }

    #[test]
    fn a_body_without_an_end_is_refused() {
        let url = serve(|stream, _| {
            let _ = stream.write_all(CHUNKED.as_bytes());
            while stream.write_all(b"4\r\nAAAA\r\n").is_ok() {}
        });
        let bounds = Bounds { bytes: 100_000, patience: Duration::from_secs(20) };
        match reader(&url, None).try_get("/x", bounds) {
            Err(Failure::Final(why)) => assert!(why.contains("more than 100000 bytes"), "{why}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_body_that_drips_is_not_waited_for_forever() {
        let url = serve(|stream, _| {
            let _ = stream.write_all(CHUNKED.as_bytes());
            while stream.write_all(b"1\r\nA\r\n").is_ok() {
                thread::sleep(Duration::from_millis(50));
            }
        });
        let (begun, patience) = (Instant::now(), Duration::from_millis(700));
        let failed = reader(&url, None).try_get("/x", Bounds { bytes: 100_000, patience });
        assert!(matches!(failed, Err(Failure::Temporary(_))), "{failed:?}");
        assert!(begun.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_password_is_not_sent_on_with_a_redirect() {
        let other = serve(|stream, head| {
            let body = if head.to_lowercase().contains("authorization") { "told" } else { "none" };
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{body}");
        });
        let url = serve(move |stream, head| {
            let is_known = head.to_lowercase().contains("authorization: basic");
            let location = if is_known { other } else { "http://127.0.0.1:1".to_owned() };
            let _ = write!(
                stream,
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}/y\r\n\
                 Content-Length: 0\r\n\r\n"
            );
        });
        let (answer, _) = reader(&url, Some("Basic cm9vdDpwdw==")).try_get("/x", SMALL).unwrap();
        assert_eq!(answer.body, b"none");
    }

    #[test]
    fn versions_are_told_apart() {
        let of = |body: &str| {
            let body = body.as_bytes().to_vec();
            let (location, cluster) = (String::new(), String::new());
            version_of(&Answer { status: 200, location, index: 0, cluster, body })
        };
        assert_eq!(of("etcd 0.4.9\n"), ("etcd 0.4.9".to_owned(), Kind::V04));
        assert_eq!(of(r#"{"etcdserver":"3.4.23"}"#), ("etcd 3.4.23".to_owned(), Kind::V2));
        let stead = of(r#"{"etcdserver":"2.3.8","stead":"0.1.0"}"#);
        assert_eq!(stead, ("Stead 0.1.0".to_owned(), Kind::Stead));
        assert_eq!(of("\x1b[2J<html>"), ("[2J<html>".to_owned(), Kind::V2));
    }
}
