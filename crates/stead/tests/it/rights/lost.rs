//! The password of root is lost: whoever can restart the machines gives the cluster a token, and
//! root a new password, as docs/security.md says.

use super::{SOON, auth, count_users, done, of, spawn, write};
use crate::cluster::kit::Cluster;
use crate::testkit::http::send;
use crate::testkit::{Request, Site, ask, wait_until};
use std::path::Path;

const TOKEN: &str = "d2f5c6a0b1e94d7788a1";

/// The flag with a file that has the token.
fn token_flag(folder: &Path) -> String {
    let file = folder.join("token");
    std::fs::write(&file, TOKEN).unwrap();
    format!("-peer-token-file={}", file.display())
}

fn new_password(password: &str) -> Request {
    auth("PUT", "users/root", &format!(r#"{{"user":"root","password":"{password}"}}"#))
}

fn root_writes(addr: std::net::SocketAddr, password: &str) -> u16 {
    ask(addr, &of(&format!("root:{password}"), Request::put("/v2/keys/r", "value=1"))).status()
}

#[test]
fn a_machine_that_had_no_token_gets_one_for_it() {
    let mut site = Site::new("rights-lost");
    let server = site.start();
    count_users(server.addr());
    done(&ask(server.addr(), &of("ann:pw", Request::put("/v2/keys/a/x", "value=kept"))));
    assert_eq!(ask(server.addr(), &new_password("stolen")).status(), 401);
    server.terminate();
    site.set_flags(&token_flag(site.folder()));
    let server = spawn(&site);
    let addr = server.addr();
    for wrong in ["", "guess"] {
        let asked = new_password("stolen").header("Stead-Token", wrong);
        assert_eq!(ask(addr, &asked).status(), 401, "{wrong:?}");
    }
    done(&ask(addr, &new_password("found").header("Stead-Token", TOKEN)));
    assert_eq!((root_writes(addr, "found"), root_writes(addr, "top")), (201, 401));
    assert_eq!(write(addr, "ann:pw", "2"), 200, "others are as they were");
    server.terminate();
    // It may go again.
    site.set_flags("");
    let server = spawn(&site);
    assert_eq!((root_writes(addr, "found"), root_writes(addr, "top")), (200, 401));
    assert_eq!(ask(addr, &new_password("x").header("Stead-Token", TOKEN)).status(), 401);
    // The other way: nobody has to be anybody.
    server.terminate();
    site.set_flags(&token_flag(site.folder()));
    let server = spawn(&site);
    assert_eq!(ask(server.addr(), &Request::get("/v2/keys/a/x")).status(), 401);
    done(&ask(server.addr(), &auth("DELETE", "enable", "").header("Stead-Token", TOKEN)));
    assert_eq!(ask(server.addr(), &Request::get("/v2/keys/a/x")).json()["node"]["value"], "2");
}

#[test]
fn a_cluster_that_had_no_token_gets_one_for_it() {
    let mut cluster = Cluster::start("rights-lost", 3, "");
    let addrs = cluster.addrs();
    count_users(addrs[0]);
    assert_eq!(write(addrs[1], "ann:pw", "kept"), 201);
    for machine in &mut cluster.machines {
        machine.server.take().unwrap().terminate();
    }
    let flag = token_flag(cluster.machines[0].site.folder());
    for machine in &mut cluster.machines {
        machine.site.set_flags(&flag);
        machine.spawn();
    }
    wait_until("all serve", SOON, || {
        addrs.iter().all(|addr| {
            send(*addr, &Request::get("/health")).is_ok_and(|answer| answer.status() == 200)
        })
    });
    assert_eq!(ask(addrs[2], &new_password("stolen")).status(), 401);
    done(&ask(addrs[2], &new_password("found").header("Stead-Token", TOKEN)));
    for addr in &addrs {
        assert!(matches!(root_writes(*addr, "found"), 200 | 201));
        assert_eq!(root_writes(*addr, "top"), 401);
        assert_eq!(write(*addr, "ann:pw", "2"), 200);
    }
}
