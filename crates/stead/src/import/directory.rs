//! Makes a data directory of what was read. Each key keeps the indexes that it had.
//!
//! Clients keep indexes: they compare with them, wait from them, sort by them. So a directory goes
//! on exactly where the old server stopped, with its past events: an index that a client knows
//! means what it meant there. That is only right where the source has all that was acknowledged.
//! Where it may lack the last writes, clients may know the indexes of those; these are passed over,
//! and past events are forgotten, so that a client which waits from one of them gets error 401 and
//! reads again, instead of another change or nothing.

use super::args::{Directory, Existing, Order, Source};
use super::key::is_reserved;
use super::plan::{Counts, Item};
use super::users::found::Accounts;
use legacy::{Imported, NodeState, Role, User, Warning};
use server::{Home, Rebuilt};
use std::path::Path;
use store::{
    Action, Command, GivenEvent, GivenNode, GivenUser, INDEX_RAISED_MAX, Limits, ROOT, Rights,
    Stamp, Store, StoreBuilder, StoreIndex, Timestamp, WallOffset, WatchFilter,
};

/// What was made, or would be.
#[derive(Debug)]
pub(super) struct Founded {
    pub(super) counts: Counts,
    /// Nodes that have expired since.
    pub(super) expired: u64,
    /// How many indexes are passed over; nothing if it goes on at the next one.
    pub(super) margin: Option<u64>,
    /// The index that it goes on from.
    pub(super) next_from: u64,
    /// The index from which on past events are kept.
    pub(super) events_from: Option<u64>,
    pub(super) warnings: Vec<String>,
    /// Nothing after a dry run.
    pub(super) rebuilt: Option<Rebuilt>,
}

/// The directory as it is asked for.
pub(super) fn home<'a>(directory: &'a Directory, order: &Order) -> Home<'a> {
    let replaces = order.existing == Existing::Overwrite;
    Home { data_dir: &directory.path, name: &directory.name, replaces }
}

/// Refuses a directory that cannot be made, or would be in the source: that is only read.
///
/// # Errors
/// A sentence. Nothing has changed.
pub(super) fn check(order: &Order, directory: &Directory) -> Result<(), String> {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let target = absolute(&directory.path);
    if let Source::Dirs(dirs) = &order.source
        && let Some(dir) = dirs.iter().map(|dir| absolute(dir)).find(|dir| target.starts_with(dir))
        && target != dir
    {
        return Err(format!(
            "{} is in {}, which is only read: give another --data-dir",
            directory.path.display(),
            dir.display()
        ));
    }
    server::check_home(home(directory, order)).map_err(|error| error.to_string())
}

/// Makes the directory of the nodes and events that were read, which are taken out of `imported`,
/// and of users and roles.
///
/// # Errors
/// A sentence. Nothing has changed then, but that the directory may be there.
pub(super) fn make(
    imported: &mut Imported,
    accounts: &Accounts,
    order: &Order,
    directory: &Directory,
) -> Result<Founded, String> {
    check_users(&imported.warnings, accounts)?;
    let seen = server::read_clocks();
    let stamp = Stamp { time: Timestamp(seen.wall), wall_offset: WallOffset(0) };
    let margin = match directory.margin {
        Some(margin) => Some(margin).filter(|margin| *margin > 0),
        None if imported.is_whole() && !order.options.live => None,
        None => {
            let made = imported.source.made.map_or(seen.wall, |made| made.0);
            Some(server::margin_since(made, seen.wall))
        }
    };
    let (mut store, reserved) = plant(imported, accounts, &order.prefix, stamp)?;
    let mut warnings = Vec::new();
    if margin.is_none() {
        warnings.extend(recall(&mut store, imported, &order.prefix).err());
    }
    let before = count(&store, &order.prefix);
    let expire = Command::Expire { limit: u32::MAX };
    // As the old server would have at its next start: with an index and an event for each.
    store.apply(&expire, stamp, &mut Vec::new()).expect("an expiry has no reason to fail");
    let left = count(&store, &order.prefix);
    let events_from = margin.is_none().then(|| kept_from(&store, imported.history_start));
    let next_from = store.index().0.saturating_add(margin.unwrap_or(0)).min(INDEX_RAISED_MAX);
    let mut founded = Founded {
        counts: Counts { reserved, ..left },
        expired: before.files + before.dirs - left.files - left.dirs,
        margin,
        next_from,
        events_from: events_from.flatten(),
        warnings,
        rebuilt: None,
    };
    if !order.is_dry_run {
        let rebuilt = server::found(store, seen, home(directory, order), margin);
        founded.rebuilt = Some(rebuilt.map_err(|error| error.to_string())?);
    }
    Ok(founded)
}

