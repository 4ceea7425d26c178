//! All certificates of a process, and when they are read again: once a second if a file has
//! changed, and on SIGHUP in any case. Connections that are open keep what they began with.

use super::{Acceptor, Dialer};
use crate::config::Config;
use crate::config::Port;
use crate::error::StartError;
use rustls::ClientConfig;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The certificates of both ports and of outgoing connections, as far as they have any.
#[derive(Debug, Default)]
pub(crate) struct Keyring {
    client: Option<Acceptor>,
    peer: Option<Acceptor>,
    dialer: Option<Dialer>,
    /// Set by SIGHUP.
    is_wanted: Arc<AtomicBool>,
}

impl Keyring {
    /// # Errors
    /// [`StartError::Tls`] with the file that cannot be used.
    pub(crate) fn open(config: &Config, is_wanted: Arc<AtomicBool>) -> Result<Self, StartError> {
        Ok(Self {
            client: config.client_tls.clone().map(Acceptor::open).transpose()?,
            peer: config.peer_tls.clone().map(Acceptor::open).transpose()?,
            dialer: config.peer_tls.clone().map(Dialer::open).transpose()?,
            is_wanted,
        })
    }

    /// What a port shows; nothing if it speaks plain HTTP.
    pub(crate) fn acceptor(&self, port: Port) -> Option<&Acceptor> {
        match port {
            Port::Client(_) => self.client.as_ref(),
            Port::Peer => self.peer.as_ref(),
        }
    }

    /// How members are called; nothing if in plain HTTP.
    pub(crate) fn dialer(&self) -> Option<Arc<ClientConfig>> {
        self.dialer.as_ref().map(Dialer::config)
    }

    /// Reads again what has changed, or everything if that was asked for.
    pub(crate) fn refresh(&mut self) {
        let is_wanted = self.is_wanted.swap(false, Ordering::Relaxed);
        if is_wanted && self.client.is_none() && self.peer.is_none() {
            tracing::info!("SIGHUP: no certificates to reload");
        }
        for acceptor in [&mut self.client, &mut self.peer].into_iter().flatten() {
            acceptor.refresh(is_wanted);
        }
        if let Some(dialer) = &mut self.dialer {
            dialer.refresh(is_wanted);
        }
    }
}
