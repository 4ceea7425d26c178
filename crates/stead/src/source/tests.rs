//! Values from each source, their precedence, and mistakes in them.

use super::*;

fn gather(args: &[&str], env: &[(&str, &str)], file: &str) -> Result<(Values, Invocation), Usage> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let env: Vec<(OsString, OsString)> =
        env.iter().map(|(name, value)| (name.into(), value.into())).collect();
    let read_file = |path: &Path| match path.to_str() {
        Some("given.toml") => Ok(file.to_owned()),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    Values::gather(&Environment { args: &args, env: &env, read_file: &read_file })
}

#[test]
fn flags_go_before_the_environment_before_the_file_before_the_default() {
    let file = "snapshot_count = 30\ncors = [\"a\", \"b\"]\n[peer]\nheartbeat_interval = 70";
    let env = [("ETCD_SNAPSHOTCOUNT", "20"), ("ETCD_CORS", " c ")];
    let args = ["-config", "given.toml", "--snapshot-count=10"];
    let (values, _) = gather(&args, &env, file).expect("sound");
    assert_eq!(values.get(Flag::SnapshotCount), ("10", Source::Flag));
    assert_eq!(values.get(Flag::Cors), ("c", Source::Env("ETCD_CORS".into())));
    let file = Source::File("given.toml".into());
    assert_eq!(values.get(Flag::PeerHeartbeatInterval), ("70", file));
    assert_eq!(values.get(Flag::PeerElectionTimeout), ("200", Source::Default));
}

#[test]
fn flags_are_written_as_go_writes_them() {
    for args in [["-name", "x"], ["--name", "x"]] {
        assert_eq!(gather(&args, &[], "").expect("sound").0.get(Flag::Name).0, "x");
    }
    for arg in ["-name=x", "--name=x", "-n=x"] {
        assert_eq!(gather(&[arg], &[], "").expect("sound").0.get(Flag::Name).0, "x", "{arg}");
    }
    let (values, _) = gather(&["-force", "-name", "x"], &[], "").expect("sound");
    assert_eq!((values.get(Flag::Force).0, values.get(Flag::Name).0), ("true", "x"));
    let (values, _) = gather(&["-snapshot=false"], &[], "").expect("sound");
    assert_eq!(values.get(Flag::Snapshot).0, "false");
}

#[test]
fn mistakes_are_named_with_a_hint() {
    for (args, want) in [
        (vec!["-dta-dir", "x"], "unknown flag -dta-dir: did you mean -data-dir?"),
        (vec!["-name", "a", "b"], "unexpected argument \"b\""),
        (vec!["-name"], "flag -name needs a value"),
        (vec!["-snapshot-count", "abc"], "expected a whole number"),
        (vec!["-snapshot-count", "0"], "a number from 1"),
        (vec!["-force=maybe"], "expected true or false"),
        (vec!["-compat", "v3"], "expected one of v04, v2"),
        (vec!["-peer-crl-file", "x"], "-peer-crl-file is not supported by this version"),
        (vec!["-config", "none.toml"], "cannot read the configuration file none.toml"),
    ] {
        let error = gather(&args, &[], "").expect_err("a mistake").0;
        assert!(error.contains(want), "{args:?}: {error}");
    }
    let error = gather(&[], &[("ETCD_CLIENT_CRL_FILE", "x")], "").expect_err("refused").0;
    assert!(error.contains("ETCD_CLIENT_CRL_FILE is not supported"), "{error}");
    let error =
        gather(&["-config=given.toml"], &[], "client_crl_file = \"a\"").expect_err("refused").0;
    assert!(error.contains("client_crl_file in given.toml is not supported"), "{error}");
    assert!(gather(&["-config=given.toml"], &[], "name = ").is_err());
}

#[test]
fn what_needs_no_settings_reads_none() {
    let env = [("ETCD_PEERS", "a:1"), ("ETCD_CONFIG", "none.toml")];
    let lines: [&[&str]; 4] = [&["help"], &["config", "docs"], &["--version"], &["-h"]];
    for args in lines {
        let found = gather(args, &env, "").map(|(values, _)| values.found.len());
        assert_eq!(found, Ok(0), "{args:?}");
    }
    assert!(gather(&["config", "show"], &env, "").is_err());
}

#[test]
fn a_value_in_a_file_has_the_type_of_its_key() {
    for (file, want) in [
        (
            "name = [\"a\"]",
            "given.toml: invalid value for the key name: expected one string, in \
          quotes",
        ),
        ("name = 5", "invalid value for the key name: expected one string, in quotes"),
        ("compat = [\"v2\"]", "the key compat: expected one string, in quotes"),
        ("snapshot = [true]", "the key snapshot: expected true or false"),
        ("snapshot_count = [1]", "the key snapshot_count: expected a whole number"),
        ("snapshot_count = 1.5", "the key snapshot_count: expected a whole number"),
        ("http_read_timeout = true", "the key http_read_timeout: expected a number of seconds"),
        ("cors = [1]", "invalid value for the key cors: expected an array of strings"),
        ("cors = 1", "invalid value for the key cors: expected an array of strings"),
        ("[peer]\naddr = [\"a:1\", \"b:2\"]", "the key peer.addr: expected one string, in quotes"),
        ("[peer.addr]\nx = 1", "the key peer.addr: expected one string, in quotes"),
        ("discovery = [\"x\"]", "the key discovery: expected one string, in quotes"),
    ] {
        let error = gather(&["-config=given.toml"], &[], file).expect_err("a mistake").0;
        assert!(error.contains(want), "{file}: {error}");
    }
    let file = "snapshot_count = \"7\"\nhttp_read_timeout = 1.5\ncors = \"*\"";
    let (values, _) = gather(&["-config=given.toml"], &[], file).expect("sound");
    let got =
        [Flag::SnapshotCount, Flag::HttpReadTimeout, Flag::Cors].map(|flag| values.get(flag).0);
    assert_eq!(got, ["7", "1.5", "*"]);
}

