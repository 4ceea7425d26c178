//! Whom to ask: the machines that were named, then those that these know of.

use super::ask::{Part, Probe};
use std::collections::BTreeSet;
use std::thread;

/// Machines that are asked at most: an answer could name any number.
pub(super) const MACHINES_MAX: usize = 64;

/// How often the machines are asked that the answers before have named. A standby knows members,
/// and the leader knows standbys.
const ROUNDS_MAX: usize = 4;

/// Asks machines until nobody names another one.
pub(super) fn survey(endpoints: &[String], probe: impl Fn(&str) -> Probe + Sync) -> Vec<Probe> {
    let mut probes: Vec<Probe> = Vec::new();
    let mut due = endpoints.to_vec();
    for _ in 0..ROUNDS_MAX {
        due.truncate(MACHINES_MAX.saturating_sub(probes.len()));
        if due.is_empty() {
            break;
        }
        probes.extend(ask_all(&due, &probe));
        due = not_asked(&probes);
    }
    probes
}

fn ask_all(urls: &[String], probe: &(impl Fn(&str) -> Probe + Sync)) -> Vec<Probe> {
    let failed = |url: &str, why: &str| Probe { url: url.to_owned(), heard: Err(why.to_owned()) };
    thread::scope(|scope| {
        let mut asked = Vec::new();
        for url in urls {
            let url = url.as_str();
            asked.push((url, thread::Builder::new().spawn_scoped(scope, move || probe(url))));
        }
        let heard = asked.into_iter().map(|(url, spawned)| match spawned {
            Ok(thread) => {
                thread.join().unwrap_or_else(|_| failed(url, "the answer cannot be read"))
            }
            Err(error) => failed(url, &format!("cannot start a thread: {error}")),
        });
        heard.collect()
    })
}

/// The client URLs of machines that were named and neither asked nor heard under another URL.
fn not_asked(probes: &[Probe]) -> Vec<String> {
    let parts: Vec<&Part> =
        probes.iter().filter_map(|probe| Some(&probe.heard.as_ref().ok()?.part)).collect();
    let heard: BTreeSet<(&str, &str)> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Member(view) => Some((view.cluster.as_str(), view.seen_by.as_str())),
            Part::Waiting | Part::Standby { .. } => None,
        })
        .collect();
    let mut named = Vec::new();
    for part in parts {
        match part {
            Part::Waiting => {}
            Part::Standby { members, .. } => named.extend(members.iter().cloned()),
            Part::Member(view) => {
                let is_heard = |name: &str| heard.contains(&(view.cluster.as_str(), name));
                let members = view.members.iter().filter(|member| !is_heard(&member.name));
                named.extend(members.map(|member| member.client_url.clone()));
                let standbys = view.standbys.iter().flatten();
                named.extend(standbys.map(|standby| standby.client_url.clone()));
            }
        }
    }
    let mut seen: BTreeSet<String> = probes.iter().map(|probe| probe.url.clone()).collect();
    let urls = named.into_iter().filter_map(|url| base(&url));
    urls.filter(|url| seen.insert(url.clone())).collect()
}

/// A URL of a machine, without the slash at its end; `None` for anything else.
pub(super) fn base(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let rest = rest.trim_end_matches('/');
    let is_host = |char: char| char.is_ascii_graphic() && !"/?#@\\".contains(char);
    let is_url =
        matches!(scheme, "http" | "https") && !rest.is_empty() && rest.chars().all(is_host);
    is_url.then(|| format!("{scheme}://{rest}"))
}

#[cfg(test)]
mod tests {
    use super::super::ask::{Heard, Seen, StandingBy, View};
    use super::*;

    fn member(name: &str, members: &[(&str, &str)], standbys: &[&str]) -> Part {
        let members = members.iter().map(|(name, url)| Seen {
            name: (*name).to_owned(),
            client_url: (*url).to_owned(),
            ..Seen::default()
        });
        let standbys = standbys
            .iter()
            .map(|url| StandingBy { name: "s".to_owned(), client_url: (*url).to_owned() });
        let view = View {
            seen_by: name.to_owned(),
            members: members.collect(),
            standbys: Some(standbys.collect()),
            ..View::default()
        };
        Part::Member(view)
    }

    fn probe_of(url: &str, part: Part) -> Probe {
        Probe { url: url.to_owned(), heard: Ok(Heard { part, ..Heard::default() }) }
    }

    #[test]
    fn everybody_is_found_from_anybody_and_asked_once() {
        const MEMBERS: [(&str, &str); 3] =
            [("m1", "http://inner:1"), ("m2", "http://b:1/"), ("m3", "http://c:1")];
        let probe = |url: &str| {
            let part = match url {
                "http://a:1" => member("m1", &MEMBERS, &[]),
                "http://b:1" => member("m2", &MEMBERS, &["http://s:1", "http://c:1"]),
                "http://s:1" => {
                    let members = vec!["http://a:1".to_owned(), "http://d:1".to_owned()];
                    Part::Standby { name: "s".to_owned(), members }
                }
                _ => return Probe { url: url.to_owned(), heard: Err("gone".to_owned()) },
            };
            probe_of(url, part)
        };
        let probes = survey(&["http://a:1".to_owned()], probe);
        let asked: Vec<&str> = probes.iter().map(|probe| probe.url.as_str()).collect();
        // m1 was heard at another address than the one that it has in the table.
        assert_eq!(asked, ["http://a:1", "http://b:1", "http://c:1", "http://s:1", "http://d:1"]);
    }

    #[test]
    fn an_answer_that_names_everybody_is_followed_some_way() {
        let probe = |url: &str| {
            let number: usize = url.rsplit(':').next().and_then(|n| n.parse().ok()).unwrap_or(0);
            let names: Vec<String> =
                (0..1000).map(|at| format!("http://a:{}", number * 1000 + at)).collect();
            let members: Vec<_> = names.iter().map(|url| (url.as_str(), url.as_str())).collect();
            probe_of(url, member("x", &members, &[]))
        };
        assert_eq!(survey(&["http://a:1".to_owned()], probe).len(), MACHINES_MAX);
    }

    #[test]
    fn only_urls_of_machines_are_called() {
        for url in ["file:///etc/passwd", "http://", "http://a/b", "http://a\r\nX: y", "a:1", ""] {
            assert_eq!(base(url), None, "{url:?}");
        }
        assert_eq!(base("https://[::1]:4001/").as_deref(), Some("https://[::1]:4001"));
    }
}
