//! Who asked for something that is given later.

use crate::member::context::Context;
use store::{Auth, Principal};

/// Who was admitted to what only root may have, and is given it later: whether it still may is
/// asked again then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    who: Principal,
    /// Whether it has shown what counts as root: a machine's certificate, or the cluster's secret.
    is_let_in: bool,
}

impl Asker {
    /// The sender of a request that was admitted.
    pub(crate) fn admitted(cx: &Context) -> Self {
        Self { who: cx.who, is_let_in: cx.is_let_in }
    }

    /// One that everybody may be.
    pub(crate) fn anybody() -> Self {
        Self { who: Principal::Guest, is_let_in: true }
    }

    pub(crate) fn is_admitted(self, users: &Auth) -> bool {
        self.is_let_in || users.is_root(self.who)
    }
}
