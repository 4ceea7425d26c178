//! Members that came up at other addresses than the membership names. While some member is not
//! connected to, this one asks around who is reached where: at the addresses of the start line, of
//! the membership, and of a discovery service. What it hears is a hint: an address that is dialled
//! in turn with the one that the membership names. Who answers there has to prove itself as always,
//! so that a hint that lies costs a dial.

use super::asking::AnsweredViews;
use super::context::Context;
use super::worker::Done;
use crate::config::Config;
use crate::join::{HttpCaller, ask_everybody, discovery, leads_somewhere, others};
use crate::notice::notice;
use replica::{ClusterId, Member, MemberId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Pauses between two rounds of questions: 3 s, and 15 s when some have brought nothing.
const PAUSE_NS: u64 = 3_000_000_000;
const LONG_PAUSE_NS: u64 = 15_000_000_000;
const EAGER_ROUNDS: u32 = 20;

/// How many addresses are asked in one round.
const ASKED_MAX: usize = 64;

/// How long a discovery service may take.
const DISCOVERY_PATIENCE: Duration = Duration::from_secs(2);

/// The peer URLs that the start line names for others.
fn hints_of(config: &Config, own: &Member) -> Vec<String> {
    let finding = &config.finding;
    let listed = finding.initial.iter().flat_map(|initial| &initial.members);
    let listed = listed.filter(|(name, _)| *name != own.name).map(|(_, url)| url.clone());
    let all: Vec<String> = finding.peers.iter().cloned().chain(listed).collect();
    others(&all, own)
}

fn ask_around(config: &Config, own: &Member, mut urls: Vec<String>) -> AnsweredViews {
    if let Some(url) = &config.finding.discovery {
        let caller = HttpCaller::for_discovery(&config.finding).in_haste(DISCOVERY_PATIENCE);
        // Without it the others are asked all the same.
        urls.extend(discovery::look(&caller, url, &own.name).unwrap_or_default());
    }
    let mut urls = others(&urls, own);
    urls.truncate(ASKED_MAX);
    ask_everybody(config, &urls)
}

/// HOST:PORT of a peer URL.
fn address(url: &str) -> &str {
    url.split("://").last().unwrap_or_default()
}

/// Where members are reached, as far as answers say something else than the membership: what a
/// member says of itself counts most, then where others were called from, then what they list.
fn moved(
    cluster: ClusterId,
    own: MemberId,
    members: &BTreeMap<MemberId, String>,
    answers: &AnsweredViews,
) -> BTreeMap<MemberId, String> {
    let mut best: BTreeMap<MemberId, (u8, &str)> = BTreeMap::new();
    // A list that names what the membership names says nothing.
    let counts = |id: &MemberId, weight: u8, at: &str| {
        let known = members.get(id).filter(|_| *id != own);
        known.is_some_and(|known| weight > 1 || address(known) != at) && leads_somewhere(at)
    };
    for (url, view) in answers {
        let Some(view) = view.as_ref().ok().filter(|view| view.cluster == cluster) else {
            continue;
        };
        let itself = view.own.map(|id| (id, 3, address(url)));
        let reached = view.reached.iter().map(|(id, at)| (*id, 2, at.as_str()));
        let listed = view.members.iter().map(|member| (member.id, 1, address(&member.peer_url)));
        for (id, weight, at) in itself.into_iter().chain(reached).chain(listed) {
            let entry = best.entry(id).or_insert((0, at));
            if weight > entry.0 && counts(&id, weight, at) {
                *entry = (weight, at);
            }
        }
    }
    let is_news = |id: &MemberId, at: &str| members.get(id).is_some_and(|url| address(url) != at);
    let found = best.into_iter().filter(|(id, (weight, at))| *weight > 0 && is_news(id, at));
    found.map(|(id, (_, at))| (id, at.to_owned())).collect()
}

fn own_member(cx: &Context) -> Member {
    Member {
        id: cx.driver.status().id,
        name: cx.config.name.clone(),
        client_url: cx.config.client_url.clone(),
        peer_url: cx.config.peer_url(),
        urls: cx.config.other_client_urls(),
    }
}

/// Asks around when a member is missing; once in any case if the start line names others, since
/// they may be of another cluster than this machine.
pub(crate) fn look_for_moved(cx: &mut Context) {
    let own = own_member(cx);
    let open: BTreeSet<MemberId> =
        cx.driver.network().stats().filter(|(_, is_open, _)| *is_open).map(|(id, ..)| id).collect();
    let members = cx.driver.membership().members();
    let misses = members.filter(|one| one.id != own.id && !open.contains(&one.id)).count() > 0;
    if !misses {
        cx.asking.rounds = 0;
    }
    let mut urls = hints_of(&cx.config, &own);
    let is_first = !cx.asking.has_asked && !urls.is_empty();
    let now = cx.now.monotonic;
    if cx.asking.is_busy || now < cx.asking.due || !(misses || is_first) {
        return;
    }
    // What is not known to be committed may be where they are all the same.
    for one in cx.driver.announced().iter().filter(|one| one.id != own.id) {
        if cx.asking.rounds == 0 {
            cx.driver.network_mut().hint(one.id, address(&one.peer_url));
        }
        urls.push(one.peer_url.clone());
    }
    let known = cx.driver.membership().members().filter(|one| one.id != own.id);
    urls.extend(known.map(|one| one.peer_url.clone()));
    let config = cx.config.clone();
    let work = move || Done::Asked(ask_around(&config, &own, urls));
    let pause = if cx.asking.rounds < EAGER_ROUNDS { PAUSE_NS } else { LONG_PAUSE_NS };
    cx.asking.due = now.saturating_add(pause);
    // Without a thread the next round tries again.
    cx.asking.is_busy = cx.workers.run_once("asker", work).is_ok();
    cx.asking.rounds = cx.asking.rounds.saturating_add(1);
}

/// A round of questions is over.
pub(crate) fn asked(cx: &mut Context, answers: &AnsweredViews) {
    cx.asking.is_busy = false;
    cx.asking.has_asked = true;
    let (cluster, own) = (cx.driver.cluster(), cx.driver.status().id);
    let members = cx.driver.membership().members();
    let members: BTreeMap<MemberId, String> =
        members.map(|member| (member.id, member.peer_url.clone())).collect();
    for (id, at) in moved(cluster, own, &members, answers) {
        if cx.driver.network_mut().hint(id, &at) {
            let name = cx.name_of(id);
            notice!(MemberFound, &name, [member = %id,], "{name} at {at}");
        }
    }
    for (url, view) in answers {
        if let Ok(view) = view
            && view.cluster != cluster
            && cx.asking.foreign.len() < ASKED_MAX
            && cx.asking.foreign.insert(url.clone())
        {
            notice!(
                ForeignCluster,
                url,
                "{url} belongs to another cluster ({}) than the data directory ({cluster}): this \
                 machine stays in its own cluster. Correct the flag that names that address",
                view.cluster
            );
        }
    }
    cx.driver.network_mut().dial_due(cx.now.monotonic);
}

/// Says when the start line would begin another cluster than the one that is served.
pub(crate) fn compare_with_list(cx: &Context) {
    let Some(initial) = cx.config.finding.initial.as_ref().filter(|one| one.is_new) else {
        return;
    };
    let (listed, cluster) = (crate::join::cluster_of_list(initial), cx.driver.cluster());
    if listed != cluster {
        notice!(
            ListNotFollowed,
            "",
            "-initial-cluster describes the cluster {listed}, but the data directory belongs to \
             {cluster}: this machine stays in its own cluster, and uses the list only to look up \
             addresses"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::join::View;

    fn view(own: u64, reached: &[(u64, &str)], listed: &[(u64, &str)]) -> Result<View, String> {
        let member = |(id, at): &(u64, &str)| Member {
            id: MemberId(*id),
            name: format!("m{id}"),
            peer_url: format!("http://{at}"),
            ..Member::default()
        };
        Ok(View {
            cluster: ClusterId(1),
            own: Some(MemberId(own)),
            term: 0,
            leader: None,
            founders: Vec::new(),
            members: listed.iter().map(member).collect(),
            reached: reached.iter().map(|(id, at)| (MemberId(*id), (*at).to_owned())).collect(),
            active_size: 9,
            sync_interval: 5.0,
            about: None,
        })
    }

    fn hints(answers: AnsweredViews) -> Vec<(u64, String)> {
        let members = [(1, "http://a:1"), (2, "http://b:1"), (3, "http://c:1")].map(|(id, url)| {
            let id: u64 = id;
            (MemberId(id), url.to_owned())
        });
        let found = moved(ClusterId(1), MemberId(1), &members.into(), &answers);
        found.into_iter().map(|(id, at)| (id.0, at)).collect()
    }

    fn at(address: &str, view: Result<View, String>) -> (String, Result<View, String>) {
        (format!("http://{address}"), view)
    }

    #[test]
    fn who_answers_elsewhere_is_found_by_itself_by_its_calls_or_by_a_list() {
        assert_eq!(hints(vec![at("b:9", view(2, &[], &[]))]), [(2, "b:9".to_owned())]);
        let third = at("b:1", view(2, &[(3, "c:9")], &[(3, "c:8")]));
        assert_eq!(hints(vec![third]), [(3, "c:9".to_owned())]);
        let listed = at("b:1", view(2, &[], &[(2, "b:1"), (3, "c:8")]));
        assert_eq!(hints(vec![listed]), [(3, "c:8".to_owned())]);
    }

    #[test]
    fn a_member_knows_best_where_it_is() {
        let lie = at("b:1", view(2, &[(3, "evil:1")], &[]));
        let itself = at("c:1", view(3, &[], &[]));
        assert_eq!(hints(vec![lie.clone(), itself]), [], "it is where it always was");
        let moved = at("c:7", view(3, &[], &[]));
        assert_eq!(hints(vec![moved, lie]), [(3, "c:7".to_owned())]);
    }

    #[test]
    fn strangers_and_other_clusters_say_nothing() {
        let silent = at("b:9", Err("no answer".to_owned()));
        let foreign = at("b:9", view(2, &[], &[]).map(|v| View { cluster: ClusterId(2), ..v }));
        let unknown = at("d:9", view(4, &[(5, "e:1"), (1, "x:1")], &[(6, "f:1")]));
        assert_eq!(hints(vec![silent, foreign, unknown]), []);
    }
}
