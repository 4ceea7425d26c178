//! Changes that were not synced, and what a power loss makes of them.

use std::collections::BTreeMap;

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// A change of a file's content that was not synced.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Write(usize, Vec<u8>),
    /// The file was made this long.
    Extend(usize),
}

#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Set(String, u64),
    Rename(String, String),
    Remove(String),
}

/// Draws numbers for faults: the caller's source of chance.
pub type Chance<'a> = &'a mut dyn FnMut() -> u64;

pub(super) fn draw_below(chance: Chance<'_>, limit: usize) -> usize {
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
    usize::try_from(chance() % limit).unwrap_or(0)
}

fn write(data: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        // As on a real file system, this does not make the file longer.
        return;
    }
    let end = at + bytes.len();
    if data.len() < end {
        data.resize(end, 0);
    }
    if let Some(range) = data.get_mut(at..end) {
        range.copy_from_slice(bytes);
    }
}

impl Change {
    pub(super) fn apply(&self, data: &mut Vec<u8>) {
        match self {
            Change::Write(at, bytes) => write(data, *at, bytes),
            Change::Extend(len) => data.resize(data.len().max(*len), 0),
        }
    }

    /// Applies what of it happens to have reached the disk.
    pub(super) fn apply_by_chance(&self, data: &mut Vec<u8>, chance: Chance<'_>) {
        let Change::Write(at, bytes) = self else {
            if chance().is_multiple_of(2) {
                self.apply(data);
            }
            return;
        };
        match chance() % 8 {
            0..3 => {}
            3 => {
                let kept = draw_below(chance, bytes.len() + 1);
                write(data, *at, bytes.get(..kept).unwrap_or(bytes));
            }
            4 => {
                // Sectors reach the disk in any order.
                let mut from = 0;
                while let Some(rest) = bytes.get(from..).filter(|rest| !rest.is_empty()) {
                    let to_boundary = SECTOR_BYTES - (at + from) % SECTOR_BYTES;
                    let sector = rest.get(..to_boundary).unwrap_or(rest);
                    if chance().is_multiple_of(2) {
                        write(data, at + from, sector);
                    }
                    from += sector.len();
                }
            }
            _ => self.apply(data),
        }
    }
}

impl NameChange {
    pub(super) fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            NameChange::Set(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            NameChange::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
            NameChange::Remove(name) => {
                names.remove(name);
            }
        }
    }
}
