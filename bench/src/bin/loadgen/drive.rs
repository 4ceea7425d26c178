//! Request-and-answer work: many connections, in a closed loop or by the clock.
use crate::options::{credentials, host, Opt, Work};
use crate::request::{dial, Request};
use crate::tally::Tally;
use kvbench::*;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

struct Sock {
    s: TcpStream,
    addr: String,
    rd: Reader,
    out: Vec<u8>,
}

#[derive(Default)]
struct Conn {
    /// The first is to its URL, the others are where redirects pointed.
    socks: Vec<Sock>,
    cur: usize,
    url: usize,
    busy: bool,
    start: u64,
    sent: u64,
    retry_at: u64,
    hops: u8,
    req: Request,
    /// Header lines behind the host.
    who: String,
}

struct Driver<'a> {
    o: &'a Opt,
    ep: Epoll,
    conns: Vec<Conn>,
    t: Tally,
    hosts: Vec<String>,
    rng: Rng,
    next_key: Arc<AtomicU64>,
    /// How many writes there are in all; None: as many as the time allows.
    limit: Option<u64>,
    begin: u64,
    warm_end: u64,
    end: u64,
    /// Time between two arrivals of an open loop; 0 for a closed one.
    gap_ns: f64,
    due: u64,
    idle: Vec<usize>,
    /// Connections that try again a little later.
    waiting: Vec<usize>,
    inflight: usize,
    last_ok: u64,
    last_scan: u64,
    done_at: u64,
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
    let hosts = o.hosts();
    let who = |i| o.user.as_deref().map_or(String::new(), |user| credentials(user, i));
    let conn =
        |i| Conn { url: (i + seed as usize) % hosts.len(), who: who(i), ..Default::default() };
    let conns: Vec<Conn> = (0..conns).map(conn).collect();
    let mut t = Tally::new();
    if o.work == Work::Ttl {
        t.sent_at = vec![0; o.keys as usize];
    }
    let begin = now_ns();
    let warm_end = begin + (o.warm * 1e9) as u64;
    let driver = Driver {
        o,
        ep: Epoll::new().unwrap(),
        t,
        hosts,
        rng: Rng::new(seed + 1),
        next_key,
        limit,
        begin,
        warm_end,
        end: if limit.is_some() { u64::MAX } else { warm_end + (o.secs * 1e9) as u64 },
        gap_ns: if rate > 0.0 { 1e9 / rate } else { 0.0 },
        due: 0,
        idle: (0..conns.len()).rev().collect(),
        waiting: vec![],
        inflight: 0,
        last_ok: begin,
        last_scan: begin,
        done_at: begin,
        conns,
    };
    driver.run()
}

