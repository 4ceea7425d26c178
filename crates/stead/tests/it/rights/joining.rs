//! A machine that has just joined has not heard yet that users count: it must not act as if they
//! did not.

use super::{SOON, count_users, of};
use crate::cluster::kit::Cluster;
use crate::testkit::http::send;
use crate::testkit::{Request, Site, ask, wait_until};

#[test]
fn who_joins_takes_nobody_for_less_and_lets_nobody_in() {
    const SIZE: usize = 400_000;
    let cluster = Cluster::start("rights-joining", 2, "");
    let first = cluster.addrs()[0];
    // Enough to be transferred for a while.
    for at in 0..60 {
        let form = format!("value={}", "x".repeat(SIZE));
        assert!(ask(first, &Request::put(&format!("/v2/keys/large/{at}"), &form)).status() < 300);
    }
    count_users(first);
    let read_config = || ask(first, &Request::get("/v2/admin/config")).text();
    let config = read_config();
    let peers = format!("-peers {}", cluster.machines[0].site.peer_addr());
    let site = Site::new("rights-joining").named("m2").flags(&peers);
    let server = site.spawn();
    let write = of("root:top", Request::put("/v2/keys/x", "value=1"));
    let change = Request::new("PUT", "/v2/admin/config").body(b"{\"activeSize\":7}");
    let change = change.header("Content-Type", "application/json");
    let removal = Request::delete("/v2/admin/machines/m1");
    wait_until("the machine takes writes of root", SOON, || {
        for guest in [&change, &removal, &Request::get("/v2/admin/backup")] {
            if let Ok(answer) = send(server.addr(), guest) {
                let text = answer.text();
                assert!(matches!(answer.status(), 401 | 503), "{}: {text}", guest.path);
            }
        }
        let Ok(answer) = send(server.addr(), &write) else { return false };
        assert_ne!(answer.status(), 401, "root may: {}", answer.text());
        answer.status() < 300
    });
    assert_eq!(read_config(), config);
}
