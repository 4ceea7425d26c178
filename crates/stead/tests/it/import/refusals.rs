//! What `stead import` refuses: it writes nothing then, and says why in a line.

use super::{Source, import, listed};
use crate::testkit::{Request, Server, Site, TempDir, ask};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_target_with_other_keys_is_refused_unless_it_is_to_be_merged() {
    let (source, (_site, server)) = (Source::unpack("etcd-2.3.8-wal"), Server::start("import"));
    ask(server.addr(), &Request::put("/v2/keys/_mine", "value=stays"));
    let (from, url) = (source.arg(), server.url());
    let args = [from.as_str(), "--to", url.as_str()];
    import(&args).assert_fails("1 other keys already, such as /_mine: nothing was written");
    assert_eq!(listed(&server, "/").len(), 1);

    // The same key with another value.
    ask(server.addr(), &Request::put("/v2/keys/plain", "value=mine"));
    for flags in [&[][..], &["--merge"]] {
        import(&[&args, flags].concat()).assert_fails("other values (or kinds of nodes) at 1");
        assert_eq!(listed(&server, "/").len(), 2);
    }
    let run = import(&[&args[..], &["--force"]].concat());
    assert_eq!(run.code, Some(0), "{run:?}");
    let found = listed(&server, "/");
    assert_eq!(found["/plain"].0.as_deref(), Some("hello world"));
    assert_eq!(found["/_mine"].0.as_deref(), Some("stays"));
    // Now there is nothing to replace.
    assert_eq!(import(&[&args[..], &["--merge"]].concat()).code, Some(0));
}

#[test]
fn a_file_in_the_way_of_a_directory_is_refused_in_any_case() {
    let (source, (_site, server)) = (Source::unpack("etcd-2.3.8-wal"), Server::start("import"));
    ask(server.addr(), &Request::put("/v2/keys/dirs", "value=a+file"));
    let run = import(&[&source.arg(), "--to", &server.url(), "--force"]);
    run.assert_fails("such as /dirs");
    assert_eq!(listed(&server, "/").len(), 1);
    let args = [&source.arg(), "--to", &server.url(), "--prefix=/dirs/x"];
    import(&args).assert_fails("error 104");
}

#[test]
fn damage_is_refused_before_anything_is_written() {
    let (source, (_site, server)) = (Source::unpack("etcd-0.4.9-wal"), Server::start("import"));
    let log = source.path().join("log");
    let mut bytes = fs::read(&log).unwrap();
    bytes[116_327..116_335].copy_from_slice(b"zzzzzzzz");
    fs::write(&log, bytes).unwrap();
    let (from, url) = (source.arg(), server.url());
    let run = import(&[&from, "--to", &url]);
    run.assert_fails("offset 116327");
    run.assert_fails("raft index 99. --accept-damage");
    assert_eq!(listed(&server, "/").len(), 0);
    let run = import(&[&from, "--to", &url, "--accept-damage"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.out.contains("warning  ") && run.out.contains("dropped  "), "{run:?}");
}

#[test]
fn sources_without_data_are_refused_with_one_line() {
    let (site, server) = Server::start("import");
    let scratch = TempDir::new("import");
    let cluster = Source::unpack("etcd-0.4.9-cluster");
    let file = scratch.path().join("file");
    fs::write(&file, "x").unwrap();
    let empty = scratch.path().join("empty");
    fs::create_dir(&empty).unwrap();
    for (dir, text) in [
        (empty, "is not a data directory of etcd"),
        (file, "cannot read"),
        (scratch.path().join("missing"), "cannot read"),
        (site.data_dir(), "is not a data directory of etcd"),
        (cluster.path().join("m4-standby"), "standby of etcd 0.4"),
    ] {
        let from = dir.display().to_string();
        import(&["--from-dir", &from, "--to", &server.url()]).assert_fails(text);
    }
    assert_eq!(listed(&server, "/").len(), 0);
}

#[test]
fn a_file_that_may_not_be_read_is_refused() {
    // Nothing is forbidden to root.
    if rustix::process::geteuid().is_root() {
        return;
    }
    let (source, (_site, server)) = (Source::unpack("etcd-0.4.9-wal"), Server::start("import"));
    let log = source.path().join("log");
    fs::set_permissions(&log, fs::Permissions::from_mode(0o000)).unwrap();
    import(&[&source.arg(), "--to", &server.url()]).assert_fails("cannot read");
    assert_eq!(listed(&server, "/").len(), 0);
}

#[test]
fn mistakes_on_the_command_line_end_with_code_2() {
    for (args, text) in [
        (&["--from-dir", "x"][..], "missing --to"),
        (&["--to", "x"], "give either --from, --from-dir or --from-snapshot"),
        (&["--from-dir", "x", "--nonsense"], "unexpected argument '--nonsense' found"),
    ] {
        let run = import(args);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.err.contains(text), "{run:?}");
    }
    let help = import(&["--help"]);
    assert_eq!((help.code, help.err.as_str()), (Some(0), ""));
    assert!(help.out.contains("--include-uncommitted"));
}

#[test]
fn an_unreachable_target_is_named() {
    let source = Source::unpack("etcd-0.4.9-wal");
    let run = import(&[&source.arg(), "--to", "http://127.0.0.1:1"]);
    run.assert_fails("http://127.0.0.1:1: ");
}

#[test]
fn a_target_with_a_secret_asks_for_it_before_anything_is_written() {
    let dir = TempDir::new("import-token");
    let token = dir.path().join("token").display().to_string();
    fs::write(&token, "a secret of some length\n").expect("the disk works");
    let site = Site::new("import-token").flags(&format!("-peer-token-file {token}"));
    let (source, server) = (Source::unpack("etcd-2.3.8-wal"), site.start());
    let (from, url) = (source.arg(), server.url());
    let args = [from.as_str(), "--to", url.as_str()];
    import(&args).assert_fails("give it with --token-file");
    assert_eq!(listed(&server, "/").len(), 0);
    let run = import(&[&args[..], &["--token-file", &token, "--json"]].concat());
    assert_eq!(run.json()["indexRaised"], true);
}
