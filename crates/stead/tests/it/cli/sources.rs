//! Where values come from, and how they are written (docs/spec/cli.md sections 1 and 2).

use super::Place;

#[test]
fn a_flag_goes_before_the_environment_before_the_file_before_the_default() {
    let place = Place::new("precedence");
    place.write("a.toml", "snapshot_count = 30\n[peer]\nelection_timeout = 300\n");
    let file = ["-config", "a.toml"];
    let flag = ["-config=a.toml", "-snapshot-count=10"];
    let env = [("ETCD_SNAPSHOTCOUNT", " 20 ")];
    let shown = |env: &[(&str, &str)], args: &[&str]| place.shown(env, args, "snapshot-count");
    let pair = |value: &str, source: &str| (value.to_owned(), source.to_owned());
    assert_eq!(shown(&[], &[]), pair("10000", "default"));
    assert_eq!(shown(&[], &file), pair("30", "file a.toml"));
    assert_eq!(shown(&env, &file), pair("20", "environment ETCD_SNAPSHOTCOUNT"));
    assert_eq!(shown(&env, &flag), pair("10", "flag"));
    // An empty variable is none, and a variable may name the file.
    assert_eq!(shown(&[("ETCD_SNAPSHOTCOUNT", " ")], &file), pair("30", "file a.toml"));
    assert_eq!(shown(&[("ETCD_CONFIG", "a.toml")], &[]), pair("30", "file a.toml"));
    let election = place.shown(&env, &flag, "peer-election-timeout");
    assert_eq!(election, pair("300", "file a.toml"));
}

#[test]
fn a_flag_has_one_dash_or_two_and_a_space_or_an_equals_sign() {
    let place = Place::new("dashes");
    for args in [&["-cors", "a"][..], &["--cors", "a"], &["-cors=a"], &["--cors=a"]] {
        assert_eq!(place.shown(&[], args, "cors").0, "a", "{args:?}");
    }
    // The last one counts, a value may hold equals signs, a boolean needs none.
    assert_eq!(place.shown(&[], &["-cors=a", "-cors=b=c"], "cors").0, "b=c");
    assert_eq!(place.shown(&[], &["-force", "-cors", "-x"], "cors").0, "-x");
    assert_eq!(place.shown(&[], &["-force", "-cors=a"], "force").0, "true");
    assert_eq!(place.shown(&[], &["--force=false"], "force").0, "false");
}

#[test]
fn old_names_of_flags_and_variables_are_taken() {
    let place = Place::new("aliases");
    for (old, new) in [
        ("-d", "data-dir"),
        ("-c", "addr"),
        ("-cl", "bind-addr"),
        ("-s", "peer-addr"),
        ("-sl", "peer-bind-addr"),
    ] {
        let address = "127.0.0.1:5000";
        assert_eq!(place.shown(&[], &[old, address], new).0, address, "{old}");
        let run = place.run(&["config", "check", "-name=m", "-data-dir=d", old, address]);
        let want = format!("[deprecated] use -{new}, not {old}\n");
        assert_eq!((run.code, run.err), (Some(0), want));
    }
    for (old, new) in [
        ("-snapshotCount", "snapshot-count"),
        ("-maxsize", "cluster-active-size"),
        ("-max-cluster-size", "cluster-active-size"),
        ("-peer-heartbeat-timeout", "peer-heartbeat-interval"),
    ] {
        assert_eq!(place.shown(&[], &[old, "77"], new).0, "77", "{old}");
    }
    let env = [("ETCD_CORS_ORIGINS", "*"), ("ETCD_MAX_CLUSTER_SIZE", "5")];
    assert_eq!(place.shown(&env, &[], "cors").1, "environment ETCD_CORS_ORIGINS");
    assert_eq!(place.shown(&env, &[], "cluster-active-size").0, "5");
}

#[test]
fn variables_of_truth_are_false_for_two_words_only() {
    let place = Place::new("truth");
    for (value, want) in [("0", "false"), ("false", "false"), ("no", "true"), ("1", "true")] {
        let env = [("ETCD_SNAPSHOT", value)];
        assert_eq!(place.shown(&env, &[], "snapshot").0, want, "{value}");
    }
}

#[test]
fn a_file_may_hold_everything_in_its_tables() {
    let place = Place::new("file");
    // The example of the original's documentation, less what names other machines.
    let file = "\
addr = \"10.0.0.1:4001\"
bind_addr = \"0.0.0.0:4001\"
data_dir = \"/var/lib/x\"
cors = [\"http://a\", \"http://b\"]
verbose = true
http_read_timeout = 1.5
log_level = \"warn\"
[peer]
addr = \"10.0.0.1:7001\"
heartbeat_interval = 70
[cluster]
active_size = 5
remove_delay = 100.0
";
    place.write("b.toml", file);
    for (flag, want) in [
        ("addr", "10.0.0.1:4001"),
        ("bind-addr", "0.0.0.0:4001"),
        ("data-dir", "/var/lib/x"),
        ("cors", "http://a,http://b"),
        ("v", "true"),
        ("http-read-timeout", "1.5"),
        ("log-level", "warn"),
        ("peer-addr", "10.0.0.1:7001"),
        ("peer-heartbeat-interval", "70"),
        ("cluster-active-size", "5"),
        ("cluster-remove-delay", "100"),
    ] {
        let (value, source) = place.shown(&[], &["-config=b.toml"], flag);
        assert_eq!((value.as_str(), source.as_str()), (want, "file b.toml"), "{flag}");
    }
}

#[test]
fn what_is_unknown_but_harmless_is_named_and_passed_over() {
    let place = Place::new("unknown");
    place.write("c.toml", "nmae = \"x\"\nunheard = 1\n[tabel]\nof = [1, 2]\n");
    let env = [("ETCD_DATADIR", "x"), ("ETCDCTL_API", "2"), ("ETCD_UNRELATED_WORD", "x")];
    let args = ["config", "check", "-name=m", "-data-dir=d", "-config=c.toml"];
    let run = place.run_with(&env, &args);
    assert_eq!(run.code, Some(0), "{run:?}");
    let want = "\
c.toml: unknown key nmae ignored: did you mean name?
c.toml: unknown key tabel.of ignored
c.toml: unknown key unheard ignored
unknown variable ETCD_DATADIR: did you mean ETCD_DATA_DIR?
";
    assert_eq!(run.err, want);
}
