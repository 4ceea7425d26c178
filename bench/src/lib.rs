//! Small pieces shared by the two programs: an epoll wrapper, a clock, a
//! random generator and an incremental HTTP/1.1 response reader.
use std::io;
use std::os::fd::RawFd;

/// Nanoseconds of the monotonic clock.
pub fn now_ns() -> u64 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut ts) };
    ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64
}

pub struct Rng(u64);
impl Rng {
    pub fn new(seed: u64) -> Self {
        Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    pub fn below(&mut self, n: u64) -> u64 {
        ((self.draw() as u128 * n as u128) >> 64) as u64
    }
}

pub struct Epoll(RawFd);
pub const IN: u32 = libc::EPOLLIN as u32;
pub const OUT: u32 = libc::EPOLLOUT as u32;

impl Epoll {
    pub fn new() -> io::Result<Self> {
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(Epoll(fd))
        }
    }
    fn ctl(&self, op: i32, fd: RawFd, ev: u32, data: u64) -> io::Result<()> {
        let mut e = libc::epoll_event { events: ev, u64: data };
        if unsafe { libc::epoll_ctl(self.0, op, fd, &mut e) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
    pub fn add(&self, fd: RawFd, ev: u32, data: u64) -> io::Result<()> {
        self.ctl(libc::EPOLL_CTL_ADD, fd, ev, data)
    }
    pub fn modify(&self, fd: RawFd, ev: u32, data: u64) -> io::Result<()> {
        self.ctl(libc::EPOLL_CTL_MOD, fd, ev, data)
    }
    /// Waits at most `timeout_ns` (None: for ever), with nanosecond timeouts.
    pub fn wait(&self, buf: &mut [libc::epoll_event], timeout_ns: Option<u64>) -> usize {
        let ts = timeout_ns.map(|n| libc::timespec {
            tv_sec: (n / 1_000_000_000) as i64,
            tv_nsec: (n % 1_000_000_000) as i64,
        });
        let p = ts.as_ref().map_or(std::ptr::null(), |t| t as *const _);
        let n = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.0,
                buf.as_mut_ptr(),
                buf.len() as i32,
                p,
                std::ptr::null::<libc::sigset_t>(),
                8usize,
            )
        };
        n.max(0) as usize
    }
}
impl Drop for Epoll {
    fn drop(&mut self) {
        unsafe { libc::close(self.0) };
    }
}

pub fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() || hay.len() < needle.len() {
        return None;
    }
    let first = needle[0];
    let last = hay.len() - needle.len();
    let mut i = 0;
    while i <= last {
        match hay[i..=last].iter().position(|&b| b == first) {
            None => return None,
            Some(p) => {
                i += p;
                if &hay[i..i + needle.len()] == needle {
                    return Some(i);
                }
                i += 1;
            }
        }
    }
    None
}

/// The decimal number that follows `tag` in `hay`.
pub fn number_after(hay: &[u8], tag: &[u8]) -> Option<u64> {
    let at = find(hay, tag)? + tag.len();
    let mut v = 0u64;
    let mut any = false;
    for &b in &hay[at..] {
        match b {
            b'0'..=b'9' => {
                v = v * 10 + (b - b'0') as u64;
                any = true
            }
            b' ' if !any => {}
            _ => break,
        }
    }
    any.then_some(v)
}

pub fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    for line in head.split(|&b| b == b'\n') {
        if line.len() > name.len()
            && line[name.len()] == b':'
            && line[..name.len()].eq_ignore_ascii_case(name)
        {
            let mut v = &line[name.len() + 1..];
            while let [b' ', r @ ..] = v {
                v = r;
            }
            while let [r @ .., b'\r' | b' '] = v {
                v = r;
            }
            return Some(v);
        }
    }
    None
}

pub enum Body {
    Head,
    Len(usize),
    Chunked,
}

/// What the reader found.
pub enum Got {
    /// nothing whole yet
    More,
    /// one chunk of a streamed body is in `Reader::body`
    Chunk,
    /// a whole response: its body is in `Reader::body`
    Done,
}

