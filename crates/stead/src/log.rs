//! Lines of the log on their way to standard error, by a thread of their own.
//!
//! Whoever reads them may be slow, stop reading, or be gone: a pipe into a program that ended, a
//! terminal that was closed, a full disk. None of that may end the server or hold it up. So lines
//! go through a bounded queue; lines that find no room are counted, and the count is logged when
//! there is some.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait to be written.
const WAITING_MAX: usize = 1024;

/// How long lines that wait may take when the process ends.
const FLUSH_TIME: Duration = Duration::from_secs(1);
const FLUSH_STEP: Duration = Duration::from_millis(5);

enum Item {
    Line(Vec<u8>),
    /// Everything before this was written.
    Flush(SyncSender<()>),
}

/// Takes lines, and never fails.
#[derive(Clone)]
pub(crate) struct LogQueue {
    tx: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
}

impl LogQueue {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (tx, rx) = sync_channel(WAITING_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&dropped);
        let work = move || write_all(&rx, out, &lost);
        std::thread::Builder::new().name("stead-log".to_owned()).spawn(work)?;
        Ok(Self { tx, dropped })
    }

    /// Waits a moment for the lines that wait: the process is about to end.
    pub(crate) fn flush(&self) {
        let end = Instant::now() + FLUSH_TIME;
        let (tx, rx) = sync_channel(1);
        let mut item = Item::Flush(tx);
        // A reader that has stopped reading is not waited for any longer.
        while let Err(TrySendError::Full(back)) = self.tx.try_send(item) {
            if Instant::now() >= end {
                return;
            }
            item = back;
            std::thread::sleep(FLUSH_STEP);
        }
        let _ = rx.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

fn write_all(rx: &Receiver<Item>, mut out: impl Write, dropped: &AtomicU64) {
    for item in rx {
        let line = match item {
            Item::Line(line) => line,
            Item::Flush(done) => {
                // Who asked may have given up.
                let _ = done.send(());
                continue;
            }
        };
        let lost = dropped.swap(0, Ordering::Relaxed);
        let notice = format!("{lost} log lines were dropped: standard error was read too slowly\n");
        let said = if lost > 0 { out.write_all(notice.as_bytes()) } else { Ok(()) };
        if said.and_then(|()| out.write_all(&line)).is_err() {
            dropped.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }
}

/// One line that is being put together.
pub(crate) struct LogLine<'a> {
    queue: &'a LogQueue,
    bytes: Vec<u8>,
}

impl Write for LogLine<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine<'_> {
    fn drop(&mut self) {
        let line = Item::Line(std::mem::take(&mut self.bytes));
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.queue.tx.try_send(line)
        {
            self.queue.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<'a> MakeWriter<'a> for LogQueue {
    type Writer = LogLine<'a>;

    fn make_writer(&'a self) -> LogLine<'a> {
        LogLine { queue: self, bytes: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    /// What was written, while `may_write` says that it may.
    #[derive(Clone, Default)]
    struct Out(Arc<Mutex<Vec<u8>>>);

    impl Out {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn say(queue: &LogQueue, line: &str) {
        writeln!(queue.make_writer(), "{line}").unwrap();
    }

    #[test]
    fn lines_come_out_whole_and_in_order() {
        let out = Out::default();
        let queue = LogQueue::start(out.clone()).unwrap();
        (0..100).for_each(|at| say(&queue, &at.to_string()));
        queue.flush();
        let want: String = (0..100).map(|at| format!("{at}\n")).collect();
        assert_eq!(out.text(), want);
    }

    /// A reader that takes nothing until it is let.
    struct Stuck(std::sync::mpsc::Receiver<()>, Out);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // The sender is gone once the reader reads.
            let _ = self.0.recv();
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stops_holds_up_nobody_and_hears_what_it_missed() {
        let (reads, waits) = channel::<()>();
        let out = Out::default();
        let queue = LogQueue::start(Stuck(waits, out.clone())).unwrap();
        (0..2 * WAITING_MAX).for_each(|at| say(&queue, &at.to_string()));
        assert!(queue.dropped.load(Ordering::Relaxed) >= WAITING_MAX as u64 - 1);
        drop(reads);
        queue.flush();
        say(&queue, "after");
        queue.flush();
        let text = out.text();
        assert!(text.contains("log lines were dropped") && text.ends_with("after\n"), "{text}");
    }

    /// A pipe whose reader has ended.
    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_is_gone_ends_nothing() {
        let queue = LogQueue::start(Broken).unwrap();
        (0..10).for_each(|_| say(&queue, "nobody hears this"));
        queue.flush();
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 10);
    }
}
