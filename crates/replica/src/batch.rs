//! What one log entry carries: all commands of one turn, under one stamp.
//!
//! ```text
//! version u8 | time u64 | wall offset i64 | item, item, ...
//! item: 0 store command | 1 register: member, config flag u8, [config] | 2 configure: config
//!   | 3 remove: member id u64 | 4 forget: member id u64 | 6 started: member id, identity (3 u64)
//! ```
//! Integers are little-endian. An empty entry, as raft writes at the start of a term, is an empty
//! batch.

use crate::codec::{self, Malformed};
use crate::identity::Identity;
use crate::membership::{ClusterConfig, Member};
use crate::types::MemberId;
use raft::eraftpb::{Entry, EntryType};
use store::{Command, Stamp, Timestamp, WallOffset};

const VERSION: u8 = 1;
const HEADER_LEN: usize = 17;

const TAG_STORE: u8 = 0;
const TAG_REGISTER: u8 = 1;
const TAG_CONFIGURE: u8 = 2;
const TAG_REMOVE: u8 = 3;
const TAG_FORGET: u8 = 4;
const TAG_STARTED: u8 = 6;

/// A change of the cluster's own registry; takes one store index, as a client's write does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Control {
    /// A member announces itself, anew or with other addresses; the first one brings the
    /// configuration along.
    Register { member: Member, config: Option<ClusterConfig> },
    /// The configuration is replaced.
    Configure(ClusterConfig),
    /// A member has left for good. Travels with the change of raft's configuration only.
    Remove(MemberId),
    /// A machine that was expected is not any more.
    Forget(MemberId),
    /// A member's directory was started. Takes no store index: clients never see it.
    Started(MemberId, Identity),
}

/// One item of a batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item<'a> {
    Store(Command<'a>),
    Control(Control),
}

/// Gathers the commands of one turn. The stamp is filled in when the batch is proposed.
#[derive(Debug, Default)]
pub(crate) struct BatchWriter {
    bytes: Vec<u8>,
    len: usize,
}

impl BatchWriter {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    fn start(&mut self) {
        if self.bytes.is_empty() {
            self.bytes.push(VERSION);
            self.bytes.resize(HEADER_LEN, 0);
        }
    }

    fn start_item(&mut self, tag: u8) {
        self.start();
        self.bytes.push(tag);
        self.len += 1;
    }

    /// Adds the items of a batch that another member gathered and [`check_forwarded`] accepted.
    pub(crate) fn push_items(&mut self, batch: &[u8], count: usize) {
        self.start();
        self.bytes.extend_from_slice(batch.get(HEADER_LEN..).unwrap_or_default());
        self.len += count;
    }

    pub(crate) fn push(&mut self, command: &Command<'_>) {
        self.start_item(TAG_STORE);
        command.encode(&mut self.bytes);
    }

    pub(crate) fn push_control(&mut self, control: &Control) {
        match control {
            Control::Register { member, config } => {
                self.start_item(TAG_REGISTER);
                member.encode(&mut self.bytes);
                self.bytes.push(u8::from(config.is_some()));
                if let Some(config) = config {
                    config.encode(&mut self.bytes);
                }
            }
            Control::Configure(config) => {
                self.start_item(TAG_CONFIGURE);
                config.encode(&mut self.bytes);
            }
            Control::Remove(id) => {
                self.start_item(TAG_REMOVE);
                codec::put_u64(&mut self.bytes, id.0);
            }
            Control::Forget(id) => {
                self.start_item(TAG_FORGET);
                codec::put_u64(&mut self.bytes, id.0);
            }
            Control::Started(id, identity) => {
                self.start_item(TAG_STARTED);
                codec::put_u64(&mut self.bytes, id.0);
                identity.encode(&mut self.bytes);
            }
        }
    }

    /// The finished bytes; the writer is empty afterwards.
    pub(crate) fn finish(&mut self, stamp: Stamp) -> Vec<u8> {
        self.len = 0;
        let mut bytes = std::mem::take(&mut self.bytes);
        if let Some(header) = bytes.get_mut(1..HEADER_LEN) {
            let (time, offset) = header.split_at_mut(8);
            time.copy_from_slice(&stamp.time.0.to_le_bytes());
            offset.copy_from_slice(&stamp.wall_offset.0.to_le_bytes());
        }
        bytes
    }
}

