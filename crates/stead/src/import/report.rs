//! What `stead import` says at its end.

use super::args::Order;
use super::directory::Founded;
use super::plan::Counts;
use super::users::plan::Plan as Users;
use legacy::{Extent, Imported, Warning};
use serde_json::json;
use std::fmt::Write as _;

/// Whether the target's index is greater than that of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Index {
    /// Nothing was written.
    Untouched,
    Raised,
    /// The server does not know how.
    NotSupported,
}

/// What was done, or would be.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) order: &'a Order,
    pub(super) imported: &'a Imported,
    pub(super) counts: Counts,
    /// Nodes that were dropped since they have expired.
    pub(super) expired: u64,
    pub(super) index: Index,
    pub(super) users: &'a Users,
    /// The data directory, if that is the target.
    pub(super) founded: Option<&'a Founded>,
}

impl Index {
    /// After the target was asked for it.
    pub(super) fn asked(is_raised: bool) -> Self {
        if is_raised { Self::Raised } else { Self::NotSupported }
    }
}

impl Report<'_> {
    /// What was not taken and why.
    fn skipped(&self) -> Vec<(String, u64)> {
        let skipped = self.imported.skipped.iter();
        let mut all: Vec<(String, u64)> =
            skipped.map(|skipped| (skipped.reason.to_string(), skipped.count)).collect();
        if self.counts.reserved > 0 {
            let why = "nodes where the target keeps data of its own".to_owned();
            all.push((why, self.counts.reserved));
        }
        all
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> =
            self.imported.warnings.iter().map(Warning::to_string).collect();
        if self.index == Index::NotSupported {
            warnings.push(format!(
                "the target cannot raise its index: its indexes may be smaller than those of the \
                 source ({}), so that clients that kept an index miss changes or wait in vain",
                self.imported.index
            ));
        }
        warnings.extend(self.founded.iter().flat_map(|founded| founded.warnings.clone()));
        warnings
    }

    /// What is written to: URLs, or a directory.
    fn target(&self) -> Vec<String> {
        match &self.order.directory {
            Some(directory) => vec![directory.path.display().to_string()],
            None => self.order.to.clone(),
        }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let (source, counts) = (&self.imported.source, self.counts);
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = write!(out, "source   {}: {}", source.path.display(), source.family);
        if let Some(version) = &source.cluster_version {
            let _ = write!(out, ", cluster version {version}");
        }
        if !source.members.is_empty() {
            let _ = write!(out, ", members {}", source.members.join(", "));
        }
        let (term, last) = source.last;
        let _ = write!(out, "\n         {}; ", source.extent);
        if source.extent != Extent::Snapshot {
            let _ = write!(out, "it ends at term {term}, index {last}, ");
            let _ = write!(out, "and was applied up to {}; ", source.applied);
        }
        let _ = writeln!(out, "store index {}", self.imported.index);
        if let Some((file, index)) = &source.snapshot {
            let _ = writeln!(out, "         snapshot {} (raft index {index})", file.display());
        }
        let (word, to) = match self.order.is_dry_run {
            true => ("would be", String::new()),
            false => ("were", format!(" into {}", self.target().join(", "))),
        };
        let _ = writeln!(
            out,
            "keys     files: {}, bytes: {}, directories: {}; these {word} imported{to}",
            counts.files, counts.bytes, counts.dirs
        );
        if counts.present > 0 {
            let _ = writeln!(out, "         there before: {}", counts.present);
        }
        if let Some(founded) = self.founded {
            let _ = writeln!(out, "index    {}", indexes(founded));
        }
        out.push_str(&self.users.text(self.order));
        if self.expired > 0 {
            let _ = writeln!(out, "dropped  expired keys and directories: {}", self.expired);
        }
        for (why, count) in self.skipped() {
            let _ = writeln!(out, "skipped  {why}: {count}");
        }
        for warning in self.warnings() {
            let _ = writeln!(out, "warning  {warning}");
        }
        out
    }

    /// For programs.
    pub(super) fn json(&self) -> String {
        let (source, counts) = (&self.imported.source, self.counts);
        let skipped = self.skipped().into_iter();
        let skipped: Vec<_> =
            skipped.map(|(why, count)| json!({"reason": why, "count": count})).collect();
        let snapshot = source.snapshot.as_ref();
        let snapshot = snapshot
            .map(|(file, index)| json!({"file": file.display().to_string(), "index": index}));
        let directory = self.founded.map(|founded| {
            let rebuilt = founded.rebuilt.as_ref();
            let aside = rebuilt.and_then(|rebuilt| rebuilt.set_aside.as_ref());
            json!({
                "cluster": rebuilt.map(|rebuilt| format!("{:x}", rebuilt.cluster)),
                "goesOnAbove": founded.next_from,
                "indexMargin": founded.margin.unwrap_or(0),
                "eventsFrom": founded.events_from,
                "oldFiles": aside.map(|path| path.display().to_string()),
            })
        });
        let report = json!({
            "source": {
                "path": source.path.display().to_string(),
                "family": source.family.to_string(),
                "clusterVersion": source.cluster_version,
                "clusterId": source.cluster_id.map(|id| format!("{id:x}")),
                "members": source.members,
                "snapshot": snapshot,
                "lastTerm": source.last.0,
                "lastIndex": source.last.1,
                "applied": source.applied,
                "extent": source.extent.to_string(),
                "storeIndex": self.imported.index,
            },
            "target": self.target(),
            "dryRun": self.order.is_dry_run,
            "files": counts.files,
            "directories": counts.dirs,
            "bytes": counts.bytes,
            "present": counts.present,
            "expired": self.expired,
            "indexRaised": self.index == Index::Raised,
            "directory": directory,
            "users": self.users.json(self.order),
            "skipped": skipped,
            "warnings": self.warnings(),
        });
        format!("{report}\n")
    }
}

/// What became of the indexes in a new data directory.
fn indexes(founded: &Founded) -> String {
    let above = founded.next_from;
    match founded.margin {
        None => match founded.events_from {
            Some(from) => format!("kept, and past events from {from} on; it goes on above {above}"),
            None => format!("kept, but no past events; it goes on above {above}"),
        },
        Some(margin) => format!(
            "those of the keys are kept; {margin} are passed over, since the source may lack the \
             last writes: it goes on above {above}, and past events are forgotten"
        ),
    }
}
