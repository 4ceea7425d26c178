//! One writer, many watchers. Without --rate the writer waits until every
//! watcher has an event before it writes the next: the round is the time to
//! the last of them. With --rate it writes on the clock.
use crate::options::Opt;
use crate::request::{dial, once, put_req};
use crate::tally::{hist, pcts, quote};
use hdrhistogram::Histogram;
use kvbench::*;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

const WRITER: u64 = u64::MAX;

/// What is watched, and how.
struct Plan<'a> {
    o: &'a Opt,
    watchers: usize,
    mode: String,
    stream: bool,
    hosts: Vec<String>,
}

impl Plan<'_> {
    fn key(&self, i: u64) -> String {
        let prefix = &self.o.prefix;
        match self.mode.as_str() {
            "key" => format!("{prefix}/w/one"),
            "prefix" => format!("{prefix}/w/k{}", i % 1000),
            _ => format!("{prefix}/w/k{i}"),
        }
    }
}

struct Watcher {
    s: TcpStream,
    rd: Reader,
    want: u64,
    path: String,
    armed: bool,
}

impl Watcher {
    fn arm(&mut self, plan: &Plan, host: &str) {
        let q = if plan.stream {
            "wait=true&stream=true".to_string()
        } else {
            format!("wait=true&waitIndex={}", self.want)
        };
        let r = format!(
            "GET /v2/keys{}?{q}{} HTTP/1.1\r\nHost: {host}\r\n\r\n",
            self.path,
            if plan.mode == "prefix" { "&recursive=true" } else { "" }
        );
        self.armed = write_some(self.s.as_raw_fd(), r.as_bytes()).is_ok_and(|n| n == r.len());
    }
}

/// When the writer writes.
struct Clock {
    begin: u64,
    warm_end: u64,
    end: u64,
    /// 0 where the writer waits for the watchers.
    gap: u64,
    due: u64,
}

/// What came of it.
struct Figures {
    delivery: Histogram<u64>,
    round: Histogram<u64>,
    write: Histogram<u64>,
    setup_ms: u64,
    sent: u64,
    delivered: u64,
    missed: u64,
    lost_watchers: u64,
    writes: u64,
}

impl Figures {
    fn new(setup_ms: u64) -> Figures {
        Figures {
            delivery: hist(),
            round: hist(),
            write: hist(),
            setup_ms,
            sent: 0,
            delivered: 0,
            missed: 0,
            lost_watchers: 0,
            writes: 0,
        }
    }

    fn print(&self, plan: &Plan) {
        let Plan { o, watchers, mode, stream, .. } = plan;
        println!(
            "{{\"work\":\"watch\",\"wmode\":\"{mode}\",\"stream\":{stream},\
             \"watchers\":{watchers},\"rate_asked\":{},\"setup_ms\":{},\"sent\":{},\
             \"writes_per_s\":{:.1},\"rate\":{:.1},\"missed\":{},\"lost_watchers\":{}{}{}{}}}",
            o.rate,
            self.setup_ms,
            self.sent,
            self.writes as f64 / o.secs,
            self.delivered as f64 / o.secs,
            self.missed,
            self.lost_watchers,
            pcts("delivery", &self.delivery),
            pcts("round", &self.round),
            pcts("write", &self.write)
        );
    }
}

struct Run<'a> {
    plan: &'a Plan<'a>,
    ep: Epoll,
    watchers: Vec<Watcher>,
    writer: TcpStream,
    answers: Reader,
    rng: Rng,
    clock: Clock,
    figures: Figures,
    /// When the last write was sent, or was due; and which it was.
    started: u64,
    seq: u64,
    answered: bool,
    /// Whether all watchers have the last event, or were given up.
    idle_round: bool,
    /// How many have it.
    got: u64,
    last_progress: u64,
}

pub(crate) fn watch(o: &Opt, a: &Args) {
    let plan = Plan {
        o,
        watchers: a.num("--watchers", 100),
        mode: a.get("--wmode").unwrap_or("key").to_string(),
        stream: a.flag("--stream"),
        hosts: o.hosts(),
    };
    let done = Run::new(&plan).and_then(|mut run| run.run().map(|()| run.figures));
    match done {
        Ok(figures) => figures.print(&plan),
        Err(e) => println!("{{\"work\":\"watch\",\"error\":{}}}", quote(&e)),
    }
}

/// Writes a key, and gives the index behind it, from which on events are wanted.
fn first_index(plan: &Plan) -> u64 {
    let host = &plan.hosts[0];
    let (_, index, body) = once(host, &put_req(host, &plan.key(0), "value=t0"));
    number_after(&body, b"\"modifiedIndex\":").unwrap_or(index) + 1
}

