//! Placeholders: what an expectation leaves open, and what one run of a case has bound.
//!
//! The forms are those of the case files: `PREFIX`, `${i0+N}`, `${n_NAME+N}`, `${min_NAME+N}`,
//! `${expK+T}`, `${prevK+T}`, `${ttl:N}`, `${int}`, `${num}`, `${str}`, `${time}`, `${any}`,
//! `${name}`, `${client_url}`, `${peer_url}` and `${rep:c:N}`.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::testkit::time::parse_time;

/// Seconds by which an expiration may differ from what the request asked for.
const TOLERANCE: f64 = 2.0;

/// Seconds by which two printings of one instant may differ.
const INSTANT: f64 = 0.0015;

/// What 0.4.9 prints where an expiration was taken away.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// What one run of one case knows.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) prefix: String,
    pub(crate) vars: HashMap<String, String>,
    expirations: HashMap<String, f64>,
    bound_at: HashMap<String, f64>,
    /// When the last request was sent and its answer complete, in seconds of the wall clock.
    pub(crate) sent: f64,
    pub(crate) received: f64,
}

/// Why a text does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    Differs,
    Because(String),
}

impl Context {
    pub(crate) fn new(prefix: String, client_url: String, peer_url: String) -> Self {
        let vars = [("client_url".to_owned(), client_url), ("peer_url".to_owned(), peer_url)];
        Self {
            prefix,
            vars: vars.into(),
            expirations: HashMap::new(),
            bound_at: HashMap::new(),
            sent: 0.0,
            received: 0.0,
        }
    }

    /// A request template with everything filled in.
    pub(crate) fn fill(&self, template: &str) -> Result<String, String> {
        let mut out = String::new();
        for piece in pieces(template) {
            match piece {
                Piece::Text(text) => out.push_str(&text),
                Piece::Hole(hole) => {
                    let value = self.vars.get(&hole.name);
                    let value = value.ok_or(format!("{} has no value yet", hole.name))?;
                    out.push_str(&moved(value, hole.offset));
                }
            }
        }
        Ok(out.replace("PREFIX", &self.prefix))
    }

    /// Like [`Self::fill`]; what has no value yet stays as it is.
    pub(crate) fn fill_soft(&self, template: &str) -> String {
        self.fill(template).unwrap_or_else(|_| template.to_owned())
    }

    /// Does `actual` fit `expected`? Binds what is seen for the first time.
    pub(crate) fn fits(&mut self, expected: &str, actual: &str) -> Result<(), Mismatch> {
        let expected = expected.replace("PREFIX", &self.prefix);
        if !expected.contains("${") {
            return if expected == actual { Ok(()) } else { Err(Mismatch::Differs) };
        }
        let mut parts = Vec::new();
        let mut rules = Vec::new();
        for piece in pieces(&expected) {
            match piece {
                Piece::Text(text) => parts.push(Part::Literal(text)),
                Piece::Hole(hole) => match self.rule(&hole) {
                    Ok((rule, class)) => {
                        rules.push(rule);
                        parts.push(Part::Open(class));
                    }
                    Err(known) => parts.push(Part::Literal(known)),
                },
            }
        }
        let mut found = Vec::new();
        if !matches_from(&parts, actual, &mut found) {
            return Err(Mismatch::Differs);
        }
        for (rule, got) in rules.iter().zip(&found) {
            self.check(rule, got).map_err(Mismatch::Because)?;
        }
        Ok(())
    }

    /// What is to be checked where a hole is, or the text that must stand there.
    fn rule(&self, hole: &Hole) -> Result<(Rule, Class), String> {
        let offset = hole.offset.unwrap_or(0);
        let name = hole.name.as_str();
        if let Some(number) = name.strip_prefix("exp").filter(|n| is_number(n)) {
            return Ok((Rule::Expiration(number.to_owned(), offset), Class::Any));
        }
        if name.strip_prefix("prev").is_some_and(is_number) {
            return Ok((Rule::OldExpiration, Class::Any));
        }
        if let Some(name) = name.strip_prefix("min_") {
            return Ok((Rule::AtLeast(name.to_owned(), offset), Class::Digits));
        }
        match name {
            "ttl" => return Ok((Rule::Ttl(hole.argument.unwrap_or(0)), Class::Integer)),
            "any" | "str" => return Ok((Rule::Anything, Class::Any)),
            "time" => return Ok((Rule::Time, Class::Any)),
            "int" => return Ok((Rule::Anything, Class::Integer)),
            "num" => return Ok((Rule::Anything, Class::Number)),
            _ => {}
        }
        match self.vars.get(name) {
            Some(value) => Err(moved(value, hole.offset)),
            None if name.starts_with("n_") => {
                Ok((Rule::BindNumber(name.to_owned(), offset), Class::Integer))
            }
            None => Ok((Rule::Bind(name.to_owned()), Class::Shortest)),
        }
    }

