//! What is there beside the key space.

use std::time::{Duration, Instant};

use crate::testkit::{Request, Response, Server, Site, ask, wait_until};

#[test]
fn health_is_told_in_json() {
    let (_site, server) = Server::start("health");
    let answer = ask(server.addr(), &Request::get("/health"));
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.json()["health"], "true", "{}", answer.text());
    for path in ["/livez", "/readyz"] {
        assert_eq!(ask(server.addr(), &Request::get(path)).status(), 200, "{path}");
    }
}

#[test]
fn the_version_has_two_shapes() {
    let (_site, server) = Server::start("version");
    let answer = ask(server.addr(), &Request::get("/version").header("Accept", "*/*"));
    assert_eq!(answer.status(), 200);
    let json = answer.json();
    assert_eq!((&json["etcdserver"], &json["etcdcluster"]), (&"2.3.8".into(), &"2.3.0".into()));
    assert!(json["stead"].is_string(), "{json}");
    let plain = ask(server.addr(), &Request::get("/version").header("Accept", "text/plain"));
    assert_eq!((plain.status(), plain.text().as_str()), (200, "etcd 0.4.9"));
}

#[test]
fn what_is_sure_to_fail_takes_no_place_in_the_log() {
    let (_site, server) = Server::start("sure-to-fail");
    let addr = server.addr();
    let put = |form: &str| ask(addr, &Request::put("/v2/keys/m", form));
    let raft_index = |answer: &Response| -> u64 {
        answer.head.header("X-Raft-Index").expect("it is there").parse().expect("a number")
    };
    let first = raft_index(&put("value=a"));
    for (form, status, code) in [
        ("value=b&prevValue=z", 412, 101),
        ("value=b&prevIndex=77", 412, 101),
        ("value=b&prevExist=false", 412, 105),
    ] {
        let answer = put(form);
        assert_eq!((answer.status(), answer.json()["errorCode"].as_i64()), (status, Some(code)));
    }
    assert_eq!(raft_index(&put("value=b&prevValue=a")), first + 1);
    let stats = ask(addr, &Request::get("/v2/stats/store")).json();
    assert_eq!(stats["compareAndSwapFail"], 2, "{stats}");
    assert_eq!(stats["createFail"], 1, "{stats}");
}

