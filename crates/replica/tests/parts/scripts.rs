//! What members do and say as transcripts: `tests/scripts/*.txt`, run and compared.
//!
//! `UPDATE_SCRIPTS=1 cargo test -p stead-replica --test cluster scripts` writes what the commands
//! print now into the files; review the difference before you keep it.

use crate::testkit::script;
use std::fs;
use std::path::Path;

fn first_difference(name: &str, want: &str, got: &str) -> String {
    let (mut wanted, mut found) = (want.lines(), got.lines());
    for number in 1.. {
        let (want, got) = (wanted.next(), found.next());
        if want != got {
            return format!("{name}:{number}\n  want {want:?}\n  got  {got:?}");
        }
        if want.is_none() {
            break;
        }
    }
    format!("{name}: ends otherwise")
}

#[test]
fn scripts_print_what_they_say() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let updates = std::env::var_os("UPDATE_SCRIPTS").is_some();
    let mut files: Vec<_> =
        fs::read_dir(&dir).expect("there").map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    assert!(files.len() >= 30, "the scripts are not where they should be");
    let mut differences = Vec::new();
    for file in files {
        let name = file.file_name().expect("a file").to_string_lossy().into_owned();
        let want = fs::read_to_string(&file).expect("text");
        let got = script::rewrite(&want);
        if updates {
            fs::write(&file, &got).expect("writable");
        } else if want != got {
            differences.push(first_difference(&name, &want, &got));
        }
    }
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}
