//! Tells the log what changes in the cluster as this member sees it: who leads, who can be reached,
//! who is a member, and how its disk and its clock are.
//!
//! It looks once a round whether the leader changed, and ten times a second at the rest. Nothing is
//! allocated while nothing changes.

use super::context::{Context, reaches};
use super::incidents::leading::{self, Leader};
use super::incidents::{reach, table};
use super::vitals;
use crate::api::health;
use crate::config::Dashboard;
use crate::http::time::rfc3339;
use crate::notice::notice;
use crate::text::{printable, span, span_of};
use replica::{Member, MemberId, Network, Removal, Role, Status, Term};
use std::time::Duration;

/// The time between two looks at all but the leader: 100 ms.
const LOOK_NS: u64 = 100_000_000;

/// How long a leader is known until the membership that a start replays counts as told: 1 s.
const SETTLE_NS: u64 = 1_000_000_000;

/// A longer sync is told: 500 ms. Clients wait for it, and at a leader everybody's do.
const SLOW_SYNC: Duration = Duration::from_millis(500);

/// Looks at everything that is due.
pub(super) fn look(cx: &mut Context) {
    let status = cx.driver.status();
    let leader =
        Leader { is_self: status.role == Role::Leader, id: status.leader, term: status.term };
    let now = cx.now.monotonic;
    vitals::note(cx);
    let is_due = now.saturating_sub(cx.incidents.looked_at) >= LOOK_NS;
    if is_due || !cx.incidents.leading.is_same(leader) {
        look_at_leader(cx, leader, now);
    }
    if !cx.incidents.has_told_ready && leader.id.is_some() {
        look_at_readiness(cx);
    }
    if is_due {
        cx.incidents.looked_at = now;
        look_at_members(cx, &status);
        look_at_table(cx, &status);
        look_at_disk(cx, &status);
        look_at_snapshots(cx);
        look_at_clock(cx);
        cx.pulse.tell(|| in_a_line(cx));
    }
}

/// Tells once that this member serves, and where.
fn look_at_readiness(cx: &mut Context) {
    if health::why_not(cx).is_some() {
        return;
    }
    cx.incidents.has_told_ready = true;
    cx.pulse.tell(|| in_a_line(cx));
    let at = &cx.config.client_url;
    match cx.config.dashboard {
        Dashboard::Off => notice!(Ready, "", "clients: {at}"),
        _ => notice!(Ready, "", "clients: {at}, dashboard: {at}/mod/dashboard/"),
    }
}

/// Whether this member serves, and what it does, in one line for people.
fn in_a_line(cx: &Context) -> (bool, String) {
    if let Some(why) = health::why_not(cx) {
        return (false, format!("not ready: {why}"));
    }
    let (status, index) = (cx.driver.status(), cx.index());
    let members = match cx.driver.membership().members().count() {
        1 => "1 member".to_owned(),
        count => format!("{count} members"),
    };
    let what = match status.leader {
        Some(id) if id != status.id => format!("follows {}", printable(&cx.name_of(id))),
        _ => format!("leads in term {}", status.term.0),
    };
    (true, format!("{what}, {members}, index {index}"))
}

fn look_at_leader(cx: &mut Context, leader: Leader, now: u64) {
    for news in cx.incidents.leading.look(leader, now).into_iter().flatten() {
        match news {
            leading::News::Lost { term } => {
                let why = why_lost(cx, leader, term);
                notice!(LeaderLost, "", "of term {}, since {why}", term.0);
            }
            leading::News::Found { without_ns, before } => {
                let tail = found_after(cx, without_ns, before);
                let term = leader.term.0;
                match leader.id.filter(|_| !leader.is_self) {
                    None => notice!(LeaderSelf, "", "of term {term}{tail}"),
                    Some(id) => {
                        let name = cx.name_of(id);
                        notice!(LeaderNew, &name, "{name} in term {term}{tail}");
                    }
                }
            }
            leading::News::Missing { without_ns, before } => {
                let last = led_before(cx, before);
                let since = span(without_ns);
                let gone = cx.who_is_unreachable();
                notice!(
                    LeaderNone,
                    "",
                    "for {since}{last}: writes wait, and fail after the request time-out{gone}"
                );
            }
        }
    }
}

fn led_before(cx: &Context, before: Option<(MemberId, Term)>) -> String {
    let Some((id, term)) = before else { return String::new() };
    format!(" ({} led in term {})", cx.name_of(id), term.0)
}

fn found_after(cx: &Context, without_ns: u64, before: Option<(MemberId, Term)>) -> String {
    let last = led_before(cx, before);
    match without_ns {
        0 => last,
        _ => format!(", after {} without a leader{last}", span(without_ns)),
    }
}