/// A store of the nodes, and how many were left out since the server keeps data of its own there.
fn plant(
    imported: &mut Imported,
    accounts: &Accounts,
    prefix: &str,
    stamp: Stamp,
) -> Result<(Store, u64), String> {
    let named = |error: store::GivenError| format!("the source cannot be imported: {error}");
    let index = StoreIndex(imported.index);
    let mut builder = StoreBuilder::new(index, stamp, Limits::default()).map_err(named)?;
    let users = accounts.users.iter().map(given_user).collect();
    let roles = accounts.roles.iter().map(given_role).collect();
    builder.set_users(accounts.is_enabled, users, roles).map_err(named)?;
    let nodes = std::mem::take(&mut imported.nodes);
    // A directory is made with the first thing in it.
    let first = nodes.iter().map(|node| node.state.created).min().unwrap_or(imported.index);
    for dir in above(prefix).filter(|dir| !is_reserved(dir)) {
        let (created, modified) = (StoreIndex(first), StoreIndex(first));
        let node = GivenNode { value: None, created, modified, deadline: None };
        builder.add(dir, node).map_err(named)?;
    }
    let mut reserved = 0;
    for node in nodes {
        let (key, node) = (format!("{prefix}{}", node.path), given(node.state));
        if is_reserved(&key) || key == "/_etcd" && node.value.is_some() {
            reserved += 1;
            continue;
        }
        let item = Item { key, value: node.value, deadline: None, replaces: false };
        item.check_size()?;
        builder.add(&item.key, GivenNode { value: item.value, ..node }).map_err(named)?;
    }
    Ok((builder.finish(), reserved))
}

/// Refuses a directory in which users would not count though they may have at the source, and one
/// in which they would and nobody could change anything.
fn check_users(warnings: &[Warning], accounts: &Accounts) -> Result<(), String> {
    if let Some(why) = warnings.iter().find(|why| matches!(why, Warning::InvalidAuth(_))) {
        return Err(format!(
            "{why}. Nothing was made: without them whoever reaches the new machine may do \
             everything. --no-users leaves them out"
        ));
    }
    if !accounts.is_enabled || accounts.users.iter().any(|user| user.name == ROOT) {
        return Ok(());
    }
    let bare = accounts.bare.iter().find(|bare| bare.user.name == ROOT);
    let why = bare.map_or("it is not there", |bare| bare.why.as_str());
    Err(format!(
        "users count at the source, and root cannot be imported: {why}. Nothing was made; \
         --no-users leaves users out, and whoever reaches the new machine may then do everything"
    ))
}

fn given_user(user: &User) -> GivenUser {
    let User { name, password_hash, roles } = user.clone();
    GivenUser { name, password_hash, roles: (!roles.is_empty()).then_some(roles) }
}

fn given_role(role: &Role) -> (String, Rights) {
    let Role { name, read, write } = role.clone();
    (name, Rights { read: Some(read), write: Some(write) })
}

/// The directories that a prefix names, from the root down.
fn above(prefix: &str) -> impl Iterator<Item = &str> {
    let ends = prefix.match_indices('/').skip(1).map(|(at, _)| at);
    let ends = ends.chain((!prefix.is_empty()).then_some(prefix.len()));
    ends.filter_map(|end| prefix.get(..end))
}

