//! Sockets that this process was started with: a service manager opens them, and keeps them open
//! while the server restarts, so that no client is refused meanwhile (sd_listen_fds(3)).

use crate::config::Bind;
use listenfd::ListenFd;
use socket2::{SockRef, Socket};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

/// The variable that says how many there are.
const VARIABLE: &str = "LISTEN_FDS";

/// How many are taken at most.
const COUNT_MAX: usize = 64;

/// Sockets that were passed and that nothing listens on yet.
#[derive(Debug, Default)]
pub struct Inherited(Vec<Passed>);

#[derive(Debug)]
enum Passed {
    Tcp(TcpListener, SocketAddr),
    /// With the path of its file.
    Unix(UnixListener, PathBuf),
}

impl Inherited {
    /// Takes what was passed, and the variables that say so: they are not for programs that this
    /// one starts. To be called before there is a second thread, which might read variables too.
    ///
    /// # Errors
    /// One sentence, when a descriptor is no socket that can be listened on.
    pub fn take() -> Result<Self, String> {
        let count = std::env::var(VARIABLE).ok().filter(|value| !value.is_empty());
        if count.is_some_and(|value| value.parse().is_ok_and(|count: usize| count > COUNT_MAX)) {
            return Err(format!("{VARIABLE} passes more than {COUNT_MAX} sockets"));
        }
        let mut passed = ListenFd::from_env();
        let all = (0..passed.len()).map(|at| take_one(&mut passed, at));
        all.collect::<Result<_, _>>().map(Self)
    }

    /// The socket of an address, if it was passed.
    pub(crate) fn claim_tcp(&mut self, wanted: SocketAddr) -> Option<TcpListener> {
        let is_it = |one: &Passed| matches!(one, Passed::Tcp(_, at) if is_same(*at, wanted));
        match self.0.remove(self.0.iter().position(is_it)?) {
            Passed::Tcp(socket, _) => Some(socket),
            Passed::Unix(..) => unreachable!("it was found as one of TCP"),
        }
    }

    /// The socket of a file, if it was passed.
    pub(crate) fn claim_unix(&mut self, wanted: &std::path::Path) -> Option<UnixListener> {
        let wanted = std::path::absolute(wanted).ok()?;
        let is_it = |one: &Passed| matches!(one, Passed::Unix(_, at) if *at == wanted);
        match self.0.remove(self.0.iter().position(is_it)?) {
            Passed::Unix(socket, _) => Some(socket),
            Passed::Tcp(..) => unreachable!("it was found as one of a file"),
        }
    }

    /// Where a socket is that nobody claimed.
    pub(crate) fn unclaimed(&self) -> Option<String> {
        self.0.first().map(|one| match one {
            Passed::Tcp(_, at) => at.to_string(),
            Passed::Unix(_, at) => Bind::Unix(at.clone()).to_string(),
        })
    }
}

fn take_one(passed: &mut ListenFd, at: usize) -> Result<Passed, String> {
    let what = format!("socket {} of {VARIABLE}", at + 1);
    let failed = |error: std::io::Error| format!("{what}: {error}");
    if let Ok(Some(socket)) = passed.take_tcp_listener(at) {
        let address = socket.local_addr().map_err(failed)?;
        return listening(&SockRef::from(&socket))
            .map_err(failed)
            .map(|()| Passed::Tcp(socket, address));
    }
    let unusable = || format!("{what} is not one of TCP or of a file, for streams");
    let socket = passed.take_unix_listener(at).ok().flatten().ok_or_else(unusable)?;
    let address = socket.local_addr().map_err(failed)?;
    let path = address.as_pathname().map(PathBuf::from).ok_or_else(unusable)?;
    listening(&SockRef::from(&socket)).map_err(failed).map(|()| Passed::Unix(socket, path))
}

/// Makes sure that a socket can be waited for with others.
fn listening(socket: &Socket) -> std::io::Result<()> {
    if !socket.is_listener()? {
        return Err(std::io::Error::other("it is connected, and cannot be listened on"));
    }
    socket.set_nonblocking(true)
}

/// Whether a socket is at an address: all interfaces of IPv6 are those of IPv4 too.
fn is_same(at: SocketAddr, wanted: SocketAddr) -> bool {
    let is_any = at.ip().is_unspecified() && wanted.ip().is_unspecified();
    at.port() == wanted.port() && (is_any || at.ip().to_canonical() == wanted.ip().to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_more_than_one_spelling() {
        let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
        for (one, other) in [
            ("127.0.0.1:4001", "127.0.0.1:4001"),
            ("[::]:4001", "0.0.0.0:4001"),
            ("[::ffff:10.0.0.1]:4001", "10.0.0.1:4001"),
        ] {
            assert!(is_same(at(one), at(other)), "{one} {other}");
        }
        for (one, other) in [
            ("127.0.0.1:4001", "127.0.0.1:4002"),
            ("[::]:4001", "127.0.0.1:4001"),
            ("0.0.0.0:4001", "10.0.0.1:4001"),
        ] {
            assert!(!is_same(at(one), at(other)), "{one} {other}");
        }
    }

    #[test]
    fn a_socket_is_claimed_once_and_what_is_left_is_named() {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("it has one");
        let mut inherited = Inherited(vec![Passed::Tcp(socket, address)]);
        assert_eq!(inherited.unclaimed(), Some(address.to_string()));
        assert!(inherited.claim_unix("/nowhere".as_ref()).is_none());
        assert!(inherited.claim_tcp(address).is_some() && inherited.claim_tcp(address).is_none());
        assert_eq!(inherited.unclaimed(), None);
    }
}
