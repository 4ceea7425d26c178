//! The secret of a cluster: who has to know it, who is asked for it, and who never hears it.

use super::fake::{Fake, answer};
use super::{PATIENCE, SECRET, id_of, lines_with, log_of, secret_file, secret_flag, with_secret};
use std::net::SocketAddr;

use crate::cluster::kit::{Cluster, Machine, members};
use crate::testkit::{Request, Site, TempDir, ask, wait_until};

/// The address of a member that is away is changed to that of a machine that is none: it is
/// dialled, hears no secret, and is not believed when it says that the caller was removed.
#[test]
fn a_fake_member_hears_no_secret_and_is_not_believed() {
    let dir = TempDir::new("gates-fake-token");
    let mut cluster = Cluster::start("gates-fake", 3, &secret_flag(&dir));
    let away = (0..3).find(|at| *at != cluster.leader()).unwrap();
    let name = cluster.machines[away].site.name().to_owned();
    cluster.machines[away].server.take().unwrap().terminate();
    let addrs: Vec<SocketAddr> = cluster.running().map(Machine::addr).collect();
    let fake = Fake::start(Box::new(|_| answer("410 Gone", "", "{\"message\":\"go\\naway\"}")));
    let path = format!("/v2/members/{}", id_of(addrs[0], &name));
    let update = || {
        let body = format!("{{\"peerURLs\":[\"http://{}\"]}}", fake.addr());
        let json = Request::new("PUT", &path).header("Content-Type", "application/json");
        json.body(body.as_bytes())
    };
    assert_eq!(ask(addrs[0], &update()).status(), 401, "nobody without the secret");
    assert_eq!(ask(addrs[0], &with_secret(update())).status(), 204);
    wait_until("both say what they were told", PATIENCE, || {
        let words = ["refused with 410", "unproven", "go\\naway"];
        cluster.running().all(|one| !lines_with(&log_of(&one.site), &words).is_empty())
    });
    assert!(fake.heard().contains("/v2/peer/stream?version=2"), "{}", fake.heard());
    assert!(!fake.heard().contains(SECRET), "{}", fake.heard());
    for addr in addrs {
        assert!(ask(addr, &Request::put("/v2/keys/a", "value=1")).status() < 300);
        assert_eq!(members(addr).len(), 3);
    }
    cluster.machines[away].spawn();
    cluster.wait_formed(3);
    cluster.wait_equal();
}

/// A discovery service names a machine of its own. It is asked for a place, and hears no secret.
#[test]
fn a_fake_discovery_service_hears_no_secret() {
    let dir = TempDir::new("gates-discovery-token");
    let elsewhere = Fake::start(Box::new(|_| answer("200 OK", "", "{}")));
    let further = format!("Location: http://{}/v2/peer/join\r\n", elsewhere.addr());
    let site = Site::new("gates-discovery").named("m9");
    let own = format!("http://{}", site.peer_addr());
    let fake = Fake::start(Box::new(move |request| {
        let host = request.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("host").then(|| value.trim().to_owned())
        });
        let host = host.unwrap_or_default();
        let line = request.lines().next().unwrap_or_default();
        match line {
            _ if line.contains("_state") => answer(
                "412 Precondition Failed",
                "Content-Type: application/json\r\n",
                "{\"errorCode\":105,\"message\":\"Key already exists\",\"cause\":\"\",\"index\":3}",
            ),
            _ if line.starts_with("PUT") => {
                let node = format!("{{\"key\":\"/x/m9\",\"value\":\"{own}\"}}");
                answer("201 Created", "", &format!("{{\"action\":\"set\",\"node\":{node}}}"))
            }
            _ if line.contains("/v2/peer/challenge") => {
                answer("200 OK", "", &format!("{{\"challenge\":\"{}\"}}", "5e".repeat(56)))
            }
            _ if line.contains("/v2/peer/join") => answer("307 Temporary Redirect", &further, ""),
            _ if line.contains("/v2/peer/") => answer("404 Not Found", "", ""),
            _ => answer(
                "200 OK",
                "Content-Type: application/json\r\n",
                &format!(
                    "{{\"action\":\"get\",\"node\":{{\"key\":\"/x\",\"dir\":true,\"nodes\":[\
                     {{\"key\":\"/x/evil\",\"value\":\"http://{host}\",\"modifiedIndex\":2,\
                     \"createdIndex\":2}}]}}}}"
                ),
            ),
        }
    }));
    let flags = format!(
        "{} -discovery http://{}/v2/keys/x -max-retry-attempts 1 -retry-interval 0.1",
        secret_flag(&dir),
        fake.addr()
    );
    let site = site.flags(&flags);
    let mut server = site.spawn();
    wait_until("it is asked for a place", PATIENCE, || fake.heard().contains("/v2/peer/challenge"));
    wait_until("that it proves nothing is said", PATIENCE, || {
        log_of(&site).contains("does not prove that it knows the cluster's secret")
            || !server.is_running()
    });
    let (heard, log) = (fake.heard(), log_of(&site));
    assert!(log.contains("does not prove that it knows the cluster's secret"), "{log}");
    assert!(heard.contains("Stead-Proof: ") || heard.contains("stead-proof: "), "{heard}");
    assert!(!heard.contains(SECRET), "{heard}");
    assert_eq!(elsewhere.heard(), "", "who proves nothing sends nobody anywhere");
}

