//! Opening what is listened on, once for the life of the process.

use crate::config::{Bind, Config, Port};
use crate::error::StartError;
use crate::net::{Listener, ListenerSocket};
use crate::notice::notice;
use crate::sys::inherited::Inherited;
use rustix::fs::{Mode, chmod};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// Who may connect to a Unix socket: its user and its group.
const SOCKET_MODE: Mode = Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP).union(Mode::WGRP);

/// The ports, which stay open whatever part the machine plays.
pub(crate) struct Ports(Vec<OpenPort>);

struct OpenPort {
    socket: OpenSocket,
    bind: String,
    port: Port,
    is_tls: bool,
    is_inherited: bool,
}

enum OpenSocket {
    Tcp(std::net::TcpListener),
    Unix {
        socket: std::os::unix::net::UnixListener,
        /// Removed with it, unless somebody else made it.
        _file: Option<SocketFile>,
    },
}

impl Ports {
    /// Opens all ports of a configuration, but for those that the process was started with.
    ///
    /// # Errors
    /// [`StartError::Listen`] with the first one that cannot be opened, and why;
    /// [`StartError::Inherited`] with one that the process was started with, and that the
    /// configuration does not name.
    pub(crate) fn open(config: &Config, inherited: &mut Inherited) -> Result<Self, StartError> {
        let mut ports = Self(Vec::new());
        for client in &config.client_listeners {
            let port = Port::Client(client.dialect);
            ports.0.push(OpenPort::open(&client.bind, port, client.is_tls, inherited)?);
        }
        let is_tls = config.peer_tls.is_some();
        for address in &config.peer_binds {
            ports.0.push(OpenPort::open(&Bind::Tcp(*address), Port::Peer, is_tls, inherited)?);
        }
        match inherited.unclaimed() {
            None => Ok(ports),
            Some(at) => Err(StartError::Inherited(at)),
        }
    }

    /// The same ports for another loop.
    ///
    /// # Errors
    /// What the system gave.
    pub(crate) fn again(&self) -> io::Result<Vec<Listener>> {
        let clone = |open: &OpenPort| {
            let socket = match &open.socket {
                OpenSocket::Tcp(socket) => {
                    ListenerSocket::Tcp(mio::net::TcpListener::from_std(socket.try_clone()?))
                }
                OpenSocket::Unix { socket, .. } => {
                    ListenerSocket::Unix(mio::net::UnixListener::from_std(socket.try_clone()?))
                }
            };
            let OpenPort { port, is_tls, is_inherited, .. } = *open;
            Ok(Listener { socket, port, is_tls, is_inherited })
        };
        self.0.iter().map(clone).collect()
    }

    /// Tells where this machine listens.
    ///
    /// # Errors
    /// What the system gave.
    pub(crate) fn tell(&self) -> io::Result<()> {
        for OpenPort { socket, bind, port, is_tls, .. } in &self.0 {
            let address = match socket {
                OpenSocket::Tcp(socket) => socket.local_addr()?.to_string(),
                OpenSocket::Unix { .. } => bind.clone(),
            };
            match port {
                Port::Client(dialect) => {
                    notice!(ListeningClients, "", [%address, %dialect, tls = is_tls,], "")
                }
                Port::Peer => notice!(ListeningPeers, "", [%address,], ""),
            }
        }
        Ok(())
    }
}

impl OpenPort {
    fn open(
        bind: &Bind,
        port: Port,
        is_tls: bool,
        inherited: &mut Inherited,
    ) -> Result<Self, StartError> {
        let passed = match bind {
            Bind::Tcp(address) => inherited.claim_tcp(*address).map(OpenSocket::Tcp),
            Bind::Unix(path) => {
                let socket = inherited.claim_unix(path);
                socket.map(|socket| OpenSocket::Unix { socket, _file: None })
            }
        };
        let is_inherited = passed.is_some();
        let opened = passed.map_or_else(|| OpenSocket::open(bind), Ok);
        let bind = bind.to_string();
        let failed = |source| StartError::Listen { address: bind.clone(), source };
        let socket = opened.map_err(failed)?;
        Ok(Self { socket, bind, port, is_tls, is_inherited })
    }
}

impl OpenSocket {
    fn open(bind: &Bind) -> io::Result<Self> {
        match bind {
            Bind::Tcp(address) => listen(*address).map(Self::Tcp),
            Bind::Unix(path) => {
                listen_unix(path).map(|(socket, file)| Self::Unix { socket, _file: Some(file) })
            }
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for connections of the last run to be forgotten.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        // All interfaces means IPv4 too, whatever the system's default is.
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn listen_unix(path: &Path) -> io::Result<(std::os::unix::net::UnixListener, SocketFile)> {
    clear_way(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile::of(path)?;
    // Nobody can connect before it listens, so nobody slips through before this.
    chmod(path, SOCKET_MODE)?;
    socket.listen(BACKLOG)?;
    Ok((OwnedFd::from(socket).into(), file))
}

/// Removes the socket file of a process that is gone, which would be in the way for ever.
fn clear_way(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        let why = "a file that is no socket is there; remove it, or choose another path";
        return Err(io::Error::other(why));
    }
    // One that hangs may have as many callers as it can have, and is not waited for.
    let caller = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    caller.set_nonblocking(true)?;
    match caller.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        Ok(()) | Err(_) => {
            let why = "another process listens there; stop it, or choose another path";
            Err(io::Error::other(why))
        }
    }
}

/// The file of a Unix socket, which goes with it.
struct SocketFile {
    path: PathBuf,
    /// Device and inode: what is there later may be another's.
    id: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        // A working directory that changes must not make it another file.
        let path = std::path::absolute(path)?;
        Ok(Self { path, id: (found.dev(), found.ino()) })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == self.id) {
            // The next start removes it as well.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    struct Folder(PathBuf);

    impl Folder {
        fn new(label: &str) -> Self {
            let path = std::env::temp_dir().join(format!("stead-{label}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("a folder");
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_socket_file_goes_with_its_socket_and_the_dead_make_room() {
        let folder = Folder::new("sockets");
        let path = folder.0.join("s");
        let open = listen_unix(&path).expect("there is room");
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o660);
        let refused = listen_unix(&path).err().expect("somebody listens");
        assert!(refused.to_string().contains("another process listens"), "{refused}");
        assert!(path.exists(), "a refusal leaves it");
        drop(open);
        assert!(!path.exists());
        // As a killed process leaves it.
        drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
        let open = listen_unix(&path).expect("nobody listens");
        fs::remove_file(&path).expect("somebody did");
        fs::write(&path, "x").expect("and put this there");
        drop(open);
        assert!(path.exists(), "another's file is left");
        let refused = listen_unix(&path).err().expect("no socket");
        assert!(refused.to_string().contains("no socket"), "{refused}");
        let long = folder.0.join("x".repeat(120));
        assert!(listen_unix(&long).is_err());
        assert!(listen_unix(&folder.0.join("none/s")).is_err());
    }
}