#[test]
fn metrics_count_what_happens() {
    let (_site, server) = Server::start("metrics");
    let addr = server.addr();
    let before = metrics(&server);
    for number in 0..7 {
        let put = Request::put("/v2/keys/m", &format!("value={number}"));
        assert!(ask(addr, &put).status() < 300);
    }
    assert_eq!(ask(addr, &Request::get("/v2/keys/none")).status(), 404);
    let after = metrics(&server);
    let grew: Vec<&str> =
        names(&after).filter(|name| sum(&after, name) >= sum(&before, name) + 7.0).collect();
    assert!(!grew.is_empty(), "no metric noticed seven writes:\n{after}");
    for name in ["etcd_store_writes_total", "stead_store_index"] {
        assert!(grew.contains(&name), "{name} did not notice seven writes; these did: {grew:?}");
    }
    // Every line is a comment or a name with a number, and every name has help and type.
    for line in after.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (_, number) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        assert!(number.parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn a_machine_that_is_alone_tells_how_long_requests_took() {
    let (_site, server) = Server::start("latencies");
    let addr = server.addr();
    let before = metrics(&server);
    let begin = Instant::now();
    for number in 0..20 {
        let put = Request::put(&format!("/v2/keys/k{number}"), "value=four");
        assert_eq!(ask(addr, &put).status(), 201);
    }
    for query in ["", "?recursive=true", "?quorum=true"] {
        assert_eq!(ask(addr, &Request::get(&format!("/v2/keys/k1{query}"))).status(), 200);
    }
    assert_eq!(ask(addr, &Request::get("/v2/keys/none")).status(), 404);
    let took = begin.elapsed().as_secs_f64();
    let text = metrics(&server);
    let served = |part: &str, method: &str| {
        let name = format!("etcd_http_successful_duration_seconds_{part}{{method=\"{method}\"}}");
        sum(&text, &name) - sum(&before, &name)
    };
    for (method, count) in [("PUT", 20.0), ("GET", 2.0), ("QGET", 1.0)] {
        assert_eq!(served("count", method), count, "{text}");
    }
    // A write waits for its sync, of which each takes time.
    assert!(served("sum", "PUT") >= 20.0 * 5e-6, "{text}");
    let all: f64 = ["PUT", "GET", "QGET"].iter().map(|method| served("sum", method)).sum();
    assert!(served("sum", "GET") > 0.0 && served("sum", "QGET") > 0.0 && all <= took, "{text}");
    assert_eq!(sum(&text, "etcd_server_proposal_durations_seconds_count"), 20.0);
    for (name, value) in [
        ("etcd_store_reads_total{action=\"getRecursive\"}", 1.0),
        ("etcd_store_reads_failed_total{action=\"get\"}", 1.0),
        ("etcd_server_has_leader", 1.0),
        ("etcd_server_proposals_pending", 0.0),
        ("stead_ready_check_failed{check=\"disk\"}", 0.0),
        ("stead_machine_state{state=\"leader\"}", 1.0),
    ] {
        assert_eq!(sum(&text, name), value, "{name}: {text}");
    }
    assert!(sum(&text, "stead_store_keys") >= 20.0, "{text}");
    assert!(sum(&text, "stead_store_value_bytes") >= 80.0, "{text}");
    for name in [
        "etcd_disk_wal_write_bytes_total",
        "process_max_fds",
        "stead_disk_free_bytes",
        "stead_history_events",
        "stead_http_received_bytes_total",
        "stead_http_sent_bytes_total",
        "stead_loop_longest_round_seconds",
        "stead_wal_bytes",
    ] {
        assert!(sum(&text, name) > 0.0, "{name}: {text}");
    }
    // There is no such thing here.
    for name in ["stead_certificate_expiry", "stead_backup_interval", "etcd_network_"] {
        assert!(!text.contains(name), "{name}: {text}");
    }
}

#[test]
fn failures_are_counted_by_status_and_method() {
    let site = Site::new("failures").flags("-max-body-bytes 1024");
    let server = site.start();
    let addr = server.addr();
    let large = "x".repeat(2000);
    for (request, status) in [
        (Request::delete("/v2/keys/none"), 404),
        (Request::get("/v2/keys/none"), 404),
        (Request::put("/v2/keys/none?prevExist=true", "value=1"), 404),
        (Request::post("/v2/keys/a", "ttl=x"), 400),
        (Request::delete("/version"), 405),
        (Request::get("/nothing"), 404),
        (Request::put("/v2/keys/large", &large), 400),
        (Request::new("PATCH", "/v2/keys/a"), 405),
    ] {
        assert_eq!(ask(addr, &request).status(), status, "{request:?}");
    }
    let text = metrics(&server);
    let mut counted: Vec<&str> =
        text.lines().filter(|line| line.starts_with("etcd_http_failed_total{")).collect();
    counted.sort_unstable();
    let want = [
        "etcd_http_failed_total{code=\"400\",method=\"POST\"} 1",
        "etcd_http_failed_total{code=\"400\",method=\"PUT\"} 1",
        "etcd_http_failed_total{code=\"404\",method=\"DELETE\"} 1",
        "etcd_http_failed_total{code=\"404\",method=\"GET\"} 2",
        "etcd_http_failed_total{code=\"404\",method=\"PUT\"} 1",
        "etcd_http_failed_total{code=\"405\",method=\"DELETE\"} 1",
        "etcd_http_failed_total{code=\"405\",method=\"OTHER\"} 1",
    ];
    assert_eq!(counted, want);
}

#[test]
fn only_syncs_of_the_log_are_counted_as_syncs() {
    let (_site, server) = Server::start("syncs");
    let addr = server.addr();
    let syncs = || sum(&metrics(&server), "etcd_wal_fsync_durations_seconds_count");
    let before = syncs();
    for _ in 0..5 {
        assert!(ask(addr, &Request::put("/v2/keys/s", "value=1")).status() < 300);
    }
    // One after the other, so that each has a sync of its own.
    let written = syncs();
    assert!(written >= before + 5.0, "{before} {written}");
    for _ in 0..5 {
        assert_eq!(ask(addr, &Request::get("/v2/keys/s?quorum=true")).status(), 200);
    }
    assert_eq!(syncs(), written, "a read needs no sync");
    // Reads have just come, so that this sync is done by a thread.
    assert!(ask(addr, &Request::put("/v2/keys/s", "value=2")).status() < 300);
    wait_until("the sync is counted", Duration::from_secs(10), || syncs() > written);
}

#[test]
fn metrics_can_be_turned_off() {
    let site = Site::new("no-metrics").flags("-metrics off");
    let server = site.start();
    assert_eq!(ask(server.addr(), &Request::get("/metrics")).status(), 404);
}

fn metrics(server: &Server) -> String {
    let answer = ask(server.addr(), &Request::get("/metrics"));
    assert_eq!(answer.status(), 200);
    let kind = answer.head.header("Content-Type").unwrap_or_default();
    assert!(kind.starts_with("text/plain"), "{kind}");
    answer.text()
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
}

/// All values of one name, whatever their labels, added up.
fn sum(text: &str, name: &str) -> f64 {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        if !rest.starts_with([' ', '{']) {
            return None;
        }
        rest.rsplit_once(' ')?.1.parse::<f64>().ok()
    });
    values.sum()
}

