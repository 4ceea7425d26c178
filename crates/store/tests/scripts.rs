//! The rules of the key space as transcripts: `tests/scripts/*.txt`, run and compared.
//!
//! `UPDATE_SCRIPTS=1 cargo test -p stead-store --test scripts` writes what the commands print now
//! into the files; review the difference before you keep it.

#[path = "testkit/script.rs"]
mod script;
mod testkit;

use std::fs;
use std::path::Path;

fn first_difference(name: &str, want: &str, got: &str) -> Option<String> {
    let mut lines = want.lines().map(Some).chain(std::iter::repeat(None));
    let mut number = 0;
    for line in got.lines().map(Some).chain([None]) {
        number += 1;
        let wanted = lines.next().flatten();
        if wanted != line {
            return Some(format!("{name}:{number}\n  want {wanted:?}\n  got  {line:?}"));
        }
    }
    None
}

#[test]
fn scripts_print_what_they_say() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let updates = std::env::var_os("UPDATE_SCRIPTS").is_some();
    let mut files: Vec<_> =
        fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 10, "the scripts are not where they should be");
    let mut differences = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let want = fs::read_to_string(&file).unwrap();
        let got = script::rewrite(&want);
        if updates {
            fs::write(&file, &got).unwrap();
        } else if want != got {
            let difference = first_difference(&name, &want, &got);
            differences.push(difference.unwrap_or(format!("{name}: ends otherwise")));
        }
    }
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}
