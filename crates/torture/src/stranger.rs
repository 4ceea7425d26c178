//! Strangers at the peer ports: they say hello as nobody or as a member, send what is no message or
//! might be one, ask for a place that is taken, and say of everybody that it was removed.

use crate::fault::hold;
use crate::http::{Answer, Connection};
use crate::imposture::panic_in;
use crate::lab::{self, Lab};
use crate::login::Login;
use serde_json::Value;
use sim::rng::Rng;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long a change of the membership may need while the cluster is well.
const CHANGED_WITHIN: Duration = Duration::from_secs(15);

/// An id that nobody has.
const NOBODY: &str = "bad";

const JSON: &str = "application/json";

/// All that strangers do, one after the other, at every member.
pub(crate) fn stranger(lab: &mut Lab, rng: &mut Rng) -> Result<Instant, String> {
    let from: Vec<u64> = lab.members.iter().map(crate::member::Member::log_len).collect();
    if lab.tls.is_some() {
        without_certificate(lab)?;
    } else {
        without_tls(lab, rng)?;
    }
    let ended = Instant::now();
    for (one, from) in lab.members.iter_mut().zip(from) {
        let said = one.log_since(from);
        if let Some(line) = panic_in(&said) {
            return Err(format!("{}: {line}", one.name));
        }
        if !one.is_running() {
            return Err(format!("{} has ended: {}", one.name, said.lines().last().unwrap_or("")));
        }
    }
    Ok(ended)
}

/// Where members want certificates there is no more to say than hello.
fn without_certificate(lab: &Lab) -> Result<(), String> {
    let tls = lab.tls.as_ref().ok_or("no certificates")?;
    for one in &lab.members {
        if tls.call_without(one.peer_addr).is_ok() {
            return Err(format!("{} answered a caller without a certificate", one.peer_addr));
        }
        let plain = ask(one.peer_addr, ("GET", "/v2/peer/members", ""));
        if plain.is_some_and(|answer| answer.status == 200) {
            return Err(format!("{} answered without TLS", one.peer_addr));
        }
    }
    Ok(())
}

fn without_tls(lab: &Lab, rng: &mut Rng) -> Result<(), String> {
    let first = lab.members.first().ok_or("no members")?.peer_addr;
    let before = view(first)?;
    let ids = ids(&before);
    let own = lab.net.as_ref().map_or(lab::LOOPBACK, |net| net.own);
    let liar = Liar::listen(own)?;
    let mut open = Vec::new();
    for one in &lab.members {
        let there = view(one.peer_addr)?;
        let to = there["self"].as_str().unwrap_or_default().to_owned();
        let cluster = there["cluster"].as_str().unwrap_or_default();
        let at = liar.addr.to_string();
        for who in ids.iter().map(String::as_str).filter(|id| *id != to).chain([NOBODY; 4]) {
            let hello = hello(rng, (cluster, who, &to, &at));
            let Some((status, mut connection)) = greet(one.peer_addr, &hello) else { continue };
            if status == 400 {
                return Err(format!("{}: a stranger's hello is not understood", one.name));
            }
            if status == 101 && who != NOBODY {
                return Err(format!("{} believes somebody who says that it is {who}", one.name));
            }
            // Whoever was refused goes on all the same.
            for _ in 0..rng.range(1, 4) {
                // It may have been hung up.
                let _ = connection.send_bytes(&garbage(rng, &to, who));
            }
            open.push(connection);
        }
    }
    ask_for_places(lab, &before, &liar)?;
    move_one(lab, rng, &before, &liar)?;
    drop(open);
    for one in &lab.members {
        let after = self::ids(&view(one.peer_addr)?);
        if after != ids {
            return Err(format!("{}: the members were {ids:?}, and are {after:?}", one.name));
        }
    }
    Ok(())
}

