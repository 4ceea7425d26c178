//! `stead doctor`: what is wrong with a cluster, each finding with what mends it.
//!
//! It asks what `stead status` asks, takes over what that finds, and looks at what else the answers
//! tell: how many may be lost, disks, clocks, limits, and who is let in. Pure, as `judge.rs` is.

use super::ask::{Gauges, Heard, Part, Probe, QUICK_SYNC};
use super::finding::{About, Finding};
use super::judge::{Machine, Report, Verdict};
use super::show::paragraph;
use serde_json::json;
use server::printable;
use std::fmt::Write as _;

/// Findings that are shown: an answer could make any number of them.
const LINES_MAX: usize = 200;

/// Free space below which a disk is nearly full: a share of it, unless there are so many bytes.
const DISK_FREE_SHARE: u64 = 10;
const DISK_FREE_BYTES: u64 = 10 << 30;

/// Syncs below which nothing is said of a disk, and of how many of them one may be slow.
const SYNCS_MIN: u64 = 100;
const SLOW_SYNCS_SHARE: u64 = 100;

/// Open files below which a server runs short of connections soon.
const FILES_MIN: u64 = 4096;

/// Clocks that differ by more are worth a warning: seconds.
const CLOCK_MAX: f64 = 1.0;

/// Elections in an hour that are worth a warning.
const ELECTIONS_PER_HOUR: u64 = 6;

/// A machine that learns for longer does not catch up: seconds.
const LEARNING_MAX: u64 = 60;

/// What the log takes at most, as docs/operating.md has it, and more than a store is made for.
const LOG_BYTES_MAX: u64 = 1 << 30;
const VALUE_BYTES_MAX: u64 = 4 << 30;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Problem,
    Warning,
    /// Worth knowing; nothing has to be done.
    Note,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// A finding, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    level: Level,
    /// The machine; nothing if it is about all of them.
    machine: String,
    text: String,
    remedy: String,
}

/// What was found out.
pub(super) struct Diagnosis<'a> {
    report: &'a Report,
    lines: Vec<Line>,
}

impl<'a> Diagnosis<'a> {
    pub(super) fn of(report: &'a Report, probes: &[Probe]) -> Self {
        let mut diagnosis = Self { report, lines: Vec::new() };
        diagnosis.look_at_majority();
        for (level, findings) in
            [(Level::Problem, &report.problems), (Level::Warning, &report.warnings)]
        {
            for Finding { about, who, text } in findings {
                diagnosis.add(level, who, text.clone(), remedy(about, who));
            }
        }
        diagnosis.look_at_voters(probes);
        report.machines.iter().for_each(|one| diagnosis.look_at_learner(one));
        for (name, heard) in probes.iter().filter_map(heard_of) {
            diagnosis.look_at_disk(name, &heard.gauges);
            diagnosis.look_at_limits(name, &heard.gauges);
            diagnosis.look_at_clock(name, heard);
        }
        diagnosis.look_at_doors(probes);
        diagnosis.lines.sort_by_key(|line| line.level);
        diagnosis.lines.dedup();
        diagnosis
    }

    fn add(&mut self, level: Level, machine: &str, text: String, remedy: impl Into<String>) {
        self.lines.push(Line { level, machine: machine.to_owned(), text, remedy: remedy.into() });
    }

    fn warn(&mut self, machine: &str, text: String, remedy: impl Into<String>) {
        self.add(Level::Warning, machine, text, remedy);
    }

    /// Whether something has to be done.
    pub(super) fn is_well(&self) -> bool {
        self.lines.iter().all(|line| line.level == Level::Note)
    }

    /// How many voters that answer may be lost before writes fail.
    fn may_lose(&self) -> Option<usize> {
        let Report { voters, heard, leader, .. } = self.report;
        leader.as_ref().map(|_| heard.saturating_sub(voters / 2 + 1))
    }

