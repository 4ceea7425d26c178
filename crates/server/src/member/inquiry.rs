//! Whether this machine is a member still: what becomes of the claim that it is none.
//!
//! A member that turns this one away with 410 gives a hint. It makes this machine ask the other
//! voters, at the addresses that its own applied table names, and only what a majority of them says
//! is believed (`replica::Outlook` has the rule). The questions are asked by a thread with bounded
//! time-outs, one round at a time and rarely, since whoever can be dialled can give hints.

use super::context::Context;
use super::worker::Done;
use crate::join::{self, Caller};
use replica::{About, ClusterId, Member, MemberId, Outlook, Removal, Verdict};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a hint waits before it is followed: 250 ms. Members apply a removal one after the
/// other, and a leader that goes on to speak answers the question as well.
const SETTLE_NS: u64 = 250_000_000;

/// How long a hint counts: 5 s. One that still holds comes again.
const HINT_NS: u64 = 5_000_000_000;

/// The shortest and the longest time between two rounds of questions: 5 s and 5 min.
const PAUSE_MIN_NS: u64 = 5_000_000_000;
const PAUSE_MAX_NS: u64 = 300_000_000_000;

/// How long an answer may take.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// What one member said of this one, in the words for the log.
pub(crate) struct Answer {
    from: MemberId,
    about: Option<About>,
    said: String,
}

/// Who said that this machine was removed, and when.
#[derive(Clone, Copy, Debug)]
struct Hint {
    from: MemberId,
    first: u64,
    last: u64,
}

/// The state of the question.
pub(crate) struct Inquiry {
    hint: Option<Hint>,
    /// No round is begun, and no hint talked of, before this reading of the monotonic clock.
    rests_until: u64,
    pause_ns: u64,
    is_asking: bool,
}

impl Default for Inquiry {
    fn default() -> Self {
        Self { hint: None, rests_until: 0, pause_ns: PAUSE_MIN_NS, is_asking: false }
    }
}

impl Inquiry {
    /// A member said that this one was removed.
    pub(crate) fn hint(&mut self, from: MemberId, now: u64) {
        let first = self.hint.map_or(now, |hint| hint.first);
        self.hint = Some(Hint { from, first, last: now });
    }

    /// Rests for longer each time, until nobody has hinted for as long as it rested.
    fn rest(&mut self, now: u64) {
        self.rests_until = now.saturating_add(self.pause_ns);
        self.pause_ns = self.pause_ns.saturating_mul(2).min(PAUSE_MAX_NS);
        self.hint = None;
    }

    /// The hint that is to be followed now, if there is one.
    fn due(&mut self, now: u64) -> Option<Hint> {
        let is_over = |hint: &Hint| now.saturating_sub(hint.last) > HINT_NS;
        self.hint = self.hint.filter(|hint| !is_over(hint));
        let quiet_since = self.rests_until.saturating_add(self.pause_ns);
        if self.hint.is_none() && now > quiet_since {
            self.pause_ns = PAUSE_MIN_NS;
        }
        let is_free = !self.is_asking && now >= self.rests_until;
        self.hint.filter(|hint| is_free && now.saturating_sub(hint.first) >= SETTLE_NS)
    }
}

/// Asks one after the other until it is decided.
fn ask_all(
    caller: &Caller,
    cluster: ClusterId,
    own: MemberId,
    outlook: &Outlook,
    members: &[Member],
) -> Vec<Answer> {
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
        answers.push(Answer { from: member.id, about: heard.ok(), said });
        if matches!(outlook.judge(&by_voter(&answers)), Verdict::Removed { .. }) {
            break;
        }
    }
    answers
}

