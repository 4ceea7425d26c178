//! How a machine that has to ask finds its cluster. This runs on a thread of its own while the
//! ports are served (`standby`), so it may take its time.

use super::decide::{Force, Heard, Held, Outcome, Refusal, Told, decide};
use super::discovery::{self, Discovered};
use super::{
    Asked, HttpCaller, JoinError, Start, View, ask, ask_everybody, begin_together, listed_name,
    others, together_cluster,
};
use crate::config::Config;
use crate::notice::notice;
use replica::{ClusterId, Member, MemberId};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often machines that do not answer are tried within one attempt.
const QUIET_RETRY: Duration = Duration::from_millis(250);

/// What the data directory says.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) held: Held,
    /// The peer URLs of members that it knows.
    pub(crate) known: Vec<String>,
}

/// Who waits for the outcome.
pub(crate) trait Patience {
    /// Waits, and says whether the search is over.
    fn wait(&mut self, time: Duration) -> bool;
    /// Says what the machine waits for: this takes longer than a moment.
    fn say(&mut self, why: String);
}

/// Where the start line says that others are.
pub(crate) fn told(config: &Config, own: &Member) -> Told {
    let finding = &config.finding;
    match &finding.initial {
        Some(initial) if initial.is_new => Told::New,
        Some(_) => Told::Existing,
        None if finding.discovery.is_some() => Told::Discovery,
        None if others(&finding.peers, own).is_empty() => Told::Nowhere,
        None => Told::Peers,
    }
}

/// What the start line says of the directory.
pub(crate) fn force(config: &Config) -> Force {
    match (config.finding.force_rejoin, config.force) {
        (true, _) => Force::Rejoin,
        (false, true) => Force::Anew,
        (false, false) => Force::Not,
    }
}

/// What a machine does without asking any other, if that is decided already.
pub(crate) fn first_outcome(config: &Config, own: &Member, held: Held) -> Outcome {
    decide(held, told(config, own), force(config), Heard::NotAsked)
}

/// What others said.
struct Answers {
    heard: Heard,
    /// Where the one was reached whose word counted.
    by: String,
    /// Where to ask for a place.
    peers: Vec<String>,
}

impl Answers {
    fn none(peers: Vec<String>) -> Self {
        Self { heard: Heard::NotAsked, by: String::new(), peers }
    }
}

/// Asks whom there is to ask, decides, and brings the outcome about as far as others are needed for
/// it.
///
/// # Errors
/// [`JoinError`].
pub(crate) fn seek(
    config: &Config,
    own: &Member,
    facts: &Facts,
    patience: &mut dyn Patience,
) -> Result<Start, JoinError> {
    let caller = HttpCaller::for_members(config.peer_tls.clone(), &config.finding.token);
    let (mut answers, outcome) = settle(config, own, facts, patience)?;
    if force(config) == Force::Rejoin {
        answers.peers.extend(facts.known.iter().cloned());
    }
    let said = |refusal| explain(refusal, &config.name, &config.data_dir, &answers.by);
    match outcome {
        Outcome::Found => Ok(Start::Found),
        Outcome::FoundTogether => match &config.finding.initial {
            Some(initial) => Ok(Start::Member(Box::new(begin_together(initial, own)))),
            None => Ok(Start::Found),
        },
        Outcome::Join | Outcome::Rejoin => {
            let peers = others(&answers.peers, own);
            if peers.is_empty() {
                return Err(JoinError::Refused(said(Refusal::NobodyToAsk)));
            }
            join(config, &caller, &peers, own, patience)
        }
        Outcome::Refuse(refusal) => Err(JoinError::Refused(said(refusal))),
        Outcome::Ask => Err(JoinError::Unreachable(format!(
            "{} says that this cluster has begun, but no leader answers to confirm whether {} was \
             a member: start the other machines of -initial-cluster first. If the disk of this \
             machine is lost, start it with -force-rejoin: it comes back as a new member",
            answers.by, config.name
        ))),
        // What can be decided without the others was decided before any was asked.
        Outcome::Restart | Outcome::StandBy => {
            Err(JoinError::Unreachable("this machine has its part already".to_owned()))
        }
    }
}

