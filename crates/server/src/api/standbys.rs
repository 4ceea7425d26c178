//! The standbys that a member knows of.

use crate::config::{CLIENT_URLS_MAX, ClientUrls, Dialect};
use crate::http::url;
use replica::Member;
use std::collections::BTreeMap;

/// Standbys that are kept in mind at most.
const STANDBYS_MAX: usize = 1000;

/// After how much silence a standby makes room for another: 1 h.
const FORGOTTEN_NS: u64 = 3_600_000_000_000;

/// The standbys that asked a member lately. They ask the leader as long as there is one.
#[derive(Debug, Default)]
pub(crate) struct Standbys {
    /// By name: the standby, as far as it told of itself, and when it asked, by the monotonic
    /// clock.
    asked: BTreeMap<String, (Member, u64)>,
}

impl Standbys {
    /// Records the query of a machine that asks for the members: `standby=NAME&client=URL` if it is
    /// a standby, and `v04=URL` and `v2=URL` where clients reach it elsewhere too.
    pub(crate) fn note(&mut self, query: &str, now: u64) {
        let (mut standby, mut client) = (None, None);
        let (mut v04, mut v2) = (Vec::new(), Vec::new());
        let read = url::each_field(query.as_bytes(), false, |name, value| match name {
            "standby" => standby = Some(value.into_owned()),
            "client" => client = Some(value.into_owned()),
            "v04" if v04.len() < CLIENT_URLS_MAX => v04.push(value.into_owned()),
            "v2" if v2.len() < CLIENT_URLS_MAX => v2.push(value.into_owned()),
            _ => {}
        });
        if let (Ok(()), Some(standby), Some(client)) = (read, standby, client) {
            if self.asked.len() >= STANDBYS_MAX {
                self.asked.retain(|_, (_, at)| now.saturating_sub(*at) < FORGOTTEN_NS);
            }
            if self.asked.len() >= STANDBYS_MAX {
                return;
            }
            let urls = ClientUrls::new(v04, v2);
            let machine = Member { client_url: client, urls, ..Member::default() };
            self.asked.insert(standby, (machine, now));
        }
    }

    /// Those that asked since `since`, and where clients of a dialect reach them, with TLS or
    /// without if there is a choice.
    pub(crate) fn since(
        &self,
        since: u64,
        dialect: Dialect,
        is_tls: bool,
    ) -> impl Iterator<Item = (&str, &str)> {
        let recent = self.asked.iter().filter(move |(_, (_, at))| *at >= since);
        recent.map(move |(name, (one, _))| (name.as_str(), dialect.url_of(one, is_tls)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn since(standbys: &Standbys, at: u64) -> impl Iterator<Item = (&str, &str)> {
        standbys.since(at, Dialect::V04, false)
    }

    #[test]
    fn a_standby_is_known_while_it_asks() {
        let mut standbys = Standbys::default();
        for query in ["", "standby=x", "client=y", "standby=%zz&client=y", "a=b&standby"] {
            standbys.note(query, 5);
        }
        assert_eq!(since(&standbys, 0).count(), 0);
        standbys.note("standby=s1&client=http://a:1", 5);
        standbys.note("standby=s2&client=http://b:1", 9);
        standbys.note("standby=s2&client=http://c:1", 9);
        assert_eq!(since(&standbys, 5).count(), 2);
        assert_eq!(since(&standbys, 6).collect::<Vec<_>>(), [("s2", "http://c:1")]);
        standbys.note("standby=s2&client=http://c:1&v04=http://c:1&v2=http://c:2", 9);
        let in_v2: Vec<_> = standbys.since(6, Dialect::V2, false).collect();
        assert_eq!(in_v2, [("s2", "http://c:2")]);
        for number in 0..3000 {
            standbys.note(&format!("standby=x{number}&client=c"), 9);
        }
        assert_eq!(since(&standbys, 0).count(), STANDBYS_MAX);
        standbys.note("standby=new&client=c", 9 + FORGOTTEN_NS);
        assert_eq!(since(&standbys, 0).collect::<Vec<_>>(), [("new", "c")]);
    }
}
