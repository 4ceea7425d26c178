//! Reads what the servers of etcd 0.2 to 3.5 left on disk, as far as it holds keys of the v2 API.
//!
//! [`read`] takes data directories, [`read_file`] a snapshot or a listing of nodes. Nothing is ever
//! written, renamed or locked for longer than a test takes. The old servers repair what they find
//! by cutting it; here damage is an error with file, offset and the last good entry, unless
//! [`Options::accept_damage`] takes what comes before. What is known not to be there, or left out,
//! is a [`Warning`] or [`Skipped`]. docs/spec/migration.md has the formats and rules.
//!
//! Logs of 0.2 to 0.4 and the JSON of `/v2/migration/snapshot` have no checksums: a changed byte
//! within a value cannot be noticed there.
//!
//! ```text
//! detect   which layout
//! v04      log, snapshot          } both replay into `model`, whose Tree does
//! v2       segments, snapshots    } what the store of the old servers did
//! lines    nodes as the API prints them, one each
//! finish   the tree, sorted into keys of clients and all else
//! ```

mod auth;
mod detect;
mod error;
mod finish;
mod imported;
mod lines;
mod lock;
mod model;
mod moment;
mod proto;
mod store_json;
mod v04;
mod v2;

pub use auth::{Auth, Role, User};
pub use error::{Damage, Error, NoData};
pub use imported::{
    Action, Content, Event, Extent, Family, Imported, Node, NodeState, SkipReason, Skipped,
    SourceInfo, WallTime, Warning, path_order,
};

use detect::{DirKind, FileKind};
use std::path::{Path, PathBuf};

/// What may be taken although it is in doubt.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Import what comes before damage in a log.
    pub accept_damage: bool,
    /// Import entries above the recorded commit index of one member of several.
    pub include_uncommitted: bool,
    /// Keep wrong modified indexes of a snapshot, as the server does when it starts.
    pub as_the_server: bool,
    /// Where the write-ahead log of a 2.x or 3.x is, if the server had `--wal-dir`.
    pub wal_dir: Option<PathBuf>,
    /// Read the files of a running server: its last writes may be missing.
    pub live: bool,
    /// Read users and roles.
    pub with_auth: bool,
}

/// Reads one data directory, or those of several members of one cluster.
///
/// # Errors
/// [`Error`], whose message says what to do.
pub fn read(dirs: &[PathBuf], options: &Options) -> Result<Imported, Error> {
    if options.wal_dir.is_some() && dirs.len() != 1 {
        return Err(Error::Options("--wal-dir needs exactly one directory".to_owned()));
    }
    let (mut of_v04, mut of_v2) = (Vec::new(), Vec::new());
    for dir in dirs {
        match detect::dir(dir, options.wal_dir.as_deref())? {
            DirKind::V04(dir) => of_v04.push(dir),
            DirKind::V2(layout) => of_v2.push(layout),
        }
    }
    match (of_v04.first(), of_v2.first()) {
        (Some(one), Some(other)) => Err(Error::Mismatch {
            paths: (one.clone(), other.dir.clone()),
            what: "one is of etcd 0.4, the other one of 2.x or 3.x".to_owned(),
        }),
        (None, None) => Err(Error::Options("no directory was given".to_owned())),
        (Some(_), None) => v04::read(&of_v04, options),
        (None, Some(_)) => v2::read(&of_v2, options),
    }
}

/// Reads a snapshot: `.ss` of 0.2 to 0.4, `.snap` of 2.0 to 3.5, or the JSON of 0.4.9's
/// `/v2/migration/snapshot`. Or nodes as lines of JSON with the members that the keys API has.
///
/// # Errors
/// [`Error`], whose message says what to do.
pub fn read_file(file: &Path, options: &Options) -> Result<Imported, Error> {
    match detect::file(file)? {
        FileKind::StoreJson => v04::read_json(file, options),
        FileKind::V04Snapshot => v04::read_snapshot(file, options),
        FileKind::V2Snapshot => v2::read_snapshot(file, options),
        FileKind::Lines => lines::read(file),
    }
}

/// Reads what a running 0.4.9 answers to `/v2/migration/snapshot`. `origin` is for messages.
///
/// # Errors
/// [`Error`], whose message says what is wrong.
pub fn read_migration(origin: &Path, json: &[u8]) -> Result<Imported, Error> {
    v04::parse_json(origin, json, &Options::default())
}
