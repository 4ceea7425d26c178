//! The messages between a joining machine and a member, in JSON over the peer port.

use crate::api::json;
use crate::config::{CLIENT_URLS_MAX, ClientUrls};
use replica::{About, ClusterId, Member, MemberId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Longest name and URL that are taken, in bytes.
const TEXT_MAX: usize = 1024;

/// A machine asks to become a member: `POST /v2/peer/join`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JoinRequest {
    pub(crate) member: Member,
    /// Whether a member with the same name is to go first: its disk is lost, says the operator.
    pub(crate) replace: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct JoinWire {
    id: String,
    name: String,
    #[serde(rename = "clientURL")]
    client_url: String,
    #[serde(rename = "peerURL")]
    peer_url: String,
    #[serde(flatten)]
    urls: UrlsWire,
    #[serde(default)]
    replace: bool,
}

/// All addresses for clients, where there are others than the one. Releases that do not know them
/// pass over them in a view, and refuse a request that has them.
#[derive(Default, Deserialize, Serialize)]
struct UrlsWire {
    #[serde(default, rename = "v04URLs", skip_serializing_if = "Vec::is_empty")]
    v04: Vec<String>,
    #[serde(default, rename = "v2URLs", skip_serializing_if = "Vec::is_empty")]
    v2: Vec<String>,
}

impl UrlsWire {
    fn of(urls: &ClientUrls) -> Self {
        Self { v04: urls.v04().to_vec(), v2: urls.v2().to_vec() }
    }

    fn urls(self) -> Result<ClientUrls, String> {
        for url in self.v04.iter().chain(&self.v2) {
            if !is_url(url) || !leads_somewhere(url) {
                return Err(format!("invalid machine URL {url:?}: expected http://HOST:PORT"));
            }
        }
        if self.v04.len() > CLIENT_URLS_MAX || self.v2.len() > CLIENT_URLS_MAX {
            return Err(format!("more than {CLIENT_URLS_MAX} addresses of one kind"));
        }
        Ok(ClientUrls::new(self.v04, self.v2))
    }
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberWire {
    id: String,
    name: String,
    #[serde(rename = "clientURL")]
    client_url: String,
    #[serde(rename = "peerURL")]
    peer_url: String,
    #[serde(flatten)]
    urls: UrlsWire,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct ViewWire {
    cluster: String,
    #[serde(default)]
    term: u64,
    #[serde(default, rename = "self", skip_serializing_if = "String::is_empty")]
    own: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    leader: String,
    founders: Vec<String>,
    members: Vec<MemberWire>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    reached: BTreeMap<String, String>,
    #[serde(default)]
    active_size: u64,
    #[serde(default)]
    sync_interval: f64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    about: String,
}

/// A cluster as a member describes it: `GET /v2/peer/members`, and the answer to a join.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct View {
    pub(crate) cluster: ClusterId,
    /// The member that describes it.
    pub(crate) own: Option<MemberId>,
    /// Its term; zero before the first election.
    pub(crate) term: u64,
    pub(crate) leader: Option<MemberId>,
    pub(crate) founders: Vec<MemberId>,
    pub(crate) members: Vec<Member>,
    /// Members that announced another address than the membership has: HOST:PORT.
    pub(crate) reached: Vec<(MemberId, String)>,
    pub(crate) active_size: u64,
    pub(crate) sync_interval: f64,
    /// What is known of the id that was asked about, if one was.
    pub(crate) about: Option<About>,
}

pub(crate) fn parse_id(text: &str) -> Option<u64> {
    let is_hex = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(text, 16).ok().filter(|id| is_hex && *id != 0)
}

/// Whether a text is the URL of a machine, `http://HOST:PORT`, and no more than that.
pub(crate) fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#?@/".contains(&byte);
    text.len() <= TEXT_MAX
        && rest.is_some_and(|rest| {
            rest.bytes().all(is_plain)
                && rest.rsplit_once(':').is_some_and(|(host, port)| {
                    !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
                })
        })
}

/// Whether a URL leads to a certain machine. One with all interfaces (0.0.0.0) does not.
pub(crate) fn leads_somewhere(url: &str) -> bool {
    let host = url.split("://").last().and_then(|rest| rest.rsplit_once(':'));
    let host = host.map_or("", |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let all = |address: std::net::IpAddr| address.to_canonical().is_unspecified();
    // Texts like "0" are names of addresses too, as old programs write them.
    let is_number = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    !host.contains('%') && host.parse().map_or(!is_number, |address| !all(address))
}

/// Whether a name is valid in a key, by the same rule as on the command line.
fn is_name(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=TEXT_MAX).contains(&text.len())
        && text.bytes().all(is_legal)
        && !matches!(text, "." | "..")
}

/// A member and its address; nothing if they are invalid.
fn reached((id, at): (String, String)) -> Option<(MemberId, String)> {
    let id = parse_id(&id)?;
    is_url(&format!("http://{at}")).then_some((MemberId(id), at))
}

impl MemberWire {
    fn of(member: &Member) -> Self {
        Self {
            id: member.id.to_string(),
            name: member.name.clone(),
            client_url: member.client_url.clone(),
            peer_url: member.peer_url.clone(),
            urls: UrlsWire::of(&member.urls),
        }
    }

    /// A founder that has not announced itself yet has no URL for clients.
    fn known(self) -> Result<Member, String> {
        if !self.client_url.is_empty() {
            return self.member();
        }
        let client_url = "http://unknown:1".to_owned();
        let mut member = Self { client_url, ..self }.member()?;
        member.client_url.clear();
        Ok(member)
    }

    fn member(self) -> Result<Member, String> {
        let id = parse_id(&self.id).ok_or_else(|| format!("invalid member id {:?}", self.id))?;
        if !is_name(&self.name) {
            return Err(format!("invalid machine name {:?}", self.name));
        }
        for url in [&self.client_url, &self.peer_url] {
            if !is_url(url) {
                return Err(format!("invalid machine URL {url:?}: expected http://HOST:PORT"));
            }
        }
        Ok(Member {
            id: MemberId(id),
            name: self.name,
            client_url: self.client_url,
            peer_url: self.peer_url,
            urls: self.urls.urls()?,
        })
    }
}

impl JoinRequest {
    /// Reads a request. Nothing malformed gets past this into the membership.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        let wire: JoinWire = serde_json::from_slice(body)
            .map_err(|error| format!("invalid join request: {error}"))?;
        let JoinWire { id, name, client_url, peer_url, urls, replace } = wire;
        let member = MemberWire { id, name, client_url, peer_url, urls }.member()?;
        for url in [&member.client_url, &member.peer_url] {
            if !leads_somewhere(url) {
                return Err(format!("invalid advertised URL {url:?}"));
            }
        }
        Ok(Self { member, replace })
    }

    /// The same in the form that every release takes: the machine tells the rest when it is a
    /// member.
    pub(crate) fn plain(&self) -> Self {
        let mut plain = self.clone();
        plain.member.urls = ClientUrls::default();
        plain
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        let MemberWire { id, name, client_url, peer_url, urls } = MemberWire::of(&self.member);
        let replace = self.replace;
        json::body(&JoinWire { id, name, client_url, peer_url, urls, replace })
    }
}

