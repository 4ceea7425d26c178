//! A terminal: one shell for a whole guide, whose directory, variables and background processes
//! stay from block to block.

use super::page;
use crate::testkit::wait::holds_within;
use crate::testkit::{TempDir, port};
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a block may take. Its commands wait for what takes long with limits of their own.
const BLOCK_MAX: Duration = Duration::from_secs(120);

/// Ports below this one are not for users.
const PORT_MIN: u16 = 1024;

/// A shell in an empty directory, in a process group of its own, which ends with it.
pub(super) struct Shell {
    child: Child,
    /// Beside the directory in which a guide is typed: blocks, outputs, and programs.
    control: PathBuf,
    ports: Ports,
    typed: usize,
}

impl Shell {
    /// Starts a shell that finds `stead`, and `curl`: this machine's, or ours where it has none.
    pub(super) fn start(folder: &Path) -> Self {
        let (home, control) = (folder.join("home"), folder.join("control"));
        let bin = control.join("bin");
        fs::create_dir_all(&home).expect("a directory");
        fs::create_dir_all(&bin).expect("a directory");
        symlink(env!("CARGO_BIN_EXE_stead"), bin.join("stead")).expect("a link");
        let mut path = std::env::var_os("PATH").unwrap_or_default();
        if !std::env::split_paths(&path).any(|folder| folder.join("curl").is_file()) {
            symlink(super::OWN_CURL, bin.join("curl")).expect("a link");
        }
        let mut folders = vec![bin];
        folders.extend(std::env::split_paths(&path));
        path = std::env::join_paths(folders).expect("they were joined before");
        let mut ports = Ports::default();
        // It does not write to a terminal here, so that it would draw how far it is.
        fs::write(control.join(".curlrc"), "no-progress-meter\n").expect("a file");
        let log = fs::File::create(control.join("shell.log")).expect("a file");
        let mut command = Command::new("bash");
        command
            .args(["--noprofile", "--norc"])
            .current_dir(&home)
            .env("PATH", path)
            .env("HOME", &home)
            .env("CURL_HOME", &control)
            // Servers that are started without addresses have the ports of the text too.
            .env("ETCD_ADDR", format!("127.0.0.1:{}", ports.of(4001)))
            .env("ETCD_PEER_ADDR", format!("127.0.0.1:{}", ports.of(7001)))
            // And so have clients that are told nothing else.
            .env("STEAD_ENDPOINTS", format!("http://127.0.0.1:{}", ports.of(4001)))
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a handle"))
            .stderr(log)
            .process_group(0);
        for proxy in ["http_proxy", "https_proxy", "all_proxy", "ALL_PROXY", "HTTPS_PROXY"] {
            command.env_remove(proxy);
        }
        let child = command.spawn().expect("bash is there");
        let mut shell = Self { child, control, ports, typed: 0 };
        // A failed command tells its line and its exit code.
        let failed = shell.control.join("failed");
        shell.say(&format!("trap 'echo \"$LINENO $?\" >> {}' ERR", quoted(&failed)));
        shell
    }

    fn say(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("it is a pipe");
        writeln!(stdin, "{line}").expect("the shell runs");
    }

