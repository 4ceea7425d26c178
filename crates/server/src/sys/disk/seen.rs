//! `peers-seen`: how far the other members were when this one last heard of them, for an operator
//! who has to choose what is left of a cluster (`stead recover`). Nothing else reads it.
//!
//! ```text
//! stead peers-seen 1
//! CLUSTER OWN                    in hexadecimal
//! MEMBER APPLIED NANOSECONDS     a line for each: in hexadecimal, and two decimal numbers
//! CRC                            CRC-32C of all before, in hexadecimal
//! ```
//! It is written without a sync, so a power loss may leave any of its bytes. What is not whole, or
//! of another member, counts as missing.

use super::contents::SEEN_NAME;
use super::{DataDir, of_path, temporary_name};
use replica::{ClusterId, MemberId};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt;

const VERSION: &str = "stead peers-seen 1";

/// How many members are remembered. Clusters are far smaller.
const MEMBERS_MAX: usize = 256;

/// More than the longest file has.
const BYTES_MAX: u64 = 32 << 10;

/// How far another member was when it last said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The member.
    pub id: MemberId,
    /// The last log entry that it had applied.
    pub applied: u64,
    /// When it said so, by this machine's wall clock: nanoseconds since 1970.
    pub at: u64,
}

/// Prints what one member has seen of the others. Those beyond a bound are left out.
pub(crate) fn print(cluster: ClusterId, own: MemberId, seen: &[Sighting]) -> String {
    let mut text = format!("{VERSION}\n{:x} {:x}\n", cluster.0, own.0);
    for Sighting { id, applied, at } in seen.iter().take(MEMBERS_MAX) {
        // Writing into a text cannot fail.
        let _ = writeln!(text, "{:x} {applied} {at}", id.0);
    }
    let sum = crc32c::crc32c(text.as_bytes());
    let _ = writeln!(text, "{sum:08x}");
    text
}

/// Reads that again; nothing where it is not whole, of another version or of another member.
pub(crate) fn parse(text: &str, cluster: ClusterId, own: MemberId) -> Option<Vec<Sighting>> {
    let body_len = text.strip_suffix('\n')?.rfind('\n')? + 1;
    let (body, sum) = text.split_at_checked(body_len)?;
    if u32::from_str_radix(sum.trim_end(), 16).ok()? != crc32c::crc32c(body.as_bytes()) {
        return None;
    }
    let mut lines = body.lines();
    if lines.next() != Some(VERSION) || lines.next()? != format!("{:x} {:x}", cluster.0, own.0) {
        return None;
    }
    let sighting = |line: &str| {
        let mut words = line.split(' ');
        let id = MemberId(u64::from_str_radix(words.next()?, 16).ok()?);
        let applied = words.next()?.parse().ok()?;
        let at = words.next()?.parse().ok()?;
        words.next().is_none().then_some(Sighting { id, applied, at })
    };
    lines.map(sighting).collect()
}

impl DataDir {
    /// Puts the file in place. A process that ends leaves the old or the new one; a power loss may
    /// leave neither.
    ///
    /// # Errors
    /// What the disk gave, with the file's name.
    pub(crate) fn write_seen(&self, text: &str) -> io::Result<()> {
        let temporary = self.path.join(temporary_name(SEEN_NAME));
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(0o600);
        let written = options
            .open(&temporary)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| fs::rename(&temporary, self.path.join(SEEN_NAME)));
        written.map_err(|error| {
            // What cannot be removed now is removed at the next start.
            let _ = fs::remove_file(&temporary);
            of_path("write", &self.path.join(SEEN_NAME), &error)
        })
    }

    /// What the file says, to this member of this cluster; nothing where it is missing or damaged.
    pub(crate) fn seen(&self, cluster: ClusterId, own: MemberId) -> Option<Vec<Sighting>> {
        let mut text = String::new();
        let file = File::open(self.path.join(SEEN_NAME)).ok()?;
        file.take(BYTES_MAX).read_to_string(&mut text).ok()?;
        parse(&text, cluster, own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::disk::tests::Scratch;

    const CLUSTER: ClusterId = ClusterId(0xc1);
    const OWN: MemberId = MemberId(0xa1);

    fn some() -> Vec<Sighting> {
        let sighting = |id| Sighting { id: MemberId(id), applied: 7 * id, at: u64::MAX - id };
        [2, 3, u64::MAX / 7].map(sighting).to_vec()
    }

    #[test]
    fn what_was_seen_is_kept_for_its_member_alone() {
        let scratch = Scratch::new("seen");
        let data_dir = DataDir::open(scratch.path()).expect("a place for files");
        assert_eq!(data_dir.seen(CLUSTER, OWN), None);
        data_dir.write_seen(&print(CLUSTER, OWN, &[])).expect("the disk works");
        assert_eq!(data_dir.seen(CLUSTER, OWN), Some(Vec::new()));
        data_dir.write_seen(&print(CLUSTER, OWN, &some())).expect("the disk works");
        assert_eq!(data_dir.seen(CLUSTER, OWN), Some(some()));
        assert_eq!(data_dir.seen(ClusterId(1), OWN), None);
        assert_eq!(data_dir.seen(CLUSTER, MemberId(1)), None);
        assert!(!scratch.path().join("peers-seen.tmp").exists());
    }

    #[test]
    fn damage_anywhere_makes_it_unknown() {
        let text = print(CLUSTER, OWN, &some());
        assert_eq!(parse(&text, CLUSTER, OWN), Some(some()));
        for len in 0..text.len() {
            assert_eq!(parse(&text[..len], CLUSTER, OWN), None, "cut at {len}");
        }
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let damaged = String::from_utf8(bytes).expect("ASCII stays ASCII");
            assert_eq!(parse(&damaged, CLUSTER, OWN), None, "damaged at {at}: {damaged}");
        }
        for text in ["", "\n", "\n\n", "\0\0\0\0", &"\n".repeat(1000)] {
            assert_eq!(parse(text, CLUSTER, OWN), None, "{text:?}");
        }
    }

    #[test]
    fn the_file_is_bounded() {
        let many: Vec<_> = (0..10_000)
            .map(|id| Sighting { id: MemberId(u64::MAX - id), applied: u64::MAX, at: u64::MAX })
            .collect();
        let text = print(CLUSTER, OWN, &many);
        assert!((text.len() as u64) < BYTES_MAX);
        assert_eq!(parse(&text, CLUSTER, OWN).map(|seen| seen.len()), Some(MEMBERS_MAX));
    }
}
