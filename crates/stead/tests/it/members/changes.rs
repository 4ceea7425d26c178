//! `/v2/members`: adding, moving and removing machines in the words of 2.x.

use std::net::SocketAddr;

use super::{LIMIT, Trio, members};
use crate::testkit::{Request, Response, Server, Site, ask, wait_until};

fn send_json(addr: SocketAddr, method: &str, path: &str, body: &str) -> Response {
    let request = Request::new(method, path).header("Content-Type", "application/json");
    ask(addr, &request.body(body.as_bytes()))
}

fn message(answer: &Response) -> String {
    assert!(answer.head.header("X-Etcd-Cluster-Id").is_some(), "{}", answer.text());
    assert!(!answer.text().ends_with('\n'));
    answer.json()["message"].as_str().expect("a message").to_owned()
}

#[test]
fn members_are_listed_by_id_with_their_urls() {
    let (site, server) = Server::start("list");
    for path in ["/v2/members", "/v2/members/"] {
        let answer = ask(site.addr(), &Request::get(path));
        assert_eq!(answer.status(), 200);
        assert!(answer.head.header("X-Etcd-Cluster-Id").is_some());
        assert_eq!(answer.head.header("Content-Type").as_deref(), Some("application/json"));
        let id = answer.json()["members"][0]["id"].as_str().expect("text").to_owned();
        let member = format!(
            "{{\"id\":\"{id}\",\"name\":\"m0\",\"peerURLs\":[\"{}\"],\"clientURLs\":[\"{}\"]}}",
            server.peer_url(),
            server.url()
        );
        assert_eq!(answer.text(), format!("{{\"members\":[{member}]}}\n"));
        let leader = ask(site.addr(), &Request::get("/v2/members/leader"));
        assert_eq!((leader.status(), leader.text()), (200, format!("{member}\n")));
    }
}

#[test]
fn what_cannot_be_is_refused_in_the_words_of_2_x() {
    let (site, server) = Server::start("refusals");
    let addr = site.addr();
    let own = server.peer_url();
    let taken = format!("{{\"peerURLs\":[\"{own}\"]}}");
    let good = "{\"peerURLs\":[\"http://127.0.0.1:9\"]}";
    let plain = ask(addr, &Request::post("/v2/members", "value=1"));
    assert_eq!(plain.status(), 415);
    let want = "Bad Content-Type application/x-www-form-urlencoded, accept application/json";
    assert_eq!(message(&plain), want);
    for (method, path, body, status, why) in [
        ("POST", "/v2/members", "{\"peerURLs\":[]}", 400, "no valid URLs given"),
        (
            "POST",
            "/v2/members",
            "{\"peerURLs\":[\"bad\"]}",
            400,
            "URL scheme must be http or https: bad",
        ),
        ("POST", "/v2/members", taken.as_str(), 409, "peerURL exists"),
        ("PUT", "/v2/members/1234", good, 404, "No such member: 1234"),
        ("PUT", "/v2/members/leader", good, 404, "No such member: leader"),
        ("DELETE", "/v2/members/1234", "", 404, "No such member: 1234"),
        ("GET", "/v2/members/1234", "", 404, "Not found"),
    ] {
        let answer = send_json(addr, method, path, body);
        assert_eq!((answer.status(), message(&answer).as_str()), (status, why), "{method} {path}");
    }
    for method in ["PUT", "DELETE"] {
        let answer = send_json(addr, method, "/v2/members", good);
        assert_eq!((answer.status(), answer.text().as_str()), (405, "Method Not Allowed\n"));
    }
    for body in ["", "{", "[]", "null", "\u{0}", "{\"peerURLs\":[1]}"] {
        assert_eq!(send_json(addr, "POST", "/v2/members", body).status(), 400, "{body:?}");
    }
    assert_eq!(members(&server).len(), 1);
}

