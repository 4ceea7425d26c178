//! The tarball: the program and what belongs beside it, in one folder.

use crate::archive::{Entry, gzip, tar};
use crate::binary::{Binary, Shell};
use crate::source::Source;
use std::path::Path;

/// What goes along as it is.
const FILES: [&str; 5] = ["CHANGELOG.md", "COMPAT.md", "LICENSE", "NOTICE", "README.md"];

/// Whole folders that go along.
const FOLDERS: [&str; 3] = ["docs", "packaging/prometheus", "packaging/systemd"];

fn folder(source: &Source, path: &str, into: &mut Vec<Entry>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{path}: {error}");
    let read = std::fs::read_dir(source.root.join(path)).map_err(failed)?;
    let mut names = Vec::new();
    for entry in read {
        let name = entry.map_err(failed)?.file_name();
        names.push(name.into_string().map_err(|name| format!("{path}: {name:?} is no text"))?);
    }
    names.sort();
    into.push(Entry::dir(path, 0o755));
    for name in names {
        let path = format!("{path}/{name}");
        let place = source.root.join(&path);
        if place.is_dir() {
            folder(source, &path, into)?;
        } else {
            let content = std::fs::read(&place).map_err(|error| format!("{path}: {error}"))?;
            into.push(Entry::file(path, 0o644, content));
        }
    }
    Ok(())
}

fn pack(source: &Source, entries: &[Entry]) -> Result<Vec<u8>, String> {
    let name = format!("stead-{}", source.version);
    let mut all = vec![Entry::dir("", 0o755)];
    all.extend_from_slice(entries);
    tar(&all, source.time, &format!("{name}/"))
        .and_then(|bytes| gzip(&bytes))
        .map_err(|error| error.to_string())
}

/// The program with its documents.
///
/// # Errors
/// What is missing, or cannot be packed.
pub(crate) fn program(source: &Source, binary: &Binary) -> Result<Vec<u8>, String> {
    let mut entries = Vec::new();
    for path in FILES {
        entries.push(Entry::file(path, 0o644, source.read(path)?));
    }
    for path in FOLDERS {
        for above in Path::new(path).ancestors().skip(1).filter(|above| above.parent().is_some()) {
            let above = above.display().to_string();
            if !entries.iter().any(|entry: &Entry| entry.path == above) {
                entries.push(Entry::dir(above, 0o755));
            }
        }
        folder(source, path, &mut entries)?;
    }
    for folder in ["share", "share/completion", "share/man", "share/man/man1"] {
        entries.push(Entry::dir(folder, 0o755));
    }
    for (shell, script) in &binary.completions {
        let name = match shell {
            Shell::Bash => "stead.bash",
            Shell::Fish => "stead.fish",
            Shell::Zsh => "_stead",
        };
        entries.push(Entry::file(format!("share/completion/{name}"), 0o644, script.clone()));
    }
    for (name, page) in &binary.pages {
        entries.push(Entry::file(format!("share/man/man1/{name}"), 0o644, page.clone()));
    }
    entries.push(Entry::file("stead", 0o755, binary.program.clone()));
    pack(source, &entries)
}

/// What a debugger needs beside the program.
///
/// # Errors
/// That it cannot be packed.
pub(crate) fn debug(source: &Source, debug: &[u8]) -> Result<Vec<u8>, String> {
    pack(source, &[Entry::file("stead.debug", 0o644, debug)])
}
