//! Load generator for the etcd v2 key API. One JSON line per run on stdout.
//!
//!   loadgen --url http://127.0.0.1:4001[,http://...] --work WORK [options]
//!
//! WORK   put get qget mixed cas post list     request and answer, see --reads
//!        fill                                 writes --keys keys once, then ends
//!        watch                                one writer, --watchers watchers
//!        ttl                                  keys that expire, refreshed, then let go
//! --conns N (1)  --threads N (1)  --secs S (5)  --warm S (1)
//! --rate R       open loop: R arrivals a second in all; latency counts from
//!                the moment an arrival was due, not from when it was sent
//! --keys K (10000)  --size B (64)  --fan F (0: flat)  --prefix P (/bench)
//! --reads PCT (90)  share of reads in `mixed`   --quorum-reads: as quorum=true
//! --form TEXT    appended to the form of `put`, such as &ttl=60
//! --timeout-ms T (10000)  --preload: write the keys before reading them
//! --follow       go where a 307 points, per request, as plain clients do
//! watch: --watchers W  --wmode key|prefix|distinct  --stream  --rate R
//! ttl:   --ttl S (15)  --refresh-param (refresh=true, 2.3 and later)
use hdrhistogram::Histogram;
use kvbench::*;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Work {
    Put,
    Get,
    Qget,
    Mixed,
    Cas,
    Post,
    List,
    Fill,
    Ttl,
}

#[derive(Clone)]
struct Opt {
    urls: Vec<String>,
    work: Work,
    conns: usize,
    secs: f64,
    warm: f64,
    rate: f64,
    keys: u64,
    size: usize,
    fan: u64,
    prefix: String,
    reads: u64,
    quorum_reads: bool,
    timeout: u64,
    follow: bool,
    ttl: u64,
    refresh_param: bool,
    form: String,
}

fn hist() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 3).unwrap()
}

struct Tally {
    reads: Histogram<u64>,
    writes: Histogram<u64>,
    ok: u64,
    lost_cas: u64,
    redirects: u64,
    errors: u64,
    bytes: u64,
    status: BTreeMap<u16, u64>,
    sample: String,
    secs: f64,
    gap_us: u64,
    sent_at: Vec<u64>,
}
impl Tally {
    fn new() -> Self {
        Tally {
            reads: hist(),
            writes: hist(),
            ok: 0,
            lost_cas: 0,
            redirects: 0,
            errors: 0,
            bytes: 0,
            status: BTreeMap::new(),
            sample: String::new(),
            secs: 0.0,
            gap_us: 0,
            sent_at: Vec::new(),
        }
    }
    fn fail(&mut self, what: impl Into<String>) {
        self.errors += 1;
        if self.sample.is_empty() {
            self.sample = what.into();
            self.sample.truncate(200);
        }
    }
    fn merge(&mut self, o: Tally) {
        self.reads.add(&o.reads).ok();
        self.writes.add(&o.writes).ok();
        self.ok += o.ok;
        self.lost_cas += o.lost_cas;
        self.redirects += o.redirects;
        self.errors += o.errors;
        self.bytes += o.bytes;
        for (k, v) in o.status {
            *self.status.entry(k).or_default() += v;
        }
        if self.sample.is_empty() {
            self.sample = o.sample;
        }
        self.secs = self.secs.max(o.secs);
        self.gap_us = self.gap_us.max(o.gap_us);
        if self.sent_at.is_empty() {
            self.sent_at = o.sent_at;
        } else {
            for (a, b) in self.sent_at.iter_mut().zip(o.sent_at) {
                *a = (*a).max(b);
            }
        }
    }
}

fn pcts(name: &str, h: &Histogram<u64>) -> String {
    if h.is_empty() {
        return String::new();
    }
    let q = |p| h.value_at_quantile(p);
    format!(
        ",\"{name}\":{{\"n\":{},\"mean_us\":{:.1},\"p50_us\":{},\"p90_us\":{},\
         \"p99_us\":{},\"p999_us\":{},\"max_us\":{}}}",
        h.len(),
        h.mean(),
        q(0.5),
        q(0.9),
        q(0.99),
        q(0.999),
        h.max()
    )
}

fn quote(s: &str) -> String {
    let mut o = String::from("\"");
    for c in s.chars() {
        match c {
            '"' => o.push_str("\\\""),
            '\\' => o.push_str("\\\\"),
            c if (c as u32) < 32 => o.push(' '),
            c => o.push(c),
        }
    }
    o.push('"');
    o
}