    fn check(&mut self, rule: &Rule, got: &str) -> Result<(), String> {
        match rule {
            Rule::Anything => Ok(()),
            Rule::Bind(name) => {
                self.vars.insert(name.clone(), got.to_owned());
                Ok(())
            }
            Rule::BindNumber(name, offset) => {
                self.vars.insert(name.clone(), (integer(got)? - offset).to_string());
                Ok(())
            }
            Rule::AtLeast(name, offset) => self.check_at_least(name, *offset, integer(got)?),
            Rule::Ttl(wanted) => match (integer(got)? - wanted).abs() {
                0 | 1 => Ok(()),
                _ => Err(format!("ttl {got} is not within 1 of {wanted}")),
            },
            Rule::Time => match parse_time(got) {
                Some(_) => Ok(()),
                None => Err(format!("{got:?} is not an RFC 3339 time")),
            },
            Rule::OldExpiration => self.check_old_expiration(got),
            Rule::Expiration(name, ttl) => self.check_expiration(name, *ttl, got),
        }
    }

    /// A counter that the server's own reads may move, now and then.
    fn check_at_least(&mut self, name: &str, offset: i128, got: i128) -> Result<(), String> {
        let now = wall_seconds();
        let variable = format!("n_{name}");
        if !self.bound_at.contains_key(name) {
            self.bound_at.insert(name.to_owned(), now);
            self.vars.insert(variable.clone(), (got - offset).to_string());
        }
        let base = self.vars.get(&variable).map_or(Ok(0), |text| integer(text))?;
        let passed = now - self.bound_at.get(name).copied().unwrap_or(now);
        let low = base + offset;
        // Whole seconds since the counter was first seen: a few hundred at the most.
        let high = low + 1 + 2 * (passed.ceil() as i128);
        if (low..=high).contains(&got) {
            Ok(())
        } else {
            Err(format!("{got} is not between {low} and {high}"))
        }
    }

    fn check_old_expiration(&self, got: &str) -> Result<(), String> {
        let is_known = |time: f64| self.expirations.values().any(|e| (e - time).abs() <= INSTANT);
        if got == ZERO_TIME || parse_time(got).is_some_and(is_known) {
            Ok(())
        } else {
            Err("not an expiration seen before in this case".to_owned())
        }
    }

    fn check_expiration(&mut self, name: &str, ttl: i128, got: &str) -> Result<(), String> {
        let Some(time) = parse_time(got) else {
            return Err(format!("{got:?} is not an RFC 3339 time"));
        };
        // A time to live is a small number, so that a float holds it exactly.
        let ttl = ttl as f64;
        match self.expirations.get(name) {
            Some(before) if (before - time).abs() > INSTANT => {
                Err(format!("expiration moved by {:.6}s, nothing refreshed it", time - before))
            }
            Some(_) => Ok(()),
            None if time < self.sent + ttl - TOLERANCE
                || time > self.received + ttl + TOLERANCE =>
            {
                Err(format!("expires {:+.2}s from now, wanted {ttl:+}s", time - self.received))
            }
            None => {
                self.expirations.insert(name.to_owned(), time);
                Ok(())
            }
        }
    }
}

pub(crate) fn wall_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

/// What is checked where a hole was.
#[derive(Debug)]
enum Rule {
    Anything,
    Bind(String),
    BindNumber(String, i128),
    AtLeast(String, i128),
    Ttl(i128),
    Time,
    OldExpiration,
    Expiration(String, i128),
}

/// Which text may stand in a hole.
#[derive(Clone, Copy, Debug)]
enum Class {
    /// Anything, as long as possible.
    Any,
    /// Anything, as short as possible.
    Shortest,
    Digits,
    Integer,
    Number,
}

impl Class {
    fn admits(self, text: &str) -> bool {
        let all_digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        match self {
            Self::Any | Self::Shortest => true,
            Self::Digits => all_digits(text),
            Self::Integer => all_digits(unsigned),
            Self::Number => {
                unsigned.starts_with(|c: char| c.is_ascii_digit())
                    && unsigned.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b))
            }
        }
    }
}

enum Part {
    Literal(String),
    Open(Class),
}

