//! Which addresses are listened at, and what is said where strangers reach them.

use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;

use super::{SECRET, secret_flag};
use crate::testkit::{Request, Site, TempDir, ask, port, wait_until};

/// An address of this machine at which others may reach it. Nothing is sent to find it.
fn outer_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("203.0.113.1:9").ok()?;
    let found = socket.local_addr().ok()?.ip();
    (!found.is_loopback() && !found.is_unspecified()).then_some(found)
}

fn check(args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stead"));
    command.args(["config", "check", "-name", "m0", "-data-dir", "d"]).args(args);
    command.env_remove("STEAD_PEER_TOKEN");
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn an_open_peer_port_is_said_in_capitals_or_refused() {
    let dir = TempDir::new("gates-check-token");
    let flag = secret_flag(&dir);
    let (name, file) = flag.split_once(' ').unwrap();
    let warning = "ANYBODY WHO REACHES";
    for (args, code, is_said) in [
        (&["-peer-addr", "203.0.113.9:7001"][..], 0, true),
        (&["-peer-addr", "203.0.113.9:7001", name, file], 0, false),
        (&["-peer-addr", "127.0.0.1:7001"], 0, false),
        (&["-peer-bind-addr", "0.0.0.0"], 0, true),
        (&["-peer-bind-addr", "0.0.0.0", "-require-secure"], 2, false),
        (&["-peer-bind-addr", "0.0.0.0", "-require-secure", name, file], 0, false),
        (&["-require-secure"], 0, false),
    ] {
        let (found, text) = check(args);
        assert_eq!(found, Some(code), "{args:?}: {text}");
        assert_eq!(text.contains(warning), is_said, "{args:?}: {text}");
        assert!(code == 0 || text.contains("-require-secure: anyone who reaches"), "{text}");
        assert!(!text.contains(SECRET));
    }
    let (_, text) = check(&["-peer-token", "secret"]);
    assert!(text.contains("the list of processes") && text.contains("shorter than"), "{text}");
}

#[test]
fn the_given_address_is_listened_at_and_no_other() {
    let Some(outer) = outer_address() else {
        return println!("skipped: this machine has no address beside loopback");
    };
    let (addr, peer) = (SocketAddr::new(outer, port::free()), SocketAddr::new(outer, port::free()));
    let flags = format!("-name m0 -addr {addr} -peer-addr {peer}");
    let site = Site::new("gates-bind").unaddressed().flags(&flags);
    let _server = site.spawn();
    wait_until("it is ready", super::PATIENCE, || {
        crate::testkit::send(addr, &Request::get("/readyz")).is_ok_and(|it| it.status() == 200)
    });
    for open in [addr, peer] {
        let loopback = SocketAddr::from(([127, 0, 0, 1], open.port()));
        assert!(TcpStream::connect(loopback).is_err(), "{open}");
    }
    let ready = ask(addr, &Request::get("/readyz?verbose"));
    assert_eq!(ready.status(), 200);
    assert!(
        ready.text().contains("[+]leader ok\n")
            && ready.text().contains("ok\nWARNING: ANYBODY WHO REACHES"),
        "{}",
        ready.text()
    );
    assert_eq!(ask(addr, &Request::get("/readyz")).text(), "ok\n");
    assert!(super::log_of(&site).contains("ANYBODY WHO REACHES"));
}
