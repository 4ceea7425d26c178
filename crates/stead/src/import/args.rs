//! The command line of `stead import`.

use crate::args::{Args, Flags};
use crate::resolve::check_name;
use crate::source::Usage;
use std::path::PathBuf;

/// What is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Dirs(Vec<PathBuf>),
    Snapshot(PathBuf),
    Live(Live),
}

/// A running server as the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Live {
    /// URLs of members of one cluster.
    pub(super) urls: Vec<String>,
    /// Hidden keys that are to be looked at besides those that are found.
    pub(super) hidden: Vec<String>,
    /// A file with `name:password`.
    pub(super) user: Option<PathBuf>,
    /// For TLS; there is no token.
    pub(super) files: Files,
    /// Whether both sides are compared at the end.
    pub(super) verify: bool,
    /// Whether changes are carried over until a signal comes.
    pub(super) follow: bool,
}

/// What to do with keys that the target has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// Refuse any but those that an import which was interrupted has written.
    Refuse,
    /// Leave other keys alone, and refuse different values of the same keys.
    Merge,
    /// Leave other keys alone, and replace different values of the same keys.
    Overwrite,
}

/// A new data directory that is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    /// The name of its machine.
    pub(super) name: String,
    /// How many indexes are to be passed over; nothing if that depends on the source.
    pub(super) margin: Option<u64>,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) source: Source,
    pub(super) options: legacy::Options,
    /// URLs of members of one cluster. None with a dry run means: read the source only.
    pub(super) to: Vec<String>,
    /// The data directory that is made instead of writing to servers.
    pub(super) directory: Option<Directory>,
    /// What is put in front of each key: empty, or a path without a slash at its end.
    pub(super) prefix: String,
    pub(super) existing: Existing,
    /// Whether users and roles are taken too.
    pub(super) with_users: bool,
    pub(super) is_dry_run: bool,
    pub(super) is_json: bool,
    pub(super) files: Files,
}

impl Order {
    /// Whether both sides are compared at the end.
    pub(super) fn is_verify(&self) -> bool {
        matches!(&self.source, Source::Live(live) if live.verify)
    }
}

/// Files that a target with a secret, or with TLS, asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) token: Option<String>,
    /// A file with `name:password`.
    pub(super) user: Option<PathBuf>,
    pub(super) ca: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

/// A command line.
#[derive(Clone, Debug)]
pub(super) enum Request {
    Help,
    Import(Box<Order>),
}

pub(crate) const HELP: &str = "\
stead import: copy the keys and users of an etcd 0.2 to 3.5, from its files or live, into a running
server, or from its files into a new data directory

Usage:
  stead import --from URL[,URL...] --to URL[,URL...] [--verify] [--follow] [options]
  stead import --from-dir DIR [--from-dir DIR2 ...] --to URL[,URL...] [options]
  stead import --from-dir DIR [--from-dir DIR2 ...] --data-dir DIR --name NAME [options]
  stead import --from-snapshot FILE ... with the same targets

A running server as the source, which is only read (0.4, 2.x, 3.0 to 3.5 with --enable-v2, Stead):
  --from URL[,URL...]    client URLs of its members; each is tried
  --hidden KEY[,KEY...]  hidden keys to take besides those that are found: no etcd lists hidden keys
  --verify               compare both sides at the end; exit code 1 if they differ. With --dry-run
                         nothing is written: compare only
  --follow               go on with the changes until SIGINT or SIGTERM
  --source-user-file FILE  NAME:PASSWORD where the source has users; it has to be root
  --from-ca-file FILE    authorities of the source's certificates (PEM)
  --from-cert-file FILE  certificate to show to the source (PEM)
  --from-key-file FILE   its key (PEM)

