//! Names and passwords that commands send.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes of a file with a name and a password that are read.
const USER_FILE_MAX: u64 = 64 << 10;

/// The `Authorization` header for the first line of a file, `NAME:PASSWORD`.
///
/// # Errors
/// A sentence with the file that cannot be used.
pub(crate) fn header(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    File::open(file)
        .and_then(|open| open.take(USER_FILE_MAX).read_to_string(&mut text))
        .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.split_once(':').is_none_or(|(name, _)| name.is_empty()) {
        return Err(format!("{}: the first line has to be NAME:PASSWORD", file.display()));
    }
    Ok(format!("Basic {}", STANDARD.encode(line)))
}
