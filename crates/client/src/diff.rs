//! What differs between two texts, line by line.

use similar::TextDiff;

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// The difference as `diff -u` shows it.
pub(crate) fn unified(before: &str, after: &str, names: (&str, &str)) -> String {
    let diff = TextDiff::from_lines(before, after);
    diff.unified_diff().context_radius(CONTEXT).header(names.0, names.1).to_string()
}

#[test]
fn changes_are_shown_with_their_place() {
    let text = unified("a\nb\nc\n", "a\nx\nc\n", ("yours", "theirs"));
    assert_eq!(text, "--- yours\n+++ theirs\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n");
}
