//! The command line: what it prints, how it ends, and where its values come from.
//!
//! Nothing of the caller's environment is passed on, and each run has a time limit. Only a few runs
//! become servers; the rest end by themselves.

mod mistakes;
mod serving;
mod sources;
mod texts;

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::testkit::TempDir;
use crate::testkit::wait::holds_within;

/// How long a run may take.
const RUN_TIMEOUT: Duration = Duration::from_secs(20);

/// How a run ended, and what it said.
#[derive(Debug)]
struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

/// A place to run in.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new(label: &str) -> Self {
        Self { dir: TempDir::new(&format!("cli-{label}")) }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Run {
        self.run_with(&[], args)
    }

    /// Runs the program to its end, with these variables and no others.
    fn run_with<S: AsRef<OsStr>>(&self, env: &[(&str, &str)], args: &[S]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stead"));
        command.args(args).env_clear().envs(env.iter().copied());
        self.finish(&mut command)
    }

    fn finish(&self, command: &mut Command) -> Run {
        let (out, err) = (self.path().join("stdout"), self.path().join("stderr"));
        command.current_dir(self.path()).stdin(Stdio::null());
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        let mut child = command.spawn().unwrap();
        let mut status = None;
        let has_ended = holds_within(RUN_TIMEOUT, || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        if !has_ended {
            // The process is ours and hung; the test fails either way.
            let _ = child.kill();
            let _ = child.wait();
        }
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let run = Run { code: status.and_then(|s| s.code()), out: read(&out), err: read(&err) };
        assert!(has_ended, "{command:?} did not end: {run:?}");
        run
    }

    /// A run that must be refused as a mistake of the caller, with one line that holds `want`.
    /// Only a mistake in a file is shown in its place, which takes more.
    fn refuses(&self, env: &[(&str, &str)], args: &[&str], want: &str) {
        let run = self.run_with(env, args);
        assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{args:?}: {run:?}");
        let lines = if run.err.contains("TOML parse error") { 5 } else { 1 };
        assert_eq!(run.err.lines().count(), lines, "{args:?}: {run:?}");
        assert!(run.err.starts_with("stead: "), "{args:?}: {run:?}");
        assert!(run.err.contains(want), "{args:?}: wanted {want:?}: {run:?}");
    }

    /// A setting as `config show` prints it: value and source.
    fn shown(&self, env: &[(&str, &str)], args: &[&str], flag: &str) -> (String, String) {
        let args: Vec<&str> = ["config", "show", "-name=m"].iter().chain(args).copied().collect();
        let run = self.run_with(env, &args);
        assert_eq!(run.code, Some(0), "{args:?}: {run:?}");
        let line = run.out.lines().find_map(|line| line.strip_prefix(flag)?.strip_prefix(' '));
        let line = line.unwrap_or_else(|| panic!("{flag} is not shown: {run:?}")).trim_start();
        let (value, source) = line.strip_prefix('"').and_then(|rest| rest.split_once('"')).unwrap();
        (value.to_owned(), source.trim().to_owned())
    }
}
