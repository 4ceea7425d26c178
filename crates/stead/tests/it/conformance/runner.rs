//! Runs the steps of a case against one server.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::case::{Case, Change, Expect, Kind, Override, Step};
use super::compare::{Diff, compare, has_failed};
use super::exchange::{Answer, Exchange};
use super::raw_json;
use super::template::{Context, wall_seconds};
use crate::testkit::http::EXCHANGE_TIMEOUT;
use crate::testkit::{Request, Server, send};

/// How long a request in the background may take in all.
const BACKGROUND_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a watch that is to find nothing is given to find something.
const PENDING: Duration = Duration::from_millis(400);

/// What a case came to.
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) checks: usize,
    /// Step number, step, differences.
    pub(crate) failures: Vec<(usize, String, Vec<Diff>)>,
}

impl Outcome {
    /// A case that could not even begin.
    pub(crate) fn broken(name: &str, step: &str, error: String) -> Self {
        let diffs = vec![Diff::fail("server", "an answer", error)];
        Self { name: name.to_owned(), checks: 1, failures: vec![(0, step.to_owned(), diffs)] }
    }

    pub(crate) fn has_passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// The differences as text, one case a paragraph.
    pub(crate) fn report(&self) -> String {
        let mut out = format!("{}: {} of {} checks\n", self.name, self.failures.len(), self.checks);
        for (number, step, diffs) in &self.failures {
            out.push_str(&format!("  step {number}  {}\n", clip(step)));
            for diff in diffs {
                out.push_str(&format!("    {:?} at {}\n", diff.kind, diff.place));
                out.push_str(&format!("      want {}\n      got  {}\n", diff.want, diff.got));
            }
        }
        out
    }
}

/// Runs cases one after another against one server, which nobody else writes to meanwhile.
pub(crate) struct Runner<'a> {
    server: &'a Server,
    overrides: &'a [Override],
    prefix: String,
    number: u32,
}

impl<'a> Runner<'a> {
    pub(crate) fn new(server: &'a Server, overrides: &'a [Override], prefix: String) -> Self {
        Self { server, overrides, prefix, number: 0 }
    }

    pub(crate) fn run(&mut self, case: &Case) -> Outcome {
        self.number += 1;
        let prefix = format!("{}-{:04}", self.prefix, self.number);
        let mut context = Context::new(prefix, self.server.url(), self.server.peer_url());
        let base = match self.base_index(case, &context) {
            Ok(base) => base,
            Err(e) => return Outcome::broken(&case.name, "base index", e.to_string()),
        };
        context.vars.insert("i0".to_owned(), base.to_string());
        let mut run = Run { server: self.server, context, live: HashMap::new() };
        let mut outcome = Outcome { name: case.name.clone(), checks: 0, failures: Vec::new() };
        for (at, step) in case.steps.iter().enumerate() {
            let number = at + 1;
            let replaced = self.find_override(&case.name, number);
            let diffs = run
                .step(step, replaced)
                .unwrap_or_else(|e| vec![Diff::fail("replay", "a step that can be run", e)]);
            if step.expect.is_some() || step.assert.is_some() || step.pending_ms.is_some() {
                outcome.checks += 1;
            }
            if !diffs.is_empty() {
                outcome.failures.push((number, step.describe(), diffs));
            }
        }
        let Run { context, live, .. } = run;
        drop(live);
        self.clean_up(&context.prefix);
        outcome
    }

    fn find_override(&self, case: &str, number: usize) -> Option<&'a Override> {
        self.overrides.iter().find(|o| o.case == case && o.steps.contains(&number))
    }

    fn base_index(&self, case: &Case, context: &Context) -> std::io::Result<u64> {
        if case.is_absolute() {
            return Ok(0);
        }
        let path = format!("/v2/keys/{}", context.prefix);
        send(self.server.addr(), &Request::get(&path)).map(|response| response.index())
    }

    fn clean_up(&self, prefix: &str) {
        let path = format!("/v2/keys/{prefix}?recursive=true");
        // A server that no longer answers makes the next case fail; there it is reported.
        let _ = send(self.server.addr(), &Request::delete(&path));
    }
}

