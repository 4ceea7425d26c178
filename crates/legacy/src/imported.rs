//! What was read.

use crate::auth::Auth;
pub use crate::model::Action;
use crate::moment::Moment;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

/// Wall time in nanoseconds since 1970. Later times than the year 2554 are cut to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime(pub u64);

impl WallTime {
    /// Reads a time as the servers print it (RFC 3339, any zone). Nothing if it is none, or the
    /// year 1, with which they say "none".
    pub fn parse(text: &str) -> Option<Self> {
        Moment::parse(text).ok().flatten().map(|moment| Self(moment.saturate()))
    }
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A file and its value.
    File(String),
    /// A directory.
    Dir,
}

impl Content {
    /// The value of a file; nothing for a directory.
    pub fn into_value(self) -> Option<String> {
        match self {
            Content::File(value) => Some(value),
            Content::Dir => None,
        }
    }
}

/// A file or a directory, without its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeState {
    /// Its value, if it is a file.
    pub content: Content,
    /// The store index of its creation.
    pub created: u64,
    /// The store index of its last change. Uncertain for some where [`Warning::UncertainIndexes`]
    /// says so.
    pub modified: u64,
    /// When it expires; permanent without.
    pub expiration: Option<WallTime>,
}

/// A node of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The path as clients know it, such as `/app/one`. Never the root.
    pub path: String,
    /// What it is.
    pub state: NodeState,
}

impl Node {
    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.state.content == Content::Dir
    }
}

/// A past change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What was done.
    pub action: Action,
    /// The path as clients know it.
    pub path: String,
    /// The store index of the change, which the API shows as `node.modifiedIndex`.
    pub index: u64,
    /// The node afterwards; of a removed one its content is what it was.
    pub node: NodeState,
    /// The node before, if there was one.
    pub prev: Option<NodeState>,
    /// Whether it was a refresh, of which watchers are not told.
    pub refresh: bool,
}

/// Which servers wrote the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// 0.2 to 0.4.9.
    V04,
    /// 2.0 to 3.5.
    V2,
    /// Stead itself: a backup, or nodes as lines of JSON.
    Stead,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::V04 => "etcd 0.2 to 0.4",
            Family::V2 => "etcd 2.0 to 3.5",
            Family::Stead => "Stead",
        })
    }
}

/// Where the data comes from, and how far it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceInfo {
    /// The directory or file that was read, of several the one whose log goes furthest.
    pub path: PathBuf,
    /// Which servers wrote it.
    pub family: Family,
    /// The cluster version that a 2.1 to 3.5 recorded, such as `3.4.0`.
    pub cluster_version: Option<String>,
    /// The id of the cluster (2.x and 3.x).
    pub cluster_id: Option<u64>,
    /// The names of the members, or their ids in hexadecimal where no name is known.
    pub members: Vec<String>,
    /// The snapshot that the replay began with: its file and raft index.
    pub snapshot: Option<(PathBuf, u64)>,
    /// Term and index of the last raft entry that the log holds.
    pub last: (u64, u64),
    /// The raft index up to which entries were applied.
    pub applied: u64,
    /// Why up to there.
    pub extent: Extent,
    /// When it was made, if it says so.
    pub made: Option<WallTime>,
}

impl SourceInfo {
    /// Of a source that says nothing of its log and its members.
    pub fn bare(path: PathBuf, family: Family, extent: Extent) -> Self {
        Self {
            path,
            family,
            cluster_version: None,
            cluster_id: None,
            members: Vec::new(),
            snapshot: None,
            last: (0, 0),
            applied: 0,
            extent,
            made: None,
        }
    }
}

/// What was taken for committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// A snapshot alone: there is no log.
    Snapshot,
    /// The whole log, since its member was alone.
    SoleMember,
    /// The whole log that goes furthest of a majority, which holds all acknowledged writes.
    Majority,
    /// The whole log, though it is not known what a majority had.
    Whole,
    /// Up to the commit index that the members recorded.
    Recorded,
    /// What a running server lists.
    Listing,
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Extent::Snapshot => "a snapshot alone",
            Extent::SoleMember => "the whole log of the only member",
            Extent::Majority => "the whole log that goes furthest of a majority of the members",
            Extent::Whole => "the whole log of one member of several",
            Extent::Recorded => "the log up to the recorded commit index",
            Extent::Listing => "the listing of a running server",
        })
    }
}

