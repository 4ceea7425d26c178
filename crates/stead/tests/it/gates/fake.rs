//! A machine that is no member: it writes down what it is sent, and answers what it likes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What it answers to the bytes of a request.
type Answer = dyn Fn(&str) -> String + Send + Sync;

pub(super) struct Fake {
    addr: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    pub(super) fn start(answer: Box<Answer>) -> Self {
        let port = crate::testkit::port::free();
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let is_over = Arc::new(AtomicBool::new(false));
        let (all, over) = (Arc::clone(&heard), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((socket, _)) => hear(socket, &all, &answer),
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        Self { addr, heard, is_over, thread: Some(thread) }
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// All that it was ever sent.
    pub(super) fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Takes one request, with its body, and answers it.
fn hear(mut socket: TcpStream, all: &Mutex<Vec<u8>>, answer: &Answer) {
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let (mut request, mut piece) = (Vec::new(), [0; 4096]);
    while !is_whole(&request) {
        match socket.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(len) => {
                request.extend_from_slice(&piece[..len]);
                all.lock().unwrap().extend_from_slice(&piece[..len]);
            }
        }
    }
    // It may be gone.
    let _ = socket.write_all(answer(&String::from_utf8_lossy(&request)).as_bytes());
    // What a caller says behind the answer is heard as well.
    let _ = socket.shutdown(std::net::Shutdown::Write);
    while let Ok(len @ 1..) = socket.read(&mut piece) {
        all.lock().unwrap().extend_from_slice(&piece[..len]);
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    body.len() >= length.unwrap_or(0)
}

/// An answer with a body, after which the connection ends.
pub(super) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
        body.len()
    )
}
