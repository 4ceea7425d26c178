//! Many handshakes, slow ones, and answers larger than any buffer.

use super::client::{Authority, Client, first_bytes};
use super::{is_other, site};
use crate::testkit::{Connection, Request, wait_until};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_handshake_that_takes_too_long_is_ended() {
    if is_other() {
        return;
    }
    let authority = Authority::new();
    let site = site("tls-slow", &authority, false);
    let _server = site.spawn();
    let mut client = Client::ready(site.addr(), &authority);
    // One says nothing, one half of a greeting, one a byte now and then.
    let hello = first_bytes();
    let begun = Instant::now();
    let mut sockets: Vec<TcpStream> =
        (0..3).map(|_| TcpStream::connect(site.addr()).unwrap()).collect();
    sockets[1].write_all(&hello[..hello.len() / 2]).unwrap();
    let mut left: Vec<usize> = vec![0, 1, 2];
    let mut sent = 0;
    for socket in &sockets {
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    }
    wait_until("slow handshakes are ended", PATIENCE, || {
        // The reads below wait between two bytes.
        let _ = sockets[2].write_all(&hello[sent..=sent]);
        sent = (sent + 1).min(hello.len() - 2);
        left.retain(|at| match sockets[*at].read(&mut [0; 64]) {
            Ok(0) => false,
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        });
        left.is_empty()
    });
    assert!(begun.elapsed() > Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(client.ask("GET", "/v2/keys/", "").0, 200);
}

#[test]
fn a_crowd_of_handshakes_does_not_hold_up_plain_clients() {
    if is_other() {
        return;
    }
    const CALLERS: usize = 400;
    let authority = Authority::new();
    let sites = super::peers::secured("tls-crowd", 1, &authority, "");
    let server = sites[0].start();
    let hello = first_bytes();
    let mut plain = Connection::open(server.addr()).unwrap();
    let get = Request::get("/v2/keys/");
    assert_eq!(plain.exchange(&get).unwrap().status(), 200);
    // All of them call at once: while the server stands still.
    server.signal(Signal::STOP);
    let callers: Vec<TcpStream> = (0..CALLERS)
        .map(|_| {
            let mut socket = TcpStream::connect(server.peer_addr()).unwrap();
            socket.write_all(&hello).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        })
        .collect();
    server.signal(Signal::CONT);
    let is_answered = |socket: &TcpStream| socket.peek(&mut [0; 1]).is_ok();
    let mut answered_between = 0;
    wait_until("every caller is answered", PATIENCE, || {
        let before = callers.iter().filter(|socket| is_answered(socket)).count();
        assert_eq!(plain.exchange(&get).unwrap().status(), 200);
        answered_between += usize::from(before > 0 && before < CALLERS);
        before == CALLERS
    });
    // A round takes 16 of them; with 400 in one round there would be no answer in between.
    assert!(answered_between >= 3, "{answered_between} answers between the handshakes");
}

#[test]
fn a_listing_larger_than_any_buffer_arrives_whole() {
    if is_other() {
        return;
    }
    const KEYS: usize = 4000;
    let authority = Authority::new();
    let site = site("tls-listing", &authority, false);
    let _server = site.spawn();
    let mut client = Client::ready(site.addr(), &authority);
    let value = "v".repeat(2000);
    for number in 0..KEYS {
        client.send("PUT", &format!("/v2/keys/all/{number:05}"), &format!("value={value}"));
        // Sent ahead, but not without end.
        if number >= 50 {
            assert_eq!(client.receive().0, 201);
        }
    }
    for _ in 0..50 {
        assert_eq!(client.receive().0, 201);
    }
    let listing = |client: &mut Client| {
        let (status, text) = client.receive();
        assert_eq!((status, text.matches("\"key\":\"/all/").count()), (200, KEYS));
        assert_eq!(text.matches(value.as_str()).count(), KEYS);
        text
    };
    // The second is asked for before the first is read, so that the server has to wait for room.
    client.send("GET", "/v2/keys/all?sorted=true", "");
    client.send("GET", "/v2/keys/all?sorted=true", "");
    let mut other = Client::open(site.addr(), authority.client(false));
    assert_eq!(other.ask("PUT", "/v2/keys/between", "value=1").0, 201);
    assert_eq!(listing(&mut client), listing(&mut client));
}