/// What the operator should know about data that was imported all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The last record was not completely written. The servers drop it too.
    TornTail {
        /// The file.
        file: PathBuf,
        /// Where the record begins.
        offset: u64,
        /// The raft index of the last entry before it.
        last_good: u64,
    },
    /// A damaged file was cut or passed over.
    Damage(crate::Damage),
    /// A snapshot was passed over.
    SnapshotIgnored {
        /// The file.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// Entries above the recorded commit index were left out; a majority may have acknowledged
    /// them.
    UncommittedLeft {
        /// Their number.
        entries: u64,
        /// The recorded commit index.
        commit: u64,
    },
    /// Entries were imported that may never have been acknowledged.
    UncommittedTaken {
        /// Their number, if a commit index is recorded.
        entries: Option<u64>,
        /// Term and index of the last one.
        last: (u64, u64),
    },
    /// What was written after a snapshot is missing.
    SnapshotAlone {
        /// The raft index of the snapshot.
        index: u64,
    },
    /// Files whose snapshot says `modifiedIndex` = `createdIndex` whatever it was, and of which no
    /// event tells.
    UncertainIndexes {
        /// The number of those files.
        files: u64,
        /// The number of all files.
        of: u64,
    },
    /// Records of an unknown kind were passed over.
    UnknownRecords(u64),
    /// Values that were not UTF-8: U+FFFD stands for each invalid byte, as in the API's answers.
    InvalidUtf8(u64),
    /// A directory's TTL was changed around an upgrade to 3.5, which refuses such changes.
    DirUpdateAndUpgrade {
        /// The raft index of the change.
        index: u64,
    },
    /// In-order keys were named as 2.2 and later do, though no version is recorded.
    AssumedPadding,
    /// The log changed while it was read.
    ChangedWhileRead(PathBuf),
    /// The stored data of the authentication are unusable.
    InvalidAuth(String),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::TornTail { file, offset, last_good } => write!(
                f,
                "{}: the last record, at offset {offset}, is incomplete and was left out; the last \
                 complete entry has raft index {last_good}",
                file.display()
            ),
            Warning::Damage(damage) => write!(f, "{damage}; what follows was left out"),
            Warning::SnapshotIgnored { file, why } => {
                write!(f, "{}: ignored: {why}", file.display())
            }
            Warning::UncommittedLeft { entries, commit } => write!(
                f,
                "entries above the recorded commit index {commit} were left out ({entries}); the \
                 last acknowledged writes may be among them. Give the directories of a majority of \
                 the members, or --include-uncommitted"
            ),
            Warning::UncommittedTaken { entries, last: (term, index) } => {
                match entries {
                    Some(entries) => {
                        write!(f, "entries above the recorded commit index ({entries})")?
                    }
                    None => f.write_str("the last entries")?,
                }
                write!(
                    f,
                    " may never have been acknowledged, and were imported; the log ends at term \
                     {term}, index {index}: compare it with the other members' logs"
                )
            }
            Warning::SnapshotAlone { index } => write!(
                f,
                "only a snapshot was imported: everything written after raft index {index} is \
                 missing"
            ),
            Warning::UncertainIndexes { files, of } => write!(
                f,
                "{files} of {of} files have an uncertain modifiedIndex: the snapshot shows their \
                 createdIndex instead"
            ),
            Warning::UnknownRecords(count) => {
                write!(f, "records of an unknown kind were ignored ({count})")
            }
            Warning::InvalidUtf8(count) => {
                write!(
                    f,
                    "keys or values are not UTF-8 ({count}): U+FFFD replaces each invalid byte"
                )
            }
            Warning::DirUpdateAndUpgrade { index } => write!(
                f,
                "the entry with raft index {index} changes the TTL of a directory, and the cluster \
                 was upgraded to 3.5 in the same log: its members may disagree about that TTL"
            ),
            Warning::AssumedPadding => f.write_str(
                "no cluster version is recorded: in-order keys in the log were named with 20 \
                 digits; etcd 2.0 named them without padding",
            ),
            Warning::ChangedWhileRead(file) => write!(
                f,
                "{} changed while it was read: the last writes may be missing",
                file.display()
            ),
            Warning::InvalidAuth(what) => write!(f, "users and roles: {what}"),
        }
    }
}