/// Asks until the outcome is clear, within the configured number of attempts.
fn settle(
    config: &Config,
    own: &Member,
    facts: &Facts,
    patience: &mut dyn Patience,
) -> Result<(Answers, Outcome), JoinError> {
    let (told, force) = (told(config, own), force(config));
    let until = Instant::now() + attempt_time(config) * attempts(config);
    loop {
        let answers = hear(config, own, told, force)?;
        let outcome = decide(facts.held, told, force, answers.heard);
        if outcome != Outcome::Ask || Instant::now() >= until {
            return Ok((answers, outcome));
        }
        patience.say(format!("{} already runs the cluster, but no leader answers", answers.by));
        if patience.wait(QUIET_RETRY) {
            return Err(JoinError::Stopped);
        }
    }
}

fn attempts(config: &Config) -> u32 {
    u32::try_from(config.finding.retry_attempts.max(1)).unwrap_or(u32::MAX)
}

fn attempt_time(config: &Config) -> Duration {
    // Both together are never more than a time that can be counted.
    Duration::from_secs_f64(config.finding.retry_interval_secs.clamp(0.0, 1e6))
}

fn hear(config: &Config, own: &Member, told: Told, force: Force) -> Result<Answers, JoinError> {
    let finding = &config.finding;
    match (told, &finding.initial, &finding.discovery) {
        (Told::New | Told::Existing, Some(initial), _) => {
            let name = listed_name(initial, own);
            if !initial.members.iter().any(|(listed, _)| *listed == name) {
                return Err(JoinError::Refused(format!(
                    "-initial-cluster does not name this machine, {:?}",
                    own.name
                )));
            }
            let all = initial.members.iter().filter(|(listed, _)| *listed != name);
            let urls: Vec<String> = all.map(|(_, url)| url.clone()).collect();
            let peers = others(&urls, own);
            if told == Told::Existing || force == Force::Rejoin {
                return Ok(Answers::none(peers));
            }
            let mut views = ask_everybody(config, &peers);
            if let Some(url) = unasked_leader(&views) {
                views.extend(ask_everybody(config, &[url]));
            }
            let birth = begin_together(initial, own);
            let (heard, by) = weigh(together_cluster(initial).0, birth.id, &views);
            Ok(Answers { heard, by, peers })
        }
        (Told::Discovery, _, Some(url)) => meet(config, own, url),
        _ => Ok(Answers::none(finding.peers.clone())),
    }
}

/// What the discovery service says. Without it `-peers` counts.
fn meet(config: &Config, own: &Member, url: &str) -> Result<Answers, JoinError> {
    let mut peers = config.finding.peers.clone();
    match discovery::discover(
        &HttpCaller::for_discovery(&config.finding),
        url,
        &own.name,
        &own.peer_url,
    ) {
        Ok(Discovered::First) => {
            notice!(DiscoveryFirst, "", [url,], "it founds the cluster");
            Ok(Answers { heard: Heard::First, by: url.to_owned(), peers })
        }
        Ok(Discovered::Peers(found)) => {
            peers.extend(found);
            Ok(Answers { heard: Heard::Later, by: url.to_owned(), peers })
        }
        Err(detail) if others(&peers, own).is_empty() => {
            Err(JoinError::Unreachable(format!("discovery failed: {detail}")))
        }
        Err(detail) => {
            notice!(DiscoveryFailed, "", "trying -peers: {detail}");
            Ok(Answers { heard: Heard::Later, by: url.to_owned(), peers })
        }
    }
}

/// The peer URL of the leader, if others know one that was not asked itself.
fn unasked_leader(views: &[(String, Result<View, String>)]) -> Option<String> {
    let views = || views.iter().filter_map(|(_, view)| view.as_ref().ok());
    let named = views().max_by_key(|view| (view.leader.is_some(), view.term))?;
    let leader = named.leader?;
    let is_there = views().any(|view| view.own == Some(leader));
    let member = named.members.iter().find(|member| member.id == leader)?;
    (!is_there).then(|| member.peer_url.clone())
}

