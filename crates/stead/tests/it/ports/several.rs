//! Several addresses of one dialect, with TLS and without.

use super::{machines, member_urls};
use crate::testkit::server::template;
use crate::testkit::{Connection, Request, Server, Site, ask, port, wait_until};
use crate::tls::client::{Authority, Client};
use std::net::SocketAddr;

/// A machine with 2.x flags alone, whose first listener is the site's address.
fn machine(label: &str, scheme: &str, more: &str) -> Site {
    let site = Site::new(label).unaddressed();
    let (addr, peer) = (site.addr(), site.peer_addr());
    let flags = format!(
        "-name m0 -listen-client-urls {scheme}://{addr},{more} -listen-peer-urls http://{peer} \
         -initial-advertise-peer-urls http://{peer}"
    );
    site.flags(&flags)
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port::free()))
}

#[test]
fn all_of_several_addresses_are_told() {
    if template().is_some() {
        return;
    }
    let second = loopback();
    let site = machine("ports-several", "http", &format!("http://{second}"));
    let server = site.start();
    let mut want = vec![format!("http://{}", site.addr()), format!("http://{second}")];
    want.sort();
    for addr in [site.addr(), second] {
        assert_eq!(machines(addr, "/v2/machines"), want);
        assert_eq!(member_urls(addr).into_iter().collect::<Vec<_>>(), want);
        let made = ask(addr, &Request::post("/v2/keys/q", "value=1")).json();
        assert_eq!(made["node"]["key"].as_str().map(str::len), Some(23), "2.x: {made}");
    }
    server.terminate();
    let advertised = "-advertise-client-urls http://b.example:2379,http://a.example:2379";
    let server = site.flags(advertised).start();
    let want = ["http://a.example:2379", "http://b.example:2379"];
    assert_eq!(machines(server.addr(), "/v2/machines"), want);
}

/// Waits for a machine that answers plain requests at `addr`.
fn wait_plain(server: &mut Server, addr: SocketAddr) {
    wait_until("it answers", std::time::Duration::from_secs(30), || {
        assert!(server.is_running(), "{}", server.log_text());
        Connection::open(addr)
            .and_then(|mut connection| connection.exchange(&Request::get("/v2/machines")))
            .is_ok_and(|answer| answer.status() == 200 && !answer.text().is_empty())
    });
}

#[test]
fn http_and_https_stand_side_by_side() {
    if template().is_some() {
        return;
    }
    let plain = loopback();
    let authority = Authority::new();
    let site = machine("ports-mixed", "https", &format!("http://{plain}"));
    authority.write_files(site.folder());
    let path = |name: &str| site.folder().join(name).display().to_string();
    let flags = format!(
        "-cert-file={} -key-file={} -ca-file={}",
        path("cert.pem"),
        path("key.pem"),
        path("ca.pem")
    );
    let site = site.flags(&flags);
    let mut server = site.spawn();
    wait_plain(&mut server, plain);
    let mut want = vec![format!("https://{}", site.addr()), format!("http://{plain}")];
    want.sort();
    assert_eq!(machines(plain, "/v2/machines"), want, "no certificate is asked for there");
    let mut secure = Client::ready_with(site.addr(), || authority.client(true));
    assert_eq!(secure.ask("GET", "/v2/machines", ""), (200, want.join(", ")));
    assert_eq!(secure.ask("PUT", "/v2/keys/a?value=1", "").0, 201);
    assert_eq!(ask(plain, &Request::get("/v2/keys/a")).json()["node"]["value"], "1");
    server.log_with(&format!("http://{plain} without TLS"));
    let mut stranger = Client::open(site.addr(), authority.client(false));
    assert!(stranger.try_ask("GET", "/v2/keys/a", "").is_err(), "with TLS a certificate is needed");
}
