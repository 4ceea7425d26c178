//! Checksums.

use ring::digest::{SHA256, digest};
use std::fmt::Write as _;

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(content: &[u8]) -> String {
    digest(&SHA256, content).as_ref().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("memory takes it");
        text
    })
}

/// A file that `sha256sum --check` reads.
pub(crate) fn list(files: &[(String, Vec<u8>)]) -> String {
    files.iter().map(|(name, content)| format!("{}  {name}\n", sha256(content))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_standard() {
        let want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(list(&[("abc".into(), b"abc".to_vec())]), format!("{want}  abc\n"));
    }
}