/// What the views of others say of a cluster that is to begin, and where the one was reached that
/// says so. The answer that speaks most against founding counts; that of the leader that another
/// never took part counts more than that of others who do not know.
fn weigh(
    cluster: ClusterId,
    own: MemberId,
    views: &[(String, Result<View, String>)],
) -> (Heard, String) {
    let mut heavy = (0, Heard::Nobody, String::new());
    for (url, view) in views {
        let Ok(view) = view else { continue };
        let listed = view.members.iter().find(|member| member.id == own);
        // Who announced itself has a URL for clients; who left is not listed at all.
        let took_part = listed.is_none_or(|member| !member.client_url.is_empty());
        let leads = view.own.is_some() && view.own == view.leader;
        let (weight, heard) = match (view.cluster == cluster, took_part) {
            (true, true) => (5, Heard::TookPart),
            (false, _) => (4, Heard::Another),
            (true, false) if leads => (3, Heard::Begun),
            (true, false) if view.term > 0 => (2, Heard::Unclear),
            (true, false) => (1, Heard::Begun),
        };
        if weight > heavy.0 {
            heavy = (weight, heard, url.clone());
        }
    }
    (heavy.1, heavy.2)
}

/// The sentence of a refusal.
pub(crate) fn explain(refusal: Refusal, name: &str, dir: &Path, by: &str) -> String {
    let dir = dir.display();
    match refusal {
        Refusal::SecondCluster => format!(
            "-force would start a second cluster at the address of a member of the first one: \
             {dir} belongs to a cluster of several machines. To rejoin that cluster with an empty \
             directory, give -force-rejoin instead of -force; to start a cluster of its own, give \
             another -data-dir. Nothing was changed"
        ),
        Refusal::NobodyToAsk => format!(
            "-force-rejoin: no other member is known, neither from {dir} nor from the start line: \
             name one with -peers"
        ),
        Refusal::LostDisk => format!(
            "{by} says that {name} has already been a member of this cluster, but {dir} is empty. \
             If its disk is lost, start it with -force-rejoin: it comes back as a new member. If \
             the data is elsewhere, point -data-dir at it"
        ),
        Refusal::AnotherCluster => format!(
            "{by} belongs to another cluster than the one that -initial-cluster would start. To \
             join that cluster, give -initial-cluster-state existing, or -force-rejoin if {name} \
             was a member of it and its disk is lost"
        ),
    }
}

/// Asks the machines at `peers` to join, with the configured number of attempts.
fn join(
    config: &Config,
    caller: &HttpCaller,
    peers: &[String],
    own: &Member,
    patience: &mut dyn Patience,
) -> Result<Start, JoinError> {
    let (attempts, interval) = (attempts(config), attempt_time(config));
    let mut last = String::new();
    patience.say(format!("asking {} to join", peers.join(", ")));
    for attempt in 1..=attempts {
        let until = Instant::now() + interval;
        loop {
            match ask_for_place(config, caller, peers, own) {
                Err(JoinError::Unreachable(detail)) => {
                    patience.say(format!("no machine admits it: {detail}"));
                    last = detail;
                }
                decided => return decided,
            }
            let left = until.saturating_duration_since(Instant::now());
            if patience.wait(left.min(QUIET_RETRY)) {
                return Err(JoinError::Stopped);
            }
            if left.is_zero() {
                break;
            }
        }
        notice!(
            JoinFailed,
            "",
            [attempt, of = attempts,],
            "attempt {attempt} of {attempts} with the peers {}: {last}",
            peers.join(",")
        );
    }
    let times = if attempts == 1 { "attempt" } else { "attempts" };
    Err(JoinError::Unreachable(format!(
        "cannot join the cluster: no place after {attempts} {times}: {last}; check that the \
         machines of -peers run, and that these are their addresses for peers"
    )))
}

/// Whether a machine without a place ends, instead of standing by.
fn ends_when_full(config: &Config) -> bool {
    config.finding.ends_when_full && config.finding.discovery.is_some()
}

