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
//! --user U:P     credentials, with {} for the number of the connection and {n} for another
//!                number in each request
//! --timeout-ms T (10000)  --preload: write the keys before reading them
//! --follow       go where a 307 points, per request, as plain clients do
//! watch: --watchers W  --wmode key|prefix|distinct  --stream  --rate R
//! ttl:   --ttl S (15)  --refresh-param (refresh=true, 2.3 and later)
mod drive;
mod options;
mod request;
mod tally;
mod ttl;
mod watch;

use drive::spread;
use kvbench::*;
use options::{Opt, Work};

fn main() {
    many_files();
    let a = Args::from_env();
    let name = a.get("--work").unwrap_or("put");
    let Some(o) = Opt::new(&a) else {
        eprintln!("unknown --work {name}");
        std::process::exit(2)
    };
    let threads: usize = a.num("--threads", 1usize).min(o.conns.max(1));
    match name {
        "watch" => return watch::watch(&o, &a),
        "ttl" => return ttl::ttl(&o, threads),
        _ => {}
    }
    if a.flag("--preload") {
        let p = Opt { work: Work::Fill, conns: o.conns.max(32), rate: 0.0, warm: 0.0, ..o.clone() };
        let t = spread(&p, 1, Some(o.keys), 0);
        if t.errors > 0 {
            eprintln!("preload: {} errors, first: {}", t.errors, t.sample);
        }
    }
    let t = spread(&o, threads, (o.work == Work::Fill).then_some(o.keys), 0);
    tally::report(&o, name, threads, &t, "");
}
