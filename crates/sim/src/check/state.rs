//! Do all members hold the same, byte for byte, when everything is quiet?

use super::Verdict;

/// What one member holds.
#[derive(Clone, Debug)]
pub struct Holds {
    /// The member.
    pub name: String,
    /// The last index that it applied.
    pub applied: u64,
    /// The running hash of all that it applied.
    pub hash: u64,
    /// All that it holds, in one form.
    pub contents: Vec<u8>,
}

/// Judges all members.
pub fn check(members: &[Holds]) -> Verdict {
    let Some((first, others)) = members.split_first() else {
        return Err("no member is left".to_owned());
    };
    for other in others {
        let place = |one: &Holds| format!("{} at {} with {:x}", one.name, one.applied, one.hash);
        if (first.applied, first.hash) != (other.applied, other.hash) {
            return Err(format!("{} and {} applied different logs", place(first), place(other)));
        }
        if first.contents != other.contents {
            let pairs = first.contents.iter().zip(&other.contents);
            let at = pairs.take_while(|(one, other)| one == other).count();
            return Err(format!(
                "{} and {} differ from byte {at} of their snapshots on",
                place(first),
                place(other)
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str) -> Holds {
        Holds { name: name.into(), applied: 7, hash: 9, contents: vec![1, 2, 3] }
    }

    #[test]
    fn equal_members_are_right_and_any_difference_is_wrong() {
        assert_eq!(check(&[member("a"), member("b"), member("c")]), Ok(()));
        assert!(check(&[]).is_err());
        let others = [
            Holds { applied: 6, ..member("b") },
            Holds { hash: 8, ..member("b") },
            Holds { contents: vec![1, 2, 4], ..member("b") },
            Holds { contents: vec![1, 2], ..member("b") },
        ];
        for other in others {
            assert!(check(&[member("a"), other.clone()]).is_err(), "{other:?}");
        }
    }
}
