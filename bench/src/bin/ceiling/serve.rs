//! The loop: sockets in, keys, the log, followers, sockets out.
use crate::keys::{event_json, respond, Keys};
use crate::log::Disk;
use kvbench::*;
use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::atomic::Ordering;

const LISTEN: u64 = u64::MAX;
const EVENT: u64 = u64::MAX - 1;
const PEER: u64 = 1 << 40;

const NOT_FOUND: &[u8] =
    b"{\"errorCode\":100,\"message\":\"Key not found\",\"cause\":\"/\",\"index\":1}\n";

#[derive(Default)]
struct Conn {
    fd: Option<TcpStream>,
    inb: Vec<u8>,
    out: Vec<u8>,
    blocked: bool,
}

/// A follower: what it has put down, and what came of its next answer.
struct Peer {
    s: TcpStream,
    acked: u64,
    inb: Vec<u8>,
}

pub(crate) struct Server {
    l: TcpListener,
    ep: Epoll,
    disk: Disk,
    peers: Vec<Peer>,
    conns: Vec<Conn>,
    free: Vec<usize>,
    keys: Keys,
    /// Connections that wait for a key, and whether for more than one event.
    watch: HashMap<Vec<u8>, Vec<(usize, bool)>>,
    /// What this turn writes.
    batch: Vec<u8>,
    /// Answers (and, for the watchers, events) held back until their seq is durable.
    held: VecDeque<(u64, usize, Vec<u8>)>,
    seq: u64,
    /// The last seq that is durable here.
    own: u64,
    body: Vec<u8>,
    touched: Vec<usize>,
}

impl Server {
    pub(crate) fn new(addr: &str, disk: Disk, followers: &[String]) -> Server {
        let l = listen(addr);
        l.set_nonblocking(true).unwrap();
        let ep = Epoll::new().unwrap();
        ep.add(l.as_raw_fd(), IN, LISTEN).unwrap();
        if let Disk::Thread(_, _, fd) = &disk {
            ep.add(*fd, IN, EVENT).unwrap();
        }
        let mut peers = Vec::new();
        for (i, f) in followers.iter().enumerate() {
            let s = loop {
                match TcpStream::connect(f) {
                    Ok(s) => break s,
                    Err(_) => std::thread::sleep(std::time::Duration::from_millis(50)),
                }
            };
            s.set_nodelay(true).unwrap();
            ep.add(s.as_raw_fd(), IN, PEER + i as u64).unwrap();
            peers.push(Peer { s, acked: 0, inb: Vec::new() });
        }
        Server {
            l,
            ep,
            disk,
            peers,
            conns: Vec::new(),
            free: Vec::new(),
            keys: Keys::new(),
            watch: HashMap::new(),
            batch: Vec::new(),
            held: VecDeque::new(),
            seq: 0,
            own: 0,
            body: Vec::new(),
            touched: Vec::new(),
        }
    }

    pub(crate) fn run(mut self) {
        let mut evs = vec![unsafe { std::mem::zeroed::<libc::epoll_event>() }; 1024];
        loop {
            let n = self.ep.wait(&mut evs, None);
            self.touched.clear();
            for e in &evs[..n] {
                let (data, what) = (e.u64, e.events);
                match data {
                    LISTEN => self.accept(),
                    EVENT => self.synced(),
                    peer if peer >= PEER => self.acked((peer - PEER) as usize),
                    id => self.ready(id as usize, what),
                }
            }
            for &id in &self.touched {
                flush(&self.ep, &mut self.conns, id);
            }
            if self.held.back().is_some_and(|h| h.0 == self.seq + 1) {
                self.write();
            }
            self.release();
        }
    }

    fn accept(&mut self) {
        while let Ok((s, _)) = self.l.accept() {
            s.set_nonblocking(true).ok();
            s.set_nodelay(true).ok();
            let id = self.free.pop().unwrap_or_else(|| {
                self.conns.push(Conn::default());
                self.conns.len() - 1
            });
            self.ep.add(s.as_raw_fd(), IN, id as u64).unwrap();
            self.conns[id] = Conn { fd: Some(s), ..Default::default() };
        }
    }

