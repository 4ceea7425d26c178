//! What one log entry carries: the commands of one turn, or a part of them, under one stamp.
//!
//! ```text
//! version u8 | time u64 | wall offset i64 | item, item, ...
//! item: 0 store command | 1 register: member, config flag u8, [config] | 2 configure: config
//!   | 3 remove: member id u64 | 4 forget: member id u64
//!   | 5 request: member, start, seq, floor u64, count u32; the next `count` items are its own
//!   | 6 started: member id, identity (18 u64) | 7 expel: member id u64
//!   | 8 store command of a user: principal, command | 9 the same, at a directory
//!   | 10 reconfigure: config, config
//! ```
//! Integers are little-endian. An empty entry, as raft writes at the start of a term, is an empty
//! batch. Version 1 knows no requests, and reserves all of `/_etcd`; version 2 knows no users, and
//! no reconfigure. Version 3 is written only where an entry has one of them: a program that does
//! not know them must not pass over it.

use crate::identity::Identity;
use crate::limits::ENTRY_BYTES_MAX;
use crate::membership::{ClusterConfig, Member};
use crate::session::ForwardId;
use crate::session::Mark;
use crate::types::MemberId;
use crate::wire::codec::{self, Malformed};
use raft::eraftpb::{Entry, EntryType};
use store::{Author, Command, Principal, Stamp, Timestamp, WallOffset};

const VERSION: u8 = 3;
/// What knew no users; written for an entry that has nothing to do with what came later.
const VERSION_WITHOUT_USERS: u8 = 2;
/// What release 0.1 wrote: it knows no requests, and all of `/_etcd` was reserved to the server.
const VERSION_0_1: u8 = 1;
const HEADER_LEN: usize = 17;

const TAG_STORE: u8 = 0;
const TAG_REGISTER: u8 = 1;
const TAG_CONFIGURE: u8 = 2;
const TAG_REMOVE: u8 = 3;
const TAG_FORGET: u8 = 4;
const TAG_REQUEST: u8 = 5;
const TAG_STARTED: u8 = 6;
const TAG_EXPEL: u8 = 7;
const TAG_STORE_AS: u8 = 8;
/// The same, for a key that was named with a slash behind it.
const TAG_STORE_AS_AT_DIR: u8 = 9;
const TAG_RECONFIGURE: u8 = 10;

/// A change of the cluster's own registry; takes one store index, as a client's write does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Control {
    /// A member announces itself, anew or with other addresses; the first one brings the
    /// configuration along.
    Register { member: Member, config: Option<ClusterConfig> },
    /// The configuration is replaced.
    Configure(ClusterConfig),
    /// The same, if it is still the first one of these.
    Reconfigure { from: ClusterConfig, to: ClusterConfig },
    /// A member has left for good. Travels with the change of raft's configuration only.
    Remove(MemberId),
    /// The same; its machine is to stay out until its operator starts it again.
    Expel(MemberId),
    /// A machine that was expected is not any more.
    Forget(MemberId),
    /// A member's directory was started. Takes no store index: clients never see it.
    Started(MemberId, Identity),
}

/// One item of a batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item<'a> {
    Store(Author, Command<'a>),
    Control(Control),
    /// The items that follow are a member's request.
    Request(Mark),
}

/// Items one after the other, as they stand in an entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Items {
    pub(crate) bytes: Vec<u8>,
    pub(crate) len: usize,
    /// Whether version 2 does not know one of them.
    pub(crate) is_recent: bool,
}

impl Items {
    pub(crate) fn push(&mut self, author: Author, command: &Command<'_>) {
        self.len += 1;
        self.is_recent |= names_users(author, command);
        if author == Author::default() {
            self.bytes.push(TAG_STORE);
        } else {
            self.bytes.push(if author.has_slash { TAG_STORE_AS_AT_DIR } else { TAG_STORE_AS });
            author.who.encode(&mut self.bytes);
        }
        command.encode(&mut self.bytes);
    }

