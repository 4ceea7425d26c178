//! The connection layer with a service that knows nothing but how to answer slowly, much, or later.

use super::*;
use crate::config::{Limits, LiveLimits, Secret};
use crate::http::browser::Hosts;
use crate::http::cors::Cors;
use crate::http::response::put_end;
use crate::proof::Gate;
use crate::sys::clock::Now;
use mio::{Events, Poll};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes of an answer to `/much`.
const MUCH: usize = 100_000;

/// Pieces of an answer to `/long`, and bytes of each.
const PIECES: usize = 50;
const PIECE: usize = 100_000;

#[derive(Debug)]
enum Later {
    /// An answer that comes when the test says so.
    Answer,
    /// An event that never comes.
    Event,
    /// So many more pieces.
    Pieces(usize),
    /// Bytes other than HTTP.
    Foreign,
}

impl Pending for Later {
    fn on_client_end(&self) -> ClientEnd {
        match self {
            Later::Answer | Later::Pieces(_) => ClientEnd::Answer,
            Later::Event | Later::Foreign => ClientEnd::Forget,
        }
    }

    fn has_more(&self) -> bool {
        matches!(self, Later::Pieces(_))
    }

    fn is_http(&self) -> bool {
        !matches!(self, Later::Foreign)
    }
}

struct NoCount;

impl Count for NoCount {
    fn received(&self, _: Method) {}

    fn failed(&self, _: u16, _: Method) {}

    fn refused(&self) {}
}

struct Toy {
    front: Front<Later>,
    printed: Vec<u8>,
    /// Requests that were served.
    served: usize,
    /// Connections that are gone while something was waited for.
    gone: usize,
    waiting: Vec<Key>,
    foreign: Vec<u8>,
    events: Events,
}

fn refuse(why: &'static str) -> Response {
    Response::text(503, why.as_bytes())
}

impl Toy {
    fn new(change: impl FnOnce(&mut Limits)) -> (Self, std::net::SocketAddr) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let port = Port::Client(crate::config::Dialect::V04);
        let socket = ListenerSocket::Tcp(mio::net::TcpListener::from_std(listener));
        let mut limits = Limits::default();
        change(&mut limits);
        let mut front = Front::new(FrontParts {
            live: LiveLimits { limits, timeouts: (300.0, 300.0) },
            cors: Cors::new(&[]),
            hosts: Hosts::default(),
            poll: Poll::new().unwrap(),
            keyring: tls::Keyring::default(),
            listeners: vec![Listener { socket, port, is_tls: false, is_inherited: false }],
            gate: Arc::new(Gate::new(&Secret::default()).unwrap()),
            counters: Rc::new(NoCount),
            names_users: false,
            audit: None,
            refusal: refuse,
            now: Now { wall: 0, monotonic: 1, boot: 0 },
        });
        front.open(|_| true).unwrap();
        let toy = Self {
            front,
            printed: Vec::new(),
            served: 0,
            gone: 0,
            waiting: Vec::new(),
            foreign: Vec::new(),
            events: Events::with_capacity(64),
        };
        (toy, addr)
    }

    /// One round, as a loop does it.
    fn round(&mut self) {
        let patience = if self.front.until_due() == 0 { 0 } else { 5 };
        self.front.poll.poll(&mut self.events, Some(Duration::from_millis(patience))).unwrap();
        let mut now = self.front.now;
        now.monotonic += 1_000_000;
        self.front.set_now(now);
        begin_round(self);
        let events = std::mem::replace(&mut self.events, Events::with_capacity(64));
        events.iter().for_each(|event| take(self, event));
        self.events = events;
        self.front.send_held_heads();
        flush_dirty(self);
        go_on(self);
        flush_dirty(self);
    }

    fn run_until(&mut self, what: &str, mut is_done: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_done(self) {
            assert!(Instant::now() < end, "not in time: {what}");
            self.round();
        }
    }

    fn held(&self) -> (usize, usize) {
        let held = self.front.load().held;
        (held.input, held.output)
    }
}

impl Service for Toy {
    type Pending = Later;

    fn parts(&mut self) -> (&mut Front<Later>, &mut Vec<u8>) {
        (&mut self.front, &mut self.printed)
    }

