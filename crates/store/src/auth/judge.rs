//! What users and roles mean for the commands of a store.

use super::{Access, AuthChange, AuthDone, Author};
use crate::command::Command;
use crate::error::{ErrorCode, StoreError};
use crate::store::{Applied, Store};
use crate::time::{Stamp, StoreIndex};
use crate::watch::Wake;
use std::sync::Arc;

impl Store {
    /// As [`Store::apply_as`], for a client that is nobody in particular, or for the server itself.
    ///
    /// # Errors
    /// [`StoreError`] when the command cannot or may not be; the key space and its index are then
    /// unchanged.
    pub fn apply(
        &mut self,
        command: &Command<'_>,
        stamp: Stamp,
        wakes: &mut Vec<Wake>,
    ) -> Result<Applied, StoreError> {
        self.apply_as(Author::default(), command, stamp, wakes)
    }

    /// Whether somebody may have a command carried out, as users and roles are now.
    pub fn may(&self, author: Author, command: &Command<'_>) -> bool {
        if !self.auth.is_enabled() {
            return true;
        }
        let Author { who, has_slash } = author;
        let access = command.access().map(|access| Access { has_slash, ..access });
        let has_right = access.is_none_or(|access| self.auth.allows(who, access));
        has_right && (!command.is_for_root() || self.auth.is_root(who))
    }

    /// The error of those who have no right to what they ask.
    pub fn unauthorized(&self) -> StoreError {
        self.error(ErrorCode::Unauthorized, "Insufficient credentials")
    }

    /// Makes a change of users or roles, which takes one index.
    pub(crate) fn change_users(&mut self, change: &AuthChange) -> Result<AuthDone, StoreError> {
        let next = StoreIndex(self.index + 1);
        match Arc::make_mut(&mut self.auth).change(change, next) {
            Ok(done) => {
                self.index = next.0;
                Ok(done)
            }
            Err((code, cause)) => Err(self.error(code, cause)),
        }
    }
}
