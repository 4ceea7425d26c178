//! `member`, `cluster-health`, and why there is no `backup`.

use super::call::{Call, Session};
use super::print::put;
use super::stop::{Stop, reason};
use super::watch::end_on_interrupt;
use crate::client::{Method, Reply, Request};
use crate::failure::{Failure, Tried, code};
use crate::key;
use crate::members::{self, Member};
use crate::term::{Screen, say};
use serde_json::json;
use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

type Ended = Result<u8, Stop>;

/// The pause of `cluster-health --forever`.
const HEALTH_PAUSE: Duration = Duration::from_secs(10);

pub(super) fn backup(_: &Call) -> Ended {
    Err(Stop::plain(
        "this etcdctl makes no backups of data directories: `stead backup` saves a running \
         cluster, and `stead import --from-dir` reads the data directory of an etcd",
    ))
}

/// The end of a call about members. Only two statuses have words that are told.
fn refused(failure: &Failure) -> Stop {
    match failure {
        Failure::Auth(error) | Failure::Server(error) if !matches!(error.status, 404 | 409) => {
            Stop::plain(format!("unexpected status code {}", error.status))
        }
        failure => Stop::of_admin(failure),
    }
}

fn ask(session: &mut Session, request: &Request) -> Result<Reply, Stop> {
    session.call(request).map_err(|failure| refused(&failure))
}

fn no_answer(failure: &Failure) -> Stop {
    Stop::plain(failure.to_string())
}

fn members(session: &mut Session) -> Result<Vec<Member>, Stop> {
    let reply = ask(session, &members::list_request())?;
    members::read_list(&reply).map_err(|failure| no_answer(&failure))
}

pub(super) fn list(call: &Call) -> Ended {
    if !call.own.args.is_empty() {
        return Err(Stop::plain("No arguments accepted"));
    }
    let mut session = call.synced()?;
    let mut members = members(&mut session)?;
    let leader = session
        .call(&members::leader_request())
        .and_then(|reply| members::mark_leader(&mut members, &reply));
    if let Err(failure) = leader {
        let stop = refused(&failure);
        return Err(Stop { text: format!("Failed to get leader:  {}", stop.text), ..stop });
    }
    put(&members::lines(&members))
}

pub(super) fn add(call: &Call) -> Ended {
    let [name, url] = call.own.args.as_slice() else {
        return Err(Stop::plain("Provide a name and a single member peerURL"));
    };
    let mut session = call.synced()?;
    let body = json!({ "peerURLs": peer_urls(&[url])? }).to_string();
    let request = Request::write(Method::POST, "/v2/members".to_owned(), String::new());
    let reply = ask(&mut session, &request.json(body))?;
    let added = members::read_one(&reply).map_err(|failure| no_answer(&failure))?;
    put(&format!("Added member named {name} with ID {} to cluster\n", added.id))?;
    let members = members(&mut session)?;
    put(&members::start_lines(&members, &added.id, name))
}

pub(super) fn remove(call: &Call) -> Ended {
    let [id] = call.own.args.as_slice() else {
        return Err(Stop::plain("Provide a single member ID"));
    };
    let mut session = call.synced()?;
    let members = members(&mut session).map_err(|stop| {
        let text = format!("Error while verifying ID against known members: {}", stop.text);
        Stop { text, ..stop }
    })?;
    for member in members.iter().filter(|member| member.name == *id) {
        let hint = format!(
            "Found a member named {id}; if this is correct, please use its ID, eg:\n\tetcdctl \
             member remove {}\nFor more details, read the documentation at \
             https://github.com/etcd-io/etcd/blob/master/Documentation/runtime-configuration.md\
             #remove-a-member\n",
            member.id
        );
        say(&Screen::of_stderr().value(&hint));
    }
    if members.iter().all(|member| member.id != *id) {
        let why = format!("Couldn't find a member in the cluster with an ID of {id}.");
        return Err(Stop::plain(why));
    }
    let path = key::named("/v2/members/", id);
    ask(&mut session, &Request::write(Method::DELETE, path, String::new())).map_err(|stop| {
        let text = format!("Received an error trying to remove member {id}: {}", stop.text);
        Stop { text, ..stop }
    })?;
    put(&format!("Removed member {id} from cluster\n"))
}

