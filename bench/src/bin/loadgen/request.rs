//! The requests of each kind of work.
use crate::options::{Opt, Work};
use kvbench::*;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};

/// The request that a connection sends next, and what it is about.
#[derive(Default)]
pub(crate) struct Request {
    pub(crate) bytes: Vec<u8>,
    pub(crate) read: bool,
    pub(crate) key: u64,
    /// The index that a compare-and-swap names.
    pub(crate) seen: u64,
}

fn key_path(o: &Opt, k: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"/v2/keys");
    out.extend_from_slice(o.prefix.as_bytes());
    if o.fan > 0 {
        let _ = write!(out, "/d{:05}", k % o.fan);
    }
    let _ = write!(out, "/k{k:07}");
}

impl Request {
    /// Builds the next one.
    pub(crate) fn build(
        &mut self,
        o: &Opt,
        rng: &mut Rng,
        next_key: &AtomicU64,
        head: (&str, &str),
    ) {
        self.bytes.clear();
        self.read = match o.work {
            Work::Get | Work::Qget | Work::List => true,
            Work::Mixed => rng.below(100) < o.reads,
            _ => false,
        };
        if self.read {
            self.build_read(o, rng, head);
        } else {
            self.build_write(o, rng, next_key, head);
        }
    }

    fn build_read(&mut self, o: &Opt, rng: &mut Rng, (host, who): (&str, &str)) {
        let r = &mut self.bytes;
        r.extend_from_slice(b"GET ");
        let query = match o.work {
            Work::List => "?recursive=true&sorted=true",
            Work::Qget => "?quorum=true",
            Work::Mixed if o.quorum_reads => "?quorum=true",
            _ => "",
        };
        if o.work == Work::List {
            let _ = write!(r, "/v2/keys{}", o.prefix);
        } else {
            self.key = rng.below(o.keys);
            key_path(o, self.key, r);
        }
        let _ = write!(r, "{query} HTTP/1.1\r\nHost: {host}{who}\r\n\r\n");
    }

    fn build_write(&mut self, o: &Opt, rng: &mut Rng, next_key: &AtomicU64, head: (&str, &str)) {
        let (host, who) = head;
        let r = &mut self.bytes;
        let mut form: Vec<u8> = Vec::with_capacity(o.size + 64);
        match o.work {
            Work::Fill => {
                value(&mut form, o.size, rng);
                self.key = next_key.fetch_add(1, Ordering::Relaxed);
            }
            Work::Ttl => {
                let n = next_key.fetch_add(1, Ordering::Relaxed);
                self.key = n % o.keys;
                ttl_form(&mut form, o, n < o.keys, rng);
            }
            Work::Cas => {
                value(&mut form, o.size, rng);
                if self.seen > 0 {
                    let _ = write!(form, "&prevIndex={}", self.seen);
                }
            }
            Work::Post => value(&mut form, o.size, rng),
            _ => {
                value(&mut form, o.size, rng);
                form.extend_from_slice(o.form.as_bytes());
                self.key = rng.below(o.keys);
            }
        }
        match o.work {
            Work::Cas => drop(write!(r, "PUT /v2/keys{}/cas", o.prefix)),
            Work::Post => drop(write!(r, "POST /v2/keys{}/queue", o.prefix)),
            _ => {
                r.extend_from_slice(b"PUT ");
                key_path(o, self.key, r);
            }
        }
        let _ = write!(
            r,
            " HTTP/1.1\r\nHost: {host}{who}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
            form.len()
        );
        r.extend_from_slice(&form);
    }
}

fn value(form: &mut Vec<u8>, size: usize, rng: &mut Rng) {
    form.extend_from_slice(b"value=");
    let mut v = rng.draw();
    for i in 0..size {
        if i % 12 == 11 {
            v = rng.draw();
        }
        form.push(b'a' + (v & 15) as u8);
        v >>= 4;
    }
}

fn ttl_form(form: &mut Vec<u8>, o: &Opt, is_new: bool, rng: &mut Rng) {
    if !is_new && o.refresh_param {
        let _ = write!(form, "refresh=true&prevExist=true&ttl={}", o.ttl);
        return;
    }
    value(form, o.size, rng);
    let exists = if is_new { "" } else { "&prevExist=true" };
    let _ = write!(form, "{exists}&ttl={}", o.ttl);
}

pub(crate) fn put_req(host: &str, key: &str, form: &str) -> String {
    format!(
        "PUT /v2/keys{key} HTTP/1.1\r\nHost: {host}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )
}

pub(crate) fn dial(addr: &str) -> std::io::Result<TcpStream> {
    let s = TcpStream::connect(addr)?;
    s.set_nodelay(true)?;
    s.set_nonblocking(true)?;
    Ok(s)
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
