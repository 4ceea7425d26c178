//! What clients ask for.
//!
//! Keys are few, so that clients meet: `/r/N` are registers with all conditional writes, `/q` gets
//! in-order keys, `/t/N` have a TTL, `/l/N` are locks, `/d/N` directories with children.

use crate::admin::{self, Admin};
use crate::check::rights::Shown;
use crate::history::{Kind, Op, OpId, Outcome, Prev, Seen, Step};
use crate::queuer::{self, Entry};
use crate::request::Request;
use crate::rng::Rng;
use store::{Command, InOrder, KeyPath};

const REGISTERS: u64 = 4;
const TTL_KEYS: u64 = 6;
const DIRS: u64 = 2;
const LOCKS: u64 = 2;

/// The longest lease of a lock that is asked for, in seconds.
const LOCK_TTL_MAX: u64 = 3;

/// The longest TTL that is asked for, in seconds.
pub(crate) const TTL_MAX: u64 = 4;

/// The path of a key that the simulator made up.
pub(crate) fn path(key: &str) -> KeyPath<'_> {
    KeyPath::parse(key).expect("keys of the simulator are clean")
}

impl Request {
    /// What to do next, given what was last seen of a register.
    pub(crate) fn draw(rng: &mut Rng, last_seen: &[Option<Seen>]) -> Self {
        match rng.below(100) {
            0..60 => Self::draw_register(rng, last_seen),
            60..72 => Self::new("/q", Kind::InOrder),
            72..88 => {
                let key = format!("/t/{}", rng.below(TTL_KEYS));
                let kind = rng.pick(&[Kind::Set, Kind::Set, Kind::Set, Kind::Delete]);
                let ttl = (kind == Kind::Set).then(|| rng.range(1, TTL_MAX));
                Self { key, kind, ttl }
            }
            _ => Self::draw_dir(rng),
        }
    }

    fn draw_register(rng: &mut Rng, last_seen: &[Option<Seen>]) -> Self {
        let at = rng.index(last_seen.len());
        let key = register(at);
        let seen = last_seen.get(at).copied().flatten();
        let prev = |rng: &mut Rng, seen: Seen| {
            if rng.permille(500) {
                Prev::Value(seen.value)
            } else {
                Prev::Index(seen.modified, seen.value)
            }
        };
        let kind = match (rng.below(100), seen) {
            (0..18, _) => Kind::Set,
            (18..24, _) => Kind::Create,
            (24..28, _) => Kind::Update,
            (28..50, Some(seen)) => Kind::Swap(prev(rng, seen)),
            (50..54, Some(seen)) => Kind::CompareDelete(prev(rng, seen)),
            (54..60, _) => Kind::Delete,
            (60..80, _) => Kind::PlainRead,
            _ => Kind::QuorumRead,
        };
        Self::new(key, kind)
    }

    fn draw_dir(rng: &mut Rng) -> Self {
        let dir = format!("/d/{}", rng.below(DIRS));
        match rng.below(10) {
            0 => Self { key: dir, kind: Kind::MakeDir, ttl: Some(rng.range(1, TTL_MAX)) },
            1 => Self::new(dir, Kind::DeleteDir),
            _ => Self::new(format!("{dir}/{}", rng.below(3)), Kind::Set),
        }
    }

    /// The command for it; `value` is the text of the operation's number.
    pub(crate) fn command<'a>(&'a self, value: &'a str, prev: &'a str) -> Command<'a> {
        if let Kind::Users(step) = self.kind {
            return Command::Auth(Box::new(admin::change(step, &self.key, value)));
        }
        let path = path(&self.key);
        let ttl = self.ttl.map(u64::cast_signed);
        let (prev_value, prev_index) = match self.kind {
            Kind::Swap(Prev::Value(_)) | Kind::CompareDelete(Prev::Value(_)) => (Some(prev), None),
            Kind::Swap(Prev::Index(index, _)) | Kind::CompareDelete(Prev::Index(index, _)) => {
                (None, Some(index))
            }
            _ => (None, None),
        };
        match self.kind {
            Kind::Set => Command::Set { path, value, dir: false, ttl, refresh: false },
            Kind::Create => Command::Create { path, value, dir: false, ttl, in_order: None },
            Kind::Update => Command::Update { path, value, ttl, refresh: false },
            Kind::Swap(_) => Command::CompareAndSwap {
                path,
                value,
                ttl,
                refresh: false,
                prev_value,
                prev_index,
                or_create: false,
            },
            Kind::Delete => Command::Delete { path, dir: false, recursive: false },
            Kind::CompareDelete(_) => Command::CompareAndDelete { path, prev_value, prev_index },
            Kind::InOrder => {
                let in_order = Some(InOrder::Padded);
                Command::Create { path, value, dir: false, ttl, in_order }
            }
            Kind::MakeDir => Command::Create { path, value: "", dir: true, ttl, in_order: None },
            Kind::DeleteDir => Command::Delete { path, dir: true, recursive: true },
            Kind::Queue(step) => {
                Command::Lock { dir: path, action: queuer::action(step, self.ttl, value, prev) }
            }
            Kind::QuorumRead | Kind::PlainRead | Kind::Membership | Kind::Users(_) => {
                unreachable!("this is no command of the key space")
            }
        }
    }

    /// The text of the value that a condition names, or that was asked for before.
    pub(crate) fn prev_text(&self) -> String {
        match self.kind {
            Kind::Swap(prev) | Kind::CompareDelete(prev) => prev.value().to_string(),
            Kind::Queue(Step::Join { again: Some(id), .. }) => id.to_string(),
            _ => String::new(),
        }
    }
}

