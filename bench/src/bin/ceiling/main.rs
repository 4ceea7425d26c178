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
mod keys;
mod log;
mod serve;

use kvbench::*;
use log::{Disk, Log};
use serve::Server;

fn main() {
    many_files();
    let a = Args::from_env();
    if let Some(f) = a.get("--follow") {
        return log::follow(f, Log::open(a.get("--log").expect("--log")));
    }
    let addr = a.get("--listen").expect("--listen").to_string();
    let followers: Vec<String> =
        a.get("--followers").map(|f| f.split(',').map(String::from).collect()).unwrap_or_default();
    let Some(path) = a.get("--log") else {
        let n: usize = a.num("--threads", 1);
        let hs: Vec<_> = (0..n)
            .map(|_| {
                let addr = addr.clone();
                std::thread::spawn(move || Server::new(&addr, Disk::None, &[]).run())
            })
            .collect();
        for h in hs {
            h.join().unwrap();
        }
        return;
    };
    let log = Log::open(path);
    let disk =
        if a.get("--sync") == Some("thread") { Disk::thread(log) } else { Disk::Inline(log) };
    Server::new(&addr, disk, &followers).run();
}
