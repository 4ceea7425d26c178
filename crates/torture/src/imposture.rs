//! Machines that are not what they say: an older copy of a disk, an empty disk in the place of a
//! member's, a copy that runs beside its original. Each must be told so and stay out, and be a
//! member again once its operator says `-force-rejoin`.

use crate::fault::{hold, member};
use crate::http;
use crate::lab::{self, Lab};
use crate::member::Member;
use rustix::process::Signal;
use sim::rng::Rng;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

/// What an operator says of a machine whose disk is not to be believed any more.
pub(crate) const REJOIN: &str = "-force-rejoin";

/// How long it may take until a machine is told that it has no part in the cluster.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

/// How long a machine that has no part may think that it is ready, before it is told.
const UNTOLD_MAX: Duration = Duration::from_secs(1);

/// How long a machine may take to be ready with `-force-rejoin`.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How far the double's ports are from those of the original, where both have one address.
const NEXT_PORT: u16 = 50;

/// Whether a member says that it is ready.
fn is_ready(addr: SocketAddr) -> bool {
    let answer = http::once(addr, Duration::from_millis(500), ("GET", "/readyz", ""));
    answer.is_some_and(|answer| answer.status == 200)
}

/// The line of a log that tells of a panic.
pub(crate) fn panic_in(said: &str) -> Option<&str> {
    said.lines().find(|line| line.contains("panicked at"))
}

/// The last lines of a log.
fn tail(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join(" / ")
}

/// Looks at a machine that must not take part: its log says one of these words, and it is not ready
/// from then on. It ends with a failure of its own, or runs on; it is watched a while longer then.
fn stays_out(one: &mut Member, from: u64, words: &[&str], more: Duration) -> Result<(), String> {
    let start = Instant::now();
    let (mut told_at, mut ready_at) = (None, None);
    loop {
        let ended = one.wait_end(Duration::from_millis(50));
        let said = one.log_since(from);
        let name = &one.name;
        if let Some(line) = panic_in(&said) {
            return Err(format!("{name}: {line}"));
        }
        let is_told = words.iter().any(|word| said.contains(word));
        match ended {
            Some(status) if status.code() == Some(1) && is_told => return Ok(()),
            Some(status) => return Err(format!("{name} ends with {status}: {}", tail(&said))),
            None => {}
        }
        ready_at = is_ready(one.addr).then(|| ready_at.unwrap_or_else(Instant::now));
        // The leader may have spoken to it before anybody could refuse it.
        if ready_at.is_some_and(|at| is_told || at.elapsed() > UNTOLD_MAX) {
            return Err(format!("{name} is ready and must not be: {}", tail(&said)));
        }
        if is_told && told_at.is_none() {
            told_at = Some(Instant::now());
        }
        match told_at {
            Some(at) if at.elapsed() >= more => return Ok(()),
            None if start.elapsed() > TOLD_WITHIN => {
                return Err(format!("{name} is not told {words:?}: {}", tail(&said)));
            }
            _ => {}
        }
    }
}

