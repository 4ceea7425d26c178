//! The parsers of what other members send, for the claims in `crates/fuzzed`.
//!
//! Only there with the feature `fuzzing`, which changes nothing else.

use crate::session::Mark;
use crate::types::MemberId;
use crate::wire::batch::{BatchReader, EntryWriter, Item, check_forwarded};
use crate::wire::envelope::{self, Envelope};
use store::Stamp;

const OWN: MemberId = MemberId(1);
const OTHER: MemberId = MemberId(2);

/// Reads bytes as a message of another member; says whether they are one.
///
/// # Panics
/// When what was read is not what is written of it, or what was accepted to be proposed cannot be
/// read from the log.
pub fn message(bytes: &[u8]) -> bool {
    let Some(read) = envelope::decode(bytes, OTHER, OWN) else { return false };
    let written = read.encode();
    assert_eq!(envelope::decode(&written, OTHER, OWN).as_ref(), Some(&read));
    if let Envelope::Forward { id, floor, items, .. } = read
        && let Some(items) = check_forwarded(items)
    {
        let mark = Mark { member: OTHER, id, floor, count: items.len };
        let mut writer = EntryWriter::default();
        writer.push_request(&mark, &items);
        let entry = writer.finish(Stamp::default());
        let mut reader = BatchReader::open(&entry).expect("it was just written").expect("a batch");
        let first = reader.next_item().expect("it was just written");
        assert_eq!(first, Some(Item::Request(mark)));
        for _ in 0..items.len {
            assert!(reader.next_item().expect("each was read before").is_some());
        }
        assert!(reader.next_item().expect("the end is one").is_none(), "more than was counted");
    }
    true
}
