//! Parts of listings, counts, entity tags and compressed answers, in both dialects.

use std::io::Read;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::cluster::kit::Cluster;
use crate::rights::{auth, count_users, done, of};
use crate::testkit::{Connection, Request, Response, Site, ask, wait_until};

/// Machines that speak both dialects.
fn cluster(label: &str, count: usize) -> Cluster {
    let site = |at: usize| Site::new(label).named(&format!("m{at}")).with_v2();
    let mut sites: Vec<Site> = (0..count).map(site).collect();
    let founder = sites[0].peer_addr();
    for site in sites.iter_mut().skip(1) {
        site.set_flags(&format!("-peers {founder}"));
    }
    Cluster::of(sites, &(0..count).collect::<Vec<_>>())
}

fn put(addr: SocketAddr, key: &str, form: &str) {
    let answer = ask(addr, &Request::put(&format!("/v2/keys{key}"), form));
    assert!(answer.status() < 300, "{key}: {}", answer.text());
}

/// Writes many keys over one connection, several at a time.
fn fill(addr: SocketAddr, dir: &str, numbers: std::ops::Range<usize>, value: &str) {
    let mut connection = Connection::open(addr).expect("it listens");
    let numbers: Vec<usize> = numbers.collect();
    for some in numbers.chunks(200) {
        connection.within(Duration::from_secs(60));
        let mut bytes = Vec::new();
        for number in some {
            let path = format!("/v2/keys{dir}/{number:06}");
            bytes.extend(Request::put(&path, &format!("value={value}")).to_bytes(addr));
        }
        connection.write(&bytes).expect("it reads");
        for _ in some {
            let answer = connection.response("PUT").expect("it answers");
            assert!(answer.status() < 300, "{}", answer.text());
        }
    }
}

fn get(addr: SocketAddr, path: &str) -> Value {
    let answer = ask(addr, &Request::get(&format!("/v2/keys{path}")));
    assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
    answer.json()
}

/// The keys of an answer, depth first.
fn keys(node: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for child in node["nodes"].as_array().into_iter().flatten() {
        all.push(child["key"].as_str().expect("it has one").to_owned());
        all.extend(keys(child));
    }
    all
}

/// All keys of a listing, gathered page by page; a key that comes again counts once.
fn paged(addr: SocketAddr, path: &str) -> Vec<String> {
    let (mut all, mut after): (Vec<String>, _) = (Vec::new(), String::new());
    loop {
        let answer = get(addr, &format!("{path}&after={after}"));
        for key in keys(&answer["node"]) {
            if !all.contains(&key) {
                all.push(key);
            }
        }
        match answer["page"]["next"].as_str() {
            Some(next) => after = next.replace('/', "%2F"),
            None => return all,
        }
    }
}

#[test]
fn pages_are_the_whole_on_each_machine_in_each_dialect() {
    for count in [1, 3] {
        let cluster = cluster(&format!("pages-{count}"), count);
        let writer = cluster.machines[0].addr();
        fill(writer, "/d", 0..40, "v");
        for key in ["/d/_hidden/x", "/d/000010x/a/b", "/d/000010x/_c/d", "/d/Z/1", "/top"] {
            put(writer, key, "value=1");
        }
        cluster.wait_equal();
        for machine in &cluster.machines {
            for addr in [machine.addr(), machine.server().v2_addr()] {
                for query in ["", "hidden=true&", "recursive=true&", "recursive=true&hidden=true&"]
                {
                    let whole = keys(&get(addr, &format!("/d?{query}"))["node"]);
                    assert!(whole.len() > 40, "{query}");
                    for limit in [1, 7, 1000] {
                        let got = paged(addr, &format!("/d?{query}limit={limit}"));
                        assert_eq!(got, whole, "{query}limit={limit}");
                    }
                }
                let count = get(addr, "/d?limit=1&count=true");
                assert_eq!(count["page"], json!({ "children": 42, "below": 45, "next": "000000" }));
                let count = get(addr, "/?hidden=true&limit=1&after=formed&count=true&quorum=true");
                assert_eq!(
                    count["node"]["nodes"],
                    json!([{
                        "key": "/top", "value": "1",
                        "modifiedIndex": count["node"]["nodes"][0]["modifiedIndex"],
                        "createdIndex": count["node"]["nodes"][0]["createdIndex"],
                    }])
                );
            }
        }
    }
}

