//! How commands change the key space (docs/spec/keys.md sections 5.3, 6, 7, 8 and 12).
//!
//! Each operation looks first and changes then, so that one that fails has changed nothing. The
//! order of the looks is the order of precedence of their errors: reserved keys, the root, the way,
//! the kind of node, the conditions.

use crate::auth::Author;
use crate::change::Change;
use crate::command::{Command, InOrder, InternalWrite};
use crate::error::{ErrorCode, StoreError};
use crate::event::{Action, Event};
use crate::node::{Dir, File, Node, Shift};
use crate::path::KeyPath;
use crate::stats::Counter;
use crate::store::{Applied, Located, Store};
use crate::time::{Stamp, StoreIndex, Timestamp};
use crate::watch::Wake;
use std::sync::Arc;

type Outcome = Result<Arc<Event>, StoreError>;

/// What a write puts into a node.
#[derive(Clone, Copy)]
struct Content<'a> {
    value: &'a str,
    dir: bool,
    ttl: Option<i64>,
    refresh: bool,
}

/// What has to be as given; an empty value and an index of zero always are.
#[derive(Clone, Copy)]
struct Conditions<'a> {
    value: Option<&'a str>,
    index: Option<u64>,
}

impl Conditions<'_> {
    /// The cause of the failure, if there is one.
    fn check(&self, value: &str, modified: StoreIndex) -> Result<(), String> {
        let mut causes = Vec::new();
        if let Some(wanted) = self.value.filter(|wanted| !wanted.is_empty() && *wanted != value) {
            causes.push(format!("[{wanted} != {value}]"));
        }
        if let Some(wanted) = self.index.filter(|wanted| *wanted != 0 && *wanted != modified.0) {
            causes.push(format!("[{wanted} != {}]", modified.0));
        }
        if causes.is_empty() { Ok(()) } else { Err(causes.join(" ")) }
    }
}

/// Whether the node at a key has this deadline.
fn is_due(root: &Dir, key: &str, deadline: Timestamp) -> bool {
    root.descendant(key).and_then(Node::deadline) == Some(deadline)
}

fn count(counter: &mut Counter, outcome: &Outcome) {
    match outcome {
        Ok(_) => counter.success += 1,
        Err(_) => counter.fail += 1,
    }
}

impl Store {
    /// Applies one command of somebody: where users count it is refused unless its author has the
    /// right to it at this place of the log. A function of (state, stamp, author, command) alone.
    /// Watchers to be woken are appended to `wakes` in index order; a one-shot watcher that is
    /// woken is no longer registered.
    ///
    /// # Errors
    /// [`StoreError`] when the command cannot or may not be; the key space and its index are then
    /// unchanged.
    pub fn apply_as(
        &mut self,
        author: Author,
        command: &Command<'_>,
        stamp: Stamp,
        wakes: &mut Vec<Wake>,
    ) -> Result<Applied, StoreError> {
        self.stamp = Stamp { time: self.stamp.time.max(stamp.time), ..stamp };
        if self.expiry.needs_sweep() {
            let root = &self.root;
            self.expiry.sweep(|key, deadline| is_due(root, key, deadline));
        }
        let before = self.index;
        let outcome = match command {
            _ if !self.may(author, command) => Err(self.unauthorized()),
            Command::Expire { limit } => Ok(Applied::Expired(self.expire(*limit, wakes))),
            Command::Internal { writes } => {
                self.write_internal(writes, wakes);
                Ok(Applied::Internal)
            }
            Command::RaiseIndex { at_least } => {
                if *at_least > self.index {
                    self.begin_anew(StoreIndex(*at_least));
                }
                Ok(Applied::Raised)
            }
            Command::CountRefused(refused) => {
                self.being_counted.take(*refused);
                self.stats.count(*refused);
                Ok(Applied::Counted)
            }
            Command::Lock { dir, action } => {
                self.apply_lock(*dir, *action, wakes).map(Applied::Lock)
            }
            Command::Auth(change) => {
                let index = StoreIndex(before + 1);
                self.change_users(change).map(|done| Applied::Auth { done, index })
            }
            _ => self.apply_client(command, wakes).map(Applied::Event),
        };
        self.check_index(before, &outcome);
        outcome
    }