/// Opens and arms the watchers.
fn watchers(plan: &Plan, ep: &Epoll, want: u64) -> Result<Vec<Watcher>, String> {
    let mut watchers = Vec::with_capacity(plan.watchers);
    for i in 0..plan.watchers {
        let host = &plan.hosts[i % plan.hosts.len()];
        let s = dial(host).map_err(|e| e.to_string())?;
        ep.add(s.as_raw_fd(), IN, i as u64).unwrap();
        let is_prefix = plan.mode == "prefix";
        let path = if is_prefix { format!("{}/w", plan.o.prefix) } else { plan.key(i as u64) };
        let rd = Reader { stream: plan.stream, ..Default::default() };
        let mut watcher = Watcher { s, rd, want, path, armed: false };
        watcher.arm(plan, host);
        watchers.push(watcher);
    }
    Ok(watchers)
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan<'a>) -> Result<Run<'a>, String> {
        let ep = Epoll::new().unwrap();
        let want = first_index(plan);
        let since = now_ns();
        let watchers = watchers(plan, &ep, want)?;
        std::thread::sleep(std::time::Duration::from_millis(300 + plan.watchers as u64 / 5));
        let figures = Figures::new((now_ns() - since) / 1_000_000);
        let writer = dial(&plan.hosts[0]).expect("writer");
        ep.add(writer.as_raw_fd(), IN, WRITER).unwrap();
        let begin = now_ns();
        let warm_end = begin + (plan.o.warm * 1e9) as u64;
        let clock = Clock {
            begin,
            warm_end,
            end: warm_end + (plan.o.secs * 1e9) as u64,
            gap: if plan.o.rate > 0.0 { (1e9 / plan.o.rate) as u64 } else { 0 },
            due: 0,
        };
        Ok(Run {
            plan,
            ep,
            watchers,
            writer,
            answers: Reader::default(),
            rng: Rng::new(7),
            clock,
            figures,
            started: 0,
            seq: 0,
            answered: true,
            idle_round: true,
            got: 0,
            last_progress: begin,
        })
    }

    fn run(&mut self) -> Result<(), String> {
        let mut evs = vec![unsafe { std::mem::zeroed::<libc::epoll_event>() }; 1024];
        loop {
            let now = now_ns();
            if now >= self.clock.end {
                return Ok(());
            }
            self.write(now);
            let mut wake = (self.clock.end - now).min(50_000_000);
            let Clock { begin, gap, due, .. } = self.clock;
            if gap > 0 && self.answered {
                wake = wake.min((begin + due * gap).saturating_sub(now_ns()));
            }
            let n = self.ep.wait(&mut evs, Some(wake));
            for e in &evs[..n] {
                if e.u64 == WRITER {
                    self.take_answer()?;
                } else {
                    self.take_events(e.u64);
                }
            }
            if gap == 0 && !self.idle_round && self.answered {
                self.judge_round();
            }
        }
    }

    /// Writes, if it is time.
    fn write(&mut self, now: u64) {
        let clock = &mut self.clock;
        let due = clock.begin + clock.due * clock.gap;
        let may = if clock.gap > 0 { self.answered && due <= now } else { self.idle_round };
        if !may {
            return;
        }
        if clock.gap > 0 {
            self.started = due;
            clock.due += 1;
        } else {
            self.started = now;
        }
        self.seq += 1;
        self.got = 0;
        let key = self.plan.key(self.rng.below(self.plan.watchers as u64));
        let form = format!("value=t{:020}x{}", self.started, self.seq);
        let r = put_req(&self.plan.hosts[0], &key, &form);
        write_some(self.writer.as_raw_fd(), r.as_bytes()).expect("writer");
        self.answered = false;
        self.idle_round = false;
        self.figures.sent += 1;
        self.last_progress = now;
    }

    fn take_answer(&mut self) -> Result<(), String> {
        if !matches!(read_all(self.writer.as_raw_fd(), &mut self.answers.buf), Ok(true)) {
            return Err("writer closed".to_string());
        }
        if matches!(self.answers.step(), Got::Done) {
            self.answered = true;
            if self.started >= self.clock.warm_end {
                self.figures.writes += 1;
                self.figures.write.record(((now_ns() - self.started) / 1000).max(1)).ok();
            }
        }
        Ok(())
    }

    fn take_events(&mut self, data: u64) {
        let x = &mut self.watchers[data as usize];
        let open = read_all(x.s.as_raw_fd(), &mut x.rd.buf);
        loop {
            let step = x.rd.step();
            if matches!(step, Got::More) {
                break;
            }
            if let Some(ts) = number_after(&x.rd.body, b"\"value\":\"t") {
                if ts > 0 {
                    let now = now_ns();
                    if ts >= self.clock.warm_end {
                        self.figures.delivered += 1;
                        let us = (now.saturating_sub(ts) / 1000).max(1);
                        self.figures.delivery.record(us).ok();
                    }
                    self.got += 1;
                    self.last_progress = now;
                }
                x.want = number_after(&x.rd.body, b"\"modifiedIndex\":").unwrap_or(x.want) + 1;
                x.rd.body.clear();
            }
            if matches!(step, Got::Done) {
                let hosts = &self.plan.hosts;
                x.arm(self.plan, &hosts[data as usize % hosts.len()]);
            }
        }
        if !matches!(open, Ok(true)) && x.armed {
            x.armed = false;
            self.figures.lost_watchers += 1;
            // a closed socket would wake the loop for ever
            let fd = x.s.as_raw_fd();
            let _ = self.ep.modify(fd, 0, data);
            unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
        }
    }

    /// Whether all have the event, or will not get it any more.
    fn judge_round(&mut self) {
        let per = if self.plan.mode == "distinct" { 1 } else { self.plan.watchers as u64 };
        let now = now_ns();
        if self.got >= per {
            self.idle_round = true;
            if self.started >= self.clock.warm_end {
                self.figures.round.record(((now - self.started) / 1000).max(1)).ok();
            }
        } else if now - self.last_progress > 3_000_000_000 {
            self.figures.missed += per - self.got;
            self.idle_round = true;
        }
    }
}