/// Why something is not among the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkipReason {
    /// What a server keeps about its cluster: members, machines, configuration.
    Internal,
    /// Locks and leaders of the modules of 0.2 to 0.4.
    Module,
    /// Users and roles.
    Auth,
    /// Outside of the trees that a server has.
    Foreign,
    /// A key that is the same as another one once invalid UTF-8 is replaced.
    SameKey,
    /// A name that no key can have.
    InvalidName,
    /// Requests of the v3 API in the log.
    V3Request,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SkipReason::Internal => "nodes of the old server itself (members, configuration)",
            SkipReason::Module => "nodes of the lock and leader modules",
            SkipReason::Auth => "nodes of users and roles",
            SkipReason::Foreign => "nodes outside of the key space",
            SkipReason::SameKey => "keys that are the same as another one without invalid UTF-8",
            SkipReason::InvalidName => "nodes with names that no key can have",
            SkipReason::V3Request => "requests of the v3 API",
        })
    }
}

/// How much was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Why.
    pub reason: SkipReason,
    /// How many nodes or requests.
    pub count: u64,
}

/// The key space of an old server.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Where it comes from.
    pub source: SourceInfo,
    /// The keys of clients, hidden ones too, in the order of [`path_order`]: each directory is
    /// followed by all that is in it, by names.
    pub nodes: Vec<Node>,
    /// What the old server kept about itself, by its own paths (`/0/...`, `/_etcd/...`).
    pub internal: Vec<Node>,
    /// The store index: what clients saw as `X-Etcd-Index`.
    pub index: u64,
    /// The last events on keys of clients, the oldest first.
    pub history: Vec<Event>,
    /// The index from which on `history` has all events. [`Imported::index`] + 1 without any.
    pub history_start: u64,
    /// Users and roles, if they were asked for and there are any.
    pub auth: Option<Auth>,
    /// What the operator should know.
    pub warnings: Vec<Warning>,
    /// What was not taken, and why.
    pub skipped: Vec<Skipped>,
}

impl Imported {
    /// Nodes alone, in the order of [`path_order`], of a store whose last change had `index`.
    pub fn without_history(source: SourceInfo, nodes: Vec<Node>, index: u64) -> Self {
        Self {
            source,
            nodes,
            internal: Vec::new(),
            index,
            history: Vec::new(),
            history_start: index.saturating_add(1),
            auth: None,
            warnings: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// Whether everything is here that the old servers have acknowledged, as far as that can be
    /// known: an index above [`Imported::index`] was then never given to a client.
    pub fn is_whole(&self) -> bool {
        let loses = |warning: &Warning| {
            matches!(
                warning,
                Warning::TornTail { .. }
                    | Warning::Damage(_)
                    | Warning::UncommittedLeft { .. }
                    | Warning::SnapshotAlone { .. }
                    | Warning::UnknownRecords(_)
                    | Warning::ChangedWhileRead(_)
            )
        };
        let has_end = matches!(self.source.extent, Extent::SoleMember | Extent::Majority);
        has_end && !self.warnings.iter().any(loses)
    }

    /// The node at a path.
    pub fn get(&self, path: &str) -> Option<&Node> {
        let at = self.nodes.binary_search_by(|node| path_order(&node.path, path)).ok()?;
        self.nodes.get(at)
    }

    /// Whether a directory holds anything.
    pub fn has_below(&self, dir: &str) -> bool {
        let at = self.nodes.partition_point(|node| path_order(&node.path, dir).is_le());
        let next = self.nodes.get(at).and_then(|node| node.path.strip_prefix(dir));
        next.is_some_and(|rest| rest.starts_with('/'))
    }

    /// Drops the nodes whose deadline is not after `now`, with all that is below them, and returns
    /// how many nodes that were.
    pub fn drop_expired(&mut self, now: WallTime) -> u64 {
        let mut dirs: BTreeSet<String> = BTreeSet::new();
        let before = self.nodes.len();
        self.nodes.retain(|node| {
            let is_due = node.state.expiration.is_some_and(|deadline| deadline <= now);
            let is_gone = is_due || parent(&node.path).is_some_and(|dir| dirs.contains(dir));
            if is_gone && node.is_dir() {
                dirs.insert(node.path.clone());
            }
            !is_gone
        });
        u64::try_from(before.saturating_sub(self.nodes.len())).unwrap_or(u64::MAX)
    }
}

/// The order of a walk through the tree: by the bytes of one name after the other. The bytes of
/// whole paths would put `/a-b` between `/a` and `/a/b`.
pub fn path_order(one: &str, other: &str) -> Ordering {
    one.split('/').cmp(other.split('/'))
}

fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(parent, _)| parent)
}