    fn apply_client(&mut self, command: &Command<'_>, wakes: &mut Vec<Wake>) -> Outcome {
        match *command {
            Command::Set { path, value, dir, ttl, refresh } => {
                let outcome = self.set(path, Content { value, dir, ttl, refresh }, wakes);
                count(&mut self.stats.sets, &outcome);
                outcome
            }
            Command::Create { path, value, dir, ttl, in_order } => {
                let content = Content { value, dir, ttl, refresh: false };
                let outcome = match in_order {
                    None => self.create(path, content, wakes),
                    Some(naming) => self.create_in_order(path, naming, content, wakes),
                };
                count(&mut self.stats.creates, &outcome);
                outcome
            }
            Command::Update { path, value, ttl, refresh } => {
                let content = Content { value, dir: false, ttl, refresh };
                let outcome = self.update(path, content, wakes);
                count(&mut self.stats.updates, &outcome);
                outcome
            }
            Command::CompareAndSwap {
                path,
                value,
                ttl,
                refresh,
                prev_value,
                prev_index,
                or_create,
            } => {
                let content = Content { value, dir: false, ttl, refresh };
                let is_missing = || matches!(self.locate(path), Located::Missing(_));
                if or_create && !self.is_reserved(path) && is_missing() {
                    let outcome = self.set(path, content, wakes);
                    count(&mut self.stats.sets, &outcome);
                    return outcome;
                }
                let conditions = Conditions { value: prev_value, index: prev_index };
                let outcome = self.compare_and_swap(path, conditions, content, wakes);
                count(&mut self.stats.compare_and_swaps, &outcome);
                outcome
            }
            Command::Delete { path, dir, recursive } => {
                let outcome = self.delete(path, dir, recursive, wakes);
                count(&mut self.stats.deletes, &outcome);
                outcome
            }
            Command::CompareAndDelete { path, prev_value, prev_index } => {
                let conditions = Conditions { value: prev_value, index: prev_index };
                let outcome = self.compare_and_delete(path, conditions, wakes);
                count(&mut self.stats.compare_and_deletes, &outcome);
                outcome
            }
            Command::Expire { .. }
            | Command::Internal { .. }
            | Command::RaiseIndex { .. }
            | Command::Auth(_)
            | Command::CountRefused(_)
            | Command::Lock { .. } => {
                unreachable!("these are not about a key that a client names")
            }
        }
    }

    fn set(&mut self, path: KeyPath<'_>, content: Content<'_>, wakes: &mut Vec<Wake>) -> Outcome {
        self.check_writable(path)?;
        let located = self.locate(path);
        let prev = match located {
            Located::FileInWay(_) => return Err(self.path_error(path, &located)),
            Located::Missing(_) if content.refresh => return Err(self.path_error(path, &located)),
            Located::Found(Node::Dir(_)) | Located::Root => {
                return Err(self.error(ErrorCode::NotAFile, path.as_str()));
            }
            Located::Found(file) => Some(file.clone()),
            Located::Missing(_) => None,
        };
        let kept = prev.as_ref().filter(|_| content.refresh).and_then(Node::value);
        let node = self.new_node(Content { value: kept.unwrap_or(content.value), ..content });
        self.put(path, node, Action::Set, prev, content.refresh, wakes)
    }

    /// The error with which a command would fail on the key space as it is, where that is known
    /// from a look at its own key: for those that compare, and for one that creates. The failure is
    /// counted, for this member alone until [`Store::count_refused`]; nothing else changes.
    ///
    /// A caller that is sure to have everything that was ever answered can so refuse a command
    /// without a place in the log.
    pub fn refuse(&mut self, command: &Command<'_>) -> Option<StoreError> {
        match *command {
            Command::CompareAndSwap { path, prev_value, prev_index, or_create, .. } => {
                if or_create && matches!(self.locate(path), Located::Missing(_)) {
                    return None;
                }
                let conditions = Conditions { value: prev_value, index: prev_index };
                let error = self.swappable(path, conditions).err()?;
                self.refused.compare_and_swaps += 1;
                Some(error)
            }
            Command::CompareAndDelete { path, prev_value, prev_index } => {
                let conditions = Conditions { value: prev_value, index: prev_index };
                let error = self.check_deletable(path, conditions).err()?;
                self.refused.compare_and_deletes += 1;
                Some(error)
            }
            Command::Create { path, in_order: None, .. } => {
                let error = self.check_creatable(path).err()?;
                self.refused.creates += 1;
                Some(error)
            }
            _ => None,
        }
    }

    fn check_creatable(&self, path: KeyPath<'_>) -> Result<(), StoreError> {
        self.check_writable(path)?;
        let located = self.locate(path);
        match located {
            Located::Missing(_) => Ok(()),
            Located::FileInWay(_) => Err(self.path_error(path, &located)),
            Located::Found(_) | Located::Root => {
                Err(self.error(ErrorCode::KeyAlreadyExists, path.as_str()))
            }
        }
    }