#[test]
fn a_machine_that_was_added_joins_with_the_id_it_was_given() {
    let trio = Trio::start("added");
    let (_, others) = trio.roles();
    let site = Site::new("added-n4").with_v2();
    let url = format!("http://{}", site.peer_addr());
    // Asked of a follower: what it says is what the leader decided.
    let body = format!("{{\"peerURLs\":[\"{url}\"]}}");
    let answer = send_json(others[0].v2_addr(), "POST", "/v2/members", &body);
    let added = answer.json();
    assert_eq!(answer.status(), 201, "{added}");
    let id = added["id"].as_str().expect("text").to_owned();
    let want =
        format!("{{\"id\":\"{id}\",\"name\":\"\",\"peerURLs\":[\"{url}\"],\"clientURLs\":[]}}\n");
    assert_eq!(answer.text(), want);
    let again = send_json(others[1].v2_addr(), "POST", "/v2/members", &body);
    assert_eq!((again.status(), message(&again).as_str()), (409, "peerURL exists"));
    wait_until("everybody lists it", LIMIT, || {
        trio.servers.iter().all(|one| members(one).len() == 4)
    });
    // Machines that joined are listed from when the leader has brought them up.
    let listed = || ask(others[0].addr(), &Request::get("/v2/machines")).text();
    wait_until("three are listed", LIMIT, || listed().split(", ").count() == 3);
    let new = site.addr().to_string();
    assert!(!listed().contains(&new), "it is no machine for clients yet: {}", listed());

    let list: Vec<String> = std::iter::zip(["n1", "n2", "n3"], &trio.sites)
        .map(|(name, site)| format!("{name}=http://{}", site.peer_addr()))
        .collect();
    let cluster = format!("{},n4={url}", list.join(","));
    let site =
        site.flags(&format!("-name n4 -initial-cluster {cluster} -initial-cluster-state existing"));
    let server = site.start();
    wait_until("it is there under its id", LIMIT, || {
        trio.servers.iter().chain([&server]).all(|one| {
            let members = members(one);
            let named = members.iter().find(|member| member["name"] == "n4");
            members.len() == 4 && named.is_some_and(|member| member["id"] == id.as_str())
        })
    });
    let own = ask(server.v2_addr(), &Request::get("/v2/stats/self")).json();
    assert_eq!(own["id"], id.as_str(), "{own}");

    let path = format!("/v2/members/{id}");
    wait_until("it can be removed", LIMIT, || {
        let answer = ask(others[0].v2_addr(), &Request::delete(&path));
        assert!(answer.status() == 204 || answer.status() == 409, "{}", answer.text());
        answer.status() == 204
    });
    wait_until("everybody forgot it", LIMIT, || {
        trio.servers
            .iter()
            .all(|one| !members(one).iter().any(|member| member["id"] == id.as_str()))
    });
    let answer = ask(others[0].v2_addr(), &Request::delete(&path));
    assert_eq!(
        (answer.status(), message(&answer)),
        (410, format!("Member permanently removed: {id}"))
    );
}

#[test]
fn an_expected_machine_can_be_moved_and_forgotten() {
    let trio = Trio::start("expected");
    let (_, others) = trio.roles();
    let addr = others[0].v2_addr();
    let added = send_json(addr, "POST", "/v2/members", "{\"peerURLs\":[\"http://127.0.0.1:9\"]}");
    let id = added.json()["id"].as_str().expect("text").to_owned();
    let path = format!("/v2/members/{id}");
    let moved = send_json(addr, "PUT", &path, "{\"peerURLs\":[\"http://127.0.0.1:8\"]}");
    assert_eq!((moved.status(), moved.text().as_str()), (204, ""));
    assert!(moved.head.header("X-Etcd-Cluster-Id").is_some());
    assert_eq!(moved.head.header("Content-Length"), None);
    wait_until("everybody knows the new address", LIMIT, || {
        trio.servers.iter().all(|one| {
            let members = members(one);
            let found = members.iter().find(|member| member["id"] == id.as_str());
            found.is_some_and(|member| member["peerURLs"][0] == "http://127.0.0.1:8")
        })
    });
    assert_eq!(ask(addr, &Request::delete(&path)).status(), 204);
    assert_eq!(ask(addr, &Request::delete(&path)).status(), 410);
    assert_eq!(members(others[0]).len(), 3);
}

#[test]
fn an_expected_machine_outlives_a_restart() {
    let site = Site::new("outlives");
    let server = site.start();
    let body = "{\"peerURLs\":[\"http://127.0.0.1:9\"]}";
    let added = send_json(server.addr(), "POST", "/v2/members", body).json();
    server.kill();
    let server = site.start();
    let found = members(&server).into_iter().find(|member| member["name"] == "");
    assert_eq!(found.expect("it is still expected")["id"], added["id"]);
}

#[test]
fn an_address_that_an_operator_gave_stays_until_the_next_start() {
    let site = Site::new("moved");
    let server = site.start();
    let own = members(&server).remove(0);
    let path = format!("/v2/members/{}", own["id"].as_str().expect("text"));
    let body = "{\"peerURLs\":[\"http://127.0.0.1:9\"]}";
    assert_eq!(send_json(server.addr(), "PUT", &path, body).status(), 204);
    assert_eq!(members(&server)[0]["peerURLs"][0], "http://127.0.0.1:9");
    server.kill();
    let server = site.start();
    wait_until("it says where it is", LIMIT, || members(&server)[0] == own);
}

#[test]
fn nobody_joins_under_the_id_of_a_member_that_votes() {
    let site = Site::new("voter-alone");
    let alone = site.start();
    let trio = Trio::start("voter");
    let (leader, _) = trio.roles();
    let listed = || ask(leader.addr(), &Request::get("/v2/machines")).text();
    wait_until("three vote", LIMIT, || listed().split(", ").count() == 3);
    for server in [leader, &alone] {
        let view = ask(server.peer_addr(), &Request::get("/v2/peer/members")).json();
        for member in view["members"].as_array().expect("a list") {
            let body = serde_json::json!({
                "id": member["id"], "name": member["name"],
                "clientURL": member["clientURL"], "peerURL": member["peerURL"],
            });
            let answer = send_json(server.peer_addr(), "POST", "/v2/peer/join", &body.to_string());
            assert_eq!(answer.status(), 409, "{}", answer.text());
        }
        let put = Request::put("/v2/keys/goes-on", "value=1");
        assert_eq!(ask(server.addr(), &put).status(), 201);
    }
    for server in &trio.servers {
        let ready = ask(server.addr(), &Request::get("/readyz"));
        assert_eq!(ready.status(), 200, "{}", ready.text());
    }
}