    fn request(&mut self, caller: Caller, request: &Request<'_>) -> Reply<Later> {
        self.served += 1;
        let wait = |toy: &mut Self, later| {
            toy.waiting.push(caller.key);
            Reply::Wait(later)
        };
        match request.path {
            "/much" => Response::text(200, vec![b'm'; MUCH]).into(),
            "/later" => wait(self, Later::Answer),
            "/event" => wait(self, Later::Event),
            "/long" => Reply::Stream {
                head: Response::text(200, Body::Empty),
                pending: Later::Pieces(PIECES),
                is_held: false,
            },
            "/foreign" => {
                let head = "HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned();
                Reply::Upgrade { head, pending: Later::Foreign }
            }
            _ => {
                self.printed.clear();
                self.printed.extend_from_slice(request.path.as_bytes());
                Response::text(200, Body::Printed).into()
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal, _: Option<crate::config::Dialect>) -> Response {
        Response::text(refusal.status(), refusal.to_string())
    }

    fn take_bytes(&mut self, _: Key, bytes: &[u8]) -> Option<usize> {
        // Words of four bytes; the rest is kept by the front.
        let whole = bytes.len() / 4 * 4;
        self.foreign.extend_from_slice(&bytes[..whole]);
        (!bytes.ends_with(b"stop")).then_some(whole)
    }

    fn relay(&mut self, _: Key) {
        unreachable!("nothing is relayed here")
    }

    fn print_more(&mut self, key: Key) {
        let Some(connection) = self.front.get_mut(key) else { return };
        let Some(Later::Pieces(left)) = connection.pending_mut() else { return };
        *left -= 1;
        let is_last = *left == 0;
        connection.outbox.append(|out| {
            crate::http::response::put_piece(out, &[b'p'; PIECE], true);
            if is_last {
                put_end(out, true);
            }
        });
        self.front.note_work(PIECE);
        if is_last {
            self.front.end_answer(key);
        }
        self.front.mark_dirty(key);
    }

    fn client_gone(&mut self, _: Key, _: Later) {
        self.gone += 1;
    }
}

fn connect(addr: std::net::SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(addr).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// Reads what has come, without waiting for more.
fn drain(socket: &mut TcpStream, into: &mut Vec<u8>) {
    socket.set_nonblocking(true).unwrap();
    let mut bytes = [0; 65_536];
    while let Ok(len @ 1..) = socket.read(&mut bytes) {
        into.extend_from_slice(&bytes[..len]);
    }
}

/// How an answer begins.
const STATUS: &[u8] = b"HTTP/1.1 200";

fn count(bytes: &[u8], word: &[u8]) -> usize {
    bytes.windows(word.len()).filter(|window| *window == word).count()
}

#[test]
fn requests_that_were_sent_ahead_are_answered_in_order() {
    let (mut toy, addr) = Toy::new(|_| {});
    let mut client = connect(addr);
    let ahead: Vec<u8> = (0..2000).flat_map(|at| get(&format!("/n{at}"))).collect();
    let mut got = Vec::new();
    client.set_nonblocking(true).unwrap();
    let mut sent = 0;
    toy.run_until("all answers", |_| {
        sent += client.write(&ahead[sent..]).unwrap_or(0);
        drain(&mut client, &mut got);
        count(&got, b"/n1999") == 1
    });
    let text = String::from_utf8(got).unwrap();
    let bodies: Vec<&str> =
        text.split("\r\n\r\n").skip(1).map(|rest| rest.split("HTTP/1.1").next().unwrap()).collect();
    let want: Vec<String> = (0..2000).map(|at| format!("/n{at}")).collect();
    assert_eq!(bodies, want);
    assert_eq!(toy.held(), (0, 0));
}

/// One connection asks for 30 MB in 30 kB and reads nothing: it holds its share, and no more.
#[test]
fn a_client_that_does_not_read_is_not_served_on() {
    let (mut toy, addr) = Toy::new(|_| {});
    let mut client = connect(addr);
    let ahead: Vec<u8> = (0..300).flat_map(|_| get("/much")).collect();
    client.write_all(&ahead).unwrap();
    for _ in 0..200 {
        toy.round();
    }
    let (_, output) = toy.held();
    assert!(output <= MUCH + (64 << 10) + 1000, "{output}");
    assert!(toy.served < 100, "{} of 300 served", toy.served);
    let (mut got, mut looked_at, mut answers) = (Vec::new(), 0, 0);
    toy.run_until("all answers, once they are read", |_| {
        drain(&mut client, &mut got);
        // To look at 30 MB in each round would take longer than the rounds.
        answers += count(&got[looked_at..], STATUS);
        looked_at = (got.len() + 1).saturating_sub(STATUS.len());
        answers == 300
    });
    assert_eq!(toy.served, 300);
}

/// Everybody else has a turn while one client has much to be printed.
#[test]
fn long_answers_leave_time_for_others() {
    let (mut toy, addr) = Toy::new(|_| {});
    let mut long: Vec<(TcpStream, Vec<u8>)> = (0..8).map(|_| (connect(addr), Vec::new())).collect();
    for (client, _) in &mut long {
        client.write_all(&get("/long")).unwrap();
    }
    toy.run_until("all have begun", |toy| toy.served == 8);
    let mut other = connect(addr);
    other.write_all(&get("/short")).unwrap();
    let mut got = Vec::new();
    toy.run_until("the short answer", |_| {
        drain(&mut other, &mut got);
        got.ends_with(b"/short")
    });
    let end = b"0\r\n\r\n";
    toy.run_until("the long answers", |_| {
        long.iter_mut().for_each(|(client, got)| drain(client, got));
        long.iter().all(|(_, got)| got.ends_with(end))
    });
    assert!(long.iter().all(|(_, got)| count(got, b"p") >= PIECES * PIECE));
}

#[test]
fn a_client_that_ends_its_side_gets_the_answer_and_a_watch_ends_with_it() {
    let (mut toy, addr) = Toy::new(|_| {});
    let mut later = connect(addr);
    later.write_all(&get("/later")).unwrap();
    later.shutdown(std::net::Shutdown::Write).unwrap();
    let mut event = connect(addr);
    event.write_all(&get("/event")).unwrap();
    toy.run_until("both wait", |toy| toy.waiting.len() == 2);
    event.shutdown(std::net::Shutdown::Write).unwrap();
    toy.run_until("the watch is gone", |toy| toy.gone == 1);
    assert_eq!(toy.front.load().connections, 1);
    for key in toy.waiting.clone() {
        toy.front.answer(key, Response::text(200, b"late"), &[]);
    }
    toy.run_until("the connection has ended", |toy| toy.front.load().connections == 0);
    let mut text = String::new();
    later.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("late"), "{text}");
    assert_eq!(toy.gone, 1);
}

/// A client that ends its side in the middle of a body may still read why nothing came of it.
#[test]
fn a_body_that_never_comes_is_answered_to_a_client_that_has_ended_its_side() {
    let length = "PUT /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 123\r\n\r\n";
    let chunked = "PUT /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (sent, served, answers) in [
        (length.to_owned(), 0, 1),
        (format!("{length}value=1"), 0, 1),
        (chunked.to_owned(), 0, 1),
        (format!("{chunked}7\r\nvalue=1"), 0, 1),
        (format!("{chunked}7\r\nvalue=1\r\n"), 0, 1),
        (format!("{chunked}7\r\nvalue=1\r\n0\r\n"), 0, 1),
        // What came before is answered as well, also where that is much.
        (format!("GET /n1 HTTP/1.1\r\nHost: localhost\r\n\r\n{length}"), 1, 2),
        (format!("{}{length}", "GET /much HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(5)), 5, 6),
        // Without a whole head there is nothing to answer.
        ("PUT /x HTTP/1.1\r\nHost: local".to_owned(), 0, 0),
    ] {
        let (mut toy, addr) = Toy::new(|_| {});
        let mut client = connect(addr);
        client.write_all(sent.as_bytes()).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut got = Vec::new();
        client.set_nonblocking(true).unwrap();
        // What has come is kept, also where more is awaited.
        toy.run_until("the end", |_| client.read_to_end(&mut got).is_ok());
        assert_eq!(toy.served, served, "{sent}");
        assert_eq!(count(&got, b"HTTP/1.1 "), answers, "{sent}");
        let refused = count(&got, b"HTTP/1.1 400") == 1 && got.ends_with(b"unexpected EOF");
        assert_eq!(refused, answers > served, "{sent}");
    }
}

/// A watch that was sent much ahead does not hold it, nor outlives its client.
#[test]
fn little_is_read_ahead_of_an_answer() {
    let (mut toy, addr) = Toy::new(|_| {});
    let mut client = connect(addr);
    client.write_all(&get("/event")).unwrap();
    toy.run_until("it waits", |toy| toy.waiting.len() == 1);
    client.write_all(&[b'x'; 60_000]).unwrap();
    (0..20).for_each(|_| toy.round());
    assert!(toy.held().0 <= 16 << 10, "{:?}", toy.held());
    drop(client);
    toy.run_until("it is gone", |toy| toy.front.load().connections == 0);
    assert_eq!((toy.gone, toy.held()), (1, (0, 0)));
}

#[test]
fn the_largest_of_too_many_unfinished_requests_goes() {
    let (mut toy, addr) = Toy::new(|limits| limits.input_bytes_total = 900_000);
    let head = b"PUT /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n";
    let mut clients: Vec<TcpStream> = (0..4).map(|_| connect(addr)).collect();
    for (client, len) in clients.iter_mut().zip([100_000, 100_000, 800_000, 100_000]) {
        client.write_all(head).unwrap();
        client.write_all(&vec![b'b'; len]).unwrap();
    }
    let mut got = Vec::new();
    toy.run_until("the largest was refused", |_| {
        drain(&mut clients[2], &mut got);
        got.starts_with(b"HTTP/1.1 503")
    });
    assert!(toy.front.load().held.input <= 900_000);
    clients.remove(2);
    let mut others: Vec<u8> = Vec::new();
    clients.iter_mut().for_each(|client| drain(client, &mut others));
    assert_eq!(others, b"", "they may go on");
}

/// Whoever holds most of the room for answers is waited for, and no longer once it is gone.
#[test]
fn who_waits_for_room_goes_on_when_others_are_gone() {
    let (mut toy, addr) = Toy::new(|limits| limits.output_bytes_total = MUCH / 2);
    let mut greedy = connect(addr);
    greedy.write_all(&get("/much").repeat(100)).unwrap();
    toy.run_until("its answers fill the room", |toy| {
        (0..20).for_each(|_| toy.round());
        toy.front.load().held.output > MUCH / 2
    });
    let mut other = connect(addr);
    other.write_all(&get("/short")).unwrap();
    (0..50).for_each(|_| toy.round());
    let mut got = Vec::new();
    drain(&mut other, &mut got);
    assert_eq!(got, b"", "there is no room");
    drop(greedy);
    toy.run_until("the answer", |_| {
        drain(&mut other, &mut got);
        got.ends_with(b"/short")
    });
}

/// Where the room is taken by what others sent ahead, an idle client is not refused for it.
#[test]
fn an_idle_client_is_not_refused_for_what_others_sent() {
    let (mut toy, addr) = Toy::new(|limits| limits.input_bytes_total = 100_000);
    let mut idle = connect(addr);
    idle.write_all(&get("/n1")).unwrap();
    let mut polls: Vec<TcpStream> = (0..4).map(|_| connect(addr)).collect();
    for poll in &mut polls {
        poll.write_all(&[get("/event"), vec![b'x'; 60_000]].concat()).unwrap();
    }
    toy.run_until("all wait", |toy| toy.waiting.len() == 4);
    (0..50).for_each(|_| toy.round());
    assert!(toy.front.load().held.input <= 100_000, "{:?}", toy.front.load());
    assert!(toy.gone > 0, "who sent most ahead is gone");
    idle.write_all(&get("/n2")).unwrap();
    let mut got = Vec::new();
    toy.run_until("its second answer", |_| {
        drain(&mut idle, &mut got);
        got.ends_with(b"/n2")
    });
    assert_eq!(count(&got, b"503"), 0);
}

#[test]
fn foreign_bytes_come_in_the_pieces_that_the_service_can_use() {
    let (mut toy, addr) = Toy::new(|_| {});
    let mut client = connect(addr);
    client.write_all(&get("/foreign")).unwrap();
    for piece in [&b"ab"[..], b"cdef", b"g", b"h", b"ijklmn"] {
        client.write_all(piece).unwrap();
        (0..3).for_each(|_| toy.round());
    }
    toy.run_until("all that is whole", |toy| toy.foreign == b"abcdefghijkl");
    client.write_all(b"opstop").unwrap();
    toy.run_until("the service ended it", |toy| toy.front.load().connections == 0);
    assert_eq!(toy.gone, 1);
}
