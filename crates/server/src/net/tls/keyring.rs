//! All certificates of a process, and when they are read again: once a second if a file has
//! changed, and on SIGHUP in any case. Connections that are open keep what they began with.

use super::{Acceptor, Dialer, Expiry};
use crate::config::Config;
use crate::config::Port;
use crate::error::StartError;
use crate::sys::reload::Reloads;
use rustls::ClientConfig;
use std::sync::Arc;

/// The certificates of both ports and of outgoing connections, as far as they have any.
#[derive(Debug, Default)]
pub(crate) struct Keyring {
    client: Option<Acceptor>,
    peer: Option<Acceptor>,
    dialer: Option<Dialer>,
    /// When the certificates end.
    expiries: Vec<Expiry>,
    reloads: Reloads,
}

impl Keyring {
    /// # Errors
    /// [`StartError::Tls`] with the file that cannot be used.
    pub(crate) fn open(config: &Config, reloads: Reloads) -> Result<Self, StartError> {
        let mut keyring = Self {
            client: config.client_tls.clone().map(Acceptor::open).transpose()?,
            peer: config.peer_tls.clone().map(Acceptor::open).transpose()?,
            dialer: config.peer_tls.clone().map(Dialer::open).transpose()?,
            expiries: Vec::new(),
            reloads,
        };
        keyring.note_expiries();
        Ok(keyring)
    }

    fn note_expiries(&mut self) {
        let acceptors = [&self.client, &self.peer].into_iter().flatten();
        let mut expiries: Vec<Expiry> = acceptors.filter_map(Acceptor::expiry).collect();
        // Both ports may show the same one.
        expiries.sort_by_key(|one| one.at);
        expiries.dedup_by(|one, other| one.file == other.file);
        self.expiries = expiries;
    }

    /// Where other certificates and limits come from.
    pub(crate) fn reloads(&self) -> &Reloads {
        &self.reloads
    }

    /// The certificate that ends first.
    pub(crate) fn ends_first(&self) -> Option<&Expiry> {
        self.expiries.first()
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

    /// Reads again what has changed, or everything if that was asked for, and tells which
    /// certificates end soon. `now` is the wall clock.
    pub(crate) fn refresh(&mut self, now: u64) {
        let is_wanted = self.reloads.take_certificates();
        let mut has_new = false;
        for acceptor in [&mut self.client, &mut self.peer].into_iter().flatten() {
            has_new |= acceptor.refresh(is_wanted);
        }
        if has_new {
            self.note_expiries();
        }
        self.expiries.iter_mut().for_each(|one| one.tell(now));
        if let Some(dialer) = &mut self.dialer {
            dialer.refresh(is_wanted);
        }
    }
}
