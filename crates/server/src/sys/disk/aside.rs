//! Files that are set aside: moved into a sub-directory instead of being removed.
//!
//! The move is decided by one file, [`MARK_NAME`], that names the sub-directory. It is durable
//! before the first file moves and is removed when the last one has, and an open that finds it
//! finishes the move first. So no server ever starts from half a directory, wherever the move was
//! cut off.
//!
//! New files may take the place of those that went: they were built in a sub-directory, and the
//! mark names that too. When the old files have moved it is replaced by one that says so, for from
//! then on the files that are here are the new ones.

use super::contents::MARK_NAME;
use super::directory::Directory;
use super::io_error::{again, of_path};
use super::mark::{Mark, unfinished};
use super::{DataDir, WalPlace, contents};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use wal::Disk;

/// Directories of one label and second at most.
const NUMBER_MAX: u32 = 1000;

impl DataDir {
    /// Moves the log, the snapshots and the files that belong to them into a new sub-directory
    /// `LABEL-YYYYMMDD-HHMMSS`, and gives its path. `LOCK` and the standby marker stay where they
    /// are. The caller has closed the log.
    ///
    /// What was begun is finished by the next [`DataDir::open`] if this is cut off.
    ///
    /// # Errors
    /// What the disk gave. Either nothing has moved then, or the next open finishes the move.
    pub(crate) fn set_aside(&self, label: &str) -> io::Result<PathBuf> {
        self.set_aside_for(label, None)
    }

    /// As [`DataDir::set_aside`]; then the files in `built`, a sub-directory, take their place.
    fn set_aside_for(&self, label: &str, built: Option<&str>) -> io::Result<PathBuf> {
        let target = self.make_target(label)?;
        let mark = Mark::SetAside { target: target.clone(), then: built.map(str::to_owned) };
        let marked = self.replace(MARK_NAME, &mark.text());
        if let Err(error) = marked {
            // An empty directory has no effect. A mark that may be there already needs it.
            if !self.path.join(MARK_NAME).exists() {
                let _ = fs::remove_dir(self.path.join(&target));
            }
            return Err(error);
        }
        self.carry_on(&mark)?;
        Ok(self.path.join(target))
    }

    /// Makes a directory that nothing was set aside in yet; gives its name.
    fn make_target(&self, label: &str) -> io::Result<String> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let stem = format!("{label}-{}", crate::http::time::compact(since.as_secs()));
        for number in 0..NUMBER_MAX {
            let name = if number == 0 { stem.clone() } else { format!("{stem}-{number}") };
            match DirBuilder::new().mode(0o700).create(self.path.join(&name)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made.map(|()| name),
            }
        }
        Err(io::Error::other(format!("{stem} and {NUMBER_MAX} names like it are taken")))
    }

    /// Finishes a move that was cut off; gives the directory that the files are in, or come from,
    /// if there was one.
    pub(super) fn finish_set_aside(&self) -> Result<Option<PathBuf>, String> {
        let Some(mark) = unfinished(&self.path)? else { return Ok(None) };
        let target = match &mark {
            Mark::SetAside { target, .. } | Mark::Adopt { built: target } => target,
        };
        let directory = self.path.join(target);
        let failed =
            |error| format!("cannot finish moving files to {}: {error}", directory.display());
        make_dir(&directory).map_err(failed)?;
        self.carry_on(&mark).map_err(failed)?;
        Ok(Some(directory))
    }

    /// Moves whatever has not moved yet, and takes the mark back.
    fn carry_on(&self, mark: &Mark) -> io::Result<()> {
        let built = match mark {
            Mark::Adopt { built } => Some(built),
            Mark::SetAside { target, then } => {
                self.move_to(target)?;
                then.as_ref()
            }
        };
        if let Some(built) = built {
            self.replace(MARK_NAME, &Mark::Adopt { built: built.clone() }.text())?;
            // First the log: with a snapshot beside it, it is a member's directory.
            if let Some(wal) = &self.wal {
                self.move_from(&wal.path.join(built))?;
            }
            self.move_from(&self.path.join(built))?;
        }
        self.remove(MARK_NAME)?;
        self.sync_dir()
    }

    /// Moves the files of the store into a sub-directory.
    fn move_to(&self, target: &str) -> io::Result<()> {
        let directory = self.path.join(target);
        let of_log = self.wal.as_ref().map(|wal| wal.path.join(target));
        if let Some(of_log) = &of_log {
            make_dir(of_log)?;
        }
        // The names of the new directories are durable before anything is in them.
        self.sync_dir()?;
        let mut names = self.list()?;
        names.retain(|name| contents::is_of_store(name));
        // Snapshots go first and then the log from its beginning, so that even a program that
        // does not know the mark refuses what is left.
        names.sort_by_key(|name| (!name.ends_with(".snap"), name.clone()));
        for name in &names {
            let to = of_log.as_ref().filter(|_| contents::is_log(name)).unwrap_or(&directory);
            move_into(self.place(name), to, name)?;
        }
        if let Some(of_log) = &of_log {
            Directory::open(of_log)?.sync()?;
        }
        Directory::open(&directory)?.sync()?;
        self.sync_dir()
    }
}

