//! The members as the log last told them, and what of it is news. No clocks and no log here.

use replica::{Member, MemberId};

/// A member as it was last told.
#[derive(Clone, Debug)]
struct Known {
    member: Member,
    is_voter: bool,
}

/// What is news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::member) enum News {
    Joined {
        member: Member,
        is_voter: bool,
    },
    Promoted(Member),
    Removed(Member),
    /// With the member as it was.
    Moved {
        member: Member,
        before: Member,
    },
}

/// What was told of the members.
#[derive(Debug, Default)]
pub(in crate::member) struct Table {
    known: Vec<Known>,
}

impl Table {
    /// Whether nothing differs from what was told.
    pub(in crate::member) fn is_same<'a>(
        &self,
        mut members: impl Iterator<Item = (&'a Member, bool)>,
    ) -> bool {
        let mut known = self.known.iter();
        let is_known = |(member, is_voter): (&Member, bool)| {
            known.next().is_some_and(|it| it.is_voter == is_voter && it.member == *member)
        };
        members.all(is_known) && known.next().is_none()
    }

    /// Takes the members as they are, and gives what is news of it.
    pub(in crate::member) fn take<'a>(
        &mut self,
        members: impl Iterator<Item = (&'a Member, bool)>,
    ) -> Vec<News> {
        let now = members.map(|(member, is_voter)| Known { member: member.clone(), is_voter });
        let before = std::mem::replace(&mut self.known, now.collect());
        let find =
            |all: &[Known], id: MemberId| all.iter().find(|one| one.member.id == id).cloned();
        let mut news = Vec::new();
        for Known { member, is_voter } in self.known.clone() {
            let Some(old) = find(&before, member.id) else {
                news.push(News::Joined { member, is_voter });
                continue;
            };
            if is_voter && !old.is_voter {
                news.push(News::Promoted(member.clone()));
            }
            let at =
                |one: &Member| (one.peer_url.clone(), one.client_url.clone(), one.urls.clone());
            if at(&old.member) != at(&member) {
                news.push(News::Moved { member, before: old.member });
            }
        }
        let gone = before.into_iter().filter(|one| find(&self.known, one.member.id).is_none());
        news.extend(gone.map(|one| News::Removed(one.member)));
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64, at: &str) -> Member {
        Member {
            id: MemberId(id),
            name: format!("m{id}"),
            client_url: "http://c".to_owned(),
            peer_url: format!("http://{at}"),
            ..Member::default()
        }
    }

    #[test]
    fn what_changed_is_told_once() {
        let mut table = Table::default();
        let (m1, m2) = (member(1, "a"), member(2, "b"));
        let first = [(&m1, true)];
        assert!(!table.is_same(first.into_iter()));
        assert_eq!(table.take(first.into_iter()).len(), 1);
        assert!(table.is_same(first.into_iter()));
        let joined = table.take([(&m1, true), (&m2, false)].into_iter());
        assert_eq!(joined, [News::Joined { member: m2.clone(), is_voter: false }]);
        let promoted = table.take([(&m1, true), (&m2, true)].into_iter());
        assert_eq!(promoted, [News::Promoted(m2.clone())]);
        let there = member(2, "c");
        assert!(!table.is_same([(&m1, true), (&there, true)].into_iter()));
        let moved = table.take([(&m1, true), (&there, true)].into_iter());
        assert_eq!(moved, [News::Moved { member: there.clone(), before: m2 }]);
        assert_eq!(table.take([(&m1, true)].into_iter()), [News::Removed(there)]);
        assert_eq!(table.take([(&m1, true)].into_iter()), []);
    }
}