    fn look_at_majority(&mut self) {
        let Report { verdict, cluster, voters, heard, machines, .. } = self.report;
        if *verdict != Verdict::Down {
            return;
        }
        if cluster.is_none() {
            let text = "no member answers".to_owned();
            let remedy = "start the machines, and ask with their addresses: \
                          `stead doctor --endpoint URL,URL`";
            return self.add(Level::Problem, "", text, remedy);
        }
        let needed = voters / 2 + 1;
        if *heard >= needed || *voters == 0 {
            let text = "a majority answers, and none of them leads: writes wait".to_owned();
            let remedy = "ask again in some seconds; if it stays so they do not reach one another: \
                          `journalctl -u stead | grep 'member unreachable'`";
            return self.add(Level::Problem, "", text, remedy);
        }
        let gone = machines.iter().filter(|one| one.state == "unreachable");
        let gone: Vec<&str> = gone.map(|one| one.name.as_str()).collect();
        let gone = gone.join(", ");
        let text = format!(
            "no majority: {heard} of {voters} voters answer, and {needed} are needed; writes and \
             quorum reads fail"
        );
        let remedy = format!(
            "start {gone} again, with their directories; only if those are lost for good: `stead \
             recover --help`"
        );
        self.add(Level::Problem, "", text, remedy);
    }

    fn look_at_voters(&mut self, probes: &[Probe]) {
        let voters = self.report.voters;
        let add = "`stead member add NAME PEER-URL`, and start it with the line that prints";
        match voters {
            1 => {
                let gauges = probes.iter().filter_map(heard_of).map(|(_, heard)| heard.gauges);
                if gauges.filter_map(|one| one.backup_at).any(|at| at == 0) {
                    let text =
                        "one machine, which makes no backups by itself: its disk is all there is";
                    let remedy = "`stead backup FILE`, or start it with -backup-dir DIR";
                    self.add(Level::Note, "", text.to_owned(), remedy);
                }
            }
            2 => {
                let text = "two voters: writes fail when either of them is gone".to_owned();
                self.add(Level::Note, "", text, format!("a third one: {add}"));
            }
            even if even > 0 && even % 2 == 0 => {
                let (may, fewer) = ((even - 1) / 2, even - 1);
                let text = format!("{even} voters: no more than {may} may be lost, as of {fewer}");
                let remedy = format!("one more: {add}; or one less: `stead member remove`");
                self.add(Level::Note, "", text, remedy);
            }
            _ => {}
        }
    }

    fn look_at_learner(&mut self, machine: &Machine) {
        let is_late = machine.uptime.is_some_and(|uptime| uptime > LEARNING_MAX);
        if machine.state == "learner" && is_late {
            let name = &machine.name;
            let lag = machine.lag.map(|lag| format!("; {lag} entries behind")).unwrap_or_default();
            let text = format!("{name}: has not caught up, and does not vote yet{lag}");
            let remedy = format!("on {name}: `journalctl -u stead -n 50` says what it waits for");
            self.warn(name, text, remedy);
        }
    }

    fn look_at_disk(&mut self, name: &str, gauges: &Gauges) {
        if let Some((free, size)) = gauges.disk
            && free < (size / DISK_FREE_SHARE).min(DISK_FREE_BYTES)
        {
            let text = format!("{name}: {} are free on its disk of {}", bytes(free), bytes(size));
            let remedy =
                format!("on {name}: `df -h` and `du -xh` on the data directory; make room");
            self.warn(name, text, remedy);
        }
        if let Some((all, quick)) = gauges.syncs
            && all >= SYNCS_MIN
            && all.saturating_sub(quick) > all / SLOW_SYNCS_SHARE
        {
            let share = all.saturating_sub(quick).saturating_mul(100) / all;
            let text =
                format!("{name}: {share} % of the log's syncs take more than {QUICK_SYNC} s");
            let remedy = format!("on {name}: `stead check disk DIR` measures the disk");
            self.warn(name, text, remedy);
        }
        let Some((log, values)) = gauges.sizes else { return };
        if log > LOG_BYTES_MAX {
            let text = format!("{name}: its log has {}", bytes(log));
            let remedy = format!("on {name}: `journalctl -u stead | grep snapshot`");
            self.warn(name, text, remedy);
        }
        if values > VALUE_BYTES_MAX {
            let text = format!("{name}: all values together have {}, in memory", bytes(values));
            self.warn(name, text, "`stead tree` counts the keys: remove what nobody needs");
        }
    }

