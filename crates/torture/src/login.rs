//! Who clients say that they are.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sim::check::rights::Shown;
use sim::rng::Rng;
use std::collections::VecDeque;
use std::sync::Arc;

/// The user that may do everything.
pub(crate) const ROOT: &str = "root";

pub(crate) const ROOT_PASSWORD: &str = "the one of root";

/// How many logins are remembered that are good no more.
const FORMER_MAX: usize = 24;

/// A name with a password.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    line: Arc<str>,
    /// Whom it proves: the store indexes are those by which its making and its password were told
    /// of, which are the upper ends of where they are.
    pub(crate) shown: Shown,
}

impl Login {
    pub(crate) fn new(shown: Shown, password: &str) -> Self {
        let both = BASE64_STANDARD.encode(format!("{}:{password}", shown.name));
        Self { line: format!("Authorization: Basic {both}\r\n").into(), shown }
    }

    pub(crate) fn root() -> Self {
        Self::new(Shown { name: ROOT.into(), id: 1, password: 1 }, ROOT_PASSWORD)
    }

    /// The line of a request's head.
    pub(crate) fn line(&self) -> &str {
        &self.line
    }
}

/// Which logins clients may use.
#[derive(Debug, Default)]
pub(crate) struct Logins {
    current: Vec<Login>,
    /// Of users that are gone, and with passwords that were replaced.
    former: VecDeque<Login>,
}

impl Logins {
    /// What is good of a user from now on; gives what was.
    pub(crate) fn put(&mut self, name: &str, login: Option<Login>) -> Option<Login> {
        let at = self.current.iter().position(|one| one.shown.name == name);
        let old = at.map(|at| self.current.remove(at));
        self.former.extend(old.clone());
        if self.former.len() > FORMER_MAX {
            self.former.pop_front();
        }
        self.current.extend(login);
        old
    }

    /// What is good of a user.
    pub(crate) fn of(&self, name: &str) -> Option<Login> {
        self.current.iter().find(|one| one.shown.name == name).cloned()
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// One that is good as far as anybody knows.
    pub(crate) fn current(&self, rng: &mut Rng) -> Option<Login> {
        self.current.get(rng.index(self.current.len())).cloned()
    }

    /// One that was good once.
    pub(crate) fn former(&self, rng: &mut Rng) -> Option<Login> {
        self.former.get(rng.index(self.former.len())).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(name: &str, at: u64) -> Login {
        Login::new(Shown { name: name.into(), id: 2, password: at }, "x")
    }

    #[test]
    fn the_line_is_that_of_rfc_7617() {
        let aladdin = Shown { name: "Aladdin".into(), id: 1, password: 1 };
        let login = Login::new(aladdin, "open sesame");
        assert_eq!(login.line(), "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n");
    }

    #[test]
    fn a_login_that_was_replaced_is_a_former_one() {
        let (mut logins, mut rng) = (Logins::default(), Rng::new(1));
        assert!(logins.current(&mut rng).is_none() && logins.former(&mut rng).is_none());
        assert!(logins.put("a", Some(login("a", 3))).is_none());
        assert_eq!(logins.put("a", Some(login("a", 7))).map(|old| old.shown.password), Some(3));
        assert_eq!(logins.current(&mut rng).map(|one| one.shown.password), Some(7));
        assert_eq!(logins.former(&mut rng).map(|one| one.shown.password), Some(3));
        assert!(logins.put("a", None).is_some() && logins.current(&mut rng).is_none());
    }
}
