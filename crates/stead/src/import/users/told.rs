//! What is said of users and roles at the end.

use super::plan::Plan;
use super::request::command;
use crate::import::args::Order;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// How many names, and how many commands, are printed for people. JSON has all of them.
const NAMES_MAX: usize = 20;
const COMMANDS_MAX: usize = 100;

impl Plan {
    /// For people: lines, or nothing where there are no users.
    pub(in crate::import) fn text(&self, order: &Order) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        if let Some(why) = &self.unknown {
            let _ = writeln!(out, "users    cannot be read ({why}), and are not taken");
            return out;
        }
        let accounts = &self.accounts;
        if accounts.is_empty() {
            return out;
        }
        let (users, roles) = accounts.seen;
        let _ = write!(out, "users    users: {users}, roles: {roles}; ");
        let (made_users, made_roles) = self.made;
        let word = if order.is_dry_run { "would be" } else { "were" };
        let _ = match &self.refused {
            Some(why) => writeln!(out, "none of them are taken: {why}"),
            None => writeln!(
                out,
                "{made_users} users with their passwords and {made_roles} roles {word} imported"
            ),
        };
        let (present, held) = &self.present;
        if !present.is_empty() {
            let names = some(present);
            let _ = writeln!(out, "         users that were there keep their passwords: {names}");
        }
        if !held.is_empty() {
            let _ = writeln!(out, "         roles that were there: {}", some(held));
        }
        for left in accounts.left.iter().take(COMMANDS_MAX) {
            let _ = writeln!(out, "         left out: {left}");
        }
        more(&mut out, accounts.left.len(), "left out");
        self.tell_bare(&mut out, order);
        if let Some(line) = self.counting(order) {
            let _ = writeln!(out, "         {line}");
        }
        out
    }

    fn tell_bare(&self, out: &mut String, order: &Order) {
        if self.refused.is_some() {
            return;
        }
        for bare in self.accounts.bare.iter().take(COMMANDS_MAX) {
            let (base, flags) = self.caller(order);
            let line = command(&base, flags, &bare.user);
            let name = &bare.user.name;
            let _ = writeln!(out, "         not made: {name:?}: {}. Give it one:", bare.why);
            let _ = writeln!(out, "           {line}");
        }
        more(out, self.accounts.bare.len(), "not made");
    }

    /// Where a command goes, and what it shows there.
    fn caller(&self, order: &Order) -> (String, &'static str) {
        let base = order.to.first().map_or("http://HOST:PORT", String::as_str).to_owned();
        // A new directory is asked once its machine runs.
        let counts = self.counts_there.unwrap_or(self.accounts.is_enabled);
        let flags = match order.files.token {
            Some(_) => " -H \"Stead-Token: $(cat TOKEN-FILE)\"",
            None if counts => " -u root",
            None => "",
        };
        (base, flags)
    }

    /// Whether users count, where that needs saying.
    fn counting(&self, order: &Order) -> Option<String> {
        let is_directory = order.directory.is_some();
        match (self.accounts.is_enabled, self.counts_there) {
            (true, _) if self.refused.is_some() => None,
            (true, None) if is_directory => Some(
                "users count as at the source: who shows no password has the rights of guest"
                    .to_owned(),
            ),
            (true, Some(false)) => {
                let (base, flags) = self.caller(order);
                Some(format!(
                    "they counted at the source and do not yet at the target; to let them: \
                     curl{flags} {base}/v2/auth/enable -XPUT"
                ))
            }
            _ => None,
        }
    }

    /// For programs.
    pub(in crate::import) fn json(&self, order: &Order) -> Value {
        let accounts = &self.accounts;
        let (base, flags) = self.caller(order);
        let bare = accounts.bare.iter().map(|bare| {
            let user = &bare.user;
            json!({
                "user": user.name,
                "roles": user.roles,
                "why": bare.why,
                "command": command(&base, flags, user),
            })
        });
        json!({
            "countAtSource": accounts.is_enabled,
            "countAtTarget": self.counts_there,
            "users": accounts.seen.0,
            "roles": accounts.seen.1,
            "usersImported": self.made.0,
            "rolesImported": self.made.1,
            "usersPresent": self.present.0,
            "rolesPresent": self.present.1,
            "withoutPassword": bare.collect::<Vec<_>>(),
            "leftOut": accounts.left,
            "refused": self.refused,
            "unknown": self.unknown,
        })
    }
}

/// Names with commas between them; not all if they are many.
fn some(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(NAMES_MAX).map(|name| format!("{name:?}")).collect();
    match names.len().checked_sub(NAMES_MAX) {
        None | Some(0) => shown.join(", "),
        Some(more) => format!("{} and {more} more (--json names all)", shown.join(", ")),
    }
}

fn more(out: &mut String, count: usize, what: &str) {
    if let Some(more @ 1..) = count.checked_sub(COMMANDS_MAX) {
        let _ = writeln!(out, "         {what}: {more} more (--json names all)");
    }
}
