//! A backup of Stead as a source.

use legacy::{
    Auth, Content, Extent, Family, Imported, Node, NodeState, Role, SourceInfo, User, WallTime,
    Warning,
};
use replica::BACKUP_MAGIC;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Whether a file says that it is one. One that cannot be read says nothing.
pub(super) fn is_one(file: &Path) -> bool {
    let mut head = [0; BACKUP_MAGIC.len()];
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && head == BACKUP_MAGIC
}

/// Reads all of it, with its users or without.
///
/// # Errors
/// A sentence that names the file.
pub(super) fn read(file: &Path, with_users: bool) -> Result<Imported, String> {
    let (info, store) = server::read_backup(file).map_err(|error| error.to_string())?;
    let shown = |deadline: store::Timestamp| {
        WallTime(deadline.0.saturating_add_signed(info.stamp.wall_offset.0))
    };
    let mut nodes = Vec::new();
    crate::nodes::walk(&store, &mut |path, node| {
        let content = node.value().map_or(Content::Dir, |value| Content::File(value.to_owned()));
        let state = NodeState {
            content,
            created: node.created().0,
            modified: node.modified().0,
            expiration: node.deadline().map(shown),
        };
        nodes.push(Node { path: path.to_owned(), state });
    });
    let (term, log_index, index) = (info.term.0, info.log_index.0, store.index().0);
    let source = SourceInfo {
        cluster_id: Some(info.cluster.0),
        members: info.members().map(|member| member.name.to_string()).collect(),
        last: (term, log_index),
        applied: log_index,
        made: Some(WallTime(info.made.wall)),
        ..SourceInfo::bare(file.to_owned(), Family::Stead, Extent::Snapshot)
    };
    let warnings = vec![Warning::SnapshotAlone { index: log_index }];
    let auth = (with_users && *store.auth() != store::Auth::default()).then(|| users(store.auth()));
    Ok(Imported { auth, warnings, ..Imported::without_history(source, nodes, index) })
}

fn users(auth: &store::Auth) -> Auth {
    let users = auth.users().map(|user| User {
        name: user.name.to_string(),
        password_hash: user.password_hash.clone(),
        roles: user.roles.clone().unwrap_or_default(),
    });
    let roles = auth.roles().map(|(name, rights)| Role {
        name: name.to_string(),
        read: rights.read.clone().unwrap_or_default(),
        write: rights.write.clone().unwrap_or_default(),
    });
    Auth { is_enabled: auth.is_enabled(), users: users.collect(), roles: roles.collect() }
}
