//! `members`, `member add|remove|update`, `move-leader` and `health`.

use crate::client::{Client, Method, Reply, Request};
use crate::context::Context;
use crate::failure::{Failure, Tried, code};
use crate::key;
use crate::options::Format;
use crate::term::{Tone, print, table};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fmt::Write as _;
use std::time::Duration;

/// How long a member may take to say how it is.
const HEALTH_PATIENCE: Duration = Duration::from_secs(2);

/// Members that are asked how they are.
const MEMBERS_MAX: usize = 256;

/// `stead member`.
#[derive(Args, Debug)]
pub(crate) struct MemberArgs {
    #[command(subcommand)]
    change: Change,
}

#[derive(Debug, Subcommand)]
enum Change {
    /// List the members
    List,
    /// Announce a machine: it gets an id, and takes part once it is started
    Add {
        /// The machine's name, as it will be started with
        name: String,
        /// Its peer URL
        peer_url: String,
    },
    /// Remove a member for good
    Remove {
        /// The member's id, or its name
        member: String,
    },
    /// Change where the others look for a member
    Update {
        /// The member's id, or its name
        member: String,
        /// Its new peer URL
        peer_url: String,
    },
}

/// `stead move-leader`.
#[derive(Args, Debug)]
pub(crate) struct MoveLeader {
    /// The member's id, or its name; any other member without it
    member: Option<String>,
}

/// `stead health`.
#[derive(Args, Debug)]
pub(crate) struct HealthArgs {
    /// Ask the first endpoint about itself alone, as a check of a container does
    ///
    /// Without it every member is asked, so that one dead member is a failure at all machines.
    #[arg(long)]
    local: bool,
}

/// A member as servers print it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(rename = "peerURLs")]
    peer_urls: Vec<String>,
    #[serde(rename = "clientURLs")]
    pub(crate) client_urls: Vec<String>,
    #[serde(rename = "isLeader", skip_deserializing)]
    is_leader: bool,
}

fn read<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        Failure::Local(format!("the answer is not one of the members API: {error}"))
    })
}

/// The question who the members are.
pub(crate) fn list_request() -> Request {
    Request::get("/v2/members".to_owned())
}

/// The members of an answer.
///
/// # Errors
/// [`Failure::Local`] if it is none of the members API.
pub(crate) fn read_list(reply: &Reply) -> Result<Vec<Member>, Failure> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Body {
        members: Vec<Member>,
    }
    let mut members = read::<Body>(&reply.body)?.members;
    members.truncate(MEMBERS_MAX);
    Ok(members)
}

/// The member of an answer.
///
/// # Errors
/// As [`read_list`].
pub(crate) fn read_one(reply: &Reply) -> Result<Member, Failure> {
    read(&reply.body)
}

/// The question who leads.
pub(crate) fn leader_request() -> Request {
    Request::get("/v2/members/leader".to_owned())
}

/// Marks the member that the answer names.
///
/// # Errors
/// As [`read_list`].
pub(crate) fn mark_leader(members: &mut [Member], reply: &Reply) -> Result<(), Failure> {
    let leader = read_one(reply)?.id;
    members.iter_mut().for_each(|member| member.is_leader = member.id == leader);
    Ok(())
}

/// The members, with which of them leads.
fn list(client: &mut Client) -> Result<Vec<Member>, Failure> {
    let mut members = read_list(&client.call(&list_request())?)?;
    // Without a leader nobody is told to be one.
    if let Ok(reply) = client.call(&leader_request()) {
        mark_leader(&mut members, &reply)?;
    }
    Ok(members)
}

pub(crate) fn members(cx: &mut Context) -> Result<(), Failure> {
    let members = list(&mut cx.client)?;
    print(&shown(cx, &members))
}

fn shown(cx: &Context, members: &[Member]) -> String {
    if cx.is_json() {
        return format!("{}\n", json!({ "members": members }));
    }
    if cx.screen.is_terminal {
        let row = |member: &Member| {
            let Member { id, name, peer_urls, client_urls, is_leader } = member;
            let leader = if *is_leader { "leader" } else { "" };
            let (peers, clients) = (peer_urls.join(","), client_urls.join(","));
            vec![name.clone(), id.clone(), leader.to_owned(), clients, peers]
        };
        let rows: Vec<_> = members.iter().map(row).collect();
        return table(cx.screen, &["NAME", "ID", "", "CLIENT URLS", "PEER URLS"], &rows);
    }
    lines(members)
}

