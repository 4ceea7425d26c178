//! A server process, and as much of a client as it takes to judge it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// How long a server may take until it answers, and until it ends.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// What is known of keys: the last value that was acknowledged.
pub(crate) type Written = BTreeMap<String, String>;

/// A running server. Dropping it kills it.
pub(crate) struct Machine {
    child: Child,
    port: u16,
    peer_port: u16,
    log: PathBuf,
}

/// How a server came up.
pub(crate) enum Started {
    Serving(Machine),
    /// It ended by itself: its exit code, and what it said.
    Ended(Option<i32>, String),
}

impl Machine {
    /// Starts a server on a directory; `before` is a command line that its own is appended to.
    ///
    /// # Errors
    /// When there is no answer and no end.
    pub(crate) fn start(
        binary: &Path,
        data_dir: &Path,
        before: &[String],
        flags: &[&str],
    ) -> Result<Started, String> {
        Self::start_named("m0", binary, data_dir, before, flags)
    }

    /// The same under another name.
    ///
    /// # Errors
    /// When there is no answer and no end.
    pub(crate) fn start_named(
        name: &str,
        binary: &Path,
        data_dir: &Path,
        before: &[String],
        flags: &[&str],
    ) -> Result<Started, String> {
        let log = data_dir.with_extension("log");
        let file = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let (port, peer_port) = (free_port(), free_port());
        let mut words = before.to_vec();
        words.push(binary.to_string_lossy().into_owned());
        let (program, rest) = words.split_first().ok_or("no program")?;
        let child = Command::new(program)
            .args(rest)
            .args(["-name", name, "-addr", &format!("127.0.0.1:{port}")])
            .args(["-peer-addr", &format!("127.0.0.1:{peer_port}")])
            .arg("-data-dir")
            .arg(data_dir)
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        let mut machine = Self { child, port, peer_port, log };
        let since = Instant::now();
        loop {
            if let Some(code) = machine.ended() {
                return Ok(Started::Ended(code, machine.said()));
            }
            // With a full disk it is not healthy, and serves reads.
            if machine.get("/v2/keys/").is_ok_and(|(status, _)| status == 200) {
                return Ok(Started::Serving(machine));
            }
            if since.elapsed() > PATIENCE {
                return Err(format!("no answer: {}", machine.said()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its exit code, if it has ended; no code after a signal.
    pub(crate) fn ended(&mut self) -> Option<Option<i32>> {
        self.child.try_wait().ok().flatten().map(|status| status.code())
    }

    /// What it wrote to its log.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn peer_port(&self) -> u16 {
        self.peer_port
    }

    /// A number of `/metrics` without labels.
    pub(crate) fn metric(&self, name: &str) -> Option<u64> {
        let (_, body) = self.get("/metrics").ok()?;
        let text = String::from_utf8(body).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.trim().parse().ok()
    }

    pub(crate) fn get(&self, path: &str) -> io::Result<(u16, Vec<u8>)> {
        exchange(self.port, &format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n"))
    }

    /// Asks it to end.
    pub(crate) fn ask_to_end(&self) -> Result<(), String> {
        crate::place::run("kill", &["-TERM", &self.pid().to_string()])
    }

    /// Waits for its end; gives its exit code.
    ///
    /// # Errors
    /// When it does not end.
    pub(crate) fn wait_end(&mut self) -> Result<Option<i32>, String> {
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            if let Some(code) = self.ended() {
                return Ok(code);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(format!("it does not stop: {}", self.said()))
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Compares all keys with what was acknowledged. `unknown` are writes that may have been done
    /// or not.
    ///
    /// # Errors
    /// The first difference.
    pub(crate) fn compare(
        &self,
        written: &mut Written,
        unknown: &[(String, String)],
    ) -> Result<(), String> {
        let (status, body) =
            self.get("/v2/keys/?recursive=true").map_err(|error| format!("no listing: {error}"))?;
        let json: serde_json::Value = serde_json::from_slice(&body)
            .map_err(|error| format!("invalid JSON in a listing ({status}): {error}"))?;
        let mut found = Written::new();
        for node in json["node"]["nodes"].as_array().into_iter().flatten() {
            let text = |name: &str| node[name].as_str().unwrap_or_default().to_owned();
            found.insert(text("key").trim_start_matches('/').to_owned(), text("value"));
        }
        for (key, value) in unknown {
            if found.get(key) == Some(value) {
                written.insert(key.clone(), value.clone());
            }
        }
        if let Some((key, _)) = written.iter().find(|(key, value)| found.get(*key) != Some(*value))
        {
            let kind = if found.contains_key(key) { "changed" } else { "lost" };
            return Err(format!("{key} is {kind}: {} keys of {}", found.len(), written.len()));
        }
        if found.len() != written.len() {
            return Err(format!("{} keys, and {} were written", found.len(), written.len()));
        }
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Writes a key; gives the status and the body.
///
/// # Errors
/// When there is no answer, so that nobody knows whether it was written.
pub(crate) fn put(port: u16, key: &str, value: &str) -> io::Result<(u16, String)> {
    let len = value.len() + "value=".len();
    let request = format!(
        "PUT /v2/keys/{key} HTTP/1.0\r\nHost: localhost\r\nContent-Type: \
         application/x-www-form-urlencoded\r\nContent-Length: {len}\r\n\r\nvalue={value}"
    );
    let (status, body) = exchange(port, &request)?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

fn exchange(port: u16, request: &str) -> io::Result<(u16, Vec<u8>)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(broken)?;
    let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned();
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or_else(broken)?;
    let body = bytes.split_off(end + 4);
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    match length.and_then(|length| length.parse::<usize>().ok()) {
        Some(length) if length != body.len() => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok((status, body)),
    }
}

/// A value of this many bytes that no form has to escape; another one for each seed.
pub(crate) fn value(len: usize, seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + u8::try_from((state >> 33) % 26).unwrap_or(0))
    };
    (0..len).map(|_| next()).collect()
}

/// A port that nobody has, below those that the system gives to clients.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 9_000).unwrap_or(0);
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 3_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// The server to test: the one that is named, or that of a debug build, which is made.
///
/// # Errors
/// When it cannot be built.
pub(crate) fn binary(named: Option<&str>) -> Result<PathBuf, String> {
    if let Some(path) = named {
        return Ok(PathBuf::from(path));
    }
    if !crate::cargo(&["build", "--quiet", "-p", "stead"]) {
        return Err("building the server failed".to_owned());
    }
    Ok(target_dir().join("debug/stead"))
}

/// Whether all threads of a process are traced.
pub(crate) fn is_traced(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    threads.flatten().all(|thread| {
        let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        !status.lines().any(|line| line == "TracerPid:\t0")
    })
}

/// Where cargo builds.
pub(crate) fn target_dir() -> PathBuf {
    PathBuf::from(std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned()))
}
