//! The disk in memory as the log sees it.

use super::change::{Change, NameChange};
use super::state::Inode;
use super::{MemDisk, MemFile, Reserving};
use crate::disk::{Disk, DiskFile};
use std::io;
use std::sync::Arc;

impl Disk for MemDisk {
    type File = MemFile;

    fn create(&self, name: &str) -> io::Result<MemFile> {
        let mut state = self.state();
        state.operate()?;
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = state.next_inode;
        state.next_inode += 1;
        let file = Inode::default();
        let handle = Arc::clone(&file.handles);
        state.inodes.insert(inode, file);
        state.change_name(NameChange::Set(name.to_owned(), inode));
        Ok(MemFile { disk: self.clone(), inode, _handle: handle })
    }

    fn open(&self, name: &str) -> io::Result<MemFile> {
        let mut state = self.state();
        state.call()?;
        let inode = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        let handle = Arc::clone(&state.inode(inode)?.handles);
        Ok(MemFile { disk: self.clone(), inode, _handle: handle })
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut state = self.state();
        state.call()?;
        Ok(state.names.keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        if !state.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if let Some(replaced) = state.names.get(to).copied().filter(|_| from != to) {
            state.unlink(replaced);
        }
        state.change_name(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        let inode = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        state.unlink(inode);
        state.change_name(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state();
        state.sync_names()?;
        state.durable_names = state.names.clone();
        state.unsynced_names.clear();
        // Removed for good, unless somebody still has it open.
        state.inodes.retain(|_, inode| !inode.is_removed || Arc::strong_count(&inode.handles) > 1);
        Ok(())
    }

    fn room(&self) -> io::Result<Option<u64>> {
        let mut state = self.state();
        state.call()?;
        Ok(state.capacity.map(|capacity| capacity.saturating_sub(state.used())))
    }
}

impl DiskFile for MemFile {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.call()?;
        Ok(state.inode(self.inode)?.data.len() as u64)
    }

    fn origin(&self) -> io::Result<Option<u64>> {
        let generation = self.disk.state().generation;
        Ok(Some((self.inode + 1) ^ generation.rotate_left(40)))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        state.call()?;
        if state.faults.fail_reads {
            return Err(io::Error::other("injected read failure"));
        }
        let offset = state.direct_read(offset);
        let inode = state.inode(self.inode)?;
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        let from = inode.data.get(at..).unwrap_or_default();
        let len = from.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..len), from.get(..len)) {
            to.copy_from_slice(from);
        }
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        let mut state = self.disk.state();
        state.writes += 1;
        let result = state.operate();
        let len_max = if state.refuses_write() { 0 } else { state.len_max(self.inode) };
        let room = len_max.saturating_sub(at);
        let written = if result.is_err() { bytes.len() / 2 } else { bytes.len() }.min(room);
        let written = bytes.get(..written).unwrap_or(bytes);
        let is_whole = written.len() == bytes.len();
        let inode = state.inode(self.inode)?;
        let change = Change::Write(at, written.to_vec());
        change.apply(&mut inode.data);
        inode.unsynced.push(change);
        result?;
        if is_whole { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        let end = usize::try_from(offset.saturating_add(len)).map_err(io::Error::other)?;
        let mut state = self.disk.state();
        state.operate()?;
        let from = match state.reserving {
            // As the real call, which wants a length.
            _ if len == 0 => return Err(io::ErrorKind::InvalidInput.into()),
            Reserving::Refused(kind) => return Err(kind.into()),
            Reserving::Works => None,
            Reserving::Missing => Some(offset.max(state.inode(self.inode)?.data.len() as u64)),
            Reserving::Overwrites => Some(offset),
        };
        if let Some(from) = from {
            drop(state);
            let from = usize::try_from(from).map_err(io::Error::other)?;
            let zeros = vec![0; end.saturating_sub(from)];
            return self.write_at(&zeros, from as u64);
        }
        if end > state.len_max(self.inode) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let inode = state.inode(self.inode)?;
        if end > inode.data.len() {
            inode.data.resize(end, 0);
            inode.unsynced.push(Change::Extend(end));
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.sync()?;
        let inode = state.inode(self.inode)?;
        let Inode { durable, unsynced, .. } = inode;
        unsynced.drain(..).for_each(|change| change.apply(durable));
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }
}
