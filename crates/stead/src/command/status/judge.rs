//! From what machines say to how the cluster is. Pure: no clocks, no I/O.

use super::ask::{Heard, Part, Probe, Seen, View};
use super::finding::{About, Finding};
use super::survey::{MACHINES_MAX, base};
use std::collections::BTreeSet;

/// A certificate that ends within so many seconds is worth a warning: 30 days, as in the log.
const CERTIFICATE_SECONDS: u64 = 30 * 86_400;

/// A member that lacks more entries than this one is worth a warning: some seconds of many writes.
const LAG_MAX: u64 = 5000;

/// How a cluster is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Healthy,
    /// It takes writes, though not all of it is well.
    Degraded,
    /// Nothing answers, or there is no leader.
    Down,
}

/// A machine of the cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) client_url: String,
    pub(super) peer_url: String,
    /// `leader`, `follower`, `candidate`, `learner`, `standby`, `joining`, `unreachable`.
    pub(super) state: String,
    pub(super) version: String,
    /// Seconds.
    pub(super) uptime: Option<u64>,
    pub(super) applied: Option<u64>,
    /// Entries that it lacks of what the leader has committed.
    pub(super) lag: Option<u64>,
    /// Whether its state has the same hash as that of the others.
    pub(super) has_same_state: Option<bool>,
    /// Nothing if it was not heard.
    pub(super) is_ready: Option<bool>,
}

/// How the cluster is, and each of its machines.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) verdict: Verdict,
    /// The cluster's id, if a member answers.
    pub(super) cluster: Option<String>,
    pub(super) leader: Option<String>,
    pub(super) term: Option<u64>,
    pub(super) index: Option<u64>,
    /// Keys that have a value.
    pub(super) keys: Option<u64>,
    pub(super) voters: usize,
    /// Voters that answer.
    pub(super) heard: usize,
    pub(super) machines: Vec<Machine>,
    pub(super) problems: Vec<Finding>,
    /// What is worth knowing, and does not make the cluster unwell.
    pub(super) warnings: Vec<Finding>,
    pub(super) advice: Vec<String>,
}

/// A member that answered.
#[derive(Clone, Copy)]
struct Voice<'a> {
    heard: &'a Heard,
    view: &'a View,
}

impl Voice<'_> {
    /// Whether this member hears a leader, which can lead if it is this one.
    fn is_led(&self) -> bool {
        let readiness = &self.heard.readiness;
        let is_cut_off = self.view.leader == self.view.seen_by && readiness.fails("majority");
        !self.view.leader.is_empty() && !readiness.fails("leader") && !is_cut_off
    }
}

/// The members that answered, of the cluster that the report is about.
struct Council<'a> {
    voices: Vec<Voice<'a>>,
    /// The one whose view counts: the leader's, or that of who has most of the log.
    best: Voice<'a>,
    leader: Option<&'a str>,
    term: u64,
}

impl<'a> Council<'a> {
    /// Of several clusters the one that has a leader, then the one with most voices.
    fn of(voices: &[Voice<'a>]) -> Option<Self> {
        let ids: BTreeSet<&str> = voices.iter().map(|voice| voice.view.cluster.as_str()).collect();
        let councils = ids.into_iter().filter_map(|id| {
            let of_it = voices.iter().filter(|voice| voice.view.cluster == id);
            Self::of_one(of_it.copied().collect())
        });
        councils.max_by_key(|council| (council.leader.is_some(), council.voices.len()))
    }

    fn of_one(voices: Vec<Voice<'a>>) -> Option<Self> {
        let led = voices.iter().filter(|voice| voice.is_led());
        let claim =
            led.max_by_key(|voice| (voice.view.term, voice.view.leader == voice.view.seen_by));
        let leader = claim.map(|voice| voice.view.leader.as_str());
        let has_most = |voice: &&Voice<'_>| {
            (Some(voice.view.seen_by.as_str()) == leader, voice.view.commit_index)
        };
        let best = *voices.iter().max_by_key(has_most)?;
        let term = voices.iter().map(|voice| voice.view.term).max()?;
        Some(Self { voices, best, leader, term })
    }

