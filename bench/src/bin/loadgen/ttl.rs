//! Creates keys that expire, keeps them alive, lets go, and watches them die.
use crate::drive::spread;
use crate::options::Opt;
use crate::request::{dial, once};
use crate::tally::{hist, pcts, report};
use hdrhistogram::Histogram;
use kvbench::*;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

/// What a stream over all keys tells of those that are gone.
struct Deaths<'a> {
    o: &'a Opt,
    s: TcpStream,
    rd: Reader,
    /// When each key was written for the last time.
    sent_at: Vec<u64>,
    seen: Vec<bool>,
    gone: u64,
    early: u64,
    last: u64,
    lag: Histogram<u64>,
}

impl<'a> Deaths<'a> {
    fn new(o: &'a Opt, host: &str, sent_at: Vec<u64>) -> Deaths<'a> {
        let s = dial(host).expect("watcher");
        let r = format!(
            "GET /v2/keys{}?wait=true&stream=true&recursive=true HTTP/1.1\r\nHost: {host}\r\n\r\n",
            o.prefix
        );
        write_some(s.as_raw_fd(), r.as_bytes()).unwrap();
        let rd = Reader { stream: true, ..Default::default() };
        let seen = vec![false; o.keys as usize];
        Deaths { o, s, rd, sent_at, seen, gone: 0, early: 0, last: 0, lag: hist() }
    }

    /// Reads what came; says whether the stream goes on.
    fn take(&mut self) -> bool {
        let open = matches!(read_all(self.s.as_raw_fd(), &mut self.rd.buf), Ok(true));
        while matches!(self.rd.step(), Got::Chunk) {
            // several events may share a chunk
            let body = std::mem::take(&mut self.rd.body);
            for one in body.split(|&b| b == b'\n') {
                self.take_one(one);
            }
            self.rd.body = body;
        }
        open
    }

    fn take_one(&mut self, event: &[u8]) {
        if find(event, b"\"action\":\"expire\"").is_none() {
            return;
        }
        let now = now_ns();
        let Some(p) = find(event, b"/k") else { return };
        let k = number_after(&event[p..], b"/k").unwrap_or(u64::MAX) as usize;
        if k < self.seen.len() && !self.seen[k] {
            self.seen[k] = true;
            self.gone += 1;
            self.last = now;
            let due = self.sent_at[k] + self.o.ttl * 1_000_000_000;
            if now < due {
                self.early += 1;
            }
            self.lag.record((now.saturating_sub(due) / 1000).max(1)).ok();
        }
    }
}

pub(crate) fn ttl(o: &Opt, threads: usize) {
    let made = spread(o, threads, Some(o.keys), 0);
    let held = spread(o, threads, None, o.keys);
    let mut sent_at = held.sent_at.clone();
    for (a, b) in sent_at.iter_mut().zip(&made.sent_at) {
        *a = (*a).max(*b);
    }
    let last_due = sent_at.iter().max().copied().unwrap_or(0) + o.ttl * 1_000_000_000;
    let host = &o.hosts()[0];
    let mut deaths = Deaths::new(o, host, sent_at);
    let (left, cleared) = await_end(&mut deaths, host, last_due);
    let clear_ms = cleared.saturating_sub(last_due) / 1_000_000;
    let Deaths { gone, early, last, lag, .. } = deaths;
    let extra = format!(
        ",\"create_rate\":{:.1},\"expired_seen\":{gone},\"early\":{early},\
         \"unseen\":{},\"left\":{left},\
         \"all_gone_after_last_due_ms\":{clear_ms},\"last_seen_after_last_due_ms\":{}{}",
        made.ok as f64 / made.secs.max(1e-9),
        o.keys - gone,
        last.saturating_sub(last_due) / 1_000_000,
        pcts("lag", &lag)
    );
    report(o, "ttl", threads, &held, &extra);
}

/// Waits until all keys are gone and were told of. Gives how many the listing still has, and when
/// it had none: it says what is gone however the watcher fares, since the etcds drop a stream
/// watcher that is 100 events behind.
fn await_end(deaths: &mut Deaths, host: &str, last_due: u64) -> (usize, u64) {
    let o = deaths.o;
    let ep = Epoll::new().unwrap();
    ep.add(deaths.s.as_raw_fd(), IN, 0).unwrap();
    let mut evs = vec![unsafe { std::mem::zeroed::<libc::epoll_event>() }; 8];
    let stop = now_ns() + (o.ttl + 10) * 1_000_000_000;
    let list = format!("GET /v2/keys{}?recursive=true HTTP/1.1\r\nHost: {host}\r\n\r\n", o.prefix);
    let (mut open, mut left, mut cleared, mut next_poll) = (true, o.keys as usize, 0u64, last_due);
    loop {
        let now = now_ns();
        let settled = left == 0 && (deaths.gone >= o.keys || !open || now > cleared + 500_000_000);
        if now >= stop || settled {
            return (left, cleared);
        }
        if now >= next_poll && left > 0 {
            let (_, _, b) = once(host, &list);
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
        open = deaths.take();
    }
}
