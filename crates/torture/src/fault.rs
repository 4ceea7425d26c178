//! The faults: what begins, how long it lasts, how it ends, and what must be true in between.

use crate::damage;
use crate::http::{self, Answer, Connection};
use crate::imposture;
use crate::lab::Lab;
use crate::net::Way;
use crate::record::Shared;
use crate::stranger;
use rustix::process::Signal;
use sim::rng::Rng;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// Everything that is done to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    KillOne,
    KillLeader,
    KillAll,
    PowerOne,
    PowerAll,
    PauseOne,
    PauseLeader,
    StopLeaderLong,
    IsolateLeader,
    IsolateOne,
    CutIn,
    CutOut,
    Split,
    DiskFull,
    SlowSync,
    FailedSync,
    ClockForward,
    ClockBack,
    TornTail,
    DamagedLog,
    RollingRestart,
    WrongCertificate,
    OlderCopy,
    LostDisk,
    Doubled,
    Stranger,
}

/// All of them, with the names that the command line knows.
pub(crate) const ALL: [(Fault, &str); 26] = [
    (Fault::KillOne, "kill-one"),
    (Fault::KillLeader, "kill-leader"),
    (Fault::KillAll, "kill-all"),
    (Fault::PowerOne, "power-one"),
    (Fault::PowerAll, "power-all"),
    (Fault::PauseOne, "pause-one"),
    (Fault::PauseLeader, "pause-leader"),
    (Fault::StopLeaderLong, "stop-leader-long"),
    (Fault::IsolateLeader, "isolate-leader"),
    (Fault::IsolateOne, "isolate-one"),
    (Fault::CutIn, "cut-in"),
    (Fault::CutOut, "cut-out"),
    (Fault::Split, "split"),
    (Fault::DiskFull, "disk-full"),
    (Fault::SlowSync, "slow-sync"),
    (Fault::FailedSync, "failed-sync"),
    (Fault::ClockForward, "clock-forward"),
    (Fault::ClockBack, "clock-back"),
    (Fault::TornTail, "torn-tail"),
    (Fault::DamagedLog, "damaged-log"),
    (Fault::RollingRestart, "rolling-restart"),
    (Fault::WrongCertificate, "wrong-certificate"),
    (Fault::OlderCopy, "older-copy"),
    (Fault::LostDisk, "lost-disk"),
    (Fault::Doubled, "doubled"),
    (Fault::Stranger, "stranger"),
];

impl Fault {
    pub(crate) fn name(self) -> &'static str {
        ALL.iter().find(|(fault, _)| *fault == self).map_or("", |(_, name)| name)
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|(_, one)| *one == name).map(|(fault, _)| *fault)
    }

    /// Why it cannot be done here.
    pub(crate) fn missing(self, lab: &Lab) -> Option<&'static str> {
        let tools = &lab.tools;
        let (is_there, what) = match self {
            Fault::IsolateLeader
            | Fault::IsolateOne
            | Fault::CutIn
            | Fault::CutOut
            | Fault::Split => (tools.nft, "network namespaces and nft"),
            Fault::DiskFull => (tools.mount, "the right to mount"),
            Fault::SlowSync | Fault::FailedSync | Fault::PowerOne | Fault::PowerAll => {
                (tools.shim.is_some(), "gcc")
            }
            Fault::ClockForward | Fault::ClockBack => (tools.faketime.is_some(), "libfaketime"),
            Fault::WrongCertificate => (lab.tls.is_some(), "--tls, openssl and curl"),
            _ => (true, ""),
        };
        (!is_there).then_some(what)
    }

    /// Does it, from beginning to end; says when it ended, or what was wrong meanwhile.
    pub(crate) fn run(
        self,
        lab: &mut Lab,
        shared: &Shared,
        rng: &mut Rng,
    ) -> Result<Instant, String> {
        let count = lab.members.len();
        let one = rng.index(count);
        let leader = lab.leader().unwrap_or(one);
        let either = if rng.permille(500) { leader } else { one };
        match self {
            Fault::KillOne => kill(lab, rng, &[one]),
            Fault::KillLeader => kill(lab, rng, &[leader]),
            Fault::KillAll => kill(lab, rng, &(0..count).collect::<Vec<_>>()),
            Fault::PowerOne => lose_power(lab, rng, &[either]),
            Fault::PowerAll => lose_power(lab, rng, &(0..count).collect::<Vec<_>>()),
            Fault::PauseOne => pause(lab, one, held(rng)),
            Fault::PauseLeader => pause(lab, leader, held(rng)),
            Fault::StopLeaderLong => {
                pause(lab, leader, Duration::from_millis(rng.range(3000, 6000)))
            }
            Fault::IsolateLeader => depose(lab, rng, leader),
            Fault::CutIn => cut(lab, rng, &[either], Way::In),
            Fault::CutOut => cut(lab, rng, &[either], Way::Out),
            Fault::Split => {
                let minority: Vec<usize> =
                    (0..(count - 1) / 2).map(|step| (either + step) % count).collect();
                cut(lab, rng, &minority, Way::Both)
            }
            Fault::IsolateOne => {
                lab.net.as_ref().ok_or("no network")?.cut_all(either)?;
                hold(rng);
                lab.net.as_ref().ok_or("no network")?.mend()?;
                Ok(Instant::now())
            }
            Fault::DiskFull => disk_full(lab, rng),
            Fault::SlowSync => slow_sync(lab, rng, either),
            Fault::FailedSync => failed_sync(lab, rng, either),
            Fault::ClockForward => jump(lab, rng, either, 3600),
            Fault::ClockBack => jump(lab, rng, either, -3600),
            Fault::TornTail => {
                member(lab, either)?.kill();
                damage::tear_tail(&member(lab, either)?.data(), rng.next())?;
                start(lab, either, &[])
            }
            Fault::DamagedLog => damaged_log(lab, either),
            Fault::RollingRestart => rolling_restart(lab, shared),
            Fault::WrongCertificate => wrong_certificate(lab, one),
            Fault::OlderCopy => imposture::older_copy(lab, rng, either),
            Fault::LostDisk => imposture::lost_disk(lab, rng, either),
            Fault::Doubled => imposture::doubled(lab, rng, either),
            Fault::Stranger => stranger::stranger(lab, rng),
        }
    }
}