    fn voice(&self, name: &str) -> Option<Voice<'a>> {
        self.voices.iter().find(|voice| voice.view.seen_by == name).copied()
    }

    /// Which of the others say that they hear a member.
    fn who_hears(&self, name: &str) -> Vec<String> {
        let hears = |voice: &&Voice<'_>| {
            let mut members = voice.view.members.iter();
            voice.view.seen_by != name && members.any(|seen| seen.name == name && seen.reachable)
        };
        self.voices.iter().filter(hears).map(|voice| voice.view.seen_by.clone()).collect()
    }
}

impl Report {
    /// Judges the answers, which came at `now`, in seconds since 1970. `endpoints` are the machines
    /// that were named.
    pub(super) fn of(endpoints: &[String], probes: &[Probe], now: u64) -> Self {
        let mut voices: Vec<Voice<'_>> = Vec::new();
        for heard in probes.iter().filter_map(|probe| probe.heard.as_ref().ok()) {
            let Part::Member(view) = &heard.part else { continue };
            let who = (&view.cluster, &view.seen_by);
            // One member may have answered under two addresses.
            if voices.iter().all(|voice| (&voice.view.cluster, &voice.view.seen_by) != who) {
                voices.push(Voice { heard, view });
            }
        }
        let council = Council::of(&voices);
        let mut report = Self::new(council.as_ref());
        if let Some(council) = &council {
            report.add_members(council, probes);
            report.note_other_clusters(council, &voices);
        }
        report.add_others(council.as_ref(), endpoints, probes);
        report.note_versions();
        report.note_lag();
        report.note_certificates(probes, now);
        report.judge(council.as_ref());
        report
    }

    fn new(council: Option<&Council<'_>>) -> Self {
        Self {
            verdict: Verdict::Down,
            cluster: council.map(|council| council.best.view.cluster.clone()),
            leader: council.and_then(|council| council.leader).map(str::to_owned),
            term: council.map(|council| council.term),
            index: council.map(|council| council.best.view.etcd_index),
            keys: council.and_then(|council| council.best.heard.gauges.keys),
            voters: 0,
            heard: 0,
            machines: Vec::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
            advice: Vec::new(),
        }
    }

    fn add_members(&mut self, council: &Council<'_>, probes: &[Probe]) {
        for seen in &council.best.view.members {
            let voice = council.voice(&seen.name);
            self.voters += usize::from(seen.voter);
            self.heard += usize::from(seen.voter && voice.is_some());
            self.machines.push(machine(council, seen, voice));
            match voice {
                Some(voice) => self.note_readiness(&seen.name, voice.heard),
                None => self.note_silence(council, seen, probes),
            }
            if seen.diverged {
                let text = format!("{}: its state differs from that of the others", seen.name);
                self.problems.push(Finding::new(About::Diverged, &seen.name, text));
            }
        }
        // Those that vote before they have announced themselves are in no table yet.
        for voice in &council.voices {
            let name = &voice.view.seen_by;
            if council.best.view.members.iter().all(|seen| seen.name != *name) {
                let own = voice.view.own().cloned().unwrap_or_default();
                let own = Seen { name: name.clone(), ..own };
                self.machines.push(machine(council, &own, Some(*voice)));
                self.note_readiness(name, voice.heard);
            }
        }
    }

    fn note_readiness(&mut self, name: &str, heard: &Heard) {
        let readiness = &heard.readiness;
        for (check, why) in &readiness.failed {
            let text = format!("{name}: not ready: {check}: {why}");
            self.problems.push(Finding::new(About::Check(check.clone()), name, text));
        }
        if !readiness.is_ready && readiness.failed.is_empty() {
            let text = format!("{name}: not ready, without a reason");
            self.problems.push(Finding::new(About::Check(String::new()), name, text));
        }
        let warnings = readiness.warnings.iter();
        self.warnings
            .extend(warnings.map(|one| Finding::new(About::Start, name, format!("{name}: {one}"))));
    }

    fn note_silence(&mut self, council: &Council<'_>, seen: &Seen, probes: &[Probe]) {
        let Seen { name, client_url, .. } = seen;
        let url = base(client_url);
        let probe = probes.iter().find(|probe| Some(&probe.url) == url.as_ref());
        let why = match probe.map(|probe| &probe.heard) {
            Some(Err(why)) => why.clone(),
            Some(Ok(_)) => "another machine answers there".to_owned(),
            None if url.is_none() => "it has no address for clients".to_owned(),
            None => format!("not asked, since more than {MACHINES_MAX} machines were named"),
        };
        let hearing = council.who_hears(name);
        let others = match hearing.is_empty() {
            true => "no machine that answers hears it".to_owned(),
            false => format!("but {} can speak to it", hearing.join(", ")),
        };
        let text = format!("{name}: does not answer at {client_url}: {why}; {others}");
        let about = About::Silent { is_heard: !hearing.is_empty() };
        self.problems.push(Finding::new(about, name, text));
    }

