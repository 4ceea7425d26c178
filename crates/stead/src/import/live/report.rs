//! What a live import says at its end.

use super::follow::Followed;
use super::hidden::Hidden;
use super::read::Copy;
use super::reader::{Kind, Reader};
use super::verify::Verdict;
use crate::import::args::Order;
use crate::import::plan::Counts;
use crate::import::report::Index;
use crate::import::users::plan::Plan as Users;
use legacy::{Skipped, Warning};
use serde_json::json;
use std::fmt::Write as _;
use std::time::Instant;

/// What was done, or would be.
#[derive(Debug)]
pub(super) struct Report<'a> {
    order: &'a Order,
    base: String,
    version: String,
    kind: Kind,
    begun: Instant,
    /// How long all of it took, but for following.
    seconds: f64,
    pub(super) counts: Counts,
    expired: u64,
    pub(super) index: Index,
    source_index: u64,
    pub(super) users: Users,
    hidden: Vec<String>,
    skipped: Vec<(String, u64)>,
    warnings: Vec<String>,
    pub(super) followed: Option<Followed>,
    pub(super) verdict: Option<Verdict>,
}

impl<'a> Report<'a> {
    pub(super) fn new(order: &'a Order, source: &Reader, begun: Instant, expired: u64) -> Self {
        Self {
            order,
            base: source.base().to_owned(),
            version: source.version.clone(),
            kind: source.kind,
            begun,
            seconds: 0.0,
            counts: Counts::default(),
            expired,
            index: Index::Untouched,
            source_index: 0,
            users: Users::default(),
            hidden: Vec::new(),
            skipped: Vec::new(),
            warnings: Vec::new(),
            followed: None,
            verdict: None,
        }
    }

    /// Fills in what is known at the end.
    pub(super) fn finish(&mut self, copy: &Copy, hidden: &Hidden) {
        let imported = &copy.imported;
        let followed = self.followed.as_ref().map_or(0, |followed| followed.seconds);
        self.seconds = (self.begun.elapsed().as_secs_f64() - followed as f64).max(0.0);
        self.source_index = imported.index;
        self.hidden = hidden.iter().map(str::to_owned).collect();
        let told = |skipped: &Skipped| (skipped.reason.to_string(), skipped.count);
        self.skipped = imported.skipped.iter().map(told).collect();
        if self.counts.reserved > 0 {
            let why = "nodes where the target keeps data of its own".to_owned();
            self.skipped.push((why, self.counts.reserved));
        }
        self.warnings = imported.warnings.iter().map(Warning::to_string).collect();
        if hidden.has_more {
            self.warnings.push(format!(
                "there are more hidden keys than the {} that are looked at",
                self.hidden.len()
            ));
        }
        if self.index == Index::NotSupported {
            self.warnings.push(format!(
                "the target cannot raise its index: its indexes may be smaller than those of the \
                 source ({}), so that clients that kept an index miss changes or wait in vain",
                self.source_index
            ));
        }
    }

    /// Whether nothing is missing, as far as is known.
    pub(super) fn is_good(&self) -> bool {
        let followed = self.followed.as_ref();
        let verdict = self.verdict.as_ref();
        followed.is_none_or(|it| it.refused == 0 && it.incomplete.is_none())
            && verdict.is_none_or(|it| it.differences == 0)
    }