    pub(crate) fn push_control(&mut self, control: &Control) {
        self.len += 1;
        let bytes = &mut self.bytes;
        match control {
            Control::Register { member, config } => {
                bytes.push(TAG_REGISTER);
                member.encode(bytes);
                bytes.push(u8::from(config.is_some()));
                if let Some(config) = config {
                    config.encode(bytes);
                }
            }
            Control::Configure(config) => {
                bytes.push(TAG_CONFIGURE);
                config.encode(bytes);
            }
            Control::Reconfigure { from, to } => {
                self.is_recent = true;
                bytes.push(TAG_RECONFIGURE);
                from.encode(bytes);
                to.encode(bytes);
            }
            Control::Remove(id) => {
                bytes.push(TAG_REMOVE);
                codec::put_u64(bytes, id.0);
            }
            Control::Expel(id) => {
                bytes.push(TAG_EXPEL);
                codec::put_u64(bytes, id.0);
            }
            Control::Forget(id) => {
                bytes.push(TAG_FORGET);
                codec::put_u64(bytes, id.0);
            }
            Control::Started(id, identity) => {
                bytes.push(TAG_STARTED);
                codec::put_u64(bytes, id.0);
                identity.encode(bytes);
            }
        }
    }
}

fn names_users(author: Author, command: &Command<'_>) -> bool {
    author != Author::default() || matches!(command, Command::Auth(_))
}

/// Puts an entry together. The stamp is filled in when it is finished.
#[derive(Debug, Default)]
pub(crate) struct EntryWriter {
    bytes: Vec<u8>,
    is_recent: bool,
}

impl EntryWriter {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    fn start(&mut self, room: usize) {
        if self.bytes.is_empty() {
            self.bytes.reserve(HEADER_LEN + room);
            self.bytes.resize(HEADER_LEN, 0);
        }
    }

    pub(crate) fn push_items(&mut self, items: &Items) {
        self.start(items.bytes.len());
        self.is_recent |= items.is_recent;
        self.bytes.extend_from_slice(&items.bytes);
    }

    /// Adds the items of a request.
    pub(crate) fn push_request(&mut self, mark: &Mark, items: &Items) {
        self.start(MARK_LEN + items.bytes.len());
        self.is_recent |= items.is_recent;
        self.bytes.push(TAG_REQUEST);
        let ForwardId { start, seq } = mark.id;
        for number in [mark.member.0, start, seq, mark.floor] {
            codec::put_u64(&mut self.bytes, number);
        }
        codec::put_u32(&mut self.bytes, mark.count);
        self.bytes.extend_from_slice(&items.bytes);
    }

    /// The finished bytes; the writer is empty afterwards.
    pub(crate) fn finish(&mut self, stamp: Stamp) -> Vec<u8> {
        self.start(0);
        let mut bytes = std::mem::take(&mut self.bytes);
        let header = bytes.get_mut(..HEADER_LEN).expect("an entry is begun with its header");
        let (version, header) = header.split_at_mut(1);
        version[0] = if self.is_recent { VERSION } else { VERSION_WITHOUT_USERS };
        self.is_recent = false;
        let (time, offset) = header.split_at_mut(8);
        time.copy_from_slice(&stamp.time.0.to_le_bytes());
        offset.copy_from_slice(&stamp.wall_offset.0.to_le_bytes());
        // A record of the log takes an entry of this length beside others; see `limits.rs`.
        assert!(bytes.len() <= ENTRY_BYTES_MAX, "an entry of {} bytes", bytes.len());
        bytes
    }
}

/// The bytes that a mark takes up.
pub(crate) const MARK_LEN: usize = 1 + 4 * 8 + 4;

