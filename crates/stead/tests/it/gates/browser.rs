//! Pages of others, which a browser lets speak to whatever it reaches.

use crate::testkit::{Connection, Request, Server, Site, ask};

fn status(server: &Server, request: Request) -> u16 {
    ask(server.addr(), &request).status()
}

fn exists(server: &Server, key: &str) -> bool {
    ask(server.addr(), &Request::get(&format!("/v2/keys{key}"))).status() == 200
}

#[test]
fn a_form_on_a_page_changes_nothing() {
    let (_site, server) = Server::start("gates-form");
    let foreign = |request: Request| request.header("Origin", "http://evil.example");
    for request in [
        foreign(Request::post("/v2/keys/queue", "value=x")),
        foreign(Request::put("/v2/keys/a", "value=x")),
        foreign(Request::delete("/v2/keys/kept")),
        foreign(Request::post("/mod/v2/lock/a?ttl=5", "")),
        foreign(Request::delete("/v2/admin/machines/m0")),
        Request::post("/v2/keys/queue", "value=x").header("Sec-Fetch-Site", "cross-site"),
        Request::post("/v2/keys/queue", "value=x").header("Origin", "null"),
    ] {
        let path = request.path.clone();
        let answer = ask(server.addr(), &request);
        assert_eq!(answer.status(), 403, "{path}");
        assert!(answer.text().contains("-cors"), "{}", answer.text());
    }
    assert!(!exists(&server, "/queue") && !exists(&server, "/a"));
    let join = Request::new("POST", "/v2/peer/join").body(b"{\"id\":\"77\"}");
    let answer = ask(server.peer_addr(), &changed(&join, &[("Origin", "http://evil.example")]));
    assert_eq!(answer.status(), 403, "{}", answer.text());
    let answer = ask(server.peer_addr(), &changed(&join, &[("Content-Type", "text/plain")]));
    assert_eq!(answer.status(), 415, "{}", answer.text());
    assert_eq!(ask(server.peer_addr(), &join).status(), 415, "no type is none");
}

fn changed(request: &Request, headers: &[(&str, &str)]) -> Request {
    let mut again = Request::new(&request.method, &request.path);
    again.body.clone_from(&request.body);
    headers.iter().fold(again, |request, (name, value)| request.header(name, value))
}

#[test]
fn a_name_that_was_made_to_lead_here_is_no_name_of_ours() {
    let (site, server) = Server::start("gates-rebind");
    let port = server.addr().port();
    let page = |host: &str, request: Request| {
        let host = format!("{host}:{port}");
        request.header("Origin", &format!("http://{host}")).header("Host", &host)
    };
    let put = || Request::put("/v2/keys/a", "value=x");
    assert_eq!(status(&server, page("evil.example", put())), 403);
    assert_eq!(status(&server, page("evil.example", Request::get("/v2/keys/"))), 403);
    assert!(!exists(&server, "/a"));
    // The dashboard, at the names that are sure to be this machine's.
    for host in ["127.0.0.1", "localhost", "10.1.2.3", "[::1]"] {
        assert!(status(&server, page(host, put())) < 300, "{host}");
    }
    // Clients under the name of a service or a balancer.
    let by_name = || put().header("Host", "store.service.local");
    assert!(status(&server, by_name()) < 300);
    server.terminate();

    let mut site = site;
    site.set_flags("-host-whitelist store.service.local");
    let server = site.start();
    assert!(status(&server, by_name()) < 300);
    assert!(status(&server, page("store.service.local", put())) < 300);
    assert_eq!(status(&server, put().header("Host", "evil.example")), 403);
    assert_eq!(status(&server, Request::get("/v2/keys/").header("Host", "evil.example")), 403);
}

#[test]
fn cors_opens_what_it_names() {
    let site = Site::new("gates-cors").flags("-cors http://ui.example");
    let server = site.start();
    let put = |origin: &str| Request::put("/v2/keys/a", "value=x").header("Origin", origin);
    assert!(status(&server, put("http://ui.example")) < 300);
    assert_eq!(status(&server, put("http://other.example")), 403);
}

#[test]
fn a_line_of_a_head_that_ends_without_a_carriage_return_is_refused() {
    let (_site, server) = Server::start("gates-lf");
    for head in [
        "GET /version HTTP/1.1\nHost: h\n\n",
        "GET /version HTTP/1.1\r\nHost: h\n\r\n",
        "GET /version HTTP/1.1\r\nHost: h\r\nX: a\nTransfer-Encoding: chunked\r\n\r\n",
        "GET /version HTTP/1.1\nHost: h\r\n\r\n",
    ] {
        let mut connection = Connection::open(server.addr()).unwrap();
        connection.write(head.as_bytes()).unwrap();
        let answer = connection.response("GET").unwrap();
        assert_eq!(answer.status(), 400, "{head:?}");
        assert!(connection.is_closed(), "{head:?}");
    }
}
