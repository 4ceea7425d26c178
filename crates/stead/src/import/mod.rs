//! `stead import`: copies the keys of an old server from its files into a running one, or into a
//! new data directory.
//!
//! Everything is read and checked before the first write: the source, what the target has, and the
//! size of each request. Each node is created by a request of its own that fails if it exists, so
//! that the same command continues an import that was interrupted. A directory is built whole
//! before it takes its place.

mod args;
mod backup;
mod clock;
mod directory;
mod key;
mod plan;
mod report;
mod target;
mod write;

use crate::console::{FAILED, print, say};
use crate::founded::told;
use crate::source::Usage;
use args::{Directory, Order, Request, Source};
use clock::now;
use legacy::Imported;
use plan::Plan;
use report::{Index, Report};
use std::process::ExitCode;
use target::{Listing, Target};

/// Runs the command with the arguments behind `import`.
pub(crate) fn run(args: &[String]) -> Result<ExitCode, Usage> {
    match args::parse(args)? {
        Request::Help => Ok(print(args::HELP)),
        Request::Import(order) => Ok(match import(&order) {
            Ok(report) => print(&report),
            Err(error) => {
                say(&format!("stead: {error}"));
                ExitCode::from(FAILED)
            }
        }),
    }
}

fn import(order: &Order) -> Result<String, String> {
    if let Some(directory) = &order.directory {
        return found(order, directory);
    }
    let mut imported = read(order)?;
    let expired = imported.drop_expired(now());
    let mut target = Target::open(&order.to, &order.files)?;
    let listing = if order.to.is_empty() { Listing::new() } else { target.list(&order.prefix)? };
    let plan = Plan::make(&imported, &order.prefix, &listing, order.existing)?;
    let mut index = Index::Untouched;
    if !order.is_dry_run {
        index = raise_index(&mut target, imported.index)?;
        write::write(&plan, &target).map_err(|why| {
            format!("{why}. The import is incomplete: give the same command again to continue")
        })?;
    }
    let counts = plan.counts;
    let report = Report { order, imported: &imported, counts, expired, index, founded: None };
    Ok(if order.is_json { report.json() } else { report.text() })
}

/// Imports into a new data directory.
fn found(order: &Order, directory: &Directory) -> Result<String, String> {
    directory::check(order, directory)?;
    let mut imported = read(order)?;
    let founded = directory::make(&mut imported, order, directory)?;
    let report = Report {
        order,
        imported: &imported,
        counts: founded.counts,
        expired: founded.expired,
        index: Index::Untouched,
        founded: Some(&founded),
    };
    Ok(match (&founded.rebuilt, order.is_json) {
        (_, true) => report.json(),
        (None, false) => report.text(),
        (Some(rebuilt), false) => report.text() + &told(rebuilt, directory::home(directory, order)),
    })
}

fn read(order: &Order) -> Result<Imported, String> {
    let imported = match &order.source {
        Source::Snapshot(file) if backup::is_one(file) => return backup::read(file),
        Source::Dirs(dirs) => legacy::read(dirs, &order.options),
        Source::Snapshot(file) => legacy::read_file(file, &order.options),
    };
    imported.map_err(|error| error.to_string())
}

/// Lets the target's index go on above that of the source, so that an index which a client kept
/// never names a change that is yet to come.
fn raise_index(target: &mut Target, index: u64) -> Result<Index, String> {
    let body = format!("{{\"atLeast\":{index}}}");
    let answer = target.administer("PUT", "/v2/admin/index", body.as_bytes())?;
    match answer.status {
        200..300 => Ok(Index::Raised),
        404 | 405 => Ok(Index::NotSupported),
        401 => Err("the cluster has a secret: give it with --token-file".to_owned()),
        _ => Err(format!("cannot raise the target's index: {}", answer.explain())),
    }
}
