//! `/v2/auth/whoami`: who the credentials of a request are.

use super::{auth, count_users, done, of};
use crate::cluster::kit::{Cluster, PATIENCE};
use crate::testkit::{Request, Server, ask, wait_until};
use serde_json::{Value, json};

fn who() -> Request {
    Request::get("/v2/auth/whoami")
}

fn all() -> Value {
    json!(["/*"])
}

#[test]
fn everybody_is_told_who_it_is_and_what_it_may_do() {
    let (_site, server) = Server::start("whoami");
    let addr = server.addr();
    let open = json!({
        "enabled": false, "user": null, "isRoot": true, "roles": [], "read": all(), "write": all(),
    });
    assert_eq!(ask(addr, &who()).json(), open);
    count_users(addr);
    let guest = ask(addr, &who());
    let rights: Value = json!({
        "enabled": true, "user": null, "isRoot": false, "roles": ["guest"], "read": [], "write": [],
    });
    assert_eq!((guest.status(), guest.json()), (200, rights));
    assert!(guest.head.header("X-Etcd-Cluster-Id").is_some());
    let role = r#"{"role":"b","permissions":{"kv":{"read":["/b","/a*"],"write":[]}}}"#;
    let grant = r#"{"user":"ann","grant":["b","gone"]}"#;
    done(&ask(addr, &of("root:top", auth("PUT", "roles/b", role))));
    done(&ask(addr, &of("root:top", auth("PUT", "users/ann", grant))));
    let ann = json!({
        "enabled": true, "user": "ann", "isRoot": false, "roles": ["a", "b", "gone"],
        "read": ["/a*", "/b"], "write": ["/a*"],
    });
    assert_eq!(ask(addr, &of("ann:pw", who())).json(), ann);
    let root = json!({
        "enabled": true, "user": "root", "isRoot": true, "roles": ["root"],
        "read": all(), "write": all(),
    });
    assert_eq!(ask(addr, &of("root:top", who())).json(), root);
    for wrong in ["ann:top", "nobody:pw", "root:"] {
        let answer = ask(addr, &of(wrong, who()));
        let message = json!({"message": "Insufficient credentials"});
        assert_eq!((answer.status(), answer.json()), (401, message), "{wrong}");
    }
    let guests = r#"{"role":"guest","grant":{"kv":{"read":["/open/*"]}}}"#;
    done(&ask(addr, &of("root:top", auth("PUT", "roles/guest", guests))));
    assert_eq!(ask(addr, &who()).json()["read"], json!(["/open/*"]));
    assert_eq!(ask(addr, &of("ann:pw", who())).json()["read"], ann["read"], "she is no guest");
    for (method, path) in [("PUT", "whoami"), ("DELETE", "whoami"), ("HEAD", "whoami")] {
        assert_eq!(ask(addr, &auth(method, path, "")).status(), 405, "{method}");
    }
    assert_eq!(ask(addr, &auth("GET", "whoami/x", "")).status(), 404);
}

#[test]
fn every_member_says_the_same() {
    let cluster = Cluster::start("whoami-three", 3, "");
    count_users(cluster.machines[0].addr());
    for machine in &cluster.machines {
        wait_until("it knows her", PATIENCE, || {
            let answer = ask(machine.addr(), &of("ann:pw", who()));
            answer.status() == 200 && answer.json()["user"] == "ann"
        });
        assert_eq!(ask(machine.addr(), &of("ann:no", who())).status(), 401);
    }
}