pub(crate) fn member(lab: &mut Lab, at: usize) -> Result<&mut crate::member::Member, String> {
    lab.members.get_mut(at).ok_or_else(|| "no such member".to_owned())
}

/// As long as faults last: long enough for elections, and for some that follow them.
pub(crate) fn hold(rng: &mut Rng) {
    thread::sleep(held(rng));
}

fn held(rng: &mut Rng) -> Duration {
    Duration::from_millis(rng.range(300, 3500))
}

fn start(lab: &mut Lab, at: usize, more: &[String]) -> Result<Instant, String> {
    member(lab, at)?.spawn(more)?;
    Ok(Instant::now())
}

fn kill(lab: &mut Lab, rng: &mut Rng, which: &[usize]) -> Result<Instant, String> {
    for at in which {
        member(lab, *at)?.kill();
    }
    hold(rng);
    let mut ended = Instant::now();
    for at in which {
        ended = start(lab, *at, &[])?;
    }
    Ok(ended)
}

/// What was not synced is gone, names too.
fn lose_power(lab: &mut Lab, rng: &mut Rng, which: &[usize]) -> Result<Instant, String> {
    for at in which {
        // All of them first: the one that is left last must not go on alone for long.
        member(lab, *at)?.kill();
    }
    for at in which {
        member(lab, *at)?.lose_power()?;
    }
    hold(rng);
    let mut ended = Instant::now();
    for at in which {
        ended = start(lab, *at, &[])?;
    }
    Ok(ended)
}

fn pause(lab: &mut Lab, at: usize, held: Duration) -> Result<Instant, String> {
    member(lab, at)?.signal(Signal::STOP);
    thread::sleep(held);
    member(lab, at)?.signal(Signal::CONT);
    Ok(Instant::now())
}

/// Some and all others do not hear each other at the peer ports.
fn cut(lab: &mut Lab, rng: &mut Rng, some: &[usize], way: Way) -> Result<Instant, String> {
    let others: Vec<usize> = (0..lab.members.len()).filter(|at| !some.contains(at)).collect();
    let net = lab.net.as_ref().ok_or("no network")?;
    for at in some {
        net.cut(*at, &others, way)?;
    }
    hold(rng);
    net.mend()?;
    Ok(Instant::now())
}