    fn note_other_clusters(&mut self, council: &Council<'_>, voices: &[Voice<'_>]) {
        let own = &council.best.view.cluster;
        for Voice { view, .. } in voices.iter().filter(|voice| voice.view.cluster != *own) {
            let View { seen_by, cluster, .. } = view;
            let text = format!("{seen_by}: is of another cluster, {cluster}");
            self.problems.push(Finding::new(About::Stranger, seen_by, text));
        }
    }

    /// Standbys, machines that join, and endpoints that do not answer.
    fn add_others(
        &mut self,
        council: Option<&Council<'_>>,
        endpoints: &[String],
        probes: &[Probe],
    ) {
        let standbys = council
            .map_or(&[][..], |council| council.best.view.standbys.as_deref().unwrap_or_default());
        let known: BTreeSet<String> =
            self.machines.iter().filter_map(|machine| base(&machine.client_url)).collect();
        for probe in probes {
            let listed =
                standbys.iter().find(|one| base(&one.client_url).as_ref() == Some(&probe.url));
            match &probe.heard {
                Ok(heard) => self.add_other(&probe.url, heard),
                Err(_) if known.contains(&probe.url) => {}
                Err(why) => {
                    let name = listed.map_or("", |standby| standby.name.as_str());
                    let is_named = endpoints.contains(&probe.url);
                    if listed.is_some() {
                        self.machines.push(Machine {
                            name: name.to_owned(),
                            client_url: probe.url.clone(),
                            state: "unreachable".to_owned(),
                            ..Machine::default()
                        });
                    }
                    if listed.is_some() || is_named {
                        let who = if name.is_empty() { &probe.url } else { name };
                        let at = if name.is_empty() { "" } else { &format!(" at {}", probe.url) };
                        let text = format!("{who}: does not answer{at}: {why}");
                        let about = About::Silent { is_heard: false };
                        self.problems.push(Finding::new(about, who, text));
                    }
                }
            }
        }
    }

    fn add_other(&mut self, url: &str, heard: &Heard) {
        let (name, state) = match &heard.part {
            Part::Member(_) => return,
            Part::Standby { name, .. } => (name.as_str(), "standby"),
            Part::Waiting => (url, "joining"),
        };
        // One standby may have answered under two addresses.
        if self.machines.iter().any(|one| one.name == name && one.state == state) {
            return;
        }
        self.machines.push(Machine {
            name: name.to_owned(),
            client_url: url.to_owned(),
            state: state.to_owned(),
            version: heard.version.clone(),
            is_ready: Some(heard.readiness.is_ready),
            ..Machine::default()
        });
        self.note_readiness(name, heard);
    }

    fn note_versions(&mut self) {
        let versions = self.machines.iter().map(|machine| machine.version.as_str());
        let versions: BTreeSet<&str> = versions.filter(|version| !version.is_empty()).collect();
        if versions.len() > 1 {
            let list: Vec<&str> = versions.into_iter().collect();
            let text = format!("several versions run: {}", list.join(", "));
            self.warnings.push(Finding::new(About::Versions, "", text));
        }
    }

    fn note_lag(&mut self) {
        let far = |machine: &&Machine| {
            machine.is_ready.is_some() && machine.lag.is_some_and(|lag| lag > LAG_MAX)
        };
        let lines = self.machines.iter().filter(far).map(|machine| {
            let lag = machine.lag.unwrap_or_default();
            let name = &machine.name;
            let text = format!("{name}: {lag} entries behind the leader; is it catching up?");
            Finding::new(About::Lag, name, text)
        });
        self.warnings.extend(lines.collect::<Vec<_>>());
    }

    /// Certificates that end soon. One that has ended is a check that fails.
    fn note_certificates(&mut self, probes: &[Probe], now: u64) {
        for probe in probes {
            let ends = probe.heard.as_ref().ok().and_then(|heard| heard.gauges.certificate_ends);
            let left = ends.map(|ends| ends.saturating_sub(now));
            if let Some(left) = left.filter(|left| *left < CERTIFICATE_SECONDS) {
                let (url, days) = (&probe.url, left / 86_400);
                let text = format!("{url}: a certificate ends within {} days", days + 1);
                self.warnings.push(Finding::new(About::Certificate, url, text));
            }
        }
    }

    fn judge(&mut self, council: Option<&Council<'_>>) {
        self.verdict = match (&self.leader, self.problems.is_empty()) {
            (None, _) => Verdict::Down,
            (Some(_), false) => Verdict::Degraded,
            (Some(_), true) => Verdict::Healthy,
        };
        if self.verdict == Verdict::Degraded {
            let guide = "docs/guides/something-is-wrong.md says what to do about each of these.";
            self.advice.push(guide.to_owned());
        }
        if self.verdict != Verdict::Down {
            return;
        }
        let Some(council) = council else {
            self.advice.push(
                "No member answers: check the addresses and the certificates, start the machines, \
                 and look at their logs (docs/guides/something-is-wrong.md)."
                    .to_owned(),
            );
            return;
        };
        let (heard, voters) = (self.heard, self.voters);
        if heard > voters / 2 || voters == 0 {
            self.advice.push(
                "A majority answers and has no leader. During an election that passes within \
                 seconds: ask again. If it stays so, the machines cannot speak to one another at \
                 their peer addresses, or are not ready for the reasons above."
                    .to_owned(),
            );
            return;
        }
        let missing = council
            .best
            .view
            .members
            .iter()
            .filter(|seen| seen.voter && council.voice(&seen.name).is_none());
        let missing: Vec<String> =
            missing.map(|seen| format!("{} ({})", seen.name, seen.peer_url)).collect();
        self.advice.push(format!(
            "No majority is left: {heard} of {voters} voters answer, and {} are needed. Plain \
             reads work; writes and quorum reads fail.",
            voters / 2 + 1
        ));
        self.advice.push(format!(
            "Start the missing machines again, with their data directories, or mend the network to \
             them: {}. When a majority is back the cluster goes on by itself, and nothing is lost.",
            missing.join(", ")
        ));
        self.advice.push(
            "Only if their disks are lost for good: make a machine that is left a new cluster with \
             `stead recover` (docs/guides/majority-lost.md)."
                .to_owned(),
        );
    }
}