    /// What is said of hidden keys.
    fn hidden_note(&self) -> String {
        if self.kind == Kind::Stead {
            return "all are listed".to_owned();
        }
        format!(
            "looked at {}; others may exist: no etcd lists them. Name them with --hidden",
            self.hidden.join(", ")
        )
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let (mut out, counts) = (String::new(), self.counts);
        // Writing to a string does not fail.
        let _ =
            writeln!(out, "source   {}: {}; index {}", self.base, self.version, self.source_index);
        let (word, to) = match (self.order.is_dry_run, self.order.is_verify()) {
            (true, true) => ("there; nothing was written", String::new()),
            (true, false) => ("these would be imported", String::new()),
            (false, _) => ("these were imported", format!(" into {}", self.order.to.join(", "))),
        };
        let _ = writeln!(
            out,
            "keys     files: {}, bytes: {}, directories: {}; {word}{to} in {:.1} s",
            counts.files, counts.bytes, counts.dirs, self.seconds
        );
        if counts.present > 0 {
            let _ = writeln!(out, "         there before: {}", counts.present);
        }
        let _ = writeln!(out, "hidden   {}", self.hidden_note());
        out.push_str(&self.users.text(self.order));
        if self.expired > 0 {
            let _ = writeln!(out, "dropped  expired keys and directories: {}", self.expired);
        }
        for (why, count) in &self.skipped {
            let _ = writeln!(out, "skipped  {why}: {count}");
        }
        for warning in &self.warnings {
            let _ = writeln!(out, "warning  {warning}");
        }
        self.followed.iter().for_each(|followed| tell_followed(&mut out, followed));
        self.verdict.iter().for_each(|verdict| tell_verdict(&mut out, verdict));
        out
    }

    /// For programs.
    pub(super) fn json(&self) -> String {
        let counts = self.counts;
        let skipped = self.skipped.iter();
        let skipped: Vec<_> =
            skipped.map(|(why, count)| json!({"reason": why, "count": count})).collect();
        let followed = self.followed.as_ref().map(|followed| {
            json!({
                "changes": followed.changes,
                "seconds": followed.seconds,
                "comparedAgain": followed.cleared,
                "foundAtTheEnd": followed.found_last,
                "refused": followed.refused,
                "refusals": followed.named,
                "incomplete": followed.incomplete,
            })
        });
        let verdict = self.verdict.as_ref().map(|verdict| {
            json!({
                "compared": verdict.compared,
                "differences": verdict.differences,
                "first": verdict.named,
                "others": verdict.others,
                "firstOther": verdict.first_other,
            })
        });
        let report = json!({
            "source": {
                "url": self.base, "version": self.version, "storeIndex": self.source_index,
            },
            "target": self.order.to,
            "dryRun": self.order.is_dry_run,
            "seconds": self.seconds,
            "files": counts.files,
            "directories": counts.dirs,
            "bytes": counts.bytes,
            "present": counts.present,
            "expired": self.expired,
            "indexRaised": self.index == Index::Raised,
            "hidden": {"lookedAt": self.hidden, "note": self.hidden_note()},
            "users": self.users.json(self.order),
            "skipped": skipped,
            "warnings": self.warnings,
            "followed": followed,
            "verified": verdict,
        });
        format!("{report}\n")
    }
}

fn tell_followed(out: &mut String, followed: &Followed) {
    let _ = writeln!(
        out,
        "followed {} changes in {} s; the last comparison found {} more",
        followed.changes, followed.seconds, followed.found_last
    );
    if followed.cleared > 0 {
        let _ = writeln!(
            out,
            "         compared again since the source had forgotten events: {} times",
            followed.cleared
        );
    }
    if followed.refused > 0 {
        let _ = writeln!(out, "REFUSED  changes that were not made: {}", followed.refused);
        followed.named.iter().for_each(|why| _ = writeln!(out, "         {why}"));
    }
    if let Some(why) = &followed.incomplete {
        let _ = writeln!(out, "MISSING  {why}");
    }
}

fn tell_verdict(out: &mut String, verdict: &Verdict) {
    let others = match &verdict.first_other {
        None => String::new(),
        Some(first) => format!("; the target has {} others, such as {first}", verdict.others),
    };
    if verdict.differences == 0 {
        let _ = writeln!(out, "equal    {} nodes on both sides{others}", verdict.compared);
        return;
    }
    let (differences, compared) = (verdict.differences, verdict.compared);
    let _ = writeln!(out, "DIFFERS  {differences} of {compared} nodes{others}");
    verdict.named.iter().for_each(|what| _ = writeln!(out, "         {what}"));
}
