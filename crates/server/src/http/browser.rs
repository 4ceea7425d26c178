//! Whether a request of a web page is taken.
//!
//! A browser sends what any page asks of it, to any machine that it reaches: to a server on the
//! same machine or in the network behind it too. The page cannot read the answer, but what it asked
//! for is done. And a page may have its own name lead here (DNS rebinding): then it reads as well.
//! What a browser says of the page tells changes apart from those of clients, which say nothing of
//! the kind, and of the pages of this server. A plain read of a page under such a name says nothing
//! either: it looks like a client's, and only a `-host-whitelist` without `*` refuses it.

use super::cors::Cors;
use crate::config::Config;
use crate::http::request::Sender;
use std::net::IpAddr;

/// The names under which this machine is reached.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    /// In lower case, without brackets and ports.
    names: Vec<String>,
    /// Whether clients other than browsers may use any other.
    is_open: bool,
}

/// Why a request is refused.
pub(crate) const FOREIGN: &str = "a page of another origin must not change anything here: name its \
                                  origin in -cors if it may";
pub(crate) const UNKNOWN_HOST: &str = "this machine is not known under the name in Host: \
                                       name it in -host-whitelist if it is one of its names";

impl Hosts {
    pub(crate) fn of(config: &Config) -> Self {
        let urls = config.client_urls.v04().iter().chain(config.client_urls.v2());
        let own = urls.chain([&config.client_url, &config.peer_advertised]);
        let own = own.filter_map(|url| url.split("://").last()).map(str::as_bytes);
        let listed = config.host_whitelist.iter().filter(|name| *name != "*");
        let names = own.chain(listed.map(|name| name.as_bytes())).filter_map(host);
        let is_open = config.host_whitelist.iter().any(|name| name == "*");
        Self { names: names.collect(), is_open }
    }

    /// Whether a host always means this machine: an address, or a configured name.
    fn knows(&self, host: &str) -> bool {
        host.parse::<IpAddr>().is_ok()
            || host == "localhost"
            || self.names.iter().any(|one| one == host)
    }

    /// Judges a request. `is_change` says whether it asks for more than to read.
    ///
    /// # Errors
    /// The sentence of the refusal, which is 403.
    pub(crate) fn judge(
        &self,
        cors: &Cors,
        sender: Sender<'_>,
        is_change: bool,
    ) -> Result<(), &'static str> {
        let meant = || sender.host.and_then(host);
        let Some(origin) = sender.origin else {
            // A form of another page that says no origin, as some do where it is hidden.
            let is_foreign = sender.fetch_site.is_some_and(|site| site == b"cross-site");
            if is_change && is_foreign {
                return Err(FOREIGN);
            }
            // Only a closed list looks at the name, which is not free.
            if !self.is_open && meant().is_some_and(|host| !self.knows(&host)) {
                return Err(UNKNOWN_HOST);
            }
            return Ok(());
        };
        if cors.allows(origin) {
            return Ok(());
        }
        if !meant().is_some_and(|host| self.knows(&host)) {
            return Err(UNKNOWN_HOST);
        }
        let is_own = sender.host.is_some_and(|host| is_origin_of(origin, host));
        if is_change && (!is_own || sender.fetch_site == Some(b"cross-site")) {
            return Err(FOREIGN);
        }
        Ok(())
    }
}

/// HOST of HOST or HOST:PORT, as it is compared; nothing if it is none.
fn host(text: &[u8]) -> Option<String> {
    let text = str::from_utf8(text).ok()?.to_ascii_lowercase();
    let host = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        // An IPv6 address that was listed without brackets.
        None if text.parse::<IpAddr>().is_ok() => &text,
        None => text.split_once(':').map_or(&*text, |(host, _)| host),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    (!host.is_empty()).then(|| host.to_owned())
}

/// Whether an origin is that of the pages of the machine that was meant.
fn is_origin_of(origin: &[u8], host: &[u8]) -> bool {
    let authority = |scheme: &[u8], port: &[u8]| {
        let rest = origin.strip_prefix(scheme)?;
        let is_same = rest.eq_ignore_ascii_case(host)
            // A port that is the scheme's own is left out by some.
            || host.strip_suffix(port).is_some_and(|host| rest.eq_ignore_ascii_case(host));
        Some(is_same)
    };
    authority(b"http://", b":80").or_else(|| authority(b"https://", b":443")) == Some(true)
}

/// Whether a body is JSON by its content type.
pub(crate) fn is_json(content_type: Option<&[u8]>) -> bool {
    let kind = content_type.unwrap_or_default().split(|byte| *byte == b';').next();
    kind.unwrap_or_default().trim_ascii().eq_ignore_ascii_case(b"application/json")
}

#[cfg(test)]
mod tests;