    fn look_at_limits(&mut self, name: &str, gauges: &Gauges) {
        let Some((open, max)) = gauges.files else { return };
        let text = match max {
            _ if open > max / 10 * 8 => format!("{name}: {open} of {max} files are open"),
            _ if max < FILES_MIN => format!("{name}: only {max} files may be open"),
            _ => return,
        };
        let remedy = "raise LimitNOFILE: `systemctl edit stead`";
        self.warn(name, format!("{text}; each connection is one"), remedy);
    }

    fn look_at_clock(&mut self, name: &str, heard: &Heard) {
        let ahead = heard.gauges.clock_ahead.unwrap_or_default();
        if ahead.abs() > CLOCK_MAX {
            let side = if ahead > 0.0 { "ahead of" } else { "behind" };
            let ahead = ahead.abs().min(1e9);
            let text = format!("{name}: its clock is {ahead:.1} s {side} the leader's");
            let remedy = format!("on {name}: `timedatectl set-ntp true`");
            self.warn(name, text, remedy);
        }
        let Part::Member(view) = &heard.part else { return };
        let hours = view.own().and_then(|own| own.uptime).unwrap_or(0) / 3600;
        let changes = heard.gauges.leader_changes.unwrap_or(0);
        if changes > ELECTIONS_PER_HOUR * (hours + 1) {
            let text = format!("{name}: saw {changes} changes of the leader in {} h", hours + 1);
            let remedy = "disks or network are too slow for the time-outs: docs/tuning.md; \
                          `stead check disk DIR`";
            self.warn(name, text, remedy);
        }
    }

    /// Who may read and change everything.
    fn look_at_doors(&mut self, probes: &[Probe]) {
        let is_open = |(_, heard): &(&str, &Heard)| heard.counts_users == Some(false);
        let open: Vec<&str> =
            probes.iter().filter_map(heard_of).filter(is_open).map(first).collect();
        let machines = self.report.machines.iter();
        let urls = machines.filter(|one| open.contains(&one.name.as_str()) && is_public(one));
        if let Some(url) = urls.map(|one| one.client_url.clone()).next() {
            let text =
                format!("whoever reaches {url}, or another one, can read and change every key");
            let remedy = "users (docs/reference/users.md), TLS with certificates for clients, or a \
                          firewall";
            self.warn("", text, remedy);
        }
    }
}

fn first<'a>((name, _): (&'a str, &Heard)) -> &'a str {
    name
}

/// Whether clients of other machines can come to a machine, without TLS.
fn is_public(machine: &Machine) -> bool {
    let Some(place) = machine.client_url.strip_prefix("http://") else { return false };
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host != "localhost" && address.map_or(true, |address| !address.is_loopback())
}

/// A machine that answered, by its name.
fn heard_of(probe: &Probe) -> Option<(&str, &Heard)> {
    let heard = probe.heard.as_ref().ok()?;
    match &heard.part {
        Part::Member(view) => Some((view.seen_by.as_str(), heard)),
        Part::Standby { name, .. } => Some((name.as_str(), heard)),
        Part::Waiting => None,
    }
}

