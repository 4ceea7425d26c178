//! The Debian package: two tars in an `ar`.
//!
//! It is put together here and not by `dpkg-deb`, so that it can be built anywhere and is equal
//! each time. What it installs is in [`files`]; the scripts of its life are in `packaging/debian`.

use crate::archive::{Entry, Kind, ar, gzip, tar};
use crate::binary::{Binary, Shell};
use crate::source::Source;

/// Where the package keeps its settings, which an administrator may change.
const SETTINGS: &str = "etc/default/stead";

/// What it installs, without the folders.
fn files(source: &Source, binary: &Binary) -> Result<Vec<Entry>, String> {
    let text = |path: &str| source.read(path);
    let packed = |bytes: &[u8]| gzip(bytes).map_err(|error| error.to_string());
    let doc = "usr/share/doc/stead";
    let mut files = vec![
        Entry::file(SETTINGS, 0o644, text("packaging/systemd/stead.default")?),
        Entry::file("usr/bin/stead", 0o755, binary.program.clone()),
        Entry::file(
            "usr/lib/systemd/system/stead.service",
            0o644,
            text("packaging/systemd/stead.service")?,
        ),
        Entry::file(
            "usr/lib/systemd/system/stead.socket",
            0o644,
            text("packaging/systemd/stead.socket")?,
        ),
        Entry::file(format!("{doc}/NOTICE"), 0o644, text("NOTICE")?),
        Entry::file(
            format!("{doc}/changelog.gz"),
            0o644,
            packed(text("CHANGELOG.md")?.as_bytes())?,
        ),
        Entry::file(format!("{doc}/copyright"), 0o644, text("packaging/debian/copyright")?),
    ];
    for (name, page) in &binary.pages {
        let path = format!("usr/share/man/man1/{name}.gz");
        files.push(Entry::file(path, 0o644, packed(page)?));
    }
    for (shell, script) in &binary.completions {
        let path = match shell {
            Shell::Bash => "usr/share/bash-completion/completions/stead",
            Shell::Fish => "usr/share/fish/vendor_completions.d/stead.fish",
            Shell::Zsh => "usr/share/zsh/vendor-completions/_stead",
        };
        files.push(Entry::file(path, 0o644, script.clone()));
    }
    Ok(files)
}

/// All folders above these entries, before them.
fn with_folders(files: Vec<Entry>) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    for file in files {
        let above = file.path.match_indices('/').map(|(at, _)| file.path[..at].to_owned());
        for folder in above.collect::<Vec<_>>() {
            if !all.iter().any(|entry| entry.path == folder) {
                all.push(Entry::dir(folder, 0o755));
            }
        }
        all.push(file);
    }
    all.sort_by(|one, other| one.path.cmp(&other.path));
    all
}

fn control(source: &Source, files: &[Entry]) -> Result<Vec<Entry>, String> {
    let size = |entry: &Entry| match &entry.kind {
        Kind::File(content) => content.len().div_ceil(1024),
        Kind::Dir => 1,
    };
    let size: usize = files.iter().map(size).sum();
    let about = source.read("packaging/debian/control")?;
    let about = about
        .replace("@VERSION@", &source.version)
        .replace("@ARCHITECTURE@", source.architecture()?)
        .replace("@SIZE@", &size.to_string());
    let script = |name: &str| {
        let text = source.read(&format!("packaging/debian/{name}"))?;
        Ok::<_, String>(Entry::file(name, 0o755, text))
    };
    Ok(vec![
        Entry::file("conffiles", 0o644, format!("/{SETTINGS}\n")),
        Entry::file("control", 0o644, about),
        script("postinst")?,
        script("postrm")?,
        script("prerm")?,
        Entry::file("triggers", 0o644, source.read("packaging/debian/triggers")?),
    ])
}

/// The package.
///
/// # Errors
/// What is missing, or cannot be packed.
pub(crate) fn package(source: &Source, binary: &Binary) -> Result<Vec<u8>, String> {
    let files = with_folders(files(source, binary)?);
    let control = control(source, &files)?;
    let packed = |entries: &[Entry]| {
        tar(entries, source.time, "")
            .and_then(|bytes| gzip(&bytes))
            .map_err(|error| error.to_string())
    };
    let members = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", packed(&control)?),
        ("data.tar.gz", packed(&files)?),
    ];
    Ok(ar(&members, source.time))
}

/// What dpkg calls such a file.
pub(crate) fn name(source: &Source) -> Result<String, String> {
    Ok(format!("stead_{}_{}.deb", source.version, source.architecture()?))
}
