//! What is told of a data directory that holds a new cluster of one.

use server::{Home, Rebuilt};
use std::fmt::Write as _;

/// What was made, and how to go on.
pub(crate) fn told(rebuilt: &Rebuilt, home: Home<'_>) -> String {
    let Rebuilt { cluster, index, next_from, set_aside } = rebuilt;
    let (data_dir, name) = (home.data_dir.display(), home.name);
    let mut text = format!(
        "{data_dir} holds a new cluster of one: id {cluster:x}, keys as of index {index}; it goes \
         on above index {next_from}\n"
    );
    if let Some(directory) = set_aside {
        let _ = writeln!(text, "the old files are in {}", directory.display());
    }
    let _ = writeln!(text, "start it: stead -data-dir {data_dir} -name {name} ...");
    text
}
