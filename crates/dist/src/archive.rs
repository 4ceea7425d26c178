//! Archives that are equal whenever their content is: sorted by nobody but the caller, owned by
//! root or by a number, and as old as the commit.

use flate2::{Compression, GzBuilder};
use std::io::{self, Write};

/// What a path of an archive is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Dir,
    File(Vec<u8>),
}

/// A path of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Relative, without a leading `./`.
    pub(crate) path: String,
    pub(crate) mode: u32,
    /// The number of its user and of its group.
    pub(crate) owner: u64,
    pub(crate) kind: Kind,
}

impl Entry {
    pub(crate) fn dir(path: impl Into<String>, mode: u32) -> Self {
        Self { path: path.into(), mode, owner: 0, kind: Kind::Dir }
    }

    pub(crate) fn file(path: impl Into<String>, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), mode, owner: 0, kind: Kind::File(content.into()) }
    }

    pub(crate) fn owned_by(self, owner: u64) -> Self {
        Self { owner, ..self }
    }
}

/// A tar of these entries, in this order, with this time (seconds since 1970) and this in front of
/// each path.
pub(crate) fn tar(entries: &[Entry], time: u64, prefix: &str) -> io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(time);
        header.set_mode(entry.mode);
        header.set_uid(entry.owner);
        header.set_gid(entry.owner);
        let path = format!("{prefix}{}", entry.path);
        match &entry.kind {
            Kind::Dir => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_size(0);
                builder.append_data(
                    &mut header,
                    format!("{}/", path.trim_end_matches('/')),
                    io::empty(),
                )?;
            }
            Kind::File(content) => {
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(content.len() as u64);
                builder.append_data(&mut header, path, content.as_slice())?;
            }
        }
    }
    builder.into_inner()
}

/// The same bytes compressed; the header tells no time and no name.
pub(crate) fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut writer = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    writer.write_all(bytes)?;
    writer.finish()
}

/// An `ar` archive, as Debian packages are: names of at most 15 characters.
pub(crate) fn ar(members: &[(&str, Vec<u8>)], time: u64) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, content) in members {
        assert!(name.len() < 16, "{name} fits into its field");
        let head =
            format!("{name:<16}{time:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 100_644, content.len());
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(content);
        if content.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn entries() -> Vec<Entry> {
        vec![Entry::dir("a", 0o755), Entry::file("a/b", 0o644, "text").owned_by(7)]
    }

    #[test]
    fn an_archive_has_what_it_was_given_and_nothing_of_the_machine() {
        let packed = gzip(&tar(&entries(), 42, "x/").expect("it fits")).expect("memory");
        assert_eq!(packed, gzip(&tar(&entries(), 42, "x/").expect("it fits")).expect("memory"));
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice()));
        let mut seen = Vec::new();
        for entry in archive.entries().expect("it is a tar") {
            let mut entry = entry.expect("it is whole");
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("it is text");
            let header = entry.header();
            let mtime = header.mtime().expect("a time");
            let path = entry.path().expect("a path").display().to_string();
            seen.push((
                path,
                header.mode().expect("a mode"),
                header.uid().expect("one"),
                mtime,
                text,
            ));
        }
        let want = [("x/a/", 0o755, 0, 42, ""), ("x/a/b", 0o644, 7, 42, "text")];
        let want = want.map(|(path, mode, owner, time, text)| {
            (path.to_owned(), mode, owner, time, text.to_owned())
        });
        assert_eq!(seen, want);
    }

    #[test]
    fn members_of_an_ar_begin_at_even_places() {
        let bytes = ar(&[("one", b"abc".to_vec()), ("two", b"de".to_vec())], 5);
        let text = String::from_utf8(bytes).expect("it is text");
        let head = |name: &str, len: &str| {
            format!("{name:<16}5           0     0     100644  {len:<10}`\n")
        };
        assert_eq!(text, format!("!<arch>\n{}abc\n{}de", head("one", "3"), head("two", "2")));
    }
}