#[test]
fn administration_answers_on_both_ports() {
    let (_site, server) = Server::start("admin");
    for addr in [server.addr(), server.peer_addr()] {
        let config = ask(addr, &Request::get("/v2/admin/config"));
        assert_eq!(config.status(), 200);
        assert_eq!(config.json()["activeSize"], 9, "{}", config.text());
        let machines = ask(addr, &Request::get("/v2/admin/machines"));
        assert_eq!(machines.json()[0]["name"], "m0", "{}", machines.text());
        let machine = ask(addr, &Request::get("/v2/admin/machines/m0"));
        assert_eq!(machine.json()["clientURL"], server.url().as_str(), "{}", machine.text());
        let unknown = ask(addr, &Request::get("/v2/admin/machines/nobody"));
        assert_eq!(unknown.status(), 404, "{}", unknown.text());
    }
    let body = b"{\"activeSize\":5,\"removeDelay\":2.5}";
    let put = Request::new("PUT", "/v2/admin/config").body(body);
    let changed = ask(server.peer_addr(), &put);
    let wanted = "{\"activeSize\":5,\"removeDelay\":2.5,\"syncInterval\":5}";
    assert_eq!((changed.status(), changed.text().trim_end()), (200, wanted));
}

#[test]
fn the_configuration_survives_a_restart() {
    let (site, server) = Server::start("config");
    let put = Request::new("PUT", "/v2/admin/config").body(b"{\"activeSize\":7}");
    assert_eq!(ask(server.peer_addr(), &put).status(), 200);
    server.kill();
    let server = site.start();
    let config = ask(server.peer_addr(), &Request::get("/v2/admin/config"));
    assert_eq!(config.json()["activeSize"], 7);
}

#[test]
fn internal_keys_are_read_only_for_clients() {
    let (_site, server) = Server::start("internal");
    let addr = server.addr();
    let config = ask(addr, &Request::get("/v2/keys/_etcd/config"));
    assert_eq!(config.status(), 200, "{}", config.text());
    let machine = ask(addr, &Request::get("/v2/keys/_etcd/machines/m0"));
    assert_eq!(machine.status(), 200, "{}", machine.text());
    let index = config.index();
    let requests = [
        Request::put("/v2/keys/_etcd/machines/zz", "value=bad"),
        Request::put("/v2/keys/_etcd/config", "value=bad"),
        Request::post("/v2/keys/_etcd/machines", "value=bad"),
        Request::delete("/v2/keys/_etcd/machines/m0"),
        Request::delete("/v2/keys/_etcd?recursive=true"),
    ];
    for request in requests {
        let answer = ask(addr, &request);
        assert_eq!((answer.status(), &answer.json()["errorCode"]), (400, &106.into()));
    }
    let after = ask(addr, &Request::get("/v2/keys/_etcd/machines/m0"));
    assert_eq!((after.index(), after.text()), (index, machine.text()));
}
