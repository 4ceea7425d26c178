//! The report for people, and for programs.

use super::finding::texts;
use super::judge::{Machine, Report, Verdict};
use serde_json::json;
use server::{one_line, printable};
use std::fmt::Write as _;

/// Width of the paragraphs of advice.
const WIDTH: usize = 96;

/// Longest of them, in characters: it may name many machines.
const LINE_MAX: usize = 4000;

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// For people. What machines say is escaped, so that it cannot speak to a terminal.
pub(super) fn text(report: &Report) -> String {
    let mut out = String::new();
    let word = report.verdict.word();
    // Writing into a text cannot fail.
    let _ = match &report.cluster {
        Some(id) => writeln!(
            out,
            "cluster {} is {word}: {} of {} voters answer",
            printable(id),
            report.heard,
            report.voters
        ),
        None => writeln!(out, "no member answers"),
    };
    if let (Some(term), Some(index)) = (report.term, report.index) {
        let leader = report
            .leader
            .as_deref()
            .map_or("no leader".to_owned(), |name| format!("leader {}", printable(name)));
        let keys = report.keys.map(|keys| format!(", {keys} keys")).unwrap_or_default();
        let _ = writeln!(out, "{leader}, term {term}, index {index}{keys}");
    }
    if !report.machines.is_empty() {
        table(&mut out, &states(&report.machines));
        table(&mut out, &places(&report.machines));
    }
    list(&mut out, "problems", &texts(&report.problems));
    list(&mut out, "warnings", &texts(&report.warnings));
    list(&mut out, "what to do", &report.advice);
    out
}

fn list(out: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{title}");
    for line in lines {
        paragraph(out, 2, line);
    }
}

/// A line, broken where it is too long. `indent` is that of its beginning; what follows has two
/// columns more.
pub(super) fn paragraph(out: &mut String, indent: usize, line: &str) {
    let mut column = 0;
    for word in words(&one_line(line.chars().take(LINE_MAX).collect())) {
        if column > 0 && column + 1 + word.chars().count() > WIDTH {
            let _ = write!(out, "\n{:1$}", "", indent + 2);
            column = indent + 2;
        } else if column == 0 {
            let _ = write!(out, "{:indent$}", "");
            column = indent;
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(&word);
        column += word.chars().count();
    }
    out.push('\n');
}

/// The words of a line; a command between backticks is one.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut is_open = false;
    for word in line.split(' ') {
        match words.last_mut().filter(|_| is_open) {
            Some(last) => {
                last.push(' ');
                last.push_str(word);
            }
            None => words.push(word.to_owned()),
        }
        is_open ^= word.matches('`').count() % 2 == 1;
    }
    words
}

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or("-".to_owned(), |value| value.to_string())
}

fn states(machines: &[Machine]) -> Vec<Vec<String>> {
    let titles = ["name", "state", "ready", "applied", "lag", "hash", "uptime", "version"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    rows.extend(machines.iter().map(|machine| {
        let yes = |is: bool| if is { "yes" } else { "no" };
        let same = |is: bool| if is { "equal" } else { "DIFFERS" };
        vec![
            printable(&machine.name),
            printable(&machine.state),
            or_dash(machine.is_ready.map(yes)),
            or_dash(machine.applied),
            or_dash(machine.lag),
            or_dash(machine.has_same_state.map(same)),
            or_dash(machine.uptime.map(age)),
            printable(&machine.version),
        ]
    }));
    rows
}

/// A number of seconds for people.
fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn places(machines: &[Machine]) -> Vec<Vec<String>> {
    let titles = ["name", "id", "clients", "peers"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    rows.extend(machines.iter().map(|machine| {
        let Machine { name, id, client_url, peer_url, .. } = machine;
        [name, id, client_url, peer_url].map(|word| printable(word)).to_vec()
    }));
    rows
}

/// Columns as wide as their widest cell.
fn table(out: &mut String, rows: &[Vec<String>]) {
    out.push('\n');
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let cell = if cell.is_empty() { "-" } else { cell };
            let _ = write!(line, "  {cell:<width$}");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

/// For programs.
pub(super) fn json(report: &Report) -> String {
    let machines: Vec<_> = report
        .machines
        .iter()
        .map(|machine| {
            json!({
                "name": machine.name,
                "id": machine.id,
                "clientURL": machine.client_url,
                "peerURL": machine.peer_url,
                "state": machine.state,
                "version": machine.version,
                "uptime": machine.uptime,
                "appliedIndex": machine.applied,
                "lagEntries": machine.lag,
                "sameState": machine.has_same_state,
                "ready": machine.is_ready,
            })
        })
        .collect();
    let report = json!({
        "status": report.verdict.word(),
        "cluster": report.cluster,
        "leader": report.leader,
        "term": report.term,
        "etcdIndex": report.index,
        "keys": report.keys,
        "voters": report.voters,
        "votersAnswering": report.heard,
        "machines": machines,
        "problems": texts(&report.problems),
        "warnings": texts(&report.warnings),
        "advice": report.advice,
    });
    format!("{report}\n")
}

#[cfg(test)]
mod tests {
    use super::super::finding::{About, Finding};
    use super::*;

    fn report() -> Report {
        let machine = |name: &str, state: &str| Machine {
            name: name.to_owned(),
            id: "2a".to_owned(),
            client_url: "http://127.0.0.1:4001".to_owned(),
            peer_url: "http://127.0.0.1:7001".to_owned(),
            state: state.to_owned(),
            version: "0.2.0".to_owned(),
            uptime: Some(130),
            applied: Some(40),
            lag: Some(0),
            has_same_state: Some(true),
            is_ready: Some(true),
        };
        let gone = Machine {
            name: "m2".to_owned(),
            state: "unreachable".to_owned(),
            ..Machine::default()
        };
        Report {
            verdict: Verdict::Degraded,
            cluster: Some("28fb4c66a6841ff7".to_owned()),
            leader: Some("m\u{1b}[2J".to_owned()),
            term: Some(3),
            index: Some(30),
            keys: Some(9),
            voters: 2,
            heard: 1,
            machines: vec![machine("m\u{1b}[2J", "leader"), gone],
            problems: vec![Finding {
                about: About::Diverged,
                who: "m2".to_owned(),
                text: "m2: gone\nall is well".to_owned(),
            }],
            warnings: Vec::new(),
            advice: vec![vec!["word"; 18].join(" ") + " `stead recover`"],
        }
    }

    #[test]
    fn people_see_tables_and_no_control_characters() {
        let want = "\
cluster 28fb4c66a6841ff7 is degraded: 1 of 2 voters answer
leader m\\u{1b}[2J, term 3, index 30, 9 keys

  name        state        ready  applied  lag  hash   uptime  version
  m\\u{1b}[2J  leader       yes    40       0    equal  2 min   0.2.0
  m2          unreachable  -      -        -    -      -       -

  name        id  clients                peers
  m\\u{1b}[2J  2a  http://127.0.0.1:4001  http://127.0.0.1:7001
  m2          -   -                      -

problems
  m2: gone\\nall is well

what to do
  word word word word word word word word word word word word word word word word word word
    `stead recover`
";
        assert_eq!(text(&report()), want);
    }

    #[test]
    fn programs_get_nulls_for_what_is_not_known() {
        let value: serde_json::Value = serde_json::from_str(&json(&report())).expect("JSON");
        assert_eq!(value["status"], "degraded");
        assert_eq!(value["machines"][0]["lagEntries"], 0);
        assert!(value["machines"][1]["lagEntries"].is_null());
    }
}