    fn synced(&mut self) {
        if let Disk::Thread(_, done, fd) = &self.disk {
            let mut v = 0u64;
            unsafe { libc::read(*fd, &mut v as *mut u64 as *mut _, 8) };
            self.own = done.load(Ordering::Acquire);
        }
    }

    fn acked(&mut self, i: usize) {
        let p = &mut self.peers[i];
        read_all(p.s.as_raw_fd(), &mut p.inb).expect("peer");
        while p.inb.len() >= 8 {
            p.acked = u64::from_le_bytes(p.inb[..8].try_into().unwrap());
            p.inb.drain(..8);
        }
    }

    fn ready(&mut self, id: usize, what: u32) {
        let c = &mut self.conns[id];
        let Some(s) = &c.fd else { return };
        let fd = s.as_raw_fd();
        if what & OUT != 0 {
            self.touched.push(id);
        }
        if what & !OUT == 0 {
            return;
        }
        if !matches!(read_all(fd, &mut c.inb), Ok(true)) {
            c.fd = None;
            self.free.push(id);
            for w in self.watch.values_mut() {
                w.retain(|x| x.0 != id);
            }
            return;
        }
        let mut inb = std::mem::take(&mut c.inb);
        while let Some(n) = self.request(id, &inb) {
            inb.drain(..n);
        }
        self.conns[id].inb = inb;
    }

    /// Serves the first request, and says how long it was; None if it is not whole.
    fn request(&mut self, id: usize, inb: &[u8]) -> Option<usize> {
        let h = find(inb, b"\r\n\r\n")?;
        let head = &inb[..h];
        let line = &head[..find(head, b"\r\n").unwrap_or(h)];
        let put = line.starts_with(b"PUT ") || line.starts_with(b"POST ");
        let len = if put {
            header(head, b"content-length")
                .and_then(|v| std::str::from_utf8(v).ok()?.parse().ok())
                .unwrap_or(0usize)
        } else {
            0
        };
        let form = inb.get(h + 4..h + 4 + len)?;
        let mut parts = line.split(|&b| b == b' ');
        parts.next();
        let uri = parts.next().unwrap_or(b"");
        let (path, query) = match uri.iter().position(|&b| b == b'?') {
            Some(q) => (&uri[..q], &uri[q + 1..]),
            None => (uri, &b""[..]),
        };
        let key = path.strip_prefix(b"/v2/keys").unwrap_or(path);
        if put {
            self.put(id, key, form);
        } else if find(query, b"wait=true").is_some() {
            self.wait(id, key, query);
        } else {
            self.get(id, key);
        }
        Some(h + 4 + len)
    }

    fn put(&mut self, id: usize, key: &[u8], form: &[u8]) {
        let value = match find(form, b"value=") {
            Some(p) => form[p + 6..].split(|&b| b == b'&').next().unwrap(),
            None => b"",
        };
        self.keys.put(key, value, &mut self.body);
        let index = self.keys.index;
        if !matches!(self.disk, Disk::None) {
            self.batch.extend_from_slice(&((key.len() + value.len()) as u32).to_le_bytes());
            self.batch.extend_from_slice(&index.to_le_bytes());
            self.batch.extend_from_slice(key);
            self.batch.extend_from_slice(value);
        }
        let Server { body, held, seq, watch, .. } = self;
        let mut ans = Vec::with_capacity(body.len() + 160);
        respond(&mut ans, "200 OK", index, body);
        held.push_back((*seq + 1, id, ans));
        if let Some(ws) = watch.get_mut(key) {
            let mut chunk = Vec::with_capacity(body.len() + 8);
            let _ = write!(chunk, "{:x}\r\n", body.len() + 1);
            chunk.extend_from_slice(body);
            chunk.extend_from_slice(b"\n\r\n");
            let mut whole = Vec::new();
            respond(&mut whole, "200 OK", index, body);
            ws.retain(|&(w, stream)| {
                let bytes = if stream { chunk.clone() } else { whole.clone() };
                held.push_back((*seq + 1, w, bytes));
                stream
            });
        }
    }

