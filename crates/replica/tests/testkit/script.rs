//! Runs a script against a cluster, and gives what there is to see.
//!
//! A script is a sequence of blocks with an empty line between them. A block has comments,
//! commands, a line of dashes, and what the commands printed: each message that is delivered or
//! lost (from, to, kind, term, position in the log, commit index), each answer to a client, and the
//! new state of each member that changed. A position in the log is index@term. Beacons and lists of
//! members, which travel once a second, are left out. The commands:
//!
//! ```text
//! cluster n                   founders m1 to mn start, each with an empty log
//! led n [small]               the same, and m1 leads; `small`: logs are let go soon, and snapshots
//!                             have small pieces
//! alone                       a cluster of one starts, in an empty directory
//! settle                      quietly, until one leads and all have applied the same
//! run n                       n ticks, all messages delivered quietly
//! tick n [m1]                 n ticks of all members, or of one; nothing is delivered
//! timeout m1                  ticks of m1, until it has something to say; nothing is delivered
//! deliver [n] [m1->m2]        what is on its way: all of it, n messages, or those of one direction
//! drop [kind] [m1->m2]        loses what is on its way
//! hold [kind]                 takes what is on its way aside       release: puts it back
//! propose m1 set /a 1 [ttl]   a client's write; batch m1 n: n writes in one turn
//! fill m1 n                   n writes one after the other, quietly
//! read m1                     a client's quorum read     reads m1 n: n of them in one turn
//! get m1 /a                   what m1 has, without asking
//! isolate m1      heal m1     nothing reaches it nor leaves it; nobody notices at once
//! cut m1                      the same, and the others notice that its connection broke
//! stop m1         restart m1  its process ends; it starts from its disk
//! crash m1                    power loss: what was not synced is lost
//! keep m1         put m1      keeps a copy of a stopped member's disk; puts it in its place
//! lose m1                     an empty directory takes the place of a stopped member's
//! join m1         remove m1 m3   a new machine asks m1 for a place; m1 is asked to remove m3
//! transfer m1                 m1 is asked to let another lead
//! meet m1 m2                  m2 calls m1 and says which directory and log it has
//! status                      the state of all
//! ```

use super::{Cluster, TestDriver, set, wire};
use replica::{Failure, Role, Ticket};
use std::collections::BTreeMap;
use store::{Command, KeyPath};
use wal::mem::MemDisk;

/// Ticks until anybody must have stood for election.
const TIMEOUT_TICKS_MAX: usize = 100;

#[derive(Clone, PartialEq, Eq)]
struct Seen {
    role: Role,
    leader: Option<u64>,
    numbers: [u64; 3],
    is_voter: bool,
    is_removed: bool,
}

impl Seen {
    fn of(driver: &TestDriver) -> Self {
        let status = driver.status();
        Self {
            role: status.role,
            leader: status.leader.map(|id| id.0),
            numbers: [status.term.0, status.commit.0, status.applied.0],
            is_voter: status.is_voter,
            is_removed: status.is_removed,
        }
    }
}

pub(crate) struct Runner {
    cluster: Cluster,
    seen: BTreeMap<usize, Option<Seen>>,
    /// What clients wait for, by its name in the transcript.
    waiting: BTreeMap<String, (usize, Ticket)>,
    writes: usize,
    reads: usize,
    held: Vec<super::Letter>,
    kept: Option<MemDisk>,
    printed: Vec<String>,
}

impl Runner {
    fn new() -> Self {
        Self {
            cluster: Cluster::empty(),
            seen: BTreeMap::new(),
            waiting: BTreeMap::new(),
            writes: 0,
            reads: 0,
            held: Vec::new(),
            kept: None,
            printed: Vec::new(),
        }
    }

    fn run(&mut self, line: &str) -> Vec<String> {
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let (command, rest) = words.split_first().expect("an empty line ends a block");
        self.command(command, rest, line);
        self.note_answers();
        self.note_states();
        std::mem::take(&mut self.printed)
    }

