//! What a server makes of its settings, and how it ends when it cannot start.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use crate::testkit::{Connection, Request, Server, Site, ask};

#[test]
fn a_server_that_cannot_start_ends_with_one_line_and_code_1() {
    let site = Site::new("cli-taken");
    let held = TcpListener::bind(site.addr()).unwrap();
    let (status, text) = site.run_to_end();
    assert_eq!(status.code(), Some(1), "{text}");
    let last = text.lines().last().unwrap_or_default();
    let want = format!("stead: cannot listen on {}: the address is in use", site.addr());
    assert!(last.starts_with(&want), "{text}");
    drop(held);

    // A port of its own: a process that another test is just starting may still hold the first one.
    let site = Site::new("cli-first");
    let server = site.start();
    let other = Site::new("cli-locked").with_data_dir(site.data_dir());
    let (status, text) = other.run_to_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("is in use by another process"), "{text}");
    assert_eq!(server.terminate().code(), Some(0));

    let file = site.folder().join("file");
    std::fs::write(&file, "").unwrap();
    let (status, text) = Site::new("cli-file").with_data_dir(file).run_to_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("stead: cannot create the data directory"), "{text}");
}

/// What a server logs from its start to its end, by when all of it is written.
fn log_of_a_life(site: &Site) -> String {
    site.start().terminate();
    std::fs::read_to_string(site.log_path()).unwrap()
}

#[test]
fn the_log_level_says_what_is_logged() {
    for (flags, has_info) in [("", true), ("-log-level warn", false), ("-log-level=error -v", true)]
    {
        let site = Site::new("cli-level").flags(flags);
        let text = log_of_a_life(&site);
        assert_eq!(text.contains("stead is starting"), has_info, "{flags}: {text}");
    }
    let site = Site::new("cli-json").flags("-log-format=json");
    let text = log_of_a_life(&site);
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["fields"]["message"] == "stead is starting"), "{text}");
}

#[test]
fn it_says_where_it_serves_as_soon_as_it_does() {
    let (_site, server) = Server::start("cli-ready");
    let url = server.url();
    server.log_with(&format!("ready: clients: {url}, dashboard: {url}/mod/dashboard/\n"));
    let site = Site::new("cli-ready-plain").flags("-dashboard off");
    let server = site.start();
    server.log_with(&format!("ready: clients: {}\n", server.url()));
}

#[test]
fn a_time_limit_of_zero_is_none() {
    let site = Site::new("cli-zero").flags("-http-read-timeout=0 -http-write-timeout=0");
    let server = site.start();
    let mut connection = Connection::open(server.addr()).unwrap();
    assert_eq!(connection.exchange(&Request::get("/version")).unwrap().status(), 200);
    // Clients that are too slow are looked for once a second: nothing is said for two and a half.
    connection.within(Duration::from_millis(2500));
    assert!(connection.head().is_err());
    connection.within(Duration::from_secs(10));
    assert_eq!(connection.exchange(&Request::get("/version")).unwrap().status(), 200);

    let site = Site::new("cli-short").flags("-http-read-timeout=0.2");
    let server = site.start();
    let mut connection = Connection::open(server.addr()).unwrap();
    connection.within(Duration::from_secs(10));
    assert!(connection.is_closed());
}

#[test]
fn all_interfaces_of_ipv6_are_those_of_ipv4_too() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        println!("this machine has no IPv6");
        return;
    }
    // An address that nobody has: what counts is which sockets it opens.
    let site = Site::new("cli-ipv6");
    let port = site.addr().port();
    let site = site.flags(&format!("-addr [2001:db8::7]:{port}"));
    let server = site.start();
    for host in [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()] {
        let answer = ask(SocketAddr::new(host, port), &Request::get("/v2/machines"));
        assert_eq!(answer.text(), format!("http://[2001:db8::7]:{port}"));
    }
    assert_eq!(server.terminate().code(), Some(0));
}