/// The key of a register.
pub(crate) fn register(at: usize) -> String {
    format!("/r/{at}")
}

/// What a client is there for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Asks for anything.
    Any,
    /// Takes locks, refreshes them and gives them back; what it holds, and its last value in it.
    Locker(Option<(String, OpId)>),
    /// Takes locks of the lock module, and waits for its turn; where it is in which queue.
    Queuer(Option<Entry>),
    /// Writes once through its home, and tries until it is done.
    Probe,
    /// Makes users, and gives and takes their rights.
    Admin(Admin),
}

/// One client: it asks one thing at a time.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) rng: Rng,
    pub(crate) part: Part,
    /// The machine that it likes to ask.
    pub(crate) home: usize,
    /// What it waits for.
    pub(crate) waits_for: Option<OpId>,
    /// What it last saw of each register.
    pub(crate) last_seen: Vec<Option<Seen>>,
    pub(crate) is_done: bool,
    /// The user that it last proved to be.
    pub(crate) proven: Option<Shown>,
}

impl Client {
    pub(crate) fn new(rng: Rng, part: Part, home: usize) -> Self {
        let registers = usize::try_from(REGISTERS).unwrap_or(1);
        let last_seen = vec![None; registers];
        Self { rng, part, home, waits_for: None, last_seen, is_done: false, proven: None }
    }

    /// What it asks next.
    pub(crate) fn draw(&mut self) -> Request {
        match &mut self.part {
            Part::Queuer(entry) => queuer::draw(&mut self.rng, entry),
            Part::Admin(one) => one.draw(&mut self.rng),
            Part::Any => Request::draw(&mut self.rng, &self.last_seen),
            Part::Probe => Request::new(format!("/p/{}", self.home), Kind::Set),
            Part::Locker(None) => {
                let key = format!("/l/{}", self.rng.below(LOCKS));
                Request { key, kind: Kind::Create, ttl: Some(self.rng.range(1, LOCK_TTL_MAX)) }
            }
            Part::Locker(Some((key, value))) => {
                let prev = Prev::Value(*value);
                if self.rng.permille(600) {
                    let ttl = Some(self.rng.range(1, LOCK_TTL_MAX));
                    Request { key: key.clone(), kind: Kind::Swap(prev), ttl }
                } else {
                    Request::new(key.clone(), Kind::CompareDelete(prev))
                }
            }
        }
    }

    /// Takes note of what became of what it asked.
    pub(crate) fn learn(&mut self, id: OpId, op: &Op) {
        if let Part::Locker(holds) = &mut self.part {
            *holds = match (op.kind, &op.outcome) {
                (Kind::Create | Kind::Swap(_), Outcome::Written { .. }) => {
                    Some((op.key.clone(), id))
                }
                _ => None,
            };
        }
        if let Part::Queuer(entry) = &mut self.part {
            queuer::learn(&mut self.rng, entry, id, op);
        }
        if let Part::Admin(one) = &mut self.part {
            one.learn(op);
        }
        if self.part == Part::Probe {
            self.is_done |= matches!(op.outcome, Outcome::Written { .. });
        }
        let Some(at) = op.key.strip_prefix("/r/").and_then(|at| at.parse::<usize>().ok()) else {
            return;
        };
        let Some(seen) = self.last_seen.get_mut(at) else { return };
        match &op.outcome {
            Outcome::Written { index, .. } if op.kind.writes_value() => {
                *seen = Some(Seen { value: id, modified: *index });
            }
            Outcome::Read { found, .. } => *seen = *found,
            _ => {}
        }
    }
}