    fn wait(&mut self, id: usize, key: &[u8], query: &[u8]) {
        let index = self.keys.index;
        let stream = find(query, b"stream=true").is_some();
        let out = &mut self.conns[id].out;
        if stream {
            let _ = write!(
                out,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                 X-Etcd-Index: {index}\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            self.touched.push(id);
        }
        // an event that came between two polls is answered at once
        let want = number_after(query, b"waitIndex=").unwrap_or(u64::MAX);
        match self.keys.get(key) {
            Some(n) if n.modified >= want => {
                event_json(&mut self.body, "set", key, n);
                respond(out, "200 OK", index, &self.body);
                self.touched.push(id);
            }
            _ => self.watch.entry(key.to_vec()).or_default().push((id, stream)),
        }
    }

    fn get(&mut self, id: usize, key: &[u8]) {
        let out = &mut self.conns[id].out;
        match self.keys.get(key) {
            Some(n) => {
                event_json(&mut self.body, "get", key, n);
                respond(out, "200 OK", self.keys.index, &self.body);
            }
            None => respond(out, "404 Not Found", self.keys.index, NOT_FOUND),
        }
        self.touched.push(id);
    }

    /// Sends the turn's writes to the followers and into the log.
    fn write(&mut self) {
        self.seq += 1;
        let (seq, batch) = (self.seq, &self.batch);
        for p in &mut self.peers {
            let mut f = Vec::with_capacity(batch.len() + 12);
            f.extend_from_slice(&(batch.len() as u32).to_le_bytes());
            f.extend_from_slice(&seq.to_le_bytes());
            f.extend_from_slice(batch);
            p.s.write_all(&f).expect("peer");
        }
        match &mut self.disk {
            Disk::None => self.own = seq,
            Disk::Inline(log) => {
                log.append(batch);
                self.own = seq;
            }
            Disk::Thread(tx, _, _) => tx.send((seq, batch.clone())).unwrap(),
        }
        self.batch.clear();
    }

    /// Sends the answers of what a majority has put down.
    fn release(&mut self) {
        let mut acks: Vec<u64> = self.peers.iter().map(|p| p.acked).collect();
        acks.sort_unstable_by(|a, b| b.cmp(a));
        let quorum_peers = self.peers.len().div_ceil(2);
        let committed =
            if quorum_peers == 0 { self.own } else { self.own.min(acks[quorum_peers - 1]) };
        while self.held.front().is_some_and(|h| h.0 <= committed) {
            let (_, id, ans) = self.held.pop_front().unwrap();
            if self.conns[id].fd.is_some() {
                self.conns[id].out.extend_from_slice(&ans);
                flush(&self.ep, &mut self.conns, id);
            }
        }
    }
}

fn listen(addr: &str) -> TcpListener {
    let a: SocketAddrV4 = addr.parse().expect("address");
    unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        let one = 1i32;
        for opt in [libc::SO_REUSEADDR, libc::SO_REUSEPORT] {
            libc::setsockopt(fd, libc::SOL_SOCKET, opt, &one as *const _ as *const _, 4);
        }
        let sa = libc::sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_port: a.port().to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(a.ip().octets()) },
            sin_zero: [0; 8],
        };
        if libc::bind(fd, &sa as *const _ as *const _, 16) < 0 || libc::listen(fd, 8192) < 0 {
            panic!("cannot listen on {addr}: {}", std::io::Error::last_os_error());
        }
        TcpListener::from_raw_fd(fd)
    }
}

fn flush(ep: &Epoll, conns: &mut [Conn], id: usize) {
    let c = &mut conns[id];
    let Some(s) = &c.fd else { return };
    let fd = s.as_raw_fd();
    match write_some(fd, &c.out) {
        Ok(n) => {
            if n == c.out.len() {
                c.out.clear();
            } else {
                c.out.drain(..n);
            }
            let blocked = !c.out.is_empty();
            if blocked != c.blocked {
                c.blocked = blocked;
                let _ = ep.modify(fd, if blocked { IN | OUT } else { IN }, id as u64);
            }
        }
        Err(_) => c.out.clear(),
    }
}
