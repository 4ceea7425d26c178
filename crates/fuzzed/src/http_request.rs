//! Bytes of a connection in arbitrary pieces: however they are cut, the same requests come of them,
//! and the same refusal.
//!
//! The first bytes of an input say how the rest is cut.

use server::fuzzing::converse;

/// How many bytes of an input say how long the pieces are; used in turn.
const SIZES: usize = 4;

fn cut<'a>(mut bytes: &'a [u8], sizes: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        let (piece, rest) = bytes.split_at(bytes.len().min(usize::from(*size) + 1));
        pieces.push(piece);
        bytes = rest;
        if bytes.is_empty() {
            break;
        }
    }
    pieces
}

/// See the module.
pub(crate) fn check(data: &[u8]) {
    let Some((sizes, text)) = data.split_at_checked(SIZES) else { return };
    // A head that has come in part is looked at again only when its end is there.
    let text = [text, b"\r\n\r\n"].concat();
    let whole = converse([&text[..]], false);
    let pieces = converse(cut(&text, sizes), false);
    assert_eq!(whole, pieces);
    assert!(whole.used <= text.len());

    // Within narrow bounds, which bound is met first may depend on the pieces; what is taken and
    // what becomes of it may not.
    let whole = converse([&text[..]], true);
    let pieces = converse(cut(&text, sizes), true);
    assert_eq!(whole.requests, pieces.requests);
    assert_eq!(whole.used, pieces.used);
    assert!(whole.refused.is_some() || pieces.refused.is_none(), "{whole:?} {pieces:?}");
}
