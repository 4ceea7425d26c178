//! One member: a process, its directory, and the files that control what its libraries do to it.

use crate::shadow::Shadow;
use crate::tool::{self, Tools};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
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

    /// A second process with the name, the start line and the libraries of this one, but with ports
    /// and a directory of its own, in which it finds a copy of what this one has.
    pub(crate) fn double(&self, addrs: (SocketAddr, SocketAddr)) -> Result<Self, String> {
        let double = Self {
            name: self.name.clone(),
            addr: addrs.0,
            peer_addr: addrs.1,
            dir: self.dir.join("double"),
            has_own_disk: false,
            child: None,
            program: self.program.clone(),
            flags: self.flags.clone(),
            preload: self.preload.clone(),
            shadow: None,
        };
        let failed = |error: std::io::Error| format!("{}: {error}", double.dir.display());
        fs::create_dir_all(double.disk()).map_err(failed)?;
        double.control("sync", "").map_err(failed)?;
        double.control("clock", "+0").map_err(failed)?;
        copy(&self.data(), &double.data())?;
        Ok(double)
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

    /// How long the log is now.
    pub(crate) fn log_len(&self) -> u64 {
        fs::metadata(self.log()).map_or(0, |found| found.len())
    }

    /// What the member has logged since the log was that long.
    pub(crate) fn log_since(&self, len: u64) -> String {
        let mut bytes = Vec::new();
        let read = File::open(self.log()).and_then(|mut file| {
            file.seek(SeekFrom::Start(len))?;
            file.read_to_end(&mut bytes)
        });
        // A log that is not there says nothing.
        read.map(|_| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
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

    /// Removes everything that it has kept. The process does not run.
    pub(crate) fn wipe(&self) -> std::io::Result<()> {
        fs::remove_dir_all(self.data())?;
        self.note_disk()
    }

    /// Everything that is on the disk now counts as durable. The process does not run.
    fn note_disk(&self) -> std::io::Result<()> {
        self.shadow.as_ref().map_or(Ok(()), |shadow| shadow.adopt(&self.disk()))
    }

    fn older(&self) -> PathBuf {
        self.dir.join("older")
    }

    /// Keeps a copy of its data. The process does not run.
    pub(crate) fn keep_copy(&self) -> Result<(), String> {
        copy(&self.data(), &self.older())
    }

    /// Puts the copy in the place of its data. The process does not run.
    pub(crate) fn put_copy_back(&self) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{}: {error}", self.dir.display());
        fs::remove_dir_all(self.data()).map_err(failed)?;
        copy(&self.older(), &self.data())?;
        fs::remove_dir_all(self.older()).map_err(failed)?;
        self.note_disk().map_err(failed)
    }

    /// Removes the files that `-force-rejoin` has put away; says how many directories they were in.
    pub(crate) fn remove_replaced(&self) -> std::io::Result<usize> {
        let mut count = 0;
        for entry in fs::read_dir(self.data())? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("replaced-") {
                fs::remove_dir_all(entry.path())?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// The directory of everything about it, for those who look into a violation.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    // What a violation has left behind is not to be mixed with the copy.
    let _ = fs::remove_dir_all(to);
    tool::run("cp", &["-a", &tool::text(from), &tool::text(to)])
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
        if self.has_own_disk {
            let _ = tool::unmount(&self.disk());
        }
    }
}