/// Says hello; gives the status of the answer.
fn greet(addr: SocketAddr, hello: &str) -> Option<(u16, Connection)> {
    let mut connection = Connection::open(addr, PATIENCE).ok()?;
    connection.send_bytes(hello.as_bytes()).ok()?;
    let (status, _) = connection.head().ok()?;
    Some((status, connection))
}

/// The hello of a directory that the cluster does not know.
fn hello(rng: &mut Rng, (cluster, from, to, at): (&str, &str, &str, &str)) -> String {
    let (incarnation, nonce) = (rng.next(), rng.next());
    let (start, term) = (rng.range(1, 1000), rng.range(1, 1_000_000));
    let index = rng.pick(&[0, 1, 1000, 1_000_000_000]);
    let doubt = u8::from(rng.permille(300));
    let earlier = ["0"; 15].join(".");
    format!(
        "GET /v2/peer/stream?version=2&cluster={cluster}&from={from}&to={to}&at={at}\
         &incarnation={incarnation:x}&start={start:x}&nonce={nonce:x}&earlier={earlier}\
         &term={term:x}&index={index:x}&lastterm={term:x}&doubtful={doubt} HTTP/1.1\r\n\
         Host: {at}\r\nConnection: Upgrade\r\nUpgrade: stead-peer\r\n\r\n"
    )
}

/// What follows a hello: noise, a frame with noise, a frame of an impossible length, or a message
/// as members send it with numbers that lie.
fn garbage(rng: &mut Rng, to: &str, from: &str) -> Vec<u8> {
    let noise: Vec<u8> = (0..rng.range(1, 2000)).map(|_| rng.next().to_be_bytes()[0]).collect();
    match rng.below(4) {
        0 => noise,
        1 => frame(&noise),
        2 => [&u32::MAX.to_le_bytes()[..], &noise].concat(),
        _ => {
            let id = |text: &str| u64::from_str_radix(text, 16).unwrap_or(0);
            let mut message = vec![1, rng.pick(&[0, 1, 2, 3, 4, 5])];
            let (term, index) = (rng.range(1, 1_000_000), rng.range(0, 1_000_000));
            for number in [id(to), id(from), term, term, index, index, 0, 0, 0, 0] {
                message.extend_from_slice(&number.to_le_bytes());
            }
            message.push(0);
            message.extend_from_slice(&[0; 8]);
            frame(&message)
        }
    }
}

/// Length, checksum, payload.
fn frame(payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    [&len.to_le_bytes()[..], &crc32c(payload).to_le_bytes(), payload].concat()
}

fn crc32c(bytes: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}

/// Places that are taken are asked for: as the one who has it, and as its successor at an address
/// where somebody else answers.
fn ask_for_places(lab: &Lab, before: &Value, liar: &Liar) -> Result<(), String> {
    let voters = before["members"].as_array().cloned().unwrap_or_default();
    for voter in &voters {
        let mut successor = voter.clone();
        successor["id"] = Value::from(NOBODY);
        successor["peerURL"] = Value::from(format!("http://{}", liar.addr));
        for (mut who, replaces) in
            [(voter.clone(), false), (voter.clone(), true), (successor, true)]
        {
            who["replace"] = Value::from(replaces);
            let body = who.to_string();
            for one in &lab.members {
                // The leader dials a few in a second, and answers the others that it is busy.
                let answer = ask(one.peer_addr, ("POST", "/v2/peer/join", &body));
                if let Some(answer) = answer.filter(|answer| answer.status == 200) {
                    let (name, text) = (&one.name, answer.body);
                    return Err(format!("{name} gave a place that is taken to {body}: {text}"));
                }
            }
        }
    }
    Ok(())
}

