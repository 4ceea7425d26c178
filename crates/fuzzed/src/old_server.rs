//! Files of old servers with arbitrary bytes: reading ends, with an error or with a tree in which
//! each node is in a directory and names are clean. A store that is made of it loads again, or is
//! refused. The first byte says what the file is.

use legacy::{Content, Imported, Node, Options, path_order};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use store::{
    GivenNode, GivenUser, KeyPath, Limits, Rights, Stamp, Store, StoreBuilder, StoreIndex,
    Timestamp,
};

/// Where each kind of file lies in its data directory; nothing for a snapshot alone.
const PLACES: [&str; 4] =
    ["", "log", "snapshot/0_7.ss", "member/wal/0000000000000000-0000000000000000.wal"];

/// A directory of this process, which is there during a check only.
fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| std::env::temp_dir().join(format!("stead-fuzzed-{}", std::process::id())))
}

fn read(kind: usize, data: &[u8], options: &Options) -> Option<Imported> {
    let folder = folder().join(kind.to_string());
    let place = PLACES.get(kind).copied().unwrap_or_default();
    let file = folder.join(if place.is_empty() { "file" } else { place });
    fs::create_dir_all(file.parent().expect("it is in a folder")).expect("the disk works");
    fs::write(&file, data).expect("the disk works");
    let imported = match place {
        "" => legacy::read_file(&file, options),
        _ => legacy::read(&[folder], options),
    };
    fs::remove_dir_all(self::folder()).expect("the disk works");
    // A message for every error.
    imported.map_err(|error| assert!(!error.to_string().is_empty())).ok()
}

fn check_tree(imported: &Imported) {
    let nodes: BTreeMap<&str, bool> =
        imported.nodes.iter().map(|node| (node.path.as_str(), node.is_dir())).collect();
    assert_eq!(nodes.len(), imported.nodes.len(), "a key twice");
    let is_before = |one: &Node, other: &Node| path_order(&one.path, &other.path).is_lt();
    assert!(imported.nodes.is_sorted_by(is_before));
    for path in nodes.keys() {
        assert_eq!(imported.get(path).map(|node| node.path.as_str()), Some(*path));
        let first = format!("{path}/");
        let has_below =
            nodes.range(first.as_str()..).next().is_some_and(|(next, _)| next.starts_with(&first));
        assert_eq!(imported.has_below(path), has_below);
        let parsed = KeyPath::parse(path).expect("keys are clean");
        assert!(!parsed.is_root());
        let (parent, _) = path.rsplit_once('/').expect("it begins with a slash");
        assert!(parent.is_empty() || nodes.get(parent) == Some(&true), "{path} is nowhere");
    }
    imported.warnings.iter().for_each(|warning| assert!(!warning.to_string().is_empty()));
}

/// Makes a store of the tree; gives it if that can be.
fn plant(imported: &Imported) -> Option<Store> {
    let index = StoreIndex(imported.index);
    let mut builder = StoreBuilder::new(index, Stamp::default(), Limits::default()).ok()?;
    if let Some(auth) = imported.auth.clone() {
        let user = |user: legacy::User| GivenUser {
            name: user.name,
            password_hash: user.password_hash,
            roles: Some(user.roles),
        };
        let role = |role: legacy::Role| {
            (role.name, Rights { read: Some(role.read), write: Some(role.write) })
        };
        let users = auth.users.into_iter().map(user).collect();
        let roles = auth.roles.into_iter().map(role).collect();
        builder.set_users(auth.is_enabled, users, roles).ok()?;
    }
    for node in &imported.nodes {
        let state = &node.state;
        let value = match &state.content {
            Content::File(value) => Some(value.clone()),
            Content::Dir => None,
        };
        let (created, modified) = (StoreIndex(state.created), StoreIndex(state.modified));
        let deadline = state.expiration.map(|time| Timestamp(time.0));
        builder.add(&node.path, GivenNode { value, created, modified, deadline }).ok()?;
    }
    Some(builder.finish())
}

/// A segment of a log whose records have the right checksums: from a type, a length and so many
/// bytes for each.
fn segment(mut data: &[u8]) -> Vec<u8> {
    let (mut segment, mut running) = (Vec::new(), 0);
    while let [kind, len, rest @ ..] = data {
        let (content, after) = rest.split_at(rest.len().min(usize::from(*len)));
        running = crc32c::crc32c_append(running, content);
        let mut record = vec![0x08, kind & 0x0f, 0x10];
        put_varint(&mut record, running);
        if let Ok(len @ 1..) = u32::try_from(content.len()) {
            record.push(0x1a);
            put_varint(&mut record, len);
            record.extend_from_slice(content);
        }
        segment.extend_from_slice(&(record.len() as u64).to_le_bytes());
        segment.extend_from_slice(&record);
        data = after;
    }
    segment
}

fn put_varint(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// See the module.
pub(crate) fn check(data: &[u8]) {
    let Some((mode, data)) = data.split_first() else { return };
    let kind = usize::from(mode & 3);
    let accept_damage = mode & 4 != 0;
    let options = Options { accept_damage, with_auth: true, ..Options::default() };
    let made = (kind == 3 && mode & 8 != 0).then(|| segment(data));
    if let Some(mut imported) = read(kind, made.as_deref().unwrap_or(data), &options) {
        check_tree(&imported);
        if let Some(store) = plant(&imported) {
            let mut stream = Vec::new();
            store.snapshot().write(&mut stream).expect("memory takes it");
            Store::load(&mut stream.as_slice(), Limits::default()).expect("it was just written");
        }
        imported.drop_expired(legacy::WallTime(u64::MAX));
        check_tree(&imported);
    }
}
