//! The command line: what is taken, and what is refused.

use super::*;

fn parsed(args: &str) -> Result<Request, Usage> {
    let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
    parse(&args)
}

fn order(args: &str) -> Order {
    match parsed(args) {
        Ok(Request::Import(order)) => *order,
        other => panic!("{other:?}"),
    }
}

#[test]
fn flags_take_values_after_a_blank_or_an_equals_sign() {
    let order = order(
        "--from-dir a --from-dir=b --to 10.0.0.1:4001,http://10.0.0.2:4001/ --prefix old/ \
         --merge --json",
    );
    assert_eq!(order.source, Source::Dirs(vec!["a".into(), "b".into()]));
    assert_eq!(order.to, ["http://10.0.0.1:4001", "http://10.0.0.2:4001"]);
    assert_eq!((order.prefix.as_str(), order.existing), ("/old", Existing::Merge));
    assert!(order.is_json && !order.is_dry_run);
}

#[test]
fn a_dry_run_needs_no_target() {
    let order = order("--from-snapshot x --dry-run --force");
    assert_eq!(order.source, Source::Snapshot("x".into()));
    assert_eq!((order.to.len(), order.existing), (0, Existing::Overwrite));
}

#[test]
fn users_come_along_unless_they_are_left_out() {
    let with = order("--from-dir a --to x");
    assert!(with.with_users && with.options.with_auth);
    let without = order("--from a --to x --no-users");
    assert!(!without.with_users && !without.options.with_auth);
}

#[test]
fn a_data_directory_is_a_target_with_a_name() {
    let args = "--from-dir a -data-dir d -name=n1 --index-margin 7 --force";
    let order = order(args);
    let want = Directory { path: "d".into(), name: "n1".to_owned(), margin: Some(7) };
    assert_eq!(order.directory, Some(want));
    assert_eq!((order.to.len(), order.existing), (0, Existing::Overwrite));
}

#[test]
fn a_running_server_is_a_source() {
    let order = order("--from a:2379,b:2379 --to x --hidden _a,/b/_c/ --verify");
    let Source::Live(live) = order.source else { panic!("{order:?}") };
    assert_eq!(live.urls, ["http://a:2379", "http://b:2379"]);
    assert_eq!(live.hidden, ["/_a", "/b/_c"]);
    assert!(live.verify && !live.follow);
}

#[test]
fn mistakes_are_named() {
    for (args, want) in [
        ("", "give either --from, --from-dir or --from-snapshot"),
        ("--from a --from-dir b --to x", "give either"),
        ("--from a", "missing --to"),
        ("--from a --to x --hidden /a/b", "invalid --hidden \"/a/b\""),
        ("--from a --to x --hidden /_a/../b", "invalid --hidden"),
        ("--from a --to x --from-cert-file c", "belong together"),
        ("--from-dir a --to x --verify", "belong to --from"),
        ("--from a --to x --follow --dry-run", "cannot be a --dry-run"),
        ("--from a --verify --dry-run", "name it with --to"),
        ("--from http://u:p@a --to x", "invalid URL"),
        ("--from-dir a --from-snapshot b --to x", "give either"),
        ("--from-dir a", "missing --to"),
        ("--from-dir a --data-dir d", "needs the --name"),
        ("--from-dir a --to x --name n", "are about --data-dir"),
        ("--from-dir a --to x --index-margin 1", "are about --data-dir"),
        ("--from-dir a --data-dir d --name n --index-margin x", "invalid number"),
        ("--from-dir a --data-dir d --name a/b", "expected letters"),
        ("--from-dir a --data-dir d --name n --to x", "either --to or --data-dir"),
        ("--from-dir a --data-dir d --name n --merge", "are about --to"),
        ("--from-dir a --data-dir d --name n --token-file t", "are about --to"),
        ("--from-dir", "a value is required for '--from-dir <VALUE>'"),
        ("--from-dir a --to ftp://x", "invalid URL"),
        ("--from-dir a --to x --cert-file c", "belong together"),
        ("--from-dir a --to http://x/y", "invalid URL"),
        ("--from-dir a --to x --prefix a/../b", "invalid --prefix"),
        ("--from-dir a --merge=yes", "unexpected value 'yes' for '--merge'"),
        (
            "--from-dir a --frm b",
            "unexpected argument '--frm' found; tip: a similar argument exists: '--from'",
        ),
        ("dir", "unexpected argument 'dir' found"),
    ] {
        let error = parsed(args).expect_err(args).to_string();
        assert!(error.contains(want), "{args}: {error}");
    }
    assert!(matches!(parsed("--from-dir a --help"), Ok(Request::Help)));
}

#[test]
fn help_fits_the_terminal() {
    assert!(HELP.lines().all(|line| line.len() <= 100));
}