/// Counts the items of a batch that another member wants to have proposed. Gives nothing if it
/// holds what a member may not ask for: expiry is decided by the leader alone, and members come and
/// go by changes of raft's configuration.
pub(crate) fn check_forwarded(batch: &[u8]) -> Option<usize> {
    let mut reader = BatchReader::open(batch).ok()??;
    let mut count = 0;
    while let Some(item) = reader.next_item().ok()? {
        match item {
            Item::Store(Command::Expire { .. } | Command::Internal { .. })
            | Item::Control(Control::Remove(_)) => return None,
            Item::Store(_) | Item::Control(_) => count += 1,
        }
    }
    Some(count)
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
    rest: &'a [u8],
}

impl<'a> BatchReader<'a> {
    /// Gives nothing for an empty entry.
    pub(crate) fn open(mut entry: &'a [u8]) -> Result<Option<Self>, Malformed> {
        if entry.is_empty() {
            return Ok(None);
        }
        if codec::take_u8(&mut entry)? != VERSION {
            return Err(Malformed);
        }
        let time = Timestamp(codec::take_u64(&mut entry)?);
        let wall_offset = WallOffset(codec::take_u64(&mut entry)?.cast_signed());
        Ok(Some(Self { stamp: Stamp { time, wall_offset }, rest: entry }))
    }

    /// The next item; nothing at the end.
    pub(crate) fn next_item(&mut self) -> Result<Option<Item<'a>>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let item = match codec::take_u8(&mut self.rest)? {
            TAG_STORE => Item::Store(Command::decode(&mut self.rest).map_err(|_| Malformed)?),
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
            TAG_REMOVE => {
                Item::Control(Control::Remove(MemberId(codec::take_u64(&mut self.rest)?)))
            }
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::KeyPath;

    fn items() -> Vec<Control> {
        let member = Member {
            id: MemberId(4),
            name: "m4".into(),
            client_url: "http://c:1".into(),
            peer_url: "http://p:1".into(),
        };
        let config = ClusterConfig::default();
        vec![
            Control::Register { member: member.clone(), config: Some(config) },
            Control::Register { member, config: None },
            Control::Configure(config),
            Control::Remove(MemberId(7)),
            Control::Forget(MemberId(8)),
            Control::Started(MemberId(9), Identity { incarnation: 1, start: 2, nonce: 3 }),
        ]
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
        let mut writer = BatchWriter::default();
        items().iter().for_each(|item| writer.push_control(item));
        let path = KeyPath::parse("/a").expect("clean");
        writer.push(&Command::Delete { path, dir: false, recursive: false });
        let entry = writer.finish(Stamp::default());
        let all = read(&entry).expect("it was just written");
        assert_eq!(all.len(), 7);
        for (item, control) in all.iter().zip(items()) {
            assert_eq!(*item, Item::Control(control));
        }
        for len in 1..entry.len() {
            let part = read(entry.get(..len).expect("shorter"));
            assert!(part.is_err() || part.is_ok_and(|items| items.len() < 7));
        }
        assert_eq!(read(&[]), Ok(Vec::new()));
    }

    #[test]
    fn what_no_version_writes_is_malformed() {
        let batch = |item: &Control| {
            let mut writer = BatchWriter::default();
            writer.push_control(item);
            writer.finish(Stamp::default())
        };
        let items = items();
        let mut entry = batch(&items[1]);
        *entry.last_mut().expect("a flag") = 2;
        assert_eq!(read(&entry), Err(Malformed), "neither with a configuration nor without");
        let mut entry = batch(&items[2]);
        entry[HEADER_LEN] = 99;
        assert_eq!(read(&entry), Err(Malformed), "an unknown item");
        let mut entry = batch(&items[2]);
        entry[0] = VERSION + 1;
        assert_eq!(read(&entry), Err(Malformed), "a newer version");
        let mut entry = batch(&items[2]);
        let at = HEADER_LEN + 1 + 8;
        entry[at..at + 8].copy_from_slice(&f64::NAN.to_bits().to_le_bytes());
        assert_eq!(read(&entry), Err(Malformed), "a delay that is no number");
    }

    #[test]
    fn what_only_a_leader_decides_is_not_taken_from_others() {
        let forwarded = |fill: &dyn Fn(&mut BatchWriter)| {
            let mut writer = BatchWriter::default();
            fill(&mut writer);
            check_forwarded(&writer.finish(Stamp::default()))
        };
        let items = items();
        assert_eq!(forwarded(&|writer| writer.push_control(&items[0])), Some(1));
        assert_eq!(forwarded(&|writer| writer.push_control(&items[3])), None);
        assert_eq!(forwarded(&|writer| writer.push(&Command::Expire { limit: 1 })), None);
        assert_eq!(check_forwarded(&[]), None);
        assert_eq!(check_forwarded(b"rubbish"), None);
    }
}
