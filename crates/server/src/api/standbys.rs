//! The standbys that a member knows of.

use crate::http::url;
use std::collections::BTreeMap;

/// Standbys that are kept in mind at most.
const STANDBYS_MAX: usize = 1000;

/// After how much silence a standby makes room for another: 1 h.
const FORGOTTEN_NS: u64 = 3_600_000_000_000;

/// The standbys that asked a member lately. They ask the leader as long as there is one.
#[derive(Debug, Default)]
pub(crate) struct Standbys {
    /// By name: where clients reach it, and when it asked, by the monotonic clock.
    asked: BTreeMap<String, (String, u64)>,
}

impl Standbys {
    /// Records the query of a machine that asks for the members: `standby=NAME&client=URL` if it is
    /// a standby.
    pub(crate) fn note(&mut self, query: &str, now: u64) {
        let (mut standby, mut client) = (None, None);
        let read = url::each_field(query.as_bytes(), false, |name, value| match name {
            "standby" => standby = Some(value.into_owned()),
            "client" => client = Some(value.into_owned()),
            _ => {}
        });
        if let (Ok(()), Some(standby), Some(client)) = (read, standby, client) {
            if self.asked.len() >= STANDBYS_MAX {
                self.asked.retain(|_, (_, at)| now.saturating_sub(*at) < FORGOTTEN_NS);
            }
            if self.asked.len() >= STANDBYS_MAX {
                return;
            }
            self.asked.insert(standby, (client, now));
        }
    }

    /// Those that asked since `since`.
    pub(crate) fn since(&self, since: u64) -> impl Iterator<Item = (&str, &str)> {
        let recent = self.asked.iter().filter(move |(_, (_, at))| *at >= since);
        recent.map(|(name, (client, _))| (name.as_str(), client.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_is_known_while_it_asks() {
        let mut standbys = Standbys::default();
        for query in ["", "standby=x", "client=y", "standby=%zz&client=y", "a=b&standby"] {
            standbys.note(query, 5);
        }
        assert_eq!(standbys.since(0).count(), 0);
        standbys.note("standby=s1&client=http://a:1", 5);
        standbys.note("standby=s2&client=http://b:1", 9);
        standbys.note("standby=s2&client=http://c:1", 9);
        assert_eq!(standbys.since(5).count(), 2);
        assert_eq!(standbys.since(6).collect::<Vec<_>>(), [("s2", "http://c:1")]);
        for number in 0..3000 {
            standbys.note(&format!("standby=x{number}&client=c"), 9);
        }
        assert_eq!(standbys.since(0).count(), STANDBYS_MAX);
        standbys.note("standby=new&client=c", 9 + FORGOTTEN_NS);
        assert_eq!(standbys.since(0).collect::<Vec<_>>(), [("new", "c")]);
    }
}