/// The label of a sub-directory in which files are built for [`DataDir::adopt`].
const BUILT_LABEL: &str = "built";

impl DataDir {
    /// Whether files of a member are here, or the word that the machine stands by.
    ///
    /// # Errors
    /// What the disk gave.
    pub(crate) fn has_member(&self) -> io::Result<bool> {
        let names = self.list()?;
        Ok(self.standby()?.is_some() || names.iter().any(|name| contents::is_of_store(name)))
    }

    /// Has a member's files written into a new sub-directory, whose name this gives. If that fails
    /// the sub-directory is removed.
    ///
    /// # Errors
    /// What `write` or the disk gave.
    pub(crate) fn build_beside<E: From<io::Error>>(
        &self,
        write: impl FnOnce(&DataDir) -> Result<(), E>,
    ) -> Result<String, E> {
        let name = self.make_target(BUILT_LABEL)?;
        let built = self.path.join(&name);
        let of_log = self.wal.as_ref().map(|wal| wal.path.join(&name));
        let place = WalPlace { given: of_log.as_deref(), is_forced: false };
        let written =
            DataDir::open_at(&built, place).map_err(|detail| io::Error::other(detail).into());
        if let Err(error) = written.and_then(|disk| write(&disk)) {
            // It holds nothing that was there before.
            let _ = fs::remove_dir_all(&built);
            if let Some(of_log) = &of_log {
                let _ = fs::remove_dir_all(of_log);
            }
            return Err(error);
        }
        Ok(name)
    }

    /// Has the files that were built in a sub-directory take the place of those that are here,
    /// which are set aside. Gives where they are; nothing if there were none.
    ///
    /// # Errors
    /// What the disk gave. Either nothing has moved then, or the next open finishes the move.
    pub(crate) fn adopt(&self, built: &str, label: &str) -> io::Result<Option<PathBuf>> {
        if self.list()?.iter().any(|name| contents::is_of_store(name)) {
            return self.set_aside_for(label, Some(built)).map(Some);
        }
        self.carry_on(&Mark::Adopt { built: built.to_owned() }).map(|()| None)
    }

