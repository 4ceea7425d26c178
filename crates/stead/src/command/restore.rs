//! `stead restore` and `stead recover`: a new cluster of one from a backup, or from a member whose
//! cluster has lost its majority for good.

use crate::args::{Args, Flags};
use crate::console::{FAILED, print, say};
use crate::founded::told;
use crate::resolve::check_name;
use crate::source::Usage;
use replica::{Member, Salvage};
use server::notice::Notice;
use server::{Deadlines, Home, Sighting, StartError};
use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal};
use std::path::Path;
use std::process::ExitCode;

pub(super) const RESTORE_HELP: &str = "\
stead restore: a new cluster of one from a backup

Usage:
  stead restore FILE -data-dir DIR -name NAME [flags]

Makes DIR the data directory of a machine named NAME, which is alone in a new cluster with
the keys of the backup. Start it with the same -data-dir and -name; others join as usual.
Old members do not know the new cluster and are refused.

Indexes never go back: the new cluster goes on some way above the backup's index, and a
watch from an index of before gets error 401.

Flags:
  --force            set the files of a member in DIR aside (they are kept)
  --extend-ttl       keys live as much longer as they had left when the backup was made;
                     without it the time since then has passed for them too
  --index-margin N   indexes that are passed over (1000000, and 1000 for each second
                     since the backup was made)

Examples:
  stead restore today.stead -data-dir /var/lib/stead -name m1
";

pub(super) const RESTORE: Flags = Flags {
    command: "restore",
    valued: &["data-dir", "name", "index-margin"],
    repeated: &[],
    plain: &["force", "extend-ttl"],
    has_words: true,
};

/// Runs `stead restore`.
pub(super) fn run(args: &[String]) -> Result<ExitCode, Usage> {
    let args = Args::parse(RESTORE, args)?;
    if args.help {
        return Ok(print(RESTORE_HELP));
    }
    let [file] = args.words.as_slice() else {
        return Err(Usage("name one backup: run `stead restore --help`".to_owned()));
    };
    let (data_dir, name) = (Path::new(args.needed("data-dir")?), args.needed("name")?);
    check_name(name)?;
    let home = Home { data_dir, name, replaces: args.has("force") };
    let deadlines = if args.has("extend-ttl") { Deadlines::Extended } else { Deadlines::Kept };
    let margin = args.number("index-margin")?;
    Ok(match server::restore(Path::new(file), home, deadlines, margin) {
        Ok(rebuilt) => print(&told(&rebuilt, home)),
        Err(error) => fail(&error),
    })
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    say(&format!("stead: {error}"));
    ExitCode::from(FAILED)
}

pub(super) const RECOVER_HELP: &str = "\
stead recover: a new cluster of one from a member that is left

Usage:
  stead recover -data-dir DIR -name NAME [flags]

For a cluster that has lost its majority for good. Of the members that are left take the one
with the highest last entry; stop it first. Shows what its directory has and what may be
lost, asks, and makes it a cluster of one with a new id and the same keys. The old files
stay, in a sub-directory. The other old members must not be started again: together they
could still be a majority of the old cluster.

Flags:
  --yes              do not ask
  --index-margin N   indexes that are passed over, so that they never go back (1000000)

Examples:
  stead recover -data-dir /var/lib/stead -name m1
";

pub(super) const RECOVER: Flags = Flags {
    command: "recover",
    valued: &["data-dir", "name", "index-margin"],
    repeated: &[],
    plain: &["yes"],
    has_words: false,
};

/// Runs `stead recover`.
pub(super) fn recover(args: &[String]) -> Result<ExitCode, Usage> {
    let args = Args::parse(RECOVER, args)?;
    if args.help {
        return Ok(print(RECOVER_HELP));
    }
    let (data_dir, name) = (Path::new(args.needed("data-dir")?), args.needed("name")?);
    let margin = args.number("index-margin")?;
    let salvage = match server::look_at_survivor(data_dir) {
        Ok(salvage) => salvage,
        Err(error) => return Ok(fail(&error)),
    };
    if salvage.name != name {
        let detail = other_name(&salvage, data_dir, name);
        return Ok(fail(&detail));
    }
    let seen = server::last_seen(data_dir, &salvage);
    print(&described(&salvage, seen.as_deref()));
    if !args.has("yes") && !is_confirmed() {
        return Ok(fail(&"nothing was changed"));
    }
    let home = Home { data_dir, name, replaces: true };
    Ok(match server::recover(salvage, home, margin) {
        Ok(rebuilt) => print(&told(&rebuilt, home)),
        Err(error) => fail(&error),
    })
}