Files as the source, which are only read:
  --from-dir DIR         a data directory. Give those of all members of a cluster that are left:
                         only a majority of them tells what was acknowledged last
  --from-snapshot FILE   a snapshot: snapshot/*.ss of 0.4, member/snap/*.snap of 2.x and 3.x, or
                         what 0.4.9 answers to /v2/migration/snapshot; of Stead a backup, or the
                         lines that `stead backup inspect --json` prints
  --wal-dir DIR          the log of a 2.x or 3.x that had --wal-dir
  --live                 read the files of a running server, though the last writes may be missing
  --accept-damage        import what comes before damage in a log
  --include-uncommitted  import all that the only directory of several members has, not only
                         what it knows to be committed
  --as-the-server        keep wrong modified indexes of 0.4's snapshots instead of repairing them

Target, a running server:
  --to URL[,URL...]      client URLs of members; each is tried
  --merge                import into a target that has other keys; its keys stay. The same key with
                         another value is refused before anything is written
  --force                as --merge, and replace the values of keys that differ
  --user-file FILE       NAME:PASSWORD where the target has users; it has to be root
  --token-file FILE      the cluster's secret, where it has one (-peer-token-file)
  --ca-file FILE         authorities of the servers' certificates (PEM)
  --cert-file FILE       certificate to show to the servers (PEM)
  --key-file FILE        its key (PEM)

Target, a new data directory, whose machine is alone in a new cluster:
  --data-dir DIR         where it is made; --force sets the files of a member there aside
  --name NAME            the name of its machine: start it with the same -data-dir and -name
  --index-margin N       pass over N indexes and forget past events; with 0 it goes on at the next
                         index, and past events are kept. Without this flag it is 0 where the
                         source has all that was acknowledged, and 1000000 where it may lack the
                         last writes, whose indexes clients may know

  --prefix PATH          import /a as PATH/a, and rights to /a as rights to PATH/a
  --no-users             leave users and roles out
  --dry-run              read everything, say what would be written, and write nothing
  --json                 print the report as JSON
  --help                 print this text

Examples:
  stead import --from http://10.0.0.9:2379 --to http://127.0.0.1:4001 --verify
  stead import --from-dir /var/lib/etcd --data-dir /var/lib/stead --name m1
  stead import --from-dir m1.etcd --from-dir m2.etcd --to 127.0.0.1:4001 --dry-run

The source is read and checked completely before the first write. An import that was interrupted
continues when the same command is given again. Keys that have expired are dropped; the others
expire when they would have. Hidden keys are imported; what the old servers kept about themselves
is not. A running server gives each key a createdIndex and modifiedIndex of its own, which are
greater than all of the source if it can raise its index; in a new data directory each key keeps
those that it had.

Users and roles come along. From files users keep their passwords; a running source shows none, so
that the report names its users with a command for each that makes it. In a new data directory users
count if they did; at a running target somebody has to let them. Users that the target has keep
their passwords, and other rights than at the source are refused unless --force replaces them.
";

pub(crate) const FLAGS: Flags = Flags {
    command: "import",
    valued: &[
        "source-user-file",
        "from-ca-file",
        "from-cert-file",
        "from-key-file",
        "from-snapshot",
        "wal-dir",
        "data-dir",
        "name",
        "index-margin",
        "prefix",
        "user-file",
        "token-file",
        "ca-file",
        "cert-file",
        "key-file",
    ],
    repeated: &["from", "hidden", "from-dir", "to"],
    plain: &[
        "live",
        "accept-damage",
        "include-uncommitted",
        "as-the-server",
        "merge",
        "force",
        "no-users",
        "verify",
        "follow",
        "dry-run",
        "json",
    ],
    has_words: false,
};

/// Reads the arguments behind `import`.
pub(super) fn parse(args: &[String]) -> Result<Request, Usage> {
    let args = Args::parse(FLAGS, args)?;
    if args.help {
        return Ok(Request::Help);
    }
    let mut found = Found::default();
    for name in FLAGS.valued.iter().chain(FLAGS.repeated) {
        args.values(name).try_for_each(|value| found.value(name, value.to_owned()))?;
    }
    for name in FLAGS.plain {
        *found.switch(name) = args.has(name);
    }
    found.finish()
}

#[derive(Default)]
struct Found {
    dirs: Vec<PathBuf>,
    snapshot: Option<PathBuf>,
    live: Live,
    to: Vec<String>,
    data_dir: Option<PathBuf>,
    name: Option<String>,
    margin: Option<u64>,
    prefix: String,
    options: legacy::Options,
    is_merge: bool,
    is_force: bool,
    without_users: bool,
    is_dry_run: bool,
    is_json: bool,
    files: Files,
}

impl Found {
    fn switch(&mut self, name: &str) -> &mut bool {
        match name {
            "live" => &mut self.options.live,
            "accept-damage" => &mut self.options.accept_damage,
            "include-uncommitted" => &mut self.options.include_uncommitted,
            "as-the-server" => &mut self.options.as_the_server,
            "merge" => &mut self.is_merge,
            "force" => &mut self.is_force,
            "no-users" => &mut self.without_users,
            "verify" => &mut self.live.verify,
            "follow" => &mut self.live.follow,
            "dry-run" => &mut self.is_dry_run,
            "json" => &mut self.is_json,
            _ => unreachable!("no flag of the table: {name}"),
        }
    }

    fn value(&mut self, name: &str, value: String) -> Result<(), Usage> {
        match name {
            "from-dir" => self.dirs.push(value.into()),
            "from-snapshot" => self.snapshot = Some(value.into()),
            "wal-dir" => self.options.wal_dir = Some(value.into()),
            "data-dir" => self.data_dir = Some(value.into()),
            "name" => {
                check_name(&value)?;
                self.name = Some(value);
            }
            "index-margin" => {
                let invalid = |_| Usage(format!("--index-margin: invalid number {value:?}"));
                self.margin = Some(value.parse().map_err(invalid)?);
            }
            "from" => self.live.urls.append(&mut urls(&value)?),
            "hidden" => self.live.hidden.append(&mut hidden(&value)?),
            "source-user-file" => self.live.user = Some(value.into()),
            "from-ca-file" => self.live.files.ca = Some(value.into()),
            "from-cert-file" => self.live.files.cert = Some(value.into()),
            "from-key-file" => self.live.files.key = Some(value.into()),
            "prefix" => self.prefix = prefix(&value)?,
            "user-file" => self.files.user = Some(value.into()),
            "token-file" => self.files.token = Some(value),
            "ca-file" => self.files.ca = Some(value.into()),
            "cert-file" => self.files.cert = Some(value.into()),
            "key-file" => self.files.key = Some(value.into()),
            "to" => self.to.append(&mut urls(&value)?),
            _ => unreachable!("no flag of the table: {name}"),
        }
        Ok(())
    }

    /// The data directory that is to be made, with all that is said about it and nothing else.
    fn directory(&self) -> Result<Option<Directory>, Usage> {
        let wrong = |detail: &str| Err(Usage(detail.to_owned()));
        let (path, name) = match (&self.data_dir, &self.name) {
            (None, None) if self.margin.is_none() => return Ok(None),
            (None, _) => return wrong("--name and --index-margin are about --data-dir"),
            (Some(_), None) => return wrong("--data-dir needs the --name of its machine"),
            (Some(path), Some(name)) => (path.clone(), name.clone()),
        };
        if !self.to.is_empty() {
            return wrong("give either --to or --data-dir");
        }
        if self.is_merge || self.files != Files::default() {
            return wrong(
                "--merge, --user-file, --token-file and the files for TLS are about --to",
            );
        }
        Ok(Some(Directory { path, name, margin: self.margin }))
    }

    /// What is read: one of three.
    fn source(&mut self) -> Result<Source, Usage> {
        let live = std::mem::take(&mut self.live);
        let is_live = !live.urls.is_empty();
        if !is_live && live != Live::default() {
            return Err(Usage(
                "--verify, --follow, --hidden, --source-user-file, --from-ca-file, \
                 --from-cert-file and --from-key-file belong to --from"
                    .to_owned(),
            ));
        }
        if live.files.cert.is_some() != live.files.key.is_some() {
            return Err(Usage("--from-cert-file and --from-key-file belong together".to_owned()));
        }
        if self.is_dry_run && live.follow {
            return Err(Usage("--follow writes: it cannot be a --dry-run".to_owned()));
        }
        if self.to.is_empty() && live.verify {
            return Err(Usage("--verify compares with a target: name it with --to".to_owned()));
        }
        match (is_live, self.dirs.is_empty(), self.snapshot.take()) {
            (true, true, None) => Ok(Source::Live(live)),
            (false, false, None) => Ok(Source::Dirs(std::mem::take(&mut self.dirs))),
            (false, true, Some(file)) => Ok(Source::Snapshot(file)),
            _ => Err(Usage(
                "give either --from, --from-dir or --from-snapshot: run `stead import --help`"
                    .to_owned(),
            )),
        }
    }

    fn finish(mut self) -> Result<Request, Usage> {
        let source = self.source()?;
        let directory = self.directory()?;
        if directory.is_some() && matches!(source, Source::Live(_)) {
            return Err(Usage(
                "--data-dir is made of files: give --from-dir or --from-snapshot, or --to"
                    .to_owned(),
            ));
        }
        if self.to.is_empty() && directory.is_none() && !self.is_dry_run {
            return Err(Usage(
                "missing --to or --data-dir: name the server to write to, or the directory to make"
                    .to_owned(),
            ));
        }
        if self.files.cert.is_some() != self.files.key.is_some() {
            return Err(Usage("--cert-file and --key-file belong together".to_owned()));
        }
        let existing = match (self.is_force, self.is_merge) {
            (true, _) => Existing::Overwrite,
            (false, true) => Existing::Merge,
            (false, false) => Existing::Refuse,
        };
        let with_users = !self.without_users;
        Ok(Request::Import(Box::new(Order {
            source,
            options: legacy::Options { with_auth: with_users, ..self.options },
            to: self.to,
            directory,
            prefix: self.prefix,
            existing,
            with_users,
            is_dry_run: self.is_dry_run,
            is_json: self.is_json,
            files: self.files,
        })))
    }
}

/// Addresses with commas between them.
fn urls(list: &str) -> Result<Vec<String>, Usage> {
    list.split(',').map(str::trim).filter(|url| !url.is_empty()).map(target).collect()
}

/// Keys with commas between them, each with a hidden name in it.
fn hidden(list: &str) -> Result<Vec<String>, Usage> {
    let clean = |key: &str| {
        let key = format!("/{}", key.trim_matches('/'));
        let mut names = key.split('/').skip(1);
        let is_clean = names.clone().all(|name| !matches!(name, "" | "." | ".."));
        match is_clean && names.any(|name| name.starts_with('_')) {
            true => Ok(key),
            false => Err(Usage(format!(
                "invalid --hidden {key:?}: give a key with a name that begins with _, as in /a/_b"
            ))),
        }
    };
    list.split(',').map(str::trim).filter(|key| !key.is_empty()).map(clean).collect()
}

fn target(url: &str) -> Result<String, Usage> {
    let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let scheme = if url.starts_with("https://") { "https://" } else { "http://" };
    let rest = url.strip_prefix(scheme).unwrap_or_default().trim_end_matches('/');
    if rest.is_empty() || rest.contains(['/', '?', '#', '@', ' ']) {
        return Err(Usage(format!("invalid URL {url:?}: give it as in http://10.0.0.1:4001")));
    }
    Ok(format!("{scheme}{rest}"))
}

fn prefix(path: &str) -> Result<String, Usage> {
    let path = path.trim_end_matches('/');
    let path =
        if path.is_empty() || path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let is_clean = path.split('/').skip(1).all(|part| !matches!(part, "" | "." | ".."));
    if !is_clean {
        return Err(Usage(format!("invalid --prefix {path:?}: give a key, as in /old")));
    }
    Ok(path)
}

#[cfg(test)]
mod tests;
