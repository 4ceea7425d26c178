//! What a machine becomes when it starts: one decision for every way to start, as a function of
//! what its directory holds, what it is told, and what others say. docs/clustering.md shows it as a
//! table, which a test holds against this function.

/// What the data directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing of a member.
    Nothing,
    /// The word that this machine stands by for a cluster.
    Standby,
    /// The data of a member that is alone in its cluster.
    Alone,
    /// The data of a member that knows others.
    Several,
}

/// Where the start line says that others are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nowhere, or at this machine alone.
    Nowhere,
    /// `-peers`, `-peers-file`.
    Peers,
    /// `-discovery`.
    Discovery,
    /// `-initial-cluster` with state `new`.
    New,
    /// `-initial-cluster` with state `existing`.
    Existing,
}

/// What is to become of what the directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// It goes on with it.
    Not,
    /// `-force`: it begins with an empty directory.
    Anew,
    /// `-force-rejoin`: the same, and it takes the place that this machine had in its cluster.
    Rejoin,
}

/// What others say when they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nobody was asked yet.
    NotAsked,
    /// Nobody who has begun answers.
    Nobody,
    /// The cluster of the list has begun, and this machine never took part in it.
    Begun,
    /// That cluster has had a leader, and none answers: a member that was away need not know who
    /// took part.
    Unclear,
    /// This machine took part in the cluster of the list.
    TookPart,
    /// Another cluster than that of the list lives there.
    Another,
    /// The discovery service: this machine is the first.
    First,
    /// The discovery service: others were there before.
    Later,
}

/// Why a machine does not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It would found a second cluster under an address that members of the first one know.
    SecondCluster,
    /// It is to take its place in a cluster of which nothing is known.
    NobodyToAsk,
    /// It took part once, and its directory is empty.
    LostDisk,
    /// The machines of the list belong to another cluster.
    AnotherCluster,
}

/// What a machine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It asks, and decides then.
    Ask,
    /// It goes on as the member that it is.
    Restart,
    /// It waits for a place.
    StandBy,
    /// It founds a cluster of one.
    Found,
    /// It founds a cluster together with the others of the list.
    FoundTogether,
    /// It asks for a place.
    Join,
    /// It asks for a place in the stead of the member that had its name.
    Rejoin,
    /// It does not start.
    Refuse(Refusal),
}

/// Decides. With [`Outcome::Ask`] the same is asked again with the answers.
pub fn decide(held: Held, told: Told, force: Force, heard: Heard) -> Outcome {
    match (force, held) {
        (Force::Not, Held::Alone | Held::Several) => Outcome::Restart,
        (Force::Not, Held::Standby) => Outcome::StandBy,
        (Force::Not, Held::Nothing) | (Force::Anew, Held::Nothing | Held::Alone) => {
            anew(told, heard)
        }
        (Force::Anew, Held::Standby | Held::Several) => match anew(told, heard) {
            // The list makes the same ids again: what they promised is what is being put away.
            Outcome::Found | Outcome::FoundTogether => Outcome::Refuse(Refusal::SecondCluster),
            outcome => outcome,
        },
        (Force::Rejoin, _) => rejoin(held, told, heard),
    }
}

/// Whether the files in the directory are put away before the outcome comes about.
pub fn sets_aside(held: Held, outcome: Outcome) -> bool {
    let stays = matches!(outcome, Outcome::Restart | Outcome::StandBy | Outcome::Refuse(_));
    held != Held::Nothing && !stays
}

/// A machine with an empty directory.
fn anew(told: Told, heard: Heard) -> Outcome {
    match (told, heard) {
        (Told::Nowhere, _) => Outcome::Found,
        (Told::Peers | Told::Existing, _) => Outcome::Join,
        (Told::Discovery, Heard::First) => Outcome::Found,
        (Told::Discovery, Heard::Later) => Outcome::Join,
        (Told::New, Heard::Nobody | Heard::Begun) => Outcome::FoundTogether,
        (Told::New, Heard::TookPart) => Outcome::Refuse(Refusal::LostDisk),
        (Told::New, Heard::Another) => Outcome::Refuse(Refusal::AnotherCluster),
        (Told::Discovery | Told::New, _) => Outcome::Ask,
    }
}