fn host(url: &str) -> String {
    let u = url.strip_prefix("http://").unwrap_or(url);
    u.split('/').next().unwrap_or(u).to_string()
}

struct Sock {
    s: TcpStream,
    addr: String,
    rd: Reader,
    out: Vec<u8>,
}

fn dial(addr: &str) -> std::io::Result<TcpStream> {
    let s = TcpStream::connect(addr)?;
    s.set_nodelay(true)?;
    s.set_nonblocking(true)?;
    Ok(s)
}

struct Conn {
    socks: Vec<Sock>,
    cur: usize,
    url: usize,
    busy: bool,
    read: bool,
    start: u64,
    sent: u64,
    retry_at: u64,
    hops: u8,
    key: u64,
    seen: u64,
    req: Vec<u8>,
}

fn key_path(o: &Opt, k: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"/v2/keys");
    out.extend_from_slice(o.prefix.as_bytes());
    if o.fan > 0 {
        let _ = write!(out, "/d{:05}", k % o.fan);
    }
    let _ = write!(out, "/k{k:07}");
}

/// Builds the request in `c.req`.
fn build(o: &Opt, c: &mut Conn, rng: &mut Rng, next_key: &AtomicU64, host: &str) {
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
            form.extend_from_slice(o.form.as_bytes());
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

struct Driver<'a> {
    o: &'a Opt,
    ep: Epoll,
    conns: Vec<Conn>,
    t: Tally,
    hosts: Vec<String>,
}

impl Driver<'_> {
    fn send(&mut self, id: usize) {
        let c = &mut self.conns[id];
        if c.socks.is_empty() {
            let addr = self.hosts[c.url].clone();
            match dial(&addr) {
                Ok(s) => {
                    self.ep.add(s.as_raw_fd(), IN, (id as u64) << 8).unwrap();
                    c.socks.push(Sock {
                        s,
                        addr,
                        rd: Reader { keep: self.o.work == Work::Cas, ..Default::default() },
                        out: Vec::new(),
                    });
                    c.cur = 0;
                }
                Err(e) => return self.broken(id, &e.to_string()),
            }
        }
        let k = &mut c.socks[c.cur];
        match write_some(k.s.as_raw_fd(), &c.req) {
            Ok(n) if n == c.req.len() => {}
            Ok(n) => {
                k.out = c.req[n..].to_vec();
                self.ep.modify(k.s.as_raw_fd(), IN | OUT, (id as u64) << 8 | c.cur as u64).unwrap();
            }
            Err(e) => self.broken(id, &e.to_string()),
        }
    }
    /// The connection failed: counts it and tries the next URL a little later.
    fn broken(&mut self, id: usize, why: &str) {
        let c = &mut self.conns[id];
        c.socks.clear();
        c.busy = false;
        c.hops = 0;
        c.url = (c.url + 1) % self.hosts.len();
        c.retry_at = now_ns() + 5_000_000;
        self.t.fail(why);
    }
}