fn by_voter(answers: &[Answer]) -> BTreeMap<MemberId, About> {
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
        tracing::warn!(member = %status.id, "this machine's own log says that it was removed");
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
            tracing::warn!(
                member = %hint.from,
                name = name.unwrap_or("?"),
                "this member, or whoever answers at its address, says that this machine was \
                 removed; that is not believed, since {knows}"
            );
            cx.inquiry.rest(now);
        }
        return;
    }
    let membership = cx.driver.membership();
    let members = outlook.witnesses().filter_map(|id| membership.member(id).cloned());
    let members: Vec<Member> = members.collect();
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    tracing::info!(
        member = %hint.from,
        "this member says that this machine was removed; asking {}",
        names.join(", ")
    );
    let (cluster, own) = (cx.driver.cluster(), cx.driver.status().id);
    // Nobody is followed to where it sends on: each witness speaks for itself.
    let caller = Caller::for_members(cx.config.peer_tls.clone(), &cx.config.finding.token)
        .in_haste(ANSWER_TIME);
    let work = move || Done::Inquired(ask_all(&caller, cluster, own, &outlook, &members));
    match cx.workers.run_once("inquiry", work) {
        Ok(()) => cx.inquiry.is_asking = true,
        Err(error) => {
            tracing::warn!(
                %error,
                "the members cannot be asked whether this machine was removed"
            );
        }
    }
    cx.inquiry.rest(now);
}

/// The members have answered.
pub(super) fn answered(cx: &mut Context, answers: &[Answer]) {
    cx.inquiry.is_asking = false;
    let said: Vec<&str> = answers.iter().map(|answer| answer.said.as_str()).collect();
    let said = said.join("; ");
    // What this member knows by now counts, and not what it knew when it asked.
    match cx.driver.outlook().judge(&by_voter(answers)) {
        Verdict::Removed { is_final } => {
            tracing::warn!("this machine was removed, as a majority of the others says: {said}");
            cx.removal = Some(if is_final { Removal::Final } else { Removal::Plain });
        }
        Verdict::Unproven => tracing::warn!(
            "this machine goes on as a member: no majority of the other voters says that it \
             was removed ({said})"
        ),
        Verdict::Unbelievable(knows) => {
            tracing::info!("this machine goes on as a member, since {knows} ({said})");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn hints_are_followed_rarely_however_many_come() {
        let mut inquiry = Inquiry::default();
        let mut rounds = Vec::new();
        // A hint every 10 ms for half an hour.
        for now in (0..1800 * SECOND).step_by(10_000_000) {
            inquiry.hint(MemberId(2), now);
            if inquiry.due(now).is_some() {
                rounds.push(now / SECOND);
                inquiry.rest(now);
            }
        }
        let gaps: Vec<u64> = rounds.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| *gap >= 5), "{gaps:?}");
        assert!(gaps.windows(2).all(|pair| pair[0] <= pair[1] + 1), "{gaps:?}");
        assert!((8..=14).contains(&rounds.len()), "{rounds:?}");
    }

    #[test]
    fn a_hint_settles_first_is_asked_about_once_and_grows_old() {
        let mut inquiry = Inquiry::default();
        assert!(inquiry.due(SECOND).is_none(), "nobody said anything");
        inquiry.hint(MemberId(2), SECOND);
        assert!(inquiry.due(SECOND).is_none(), "at once");
        assert!(inquiry.due(SECOND + SETTLE_NS).is_some());
        inquiry.is_asking = true;
        assert!(inquiry.due(2 * SECOND).is_none(), "while a round is under way");
        inquiry.is_asking = false;
        assert!(inquiry.due(2 * SECOND + HINT_NS).is_none(), "old");
    }

    #[test]
    fn a_long_silence_makes_the_next_hint_count_as_the_first() {
        let mut inquiry = Inquiry::default();
        for _ in 0..10 {
            inquiry.rest(0);
        }
        assert_eq!(inquiry.pause_ns, PAUSE_MAX_NS);
        assert!(inquiry.due(601 * SECOND).is_none());
        assert_eq!(inquiry.pause_ns, PAUSE_MIN_NS);
    }
}