/// The leader is cut off, and others go on without it. What it proves must not be old: not while it
/// is alone, and not what it was asked then and answers later.
fn depose(lab: &mut Lab, rng: &mut Rng, leader: usize) -> Result<Instant, String> {
    let others: Vec<usize> = (0..lab.members.len()).filter(|at| *at != leader).collect();
    let old = member(lab, leader)?.addr;
    let new: Vec<_> = others.iter().filter_map(|at| Some(lab.members.get(*at)?.addr)).collect();
    lab.net.as_ref().ok_or("no network")?.cut(leader, &others, Way::Both)?;
    let value = format!("v{}", rng.next());
    write_at(&new, &value)?;
    let mut asked = Vec::new();
    for word in ["quorum", "consistent"] {
        let target = format!("{DEPOSED}?{word}=true");
        let answer = http::once(old, Duration::from_millis(300), ("GET", &target, ""));
        not_old(answer, &value)?;
        let waiting = Connection::open(old, Duration::from_secs(6));
        let mut waiting = waiting.map_err(|error| format!("the old leader: {error}"))?;
        waiting.send("GET", &target, "").map_err(|error| format!("the old leader: {error}"))?;
        asked.push(waiting);
    }
    hold(rng);
    lab.net.as_ref().ok_or("no network")?.mend()?;
    let ended = Instant::now();
    lab.asked = asked;
    lab.expected = value;
    Ok(ended)
}

/// Looks at the answers that a fault has left for after the recovery.
pub(crate) fn settle(lab: &mut Lab) -> Result<(), String> {
    for mut waiting in std::mem::take(&mut lab.asked) {
        not_old(waiting.answer().ok(), &lab.expected)?;
    }
    Ok(())
}

const DEPOSED: &str = "/v2/keys/deposed";

/// Writes at one of these, whichever serves first.
fn write_at(addrs: &[SocketAddr], value: &str) -> Result<(), String> {
    let start = Instant::now();
    let form = format!("value={value}");
    while start.elapsed() < Duration::from_secs(10) {
        for addr in addrs {
            let put = ("PUT", DEPOSED, &*form);
            let answer = http::once(*addr, Duration::from_millis(500), put);
            if answer.is_some_and(|answer| answer.status < 300) {
                return Ok(());
            }
        }
        thread::sleep(Duration::from_millis(10));
    }
    Err("the majority takes no writes without the old leader".to_owned())
}

/// No answer and a refusal are right; a value must be the new one.
fn not_old(answer: Option<Answer>, value: &str) -> Result<(), String> {
    let Some(answer) = answer else { return Ok(()) };
    let is_proven = answer.status == 200 || answer.body.contains("\"errorCode\":100,");
    if is_proven && !answer.body.contains(&format!("\"value\":\"{value}\"")) {
        return Err(format!("an old leader proved old data: {}, not {value}", answer.body));
    }
    Ok(())
}

/// The small disk is filled to the last byte; the member refuses writes and lives.
fn disk_full(lab: &mut Lab, rng: &mut Rng) -> Result<Instant, String> {
    let at = lab.members.iter().position(|one| one.has_own_disk).ok_or("no small disk")?;
    let one = member(lab, at)?;
    let ballast = one.disk().join("ballast");
    fill(&ballast).map_err(|error| format!("{}: {error}", ballast.display()))?;
    hold(rng);
    let is_alive = one.is_running();
    std::fs::remove_file(&ballast).map_err(|error| error.to_string())?;
    if is_alive { Ok(Instant::now()) } else { Err(format!("{} died of a full disk", one.name)) }
}

