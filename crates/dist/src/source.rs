//! What is packed: which commit, and what it calls itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A commit of the project.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The project's folder.
    pub(crate) root: PathBuf,
    /// The version of its packages.
    pub(crate) version: String,
    /// The commit's hash.
    pub(crate) commit: String,
    /// When it was made, in seconds since 1970: the time of everything that is packed.
    pub(crate) time: u64,
    /// What it is built for, as rustc names it.
    pub(crate) target: String,
}

impl Source {
    /// Reads a project's folder.
    ///
    /// # Errors
    /// What could not be found out; or that files differ from the commit.
    pub(crate) fn of(root: &Path, may_differ: bool) -> Result<Self, String> {
        let git = |args: &[&str]| run(Command::new("git").arg("-C").arg(root).args(args));
        if !may_differ && !git(&["status", "--porcelain"])?.is_empty() {
            let remedy = "commit them, or pack them all the same with --dirty";
            return Err(format!("files differ from the commit: {remedy}"));
        }
        let time = git(&["log", "-1", "--format=%ct"])?;
        let rustc = run(Command::new("rustc").arg("-vV"))?;
        let target = rustc.lines().find_map(|line| line.strip_prefix("host: "));
        Ok(Self {
            root: root.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: git(&["rev-parse", "HEAD"])?,
            time: time.parse().map_err(|_| format!("git said {time:?} for a time"))?,
            target: target.ok_or("rustc does not say what it builds for")?.to_owned(),
        })
    }

    /// A file of the project.
    ///
    /// # Errors
    /// That it cannot be read, with its name.
    pub(crate) fn read(&self, path: &str) -> Result<String, String> {
        let path = self.root.join(path);
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// The first part of the target, such as `x86_64`.
    pub(crate) fn machine(&self) -> &str {
        self.target.split('-').next().unwrap_or(&self.target)
    }

    /// What Debian and OCI images call that machine.
    ///
    /// # Errors
    /// That they have no name for it here.
    pub(crate) fn architecture(&self) -> Result<&'static str, String> {
        match self.machine() {
            "x86_64" => Ok("amd64"),
            "aarch64" => Ok("arm64"),
            other => Err(format!("no package is made for {other}")),
        }
    }

    /// When the commit was made, in UTC, as RFC 3339 has it.
    ///
    /// # Errors
    /// That no calendar goes that far.
    pub(crate) fn date(&self) -> Result<String, String> {
        let seconds = i64::try_from(self.time).map_err(|error| error.to_string())?;
        OffsetDateTime::from_unix_timestamp(seconds)
            .map_err(|error| error.to_string())?
            .format(&Rfc3339)
            .map_err(|error| error.to_string())
    }

    /// What packages call the version and the target in their file names.
    pub(crate) fn label(&self) -> String {
        format!("stead-{}-{}-linux", self.version, self.machine())
    }
}

/// Runs a program to its end, and gives what it printed.
///
/// # Errors
/// That it failed, with what it said.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.output().map_err(|error| format!("{name} cannot be run: {error}"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(format!("{name} failed ({}): {}", done.status, said.trim()));
    }
    String::from_utf8(done.stdout)
        .map(|text| text.trim_end().to_owned())
        .map_err(|_| format!("{name} printed something that is no text"))
}