/// The items that another member wants to have proposed. Gives nothing if there are none, or
/// if they hold what a member may not ask for: expiry is decided by the leader alone, members come
/// and go by changes of raft's configuration, and whose request it is the leader knows.
pub(crate) fn check_forwarded(items: &[u8]) -> Option<Items> {
    let (stamp, reserves_all) = (Stamp::default(), false);
    let mut reader = BatchReader { stamp, reserves_all, rest: items, left: 0 };
    let mut checked = Items::default();
    while let Some(item) = reader.next_item().ok()? {
        match item {
            Item::Store(_, Command::Expire { .. } | Command::Internal { .. })
            | Item::Control(Control::Remove(_) | Control::Expel(_))
            | Item::Request(_) => return None,
            Item::Store(author, command) => checked.is_recent |= names_users(author, &command),
            Item::Control(Control::Reconfigure { .. }) => checked.is_recent = true,
            Item::Control(_) => {}
        }
        checked.len += 1;
    }
    checked.bytes = items.to_vec();
    (checked.len > 0).then_some(checked)
}

/// What the leader stamped an entry with; nothing if it is no batch.
pub(crate) fn stamp_of(entry: &Entry) -> Option<Stamp> {
    let is_normal = entry.get_entry_type() == EntryType::EntryNormal;
    let reader = BatchReader::open(&entry.data).ok().flatten().filter(|_| is_normal);
    reader.map(|reader| reader.stamp)
}

/// Reads a batch from an entry.
#[derive(Debug)]
pub(crate) struct BatchReader<'a> {
    pub(crate) stamp: Stamp,
    /// Whether clients could write nothing below `/_etcd` when this was written.
    pub(crate) reserves_all: bool,
    rest: &'a [u8],
    /// How many items of the last request are still to come.
    left: usize,
}

/// Whether an entry is of a version that this program does not know yet.
pub(crate) fn is_newer(entry: &[u8]) -> bool {
    entry.first().is_some_and(|version| *version > VERSION)
}

impl<'a> BatchReader<'a> {
    /// Gives nothing for an empty entry.
    pub(crate) fn open(mut entry: &'a [u8]) -> Result<Option<Self>, Malformed> {
        if entry.is_empty() {
            return Ok(None);
        }
        let version = codec::take_u8(&mut entry)?;
        if !matches!(version, VERSION | VERSION_WITHOUT_USERS | VERSION_0_1) {
            return Err(Malformed);
        }
        let reserves_all = version == VERSION_0_1;
        let time = Timestamp(codec::take_u64(&mut entry)?);
        let wall_offset = WallOffset(codec::take_u64(&mut entry)?.cast_signed());
        let stamp = Stamp { time, wall_offset };
        Ok(Some(Self { stamp, reserves_all, rest: entry, left: 0 }))
    }

