//! What a signal changes, how lines look for a collector, and certificates that end.

use super::PATIENCE;
use crate::testkit::{Request, Site, ask, send, wait_until};
use crate::tls::client::Authority;
use crate::tls::is_other;
use rustix::process::Signal;

#[test]
fn a_signal_changes_the_level_and_each_line_has_the_name_of_its_machine() {
    let site = Site::new("told-level");
    let file = site.folder().join("stead.toml");
    std::fs::write(&file, "log_level = \"warn\"\n").unwrap();
    let site = site.flags(&format!("-config {} -log-format json", file.display()));
    let server = site.start();
    assert!(!server.log_text().contains("stead is starting"), "{}", server.log_text());
    for (content, want) in [
        ("log_level = \"debug\"\n", "SIGHUP: the log level is DEBUG now, and was WARN"),
        ("log_level = \"noise\"\n", "SIGHUP: the configuration cannot be read: "),
        ("log_level = \"debug\"\n", "SIGHUP: the log level stays DEBUG (from: file "),
        ("log_level = \"error\"\n", "SIGHUP: the log level is ERROR now, and was DEBUG"),
    ] {
        std::fs::write(&file, content).unwrap();
        let before = server.log_text().len();
        server.signal(Signal::HUP);
        wait_until(want, PATIENCE, || {
            server.log_text().get(before..).is_some_and(|text| text.contains(want))
        });
    }
    assert_eq!(ask(server.addr(), &Request::get("/v2/keys/")).status(), 200);
    for line in server.log_text().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["machine"], "m0", "{line}");
        assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
    }
}

#[test]
fn a_certificate_that_ends_is_told_before_and_after() {
    if is_other() {
        return;
    }
    let authority = Authority::new();
    let site = Site::new("told-certificate");
    authority.write_files(site.folder());
    authority.write_pair_for(site.folder(), 20);
    let site = site.flags("-peer-cert-file cert.pem -peer-key-file key.pem -peer-ca-file ca.pem");
    let server = site.start();
    let says = |words: &[&str]| {
        wait_until(&format!("{words:?}"), PATIENCE, || {
            let has_all = |line: &str| words.iter().all(|word| line.contains(word));
            server.log_text().lines().any(has_all)
        });
    };
    says(&["WARN a certificate ends soon: cert.pem, on 2", "in 19 days", "replace the file"]);
    let ready = ask(server.addr(), &Request::get("/readyz?verbose"));
    assert!(ready.text().contains("[+]certificate ok\n"), "{}", ready.text());
    authority.write_pair_for(site.folder(), -1);
    says(&["ERROR a certificate has ended: cert.pem, on 2"]);
    let ready = |query: &str, status: u16, want: &str| {
        let path = format!("/readyz{query}");
        wait_until(want, PATIENCE, || {
            send(server.addr(), &Request::get(&path))
                .is_ok_and(|answer| answer.status() == status && answer.text().contains(want))
        });
    };
    ready("?verbose", 503, "[-]certificate failed: cert.pem has ended: replace the file");
    ready("", 503, "cert.pem has ended");
    authority.write_pair_for(site.folder(), 365);
    ready("?verbose", 200, "[+]certificate ok");
    // Once a day, and not each second.
    let text = server.log_with("a certificate has ended");
    assert_eq!(text.matches("a certificate ends soon").count(), 1, "{text}");
    assert_eq!(text.matches("a certificate has ended").count(), 1, "{text}");
}
