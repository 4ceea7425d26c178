//! What was written when a member had one address is read. The file in `tests/data` is the data
//! directory of a machine with the flags `-name m1 -addr 127.0.0.1:24001 -v2-addr 127.0.0.1:24379
//! -peer-addr 127.0.0.1:27001 -snapshot-count 1`, after three writes and a clean stop, from before
//! members told their other addresses: a snapshot and a log.

use super::machines;
use crate::testkit::server::template;
use crate::testkit::{Request, Site, TempDir, ask, wait_until};
use flate2::read::GzDecoder;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

#[test]
fn a_record_with_one_address_is_read_and_completed() {
    if template().is_some() {
        return;
    }
    let dir = TempDir::new("ports-kept");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let file = File::open(folder.join("member-with-one-address.tar.gz")).unwrap();
    tar::Archive::new(GzDecoder::new(file)).unpack(dir.path()).unwrap();
    // Without a second port nothing is written that was not there.
    let site = Site::new("ports-kept").named("m1").with_data_dir(dir.path().join("d"));
    let (first, peer) = (site.addr(), site.peer_addr());
    let server = site.start();
    let key = Request::get("/v2/keys/_etcd/machines/m1");
    let old = || {
        let node = ask(first, &key).json()["node"].clone();
        (node["value"].as_str().unwrap_or_default().to_owned(), node["modifiedIndex"].as_u64())
    };
    let escaped = |addr: std::net::SocketAddr| format!("http%3A%2F%2F127.0.0.1%3A{}", addr.port());
    let plain = format!("etcd={}&raft={}", escaped(first), escaped(peer));
    wait_until("it has announced its new addresses", Duration::from_secs(20), || old().0 == plain);
    assert_eq!(old().1, Some(5), "by one write after the three");
    for number in 1..=3 {
        let got = ask(first, &Request::get(&format!("/v2/keys/a{number}"))).json();
        assert_eq!(got["node"]["value"], number.to_string());
    }
    assert!(server.terminate().success());
    let site = site.with_v2();
    let server = site.start();
    let whole = format!("{plain}&v04={}&v2={}", escaped(first), escaped(site.v2_addr()));
    wait_until("the record is completed", Duration::from_secs(20), || old().0 == whole);
    assert_eq!(machines(first, "/v2/machines"), [format!("http://{first}")]);
    let second = site.v2_addr();
    assert_eq!(machines(second, "/v2/machines"), [format!("http://{second}")]);
    assert!(server.terminate().success());
    // It is in the snapshot and in the log, so that a start knows it before anybody says it.
    let server = site.start();
    assert_eq!(machines(second, "/v2/machines"), [format!("http://{second}")]);
    assert_eq!(old().1, Some(6), "nothing was written again");
    drop(server);
}
