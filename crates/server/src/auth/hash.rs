//! Hashes that others made of passwords: which of them are taken.

use bcrypt::HashParts;
use std::fmt;

/// The greatest cost of a hash that is taken: some second for each check, on the one thread that
/// checks passwords. The work doubles with each step, so that at 31, which bcrypt allows, a single
/// check would keep all other users from being checked for days.
pub const HASH_COST_MAX: u32 = 14;

/// What bcrypt itself demands.
const HASH_COST_MIN: u32 = 4;

/// Why a hash is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashFault {
    /// It is not of the form `$2a$10$...`.
    Form,
    /// A check would take too long, or the cost is none.
    Cost(u32),
}

impl fmt::Display for HashFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str("it is no bcrypt hash ($2a$, $2b$ or $2y$)"),
            Self::Cost(cost) => write!(
                f,
                "its bcrypt cost is {cost}, and only {HASH_COST_MIN} to {HASH_COST_MAX} are taken"
            ),
        }
    }
}

/// Whether passwords can be checked against a hash, in bounded time.
///
/// # Errors
/// [`HashFault`].
pub fn check_hash(hash: &str) -> Result<(), HashFault> {
    // `$2x$` is what a faulty program made: bytes above 127 mean something else there.
    let is_known = ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| hash.starts_with(prefix));
    let has_cost = hash.bytes().skip(4).take(2).all(|byte| byte.is_ascii_digit());
    if !is_known || !has_cost {
        return Err(HashFault::Form);
    }
    // This is what a check does with it first.
    let parts: HashParts = hash.parse().map_err(|_| HashFault::Form)?;
    match parts.get_cost() {
        HASH_COST_MIN..=HASH_COST_MAX => Ok(()),
        cost => Err(HashFault::Cost(cost)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_can_be_checked_and_nothing_that_takes_too_long_is_taken() {
        let hash = bcrypt::hash("pw", 4).expect("a cost that is allowed");
        let rest = hash.strip_prefix("$2b$04$").expect("as the crate writes them");
        for prefix in ["$2a$04$", "$2b$04$", "$2y$04$"] {
            let hash = format!("{prefix}{rest}");
            assert_eq!(check_hash(&hash), Ok(()), "{hash}");
            assert_eq!(bcrypt::verify("pw", &hash).ok(), Some(true), "{hash}");
        }
        for cost in [0, 3, 15, 31, 99] {
            let hash = format!("$2a${cost:02}${rest}");
            assert_eq!(check_hash(&hash), Err(HashFault::Cost(cost)), "{hash}");
        }
        let long = format!("{hash}A");
        for wrong in [
            "",
            "*",
            "pw",
            "$2a$04$",
            long.as_str(),
            hash.get(..59).expect("it is longer"),
            &format!("$2x$04${rest}"),
            &format!("$1a$04${rest}"),
            &format!("$2a$+4${rest}"),
            &format!("$2a$04${}!", &rest[..52]),
            &format!("$2a$04${}\u{e9}", &rest[..51]),
        ] {
            assert_eq!(check_hash(wrong), Err(HashFault::Form), "{wrong}");
        }
    }
}
