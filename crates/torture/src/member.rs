//! One member: a process, its directory, and the files that control what its libraries do to it.

use crate::shadow::Shadow;
use crate::tool::{self, Tools};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Megabytes of the small disk: room for some segments and snapshots, and quickly filled.
const DISK_MEGABYTES: u64 = 192;

/// One member, which may run or not.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) addr: SocketAddr,
    pub(crate) peer_addr: SocketAddr,
    dir: PathBuf,
    pub(crate) has_own_disk: bool,
    child: Option<Child>,
    /// The words before the flags: how to get into the namespace, and the program.
    program: Vec<String>,
    flags: Vec<String>,
    preload: Vec<PathBuf>,
    /// What it synced, where a library keeps account of it.
    shadow: Option<Shadow>,
}

impl Member {
    /// Makes its directory, and a disk of its own if it is to have one.
    pub(crate) fn make(
        dir: PathBuf,
        addrs: (SocketAddr, SocketAddr),
        program: Vec<String>,
        tools: &Tools,
        has_own_disk: bool,
    ) -> Result<Self, String> {
        let name = dir.file_name().map(|name| name.to_string_lossy().into_owned());
        let preload = tools.shim.iter().chain(&tools.faketime).cloned().collect();
        let mut member = Self {
            name: name.unwrap_or_default(),
            addr: addrs.0,
            peer_addr: addrs.1,
            dir,
            has_own_disk: false,
            child: None,
            program,
            flags: Vec::new(),
            preload,
            shadow: None,
        };
        let failed = |error: std::io::Error| format!("{}: {error}", member.dir.display());
        fs::create_dir_all(member.disk()).map_err(failed)?;
        member.control("sync", "").map_err(failed)?;
        member.control("clock", "+0").map_err(failed)?;
        if tools.shim.is_some() {
            member.shadow = Some(Shadow::new(member.dir.join("shadow")).map_err(failed)?);
        }
        if has_own_disk {
            tool::mount(&member.disk(), DISK_MEGABYTES)?;
            member.has_own_disk = true;
        }
        Ok(member)
    }

    pub(crate) fn set_flags(&mut self, flags: Vec<String>) {
        self.flags = flags;
    }

    /// Where the disk is, with the data directory on it.
    pub(crate) fn disk(&self) -> PathBuf {
        self.dir.join("disk")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.disk().join("data")
    }

    fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Everything that the member has logged, over all its starts.
    pub(crate) fn log_text(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// Tells one of its libraries what to do.
    pub(crate) fn control(&self, what: &str, text: &str) -> std::io::Result<()> {
        // Renamed into place: a file that is written in place is empty for a moment.
        let (new, path) = (self.dir.join("new"), self.dir.join(what));
        fs::write(&new, text)?;
        fs::rename(new, path)
    }

    pub(crate) fn spawn(&mut self, more: &[String]) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("cannot start: {error}");
        let log = OpenOptions::new().create(true).append(true).open(self.log()).map_err(failed)?;
        let (first, others) = self.program.split_first().ok_or("no program")?;
        let preload: Vec<String> = self.preload.iter().map(|path| tool::text(path)).collect();
        let mut command = Command::new(first);
        command
            .args(others)
            .arg("-data-dir")
            .arg(self.data())
            .args(["-name", &self.name])
            .args(["-addr", &self.addr.to_string()])
            .args(["-peer-addr", &self.peer_addr.to_string()])
            .args(&self.flags)
            .args(more)
            .env("STEAD_TORTURE_SYNC", self.dir.join("sync"))
            .env("FAKETIME_TIMESTAMP_FILE", self.dir.join("clock"))
            .env("FAKETIME_NO_CACHE", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            // What is typed at the terminal is for the run, which ends its members itself.
            .process_group(0);
        if let Some(shadow) = &self.shadow {
            command.env("STEAD_TORTURE_SHADOW", shadow.folder());
        }
        if !preload.is_empty() {
            command.env("LD_PRELOAD", preload.join(":"));
        }
        self.child = Some(command.spawn().map_err(failed)?);
        Ok(())
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            // One that is gone needs no signal.
            let _ = kill_process(pid, signal);
        }
    }

    /// Ends the process as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Waits until the process has ended by itself.
    pub(crate) fn wait_end(&mut self, within: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        let child = self.child.as_mut()?;
        while start.elapsed() < within {
            if let Ok(Some(status)) = child.try_wait() {
                self.child = None;
                return Some(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// Loses what was not synced, as at a power loss. The process does not run.
    pub(crate) fn lose_power(&mut self) -> Result<(), String> {
        self.kill();
        let shadow = self.shadow.as_ref().ok_or("nothing keeps account of syncs")?;
        let restored = shadow.restore(&self.disk());
        restored.map_err(|error| format!("{}: the durable files: {error}", self.name))
    }

    /// Removes everything that it has kept.
    pub(crate) fn wipe(&self) -> std::io::Result<()> {
        fs::remove_dir_all(self.data())
    }

    /// The directory of everything about it, for those who look into a violation.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
        if self.has_own_disk {
            let _ = tool::unmount(&self.disk());
        }
    }
}