/// Reads responses one after another out of a growing buffer.
pub struct Reader {
    pub buf: Vec<u8>,
    pub pos: usize,
    pub state: Body,
    pub status: u16,
    pub index: u64,
    pub location: Option<String>,
    pub body: Vec<u8>,
    pub body_len: usize,
    /// hand out each chunk of a chunked body as it comes
    pub stream: bool,
    /// keep the bytes of the body (otherwise only its length is kept)
    pub keep: bool,
}

impl Default for Reader {
    fn default() -> Self {
        Reader {
            buf: Vec::with_capacity(4096),
            pos: 0,
            state: Body::Head,
            status: 0,
            index: 0,
            location: None,
            body: Vec::new(),
            body_len: 0,
            stream: false,
            keep: true,
        }
    }
}

impl Reader {
    fn take(&mut self, n: usize) {
        self.body_len += n;
        if self.keep || self.status >= 300 {
            let (a, b) = (self.pos, self.pos + n);
            self.body.extend_from_slice(&self.buf[a..b]);
        }
        self.pos += n;
    }
    fn compact(&mut self) {
        if self.pos == self.buf.len() {
            self.buf.clear();
            self.pos = 0;
        } else if self.pos > 65536 {
            self.buf.drain(..self.pos);
            self.pos = 0;
        }
    }
    pub fn step(&mut self) -> Got {
        loop {
            match self.state {
                Body::Head => {
                    let rest = &self.buf[self.pos..];
                    let Some(end) = find(rest, b"\r\n\r\n") else {
                        return Got::More;
                    };
                    let head = &rest[..end];
                    self.status = head
                        .get(9..12)
                        .and_then(|s| std::str::from_utf8(s).ok()?.parse().ok())
                        .unwrap_or(0);
                    self.index = number_after(head, b"X-Etcd-Index:")
                        .or_else(|| number_after(head, b"x-etcd-index:"))
                        .unwrap_or(self.index);
                    self.location =
                        header(head, b"location").map(|v| String::from_utf8_lossy(v).into_owned());
                    let chunked = header(head, b"transfer-encoding")
                        .is_some_and(|v| v.eq_ignore_ascii_case(b"chunked"));
                    let len = header(head, b"content-length")
                        .and_then(|v| std::str::from_utf8(v).ok()?.parse().ok())
                        .unwrap_or(0usize);
                    self.pos += end + 4;
                    self.body.clear();
                    self.body_len = 0;
                    self.state = if chunked { Body::Chunked } else { Body::Len(len) };
                }
                Body::Len(n) => {
                    let have = (self.buf.len() - self.pos).min(n);
                    self.take(have);
                    if have < n {
                        self.state = Body::Len(n - have);
                        self.compact();
                        return Got::More;
                    }
                    self.state = Body::Head;
                    self.compact();
                    return Got::Done;
                }
                Body::Chunked => {
                    let rest = &self.buf[self.pos..];
                    let Some(e) = find(rest, b"\r\n") else {
                        return Got::More;
                    };
                    let size = std::str::from_utf8(&rest[..e])
                        .ok()
                        .and_then(|s| usize::from_str_radix(s.split(';').next()?.trim(), 16).ok())
                        .unwrap_or(0);
                    if rest.len() < e + 2 + size + 2 {
                        return Got::More;
                    }
                    self.pos += e + 2;
                    if self.stream && size > 0 {
                        self.body.clear();
                    }
                    self.take(size);
                    self.pos += 2;
                    if size == 0 {
                        self.state = Body::Head;
                        self.compact();
                        return Got::Done;
                    }
                    if self.stream {
                        self.compact();
                        return Got::Chunk;
                    }
                }
            }
        }
    }
}

/// Reads all that is there. Ok(false): the other side closed.
pub fn read_all(fd: RawFd, buf: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        let spare = if buf.capacity() - buf.len() < 2048 {
            buf.reserve(if buf.len() > 60_000 { buf.len() } else { 4096 });
            buf.capacity() - buf.len()
        } else {
            buf.capacity() - buf.len()
        };
        let n = unsafe {
            libc::recv(fd, buf.as_mut_ptr().add(buf.len()) as *mut _, spare, libc::MSG_DONTWAIT)
        };
        if n < 0 {
            let e = io::Error::last_os_error();
            return match e.kind() {
                io::ErrorKind::WouldBlock => Ok(true),
                io::ErrorKind::Interrupted => continue,
                _ => Err(e),
            };
        }
        if n == 0 {
            return Ok(false);
        }
        unsafe { buf.set_len(buf.len() + n as usize) };
        if (n as usize) < spare {
            return Ok(true);
        }
    }
}