/// A machine that takes the place that it had. It founds nothing, whoever answers.
fn rejoin(held: Held, told: Told, heard: Heard) -> Outcome {
    let knows_others = matches!(held, Held::Standby | Held::Several);
    match (told, heard) {
        (Told::Peers | Told::Existing | Told::New, _) | (Told::Discovery, Heard::Later) => {
            Outcome::Rejoin
        }
        (Told::Nowhere, _) | (Told::Discovery, Heard::First) if knows_others => Outcome::Rejoin,
        (Told::Nowhere, _) | (Told::Discovery, Heard::First) => {
            Outcome::Refuse(Refusal::NobodyToAsk)
        }
        (Told::Discovery, _) => Outcome::Ask,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const DOCUMENT: &str = include_str!("../../../../docs/clustering.md");
    const HEAD: &str = "| the directory holds | told by | force | answers | what it does |";

    fn held() -> [(Held, &'static str); 4] {
        [
            (Held::Nothing, "nothing"),
            (Held::Standby, "standby word"),
            (Held::Alone, "member, alone"),
            (Held::Several, "member of several"),
        ]
    }

    fn told() -> [(Told, &'static str); 5] {
        [
            (Told::Nowhere, "nothing"),
            (Told::Peers, "`-peers`"),
            (Told::Discovery, "`-discovery`"),
            (Told::New, "list, new"),
            (Told::Existing, "list, existing"),
        ]
    }

    fn force() -> [(Force, &'static str); 3] {
        [(Force::Not, "no"), (Force::Anew, "`-force`"), (Force::Rejoin, "`-force-rejoin`")]
    }

    fn heard() -> [(Heard, &'static str); 8] {
        [
            (Heard::NotAsked, "not asked yet"),
            (Heard::Nobody, "nobody"),
            (Heard::Begun, "begun"),
            (Heard::Unclear, "begun, no leader"),
            (Heard::TookPart, "took part"),
            (Heard::Another, "another cluster"),
            (Heard::First, "first"),
            (Heard::Later, "later"),
        ]
    }

    fn words(outcome: Outcome) -> &'static str {
        match outcome {
            Outcome::Ask => "asks",
            Outcome::Restart => "goes on as the member",
            Outcome::StandBy => "stands by",
            Outcome::Found => "founds a cluster of one",
            Outcome::FoundTogether => "founds with the list",
            Outcome::Join => "joins",
            Outcome::Rejoin => "joins in its old place",
            Outcome::Refuse(Refusal::SecondCluster) => "refused: a second cluster",
            Outcome::Refuse(Refusal::NobodyToAsk) => "refused: nobody to ask",
            Outcome::Refuse(Refusal::LostDisk) => "refused: a lost disk",
            Outcome::Refuse(Refusal::AnotherCluster) => "refused: another cluster",
        }
    }

    /// The cells of the table's rows.
    fn rows() -> Vec<Vec<&'static str>> {
        let lines = DOCUMENT.lines().skip_while(|line| *line != HEAD).skip(2);
        let rows = lines.take_while(|line| line.starts_with('|'));
        rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
    }

    /// Whether a cell of the table means a value: that one, one of several, or any.
    fn means(cell: &str, value: &str) -> bool {
        cell == "any" || cell.split(" or ").any(|one| one == value)
    }

    /// Whether somebody was asked at all, and may have said this.
    fn may_say(told: Told, heard: Heard) -> bool {
        match heard {
            Heard::NotAsked => true,
            Heard::First | Heard::Later => told == Told::Discovery,
            _ => told == Told::New,
        }
    }

    #[test]
    fn the_documented_table_is_what_is_decided() {
        let rows = rows();
        assert!(rows.iter().all(|row| row.len() == 5) && rows.len() > 5, "{rows:?}");
        let mut used = BTreeSet::new();
        for (held, held_word) in held() {
            for (told, told_word) in told() {
                for (force, force_word) in force() {
                    for (heard, heard_word) in heard() {
                        if !may_say(told, heard) {
                            continue;
                        }
                        let values = [held_word, told_word, force_word, heard_word];
                        let is_it = |row: &&Vec<&str>| {
                            row.iter().zip(values).all(|(cell, value)| means(cell, value))
                        };
                        let found = rows.iter().position(|row| is_it(&row));
                        let at = found.unwrap_or_else(|| panic!("no row for {values:?}"));
                        used.insert(at);
                        let outcome = decide(held, told, force, heard);
                        assert_eq!(rows[at][4], words(outcome), "{values:?}: row {at}");
                    }
                }
            }
        }
        let unused: Vec<usize> = (0..rows.len()).filter(|at| !used.contains(at)).collect();
        assert_eq!(unused, [0_usize; 0], "rows of the table that no start meets");
    }

    #[test]
    fn nobody_founds_where_something_says_that_there_is_a_cluster() {
        for (held, _) in held() {
            for (told, _) in told() {
                for (force, _) in force() {
                    for (heard, _) in heard() {
                        let outcome = decide(held, told, force, heard);
                        let founds = matches!(outcome, Outcome::Found | Outcome::FoundTogether);
                        let is_known = matches!(held, Held::Standby | Held::Several)
                            || matches!(told, Told::Peers | Told::Existing)
                            || matches!(heard, Heard::TookPart | Heard::Another | Heard::Later)
                            || force == Force::Rejoin;
                        // Who has nobody to ask has heard nothing.
                        let may_have_heard = told == Told::Nowhere || may_say(told, heard);
                        let heard_nothing = told == Told::Nowhere
                            && matches!(held, Held::Nothing | Held::Alone)
                            && force != Force::Rejoin;
                        let is_safe = !founds || !is_known || heard_nothing;
                        assert!(
                            !may_have_heard || is_safe,
                            "{held:?} {told:?} {force:?} {heard:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn files_are_put_away_only_by_who_goes_on_without_them() {
        for (held, _) in held() {
            for outcome in [Outcome::Restart, Outcome::Refuse(Refusal::SecondCluster)] {
                assert!(!sets_aside(held, outcome));
            }
            assert_eq!(sets_aside(held, Outcome::Rejoin), held != Held::Nothing);
        }
    }
}
