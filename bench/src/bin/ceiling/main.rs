//! A model of the limit, not a product: one thread, one epoll loop, a flat
//! map, just enough of the v2 key API (PUT a value, GET, wait=true with and
//! without stream=true) to be driven by `loadgen`, and the cheapest honest
//! durability: every write is in the log file, and on a majority of logs when
//! followers are named, before its answer leaves. A full server cannot beat
//! it by much on the same machine; how near it comes is the measure.
//!
//!   ceiling --listen 127.0.0.1:44001                       nothing durable
//!   ceiling --listen A --log FILE                          one node, fdatasync
//!   ceiling --listen A --log FILE --followers B,C          leader of three
//!   ceiling --follow B --log FILE                          its follower
//!   --sync thread|inline  where fdatasync runs (default inline)
//!   --threads N           N loops on one port (only without --log)
use kvbench::*;
use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{mpsc, Arc};

const SEGMENT: u64 = 64 << 20;

/// One recycled log segment: its blocks are written once at the start, so
/// that fdatasync never has to commit file-system metadata.
struct Log {
    f: File,
    at: u64,
}
impl Log {
    fn open(path: &str) -> Log {
        let f = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .expect("log file");
        let zero = vec![0u8; 1 << 20];
        for i in 0..SEGMENT >> 20 {
            f.write_all_at(&zero, i << 20).expect("log space");
        }
        f.sync_all().expect("log sync");
        Log { f, at: 0 }
    }
    fn append(&mut self, b: &[u8]) {
        if self.at + b.len() as u64 > SEGMENT {
            self.at = 0;
        }
        self.f.write_all_at(b, self.at).expect("log write");
        self.at += b.len() as u64;
        self.f.sync_data().expect("log sync");
    }
}

fn listen(addr: &str) -> TcpListener {
    let a: std::net::SocketAddrV4 = addr.parse().expect("address");
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

fn follow(addr: &str, mut log: Log) {
    let l = TcpListener::bind(addr).expect("follow");
    for s in l.incoming() {
        let mut s = s.expect("accept");
        s.set_nodelay(true).ok();
        let (mut buf, mut seq) = (Vec::with_capacity(1 << 20), 0u64);
        // Frames are [len u32][seq u64][payload]; all that has come is put
        // down with one sync and answered with the highest seq.
        'conn: loop {
            let mut tmp = [0u8; 65536];
            match s.read(&mut tmp) {
                Ok(n) if n > 0 => buf.extend_from_slice(&tmp[..n]),
                _ => break 'conn,
            }
            let mut at = 0;
            while buf.len() - at >= 12 {
                let n = u32::from_le_bytes(buf[at..at + 4].try_into().unwrap()) as usize;
                if buf.len() - at < 12 + n {
                    break;
                }
                seq = u64::from_le_bytes(buf[at + 4..at + 12].try_into().unwrap());
                at += 12 + n;
            }
            if at > 0 {
                log.append(&buf[..at]);
                buf.drain(..at);
                if s.write_all(&seq.to_le_bytes()).is_err() {
                    break;
                }
            }
        }
    }
}

#[derive(Default)]
struct Conn {
    fd: Option<TcpStream>,
    inb: Vec<u8>,
    out: Vec<u8>,
    blocked: bool,
}

struct Node {
    value: Vec<u8>,
    created: u64,
    modified: u64,
}

fn node_json(out: &mut Vec<u8>, key: &[u8], value: &[u8], m: u64, c: u64) {
    out.extend_from_slice(b"{\"key\":\"");
    out.extend_from_slice(key);
    out.extend_from_slice(b"\",\"value\":\"");
    out.extend_from_slice(value);
    let _ = write!(out, "\",\"modifiedIndex\":{m},\"createdIndex\":{c}}}");
}

