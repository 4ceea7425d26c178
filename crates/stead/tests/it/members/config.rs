//! The configuration has versions: who changes it can say which one that is meant for.

use crate::cluster::kit::{Cluster, PATIENCE};
use crate::testkit::{Request, Response, Server, ask, wait_until};
use std::net::SocketAddr;
use std::thread;

const PATH: &str = "/v2/admin/config";

fn etag(answer: &Response) -> String {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.head.header("ETag").expect("a version")
}

/// Changes the configuration if it still is a version.
fn change(addr: SocketAddr, version: &str, body: &str) -> Response {
    ask(addr, &Request::new("PUT", PATH).body(body.as_bytes()).header("If-Match", version))
}

#[test]
fn a_change_of_another_version_changes_nothing() {
    let (_site, server) = Server::start("config-version");
    for addr in [server.addr(), server.peer_addr()] {
        let get = || ask(addr, &Request::get(PATH));
        let first = etag(&get());
        let size = if addr == server.addr() { 5 } else { 7 };
        let second = etag(&change(addr, &first, &format!("{{\"activeSize\":{size}}}")));
        assert_ne!(first, second);
        assert_eq!(etag(&get()), second);
        for version in [first.as_str(), "", "\"x\"", "W/\"9-1800-5\"", "\"9-1800-NaN\""] {
            let refused = change(addr, version, "{\"activeSize\":9}");
            assert_eq!((refused.status(), &refused.json()["errorCode"]), (412, &101.into()));
            assert_eq!(etag(&get()), second, "{version}");
        }
        let list = format!("{first}, {second}");
        assert_eq!(change(addr, &list, "{\"removeDelay\":7}").json()["activeSize"], size);
        assert_eq!(change(addr, "*", "{\"removeDelay\":8}").status(), 200);
        assert_eq!(
            ask(addr, &Request::new("PUT", PATH).body(b"{\"removeDelay\":9}")).status(),
            200
        );
        assert_eq!(get().json()["removeDelay"], 9);
    }
}

#[test]
fn of_changes_at_once_at_all_members_one_is_made() {
    let cluster = Cluster::start("config-version-three", 3, "");
    let addrs = cluster.addrs();
    for round in 0..5 {
        let version = etag(&ask(addrs[0], &Request::get(PATH)));
        let made = thread::scope(|scope| {
            let change = |at: usize| {
                let (addr, version) = (addrs[at % 3], &version);
                let body = format!("{{\"removeDelay\":{}}}", 100 + 10 * round + at);
                scope.spawn(move || change(addr, version, &body).status())
            };
            let all: Vec<_> = (0..6).map(change).collect();
            all.into_iter().map(|one| one.join().expect("it ends")).collect::<Vec<_>>()
        });
        let count = |status| made.iter().filter(|one| **one == status).count();
        assert_eq!((count(200), count(412)), (1, 5), "{made:?}");
        wait_until("all say the same", PATIENCE, || {
            let mut versions = addrs.iter().map(|addr| etag(&ask(*addr, &Request::get(PATH))));
            let first = versions.next().expect("there are three");
            first != version && versions.all(|one| one == first)
        });
    }
    cluster.wait_equal();
}