#[test]
fn the_file_of_the_system_may_be_missing_but_not_unreadable() {
    let with = |kind: ErrorKind| {
        let read_file = move |_: &Path| Err(kind.into());
        Values::gather(&Environment { args: &[], env: &[], read_file: &read_file })
    };
    assert!(with(ErrorKind::NotFound).is_ok());
    assert!(with(ErrorKind::NotADirectory).is_ok());
    let error = with(ErrorKind::PermissionDenied).expect_err("it is there").0;
    let want = "cannot read the configuration file /etc/etcd/etcd.conf: permission denied";
    assert_eq!(error, want);
}

#[test]
fn only_short_regular_files_are_read() {
    let refusal = |path: &str| read_file(Path::new(path)).expect_err("no file").to_string();
    assert_eq!(refusal("/dev/zero"), "it is not a regular file");
    assert_eq!(refusal("/"), "it is a directory");
    let dir = std::env::temp_dir().join(format!("stead-source-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a place for files");
    let path = dir.join("stead.toml");
    let length = usize::try_from(FILE_BYTES_MAX).expect("small");
    std::fs::write(&path, "#".repeat(length)).expect("a place for files");
    assert_eq!(read_file(&path).expect("just short enough").len(), length);
    std::fs::write(&path, "#".repeat(length + 1)).expect("a place for files");
    let error = read_file(&path).expect_err("too long").to_string();
    assert_eq!(error, "it is longer than 1048576 bytes");
    std::fs::remove_dir_all(&dir).expect("it is ours");
}

#[test]
fn what_is_unknown_but_harmless_is_noted() {
    let args = ["-config=given.toml", "-max-result-buffer", "5", "-snapshotCount=9"];
    let env = [("ETCD_SNAPSHOTCUONT", "3"), ("ETCD_UNIT_FILE_WORD", "x")];
    let (values, _) = gather(&args, &env, "nmae = \"x\"").expect("sound");
    let notes = [values.notes.join("\n"), values.misspelt.join("\n")].join("\n");
    assert!(notes.contains("unknown key nmae ignored: did you mean name?"), "{notes}");
    assert!(notes.contains("-max-result-buffer is ignored"), "{notes}");
    assert!(notes.contains("[deprecated] use -snapshot-count, not -snapshotCount"), "{notes}");
    assert!(notes.contains("did you mean ETCD_SNAPSHOTCOUNT?"), "{notes}");
    assert_eq!(values.get(Flag::SnapshotCount), ("9", Source::Flag));
}

#[test]
fn a_file_of_3_x_has_the_names_of_flags() {
    let file = "name: y\nheartbeat-interval: 70\ncors: [a, b]\nstrict-reconfig-check: true\n\
                client-transport-security:\n  client-cert-auth: True\nnmae: x\nmax-wals: 0\n";
    let args = ["-config-file=given.toml", "-election-timeout=900"];
    let (values, _) = gather(&args, &[("ETCD_NAME", "z")], file).expect("sound");
    let file = || Source::File("given.toml".into());
    assert_eq!(values.get(Flag::Name).0, "z", "the environment counts more");
    assert_eq!(values.get(Flag::PeerHeartbeatInterval), ("70", file()));
    assert_eq!(values.get(Flag::PeerElectionTimeout), ("900", Source::Flag));
    assert_eq!(values.get(Flag::Cors), ("a,b", file()));
    assert_eq!(values.get(Flag::ClientCertAuth), ("true", file()));
    assert_eq!(values.misspelt, ["given.toml: unknown key nmae ignored: did you mean name?"]);
    let notes = values.notes.join("\n");
    assert!(notes.contains("max-wals in given.toml is ignored: "), "{notes}");
    for (text, want) in [
        ("snapshot-count: many", "invalid value \"many\" for snapshot-count in given.toml"),
        ("a: &x 1", "given.toml: line 1: anchors are not supported"),
        ("client-crl-file: x", "client-crl-file in given.toml is not supported"),
    ] {
        let error = gather(&["-config-file=given.toml"], &[], text).expect_err("a mistake").0;
        assert!(error.contains(want), "{text}: {error}");
    }
    let env = [("ETCD_CONFIG_FILE", "none.yml")];
    assert!(gather(&[], &env, "").expect_err("it is not there").0.contains("none.yml"));
}
