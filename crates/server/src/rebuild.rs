//! A new cluster of one from what was kept of another one: from a backup, from the directory of a
//! member whose cluster has lost its majority for good, or from the keys of another server.
//!
//! The new directory is built whole beside the old files before any of those moves, so that a disk
//! without room leaves everything as it was. Nothing is removed: old files are set aside.

use crate::error::StartError;
use crate::start::draw_seed;
use crate::sys::clock::{Now, SystemClock};
use crate::sys::disk::{DataDir, Sighting};
use replica::{BackupInfo, Clock, Inheritance, InitialIdentity, Salvage};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use store::{Command, InternalWrite, KeyPath, Limits, Stamp, Store, StoreIndex, WallOffset};

/// Where 0.4 kept its members, and where they are shown.
const MACHINES: &str = "/_etcd/machines";

/// The least number of indexes that a new cluster passes over.
const INDEX_MARGIN_MIN: u64 = 1_000_000;

/// Indexes that are passed over for each second since a backup was made. A cluster that wrote
/// faster needs a margin of its own.
const INDEX_MARGIN_A_SECOND: u64 = 1_000;

/// The directory that the new cluster lives in.
#[derive(Clone, Copy, Debug)]
pub struct Home<'a> {
    /// The data directory. It is made if need be.
    pub data_dir: &'a Path,
    /// The name of its member.
    pub name: &'a str,
    /// Whether files of a member that are there already are set aside; otherwise they are a reason
    /// to refuse.
    pub replaces: bool,
}

/// What becomes of times to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadlines {
    /// The time since the backup was made has passed for keys as well, by the wall clock.
    Kept,
    /// Keys live as much longer from now on as they had left when the backup was made.
    Extended,
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    /// The id of the new cluster.
    pub cluster: u64,
    /// The index of the last change in what it was made from.
    pub index: u64,
    /// The index that it goes on from.
    pub next_from: u64,
    /// Where the old files are, if there were any.
    pub set_aside: Option<PathBuf>,
}

/// Reads a backup and checks all of it.
///
/// # Errors
/// A sentence that names the file.
pub fn read_backup(file: &Path) -> Result<(BackupInfo, Store), StartError> {
    let failed = |error| StartError::DataDir(format!("{}: {error}", file.display()));
    let opened = File::open(file).map_err(failed)?;
    replica::read_backup(BufReader::new(opened), Limits::default()).map_err(failed)
}

/// Makes a cluster of one from a backup. `margin` is how many indexes are passed over; without it
/// 1,000,000, and 1,000 for each second since the backup was made.
///
/// # Errors
/// [`StartError`] when the backup cannot be read as a whole, or the directory cannot be used.
/// Nothing has changed then, but that the directory may be there.
pub fn restore(
    file: &Path,
    home: Home<'_>,
    deadlines: Deadlines,
    margin: Option<u64>,
) -> Result<Rebuilt, StartError> {
    let (info, mut store) = read_backup(file)?;
    let now = SystemClock::new().now();
    let seen = match deadlines {
        // The clocks of the machine that made it say nothing here, but for the wall clock.
        Deadlines::Kept => Now { boot: !now.boot, monotonic: 0, wall: info.made.wall },
        Deadlines::Extended => {
            let offset = now.wall.wrapping_sub(info.stamp.time.0).cast_signed();
            store.show_leases_with(WallOffset(offset));
            now
        }
    };
    let source = Source { store, stamp: info.stamp, seen, config: info.config() };
    let margin = margin.unwrap_or_else(|| margin_since(info.made.wall, now.wall));
    rebuild(source, home, Some(margin), "replaced")
}

/// The clocks now: what [`found`] is to be given with a store.
pub fn read_clocks() -> Now {
    SystemClock::new().now()
}

/// Makes a cluster of one from a store that was made of the keys of another server. Its stamp is
/// the time when the clocks showed `seen`. `margin` is how many indexes are passed over; with none
/// it goes on at the next one and keeps its past events.
///
/// # Errors
/// As those of [`restore`].
pub fn found(
    store: Store,
    seen: Now,
    home: Home<'_>,
    margin: Option<u64>,
) -> Result<Rebuilt, StartError> {
    let config = replica::ClusterConfig::default();
    let source = Source { stamp: store.stamp(), store, seen, config };
    rebuild(source, home, margin, "replaced")
}

/// Whether a new cluster could be made in a directory now. Nothing is changed or made.
///
/// # Errors
/// [`StartError`] when the directory is in use, is not one of Stead, or holds a member that is not
/// to be replaced.
pub fn check_home(home: Home<'_>) -> Result<(), StartError> {
    match std::fs::symlink_metadata(home.data_dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        // What cannot be looked at is told by the attempt to.
        _ => check_replaceable(&DataDir::look(home.data_dir).map_err(StartError::DataDir)?, home),
    }
}

