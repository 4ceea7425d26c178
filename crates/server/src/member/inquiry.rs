//! Whether this machine is still a member: how a claim that it was removed is verified.
//!
//! A member that turns this one away with 410 gives a hint. It makes this machine ask the other
//! voters, at the addresses that its own applied table names, and only what a majority of them says
//! is believed (`replica::Outlook` has the rule). The questions are asked by a thread with bounded
//! time-outs, one round at a time and rarely, since any process that can be dialled can give hints.

use super::context::Context;
use super::hints::{HINT_NS, Hint, HintAnswer};
use super::worker::Done;
use crate::join::{self, HttpCaller};
use crate::notice::notice;
use crate::text::printable;
use replica::{About, ClusterId, Member, MemberId, Outlook, Removal, Verdict};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long an answer may take.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// Asks one after the other until it is decided.
fn ask_all(
    caller: &HttpCaller,
    cluster: ClusterId,
    own: MemberId,
    outlook: &Outlook,
    members: &[Member],
) -> Vec<HintAnswer> {
    let mut answers = Vec::new();
    for member in members {
        let heard = join::ask_about(caller, member, cluster, own);
        let said = match &heard {
            Ok(About::Member) => "a member".to_owned(),
            Ok(About::Removed) => "removed".to_owned(),
            Ok(About::RemovedFinally) => "removed, to stay out".to_owned(),
            Ok(About::Unknown) => "unknown".to_owned(),
            Err(detail) => format!("no answer: {detail}"),
        };
        let said = format!("{} at {}: {said}", member.name, member.peer_url);
        answers.push(HintAnswer { from: member.id, about: heard.ok(), said });
        if matches!(outlook.judge(&by_voter(&answers)), Verdict::Removed { .. }) {
            break;
        }
    }
    answers
}

fn by_voter(answers: &[HintAnswer]) -> BTreeMap<MemberId, About> {
    answers.iter().filter_map(|answer| Some((answer.from, answer.about?))).collect()
}

/// Finds out whether this machine is a member still.
pub(crate) fn advance(cx: &mut Context) {
    if cx.removal.is_some() {
        return;
    }
    let status = cx.driver.status();
    if status.is_removed {
        let removal = cx.driver.membership().removal(status.id);
        notice!(RemovedSelf, "", [member = %status.id,], "its own log says so");
        cx.removal = Some(removal.unwrap_or(Removal::Plain));
        return;
    }
    if let Some(hint) = cx.inquiry.due(cx.now.monotonic) {
        follow(cx, hint);
    }
}

fn follow(cx: &mut Context, hint: Hint) {
    let now = cx.now.monotonic;
    let outlook = cx.driver.outlook();
    if let Some(knows) = outlook.knows() {
        // Right after a removal the leader was heard of a moment ago; this is looked at again.
        if now.saturating_sub(hint.first) >= HINT_NS / 2 {
            let name = cx.driver.membership().member(hint.from).map(|one| one.name.as_str());
            let name = printable(name.unwrap_or("?"));
            notice!(
                RemovalIgnored,
                &name,
                [member = %hint.from,],
                "{name}, or the process that answers at its address, makes it; but {knows}"
            );
            cx.inquiry.rest(now);
        }
        return;
    }
    let membership = cx.driver.membership();
    let members = outlook.witnesses().filter_map(|id| membership.member(id).cloned());
    let members: Vec<Member> = members.collect();
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    notice!(
        RemovalAsked,
        "",
        [member = %hint.from,],
        "a member says so; asking {}",
        printable(&names.join(", "))
    );
    let (cluster, own) = (cx.driver.cluster(), cx.driver.status().id);
    // Nobody is followed to where it sends on: each witness speaks for itself.
    let caller = HttpCaller::for_members(cx.config.peer_tls.clone(), &cx.config.finding.token)
        .in_haste(ANSWER_TIME);
    let work = move || Done::Inquired(ask_all(&caller, cluster, own, &outlook, &members));
    match cx.workers.run_once("inquiry", work) {
        Ok(()) => cx.inquiry.is_asking = true,
        Err(error) => {
            notice!(RemovalDenied, "", "nobody can be asked whether it was removed: {error}");
        }
    }
    cx.inquiry.rest(now);
}

/// The members have answered.
pub(super) fn answered(cx: &mut Context, answers: &[HintAnswer]) {
    cx.inquiry.is_asking = false;
    let said: Vec<&str> = answers.iter().map(|answer| answer.said.as_str()).collect();
    let said = said.join("; ");
    // What this member knows by now counts, and not what it knew when it asked.
    match cx.driver.outlook().judge(&by_voter(answers)) {
        Verdict::Removed { is_final } => {
            notice!(RemovedSelf, "", "a majority of the other voters confirms it: {said}");
            cx.removal = Some(if is_final { Removal::Final } else { Removal::Plain });
        }
        Verdict::Unproven => notice!(
            RemovalDenied,
            "",
            "no majority of the other voters confirms a removal ({said})"
        ),
        Verdict::Unbelievable(knows) => {
            notice!(RemovalDenied, "", "{knows} ({said})");
        }
    }
}
