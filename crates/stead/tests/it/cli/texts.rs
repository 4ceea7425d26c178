//! What the program says when it is asked about itself.

use super::Place;

#[test]
fn help_goes_to_standard_output_whatever_is_set() {
    let place = Place::new("help");
    let env = [("ETCD_PEERS", "10.0.0.1:7001"), ("ETCD_CONFIG", "missing.toml")];
    let whole = place.run(&["--help"]);
    assert_eq!((whole.code, whole.err.as_str()), (Some(0), ""), "{whole:?}");
    for want in ["Usage:", "  -data-dir VALUE\n", "  -log-level error|warn|info", "ETCD_NAME"] {
        assert!(whole.out.contains(want), "no {want:?}: {}", whole.out);
    }
    let short = place.run_with(&env, &["help"]);
    assert_eq!((short.code, short.err.as_str()), (Some(0), ""), "{short:?}");
    assert!(whole.out.starts_with(&short.out), "the commands come first: {}", short.out);
    for word in ["-h", "--h", "-help"] {
        let run = place.run_with(&env, &[word]);
        assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{word}: {run:?}");
        assert_eq!(run.out, whole.out, "{word}");
    }
}

#[test]
fn each_command_has_a_help_of_its_own_with_examples() {
    let place = Place::new("help-of-one");
    for command in [
        &["check"][..],
        &["check", "disk"],
        &["config", "show"],
        &["config", "check"],
        &["config", "docs"],
        &["backup"],
        &["restore"],
        &["recover"],
        &["status"],
        &["import"],
    ] {
        let run = place.run(&[command, &["--help"]].concat());
        assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{command:?}");
        let first = format!("stead {}: ", command.join(" "));
        assert!(run.out.starts_with(&first), "{command:?}: {}", run.out);
        assert!(run.out.contains("\nExamples:\n  "), "{command:?}: {}", run.out);
        assert!(run.out.lines().all(|line| line.len() <= 100), "{command:?}");
        assert_eq!(place.run(&[&["help"], command].concat()).out, run.out, "{command:?}");
    }
}

#[test]
fn shells_complete_all_commands_and_the_flags_of_the_server() {
    let place = Place::new("completion");
    for shell in ["bash", "zsh", "fish"] {
        let script = place.run(&["completion", shell]).out;
        for want in ["backup", "doctor", "move-leader", "exec-watch", "peer-election-timeout"] {
            assert!(script.contains(want), "{shell}: {want}");
        }
    }
    let pages = place.path().join("pages");
    assert_eq!(place.run(&["man", "pages"]).code, Some(0));
    for want in ["stead", "stead-backup", "stead-config-show", "stead-check-disk", "stead-get"] {
        let page = std::fs::read_to_string(pages.join(format!("{want}.1"))).unwrap();
        assert!(page.contains("Examples:") || want == "stead", "{want}");
    }
}

#[test]
fn settings_are_shown_to_programs_too() {
    let place = Place::new("show-json");
    let env = [("STEAD_PEER_TOKEN", "secret")];
    let args = ["config", "show", "--json", "-name=m", "-request-timeout=1500ms"];
    let run = place.run_with(&env, &args);
    let shown: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(shown["name"]["value"], "m", "{shown}");
    assert_eq!(shown["request-timeout"]["value"], "1500ms", "{shown}");
    assert_eq!(shown["peer-token"]["value"], "(hidden)", "{shown}");
    assert_eq!(place.run(&["--json"]).code, Some(2), "the server has no such flag");
}

#[test]
fn the_version_is_one_line_whatever_is_set() {
    let place = Place::new("version");
    let want = format!("stead version {}\n", env!("CARGO_PKG_VERSION"));
    for env in [&[][..], &[("ETCD_PEERS", "10.0.0.1:7001")], &[("ETCD_SNAPSHOTCOUNT", "x")]] {
        for word in ["version", "--version", "-version"] {
            let run = place.run_with(env, &[word]);
            assert_eq!(run.code, Some(0), "{word}: {run:?}");
            assert_eq!((run.out.as_str(), run.err.as_str()), (want.as_str(), ""), "{word}");
        }
    }
}

#[test]
fn programs_get_the_version_with_commit_target_and_dialects() {
    let place = Place::new("version-json");
    for args in [&["version", "--json"][..], &["version", "-o", "json"]] {
        let run = place.run_with(&[("ETCD_PEERS", "10.0.0.1:7001")], args);
        assert_eq!((run.code, run.err.as_str(), run.out.lines().count()), (Some(0), "", 1));
        let told: serde_json::Value = serde_json::from_str(&run.out).unwrap();
        assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(told["dialects"][0]["name"], "v04");
        assert_eq!(told["dialects"][1]["of"], "etcd 2.x");
        assert!(told["target"].as_str().is_some_and(|target| target.contains("linux")), "{told}");
        // Both are known to the programs of a release, and to no others.
        assert_eq!(told["commit"].is_null(), told["date"].is_null(), "{told}");
        assert!(told.as_object().is_some_and(|told| told.contains_key("commit")), "{told}");
    }
    let wrong = place.run(&["version", "-o", "xml"]);
    assert_eq!((wrong.code, wrong.out.as_str()), (Some(2), ""), "{wrong:?}");
}

#[test]
fn the_documentation_is_the_one_in_the_repository() {
    let place = Place::new("docs");
    let run = place.run_with(&[("ETCD_DISCOVERY", "http://x")], &["config", "docs"]);
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    assert!(run.out == std::fs::read_to_string(path).unwrap(), "`stead config docs` has changed");
}

#[test]
fn a_check_says_that_settings_are_sound_and_makes_nothing() {
    let place = Place::new("check");
    let run = place.run(&["config", "check", "-name", "m", "-n", "x", "-m=5"]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), "the configuration is valid\n"), "{run:?}");
    let want = "\
[deprecated] use -name, not -n
-m is ignored: it is an old name of -max-result-buffer, which had no effect in etcd either
no -data-dir was given: using x.etcd in the working directory
";
    assert_eq!(run.err, want);
    assert!(!place.path().join("x.etcd").exists());
}

#[test]
fn a_sentence_goes_to_the_error_output_when_there_is_no_such_directory() {
    let place = Place::new("nodir");
    let run = place.run(&["check", "-data-dir", "nothing"]);
    assert_eq!((run.code, run.out.as_str()), (Some(1), ""), "{run:?}");
    assert_eq!(run.err, "stead: data directory nothing not found\n");
    assert!(!place.path().join("nothing").exists());
    place.refuses(&[], &["check"], "missing -data-dir: name the directory to check");
}

#[test]
fn a_look_at_a_directory_needs_no_other_setting_and_leaves_nothing_behind() {
    let place = Place::new("look");
    std::fs::create_dir(place.path().join("empty")).unwrap();
    let env = [("ETCD_SNAPSHOTCOUNT", "x"), ("ETCD_CONFIG", "nowhere")];
    let run = place.run_with(&env, &["check", "-data-dir", "empty"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.out.contains("no snapshot to start from"), "{run:?}");
    assert_eq!(place.path().join("empty").read_dir().unwrap().count(), 0);
}