/// A member is said to be where everybody is told that it was removed; for a moment.
fn move_one(lab: &Lab, rng: &mut Rng, before: &Value, liar: &Liar) -> Result<(), String> {
    let members = before["members"].as_array().cloned().unwrap_or_default();
    let moved = members.get(rng.index(members.len())).ok_or("a member knows no members")?;
    let id = moved["id"].as_str().unwrap_or_default();
    let there = moved["peerURL"].as_str().unwrap_or_default();
    let said = liar.said.load(Ordering::Relaxed);
    put_url(lab, id, &format!("http://{}", liar.addr))?;
    hold(rng);
    let is_idle = liar.said.load(Ordering::Relaxed) == said;
    put_url(lab, id, there)?;
    if is_idle { Err("nobody asked where the member was said to be".to_owned()) } else { Ok(()) }
}

/// Says where a member is; tries until it is done.
fn put_url(lab: &Lab, id: &str, url: &str) -> Result<(), String> {
    let (start, target) = (Instant::now(), format!("/v2/members/{id}"));
    let body = serde_json::json!({ "peerURLs": [url] }).to_string();
    let mut last = String::new();
    while start.elapsed() < CHANGED_WITHIN {
        for one in &lab.members {
            match ask_as(Some(&Login::root()), one.addr, ("PUT", &target, &body)) {
                Some(answer) if answer.status == 204 => return Ok(()),
                Some(answer) => last = format!("{}: {}", answer.status, answer.body),
                None => {}
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
    Err(format!("{target} cannot be put to {url}: {last}"))
}

fn ask(addr: SocketAddr, request: (&str, &str, &str)) -> Option<Answer> {
    ask_as(None, addr, request)
}

fn ask_as(who: Option<&Login>, addr: SocketAddr, request: (&str, &str, &str)) -> Option<Answer> {
    let mut connection = Connection::open(addr, PATIENCE).ok()?.by(who);
    connection.send_as(JSON, request).ok()?;
    connection.answer().ok()
}

/// What a member says of its cluster.
fn view(addr: SocketAddr) -> Result<Value, String> {
    let answer = ask(addr, ("GET", "/v2/peer/members", "")).filter(|one| one.status == 200);
    let answer = answer.ok_or_else(|| format!("{addr} does not say who the members are"))?;
    serde_json::from_str(&answer.body).map_err(|error| format!("{addr}: {error}"))
}

fn ids(view: &Value) -> BTreeSet<String> {
    let members = view["members"].as_array().into_iter().flatten();
    members.filter_map(|one| one["id"].as_str().map(str::to_owned)).collect()
}

/// Somebody who says of every machine that it was removed.
struct Liar {
    addr: SocketAddr,
    is_over: Arc<AtomicBool>,
    /// How often it has said so.
    said: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Liar {
    fn listen(ip: IpAddr) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("a listener: {error}");
        let listener = TcpListener::bind(lab::free_port(ip)?).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let (is_over, said) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (over, count) = (Arc::clone(&is_over), Arc::clone(&said));
        let thread = thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                match listener.accept() {
                    // Whoever hangs up before it asks is told nothing.
                    Ok((stream, _)) => {
                        let was_asked = u64::from(lie(stream).is_ok());
                        count.fetch_add(was_asked, Ordering::Relaxed);
                    }
                    Err(_) => thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        Ok(Self { addr, is_over, said, thread: Some(thread) })
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say that would matter here.
            let _ = thread.join();
        }
    }
}

fn lie(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    let mut piece = [0; 4096];
    if stream.read(&mut piece)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let body = "{\"errorCode\":405,\"message\":\"the machine was removed from the cluster\"}";
    write!(
        stream,
        "HTTP/1.1 410 Gone\r\nContent-Type: {JSON}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_the_checksum_that_members_use() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(frame(b"x").len(), 9);
    }

    #[test]
    fn a_liar_says_that_one_was_removed() {
        let liar = Liar::listen(lab::LOOPBACK).unwrap();
        let answer = ask(liar.addr, ("GET", "/v2/peer/members", "")).unwrap();
        assert_eq!(answer.status, 410);
        assert!(answer.body.contains("removed"));
        let (status, _) =
            greet(liar.addr, &hello(&mut Rng::new(1), ("1", "2", "3", "h:1"))).unwrap();
        assert_eq!(status, 410);
    }
}