/// Gives the store the past events; if that cannot be, a warning.
fn recall(store: &mut Store, imported: &mut Imported, prefix: &str) -> Result<(), String> {
    let after = StoreIndex(imported.history_start.saturating_sub(1));
    let events = std::mem::take(&mut imported.history).into_iter().map(|event| {
        let action = action(event.action);
        GivenEvent {
            action,
            key: format!("{prefix}{}", event.path),
            index: StoreIndex(event.index),
            created: StoreIndex(event.node.created),
            node: (!action.is_removal()).then(|| given(event.node)),
            prev: event.prev.map(given),
            refresh: event.refresh,
        }
    });
    store.recall(after, events.filter(|event| !is_reserved(&event.key))).map_err(|error| {
        format!(
            "past events cannot be kept: {error}; a watch from an index up to {} gets error 401",
            store.index().0
        )
    })
}

/// From where on a store has all past events that were kept from `start` on; the oldest may have
/// been let go for the memory that they take.
fn kept_from(store: &Store, start: u64) -> Option<u64> {
    let all = WatchFilter { path: "/".into(), recursive: true, hidden: false };
    let oldest = store.oldest_event()?.0;
    Some(if store.next_event(&all, StoreIndex(start)).is_ok() { start } else { oldest })
}

fn given(state: NodeState) -> GivenNode {
    GivenNode {
        value: state.content.into_value(),
        created: StoreIndex(state.created),
        modified: StoreIndex(state.modified),
        deadline: state.expiration.map(|time| Timestamp(time.0)),
    }
}

fn action(action: legacy::Action) -> Action {
    match action {
        legacy::Action::Set => Action::Set,
        legacy::Action::Create => Action::Create,
        legacy::Action::Update => Action::Update,
        legacy::Action::CompareAndSwap => Action::CompareAndSwap,
        legacy::Action::Delete => Action::Delete,
        legacy::Action::CompareAndDelete => Action::CompareAndDelete,
        legacy::Action::Expire => Action::Expire,
    }
}

/// What is in a store, but for the directories of the prefix.
fn count(store: &Store, prefix: &str) -> Counts {
    let mut counts = Counts::default();
    crate::nodes::walk(store, &mut |_, node| counts.add(node.value()));
    counts.dirs = counts.dirs.saturating_sub(above(prefix).count() as u64);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use legacy::Auth;

    #[test]
    fn users_that_counted_are_never_lost_in_silence() {
        let user = |name: &str, hash: &str| {
            let (name, password_hash) = (name.to_owned(), hash.to_owned());
            User { name, password_hash, roles: Vec::new() }
        };
        let hash = |cost: &str| format!("$2a${cost}${}", ".".repeat(53));
        let accounts = |is_enabled: bool, cost: &str| {
            let users = vec![user("ann", &hash("10")), user(ROOT, &hash(cost))];
            Accounts::of(Auth { is_enabled, users, roles: Vec::new() }, "")
        };
        assert_eq!(check_users(&[], &accounts(true, "10")), Ok(()));
        assert_eq!(check_users(&[], &accounts(false, "31")), Ok(()));
        assert_eq!(check_users(&[], &Accounts::default()), Ok(()));
        let why = check_users(&[], &accounts(true, "31")).expect_err("nobody is root");
        assert!(why.contains("cost is 31") && why.contains("--no-users"), "{why}");
        let invalid = [Warning::InvalidAuth("/2/users/x is invalid".to_owned())];
        let why = check_users(&invalid, &Accounts::default()).expect_err("they may have counted");
        assert!(why.contains("/2/users/x") && why.contains("--no-users"), "{why}");
    }

    #[test]
    fn a_prefix_names_directories() {
        let above = |prefix: &'static str| above(prefix).collect::<Vec<_>>();
        assert_eq!(above(""), [""; 0]);
        assert_eq!(above("/a"), ["/a"]);
        assert_eq!(above("/a/b-c/d"), ["/a", "/a/b-c", "/a/b-c/d"]);
    }
}