/// The id that a query asks about.
pub(crate) fn asked_about(query: &str) -> Option<MemberId> {
    query.split('&').find_map(|pair| pair.strip_prefix("about=")).and_then(parse_id).map(MemberId)
}

const WORDS: [(About, &str); 4] = [
    (About::Member, "member"),
    (About::Removed, "removed"),
    (About::RemovedFinally, "removed-final"),
    (About::Unknown, "unknown"),
];

fn word(about: About) -> &'static str {
    WORDS.iter().find(|(one, _)| *one == about).map_or("unknown", |(_, word)| word)
}

/// What a word means; nothing if it is none of ours.
fn about_of(text: &str) -> Option<About> {
    WORDS.iter().find(|(_, word)| *word == text).map(|(about, _)| *about)
}

/// The identity of a machine that is not a member: `GET /v2/peer/identity`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdentityCard {
    pub(crate) id: MemberId,
    pub(crate) name: String,
}

#[derive(Deserialize, Serialize)]
struct IdentityWire {
    id: String,
    #[serde(default)]
    name: String,
}

impl IdentityCard {
    /// Reads a card.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        let wire: IdentityWire = serde_json::from_slice(body)
            .map_err(|error| format!("the answer does not identify its sender: {error}"))?;
        let id = parse_id(&wire.id).filter(|_| wire.name.is_empty() || is_name(&wire.name));
        let id = id.ok_or("the answer does not identify its sender")?;
        Ok(Self { id: MemberId(id), name: wire.name })
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        json::line(&IdentityWire { id: self.id.to_string(), name: self.name.clone() })
    }
}