/// Fits `parts` to the whole of `text`; the depth of the recursion is the number of parts.
fn matches_from(parts: &[Part], text: &str, found: &mut Vec<String>) -> bool {
    let Some((first, rest)) = parts.split_first() else {
        return text.is_empty();
    };
    match first {
        Part::Literal(literal) => match text.strip_prefix(literal.as_str()) {
            Some(text) => matches_from(rest, text, found),
            None => false,
        },
        Part::Open(class) => {
            let mut ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            ends.push(text.len());
            if !matches!(class, Class::Shortest) {
                ends.reverse();
            }
            for end in ends {
                if !class.admits(&text[..end]) {
                    continue;
                }
                found.push(text[..end].to_owned());
                if matches_from(rest, &text[end..], found) {
                    return true;
                }
                found.pop();
            }
            false
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Hole {
    name: String,
    offset: Option<i128>,
    argument: Option<i128>,
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Hole(Hole),
}

/// Cuts a template at its placeholders. What looks like one but is none stays text.
fn pieces(template: &str) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut text = String::new();
    let mut rest = template;
    while let Some(start) = rest.find("${") {
        let (before, open) = rest.split_at(start);
        text.push_str(before);
        let inner = open.find('}').map(|end| (&open[2..end], end + 1));
        match inner.and_then(|(inner, end)| Some((placeholder(inner)?, end))) {
            Some((Piece::Text(filled), end)) => {
                text.push_str(&filled);
                rest = &open[end..];
            }
            Some((hole, end)) => {
                if !text.is_empty() {
                    out.push(Piece::Text(std::mem::take(&mut text)));
                }
                out.push(hole);
                rest = &open[end..];
            }
            None => {
                text.push_str("${");
                rest = &open[2..];
            }
        }
    }
    text.push_str(rest);
    if !text.is_empty() {
        out.push(Piece::Text(text));
    }
    out
}

fn placeholder(inner: &str) -> Option<Piece> {
    if let Some(repeat) = inner.strip_prefix("rep:") {
        let (what, count) = repeat.split_once(':')?;
        return Some(Piece::Text(what.repeat(count.parse().ok()?)));
    }
    let (front, argument) = match inner.split_once(':') {
        Some((front, argument)) => (front, Some(argument.parse().ok()?)),
        None => (inner, None),
    };
    let end = front
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
        .unwrap_or(front.len());
    let (name, offset) = front.split_at(end);
    if name.is_empty() {
        return None;
    }
    let offset = if offset.is_empty() { None } else { Some(offset.parse().ok()?) };
    Some(Piece::Hole(Hole { name: name.to_owned(), offset, argument }))
}

fn moved(value: &str, offset: Option<i128>) -> String {
    match (offset, value.parse::<i128>()) {
        (Some(offset), Ok(number)) => (number + offset).to_string(),
        _ => value.to_owned(),
    }
}

fn integer(text: &str) -> Result<i128, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number"))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        let mut context = Context::new("cf-1".to_owned(), "http://c".to_owned(), String::new());
        context.vars.insert("i0".to_owned(), "41".to_owned());
        context
    }

    #[test]
    fn fills_in_what_is_known() {
        let context = context();
        assert_eq!(context.fill("/PREFIX/a?i=${i0+1}").unwrap(), "/cf-1/a?i=42");
        assert_eq!(context.fill("${rep:ab:3}${client_url}").unwrap(), "abababhttp://c");
        assert!(context.fill("${nothing}").is_err());
    }

    #[test]
    fn binds_a_number_once() {
        let mut context = context();
        context.fits("\"a ${n_x+2} b\"", "\"a 12 b\"").unwrap();
        context.fits("${n_x}", "10").unwrap();
        assert!(context.fits("${n_x}", "11").is_err());
        assert!(context.fits("${i0}", "42").is_err());
    }

    #[test]
    fn an_expiration_may_not_move() {
        let mut context = context();
        context.sent = 1_000_000_000.0;
        context.received = context.sent + 0.1;
        context.fits("${exp1+5}", "2001-09-09T01:46:45Z").unwrap();
        assert!(context.fits("${exp1+5}", "2001-09-09T01:46:45.5Z").is_err());
        context.fits("${prev1+5}", "2001-09-09T01:46:45.0001Z").unwrap();
        assert!(context.fits("${prev1+5}", "2001-09-09T01:46:47Z").is_err());
        assert!(context.fits("${exp2+5}", "2001-09-09T01:46:55Z").is_err());
    }

    #[test]
    fn classes_admit_only_their_own() {
        let mut context = context();
        assert!(context.fits("${int}", "x").is_err());
        assert!(context.fits("${int}", "-3").is_ok());
        assert!(context.fits("${num}", "1.5e3").is_ok());
        assert!(context.fits("${ttl:5}", "7").is_err());
        assert!(context.fits("${ttl:5}", "4").is_ok());
        assert!(context.fits("[${int} != ${int}]", "[3 != 4]").is_ok());
    }
}