/// The members, as etcdctl 2 prints them.
pub(crate) fn lines(members: &[Member]) -> String {
    let mut out = String::new();
    for Member { id, name, peer_urls, client_urls, is_leader } in members {
        let (peers, clients) = (peer_urls.join(","), client_urls.join(","));
        let _ = match name.is_empty() {
            true => writeln!(out, "{id}[unstarted]: peerURLs={peers}"),
            false => writeln!(
                out,
                "{id}: name={name} peerURLs={peers} clientURLs={clients} isLeader={is_leader}"
            ),
        };
    }
    out
}

pub(crate) fn member(args: &MemberArgs, cx: &mut Context) -> Result<(), Failure> {
    match &args.change {
        Change::List => members(cx),
        Change::Add { name, peer_url } => add(cx, name, peer_url),
        Change::Remove { member } => remove(cx, member),
        Change::Update { member, peer_url } => update(cx, member, peer_url),
    }
}

const CHECK: &str = "stead members";

fn add(cx: &mut Context, name: &str, peer_url: &str) -> Result<(), Failure> {
    let body = json!({ "name": name, "peerURLs": [peer_url] }).to_string();
    let request = Request::write(Method::POST, "/v2/members".to_owned(), CHECK.to_owned());
    let reply = cx.client.call(&request.json(body).with_token())?;
    let added: Member = read(&reply.body)?;
    if cx.is_json() {
        return print(&format!("{}\n", json!({ "added": added })));
    }
    let mut out = format!("Added member named {name} with ID {} to cluster\n", added.id);
    if let Ok(members) = list(&mut cx.client) {
        out.push_str(&start_lines(&members, &added.id, name));
    }
    print(&out)
}

/// What a new machine is started with, as etcdctl 2 prints it.
pub(crate) fn start_lines(members: &[Member], id: &str, name: &str) -> String {
    let one = |member: &Member| {
        let name = if member.id == id { name } else { &member.name };
        let of = |url: &String| format!("{name}={url}");
        member.peer_urls.iter().map(of).collect::<Vec<_>>()
    };
    let all: Vec<String> = members.iter().flat_map(one).collect();
    format!(
        "\nETCD_NAME=\"{name}\"\nETCD_INITIAL_CLUSTER=\"{}\"\n\
         ETCD_INITIAL_CLUSTER_STATE=\"existing\"\n",
        all.join(",")
    )
}

/// The member that an id or a name means.
fn find(cx: &mut Context, word: &str) -> Result<Member, Failure> {
    let members = list(&mut cx.client)?;
    let by_id = members.iter().find(|member| member.id == word);
    let mut by_name = members.iter().filter(|member| member.name == word);
    match (by_id, by_name.next(), by_name.next()) {
        (Some(member), ..) | (None, Some(member), None) => Ok(member.clone()),
        (None, Some(_), Some(_)) => {
            Err(Failure::Usage(format!("several members are called {word:?}: give an id")))
        }
        (None, None, _) => {
            Err(Failure::Usage(format!("no member is called {word:?}: `stead members` lists them")))
        }
    }
}

fn remove(cx: &mut Context, word: &str) -> Result<(), Failure> {
    let member = find(cx, word)?;
    let path = key::named("/v2/members/", &member.id);
    let request = Request::write(Method::DELETE, path, CHECK.to_owned()).with_token();
    cx.client.call(&request)?;
    match cx.is_json() {
        true => print(&format!("{}\n", json!({ "removed": member }))),
        false => print(&format!("Removed member {} from cluster\n", member.id)),
    }
}

fn update(cx: &mut Context, word: &str, peer_url: &str) -> Result<(), Failure> {
    let mut member = find(cx, word)?;
    let path = key::named("/v2/members/", &member.id);
    let body = json!({ "peerURLs": [peer_url] }).to_string();
    let request = Request::write(Method::PUT, path, CHECK.to_owned()).json(body).with_token();
    cx.client.call(&request)?;
    member.peer_urls = vec![peer_url.to_owned()];
    match cx.is_json() {
        true => print(&format!("{}\n", json!({ "updated": member }))),
        false => print(&format!("Updated member with ID {} in cluster\n", member.id)),
    }
}

