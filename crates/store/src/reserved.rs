//! Keys that clients may not write, whoever they are.

use crate::error::{ErrorCode, StoreError};
use crate::path::KeyPath;
use crate::store::Store;

impl Store {
    /// Sets whether the commands that follow were written by release 0.1, which reserved all of
    /// `/_etcd`. What it refused then is refused whenever its log is replayed.
    pub fn set_reserves_all(&mut self, reserves_all: bool) {
        self.reserves_all = reserves_all;
    }

    /// Whether a key is the server's own: `/_etcd` itself, and what the server keeps there.
    /// Everything else below it is an ordinary hidden key, as the registry of a discovery service
    /// is by convention (`/_etcd/registry/TOKEN`).
    pub(crate) fn is_reserved(&self, path: KeyPath<'_>) -> bool {
        let mut components = path.components();
        let is_kept = |name| matches!(name, "config" | "machines" | "mod");
        components.next() == Some("_etcd")
            && (self.reserves_all || components.next().is_none_or(is_kept))
    }

    /// Refuses writes of clients to the server's own keys, and to the root.
    pub(crate) fn check_writable(&self, path: KeyPath<'_>) -> Result<(), StoreError> {
        if self.is_reserved(path) {
            return Err(self.error(ErrorCode::Reserved, path.as_str()));
        }
        if path.is_root() {
            return Err(self.error(ErrorCode::RootReadOnly, "/"));
        }
        Ok(())
    }
}
