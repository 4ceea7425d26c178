//! The documentation, typed: each block of commands in docs/guides, docs/reference, docs/cli.md and
//! docs/start.md is run in its order in an empty directory, and its output compared with what the
//! page shows. [`page`] has the conventions.
//!
//! Ports of the text are replaced by free ones; background servers are started by the lines of the
//! page, and end with the test. A new guide needs a line below, a new page of the reference one in
//! [`reference`].

mod page;
mod shell;

use crate::testkit::server::template;
use crate::testkit::{Server, TempDir};
use shell::Shell;
use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A program that does as much of `curl` as the guides use, for machines without it.
const OWN_CURL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/guides/curl.bash");

/// A test for each page of a folder that is typed, and one that no page is left out. Pages without
/// commands come first.
macro_rules! pages {
    ($folder:literal, $all:ident, [$($silent:literal),*], $($name:ident => $file:literal,)*) => {
        $(
            #[test]
            fn $name() {
                $crate::guides::type_page(concat!($folder, "/", $file));
            }
        )*

        #[test]
        fn $all() {
            $crate::guides::check_index($folder, &[$($file),*], &[$($silent),*]);
        }
    };
}

mod readme;
mod reference;

pages! {
    "docs/guides", every_guide_is_typed, [],
    backup => "backup.md",
    majority_lost => "majority-lost.md",
    monitoring => "monitoring.md",
    moving => "moving.md",
    replace_a_machine => "replace-a-machine.md",
    something_is_wrong => "something-is-wrong.md",
    upgrades => "upgrades.md",
}

/// That each page of a folder is in one of the lists, and in the folder's index.
fn check_index(folder: &str, typed: &[&str], silent: &[&str]) {
    let listed: BTreeSet<String> = typed.iter().chain(silent).map(|&name| name.into()).collect();
    let found = fs::read_dir(format!("{ROOT}/{folder}")).expect("the pages are there");
    let names = found.map(|entry| entry.expect("a name").file_name());
    let names = names.map(|name| name.into_string().expect("a name of letters"));
    // The index names the pages and has no commands.
    let found: BTreeSet<String> =
        names.filter(|name| name.ends_with(".md") && name != "README.md").collect();
    assert_eq!(listed, found, "each page has a line in tests/it/guides");
    let index = fs::read_to_string(format!("{ROOT}/{folder}/README.md")).expect("it is there");
    for name in &found {
        assert!(index.contains(&format!("({name})")), "{name} is not in {folder}/README.md");
    }
}

/// The blocks of a page that are typed.
fn blocks_of(page: &str) -> Vec<page::Block> {
    assert_eq!(template(), None, "the documentation is of this program");
    let text = fs::read_to_string(format!("{ROOT}/{page}")).expect("the page is there");
    page::parse(&text).unwrap_or_else(|wrong| panic!("{page}: {wrong}"))
}

/// Types blocks of a page, in a directory of their own.
fn type_blocks(page: &str, blocks: &[page::Block]) {
    let dir = TempDir::new(&page.replace('/', "-"));
    let mut shell = Shell::start(dir.path());
    for block in blocks {
        let typed = shell.type_in(block);
        typed.unwrap_or_else(|why| panic!("{page}:{}: {why}", block.line));
    }
}

fn type_page(page: &str) {
    type_blocks(page, &blocks_of(page));
}

#[test]
fn the_first_steps() {
    type_page("docs/start.md");
}

#[test]
fn the_client() {
    type_page("docs/cli.md");
}

#[test]
fn the_stand_in_for_curl_makes_its_calls_and_refuses_what_it_does_not_know() {
    let (site, server) = Server::start("own-curl");
    let curl = |line: &str| {
        let line = line.replace("HOST", &server.addr().to_string());
        let mut command = Command::new("bash");
        let output =
            command.arg(OWN_CURL).args(line.split(' ')).current_dir(site.folder()).output();
        let Output { status, stdout, .. } = output.expect("bash is there");
        (status.code(), String::from_utf8_lossy(&stdout).into_owned())
    };
    let (code, text) = curl("-fsS http://HOST/v2/keys/a -XPUT -d value=1 -d ttl=90");
    assert!(code == Some(0) && text.contains("\"ttl\":90"), "{code:?} {text}");
    let (code, text) = curl("-L http://HOST/v2/keys/a?quorum=true http://HOST/readyz");
    assert!(code == Some(0) && text.ends_with("}ok\n"), "{code:?} {text}");
    assert_eq!(curl("-fo saved http://HOST/v2/admin/backup").0, Some(0));
    assert!(fs::read(site.folder().join("saved")).is_ok_and(|bytes| bytes.contains(&0)));
    let (code, text) =
        curl("-i http://HOST/v2/keys/a -XPUT -H Content-Type:application/json -d {\"a\":1}");
    assert!(code == Some(0) && text.contains("Content-Type \\\"application/json"), "{text}");
    assert_eq!(curl("-H Accept:text/plain http://HOST/version").1, "etcd 0.4.9");
    let index = "http://HOST/v2/keys/a?wait=true&waitIndex=2";
    let (code, text) = curl(&format!("-N -u ann:secret {index}"));
    assert!(code == Some(0) && text.contains("\"ttl\":90"), "{code:?} {text}");
    let (code, text) = curl("http://HOST/v2/keys/a -X DELETE -H Stead-Token:x");
    assert!(code == Some(0) && text.contains("\"action\":\"delete\""), "{code:?} {text}");
    assert_eq!(curl("-fs http://HOST/v2/keys/a").0, Some(22));
    assert_eq!(curl("-s http://HOST/v2/keys/a").0, Some(0));
    for (unknown, code) in [("--http2 http://HOST/", 2), ("-Q http://HOST/", 2), ("-s", 2)] {
        assert_eq!(curl(unknown).0, Some(code), "{unknown}");
    }
    let unused = crate::testkit::port::free();
    let retried =
        format!("-fs --retry 1 --retry-connrefused --retry-delay 0 http://127.0.0.1:{unused}/");
    assert_eq!(curl(&retried).0, Some(7));
}
