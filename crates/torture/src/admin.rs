//! The administrator: makes and removes users, changes their passwords, gives and takes their
//! rights while faults happen, and looks at every member what has become of that.
//!
//! One change at a time, through any member. A user of whom nobody knows whether a change of it was
//! done is let go of, since that may yet happen; another one takes its place.

use crate::http::{self, Answer, Lost};
use crate::login::{Login, ROOT, ROOT_PASSWORD};
use crate::record::{self, Shared, What};
use crate::rights::{self, AREAS, Area, Change, Person, Step};
use crate::work::Client;
use serde_json::{Value, json};
use sim::check::rights::Shown;
use sim::history::Kind;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

/// How many users there are at once. Each password is checked anew at a member that has started.
const PEOPLE: usize = 4;

/// Between two changes.
const PACE: Duration = Duration::from_millis(300);

/// How long an answer may take: a password gets its hash first.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long a member is asked what it has at the end of a window.
const VERIFIED_WITHIN: Duration = Duration::from_secs(20);

/// Keys of guests, whatever the window is.
const GUEST_KEYS: [&str; 2] = ["/probe/*", "/deposed"];

/// What came of a request to `/v2/auth`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Done,
    NotDone,
    Unknown,
    /// What cannot be where it is known what there is.
    Refused(String),
}

impl Told {
    fn of(answer: Result<Answer, Lost>) -> Self {
        let answer = match answer {
            Ok(answer) => answer,
            Err(Lost::NotSent) => return Told::NotDone,
            Err(Lost::Unknown) => return Told::Unknown,
        };
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        // A refusal before the handler has the form of the key space.
        let said = |name: &str| body[name].as_str().is_some_and(record::is_nothing_done);
        match answer.status {
            200 | 201 => Told::Done,
            500.. if said("message") || said("cause") => Told::NotDone,
            500.. => Told::Unknown,
            status => Told::Refused(format!("{status} {}", answer.body.trim())),
        }
    }
}

fn user_at(name: &str) -> String {
    format!("/v2/auth/users/{name}")
}

fn role_at(name: &str) -> String {
    format!("/v2/auth/roles/{name}")
}

/// What a step asks for: method, target, body.
fn request(window: u64, name: &str, step: Step, password: &str) -> (&'static str, String, Value) {
    let user = |mut body: Value| {
        body["user"] = name.into();
        ("PUT", user_at(name), body)
    };
    let role = |word: &str, area| {
        let mut body = json!({ "role": name });
        body[word] = rights::patterns(window, [&area]);
        ("PUT", role_at(name), body)
    };
    match step {
        Step::Make => user(json!({ "password": password, "roles": [name] })),
        Step::Password => user(json!({ "password": password })),
        Step::Remove => ("DELETE", user_at(name), Value::Null),
        Step::Give => user(json!({ "grant": [name] })),
        Step::Take => user(json!({ "revoke": [name] })),
        Step::Grant(area) => role("grant", area),
        Step::Revoke(area) => role("revoke", area),
    }
}

/// Asks a member for a change, as root.
fn ask(addr: SocketAddr, (method, target, body): (&str, &str, &Value)) -> Told {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let root = Login::root();
    Told::of(http::ask(&mut None, addr, PATIENCE, Some(&root), (method, target, &body)))
}