pub(super) fn update(call: &Call) -> Ended {
    let [id, urls] = call.own.args.as_slice() else {
        return Err(Stop::plain(
            "Provide an ID and a list of comma separated peerURL (0xabcd \
             http://example.com,http://example1.com)",
        ));
    };
    let mut session = call.synced()?;
    let urls: Vec<&str> = urls.split(',').collect();
    let body = json!({ "peerURLs": peer_urls(&urls)? }).to_string();
    let path = key::named("/v2/members/", id);
    ask(&mut session, &Request::write(Method::PUT, path, String::new()).json(body))?;
    put(&format!("Updated member with ID {id} in cluster\n"))
}

/// URLs in their order, checked before the cluster is asked.
fn peer_urls(urls: &[impl AsRef<str>]) -> Result<Vec<String>, Stop> {
    let mut checked = Vec::new();
    for url in urls.iter().map(|url| url.as_ref().trim()) {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        if !matches!(scheme, "http" | "https" | "unix" | "unixs") {
            let why = format!("URL scheme must be http, https, unix, or unixs: {url}");
            return Err(Stop::plain(why));
        }
        let address = rest.split('/').next().unwrap_or(rest);
        // In brackets there are colons that lead to no port.
        let behind = address.rsplit_once(']').map_or(address, |(_, behind)| behind);
        if behind.matches(':').count() != 1 {
            let why = format!("URL address does not have the form \"host:port\": {url}");
            return Err(Stop::plain(why));
        }
        if rest.contains('/') {
            return Err(Stop::plain(format!("URL must not contain a path: {url}")));
        }
        checked.push(url.to_owned());
    }
    checked.sort_unstable();
    Ok(checked)
}

pub(super) fn health(call: &Call) -> Ended {
    let is_forever = call.own.is_set("forever");
    if is_forever {
        end_on_interrupt()?;
    }
    let mut session = call.open()?;
    session.tell_endpoints();
    let members = match session.call(&members::list_request()) {
        Ok(reply) => members::read_list(&reply).map_err(|failure| no_answer(&failure))?,
        Err(failure) => {
            put("cluster may be unhealthy: failed to list members\n")?;
            return Err(match failure {
                Failure::Auth(_) | Failure::Server(_) => {
                    let text = format!("Error:  {}", refused(&failure).text);
                    Stop { code: code::SERVER, text }
                }
                _ => Stop::of_server(&failure),
            });
        }
    };
    loop {
        let (mut out, mut healthy) = (String::new(), 0);
        for member in &members {
            healthy += usize::from(state(&mut session, member, &mut out));
        }
        let word = match healthy {
            0 => "unavailable",
            count if count == members.len() => "healthy",
            _ => "degraded",
        };
        put(&format!("{out}cluster is {word}\n"))?;
        if !is_forever {
            return Ok(if healthy == members.len() { 0 } else { code::UNHEALTHY });
        }
        put("\nnext check after 10 second...\n\n")?;
        thread::sleep(HEALTH_PAUSE);
    }
}

/// Asks a member how it is, and tells; gives whether it is healthy.
fn state(session: &mut Session, member: &Member, out: &mut String) -> bool {
    let id = &member.id;
    if member.client_urls.is_empty() {
        let _ = writeln!(out, "member {id} is unreachable: no available published client urls");
        return false;
    }
    for url in &member.client_urls {
        match members::probe(&mut session.client, url) {
            Ok(is_healthy) => {
                let word = if is_healthy { "healthy" } else { "unhealthy" };
                let _ = writeln!(out, "member {id} is {word}: got {word} result from {url}");
                return is_healthy;
            }
            Err(tried) => {
                let Tried { url: asked, .. } = &tried;
                let why = reason(&tried);
                let _ = writeln!(
                    out,
                    "failed to check the health of member {id} on {url}: Get \"{asked}/health\": \
                     {why}"
                );
            }
        }
    }
    let urls = member.client_urls.join(" ");
    let _ = writeln!(out, "member {id} is unreachable: [{urls}] are all unreachable");
    false
}

#[test]
fn peer_urls_are_checked_as_etcdctl_2_does() {
    let why = |url: &str| peer_urls(&[url]).expect_err("it is wrong").text;
    assert_eq!(why("foo"), "URL scheme must be http, https, unix, or unixs: foo");
    assert_eq!(
        why("http://a:1,http://b:2"),
        "URL address does not have the form \"host:port\": http://a:1,http://b:2"
    );
    assert_eq!(why("http://a:1/x"), "URL must not contain a path: http://a:1/x");
    assert!(peer_urls(&["http://[::1]:7001"]).is_ok());
    assert!(why("http://[::1]").starts_with("URL address does not"));
    let both = peer_urls(&["http://b:2", " http://a:1"]).expect("they are good");
    assert_eq!(both, ["http://a:1", "http://b:2"]);
}
