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
    assert_eq!(election, pair("300ms", "file a.toml"));
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
        let shown = place.shown(&[], &[old, "77"], new).0;
        assert_eq!(shown.trim_end_matches("ms"), "77", "{old}");
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
        ("http-read-timeout", "1.5s"),
        ("log-level", "warn"),
        ("peer-addr", "10.0.0.1:7001"),
        ("peer-heartbeat-interval", "70ms"),
        ("cluster-active-size", "5"),
        ("cluster-remove-delay", "100s"),
    ] {
        let (value, source) = place.shown(&[], &["-config=b.toml"], flag);
        assert_eq!((value.as_str(), source.as_str()), (want, "file b.toml"), "{flag}");
    }
}

#[test]
fn variables_of_2_x_and_3_x_are_taken() {
    let place = Place::new("variables");
    let env = [
        ("ETCD_SNAPSHOT_COUNT", "20"),
        ("ETCD_HEARTBEAT_INTERVAL", "100"),
        ("ETCD_ELECTION_TIMEOUT", "1000"),
        ("ETCD_LOG_LEVEL", "fatal"),
        ("ETCD_METRICS", "extensive"),
        ("ETCD_DEBUG", "true"),
    ];
    for (flag, want, name) in [
        ("snapshot-count", "20", "ETCD_SNAPSHOT_COUNT"),
        ("peer-heartbeat-interval", "100ms", "ETCD_HEARTBEAT_INTERVAL"),
        ("peer-election-timeout", "1000ms", "ETCD_ELECTION_TIMEOUT"),
        ("log-level", "error", "ETCD_LOG_LEVEL"),
        ("metrics", "on", "ETCD_METRICS"),
        ("v", "true", "ETCD_DEBUG"),
    ] {
        let source = format!("environment {name}");
        assert_eq!(place.shown(&env, &[], flag), (want.to_owned(), source));
    }
    // The name that the table has counts more, wherever it stands.
    for env in [["ETCD_SNAPSHOTCOUNT", "ETCD_SNAPSHOT_COUNT"], ["ETCD_METRICS", "STEAD_METRICS"]] {
        let [one, other] = env;
        let flag = if one.contains("SNAP") { "snapshot-count" } else { "metrics" };
        let (own, value, theirs) = match flag {
            "metrics" => (other, "off", "basic"),
            _ => (one, "7", "8"),
        };
        let given = env.map(|name| (name, if name == own { value } else { theirs }));
        assert_eq!(place.shown(&given, &[], flag).0, value, "{env:?}");
    }
}

#[test]
fn times_and_sizes_take_units_from_everywhere() {
    let place = Place::new("units");
    place.write("u.toml", "http_read_timeout = \"1m30s\"\n[limit]\nbody_bytes = \"64KiB\"\n");
    let env = [("STEAD_REQUEST_TIMEOUT", "5s"), ("STEAD_BUSY_POLL", "1ms")];
    let args = ["-config=u.toml", "-history-bytes=10MB", "-retry-interval", "250ms"];
    for (flag, want) in [
        ("http-read-timeout", "90s"),
        ("max-body-bytes", "64KiB"),
        ("request-timeout", "5000ms"),
        ("busy-poll", "1000us"),
        ("history-bytes", "10000000B"),
        ("retry-interval", "0.25s"),
        ("max-head-bytes", "128KiB"),
    ] {
        assert_eq!(place.shown(&env, &args, flag).0, want, "{flag}");
    }
}

#[test]
fn flags_that_mean_nothing_here_cost_a_warning_each() {
    let place = Place::new("former");
    place.write("o.toml", "name = \"m\"\ndata_dir = \"d\"\ngraphite_host = \"10.0.0.1:1\"\n");
    let args = ["config", "check", "-config=o.toml", "--enable-v2", "-max-wals", "0", "-trace=*"];
    let run = place.run_with(&[("ETCD_STRICT_RECONFIG_CHECK", "true")], &args);
    assert_eq!((run.code, run.out.as_str()), (Some(0), "the configuration is valid\n"), "{run:?}");
    let want = "\
graphite_host in o.toml is ignored: metrics are not pushed: have /metrics collected
ETCD_STRICT_RECONFIG_CHECK is ignored: changes that would cost the majority are always refused
--enable-v2 is ignored: the v2 API is always served
";
    let shown = run.err.replace("\n-enable-v2 ", "\n--enable-v2 ");
    assert!(shown.starts_with(want), "{run:?}");
    assert_eq!(run.err.lines().count(), 5, "{run:?}");
}

#[test]
fn what_is_unknown_is_named_and_what_is_misspelt_fails_a_check() {
    let place = Place::new("unknown");
    place.write("c.toml", "unheard = 1\n[tabel]\nof = [1, 2]\n");
    let env = [("ETCDCTL_API", "2"), ("ETCD_UNRELATED_WORD", "x")];
    let args = ["config", "check", "-name=m", "-data-dir=d", "-config=c.toml"];
    let run = place.run_with(&env, &args);
    assert_eq!((run.code, run.out.as_str()), (Some(0), "the configuration is valid\n"), "{run:?}");
    let want = "c.toml: unknown key tabel.of ignored\nc.toml: unknown key unheard ignored\n";
    assert_eq!(run.err, want);

    place.write("c.toml", "nmae = \"x\"\nunheard = 1\n");
    let run = place.run_with(&[("ETCD_DATADIR", "x"), ("STEAD_COMPTA", "v2")], &args);
    assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{run:?}");
    let want = "\
c.toml: unknown key unheard ignored
c.toml: unknown key nmae ignored: did you mean name?
unknown variable ETCD_DATADIR: did you mean ETCD_DATA_DIR?
unknown variable STEAD_COMPTA: did you mean STEAD_COMPAT?
stead: 3 names are probably misspelt
";
    assert_eq!(run.err, want);
}
