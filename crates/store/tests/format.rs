//! The bytes of commands: that they stay as they are, and that others do no harm.

mod testkit;

use proptest::prelude::*;
use store::{
    Command, DecodeError, ErrorCode, InOrder, InternalWrite, KeyPath, Limits, LockAction,
    LockEntry, Refused, Stamp, Store,
};
use testkit::{cases, hex};

/// One of each kind, with every field at its place.
fn commands() -> Vec<(Command<'static>, &'static str)> {
    let (key, value) = (KeyPath::parse("/a/b").expect("it is clean"), "v");
    let root = KeyPath::ROOT;
    vec![
        (
            Command::Set { path: key, value, dir: false, ttl: None, refresh: false },
            "0100042f612f620176",
        ),
        (
            Command::Set { path: root, value: "", dir: true, ttl: Some(-1), refresh: true },
            "0107012f0001",
        ),
        (
            Command::Create { path: key, value, dir: true, ttl: Some(100), in_order: None },
            "0203042f612f620176c801",
        ),
        (
            Command::Create {
                path: key,
                value,
                dir: false,
                ttl: None,
                in_order: Some(InOrder::Plain),
            },
            "0240042f612f620176",
        ),
        (
            Command::Create {
                path: key,
                value,
                dir: false,
                ttl: None,
                in_order: Some(InOrder::Padded),
            },
            "02c0042f612f620176",
        ),
        (
            Command::Update { path: key, value, ttl: Some(i64::MAX), refresh: true },
            "0306042f612f620176feffffffffffffffff01",
        ),
        (
            Command::CompareAndSwap {
                path: key,
                value,
                ttl: Some(5),
                refresh: true,
                prev_value: Some("p"),
                prev_index: Some(300),
                or_create: true,
            },
            "0476042f612f6201760a0170ac02",
        ),
    ]
    .into_iter()
    .chain(other_commands())
    .chain(lock_commands())
    .collect()
}

fn other_commands() -> Vec<(Command<'static>, &'static str)> {
    let key = KeyPath::parse("/a/b").expect("it is clean");
    let writes = vec![
        InternalWrite { path: key, value: Some("v") },
        InternalWrite { path: KeyPath::ROOT, value: None },
    ];
    vec![
        (Command::Delete { path: key, dir: true, recursive: false }, "0501042f612f62"),
        (Command::Delete { path: key, dir: false, recursive: true }, "0508042f612f62"),
        (
            Command::CompareAndDelete { path: key, prev_value: None, prev_index: Some(u64::MAX) },
            "0620042f612f62ffffffffffffffffff01",
        ),
        (
            Command::CompareAndDelete { path: key, prev_value: Some(""), prev_index: None },
            "0610042f612f6200",
        ),
        (Command::Expire { limit: u32::MAX }, "0700ffffffff0f"),
        (Command::Internal { writes }, "08000201042f612f62017600012f"),
        (Command::Internal { writes: Vec::new() }, "080000"),
        (Command::RaiseIndex { at_least: 300 }, "0a00ac02"),
        (
            Command::CountRefused(Refused {
                creates: 1,
                compare_and_swaps: 300,
                compare_and_deletes: 0,
            }),
            "0b0001ac0200",
        ),
    ]
}

fn lock_commands() -> impl Iterator<Item = (Command<'static>, &'static str)> {
    let dir = KeyPath::parse("/_etcd/mod/lock/a").expect("it is clean");
    // The path, with its length in front, stands behind the first two bytes.
    let actions = [
        (LockAction::Acquire { value: "v", ttl: 5, waits: true }, "0909P01760a"),
        (LockAction::Acquire { value: "", ttl: -1, waits: false }, "0901P0001"),
        (LockAction::Refresh { index: 300, ttl: 5 }, "0902Pac020a"),
        (
            LockAction::Renew { entry: LockEntry::Index(7), value: Some("w"), ttl: 5 },
            "0933P0701770a",
        ),
        (LockAction::Renew { entry: LockEntry::Value("v"), value: None, ttl: 5 }, "0903P01760a"),
        (LockAction::Release { entry: LockEntry::Index(7) }, "0914P07"),
        (LockAction::Release { entry: LockEntry::Value("") }, "0904P00"),
        (LockAction::Leave { index: 7, touched: Some(9), keep: Some(5) }, "09c5P07090a"),
        (LockAction::Leave { index: 7, touched: None, keep: None }, "0905P07"),
    ];
    let path = format!("{:02x}{}", dir.as_str().len(), hex(dir.as_str().as_bytes()));
    actions.into_iter().map(move |(action, bytes)| {
        let bytes: &str = bytes.replace('P', &path).leak();
        (Command::Lock { dir, action }, bytes)
    })
}