#[test]
fn children_come_in_every_order_and_by_name() {
    let site = Site::new("pages-order").with_v2();
    let server = site.start();
    let addr = server.addr();
    for (key, form) in [
        ("/o/b", "value=22"),
        ("/o/Apple", "value=1&ttl=900"),
        ("/o/c", "value=333&ttl=600"),
        ("/o/dir/x", "value=1"),
        ("/o/b", "value=4444&prevExist=true"),
        ("/o/_apple", "value=1"),
    ] {
        put(addr, key, form);
    }
    for addr in [addr, server.v2_addr()] {
        let names = |query: &str| {
            let keys = keys(&get(addr, &format!("/o?{query}"))["node"]);
            keys.iter().map(|key| key["/o/".len()..].to_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names("order=name"), "Apple b c dir");
        assert_eq!(names("order=-name"), "dir c b Apple");
        assert_eq!(names("order=-name&hidden=true&offset=1&limit=2"), "c b");
        assert_eq!(names("order=modified"), "Apple c dir b");
        assert_eq!(names("order=-modified&limit=2"), "b dir");
        assert_eq!(names("order=created"), "b Apple c dir");
        assert_eq!(names("order=size"), "dir Apple c b");
        assert_eq!(names("order=-size&offset=1&limit=2"), "c Apple");
        assert_eq!(names("order=expires"), "c Apple b dir");
        assert_eq!(names("order=-expires"), "b dir Apple c");
        assert_eq!(names("filter=P"), "Apple");
        assert_eq!(names("filter=?"), "b c");
        assert_eq!(names("filter=*pp*&hidden=true&order=-name"), "_apple Apple");
        assert_eq!(names("offset=2"), "c dir");
        assert_eq!(names("after=a&offset=1"), "c dir");
        assert_eq!(names("offset=99"), "");
        let answer = get(addr, "/o?filter=?&limit=1&keysOnly=true");
        assert_eq!(answer["page"], json!({ "children": 4, "matching": 2, "next": "b" }));
        assert!(answer["node"]["nodes"][0].get("value").is_none());
        let answer = get(addr, "/o?preview=3&after=Apple&limit=1");
        assert_eq!(answer["node"]["nodes"][0]["value"], "444");
        assert_eq!(answer["node"]["nodes"][0]["valueBytes"], 4);
        // A key has no page.
        let answer = get(addr, "/o/b?limit=1&count=true&filter=x&order=size&preview=1");
        assert_eq!(answer["node"]["value"], "4");
        assert!(answer.get("page").is_none());
        let refused = ask(addr, &Request::get("/v2/keys/o?limit=0"));
        assert_eq!((refused.status(), refused.json()["errorCode"].clone()), (400, json!(209)));
        // Writes and long polls pass over them, as over all that is unknown.
        put(addr, "/o/later?limit=0&order=x", "value=1");
        assert_eq!(ask(addr, &Request::delete("/v2/keys/o/later?count=x")).status(), 200);
    }
}

/// The answer, and its body as it was before it was compressed.
fn plain(answer: &Response) -> String {
    assert_eq!(answer.head.header("Content-Encoding").as_deref(), Some("gzip"));
    let mut text = String::new();
    GzDecoder::new(&*answer.body).read_to_string(&mut text).expect("it is gzip");
    text
}

#[test]
fn large_answers_are_compressed_for_those_who_read_that() {
    let site = Site::new("pages-gzip").with_v2();
    let server = site.start();
    fill(server.addr(), "/g", 0..9000, &"compress me ".repeat(12));
    put(server.addr(), "/small/a", "value=1");
    put(server.addr(), "/medium", &format!("value={}", "x".repeat(20_000)));
    for addr in [server.addr(), server.v2_addr()] {
        for path in
            ["/g", "/g?recursive=true", "/g?order=-modified&limit=9999", "/g?filter=9", "/medium"]
        {
            let request = Request::get(&format!("/v2/keys{path}"));
            let whole = ask(addr, &request);
            assert_eq!(whole.head.header("Content-Encoding"), None, "{path}");
            for version in ["1.1", "1.0"] {
                let mut request = request.clone().header("Accept-Encoding", "br, gzip;q=0.5");
                request.version = version.to_owned();
                let answer = ask(addr, &request);
                assert_eq!(answer.index(), whole.index());
                assert_eq!(answer.head.header("Vary").as_deref(), Some("Accept-Encoding"));
                assert!(plain(&answer) == whole.text(), "{path} over HTTP/{version}");
                assert!(answer.body.len() * 5 < whole.body.len(), "{path}");
            }
        }
        for (path, encoding) in [("/small", "gzip"), ("/g", "gzip;q=0"), ("/g", "identity")] {
            let request = Request::get(&format!("/v2/keys{path}"));
            let whole = ask(addr, &request);
            let answer = ask(addr, &request.header("Accept-Encoding", encoding));
            assert_eq!(answer.head.header("Content-Encoding"), None, "{path} {encoding}");
            assert!(answer.body == whole.body);
        }
        // The connection goes on behind a compressed answer.
        let mut connection = Connection::open(addr).expect("it listens");
        let large = Request::get("/v2/keys/g").header("Accept-Encoding", "gzip");
        for _ in 0..3 {
            assert_eq!(connection.exchange(&large).expect("it answers").status(), 200);
            let small = connection.exchange(&Request::get("/v2/keys/small")).expect("it answers");
            assert_eq!(keys(&small.json()["node"]), ["/small/a"]);
        }
        let head = Request::new("HEAD", "/v2/keys/g").header("Accept-Encoding", "gzip");
        assert_eq!(connection.exchange(&head).expect("it answers").status(), 200);
        assert_eq!(connection.exchange(&head).expect("it answers").status(), 200);
    }
}

#[test]
fn what_a_client_has_is_not_sent_again() {
    for count in [1, 3] {
        let cluster = cluster(&format!("pages-etag-{count}"), count);
        let writer = cluster.machines[0].addr();
        put(writer, "/e/a/b", "value=1");
        put(writer, "/e/_h", "value=1");
        cluster.wait_equal();
        let quiet = ask(writer, &Request::get("/v2/keys/e"));
        assert_eq!(quiet.head.header("ETag"), None, "nobody asked for it");
        for path in ["/v2/keys/e?recursive=true", "/v2/keys/e?count=true", "/v2/keys/e?limit=5"] {
            let first = ask(writer, &Request::get(path));
            let tag = first.head.header("ETag").expect(path);
            let known = Request::get(path).header("If-None-Match", &tag);
            put(writer, "/other", "value=1");
            cluster.wait_equal();
            for machine in &cluster.machines {
                for addr in [machine.addr(), machine.server().v2_addr()] {
                    let answer = ask(addr, &known);
                    assert_eq!((answer.status(), answer.body.len()), (304, 0), "{path}");
                    assert_eq!(answer.head.header("ETag"), Some(tag.clone()));
                    assert!(answer.index() > first.index());
                }
            }
            put(writer, "/e/a/b", "value=2");
            cluster.wait_equal();
            for machine in &cluster.machines {
                let answer = ask(machine.addr(), &known);
                assert_eq!(answer.status(), 200, "{path}");
                assert_ne!(answer.head.header("ETag"), Some(tag.clone()));
            }
        }
        // A key, for a client that has never had one.
        let request = Request::get("/v2/keys/e/a/b").header("If-None-Match", "\"none\"");
        let answer = ask(writer, &request);
        assert_eq!(answer.status(), 200);
        let tag = answer.head.header("ETag").expect("it was asked for");
        let known = Request::get("/v2/keys/e/a/b").header("If-None-Match", &tag);
        assert_eq!(ask(writer, &known).status(), 304);
        let gone = Request::delete("/v2/keys/e/a/b");
        assert_eq!(ask(writer, &gone).status(), 200);
        assert_eq!(ask(writer, &known).status(), 404);
    }
}

/// A tag that was given before a restart means the same after it.
#[test]
fn tags_outlive_a_restart() {
    let site = Site::new("pages-etag-restart").flags("-snapshot-count 10");
    let server = site.start();
    put(server.addr(), "/e/a", "value=1");
    put(server.addr(), "/e/b", "value=1");
    let path = "/v2/keys/e?count=true";
    let tag = ask(server.addr(), &Request::get(path)).head.header("ETag").expect("it has one");
    assert_eq!(ask(server.addr(), &Request::delete("/v2/keys/e/a")).status(), 200);
    for number in 0..30 {
        put(server.addr(), &format!("/x/{number}"), "value=1");
    }
    let later = ask(server.addr(), &Request::get(path)).head.header("ETag").expect("it has one");
    server.terminate();
    let server = site.start();
    for tag in [&tag, &later] {
        let answer = ask(server.addr(), &Request::get(path).header("If-None-Match", tag));
        let is_same = answer.status() == 304;
        assert!(!is_same || tag == &later, "{tag} was of something else");
        assert!(is_same || answer.json()["page"]["below"] == 1, "{}", answer.text());
    }
}

#[test]
fn nobody_learns_how_much_there_is_that_he_may_not_read() {
    let site = Site::new("pages-rights").with_v2();
    let server = site.start();
    let addr = server.addr();
    for key in ["/team/a/secret", "/team/b", "/team/_h/x", "/open/a/b", "/open/_h/x"] {
        put(addr, key, "value=1");
    }
    count_users(addr);
    let root = |request: Request| done(&ask(addr, &of("root:top", request)));
    root(auth(
        "PUT",
        "roles/some",
        r#"{"role":"some","permissions":{"kv":{"read":["/team","/open/*","/open"]}}}"#,
    ));
    root(auth("PUT", "users/bob", r#"{"user":"bob","password":"pw","roles":["some"]}"#));
    for addr in [server.addr(), server.v2_addr()] {
        let bob = |path: &str| ask(addr, &of("bob:pw", Request::get(&format!("/v2/keys{path}"))));
        // He may see the children of one directory, and all that is in the other.
        let answer = bob("/team?count=true&hidden=true&limit=9").json();
        assert_eq!(answer["page"], json!({ "children": 3 }), "{answer}");
        assert!(!answer.to_string().contains("secret"));
        let counted = |node: &Value| node.get("children").is_some();
        assert!(!answer["node"]["nodes"].as_array().unwrap().iter().any(counted));
        let answer = bob("/open?count=true&hidden=true").json();
        assert_eq!(answer["page"], json!({ "children": 2, "below": 4 }), "{answer}");
        assert!(answer["node"]["nodes"].as_array().unwrap().iter().all(counted));
        for path in [
            "/team?recursive=true&limit=1",
            "/team/a?count=true",
            "/?count=true&limit=1",
            "/team/a?filter=secret",
            "/team/a/secret?preview=1",
            "/nowhere?count=true",
        ] {
            assert_eq!(bob(path).status(), 401, "{path}");
        }
        // A change that he may not read of shows only in the index, which everybody sees.
        let tag = bob("/team?count=true").head.header("ETag").expect("it has one");
        assert!(tag.contains("-part"), "{tag}");
        for path in
            ["/team?wait=true&recursive=true&hidden=true", "/?wait=true&recursive=true&hidden=true"]
        {
            assert_eq!(bob(path).status(), 401, "{path}");
        }
    }
}

/// However large the directory, others are served meanwhile, and a page costs what is in it.
#[test]
fn pages_of_a_large_directory_hold_nobody_up() {
    let site = Site::new("pages-large").with_v2();
    let server = site.start();
    let addr = server.addr();
    fill(addr, "/large", 0..60_000, "v");
    let mut connection = Connection::open(addr).expect("it listens");
    let mut timed = |path: &str| {
        let start = Instant::now();
        let answer = connection.exchange(&Request::get(path)).expect("it answers");
        assert_eq!(answer.status(), 200, "{}", answer.text());
        (answer.json(), start.elapsed())
    };
    let (first, _) = timed("/v2/keys/large?limit=200&count=true");
    assert_eq!(first["page"], json!({ "children": 60_000, "below": 60_000, "next": "000199" }));
    let (middle, _) = timed("/v2/keys/large?limit=2&offset=30000");
    assert_eq!(keys(&middle["node"]), ["/large/030000", "/large/030001"]);
    let (sorted, _) = timed("/v2/keys/large?limit=2&order=-created&offset=10");
    assert_eq!(keys(&sorted["node"]), ["/large/059989", "/large/059988"]);
    let (found, _) = timed("/v2/keys/large?limit=1&filter=*9999&after=009999");
    assert_eq!(found["page"], json!({ "children": 60_000, "matching": 6, "next": "019999" }));
    for _ in 0..2 {
        let head = Request::new("HEAD", "/v2/keys/large?order=-modified");
        assert_eq!(connection.exchange(&head).expect("it answers").status(), 200);
    }
    // More of them than are made at a time are told so, or wait; all others are served.
    let mut busy: Vec<Connection> = Vec::new();
    for _ in 0..100 {
        let mut connection = Connection::open(addr).expect("it listens");
        connection
            .send(&Request::get("/v2/keys/large?limit=9999&order=-modified"))
            .expect("it reads");
        busy.push(connection);
    }
    let start = Instant::now();
    put(addr, "/meanwhile", "value=1");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let mut done = 0;
    for connection in &mut busy {
        let answer =
            connection.within(Duration::from_secs(60)).response("GET").expect("it answers");
        match answer.status() {
            200 => {
                assert_eq!(keys(&answer.json()["node"]).len(), 9999);
                done += 1;
            }
            status => assert_eq!((status, answer.json()["errorCode"].clone()), (503, json!(300))),
        }
    }
    assert!(done >= 60, "{done}");
    // Clients that leave in the middle leave nothing behind.
    for _ in 0..100 {
        let mut connection = Connection::open(addr).expect("it listens");
        let request = Request::get("/v2/keys/large").header("Accept-Encoding", "gzip");
        connection.send(&request).expect("it reads");
    }
    wait_until("there is room again", Duration::from_secs(20), || {
        let request = Request::get("/v2/keys/large").header("Accept-Encoding", "gzip");
        ask(addr, &request).head.header("Content-Encoding").is_some()
    });
}
