//! A machine that is a proxy: it passes requests on, and is never a member.

use super::Host;
use crate::error::StartError;
use crate::join;
use crate::notice::notice;
use crate::standby::{self, Errand};

/// Members whose addresses are kept.
const MEMBERS_MAX: usize = 256;

impl Host {
    /// Whether the start line asks for a proxy. What the directory holds has to agree with it: a
    /// member that passes on instead of voting would be missed by its cluster, and an empty
    /// directory beside a list of members is no reason to found one.
    pub(super) fn begins_as_proxy(&self) -> Result<bool, StartError> {
        let refuse = |detail: String| Err(StartError::DataDir(detail));
        let dir = self.config.data_dir.display();
        if self.config.proxy.is_some() {
            if self.data_dir.has_member()? {
                return refuse(format!(
                    "{dir} is the directory of a member or of a standby, which -proxy would leave \
                     unserved: start it without -proxy, or give the proxy another -data-dir"
                ));
            }
            return Ok(true);
        }
        if self.config.force || self.config.finding.force_rejoin {
            self.data_dir.forget_proxied()?;
            return Ok(false);
        }
        match self.data_dir.proxied() {
            Ok(None) => Ok(false),
            Ok(Some(_)) => refuse(format!(
                "{dir} is the directory of a proxy: give -proxy, or another -data-dir; with -force \
                 this machine starts as a new one"
            )),
            Err(error) => refuse(error.to_string()),
        }
    }

    /// Passes requests on until a signal comes.
    pub(super) fn relay(&mut self) -> Result<(), StartError> {
        let known = self.data_dir.proxied().map_err(|e| StartError::DataDir(e.to_string()))?;
        let is_new = known.is_none();
        let mut known = known.unwrap_or_default();
        if let Err(error) = self.look_up_machines() {
            if known.is_empty() {
                return Err(error);
            }
            notice!(DiscoveryFailed, "", "going on with the members that were kept: {error}");
        }
        let mut peers = known.clone();
        let finding = &self.config.finding;
        let initial = finding.initial.iter().flat_map(|initial| &initial.members);
        let named = initial.map(|(_, url)| url.clone()).chain(finding.peers.iter().cloned());
        for url in join::others(&named.collect::<Vec<_>>(), &self.own()) {
            if !peers.contains(&url) {
                peers.push(url);
            }
        }
        if is_new {
            self.data_dir.set_proxied(&[])?;
        }
        let parts = standby::StandbyParts {
            config: &self.config,
            clock: self.clock,
            own: self.own(),
            errand: Errand::Relay(peers),
            listeners: self.ports.again()?,
            signals: self.signals()?,
            pulse: &self.pulse,
            keyring: &mut self.keyring,
        };
        standby::run(parts, &mut |urls| {
            let urls = urls.get(..MEMBERS_MAX).unwrap_or(urls);
            if urls != known.as_slice() {
                urls.clone_into(&mut known);
                // An older list serves as well, as long as one of it is there.
                if let Err(error) = self.data_dir.set_proxied(urls) {
                    notice!(ListUnsaved, "", "{error}");
                }
            }
        })?;
        Ok(())
    }
}