    /// Types a block, and compares what it prints and how its commands end.
    ///
    /// # Errors
    /// What is not as the guide says, with all that was printed.
    pub(super) fn type_in(&mut self, block: &page::Block) -> Result<(), String> {
        self.typed += 1;
        let file = |what: &str| self.control.join(format!("{}.{what}", self.typed));
        let (code, output, done) = (file("sh"), file("out"), file("done"));
        let failed = self.control.join("failed");
        // The last line keeps a failure from being one of the whole file as well.
        let text = self.ports.map(&block.code);
        fs::write(&code, format!("{text}:\n")).expect("a file");
        // There may have been no failure.
        let _ = fs::remove_file(&failed);
        let (code, to, mark) = (quoted(&code), quoted(&output), quoted(&done));
        self.say(&format!(". {code} </dev/null >{to} 2>&1; : >{mark}"));
        let mut has_ended = false;
        let is_done = holds_within(BLOCK_MAX, || {
            has_ended = self.child.try_wait().is_ok_and(|status| status.is_some());
            has_ended || done.exists()
        });
        let bytes = fs::read(&output).unwrap_or_default();
        let got = self.ports.back(&String::from_utf8_lossy(&bytes));
        let shown = format!("{}--- it printed\n{got}", block.code);
        if has_ended {
            return Err(format!("the shell has ended\n{shown}"));
        }
        if !is_done {
            return Err(format!("not done after {BLOCK_MAX:?}\n{shown}"));
        }
        let failures = fs::read_to_string(&failed).unwrap_or_default();
        let failures: Vec<(usize, i32)> = failures.lines().filter_map(line_and_code).collect();
        let expected = page::expected_failures(&block.code);
        if failures != expected {
            return Err(format!(
                "(line, exit code) of commands that failed: {failures:?}, expected: {expected:?}\n\
                 {shown}"
            ));
        }
        match &block.want {
            Some(want) if !page::matches(want, &got) => Err(format!("{shown}--- expected\n{want}")),
            _ => Ok(()),
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // The shell and all that it has started and not waited for.
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::CONT);
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

fn line_and_code(line: &str) -> Option<(usize, i32)> {
    let (line, code) = line.split_once(' ')?;
    Some((line.parse().ok()?, code.parse().ok()?))
}

/// A path as a word of the shell. The folders of tests have no quotes in their names.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}

/// The ports of a guide, and the free ones in their place.
#[derive(Debug, Default)]
struct Ports(BTreeMap<u16, u16>);

impl Ports {
    fn of(&mut self, said: u16) -> u16 {
        *self.0.entry(said).or_insert_with(port::free)
    }

    /// A text with the free ports behind its hosts.
    fn map(&mut self, text: &str) -> String {
        replace_ports(text, |said| (said >= PORT_MIN).then(|| self.of(said)))
    }

    /// The opposite, for what commands print.
    fn back(&self, text: &str) -> String {
        let said = |free: u16| self.0.iter().find(|(_, to)| **to == free).map(|(said, _)| *said);
        replace_ports(text, said)
    }
}

/// Replaces `:NUMBER` behind a host: a name, or an address in brackets or with dots.
fn replace_ports(text: &str, mut other: impl FnMut(u16) -> Option<u16>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(':') {
        let (before, after) = rest.split_at(at + 1);
        let is_host = before.chars().rev().nth(1).is_some_and(|c| c.is_alphanumeric() || c == ']');
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let port = after[..digits].parse().ok().filter(|_| is_host && digits >= 4);
        out.push_str(before);
        rest = match port.and_then(&mut other) {
            None => after,
            Some(port) => {
                out.push_str(&port.to_string());
                &after[digits..]
            }
        };
    }
    out.push_str(rest);
    out
}

#[test]
fn what_is_wrong_in_a_guide_fails_and_what_is_right_does_not() {
    let dir = TempDir::new("wrong-guide");
    let mut shell = Shell::start(dir.path());
    let mut type_in = |code: &str, want: Option<&str>| {
        let (code, want) = (format!("{code}\n"), want.map(str::to_owned));
        shell.type_in(&page::Block { line: 1, code, want })
    };
    for (code, want) in [
        ("x=1; mkdir a; cd a", None),
        ("echo $x; basename $PWD", Some("1\na\n")),
        ("false   # exit code 1", None),
        ("echo one \\\n  two 127.0.0.1:4001", Some("one two ...:4001\n")),
        ("if false; then echo a; fi; false || echo b", Some("b\n")),
        ("sleep 1000 & kill $!; wait $! || true", None),
        ("stead version", Some("stead version ...\n")),
    ] {
        assert_eq!(type_in(code, want), Ok(()), "{code}");
    }
    for (code, want, why) in [
        ("false", None, "failed: [(1, 1)], expected: []"),
        ("true   # exit code 1", None, "failed: [], expected: [(1, 1)]"),
        ("true\nls none   # exit code 1", None, "failed: [(2, 2)], expected: [(2, 1)]"),
        ("echo a", Some("b\n"), "--- it printed\na\n--- expected\nb\n"),
        ("nothing-of-this-name", None, "failed: [(1, 127)]"),
        ("if", None, "failed: "),
        ("exit", None, "the shell has ended"),
    ] {
        let error = type_in(code, want).expect_err(code);
        assert!(error.contains(why), "{code}: {error}");
    }
}

#[test]
fn ports_are_replaced_behind_hosts_alone() {
    let other = |said: u16| (said >= PORT_MIN).then(|| said + 1);
    let text = "http://a:4001/x,[::1]:7001 16:59:59 {\"a\":4001} m:80 x:99999 2026 b:4002";
    let want = "http://a:4002/x,[::1]:7002 16:59:59 {\"a\":4001} m:80 x:99999 2026 b:4003";
    assert_eq!(replace_ports(text, other), want);
    let mut ports = Ports::default();
    let there = ports.map("127.0.0.1:4001 127.0.0.1:4001");
    assert_ne!(there, "127.0.0.1:4001 127.0.0.1:4001");
    assert_eq!(ports.back(&there), "127.0.0.1:4001 127.0.0.1:4001");
}
