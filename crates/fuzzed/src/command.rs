//! Commands of arbitrary bytes: what is decoded is encoded and decoded again as the same, and can
//! be applied, to a store whose snapshot loads again.

use store::{Command, Limits, Stamp, Store, Timestamp, WallOffset};

/// Commands that are read from one input at most.
const COMMANDS_MAX: usize = 64;

/// See the module.
pub(crate) fn check(data: &[u8]) {
    let mut rest = data;
    let mut store = Store::new(Limits::default());
    for number in 0..COMMANDS_MAX {
        let before = rest.len();
        let Ok(command) = Command::decode(&mut rest) else { break };
        assert!(rest.len() < before, "a command takes up no bytes");
        let mut bytes = Vec::new();
        command.encode(&mut bytes);
        let mut again = bytes.as_slice();
        assert_eq!(Command::decode(&mut again).as_ref(), Ok(&command));
        assert!(again.is_empty(), "an encoding has bytes too many");
        let time = u64::try_from(number).expect("a small number") * 1_000_000_000;
        let stamp = Stamp { time: Timestamp(time), wall_offset: WallOffset(0) };
        // Whether the store takes it is not the question here.
        let _ = store.apply(&command, stamp, &mut Vec::new());
    }
    let mut stream = Vec::new();
    store.snapshot().write(&mut stream).expect("memory takes it");
    Store::load(&mut stream.as_slice(), Limits::default()).expect("it was just written");
}