fn ask_for_place(
    config: &Config,
    caller: &HttpCaller,
    peers: &[String],
    own: &Member,
) -> Result<Start, JoinError> {
    let mut problems = Vec::new();
    for peer in peers {
        match ask(config, caller, peer, own) {
            Ok(Asked::Joined(birth)) => {
                notice!(Joined, "", "{} was admitted by {peer}", own.name);
                return Ok(Start::Member(birth));
            }
            Ok(Asked::Full(_)) if ends_when_full(config) => {
                return Err(JoinError::Refused(
                    "the cluster has as many members as its activeSize, and -discovery-fallback is \
                     exit"
                        .to_owned(),
                ));
            }
            Ok(Asked::Full(urls)) => {
                notice!(
                    ClusterFull,
                    "",
                    "it has as many members as its activeSize, so {} stands by",
                    own.name
                );
                return Ok(Start::Standby(urls));
            }
            Err(JoinError::Unreachable(detail)) => problems.push(detail),
            Err(error) => return Err(error),
        }
    }
    Err(JoinError::Unreachable(problems.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(cluster: u64, own_client_url: Option<&str>) -> Result<View, String> {
        let member = |client_url: &str| Member {
            id: MemberId(7),
            name: "m7".into(),
            client_url: client_url.into(),
            peer_url: "http://h:7".into(),
            ..Member::default()
        };
        Ok(View {
            cluster: ClusterId(cluster),
            own: Some(MemberId(8)),
            term: 0,
            leader: None,
            founders: Vec::new(),
            members: own_client_url.map(member).into_iter().collect(),
            reached: Vec::new(),
            active_size: 9,
            sync_interval: 5.0,
            about: None,
        })
    }

    #[test]
    fn the_word_that_speaks_most_against_founding_counts() {
        let silent = || ("http://h:1".to_owned(), Err("no answer".to_owned()));
        let at = |port: u16, view| (format!("http://h:{port}"), view);
        let weighed =
            |views: &[(String, Result<View, String>)]| weigh(ClusterId(1), MemberId(7), views);
        assert_eq!(weighed(&[]).0, Heard::Nobody);
        assert_eq!(weighed(&[silent(), silent()]).0, Heard::Nobody);
        let begun = || at(2, view(1, Some("")));
        assert_eq!(weighed(&[silent(), begun()]).0, Heard::Begun);
        let announced = at(3, view(1, Some("http://h:4001")));
        assert_eq!(weighed(&[announced, begun()]), (Heard::TookPart, "http://h:3".into()));
        let removed = at(4, view(1, None));
        let foreign = || at(5, view(2, Some("http://h:4001")));
        assert_eq!(weighed(&[foreign(), removed]), (Heard::TookPart, "http://h:4".into()));
        assert_eq!(weighed(&[begun(), foreign()]), (Heard::Another, "http://h:5".into()));
        // Who was away while others elected somebody does not know who took part.
        let behind = || at(6, view(1, Some("")).map(|view| View { term: 3, ..view }));
        assert_eq!(weighed(&[begun(), behind()]), (Heard::Unclear, "http://h:6".into()));
        let leads = |view: View| View { term: 3, leader: view.own, ..view };
        let leader = at(7, view(1, Some("")).map(leads));
        assert_eq!(weighed(&[behind(), leader]), (Heard::Begun, "http://h:7".into()));
    }

    #[test]
    fn the_leader_is_asked_wherever_it_is() {
        let at = |port: u16, leader: u64| {
            let mut view = view(1, Some("")).expect("it is made here");
            view.leader = Some(MemberId(leader));
            (format!("http://h:{port}"), Ok(view))
        };
        assert_eq!(unasked_leader(&[at(1, 7)]), Some("http://h:7".into()));
        assert_eq!(unasked_leader(&[at(1, 8)]), None, "it answered itself");
        assert_eq!(unasked_leader(&[at(1, 9)]), None, "nobody knows where it is");
        assert_eq!(unasked_leader(&[]), None);
    }

    #[test]
    fn every_refusal_names_what_to_do() {
        for (refusal, remedy) in [
            (Refusal::SecondCluster, "-force-rejoin"),
            (Refusal::NobodyToAsk, "-peers"),
            (Refusal::LostDisk, "-force-rejoin"),
            (Refusal::AnotherCluster, "-initial-cluster-state existing"),
        ] {
            let text = explain(refusal, "m1", Path::new("d"), "http://h:1");
            assert!(text.contains(remedy), "{text}");
        }
    }
}