fn fill(path: &Path) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    for size in [1 << 20, 1 << 12] {
        let piece = vec![1; size];
        loop {
            match file.write_all(&piece) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

fn slow_sync(lab: &mut Lab, rng: &mut Rng, at: usize) -> Result<Instant, String> {
    let failed = |error: std::io::Error| error.to_string();
    let text = format!("slow {}", rng.range(20, 600));
    member(lab, at)?.control("sync", &text).map_err(failed)?;
    hold(rng);
    member(lab, at)?.control("sync", "").map_err(failed)?;
    Ok(Instant::now())
}

/// A member whose sync fails must end, and not go on as if it had been done.
fn failed_sync(lab: &mut Lab, rng: &mut Rng, at: usize) -> Result<Instant, String> {
    let failed = |error: std::io::Error| error.to_string();
    let one = member(lab, at)?;
    one.control("sync", "fail").map_err(failed)?;
    let ended = one.wait_end(Duration::from_secs(10));
    one.control("sync", "").map_err(failed)?;
    match ended {
        None => return Err(format!("{} lives on after a sync failed", one.name)),
        Some(status) if status.success() => {
            return Err(format!("{} calls it success that a sync failed", one.name));
        }
        Some(_) => {}
    }
    hold(rng);
    start(lab, at, &[])
}

/// The wall clock of one member jumps, and back again some seconds later.
fn jump(lab: &mut Lab, rng: &mut Rng, at: usize, seconds: i64) -> Result<Instant, String> {
    let failed = |error: std::io::Error| error.to_string();
    let addr = member(lab, at)?.addr;
    member(lab, at)?.control("clock", &format!("{seconds:+}")).map_err(failed)?;
    // A member looks at its clock often, but not for each answer.
    thread::sleep(Duration::from_millis(1500));
    let date = |addr| {
        let answer = http::once(addr, Duration::from_secs(1), ("GET", "/version", ""));
        answer.and_then(|answer| answer.header("Date").map(str::to_owned))
    };
    let other = lab.members.iter().map(|one| one.addr).find(|other| *other != addr);
    let (own, others) = (date(addr), other.and_then(date));
    hold(rng);
    member(lab, at)?.control("clock", "+0").map_err(failed)?;
    // Only the hours are compared: a jump is an hour.
    let hour = |date: &Option<String>| date.as_ref().map(|date| date.chars().take(19).collect());
    let (own, others): (Option<String>, Option<String>) = (hour(&own), hour(&others));
    if own.is_some() && own == others {
        return Err("the clock did not jump: this fault is idle".to_owned());
    }
    Ok(Instant::now())
}

/// Damage is refused by name; then the disk is replaced, and the member joins again.
fn damaged_log(lab: &mut Lab, at: usize) -> Result<Instant, String> {
    let one = member(lab, at)?;
    one.kill();
    let file = damage::flip_in_middle(&one.data())?;
    let logged = one.log_text().len();
    one.spawn(&[])?;
    let Some(status) = one.wait_end(Duration::from_secs(10)) else {
        return Err(format!("{} serves with a damaged {file}", one.name));
    };
    let text = one.log_text();
    let said = text.get(logged..).unwrap_or_default();
    if status.code() != Some(1) || !said.contains(&file) {
        return Err(format!("{}: damage of {file} ends with {status}: {said}", one.name));
    }
    one.wipe().map_err(|error| error.to_string())?;
    start(lab, at, &[imposture::REJOIN.to_owned()])
}

/// How long a question is under way at most while all is well.
const UNDER_WAY: Duration = Duration::from_millis(200);

/// One after the other is asked to end and starts again; no client that tries the next member may
/// see a request fail.
fn rolling_restart(lab: &mut Lab, shared: &Shared) -> Result<Instant, String> {
    // What was asked for before may still suffer from the fault before.
    shared.gentle_from.store(shared.now(), Ordering::SeqCst);
    thread::sleep(UNDER_WAY);
    let mut result = Ok(Instant::now());
    for at in 0..lab.members.len() {
        result = restart(lab, at);
        if result.is_err() {
            break;
        }
    }
    thread::sleep(UNDER_WAY);
    shared.gentle_from.store(sim::Nanos::MAX, Ordering::SeqCst);
    result
}

fn restart(lab: &mut Lab, at: usize) -> Result<Instant, String> {
    let one = member(lab, at)?;
    one.signal(Signal::TERM);
    match one.wait_end(Duration::from_secs(10)) {
        Some(status) if status.success() => {}
        other => return Err(format!("{} was asked to end: {other:?}", one.name)),
    }
    let ended = start(lab, at, &[])?;
    lab.wait_whole()?;
    // What came after this was the time of the next one's end.
    Ok(if at + 1 == lab.members.len() { Instant::now() } else { ended })
}

/// A caller with a certificate of another authority is not answered, one with the right one is.
fn wrong_certificate(lab: &mut Lab, at: usize) -> Result<Instant, String> {
    let addr = member(lab, at)?.peer_addr;
    let tls = lab.tls.as_ref().ok_or("no certificates")?;
    tls.call(addr, "right")?;
    if tls.call(addr, "wrong").is_ok() {
        return Err(format!("{addr} answered a caller with a wrong certificate"));
    }
    Ok(Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proven_answer_must_hold_the_new_value() {
        let answer = |status, body: &str| Some(Answer::of(status, body));
        assert_eq!(not_old(None, "v2"), Ok(()));
        assert_eq!(not_old(answer(500, r#"{"errorCode":300,"index":1}"#), "v2"), Ok(()));
        assert_eq!(not_old(answer(200, r#"{"node":{"value":"v2"}}"#), "v2"), Ok(()));
        assert!(not_old(answer(200, r#"{"node":{"value":"v1"}}"#), "v2").is_err());
        assert!(not_old(answer(404, r#"{"errorCode":100,"index":1}"#), "v2").is_err());
    }

    #[test]
    fn every_fault_has_a_name_of_its_own() {
        for (fault, name) in ALL {
            assert_eq!(Fault::named(name), Some(fault));
            assert_eq!(fault.name(), name);
        }
        assert_eq!(Fault::named("rain"), None);
    }
}
