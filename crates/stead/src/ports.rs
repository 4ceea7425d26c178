//! The ports for clients: where to listen, in which dialect, with TLS or without, and where clients
//! are told that they are.

use crate::binding::{
    Flags, advertised, bind, bind_where_reached, in_url, parse_port, resolve, resolve_all, split,
};
use crate::reach;
use crate::setting::Flag;
use crate::source::{Source, Usage, Values};
use server::config::{
    Bind, CLIENT_LISTENERS_MAX, CLIENT_URL_BYTES_MAX, CLIENT_URLS_MAX, ClientListener, ClientUrls,
    Dialect,
};
use std::path::PathBuf;

/// The port of 2.x clients.
const V2_PORT: u16 = 2379;

fn dialect(values: &Values) -> Dialect {
    if values.get(Flag::Compat).0 == "v2" { Dialect::V2 } else { Dialect::V04 }
}

/// The ports for clients.
#[derive(Debug)]
pub(crate) struct ClientPorts {
    pub(crate) listeners: Vec<ClientListener>,
    /// The address of those that know one of a machine only.
    pub(crate) url: String,
    pub(crate) urls: ClientUrls,
}

/// What the settings say.
struct Wanted {
    /// The dialect of the ports that are no second ones.
    dialect: Dialect,
    /// Whether there is a certificate.
    has_cert: bool,
    /// Whether -addr was given.
    has_addr: bool,
    /// -addr: host and port.
    addr: String,
    port: u16,
    listen: Vec<ListenUrl>,
}

/// A URL of -listen-client-urls.
struct ListenUrl {
    text: String,
    is_tls: bool,
    place: Place,
}

enum Place {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

/// Reads the settings. `has_addr` says whether -addr was given, and not made of other flags.
///
/// # Errors
/// [`Usage`] with what is wrong.
pub(crate) fn client_ports(
    values: &mut Values,
    has_cert: bool,
    has_addr: bool,
) -> Result<ClientPorts, Usage> {
    let (addr, port) = advertised(values, Flag::Addr)?;
    let texts = values.list(Flag::ListenClientUrls);
    let listen: Vec<ListenUrl> =
        texts.iter().map(|text| ListenUrl::parse(text)).collect::<Result<_, Usage>>()?;
    let dialect = match values.get(Flag::Compat) {
        (_, Source::Default) if !listen.is_empty() => Dialect::V2,
        _ => dialect(values),
    };
    let wanted = Wanted { dialect, has_cert, has_addr, addr, port, listen };
    wanted.check_schemes(values)?;
    let second = Second::of(values)?;
    let mut listeners = wanted.listeners(values)?;
    let (url, urls) = wanted.advertise(values, second.as_ref())?;
    if let Some(Second { host, port, .. }) = &second {
        let binds = bind_where_reached(values, Flag::V2Addr, host, *port);
        listeners.extend(binds.into_iter().map(|bind| ClientListener {
            bind: Bind::Tcp(bind),
            dialect: Dialect::V2,
            is_tls: has_cert,
        }));
    }
    if listeners.len() > CLIENT_LISTENERS_MAX {
        return Err(Usage(format!(
            "there are {} addresses to listen on for clients: at most {CLIENT_LISTENERS_MAX} are \
             possible",
            listeners.len()
        )));
    }
    Ok(ClientPorts { listeners, url, urls })
}

/// The second port for clients, where they are spoken to as 2.x does.
struct Second {
    host: String,
    port: u16,
}

impl Second {
    fn of(values: &Values) -> Result<Option<Self>, Usage> {
        let flag = Flag::V2Addr;
        let text = values.get(flag).0.to_owned();
        if text.is_empty() {
            return Ok(None);
        }
        let parts = split(&text);
        if parts.host.is_empty() || text.contains("://") {
            return Err(Usage(format!("-{flag}: address {text}: expected HOST[:PORT]")));
        }
        let port = parts.port.map_or(Ok(V2_PORT), |port| parse_port(flag, &text, port))?;
        reach::check(flag, &text, parts.host, port)?;
        // What cannot be resolved is a mistake: there is no other address to fall back on.
        resolve(flag, parts.host, port)?;
        let host = parts.host.to_owned();
        Ok(Some(Self { host, port }))
    }

