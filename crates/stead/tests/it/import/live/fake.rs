//! A server that answers whatever a test wants: an old etcd as it was recorded, or one that lies.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::testkit::port;

/// How long a client may take for its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// A whole answer: status, `X-Etcd-Index`, body.
pub(super) type Answer = (u16, u64, Vec<u8>);

/// A server on a port of its own. It ends when dropped.
pub(super) struct Fake {
    port: u16,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    /// Answers each path with what `answer` gives for it.
    pub(super) fn start(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let port = port::free();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, answer) = (Arc::clone(&is_over), Arc::new(answer));
        let thread = thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let answer = Arc::clone(&answer);
                // A client that has gone is no failure of the test.
                thread::spawn(move || _ = serve(&stream, &*answer));
            }
        });
        Self { port, is_over, thread: Some(thread) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut stream: &TcpStream, answer: &dyn Fn(&str) -> Answer) -> std::io::Result<()> {
    stream.set_read_timeout(Some(REQUEST_TIMEOUT))?;
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let (status, index, body) = answer(path);
    let head = format!(
        "HTTP/1.1 {status} Answer\r\nX-Etcd-Index: {index}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)
}

/// The answer for a key that is not there.
pub(super) fn missing(index: u64) -> Answer {
    let body = format!(r#"{{"errorCode":100,"message":"Key not found","index":{index}}}"#);
    (404, index, body.into_bytes())
}

/// The answer for events that are no longer there.
pub(super) fn cleared(index: u64) -> Answer {
    let body = format!(
        r#"{{"errorCode":401,"message":"The event in requested index is outdated and cleared",
        "cause":"the requested history has been cleared [{index}/1]","index":{index}}}"#
    );
    (400, index, body.into_bytes())
}

/// A part of a path between two others, such as a parameter.
pub(super) fn between<'a>(path: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let rest = path.split_once(from)?.1;
    Some(rest.split_once(to).map_or(rest, |(part, _)| part))
}