/// Writes what it can. Returns how many bytes went out.
pub fn write_some(fd: RawFd, data: &[u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < data.len() {
        let n = unsafe {
            libc::send(
                fd,
                data[done..].as_ptr() as *const _,
                data.len() - done,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        if n < 0 {
            let e = io::Error::last_os_error();
            match e.kind() {
                io::ErrorKind::WouldBlock => break,
                io::ErrorKind::Interrupted => continue,
                _ => return Err(e),
            }
        }
        done += n as usize;
    }
    Ok(done)
}

/// Raises the limit on open files as far as it goes.
pub fn many_files() {
    unsafe {
        let mut r: libc::rlimit = std::mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut r) == 0 {
            r.rlim_cur = r.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &r);
        }
        libc::prctl(libc::PR_SET_TIMERSLACK, 1000u64, 0, 0, 0);
    }
}

/// `--name value` and `--flag` arguments.
pub struct Args(Vec<String>);
impl Args {
    pub fn from_env() -> Self {
        Args(std::env::args().skip(1).collect())
    }
    pub fn flag(&self, name: &str) -> bool {
        self.0.iter().any(|a| a == name)
    }
    pub fn get(&self, name: &str) -> Option<&str> {
        let i = self.0.iter().position(|a| a == name)?;
        self.0.get(i + 1).map(|s| s.as_str())
    }
    pub fn num<T: std::str::FromStr>(&self, name: &str, default: T) -> T {
        match self.get(name) {
            None => default,
            Some(v) => v.parse().unwrap_or_else(|_| {
                eprintln!("{name}: not a number: {v}");
                std::process::exit(2)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` in pieces of `n` and collects what the reader hands out.
    fn feed(bytes: &[u8], n: usize, stream: bool) -> Vec<(u16, Vec<u8>)> {
        let mut r = Reader { stream, ..Default::default() };
        let mut out = vec![];
        for piece in bytes.chunks(n) {
            r.buf.extend_from_slice(piece);
            loop {
                match r.step() {
                    Got::More => break,
                    Got::Chunk => out.push((r.status, r.body.clone())),
                    Got::Done if stream => out.push((r.status, vec![])),
                    Got::Done => out.push((r.status, r.body.clone())),
                }
            }
        }
        out
    }

    const TWO: &[u8] =
        b"HTTP/1.1 201 Created\r\nX-Etcd-Index: 42\r\ncontent-length: 5\r\n\r\nhello\
        HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n\
        3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";

    #[test]
    fn answers_in_any_pieces() {
        for n in 1..TWO.len() {
            assert_eq!(
                feed(TWO, n, false),
                vec![(201, b"hello".to_vec()), (404, b"abcde".to_vec())],
                "pieces of {n}"
            );
        }
    }

    #[test]
    fn chunks_of_a_stream() {
        let s = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n";
        for n in 1..s.len() {
            assert_eq!(
                feed(s, n, true),
                vec![(200, b"abc".to_vec()), (200, b"de".to_vec())],
                "pieces of {n}"
            );
        }
    }

    #[test]
    fn numbers_and_needles() {
        assert_eq!(number_after(b"x: 17,", b"x:"), Some(17));
        assert_eq!(number_after(b"x: y", b"x:"), None);
        assert_eq!(find(b"aaab", b"ab"), Some(2));
        assert_eq!(find(b"aa", b"ab"), None);
        assert_eq!(
            header(b"A: b\r\nLocation:  http://h/ \r", b"location"),
            Some(&b"http://h/"[..])
        );
    }

    #[test]
    fn random_numbers_stay_below() {
        let mut r = Rng::new(1);
        let mut seen = [false; 10];
        for _ in 0..1000 {
            seen[r.below(10) as usize] = true;
        }
        assert!(seen.iter().all(|&s| s));
    }
}
