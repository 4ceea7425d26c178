//! `watch` and `exec-watch`.

use super::kit::{Fake, Running, answer, command, good, run};
use crate::testkit::{Server, Site};

fn watch(endpoints: &str, args: &[&str]) -> Running {
    Running::start(command(endpoints, args))
}

/// Waits until a watch is known to be open: its first event is one that was made for that.
fn opened(at: &str, key: &str, running: &Running, want: &str) {
    // A watch from an index sees what was there before it.
    good(at, &["set", key, "begin"]);
    assert_eq!(running.line(), want);
}

#[test]
fn a_watch_prints_what_etcdctl_prints_and_ends_after_one_event() {
    let (_site, server) = Server::start("client-watch");
    let at = &server.url();
    good(at, &["set", "/a", "1"]);
    good(at, &["set", "/d/b", "2"]);
    good(at, &["rm", "/a"]);
    assert_eq!(good(at, &["watch", "/a", "--after-index", "1"]), "1\n");
    assert_eq!(good(at, &["watch", "-r", "/d", "--after-index", "1"]), "[set] /d/b\n2\n");
    assert_eq!(good(at, &["watch", "/a", "--after-index", "2"]), "PrevNode.Value: 1\n");
    let long = good(at, &["watch", "/a", "--after-index", "1", "-o", "extended"]);
    assert!(long.starts_with("Key: /a\nCreated-Index: 2\n"), "{long}");
    let script = "echo $ETCD_WATCH_ACTION $ETCD_WATCH_KEY $ETCD_WATCH_VALUE \
                  $ETCD_WATCH_MODIFIED_INDEX; exit 9";
    let ran = run(at, &["watch", "/a", "--after-index", "1", "--exec", "--", "sh", "-c", script]);
    assert_eq!((ran.code, ran.out.as_str()), (9, "set /a 1 2\n"), "{ran:?}");
    let missing = run(at, &["watch", "/a", "--after-index", "1", "--exec", "--", "./nowhere"]);
    assert!(missing.code == 1 && missing.err.contains("cannot run ./nowhere"), "{missing:?}");
}

#[test]
fn a_program_runs_for_each_event_in_their_order() {
    let (_site, server) = Server::start("client-exec");
    let at = &server.url();
    for value in ["1", "2", "3"] {
        good(at, &["set", "/a/x", value]);
    }
    good(at, &["mkdir", "/a/d"]);
    good(at, &["rm", "/a/x"]);
    let script = "echo $ETCD_WATCH_ACTION $ETCD_WATCH_KEY $ETCD_WATCH_VALUE";
    let running = watch(
        at,
        &["exec-watch", "--recursive", "--after-index", "1", "/a", "--", "sh", "-c", script],
    );
    for want in ["set /a/x 1", "set /a/x 2", "set /a/x 3", "delete /a/x"] {
        assert_eq!(running.line(), want);
    }
}

#[test]
fn a_watch_goes_on_over_a_restart_and_misses_nothing() {
    let site = Site::new("client-resume");
    let server = site.start();
    let at = server.url();
    let running =
        watch(&at, &["watch", "--forever", "-r", "/", "--after-index", "1", "-o", "json"]);
    good(&at, &["set", "/a", "1"]);
    let value = |line: String| {
        let event: serde_json::Value = serde_json::from_str(&line).expect("it is JSON");
        event["node"]["value"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(value(running.line()), "1");
    server.kill();
    let server = site.start();
    for number in 2..20 {
        good(&at, &["set", "/a", &number.to_string()]);
    }
    for number in 2..20 {
        assert_eq!(value(running.line()), number.to_string());
    }
    drop(server);
}

#[test]
fn events_that_may_be_lost_are_told() {
    let gone = r#"{"errorCode":401,"message":"The event in requested index is outdated and cleared","cause":"[9/5]","index":90}"#;
    let now =
        r#"{"action":"get","node":{"key":"/a","value":"7","modifiedIndex":80,"createdIndex":80}}"#;
    let event =
        r#"{"action":"set","node":{"key":"/a","value":"8","modifiedIndex":95,"createdIndex":95}}"#;
    let answers = || {
        vec![
            answer(400, "X-Etcd-Index: 90\r\n", gone),
            answer(200, "X-Etcd-Index: 90\r\n", now),
            answer(200, "X-Etcd-Index: 94\r\n", event),
        ]
    };
    let fake = Fake::start(answers());
    let running = watch(&fake.url, &["watch", "-f", "/a", "--after-index", "4", "-o", "json"]);
    let lost: serde_json::Value = serde_json::from_str(&running.line()).expect("it is JSON");
    assert_eq!((&lost["action"], &lost["nextIndex"]), (&"lost".into(), &91.into()), "{lost}");
    assert_eq!((&lost["afterIndex"], &lost["node"]["value"]), (&4.into(), &"7".into()), "{lost}");
    assert_eq!(running.line(), event);
    assert!(fake.requests()[2].contains("waitIndex=91"), "{:?}", fake.requests());
    drop(running);
    let fake = Fake::start(answers());
    let args =
        ["exec-watch", "--after-index", "4", "/a", "--", "sh", "-c", "echo $ETCD_WATCH_ACTION"];
    let running = watch(&fake.url, &args);
    assert_eq!((running.line().as_str(), running.line().as_str()), ("lost", "set"));
}

#[test]
fn a_watch_that_cannot_begin_ends() {
    let unused = crate::testkit::port::free();
    let refused = run(&format!("127.0.0.1:{unused}"), &["watch", "-f", "/a"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    let (_site, server) = Server::start("client-begin");
    let running = watch(&server.url(), &["watch", "-f", "/a", "--after-index", "1"]);
    opened(&server.url(), "/a", &running, "begin");
}
