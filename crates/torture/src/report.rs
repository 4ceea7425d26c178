//! What a run did and found, for those who read its output.

use crate::fault;
use crate::judge::Sums;
use crate::lab::Lab;
use crate::record::Shared;
use crate::rights;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// What a run did.
pub(crate) struct Report {
    pub(crate) sums: Sums,
    pub(crate) windows: u64,
    /// How often each fault was made, and the slowest recovery from it.
    pub(crate) faults: BTreeMap<&'static str, (u64, Duration)>,
    /// Recoveries that took too long while the machine itself stalled.
    pub(crate) not_judged: u64,
    pub(crate) violations: Vec<String>,
    pub(crate) began: Instant,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            sums: Sums::default(),
            windows: 0,
            faults: fault::ALL.iter().map(|(_, name)| (*name, (0, Duration::ZERO))).collect(),
            not_judged: 0,
            violations: Vec::new(),
            began: Instant::now(),
        }
    }

    /// Takes note of a window, and tells of it.
    pub(crate) fn judged(&mut self, number: u64, sums: Sums, is_right: bool) {
        self.sums.add(sums);
        let users = match sums.changes {
            0 => String::new(),
            changes => format!(", {changes} changes of users, {} without a right", sums.missed),
        };
        println!(
            "{:>7.1} s  window {number}: {} operations, {} events, {} locks{users}: {}",
            self.began.elapsed().as_secs_f64(),
            sums.operations,
            sums.events,
            sums.locks,
            if is_right { "right" } else { "WRONG" }
        );
    }

    /// Writes down everything that is known of a violation.
    pub(crate) fn keep(&self, lab: &mut Lab, shared: &Shared) {
        lab.keep();
        let window = shared.window();
        let mut text = self.violations.join("\n") + "\n\noperations\n";
        // Writing to a text does not fail.
        for (id, op) in window.history.iter() {
            let _ = writeln!(text, "{id} {op:?}");
        }
        text += "\nchanges\n";
        for (index, change, at) in window.changes.iter() {
            let _ = writeln!(text, "{index} at {at}: {change:?}");
        }
        text += "\nlocks\n";
        for (id, op) in window.locks.iter() {
            let _ = writeln!(text, "{id} {op:?}");
        }
        text += "\nwatchers\n";
        for told in &window.watchers {
            let _ = writeln!(text, "{told:?}");
        }
        text += &rights::print(&window);
        let path = lab.dir().join("histories");
        if let Err(error) = std::fs::write(&path, text) {
            eprintln!("torture: {}: {error}", path.display());
        }
        println!("torture: histories, logs and data are in {}", lab.dir().display());
    }

    pub(crate) fn print(&self, was_stopped: bool) {
        let sums = &self.sums;
        println!("\nfault, times, slowest recovery");
        for (name, (count, slowest)) in &self.faults {
            println!("  {name:<18} {count:>5}  {slowest:>8.1?}");
        }
        let slowest = self.faults.values().map(|(_, slowest)| *slowest).max().unwrap_or_default();
        let faults: u64 = self.faults.values().map(|(count, _)| count).sum();
        println!(
            "{} operations in {} windows and {:.0} s: {} answered, {} refused by the key space, {} \
             not done, {} unknown",
            sums.operations,
            self.windows,
            self.began.elapsed().as_secs_f64(),
            sums.acknowledged,
            sums.refused,
            sums.not_done,
            sums.unknown
        );
        println!(
            "{} events, {} locks of the module, {} registers undecided, {} histories cleared",
            sums.events, sums.locks, sums.undecided, sums.cleared
        );
        let (changes, missed) = (sums.changes, sums.missed);
        println!("{changes} changes of users, {missed} requests refused for lack of rights");
        let not_judged = self.not_judged;
        println!("{faults} faults, slowest recovery {slowest:.1?}, {not_judged} not judged");
        for text in &self.violations {
            println!("VIOLATION: {text}");
        }
        let end = if was_stopped { ", stopped by a signal" } else { "" };
        println!("torture: {} violations{end}", self.violations.len());
    }
}
