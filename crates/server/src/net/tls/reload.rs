//! A value made from certificate files, and reloaded when they change.

use super::pem;
use crate::config::TlsFiles;
use crate::error::StartError;
use std::sync::Arc;
use std::time::SystemTime;

/// Makes a configuration of files, or says what is wrong with them.
type LoadFiles<C> = fn(&TlsFiles) -> Result<Arc<C>, String>;

/// A configuration, and the files that it is of.
#[derive(Debug)]
pub(crate) struct Kept<C> {
    files: TlsFiles,
    config: Arc<C>,
    written: Vec<Option<SystemTime>>,
    load: LoadFiles<C>,
}

impl<C> Kept<C> {
    /// # Errors
    /// [`StartError::Tls`] with the file that cannot be used.
    pub(super) fn of(files: TlsFiles, load: LoadFiles<C>) -> Result<Self, StartError> {
        let written = pem::written(&files);
        let config = load(&files).map_err(StartError::Tls)?;
        Ok(Self { files, config, written, load })
    }

    pub(super) fn files(&self) -> &TlsFiles {
        &self.files
    }

    pub(crate) fn config(&self) -> Arc<C> {
        self.config.clone()
    }

    /// Reloads the files if they have changed, or in any case if `is_wanted`, and says what came of
    /// it; nothing if there was nothing to do. Files that cannot be used change nothing.
    pub(super) fn renew(&mut self, is_wanted: bool) -> Option<Result<(), String>> {
        let written = pem::written(&self.files);
        if written == self.written && !is_wanted {
            return None;
        }
        self.written = written;
        let loaded = (self.load)(&self.files);
        Some(loaded.map(|config| self.config = config))
    }
}