    /// Where it is reached. All interfaces is no address: it is the one of -addr then, if others
    /// can use that, or else the one that this machine reaches others from.
    fn advertise(&self, values: &mut Values, wanted: &Wanted) -> String {
        let first = split(&wanted.addr).host;
        let is_of_use =
            wanted.has_addr && !reach::is_unspecified(first) && !reach::is_loopback(first);
        if reach::is_unspecified(&self.host) && is_of_use {
            return host_port(first, self.port);
        }
        let own = host_port(&self.host, self.port);
        reach::advertise(values, Flag::V2Addr, &own, &self.host, self.port)
    }
}

/// HOST:PORT, with brackets where they are needed.
fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl ListenUrl {
    fn parse(text: &str) -> Result<Self, Usage> {
        let flag = Flag::ListenClientUrls;
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let is_tls = matches!(scheme, "https" | "unixs");
        let place = if matches!(scheme, "unix" | "unixs") {
            if rest.is_empty() || rest.ends_with('/') {
                return Err(Usage(format!("-{flag}: {text}: expected unix://PATH")));
            }
            Place::Unix(PathBuf::from(rest))
        } else {
            let address = in_url(flag, text)?;
            let parts = split(&address);
            let port = parse_port(flag, text, parts.port.unwrap_or_default())?;
            Place::Tcp { host: parts.host.to_owned(), port }
        };
        Ok(Self { text: text.to_owned(), is_tls, place })
    }
}

impl Wanted {
    /// Whether a port without TLS is among those to listen on.
    fn has_plain(&self) -> bool {
        !self.has_cert || self.listen.iter().any(|url| !url.is_tls)
    }

    /// Holds the schemes against the certificate. Plain ports beside others with TLS are what was
    /// written; with a certificate that no port shows half of what was meant is missing.
    fn check_schemes(&self, values: &mut Values) -> Result<(), Usage> {
        let (flag, cert, key) = (Flag::ListenClientUrls, Flag::CertFile, Flag::KeyFile);
        if let Some(url) = self.listen.iter().find(|url| url.is_tls && !self.has_cert) {
            return Err(Usage(format!("-{flag}: {}: https requires -{cert} and -{key}", url.text)));
        }
        let plain: Vec<&str> =
            self.listen.iter().filter(|url| !url.is_tls).map(|url| url.text.as_str()).collect();
        if !self.has_cert || plain.is_empty() {
            return Ok(());
        }
        if plain.len() == self.listen.len() {
            let url = plain.first().copied().unwrap_or_default();
            return Err(Usage(format!("-{flag}: {url}: expected https, since -{cert} is set")));
        }
        values.notes.push(format!(
            "-{flag}: {} without TLS: no certificate is shown or asked for there",
            plain.join(" and ")
        ));
        Ok(())
    }

    fn listeners(&self, values: &mut Values) -> Result<Vec<ClientListener>, Usage> {
        let mut listeners: Vec<ClientListener> = Vec::new();
        let mut add = |bind: Bind, is_tls: bool, text: &str| match listeners
            .iter()
            .find(|one| one.bind == bind)
        {
            Some(other) if other.is_tls != is_tls => Err(Usage(format!(
                "-{}: {text}: the same address is there with and without TLS",
                Flag::ListenClientUrls
            ))),
            Some(_) => Ok(()),
            None => {
                listeners.push(ClientListener { bind, dialect: self.dialect, is_tls });
                Ok(())
            }
        };
        for url in &self.listen {
            match &url.place {
                Place::Unix(path) => add(Bind::Unix(path.clone()), url.is_tls, &url.text)?,
                Place::Tcp { host, port } => {
                    for bind in resolve_all(Flag::ListenClientUrls, host, *port)? {
                        add(Bind::Tcp(bind), url.is_tls, &url.text)?;
                    }
                }
            }
        }
        if self.listen.is_empty() {
            let flags = Flags { reached: Flag::Addr, listens: Flag::BindAddr };
            for address in bind(values, flags, &self.addr, self.port)? {
                add(Bind::Tcp(address), self.has_cert, &self.addr)?;
            }
        }
        Ok(listeners)
    }

