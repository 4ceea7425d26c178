//! HTTP around the key space: connections, framing, methods, redirects.

use std::time::Duration;

use crate::testkit::{Connection, Request, Server, Site, Watch, ask};

#[test]
fn a_connection_serves_many_requests() {
    let (_site, server) = Server::start("keep-alive");
    let mut connection = Connection::open(server.addr()).unwrap();
    for number in 0..200 {
        let put = Request::put("/v2/keys/a", &format!("value={number}"));
        assert!(connection.exchange(&put).unwrap().status() < 300);
        let got = connection.exchange(&Request::get("/v2/keys/a")).unwrap();
        assert_eq!(got.json()["node"]["value"], number.to_string().as_str());
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    const COUNT: usize = 300;
    let (_site, server) = Server::start("pipelining");
    let mut connection = Connection::open(server.addr()).unwrap();
    let mut bytes = Vec::new();
    for number in 0..COUNT {
        let put = Request::put("/v2/keys/p", &format!("value={number}"));
        bytes.extend(put.to_bytes(server.addr()));
        bytes.extend(Request::get("/v2/keys/p").to_bytes(server.addr()));
        bytes.extend(Request::get("/v2/keys/none").to_bytes(server.addr()));
    }
    connection.write(&bytes).unwrap();
    for number in 0..COUNT {
        let put = connection.response("PUT").unwrap();
        assert_eq!(put.json()["node"]["value"], number.to_string().as_str());
        // A read that follows a write on the same connection sees it.
        let got = connection.response("GET").unwrap();
        assert_eq!(got.json()["node"]["value"], number.to_string().as_str());
        assert_eq!(connection.response("GET").unwrap().status(), 404);
    }
}

#[test]
fn requests_behind_a_watch_wait_for_it() {
    let (_site, server) = Server::start("behind-watch");
    let mut connection = Connection::open(server.addr()).unwrap();
    connection.send(&Request::get("/v2/keys/w?wait=true")).unwrap();
    connection.send(&Request::get("/v2/keys/none")).unwrap();
    let head = connection.head().unwrap();
    assert_eq!(head.status, 200);
    assert_eq!(ask(server.addr(), &Request::put("/v2/keys/w", "value=1")).status(), 201);
    let mut body = Vec::new();
    connection.body("GET", &head, &mut |part| body.extend_from_slice(part)).unwrap();
    assert!(String::from_utf8(body).unwrap().contains("\"/w\""));
    assert_eq!(connection.response("GET").unwrap().status(), 404);
}

#[test]
fn a_byte_at_a_time_is_a_request_too() {
    let (_site, server) = Server::start("bytes");
    let mut connection = Connection::open(server.addr()).unwrap();
    for byte in Request::put("/v2/keys/a", "value=slow").to_bytes(server.addr()) {
        connection.write(&[byte]).unwrap();
    }
    assert_eq!(connection.response("PUT").unwrap().json()["node"]["value"], "slow");
}

#[test]
fn the_server_says_when_to_go_on() {
    let (_site, server) = Server::start("continue");
    let mut connection = Connection::open(server.addr()).unwrap();
    let put = Request::put("/v2/keys/a", "value=1").header("Expect", "100-continue");
    let bytes = put.to_bytes(server.addr());
    let (head, body) = bytes.split_at(bytes.len() - "value=1".len());
    connection.write(head).unwrap();
    assert_eq!(connection.any_head().unwrap().status, 100);
    connection.write(body).unwrap();
    assert_eq!(connection.response("PUT").unwrap().status(), 201);
    let odd = Request::put("/v2/keys/a", "value=1").header("Expect", "miracles");
    assert_eq!(ask(server.addr(), &odd).status(), 417);
}

#[test]
fn an_upload_may_be_chunked() {
    let (_site, server) = Server::start("chunked");
    for len in [0, 1, 5, 4000, 100_000] {
        let value = "c".repeat(len);
        let mut put = Request::put("/v2/keys/a", &format!("value={value}"));
        put.chunked = true;
        let answer = ask(server.addr(), &put);
        assert_eq!(answer.json()["node"]["value"], value.as_str(), "{len}");
    }
    // Extensions and trailers are read over.
    let text = "PUT /v2/keys/b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
        Content-Type: application/x-www-form-urlencoded\r\n\r\n\
        3;a=b\r\nval\r\n04 ; c=\"d\"\r\nue=1\r\n000\r\nX-Trailer: e\r\n\r\n";
    let mut connection = Connection::open(server.addr()).unwrap();
    connection.write(text.as_bytes()).unwrap();
    let answer = connection.response("PUT").unwrap();
    assert_eq!(answer.json()["node"]["value"], "1", "{}", answer.text());
    // The connection stands where it should.
    assert_eq!(connection.exchange(&Request::get("/v2/keys/b")).unwrap().status(), 200);
}

#[test]
fn version_1_0_is_spoken() {
    let (_site, server) = Server::start("http10");
    let mut connection = Connection::open(server.addr()).unwrap();
    let mut get = Request::get("/v2/keys/");
    get.version = "1.0".to_owned();
    assert_eq!(connection.exchange(&get).unwrap().status(), 200);
    assert!(connection.within(Duration::from_secs(5)).is_closed());
    // With a watch the end of the connection is the end of the answer.
    let mut connection = Connection::open(server.addr()).unwrap();
    let mut watch = Request::get("/v2/keys/w?wait=true");
    watch.version = "1.0".to_owned();
    connection.send(&watch).unwrap();
    let head = connection.head().unwrap();
    assert!(!head.is_chunked(), "{head:?}");
    assert_eq!(ask(server.addr(), &Request::put("/v2/keys/w", "value=1")).status(), 201);
    let body = connection.within(Duration::from_secs(5)).rest().unwrap();
    assert!(String::from_utf8(body).unwrap().contains("\"/w\""));
    // It may be kept open where the client asks for that.
    let mut connection = Connection::open(server.addr()).unwrap();
    let kept = get.header("Connection", "keep-alive");
    assert_eq!(connection.exchange(&kept).unwrap().status(), 200);
    assert_eq!(connection.exchange(&kept).unwrap().status(), 200);
}

#[test]
fn a_client_may_ask_for_the_end_of_the_connection() {
    let (_site, server) = Server::start("close");
    let mut connection = Connection::open(server.addr()).unwrap();
    let get = Request::get("/v2/keys/").header("Connection", "close");
    let answer = connection.exchange(&get).unwrap();
    assert_eq!(answer.head.header("Connection").as_deref(), Some("close"));
    assert!(connection.within(Duration::from_secs(5)).is_closed());
}

#[test]
fn head_shows_what_get_would() {
    let (_site, server) = Server::start("head");
    assert_eq!(ask(server.addr(), &Request::put("/v2/keys/a", "value=1")).status(), 201);
    for path in ["/v2/keys/a", "/v2/keys/none", "/v2/keys/", "/v2/stats/leader", "/v2/machines"] {
        let get = ask(server.addr(), &Request::get(path));
        let head = ask(server.addr(), &Request::new("HEAD", path));
        assert_eq!((head.status(), head.body.len()), (get.status(), 0), "{path}");
        for name in ["Content-Type", "Content-Length", "X-Etcd-Index"] {
            assert_eq!(head.head.header(name), get.head.header(name), "{path} {name}");
        }
    }
}

#[test]
fn other_methods_are_refused_with_those_that_exist() {
    let (_site, server) = Server::start("methods");
    for (path, allow) in [("/v2/keys/a", "PUT"), ("/v2/machines", "GET"), ("/v2/stats/self", "GET")]
    {
        for method in ["PATCH", "TRACE", "BREW"] {
            let answer = ask(server.addr(), &Request::new(method, path));
            assert_eq!(answer.status(), 405, "{method} {path}");
            let allowed = answer.head.header("Allow").unwrap_or_default();
            assert!(allowed.contains(allow), "{method} {path}: {allowed}");
        }
    }
    for path in ["/", "/v2", "/v2/nope", "/v2/keysfoo", "/favicon.ico"] {
        let answer = ask(server.addr(), &Request::get(path));
        assert_eq!((answer.status(), answer.text().as_str()), (404, "404 page not found\n"));
    }
    for path in ["/", "/v2/keys/a", "/nope"] {
        let answer = ask(server.addr(), &Request::new("OPTIONS", path));
        assert_eq!((answer.status(), answer.body.len()), (200, 0), "{path}");
    }
}

#[test]
fn unclean_paths_are_redirected() {
    let (_site, server) = Server::start("redirects");
    for (path, clean) in [
        ("/v2/keys//a", "/v2/keys/a"),
        ("/v2/keys/a/../b?recursive=true", "/v2/keys/b?recursive=true"),
        ("/v2/keys/./a", "/v2/keys/a"),
        ("/v2/keys/a%2F%2Fb", "/v2/keys/a/b"),
        ("/v2/keys/x/../%0d%0aSet-Cookie:a", "/v2/keys/%0D%0ASet-Cookie:a"),
    ] {
        let answer = ask(server.addr(), &Request::get(path));
        let location = answer.head.header("Location");
        assert_eq!((answer.status(), location.as_deref()), (301, Some(clean)), "{path}");
    }
}

#[test]
fn pages_of_allowed_origins_may_use_the_api() {
    let site = Site::new("cors").flags("-cors http://good.example.com");
    let server = site.start();
    let ask_from = |origin: &str| {
        let answer = ask(server.addr(), &Request::get("/v2/keys/").header("Origin", origin));
        assert_eq!(answer.status(), 200);
        answer.head.header("Access-Control-Allow-Origin")
    };
    let good = "http://good.example.com";
    assert_eq!(ask_from(good).as_deref(), Some(good));
    assert_eq!(ask_from("http://bad.example.com"), None);
    assert_eq!(ask_from("http://good.example.com.evil.org"), None);
    let preflight = Request::new("OPTIONS", "/v2/keys/a").header("Origin", good);
    let answer = ask(server.addr(), &preflight);
    assert_eq!(answer.head.header("Access-Control-Allow-Origin").as_deref(), Some(good));
    let methods = answer.head.header("Access-Control-Allow-Methods").unwrap_or_default();
    assert!(methods.contains("PUT"), "{methods}");
}

#[test]
fn a_long_poll_leaves_the_connection_usable() {
    let (_site, server) = Server::start("poll-reuse");
    let mut connection = Connection::open(server.addr()).unwrap();
    for number in 0..5 {
        connection.send(&Request::get("/v2/keys/w?wait=true")).unwrap();
        let head = connection.head().unwrap();
        let put = Request::put("/v2/keys/w", &format!("value={number}"));
        assert!(ask(server.addr(), &put).status() < 300);
        let mut body = Vec::new();
        connection.body("GET", &head, &mut |part| body.extend_from_slice(part)).unwrap();
        let event: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(event["node"]["value"], number.to_string().as_str());
    }
}

#[test]
fn a_watch_outlives_every_timeout_of_requests() {
    let site = Site::new("patience").flags("-http-read-timeout 1 -http-write-timeout 1");
    let server = site.start();
    let mut poll = Watch::open(server.addr(), "/v2/keys/w?wait=true");
    let mut stream = Watch::open(server.addr(), "/v2/keys/w?wait=true&stream=true");
    assert!(poll.is_silent(Duration::from_millis(2500)));
    assert!(stream.is_silent(Duration::from_millis(100)));
    assert_eq!(ask(server.addr(), &Request::put("/v2/keys/w", "value=1")).status(), 201);
    assert_eq!(poll.event()["node"]["value"], "1");
    assert_eq!(stream.event()["node"]["value"], "1");
}
