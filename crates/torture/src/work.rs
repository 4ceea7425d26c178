//! Clients that read and write at a bounded rate, and write down what they were told.

use crate::http::{self, Connection, Lost};
use crate::login::Login;
use crate::record::{self, Shared, What};
use crate::rights::Area;
use sim::check::rights::UNAUTHORIZED;
use sim::history::{Kind, Op, OpId, Outcome, Prev, Seen};
use sim::rng::Rng;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// How many registers there are.
pub(crate) const REGISTERS: u64 = 8;

/// Keys that live for a while only.
const MORTALS: u64 = 6;

/// How long a client waits for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// Between two questions of one client.
const PACE: Duration = Duration::from_millis(30);

/// How often a client goes to another member although this one serves it: all of them are to be
/// asked, not only those that have not failed so far.
const MOVES_PERMILLE: u64 = 30;

/// One client.
pub(crate) struct Client<'a> {
    pub(crate) shared: &'a Shared,
    id: usize,
    pub(crate) rng: Rng,
    /// The member that it asks.
    at: usize,
    slot: Option<Connection>,
    /// The number of the connection.
    connection: u64,
    /// As whom it asks for what guests may not.
    login: Option<Login>,
}

impl<'a> Client<'a> {
    pub(crate) fn new(shared: &'a Shared, id: usize, rng: Rng) -> Self {
        let at = id % shared.addrs.len();
        Self { shared, id, rng, at, slot: None, connection: 0, login: None }
    }

    /// Does one thing, at the next member when this one does not serve it.
    pub(crate) fn perform(&mut self, window: u64, what: &What) -> (OpId, Outcome) {
        if self.rng.permille(MOVES_PERMILLE) {
            self.slot = None;
            self.at = self.rng.index(self.shared.addrs.len());
        }
        let counts = self.shared.window().rights.counts;
        let who = Area::of(&what.key, what.kind).filter(|_| counts).and_then(|_| self.identify());
        let (id, outcome) = self.perform_as(window, what, who.as_ref());
        if matches!(outcome, Outcome::Refused { code: UNAUTHORIZED, .. }) {
            self.login = None;
        }
        (id, outcome)
    }

    /// Draws as whom it asks: mostly as the user that it is, now and then as another one, as root,
    /// or as one that it cannot be any more.
    fn identify(&mut self) -> Option<Login> {
        let logins = self.shared.logins();
        if self.login.is_none() || self.rng.permille(50) {
            self.login = logins.current(&mut self.rng);
        }
        match self.rng.below(1000) {
            0..80 => Some(Login::root()),
            80..90 => logins.former(&mut self.rng),
            90..95 => None,
            _ => self.login.clone().or_else(|| Some(Login::root())),
        }
    }

    /// Goes to a member.
    pub(crate) fn go_to(&mut self, at: usize) {
        (self.slot, self.at) = (None, at);
    }

    /// Does one thing as somebody, at the member where it is.
    pub(crate) fn perform_as(
        &mut self,
        window: u64,
        what: &What,
        who: Option<&Login>,
    ) -> (OpId, Outcome) {
        if self.slot.is_none() {
            self.connection = self.shared.connection();
        }
        let machine = (self.at, self.connection);
        let id = self.shared.begin(self.id, machine, what, who);
        let request = request(&mut self.rng, window, id, what);
        let addr = *self.shared.addrs.get(self.at).expect("it asks members only");
        let asked = (request.0, request.1.as_str(), request.2.as_str());
        // A member that has just started checks the passwords of all first.
        let patience = if who.is_some() { 2 * PATIENCE } else { PATIENCE };
        let outcome = match http::ask(&mut self.slot, addr, patience, who, asked) {
            Ok(answer) => {
                self.shared.saw(answer.index());
                record::outcome(window, what.kind, answer.index(), &answer.body)
            }
            Err(Lost::NotSent) => Outcome::NotDone,
            Err(Lost::Unknown) => Outcome::Unknown,
        };
        self.shared.finish(id, outcome.clone());
        let is_unknown = outcome == Outcome::Unknown;
        if is_unknown || outcome == Outcome::NotDone {
            self.slot = None;
            self.at = (self.at + 1) % self.shared.addrs.len();
        }
        (id, outcome)
    }

