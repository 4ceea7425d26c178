//! A well-behaved client that works beside a test and must not notice it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::http::{Connection, Request};

/// The longest that a read or a write may take while somebody else misbehaves. The machine may be
/// small and busy with other tests, so this is far above what is normal.
const ANSWER_MAX: Duration = Duration::from_secs(4);

/// Between two requests, so that the client does not become the load itself.
const PAUSE: Duration = Duration::from_millis(10);

pub(crate) struct Bystander {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<(u64, Duration)>>,
}

impl Bystander {
    /// Begins to write and read in a thread.
    pub(crate) fn start(addr: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&stop);
        Self { stop, thread: Some(std::thread::spawn(move || work(addr, &theirs))) }
    }

    /// Ends, and fails the test where a request failed or took too long.
    pub(crate) fn finish(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("finished once");
        let (count, longest) = thread.join().expect("every request of the bystander is answered");
        println!("bystander: {count} pairs of requests, the longest took {longest:?}");
        assert!(count > 0, "the bystander got nothing done");
        assert!(longest < ANSWER_MAX, "the bystander waited for {longest:?}");
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn work(addr: SocketAddr, stop: &AtomicBool) -> (u64, Duration) {
    let mut connection = Connection::open(addr).unwrap();
    let mut count = 0;
    let mut longest = Duration::ZERO;
    while !stop.load(Ordering::Relaxed) || count == 0 {
        count += 1;
        let value = count.to_string();
        let began = Instant::now();
        let put = Request::put("/v2/keys/bystander", &format!("value={value}"));
        let answer = connection.exchange(&put).unwrap();
        assert!(matches!(answer.status(), 200 | 201), "{answer:?}");
        longest = longest.max(began.elapsed());
        let began = Instant::now();
        let answer = connection.exchange(&Request::get("/v2/keys/bystander")).unwrap();
        assert_eq!(answer.json()["node"]["value"], value.as_str());
        longest = longest.max(began.elapsed());
        std::thread::sleep(PAUSE);
    }
    (count, longest)
}
