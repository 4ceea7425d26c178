//! docs/deviations.md: every recorded conversation that is answered otherwise, by name and with its
//! reason. It is made from what the replay itself goes by, so that the two cannot part.
//!
//! `UPDATE_DEVIATIONS=1` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::case::load_overrides;

const HEAD: &str = "\
# Deviations by name

The recorded conversations of `crates/stead/tests/it/conformance/cases` in which Stead answers
otherwise on purpose, with the numbers of the requests and the reason. COMPAT.md says the same by
subject. This page is made from `overrides.json` beside the cases; a test keeps it up to date.

";

fn page() -> String {
    let mut found: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
    for replaced in load_overrides() {
        found.entry((replaced.case, replaced.reason)).or_default().extend(replaced.steps);
    }
    let mut out = HEAD.to_owned();
    out.push_str("| case | requests | reason |\n| --- | --- | --- |\n");
    for ((case, reason), mut steps) in found {
        steps.sort_unstable();
        let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
        let reason = reason.replace('|', "\\|");
        let _ = writeln!(out, "| `{case}` | {} | {reason} |", steps.join(", "));
    }
    out
}

#[test]
fn the_page_of_deviations_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/deviations.md");
    let page = page();
    if std::env::var_os("UPDATE_DEVIATIONS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    crate::testkit::text::assert_same("docs/deviations.md (UPDATE_DEVIATIONS=1)", &written, &page);
}