/// Asks one after the other until one says that it is done, or was by an earlier question.
fn until_done(addrs: &[SocketAddr], request: (&str, &str, &Value)) -> Result<(), String> {
    let (start, mut last) = (Instant::now(), Told::NotDone);
    while start.elapsed() < VERIFIED_WITHIN {
        for addr in addrs {
            last = ask(*addr, request);
            match &last {
                Told::Done => return Ok(()),
                Told::Refused(said) if is_there(request.0, said) => return Ok(()),
                _ => {}
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
    Err(format!("{} {}: {last:?}", request.0, request.1))
}

/// Whether a refusal says that an earlier question was heard.
fn is_there(method: &str, said: &str) -> bool {
    said.starts_with("409")
        || said.contains("Role not updated")
        || (method == "DELETE" && said.starts_with("404"))
}

/// The index of a proven read: what was told before is not behind it.
fn proven_index(shared: &Shared) -> Option<u64> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        for addr in &shared.addrs {
            let read = ("GET", "/v2/keys/window?quorum=true", "");
            let answer = http::as_root(*addr, Duration::from_secs(1), read);
            if let Some(answer) = answer.filter(|answer| answer.status == 200) {
                shared.saw(answer.index());
                return Some(answer.index());
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
    None
}

/// Users count from now on, if they do not yet: another password of root is another login.
fn enable(addrs: &[SocketAddr]) -> Result<(), String> {
    let first = *addrs.first().ok_or("no members")?;
    if listing(first, "enable")?.contains("true") {
        return Ok(());
    }
    let root = json!({ "user": ROOT, "password": ROOT_PASSWORD });
    let locks = format!("{}/*", store::LOCK_ROOT);
    let write = [&GUEST_KEYS[..], &[&locks]].concat();
    let kv = json!({ "read": GUEST_KEYS, "write": write });
    let guest = json!({ "role": store::GUEST, "permissions": { "kv": kv } });
    until_done(addrs, ("PUT", &user_at(ROOT), &root))?;
    until_done(addrs, ("PUT", &role_at(store::GUEST), &guest))?;
    until_done(addrs, ("PUT", "/v2/auth/enable", &Value::Null))
}

/// What guests may do in a window.
fn guest_patterns(window: u64) -> Value {
    let dir = record::dir(window);
    json!({ "kv": { "write": [format!("{dir}/l/*"), format!("{dir}/t/*")] } })
}

/// Makes the users of a window, while nobody works. They count from the first one on.
pub(crate) fn prepare(shared: &Shared, window: u64) -> Result<(), String> {
    enable(&shared.addrs)?;
    let guest = json!({ "role": store::GUEST, "grant": guest_patterns(window) });
    until_done(&shared.addrs, ("PUT", &role_at(store::GUEST), &guest))?;
    shared.window().rights.counts = true;
    shared.logins().clear();
    for _ in 0..PEOPLE {
        let person = newcomer(shared, window);
        make_role(shared, window, &person.name)?;
        let (asked_at, invoked) = (shared.highest(), shared.now());
        let password = password(&person.name, asked_at);
        let (method, target, body) = request(window, &person.name, Step::Make, &password);
        until_done(&shared.addrs, (method, &target, &body))?;
        let finished = shared.now();
        let told = proven_index(shared).ok_or("no proven read")?;
        let mut change = Change::new(&person.name, Step::Make, asked_at, invoked);
        (change.told_at, change.finished) = (Some(told), finished);
        let mut window = shared.window();
        window.rights.people.push(person.clone());
        window.rights.note(change);
        drop(window);
        let shown = Shown { name: person.name.clone(), id: told, password: told };
        shared.logins().put(&person.name, Some(Login::new(shown, &password)));
    }
    Ok(())
}

/// Somebody with a name that nobody had.
fn newcomer(shared: &Shared, window: u64) -> Person {
    let rights = &mut shared.window().rights;
    rights.named += 1;
    Person::new(format!("w{window}u{}", rights.named))
}

fn make_role(shared: &Shared, window: u64, name: &str) -> Result<(), String> {
    let role = json!({ "role": name, "permissions": rights::patterns(window, &AREAS) });
    until_done(&shared.addrs, ("PUT", &role_at(name), &role))
}

/// A password that no user had before.
fn password(name: &str, asked_at: u64) -> String {
    format!("{name} since {asked_at}")
}

/// Changes users until the run is over.
pub(crate) fn run(mut client: Client<'_>) {
    while let Some(window) = client.turn(PACE) {
        let counts = client.shared.window().rights.counts;
        if counts && let Err(text) = step(&mut client, window) {
            client.shared.violation(text);
        }
        client.rest();
    }
}

/// One change, and a look at what it means at every member.
fn step(client: &mut Client<'_>, window: u64) -> Result<(), String> {
    let shared = client.shared;
    let people = shared.window().rights.people.clone();
    if people.len() < PEOPLE {
        let person = newcomer(shared, window);
        // One whose making nobody knows of is no user's, and goes with the window.
        if make_role(shared, window, &person.name).is_ok() {
            shared.window().rights.people.push(person);
        }
        return Ok(());
    }
    let person = people.get(client.rng.index(people.len())).ok_or("nobody is there")?;
    let step = person.draw(&mut client.rng);
    let asked_at = shared.highest();
    let password = password(&person.name, asked_at);
    let (method, target, body) = request(window, &person.name, step, &password);
    let at = client.rng.index(shared.addrs.len());
    let addr = *shared.addrs.get(at).ok_or("no members")?;
    let mut change = Change::new(&person.name, step, asked_at, shared.now());
    let told = ask(addr, (method, &target, &body));
    change.finished = shared.now();
    match told {
        Told::NotDone => return Ok(()),
        Told::Refused(said) => {
            let text =
                format!("m{at} refuses {step:?} of {person:?}, of whom all is known: {said}");
            return Err(text);
        }
        Told::Unknown => change.finished = sim::Nanos::MAX,
        Told::Done => change.told_at = Some(proven_index(shared).unwrap_or(u64::MAX - 1)),
    }
    let told_at = change.told_at;
    shared.window().rights.note(change);
    let new = told_at.and_then(|told| new_login(person, step, told, &password));
    let is_over = told_at.is_none() || new.is_some() || step == Step::Remove;
    let old = shared.logins().of(&person.name);
    if is_over {
        shared.logins().put(&person.name, new);
    }
    if told_at.is_some() {
        // What has lost a right, and what has or keeps one: at every member at once.
        let void = old.filter(|_| step.takes());
        let good = shared.logins().of(&person.name);
        let good = good.filter(|_| !step.takes() || step == Step::Password);
        for login in void.iter().chain(&good) {
            look(client, window, step, login);
        }
    }
    Ok(())
}

/// The login of a user after a step that has changed it.
fn new_login(person: &Person, step: Step, told: u64, password: &str) -> Option<Login> {
    let id = match step {
        Step::Make => told,
        Step::Password => person.made,
        _ => return None,
    };
    Some(Login::new(Shown { name: person.name.clone(), id, password: told }, password))
}

/// Reads and writes at every member as somebody. What comes of it is judged with all the rest.
fn look(client: &mut Client<'_>, window: u64, step: Step, who: &Login) {
    let areas = match step {
        Step::Grant(area) | Step::Revoke(area) => vec![area],
        _ => AREAS.to_vec(),
    };
    for at in 0..client.shared.addrs.len() {
        for area in &areas {
            let key = format!("/r/{}", client.rng.below(crate::work::REGISTERS));
            let (key, kind) = match area {
                Area::Read => (key, Kind::QuorumRead),
                Area::Write => (key, Kind::Set),
                Area::Queue => ("/q".to_owned(), Kind::InOrder),
            };
            client.go_to(at);
            client.perform_as(window, &What { key, kind, ttl: None }, Some(who));
        }
    }
}

/// All members agree on users and roles, and have what was acknowledged.
pub(crate) fn verify(shared: &Shared, number: u64) -> Result<(), String> {
    let people = shared.window().rights.people.clone();
    let mut first: Option<(String, String)> = None;
    for (at, addr) in shared.addrs.iter().enumerate() {
        let held = (listing(*addr, "users")?, listing(*addr, "roles")?);
        rights::check_listing(number, &people, (&held.0, &held.1))
            .map_err(|text| format!("m{at}: {text}"))?;
        match &first {
            Some(first) if *first != held => {
                return Err(format!("m0 has users and roles {first:?}, m{at} has {held:?}"));
            }
            Some(_) => {}
            None => first = Some(held),
        }
    }
    Ok(())
}

fn listing(addr: SocketAddr, what: &str) -> Result<String, String> {
    let start = Instant::now();
    let target = format!("/v2/auth/{what}");
    let mut last = String::new();
    while start.elapsed() < VERIFIED_WITHIN {
        match http::as_root(addr, PATIENCE, ("GET", &target, "")) {
            Some(answer) if answer.status == 200 => return Ok(answer.body),
            Some(answer) => last = format!("{} {}", answer.status, answer.body),
            None => {}
        }
        thread::sleep(Duration::from_millis(50));
    }
    Err(format!("{addr} does not tell its {what}: {last}"))
}

/// Removes the users and roles of a window, also those of whom nobody knows what they are.
pub(crate) fn clear(shared: &Shared, number: u64, named: u64) -> Result<(), String> {
    for name in (1..=named).map(|count| format!("w{number}u{count}")) {
        for target in [user_at(&name), role_at(&name)] {
            until_done(&shared.addrs, ("DELETE", &target, &Value::Null))?;
        }
    }
    let guest = json!({ "role": store::GUEST, "revoke": guest_patterns(number) });
    until_done(&shared.addrs, ("PUT", &role_at(store::GUEST), &guest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_about_users_are_told_apart() {
        let told = |status, body: &str| Told::of(Ok(Answer::of(status, body)));
        assert_eq!(told(201, "{}"), Told::Done);
        let busy = r#"{"message":"too many passwords are being hashed; try again later"}"#;
        assert_eq!(told(503, busy), Told::NotDone);
        assert_eq!(
            told(500, r#"{"message":"no leader is known; nothing was done"}"#),
            Told::NotDone
        );
        assert_eq!(told(500, r#"{"message":"the outcome is unknown"}"#), Told::Unknown);
        assert_eq!(told(500, ""), Told::Unknown);
        assert!(matches!(told(409, "{}"), Told::Refused(_)));
        assert!(is_there("PUT", "409 {}") && is_there("DELETE", "404 {}"));
        assert!(!is_there("PUT", "404 {}") && !is_there("PUT", "401 {}"));
        assert_eq!(Told::of(Err(Lost::NotSent)), Told::NotDone);
        assert_eq!(Told::of(Err(Lost::Unknown)), Told::Unknown);
    }

    #[test]
    fn a_login_is_new_after_the_steps_that_change_it() {
        let person = Person { made: 7, ..Person::new("ann".into()) };
        let shown =
            |step| new_login(&person, step, 9, "x").map(|one| (one.shown.id, one.shown.password));
        assert_eq!(shown(Step::Make), Some((9, 9)));
        assert_eq!(shown(Step::Password), Some((7, 9)));
        assert_eq!(shown(Step::Take), None);
    }
}