/// Audit: a removal that was refused at one port was done at the other.
#[test]
fn members_and_configuration_want_the_secret_at_every_port() {
    let dir = TempDir::new("gates-ports-token");
    let site = Site::new("gates-ports").with_v2().flags(&secret_flag(&dir));
    let server = site.start();
    let json = |request: Request| request.header("Content-Type", "application/json");
    let changes = || {
        [
            (Request::delete("/v2/admin/machines/nobody"), 404),
            (Request::put("/v2/admin/config", "{\"activeSize\":5}"), 200),
            (json(Request::new("POST", "/v2/members")).body(b"{\"peerURLs\":[]}"), 400),
            (Request::delete("/v2/members/1"), 404),
            (json(Request::new("PUT", "/v2/members/1")).body(b"{\"peerURLs\":[]}"), 404),
        ]
    };
    for addr in [server.addr(), server.v2_addr(), server.peer_addr()] {
        for (request, status) in changes() {
            let is_members = request.path.starts_with("/v2/members");
            if addr == server.peer_addr() && is_members {
                continue;
            }
            let refused = ask(addr, &request);
            assert_eq!(refused.status(), 401, "{} {}", request.path, refused.text());
            assert!(refused.text().contains("Stead-Token"), "{}", refused.text());
            let path = request.path.clone();
            let wrong = ask(addr, &changed(&request).header("Stead-Token", "another"));
            assert_eq!(wrong.status(), 401, "{path} {}", wrong.text());
            let taken = ask(addr, &with_secret(request));
            assert_eq!(taken.status(), status, "{path} {}", taken.text());
        }
        let reads = ["/v2/admin/machines", "/v2/admin/config"];
        assert!(reads.iter().all(|path| ask(addr, &Request::get(path)).status() == 200));
    }
    assert_eq!(ask(server.addr(), &Request::get("/v2/members")).status(), 200);
    let view = Request::get("/v2/peer/members");
    assert_eq!(ask(server.peer_addr(), &view).status(), 401);
    assert_eq!(ask(server.peer_addr(), &with_secret(view)).status(), 200);
    drop(server);

    let open = Site::new("gates-open").flags(&format!("{} -open-membership", secret_flag(&dir)));
    let server = open.start();
    for (request, status) in changes() {
        assert_eq!(ask(server.addr(), &request).status(), status, "{}", request.path);
    }
    let at_peer_port = Request::delete("/v2/admin/machines/nobody");
    assert_eq!(ask(server.peer_addr(), &at_peer_port).status(), 401);
}

/// The same request once more.
fn changed(request: &Request) -> Request {
    let mut again = Request::new(&request.method, &request.path);
    again.headers.clone_from(&request.headers);
    again.body.clone_from(&request.body);
    again
}

/// A member that comes back with another secret, or none, is told apart at both sides, once.
#[test]
fn a_wrong_or_missing_secret_is_in_both_logs() {
    let dir = TempDir::new("gates-wrong-token");
    let good = secret_flag(&dir);
    let wrong =
        format!("-peer-token-file {}", secret_file(&dir, "another-secret-of-this").display());
    let unbelieved = "it rejects this machine's proof: the -peer-token of the two machines differs";
    for (flags, at_it, at_other) in [
        (wrong.as_str(), "does not prove that it knows the cluster's secret", unbelieved),
        ("", "refused with 403: the cluster has a secret", "start the caller with -peer-token"),
    ] {
        let mut cluster = Cluster::start("gates-wrong", 2, &good);
        let own: Vec<String> =
            cluster.machines.iter().map(|one| one.site.peer_addr().to_string()).collect();
        cluster.machines[1].server.take().unwrap().terminate();
        let before = log_of(&cluster.machines[1].site).len();
        cluster.machines[1].site.set_flags(flags);
        cluster.machines[1].spawn();
        let logs = |cluster: &Cluster| {
            let it = log_of(&cluster.machines[1].site).split_off(before);
            (it, log_of(&cluster.machines[0].site))
        };
        wait_until("both say so", PATIENCE, || {
            let (it, other) = logs(&cluster);
            let words = ["WARN", "refused a peer connection", at_other, &own[0]];
            !lines_with(&it, &["WARN", at_it, &own[0], &own[1]]).is_empty()
                && !lines_with(&other, &words).is_empty()
        });
        std::thread::sleep(std::time::Duration::from_secs(3));
        let (it, other) = logs(&cluster);
        assert_eq!(lines_with(&it, &[at_it]).len(), 1, "{it}");
        assert_eq!(lines_with(&other, &[at_other]).len(), 1, "{other}");
        assert!(!it.contains(SECRET) && !other.contains(SECRET));
        cluster.machines[1].server.take().unwrap().terminate();
        cluster.machines[1].site.set_flags(&good);
        cluster.machines[1].spawn();
        cluster.wait_formed(2);
    }
}

/// A machine asks a follower for its place, which sends it on to the leader: each proves itself.
#[test]
fn a_machine_joins_through_a_follower_with_proofs() {
    let dir = TempDir::new("gates-join-token");
    let flags = secret_flag(&dir);
    let mut cluster = Cluster::start("gates-join", 2, &flags);
    let follower = 1 - cluster.leader();
    let peers = cluster.machines[follower].site.peer_addr();
    let site = Site::new("gates-join").named("m2").flags(&format!("{flags} -peers {peers}"));
    cluster.machines.push(crate::cluster::kit::Machine { site, server: None });
    cluster.machines[2].spawn();
    cluster.wait_formed(3);
    cluster.wait_equal();
}
