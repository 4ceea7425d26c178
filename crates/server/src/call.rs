//! Calls of our own commands to servers.

use crate::net::tls;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;
use ureq::config::ConfigBuilder;
use ureq::typestate::AgentScope;

/// How long a server may take to begin its answer: a member that has lost its leader answers
/// within its request time-out.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of a refusal that are read.
const REFUSAL_BYTES_MAX: u64 = 64 << 10;

/// Connections that are kept for the next call to a server.
const IDLE_CONNECTIONS_MAX: usize = 32;

/// What proves the right to call, and who is believed to be the server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Access<'a> {
    /// The cluster's secret.
    pub token: Option<&'a str>,
    /// An `Authorization` header.
    pub authorization: Option<&'a str>,
    /// Authorities (PEM) that sign the server's certificate, in the stead of the system's.
    pub ca: Option<&'a Path>,
    /// The certificate and the key (PEM) that are shown to the server.
    pub shown: Option<(&'a Path, &'a Path)>,
}

/// How every call of this program is made: errors of HTTP are answers, redirects are not followed,
/// and no proxy is asked.
pub(crate) fn manners(connect_timeout: Duration) -> ConfigBuilder<AgentScope> {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(connect_timeout))
        .proxy(None)
        .user_agent(concat!("stead/", env!("CARGO_PKG_VERSION")))
}

/// What makes calls to one server. Errors of HTTP are answers, redirects are not followed, and no
/// proxy is asked. With `patience` a call takes so long at most.
///
/// # Errors
/// The file that cannot be used, in a sentence.
pub fn agent(
    is_encrypted: bool,
    access: Access<'_>,
    patience: Option<Duration>,
) -> Result<ureq::Agent, String> {
    let builder = manners(CONNECT_TIMEOUT)
        .max_idle_connections_per_host(IDLE_CONNECTIONS_MAX)
        .timeout_global(patience)
        .timeout_recv_response(Some(ANSWER_TIMEOUT));
    let config = match is_encrypted {
        true => builder.tls_config(tls::for_client(access.ca, access.shown)?).build(),
        false => builder.build(),
    };
    Ok(config.into())
}

/// Writes the body of a GET into `out`. Gives its length. Redirects are not followed: the secret
/// goes to the server that was named and to no other.
///
/// # Errors
/// A sentence with the URL and what went wrong.
pub fn download(url: &str, access: Access<'_>, out: &mut impl Write) -> Result<u64, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{url}: {error}");
    let mut request = agent(url.starts_with("https://"), access, None)?.get(url);
    if let Some(token) = access.token {
        request = request.header("Stead-Token", token);
    }
    if let Some(header) = access.authorization {
        request = request.header("Authorization", header);
    }
    let response = request.call().map_err(|error| failed(&error))?;
    let status = response.status().as_u16();
    if (300..400).contains(&status) {
        let location = response.headers().get("location").and_then(|value| value.to_str().ok());
        let location = location.unwrap_or("another machine");
        return Err(failed(&format!("this machine does not serve clients; ask {location}")));
    }
    let mut reader = response.into_body().into_reader();
    if status != 200 {
        let mut text = String::new();
        // What cannot be read of a refusal adds nothing to it.
        let _ = reader.take(REFUSAL_BYTES_MAX).read_to_string(&mut text);
        return Err(failed(&format!("answered {status}: {}", text.trim().escape_debug())));
    }
    io::copy(&mut reader, out).map_err(|error| failed(&error))
}