/// Runs request-and-answer work until the time (or the count) is over.
fn drive(
    o: &Opt,
    conns: usize,
    rate: f64,
    seed: u64,
    next_key: Arc<AtomicU64>,
    limit: Option<u64>,
) -> Tally {
    let mut d = Driver {
        o,
        ep: Epoll::new().unwrap(),
        conns: Vec::new(),
        t: Tally::new(),
        hosts: o.urls.iter().map(|u| host(u)).collect(),
    };
    if o.work == Work::Ttl {
        d.t.sent_at = vec![0; o.keys as usize];
    }
    let mut rng = Rng::new(seed + 1);
    for i in 0..conns {
        d.conns.push(Conn {
            socks: vec![],
            cur: 0,
            url: (i + seed as usize) % d.hosts.len(),
            busy: false,
            read: false,
            start: 0,
            sent: 0,
            retry_at: 0,
            hops: 0,
            key: 0,
            seen: 0,
            req: vec![],
        });
    }
    let begin = now_ns();
    let warm_end = begin + (o.warm * 1e9) as u64;
    let end = if limit.is_some() { u64::MAX } else { warm_end + (o.secs * 1e9) as u64 };
    let gap_ns = if rate > 0.0 { 1e9 / rate } else { 0.0 };
    let mut due = 0u64;
    let mut idle: Vec<usize> = (0..conns).rev().collect();
    let mut waiting: Vec<usize> = vec![];
    let mut evs = vec![unsafe { std::mem::zeroed::<libc::epoll_event>() }; 512];
    let mut last_ok = begin;
    let mut last_scan = begin;
    let mut inflight = 0usize;
    let mut done_at = begin;
    loop {
        let now = now_ns();
        if now >= end {
            break;
        }
        let mut wake = end - now;
        let over = |k: &AtomicU64| limit.is_some_and(|l| k.load(Ordering::Relaxed) >= l);
        while !idle.is_empty() && !over(&next_key) {
            let mut start = now_ns();
            if rate > 0.0 {
                let at = begin + (due as f64 * gap_ns) as u64;
                if at > start {
                    wake = wake.min(at - start);
                    break;
                }
                due += 1;
                start = at;
            }
            let id = idle.pop().unwrap();
            let c = &mut d.conns[id];
            c.busy = true;
            c.start = start;
            c.sent = now_ns();
            let h = d.hosts[c.url].clone();
            build(o, &mut d.conns[id], &mut rng, &next_key, &h);
            d.send(id);
            if d.conns[id].busy {
                inflight += 1;
            } else {
                waiting.push(id);
            }
        }
        if over(&next_key) && inflight == 0 && waiting.is_empty() {
            break;
        }
        if !waiting.is_empty() || inflight > 0 {
            wake = wake.min(5_000_000);
        }
        let n = d.ep.wait(&mut evs, Some(wake));
        for e in &evs[..n] {
            let (data, what) = (e.u64, e.events);
            let (id, si) = ((data >> 8) as usize, (data & 255) as usize);
            let c = &mut d.conns[id];
            if si >= c.socks.len() {
                continue;
            }
            if what & OUT != 0 {
                let k = &mut c.socks[si];
                if let Ok(n) = write_some(k.s.as_raw_fd(), &k.out) {
                    k.out.drain(..n);
                    if k.out.is_empty() {
                        d.ep.modify(k.s.as_raw_fd(), IN, data).unwrap();
                    }
                }
            }
            if what & !OUT == 0 {
                continue;
            }
            let k = &mut c.socks[si];
            let open = read_all(k.s.as_raw_fd(), &mut k.rd.buf);
            let got = k.rd.step();
            if !matches!(got, Got::Done) {
                if !matches!(open, Ok(true)) {
                    let was = c.busy;
                    d.broken(id, "closed");
                    if was {
                        inflight -= 1;
                        waiting.push(id);
                    }
                }
                continue;
            }
            if !c.busy {
                continue;
            }
            let now = now_ns();
            let (st, idx) = (k.rd.status, k.rd.index);
            if st == 307 && o.follow && c.hops < 3 {
                let to = host(k.rd.location.as_deref().unwrap_or(""));
                d.t.redirects += 1;
                c.hops += 1;
                c.cur = match c.socks.iter().position(|s| s.addr == to) {
                    Some(p) => p,
                    None => match dial(&to) {
                        Ok(s) => {
                            let p = c.socks.len();
                            d.ep.add(s.as_raw_fd(), IN, (id as u64) << 8 | p as u64).unwrap();
                            c.socks.push(Sock { s, addr: to, rd: Reader::default(), out: vec![] });
                            p
                        }
                        Err(e) => {
                            d.broken(id, &e.to_string());
                            inflight -= 1;
                            waiting.push(id);
                            continue;
                        }
                    },
                };
                d.send(id);
                if !d.conns[id].busy {
                    inflight -= 1;
                    waiting.push(id);
                }
                continue;
            }
            let measured = now >= warm_end || limit.is_some();
            let mut ok = st == 200 || st == 201;
            if o.work == Work::Cas {
                let b = &k.rd.body;
                if ok {
                    c.seen = number_after(b, b"\"modifiedIndex\":").unwrap_or(idx);
                } else if st == 412 {
                    // the index that won is the second of "[mine != theirs]"
                    c.seen = number_after(b, b" != ").unwrap_or(0);
                    if measured {
                        d.t.lost_cas += 1;
                    }
                    ok = true;
                }
            }
            if measured {
                *d.t.status.entry(st).or_default() += 1;
            }
            if ok {
                if measured {
                    if st != 412 {
                        d.t.ok += 1;
                    }
                    d.t.bytes += k.rd.body_len as u64;
                    let us = (now.saturating_sub(c.start) / 1000).max(1);
                    if c.read { &mut d.t.reads } else { &mut d.t.writes }.record(us).ok();
                    d.t.gap_us = d.t.gap_us.max((now - last_ok) / 1000);
                }
                if o.work == Work::Ttl {
                    d.t.sent_at[c.key as usize] = c.sent;
                }
                last_ok = now;
                done_at = now;
            } else if measured {
                let b = String::from_utf8_lossy(&k.rd.body).into_owned();
                d.t.fail(format!("{st}: {b}"));
            }
            c.busy = false;
            c.cur = 0;
            c.hops = 0;
            inflight -= 1;
            if ok || o.urls.len() == 1 {
                idle.push(id);
            } else {
                // an error answer: give it a moment and try elsewhere
                c.retry_at = now + 2_000_000;
                waiting.push(id);
            }
        }
        let now = now_ns();
        if now - last_scan > 5_000_000 {
            last_scan = now;
            let mut i = 0;
            while i < waiting.len() {
                if d.conns[waiting[i]].retry_at <= now {
                    idle.push(waiting.swap_remove(i));
                } else {
                    i += 1;
                }
            }
            for id in 0..d.conns.len() {
                if d.conns[id].busy && now.saturating_sub(d.conns[id].sent) > o.timeout * 1_000_000
                {
                    d.broken(id, "timed out");
                    inflight -= 1;
                    waiting.push(id);
                }
            }
        }
    }
    let now = now_ns();
    if limit.is_none() {
        d.t.gap_us = d.t.gap_us.max((now - last_ok.max(warm_end)) / 1000);
        d.t.secs = o.secs;
    } else {
        d.t.secs = (done_at - begin) as f64 / 1e9;
    }
    d.t
}