    fn create(
        &mut self,
        path: KeyPath<'_>,
        content: Content<'_>,
        wakes: &mut Vec<Wake>,
    ) -> Outcome {
        self.check_creatable(path)?;
        let node = self.new_node(content);
        self.put(path, node, Action::Create, None, false, wakes)
    }

    fn create_in_order(
        &mut self,
        dir: KeyPath<'_>,
        naming: InOrder,
        content: Content<'_>,
        wakes: &mut Vec<Wake>,
    ) -> Outcome {
        // Before the name is made up, so that the cause is the key that the client gave.
        if self.is_reserved(dir) {
            return Err(self.error(ErrorCode::Reserved, dir.as_str()));
        }
        let parent = if dir.is_root() { "" } else { dir.as_str() };
        let index = self.index + 1;
        let key = match naming {
            InOrder::Plain => format!("{parent}/{index}"),
            InOrder::Padded => format!("{parent}/{index:020}"),
        };
        let path = KeyPath::join_checked(&key);
        self.create(path, content, wakes)
    }

    fn update(
        &mut self,
        path: KeyPath<'_>,
        content: Content<'_>,
        wakes: &mut Vec<Wake>,
    ) -> Outcome {
        self.check_writable(path)?;
        let located = self.locate(path);
        let Located::Found(prev) = located else { return Err(self.path_error(path, &located)) };
        let prev = prev.clone();
        match &prev {
            Node::Dir(_) if !content.value.is_empty() => {
                Err(self.error(ErrorCode::NotAFile, path.as_str()))
            }
            Node::Dir(dir) => {
                let (shown, created) = (dir.shallow(), StoreIndex(dir.created));
                Ok(self.update_dir(path, shown, created, content, wakes))
            }
            Node::File(_) => self.replace(path, Action::Update, prev, content, wakes),
        }
    }

    /// Only the deadline changes; the directory keeps its modifiedIndex, although the answer shows
    /// the new one (docs/spec/quirks.md Q7).
    fn update_dir(
        &mut self,
        path: KeyPath<'_>,
        prev: Node,
        created: StoreIndex,
        content: Content<'_>,
        wakes: &mut Vec<Wake>,
    ) -> Arc<Event> {
        self.index += 1;
        let mut node = None;
        let lease = content.ttl.map(|ttl| self.stamp.lease(ttl));
        let index = self.index;
        self.change_in_parent(path, Shift::default(), |parent, name| {
            if let Some(Node::Dir(dir)) = parent.children.get_mut(name) {
                let dir = Arc::make_mut(dir);
                dir.set_lease(lease);
                dir.note_change(index);
                node = Some(dir.shallow());
            }
        });
        self.expiry.set(path.as_str(), node.as_ref().and_then(Node::deadline));
        let refresh = content.refresh;
        let change = Change { action: Action::Update, created, node, prev: Some(prev), refresh };
        self.publish(path.as_str(), change, None, wakes)
    }

    fn compare_and_swap(
        &mut self,
        path: KeyPath<'_>,
        conditions: Conditions<'_>,
        content: Content<'_>,
        wakes: &mut Vec<Wake>,
    ) -> Outcome {
        let prev = self.swappable(path, conditions)?;
        self.replace(path, Action::CompareAndSwap, prev, content, wakes)
    }

    /// The file at a path, if a client may change it and the conditions hold.
    fn swappable(&self, path: KeyPath<'_>, conditions: Conditions<'_>) -> Result<Node, StoreError> {
        self.check_writable(path)?;
        self.compare(path, conditions)
    }

    /// The file at a path, if the conditions hold.
    fn compare(&self, path: KeyPath<'_>, conditions: Conditions<'_>) -> Result<Node, StoreError> {
        let located = self.locate(path);
        let node = match located {
            Located::Found(node @ Node::File(_)) => node.clone(),
            Located::Found(Node::Dir(_)) | Located::Root => {
                return Err(self.error(ErrorCode::NotAFile, path.as_str()));
            }
            _ => return Err(self.path_error(path, &located)),
        };
        conditions
            .check(node.value().unwrap_or_default(), node.modified())
            .map_err(|cause| self.error(ErrorCode::CompareFailed, cause))?;
        Ok(node)
    }