fn encoded(command: &Command<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    command.encode(&mut bytes);
    bytes
}

/// Decodes what may be anything; what is a command has to be the one way to write it.
fn check_decode(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let Ok(command) = Command::decode(&mut rest) else { return false };
    let taken = &bytes[..bytes.len() - rest.len()];
    assert_eq!(hex(&encoded(&command)), hex(taken), "{command:?}");
    true
}

#[test]
fn commands_are_written_as_they_always_were() {
    for (command, wanted) in commands() {
        let bytes = encoded(&command);
        assert_eq!(hex(&bytes), wanted, "{command:?}");
        assert_eq!(Command::decode(&mut bytes.as_slice()), Ok(command));
    }
}

#[test]
fn a_part_of_a_command_is_no_command() {
    for (command, _) in commands() {
        let bytes = encoded(&command);
        for len in 0..bytes.len() {
            let result = Command::decode(&mut &bytes[..len]);
            assert_eq!(result, Err(DecodeError), "{len} bytes of {command:?}");
        }
    }
}

#[test]
fn every_changed_byte_is_refused_or_another_command() {
    let mut accepted = 0;
    for (command, _) in commands() {
        let bytes = encoded(&command);
        for at in 0..bytes.len() {
            for byte in 0..=255 {
                let mut changed = bytes.clone();
                changed[at] = byte;
                accepted += u32::from(check_decode(&changed));
            }
        }
    }
    assert!(accepted > 1000);
}

#[test]
fn commands_with_wrong_fields_are_refused() {
    for (text, why) in [
        ("", "nothing at all"),
        ("00", "an unknown tag"),
        ("0b00012f", "an unknown tag with a path"),
        ("0902012f010a", "a lock that is no lock's directory"),
        ("09020f2f5f657463642f6d6f642f6c6f636b010a", "the directory of all locks"),
        ("0900112f5f657463642f6d6f642f6c6f636b2f61", "no action"),
        ("0906112f5f657463642f6d6f642f6c6f636b2f61010a", "an unknown action"),
        ("090a112f5f657463642f6d6f642f6c6f636b2f61010a", "a flag of another action"),
        ("0180012f00", "an unknown flag"),
        ("0280012f00", "the naming of a key that is not in order"),
        ("07010a", "a flag where there is none"),
        ("0500022f2f", "an empty component"),
        ("0500032f612f", "a slash at the end"),
        ("05000161", "no slash in front"),
        ("0500032f2e2e", "two dots"),
        ("050000", "no path"),
        ("0500022fff", "no UTF-8"),
        ("0500818080808080808080807f", "a length beyond 64 bits"),
        ("050081002f", "a number longer than it has to be"),
        ("0700ffffffff1f", "a limit beyond 32 bits"),
        ("08000102012f", "neither write nor delete"),
        ("0800ffffffff7f", "more writes than bytes"),
        ("0100042f612f62ffffffffff7f76", "a value longer than the input"),
    ] {
        let bytes: Vec<u8> = (0..text.len() / 2)
            .map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).expect("it is hex"))
            .collect();
        assert_eq!(Command::decode(&mut bytes.as_slice()), Err(DecodeError), "{why}");
    }
    // One component too many.
    let deep = "/a".repeat(store::DEPTH_MAX + 1);
    let mut bytes = vec![5, 0, 0xd2, 0x0f];
    bytes.extend_from_slice(deep.as_bytes());
    assert_eq!(deep.len(), 0x52 + (0x0f << 7));
    assert_eq!(Command::decode(&mut bytes.as_slice()), Err(DecodeError));
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn garbage_is_no_command_or_a_proper_one(
        tag in 0..11_u8,
        flags in any::<u8>(),
        rest in prop::collection::vec(prop_oneof![0..6_u8, any::<u8>(), Just(b'/')], 0..40),
    ) {
        let mut bytes = vec![tag, flags];
        bytes.extend(rest);
        check_decode(&bytes);
    }
}

#[test]
fn what_release_0_1_refused_is_refused_when_its_log_is_replayed() {
    let mut store = Store::new(Limits::default());
    let path = KeyPath::parse("/_etcd/registry/t/m1").expect("it is clean");
    let create = Command::Create { path, value: "v", dir: false, ttl: None, in_order: None };
    let apply = |store: &mut Store, reserves_all| {
        store.set_reserves_all(reserves_all);
        store.apply(&create, Stamp::default(), &mut Vec::new()).map_err(|error| error.code)
    };
    assert_eq!(apply(&mut store, true).map(|_| ()), Err(ErrorCode::Reserved));
    assert_eq!(store.index().0, 0, "later commands keep their indexes");
    assert!(apply(&mut store, false).is_ok());
}