/// A member, as the best view has it and as it says itself.
fn machine(council: &Council<'_>, seen: &Seen, voice: Option<Voice<'_>>) -> Machine {
    let is_leader = council.leader == Some(seen.name.as_str());
    let own = voice.and_then(|voice| voice.view.own());
    let state = match own.map(|own| own.state.as_str()) {
        _ if voice.is_none() => "unreachable",
        _ if is_leader => "leader",
        // One that was deposed and has not heard of it, or that has lost its majority.
        Some("leader") | None => "follower",
        Some(state) => state,
    };
    let is_best = council.best.view.seen_by == seen.name;
    let has_same_state = match voice {
        _ if seen.diverged => Some(false),
        None => None,
        Some(voice) if voice.heard.readiness.fails("members-differ") => Some(false),
        Some(_) => (is_best || seen.applied_index.is_some()).then_some(true),
    };
    // What a member says itself is newer than what the leader was told a moment ago.
    let applied = own.and_then(|own| own.applied_index).max(seen.applied_index);
    let commit = council.best.view.commit_index;
    let lag = seen.lag_entries.or(applied.map(|applied| commit.saturating_sub(applied)));
    // Only a leader knows how far a member came that does not answer.
    let is_known = voice.is_some() || council.leader.is_some();
    let version = voice.map_or(&seen.version, |voice| &voice.heard.version);
    Machine {
        name: seen.name.clone(),
        id: seen.id.clone(),
        client_url: seen.client_url.clone(),
        peer_url: seen.peer_url.clone(),
        state: state.to_owned(),
        version: version.clone(),
        uptime: own.and_then(|own| own.uptime).filter(|_| voice.is_some()),
        applied: applied.filter(|_| is_known),
        lag: lag.filter(|_| is_known),
        has_same_state,
        is_ready: voice.map(|voice| voice.heard.readiness.is_ready),
    }
}

#[cfg(test)]
mod tests;
