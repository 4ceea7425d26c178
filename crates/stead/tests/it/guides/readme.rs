//! README.md, typed but for what builds: the binary is there.

use super::page::Block;
use super::{ROOT, blocks_of, type_blocks};
use std::fs;

const START: &str = "cargo run --release -- ";
const TEST: &str = "cargo xtask ci\n";
const READY: &str =
    "curl -fs --retry 30 --retry-connrefused --retry-delay 1 http://127.0.0.1:4001/readyz\n";

#[test]
fn the_readme() {
    let (builds, mut typed): (Vec<Block>, Vec<Block>) =
        blocks_of("README.md").into_iter().partition(|block| block.code.contains("cargo "));
    let [start, test] = &builds[..] else { panic!("{builds:#?}") };
    assert_eq!(test.code, TEST);
    let ci = fs::read_to_string(format!("{ROOT}/.ci/run")).expect("it is there");
    assert!(ci.ends_with(&format!("exec {TEST}")), "CI runs what the README says");
    let flags = start.code.strip_prefix(START).expect("it builds and starts").trim_end();
    let code = format!("stead {flags} > log 2>&1 &\n{READY}");
    typed.insert(0, Block { line: start.line, code, want: Some("ok\n".to_owned()) });
    type_blocks("README.md", &typed);
}