    fn command(&mut self, command: &str, words: &[&str], line: &str) {
        let member = |word: &str| place(word).unwrap_or_else(|| panic!("no member: {line}"));
        let number = |at: usize| -> usize {
            words[at].parse().unwrap_or_else(|_| panic!("not a number: {line}"))
        };
        match (command, words) {
            ("cluster", [_]) => self.cluster = Cluster::founded(number(0) as u64),
            ("led", [_, small @ ..]) => {
                let count = number(0) as u64;
                self.cluster = match small {
                    [] => Cluster::founded(count),
                    _ => Cluster::founded_small(count),
                };
                self.time_out(0);
                self.cluster.settle();
            }
            ("alone", []) => self.cluster = Cluster::alone(),
            ("settle", []) => self.cluster.settle(),
            ("run", [_]) => self.cluster.run(number(0)),
            ("tick", [_]) => (0..number(0)).for_each(|_| self.cluster.tick()),
            ("tick", [_, one]) => (0..number(0)).for_each(|_| self.tick(member(one))),
            ("timeout", [one]) => self.time_out(member(one)),
            ("deliver", words) => self.deliver(words),
            ("drop", words) => self.take_off(words, true),
            ("hold", words) => self.take_off(words, false),
            ("release", []) => self.cluster.wire.borrow_mut().extend(self.held.drain(..)),
            ("propose", [one, "set", key, value, ttl @ ..]) => {
                let ttl = ttl.first().map(|ttl| ttl.parse().expect("seconds"));
                let path = KeyPath::parse(key).expect("clean");
                let command = Command::Set { path, value, dir: false, ttl, refresh: false };
                self.propose(member(one), &[command]);
            }
            ("batch", [one, _]) => {
                let keys: Vec<String> = (0..number(1)).map(|n| format!("/batch/{n}")).collect();
                let commands: Vec<_> = keys.iter().map(|key| set(key, "v")).collect();
                self.propose(member(one), &commands);
            }
            ("fill", [one, _]) => {
                for n in 0..number(1) {
                    let key = format!("/fill/{n}");
                    self.cluster.write(member(one), &set(&key, "v")).expect("it is taken");
                }
            }
            ("read", [one]) => self.read(member(one), 1),
            ("reads", [one, _]) => self.read(member(one), number(1)),
            ("get", [one, key]) => self.get(member(one), key),
            ("join", [one]) => drop(self.cluster.join(member(one)).expect("there is a place")),
            ("remove", [one, other]) => {
                let id = self.cluster.id(member(other));
                self.cluster.begin_removal(member(one), id);
            }
            ("transfer", [one]) => {
                self.cluster.hand_over(member(one));
                self.cluster.turn(member(one));
            }
            ("meet", [one, other]) => self.meet(member(one), member(other)),
            ("status", []) => self.seen.clear(),
            _ => self.fault(command, words, line),
        }
    }

    /// What happens to processes, connections and disks.
    fn fault(&mut self, command: &str, words: &[&str], line: &str) {
        let member = |word: &str| place(word).unwrap_or_else(|| panic!("no member: {line}"));
        match (command, words) {
            ("isolate", [one]) => self.cluster.isolate(member(one), true),
            ("heal", [one]) => self.cluster.isolate(member(one), false),
            ("cut", [one]) => self.cluster.cut_off(member(one)),
            ("stop", [one]) => drop(self.cluster.stop(member(one))),
            ("restart", [one]) => self.cluster.restart(member(one)),
            ("crash", [one]) => self.cluster.crash(member(one)),
            ("keep", [one]) => self.kept = Some(self.cluster.disk(member(one)).kill()),
            ("put", [one]) => {
                let disk = self.kept.take().expect("a disk was kept");
                self.cluster.put_disk(member(one), disk);
            }
            ("lose", [one]) => {
                let founders = (0..self.cluster.places.len()).map(|at| self.cluster.id(at));
                let founders = founders.collect();
                self.cluster.lose_disk(member(one), founders);
            }
            _ => panic!("no command: {line}"),
        }
    }

    fn name(&self, id: u64) -> String {
        let at = self.cluster.places.iter().position(|place| place.id.0 == id);
        at.map_or_else(|| format!("{id}"), |at| format!("m{}", at + 1))
    }

    fn tick(&mut self, at: usize) {
        self.cluster.advance(at);
        self.cluster.turn(at);
    }

    fn time_out(&mut self, at: usize) {
        let own = self.cluster.id(at);
        for _ in 0..TIMEOUT_TICKS_MAX {
            self.tick(at);
            let asks = |(from, _, bytes): &super::Letter| {
                *from == own && wire::kind(bytes).ends_with("vote?")
            };
            if self.cluster.wire.borrow().iter().any(asks) {
                return;
            }
        }
        panic!("it never stood for election");
    }

