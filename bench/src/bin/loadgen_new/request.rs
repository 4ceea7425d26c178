//! Connections and the requests that go over them.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};

use kvbench::*;

use crate::options::{Opt, Work};

pub(crate) fn host(url: &str) -> String {
    let u = url.strip_prefix("http://").unwrap_or(url);
    u.split('/').next().unwrap_or(u).to_string()
}

pub(crate) struct Sock {
    pub(crate) s: TcpStream,
    pub(crate) addr: String,
    pub(crate) rd: Reader,
    pub(crate) out: Vec<u8>,
}

pub(crate) fn dial(addr: &str) -> std::io::Result<TcpStream> {
    let s = TcpStream::connect(addr)?;
    s.set_nodelay(true)?;
    s.set_nonblocking(true)?;
    Ok(s)
}

pub(crate) struct Conn {
    pub(crate) socks: Vec<Sock>,
    pub(crate) cur: usize,
    pub(crate) url: usize,
    pub(crate) busy: bool,
    pub(crate) read: bool,
    pub(crate) start: u64,
    pub(crate) sent: u64,
    pub(crate) retry_at: u64,
    pub(crate) hops: u8,
    pub(crate) key: u64,
    pub(crate) seen: u64,
    pub(crate) req: Vec<u8>,
}

pub(crate) fn key_path(o: &Opt, k: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"/v2/keys");
    out.extend_from_slice(o.prefix.as_bytes());
    if o.fan > 0 {
        let _ = write!(out, "/d{:05}", k % o.fan);
    }
    let _ = write!(out, "/k{k:07}");
}

/// Builds the request in `c.req`.
pub(crate) fn build(o: &Opt, c: &mut Conn, rng: &mut Rng, next_key: &AtomicU64, host: &str) {
    let r = &mut c.req;
    r.clear();
    let mut form: Vec<u8> = Vec::with_capacity(o.size + 64);
    let value = |f: &mut Vec<u8>, rng: &mut Rng| {
        f.extend_from_slice(b"value=");
        let mut v = rng.draw();
        for i in 0..o.size {
            if i % 12 == 11 {
                v = rng.draw();
            }
            f.push(b'a' + (v & 15) as u8);
            v >>= 4;
        }
    };
    let read = |r: &mut Vec<u8>, k: u64, q: &str| {
        r.extend_from_slice(b"GET ");
        key_path(o, k, r);
        let _ = write!(r, "{q} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    };
    c.read = false;
    match o.work {
        Work::Get | Work::Qget => {
            c.read = true;
            c.key = rng.below(o.keys);
            return read(r, c.key, if o.work == Work::Qget { "?quorum=true" } else { "" });
        }
        Work::Mixed if rng.below(100) < o.reads => {
            c.read = true;
            c.key = rng.below(o.keys);
            return read(r, c.key, if o.quorum_reads { "?quorum=true" } else { "" });
        }
        Work::List => {
            c.read = true;
            let _ = write!(
                r,
                "GET /v2/keys{}?recursive=true&sorted=true HTTP/1.1\r\nHost: {host}\r\n\r\n",
                o.prefix
            );
            return;
        }
        Work::Put | Work::Mixed => {
            value(&mut form, rng);
            c.key = rng.below(o.keys);
            r.extend_from_slice(b"PUT ");
            key_path(o, c.key, r);
        }
        Work::Fill => {
            value(&mut form, rng);
            c.key = next_key.fetch_add(1, Ordering::Relaxed);
            r.extend_from_slice(b"PUT ");
            key_path(o, c.key, r);
        }
        Work::Ttl => {
            let n = next_key.fetch_add(1, Ordering::Relaxed);
            c.key = n % o.keys;
            if n < o.keys {
                value(&mut form, rng);
                let _ = write!(form, "&ttl={}", o.ttl);
            } else if o.refresh_param {
                let _ = write!(form, "refresh=true&prevExist=true&ttl={}", o.ttl);
            } else {
                value(&mut form, rng);
                let _ = write!(form, "&prevExist=true&ttl={}", o.ttl);
            }
            r.extend_from_slice(b"PUT ");
            key_path(o, c.key, r);
        }
        Work::Cas => {
            value(&mut form, rng);
            if c.seen > 0 {
                let _ = write!(form, "&prevIndex={}", c.seen);
            }
            let _ = write!(r, "PUT /v2/keys{}/cas", o.prefix);
        }
        Work::Post => {
            value(&mut form, rng);
            let _ = write!(r, "POST /v2/keys{}/queue", o.prefix);
        }
    }
    let _ = write!(
        r,
        " HTTP/1.1\r\nHost: {host}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        form.len()
    );
    r.extend_from_slice(&form);
}

/// A blocking request on a fresh connection, for set-up steps.
pub(crate) fn once(addr: &str, req: &str) -> (u16, u64, Vec<u8>) {
    let mut s = TcpStream::connect(addr).expect("connect");
    s.set_nodelay(true).ok();
    s.set_read_timeout(Some(std::time::Duration::from_secs(60))).ok();
    s.write_all(req.as_bytes()).expect("send");
    let mut rd = Reader::default();
    loop {
        let mut b = [0u8; 65536];
        let n = std::io::Read::read(&mut s, &mut b).expect("receive");
        rd.buf.extend_from_slice(&b[..n]);
        if matches!(rd.step(), Got::Done) || n == 0 {
            return (rd.status, rd.index, std::mem::take(&mut rd.body));
        }
    }
}

pub(crate) fn put_req(host: &str, key: &str, form: &str) -> String {
    format!(
        "PUT /v2/keys{key} HTTP/1.1\r\nHost: {host}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )
}