fn check_replaceable(data_dir: &DataDir, home: Home<'_>) -> Result<(), StartError> {
    if data_dir.has_member()? && !home.replaces {
        return Err(StartError::DataDir(format!(
            "{} holds a member already: nothing was changed in it. Give another -data-dir, or \
             --force to set its files aside",
            home.data_dir.display()
        )));
    }
    Ok(())
}

/// Looks at the directory of a member that is stopped. Nothing is changed.
///
/// # Errors
/// [`StartError`] when it is in use, damaged, or not one of a member.
pub fn look_at_survivor(data_dir: &Path) -> Result<Salvage, StartError> {
    if !data_dir.is_dir() {
        let detail = format!("data directory {} not found", data_dir.display());
        return Err(StartError::DataDir(detail));
    }
    let disk = DataDir::look(data_dir).map_err(StartError::DataDir)?;
    let salvaged = replica::salvage(&disk, Limits::default());
    salvaged.map_err(|fatal| StartError::from(fatal).on(data_dir))
}

/// How far the other members were when that one last heard of them; nothing where its directory
/// does not say.
pub fn last_seen(data_dir: &Path, survivor: &Salvage) -> Option<Vec<Sighting>> {
    let disk = DataDir::look(data_dir).ok()?;
    disk.seen(survivor.cluster, survivor.id)
}

/// Makes a cluster of one from what a stopped member has, in its own directory. `margin` is how
/// many indexes are passed over; without it 1,000,000.
///
/// # Errors
/// As those of [`restore`].
pub fn recover(
    salvage: Salvage,
    home: Home<'_>,
    margin: Option<u64>,
) -> Result<Rebuilt, StartError> {
    let Salvage { store, stamp, seen, config, .. } = salvage;
    let source = Source { store, stamp, seen, config };
    rebuild(source, home, Some(margin.unwrap_or(INDEX_MARGIN_MIN)), "recovered")
}

/// How many indexes are passed over when what is kept was made at a time, in nanoseconds since
/// 1970, and more may have been written since.
pub fn margin_since(made: u64, now: u64) -> u64 {
    let seconds = now.saturating_sub(made) / 1_000_000_000;
    INDEX_MARGIN_MIN.saturating_add(seconds.saturating_mul(INDEX_MARGIN_A_SECOND))
}

struct Source {
    store: Store,
    stamp: Stamp,
    seen: Now,
    config: replica::ClusterConfig,
}

fn rebuild(
    source: Source,
    home: Home<'_>,
    margin: Option<u64>,
    label: &str,
) -> Result<Rebuilt, StartError> {
    let Source { mut store, stamp, seen, config } = source;
    let data_dir = DataDir::open(home.data_dir).map_err(StartError::DataDir)?;
    check_replaceable(&data_dir, home)?;
    let clock = SystemClock::new();
    let now = clock.now();
    let index = store.index().0;
    forget_machines(&mut store, stamp);
    if let Some(margin) = margin {
        store.begin_anew(StoreIndex(index.saturating_add(margin)));
    }
    let next_from = store.index().0;
    let birth = InitialIdentity::alone(home.name, draw_seed(clock), now);
    let cluster = birth.cluster.0;
    let inheritance = Inheritance { store, stamp, seen, config };
    let failed = |error: std::io::Error| {
        StartError::DataDir(format!("{}: {error}", home.data_dir.display()))
    };
    let built = data_dir.build_beside(|disk| {
        replica::found_with(disk, birth, &inheritance, now).map_err(StartError::from)
    })?;
    data_dir.set_standby(None).map_err(failed)?;
    let set_aside = data_dir.adopt(&built, label).map_err(failed)?;
    Ok(Rebuilt { cluster, index, next_from, set_aside })
}

/// Takes the machines of the old cluster out of the keys that show them.
fn forget_machines(store: &mut Store, stamp: Stamp) {
    let path = KeyPath::parse(MACHINES).expect("the path is clean");
    let Some(node) = store.peek(path) else { return };
    let keys: Vec<String> = node.children().map(|(name, _)| format!("{MACHINES}/{name}")).collect();
    let writes = keys.iter().map(|key| InternalWrite {
        path: KeyPath::parse(key).expect("it is the path of a node"),
        value: None,
    });
    let command = Command::Internal { writes: writes.collect() };
    let applied = store.apply(&command, stamp, &mut Vec::new());
    assert!(applied.is_ok(), "the server's own writes do not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_grows_with_the_age_of_a_backup() {
        let second = 1_000_000_000;
        assert_eq!(margin_since(0, 0), INDEX_MARGIN_MIN);
        assert_eq!(margin_since(5, 2), INDEX_MARGIN_MIN, "a clock that was set back");
        assert_eq!(margin_since(0, 86_400 * second), 87_400_000);
    }
}