    /// The next item; nothing at the end.
    pub(crate) fn next_item(&mut self) -> Result<Option<Item<'a>>, Malformed> {
        if self.rest.is_empty() {
            return if self.left == 0 { Ok(None) } else { Err(Malformed) };
        }
        let tag = codec::take_u8(&mut self.rest)?;
        if tag == TAG_REQUEST {
            return self.next_request().map(Some);
        }
        self.left = self.left.saturating_sub(1);
        let item = match tag {
            TAG_STORE => self.next_command(Author::default())?,
            TAG_STORE_AS | TAG_STORE_AS_AT_DIR => {
                let who = Principal::decode(&mut self.rest).map_err(|_| Malformed)?;
                self.next_command(Author { who, has_slash: tag == TAG_STORE_AS_AT_DIR })?
            }
            TAG_REGISTER => {
                let member = Member::decode(&mut self.rest)?;
                let config = match codec::take_u8(&mut self.rest)? {
                    0 => None,
                    1 => Some(ClusterConfig::decode(&mut self.rest)?),
                    _ => return Err(Malformed),
                };
                Item::Control(Control::Register { member, config })
            }
            TAG_CONFIGURE => {
                Item::Control(Control::Configure(ClusterConfig::decode(&mut self.rest)?))
            }
            TAG_RECONFIGURE => Item::Control(Control::Reconfigure {
                from: ClusterConfig::decode(&mut self.rest)?,
                to: ClusterConfig::decode(&mut self.rest)?,
            }),
            TAG_REMOVE => {
                Item::Control(Control::Remove(MemberId(codec::take_u64(&mut self.rest)?)))
            }
            TAG_EXPEL => Item::Control(Control::Expel(MemberId(codec::take_u64(&mut self.rest)?))),
            TAG_FORGET => {
                Item::Control(Control::Forget(MemberId(codec::take_u64(&mut self.rest)?)))
            }
            TAG_STARTED => {
                let id = MemberId(codec::take_u64(&mut self.rest)?);
                Item::Control(Control::Started(id, Identity::decode(&mut self.rest)?))
            }
            _ => return Err(Malformed),
        };
        Ok(Some(item))
    }

    fn next_command(&mut self, author: Author) -> Result<Item<'a>, Malformed> {
        let command = Command::decode(&mut self.rest).map_err(|_| Malformed)?;
        Ok(Item::Store(author, command))
    }

    fn next_request(&mut self) -> Result<Item<'a>, Malformed> {
        let rest = &mut self.rest;
        let member = MemberId(codec::take_u64(rest)?);
        let id = ForwardId { start: codec::take_u64(rest)?, seq: codec::take_u64(rest)? };
        let (floor, count) = (codec::take_u64(rest)?, codec::take_u32(rest)?);
        if self.left > 0 {
            return Err(Malformed);
        }
        self.left = count;
        Ok(Item::Request(Mark { member, id, floor, count }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{KeyPath, StoreIndex, UserId};

    fn items() -> Vec<Control> {
        let member = Member {
            id: MemberId(4),
            name: "m4".into(),
            client_url: "http://c:1".into(),
            peer_url: "http://p:1".into(),
            ..Member::default()
        };
        let config = ClusterConfig::default();
        vec![
            Control::Register { member: member.clone(), config: Some(config) },
            Control::Register { member, config: None },
            Control::Configure(config),
            Control::Remove(MemberId(7)),
            Control::Forget(MemberId(8)),
            Control::Started(
                MemberId(9),
                Identity { incarnation: 1, start: 2, ..Identity::default() },
            ),
            Control::Expel(MemberId(9)),
            Control::Reconfigure { from: config, to: ClusterConfig { active_size: 5, ..config } },
        ]
    }

    fn entry_of(fill: &dyn Fn(&mut Items)) -> Vec<u8> {
        let mut items = Items::default();
        fill(&mut items);
        let mut writer = EntryWriter::default();
        writer.push_items(&items);
        writer.finish(Stamp::default())
    }

    fn read(entry: &[u8]) -> Result<Vec<Item<'_>>, Malformed> {
        let Some(mut reader) = BatchReader::open(entry)? else { return Ok(Vec::new()) };
        let mut items = Vec::new();
        while let Some(item) = reader.next_item()? {
            items.push(item);
        }
        Ok(items)
    }

    #[test]
    fn items_come_back_in_order_and_no_truncation_passes_for_the_whole() {
        let path = KeyPath::parse("/a").expect("clean");
        let entry = entry_of(&|entry| {
            items().iter().for_each(|item| entry.push_control(item));
            entry.push(Author::default(), &Command::Delete { path, dir: false, recursive: false });
        });
        let all = read(&entry).expect("it was just written");
        assert_eq!(all.len(), 9);
        for (item, control) in all.iter().zip(items()) {
            assert_eq!(*item, Item::Control(control));
        }
        for len in 1..entry.len() {
            let part = read(entry.get(..len).expect("shorter"));
            assert!(part.is_err() || part.is_ok_and(|items| items.len() < 9));
        }
        assert_eq!(read(&[]), Ok(Vec::new()));
    }

    #[test]
    fn who_writes_and_how_the_key_was_named_comes_back() {
        let path = KeyPath::parse("/a").expect("clean");
        let command = Command::Delete { path, dir: false, recursive: true };
        let ann = Principal::User { id: UserId(4), password: Some(StoreIndex(7)) };
        for who in [Principal::Guest, ann] {
            for has_slash in [false, true] {
                let author = Author { who, has_slash };
                let entry = entry_of(&|entry| entry.push(author, &command));
                let is_plain = author == Author::default();
                assert_eq!(entry[0] == VERSION, !is_plain, "older members read the plain ones");
                let want = vec![Item::Store(author, command.clone())];
                assert_eq!(read(&entry), Ok(want));
            }
        }
    }

    #[test]
    fn what_no_version_writes_is_malformed() {
        let batch = |item: &Control| entry_of(&|items| items.push_control(item));
        let items = items();
        let mut entry = batch(&items[1]);
        *entry.last_mut().expect("a flag") = 2;
        assert_eq!(read(&entry), Err(Malformed), "neither with a configuration nor without");
        let mut entry = batch(&items[2]);
        entry[HEADER_LEN] = 99;
        assert_eq!(read(&entry), Err(Malformed), "an unknown item");
        let mut entry = batch(&items[2]);
        entry[0] = VERSION_0_1;
        assert!(read(&entry).is_ok(), "what release 0.1 wrote");
        let mut entry = batch(&items[2]);
        entry[0] = VERSION + 1;
        assert_eq!(read(&entry), Err(Malformed), "a newer version");
        assert_eq!(batch(&items[2])[0], VERSION_WITHOUT_USERS);
        let checked = check_forwarded(&batch(&items[7])[HEADER_LEN..]);
        for entry in [batch(&items[7]), entry_of(&|items| *items = checked.clone().expect("ours"))]
        {
            assert_eq!(entry[0], VERSION, "an older member must not pass over it");
        }
        let mut entry = batch(&items[2]);
        let at = HEADER_LEN + 1 + 8;
        entry[at..at + 8].copy_from_slice(&f64::NAN.to_bits().to_le_bytes());
        assert_eq!(read(&entry), Err(Malformed), "a delay that is no number");
    }

    #[test]
    fn what_only_a_leader_decides_is_not_taken_from_others() {
        let forwarded = |fill: &dyn Fn(&mut Items)| {
            let mut items = Items::default();
            fill(&mut items);
            check_forwarded(&items.bytes).map(|items| items.len)
        };
        let items = items();
        assert_eq!(forwarded(&|writer| writer.push_control(&items[0])), Some(1));
        assert_eq!(forwarded(&|writer| writer.push_control(&items[3])), None);
        assert_eq!(forwarded(&|writer| writer.push_control(&items[6])), None);
        assert_eq!(
            forwarded(&|writer| writer.push(Author::default(), &Command::Expire { limit: 1 })),
            None
        );
        assert!(check_forwarded(&[]).is_none());
        assert!(check_forwarded(b"rubbish").is_none());
        let mut writer = EntryWriter::default();
        writer.push_request(&mark(0), &Items::default());
        let entry = writer.finish(Stamp::default());
        assert!(
            check_forwarded(&entry[HEADER_LEN..]).is_none(),
            "in whose name is not theirs to say"
        );
    }

    fn mark(count: usize) -> Mark {
        Mark { member: MemberId(3), id: ForwardId { start: 4, seq: 5 }, floor: 2, count }
    }

    #[test]
    fn a_request_has_as_many_items_as_it_says() {
        let mut items = Items::default();
        items.push_control(&Control::Forget(MemberId(8)));
        items.push_control(&Control::Forget(MemberId(9)));
        for (count, is_whole) in [(0, true), (1, true), (2, true), (3, false)] {
            let mut writer = EntryWriter::default();
            writer.push_request(&mark(count), &items);
            let entry = writer.finish(Stamp::default());
            assert_eq!(entry.len(), HEADER_LEN + MARK_LEN + items.bytes.len());
            assert_eq!(read(&entry).is_ok(), is_whole, "{count} of two");
        }
        let mut writer = EntryWriter::default();
        writer.push_request(&mark(3), &items);
        writer.push_request(&mark(2), &items);
        assert_eq!(read(&writer.finish(Stamp::default())), Err(Malformed), "one in another");
    }

    #[test]
    fn what_release_0_1_wrote_is_read() {
        let mut entry = entry_of(&|items| items.push_control(&Control::Forget(MemberId(8))));
        entry[0] = 1;
        assert_eq!(read(&entry), Ok(vec![Item::Control(Control::Forget(MemberId(8)))]));
    }
}
