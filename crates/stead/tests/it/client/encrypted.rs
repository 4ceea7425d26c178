//! The client over TLS: certificates by flag and by variable.

use super::kit::{command, good, run, told};
use crate::testkit::{Site, TempDir, wait_until};
use crate::tls::client::Authority;
use std::os::unix::process::CommandExt;
use std::time::Duration;

#[test]
fn certificates_are_given_by_flag_or_variable() {
    let authority = Authority::new();
    let site = Site::new("client-tls");
    authority.write_files(site.folder());
    let path = |name: &str| site.folder().join(name).display().to_string();
    let (ca, cert, key) = (path("ca.pem"), path("cert.pem"), path("key.pem"));
    let stranger = TempDir::new("client-stranger");
    Authority::new().write_files(stranger.path());
    let other = stranger.path().join("ca.pem").display().to_string();
    let flags = format!("-ca-file={ca} -cert-file={cert} -key-file={key}");
    let site = site.flags(&flags);
    let _server = site.spawn();
    let at = format!("https://{}", site.addr());
    let shown = ["--cacert", &ca, "--cert", &cert, "--key", &key];
    wait_until("the server answers", Duration::from_secs(30), || {
        run(&at, &[&["ls"][..], &shown].concat()).code == 0
    });
    good(&at, &[&["set", "/a", "1"][..], &shown].concat());
    let mut by_variable = command(&at, &["get", "/a"]);
    by_variable.env("ETCDCTL_CA_FILE", &ca).env("ETCDCTL_CERT_FILE", &cert);
    by_variable.env("ETCDCTL_KEY_FILE", &key);
    assert_eq!(told(by_variable.output().expect("it runs")).out, "1\n");
    assert_eq!(good(&at, &[&["health"][..], &shown].concat()).lines().count(), 2);

    // A server that is not believed gets no request.
    let refused = run(&at, &["set", "/a", "2", "--cacert", &other]);
    assert!(refused.code == 2 && refused.err.contains("UnknownIssuer"), "{refused:?}");
    // Without a certificate the server does not listen; a reset may be all that is heard of it.
    let refused = run(&at, &["set", "/a", "2", "--cacert", &ca]);
    assert!(matches!(refused.code, 2 | 6), "{refused:?}");
    assert_eq!(good(&at, &[&["get", "/a"][..], &shown].concat()), "1\n");
    let half = run(&at, &["get", "/a", "--cacert", &ca, "--cert", &cert]);
    assert!(half.code == 1 && half.err.contains("belong together"), "{half:?}");
    let missing = run(&at, &["get", "/a", "--cacert", "/nowhere"]);
    assert!(missing.code == 1 && missing.err.contains("cannot read /nowhere"), "{missing:?}");
}

#[test]
fn certificates_are_given_to_etcdctl_too() {
    let authority = Authority::new();
    let site = Site::new("by-name-tls");
    authority.write_files(site.folder());
    let path = |name: &str| site.folder().join(name).display().to_string();
    let (ca, cert, key) = (path("ca.pem"), path("cert.pem"), path("key.pem"));
    let site = site.flags(&format!("-ca-file={ca} -cert-file={cert} -key-file={key}"));
    let _server = site.spawn();
    let at = format!("https://{}", site.addr());
    let etcdctl = |args: &[&str]| {
        let mut program = command("", args);
        program.arg0("etcdctl").env("ETCDCTL_ENDPOINTS", &at);
        program
    };
    let run = |args: &[&str]| told(etcdctl(args).output().expect("it runs"));
    let shown = ["--ca-file", &ca, "--cert-file", &cert, "-key-file", &key];
    wait_until("the server answers", Duration::from_secs(30), || {
        run(&[&shown[..], &["set", "/a", "1"]].concat()).code == 0
    });
    let mut by_variable = etcdctl(&["get", "/a"]);
    by_variable.env("ETCDCTL_CA_FILE", &ca).env("ETCDCTL_CERT_FILE", &cert);
    by_variable.env("ETCDCTL_KEY_FILE", &key);
    assert_eq!(told(by_variable.output().expect("it runs")).out, "1\n");
    let health = run(&[&shown[..], &["cluster-health"]].concat());
    assert!(health.code == 0 && health.out.ends_with("cluster is healthy\n"), "{health:?}");
    // The system's authorities know nothing of this server.
    let refused = run(&["--cert-file", &cert, "--key-file", &key, "get", "/a"]);
    assert!(refused.code != 0 && refused.out.is_empty(), "{refused:?}");
}