    /// Writes a file that is there: it keeps its createdIndex.
    fn replace(
        &mut self,
        path: KeyPath<'_>,
        action: Action,
        prev: Node,
        content: Content<'_>,
        wakes: &mut Vec<Wake>,
    ) -> Outcome {
        let lease = content.ttl.map(|ttl| self.stamp.lease(ttl));
        let kept = Some(&prev).filter(|_| content.refresh).and_then(|node| node.value());
        let value = kept.unwrap_or(content.value);
        let file = File::new(prev.created().0, self.index + 1, lease, value);
        let node = Node::File(Arc::new(file));
        self.put(path, node, action, Some(prev), content.refresh, wakes)
    }

    fn new_node(&self, content: Content<'_>) -> Node {
        let index = self.index + 1;
        let lease = content.ttl.map(|ttl| self.stamp.lease(ttl));
        if content.dir {
            Node::Dir(Arc::new(Dir::new(index, index, lease)))
        } else {
            Node::File(Arc::new(File::new(index, index, lease, content.value)))
        }
    }

    fn delete(
        &mut self,
        path: KeyPath<'_>,
        dir: bool,
        recursive: bool,
        wakes: &mut Vec<Wake>,
    ) -> Outcome {
        self.check_writable(path)?;
        let located = self.locate(path);
        let Located::Found(node) = located else { return Err(self.path_error(path, &located)) };
        if let Node::Dir(found) = node {
            if !dir && !recursive {
                return Err(self.error(ErrorCode::NotAFile, path.as_str()));
            }
            if !recursive && !found.children.is_empty() {
                return Err(self.error(ErrorCode::DirectoryNotEmpty, path.as_str()));
            }
        }
        self.remove(path, Action::Delete, wakes)
    }

    fn compare_and_delete(
        &mut self,
        path: KeyPath<'_>,
        conditions: Conditions<'_>,
        wakes: &mut Vec<Wake>,
    ) -> Outcome {
        self.check_deletable(path, conditions)?;
        self.remove(path, Action::CompareAndDelete, wakes)
    }

    fn check_deletable(
        &self,
        path: KeyPath<'_>,
        conditions: Conditions<'_>,
    ) -> Result<(), StoreError> {
        // The root counts as a directory here, and not as read-only (docs/spec/quirks.md Q8).
        if !path.is_root() {
            self.check_writable(path)?;
        }
        self.compare(path, conditions).map(drop)
    }

    /// Removes what is due, in the order of (deadline, key). Gives how many nodes went.
    fn expire(&mut self, limit: u32, wakes: &mut Vec<Wake>) -> u32 {
        let mut expired = 0;
        while expired < limit {
            let Some((deadline, key)) = self.expiry.first() else { break };
            if deadline > self.stamp.time {
                break;
            }
            let key = Arc::clone(key);
            // Entries without a node count nothing, since other members may have forgotten them
            // already.
            let was_due = is_due(&self.root, &key, deadline);
            self.expiry.set(&key, None);
            if was_due && self.remove(KeyPath::join_checked(&key), Action::Expire, wakes).is_ok() {
                self.stats.expire_count += 1;
                expired += 1;
            }
        }
        expired
    }

    /// The server's own writes: one index for all of them, an event for each, nothing counted.
    fn write_internal(&mut self, writes: &[InternalWrite<'_>], wakes: &mut Vec<Wake>) {
        let before = self.index;
        for write in writes {
            // Each of them takes the index after `before`.
            self.index = before;
            // A write that cannot be (a file in the way, nothing to delete) has no effect and is no
            // error: nobody waits for its outcome.
            let _ = match (self.locate(write.path), write.value) {
                (Located::Found(_), None) => self.remove(write.path, Action::Delete, wakes),
                (Located::Found(Node::Dir(_)), Some(_)) | (Located::Missing(_), None) => continue,
                (Located::Found(file), Some(value)) => {
                    let prev = Some(file.clone());
                    self.put_internal(write.path, value, prev, wakes)
                }
                (Located::Missing(_), Some(value)) => {
                    self.put_internal(write.path, value, None, wakes)
                }
                (Located::Root | Located::FileInWay(_), _) => continue,
            };
        }
        self.index = before + 1;
    }

    fn put_internal(
        &mut self,
        path: KeyPath<'_>,
        value: &str,
        prev: Option<Node>,
        wakes: &mut Vec<Wake>,
    ) -> Outcome {
        let node = self.new_node(Content { value, dir: false, ttl: None, refresh: false });
        self.put(path, node, Action::Set, prev, false, wakes)
    }
}
