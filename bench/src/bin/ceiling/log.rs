//! The log file, where it is synced, and the follower that has nothing else.
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::RawFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{mpsc, Arc};

const SEGMENT: u64 = 64 << 20;

/// One recycled log segment: its blocks are written once at the start, so
/// that fdatasync never has to commit file-system metadata.
pub(crate) struct Log {
    f: File,
    at: u64,
}

impl Log {
    pub(crate) fn open(path: &str) -> Log {
        let f = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .expect("log file");
        let zero = vec![0u8; 1 << 20];
        for i in 0..SEGMENT >> 20 {
            f.write_all_at(&zero, i << 20).expect("log space");
        }
        f.sync_all().expect("log sync");
        Log { f, at: 0 }
    }

    pub(crate) fn append(&mut self, b: &[u8]) {
        if self.at + b.len() as u64 > SEGMENT {
            self.at = 0;
        }
        self.f.write_all_at(b, self.at).expect("log write");
        self.at += b.len() as u64;
        self.f.sync_data().expect("log sync");
    }
}

/// Who syncs.
pub(crate) enum Disk {
    None,
    Inline(Log),
    /// Batches with their numbers go in; the number of the last that is synced, and an eventfd that
    /// says so, come out.
    Thread(mpsc::Sender<(u64, Vec<u8>)>, Arc<AtomicU64>, RawFd),
}

impl Disk {
    pub(crate) fn thread(mut log: Log) -> Disk {
        let (tx, rx) = mpsc::channel::<(u64, Vec<u8>)>();
        let done = Arc::new(AtomicU64::new(0));
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        let d = done.clone();
        std::thread::spawn(move || {
            while let Ok((mut seq, mut buf)) = rx.recv() {
                while let Ok((s, b)) = rx.try_recv() {
                    seq = s;
                    buf.extend_from_slice(&b);
                }
                log.append(&buf);
                d.store(seq, Ordering::Release);
                let one = 1u64;
                unsafe { libc::write(fd, &one as *const u64 as *const _, 8) };
            }
        });
        Disk::Thread(tx, done, fd)
    }
}

/// Puts down what a leader sends.
pub(crate) fn follow(addr: &str, mut log: Log) {
    let l = TcpListener::bind(addr).expect("follow");
    for s in l.incoming() {
        let s = s.expect("accept");
        s.set_nodelay(true).ok();
        follow_one(s, &mut log);
    }
}

/// Frames are [len u32][seq u64][payload]; all that has come is put down with
/// one sync and answered with the highest seq.
fn follow_one(mut s: TcpStream, log: &mut Log) {
    let (mut buf, mut seq) = (Vec::with_capacity(1 << 20), 0u64);
    loop {
        let mut tmp = [0u8; 65536];
        match s.read(&mut tmp) {
            Ok(n) if n > 0 => buf.extend_from_slice(&tmp[..n]),
            _ => return,
        }
        let mut at = 0;
        while buf.len() - at >= 12 {
            let n = u32::from_le_bytes(buf[at..at + 4].try_into().unwrap()) as usize;
            if buf.len() - at < 12 + n {
                break;
            }
            seq = u64::from_le_bytes(buf[at + 4..at + 12].try_into().unwrap());
            at += 12 + n;
        }
        if at > 0 {
            log.append(&buf[..at]);
            buf.drain(..at);
            if s.write_all(&seq.to_le_bytes()).is_err() {
                return;
            }
        }
    }
}