    /// Moves the files of a member from a sub-directory here, and removes the sub-directory.
    fn move_from(&self, built: &Path) -> io::Result<()> {
        if !built.exists() {
            return Ok(());
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(built)? {
            if let Ok(name) = entry?.file_name().into_string()
                && contents::is_of_store(&name)
            {
                names.push(name);
            }
        }
        names.sort_by_key(|name| (name.ends_with(".snap"), name.clone()));
        for name in &names {
            move_into(built, self.place(name), name)?;
        }
        self.sync_dir()?;
        // What is left is a lock file.
        fs::remove_dir_all(built)
    }
}

/// Makes a directory, unless it is there.
fn make_dir(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Gives a file its place in another directory. After a power loss a file system without a journal
/// may show it in both, and then a rename does nothing and says nothing.
fn move_into(from: &Path, to: &Path, name: &str) -> io::Result<()> {
    let source = from.join(name);
    again(|| fs::rename(&source, to.join(name)))
        .map_err(|error| of_path("rename", &source, &error))?;
    match fs::symlink_metadata(&source) {
        Ok(_) => fs::remove_file(&source),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::disk::mark::MARK_VERSION;
    use crate::sys::disk::tests::Scratch;

    const FILES: [&str; 6] = [
        "log-0000000000000001.wal",
        "log-0000000000000009.wal",
        "snapshot-0000000000000007.snap",
        "snapshot-0000000000000008.tmp",
        "incoming.tmp",
        "spare-3.wal",
    ];

    fn filled(label: &str) -> (Scratch, DataDir) {
        let scratch = Scratch::new(label);
        let data_dir = DataDir::open(scratch.path()).expect("a place for files");
        data_dir.set_standby(Some(&["http://127.0.0.1:7001".to_owned()])).expect("the disk works");
        for name in FILES {
            fs::write(scratch.path().join(name), name).expect("the disk works");
        }
        fs::create_dir(scratch.path().join("lost+found")).expect("the disk works");
        (scratch, data_dir)
    }

    fn names(path: &Path) -> Vec<String> {
        let entries = fs::read_dir(path).expect("it is there");
        let name = |entry: io::Result<fs::DirEntry>| entry.expect("the disk works").file_name();
        let mut names: Vec<_> =
            entries.map(|entry| name(entry).into_string().expect("ASCII")).collect();
        names.sort();
        names
    }

    fn assert_moved(path: &Path, target: &Path) {
        let mut want = FILES.map(str::to_owned);
        want.sort();
        assert_eq!(names(target), want);
        for name in FILES {
            let content = fs::read_to_string(target.join(name)).expect("it is there");
            assert_eq!(content, name);
        }
        let target = target.file_name().and_then(|name| name.to_str()).expect("ASCII");
        let mut left = ["LOCK", "lost+found", "standby", target].map(str::to_owned);
        left.sort();
        assert_eq!(names(path), left);
    }

    #[test]
    fn files_are_moved_and_what_is_not_of_the_store_stays() {
        let (scratch, data_dir) = filled("aside");
        let target = data_dir.set_aside("removed").expect("the disk works");
        assert!(target.starts_with(scratch.path()));
        let name = target.file_name().and_then(|name| name.to_str()).expect("ASCII");
        assert!(name.starts_with("removed-20") && contents::is_set_aside(name), "{name}");
        assert_moved(scratch.path(), &target);
        assert!(wal::is_empty(&data_dir).expect("the disk works"));
        drop(data_dir);
        DataDir::open(scratch.path()).expect("what was set aside is ours");
    }

    #[test]
    fn two_moves_in_one_second_do_not_meet() {
        let (scratch, data_dir) = filled("aside-twice");
        let first = data_dir.set_aside("replaced").expect("the disk works");
        fs::write(scratch.path().join(FILES[0]), "newer").expect("the disk works");
        let second = data_dir.set_aside("replaced").expect("the disk works");
        assert_ne!(first, second);
        assert_eq!(fs::read_to_string(first.join(FILES[0])).expect("it is there"), FILES[0]);
        assert_eq!(fs::read_to_string(second.join(FILES[0])).expect("it is there"), "newer");
    }

    #[test]
    fn a_move_that_is_cut_off_anywhere_is_finished_by_the_next_open() {
        for moved in 0..=FILES.len() {
            let (scratch, data_dir) = filled("aside-cut");
            drop(data_dir);
            let target = scratch.path().join("removed-20261129-231500");
            let mark = format!("{MARK_VERSION}\nremoved-20261129-231500\n");
            fs::write(scratch.path().join(MARK_NAME), mark).expect("the disk works");
            // The name of the directory may be lost while nothing is in it.
            if moved > 0 {
                fs::create_dir(&target).expect("the disk works");
            }
            for name in &FILES[..moved] {
                let from = scratch.path().join(name);
                fs::rename(from, target.join(name)).expect("the disk works");
            }
            let refusal = DataDir::look(scratch.path()).expect_err("half of it is elsewhere");
            assert!(refusal.contains("removed-20261129-231500"), "{refusal}");
            drop(DataDir::open(scratch.path()).expect("the move is finished"));
            assert_moved(scratch.path(), &target);
        }
    }

    /// The new files are built, and the move is cut off after so many steps: old files that went,
    /// then new ones that came.
    #[test]
    fn files_take_the_place_of_others_wherever_that_is_cut_off() {
        let news = ["log-0000000000000001.wal", "snapshot-0000000000000001.snap"];
        let (target, built) = ("recovered-20261130-171500", "built-20261130-171459");
        let then = Mark::SetAside { target: target.to_owned(), then: Some(built.to_owned()) };
        let adopt = Mark::Adopt { built: built.to_owned() };
        for step in 0..=FILES.len() + news.len() + 2 {
            let (scratch, data_dir) = filled("aside-adopt");
            drop(data_dir);
            let path = |names: &[&str]| {
                names.iter().fold(scratch.path().to_owned(), |at, name| at.join(name))
            };
            fs::create_dir(path(&[built])).expect("the disk works");
            fs::create_dir(path(&[target])).expect("the disk works");
            for name in news {
                fs::write(path(&[built, name]), "new").expect("the disk works");
            }
            let old = step.min(FILES.len());
            for name in &FILES[..old] {
                fs::rename(path(&[name]), path(&[target, name])).expect("the disk works");
            }
            let new = step.saturating_sub(FILES.len() + 1).min(news.len());
            for name in &news[..new] {
                fs::rename(path(&[built, name]), path(&[name])).expect("the disk works");
            }
            if step == FILES.len() + news.len() + 2 {
                fs::remove_dir_all(path(&[built])).expect("the disk works");
            }
            let mark = if step > FILES.len() { &adopt } else { &then };
            fs::write(path(&[MARK_NAME]), mark.text()).expect("the disk works");
            assert!(DataDir::look(scratch.path()).is_err(), "half of it is elsewhere");
            drop(DataDir::open(scratch.path()).expect("the move is finished"));
            for name in FILES {
                let content = fs::read_to_string(path(&[target, name])).expect("it is there");
                assert_eq!(content, name, "step {step}");
            }
            for name in news {
                assert_eq!(fs::read_to_string(path(&[name])).expect("it is there"), "new");
            }
            assert!(!path(&[built]).exists() && !path(&[MARK_NAME]).exists(), "step {step}");
        }
    }

    #[test]
    fn a_file_that_a_power_loss_left_in_both_places_is_moved() {
        let (scratch, data_dir) = filled("aside-both");
        drop(data_dir);
        let target = scratch.path().join("removed-20261129-231500");
        fs::create_dir(&target).expect("the disk works");
        let mark = format!("{MARK_VERSION}\nremoved-20261129-231500\n");
        fs::write(scratch.path().join(MARK_NAME), mark).expect("the disk works");
        let linked = fs::hard_link(scratch.path().join(FILES[0]), target.join(FILES[0]));
        linked.expect("the disk works");
        drop(DataDir::open(scratch.path()).expect("the move is finished"));
        assert_moved(scratch.path(), &target);
    }

    #[test]
    fn a_mark_that_cannot_be_understood_is_refused_and_nothing_is_touched() {
        let outside = format!("{MARK_VERSION}\n../elsewhere\n");
        for mark in ["", "stead set-aside 2\nremoved-20261129-231500\n", outside.as_str()] {
            let (scratch, data_dir) = filled("aside-unknown");
            drop(data_dir);
            fs::write(scratch.path().join(MARK_NAME), mark).expect("the disk works");
            let before = names(scratch.path());
            let refusal = DataDir::open(scratch.path()).expect_err("nobody knows where to");
            assert!(refusal.contains("set-aside"), "{refusal}");
            assert_eq!(names(scratch.path()), before);
        }
    }
}
