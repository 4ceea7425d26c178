//! Programs of the machine that some faults need, and what is missing where they are not there.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where Debian keeps libfaketime.
const FAKETIME: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// What can be done on this machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tools {
    /// Network namespaces can be made.
    pub(crate) namespaces: bool,
    /// Packets can be dropped in them.
    pub(crate) nft: bool,
    /// A small file system can be mounted.
    pub(crate) mount: bool,
    /// The library that makes syncs slow or fail.
    pub(crate) shim: Option<PathBuf>,
    /// The library that sets the wall clock of one process.
    pub(crate) faketime: Option<PathBuf>,
    /// Certificates can be made and shown.
    pub(crate) openssl: bool,
}

impl Tools {
    /// Looks what there is; builds what can be built below `dir`.
    pub(crate) fn find(dir: &Path, is_loopback: bool) -> Self {
        let is_root = rustix::process::geteuid().is_root();
        let name = format!("stead-torture-{}", std::process::id());
        let namespaces = is_root
            && !is_loopback
            && run("ip", &["netns", "add", &name]).is_ok()
            && run("ip", &["netns", "del", &name]).is_ok();
        let nft = namespaces && run("nft", &["--version"]).is_ok();
        let shim = dir.join("shim.so");
        let source = dir.join("shim.c");
        let is_built = std::fs::write(&source, include_str!("shim.c")).is_ok()
            && run(
                "gcc",
                &[
                    "-O1",
                    "-shared",
                    "-fPIC",
                    "-o",
                    &text(&shim),
                    &text(&source),
                    "-ldl",
                    "-lpthread",
                ],
            )
            .is_ok();
        let faketime = FAKETIME.iter().map(PathBuf::from).find(|path| path.exists());
        let openssl = run("openssl", &["version"]).is_ok() && run("curl", &["--version"]).is_ok();
        Self {
            namespaces,
            nft,
            mount: is_root && try_mount(dir),
            shim: is_built.then_some(shim),
            faketime,
            openssl,
        }
    }
}

fn try_mount(dir: &Path) -> bool {
    let at = dir.join("try-mount");
    std::fs::create_dir_all(&at).is_ok() && mount(&at, 1).is_ok() && unmount(&at).is_ok()
}

/// Mounts a small file system in memory.
pub(crate) fn mount(at: &Path, megabytes: u64) -> Result<(), String> {
    let size = format!("size={megabytes}m,mode=700");
    run("mount", &["-t", "tmpfs", "-o", &size, "stead-torture", &text(at)])
}

pub(crate) fn unmount(at: &Path) -> Result<(), String> {
    run("umount", &["-l", &text(at)])
}

pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Runs a program to its end; the error is what it said.
pub(crate) fn run(program: &str, args: &[&str]) -> Result<(), String> {
    run_with(program, args, "")
}

/// The same, with something to read.
pub(crate) fn run_with(program: &str, args: &[&str], input: &str) -> Result<(), String> {
    let failed = |what: String| format!("{program} {}: {what}", args.join(" "));
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(|error| failed(error.to_string()))?;
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