/// Why this member does not lead any more.
fn why_lost(cx: &Context, leader: Leader, term: Term) -> String {
    let handed_to = cx.hand_over.of_term(term).filter(|_| !cx.incidents.is_stopping);
    if let Some(id) = handed_to {
        return format!("an administrator had it handed over to {}", cx.name_of(id));
    }
    let own = if cx.incidents.is_stopping {
        "this machine stops, and handed it over"
    } else if cx.driver.has_diverged() {
        "its state differs from that of the majority, so it handed it over"
    } else if cx.driver.status().is_disk_full {
        "its disk is full, so it handed it over"
    } else if cx
        .driver
        .syncing_ns()
        .is_some_and(|ns| ns > 1_000_000 * cx.config.election_timeout_ms)
    {
        "a sync of its disk hangs, so it handed it over"
    } else {
        ""
    };
    match leader.id {
        _ if !own.is_empty() => own.to_owned(),
        Some(id) => format!("{} leads in term {}", cx.name_of(id), leader.term.0),
        None if leader.term > term => {
            format!("another member called an election for term {}", leader.term.0)
        }
        None => {
            let gone = cx.who_is_unreachable();
            format!("no majority answered within the election time-out{gone}")
        }
    }
}

/// Where a member is, and why it is not reached.
fn place_of(cx: &Context, id: MemberId) -> String {
    let at = cx.driver.membership().member(id).map(|member| member.peer_url.as_str());
    let at = printable(at.and_then(|url| url.split("://").last()).unwrap_or("an unknown address"));
    let network = cx.driver.network();
    let why = match network.why_down(id) {
        _ if network.can_send(id) => "connected, but silent",
        "" => "not connected",
        why => why,
    };
    format!("{} at {at} ({})", cx.name_of(id), printable(why))
}

fn look_at_members(cx: &mut Context, status: &Status) {
    let now = cx.now.monotonic;
    let mut news = Vec::new();
    let Context { driver, incidents, .. } = cx;
    let driver = &*driver;
    // Those who vote from the very beginning may not have announced themselves yet.
    let members = driver.membership().members().map(|member| member.id);
    let unknown = driver.voters().filter(|id| driver.membership().member(*id).is_none());
    let others = members.chain(unknown).filter(|id| *id != status.id);
    let seen = others.map(|id| reach::Seen {
        id,
        is_up: reaches(driver, id),
        is_voter: driver.is_voter(id),
    });
    incidents.reach.look(seen, status.is_voter, now, &mut |one| news.push(one));
    for one in news {
        match one {
            reach::News::Down { id, ns } => {
                let (name, place) = (cx.name_of(id), place_of(cx, id));
                notice!(PeerUnreachable, &name, "{place}, for {}", span(ns));
            }
            reach::News::Up { id, ns } => {
                let name = cx.name_of(id);
                notice!(PeerBack, &name, "{name}, after {}", span(ns));
            }
            reach::News::MajorityLost => tell_majority_lost(cx, status),
            reach::News::MajorityGone => {
                let gone = cx.majority_gone().unwrap_or_default();
                notice!(MajorityGone, "", "{gone}{}", cx.who_is_unreachable());
            }
            reach::News::MajorityBack { ns } => notice!(MajorityBack, "", "after {}", span(ns)),
        }
    }
}

fn tell_majority_lost(cx: &Context, status: &Status) {
    let voters: Vec<MemberId> = cx.driver.voters().collect();
    let is_missing = |id: &&MemberId| **id != status.id && !cx.reaches(**id);
    let missing: Vec<String> =
        voters.iter().filter(is_missing).map(|id| place_of(cx, *id)).collect();
    notice!(
        MajorityLost,
        "",
        "this machine reaches {} of {} voters, itself included; missing: {}. Writes and quorum \
         reads fail until a majority is back",
        voters.len() - missing.len(),
        voters.len(),
        missing.join(", ")
    );
}

/// Whether what is in the table from here on has happened since this machine started.
fn is_settled(cx: &Context, status: &Status) -> bool {
    let is_up_to_date =
        status.is_voter && status.leader.is_some() && status.applied == status.commit;
    let up_for = cx.now.monotonic.saturating_sub(cx.leader_since.monotonic);
    let is_alone = cx.driver.membership().members().count() < 2 && status.role == Role::Leader;
    is_up_to_date && (is_alone || up_for >= SETTLE_NS)
}