    /// Where clients are told that this machine is: one address, and all of them.
    fn advertise(
        &self,
        values: &mut Values,
        second: Option<&Second>,
    ) -> Result<(String, ClientUrls), Usage> {
        let (mut first, mut v2) = (Vec::new(), Vec::new());
        let named = self.named_urls(values)?;
        let listened = if named.is_empty() { self.listened_urls(values) } else { Vec::new() };
        // Beside -addr and -v2-addr the URLs in the words of 2.x are those of the 2.x port.
        let is_second = second.is_some() && self.listen.is_empty() && self.has_addr;
        if self.has_addr || named.is_empty() && listened.is_empty() {
            first.push(self.addr_url(values));
        }
        if is_second { &mut v2 } else { &mut first }.extend(named);
        first.extend(listened);
        if let Some(second) = second.filter(|_| v2.is_empty()) {
            let scheme = if self.has_cert { "https" } else { "http" };
            v2.push(format!("{scheme}://{}", second.advertise(values, self)));
        }
        let url = first.first().or(v2.first()).cloned().unwrap_or_default();
        let (v04, v2) = match self.dialect {
            Dialect::V04 => (first, v2),
            Dialect::V2 => (Vec::new(), first.into_iter().chain(v2).collect()),
        };
        for urls in [&v04, &v2] {
            if urls.len() > CLIENT_URLS_MAX {
                let (has, flag) = (urls.len(), Flag::AdvertiseClientUrls);
                return Err(Usage(format!(
                    "-{flag}: {has} addresses: at most {CLIENT_URLS_MAX} are told to clients"
                )));
            }
            if let Some(long) = urls.iter().find(|url| url.len() > CLIENT_URL_BYTES_MAX) {
                return Err(Usage(format!("{long}: longer than {CLIENT_URL_BYTES_MAX} bytes")));
            }
        }
        Ok((url, ClientUrls::new(v04, v2)))
    }

    fn addr_url(&self, values: &mut Values) -> String {
        let host = split(&self.addr).host;
        let told = reach::advertise(values, Flag::Addr, &self.addr, host, self.port);
        let is_tls =
            self.has_cert && (self.listen.is_empty() || self.listen.iter().any(|url| url.is_tls));
        format!("{}://{told}", if is_tls { "https" } else { "http" })
    }

    /// The URLs of -advertise-client-urls.
    fn named_urls(&self, values: &mut Values) -> Result<Vec<String>, Usage> {
        let flag = Flag::AdvertiseClientUrls;
        let mut urls = Vec::new();
        for text in values.list(flag) {
            if text.starts_with("unix://") || text.starts_with("unixs://") {
                values.notes.push(format!(
                    "-{flag}: {text} is not told to others: it means something on this machine only"
                ));
                continue;
            }
            let address = in_url(flag, &text)?;
            let parts = split(&address);
            let port = parse_port(flag, &text, parts.port.unwrap_or_default())?;
            reach::check(flag, &text, parts.host, port)?;
            let is_tls = text.starts_with("https://");
            let (cert, key) = (Flag::CertFile, Flag::KeyFile);
            if is_tls && !self.has_cert {
                return Err(Usage(format!("-{flag}: {text}: https requires -{cert} and -{key}")));
            }
            if !is_tls && !self.has_plain() {
                return Err(Usage(format!(
                    "-{flag}: {text}: expected https, since -{cert} is set"
                )));
            }
            let told = reach::advertise(values, flag, &address, parts.host, port);
            urls.push(format!("{}://{told}", if is_tls { "https" } else { "http" }));
        }
        Ok(urls)
    }

    /// Where this machine listens, as addresses for others: for one that was told nothing else.
    fn listened_urls(&self, values: &mut Values) -> Vec<String> {
        if self.has_addr {
            return Vec::new();
        }
        let flag = Flag::ListenClientUrls;
        let mut urls = Vec::new();
        for url in &self.listen {
            let Place::Tcp { host, port } = &url.place else { continue };
            let own = host_port(host, *port);
            let told = reach::advertise(values, flag, &own, host, *port);
            urls.push(format!("{}://{told}", if url.is_tls { "https" } else { "http" }));
        }
        if urls.is_empty() && !self.listen.is_empty() {
            values.notes.push(format!(
                "-{flag}: other machines cannot reach a Unix socket, and http://{} is what clients \
                 are told: set -{} to where this machine is reached, if it is",
                self.addr,
                Flag::AdvertiseClientUrls
            ));
        }
        urls
    }
}

#[cfg(test)]
mod tests;
