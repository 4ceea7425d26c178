//! The lock and leader modules, as clients see them.

mod crowd;
mod document;
mod ending;
mod members;
mod queue;
mod storm;

use std::net::SocketAddr;
use std::time::Duration;

use crate::testkit::{Connection, Request, Response, ask, wait_until};

/// How long something may take that should happen at once.
const SOON: Duration = Duration::from_secs(10);

/// A client that asked for a lock and has no answer yet. Dropping it hangs up.
struct Waiter {
    connection: Connection,
    method: &'static str,
}

impl Waiter {
    fn post(addr: SocketAddr, name: &str, form: &str) -> Self {
        Self::send(addr, Request::post(&format!("/mod/v2/lock/{name}"), form), "POST")
    }

    fn put(addr: SocketAddr, name: &str, form: &str) -> Self {
        Self::send(addr, Request::put(&format!("/mod/v2/leader/{name}"), form), "PUT")
    }

    fn send(addr: SocketAddr, request: Request, method: &'static str) -> Self {
        let mut connection = Connection::open(addr).unwrap();
        connection.send(&request).unwrap();
        Self { connection, method }
    }

    /// A client whose entry is the queue's `place`th, which is waited for.
    fn placed(addr: SocketAddr, name: &str, form: &str, place: usize) -> (Self, u64) {
        let waiter = Self::post(addr, name, form);
        (waiter, wait_for_place(addr, name, place))
    }

    fn answer(&mut self, limit: Duration) -> Response {
        self.connection.within(limit);
        self.connection.response(self.method).unwrap_or_else(|e| panic!("no answer: {e}"))
    }

    /// The index of the lock, which is got soon.
    fn held(&mut self) -> u64 {
        held(&self.answer(SOON))
    }

    /// Whether nothing was answered yet. A look, no wait.
    fn is_waiting(&mut self) -> bool {
        self.connection.within(Duration::from_millis(1));
        self.connection.head().is_err_and(|e| e.kind() == std::io::ErrorKind::TimedOut)
    }
}

fn held(answer: &Response) -> u64 {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.text().parse().unwrap_or_else(|e| panic!("{e}: {:?}", answer.text()))
}

/// The entries of a queue, in their order: number and value.
fn queue(addr: SocketAddr, name: &str) -> Vec<(u64, String)> {
    let answer = ask(addr, &Request::get(&format!("/v2/keys/_etcd/mod/lock/{name}?quorum=true")));
    let json = answer.json();
    let nodes = json["node"]["nodes"].as_array().cloned().unwrap_or_default();
    let entry = |node: &serde_json::Value| {
        let key = node["key"].as_str()?.rsplit('/').next()?;
        Some((key.parse().ok()?, node["value"].as_str()?.to_owned()))
    };
    let mut entries: Vec<_> = nodes.iter().filter_map(entry).collect();
    entries.sort_unstable();
    entries
}

fn values(addr: SocketAddr, name: &str) -> Vec<String> {
    queue(addr, name).into_iter().map(|(_, value)| value).collect()
}

fn wait_for_place(addr: SocketAddr, name: &str, place: usize) -> u64 {
    wait_until("the entry is in the queue", SOON, || queue(addr, name).len() > place);
    queue(addr, name)[place].0
}

fn wait_for_values(addr: SocketAddr, name: &str, want: &[&str]) {
    wait_until(&format!("the queue is {want:?}"), SOON, || values(addr, name) == want);
}

fn acquire(addr: SocketAddr, name: &str, form: &str) -> Response {
    ask(addr, &Request::post(&format!("/mod/v2/lock/{name}"), form))
}

fn release(addr: SocketAddr, name: &str, query: &str) {
    let answer = ask(addr, &Request::delete(&format!("/mod/v2/lock/{name}?{query}")));
    assert_eq!((answer.status(), answer.text().as_str()), (200, ""), "{query}");
}

/// Error code, message and cause of a refusal, which is JSON.
fn refusal(answer: &Response) -> (u16, u64, String, String) {
    let json = answer.json();
    let kind = answer.head.header("Content-Type");
    assert_eq!(kind.as_deref(), Some("application/json"), "{json}");
    assert!(json["index"].is_u64() && answer.body.ends_with(b"}\n"), "{json}");
    let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
    (answer.status(), json["errorCode"].as_u64().unwrap(), text("message"), text("cause"))
}

fn assert_refused(answer: &Response, want: (u16, u64, &str, &str)) {
    let (status, code, message, cause) = refusal(answer);
    assert_eq!((status, code, message.as_str(), cause.as_str()), want);
}
