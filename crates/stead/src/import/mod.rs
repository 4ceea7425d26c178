//! `stead import`: copies the keys and users of an old server, from its files or while it runs,
//! into a running one, or from its files into a new data directory.
//!
//! Everything is read and checked before the first write: the source, what the target has, and the
//! size of each request. Each node is created by a request of its own that fails if it exists, so
//! that the same command continues an import that was interrupted. A directory is built whole
//! before it takes its place.

mod answer;
pub(crate) mod args;
mod backup;
mod bounds;
mod clock;
mod directory;
mod key;
mod live;
mod plan;
mod report;
mod target;
mod ticks;
mod tree;
mod users;
mod write;

use crate::console::{FAILED, print, say};
use crate::founded::told;
use crate::source::Usage;
use args::{Directory, Order, Request, Source};
use clock::now;
use legacy::Imported;
use plan::Plan;
use report::{Index, Report};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use target::{Listing, Target};
use users::found::Accounts;
use users::plan::Plan as Users;

/// Runs the command with the arguments behind `import`.
pub(crate) fn run(args: &[String]) -> Result<ExitCode, Usage> {
    match args::parse(args)? {
        Request::Help => Ok(print(args::HELP)),
        Request::Import(order) => Ok(conclude(match &order.source {
            Source::Live(live) => live::import(&order, live),
            Source::Dirs(dirs) => of_files(&order, || read_dirs(dirs, &order.options)),
            Source::Snapshot(file) => of_files(&order, || read_snapshot(file, &order.options)),
        })),
    }
}

/// Prints the report, and whether it is good, or why there is none.
fn conclude(outcome: Result<(String, bool), String>) -> ExitCode {
    match outcome {
        Ok((report, true)) => print(&report),
        Ok((report, false)) => {
            print(&report);
            ExitCode::from(FAILED)
        }
        Err(error) => {
            say(&format!("stead: {error}"));
            ExitCode::from(FAILED)
        }
    }
}

/// Imports from files; `read` reads them. Gives the report, which is good.
fn of_files(
    order: &Order,
    read: impl FnOnce() -> Result<Imported, String>,
) -> Result<(String, bool), String> {
    let report = match &order.directory {
        Some(directory) => found(order, directory, read),
        None => copy(order, read),
    };
    report.map(|report| (report, true))
}

/// Imports into a running server.
fn copy(order: &Order, read: impl FnOnce() -> Result<Imported, String>) -> Result<String, String> {
    let mut imported = read()?;
    let expired = imported.drop_expired(now());
    let mut target = Target::open(&order.to, &order.files)?;
    let listing = if order.to.is_empty() { Listing::new() } else { target.list(&order.prefix)? };
    let plan = Plan::make(&imported, &order.prefix, &listing, order.existing)?;
    let accounts = imported.auth.take().map(|auth| Accounts::of(auth, &order.prefix));
    let accounts = accounts.unwrap_or_default();
    let users = match order.to.is_empty() {
        true => Users::alone(accounts),
        false => Users::make(accounts, &mut target, order.existing)?,
    };
    let mut index = Index::Untouched;
    if !order.is_dry_run {
        index = Index::asked(target.raise_index(imported.index)?);
        let written = write::write(&plan, &target).and_then(|()| users.write(&mut target));
        written.map_err(|why| {
            format!("{why}. The import is incomplete: give the same command again to continue")
        })?;
    }
    let counts = plan.counts;
    let users = &users;
    let report =
        Report { order, imported: &imported, counts, expired, index, users, founded: None };
    Ok(if order.is_json { report.json() } else { report.text() })
}

/// Imports into a new data directory.
fn found(
    order: &Order,
    directory: &Directory,
    read: impl FnOnce() -> Result<Imported, String>,
) -> Result<String, String> {
    directory::check(order, directory)?;
    let mut imported = read()?;
    let accounts = imported.auth.take().map(|auth| Accounts::of(auth, &order.prefix));
    let accounts = accounts.unwrap_or_default();
    let founded = directory::make(&mut imported, &accounts, order, directory)?;
    let report = Report {
        order,
        imported: &imported,
        counts: founded.counts,
        expired: founded.expired,
        index: Index::Untouched,
        users: &Users::alone(accounts),
        founded: Some(&founded),
    };
    Ok(match (&founded.rebuilt, order.is_json) {
        (_, true) => report.json(),
        (None, false) => report.text(),
        (Some(rebuilt), false) => report.text() + &told(rebuilt, directory::home(directory, order)),
    })
}

fn read_dirs(dirs: &[PathBuf], options: &legacy::Options) -> Result<Imported, String> {
    legacy::read(dirs, options).map_err(|error| error.to_string())
}

fn read_snapshot(file: &Path, options: &legacy::Options) -> Result<Imported, String> {
    if backup::is_one(file) {
        return backup::read(file, options.with_auth);
    }
    legacy::read_file(file, options).map_err(|error| error.to_string())
}