/// What a directory has, and what may be lost.
fn described(salvage: &Salvage, seen: Option<&[Sighting]>) -> String {
    let Salvage { cluster, name, members, store, stamp, last, committed, .. } = salvage;
    let shown = stamp.time.0.saturating_add_signed(stamp.wall_offset.0);
    let mut text = format!(
        "machine {name} of cluster {:x}\n  last entry      {} (term {}), written at {}\n  \
         committed       up to entry {} for certain\n  keys            as of index {}\n",
        cluster.0,
        last.0.0,
        last.1.0,
        server::rfc3339(shown),
        committed.0,
        store.index().0,
    );
    for member in members.iter().filter(|member| member.id != salvage.id) {
        let one = seen.and_then(|all| all.iter().find(|one| one.id == member.id));
        let heard = one.map_or_else(|| "not known".to_owned(), |one| heard(*one, salvage));
        let Member { name, peer_url, .. } = member;
        let _ = writeln!(text, "  other member    {name} {peer_url}\n    last heard    {heard}");
    }
    let _ = writeln!(
        text,
        "What other members acknowledged after entry {} is lost; they may have gone on after they \
         were last heard of. Entries above {} may never have been acknowledged; they are kept.",
        last.0.0, committed.0,
    );
    text
}

/// When another member was last heard of, and whether what it had then is here.
fn heard(one: Sighting, salvage: &Salvage) -> String {
    let (at, applied, last) = (server::rfc3339(one.at), one.applied, salvage.last.0.0);
    let held = match applied.checked_sub(last) {
        _ if applied <= salvage.committed.0 => "all of it is here for certain".to_owned(),
        None | Some(0) => "this log reaches as far".to_owned(),
        Some(missing) => format!("this log lacks its last {missing}"),
    };
    format!("at {at}, with entry {applied} applied: {held}")
}

fn is_confirmed() -> bool {
    if !std::io::stdin().is_terminal() {
        say("stead: this is not a terminal: give --yes");
        return false;
    }
    say("Type \"yes\" to make it a cluster of one:");
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).is_ok() && line.trim() == "yes"
}

/// `-force-new-cluster` of 2.x: before a start a directory that knows other members is made one of
/// a cluster of one. On one that is alone already nothing is done, so that the flag may stay.
///
/// # Errors
/// A sentence for the operator.
pub(crate) fn force_new_cluster(data_dir: &Path, name: &str) -> Result<(), StartError> {
    let salvage = server::look_at_survivor(data_dir)?;
    if salvage.members.iter().all(|member| member.id == salvage.id) {
        let why = "-force-new-cluster has nothing to do: this machine is alone already";
        Notice::Configuration.tell(why, format_args!("{why}"));
        return Ok(());
    }
    if salvage.name != name {
        return Err(StartError::DataDir(other_name(&salvage, data_dir, name)));
    }
    let last = salvage.last.0.0;
    let rebuilt = server::recover(salvage, Home { data_dir, name, replaces: true }, None)?;
    tracing::warn!(
        last_entry = last,
        cluster = format!("{:x}", rebuilt.cluster),
        old_files = rebuilt.set_aside.map(|path| path.display().to_string()),
        "{}: what other members acknowledged after its last entry is lost",
        Notice::NewClusterForced.words()
    );
    Ok(())
}

fn other_name(salvage: &Salvage, data_dir: &Path, name: &str) -> String {
    format!(
        "{} belongs to the machine named {:?}, not to {name:?}: give it its own -name",
        data_dir.display(),
        salvage.name
    )
}