    /// Waits until the next thing may be done; says in which window that is. It is busy from then
    /// on, until it says that it is not.
    pub(crate) fn turn(&self, pace: Duration) -> Option<u64> {
        thread::sleep(pace);
        loop {
            if self.shared.is_over() {
                return None;
            }
            self.shared.busy.fetch_add(1, Ordering::SeqCst);
            if !self.shared.is_paused.load(Ordering::SeqCst) {
                return Some(self.shared.window().number);
            }
            self.rest();
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn rest(&self) {
        self.shared.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Method, target and form of an operation.
fn request(rng: &mut Rng, window: u64, id: u64, what: &What) -> (&'static str, String, String) {
    let path = format!("/v2/keys{}{}", record::dir(window), what.key);
    let mut form = format!("value={}", record::value(window, id));
    if let Some(ttl) = what.ttl {
        form += &format!("&ttl={ttl}");
    }
    let condition = |prev| match prev {
        Prev::Value(value) => format!("prevValue={}", record::value(window, value)),
        Prev::Index(index, _) => format!("prevIndex={index}"),
    };
    match what.kind {
        Kind::Create => ("PUT", path, form + "&prevExist=false"),
        Kind::Update => ("PUT", path, form + "&prevExist=true"),
        Kind::Swap(prev) => ("PUT", path, format!("{form}&{}", condition(prev))),
        Kind::Delete => ("DELETE", path, String::new()),
        Kind::CompareDelete(prev) => {
            ("DELETE", format!("{path}?{}", condition(prev)), String::new())
        }
        Kind::InOrder => ("POST", path, form),
        Kind::QuorumRead => {
            let word = if rng.permille(500) { "quorum" } else { "consistent" };
            ("GET", format!("{path}?{word}=true"), String::new())
        }
        Kind::PlainRead => ("GET", path, String::new()),
        _ => ("PUT", path, form),
    }
}

/// A client that does everything to the registers, and makes in-order and mortal keys.
pub(crate) fn run(mut client: Client<'_>) {
    let mut known: BTreeMap<String, Seen> = BTreeMap::new();
    let mut number = 0;
    while let Some(window) = client.turn(PACE) {
        if window != number {
            known.clear();
            number = window;
        }
        let what = draw(&mut client.rng, &known);
        let (id, outcome) = client.perform(window, &what);
        match outcome {
            Outcome::Written { index, key, .. } if what.kind.writes_value() => {
                known.insert(key, Seen { value: id, modified: index });
            }
            Outcome::Written { key, .. } => {
                known.remove(&key);
            }
            Outcome::Read { found: Some(found), .. } => {
                known.insert(what.key, found);
            }
            Outcome::Read { .. } => {
                known.remove(&what.key);
            }
            _ => {}
        }
        client.rest();
    }
}

fn draw(rng: &mut Rng, known: &BTreeMap<String, Seen>) -> What {
    let key = format!("/r/{}", rng.below(REGISTERS));
    let prev = known.get(&key).map(|seen| {
        let by_value = rng.permille(500);
        if by_value { Prev::Value(seen.value) } else { Prev::Index(seen.modified, seen.value) }
    });
    let plain = |kind| What { key: key.clone(), kind, ttl: None };
    match rng.below(100) {
        0..20 => plain(Kind::Set),
        20..25 => plain(Kind::Create),
        25..30 => plain(Kind::Update),
        30..45 => plain(prev.map_or(Kind::QuorumRead, Kind::Swap)),
        45..50 => plain(Kind::Delete),
        50..54 => plain(prev.map_or(Kind::PlainRead, Kind::CompareDelete)),
        54..76 => plain(Kind::QuorumRead),
        76..86 => plain(Kind::PlainRead),
        86..95 => What { key: "/q".into(), kind: Kind::InOrder, ttl: None },
        _ => What {
            key: format!("/t/{}", rng.below(MORTALS)),
            kind: Kind::Set,
            ttl: Some(rng.range(1, 4)),
        },
    }
}

/// A client that takes a lock made of a key, keeps it for a while by refreshing it, and gives it
/// back.
pub(crate) fn run_lock(mut client: Client<'_>) {
    const TTL: u64 = 2;
    while let Some(window) = client.turn(PACE) {
        let key = format!("/l/{}", client.rng.below(2));
        let taken = What { key: key.clone(), kind: Kind::Create, ttl: Some(TTL) };
        let (mut id, mut outcome) = client.perform(window, &taken);
        let mut refreshes = client.rng.below(5);
        while let Outcome::Written { index, .. } = outcome {
            let prev = Prev::Index(index, id);
            thread::sleep(Duration::from_millis(120));
            let is_last = client.shared.is_paused.load(Ordering::SeqCst) || refreshes == 0;
            let kind = if is_last { Kind::CompareDelete(prev) } else { Kind::Swap(prev) };
            let ttl = (!is_last).then_some(TTL);
            (id, outcome) = client.perform(window, &What { key: key.clone(), kind, ttl });
            if is_last {
                break;
            }
            refreshes -= 1;
        }
        client.rest();
    }
}

/// A client of the lock module. What it was told becomes a history of its own: taken, refreshed,
/// given back.
pub(crate) fn run_module(mut client: Client<'_>) {
    const TTL: u64 = 2;
    let wait = Duration::from_secs(3);
    while let Some(window) = client.turn(PACE) {
        let path = format!("/mod/v2/lock/w{window}");
        let began = client.shared.now();
        let form = format!("ttl={TTL}&timeout=1");
        let addr = *client.shared.addrs.get(client.at).expect("it asks members only");
        let taken = http::once(addr, wait, ("POST", &path, &form));
        let index = taken.filter(|answer| answer.status == 200);
        let Some(index) = index.and_then(|answer| answer.body.trim().parse::<u64>().ok()) else {
            client.at = (client.at + 1) % client.shared.addrs.len();
            client.rest();
            continue;
        };
        // The full time begins when the turn comes, which may be as early as the question.
        client.note(
            Kind::Create,
            Some(TTL),
            began,
            Outcome::Written { index, key: "/l/module".into(), prev: None },
        );
        thread::sleep(Duration::from_millis(client.rng.range(20, 400)));
        let began = client.shared.now();
        let target = format!("{path}?index={index}");
        let given = http::once(addr, wait, ("DELETE", &target, ""));
        let outcome = if given.is_some() { Outcome::NotDone } else { Outcome::Unknown };
        client.note(Kind::CompareDelete(Prev::Index(index, 0)), None, began, outcome);
        client.rest();
    }
}

impl Client<'_> {
    fn note(&self, kind: Kind, ttl: Option<u64>, invoked: u64, outcome: Outcome) {
        let op = Op {
            client: self.id,
            machine: (self.at, 0),
            invoked,
            finished: self.shared.now(),
            key: "/l/module".into(),
            kind,
            ttl,
            outcome,
        };
        self.shared.window().locks.begin(op);
    }
}

/// Writes until a member acknowledges it; says how long it took, or nothing if it did not in time.
pub(crate) fn until_written(
    shared: &Shared,
    at: usize,
    window: u64,
    since: Instant,
    limit: Duration,
) -> Option<Duration> {
    let addr = *shared.addrs.get(at)?;
    let path = format!("/v2/keys/probe/{at}");
    let form = format!("value={window}");
    while since.elapsed() < limit {
        let within = Duration::from_millis(500);
        if http::once(addr, within, ("PUT", &path, &form)).is_some_and(|answer| answer.status < 300)
        {
            return Some(since.elapsed());
        }
        thread::sleep(Duration::from_millis(10));
    }
    None
}
