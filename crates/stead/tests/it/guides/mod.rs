//! The guides, typed: each block of commands in docs/guides is run in its order in an empty
//! directory, and its output compared with what the guide shows. [`page`] has the conventions.
//!
//! Ports of the text are replaced by free ones; background servers are started by the lines of the
//! guide, and end with the test. A new guide needs a line below.

mod page;
mod shell;

use crate::testkit::server::template;
use crate::testkit::{Server, TempDir};
use shell::Shell;
use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

const GUIDES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guides");

/// A program that does as much of `curl` as the guides use, for machines without it.
const OWN_CURL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/guides/curl.bash");

/// A test for each guide.
macro_rules! guides {
    ($($name:ident => $file:literal,)*) => {
        $(
            #[test]
            fn $name() {
                type_guide($file);
            }
        )*

        #[test]
        fn every_guide_is_typed() {
            let typed = BTreeSet::from([$($file.to_owned()),*]);
            let found = fs::read_dir(GUIDES).expect("the guides are there");
            let names = found.map(|entry| entry.expect("a name").file_name());
            let names = names.map(|name| name.into_string().expect("a name of letters"));
            // The index names the guides and has no commands.
            let found: BTreeSet<String> =
                names.filter(|name| name.ends_with(".md") && name != "README.md").collect();
            assert_eq!(typed, found, "each guide has a line in tests/it/guides/mod.rs");
            let index = fs::read_to_string(format!("{GUIDES}/README.md")).expect("it is there");
            for name in &found {
                assert!(index.contains(&format!("({name})")), "{name} is not in README.md");
            }
        }
    };
}

guides! {
    backup => "backup.md",
    majority_lost => "majority-lost.md",
    monitoring => "monitoring.md",
    moving => "moving.md",
    replace_a_machine => "replace-a-machine.md",
    something_is_wrong => "something-is-wrong.md",
    upgrades => "upgrades.md",
}

fn type_guide(file: &str) {
    assert_eq!(template(), None, "the guides are for this program");
    let text = fs::read_to_string(format!("{GUIDES}/{file}")).expect("the guide is there");
    let blocks = page::parse(&text).unwrap_or_else(|wrong| panic!("{file}: {wrong}"));
    let dir = TempDir::new(file);
    let mut shell = Shell::start(dir.path());
    for block in blocks {
        let typed = shell.type_in(&block);
        typed.unwrap_or_else(|why| panic!("docs/guides/{file}:{}: {why}", block.line));
    }
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