    fn propose(&mut self, at: usize, commands: &[Command<'_>]) {
        for command in commands {
            self.writes += 1;
            let name = format!("w{}", self.writes);
            match self.cluster.try_propose(at, command) {
                Ok(ticket) => drop(self.waiting.insert(name, (at, ticket))),
                Err(error) => self.printed.push(format!("m{} answers {name}: {error:?}", at + 1)),
            }
        }
        self.cluster.turn(at);
    }

    fn read(&mut self, at: usize, count: usize) {
        for _ in 0..count {
            self.reads += 1;
            let ticket = self.cluster.ask_read(at);
            self.waiting.insert(format!("r{}", self.reads), (at, ticket));
        }
        self.cluster.turn(at);
    }

    fn get(&mut self, at: usize, key: &str) {
        let path = KeyPath::parse(key).expect("clean");
        let node = self.cluster.member(at).store().peek(path);
        let value = node.and_then(|node| node.value().map(|value| format!("{value:?}")));
        self.printed.push(format!("{key} = {}", value.unwrap_or_else(|| "nothing".to_owned())));
    }

    fn meet(&mut self, at: usize, other: usize) {
        let claim = self.cluster.member(other).own_claim();
        let met = self.cluster.member_mut(at).meet(&claim);
        let (own, other) = (at + 1, other + 1);
        self.printed.push(match met {
            Ok(()) => format!("m{own} listens to m{other}"),
            Err(refused) => format!("m{own} refuses m{other}: {refused}"),
        });
    }

    fn print_letter(&mut self, (from, to, bytes): &super::Letter, note: &str) {
        let kind = wire::kind(bytes);
        if matches!(kind, "beacon" | "members") {
            return;
        }
        let text = wire::describe(bytes, |id| self.name(id));
        self.printed.push(format!("{}->{} {text}{note}", self.name(from.0), self.name(to.0)));
    }

    fn deliver(&mut self, words: &[&str]) {
        let mut left = words.iter().find_map(|word| word.parse().ok()).unwrap_or(1000);
        let mut passed_over = Vec::new();
        while left > 0 {
            let Some(next) = self.cluster.wire.borrow_mut().pop_front() else { break };
            if !self.matches(&next, words) {
                passed_over.push(next);
                continue;
            }
            let is_cut = |id| self.cluster.places.iter().any(|p| p.id == id && p.isolated);
            let is_down = self.cluster.places.iter().any(|p| p.id == next.1 && p.driver.is_none());
            let is_lost = is_cut(next.0) || is_cut(next.1) || is_down;
            let is_counted = !matches!(wire::kind(&next.2), "beacon" | "members");
            self.print_letter(&next, if is_lost { " (lost)" } else { "" });
            left -= usize::from(is_counted);
            self.cluster.hand_to(next);
        }
        let mut wire = self.cluster.wire.borrow_mut();
        passed_over.into_iter().rev().for_each(|letter| wire.push_front(letter));
    }

    /// Whether a message is of the kind and the direction that the words name, if they do.
    fn matches(&self, (from, to, bytes): &super::Letter, words: &[&str]) -> bool {
        let direction = format!("{}->{}", self.name(from.0), self.name(to.0));
        words.iter().all(|word| {
            word.parse::<usize>().is_ok()
                || if word.contains("->") { *word == direction } else { *word == wire::kind(bytes) }
        })
    }

    fn take_off(&mut self, words: &[&str], is_lost: bool) {
        let all: Vec<_> = self.cluster.hold();
        let (taken, left): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|letter| self.matches(letter, words));
        self.cluster.wire.borrow_mut().extend(left);
        for letter in &taken {
            self.print_letter(letter, if is_lost { " (lost)" } else { " (held)" });
        }
        if !is_lost {
            self.held.extend(taken);
        }
    }

    fn note_answers(&mut self) {
        let mut done = Vec::new();
        for (name, (at, ticket)) in &self.waiting {
            let text = match (self.cluster.outcome_of(*ticket), self.cluster.read_outcome(*ticket))
            {
                (Some(Ok(())), _) | (_, Some(Ok(()))) => "ok".to_owned(),
                (Some(Err(Failure::Engine(error))), _) => format!("{error:?}"),
                (Some(Err(Failure::Store(error))), _) => format!("{error:?}"),
                (_, Some(Err(error))) => format!("{error:?}"),
                (None, None) => continue,
            };
            done.push((name.clone(), format!("m{} answers {name}: {text}", at + 1)));
        }
        // In the order in which they were asked: w2 comes before w10.
        done.sort_by_key(|(name, _)| (name.len(), name.clone()));
        for (name, text) in done {
            self.waiting.remove(&name);
            self.printed.push(text);
        }
    }

    fn note_states(&mut self) {
        for at in 0..self.cluster.places.len() {
            let now = self.cluster.places[at].driver.as_ref().map(Seen::of);
            if self.seen.get(&at) != Some(&now) {
                let text = self.state(now.as_ref());
                self.printed.push(format!("m{} {text}", at + 1));
                self.seen.insert(at, now);
            }
        }
    }

    fn state(&self, seen: Option<&Seen>) -> String {
        let Some(seen) = seen else { return "is stopped".to_owned() };
        let role = match seen.role {
            Role::Leader => "leader".to_owned(),
            Role::Candidate => "candidate".to_owned(),
            Role::Follower => seen.leader.map_or_else(
                || "follower of nobody".to_owned(),
                |leader| format!("follower of {}", self.name(leader)),
            ),
        };
        let [term, commit, applied] = seen.numbers;
        let note = match seen {
            Seen { is_removed: true, .. } => " (removed)",
            Seen { is_voter: false, .. } => " (learner)",
            _ => "",
        };
        format!("is {role}{note} term={term} commit={commit} applied={applied}")
    }
}

fn place(word: &str) -> Option<usize> {
    word.strip_prefix('m')?.parse::<usize>().ok()?.checked_sub(1)
}

/// The script with what its commands print now.
pub(crate) fn rewrite(script: &str) -> String {
    let mut runner = Runner::new();
    let mut out = Vec::new();
    for block in script.trim_end().split("\n\n") {
        let mut printed = Vec::new();
        let mut has_commands = false;
        for line in block.lines().take_while(|line| *line != "---") {
            out.push(line.to_owned());
            if !line.starts_with('#') {
                has_commands = true;
                printed.extend(runner.run(line));
            }
        }
        if has_commands {
            out.push("---".to_owned());
            out.extend(printed);
        }
        out.push(String::new());
    }
    out.join("\n")
}