/// Starts a machine in its old place; says when it was ready.
fn rejoin(lab: &mut Lab, at: usize) -> Result<Instant, String> {
    let one = member(lab, at)?;
    let (start, from) = (Instant::now(), one.log_len());
    one.spawn(&[REJOIN.to_owned()])?;
    while !is_ready(one.addr) {
        let said = one.log_since(from);
        if !one.is_running() || start.elapsed() > READY_WITHIN {
            return Err(format!("{} is not ready with {REJOIN}: {}", one.name, tail(&said)));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(Instant::now())
}

/// Another term begins, whose leader has never heard of a member that does not run: it does not
/// know what that one acknowledged, and cannot tell from its log that it is a copy.
fn change_leader(lab: &mut Lab) -> Result<(), String> {
    let found = |lab: &Lab| {
        let start = Instant::now();
        while start.elapsed() < READY_WITHIN {
            if let Some(leader) = lab.leader() {
                return Ok(leader);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(format!("no leader after {READY_WITHIN:?}"))
    };
    let leader = found(lab)?;
    member(lab, leader)?.kill();
    member(lab, leader)?.spawn(&[])?;
    found(lab).map(|_| ())
}

/// A member goes on from the state of some time ago: what it has promised since it does not know.
pub(crate) fn older_copy(lab: &mut Lab, rng: &mut Rng, at: usize) -> Result<Instant, String> {
    let one = member(lab, at)?;
    one.kill();
    // A power loss may have brought back what was removed last time.
    one.remove_replaced().map_err(|error| format!("{}: {error}", one.name))?;
    one.keep_copy()?;
    one.spawn(&[])?;
    lab.wait_whole()?;
    hold(rng);
    let one = member(lab, at)?;
    one.kill();
    one.put_copy_back()?;
    if rng.permille(500) {
        change_leader(lab)?;
    }
    let one = member(lab, at)?;
    let from = one.log_len();
    one.spawn(&[])?;
    stays_out(one, from, &[REJOIN], Duration::from_millis(rng.range(300, 3000)))?;
    if one.is_running() {
        one.signal(Signal::TERM);
        match one.wait_end(Duration::from_secs(10)) {
            Some(status) if status.success() => {}
            other => return Err(format!("{} was asked to end: {other:?}", one.name)),
        }
    }
    let ended = rejoin(lab, at)?;
    let one = member(lab, at)?;
    match one.remove_replaced() {
        Ok(1) => Ok(ended),
        Ok(count) => Err(format!("{}: the old files are in {count} directories", one.name)),
        Err(error) => Err(format!("{}: the old files: {error}", one.name)),
    }
}

/// A member's disk is empty, and its start line says nothing of that.
pub(crate) fn lost_disk(lab: &mut Lab, rng: &mut Rng, at: usize) -> Result<Instant, String> {
    let one = member(lab, at)?;
    one.kill();
    one.wipe().map_err(|error| error.to_string())?;
    let from = one.log_len();
    one.spawn(&[])?;
    stays_out(one, from, &[REJOIN], Duration::from_millis(rng.range(300, 3000)))?;
    one.kill();
    rejoin(lab, at)
}

/// A copy of a member's directory is started while the member runs: the first one stays, the second
/// has no part.
pub(crate) fn doubled(lab: &mut Lab, rng: &mut Rng, at: usize) -> Result<Instant, String> {
    let has_net = lab.net.is_some();
    let one = member(lab, at)?;
    one.kill();
    let next = |addr: SocketAddr| SocketAddr::new(addr.ip(), addr.port() + NEXT_PORT);
    let addrs = if has_net {
        (next(one.addr), next(one.peer_addr))
    } else {
        (lab::free_port(lab::LOOPBACK)?, lab::free_port(lab::LOOPBACK)?)
    };
    let mut double = one.double(addrs)?;
    one.spawn(&[])?;
    lab.wait_whole()?;
    let from = double.log_len();
    double.spawn(&[])?;
    let words = ["already connected from", REJOIN];
    stays_out(&mut double, from, &words, Duration::from_millis(rng.range(300, 3000)))?;
    lab.wait_whole().map_err(|text| format!("beside a double: {text}"))?;
    double.kill();
    let ended = Instant::now();
    std::fs::remove_dir_all(double.dir()).map_err(|error| error.to_string())?;
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_log_is_seen() {
        assert_eq!(
            panic_in("a\nthread 'x' panicked at y:1\nb"),
            Some("thread 'x' panicked at y:1")
        );
        assert_eq!(panic_in("INFO serving"), None);
    }

    #[test]
    fn the_tail_of_a_log_is_short() {
        assert_eq!(tail("1\n2\n3\n4\n5\n6"), "2 / 3 / 4 / 5 / 6");
        assert_eq!(tail("1"), "1");
    }
}