/// A blocking request on a fresh connection, for set-up steps.
fn once(addr: &str, req: &str) -> (u16, u64, Vec<u8>) {
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

fn put_req(host: &str, key: &str, form: &str) -> String {
    format!(
        "PUT /v2/keys{key} HTTP/1.1\r\nHost: {host}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )
}

/// One writer, many watchers. Without --rate the writer waits until every
/// watcher has an event before it writes the next: the round is the time to
/// the last of them. With --rate it writes on the clock.
fn watch(o: &Opt, a: &Args) {
    let w: usize = a.num("--watchers", 100);
    let mode = a.get("--wmode").unwrap_or("key").to_string();
    let stream = a.flag("--stream");
    let hosts: Vec<String> = o.urls.iter().map(|u| host(u)).collect();
    let wkey = |i: u64| match mode.as_str() {
        "key" => format!("{}/w/one", o.prefix),
        "prefix" => format!("{}/w/k{}", o.prefix, i % 1000),
        _ => format!("{}/w/k{i}", o.prefix),
    };
    let ep = Epoll::new().unwrap();
    struct W {
        s: TcpStream,
        rd: Reader,
        want: u64,
        path: String,
        armed: bool,
    }
    let setup = once(&hosts[0], &put_req(&hosts[0], &wkey(0), "value=t0"));
    let base = number_after(&setup.2, b"\"modifiedIndex\":").unwrap_or(setup.1) + 1;
    let mut ws: Vec<W> = Vec::with_capacity(w);
    let t_setup = now_ns();
    let arm = |x: &mut W, host: &str| {
        let q = if stream {
            "wait=true&stream=true".to_string()
        } else {
            format!("wait=true&waitIndex={}", x.want)
        };
        let r = format!(
            "GET /v2/keys{}?{q}{} HTTP/1.1\r\nHost: {host}\r\n\r\n",
            x.path,
            if mode == "prefix" { "&recursive=true" } else { "" }
        );
        x.armed = write_some(x.s.as_raw_fd(), r.as_bytes()).is_ok_and(|n| n == r.len());
    };
    for i in 0..w {
        let h = &hosts[i % hosts.len()];
        let s = match dial(h) {
            Ok(s) => s,
            Err(e) => {
                println!("{{\"work\":\"watch\",\"error\":{}}}", quote(&e.to_string()));
                return;
            }
        };
        ep.add(s.as_raw_fd(), IN, i as u64).unwrap();
        let path = if mode == "prefix" { format!("{}/w", o.prefix) } else { wkey(i as u64) };
        let mut x =
            W { s, rd: Reader { stream, ..Default::default() }, want: base, path, armed: false };
        arm(&mut x, h);
        ws.push(x);
    }
    std::thread::sleep(std::time::Duration::from_millis(300 + w as u64 / 5));
    let setup_ms = (now_ns() - t_setup) / 1_000_000;
    let writer = dial(&hosts[0]).expect("writer");
    const WRITER: u64 = u64::MAX;
    ep.add(writer.as_raw_fd(), IN, WRITER).unwrap();
    let mut wrd = Reader::default();
    let (mut lat, mut round, mut wlat) = (hist(), hist(), hist());
    let mut evs = vec![unsafe { std::mem::zeroed::<libc::epoll_event>() }; 1024];
    let mut rng = Rng::new(7);
    let (mut delivered, mut missed, mut lost_watchers, mut writes) = (0u64, 0u64, 0u64, 0u64);
    let per = if mode == "distinct" { 1 } else { w as u64 };
    let begin = now_ns();
    let warm_end = begin + (o.warm * 1e9) as u64;
    let end = warm_end + (o.secs * 1e9) as u64;
    let gap = if o.rate > 0.0 { (1e9 / o.rate) as u64 } else { 0 };
    let (mut sent, mut answered, mut got, mut seq) = (0u64, true, 0u64, 0u64);
    let mut started = 0u64;
    let mut idle_round = true;
    let mut queue_due = 0u64;
    let mut last_progress = begin;
    loop {
        let now = now_ns();
        if now >= end {
            break;
        }
        let may = if gap > 0 { answered && begin + queue_due * gap <= now } else { idle_round };
        if may {
            if gap > 0 {
                started = begin + queue_due * gap;
                queue_due += 1;
            } else {
                started = now;
            }
            seq += 1;
            got = 0;
            let r = put_req(
                &hosts[0],
                &wkey(rng.below(w as u64)),
                &format!("value=t{started:020}x{seq}"),
            );
            write_some(writer.as_raw_fd(), r.as_bytes()).expect("writer");
            answered = false;
            idle_round = false;
            sent += 1;
            last_progress = now;
        }
        let mut wake = (end - now).min(50_000_000);
        if gap > 0 && answered {
            wake = wake.min((begin + queue_due * gap).saturating_sub(now_ns()));
        }
        let n = ep.wait(&mut evs, Some(wake));
        for e in &evs[..n] {
            let data = e.u64;
            if data == WRITER {
                if !matches!(read_all(writer.as_raw_fd(), &mut wrd.buf), Ok(true)) {
                    println!("{{\"work\":\"watch\",\"error\":\"writer closed\"}}");
                    return;
                }
                if matches!(wrd.step(), Got::Done) {
                    answered = true;
                    if started >= warm_end {
                        writes += 1;
                        wlat.record(((now_ns() - started) / 1000).max(1)).ok();
                    }
                }
                continue;
            }
            let x = &mut ws[data as usize];
            let open = read_all(x.s.as_raw_fd(), &mut x.rd.buf);
            loop {
                let g = x.rd.step();
                match g {
                    Got::More => break,
                    Got::Chunk | Got::Done => {
                        if let Some(ts) = number_after(&x.rd.body, b"\"value\":\"t") {
                            if ts > 0 {
                                let now = now_ns();
                                if ts >= warm_end {
                                    delivered += 1;
                                    lat.record((now.saturating_sub(ts) / 1000).max(1)).ok();
                                }
                                got += 1;
                                last_progress = now;
                            }
                            x.want = number_after(&x.rd.body, b"\"modifiedIndex\":")
                                .unwrap_or(x.want)
                                + 1;
                            x.rd.body.clear();
                        }
                        if matches!(g, Got::Done) {
                            let h = hosts[data as usize % hosts.len()].clone();
                            arm(x, &h);
                        }
                    }
                }
            }
            if !matches!(open, Ok(true)) && x.armed {
                x.armed = false;
                lost_watchers += 1;
                // a closed socket would wake the loop for ever
                let fd = x.s.as_raw_fd();
                let _ = ep.modify(fd, 0, data);
                unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
            }
        }
        if gap == 0 && !idle_round && answered {
            let now = now_ns();
            if got >= per {
                idle_round = true;
                if started >= warm_end {
                    round.record(((now - started) / 1000).max(1)).ok();
                }
            } else if now - last_progress > 3_000_000_000 {
                missed += per - got;
                idle_round = true;
            }
        }
    }
    let secs = o.secs;
    println!(
        "{{\"work\":\"watch\",\"wmode\":\"{mode}\",\"stream\":{stream},\
         \"watchers\":{w},\"rate_asked\":{},\"setup_ms\":{setup_ms},\"sent\":{sent},\
         \"writes_per_s\":{:.1},\"rate\":{:.1},\"missed\":{missed},\"lost_watchers\":{lost_watchers}{}{}{}}}",
        o.rate,
        writes as f64 / secs,
        delivered as f64 / secs,
        pcts("delivery", &lat),
        pcts("round", &round),
        pcts("write", &wlat)
    );
}

fn report(o: &Opt, work: &str, threads: usize, t: &Tally, extra: &str) {
    let st: Vec<String> = t.status.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
    println!(
        "{{\"work\":\"{work}\",\"conns\":{},\"threads\":{threads},\"secs\":{:.3},\"rate_asked\":{},\"rate\":{:.1},\
         \"ok\":{},\"errors\":{},\"redirects\":{},\"lost_cas\":{},\
         \"body_mb_s\":{:.2},\"max_gap_ms\":{:.1},\"status\":{{{}}}{}{}{extra}{}}}",
        o.conns,
        t.secs,
        o.rate,
        t.ok as f64 / t.secs.max(1e-9),
        t.ok,
        t.errors,
        t.redirects,
        t.lost_cas,
        t.bytes as f64 / 1e6 / t.secs.max(1e-9),
        t.gap_us as f64 / 1000.0,
        st.join(","),
        pcts("reads", &t.reads),
        pcts("writes", &t.writes),
        if t.sample.is_empty() { String::new() } else { format!(",\"sample_error\":{}", quote(&t.sample)) }
    );
}

fn spread(o: &Opt, threads: usize, limit: Option<u64>, first: u64) -> Tally {
    let key = Arc::new(AtomicU64::new(first));
    let hs: Vec<_> = (0..threads)
        .map(|i| {
            let (o, key) = (o.clone(), key.clone());
            let n = o.conns / threads + usize::from(i < o.conns % threads);
            std::thread::spawn(move || drive(&o, n, o.rate / threads as f64, i as u64, key, limit))
        })
        .collect();
    let mut t = Tally::new();
    for h in hs {
        t.merge(h.join().unwrap());
    }
    t
}

/// Creates keys that expire, keeps them alive, lets go, and watches them die.
fn ttl(o: &Opt, threads: usize) {
    let made = spread(o, threads, Some(o.keys), 0);
    let held = spread(o, threads, None, o.keys);
    let mut sent_at = held.sent_at.clone();
    for (a, b) in sent_at.iter_mut().zip(&made.sent_at) {
        *a = (*a).max(*b);
    }
    let h = host(&o.urls[0]);
    let s = dial(&h).expect("watcher");
    let r = format!(
        "GET /v2/keys{}?wait=true&stream=true&recursive=true HTTP/1.1\r\nHost: {h}\r\n\r\n",
        o.prefix
    );
    write_some(s.as_raw_fd(), r.as_bytes()).unwrap();
    let ep = Epoll::new().unwrap();
    ep.add(s.as_raw_fd(), IN, 0).unwrap();
    let mut rd = Reader { stream: true, ..Default::default() };
    let mut lag = hist();
    let (mut gone, mut early) = (0u64, 0u64);
    let mut evs = vec![unsafe { std::mem::zeroed::<libc::epoll_event>() }; 8];
    let stop = now_ns() + (o.ttl + 10) * 1_000_000_000;
    let last_due = sent_at.iter().max().copied().unwrap_or(0) + o.ttl * 1_000_000_000;
    let mut seen = vec![false; o.keys as usize];
    let mut last = 0u64;
    // The listing says what is gone however the watcher fares: the etcds drop
    // a stream watcher that is 100 events behind.
    let list = format!("GET /v2/keys{}?recursive=true HTTP/1.1\r\nHost: {h}\r\n\r\n", o.prefix);
    let (mut open, mut left, mut cleared, mut next_poll) = (true, o.keys as usize, 0u64, last_due);
    loop {
        let now = now_ns();
        let settled = left == 0 && (gone >= o.keys || !open || now > cleared + 500_000_000);
        if now >= stop || settled {
            break;
        }
        if now >= next_poll && left > 0 {
            let (_, _, b) = once(&h, &list);
            left = b.windows(3).filter(|x| x == b"/k0").count();
            if left == 0 {
                cleared = now_ns();
            }
            next_poll = now_ns() + 50_000_000;
        }
        ep.wait(&mut evs, Some(20_000_000));
        if !open {
            std::thread::sleep(std::time::Duration::from_millis(10));
            continue;
        }
        open = matches!(read_all(s.as_raw_fd(), &mut rd.buf), Ok(true));
        while matches!(rd.step(), Got::Chunk) {
            // several events may share a chunk
            for one in rd.body.split(|&b| b == b'\n') {
                if find(one, b"\"action\":\"expire\"").is_none() {
                    continue;
                }
                let now = now_ns();
                if let Some(p) = find(one, b"/k") {
                    let k = number_after(&one[p..], b"/k").unwrap_or(u64::MAX) as usize;
                    if k < seen.len() && !seen[k] {
                        seen[k] = true;
                        gone += 1;
                        last = now;
                        let due = sent_at[k] + o.ttl * 1_000_000_000;
                        if now < due {
                            early += 1;
                        }
                        lag.record((now.saturating_sub(due) / 1000).max(1)).ok();
                    }
                }
            }
        }
    }
    let clear_ms = cleared.saturating_sub(last_due) / 1_000_000;
    let extra = format!(
        ",\"create_rate\":{:.1},\"expired_seen\":{gone},\"early\":{early},\"unseen\":{},\"left\":{left},\
         \"all_gone_after_last_due_ms\":{clear_ms},\"last_seen_after_last_due_ms\":{}{}",
        made.ok as f64 / made.secs.max(1e-9),
        o.keys - gone,
        last.saturating_sub(last_due) / 1_000_000,
        pcts("lag", &lag)
    );
    report(o, "ttl", threads, &held, &extra);
}

fn main() {
    many_files();
    let a = Args::from_env();
    let name = a.get("--work").unwrap_or("put").to_string();
    let work = match name.as_str() {
        "put" | "watch" => Work::Put,
        "get" => Work::Get,
        "qget" => Work::Qget,
        "mixed" => Work::Mixed,
        "cas" => Work::Cas,
        "post" => Work::Post,
        "list" => Work::List,
        "fill" => Work::Fill,
        "ttl" => Work::Ttl,
        other => {
            eprintln!("unknown --work {other}");
            std::process::exit(2)
        }
    };
    let o = Opt {
        urls: a
            .get("--url")
            .unwrap_or("http://127.0.0.1:4001")
            .split(',')
            .map(String::from)
            .collect(),
        work,
        conns: a.num("--conns", 1),
        secs: a.num("--secs", 5.0),
        warm: a.num("--warm", 1.0),
        rate: a.num("--rate", 0.0),
        keys: a.num("--keys", 10_000),
        size: a.num("--size", 64),
        fan: a.num("--fan", 0),
        prefix: a.get("--prefix").unwrap_or("/bench").to_string(),
        reads: a.num("--reads", 90),
        quorum_reads: a.flag("--quorum-reads"),
        timeout: a.num("--timeout-ms", 10_000),
        follow: a.flag("--follow"),
        ttl: a.num("--ttl", 15),
        refresh_param: a.flag("--refresh-param"),
        form: a.get("--form").unwrap_or("").to_string(),
    };
    let threads: usize = a.num("--threads", 1usize).min(o.conns.max(1));
    if name == "watch" {
        return watch(&o, &a);
    }
    if name == "ttl" {
        return ttl(&o, threads);
    }
    if a.flag("--preload") {
        let p = Opt { work: Work::Fill, conns: o.conns.max(32), rate: 0.0, warm: 0.0, ..o.clone() };
        let t = spread(&p, 1, Some(o.keys), 0);
        if t.errors > 0 {
            eprintln!("preload: {} errors, first: {}", t.errors, t.sample);
        }
    }
    let t = spread(&o, threads, (work == Work::Fill).then_some(o.keys), 0);
    report(&o, &name, threads, &t, "");
}
