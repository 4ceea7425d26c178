//! `stead import --from`: copies the keys of a running server.
//!
//! The source is read completely, within bounds, before the first write, and planned and written as
//! the files of an old server are. Then both sides can be compared (`verify`), and the changes of
//! the source be carried over until clients have moved (`follow`).
//!
//! ```text
//! reader   calls, within bounds         event    what a watch tells
//! hidden   keys that no listing shows   read     all of it together
//! ```

mod change;
mod event;
mod follow;
mod hidden;
mod read;
mod reader;
mod report;
mod touch;
mod verify;

use super::args::{Existing, Live, Order};
use super::clock::now;
use super::plan::{Counts, Plan};
use super::report::Index;
use super::target::{Listing, Target};
use super::users::found::Accounts;
use super::users::plan::Plan as Users;
use super::users::there;
use super::write;
use crate::console::say;
use follow::{Ends, Followed, INDEX_MARGIN};
use hidden::Hidden;
use read::Copy;
use reader::{Kind, Reader, SMALL};
use report::Report;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use verify::{Nodes, Sides};

/// The side that is written to, if one was named.
#[derive(Debug)]
struct Taker {
    target: Target,
    /// The same, to be read.
    reader: Reader,
}

/// Imports. Gives the report, and whether all is well.
///
/// # Errors
/// Why it stopped, in a sentence.
pub(super) fn import(order: &Order, live: &Live) -> Result<(String, bool), String> {
    let clock = Instant::now();
    // A signal that comes during the copy ends what follows it.
    let stop = live.follow.then(server::stop_flag).transpose();
    let stop = stop.map_err(|error| format!("cannot take signals: {error}"))?;
    let user = ("--source-user-file", live.user.as_deref());
    let mut source = Reader::open(&live.urls, &live.files, user)?;
    let mut taker = open_taker(order)?;
    if let Some(taker) = &mut taker {
        check_apart(&mut source, &mut taker.reader)?;
    }
    let mut hidden = hidden::find(&mut source, &live.hidden)?;
    let begun = live.follow.then(|| follow::begin(&mut source, &hidden)).transpose()?;
    let mut copy = read::read(&mut source, &mut hidden)?;
    let expired = copy.imported.drop_expired(now());
    let mut report = Report::new(order, &source, clock, expired);
    report.users = plan_users(order, &mut source, taker.as_mut())?;
    if let Some(taker) = &mut taker {
        (report.counts, report.index) = write(order, (&copy, &report.users), taker, &mut hidden)?;
    } else {
        let plan = Plan::make(&copy.imported, &order.prefix, &Listing::new(), order.existing)?;
        report.counts = plan.counts;
    }
    if let (Some(begun), Some(stop), Some(taker)) = (begun, stop, &mut taker) {
        let floor = matches!(report.index, Index::Raised);
        let floor = floor.then_some(copy.imported.index + INDEX_MARGIN);
        let ends = Ends {
            reader: source.clone(),
            target: taker.target.clone(),
            kind: taker.reader.kind,
            prefix: order.prefix.clone(),
            hidden: hidden.clone(),
            floor,
        };
        let (followed, ends) = follow_until(&stop, ends, begun, &mut copy)?;
        (report.followed, hidden) = (Some(followed), ends.hidden);
    }
    if let (true, Some(taker)) = (live.verify, &mut taker) {
        let sides = Sides {
            source: &mut source,
            target: &mut taker.reader,
            hidden: &mut hidden,
            prefix: &order.prefix,
            others: order.existing != Existing::Refuse,
        };
        report.verdict = Some({ sides }.verify()?);
    }
    report.finish(&copy, &hidden);
    Ok((if order.is_json { report.json() } else { report.text() }, report.is_good()))
}

fn open_taker(order: &Order) -> Result<Option<Taker>, String> {
    if order.to.is_empty() {
        return Ok(None);
    }
    let target = Target::open(&order.to, &order.files)?;
    let user = ("--user-file", order.files.user.as_deref());
    let reader = Reader::open(&order.to, &order.files, user)?;
    Ok(Some(Taker { target, reader }))
}

/// Refuses to copy a cluster into itself, which would have no end.
fn check_apart(source: &mut Reader, target: &mut Reader) -> Result<(), String> {
    let (one, other) = (source.cluster()?, target.cluster()?);
    let is_same = match one.is_empty() || other.is_empty() {
        // 0.4 has no id of the cluster.
        true => source.base() == target.base(),
        false => one == other,
    };
    match is_same {
        true => Err("source and target are the same cluster: nothing was written".to_owned()),
        false => Ok(()),
    }
}

/// What becomes of users and roles. The source shows no passwords.
fn plan_users(
    order: &Order,
    source: &mut Reader,
    taker: Option<&mut Taker>,
) -> Result<Users, String> {
    if !order.with_users || source.kind == Kind::V04 {
        return Ok(Users::default());
    }
    let found = there::read(&mut |path| {
        let (answer, _) = source.get(path, SMALL)?;
        Ok((answer.status, answer.body))
    });
    let accounts = match found {
        Ok(Some(auth)) => Accounts::of(auth, &order.prefix),
        Ok(None) => return Ok(Users::default()),
        // Keys can be read by those who may not see users.
        Err(why) => return Ok(Users::unread(why)),
    };
    // Where both sides are only compared their users are not.
    let is_comparison = order.is_dry_run && order.is_verify();
    match taker.filter(|_| !is_comparison) {
        Some(taker) => Users::make(accounts, &mut taker.target, order.existing),
        None => Ok(Users::alone(accounts)),
    }
}

/// Plans and writes, unless it is a dry run.
fn write(
    order: &Order,
    (copy, users): (&Copy, &Users),
    taker: &mut Taker,
    hidden: &mut Hidden,
) -> Result<(Counts, Index), String> {
    let is_comparison = order.is_dry_run && order.is_verify();
    if is_comparison {
        let (files, dirs, bytes) = read::sums(&copy.imported.nodes);
        return Ok((Counts { files, dirs, bytes, ..Counts::default() }, Index::Untouched));
    }
    let there = verify::nodes(&mut taker.reader, hidden, &order.prefix, "")?;
    let plan = Plan::make(&copy.imported, &order.prefix, &listing_of(&there), order.existing)?;
    if order.is_dry_run {
        return Ok((plan.counts, Index::Untouched));
    }
    let is_raised = taker.target.raise_index(copy.imported.index + INDEX_MARGIN)?;
    let incomplete =
        |why| format!("{why}. The import is incomplete: give the same command again to continue");
    write::write(&plan, &taker.target).map_err(incomplete)?;
    touch::touch(&copy.imported.nodes, &order.prefix, &there, &mut taker.target)
        .map_err(incomplete)?;
    users.write(&mut taker.target).map_err(incomplete)?;
    Ok((plan.counts, Index::asked(is_raised)))
}

fn listing_of(nodes: &Nodes) -> Listing {
    nodes.iter().map(|(key, state)| (key.clone(), state.content.clone().into_value())).collect()
}

fn follow_until(
    stop: &AtomicBool,
    ends: Ends,
    begun: follow::Begun,
    copy: &mut Copy,
) -> Result<(Followed, Ends), String> {
    if ends.reader.kind == Kind::Stead {
        say("stead: hidden keys that are new at the source are noticed at the end alone");
    }
    say("stead: everything is copied; following the changes until SIGINT or SIGTERM");
    follow::follow(ends, begun, copy, stop)
}
