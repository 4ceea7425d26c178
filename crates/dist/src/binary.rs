//! The program as it is shipped: linked statically, stripped, and with the paths of the machine
//! that built it taken out, so that two builds of a commit are equal.

use crate::source::{Source, run};
use std::path::Path;
use std::process::Command;

/// A shell that commands are completed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shell {
    Bash,
    Fish,
    Zsh,
}

/// The program, and what it makes for those who use it.
pub(crate) struct Binary {
    pub(crate) program: Vec<u8>,
    /// What a debugger needs; nothing of a program that came from elsewhere.
    pub(crate) debug: Option<Vec<u8>>,
    /// Pages of the manual, by their file names.
    pub(crate) pages: Vec<(String, Vec<u8>)>,
    pub(crate) completions: Vec<(Shell, Vec<u8>)>,
}

impl Binary {
    /// Reads a program that is there, and asks it for the rest.
    ///
    /// # Errors
    /// What it cannot do, or that it is not there.
    pub(crate) fn read(path: &Path, debug: Option<Vec<u8>>) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let path = path.canonicalize().map_err(failed)?;
        let program = std::fs::read(&path).map_err(failed)?;
        let folder = std::env::temp_dir().join(format!("stead-dist-{}", std::process::id()));
        let made = run(Command::new(&path).arg("man").arg(&folder));
        let pages = made.and_then(|_| read_all(&folder));
        // What is left of it does no harm.
        let _ = std::fs::remove_dir_all(&folder);
        let complete = |(shell, name): (Shell, &str)| {
            let script = run(Command::new(&path).args(["completion", name]))?;
            Ok((shell, (script + "\n").into_bytes()))
        };
        let shells = [(Shell::Bash, "bash"), (Shell::Fish, "fish"), (Shell::Zsh, "zsh")];
        let completions: Result<_, String> = shells.into_iter().map(complete).collect();
        Ok(Self { program, debug, pages: pages?, completions: completions? })
    }
}

/// The files of a folder, sorted by their names.
fn read_all(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.push((name, std::fs::read(entry.path()).map_err(failed)?));
    }
    files.sort();
    Ok(files)
}

/// Builds the program in a folder of its own.
///
/// # Errors
/// What failed, and what it said.
pub(crate) fn build(source: &Source, folder: &Path) -> Result<Binary, String> {
    let home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
    let home = home.map_err(|_| "neither CARGO_HOME nor HOME is set".to_owned())?;
    let sysroot = run(Command::new("rustc").args(["--print", "sysroot"]))?;
    let places = [
        (source.root.display().to_string(), "/stead"),
        (home, "/cargo"),
        (sysroot, "/rust"),
        (folder.display().to_string(), "/target"),
    ];
    let mut rust = vec!["-Ctarget-feature=+crt-static".to_owned()];
    let mut c = Vec::new();
    for (from, to) in &places {
        rust.push(format!("--remap-path-prefix={from}={to}"));
        c.push(format!("-ffile-prefix-map={from}={to}"));
    }
    let status = Command::new("cargo")
        .args(["build", "--release", "--locked", "--package", "stead", "--target", &source.target])
        .current_dir(&source.root)
        .env("CARGO_TARGET_DIR", folder)
        .env("CARGO_ENCODED_RUSTFLAGS", rust.join("\u{1f}"))
        .env("CFLAGS", c.join(" "))
        .env("SOURCE_DATE_EPOCH", source.time.to_string())
        // What `stead version --json` says beside the version.
        .env("STEAD_BUILD_COMMIT", &source.commit)
        .env("STEAD_BUILD_DATE", source.date()?)
        .env("STEAD_BUILD_TARGET", &source.target)
        .status()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !status.success() {
        return Err(format!("the build failed ({status})"));
    }
    split(&folder.join(&source.target).join("release"))
}

/// Takes the debug information out of the program in a folder.
fn split(folder: &Path) -> Result<Binary, String> {
    let tool = |name: &str, args: &[&str]| {
        run(Command::new(name).args(args).current_dir(folder)).map(drop)
    };
    tool("objcopy", &["--only-keep-debug", "stead", "stead.debug"])?;
    tool("strip", &["--strip-all", "-o", "stead.stripped", "stead"])?;
    tool("objcopy", &["--add-gnu-debuglink=stead.debug", "stead.stripped"])?;
    let read =
        |name: &str| std::fs::read(folder.join(name)).map_err(|error| format!("{name}: {error}"));
    Binary::read(&folder.join("stead.stripped"), Some(read("stead.debug")?))
}
