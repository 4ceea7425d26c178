//! Mistakes: one line each that says what and where, and exit code 2 (docs/spec/cli.md section 3).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::Place;

#[test]
fn flags_that_are_none_or_have_no_value() {
    let place = Place::new("flags");
    for (args, want) in [
        (&["-bogus"][..], "unknown flag -bogus: run `stead --help`"),
        (&["-dta-dir", "x"], "unknown flag -dta-dir: did you mean -data-dir?"),
        (&["--snapshot-cuont=5"], "unknown flag -snapshot-cuont: did you mean -snapshot-count?"),
        (&["-name"], "flag -name needs a value"),
        (&["-name", "m", "serve"], "unexpected argument \"serve\": commands go before flags"),
        (&["-force", "true"], "unexpected argument \"true\": did you mean -force=true?"),
        (&["-snapshot", "false"], "did you mean -snapshot=false?"),
        (&["--port", "4001"], "unknown flag -port: run `stead --help`"),
        (&["chek"], "unknown command \"chek\": did you mean \"check\"?"),
        (&["config", "shw"], "did you mean \"config show\"?"),
        (&["gte", "/a"], "did you mean \"get\"?"),
        (&["-"], "unknown flag -"),
        (&["serve"], "unknown command \"serve\""),
        (&["config"], "unknown command \"config\""),
        (&["version", "now"], "version now"),
        (&[""], "unknown command \"\""),
    ] {
        place.refuses(&[], args, want);
    }
    assert_eq!(place.path().read_dir().unwrap().count(), 2, "a mistake leaves nothing behind");
}

#[test]
fn values_of_another_kind() {
    let place = Place::new("values");
    for (arg, want) in [
        ("-snapshot-count=abc", "\"abc\" for -snapshot-count: expected a whole number"),
        ("-snapshot-count=0", "a number from 1 to"),
        ("-max-body-bytes=33554433", "expected a number from 1024 to 33554432"),
        ("-snapshot-count=-1", "expected a whole number"),
        ("-snapshot-count=99999999999999999999999", "expected a whole number"),
        ("-snapshot-count=", "expected a whole number"),
        ("-force=maybe", "expected true or false"),
        ("-http-read-timeout=soon", "expected a number of seconds"),
        ("-http-write-timeout=-1", "expected a number of seconds"),
        ("-http-read-timeout=NaN", "expected a number of seconds"),
        ("-http-read-timeout=inf", "expected a number of seconds"),
        ("-compat=v3", "expected one of v04, v2"),
        ("-log-level=loud", "expected one of error, warn, info, debug, trace"),
        ("-log-format=xml", "expected one of text, json"),
        ("-metrics=maybe", "expected one of on, off"),
        ("-name=a/b", "letters, digits"),
        ("-name=", "the machine has no name"),
        ("-peer-heartbeat-interval=150", "must be at least twice"),
    ] {
        place.refuses(&[], &[arg], want);
    }
    let env = [("ETCD_SNAPSHOTCOUNT", "many")];
    place.refuses(&env, &[], "\"many\" for ETCD_SNAPSHOTCOUNT: expected a whole number");
}

#[test]
fn addresses_that_cannot_be() {
    let place = Place::new("addresses");
    for (arg, want) in [
        ("-addr=127.0.0.1", "-addr: address 127.0.0.1: missing port in address"),
        ("-addr=:4001", "missing host in address"),
        ("-addr=http://127.0.0.1:4001", "expected HOST:PORT, without a scheme"),
        ("-addr=127.0.0.1:x", "invalid port \"x\""),
        ("-peer-addr=127.0.0.1:65536", "invalid port \"65536\""),
        ("-peer-addr=[::1]", "missing port in address"),
        ("-bind-addr=:99", "-bind-addr: :99: IP required, can't use a port only"),
        ("-peer-bind-addr=:99", "IP required, can't use a port only"),
        ("-v2-addr=127.0.0.1:x", "invalid port \"x\""),
    ] {
        place.refuses(&[], &["-name=m", arg], want);
    }
}