impl View {
    /// Reads a description.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        let wire: ViewWire = serde_json::from_slice(body)
            .map_err(|error| format!("invalid cluster description: {error}"))?;
        let cluster = parse_id(&wire.cluster).ok_or("the cluster description lacks its id")?;
        let founders: Option<Vec<MemberId>> =
            wire.founders.iter().map(|id| parse_id(id).map(MemberId)).collect();
        let members: Result<Vec<Member>, String> =
            wire.members.into_iter().map(MemberWire::known).collect();
        // The same id may be written in several ways, and counts once.
        let reached: BTreeMap<MemberId, String> =
            wire.reached.into_iter().filter_map(reached).collect();
        Ok(Self {
            cluster: ClusterId(cluster),
            own: parse_id(&wire.own).map(MemberId),
            term: wire.term,
            leader: parse_id(&wire.leader).map(MemberId),
            founders: founders.ok_or("the cluster description lacks the founders")?,
            members: members?,
            reached: reached.into_iter().collect(),
            active_size: wire.active_size,
            sync_interval: wire.sync_interval,
            about: about_of(&wire.about),
        })
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        let id = |id: Option<MemberId>| id.map(|id| id.to_string()).unwrap_or_default();
        json::line(&ViewWire {
            cluster: self.cluster.to_string(),
            term: self.term,
            own: id(self.own),
            leader: id(self.leader),
            founders: self.founders.iter().map(ToString::to_string).collect(),
            members: self.members.iter().map(MemberWire::of).collect(),
            reached: self.reached.iter().map(|(id, at)| (id.to_string(), at.clone())).collect(),
            active_size: self.active_size,
            sync_interval: self.sync_interval,
            about: self.about.map(word).unwrap_or_default().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64, name: &str) -> Member {
        Member {
            id: MemberId(id),
            name: name.into(),
            client_url: "http://127.0.0.1:4001".into(),
            peer_url: "https://[::1]:7001".into(),
            ..Member::default()
        }
    }

    #[test]
    fn both_round_trip() {
        let request = JoinRequest { member: member(255, "m-1"), replace: true };
        assert_eq!(JoinRequest::parse(&request.to_json()), Ok(request));
        let view = View {
            cluster: ClusterId(9),
            own: Some(MemberId(8)),
            term: 3,
            leader: Some(MemberId(7)),
            founders: vec![MemberId(7)],
            members: vec![member(7, "a"), member(8, "b")],
            reached: vec![(MemberId(7), "[::1]:7009".into()), (MemberId(8), "h:1".into())],
            active_size: 9,
            sync_interval: 2.5,
            about: None,
        };
        for about in [None, Some(About::Member), Some(About::Removed)] {
            let view = View { about, ..view.clone() };
            assert_eq!(View::parse(&view.to_json()), Ok(view));
        }
        for about in [About::RemovedFinally, About::Unknown] {
            let view = View { about: Some(about), ..view.clone() };
            assert_eq!(View::parse(&view.to_json()), Ok(view));
        }
    }

    #[test]
    fn addresses_of_both_dialects_are_passed_on_if_they_are_some() {
        let list = |urls: &[&str]| urls.iter().map(|url| (*url).to_owned()).collect();
        let urls = ClientUrls::new(list(&["http://h:4001"]), list(&["http://h:1", "http://h:2"]));
        let request = JoinRequest { member: Member { urls, ..member(255, "m-1") }, replace: false };
        assert_eq!(JoinRequest::parse(&request.to_json()), Ok(request.clone()));
        let text = String::from_utf8(request.to_json()).expect("text");
        for bad in ["http://h:2/path", "http://0.0.0.0:2", "ftp://h:2", "http://h:2,http://h:3"] {
            let bad = text.replace("http://h:2", bad);
            assert!(JoinRequest::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let many = ["\"http://h:2\""; CLIENT_URLS_MAX + 1].join(",");
        assert!(JoinRequest::parse(text.replace("\"http://h:2\"", &many).as_bytes()).is_err());
        assert_ne!(text, String::from_utf8(request.plain().to_json()).expect("text"));
    }

    #[test]
    fn an_id_is_asked_about_by_its_digits() {
        assert_eq!(asked_about("standby=m1&about=ff"), Some(MemberId(255)));
        for query in ["", "about=", "about=x", "about=0", "xabout=1", "about=-1"] {
            assert_eq!(asked_about(query), None, "{query}");
        }
        assert_eq!(about_of("removed-never"), None);
    }

    #[test]
    fn where_members_are_reached_is_taken_once_for_each_and_only_if_it_is_an_address() {
        let body = br#"{"cluster":"9","founders":[],"members":[],
            "reached":{"A":"h:1","0a":"h:2","b":"no address","0":"h:3","x":"h:4"}}"#;
        let view = View::parse(body).expect("it is a view");
        assert_eq!(view.reached.len(), 1, "{:?}", view.reached);
        assert_eq!(View::parse(&view.to_json()), Ok(view));
        let card = IdentityCard { id: MemberId(255), name: "m-1".into() };
        assert_eq!(IdentityCard::parse(&card.to_json()), Ok(card));
        for body in [
            &b""[..],
            b"[]",
            b"{}",
            b"{\"id\":\"0\"}",
            b"{\"id\":1}",
            b"{\"id\":\"1\",\"name\":\"a b\"}",
        ] {
            assert!(IdentityCard::parse(body).is_err());
        }
    }

    #[test]
    fn nothing_malformed_gets_through() {
        let good =
            String::from_utf8(JoinRequest { member: member(255, "m-1"), replace: false }.to_json())
                .expect("text");
        for (from, to) in [
            ("\"id\":\"ff\"", "\"id\":\"0\""),
            ("\"id\":\"ff\"", "\"id\":\"+f\""),
            ("\"id\":\"ff\"", "\"id\":255"),
            ("\"name\":\"m-1\"", "\"name\":\"\""),
            ("\"name\":\"m-1\"", "\"name\":\"..\""),
            ("\"name\":\"m-1\"", "\"name\":\"a/b\""),
            ("http://127.0.0.1:4001", "ftp://127.0.0.1:4001"),
            ("http://127.0.0.1:4001", "http://127.0.0.1"),
            ("http://127.0.0.1:4001", "http://:4001"),
            ("http://127.0.0.1:4001", "http://a b:4001"),
            ("http://127.0.0.1:4001", "http://a:99999"),
            ("http://127.0.0.1:4001", "http://a:1/path"),
            ("\"replace\"", "\"unknown\""),
            ("http://127.0.0.1:4001", "http://0.0.0.0:4001"),
            ("https://[::1]:7001", "https://[::]:7001"),
            ("https://[::1]:7001", "https://[fe80::1%25lo]:7001"),
            ("http://127.0.0.1:4001", "http://0:4001"),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good, "{from}");
            assert!(JoinRequest::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        for body in [&b""[..], b"[]", b"{}", b"null", b"{\"id\":", &[0xff, 0xfe]] {
            assert!(JoinRequest::parse(body).is_err());
            assert!(View::parse(body).is_err());
        }
    }
}