pub(crate) fn move_leader(args: &MoveLeader, cx: &mut Context) -> Result<(), Failure> {
    let body = match &args.member {
        Some(word) => json!({ "id": find(cx, word)?.id }),
        None => json!({}),
    };
    let path = "/v2/admin/leader".to_owned();
    let request = Request::write(Method::PUT, path, CHECK.to_owned());
    let reply = cx.client.call(&request.json(body.to_string()).with_token())?;
    let mut leader: Member = read(&reply.body)?;
    leader.is_leader = true;
    match cx.is_json() {
        true => print(&format!("{}\n", json!({ "leader": leader }))),
        false => print(&format!("{} ({}) leads\n", leader.name, leader.id)),
    }
}

/// Asks a member at one of its URLs how it is; gives whether it is healthy.
///
/// # Errors
/// Why no answer came.
pub(crate) fn probe(client: &mut Client, base: &str) -> Result<bool, Tried> {
    #[derive(Deserialize)]
    struct Health {
        health: serde_json::Value,
    }
    let (_, body) = client.probe(&format!("{base}/health"), HEALTH_PATIENCE)?;
    let said = serde_json::from_slice::<Health>(&body).map(|said| said.health);
    Ok(said.is_ok_and(|said| said == "true" || said == true))
}

/// How one member says that it is.
fn state(client: &mut Client, member: &Member) -> (Option<bool>, String) {
    let mut why = "it names no URL for clients".to_owned();
    for url in &member.client_urls {
        let Some(base) = crate::endpoint::base(url) else { continue };
        match probe(client, &base) {
            Ok(is_healthy) => return (Some(is_healthy), base),
            Err(tried) => why = format!("{base}: {}", tried.why),
        }
    }
    (None, why)
}

pub(crate) fn health(args: &HealthArgs, cx: &mut Context) -> Result<u8, Failure> {
    if args.local {
        return health_of_one(cx);
    }
    let members = list(&mut cx.client)?;
    let (mut out, mut states) = (String::new(), Vec::new());
    let (mut healthy, mut answering) = (0, 0);
    for member in &members {
        let (state, place) = state(&mut cx.client, member);
        let (id, name) = (&member.id, &member.name);
        let (tone, word, text) = match state {
            Some(true) => (Tone::Good, "healthy", format!("got healthy result from {place}")),
            Some(false) => (Tone::Bad, "unhealthy", format!("got unhealthy result from {place}")),
            None => (Tone::Bad, "unreachable", format!("no answer: {place}")),
        };
        healthy += usize::from(state == Some(true));
        answering += usize::from(state.is_some());
        states.push(json!({ "id": id, "name": name, "health": word, "detail": text }));
        let word = cx.screen.paint(tone, word);
        let _ = match cx.format {
            Format::Extended => writeln!(out, "member {id} ({name}) is {word}: {text}"),
            _ => writeln!(out, "member {id} is {word}: {text}"),
        };
    }
    let (tone, word) = match healthy {
        0 => (Tone::Bad, "unavailable"),
        count if count == members.len() && answering == count => (Tone::Good, "healthy"),
        _ => (Tone::Note, "degraded"),
    };
    match cx.is_json() {
        true => print(&format!("{}\n", json!({ "health": word, "members": states })))?,
        false => print(&format!("{out}cluster is {}\n", cx.screen.paint(tone, word)))?,
    }
    Ok(if word == "healthy" { 0 } else { code::UNHEALTHY })
}

/// What the first endpoint says of itself; the others are not asked.
fn health_of_one(cx: &mut Context) -> Result<u8, Failure> {
    let at = cx.client.first().to_owned();
    let itself = Member { client_urls: vec![at], ..Member::default() };
    let (state, place) = state(&mut cx.client, &itself);
    let (tone, word) = match state {
        Some(true) => (Tone::Good, "healthy"),
        Some(false) => (Tone::Bad, "unhealthy"),
        None => (Tone::Bad, "unreachable"),
    };
    match cx.is_json() {
        true => print(&format!("{}\n", json!({ "health": word, "detail": place })))?,
        false => print(&format!("{place} is {}\n", cx.screen.paint(tone, word)))?,
    }
    Ok(if state == Some(true) { 0 } else { code::UNHEALTHY })
}