impl Driver<'_> {
    fn run(mut self) -> Tally {
        let mut evs = vec![unsafe { std::mem::zeroed::<libc::epoll_event>() }; 512];
        loop {
            let now = now_ns();
            if now >= self.end {
                break;
            }
            let mut wake = self.launch(self.end - now);
            if self.is_over() && self.inflight == 0 && self.waiting.is_empty() {
                break;
            }
            if !self.waiting.is_empty() || self.inflight > 0 {
                wake = wake.min(5_000_000);
            }
            let n = self.ep.wait(&mut evs, Some(wake));
            for e in &evs[..n] {
                self.ready(e.u64, e.events);
            }
            let now = now_ns();
            if now - self.last_scan > 5_000_000 {
                self.scan(now);
            }
        }
        let now = now_ns();
        if self.limit.is_none() {
            let since = self.last_ok.max(self.warm_end);
            self.t.gap_us = self.t.gap_us.max((now - since) / 1000);
            self.t.secs = self.o.secs;
        } else {
            self.t.secs = (self.done_at - self.begin) as f64 / 1e9;
        }
        self.t
    }

    fn is_over(&self) -> bool {
        self.limit.is_some_and(|l| self.next_key.load(Ordering::Relaxed) >= l)
    }

    /// Sends what is due; gives how long there is to wait, `wake` at most.
    fn launch(&mut self, wake: u64) -> u64 {
        while !self.idle.is_empty() && !self.is_over() {
            let mut start = now_ns();
            if self.gap_ns > 0.0 {
                let at = self.begin + (self.due as f64 * self.gap_ns) as u64;
                if at > start {
                    return wake.min(at - start);
                }
                self.due += 1;
                start = at;
            }
            let id = self.idle.pop().unwrap();
            let c = &mut self.conns[id];
            c.busy = true;
            c.start = start;
            c.sent = now_ns();
            if let Some(user) = self.o.user.as_deref().filter(|user| user.contains("{n}")) {
                let drawn = self.rng.below(u64::MAX).to_string();
                c.who = credentials(&user.replace("{n}", &drawn), id);
            }
            let head = (self.hosts[c.url].as_str(), c.who.as_str());
            c.req.build(self.o, &mut self.rng, &self.next_key, head);
            self.send(id);
            if self.conns[id].busy {
                self.inflight += 1;
            } else {
                self.waiting.push(id);
            }
        }
        wake
    }

    fn send(&mut self, id: usize) {
        let c = &mut self.conns[id];
        if c.socks.is_empty() {
            let addr = self.hosts[c.url].clone();
            match dial(&addr) {
                Ok(s) => {
                    self.ep.add(s.as_raw_fd(), IN, (id as u64) << 8).unwrap();
                    let rd = Reader { keep: self.o.work == Work::Cas, ..Default::default() };
                    c.socks.push(Sock { s, addr, rd, out: Vec::new() });
                    c.cur = 0;
                }
                Err(e) => return self.broken(id, &e.to_string()),
            }
        }
        let k = &mut c.socks[c.cur];
        match write_some(k.s.as_raw_fd(), &c.req.bytes) {
            Ok(n) if n == c.req.bytes.len() => {}
            Ok(n) => {
                k.out = c.req.bytes[n..].to_vec();
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

    /// The request of a connection that failed is no longer under way.
    fn park(&mut self, id: usize) {
        self.inflight -= 1;
        self.waiting.push(id);
    }

    fn ready(&mut self, data: u64, what: u32) {
        let (id, si) = ((data >> 8) as usize, (data & 255) as usize);
        let c = &mut self.conns[id];
        let Some(k) = c.socks.get_mut(si) else { return };
        if what & OUT != 0 {
            if let Ok(n) = write_some(k.s.as_raw_fd(), &k.out) {
                k.out.drain(..n);
                if k.out.is_empty() {
                    self.ep.modify(k.s.as_raw_fd(), IN, data).unwrap();
                }
            }
        }
        if what & !OUT == 0 {
            return;
        }
        let open = read_all(k.s.as_raw_fd(), &mut k.rd.buf);
        let got = k.rd.step();
        if !matches!(got, Got::Done) {
            if !matches!(open, Ok(true)) {
                let was = c.busy;
                self.broken(id, "closed");
                if was {
                    self.park(id);
                }
            }
            return;
        }
        if !c.busy {
            return;
        }
        if k.rd.status == 307 && self.o.follow && c.hops < 3 {
            self.redirect(id, si);
        } else {
            self.answer(id, si, now_ns());
        }
    }

    /// Sends the request again where the answer points.
    fn redirect(&mut self, id: usize, si: usize) {
        let c = &mut self.conns[id];
        let to = host(c.socks[si].rd.location.as_deref().unwrap_or(""));
        self.t.redirects += 1;
        c.hops += 1;
        c.cur = match c.socks.iter().position(|s| s.addr == to) {
            Some(p) => p,
            None => match dial(&to) {
                Ok(s) => {
                    let p = c.socks.len();
                    self.ep.add(s.as_raw_fd(), IN, (id as u64) << 8 | p as u64).unwrap();
                    c.socks.push(Sock { s, addr: to, rd: Reader::default(), out: vec![] });
                    p
                }
                Err(e) => {
                    self.broken(id, &e.to_string());
                    self.park(id);
                    return;
                }
            },
        };
        self.send(id);
        if !self.conns[id].busy {
            self.park(id);
        }
    }

    /// Counts an answer.
    fn answer(&mut self, id: usize, si: usize, now: u64) {
        let measured = now >= self.warm_end || self.limit.is_some();
        let (c, t) = (&mut self.conns[id], &mut self.t);
        let rd = &c.socks[si].rd;
        let st = rd.status;
        let mut ok = st == 200 || st == 201;
        if self.o.work == Work::Cas {
            if ok {
                c.req.seen = number_after(&rd.body, b"\"modifiedIndex\":").unwrap_or(rd.index);
            } else if st == 412 {
                // the index that won is the second of "[mine != theirs]"
                c.req.seen = number_after(&rd.body, b" != ").unwrap_or(0);
                t.lost_cas += u64::from(measured);
                ok = true;
            }
        }
        if measured {
            *t.status.entry(st).or_default() += 1;
        }
        if ok {
            if measured {
                t.ok += u64::from(st != 412);
                t.bytes += rd.body_len as u64;
                let us = (now.saturating_sub(c.start) / 1000).max(1);
                if c.req.read { &mut t.reads } else { &mut t.writes }.record(us).ok();
                t.gap_us = t.gap_us.max((now - self.last_ok) / 1000);
            }
            if self.o.work == Work::Ttl {
                t.sent_at[c.req.key as usize] = c.sent;
            }
            self.last_ok = now;
            self.done_at = now;
        } else if measured {
            let b = String::from_utf8_lossy(&rd.body).into_owned();
            t.fail(format!("{st}: {b}"));
        }
        c.busy = false;
        c.cur = 0;
        c.hops = 0;
        self.inflight -= 1;
        if ok || self.o.urls.len() == 1 {
            self.idle.push(id);
        } else {
            // an error answer: give it a moment and try elsewhere
            c.retry_at = now + 2_000_000;
            self.waiting.push(id);
        }
    }

    /// Whose moment is over, and who has waited too long.
    fn scan(&mut self, now: u64) {
        self.last_scan = now;
        let mut i = 0;
        while i < self.waiting.len() {
            if self.conns[self.waiting[i]].retry_at <= now {
                self.idle.push(self.waiting.swap_remove(i));
            } else {
                i += 1;
            }
        }
        for id in 0..self.conns.len() {
            let c = &self.conns[id];
            if c.busy && now.saturating_sub(c.sent) > self.o.timeout * 1_000_000 {
                self.broken(id, "timed out");
                self.park(id);
            }
        }
    }
}

/// Runs the work on several threads; keys are counted from `first` on.
pub(crate) fn spread(o: &Opt, threads: usize, limit: Option<u64>, first: u64) -> Tally {
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