/// One run of one case.
struct Run<'a> {
    server: &'a Server,
    context: Context,
    live: HashMap<String, Exchange>,
}

impl Run<'_> {
    fn step(&mut self, step: &Step, replaced: Option<&Override>) -> Result<Vec<Diff>, String> {
        if step.method.is_some() {
            return match &step.background {
                Some(name) => self.start(name, step, replaced),
                None => self.exchange(step, replaced),
            };
        }
        if let Some(ms) = step.sleep_ms {
            std::thread::sleep(Duration::from_millis(ms));
            return Ok(Vec::new());
        }
        if let Some(name) = &step.awaited {
            return self.wait_for(name, step, replaced);
        }
        if let Some(name) = &step.close {
            let exchange =
                self.live.remove(name).ok_or_else(|| format!("{name} is not running"))?;
            exchange.close();
            // The server learns of a hang-up in its own time.
            std::thread::sleep(Duration::from_millis(step.settle_ms.unwrap_or(150)));
            return Ok(Vec::new());
        }
        match &step.assert {
            Some(condition) => self.assert(condition),
            None => Err("nothing to do".to_owned()),
        }
    }

    fn exchange(&mut self, step: &Step, replaced: Option<&Override>) -> Result<Vec<Diff>, String> {
        let limit = match replaced.map(|replaced| &replaced.change) {
            Some(Change::Pending) => PENDING,
            _ => step.timeout_ms.map_or(EXCHANGE_TIMEOUT, Duration::from_millis),
        };
        let mut out = Vec::new();
        for n in 0..step.repeat.unwrap_or(1) {
            if step.repeat.is_some() {
                self.context.vars.insert("n".to_owned(), n.to_string());
            }
            let (addr, request) = self.request(step)?;
            let answer = Exchange::perform(addr, &request, limit);
            self.context.sent = answer.sent;
            self.context.received = answer.received;
            let is_sorted = step.path.as_deref().is_some_and(|p| p.contains("sorted=true"));
            out.extend(self.check(step, replaced, &answer, is_sorted));
        }
        Ok(out)
    }

    fn start(
        &mut self,
        name: &str,
        step: &Step,
        replaced: Option<&Override>,
    ) -> Result<Vec<Diff>, String> {
        let (addr, request) = self.request(step)?;
        let exchange = Exchange::start(addr, request, BACKGROUND_TIMEOUT);
        let out = match &step.expect {
            Some(expect) => {
                let limit = Duration::from_millis(expect.within_ms.unwrap_or(2000));
                let has_head = |a: &Answer| a.head.is_some() || a.error.is_some();
                let (_, answer) = exchange.wait(limit, has_head);
                if has_head(&answer) {
                    let early = Expect { kind: Kind::Ignore, ..expect.clone() };
                    let step = Step { expect: Some(early), ..step.clone() };
                    self.check(&step, replaced, &answer, false)
                } else {
                    vec![Diff::fail("early headers", "before any event", "no headers yet")]
                }
            }
            None => {
                // A request that says nothing until it is done: give it time to get there.
                std::thread::sleep(Duration::from_millis(step.settle_ms.unwrap_or(300)));
                Vec::new()
            }
        };
        self.live.insert(name.to_owned(), exchange);
        Ok(out)
    }

    fn wait_for(
        &mut self,
        name: &str,
        step: &Step,
        replaced: Option<&Override>,
    ) -> Result<Vec<Diff>, String> {
        let exchange = self.live.get(name).ok_or_else(|| format!("{name} is not running"))?;
        self.context.sent = wall_seconds();
        self.context.received = self.context.sent;
        if let Some(ms) = step.pending_ms {
            let (is_over, answer) = exchange.wait(Duration::from_millis(ms), Answer::is_over);
            let got = format!("{:?} {}", answer.head, String::from_utf8_lossy(&answer.body));
            let early = is_over.then(|| Diff::fail("await", "still waiting", got));
            return Ok(early.into_iter().collect());
        }
        let expect = step.expect.as_ref().ok_or("nothing to wait for")?;
        let limit = Duration::from_millis(step.timeout_ms.unwrap_or(5000));
        if expect.kind == Kind::Stream {
            let count = expect.events.len();
            exchange.wait(limit, |answer| answer.is_over() || events(answer) >= count);
            // Room for an event too many.
            std::thread::sleep(Duration::from_millis(step.settle_ms.unwrap_or(150)));
            let (_, answer) = exchange.wait(Duration::ZERO, |_| true);
            self.context.received = wall_seconds();
            return Ok(self.check(step, replaced, &answer, false));
        }
        let (is_over, answer) = exchange.wait(limit, Answer::is_over);
        self.context.received = wall_seconds();
        if !is_over {
            let got = String::from_utf8_lossy(&answer.body).into_owned();
            return Ok(vec![Diff::fail("await", "an answer", format!("still waiting: {got}"))]);
        }
        self.live.remove(name);
        Ok(self.check(step, replaced, &answer, false))
    }

    /// Compares with the recording or with what replaces it. A replacement that the recording
    /// does not need is an error of its own, so that the list cannot go stale.
    fn check(
        &mut self,
        step: &Step,
        replaced: Option<&Override>,
        answer: &Answer,
        is_sorted: bool,
    ) -> Vec<Diff> {
        let Some(recorded) = &step.expect else {
            return Vec::new();
        };
        let Some(replaced) = replaced else {
            return compare(recorded, answer, &mut self.context, is_sorted);
        };
        let mut aside = self.context.clone();
        if !has_failed(&compare(recorded, answer, &mut aside, is_sorted)) {
            let got = format!("the recorded answer ({})", replaced.reason);
            return vec![Diff::fail("overrides.json", "another answer", got)];
        }
        match replaced.change.apply(recorded) {
            Some(expect) => compare(&expect, answer, &mut self.context, is_sorted),
            None => {
                let is_waiting = answer.head.as_ref().is_some_and(|head| head.status == 200)
                    && answer.is_timed_out
                    && answer.body.is_empty();
                let got = format!("{answer:?}");
                let early = (!is_waiting).then(|| Diff::fail("watch", "still waiting", got));
                early.into_iter().collect()
            }
        }
    }

    fn request(&self, step: &Step) -> Result<(SocketAddr, Request), String> {
        let method = step.method.as_deref().unwrap_or("GET");
        let path = self.context.fill(step.path.as_deref().unwrap_or("/"))?;
        let mut request = Request::new(method, &path).header("User-Agent", "conformance-replay");
        if !step.headers.keys().any(|name| name.eq_ignore_ascii_case("accept")) {
            request = request.header("Accept", "*/*");
        }
        for (name, value) in &step.headers {
            request = request.header(name, &self.context.fill(value)?);
        }
        if let Some(body) = &step.body {
            request = request.body(self.context.fill(body)?.as_bytes());
        }
        request.chunked = step.chunked;
        let is_peer = step.port.as_deref() == Some("peer");
        let addr = if is_peer { self.server.peer_addr() } else { self.server.addr() };
        Ok((addr, request))
    }

    fn assert(&self, condition: &str) -> Result<Vec<Diff>, String> {
        let words: Vec<&str> = condition.split_whitespace().collect();
        let [left, operator, right] = words.as_slice() else {
            return Err(format!("not a condition: {condition}"));
        };
        let number = |text: &str| -> Result<i128, String> {
            self.context.fill(text)?.parse().map_err(|_| format!("not a number: {text}"))
        };
        let (left, right) = (number(left)?, number(right)?);
        let holds = match *operator {
            "<" => left < right,
            ">" => left > right,
            "==" => left == right,
            ">=" => left >= right,
            "!=" => left != right,
            _ => return Err(format!("not a condition: {condition}")),
        };
        let got = format!("{left} {operator} {right}");
        let broken = (!holds).then(|| Diff::fail("assert", condition, got));
        Ok(broken.into_iter().collect())
    }
}

fn events(answer: &Answer) -> usize {
    let text = std::str::from_utf8(&answer.body).ok();
    text.and_then(|text| raw_json::parse_all(text).ok()).map_or(0, |events| events.len())
}

fn clip(text: &str) -> String {
    text.chars().take(160).collect()
}