/// What mends a finding of `stead status`.
fn remedy(about: &About, who: &str) -> String {
    // It becomes a part of a command, and is what a machine said.
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "._-:/[]".contains(char);
    let who = if who.chars().all(is_plain) { who } else { "MACHINE" };
    match about {
        About::Silent { is_heard: true } => {
            format!("the way from here to its client port: address, firewall, certificate of {who}")
        }
        About::Silent { is_heard: false } => format!(
            "on that machine: `systemctl start stead`, and `journalctl -u stead -n 50`; if its \
             disk is lost: `stead member remove {who}`, and docs/guides/replace-a-machine.md"
        ),
        About::Check(check) => of_check(check, who),
        About::Diverged => format!("on {who}: start it once with -force-rejoin, and report it"),
        About::Stranger => format!(
            "find out which cluster clients use; stop {who} if it is the other one, and start it \
             with an empty directory and -peers"
        ),
        About::Start => "correct the start line: `stead config check`, docs/security.md".to_owned(),
        About::Versions => "go on with the upgrade: docs/guides/upgrades.md".to_owned(),
        About::Lag => format!("on {who}: `stead check disk DIR`; is its network slow?"),
        About::Certificate => "replace the file; it is read again by itself".to_owned(),
    }
}

fn of_check(check: &str, who: &str) -> String {
    match check {
        "disk" => format!("on {who}: `df -h`; make room, and writes are taken again by themselves"),
        "leader" | "majority" => "start the machines that do not answer".to_owned(),
        "members-differ" => format!("on {who}: start it once with -force-rejoin, and report it"),
        "certificate" => format!("on {who}: replace the file; it is read again by itself"),
        "backup-age" => format!("on {who}: `journalctl -u stead | grep backup`"),
        "store" => format!("wait until it has caught up; `journalctl -u stead -n 50` on {who}"),
        _ => format!("on {who}: do what the reason says; docs/guides/something-is-wrong.md"),
    }
}

/// A number of bytes for people.
fn bytes(count: u64) -> String {
    match count {
        0..0x10_0000 => format!("{} KiB", count >> 10),
        0x10_0000..0x4000_0000 => format!("{} MiB", count >> 20),
        _ => format!("{} GiB", count >> 30),
    }
}

impl Diagnosis<'_> {
    /// For people: a line on the whole, and two for each finding.
    pub(super) fn text(&self) -> String {
        let Report { verdict, cluster, voters, heard, leader, .. } = self.report;
        let mut out = String::new();
        // Writing into a text cannot fail.
        let _ = match cluster {
            Some(id) => write!(out, "cluster {} is {}: ", printable(id), verdict.word())
                .and_then(|()| write!(out, "{heard} of {voters} voters answer")),
            None => write!(out, "no member answers"),
        };
        let _ = match (leader, self.may_lose()) {
            (Some(name), Some(0)) if *voters > 1 => {
                write!(out, ", {} leads, and no other may be lost", printable(name))
            }
            (Some(name), Some(count)) if *voters > 1 => {
                write!(out, ", {} leads, and {count} may be lost", printable(name))
            }
            _ => Ok(()),
        };
        out.push('\n');
        for Line { level, text, remedy, .. } in self.lines.iter().take(LINES_MAX) {
            paragraph(&mut out, 0, &format!("{}: {text}", level.word()));
            paragraph(&mut out, 2, &format!("-> {remedy}"));
        }
        if self.is_well() {
            out.push_str("nothing is wrong\n");
        }
        if let Some(more) = self.lines.len().checked_sub(LINES_MAX).filter(|more| *more > 0) {
            let _ = writeln!(out, "and {more} more");
        }
        out
    }

    /// For programs.
    pub(super) fn json(&self) -> String {
        let lines = self.lines.iter().map(|line| {
            json!({
                "level": line.level.word(),
                "machine": (!line.machine.is_empty()).then_some(&line.machine),
                "text": line.text,
                "remedy": line.remedy,
            })
        });
        let report = self.report;
        let told = json!({
            "status": report.verdict.word(),
            "cluster": report.cluster,
            "leader": report.leader,
            "voters": report.voters,
            "votersAnswering": report.heard,
            "mayLose": self.may_lose(),
            "findings": lines.collect::<Vec<_>>(),
        });
        format!("{told}\n")
    }
}

#[cfg(test)]
mod tests;