fn respond(out: &mut Vec<u8>, status: &str, index: u64, body: &[u8]) {
    let _ = write!(
        out,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Etcd-Index: {index}\r\n\
         X-Raft-Index: {index}\r\nX-Raft-Term: 1\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    out.extend_from_slice(body);
}

enum Disk {
    None,
    Inline(Log),
    Thread(mpsc::Sender<(u64, Vec<u8>)>, Arc<AtomicU64>, RawFd),
}

fn serve(addr: String, mut disk: Disk, followers: Vec<String>) {
    let l = listen(&addr);
    l.set_nonblocking(true).unwrap();
    let ep = Epoll::new().unwrap();
    const LISTEN: u64 = u64::MAX;
    const EVENT: u64 = u64::MAX - 1;
    const PEER: u64 = 1 << 40;
    ep.add(l.as_raw_fd(), IN, LISTEN).unwrap();
    if let Disk::Thread(_, _, fd) = &disk {
        ep.add(*fd, IN, EVENT).unwrap();
    }
    let mut peers: Vec<(TcpStream, u64, Vec<u8>)> = Vec::new();
    for (i, f) in followers.iter().enumerate() {
        let s = loop {
            match TcpStream::connect(f) {
                Ok(s) => break s,
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(50)),
            }
        };
        s.set_nodelay(true).unwrap();
        ep.add(s.as_raw_fd(), IN, PEER + i as u64).unwrap();
        peers.push((s, 0, Vec::new()));
    }
    let durable = !matches!(disk, Disk::None);
    let quorum_peers = peers.len().div_ceil(2);
    let mut conns: Vec<Conn> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut map: HashMap<Vec<u8>, Node> = HashMap::new();
    let mut watch: HashMap<Vec<u8>, Vec<(usize, bool)>> = HashMap::new();
    let mut evs = vec![unsafe { std::mem::zeroed::<libc::epoll_event>() }; 1024];
    let mut index = 1u64;
    let mut batch: Vec<u8> = Vec::new();
    // answers (and, for the watchers, events) held back until their seq is durable
    let mut held: VecDeque<(u64, usize, Vec<u8>)> = VecDeque::new();
    let mut seq = 0u64;
    let mut own = 0u64;
    let mut body = Vec::new();
    let mut touched: Vec<usize> = Vec::new();
    loop {
        let n = ep.wait(&mut evs, None);
        touched.clear();
        for e in &evs[..n] {
            let (data, what) = (e.u64, e.events);
            if data == LISTEN {
                while let Ok((s, _)) = l.accept() {
                    s.set_nonblocking(true).ok();
                    s.set_nodelay(true).ok();
                    let id = free.pop().unwrap_or_else(|| {
                        conns.push(Conn::default());
                        conns.len() - 1
                    });
                    ep.add(s.as_raw_fd(), IN, id as u64).unwrap();
                    conns[id] = Conn { fd: Some(s), ..Default::default() };
                }
                continue;
            }
            if data == EVENT {
                if let Disk::Thread(_, done, fd) = &disk {
                    let mut v = 0u64;
                    unsafe { libc::read(*fd, &mut v as *mut u64 as *mut _, 8) };
                    own = done.load(Ordering::Acquire);
                }
                continue;
            }
            if data >= PEER {
                let p = &mut peers[(data - PEER) as usize];
                read_all(p.0.as_raw_fd(), &mut p.2).expect("peer");
                while p.2.len() >= 8 {
                    p.1 = u64::from_le_bytes(p.2[..8].try_into().unwrap());
                    p.2.drain(..8);
                }
                continue;
            }
            let id = data as usize;
            let c = &mut conns[id];
            let Some(s) = &c.fd else { continue };
            let fd = s.as_raw_fd();
            if what & OUT != 0 {
                touched.push(id);
            }
            if what & !OUT == 0 {
                continue;
            }
            if !matches!(read_all(fd, &mut c.inb), Ok(true)) {
                c.fd = None;
                free.push(id);
                for w in watch.values_mut() {
                    w.retain(|x| x.0 != id);
                }
                continue;
            }
            while let Some(h) = find(&c.inb, b"\r\n\r\n") {
                let head = &c.inb[..h];
                let line = &head[..find(head, b"\r\n").unwrap_or(h)];
                let put = line.starts_with(b"PUT ") || line.starts_with(b"POST ");
                let len = if put {
                    header(head, b"content-length")
                        .and_then(|v| std::str::from_utf8(v).ok()?.parse().ok())
                        .unwrap_or(0usize)
                } else {
                    0
                };
                if c.inb.len() < h + 4 + len {
                    break;
                }
                let mut parts = line.split(|&b| b == b' ');
                parts.next();
                let uri = parts.next().unwrap_or(b"");
                let (path, query) = match uri.iter().position(|&b| b == b'?') {
                    Some(q) => (&uri[..q], &uri[q + 1..]),
                    None => (uri, &b""[..]),
                };
                let key = path.strip_prefix(b"/v2/keys").unwrap_or(path);
                if put {
                    let form = &c.inb[h + 4..h + 4 + len];
                    let value = match find(form, b"value=") {
                        Some(p) => form[p + 6..].split(|&b| b == b'&').next().unwrap(),
                        None => b"",
                    };
                    index += 1;
                    body.clear();
                    body.extend_from_slice(b"{\"action\":\"set\",\"node\":");
                    let old = map.get_mut(key);
                    node_json(
                        &mut body,
                        key,
                        value,
                        index,
                        old.as_ref().map_or(index, |o| o.created),
                    );
                    if let Some(o) = &old {
                        body.extend_from_slice(b",\"prevNode\":");
                        node_json(&mut body, key, &o.value, o.modified, o.created);
                    }
                    body.extend_from_slice(b"}");
                    if durable {
                        batch.extend_from_slice(&((key.len() + value.len()) as u32).to_le_bytes());
                        batch.extend_from_slice(&index.to_le_bytes());
                        batch.extend_from_slice(key);
                        batch.extend_from_slice(value);
                    }
                    match old {
                        Some(o) => {
                            o.value.clear();
                            o.value.extend_from_slice(value);
                            o.modified = index;
                        }
                        None => {
                            map.insert(
                                key.to_vec(),
                                Node { value: value.to_vec(), created: index, modified: index },
                            );
                        }
                    }
                    let mut ans = Vec::with_capacity(body.len() + 160);
                    respond(&mut ans, "200 OK", index, &body);
                    held.push_back((seq + 1, id, ans));
                    if let Some(ws) = watch.get_mut(key) {
                        let mut chunk = Vec::with_capacity(body.len() + 8);
                        let _ = write!(chunk, "{:x}\r\n", body.len() + 1);
                        chunk.extend_from_slice(&body);
                        chunk.extend_from_slice(b"\n\r\n");
                        let mut whole = Vec::new();
                        respond(&mut whole, "200 OK", index, &body);
                        ws.retain(|&(w, stream)| {
                            held.push_back((
                                seq + 1,
                                w,
                                if stream { chunk.clone() } else { whole.clone() },
                            ));
                            stream
                        });
                    }
                } else if find(query, b"wait=true").is_some() {
                    let stream = find(query, b"stream=true").is_some();
                    if stream {
                        let _ = write!(
                            c.out,
                            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                            X-Etcd-Index: {index}\r\nTransfer-Encoding: chunked\r\n\r\n"
                        );
                        touched.push(id);
                    }
                    // an event that came between two polls is answered at once
                    let want = number_after(query, b"waitIndex=").unwrap_or(u64::MAX);
                    match map.get(key) {
                        Some(n) if n.modified >= want => {
                            body.clear();
                            body.extend_from_slice(b"{\"action\":\"set\",\"node\":");
                            node_json(&mut body, key, &n.value, n.modified, n.created);
                            body.extend_from_slice(b"}");
                            respond(&mut c.out, "200 OK", index, &body);
                            touched.push(id);
                        }
                        _ => watch.entry(key.to_vec()).or_default().push((id, stream)),
                    }
                } else {
                    body.clear();
                    match map.get(key) {
                        Some(n) => {
                            body.extend_from_slice(b"{\"action\":\"get\",\"node\":");
                            node_json(&mut body, key, &n.value, n.modified, n.created);
                            body.extend_from_slice(b"}");
                            respond(&mut c.out, "200 OK", index, &body);
                        }
                        None => respond(&mut c.out, "404 Not Found", index, b"\
                            {\"errorCode\":100,\"message\":\"Key not found\",\"cause\":\"/\",\"index\":1}\n"),
                    }
                    touched.push(id);
                }
                c.inb.drain(..h + 4 + len);
            }
        }
        for &id in &touched {
            flush(&ep, &mut conns, id);
        }
        if held.back().is_some_and(|h| h.0 == seq + 1) {
            seq += 1;
            for p in &mut peers {
                let mut f = Vec::with_capacity(batch.len() + 12);
                f.extend_from_slice(&(batch.len() as u32).to_le_bytes());
                f.extend_from_slice(&seq.to_le_bytes());
                f.extend_from_slice(&batch);
                p.0.write_all(&f).expect("peer");
            }
            match &mut disk {
                Disk::None => own = seq,
                Disk::Inline(log) => {
                    log.append(&batch);
                    own = seq;
                }
                Disk::Thread(tx, _, _) => tx.send((seq, batch.clone())).unwrap(),
            }
            batch.clear();
        }
        let mut acks: Vec<u64> = peers.iter().map(|p| p.1).collect();
        acks.sort_unstable_by(|a, b| b.cmp(a));
        let committed = if quorum_peers == 0 { own } else { own.min(acks[quorum_peers - 1]) };
        while held.front().is_some_and(|h| h.0 <= committed) {
            let (_, id, ans) = held.pop_front().unwrap();
            if conns[id].fd.is_some() {
                conns[id].out.extend_from_slice(&ans);
                flush(&ep, &mut conns, id);
            }
        }
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

fn main() {
    many_files();
    let a = Args::from_env();
    if let Some(f) = a.get("--follow") {
        return follow(f, Log::open(a.get("--log").expect("--log")));
    }
    let addr = a.get("--listen").expect("--listen").to_string();
    let followers: Vec<String> =
        a.get("--followers").map(|f| f.split(',').map(String::from).collect()).unwrap_or_default();
    let Some(path) = a.get("--log") else {
        let n: usize = a.num("--threads", 1);
        let hs: Vec<_> = (0..n)
            .map(|_| {
                let addr = addr.clone();
                std::thread::spawn(move || serve(addr, Disk::None, vec![]))
            })
            .collect();
        for h in hs {
            h.join().unwrap();
        }
        return;
    };
    let mut log = Log::open(path);
    let disk = if a.get("--sync") == Some("thread") {
        let (tx, rx) = mpsc::channel::<(u64, Vec<u8>)>();
        let done = Arc::new(AtomicU64::new(0));
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        let d = done.clone();
        std::thread::spawn(move || {
            while let Ok((mut seq, mut buf)) = rx.recv() {
                while let Ok((s, b)) = rx.try_recv() {
                    seq = s;
                    buf.extend_from_slice(&b);
                }
                log.append(&buf);
                d.store(seq, Ordering::Release);
                let one = 1u64;
                unsafe { libc::write(fd, &one as *const u64 as *const _, 8) };
            }
        });
        Disk::Thread(tx, done, fd)
    } else {
        Disk::Inline(log)
    };
    serve(addr, disk, followers);
}