#[test]
fn what_would_be_dangerous_to_pass_over() {
    let place = Place::new("refused");
    for args in [&["-client-crl-file=x"][..], &["--peer-cert-allowed-cn", "m"]] {
        place.refuses(&[], args, "is not supported by this version: ");
    }
    let env = [("ETCD_PEER_CRL_FILE", "list.pem")];
    place.refuses(&env, &[], "ETCD_PEER_CRL_FILE is not supported by this version: revoked");
    place.write("p.toml", "peer_crl_file = \"list.pem\"\n");
    let args = ["config", "check", "-config=p.toml"];
    place.refuses(&[], &args, "peer_crl_file in p.toml is not supported by this version: ");
}

#[test]
fn clusters_that_cannot_be_found_as_told() {
    let place = Place::new("finding");
    for (args, want) in [
        (&["-peers", "http://10.0.0.1:7001"][..], "expected HOST:PORT, without a scheme"),
        (&["-peers", "10.0.0.1"], "expected HOST:PORT"),
        (&["-C=10.0.0.1:x"], "expected HOST:PORT"),
        (&["-peers-file", "nofile"], "Peers file error: open nofile: No such file or directory"),
        (&["-discovery=10.0.0.1:4001"], "expected a URL"),
        (&["-initial-cluster=m1"], "expected NAME=PEER_URL"),
        (&["-initial-cluster=m1=10.0.0.1:7001"], "expected a URL"),
        (&["-initial-cluster=m1=http://a:1,m1=http://b:1"], "duplicate name or URL"),
        (&["-initial-cluster-state=old"], "expected one of new, existing"),
        (&["-listen-client-urls=10.0.0.1:4001"], "expected a URL"),
        (&["-advertise-client-urls=http://10.0.0.1"], "expected a URL with a port"),
    ] {
        place.refuses(&[], &[&["-name=m", "-data-dir=d"], args].concat(), want);
    }
}

#[test]
fn files_that_cannot_be_read_or_understood() {
    let place = Place::new("files");
    std::fs::create_dir(place.path().join("dir")).unwrap();
    place.write("long.toml", &"#".repeat((1 << 20) + 1));
    std::fs::write(place.path().join("bytes.toml"), b"name = \"\xff\"").unwrap();
    for (path, want) in [
        ("none.toml", "cannot read the configuration file none.toml: No such file"),
        ("dir", "cannot read the configuration file dir: it is a directory"),
        ("/dev/zero", "/dev/zero: it is not a regular file"),
        ("long.toml", "long.toml: it is longer than 1048576 bytes"),
        ("bytes.toml", "cannot read the configuration file bytes.toml: "),
    ] {
        place.refuses(&[], &["-config", path], want);
    }
    for (text, want) in [
        ("name = ", "f.toml: TOML parse error at line 1"),
        ("name = \"a\"\nname = \"b\"", "f.toml: TOML parse error at line 2"),
        (
            "addr = [\"127.0.0.1:4001\"]",
            "f.toml: invalid value for the key addr: expected one \
          string, in quotes",
        ),
        ("snapshot = \"maybe\"", "for snapshot in f.toml: expected true or false"),
        (
            "[peer]\nheartbeat_interval = [50]",
            "the key peer.heartbeat_interval: expected a number of milliseconds",
        ),
        ("cors = [1]", "f.toml: invalid value for the key cors: expected an array of strings"),
    ] {
        place.write("f.toml", text);
        place.refuses(&[], &["-config=f.toml"], want);
    }
    // Brackets within brackets, far more than a stack would take.
    place.write("f.toml", &format!("cors = {}", "[".repeat(1 << 19)));
    place.refuses(&[], &["-config=f.toml"], "f.toml: ");
}

#[test]
fn bytes_that_are_no_text() {
    let place = Place::new("bytes");
    let bad = OsStr::from_bytes(b"data-\xff");
    let run = place.run(&[OsStr::new("-name=m"), OsStr::new("-data-dir"), bad]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.err.contains("the argument \"data-\\xFF\" is not UTF-8"), "{run:?}");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_stead"));
    command.env_clear().env("ETCD_DATA_DIR", bad);
    let run = place.finish(&mut command);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.err.contains("of ETCD_DATA_DIR is not UTF-8"), "{run:?}");
    // Whom no setting concerns is not kept from an answer.
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_stead"));
    command.env_clear().env("ETCD_DATA_DIR", bad).arg("version");
    assert_eq!(place.finish(&mut command).code, Some(0));
    // What others keep in the environment is theirs.
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_stead"));
    command.env_clear().env("OTHER", bad).args(["config", "check", "-name=m"]);
    assert_eq!(place.finish(&mut command).code, Some(0));
}