fn look_at_table(cx: &mut Context, status: &Status) {
    let Context { driver, incidents, .. } = cx;
    let driver = &*driver;
    let members = || {
        let members = driver.membership().members();
        members.map(|member| (member, driver.is_voter(member.id)))
    };
    let was_settled = incidents.is_settled;
    let is_same = incidents.table.is_same(members());
    if is_same && was_settled {
        return;
    }
    let news = if is_same { Vec::new() } else { incidents.table.take(members()) };
    let is_known = |id| driver.membership().member(id).is_some() || driver.is_voter(id);
    incidents.reach.retain(is_known);
    cx.incidents.is_settled |= is_settled(cx, status);
    for one in news {
        let is_own_promotion = matches!(&one, table::News::Promoted(it) if it.id == status.id);
        if was_settled || is_own_promotion {
            tell_member(cx, status.id, one);
        }
    }
}

fn tell_member(cx: &Context, own: MemberId, news: table::News) {
    let at = |member: &Member| {
        let Member { id, peer_url, .. } = member;
        let mut clients = member.v04_urls();
        clients.extend(member.v2_urls());
        clients.dedup();
        let clients = clients.join(" ");
        format!("(id {id}, peers {}, clients {})", printable(peer_url), printable(&clients))
    };
    match news {
        table::News::Joined { member, .. } if member.id == own => {}
        table::News::Joined { member, is_voter } => {
            let (name, at) = (printable(&member.name), at(&member));
            let part = if is_voter { "a voter" } else { "a learner until it has caught up" };
            notice!(MemberJoined, &name, "{name} {at}, {part}");
        }
        table::News::Promoted(member) => {
            let name = printable(&member.name);
            notice!(MemberPromoted, &name, "{name} has caught up, and votes from now on");
        }
        table::News::Removed(member) => {
            let (name, at) = (printable(&member.name), at(&member));
            let how = match cx.driver.membership().removal(member.id) {
                Some(Removal::Final) => "through /v2/members: it stays out until it is restarted",
                _ => "it may ask for a place again",
            };
            notice!(MemberRemoved, &name, "{name} {at}; {how}");
        }
        table::News::Moved { member, before } => {
            let name = printable(&member.name);
            notice!(MemberMoved, &name, "{name} from {} to {}", at(&before), at(&member));
        }
    }
}

fn look_at_disk(cx: &mut Context, status: &Status) {
    let now = cx.now.monotonic;
    let place = cx.config.data_dir.display();
    match (cx.incidents.full_since, status.is_disk_full) {
        (None, true) => {
            cx.incidents.full_since = Some(now);
            notice!(
                DiskFull,
                "",
                "no room in {place}: writes through this machine are refused and reads go on \
                 until there is some"
            );
        }
        (Some(since), false) => {
            cx.incidents.full_since = None;
            let after = span(now.saturating_sub(since));
            notice!(DiskRoom, "", "in {place}, after {after}: writes are taken again");
        }
        _ => {}
    }
    let hangs = cx.driver.syncing_ns().map(Duration::from_nanos).filter(|time| *time > SLOW_SYNC);
    match hangs {
        Some(time) if !cx.incidents.has_told_sync => {
            cx.incidents.has_told_sync = true;
            let time = span_of(time);
            notice!(SyncSlow, "under way", "one in {place} has taken {time} and is not done");
        }
        None => cx.incidents.has_told_sync = false,
        Some(_) => {}
    }
}

/// A sync is done.
pub(super) fn note_sync(cx: &mut Context, took: Duration) {
    if took >= SLOW_SYNC {
        let place = cx.config.data_dir.display();
        let time = span_of(took);
        notice!(
            SyncSlow,
            "",
            "one in {place} took {time}: writes waited for it. Is the disk busy?"
        );
        cx.incidents.is_round_told = true;
    }
}

fn look_at_snapshots(cx: &mut Context) {
    for sent in cx.driver.take_snapshots_sent() {
        let (name, index) = (cx.name_of(sent.to), sent.index.0);
        let (bytes, took) = (crate::text::size(sent.bytes), span(sent.took_ns));
        if sent.is_whole {
            notice!(SnapshotSent, &name, "to {name}: {bytes} up to entry {index}, in {took}");
        } else {
            notice!(
                SnapshotUnsent,
                &name,
                "to {name}: it has not taken all of {bytes} up to entry {index} within {took}; it \
                 is tried again while it lags and this machine leads"
            );
        }
    }
}

fn look_at_clock(cx: &mut Context) {
    if let Some(step) = cx.incidents.clock_step(cx.now) {
        let way = if step > 0 { "forward" } else { "back" };
        let by = span(u64::try_from(step.unsigned_abs()).unwrap_or(u64::MAX));
        let time = rfc3339(cx.now.wall);
        notice!(
            ClockJumped,
            "",
            "{way} by {by}, to {time}: keys expire as they would have, and `expiration` follows"
        );
    }
}
