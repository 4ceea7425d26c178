//! Reading a store back from the stream that `snapshot.rs` describes.
//!
//! The stream may come from a damaged disk or from another member, so nothing in it is believed:
//! every field is checked, memory is taken as bytes arrive and not as a length promises, and an
//! error says at which byte it met what.

mod events;
mod source;

use crate::auth::Auth;
use crate::expiry::Expiry;
use crate::growth::Growth;
use crate::limits::Limits;
use crate::name::Name;
use crate::node::Dir;
use crate::snapshot::{DIR, END, FILE, USERS, VERSION, VERSION_1, VERSION_2};
use crate::store::Store;
use source::Source;
use std::io::{self, Read};
use std::sync::Arc;

/// Reads the tree.
fn read_tree(source: &mut Source<'_>) -> io::Result<(Dir, Expiry)> {
    let mut growth = Growth::new();
    loop {
        match source.byte()? {
            END => {
                if let Some(root) = growth.leave() {
                    return Ok((root, growth.into_expiry()));
                }
            }
            FILE => {
                let name = read_name(source, &growth)?;
                growth.add_file(name, source.file()?);
            }
            DIR => {
                let name = read_name(source, &growth)?;
                growth.enter(name, source.dir()?);
            }
            _ => return Err(source.wrong("a node is of an unknown kind")),
        }
    }
}

fn read_name(source: &mut Source<'_>, growth: &Growth) -> io::Result<Name> {
    let name: Name = source.string()?;
    growth.check(&name).map_err(|detail| source.wrong(detail))?;
    Ok(name)
}

/// Reads what comes behind the events.
fn read_sections(source: &mut Source<'_>) -> io::Result<Auth> {
    let mut auth = Auth::default();
    loop {
        match source.byte()? {
            END => return Ok(auth),
            USERS if auth == Auth::default() => {
                auth = Auth::read(source)?.map_err(|detail| source.wrong(detail))?;
            }
            USERS => return Err(source.wrong("its users come twice")),
            kind => return Err(source.wrong(&format!("its section {kind} is unknown"))),
        }
    }
}

impl Store {
    /// Rebuilds a store from what [`crate::StoreSnapshot::write`] wrote, up to the end of `input`.
    ///
    /// # Errors
    /// `InvalidData` with what is wrong, or what `input` gave.
    pub fn load(input: &mut dyn Read, limits: Limits) -> io::Result<Self> {
        let mut source = Source::new(input);
        let version = source.byte()?;
        if !matches!(version, VERSION_1 | VERSION_2 | VERSION) {
            return Err(source.wrong(&format!("its version {version} is unknown")));
        }
        let index = source.number()?;
        source.set_index(index);
        let stamp = source.stamp()?;
        source.set_shown_with(if version <= VERSION_2 { Some(stamp.wall_offset) } else { None });
        let stats = source.stats()?;
        let (root, expiry) = read_tree(&mut source)?;
        let history = events::read(&mut source, version, &root, &limits)?;
        let mut auth = Auth::default();
        if version > VERSION_2 {
            auth = read_sections(&mut source)?;
        }
        if auth.revision().0 > index {
            return Err(source.wrong("a user is newer than the store"));
        }
        source.finish()?;
        let mut store = Store::new(limits);
        store.root = Arc::new(root);
        store.auth = Arc::new(auth);
        store.index = index;
        store.noted_from = index;
        store.stamp = stamp;
        store.stats = stats;
        store.history = history;
        store.expiry = expiry;
        Ok(store)
    }
}
